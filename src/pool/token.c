// SPDX-License-Identifier: MIT
/*
 * Who holds which map. The pins of a zspage are a number: one unmap too many
 * takes away another reader's pin, whose bytes are then reused under it, far
 * from whoever was wrong. So in a build with debug checks each map gets a
 * token, and its release is the end of the program unless the token is held,
 * by this pool, for this place.
 *
 * One table serves all pools of the program, so that a map released to the
 * wrong pool is found. A token is a serial number and the index of its entry;
 * it is never 0 and not used again for the next four thousand million maps.
 * Entries of released maps are reused; what they said stays for a while in
 * @recent, so that a second release can name the first.
 *
 * A table that cannot grow refuses no map: such a map has no token, is only
 * counted, and is not checked.
 *
 * One lock, of the lowest rank, for everything here but the longest time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "token.h"

/* relaxed: a plain number, and only ever raised. */
void uz__token_raise(struct uz_pool *pool, uint64_t ns)
{
	uint64_t longest = atomic_load_explicit(&pool->longest_map_ns,
						memory_order_relaxed);

	while (longest < ns &&
	       !atomic_compare_exchange_weak_explicit(
		       &pool->longest_map_ns, &longest, ns,
		       memory_order_relaxed, memory_order_relaxed))
		;
}

#ifdef UZ_DEBUG_CHECKS

#define UNTRACKED UINT64_MAX /* token of a map that the table had no room for */
#define NO_ENTRY  UINT32_MAX
#define RECENT	  256u /* a power of two */
#define NAMED	  8u /* most maps that one message is followed by */

/* Who did it, and when. */
struct deed {
	const char *who;
	pid_t thread;
	uint64_t when;
};

/**
 * struct entry - one map
 * @token:    0: the entry is free
 * @pool:     whose it is
 * @ref:      the object
 * @pin:      the backend's
 * @next:     of a free entry: the next one
 * @mapped:   by whom
 * @released: by whom; in @recent only
 */
struct entry {
	uint64_t token;
	const struct uz_pool *pool;
	uz_ref_t ref;
	uint32_t pin;
	uint32_t next;
	struct deed mapped;
	struct deed released;
};

static struct {
	struct uz_lock lock;
	struct entry *entries;
	uint32_t nr;
	uint32_t free;
	uint32_t serial;
	uint32_t untracked;
	uint32_t nr_recent;
	struct entry recent[RECENT];
} table = {
	.lock = { .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = UZ_LOCK_LEAF },
	.free = NO_ENTRY,
};

static struct deed deed_now(const char *who)
{
	return (struct deed){ who, gettid(), uz__token_clock() };
}

/* ", mapped by page_pin in thread 17 (worker) 0.012 s ago"; "" if not yet. */
static void deed_text(const char *verb, const struct deed *d, char *text,
		      size_t size)
{
	uint64_t ms = (uz__token_clock() - d->when) / 1000000;
	char path[48], name[32] = "ended";
	FILE *f;

	*text = 0;
	if (!d->who)
		return;
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", d->thread);
	f = fopen(path, "re");
	if (f) {
		if (fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = 0;
		fclose(f);
	}
	snprintf(text, size, ", %s by %s in thread %d (%s) %llu.%03llu s ago",
		 verb, d->who, d->thread, name, (unsigned long long)ms / 1000,
		 (unsigned long long)ms % 1000);
}

static _Noreturn void misused(const char *who, const char *what,
			      const struct entry *e)
{
	char mapped[128], released[128];

	deed_text("mapped", &e->mapped, mapped, sizeof(mapped));
	deed_text("released", &e->released, released, sizeof(released));
	uz_log(UZ_LOG_ERR, "%s releases a map %s: ref %#llx%s%s", who, what,
	       (unsigned long long)e->ref, mapped, released);
	abort();
}

/* No map that is held has this token. */
static _Noreturn void unknown(const char *who, const struct uz_map *map)
{
	uint32_t i;

	for (i = 0; map->token && i < RECENT; i++)
		if (table.recent[i].token == map->token)
			misused(who, "that was released before",
				&table.recent[i]);
	uz_log(UZ_LOG_ERR,
	       "%s releases a map that nobody holds, never made or released "
	       "long ago: ref %#llx",
	       who, (unsigned long long)map->ref);
	abort();
}

/* Twice as many entries, all new ones free. */
static bool grow(void)
{
	uint32_t nr = table.nr ? 2 * table.nr : 64;
	struct entry *entries =
		nr > table.nr ? realloc(table.entries, nr * sizeof(*entries))
			      : NULL;

	if (!entries)
		return false;
	table.entries = entries;
	while (table.nr < nr) {
		entries[table.nr] = (struct entry){ .next = table.free };
		table.free = table.nr++;
	}
	return true;
}

/* Note a map that was just pinned. */
void uz__token_give(const struct uz_pool *pool, struct uz_map *map,
		    const char *who)
{
	struct deed mapped = deed_now(who);
	uz_scoped_acquire(guard, &table.lock);
	struct entry *e;

	if (table.free == NO_ENTRY && !grow()) {
		table.untracked++;
		map->token = UNTRACKED;
		return;
	}
	e = &table.entries[table.free];
	/* Never 0, and never UNTRACKED. */
	table.serial = table.serial % (UINT32_MAX - 1) + 1;
	map->token = (uint64_t)table.serial << 32 | table.free;
	table.free = e->next;
	*e = (struct entry){
		.token = map->token,
		.pool = pool,
		.ref = map->ref,
		.pin = map->pin,
		.mapped = mapped,
	};
}

/* Forget a map that is about to be unpinned; only a right one returns. */
void uz__token_take(const struct uz_pool *pool, const struct uz_map *map,
		    const char *who)
{
	uint32_t index = (uint32_t)map->token;
	struct deed released = deed_now(who);
	uz_scoped_acquire(guard, &table.lock);
	struct entry *e;

	if (map->token == UNTRACKED && table.untracked) {
		table.untracked--;
		return;
	}
	if (!map->token || index >= table.nr ||
	    table.entries[index].token != map->token)
		unknown(who, map);
	e = &table.entries[index];
	if (e->pool != pool)
		misused(who, "of another pool", e);
	if (e->ref != map->ref || e->pin != map->pin)
		misused(who, "that was changed since", e);
	e->released = released;
	table.recent[table.nr_recent++ % RECENT] = *e;
	*e = (struct entry){ .next = table.free };
	table.free = index;
}

/* The pool is about to go: nobody may hold a map of it. */
void uz__token_none(const struct uz_pool *pool)
{
	uz_scoped_acquire(guard, &table.lock);
	unsigned long held = 0;
	char mapped[128];
	uint32_t i;

	for (i = 0; i < table.nr; i++) {
		const struct entry *e = &table.entries[i];

		if (e->pool != pool || held++ >= NAMED)
			continue;
		deed_text("mapped", &e->mapped, mapped, sizeof(mapped));
		uz_log(UZ_LOG_ERR,
		       "a pool is destroyed while mapped: ref %#llx%s",
		       (unsigned long long)e->ref, mapped);
	}
	if (!held)
		return;
	if (held > NAMED)
		uz_log(UZ_LOG_ERR, "... and %lu more", held - NAMED);
	abort();
}

/* What is still held: how many, and since when. */
void uz__token_stat(const struct uz_pool *pool, struct uz_pool_stat *stat)
{
	uz_scoped_acquire(guard, &table.lock);
	uint64_t now = uz__token_clock();
	uint32_t i;

	for (i = 0; i < table.nr; i++) {
		const struct entry *e = &table.entries[i];

		if (e->pool != pool)
			continue;
		stat->maps++;
		if (now - e->mapped.when > stat->longest_map_ns)
			stat->longest_map_ns = now - e->mapped.when;
	}
}

#endif
