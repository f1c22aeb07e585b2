/* SPDX-License-Identifier: MIT */
#ifndef UZ_DAEMON_PRIV_H
#define UZ_DAEMON_PRIV_H

#include <pthread.h>
#include <signal.h>
#include <sys/types.h>

#include <uzram/daemon.h>
#include <uzram/device.h>
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

/* ---- restart.c ---- */

/*
 * struct uz__restart - how it went so far
 * @total: workers that died and were replaced
 * @vain:  deaths in a row of workers that had hardly served
 */
struct uz__restart {
	unsigned int total;
	unsigned int vain;
};

/* So many in a row are too many. */
#define UZ__RESTART_VAIN 8

/*
 * A worker has died that served for @served_ms (0: it never did). Returns the
 * milliseconds until the next one is to be started, or -1: no more.
 */
int uz__restart_pause(struct uz__restart *r, uint64_t served_ms);

/* ---- protect.c ---- */

#define UZ__PROTECT_FLUSHER 1u
#define UZ__PROTECT_LOCKED  2u
#define UZ__PROTECT_OOM	    4u
#define UZ__PROTECT_NOSWAP  8u /* memory that is made from now on */

/* What each process has to ask for itself. */
#define UZ__PROTECT_PROCESS \
	(UZ__PROTECT_FLUSHER | UZ__PROTECT_LOCKED | UZ__PROTECT_OOM)

/*
 * Protects this process, and threads and children to come as far as that is
 * inherited. Returns which of the protections that are @wanted it has now; the
 * others are a warning if @tell.
 */
unsigned int uz__protect(unsigned int wanted, bool tell);

/* "io_flusher,locked,oom,noswap", or "no". */
void uz__protect_text(unsigned int got, char *text, size_t size);

/* ---- report.c ---- */

/*
 * enum uz__report_kind - what a worker has to say
 * @UZ__REPORT_SERVES:  files can be opened
 * @UZ__REPORT_MANAGER: @text is for the service manager
 * @UZ__REPORT_FAILED:  it is about to end, by @rc, because of @text
 */
enum uz__report_kind {
	UZ__REPORT_SERVES,
	UZ__REPORT_MANAGER,
	UZ__REPORT_FAILED,
};

struct uz__report {
	enum uz__report_kind kind;
	int rc;
	char text[512];
};

/* Says it; @fd is the pipe. */
void uz__report(int fd, enum uz__report_kind kind, int rc, const char *fmt, ...)
	uz_printf(4, 5);

/* ---- supervisor.c, serve.c ---- */

/*
 * struct uz__daemon - what outlives the workers
 * @config:  as given
 * @pid:     the supervisor
 * @place:   where it is mounted
 * @protected: UZ__PROTECT_NOSWAP if that holds for all memory here, or 0
 * @mem:     memory of the device
 * @ops:     the front end
 * @session: its mount
 * @fs:      st_dev of the mount
 * @restart: workers so far
 * @report:  where the worker writes reports
 * @served:  a worker has served, and who waited for that was told
 */
struct uz__daemon {
	const struct uz_daemon_config *config;
	pid_t pid;
	struct uz__place place;
	unsigned int protected;
	struct uz_device_mem mem;
	const struct uz_frontend_ops *ops;
	struct uz_session session;
	dev_t fs;
	struct uz__restart restart;
	int report;
	bool served;
};

/*
 * Has the device served until the orderly end (0) or an error. No worker is
 * left then.
 */
uz_must_check int uz__supervise(struct uz__daemon *d, struct uz_err *err);

/* What a worker does; called in its own process. */
_Noreturn void uz__serve(const struct uz__daemon *d);

/* ---- signal.c ---- */

/*
 * struct uz__signals - the thread that turns signals into fe->stop()
 * @ops:    the front end
 * @fe:     which of its services
 * @fs:     st_dev of its mount
 * @report: the supervisor's pipe
 * @ending: the service has ended: the next signal ends the thread
 */
struct uz__signals {
	pthread_t thread;
	const struct uz_frontend_ops *ops;
	struct uz_frontend *fe;
	dev_t fs;
	int report;
	_Atomic bool ending;
};

/* The signals that ask for the end. */
void uz__signals_set(sigset_t *set);

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
