// SPDX-License-Identifier: MIT
/*
 * Huge pages of a memfd: what is in them stays what it is, a part that is
 * punched is given back, and who cannot have one is told why. Where the kernel
 * makes none the rest is tested with a kernel that is made up.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/shm.h>

#include "missing.h"

#define PAGES(n) ((size_t)(n)*UZ_PAGE_SIZE)
#define HUGE	 ((size_t)UZ_SHM_HUGE)
#define SIZE	 (3 * HUGE)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* The linker leads shm_huge.c here (--wrap=madvise). */
static int refuse_with; /* an errno, or 0: do not refuse */
static unsigned int collapses;
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);

int __wrap_madvise(void *addr, size_t len, int advice)
{
	collapses += advice == MADV_COLLAPSE;
	if (refuse_with && advice == MADV_COLLAPSE) {
		errno = refuse_with;
		return -1;
	}
	return __real_madvise(addr, len, advice);
}

/* And here (--wrap=fallocate64): so many punches are not done. */
static unsigned int ignored, punches;
int __real_fallocate64(int fd, int mode, off_t off, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t off, off_t len);

int __wrap_fallocate64(int fd, int mode, off_t off, off_t len)
{
	punches++;
	if (!ignored)
		return __real_fallocate64(fd, mode, off, len);
	ignored--;
	return 0;
}

static unsigned char *bytes(const struct uz_shm *shm)
{
	return shm->base;
}

static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at * 7 + at / UZ_PAGE_SIZE + 1);
}

static void fill(const struct uz_shm *shm, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		bytes(shm)[i] = byte_at(i);
}

static void expect(const struct uz_shm *shm, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (bytes(shm)[i] != byte_at(i))
			fail_msg("byte %zu has changed", i);
}

/* KiB of the mapping that huge pages of shared memory map. */
static size_t huge_kib(const struct uz_shm *shm)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long from, to;
	bool ours = false;
	char line[512];
	size_t kib = 0, n;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			ours = from >= (uintptr_t)shm->base &&
			       to <= (uintptr_t)shm->base + shm->room;
		else if (ours &&
			 sscanf(line, "ShmemPmdMapped: %zu kB", &n) == 1)
			kib += n;
	}
	fclose(f);
	return kib;
}

/* Make one, if this kernel, set as it is, can do it at all. */
static bool made(struct uz_shm *shm, size_t off)
{
	int ret = 0;

	for (unsigned int i = 0; i < 8; i++) {
		ret = uz_shm_collapse(shm, off);
		if (!ret || ret == -ENOTSUP)
			break;
		usleep(10000);
	}
	if (!ret)
		return true;
	missing("huge", "no huge page can be made here");
	return false;
}

static void test_aligned(void **state)
{
	struct uz_shm *shm = *state, more;

	assert_int_equal((uintptr_t)shm->base % HUGE, 0);
	assert_int_equal(uz_shm_map_room(&more, shm->fd, SIZE, HUGE + PAGES(1)),
			 0);
	assert_int_equal((uintptr_t)more.base % HUGE, 0);
	assert_int_equal(more.room, SIZE);
	uz_shm_unmap(&more);
	assert_int_equal(uz_shm_map_room(&more, shm->fd, SIZE, 16 * HUGE), 0);
	assert_int_equal((uintptr_t)more.base % HUGE, 0);
	assert_int_equal(more.room, 16 * HUGE);
	uz_shm_unmap(&more);
}

static void test_bounds(void **state)
{
	struct uz_shm *shm = *state, part;

	assert_int_equal(uz_shm_collapse(shm, PAGES(1)), -EINVAL);
	assert_int_equal(uz_shm_collapse(shm, SIZE), -EINVAL);
	assert_int_equal(uz_shm_map(&part, shm->fd, 2 * HUGE - PAGES(1)), 0);
	assert_int_equal(uz_shm_collapse(&part, HUGE), -EINVAL);
	uz_shm_unmap(&part);
}

static void test_collapse(void **state)
{
	struct uz_shm *shm = *state;

	fill(shm, HUGE, 2 * HUGE);
	if (!made(shm, HUGE))
		return;
	expect(shm, HUGE, 2 * HUGE);
	assert_int_equal(huge_kib(shm), HUGE / 1024);
	assert_int_equal(uz_shm_resident(shm), HUGE);
	/* What was not there is now, as zeroes. */
	fill(shm, 0, 1);
	assert_true(made(shm, 0));
	assert_int_equal(uz_shm_resident(shm), 2 * HUGE);
	for (size_t i = 1; i < HUGE; i++)
		assert_int_equal(bytes(shm)[i], 0);
	/* Again, and written to. */
	assert_int_equal(uz_shm_collapse(shm, HUGE), 0);
	fill(shm, 0, 2 * HUGE);
	expect(shm, 0, 2 * HUGE);
	assert_int_equal(uz_shm_resident(shm), 2 * HUGE);
}

static void test_punch_a_part(void **state)
{
	struct uz_shm *shm = *state;

	fill(shm, 0, HUGE);
	if (!made(shm, 0))
		return;
	assert_int_equal(uz_shm_punch(shm, PAGES(100), PAGES(3)), 0);
	assert_int_equal(uz_shm_resident(shm), HUGE - PAGES(3));
	expect(shm, 0, PAGES(100));
	expect(shm, PAGES(103), HUGE);
	assert_int_equal(bytes(shm)[PAGES(101)], 0);
	fill(shm, PAGES(100), PAGES(103));
	assert_true(made(shm, 0));
	expect(shm, 0, HUGE);
	/* All of one needs not be taken apart. */
	assert_int_equal(uz_shm_punch(shm, 0, HUGE), 0);
	assert_int_equal(uz_shm_resident(shm), 0);
}

/* The kernel has not done what it says; sooner or later it does. */
static void test_punch_is_looked_at(void **state)
{
	struct uz_shm *shm = *state;

	fill(shm, 0, PAGES(8));
	punches = 0;
	ignored = 2;
	assert_int_equal(uz_shm_punch(shm, PAGES(2), PAGES(3)), 0);
	assert_int_equal(ignored, 0);
	assert_int_equal(punches, 3);
	assert_int_equal(uz_shm_resident(shm), PAGES(5));
	ignored = 1000;
	assert_int_equal(uz_shm_punch(shm, PAGES(5), PAGES(1)), -EAGAIN);
	assert_in_range(1000 - ignored, 2, 20);
	/* What lies beside it is no matter. */
	ignored = 1000;
	punches = 0;
	assert_int_equal(uz_shm_punch(shm, PAGES(2), PAGES(3)), 0);
	assert_int_equal(punches, 1);
	ignored = 0;
}

static void test_passing_refusals(void **state)
{
	static const struct {
		int from, to;
	} cases[] = {
		{ ENOMEM, -ENOMEM },
		{ EBUSY, -ENOMEM },
		{ EAGAIN, -EAGAIN },
	};
	struct uz_shm *shm = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		refuse_with = cases[i].from;
		for (unsigned int n = 0; n < 20; n++)
			assert_int_equal(uz_shm_collapse(shm, 0), cases[i].to);
	}
	refuse_with = 0;
}

static void test_page_by_page(void **state)
{
	struct uz_shm *shm = *state;

	uz_shm_page_by_page(shm, false);
	bytes(shm)[HUGE] = 1;
	assert_int_equal(uz_shm_resident(shm), PAGES(1));
}

/* Whatever the system does. */
static void test_small_always(void **state)
{
	struct uz_shm *shm = *state;

	uz_shm_page_by_page(shm, true);
	collapses = 0;
	assert_int_equal(uz_shm_collapse(shm, 0), -ENOTSUP);
	assert_int_equal(collapses, 0);
}

/* In a process that has had none, and has none any more. */
static void test_never(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct uz_shm *shm = *state;
		unsigned int n;

		refuse_with = EINVAL;
		for (n = 0; n < 20; n++)
			if (uz_shm_collapse(shm, 0) == -ENOTSUP)
				break;
		refuse_with = 0;
		_exit(n > 0 && n < 20 && uz_shm_collapse(shm, 0) == -ENOTSUP
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int set_up(void **state)
{
	static struct uz_shm shm;
	int fd = uz_shm_memfd("test");

	*state = &shm;
	return fd < 0 ? fd : uz_shm_map(&shm, fd, SIZE);
}

static int tear_down(void **state)
{
	struct uz_shm *shm = *state;
	int fd = shm->fd;

	uz_shm_unmap(shm);
	return close(fd);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_never),
		EACH(test_aligned),
		EACH(test_bounds),
		EACH(test_passing_refusals),
		EACH(test_punch_is_looked_at),
		EACH(test_page_by_page),
		EACH(test_small_always),
		EACH(test_collapse),
		EACH(test_punch_a_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
