// SPDX-License-Identifier: MIT
/*
 * Memory that grows and does not move: what it holds stays, new pages are
 * zero, what is behind its end cannot be touched, and where there is no address
 * space to grow into, that is no failure.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/reserve.h>

#define PAGES(n) ((size_t)(n)*UZ_PAGE_SIZE)

static void test_grows(void **state)
{
	struct uz_reserve r = { 0 };
	unsigned char *bytes;
	void *base;

	(void)state;
	assert_int_equal(uz_reserve_map(&r, 100, PAGES(1000) - 1), 0);
	assert_int_equal(r.size, PAGES(1));
	assert_int_equal(r.room, PAGES(1000));
	base = r.base;
	bytes = base;
	bytes[PAGES(1) - 1] = 1;
	assert_int_equal(uz_reserve_grow(&r, PAGES(700) - 5), 0);
	assert_int_equal(r.size, PAGES(700));
	assert_ptr_equal(r.base, base);
	assert_int_equal(bytes[PAGES(1) - 1], 1);
	assert_int_equal(bytes[PAGES(1)], 0);
	bytes[PAGES(700) - 1] = 2;
	assert_int_equal(uz_reserve_grow(&r, PAGES(3)), 0); /* never less */
	assert_int_equal(r.size, PAGES(700));
	assert_int_equal(uz_reserve_grow(&r, PAGES(1000)), 0);
	assert_int_equal(uz_reserve_grow(&r, PAGES(1000) + 1), -ENOMEM);
	assert_int_equal(r.size, PAGES(1000));
	assert_int_equal(bytes[PAGES(700) - 1], 2);
	uz_reserve_unmap(&r);
	assert_null(r.base);
	uz_reserve_unmap(&r);
	assert_int_equal(uz_reserve_map(&r, 0, PAGES(1)), -ENOMEM);
	assert_null(r.base);
	/* A room that is too small is as large as needed. */
	assert_int_equal(uz_reserve_map(&r, PAGES(2), 0), 0);
	assert_int_equal(r.room, PAGES(2));
	uz_reserve_unmap(&r);
}

static int status_of(void (*fn)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void touch_behind(void)
{
	const struct rlimit none = { 0 };
	struct uz_reserve r;

	signal(SIGSEGV, SIG_DFL); /* cmocka makes an exit of it */
	setrlimit(RLIMIT_CORE, &none);
	if (uz_reserve_map(&r, PAGES(1), PAGES(8)))
		_exit(1);
	((volatile unsigned char *)r.base)[PAGES(1)] = 1;
}

static void test_ends(void **state)
{
	int status = status_of(touch_behind);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void with_little(void)
{
	struct uz_reserve r = { 0 };
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = UINT64_C(1) << 40;
	setrlimit(RLIMIT_AS, &limit);
	if (uz_reserve_map(&r, PAGES(4), UINT64_C(1) << 44) ||
	    r.size != PAGES(4) || r.room != PAGES(4))
		_exit(2);
	memset(r.base, 1, r.size);
	if (uz_reserve_grow(&r, PAGES(5)) != -ENOMEM)
		_exit(3);
	uz_reserve_unmap(&r);
	if (uz_reserve_map(&r, UINT64_C(1) << 43, UINT64_C(1) << 44) !=
		    -ENOMEM ||
	    r.base)
		_exit(4);
}

static void test_little_space(void **state)
{
	(void)state;
	assert_int_equal(status_of(with_little), 0);
}
#else
static void test_little_space(void **state)
{
	(void)state; /* a sanitizer takes more than is left here */
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_little_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
