// SPDX-License-Identifier: MIT
/*
 * Maps that are released wrongly. A build with debug checks must end there
 * and say who it was; each such case runs in a child process whose message is
 * read. What is right must pass: any order, any thread, any number. How long
 * maps were held is known in every build.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool_fixture.h"

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool no_memory;

void *__wrap_realloc(void *p, size_t size)
{
	return no_memory ? NULL : __real_realloc(p, size);
}

/* Longer than a tick of the coarse clock (10 ms where HZ is 100). */
static void wait_a_tick(void)
{
	usleep(25000);
}

static void one_object(struct fixture *f, uz_ref_t *ref)
{
	fixture_open(f, 4);
	*ref = fixture_alloc(f, 1000, 1);
}

static void *unmap_it(void *arg)
{
	void **call = arg;

	uz_pool_unmap(call[0], call[1]);
	return NULL;
}

static void unmap_elsewhere(struct uz_pool *pool, struct uz_map *map)
{
	void *call[2] = { pool, map };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, unmap_it, call), 0);
	pthread_join(thread, NULL);
}

/* ---- what ends the program ---- */

#ifdef UZ_DEBUG_CHECKS

static void twice(void)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	unmap_elsewhere(f.pool, &map);
	uz_pool_unmap(f.pool, &map);
}

/* The copy is a second release of the same map, though a new one is held. */
static void stale_copy(void)
{
	struct uz_map map, copy;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	copy = map;
	uz_pool_unmap(f.pool, &map);
	uz_pool_map(f.pool, ref, &map);
	uz_pool_unmap(f.pool, &copy);
}

static void long_ago(void)
{
	struct uz_map map, passing;
	struct fixture f;
	uz_ref_t ref;
	unsigned int i;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	uz_pool_unmap(f.pool, &map);
	for (i = 0; i < 1000; i++) {
		uz_pool_map(f.pool, ref, &passing);
		uz_pool_unmap(f.pool, &passing);
	}
	uz_pool_unmap(f.pool, &map);
}

static void foreign(void)
{
	struct fixture f, other;
	struct uz_map map;
	uz_ref_t ref;

	one_object(&f, &ref);
	fixture_open(&other, 4);
	uz_pool_map(f.pool, ref, &map);
	uz_pool_unmap(other.pool, &map);
}

static void forged(void)
{
	struct uz_map map = { 0 };
	struct fixture f;

	one_object(&f, &map.ref);
	uz_pool_unmap(f.pool, &map);
}

static void forged_token(void)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	map.token = UINT64_C(0x123456789abc);
	uz_pool_unmap(f.pool, &map);
}

static void untracked_token(void)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	map.token = UINT64_MAX;
	uz_pool_unmap(f.pool, &map);
}

static void other_place(void)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	map.ref += PAGES(WINDOW_PAGES) / UZ_REF_UNIT;
	uz_pool_unmap(f.pool, &map);
}

static void other_count(void)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	map.pin = !map.pin;
	uz_pool_unmap(f.pool, &map);
}

static void destroyed(void)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t ref;

	one_object(&f, &ref);
	uz_pool_map(f.pool, ref, &map);
	wait_a_tick();
	uz_pool_destroy(f.pool);
}

static void destroyed_with_many(void)
{
	struct uz_map maps[20];
	struct fixture f;
	uz_ref_t ref;
	unsigned int i;

	one_object(&f, &ref);
	for (i = 0; i < 20; i++)
		uz_pool_map(f.pool, ref, &maps[i]);
	uz_pool_destroy(f.pool);
}

/* What is called ends by SIGABRT; @text: all that it said on stderr. */
static void ends(void (*what)(void), char *text, size_t size)
{
	size_t len = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		signal(SIGABRT, SIG_DFL);
		what();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

struct wrong {
	void (*what)(void);
	const char *says[4];
};

static void test_ends(void **state)
{
	static const struct wrong wrongs[] = {
		{ twice,
		  { "twice releases a map that was released before: ref ",
		    "mapped by twice in thread ",
		    "released by unmap_it in thread ", "(ended)" } },
		{ stale_copy,
		  { "stale_copy releases a map that was released before",
		    "released by stale_copy" } },
		{ long_ago, { "long_ago releases a map that nobody holds" } },
		{ foreign,
		  { "foreign releases a map of another pool: ref ",
		    "mapped by foreign in thread " } },
		{ forged, { "forged releases a map that nobody holds" } },
		{ forged_token, { "a map that nobody holds" } },
		{ untracked_token, { "a map that nobody holds" } },
		{ other_place,
		  { "other_place releases a map that was changed since: ref ",
		    "mapped by other_place" } },
		{ other_count, { "a map that was changed since: ref " } },
		{ destroyed,
		  { "a pool is destroyed while mapped: ref ",
		    "mapped by destroyed in thread ", " s ago" } },
		{ destroyed_with_many,
		  { "mapped by destroyed_with_many", "and 12 more" } },
	};
	char text[8192];
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		ends(wrongs[i].what, text, sizeof(text));
		for (j = 0; j < 4 && wrongs[i].says[j]; j++)
			if (!strstr(text, wrongs[i].says[j]))
				fail_msg("%zu: no \"%s\" in: %s", i,
					 wrongs[i].says[j], text);
	}
}

#endif

/* ---- what is right ---- */

static void test_any_order_and_thread(void **state)
{
	enum {
		NR = 3000 /* the table grows several times */
	};
	static struct uz_map maps[NR];
	struct fixture f, other;
	struct uz_map map;
	uz_ref_t ref;
	unsigned int i;

	(void)state;
	one_object(&f, &ref);
	fixture_open(&other, 4);
	uz_pool_map(other.pool, 0, &map);
	for (i = 0; i < NR; i++)
		uz_pool_map(f.pool, ref, &maps[i]);
#ifdef UZ_DEBUG_CHECKS
	assert_int_equal(fixture_stat(&f).maps, NR);
	assert_int_equal(fixture_stat(&other).maps, 1);
#else
	assert_int_equal(fixture_stat(&f).maps, 0);
#endif
	/* 7 has no factor in common with NR: each once. */
	for (i = 0; i < NR; i++) {
		struct uz_map copy = maps[i * 7 % NR];

		if (i % 100)
			uz_pool_unmap(f.pool, &copy);
		else
			unmap_elsewhere(f.pool, &copy);
	}
	uz_pool_unmap(other.pool, &map);
	assert_int_equal(fixture_stat(&f).maps, 0);
	uz_pool_free(f.pool, ref);
	fixture_close(&f);
	fixture_close(&other);
}

/* A table that cannot grow refuses no map; it only does not know it. */
static void test_no_memory(void **state)
{
	enum {
		NR = 10000
	};
	static struct uz_map maps[NR];
	uint64_t known = 0;
	struct fixture f;
	uz_ref_t ref;
	unsigned int i;

	(void)state;
	one_object(&f, &ref);
	no_memory = true;
	for (i = 0; i < NR; i++)
		uz_pool_map(f.pool, ref, &maps[i]);
	no_memory = false;
	known = fixture_stat(&f).maps;
	assert_true(known < NR);
	for (i = 0; i < NR; i++)
		uz_pool_unmap(f.pool, &maps[i]);
	assert_int_equal(fixture_stat(&f).maps, 0);
	uz_pool_free(f.pool, ref);
	fixture_close(&f);
}

static void test_longest(void **state)
{
	struct uz_map map, second;
	struct fixture f;
	uint64_t longest;
	uz_ref_t ref;

	(void)state;
	one_object(&f, &ref);
	assert_int_equal(fixture_stat(&f).longest_map_ns, 0);
	uz_pool_map(f.pool, ref, &map);
	wait_a_tick();
#ifdef UZ_DEBUG_CHECKS
	assert_true(fixture_stat(&f).longest_map_ns >= 10000000);
#else
	assert_int_equal(fixture_stat(&f).longest_map_ns, 0);
#endif
	uz_pool_map(f.pool, ref, &second);
	uz_pool_unmap(f.pool, &map);
	longest = fixture_stat(&f).longest_map_ns;
	assert_true(longest >= 10000000);
	/* A shorter one does not take its place. */
	uz_pool_unmap(f.pool, &second);
	assert_true(fixture_stat(&f).longest_map_ns >= longest);
	uz_pool_free(f.pool, ref);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef UZ_DEBUG_CHECKS
		cmocka_unit_test(test_ends),
#endif
		cmocka_unit_test(test_any_order_and_thread),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_longest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
