// SPDX-License-Identifier: MIT
/*
 * How many entries of a queue the kernel gets: more only when requests have
 * been in all of them, each populated before it is registered, and what becomes
 * of it when that fails.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "uring_fixture.h"

/* How often each entry was populated; so many attempts fail. */
static _Atomic unsigned int populated[CPUS * DEPTH];
static _Atomic unsigned int attempts;
static _Atomic unsigned int bad;
/* CPUs of the machine that are there. */
static unsigned int nr_online;

int __wrap_uz__fuse_area_populate(const struct uz__fuse_area *area,
				  unsigned int slot);
int __wrap_uz__fuse_area_populate(const struct uz__fuse_area *area,
				  unsigned int slot)
{
	(void)area;
	attempts++;
	if (bad && bad--)
		return -ENOMEM;
	populated[slot]++;
	return 0;
}

int __wrap_uz__fuse_cpus_online(struct uz__fuse_cpus *cpus);
int __wrap_uz__fuse_cpus_online(struct uz__fuse_cpus *cpus)
{
	unsigned int cpu;

	if (!nr_online)
		return -ENOENT;
	for (cpu = 0; cpu < nr_online; cpu++)
		cpus->has[cpu] = true;
	return (int)nr_online;
}

static int setup(void **state)
{
	unsigned int i;

	for (i = 0; i < CPUS * DEPTH; i++)
		populated[i] = 0;
	attempts = 0;
	bad = 0;
	nr_online = CPUS;
	return world_setup(state);
}

/* Entries that the kernel has, all of them without a request. */
static unsigned int depth_of(struct world *w, unsigned int queue)
{
	unsigned int worker, n = 0;

	fake_kernel_quiet(RINGS);
	for (worker = 0; worker <= THREADS; worker++)
		n += fake_kernel_entries(queue, ring_of(w, worker));
	return n;
}

/* So many are registered; those were populated, once, and no others. */
static void expect_depth(struct world *w, unsigned int queue,
			 unsigned int depth)
{
	unsigned int i;

	assert_int_equal(depth_of(w, queue), depth);
	for (i = 0; i < DEPTH; i++)
		assert_int_equal(populated[queue * DEPTH + i], i < depth);
}

static void ask_at_once(struct world *w, unsigned int queue, unsigned int count)
{
	unsigned int i;

	fake_kernel_pause(true);
	for (i = 0; i < count; i++)
		ask_long(w, queue, 4096);
	fake_kernel_pause(false);
	answered(w);
}

/* One request at a time needs two entries, however many there are. */
static void test_one_at_a_time(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go_shallow(w);
	for (i = 0; i < CPUS; i++)
		expect_depth(w, i, 1);
	for (i = 0; i < 50; i++) {
		ask_long(w, 1, i % 3 ? 4096 : 1u << 20);
		answered(w);
		fake_kernel_quiet(RINGS);
	}
	expect_depth(w, 0, 1);
	expect_depth(w, 1, 2);
	expect_depth(w, 2, 1);
}

static void test_many_at_a_time(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go_shallow(w);
	for (i = 1; i < DEPTH; i++) {
		ask_at_once(w, 2, i);
		expect_depth(w, 2, i + 1);
		/* It stays so with fewer. */
		ask_at_once(w, 2, i);
		ask_at_once(w, 2, 1);
		expect_depth(w, 2, i + 1);
	}
	ask_at_once(w, 2, 3 * DEPTH);
	expect_depth(w, 2, DEPTH);
	expect_depth(w, 0, 1);
}

/* What has waited for an entry is served, by as many as there are. */
static void test_more_than_entries(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go_shallow(w);
	for (i = 0; i < 3000; i++)
		ask_long(w, i % 50 / 20, i % 7 ? 4096 : 1u << 20);
	answered(w);
	for (i = 0; i < CPUS; i++)
		assert_in_range(depth_of(w, i), 2, DEPTH);
}

/* Nothing is registered that is not populated; the next request tries again. */
static void test_no_memory(void **state)
{
	struct world *w = *state;

	go_shallow(w);
	bad = 2;
	ask_at_once(w, 0, 1);
	expect_depth(w, 0, 1);
	ask_at_once(w, 0, 1);
	expect_depth(w, 0, 1);
	ask_at_once(w, 0, 1);
	expect_depth(w, 0, 2);
}

/* Without memory for the first ones it serves all the same. */
static void test_no_memory_at_all(void **state)
{
	struct world *w = *state;

	bad = UINT32_MAX;
	go_shallow(w);
	ask_at_once(w, 0, 5);
	assert_int_equal(depth_of(w, 0), 1);
	bad = 0;
	ask_at_once(w, 0, 5);
	assert_int_equal(depth_of(w, 0), 2);
}

static void test_kernel_without_memory(void **state)
{
	struct world *w = *state;

	go_shallow(w);
	fake_faults.registers = 2;
	ask_at_once(w, 1, 1);
	assert_int_equal(depth_of(w, 1), 1);
	ask_at_once(w, 1, 1);
	assert_int_equal(depth_of(w, 1), 1);
	assert_int_equal(fake_faults.registers, 0);
	ask_at_once(w, 1, 1);
	assert_int_equal(depth_of(w, 1), 2);
}

/* Asked once, and not again. */
static void test_kernel_that_refuses(void **state)
{
	struct world *w = *state;
	unsigned int before;

	go_shallow(w);
	ask_at_once(w, 1, 1);
	expect_depth(w, 1, 2);
	fake_faults.register_from = 3;
	fake_faults.register_error = -EINVAL;
	ask_at_once(w, 1, 2);
	assert_int_equal(depth_of(w, 1), 2);
	before = attempts;
	ask_at_once(w, 1, 5);
	assert_int_equal(depth_of(w, 1), 2);
	assert_int_equal(attempts, before);
}

/* Nothing is populated for a CPU before it has come. */
static void test_absent_cpu(void **state)
{
	struct world *w = *state;

	nr_online = 1;
	go_shallow(w);
	assert_int_equal(attempts, 1);
	assert_int_equal(depth_of(w, 2), 1);
	ask_at_once(w, 2, 1);
	expect_depth(w, 2, 2);
}

/* All may be there if nobody says which. */
static void test_unknown_cpus(void **state)
{
	nr_online = 0;
	go_shallow(*state);
	assert_int_equal(attempts, CPUS);
}

#define queue_test(name) \
	cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		queue_test(test_one_at_a_time),
		queue_test(test_many_at_a_time),
		queue_test(test_more_than_entries),
		queue_test(test_no_memory),
		queue_test(test_no_memory_at_all),
		queue_test(test_kernel_without_memory),
		queue_test(test_kernel_that_refuses),
		queue_test(test_absent_cpu),
		queue_test(test_unknown_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
