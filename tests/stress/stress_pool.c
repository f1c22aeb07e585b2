// SPDX-License-Identifier: MIT
/*
 * Threads store, replace, move, drop and read objects of one pool as the
 * device does: a table of atomic words is the only truth, readers pin and
 * look again. Two more compact the pool all the time, in both scopes. The
 * bytes of an object are a function of its owner and size, so a place that is
 * reused or given back while it is pinned is seen at once. Readers sleep
 * inside maps, hold many, release them out of order and hand them to other
 * threads, if the allocator lets them; some pin places at random. One thread
 * holds hundreds of maps and sleeps. Memory is short for part of the run, and
 * with an odd seed a keeper populates ahead. With debug checks all threads are
 * slow at random at each step of the protocol. At the end every counter must
 * be exact, and so it must after a new pool has adopted what is left. UZ_ZPOOL
 * names the allocator.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uzram/pool.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/delay.h>
#include <uzram/util/shm.h>

#include "stress_objects.h"

#define THREADS	   4
#define COMPACTORS 2
#define ALL	   (THREADS + COMPACTORS + 1)
#define SLOTS	   6000
#define HELD	   8
#define SLEEPS_ON  300
#define BOXES	   4
#define LONGER	   60
#define ARENA	   (UINT64_C(512) << 20)
#define LOW_LIMIT  (UINT64_C(4) << 20)

/* A word: size above the ref, 0 for nothing stored. */
#define WORD(size, ref) ((uint64_t)(size) << UZ_REF_BITS | (ref))
#define WORD_SIZE(w)	((uint32_t)((w) >> UZ_REF_BITS))
#define WORD_REF(w)	((w) & ((UINT64_C(1) << UZ_REF_BITS) - 1))

/* A map that was confirmed: its bytes must stay. */
struct held {
	struct uz_map map;
	uint32_t owner;
	uint32_t size;
	bool live;
};

static struct uz_pool *pool;
static bool brief; /* maps are not held: what was read is verified at once */
static _Atomic uint64_t slots[SLOTS];
static _Atomic(struct held *) boxes[BOXES];
static atomic_bool stop;
static atomic_uint failures;
static atomic_uint nospace;
static atomic_uint notices;
static _Atomic uint64_t moved;
static _Atomic uint64_t refused;

struct worker {
	pthread_t thread;
	uint64_t random;
	uint64_t ops;
	struct held held[HELD];
};

static void fail(const char *what, uint32_t owner)
{
	fprintf(stderr, "stress_pool: slot %u: %s\n", owner, what);
	atomic_fetch_add(&failures, 1);
	atomic_store(&stop, true);
}

static void verify(const struct held *h)
{
	uint8_t copy[UZ_POOL_MAX_OBJECT];
	const uint8_t *bytes = uz_pool_view(pool, &h->map, h->size, copy);
	uint32_t i;

	for (i = 0; i < h->size; i++) {
		if (bytes[i] != pattern(h->owner, h->size, i)) {
			fail("bytes changed under a pin", h->owner);
			return;
		}
	}
}

static void release(struct held *h)
{
	if (!h->live)
		return;
	h->live = false;
	if (brief)
		return;
	verify(h);
	uz_pool_unmap(pool, &h->map);
}

static bool make(uint32_t owner, uint32_t size, unsigned int flags,
		 uint64_t *word)
{
	uint8_t bytes[UZ_POOL_MAX_OBJECT];
	uz_ref_t ref;
	int ret = uz_pool_alloc(pool, size, owner, flags, &ref);

	if (ret == -ENOSPC) {
		atomic_fetch_add(&nospace, 1);
		return false;
	}
	if (ret) {
		fail("alloc failed", owner);
		return false;
	}
	fill(bytes, owner, size);
	uz_pool_write(pool, ref, 0, bytes, size);
	uz_delay(UZ_DELAY_FILLED);
	*word = WORD(size, ref);
	return true;
}

static void store(struct worker *w, uint32_t owner)
{
	uint32_t size = random_size(next_random(&w->random));
	uint64_t word;

	if (!make(owner, size, 0, &word))
		return;
	word = atomic_exchange(&slots[owner], word);
	if (word)
		uz_pool_free(pool, WORD_REF(word));
}

static void drop(uint32_t owner)
{
	uint64_t word = atomic_exchange(&slots[owner], 0);

	if (word)
		uz_pool_free(pool, WORD_REF(word));
}

/* Pin what the slot names; false when it changed meanwhile or is empty. */
static bool hold(uint32_t owner, struct held *h)
{
	uint64_t word = atomic_load(&slots[owner]);

	if (!word)
		return false;
	uz_pool_map(pool, WORD_REF(word), &h->map);
	if (atomic_load(&slots[owner]) != word) {
		uz_pool_unmap(pool, &h->map);
		return false;
	}
	h->owner = owner;
	h->size = WORD_SIZE(word);
	h->live = true;
	if (brief) {
		verify(h);
		uz_pool_unmap(pool, &h->map);
	}
	return true;
}

static void read_slot(struct worker *w, uint32_t owner)
{
	uint64_t r = next_random(&w->random);
	struct held *h = &w->held[r % HELD];

	release(h);
	if (!hold(owner, h))
		return;
	if (r >> 8 & 3) {
		release(h);
		return;
	}
	if (!brief)
		verify(h);
	if (!(r >> 10 & 31))
		usleep((unsigned int)(r >> 16 & 1023));
}

/* As compaction and recompression do: copy under a pin, then swap. */
static void move(uint32_t owner)
{
	struct held h;
	uint64_t old, word;

	if (!hold(owner, &h))
		return;
	old = WORD(h.size, h.map.ref);
	if (make(owner, h.size, UZ_POOL_OVER_LIMIT, &word)) {
		if (!brief)
			verify(&h);
		if (atomic_compare_exchange_strong(&slots[owner], &old, word))
			uz_pool_free(pool, WORD_REF(old));
		else
			uz_pool_free(pool, WORD_REF(word));
	}
	release(&h);
}

/* The owner's part of compaction. */
static bool relocate(void *arg, uint32_t owner, uz_ref_t from, uz_ref_t to)
{
	uint64_t word;
	uint32_t size;

	(void)arg;
	if (owner >= SLOTS) {
		fail("an owner that there is not", owner);
		return false;
	}
	word = atomic_load(&slots[owner]);
	if (!word || WORD_REF(word) != from)
		return false;
	uz_delay(UZ_DELAY_SEEN);
	size = WORD_SIZE(word);
	uz_pool_copy(pool, from, to, size);
	uz_delay(UZ_DELAY_COPIED);
	if (!atomic_compare_exchange_strong(&slots[owner], &word,
					    WORD(size, to)))
		return false;
	uz_delay(UZ_DELAY_SWAPPED);
	return true;
}

static void heed(void *arg)
{
	(void)arg;
	atomic_fetch_add(&notices, 1);
}

/* Both scopes, all budgets; the pool is looked at as it is at rest. */
static void *compact(void *arg)
{
	struct worker *w = arg;
	struct uz_pool_class_stat stat;
	struct uz_pool_compaction done = { 0 };

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t r = next_random(&w->random);

		uz_pool_compact(pool,
				r & 1 ? UZ_POOL_COMPACT_ALL
				      : UZ_POOL_COMPACT_FRAGMENTED,
				1u << (r >> 8 & 15), relocate, NULL, &done);
		w->ops++;
		if (r >> 16 & 7)
			continue;
		if (uz_pool_class_stat(pool, (r >> 20) % 256, &stat) &&
		    stat.waste > stat.used_bytes)
			fail("more waste than memory", 0);
		usleep((unsigned int)(r >> 32 & 255));
	}
	atomic_fetch_add(&moved, done.objects);
	atomic_fetch_add(&refused, done.busy);
	return NULL;
}

/* Leave a pin in a box for another thread, and release the one found. */
static void hand_over(struct worker *w, uint32_t owner)
{
	uz_autofree struct held *h = calloc(1, sizeof(*h));

	if (!h || !hold(owner, h))
		return;
	h = atomic_exchange(&boxes[next_random(&w->random) % BOXES],
			    uz_steal_ptr(h));
	if (h)
		release(h);
}

/* A reader that read a word long ago, or nonsense. */
static void pin_anywhere(struct worker *w)
{
	uint64_t r = next_random(&w->random);
	struct uz_map map;

	uz_pool_map(pool, r % (ARENA / 16 / UZ_REF_UNIT), &map);
	if (!brief && !(r >> 60))
		usleep(100);
	uz_pool_unmap(pool, &map);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		uint64_t r = next_random(&w->random);
		uint32_t owner = (uint32_t)(r >> 32) % SLOTS;

		w->ops++;
		switch (r % 16) {
		case 0 ... 5:
			store(w, owner);
			break;
		case 6 ... 11:
			read_slot(w, owner);
			break;
		case 12:
			move(owner);
			break;
		case 13:
			hand_over(w, owner);
			break;
		case 14:
			pin_anywhere(w);
			break;
		default:
			drop(owner);
			break;
		}
	}
	for (i = 0; i < HELD; i++)
		release(&w->held[i]);
	return NULL;
}

/* Holds a great many maps for some tens of ms, then lets go of all. */
static void *sleeper(void *arg)
{
	static struct held held[SLEEPS_ON];
	struct worker *w = arg;
	unsigned int i;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		for (i = 0; i < SLEEPS_ON; i++)
			hold((uint32_t)(next_random(&w->random) % SLOTS),
			     &held[i]);
		usleep((unsigned int)(10000 + next_random(&w->random) % 40000));
		for (i = 0; i < SLEEPS_ON; i++)
			release(&held[i]);
	}
	return NULL;
}

/* Every step of what the threads do was slow at some time; or @point not. */
static bool all_slow(enum uz_delay_point *point)
{
#ifdef UZ_DEBUG_CHECKS
	/* Compaction's, and behind those the device's, are the last ones. */
	enum uz_delay_point end = uz_pool_caps(pool) & UZ_POOL_COMPACTS
					  ? UZ_DELAY_SENT
					  : UZ_DELAY_SEEN;

	for (*point = 0; *point < end && !brief; ++*point)
		if (!uz_delay_count(*point))
			return false;
#endif
	(void)point;
	return true;
}

static time_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* For so long; and longer where busy CPUs have kept threads from a step. */
static bool goes_on(time_t end)
{
	enum uz_delay_point point;

	if (atomic_load(&stop) || now() >= end + LONGER)
		return false;
	return now() < end || !all_slow(&point);
}

/* Changes the weather: limits, trims, mass drops. */
static void govern(unsigned int seconds)
{
	time_t end = now() + (time_t)seconds;
	struct uz_pool_stat stat;
	unsigned int step, i;

	for (step = 0; goes_on(end); step++) {
		usleep(50000);
		uz_pool_stat(pool, &stat);
		if (stat.used_bytes > ARENA)
			fail("more used than there is", 0);
		switch (step % 8) {
		case 2:
			uz_pool_set_limit(pool, LOW_LIMIT);
			break;
		case 4:
			uz_pool_trim(pool);
			break;
		case 5:
			for (i = 0; i < SLOTS; i++)
				drop(i);
			break;
		case 6:
			uz_pool_set_limit(pool, 0);
			uz_pool_reset_max(pool);
			break;
		default:
			break;
		}
	}
	atomic_store(&stop, true);
}

static int match_slot(void *arg, uz_ref_t ref, uint32_t class_size,
		      uint32_t owner)
{
	uint64_t word = owner < SLOTS ? atomic_load(&slots[owner]) : 0;

	if (!word || WORD_REF(word) != ref ||
	    uz_pool_class_size(pool, WORD_SIZE(word)) != class_size)
		fail("for_each finds an object that no slot names", owner);
	++*(uint64_t *)arg;
	return 0;
}

static void check_quiet(const char *when, uint64_t objects)
{
	struct uz_pool_stat stat;
	struct uz_err err;
	uint64_t seen = 0;

	if (uz_pool_check(pool, &err)) {
		fprintf(stderr, "stress_pool: %s: %s\n", when, err.text);
		atomic_fetch_add(&failures, 1);
		return;
	}
	uz_pool_stat(pool, &stat);
	uz_pool_for_each(pool, match_slot, &seen);
	if (stat.objects != objects || seen != objects || stat.deferred) {
		fprintf(stderr,
			"stress_pool: %s: %llu objects, %llu seen, %llu "
			"expected, %llu deferred\n",
			when, (unsigned long long)stat.objects,
			(unsigned long long)seen, (unsigned long long)objects,
			(unsigned long long)stat.deferred);
		atomic_fetch_add(&failures, 1);
	}
}

/* A new process takes over: the table is all it knows. */
static void adopt(int fd, const struct uz_pool_config *config)
{
	unsigned int i;
	uint64_t word;

	uz_pool_destroy(pool);
	pool = NULL;
	if (uz_pool_create(&pool, fd, config)) {
		perror("stress_pool: no pool to adopt with");
		exit(1);
	}
	for (i = 0; i < SLOTS; i++) {
		word = atomic_load(&slots[i]);
		if (word && uz_pool_adopt_object(pool, WORD_REF(word),
						 WORD_SIZE(word), i))
			fail("not adopted", i);
	}
	if (uz_pool_adopt_end(pool))
		fail("adoption does not end", 0);
}

/* Every slot's object, read once more. */
static uint64_t read_all(void)
{
	uint64_t live = 0;
	struct held h;
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (hold(i, &h)) {
			release(&h);
			live++;
		}
	}
	return live;
}

static void finish(int fd, const struct uz_pool_config *config)
{
	struct uz_pool_stat stat;
	unsigned int i;
	struct held *h;

	for (i = 0; i < BOXES; i++) {
		h = atomic_exchange(&boxes[i], NULL);
		if (h)
			release(h);
		free(h);
	}
	check_quiet("after the run", read_all());
	adopt(fd, config);
	check_quiet("after adoption", read_all());
	for (i = 0; i < SLOTS; i++)
		drop(i);
	check_quiet("after dropping all", 0);
	uz_pool_trim(pool);
	check_quiet("after trimming", 0);
	uz_pool_stat(pool, &stat);
	if (stat.used_bytes || stat.zspages)
		fail("memory is left", 0);
}

static void check_delays(void)
{
	enum uz_delay_point point = 0;

	if (!all_slow(&point))
		fail("no delay at the step of this number", point);
}

static void *(*role(unsigned int thread))(void *)
{
	if (thread < THREADS)
		return work;
	return thread < THREADS + COMPACTORS ? compact : sleeper;
}

int main(void)
{
	uint64_t seed = number_from("UZ_SEED", (uint64_t)time(NULL));
	uint64_t seconds = number_from("UZ_SECONDS", 3);
	static struct worker workers[ALL];
	struct uz_pool_config config;
	uint64_t ops = 0;
	unsigned int i;
	int fd;

	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	uz_pool_config_default(&config, ARENA);
	config.arena_size = ARENA;
	if (getenv("UZ_ZPOOL"))
		snprintf(config.backend, sizeof(config.backend), "%s",
			 getenv("UZ_ZPOOL"));
	fd = uz_shm_memfd("stress_pool");
	if (fd < 0 || uz_pool_create(&pool, fd, &config)) {
		perror("stress_pool: no pool");
		return 1;
	}
	uz_pool_on_fragmented(pool, heed, NULL);
	if (seed & 1 && uz_pool_keep(pool)) {
		perror("stress_pool: no keeper");
		return 1;
	}
	brief = !(uz_pool_caps(pool) & UZ_POOL_SLEEP_MAPPED);
	uz_delay_start(seed);
	for (i = 0; i < ALL; i++) {
		workers[i].random = (seed + i + 1) * 0x9e3779b97f4a7c15 | 1;
		if (pthread_create(&workers[i].thread, NULL, role(i),
				   &workers[i]))
			return 1;
	}
	govern((unsigned int)seconds);
	for (i = 0; i < ALL; i++) {
		pthread_join(workers[i].thread, NULL);
		ops += workers[i].ops;
	}
	uz_delay_stop();
	check_delays();
	finish(fd, &config);
	uz_pool_destroy(pool);
	close(fd);
	printf("%llu operations, %u stores refused, %u notices of waste, "
	       "%llu objects moved, %llu not, %u failures\n",
	       (unsigned long long)ops, atomic_load(&nospace),
	       atomic_load(&notices), (unsigned long long)moved,
	       (unsigned long long)refused, atomic_load(&failures));
	return atomic_load(&failures) != 0;
}
