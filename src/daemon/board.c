// SPDX-License-Identifier: MIT
/*
 * Where supervisor and workers tell each other of upgrades, and workers that
 * they are alive (watchdog.c): a memfd that all of them map. A worker writes
 * there what it is asked for, the supervisor how it went; so whichever worker
 * is asked afterwards knows it.
 *
 * No locks. @state goes from idle to asked by a worker's swap or to running by
 * the supervisor, and back by the supervisor alone. What a worker writes is
 * not believed to end where it should.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "daemon_priv.h"

#define PAIR(upgrades, rollbacks) ((uint64_t)(upgrades) << 32 | (rollbacks))

int uz__board_create(struct uz__daemon *d)
{
	int ret = d->board_fd = uz_shm_memfd("uzram-board");

	return ret < 0 ? ret : uz__board_map(d);
}

int uz__board_map(struct uz__daemon *d)
{
	struct uz_shm shm;
	int ret = uz_shm_map(&shm, d->board_fd, sizeof(*d->board));

	if (!ret)
		d->board = shm.base;
	return ret;
}

void uz__board_close(struct uz__daemon *d)
{
	struct uz_shm shm = { .base = d->board, .size = sizeof(*d->board) };

	uz_shm_unmap(&shm);
	d->board = NULL;
	if (d->board_fd >= 0)
		close(uz_steal_fd(&d->board_fd));
}

int uz__board_ask(struct uz__board *b, const char *path, bool again,
		  struct uz_err *err)
{
	uint32_t idle = UZ__BOARD_IDLE;

	if (strlen(path) >= sizeof(b->path))
		return uz_err_set(err, -EINVAL, "the path is too long");
	/* seq_cst, as all here: it is rare, and then easy to follow. */
	if (!atomic_compare_exchange_strong(&b->state, &idle, UZ__BOARD_ASKING))
		return again ? 0
			     : uz_err_set(err, -EBUSY,
					  "an upgrade is under way; wait for "
					  "its end");
	strcpy(b->path, path);
	atomic_store(&b->state, UZ__BOARD_ASKED);
	return 0;
}

bool uz__board_take(struct uz__board *b, bool asked)
{
	uint32_t was = asked ? UZ__BOARD_ASKED : UZ__BOARD_IDLE;

	if (!atomic_compare_exchange_strong(&b->state, &was, UZ__BOARD_RUNNING))
		return false;
	if (!asked)
		b->path[0] = '\0';
	b->path[sizeof(b->path) - 1] = '\0';
	return true;
}

void uz__board_forget(struct uz__board *b)
{
	if (atomic_load(&b->state) != UZ__BOARD_RUNNING)
		atomic_store(&b->state, UZ__BOARD_IDLE);
}

void uz__board_restart(struct uz__board *b)
{
	b->path[0] = '\0';
	atomic_store(&b->state, UZ__BOARD_IDLE);
}

/* Two texts in turn, so that nobody reads the one that is being written. */
static char *text_of(struct uz__board *b, uint64_t ended)
{
	return b->last[((ended >> 32) + ended) & 1];
}

void uz__board_ended(struct uz__board *b, bool upgraded, const char *text)
{
	uint64_t ended = atomic_load(&b->ended);

	ended += upgraded ? PAIR(1, 0) : PAIR(0, 1);
	snprintf(text_of(b, ended), sizeof(b->last[0]), "%s", text);
	atomic_store(&b->ended, ended);
	/* Last: who finds it idle finds what came of it. */
	atomic_store(&b->state, UZ__BOARD_IDLE);
}

void uz__board_show(struct uz__board *b, const char *version,
		    struct uz_strbuf *out)
{
	const bool idle = atomic_load(&b->state) == UZ__BOARD_IDLE;
	const uint64_t ended = atomic_load(&b->ended);

	uz_strbuf_add(out,
		      "state %s\nversion %s\nupgrades %" PRIu64
		      "\nrollbacks %" PRIu64 "\n",
		      idle ? "idle" : "running", version, ended >> 32,
		      ended & UINT32_MAX);
	if (ended)
		uz_strbuf_add(out, "last %.511s\n", text_of(b, ended));
}
