// SPDX-License-Identifier: MIT
/*
 * How far the supervisor is with an upgrade: from one program to another, or
 * back. It says when, and what is to be told; the supervisor has the processes.
 *
 *	none     -> opening   the program is being opened (opener.c)
 *	opening  -> leaving   it is open: the worker is asked to leave; or at
 *	once opening  -> none      it cannot be opened
 *	leaving  -> coming    it is gone: the new program's worker is started
 *	leaving  -> none      it says that it cannot
 *	coming   -> none      that serves: upgraded
 *	coming   -> back      it does not: the program before it is started
 *	back     -> none      that serves: rolled back
 *
 * Nothing is allocated, nor opened here. The program is held once it is open,
 * so that workers can be made of it whatever becomes of its file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "daemon_priv.h"

/* An NFS server, or this device's next worker, may have to come back. */
#define OPEN_MS 5000
/*
 * A request takes milliseconds. What takes longer is a store to an attribute,
 * and those are begun again by the next worker.
 */
#define LEAVE_MS 1000
/* To be loaded, and to say that it is a worker, on a machine that is busy. */
#define BEGIN_MS 5000
/* To take over the memory: 75 ms for a GiB of pages, and as much again. */
#define SERVE_MS 60000

static const char *program_path(const struct uz__daemon *d)
{
	return d->board->path[0] ? d->board->path : d->program_path;
}

void uz__upgrade_prepare(struct uz__daemon *d)
{
	ssize_t n = readlink("/proc/self/exe", d->program_path,
			     sizeof(d->program_path) - 1);

	d->program_path[n > 0 ? n : 0] = '\0';
}

static void ended(struct uz__upgrade *u, struct uz__daemon *d, bool upgraded,
		  const char *text)
{
	uz_log(upgraded ? UZ_LOG_NOTICE : UZ_LOG_WARN, "%s", text);
	uz__board_ended(d->board, upgraded, text);
	u->stage = UZ__UPGRADE_NONE;
	u->deadline = 0;
}

static void stays(struct uz__upgrade *u, struct uz__daemon *d, const char *why)
{
	char text[400];

	snprintf(text, sizeof(text), "not upgraded, %.40s serves on: %.300s",
		 d->serving, why);
	ended(u, d, false, text);
}

static int start_opening(struct uz__upgrade *u, const struct uz__daemon *d,
			 struct uz_err *err)
{
	const char *path = program_path(d);

	if (!*path)
		return uz_err_set(err, -ENOENT,
				  "where this program lies cannot be told "
				  "without /proc; name one");
	return uz__opener_start(&u->opener, path, err);
}

void uz__upgrade_begin(struct uz__upgrade *u, struct uz__daemon *d, bool asked,
		       uint64_t now)
{
	struct uz_err why;

	if (!d->served) {
		uz_log(UZ_LOG_WARN,
		       "no upgrade: the device does not serve yet");
		return;
	}
	if (!uz__board_take(d->board, asked)) {
		uz_log(UZ_LOG_WARN, "no upgrade: one is under way");
		return;
	}
	if (start_opening(u, d, &why)) {
		stays(u, d, why.text);
		return;
	}
	u->stage = UZ__UPGRADE_OPENING;
	u->deadline = now + OPEN_MS;
}

bool uz__upgrade_opened(struct uz__upgrade *u, struct uz__daemon *d,
			uint64_t now)
{
	struct uz_err why;
	int fd;

	uz__opener_reap(&u->opener);
	if (u->stage != UZ__UPGRADE_OPENING)
		return false;
	fd = uz__opener_take(&u->opener, now >= u->deadline, &why);
	if (fd == -EAGAIN)
		return false;
	if (fd < 0) {
		stays(u, d, why.text);
		return false;
	}
	u->program = fd;
	u->stage = UZ__UPGRADE_LEAVING;
	u->begun = now;
	u->deadline = now + LEAVE_MS;
	return true;
}

void uz__upgrade_restart(struct uz__upgrade *u, struct uz__daemon *d,
			 uint64_t now)
{
	uz__board_restart(d->board);
	u->restart = true;
	u->stage = UZ__UPGRADE_COMING;
	u->begun = now;
	u->deadline = now + SERVE_MS;
	u->limit = SERVE_MS;
}

void uz__upgrade_park(struct uz__upgrade *u, struct uz__daemon *d, uint64_t now)
{
	if (u->stage == UZ__UPGRADE_OPENING) {
		uz__opener_end(&u->opener);
		stays(u, d, "the service manager has it restarted");
	}
	u->stage = UZ__UPGRADE_LEAVING;
	u->deadline = now + LEAVE_MS;
}

void uz__upgrade_stays(struct uz__upgrade *u, struct uz__daemon *d,
		       const char *why)
{
	if (u->stage != UZ__UPGRADE_LEAVING || u->program < 0)
		return;
	close(uz_steal_fd(&u->program));
	stays(u, d, why);
}

void uz__upgrade_left(struct uz__upgrade *u, uint64_t now)
{
	u->stage = UZ__UPGRADE_COMING;
	u->deadline = now + BEGIN_MS;
	u->limit = BEGIN_MS;
}

void uz__upgrade_begins(struct uz__upgrade *u, uint64_t now)
{
	if (u->stage != UZ__UPGRADE_COMING)
		return;
	u->deadline = now + SERVE_MS;
	u->limit = SERVE_MS;
}

void uz__upgrade_failed(struct uz__upgrade *u, const struct uz__daemon *d,
			const char *why)
{
	if (u->program >= 0)
		close(uz_steal_fd(&u->program));
	snprintf(u->why, sizeof(u->why), "%.150s: %.250s", program_path(d),
		 why);
	u->stage = UZ__UPGRADE_BACK;
	u->deadline = 0;
}

/* The new program serves; true: that is to be told. */
static bool upgraded(struct uz__upgrade *u, struct uz__daemon *d,
		     const char *version)
{
	/* A supervisor that was restarted is nothing to be counted. */
	const bool told = !u->restart || strcmp(d->serving, version) != 0;

	if (d->program >= 0)
		close(d->program);
	d->program = uz_steal_fd(&u->program);
	u->restart = false;
	u->stage = UZ__UPGRADE_NONE;
	u->deadline = 0;
	return told;
}

void uz__upgrade_serves(struct uz__upgrade *u, struct uz__daemon *d,
			const char *version, uint64_t now)
{
	const unsigned long long pause = now - u->begun;
	const bool comes = u->stage == UZ__UPGRADE_COMING;
	bool told = u->stage == UZ__UPGRADE_BACK;
	char text[512];

	if (comes) {
		snprintf(text, sizeof(text),
			 "upgraded from %.40s to %.40s, pause %llu ms",
			 d->serving, version, pause);
		told = upgraded(u, d, version);
	} else if (told) {
		snprintf(text, sizeof(text),
			 "rolled back to %.40s, pause %llu ms: %.400s", version,
			 pause, u->why);
	}
	snprintf(d->serving, sizeof(d->serving), "%s", version);
	/* Before anybody is told: who is may have this supervisor killed. */
	uz__store_keep(d);
	if (told)
		ended(u, d, comes, text);
}
