// SPDX-License-Identifier: MIT
/*
 * Killed at any instruction, adopted, nothing lost.
 *
 * A child adopts the device's memory, and several of its threads store,
 * overwrite, partly overwrite and drop pages, while another one moves them
 * together, until it is killed (SIGKILL) at a random moment. The parent then adopts the same memory and looks: every
 * half page reads as the version last acknowledged, or as the one that was
 * under way; the device's check passes (so no object is without a slot, and
 * the pool's bytes are what the table accounts for); the arena's blocks are
 * what mem_used_total says. The next child goes on with the same memory.
 *
 * Each page belongs to one thread. What was asked for and what was
 * acknowledged is in a journal that both processes share. UZ_ROUNDS says how
 * often (200), UZ_SEED repeats a run as far as chance allows, UZ_ZPOOL names
 * the allocator.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uzram/device.h>

#define THREADS 3
#define PAGES	1500
#define HALF	(UZ_PAGE_SIZE / 2)
#define SIZE	(8u << 20)

/* Versions of one half page. Those that are 7 modulo 8 are zeroes. */
struct half {
	_Atomic uint64_t asked;
	_Atomic uint64_t acked;
};

struct journal {
	struct half half[PAGES][2];
	_Atomic uint64_t started;
	_Atomic uint64_t operations;
	_Atomic uint64_t moved; /* by the last child */
};

static struct journal *journal;
static struct uz_device_mem mem;
static uint64_t seed;

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

static void make_half(unsigned char *buf, unsigned int page, unsigned int h,
		      uint64_t version)
{
	uint64_t x = mix(version * 1000003 + page * 2 + h);
	unsigned int i;

	if (version % 8 == 7 || !version) {
		memset(buf, 0, HALF);
		return;
	}
	for (i = 0; i < HALF; i += 8) {
		if (version % 8 == 1 || (version % 8 < 5 && i % 32 < 8 * h + 8))
			x = mix(x + i); /* noise, or partly so */
		memcpy(buf + i, &x, 8);
	}
}

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "stress_adopt: %s: %s\n", what, why);
	exit(1);
}

static void ask(unsigned int page, unsigned int h, uint64_t version)
{
	atomic_store(&journal->half[page][h].asked, version);
}

static void ack(unsigned int page, unsigned int h)
{
	atomic_store(&journal->half[page][h].acked,
		     atomic_load(&journal->half[page][h].asked));
}

/* One operation on one page; which one follows from the version. */
static void operate(struct uz_io *io, unsigned int page, uint64_t version,
		    unsigned int what)
{
	unsigned char buf[UZ_PAGE_SIZE];
	unsigned int h = what % 2;
	int err = 0;

	if (version % 8 == 7) {
		ask(page, 0, version);
		ask(page, 1, version);
		uz_page_drop(io, page);
		ack(page, 0);
		ack(page, 1);
	} else if (what % 4 == 0) {
		make_half(buf, page, h, version);
		ask(page, h, version);
		err = uz_page_store_part(io, page, h * HALF, HALF, buf);
		ack(page, h);
	} else {
		make_half(buf, page, 0, version);
		make_half(buf + HALF, page, 1, version);
		ask(page, 0, version);
		ask(page, 1, version);
		err = uz_page_store(io, page, buf);
		ack(page, 0);
		ack(page, 1);
	}
	if (err)
		die("store", strerror(-err));
}

struct worker {
	struct uz_device *dev;
	unsigned int id;
	uint64_t round;
};

static void *work(void *arg)
{
	const struct worker *w = arg;
	struct uz_io *io;
	uint64_t n, x = mix(seed + w->round * THREADS + w->id);

	if (uz_io_create(w->dev, &io))
		die("uz_io_create", "failed");
	atomic_fetch_add(&journal->started, 1);
	for (n = 1;; n++) {
		unsigned int page;

		x = mix(x + n);
		page = (unsigned int)(x % (PAGES / THREADS)) * THREADS + w->id;
		operate(io, page, (w->round << 32) + n,
			(unsigned int)(x >> 40));
		atomic_fetch_add(&journal->operations, 1);
	}
	return NULL;
}

static void *compact(void *arg)
{
	struct uz_pool_compaction done = { 0 };

	for (;;) {
		if (!uz_device_compact(arg, UZ_POOL_COMPACT_ALL, 50, &done))
			usleep(50);
		atomic_store(&journal->moved, done.objects);
	}
	return NULL;
}

static struct uz_device *adopt(void)
{
	struct uz_device *dev;
	struct uz_err err = { 0 };

	if (uz_device_open(&dev, "stress", &mem, &err))
		die("adoption", err.text);
	return dev;
}

static _Noreturn void child(uint64_t round)
{
	struct worker w[THREADS];
	pthread_t t;
	unsigned int i;
	struct uz_device *dev = adopt();

	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ dev, i, round };
		if (pthread_create(&t, NULL, work, &w[i]))
			die("pthread_create", "failed");
	}
	if (pthread_create(&t, NULL, compact, dev))
		die("pthread_create", "failed");
	for (;;)
		pause();
}

static void kill_a_child(uint64_t round)
{
	struct timespec nap = {
		.tv_nsec = (long)(mix(seed ^ round << 20) % 15000000),
	};
	int status;
	pid_t pid;

	atomic_store(&journal->started, 0);
	atomic_store(&journal->moved, 0);
	pid = fork();
	if (pid < 0)
		die("fork", "failed");
	if (!pid)
		child(round);
	while (atomic_load(&journal->started) < THREADS) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			die("child", "ended by itself");
		usleep(200);
	}
	nanosleep(&nap, NULL);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL)
		die("child", "ended by itself");
}

static bool half_is(const unsigned char *got, unsigned int page, unsigned int h,
		    uint64_t version)
{
	unsigned char want[HALF];

	make_half(want, page, h, version);
	return !memcmp(got, want, HALF);
}

/* What was under way has happened or not; from now on it is known which. */
static void settle(const unsigned char *got, unsigned int page, unsigned int h)
{
	struct half *j = &journal->half[page][h];
	uint64_t asked = atomic_load(&j->asked), acked = atomic_load(&j->acked);
	char where[64];

	if (half_is(got, page, h, asked)) {
		atomic_store(&j->acked, asked);
		return;
	}
	snprintf(where, sizeof(where), "page %u half %u", page, h);
	if (asked == acked)
		die(where, "is not what was acknowledged");
	if (!half_is(got, page, h, acked))
		die(where, "is neither the old nor the new version");
	atomic_store(&j->asked, acked);
}

static void look(void)
{
	struct uz_device *dev = adopt();
	struct uz_device_stat stat;
	unsigned char got[UZ_PAGE_SIZE];
	struct uz_err err = { 0 };
	struct uz_io *io;
	struct stat st;
	unsigned int page;

	if (uz_device_check(dev, &err))
		die("check", err.text);
	if (uz_io_create(dev, &io))
		die("uz_io_create", "failed");
	for (page = 0; page < PAGES; page++) {
		if (uz_page_load(io, page, got))
			die("load", "failed");
		settle(got, page, 0);
		settle(got + HALF, page, 1);
	}
	uz_device_stat(dev, &stat);
	if (fstat(mem.arena_fd, &st) ||
	    (uint64_t)st.st_blocks * 512 != stat.mem_used_total)
		die("arena", "holds other memory than is accounted for");
	if (stat.deferred_frees)
		die("pool", "has frees deferred although nothing is mapped");
	uz_io_destroy(io);
	uz_device_close(dev);
}

static void begin(void)
{
	const char *zpool = getenv("UZ_ZPOOL");
	struct uz_device *dev;

	if (uz_device_mem_create(&mem))
		die("memory", "refused");
	dev = adopt();
	if (zpool && uz_device_set_zpool(dev, zpool, NULL))
		die(zpool, "is no allocator");
	if (uz_device_set_disksize(dev, SIZE, NULL))
		die("disksize", "refused");
	uz_device_close(dev);
	memset(journal, 0, sizeof(*journal));
}

int main(void)
{
	const char *env = getenv("UZ_SEED"), *rounds = getenv("UZ_ROUNDS");
	uint64_t i, n = rounds ? strtoull(rounds, NULL, 0) : 200;
	uint64_t operations = 0, moved = 0;

	seed = env ? strtoull(env, NULL, 0)
		   : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 20;
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	journal = mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (journal == MAP_FAILED)
		die("journal", "no memory");
	begin();
	for (i = 1; i <= n; i++) {
		kill_a_child(i);
		moved += atomic_load(&journal->moved);
		look();
		if (i % 50 == 0) { /* and sometimes from nothing again */
			operations += atomic_load(&journal->operations);
			uz_device_mem_close(&mem);
			begin();
		}
	}
	operations += atomic_load(&journal->operations);
	printf("%llu kills, %llu operations, %llu objects moved, nothing lost\n",
	       (unsigned long long)n, (unsigned long long)operations,
	       (unsigned long long)moved);
	return 0;
}
