// SPDX-License-Identifier: MIT
/*
 * Many threads on one device.
 *
 * Two kinds of pages. *Whole* pages are stored and dropped as a whole by any
 * thread; a page's contents follow from a number in its first bytes, so a
 * reader sees at once if it got a mix, or another page's bytes. *Striped*
 * pages are written in part: each thread owns every THREADS-th stripe of 64
 * bytes and remembers what it put there; no other thread's partial store may
 * undo it. *Ranges* of pages are written and read by large requests, which page
 * workers share; each thread has one of its own and knows what is in it, page
 * by page if some could not be stored. A low memory limit is set now and then,
 * so that stores fail and overwrites go through the path at the limit, and the
 * number of page workers changes. All the while one more thread compacts.
 *
 * With UZ_BACKED=1 the device has a backing store, and a thread that writes
 * back at the limit: then no store may fail, however low the limit, and one
 * more thread takes snapshots, whose moments wait for stores that wait for
 * room.
 *
 * With debug checks all threads are slow at random at each step, and now and
 * then sleep for long with an object mapped.
 *
 * At the end the device's check must pass and dropping everything must leave
 * nothing. UZ_SEED and UZ_SECONDS as everywhere; UZ_ZPOOL names the allocator.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uzram/device.h>
#include <uzram/device/snapshot.h>
#include <uzram/util/delay.h>
#include <uzram/worker.h>

#define THREADS 4
#define WHOLE	300u
#define STRIPED 40u
#define STRIPE	64u
#define STRIPES (UZ_PAGE_SIZE / STRIPE)
#define RANGE	128u
#define WORKERS 3
#define SIZE	(4u << 20)

static struct uz_device *dev;
static uint64_t seed;
static _Atomic bool stop;
static _Atomic uint64_t operations, refused;
static struct uz_pool_compaction compacted;
static uint64_t helped, shrunk;
static bool backed;
static char store[] = "/tmp/uz-stress-XXXXXX";

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

static _Noreturn void die(const char *what, uint64_t page)
{
	fprintf(stderr, "stress_device: page %llu: %s\n",
		(unsigned long long)page, what);
	exit(1);
}

static _Noreturn void die_of(const char *what, uint64_t page, int err)
{
	fprintf(stderr, "stress_device: page %llu: %s: %s\n",
		(unsigned long long)page, what, strerror(-err));
	exit(1);
}

/* Through the gate: snapshots and resets wait for what is inside. */
static int submit(struct uz_io *io, enum uz_op op, uint64_t page, uint32_t off,
		  uint32_t len, void *buf)
{
	const struct uz_request rq = { op, page * UZ_PAGE_SIZE + off, len,
				       buf };

	return uz_device_submit(io, &rq);
}

/* ---- whole pages ---- */

static void make_whole(unsigned char *buf, uint64_t page, uint64_t number)
{
	uint64_t word = mix(page << 32 ^ number);
	unsigned int i, noise = (unsigned int)(number % 3) * 2048;

	memcpy(buf, &number, 8);
	for (i = 8; i < UZ_PAGE_SIZE; i += 8) {
		if (i < noise)
			word = mix(word + i);
		memcpy(buf + i, &word, 8);
	}
}

static void check_whole(const unsigned char *got, uint64_t page)
{
	unsigned char want[UZ_PAGE_SIZE] = { 0 };
	uint64_t number;

	memcpy(&number, got, 8);
	if (number)
		make_whole(want, page, number);
	if (memcmp(got, want, UZ_PAGE_SIZE))
		die("its bytes do not belong together", page);
}

static void whole(struct uz_io *io, uint64_t x)
{
	uint64_t page = x % WHOLE;
	unsigned char buf[UZ_PAGE_SIZE];
	int err = 0;

	switch (x >> 20 & 7) {
	case 0:
		err = submit(io, UZ_OP_DISCARD, page, 0, UZ_PAGE_SIZE, NULL);
		break;
	case 1:
	case 2:
	case 3:
		make_whole(buf, page, x | 1);
		err = submit(io, UZ_OP_WRITE, page, 0, UZ_PAGE_SIZE, buf);
		if (err && (err != -ENOSPC || backed))
			die_of("store failed", page, err);
		break;
	default:
		if (submit(io, UZ_OP_READ, page, 0, UZ_PAGE_SIZE, buf))
			die("load failed", page);
		check_whole(buf, page);
	}
	if (err)
		atomic_fetch_add(&refused, 1);
}

/* ---- striped pages ---- */

struct worker {
	unsigned int id;
	unsigned char buf[(RANGE + 1) * UZ_PAGE_SIZE];
	uint64_t number[RANGE]; /* of each page of the range */
	uint64_t mine[STRIPED][STRIPES];
};

static void check_stripes(const struct worker *w, const unsigned char *got,
			  unsigned int p)
{
	unsigned int s, i;

	for (s = w->id; s < STRIPES; s += THREADS) {
		for (i = 0; i < STRIPE; i += 8) {
			if (memcmp(got + s * STRIPE + i, &w->mine[p][s], 8))
				die("a stripe was undone", WHOLE + p);
		}
	}
}

static void striped(struct worker *w, struct uz_io *io, uint64_t x)
{
	unsigned int p = (unsigned int)(x % STRIPED);
	unsigned int s =
		(unsigned int)(x >> 32) % STRIPES / THREADS * THREADS + w->id;
	unsigned char buf[UZ_PAGE_SIZE];
	unsigned int i;
	int err;

	if (x >> 24 & 1) {
		for (i = 0; i < STRIPE; i += 8)
			memcpy(buf + i, &x, 8);
		err = submit(io, UZ_OP_WRITE, WHOLE + p, s * STRIPE, STRIPE,
			     buf);
		if (!err)
			w->mine[p][s] = x;
		else if (err == -ENOSPC && !backed)
			atomic_fetch_add(&refused, 1);
		else
			die_of("partial store failed", WHOLE + p, err);
	}
	if (submit(io, UZ_OP_READ, WHOLE + p, 0, UZ_PAGE_SIZE, buf))
		die("load failed", WHOLE + p);
	check_stripes(w, buf, p);
}

/* ---- ranges ---- */

/* Read it by one request, of any ends, and look at the whole pages. */
static void range_check(struct worker *w, struct uz_io *io, uint64_t x)
{
	uint64_t base = WHOLE + STRIPED + w->id * RANGE;
	uint32_t cut = x % 2 ? 0 : 1 + (uint32_t)(x % (UZ_PAGE_SIZE - 1));
	struct uz_request rq = { UZ_OP_READ, base * UZ_PAGE_SIZE + cut,
				 RANGE * UZ_PAGE_SIZE - 2 * cut, w->buf + cut };
	unsigned char want[UZ_PAGE_SIZE];
	unsigned int i;

	if (uz_device_submit(io, &rq))
		die("large read failed", base);
	for (i = cut ? 1 : 0; i < RANGE - (cut ? 1 : 0); i++) {
		memset(want, 0, UZ_PAGE_SIZE);
		if (w->number[i])
			make_whole(want, base + i, w->number[i]);
		if (memcmp(w->buf + i * UZ_PAGE_SIZE, want, UZ_PAGE_SIZE))
			die("a large request did something else", base + i);
	}
}

/* Some pages were stored and some not: which ones? */
static void range_learn(struct worker *w, struct uz_io *io, uint64_t base)
{
	unsigned char got[UZ_PAGE_SIZE];
	unsigned int i;

	for (i = 0; i < RANGE; i++) {
		if (submit(io, UZ_OP_READ, base + i, 0, UZ_PAGE_SIZE, got))
			die("load failed", base + i);
		if (!memcmp(got, w->buf + i * UZ_PAGE_SIZE, UZ_PAGE_SIZE))
			memcpy(&w->number[i], got, 8);
	}
	atomic_fetch_add(&refused, 1);
}

static void range(struct worker *w, struct uz_io *io, uint64_t x)
{
	uint64_t base = WHOLE + STRIPED + w->id * RANGE;
	struct uz_request rq = { UZ_OP_WRITE, base * UZ_PAGE_SIZE,
				 RANGE * UZ_PAGE_SIZE, w->buf };
	unsigned int i;
	int err;

	if (x % 8 == 0) {
		rq.op = UZ_OP_DISCARD;
		memset(w->number, 0, sizeof(w->number));
		if (uz_device_submit(io, &rq))
			die("large discard failed", base);
	} else {
		for (i = 0; i < RANGE; i++)
			make_whole(w->buf + i * UZ_PAGE_SIZE, base + i,
				   (x + i) | 1);
		err = uz_device_submit(io, &rq);
		for (i = 0; !err && i < RANGE; i++)
			w->number[i] = (x + i) | 1;
		if (err == -ENOSPC && !backed)
			range_learn(w, io, base);
		else if (err)
			die("large write failed", base);
	}
	range_check(w, io, x >> 3);
}

/* ---- threads ---- */

static void *work(void *arg)
{
	struct worker *w = arg;
	struct uz_io *io;
	uint64_t x = mix(seed + w->id);

	if (uz_io_create(dev, &io))
		die("uz_io_create failed", 0);
	while (!atomic_load(&stop)) {
		x = mix(x + 1);
		if ((x >> 40 & 127) == 0)
			range(w, io, x);
		else if (x >> 60 & 1)
			whole(io, x);
		else
			striped(w, io, x);
		atomic_fetch_add(&operations, 1);
	}
	uz_io_destroy(io);
	return NULL;
}

static void *compact(void *arg)
{
	uint64_t x = mix(seed + THREADS);

	(void)arg;
	while (!atomic_load(&stop)) {
		x = mix(x + 1);
		uz_device_compact(dev,
				  x & 1 ? UZ_POOL_COMPACT_ALL
					: UZ_POOL_COMPACT_FRAGMENTED,
				  (uint32_t)(x >> 8) % 64 + 1, &compacted);
		usleep((unsigned int)(x >> 32) % 256);
	}
	return NULL;
}

static void *snapshots(void *arg)
{
	uint64_t x = mix(seed + THREADS + 1);
	struct uz_snapshot_info info;
	struct uz_page_image page;
	struct uz_snapshot *snap;

	(void)arg;
	while (!atomic_load(&stop)) {
		x = mix(x + 1);
		usleep((unsigned int)x % 100000);
		if (uz_snapshot_begin(dev, &snap, &info, NULL))
			die("uz_snapshot_begin failed", 0);
		/* It may fail, for want of memory for copies. */
		while (x-- % 256 && uz_snapshot_next(snap, &page, NULL) > 0)
			;
		uz_snapshot_end(snap);
	}
	return NULL;
}

static void back(struct uz_shrinker **shrinker)
{
	int fd = mkstemp(store);

	if (fd < 0 || ftruncate(fd, 16 * SIZE) || close(fd) ||
	    uz_device_set_backing(dev, store, NULL) ||
	    uz_shrinker_start(shrinker, dev))
		die("cannot make a backing store", 0);
	uz_device_set_backing_setting(dev, UZ_BACKING_PROMOTE, seed % 2);
}

/* Where the CPUs are busy, it may take the thread for that longer. */
static bool has_shrunk(void)
{
	struct uz_backing_stat backing;

	uz_device_backing_stat(dev, &backing);
	return backing.shrunk_pages;
}

static void run(unsigned int seconds)
{
	struct worker *w = calloc(THREADS, sizeof(*w));
	pthread_t t[THREADS], compactor, snapper;
	unsigned int i;

	uz_delay_start(seed);
	for (i = 0; i < THREADS; i++) {
		w[i].id = i;
		if (pthread_create(&t[i], NULL, work, &w[i]))
			die("pthread_create failed", 0);
	}
	if (pthread_create(&compactor, NULL, compact, NULL))
		die("pthread_create failed", 0);
	if (backed && pthread_create(&snapper, NULL, snapshots, NULL))
		die("pthread_create failed", 0);
	for (i = 0; i < seconds * 20 ||
		    (backed && !has_shrunk() && i < (seconds + 60) * 20);
	     i++) {
		struct uz_device_stat stat;
		uint64_t at;

		uz_device_stat(dev, &stat);
		uz_device_set_limit(dev, i % 4 ? 0 : stat.mem_used_total / 2);
		if (i % 8 == 0)
			uz_device_set_workers(dev, i / 8 % (WORKERS + 1));
		if (uz_device_next(dev, 0, false, &at))
			die("uz_device_next failed", 0);
		usleep(50000);
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	pthread_join(compactor, NULL);
	if (backed)
		pthread_join(snapper, NULL);
	uz_delay_stop();
	free(w);
}

static void look(void)
{
	struct uz_backing_stat backing;
	struct uz_device_stat stat;
	struct uz_err err = { 0 };
	struct uz_io *io;
	uint64_t i;

	if (uz_device_check(dev, &err)) {
		fprintf(stderr, "stress_device: %s\n", err.text);
		exit(1);
	}
	uz_device_stat(dev, &stat);
	helped = stat.worker_pages;
	uz_device_backing_stat(dev, &backing);
	shrunk = backing.shrunk_pages;
	if (backed && !shrunk)
		die("nothing was written back", 0);
	if (stat.deferred_frees)
		die("frees are deferred although nothing is mapped", 0);
	if (uz_io_create(dev, &io))
		die("uz_io_create failed", 0);
	for (i = 0; i < SIZE / UZ_PAGE_SIZE; i++)
		uz_page_drop(io, i);
	uz_io_destroy(io);
	uz_device_stat(dev, &stat);
	if (stat.orig_data_size || stat.compr_data_size || stat.same_pages ||
	    stat.huge_pages || uz_device_check(dev, NULL))
		die("something is left after all was dropped", 0);
}

int main(void)
{
	const char *env = getenv("UZ_SEED"), *seconds = getenv("UZ_SECONDS");
	const char *zpool = getenv("UZ_ZPOOL");
	struct uz_shrinker *shrinker = NULL;
	struct uz_device_mem mem;

	seed = env ? strtoull(env, NULL, 0)
		   : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20;
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	if (uz_device_mem_create(&mem) ||
	    uz_device_open(&dev, "stress", &mem, NULL) ||
	    (zpool && uz_device_set_zpool(dev, zpool, NULL)))
		die("cannot make a device", 0);
	backed = getenv("UZ_BACKED");
	if (backed)
		back(&shrinker);
	if (uz_device_set_disksize(dev, SIZE, NULL))
		die("cannot make a device", 0);
	_Static_assert((WHOLE + STRIPED + THREADS * RANGE) * UZ_PAGE_SIZE <=
			       SIZE,
		       "pages beyond the end");
	run(seconds ? (unsigned int)atoi(seconds) : 5);
	uz_shrinker_stop(shrinker);
	if (backed)
		unlink(store);
	look();
	uz_device_close(dev);
	uz_device_mem_close(&mem);
	printf("%llu operations, %llu refused at the limit, %llu objects moved, %llu pages by workers, %llu written back\n",
	       (unsigned long long)operations, (unsigned long long)refused,
	       (unsigned long long)compacted.objects,
	       (unsigned long long)helped, (unsigned long long)shrunk);
	return 0;
}
