// SPDX-License-Identifier: MIT
/*
 * Killed at any instruction, adopted, nothing lost.
 *
 * A child adopts the device's memory, and several of its threads store,
 * overwrite, partly overwrite and drop pages, while others move and recompress
 * them, until it is killed (SIGKILL) at a random moment. The parent then adopts
 * the same memory and looks: every half page reads as the version last
 * acknowledged, or as the one that was under way; the device's check passes (so
 * no object is without a slot, and the pool's bytes are what the table accounts
 * for); the arena's blocks are what mem_used_total says; the device, which one
 * thread makes larger all the time, has the size last acknowledged, or the one
 * that was under way. The next child goes on with the same memory.
 *
 * "stress_adopt inside", in a build with debug checks: the child dies of a
 * fault in the code itself, at a step of a store, load, free, move,
 * recompression or of adoption that is chosen at random. Often another child
 * comes before the parent has looked, and may die while it adopts what was left
 * by one that died while it adopted.
 *
 * Each page belongs to one thread. What was asked for and what was
 * acknowledged is in a journal that both processes share. UZ_ROUNDS says how
 * often (200; less where sanitizers make each take long), UZ_SEED repeats a run
 * as far as chance allows, UZ_ZPOOL names the allocator.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uzram/device.h>
#include <uzram/util/crash.h>

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
	struct half size; /* the device's */
	_Atomic uint64_t started;
	_Atomic uint64_t operations;
	_Atomic uint64_t moved; /* by the last child */
};

/*
 * struct step - where a child dies of itself
 * @name:   in words of uzram/util/crash.h
 * @rare:   one visit in so many is the last one, at most, so that it comes soon
 *          and not always at the first
 * @chosen: so often
 * @deaths: there
 */
struct step {
	const char *name;
	unsigned int rare;
	unsigned int chosen;
	unsigned int deaths;
};

static struct step steps[] = {
	{ "loaded", 500, 0, 0 },    { "epoch", 500, 0, 0 },
	{ "pinned", 500, 0, 0 },    { "unpin", 500, 0, 0 },
	{ "taken", 500, 0, 0 },	    { "filled", 500, 0, 0 },
	{ "exchanged", 500, 0, 0 }, { "looked", 500, 0, 0 },
	{ "flip", 2, 0, 0 },	    { "seen", 100, 0, 0 },
	{ "copied", 100, 0, 0 },    { "swapped", 100, 0, 0 },
	{ "recoded", 100, 0, 0 },   { "published", 500, 0, 0 },
	{ "folded", 10, 0, 0 },	    { "adopted", 800, 0, 0 },
	{ "settled", 50, 0, 0 },    { "arena", 10, 0, 0 },
	{ "table", 20, 0, 0 },	    { "sized", 20, 0, 0 },
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

static struct journal *journal;
static struct uz_device_mem mem;
static uint64_t seed;
static bool inside;
static bool recodes; /* there is a second codec */
static uint64_t patience = 300000; /* us that a child has to come to its step */

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

/* Inside the gate, as codecs are taken back meanwhile. */
static int submit(struct uz_io *io, enum uz_op op, unsigned int page,
		  unsigned int at, unsigned int bytes, void *buf)
{
	const struct uz_request rq = {
		.op = op,
		.offset = (uint64_t)page * UZ_PAGE_SIZE + at,
		.length = bytes,
		.buf = buf,
	};

	return uz_device_submit(io, &rq);
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
		err = submit(io, UZ_OP_DISCARD, page, 0, UZ_PAGE_SIZE, NULL);
		ack(page, 0);
		ack(page, 1);
	} else if (what % 4 == 0) {
		make_half(buf, page, h, version);
		ask(page, h, version);
		err = submit(io, UZ_OP_WRITE, page, h * HALF, HALF, buf);
		ack(page, h);
	} else {
		make_half(buf, page, 0, version);
		make_half(buf + HALF, page, 1, version);
		ask(page, 0, version);
		ask(page, 1, version);
		err = submit(io, UZ_OP_WRITE, page, 0, UZ_PAGE_SIZE, buf);
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

static void *recompress(void *arg)
{
	struct uz_recompression done = { 0 };
	struct uz_recompress how = { 0 };
	struct uz_io *io;
	uint64_t index;
	int more;

	if (uz_io_create(arg, &io) || uz_recompress_begin(arg, &how, NULL))
		die("recompression", "refused");
	for (;; usleep(50)) {
		index = 0;
		do
			more = uz_recompress(io, &how, &index, 16, &done);
		while (more > 0);
		if (more)
			die("recompression", strerror(-more));
	}
	return NULL;
}

/*
 * A codec with one dictionary after the other, each of them with others before
 * it still in use, or not any more.
 */
static void *choose(void *arg)
{
	static unsigned char bytes[3][5000];
	uint64_t i, n = mix(seed + (uint64_t)getpid());
	char text[40];

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i / 5000][i % 5000] = (unsigned char)mix(i);
	for (;; usleep(300)) {
		const struct uz_device_dict dict = { bytes[n % 3], 5000 };

		n = mix(n + 1);
		snprintf(text, sizeof(text), "%s:level=%d",
			 n & 8 ? "lz4" : "zstd", n & 16 ? 1 : 2);
		/* All places may be taken. */
		if (n & 32)
			(void)!uz_device_set_dict(arg, 0, text, &dict, NULL);
		else
			(void)!uz_device_set_codec(arg, text, NULL);
	}
	return NULL;
}

/* By whole windows of the arena, so that all of it grows. */
static void *grow(void *arg)
{
	uint64_t size, n = mix(seed + (uint64_t)getpid() + 1);

	for (;; usleep(500)) {
		n = mix(n + 1);
		size = uz_device_disksize(arg) + (1 + n % 8) * (256 << 10);
		atomic_store(&journal->size.asked, size);
		if (uz_device_grow(arg, size, NULL))
			die("growth", "refused");
		atomic_store(&journal->size.acked, size);
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

static void settle_size(const struct uz_device *dev)
{
	uint64_t size = uz_device_disksize(dev);

	if (size != atomic_load(&journal->size.acked) &&
	    size != atomic_load(&journal->size.asked))
		die("size", "is neither the old nor the new one");
	atomic_store(&journal->size.acked, size);
}

static void settle_all(struct uz_io *io)
{
	unsigned char got[UZ_PAGE_SIZE];
	unsigned int page;

	for (page = 0; page < PAGES; page++) {
		if (uz_page_load(io, page, got))
			die("load", "failed");
		settle(got, page, 0);
		settle(got + HALF, page, 1);
	}
}

#ifdef UZ_DEBUG_CHECKS
/* Any other fault than the one that is wanted. */
static void fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	if ((uintptr_t)info->si_addr != UZ_CRASH_ADDRESS)
		_exit(1);
	signal(number, SIG_DFL); /* and once more */
}

/* From here on this process dies at one step. */
static void arm(const struct step *step, uint64_t round)
{
	const struct sigaction action = {
		.sa_sigaction = fault,
		.sa_flags = SA_SIGINFO,
	};
	const struct rlimit no_core = { 0 };
	uint64_t x = mix(seed ^ round << 24);
	char plan[64];

	setrlimit(RLIMIT_CORE, &no_core);
	sigaction(SIGSEGV, &action, NULL);
	snprintf(plan, sizeof(plan), "%llu:%s/%llu", (unsigned long long)x,
		 step->name, (unsigned long long)(x % step->rare + 1));
	if (uz_crash_start(plan))
		die(plan, "is no plan");
}
#else
static void arm(const struct step *step, uint64_t round)
{
	(void)round;
	die(step->name, "needs a build with debug checks");
}
#endif

static void start_thread(void *(*run)(void *arg), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, arg))
		die("pthread_create", "failed");
}

/* @step: where it is to die by itself, or NULL. */
static _Noreturn void child(const struct step *step, uint64_t round)
{
	struct worker w[THREADS];
	struct uz_device *dev;
	struct uz_io *io;
	unsigned int i;

	if (step)
		arm(step, round);
	dev = adopt();
	if (uz_io_create(dev, &io))
		die("uz_io_create", "failed");
	settle_size(dev);
	settle_all(io);
	for (i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ dev, i, round };
		start_thread(work, &w[i]);
	}
	start_thread(compact, dev);
	start_thread(grow, dev);
	if (recodes) {
		start_thread(recompress, dev);
		start_thread(choose, dev);
	}
	for (;;)
		pause();
}

/* Has it died at its step? Must not have ended otherwise. */
static bool has_died(pid_t pid, const struct step *step)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	if (!step || !WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		die("child", "ended by itself");
	return true;
}

static void kill_a_child(struct step *step, uint64_t round)
{
	/* Not every step is met soon, on every allocator or busy machine. */
	const uint64_t most = step ? patience : mix(seed ^ round << 20) % 15000;
	uint64_t us = 0;
	int status;
	pid_t pid;

	atomic_store(&journal->started, 0);
	atomic_store(&journal->moved, 0);
	pid = fork();
	if (pid < 0)
		die("fork", "failed");
	if (!pid)
		child(step, round);
	while (us < most) {
		if (has_died(pid, step)) {
			step->deaths++;
			return;
		}
		usleep(200);
		if (atomic_load(&journal->started) == THREADS)
			us += 200;
	}
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
	    (WTERMSIG(status) != SIGKILL &&
	     (!step || WTERMSIG(status) != SIGSEGV)))
		die("child", "ended by itself");
}

static void look(void)
{
	struct uz_device *dev = adopt();
	struct uz_device_stat stat;
	struct uz_err err = { 0 };
	struct uz_io *io;
	struct stat st;

	if (uz_device_check(dev, &err))
		die("check", err.text);
	if (uz_io_create(dev, &io))
		die("uz_io_create", "failed");
	settle_size(dev);
	settle_all(io);
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
	recodes = !uz_device_set_secondary(dev, 1, "zstd", NULL);
	if (uz_device_set_disksize(dev, SIZE, NULL))
		die("disksize", "refused");
	uz_device_close(dev);
	memset(journal, 0, sizeof(*journal));
	atomic_store(&journal->size.asked, SIZE);
	atomic_store(&journal->size.acked, SIZE);
}

/* The parent has not to look at what every child has left. */
static bool skips_look(uint64_t round)
{
	return inside && mix(seed ^ round << 28) % 2;
}

/* Where nobody has died: few were chosen by chance, or got the CPU in time. */
static void try_the_rest(uint64_t round)
{
	struct step *step;
	unsigned int tries;

	patience *= 3;
	for (step = steps; step < steps + STEPS; step++) {
		if (!recodes && !strcmp(step->name, "recoded"))
			continue;
		for (tries = 0; !step->deaths; tries++) {
			if (tries == 20)
				die(step->name, "nobody dies there");
			step->chosen++;
			kill_a_child(step, ++round);
			look();
		}
	}
}

/*
 * Where sanitizers make a death take a quarter of a second, their own question
 * (which accesses race, or are out of bounds) is answered by few of them; what
 * many deaths show is shown by builds without. The build with AddressSanitizer
 * has debug checks, so there the default allocator dies at every step.
 */
static uint64_t default_rounds(void)
{
#if defined(__SANITIZE_THREAD__)
	return 50;
#elif defined(__SANITIZE_ADDRESS__)
	return getenv("UZ_ZPOOL") ? 50 : 200;
#else
	return 200;
#endif
}

int main(int argc, char **argv)
{
	const char *env = getenv("UZ_SEED"), *rounds = getenv("UZ_ROUNDS");
	uint64_t i, n = rounds ? strtoull(rounds, NULL, 0) : default_rounds();
	uint64_t operations = 0, moved = 0;
	struct step *step = NULL;

	inside = argc > 1 && !strcmp(argv[1], "inside");
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
		if (inside) {
			step = &steps[mix(seed + i) % STEPS];
			step->chosen++;
		}
		kill_a_child(step, i);
		moved += atomic_load(&journal->moved);
		if (!skips_look(i))
			look();
		if (i % 50 == 0) { /* and sometimes from nothing again */
			operations += atomic_load(&journal->operations);
			uz_device_mem_close(&mem);
			begin();
		}
	}
	/* Others have not all of the steps, and few rounds may miss some. */
	if (inside && n >= 200 && !getenv("UZ_ZPOOL"))
		try_the_rest(n);
	operations += atomic_load(&journal->operations);
	printf("%llu deaths, %llu operations, %llu objects moved, nothing lost\n",
	       (unsigned long long)n, (unsigned long long)operations,
	       (unsigned long long)moved);
	for (step = steps; inside && step < steps + STEPS; step++)
		printf("%s: %u of %u died\n", step->name, step->deaths,
		       step->chosen);
	return 0;
}
