// SPDX-License-Identifier: MIT
/*
 * CPUs are asked to stay awake when a request comes, once, and to do as they
 * like when none comes any more; whoever uses it at whatever moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/awake.h>

#define AWAKE	INT32_C(0)
#define ANY	INT32_C(2000000000)
#define WISHES	100000
#define THREADS 4
#define BURSTS	20

/* What was asked for, by the one thread that asks; the number comes last. */
static int32_t wishes[WISHES];
static _Atomic unsigned int nr;
static int fd, no_threads;

ssize_t __wrap_write(int to, const void *data, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);

ssize_t __wrap_write(int to, const void *data, size_t size)
{
	unsigned int n = atomic_load(&nr);

	if (to != fd || size != sizeof(*wishes) || n == WISHES)
		abort();
	wishes[n] = *(const int32_t *)data;
	atomic_store(&nr, n + 1);
	errno = EINVAL; /* nobody minds */
	return -1;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg)
{
	return no_threads ? EAGAIN
			  : __real_pthread_create(thread, attr, main, arg);
}

static int setup(void **state)
{
	(void)state;
	atomic_store(&nr, 0);
	no_threads = 0;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return fd < 0;
}

static void sleep_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

/* For as long as it takes; the suite has a time limit. */
static void wait_for(unsigned int n)
{
	while (atomic_load(&nr) < n)
		sleep_ms(1);
}

static void expect_turns(void)
{
	unsigned int i, n = atomic_load(&nr);

	for (i = 0; i < n; i++)
		assert_int_equal(wishes[i], i % 2 ? ANY : AWAKE);
}

static void test_in_turns(void **state)
{
	struct uz_awake *awake;
	unsigned int i;

	(void)state;
	assert_int_equal(uz_awake_start(&awake, fd), 0);
	assert_int_equal(atomic_load(&nr), 0);
	for (i = 1; i <= 5; i++) {
		uz_awake_use(awake);
		wait_for(2 * i);
		assert_int_equal(atomic_load(&nr), 2 * i);
	}
	expect_turns();
	uz_awake_stop(awake);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void *use_often(void *arg)
{
	int burst, i;

	for (burst = 0; burst < BURSTS; burst++) {
		for (i = 0; i < 1000; i++)
			uz_awake_use(arg);
		sleep_ms(burst * 3 % 50);
	}
	return NULL;
}

/* However they meet, what was asked for last is nothing. */
static void test_by_many(void **state)
{
	struct uz_awake *awake;
	pthread_t threads[THREADS];
	unsigned int i;

	(void)state;
	assert_int_equal(uz_awake_start(&awake, fd), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, use_often, awake), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	wait_for(1);
	while ((i = atomic_load(&nr)) % 2)
		sleep_ms(1);
	/* Once more: nobody was left believing that it has been asked. */
	uz_awake_use(awake);
	wait_for(i + 2);
	expect_turns();
	uz_awake_stop(awake);
}

static void test_stop_while_in_use(void **state)
{
	struct uz_awake *awake;

	(void)state;
	assert_int_equal(uz_awake_start(&awake, fd), 0);
	uz_awake_use(awake);
	uz_awake_stop(awake);
	expect_turns();
	uz_awake_use(NULL);
	uz_awake_stop(NULL);
}

static void test_no_thread(void **state)
{
	struct uz_awake *awake;

	(void)state;
	no_threads = 1;
	assert_int_equal(uz_awake_start(&awake, fd), -EAGAIN);
	assert_null(awake);
	assert_int_equal(close(fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_in_turns, setup),
		cmocka_unit_test_setup(test_by_many, setup),
		cmocka_unit_test_setup(test_stop_while_in_use, setup),
		cmocka_unit_test_setup(test_no_thread, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
