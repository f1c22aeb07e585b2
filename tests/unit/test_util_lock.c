// SPDX-License-Identifier: MIT
/*
 * Locks: they exclude, and with debug_checks a thread that takes them in the
 * wrong order stops at once.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/lock.h>

/* Such a build reports an inversion itself, and not by an assertion. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

static struct uz_lock outer, inner, other;

static void *try_it(void *lock)
{
	static bool yes = true, no;
	bool *got = uz_lock_try(lock) ? &yes : &no;

	if (*got)
		uz_lock_release(lock);
	return got;
}

/* Could another thread have it now? */
static bool is_free(struct uz_lock *lock)
{
	pthread_t thread;
	void *got;

	assert_int_equal(pthread_create(&thread, NULL, try_it, lock), 0);
	assert_int_equal(pthread_join(thread, &got), 0);
	return *(bool *)got;
}

static void test_excludes(void **state)
{
	(void)state;
	assert_true(is_free(&outer));
	{
		uz_scoped_acquire(guard, &outer);
		assert_false(is_free(&outer));
		uz_lock_acquire(&inner);
		assert_false(is_free(&inner));
		uz_lock_release(&inner);
		assert_true(is_free(&inner));
	}
	assert_true(is_free(&outer));
}

static void in_order(void)
{
	uz_lock_acquire(&outer);
	uz_lock_acquire(&inner);
	uz_lock_release(&outer);
	uz_lock_release(&inner);
	uz_lock_acquire(&outer);
	uz_lock_release(&outer);
}

/* Trying waits for nobody. */
static void tried(void)
{
	uz_lock_acquire(&inner);
	if (!uz_lock_try(&outer))
		abort();
	uz_lock_release(&outer);
	uz_lock_release(&inner);
}

#if defined(UZ_DEBUG_CHECKS) || !defined(UNDER_TSAN)
static void upwards(void)
{
	uz_lock_acquire(&inner);
	uz_lock_acquire(&outer);
}

static void same_rank(void)
{
	uz_lock_acquire(&inner);
	uz_lock_acquire(&other);
}
#endif

#ifdef UZ_DEBUG_CHECKS
static void not_held(void)
{
	uz_lock_release(&inner);
}
#endif

/* Does the thread survive it? In a child process, as it may not. */
static bool survives(void (*what)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		/* The sentence of the assertion is expected: not shown. */
		close(STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		what();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		assert_int_equal(WTERMSIG(status), SIGABRT);
	return !status;
}

static void test_order(void **state)
{
	(void)state;
	assert_true(survives(in_order));
	assert_true(survives(tried));
#ifdef UZ_DEBUG_CHECKS
	assert_false(survives(upwards));
	assert_false(survives(same_rank));
	assert_false(survives(not_held));
#elif !defined(UNDER_TSAN)
	/* Plain mutexes, and nobody else wants them. */
	assert_true(survives(upwards));
	assert_true(survives(same_rank));
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_excludes),
		cmocka_unit_test(test_order),
	};

	uz_lock_init(&outer, UZ_LOCK_DEVICE);
	uz_lock_init(&inner, UZ_LOCK_POOL_CLASS);
	uz_lock_init(&other, UZ_LOCK_POOL_CLASS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
