// SPDX-License-Identifier: MIT
/*
 * The supervisor: starts the worker, waits, and starts another when it died.
 * It holds what must not die with a worker: the memory of the device, the
 * memory of the session and the connection to the kernel.
 *
 * One thread. From the first worker on it neither allocates nor opens anything,
 * so that it needs neither memory nor the files of this program when it is
 * wanted; a worker is a fork() for the same reason. A process made for that
 * (opener.c) opens the program of an upgrade, which is held from then on. All
 * that it waits for arrives at descriptors: signals, reports, and that program.
 *
 * No worker is started before the one before it is gone with all its threads
 * (waitpid(2) tells so): two at a time would destroy the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "daemon_priv.h"

#define NS_PER_MS 1000000ull

/*
 * struct supervisor - what it knows
 * @d:       what it gives to workers
 * @signals: signalfd
 * @reports: of workers, the end to read
 * @worker:  the process, or 0
 * @heirs:   of workers before it
 * @quit:    the one that unmounts
 * @asked:   the signal that asked for the end, or 0; each worker is told
 * @served:  this worker has served since then, ms; 0: not yet
 * @next:    when to start another one, ms; while there is none
 * @death:   what is known of this worker's end before it comes
 * @terminal: it was started from one
 * @ready:   who waited for the device to serve was told
 * @up:      the upgrade that is under way
 * @dog:     looks whether the worker hangs
 */
struct supervisor {
	struct uz__daemon *d;
	int signals;
	int reports;
	pid_t worker;
	struct uz__heirs heirs;
	struct uz__quit quit;
	int asked;
	uint64_t served;
	uint64_t next;
	struct uz__death death;
	bool terminal;
	bool ready;
	struct uz__upgrade up;
	struct uz__watchdog dog;
};

/* More than zero. */
static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS + 1;
}

/* In the child. */
static _Noreturn void become_worker(const struct supervisor *s)
{
	int program = s->up.stage == UZ__UPGRADE_COMING ? s->up.program
							: s->d->program;

	close(s->signals);
	close(s->reports);
	if (s->up.opener.line >= 0)
		close(s->up.opener.line);
	if (program >= 0)
		uz__handover_exec(s->d, program);
	uz__serve(s->d);
}

/* After a failure, which s->death.failure tells, it is as one that died. */
static int start_worker(struct supervisor *s)
{
	s->served = 0;
	s->death.failure.rc = 0;
	uz__watchdog_begin(&s->dog, s->d, now_ms());
	uz__heirs_reap(&s->heirs);
	s->worker = fork();
	if (!s->worker)
		become_worker(s);
	if (s->worker < 0) {
		uz__death_failure(&s->death, -errno, "cannot start a worker");
		return -1;
	}
	/* It has inherited that they are blocked, so it cannot miss it. */
	if (s->asked)
		kill(s->worker, s->asked);
	return 0;
}

static void worker_serves(struct supervisor *s, const char *version)
{
	struct uz__daemon *d = s->d;

	s->served = now_ms();
	uz__upgrade_serves(&s->up, d, version, s->served);
	d->served = true;
	if (s->ready) {
		uz__notify_manager("STATUS=Serving %s, restarted %u times",
				   d->place.path, d->restart.total);
		return;
	}
	s->ready = true;
	uz__place_settled(&d->place);
	uz_log(UZ_LOG_INFO, "serving %s", d->place.path);
	uz__notify_manager("READY=1\nSTATUS=Serving %s", d->place.path);
	uz__notify_starter(d->config->ready_fd, "READY");
}

/* While a worker serves: what is said of it may go to a log on the device. */
static bool wants_program(const struct supervisor *s)
{
	return s->worker && s->served;
}

static void take_program(struct supervisor *s)
{
	if (wants_program(s) && uz__upgrade_opened(&s->up, s->d, now_ms()))
		kill(s->worker, SIGHUP);
}

static void take_reports(struct supervisor *s)
{
	struct uz__report report;

	while (uz__report_take(s->reports, &report)) {
		switch (report.kind) {
		case UZ__REPORT_SERVES:
			worker_serves(s, report.text);
			break;
		case UZ__REPORT_BEGINS:
			uz__upgrade_begins(&s->up, now_ms());
			break;
		case UZ__REPORT_UPGRADE:
			uz__upgrade_begin(&s->up, s->d, true, now_ms());
			break;
		case UZ__REPORT_MANAGER:
			uz__report_relay(&report);
			break;
		case UZ__REPORT_FAILED:
			s->death.failure = report;
			break;
		case UZ__REPORT_QUIT:
			uz__quit_start(&s->quit, s->d);
			break;
		case UZ__REPORT_STAYS:
			uz__upgrade_stays(&s->up, s->d, report.text);
			break;
		}
	}
}

/* It was to leave, or did not come up: another one begins at once. */
static void upgrade_goes_on(struct supervisor *s, int status)
{
	char why[UZ_ERR_TEXT];

	s->next = now_ms();
	uz__death_text(&s->death, status, why, sizeof(why));
	if (s->up.stage == UZ__UPGRADE_LEAVING) {
		if (status != W_EXITCODE(UZ__STATUS_LEFT, 0))
			snprintf(s->death.told, sizeof(s->death.told),
				 "worker did not leave: %s", why);
		uz__upgrade_left(&s->up, s->next);
		return;
	}
	uz__upgrade_failed(&s->up, s->d, why);
}

/*
 * It is gone: 0 when another one is to come, 1 when that was the orderly end,
 * or -errno.
 */
static int worker_ended(struct supervisor *s, int status, struct uz_err *err)
{
	char why[UZ_ERR_TEXT];
	const bool orderly = WIFEXITED(status) && !WEXITSTATUS(status);
	const unsigned int stage = s->up.stage;
	pid_t was = s->worker;
	uint64_t now;
	int pause;

	s->worker = 0;
	s->dog.next = 0;
	if (was > 0)
		uz__heirs_add(&s->heirs, was);
	take_reports(s);
	if (s->d->parked && !orderly)
		return 1;
	s->d->parked = false;
	uz__board_forget(s->d->board);
	now = now_ms(); /* after what the last report set */
	if (s->up.stage == stage &&
	    ((stage == UZ__UPGRADE_LEAVING && !orderly) ||
	     stage == UZ__UPGRADE_COMING)) {
		upgrade_goes_on(s, status);
		return 0;
	}
	if (orderly)
		return 1;
	if (s->death.failure.rc &&
	    (!s->d->served || s->served || uz__death_is_final(&s->death)))
		return uz_err_set(err, s->death.failure.rc, "%s",
				  s->death.failure.text);
	uz__death_text(&s->death, status, why, sizeof(why));
	if (!s->d->served)
		return uz_err_set(err, -EIO, "worker did not come up: %s", why);
	pause = uz__restart_pause(&s->d->restart,
				  s->served ? now - s->served : 0,
				  s->death.failure.rc);
	if (pause < 0)
		return uz__restart_no_more(&s->d->restart, why, err);
	s->next = now + (unsigned int)pause;
	uz__death_note(&s->death, was, why);
	return 0;
}

/* The service manager keeps the device, for the supervisor that follows. */
static void park(struct supervisor *s)
{
	s->d->parked = true;
	if (s->up.stage <= UZ__UPGRADE_OPENING && s->worker) {
		uz__upgrade_park(&s->up, s->d, now_ms());
		kill(s->worker, SIGHUP);
	} else if (s->worker) {
		kill(s->worker, SIGKILL);
	}
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			continue;
		if (info.ssi_signo == SIGHUP &&
		    !uz__signals_hung_up(&info, s->terminal)) {
			take_reports(s); /* who serves may be asked to leave */
			uz__upgrade_begin(&s->up, s->d, false, now_ms());
			continue;
		}
		if (info.ssi_signo == SIGUSR1 && s->d->keep.all && !s->asked) {
			park(s);
			continue;
		}
		s->asked = SIGTERM;
		if (s->worker)
			kill(s->worker, s->asked);
	}
}

/*
 * Whoever does not leave or come in time is killed. What it has reported, or
 * died of, was taken before: it is in time, if we are not.
 */
static void keep_deadline(struct supervisor *s)
{
	if (!s->up.deadline || !s->worker || now_ms() < s->up.deadline ||
	    s->up.stage == UZ__UPGRADE_OPENING)
		return;
	s->up.deadline = 0;
	if (s->up.stage == UZ__UPGRADE_COMING && !s->death.failure.rc) {
		s->death.failure.rc = -ETIMEDOUT;
		snprintf(s->death.failure.text, sizeof(s->death.failure.text),
			 "does not serve after %u s", s->up.limit / 1000);
	}
	kill(s->worker, SIGKILL);
}

/* The log may wait for what hangs, so nothing is said before it is killed. */
static void keep_watch(struct supervisor *s)
{
	const char *how =
		uz__watchdog_hangs(&s->dog, s->d, s->served, now_ms());

	if (!how)
		return;
	kill(s->worker, SIGKILL);
	uz__death_hangs(&s->death, s->worker, how);
}

/* With swap=on the log may wait for us. A dog at rest has had it killed. */
static bool may_tell(const struct supervisor *s)
{
	const bool killed = s->d->config->watchdog && !s->dog.next;

	return s->worker && (!s->d->config->swap || (s->served && !killed));
}

/* How long to sleep, ms; -1: until something arrives. */
static int sleep_for(const struct supervisor *s, uint64_t now)
{
	uint64_t until = s->worker ? s->up.deadline : s->next;

	if (s->dog.next && (!until || s->dog.next < until))
		until = s->dog.next;
	if (s->worker && !until)
		return -1;
	return until > now ? (int)(until - now) : 0;
}

static int supervise(struct supervisor *s, struct uz_err *err)
{
	struct pollfd fds[3] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->reports, .events = POLLIN },
		{ .events = POLLIN },
	};
	int status, rc;

	while (s->worker || !s->d->parked) {
		uint64_t now = now_ms();

		if (!s->worker && now >= s->next && start_worker(s)) {
			rc = worker_ended(s, W_EXITCODE(1, 0), err);
			if (rc)
				return rc;
			continue;
		}
		if (may_tell(s))
			uz__death_tell(&s->death);
		fds[2].fd = wants_program(s) ? s->up.opener.line : -1;
		poll(fds, 3, sleep_for(s, now));
		take_program(s);
		keep_watch(s);
		take_signals(s);
		take_reports(s);
		uz__quit_reap(&s->quit, s->worker ? s->d : NULL);
		uz__heirs_reap(&s->heirs);
		if (s->worker && waitpid(s->worker, &status, WNOHANG) > 0) {
			rc = worker_ended(s, status, err);
			if (rc)
				return rc;
		}
		keep_deadline(s);
	}
	return 1;
}

int uz__supervise(struct uz__daemon *d, struct uz_err *err)
{
	struct supervisor s = {
		.d = d,
		.terminal = uz__signals_terminal(),
		.up = { .program = -1, .opener.line = -1 },
	};
	uz_autoclose int signals = uz__signals_open();
	uz_autoclose int reports = -1;
	uz_autoclose int report = -1;
	int fds[2], rc;

	if (signals < 0 || pipe2(fds, O_CLOEXEC))
		return uz_err_set(err, -errno, "cannot watch a worker: %s",
				  strerror(errno));
	s.signals = signals;
	s.reports = reports = fds[0];
	d->report = report = fds[1];
	fcntl(reports, F_SETFL, O_NONBLOCK);
	rc = d->board_fd < 0 ? uz__board_create(d) : uz__board_map(d);
	if (rc)
		return uz_err_set(err, rc, "cannot talk to a worker: %s",
				  strerror(-rc));
	d->board->heirs = true;
	uz__death_prepare(&s.death);
	uz__upgrade_prepare(d);
	if (d->config->swap)
		uz__protect_supervisor(d);
	uz__store_begin(d);
	if (d->served)
		uz__upgrade_restart(&s.up, d, now_ms());
	rc = supervise(&s, err);
	if (rc > 0 && !d->parked) /* unmounted */
		uz__death_tell(&s.death);
	uz__quit_end(&s.quit);
	uz__opener_end(&s.up.opener);
	uz__heirs_end(&s.heirs);
	return rc > 0 ? 0 : rc;
}
