// SPDX-License-Identifier: MIT
/*
 * CPUs that do not halt while they are needed: one thread asks the kernel.
 *
 * It sleeps until somebody calls uz_awake_use(), asks, and then looks every
 * 20 ms whether that was done again. If it was not, it asks no more and sleeps.
 * The word that it looks at is read by all and hardly ever written, by requests
 * once for each look.
 *
 * No locks. The word goes ASLEEP, USED, and then back and forth between USED
 * and QUIET; from QUIET to ASLEEP if it was still that at the next look.
 * Whoever takes it out of ASLEEP posts the semaphore, once each time, so
 * nobody's request is overlooked. All of that is about one word, and needs no
 * order with other memory: relaxed.
 *
 * The kernel takes the request back when the file is closed, so also when the
 * process is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/awake.h>
#include <uzram/util/cleanup.h>

#define DRIVER	  "/sys/devices/system/cpu/cpuidle/current_driver"
#define POLL_NS	  "/sys/module/haltpoll/parameters/guest_halt_poll_ns"
#define FILE_NAME "/dev/cpu_dma_latency"

/* us that an idle CPU may take to get to work: none; as long as it likes. */
#define AT_ONCE INT32_C(0)
#define ANY	INT32_C(2000000000)

/*
 * Who uses the device once more within that is not kept waiting. Shorter than
 * anybody's pause that would be worth a CPU; chosen, not measured.
 */
#define LOOK_NS 20000000

struct uz_awake {
	struct uz__awake_head head;
	pthread_t thread;
	sem_t call;
	int fd;
	_Atomic bool ending;
};

/* Whether that is all that the file has. */
static bool file_says(const char *path, const char *text)
{
	uz_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char is[16] = "";

	return fd >= 0 && read(fd, is, sizeof(is) - 1) > 0 && !strcmp(is, text);
}

bool uz_awake_halts(void)
{
	return file_says(DRIVER, "haltpoll\n") && file_says(POLL_NS, "0\n");
}

int uz_awake_open(void)
{
	int fd = open(FILE_NAME, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

void uz__awake_use(struct uz_awake *awake)
{
	if (atomic_exchange_explicit(&awake->head.state, UZ__AWAKE_USED,
				     memory_order_relaxed) == UZ__AWAKE_ASLEEP)
		sem_post(&awake->call);
}

/* A wish that is refused is none; requests take longer, no more. */
static void ask(const struct uz_awake *awake, int32_t us)
{
	ssize_t n = write(awake->fd, &us, sizeof(us));

	(void)n;
}

static bool was_used(struct uz_awake *awake)
{
	uint32_t used = UZ__AWAKE_USED, quiet = UZ__AWAKE_QUIET;

	return atomic_compare_exchange_strong_explicit(
		       &awake->head.state, &used, UZ__AWAKE_QUIET,
		       memory_order_relaxed, memory_order_relaxed) ||
	       !atomic_compare_exchange_strong_explicit(
		       &awake->head.state, &quiet, UZ__AWAKE_ASLEEP,
		       memory_order_relaxed, memory_order_relaxed);
}

static void *awake_main(void *arg)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct uz_awake *awake = arg;

	uz_ahead_stack();
	for (;;) {
		while (sem_wait(&awake->call))
			;
		/* relaxed: the semaphore orders it. */
		if (atomic_load_explicit(&awake->ending, memory_order_relaxed))
			return NULL;
		ask(awake, AT_ONCE);
		do
			nanosleep(&look, NULL);
		while (was_used(awake));
		ask(awake, ANY);
	}
}

static int start_thread(struct uz_awake *awake)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&awake->thread, NULL, awake_main, awake);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ret)
		pthread_setname_np(awake->thread, "uz-awake");
	return -ret;
}

int uz_awake_start(struct uz_awake **made, int fd)
{
	struct uz_awake *awake =
		aligned_alloc(_Alignof(struct uz_awake), sizeof(*awake));
	int ret;

	*made = NULL;
	if (!awake)
		return -ENOMEM;
	memset(awake, 0, sizeof(*awake));
	sem_init(&awake->call, 0, 0);
	awake->fd = fd;
	ret = start_thread(awake);
	if (ret) {
		sem_destroy(&awake->call);
		free(awake);
		return ret;
	}
	*made = awake;
	return 0;
}

void uz_awake_stop(struct uz_awake *awake)
{
	if (!awake)
		return;
	atomic_store_explicit(&awake->ending, true, memory_order_relaxed);
	sem_post(&awake->call);
	pthread_join(awake->thread, NULL);
	close(awake->fd);
	sem_destroy(&awake->call);
	free(awake);
}
