// SPDX-License-Identifier: MIT
/*
 * Processes that die, or hang, at steps that a test chose, at random.
 *
 * Each thread has its own random numbers, which begin with the seed, the number
 * of its process and its own. Which of them comes by where is the system's
 * choice, so a seed repeats the decisions, not the run. The processes' number
 * and how many died young lie in a page that all share; who writes there is
 * about to die or has just begun, one process at a time.
 *
 * Death is a fault: a signal that is sent could be blocked. One line says where
 * it was. No locks, as in delay.c. Without debug_checks this file is empty.
 */
#include <uzram/util/crash.h>

#ifdef UZ_DEBUG_CHECKS
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/*
 * After so many that served for less than that, ms, one is left alive. It is
 * three times what a supervisor takes for service (src/daemon/restart.c), which
 * on a busy machine learns late that it began.
 */
#define YOUNG	  150
#define YOUNG_MAX 3

static const char *const names[UZ_DELAY_POINTS] = {
	[UZ_DELAY_LOADED] = "loaded",
	[UZ_DELAY_EPOCH] = "epoch",
	[UZ_DELAY_PINNED] = "pinned",
	[UZ_DELAY_UNPIN] = "unpin",
	[UZ_DELAY_TAKEN] = "taken",
	[UZ_DELAY_FILLED] = "filled",
	[UZ_DELAY_EXCHANGED] = "exchanged",
	[UZ_DELAY_LOOKED] = "looked",
	[UZ_DELAY_FLIP] = "flip",
	[UZ_DELAY_SEEN] = "seen",
	[UZ_DELAY_COPIED] = "copied",
	[UZ_DELAY_SWAPPED] = "swapped",
	[UZ_DELAY_SENT] = "sent",
	[UZ_DELAY_SYNCED] = "synced",
	[UZ_DELAY_WRITTEN] = "written",
	[UZ_DELAY_FETCHED] = "fetched",
	[UZ_DELAY_GIVEN] = "given",
	[UZ_DELAY_DECODED] = "decoded",
	[UZ_DELAY_RECODED] = "recoded",
	[UZ_DELAY_PUBLISHED] = "published",
	[UZ_DELAY_FOLDED] = "folded",
	[UZ_DELAY_ARENA] = "arena",
	[UZ_DELAY_TABLE] = "table",
	[UZ_DELAY_SIZED] = "sized",
	[UZ_DELAY_ADOPTED] = "adopted",
	[UZ_DELAY_SETTLED] = "settled",
	[UZ_DELAY_SERVES] = "serves",
	[UZ_DELAY_RECEIVED] = "received",
	[UZ_DELAY_CARRIED] = "carried",
	[UZ_DELAY_MARKED] = "marked",
	[UZ_DELAY_OPENED] = "opened",
	[UZ_DELAY_GREETED] = "greeted",
	[UZ_DELAY_RESENT] = "resent",
	[UZ_DELAY_MAPPED] = "mapped",
	[UZ_DELAY_FOUND] = "found",
	[UZ_DELAY_REGISTERED] = "registered",
	[UZ_DELAY_POISONED] = "poisoned",
};

/* What the processes share. */
struct shared {
	_Atomic uint64_t processes;
	_Atomic unsigned int young;
};

static struct shared *shared;
static uint64_t seed;
static uint64_t rarity[UZ_DELAY_POINTS]; /* 0: never */
static bool hangs[UZ_DELAY_POINTS];

static _Atomic uint64_t serves; /* since then, ms; 0: not yet */
static _Atomic uint64_t number;
static atomic_bool numbered;
static _Atomic uint64_t threads;
static _Thread_local uint64_t state;
static _Thread_local bool begun;

/* The compiler is not to know that nothing is there. */
static char *volatile nowhere = (char *)UZ_CRASH_ADDRESS;

/* More than zero. */
static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

/* splitmix64: any state will do, also 0. */
static uint64_t next_random(void)
{
	uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void begin(void)
{
	/* relaxed, here and below: plain numbers, each by itself. */
	if (!atomic_exchange_explicit(&numbered, true, memory_order_relaxed))
		atomic_store_explicit(
			&number,
			atomic_fetch_add_explicit(&shared->processes, 1,
						  memory_order_relaxed),
			memory_order_relaxed);
	state = seed;
	state = next_random() +
		atomic_load_explicit(&number, memory_order_relaxed);
	state = next_random() +
		atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
	begun = true;
}

/* From now on a death is no reason to give up. */
static void note_service(void)
{
	uint64_t never = 0;

	if (!atomic_load_explicit(&serves, memory_order_relaxed))
		atomic_compare_exchange_strong_explicit(
			&serves, &never, now_ms(), memory_order_relaxed,
			memory_order_relaxed);
}

/* Whether death is allowed now; notes that it comes. */
static bool may_die(void)
{
	uint64_t since = atomic_load_explicit(&serves, memory_order_relaxed);

	if (since && now_ms() - since >= YOUNG) {
		atomic_store_explicit(&shared->young, 0, memory_order_relaxed);
		return true;
	}
	return atomic_fetch_add_explicit(&shared->young, 1,
					 memory_order_relaxed) < YOUNG_MAX;
}

static void say(enum uz_delay_point point)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s at step %s\n",
			 hangs[point] ? "hanging" : "dying", names[point]);

	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* then nobody knows */
}

void uz_crash_now(enum uz_delay_point point)
{
	if (point == UZ_DELAY_SERVES)
		note_service();
	if (!begun)
		begin();
	if (!rarity[point])
		return;
	if (rarity[point] > 1 && (next_random() % rarity[point] || !may_die()))
		return;
	say(point);
	while (hangs[point])
		sleep(1);
	*nowhere = 0;
}

/* One "STEP/N" or "STEP/N!". */
static int take_step(char *text)
{
	char *slash = strchr(text, '/'), *end;
	unsigned int point, known = 0;
	uint64_t n;

	if (!slash)
		return -EINVAL;
	*slash = '\0';
	n = strtoull(slash + 1, &end, 10);
	if (end == slash + 1 || (*end && strcmp(end, "!")))
		return -EINVAL;
	for (point = 0; point < UZ_DELAY_POINTS; point++) {
		if (strcmp(text, "all") && strcmp(text, names[point]))
			continue;
		rarity[point] = n;
		hangs[point] = *end;
		known++;
	}
	return known ? 0 : -EINVAL;
}

int uz_crash_start(const char *plan)
{
	char text[1024], *steps, *step, *rest;
	int ret = 0;

	if (snprintf(text, sizeof(text), "%s", plan) >= (int)sizeof(text))
		return -EINVAL;
	seed = strtoull(text, &steps, 0);
	if (steps == text || *steps != ':')
		return -EINVAL;
	memset(rarity, 0, sizeof(rarity));
	step = strtok_r(steps + 1, ",", &rest);
	do {
		ret = step ? take_step(step) : -EINVAL;
		step = strtok_r(NULL, ",", &rest);
	} while (!ret && step);
	if (!ret && !shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (shared == MAP_FAILED) {
			shared = NULL;
			ret = -ENOMEM;
		}
	}
	if (!ret)
		atomic_fetch_or_explicit(&uz_delay_on, UZ__DELAY_CRASH,
					 memory_order_relaxed);
	return ret;
}

__attribute__((constructor)) static void start_from_environment(void)
{
	const char *plan = getenv("UZ_CRASH");

	if (!plan || !uz_crash_start(plan))
		return;
	fprintf(stderr, "UZ_CRASH='%s': no plan\n", plan);
	exit(2);
}
#endif
