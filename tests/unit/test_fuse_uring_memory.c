// SPDX-License-Identifier: MIT
/*
 * What the buffers of the io_uring transport cost on a machine that may have 64
 * CPUs: never more than the budget, and nothing for CPUs that it does not have,
 * or for requests that have never been under way at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/shm.h>

#define CPUS 64

#include "fake_cpus.h"
#include "fake_ring.h"
#include "fuse_fixture.h"

#define BUDGET (UINT64_C(32) << 20)

/* The workers that have queues, and the one for what is slow. */
#define RINGS (CPUS + 1)

/* A quarter of them is there. */
#define ONLINE (CPUS / 4)

int __wrap_uz__fuse_cpus_online(struct uz__fuse_cpus *cpus);
int __wrap_uz__fuse_cpus_online(struct uz__fuse_cpus *cpus)
{
	int cpu;

	for (cpu = 0; cpu < ONLINE; cpu++)
		cpus->has[cpu] = true;
	return ONLINE;
}

static size_t buffer_bytes(const struct uz__fuse_plan *plan)
{
	return (size_t)plan->queues * plan->depth *
	       (UZ__FUSE_ENTRY_HEAD + plan->payload);
}

/* Pages of the buffers that are there. */
static size_t resident(const struct uz__fuse_uring *u)
{
	const size_t pages = buffer_bytes(&u->plan) / UZ_PAGE_SIZE;
	unsigned char *present = malloc(pages);
	size_t i, n = 0;

	assert_non_null(present);
	assert_int_equal(mincore(u->area->slots, pages * UZ_PAGE_SIZE, present),
			 0);
	for (i = 0; i < pages; i++)
		n += present[i] & 1;
	free(present);
	return n;
}

static void test_buffers(void **state)
{
	struct fixture *f = *state;
	/* Beyond the end: an answer without data. */
	const struct fuse_read_in in = { .offset = DISKSIZE, .size = 4096 };
	struct uz__fuse_uring *u;
	struct uz__fuse_plan plan;
	struct uz__fuse_area area;
	int mem = uz_shm_memfd("test");
	unsigned int i;
	size_t entry;

	fake_kernel_begin(CPUS);
	assert_int_equal(uz__fuse_plan(&plan, CPUS, BUDGET), 0);
	assert_true(buffer_bytes(&plan) <= BUDGET);
	assert_true(mem >= 0);
	assert_int_equal(uz__fuse_area_create(&area, mem, 0, &plan), 0);
	assert_int_equal(uz__fuse_uring_create(&u, &f->fuse, &area, CPUS, -1),
			 0);
	assert_int_equal(u->serving, CPUS);
	assert_int_equal(uz__fuse_uring_go(u), 0);
	fake_kernel_quiet(RINGS);
	entry = uz__fuse_slot_size(&plan) / UZ_PAGE_SIZE;
	assert_int_equal(resident(u), ONLINE * entry);

	/* One at a time: each finds the entry that was used last. */
	for (i = 0; i < 3 * CPUS; i++) {
		fake_kernel_request(i % CPUS, i + 1, FUSE_READ, UZ__FUSE_BLOCK,
				    &in, sizeof(in));
		fake_kernel_answers(i + 1);
		fake_kernel_quiet(RINGS);
	}
	assert_int_equal(resident(u), 2 * CPUS * entry);
	assert_true(resident(u) * UZ_PAGE_SIZE <= BUDGET);
	uz__fuse_uring_destroy(u);
	uz__fuse_area_end(&area);
	close(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_buffers, fixture_setup,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
