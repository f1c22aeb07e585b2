// SPDX-License-Identifier: MIT
/*
 * What a service manager keeps for us: systemd's file descriptor store, as
 * sd_notify(3) describes it. Every descriptor that the supervisor holds is
 * there, too, by a name; so when the supervisor dies, or ends only to be
 * started again, nothing of the device is closed, and the next supervisor gets
 * it all handed over (LISTEN_FDS). The connection outlives the one, so that
 * clients wait; the lock on the directory does, so that nobody takes the place.
 *
 * Messages are carried out in order. The handover, a memfd that says what
 * descriptors do not, is the last to be kept and the first to be given up:
 * where it is, the others are. The program alone may be missing, for a moment
 * while it is replaced.
 *
 * Nothing tells whether a manager keeps what it is sent. One that does not is
 * as none at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "daemon_priv.h"

#define LISTEN_FDS_START 3
#define LISTEN_FDS_MAX	 64

static const struct {
	const char *name;
	size_t at; /* in struct uz__daemon */
} kept[] = {
	{ "uzram-program", offsetof(struct uz__daemon, keep.program) },
	{ "uzram-control", offsetof(struct uz__daemon, mem.ctl_fd) },
	{ "uzram-table", offsetof(struct uz__daemon, mem.table_fd) },
	{ "uzram-arena", offsetof(struct uz__daemon, mem.arena_fd) },
	{ "uzram-connection", offsetof(struct uz__daemon, session.fd) },
	{ "uzram-session", offsetof(struct uz__daemon, session.mem) },
	{ "uzram-board", offsetof(struct uz__daemon, board_fd) },
	{ "uzram-place", offsetof(struct uz__daemon, place.fd) },
	{ "uzram-handover", offsetof(struct uz__daemon, keep.handover) },
};

#define KEPT	(sizeof(kept) / sizeof(*kept))
#define PROGRAM 0

static int *fd_at(struct uz__daemon *d, size_t i)
{
	return (int *)((char *)d + kept[i].at);
}

/* From systemd 254 on it says how much it takes. */
static bool has_room(void)
{
	const char *room = getenv("FDSTORE");

	return !room || strtoul(room, NULL, 10) >= KEPT;
}

void uz__store_begin(struct uz__daemon *d)
{
	if (!getenv("NOTIFY_SOCKET") || !has_room() || d->ops->bound)
		return;
	d->keep.self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (d->keep.handover < 0)
		d->keep.handover = uz_shm_memfd("uzram-handover");
}

static void keep_program(struct uz__daemon *d)
{
	const int program = d->program >= 0 ? d->program : d->keep.self;

	if (program == d->keep.program)
		return;
	if (d->keep.all)
		uz__notify_manager("FDSTOREREMOVE=1\nFDNAME=%s",
				   kept[PROGRAM].name);
	if (program >= 0)
		uz__notify_keep(kept[PROGRAM].name, program);
	d->keep.program = program;
}

void uz__store_keep(struct uz__daemon *d)
{
	size_t i;

	if (d->keep.handover < 0 || uz__handover_write(d, d->keep.handover))
		return;
	keep_program(d);
	for (i = PROGRAM + 1; i < KEPT && !d->keep.all; i++)
		if (!uz__notify_keep(kept[i].name, *fd_at(d, i)))
			return;
	d->keep.all = true;
}

static void store_remove(void)
{
	size_t i;

	for (i = KEPT; i-- > 0;)
		uz__notify_manager("FDSTOREREMOVE=1\nFDNAME=%s", kept[i].name);
	uz__notify_barrier();
}

void uz__store_end(struct uz__daemon *d)
{
	if (d->keep.all && !d->parked)
		store_remove();
	if (d->keep.self >= 0)
		close(uz_steal_fd(&d->keep.self));
	if (d->keep.handover >= 0)
		close(uz_steal_fd(&d->keep.handover));
	d->keep.all = false;
}

/* ---- the next supervisor ---- */

static unsigned int handed_over(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	unsigned long n;

	if (!pid || !fds || strtoul(pid, NULL, 10) != (unsigned long)getpid())
		return 0;
	n = strtoul(fds, NULL, 10);
	return n > LISTEN_FDS_MAX ? LISTEN_FDS_MAX : (unsigned int)n;
}

bool uz_daemon_handed_over(void)
{
	return handed_over() > 0;
}

static void take_one(struct uz__daemon *d, int fd, const char *name, size_t len)
{
	size_t i;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC))
		return;
	for (i = 0; i < KEPT; i++) {
		if (strlen(kept[i].name) != len ||
		    memcmp(kept[i].name, name, len) != 0 || *fd_at(d, i) >= 0)
			continue;
		*fd_at(d, i) = fd;
		return;
	}
	close(fd);
}

/* How many there were. */
static unsigned int take_all(struct uz__daemon *d)
{
	const unsigned int n = handed_over();
	const char *name = getenv("LISTEN_FDNAMES");
	unsigned int i;

	for (i = 0; i < n; i++) {
		const size_t len = name ? strcspn(name, ":") : 0;

		take_one(d, LISTEN_FDS_START + (int)i, name, len);
		if (name)
			name += len + (name[len] == ':');
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

static void drop_all(struct uz__daemon *d)
{
	size_t i;

	for (i = 0; i < KEPT; i++)
		if (*fd_at(d, i) >= 0)
			close(uz_steal_fd(fd_at(d, i)));
}

static const char *why_useless(struct uz__daemon *d)
{
	struct pollfd connection;
	size_t i;

	for (i = PROGRAM + 1; i < KEPT; i++)
		if (*fd_at(d, i) < 0)
			return "some of it is missing";
	connection = (struct pollfd){ .fd = d->session.fd };
	if (poll(&connection, 1, 0) > 0)
		return "it was unmounted meanwhile";
	return NULL;
}

int uz__store_take(struct uz__daemon *d, struct uz_err *err)
{
	const char *useless;
	int ret;

	if (!take_all(d))
		return 0;
	useless = why_useless(d);
	if (useless) {
		uz_log(UZ_LOG_WARN,
		       "the device that the service manager kept cannot be "
		       "served (%s); a new one begins",
		       useless);
		drop_all(d);
		store_remove();
		return 0;
	}
	ret = uz__handover_read(d, d->keep.handover, err);
	if (ret) {
		drop_all(d);
		return ret;
	}
	d->program = d->keep.program;
	d->keep.all = true;
	return 1;
}
