// SPDX-License-Identifier: MIT
/*
 * How many buffers io_uring gets: within every budget, on machines of every
 * size, and what gives way first.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <uring_priv.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

static void test_small_machine(void **state)
{
	struct uz__fuse_plan plan;

	(void)state;
	assert_int_equal(uz__fuse_plan(&plan, 2, 64 * MIB), 0);
	assert_int_equal(plan.queues, 2);
	assert_int_equal(plan.depth, UZ__FUSE_DEPTH_MAX);
	assert_int_equal(plan.payload, MIB);
	assert_int_equal(plan.bytes, 2 * 16 * 1028 * KIB + 1028 * KIB);
}

/* 32 MiB: the depth yields to 8, the payload to 64 KiB, the depth again. */
static void test_more_cpus(void **state)
{
	static const struct {
		unsigned int cpus, depth;
		uint32_t payload;
	} machines[] = {
		{ 2, 15, MIB },	      { 4, 15, 512 * KIB },
		{ 8, 15, 256 * KIB }, { 16, 15, 128 * KIB },
		{ 32, 15, 64 * KIB }, { 64, 7, 64 * KIB },
		{ 128, 3, 64 * KIB },
	};
	struct uz__fuse_plan plan;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		assert_int_equal(
			uz__fuse_plan(&plan, machines[i].cpus, 32 * MIB), 0);
		assert_int_equal(plan.payload, machines[i].payload);
		assert_int_equal(plan.depth, machines[i].depth);
	}
}

static void test_large_machine(void **state)
{
	struct uz__fuse_plan plan;

	(void)state;
	assert_int_equal(uz__fuse_plan(&plan, 64, 64 * MIB), 0);
	assert_int_equal(plan.payload, 64 * KIB);
	assert_int_equal(plan.depth, 15);
	assert_int_equal(uz__fuse_plan(&plan, 64, 16 * MIB), 0);
	assert_int_equal(plan.payload, 64 * KIB);
	assert_int_equal(plan.depth, 3);
	assert_true(plan.bytes <= 16 * MIB);
}

static void test_too_little(void **state)
{
	struct uz__fuse_plan plan;
	uint64_t least;

	(void)state;
	assert_int_equal(uz__fuse_plan(&plan, 64, 0), -ENOSPC);
	least = plan.bytes;
	assert_int_equal(least, 64 * 2 * 12 * KIB + 12 * KIB);
	assert_int_equal(uz__fuse_plan(&plan, 64, least - 1), -ENOSPC);
	assert_int_equal(plan.bytes, least);
	assert_int_equal(uz__fuse_plan(&plan, 64, least), 0);
	assert_int_equal(plan.payload, FUSE_MIN_READ_BUFFER);
	assert_int_equal(plan.depth, UZ__FUSE_DEPTH_MIN);
}

/* What the kernel and the rest of the code rely on holds for any plan. */
static void test_any(void **state)
{
	struct uz__fuse_plan plan, more;
	unsigned int queues;
	uint64_t budget;

	(void)state;
	for (queues = 1; queues <= 4096; queues *= 2) {
		for (budget = 8 * KIB; budget < 4096 * MIB; budget *= 2) {
			if (uz__fuse_plan(&plan, queues, budget))
				continue;
			assert_true(plan.bytes <= budget);
			assert_true(plan.payload >= FUSE_MIN_READ_BUFFER);
			assert_int_equal(plan.payload % UZ_PAGE_SIZE, 0);
			assert_in_range(plan.depth, UZ__FUSE_DEPTH_MIN,
					UZ__FUSE_DEPTH_MAX);
			/* More memory is never worse. */
			assert_int_equal(
				uz__fuse_plan(&more, queues, budget * 2), 0);
			assert_true(more.payload >= plan.payload);
		}
	}
}

static void test_cpus(void **state)
{
	static const struct {
		const char *list;
		int count;
	} lists[] = {
		{ "0\n", 1 },
		{ "0-1\n", 2 },
		{ "0-63\n", 64 },
		{ "0-3,8-11,15\n", 9 },
		{ "", -EINVAL },
		{ "\n", -EINVAL },
		{ "0-", -EINVAL },
		{ "-1\n", -EINVAL },
		{ "3-1\n", -EINVAL },
		{ "0,\n", -EINVAL },
		{ "0 1\n", -EINVAL },
		{ "0-1x\n", -EINVAL },
		{ "0-1\n\n", -EINVAL },
		{ "0-4095\n", 4096 },
		{ "0-4096\n", -EINVAL },
		{ "0-4095,1\n", -EINVAL },
		{ "99999999999999999999\n", -EINVAL },
		/* Cut, whatever is left. */
		{ "0-3,8-1", -EINVAL },
		{ "0-3,8", -EINVAL },
		{ "0-3", -EINVAL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		assert_int_equal(uz__fuse_cpus_parse(lists[i].list, NULL),
				 lists[i].count);
	assert_true(uz__fuse_cpus_possible() >= 1);
}

static void test_which_cpus(void **state)
{
	struct uz__fuse_cpus cpus = { { false } };
	unsigned int i, count = 0;

	(void)state;
	assert_int_equal(uz__fuse_cpus_parse("1-2,4095\n", &cpus), 3);
	for (i = 0; i < UZ__FUSE_CPUS_MAX; i++)
		assert_int_equal(cpus.has[i], i == 1 || i == 2 || i == 4095);
	memset(&cpus, 0, sizeof(cpus));
	assert_in_range(uz__fuse_cpus_online(&cpus), 1,
			uz__fuse_cpus_possible());
	for (i = 0; i < UZ__FUSE_CPUS_MAX; i++)
		count += cpus.has[i];
	assert_in_range(count, 1, uz__fuse_cpus_possible());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_machine),
		cmocka_unit_test(test_more_cpus),
		cmocka_unit_test(test_large_machine),
		cmocka_unit_test(test_too_little),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_which_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
