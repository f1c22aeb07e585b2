/* SPDX-License-Identifier: MIT */
#ifndef UZ_DAEMON_PRIV_H
#define UZ_DAEMON_PRIV_H

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <time.h>

#include <uzram/daemon.h>
#include <uzram/device.h>
#include <uzram/frontend.h>
#include <uzram/util/pulse.h>
#include <uzram/util/shm.h>
#include <uzram/util/strbuf.h>

#include "opener_priv.h"
#include "protect_priv.h"
#include "report_priv.h"

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

/* ---- conf_files.c ---- */

/*
 * struct uz__conf_file - a configuration file
 * @path: of it
 * @name: by which it hides others; "" for uzram.conf
 */
struct uz__conf_file {
	char *path;
	char *name;
};

/*
 * struct uz__conf_files - those that are to be read, in this order
 * @files:  the files
 * @nr:     of them
 * @failed: what could not be looked at, after a failure
 */
struct uz__conf_files {
	struct uz__conf_file *files;
	size_t nr;
	char failed[1200];
};

/*
 * Finds those that there are. Must be followed by uz__conf_files_free(), also
 * after a failure.
 */
uz_must_check int uz__conf_files_find(struct uz__conf_files *files,
				      struct uz_err *err);
void uz__conf_files_free(struct uz__conf_files *files);

/* ---- config_codecs.c ---- */

/*
 * The codecs that @value says, by priority; there are none of those that it
 * does not. After a failure @codecs is what it was. 0 or -errno.
 */
uz_must_check int
uz__config_codecs(struct uz_daemon_codec codecs[UZ_PRIORITIES],
		  const char *value, struct uz_err *err);

/* ---- notify.c ---- */

/* Tells the service manager (NOTIFY_SOCKET), if there is one. */
void uz__notify_manager(const char *fmt, ...) uz_printf(1, 2);

/* It is to keep a copy of @fd by that name; false: it was not told. */
bool uz__notify_keep(const char *name, int fd);

/* Sleeps until it has come to what it was told, but not for ever. */
void uz__notify_barrier(void);

/* Tells the starter by @fd, one line, and closes it; -1: nobody asked. */
void uz__notify_starter(int fd, const char *line);

/* ---- restart.c ---- */

/*
 * struct uz__restart - how it went so far
 * @total: workers that died and were replaced, or could not be started
 * @vain:  deaths in a row of workers that had hardly served
 * @wants: since one has served, tries that the system had not enough for
 */
struct uz__restart {
	unsigned int total;
	unsigned int vain;
	unsigned int wants;
};

/* So many in a row are too many. */
#define UZ__RESTART_VAIN  8
#define UZ__RESTART_WANTS 300

/*
 * A worker has died that served for @served_ms (0: it never did, nor may there
 * have been one), or has failed by @rc (0: it did not say). Returns the
 * milliseconds until the next one is to be started, or -1: no more.
 */
int uz__restart_pause(struct uz__restart *r, uint64_t served_ms, int rc);

/* Says so; @why: the last one was the last. Returns -EIO. */
int uz__restart_no_more(const struct uz__restart *r, const char *why,
			struct uz_err *err);

/* ---- confine.c ---- */

/*
 * The capabilities that a worker needs, a bit for each; @disk: its front end
 * makes a disk.
 */
uint64_t uz__confine_needs(const struct uz_daemon_config *config, bool disk);

/* Takes all other capabilities from this thread. 0 or -errno. */
uz_must_check int uz__confine_capabilities(uint64_t needs);

/*
 * Takes from this process, which has one thread, what a worker does not need,
 * for good. What is taken then is in @text, "no_new_privs,capabilities,seccomp"
 * or "no"; what could not be is a remark if @tell. Fails only if the filter was
 * asked for (seccomp=on) and cannot be had.
 */
uz_must_check int uz__confine(const struct uz_daemon_config *config, bool disk,
			      bool tell, char *text, size_t size,
			      struct uz_err *err);

/* ---- filter.c ---- */

/*
 * Has the kernel end this process when it makes a system call that no worker
 * makes; implies no_new_privs. 0 or -errno: nothing has changed.
 */
uz_must_check int uz__filter(void);

/* The same for an heir, which has fewer still; allocates nothing. */
uz_must_check int uz__filter_heir(void);

/* ---- death.c ---- */

/*
 * struct uz__death - what is known of a worker's end before it comes
 * @failure: what it has said itself; @failure.rc is 0 if that is nothing
 * @cores:   where the kernel puts cores
 * @hang:    what the log is to have of why it is killed, or ""
 * @told:    what it is to have of the last one, or ""
 */
struct uz__death {
	struct uz__report failure;
	char cores[128];
	char hang[128];
	char told[UZ_ERR_TEXT + 64];
};

/* To the log, once; when another worker has begun, with swap=on: serves. */
void uz__death_tell(struct uz__death *death);

/* What uz__death_tell() will say; @worker: none if not positive. */
void uz__death_note(struct uz__death *death, pid_t worker, const char *why);

/* It is killed because of that; for the log, when it may be told. */
void uz__death_hangs(struct uz__death *death, pid_t worker, const char *how);

/* A worker has failed by @rc; @what could not be done. */
void uz__death_failure(struct uz__death *death, int rc, const char *what);

/* It is by what the next worker would meet as well. */
bool uz__death_is_final(const struct uz__death *death);

/* Before the first worker: where do cores go? */
void uz__death_prepare(struct uz__death *death);

/* @status: as waitpid(2) tells it. */
void uz__death_text(const struct uz__death *death, int status, char *text,
		    size_t size);

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
 * @board:   what both know of upgrades, or NULL; and its memfd
 * @spare:   memfd of what workers work with, one after the other
 *           (uz_spare_use())
 * @ballast: memfd of what is let go of when a worker has come up (ballast.c).
 *           Either is negative if there is none, as in workers that are
 *           executed
 * @program: of which workers are made; -1: this one
 * @program_path: where this one lies, or ""
 * @serving: version of the worker that serves, or served last
 * @served:  a worker has served
 * @parked:  the supervisor ends, the device does not
 * @keep:    what the service manager keeps: the program that it has, this one,
 *           the handover, each -1 if there is none; and whether it has all
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
	struct uz__board *board;
	int board_fd;
	int spare;
	int ballast;
	int program;
	char program_path[4096];
	char serving[64];
	bool served;
	bool parked;
	struct {
		int program;
		int self;
		int handover;
		bool all;
	} keep;
};

/*
 * Has the device served until the orderly end (0) or an error. No worker is
 * left then.
 */
uz_must_check int uz__supervise(struct uz__daemon *d, struct uz_err *err);

/* What a worker does; called in its own process. */
_Noreturn void uz__serve(const struct uz__daemon *d);

/* ---- quit.c ---- */

/*
 * struct uz__quit - the process that unmounts the device
 * @pid:    or 0
 * @again:  another one is to come after it
 * @teller: the one that says who uses it, or 0
 */
struct uz__quit {
	pid_t pid;
	bool again;
	pid_t teller;
};

/* The worker has heard the signal and is ready to be unmounted. */
void uz__quit_start(struct uz__quit *quit, const struct uz__daemon *d);

/* Has it ended? @d: there is a worker, for another one if that is wanted. */
void uz__quit_reap(struct uz__quit *quit, const struct uz__daemon *d);

/* The service has ended: none is left. */
void uz__quit_end(struct uz__quit *quit);

/* ---- board.c ---- */

/*
 * enum uz__board_state - of an upgrade
 * @UZ__BOARD_IDLE:    none
 * @UZ__BOARD_ASKING:  a worker is writing what it was asked for
 * @UZ__BOARD_ASKED:   it has; the supervisor has not heard yet
 * @UZ__BOARD_RUNNING: the supervisor is at it
 */
enum uz__board_state {
	UZ__BOARD_IDLE,
	UZ__BOARD_ASKING,
	UZ__BOARD_ASKED,
	UZ__BOARD_RUNNING,
};

/*
 * struct uz__board - what supervisor and workers know of upgrades
 * @state: enum uz__board_state
 * @ended: how many have succeeded, in the upper half, and how many not
 * @path:  of the program that was asked for; "": the installed one
 * @last:  how the last ones went, used in turn
 * @watchdog: seconds after which the worker hangs that is about to begin, or
 *         0; the supervisor's, which a program may read other settings than
 * @hangs: workers that were killed because they hung
 * @pulses: of the worker's threads, by their number in the device; and of its
 *         process
 * @heirs: the supervisor waits for those of workers (heir.c)
 *
 * Programs before and after an upgrade share it, so it grows at its end only.
 */
struct uz__board {
	_Alignas(UZ_PAGE_SIZE) _Atomic uint64_t ended;
	_Atomic uint32_t state;
	char path[4096];
	char last[2][512];
	uint32_t watchdog;
	_Atomic uint32_t hangs;
	struct uz_pulse pulses[UZ_IO_MAX + 1];
	uint32_t heirs;
};

/* The one of the process; all others are those of threads. */
#define UZ__PULSE_PROCESS UZ_IO_MAX
#define UZ__PULSES	  (UZ_IO_MAX + 1)

/* The memfd and its mapping; undone by uz__board_close(). 0 or -errno. */
uz_must_check int uz__board_create(struct uz__daemon *d);
/* @d->board_fd is set. */
uz_must_check int uz__board_map(struct uz__daemon *d);
void uz__board_close(struct uz__daemon *d);

/*
 * A worker: somebody wants the program at @path. The supervisor has to be told
 * by UZ__REPORT_UPGRADE afterwards. -EBUSY: one is under way.
 */
uz_must_check int uz__board_ask(struct uz__board *b, const char *path,
				bool again, struct uz_err *err);

/*
 * The supervisor begins, because of uz__board_ask() or by itself; @b->path then
 * is a string. False: one is under way, or it has been taken already.
 */
uz_must_check bool uz__board_take(struct uz__board *b, bool asked);

/* There is another supervisor; whatever the one before it was at is over. */
void uz__board_restart(struct uz__board *b);

/* The worker has died: what it was asked and has not told is lost. */
void uz__board_forget(struct uz__board *b);

/* It is over; @text is one line. */
void uz__board_ended(struct uz__board *b, bool upgraded, const char *text);

/* For people: the attribute's text. */
void uz__board_show(struct uz__board *b, const char *version,
		    struct uz_strbuf *out);

/* ---- watchdog.c ---- */

/*
 * struct uz__watchdog - what the supervisor remembers of a worker's threads
 * @next:  when to look again, ms; 0: never
 * @looks: while it did not serve yet
 * @seen:  by their pulses
 */
struct uz__watchdog {
	uint64_t next;
	unsigned int looks;
	struct uz_pulse_seen seen[UZ__PULSES];
};

/* A worker is about to begin. */
void uz__watchdog_begin(struct uz__watchdog *w, struct uz__daemon *d,
			uint64_t now);

/*
 * To be called at @w->next or later. In words, once: the worker is to be
 * killed. Else NULL. Says nothing to the log, which may wait for that worker.
 */
uz_must_check const char *uz__watchdog_hangs(struct uz__watchdog *w,
					     struct uz__daemon *d, bool serves,
					     uint64_t now);

/*
 * struct uz__alive - the thread that shows that the process runs
 * @pulse:  what it changes
 * @period: how often
 */
struct uz__alive {
	struct uz_pulse *pulse;
	struct timespec period;
};

/*
 * Nothing where nobody watches. No other process uses the pulses any more; @a
 * stays for the life of this one. 0 or -errno.
 */
uz_must_check int uz__alive_start(struct uz__alive *a, struct uz__board *b);

/* ---- heir.c ---- */

/*
 * A worker that has one thread and a process group of its own: has a process
 * that takes its memory apart when it is gone, if the supervisor knows of such.
 */
void uz__heir_start(const struct uz__daemon *d);

/*
 * As many may be at work at a time; they need the CPU that others leave them.
 */
#define UZ__HEIRS_MAX 4

/*
 * struct uz__heirs - what the supervisor knows of them
 * @worker: those that are gone and whose heirs may still be there, the oldest
 *          first
 * @nr:     of these
 */
struct uz__heirs {
	pid_t worker[UZ__HEIRS_MAX];
	unsigned int nr;
};

/* Forgets those that are gone. To be called before a worker is made. */
void uz__heirs_reap(struct uz__heirs *heirs);

/* That @worker was waited for. Sleeps until the oldest is gone if need be. */
void uz__heirs_add(struct uz__heirs *heirs, pid_t worker);

/* Sleeps until all are gone. */
void uz__heirs_end(struct uz__heirs *heirs);

/* ---- handover.c ---- */

/* What a successor has to know but descriptors, to the memfd @fd. */
uz_must_check int uz__handover_write(const struct uz__daemon *d, int fd);

/* The opposite. -EINVAL: it is none; -ENOTSUP: of another version. */
uz_must_check int uz__handover_read(struct uz__daemon *d, int fd,
				    struct uz_err *err);

/* Becomes another program; in a child of the supervisor. */
_Noreturn void uz__handover_exec(const struct uz__daemon *d, int program);

/* ---- upgrade.c ---- */

/*
 * struct uz__upgrade - how far it is
 * @stage:    see upgrade.c
 * @opener:   opens it
 * @program:  the one that is to come, or -1
 * @begun:    when, ms
 * @deadline: of this stage, ms; 0: none
 * @limit:    how long that was, ms
 * @restart:  the supervisor, too, is another program than the one before
 * @why:      it is rolled back
 */
struct uz__upgrade {
	enum {
		UZ__UPGRADE_NONE,
		UZ__UPGRADE_OPENING,
		UZ__UPGRADE_LEAVING,
		UZ__UPGRADE_COMING,
		UZ__UPGRADE_BACK,
	} stage;
	struct uz__opener opener;
	int program;
	uint64_t begun;
	uint64_t deadline;
	unsigned int limit;
	bool restart;
	char why[408];
};

/* Before the first worker: finds out where this program lies. */
void uz__upgrade_prepare(struct uz__daemon *d);

/*
 * @asked: a worker was, by uz__board_ask(). uz__upgrade_opened() follows, when
 * @u->opener.line can be read and at the deadline.
 */
void uz__upgrade_begin(struct uz__upgrade *u, struct uz__daemon *d, bool asked,
		       uint64_t now);

/*
 * True, once: the worker is to leave, then uz__upgrade_left(). False: there is
 * nothing to be done, yet or at all.
 */
uz_must_check bool uz__upgrade_opened(struct uz__upgrade *u,
				      struct uz__daemon *d, uint64_t now);

/*
 * This supervisor has been handed a device that another one had served by
 * @d->program: the worker that comes is of this program.
 */
void uz__upgrade_restart(struct uz__upgrade *u, struct uz__daemon *d,
			 uint64_t now);

/* The worker is to leave, and no other one follows. */
void uz__upgrade_park(struct uz__upgrade *u, struct uz__daemon *d,
		      uint64_t now);

/* The worker does not leave, because of @why, and nothing has changed. */
void uz__upgrade_stays(struct uz__upgrade *u, struct uz__daemon *d,
		       const char *why);

/* There is no worker any more. */
void uz__upgrade_left(struct uz__upgrade *u, uint64_t now);

/* A worker has said that it is one. */
void uz__upgrade_begins(struct uz__upgrade *u, uint64_t now);

/* The new program's worker is gone, because of @why. */
void uz__upgrade_failed(struct uz__upgrade *u, const struct uz__daemon *d,
			const char *why);

/* A worker of that version serves; upgrade or not. Has kept what is to be. */
void uz__upgrade_serves(struct uz__upgrade *u, struct uz__daemon *d,
			const char *version, uint64_t now);

/* ---- store.c ---- */

/*
 * Takes what a service manager has kept from the last supervisor. 1: @d is the
 * device that it served; 0: there is nothing; -errno: it is nothing that this
 * program can use, and was left there.
 */
uz_must_check int uz__store_take(struct uz__daemon *d, struct uz_err *err);

/* Before the first worker: opens what is to be kept. */
void uz__store_begin(struct uz__daemon *d);

/* A worker serves: from now on, or still, there is something to be kept. */
void uz__store_keep(struct uz__daemon *d);

/*
 * Nothing is to be kept any more, unless @d->parked; returns when that is so.
 */
void uz__store_end(struct uz__daemon *d);

/* ---- signal.c ---- */

/*
 * struct uz__signals - the thread that has signals end the service
 * @ops:    the front end
 * @fe:     which of its services
 * @report: the supervisor's pipe
 * @ending: the service has ended: the next signal ends the thread
 */
struct uz__signals {
	pthread_t thread;
	const struct uz_frontend_ops *ops;
	struct uz_frontend *fe;
	int report;
	_Atomic bool ending;
};

/* The signals that ask for the end. */
void uz__signals_set(sigset_t *set);

/* There is a terminal that may be closed. */
bool uz__signals_terminal(void);

/* This SIGHUP says that it was; @terminal: there was one. */
bool uz__signals_hung_up(const struct signalfd_siginfo *info, bool terminal);

/* The supervisor's signalfd; they are blocked then. Or -errno. */
uz_must_check int uz__signals_open(void);

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
