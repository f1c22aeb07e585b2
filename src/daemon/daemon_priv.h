/* SPDX-License-Identifier: MIT */
#ifndef UZ_DAEMON_PRIV_H
#define UZ_DAEMON_PRIV_H

#include <pthread.h>
#include <sys/types.h>

#include <uzram/daemon.h>
#include <uzram/frontend.h>

/* ---- place.c ---- */

/*
 * struct uz__place - the directory that a device is mounted on
 * @path:   its name
 * @parent: the directory above, locked while a claim is being made; or -1
 * @fd:     the directory below the mount, locked for the daemon's life; or -1
 * @made:   ours to remove: we made it, or it lies in the run directory
 */
struct uz__place {
	char path[4096];
	int parent;
	int fd;
	bool made;
};

/*
 * Takes the directory for this process: makes it if missing, clears a dead
 * daemon's mount, refuses one that is taken, not empty or not writable.
 * Must be followed by uz__place_release(), also after a failure.
 */
uz_must_check int uz__place_claim(struct uz__place *place,
				  const struct uz_daemon_config *config,
				  struct uz_err *err);

/* The device is mounted: others may look again. */
void uz__place_settled(struct uz__place *place);

/* Nothing is mounted there any more. */
void uz__place_release(struct uz__place *place);

/* ---- notify.c ---- */

/* Tells the service manager (NOTIFY_SOCKET), if there is one. */
void uz__notify_manager(const char *fmt, ...) uz_printf(1, 2);

/* Tells the starter by @fd, one line, and closes it; -1: nobody asked. */
void uz__notify_starter(int fd, const char *line);

/* ---- signal.c ---- */

/*
 * struct uz__signals - the thread that turns signals into fe->stop()
 * @ops:    the front end
 * @fe:     which of its services
 * @fs:     st_dev of its mount
 * @ending: the service has ended: the next signal ends the thread
 */
struct uz__signals {
	pthread_t thread;
	const struct uz_frontend_ops *ops;
	struct uz_frontend *fe;
	dev_t fs;
	_Atomic bool ending;
};

/* Blocks the signals; threads made later inherit that. */
void uz__signals_block(void);

uz_must_check int uz__signals_start(struct uz__signals *signals);
void uz__signals_end(struct uz__signals *signals);

/* ---- ceiling.c ---- */

/*
 * The most that a pool may grow to under this process's cgroup, or 0 when only
 * the machine itself limits it.
 */
uint64_t uz__ceiling(void);

#endif
