// SPDX-License-Identifier: MIT
/*
 * A worker that is another program than the supervisor: it is executed with
 * the supervisor's own arguments and one more, the descriptor of a memfd that
 * says what a fork would have had: which descriptors are what, and a few
 * numbers. A supervisor that takes over from one that died reads the same. The
 * memfd's version is that of this protocol, struct uz__report and struct
 * uz__board included; memory of device and session have versions of their own.
 * A program that does not know one of them says so and ends.
 *
 * Descriptors close by themselves when a program is executed; the child takes
 * that back for those that it hands over, so nobody else inherits any.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "daemon_priv.h"

#define MAGIC	UINT64_C(0x72766f6b72347a75) /* "uz4rkovr" */
#define VERSION 1

/* The place of each descriptor in struct handover. */
enum {
	FD_CTL,
	FD_TABLE,
	FD_ARENA,
	FD_CONNECTION,
	FD_SESSION,
	FD_REPORT,
	FD_BOARD,
	FD_COUNT,
};

/*
 * struct handover - what the memfd holds
 * @fds:     by number; of no meaning where descriptors have names (store.c)
 * @made:    the place is the supervisor's to remove
 * @serving: version of the worker that serves, for people
 */
struct handover {
	uint64_t magic;
	uint32_t version;
	uint32_t size;
	int32_t fds[FD_COUNT];
	int32_t supervisor;
	uint32_t restarts;
	uint32_t vain;
	uint32_t protected;
	uint64_t fs;
	uint32_t made;
	char serving[64];
	char frontend[16];
	char place[4096];
};

static int keep_open(int fd, bool open)
{
	return fcntl(fd, F_SETFD, open ? 0 : FD_CLOEXEC) ? -errno : 0;
}

int uz__handover_write(const struct uz__daemon *d, int fd)
{
	struct handover h = {
		.magic = MAGIC,
		.version = VERSION,
		.size = sizeof(h),
		.fds = { d->mem.ctl_fd, d->mem.table_fd, d->mem.arena_fd,
			 d->session.fd, d->session.mem, d->report,
			 d->board_fd },
		.supervisor = d->pid,
		.restarts = d->restart.total,
		.vain = d->restart.vain,
		.protected = d->protected,
		.fs = d->fs,
		.made = d->place.made,
	};

	snprintf(h.serving, sizeof(h.serving), "%s", d->serving);
	snprintf(h.frontend, sizeof(h.frontend), "%s", d->ops->name);
	snprintf(h.place, sizeof(h.place), "%s", d->place.path);
	return pwrite(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) ? 0 : -EIO;
}

/* A memfd that says it all and, like what it names, stays open; -errno. */
static int handover_make(const struct uz__daemon *d)
{
	const int fds[] = { d->mem.ctl_fd, d->mem.table_fd, d->mem.arena_fd,
			    d->session.fd, d->session.mem,  d->report,
			    d->board_fd };
	uz_autoclose int fd = uz_shm_memfd("uzram-handover");
	int ret = fd < 0 ? fd : uz__handover_write(d, fd);
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(*fds) && !ret; i++)
		ret = keep_open(fds[i], true);
	if (!ret)
		ret = keep_open(fd, true);
	return ret ? ret : uz_steal_fd(&fd);
}

static int handover_execute(const struct uz__daemon *d, int program)
{
	char *const *argv = d->config->argv;
	char option[32];
	char **args;
	int n = 0, fd;

	while (argv[n])
		n++;
	args = calloc((size_t)n + 2, sizeof(*args));
	if (!args)
		return -ENOMEM;
	fd = handover_make(d);
	if (fd < 0)
		return fd;
	/* Before all others: who does not know it touches nothing. */
	snprintf(option, sizeof(option), "--worker=%d", fd);
	args[0] = argv[0];
	args[1] = option;
	memcpy(args + 2, argv + 1, (size_t)n * sizeof(*args));
	fexecve(program, args, environ);
	return -errno;
}

static void give_back(int fd)
{
	if (fd >= 0)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  INT64_C(1) << 40);
}

void uz__handover_exec(const struct uz__daemon *d, int program)
{
	int rc;

	/* Not for other programs: it goes back to the system. */
	give_back(d->spare);
	give_back(d->ballast);
	rc = handover_execute(d, program);
	uz__report(d->report, UZ__REPORT_FAILED, rc, "cannot be executed: %s",
		   strerror(-rc));
	_exit(1);
}

static int handover_read(int fd, struct handover *h, struct uz_err *err)
{
	ssize_t n = pread(fd, h, sizeof(*h), 0);

	if (n < (ssize_t)offsetof(struct handover, fds) || h->magic != MAGIC)
		return uz_err_set(err, -EINVAL,
				  "--worker is for uzramd itself, see "
				  "'uzramctl upgrade'");
	if (h->version != VERSION || h->size != sizeof(*h) ||
	    n != (ssize_t)sizeof(*h))
		return uz_err_set(err, -ENOTSUP,
				  "the supervisor hands over by version %u, "
				  "this program knows %u",
				  h->version, VERSION);
	h->serving[sizeof(h->serving) - 1] = '\0';
	h->frontend[sizeof(h->frontend) - 1] = '\0';
	h->place[sizeof(h->place) - 1] = '\0';
	return 0;
}

static int handover_take_fds(const struct handover *h, struct uz_err *err)
{
	int i;

	for (i = 0; i < FD_COUNT; i++)
		if (keep_open(h->fds[i], false))
			return uz_err_set(err, -EBADF,
					  "descriptor %d was not handed over",
					  (int)h->fds[i]);
	return 0;
}

/* All but descriptors and processes. */
static int handover_apply(struct uz__daemon *d, const struct handover *h,
			  struct uz_err *err)
{
	d->fs = h->fs;
	d->restart.total = h->restarts;
	d->protected = h->protected;
	d->served = true;
	d->place.made = h->made;
	strcpy(d->serving, h->serving);
	strcpy(d->place.path, h->place);
	d->ops = uz_frontend_find(h->frontend);
	if (!d->ops)
		return uz_err_set(err, -ENOTSUP,
				  "front end '%s' is not in this build",
				  h->frontend);
	return 0;
}

int uz__handover_read(struct uz__daemon *d, int fd, struct uz_err *err)
{
	struct handover h = { 0 };
	int ret = handover_read(fd, &h, err);

	return ret ? ret : handover_apply(d, &h, err);
}

int uz_daemon_work(const struct uz_daemon_config *config, int fd,
		   struct uz_err *err)
{
	struct uz__daemon d = { .config = config };
	struct handover h = { 0 };
	int ret = handover_read(fd, &h, err);

	if (!ret)
		ret = handover_take_fds(&h, err);
	if (ret)
		return ret;
	close(fd);
	uz__signals_block();
	d.pid = h.supervisor;
	d.mem.ctl_fd = h.fds[FD_CTL];
	d.mem.table_fd = h.fds[FD_TABLE];
	d.mem.arena_fd = h.fds[FD_ARENA];
	d.session.fd = h.fds[FD_CONNECTION];
	d.session.mem = h.fds[FD_SESSION];
	d.report = h.fds[FD_REPORT];
	d.board_fd = h.fds[FD_BOARD];
	d.restart.vain = h.vain;
	d.program = -1;
	d.spare = d.ballast = -1;
	d.place.parent = d.place.fd = -1;
	uz__report(d.report, UZ__REPORT_BEGINS, 0, "%s", config->version);
	ret = handover_apply(&d, &h, err);
	if (!ret && uz__board_map(&d))
		ret = uz_err_set(err, -ENOMEM, "no memory");
	if (!ret)
		uz__serve(&d);
	uz__report(d.report, UZ__REPORT_FAILED, ret, "%s", err->text);
	return ret;
}
