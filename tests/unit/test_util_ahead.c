// SPDX-License-Identifier: MIT
/*
 * Memory populated ahead: nothing before it is wanted; afterwards it is there
 * with its contents, also where the kernel does not know the quick way.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/ahead.h>
#include <uzram/util/resident.h>

#define SIZE (64 * UZ_PAGE_SIZE)

static int madvise_fails;

int __real_madvise(void *at, size_t size, int advice);
int __wrap_madvise(void *at, size_t size, int advice);

int __wrap_madvise(void *at, size_t size, int advice)
{
	if (!madvise_fails)
		return __real_madvise(at, size, advice);
	errno = madvise_fails;
	return -1;
}

/* In place of libc's. */
static uint64_t free_bytes;
static bool free_unknown;

int sysinfo(struct sysinfo *info)
{
	*info = (struct sysinfo){
		.freeram = free_bytes / UZ_PAGE_SIZE,
		.mem_unit = UZ_PAGE_SIZE,
	};
	return free_unknown ? -1 : 0;
}

static char *map_some(void)
{
	char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	madvise(at, SIZE, MADV_NOHUGEPAGE);
	return at;
}

/* First of all: it cannot be undone. */
static void test_not_wanted(void **state)
{
	char *at = map_some();

	(void)state;
	assert_false(uz_ahead());
	assert_true(uz_ahead_plenty(SIZE));
	uz_ahead_memory(at, SIZE);
	uz_ahead_stack();
	uz_ahead_program();
	assert_int_equal(uz_resident(at, SIZE), 0);
	munmap(at, SIZE);
	uz_ahead_enable();
	assert_true(uz_ahead());
}

static uint64_t all_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * UZ_PAGE_SIZE;
}

/* The least free memory with which so much may be had. */
static uint64_t least_free(size_t size)
{
	uint64_t no = 0, yes = UINT64_C(1) << 50;

	while (yes - no > UZ_PAGE_SIZE) {
		free_bytes = (no + (yes - no) / 2) &
			     ~(uint64_t)(UZ_PAGE_SIZE - 1);
		if (uz_ahead_plenty(size))
			yes = free_bytes;
		else
			no = free_bytes;
	}
	return yes;
}

/*
 * What the kernel keeps, a quarter more, what nobody gets, and what is wanted.
 */
static void test_plenty(void **state)
{
	unsigned long long kib;
	FILE *f = fopen("/proc/sys/vm/min_free_kbytes", "r");
	uint64_t least, keeps;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &kib), 1);
	fclose(f);
	keeps = (kib + kib / 4) * 1024;
	least = least_free(0);
	assert_true(least >= keeps);
	/* Devices of old have 16 MiB; the rest is a 32nd at most. */
	assert_true(least <= keeps + (UINT64_C(17) << 20) + all_memory() / 32);
	assert_int_equal(least_free(SIZE), least + SIZE);
	free_bytes = 0;
	free_unknown = true;
	assert_true(uz_ahead_plenty(SIZE));
}

static void test_memory(void **state)
{
	static const int how[] = { 0, EINVAL };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(how) / sizeof(how[0]); i++) {
		char *at = map_some();

		at[UZ_PAGE_SIZE] = 7;
		madvise_fails = how[i];
		/* Whole pages, wherever it begins and ends. */
		uz_ahead_memory(at + 1, SIZE - UZ_PAGE_SIZE);
		madvise_fails = 0;
		assert_int_equal(uz_resident(at, SIZE), SIZE);
		assert_int_equal(at[UZ_PAGE_SIZE], 7);
		munmap(at, SIZE);
	}
}

static void test_refused(void **state)
{
	char *at = map_some();

	(void)state;
	madvise_fails = ENOMEM;
	uz_ahead_memory(at, SIZE);
	uz_ahead_memory(at, SIZE);
	madvise_fails = 0;
	assert_int_equal(uz_resident(at, SIZE), 0);
	munmap(at, SIZE);
}

/*
 * What malloc() has given out and nobody has written yet. A sanitizer brings
 * its own malloc(), which has no heap that could be found.
 */
static void test_heap(void **state)
{
	char *at;

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return;
#endif
	at = malloc(SIZE);
	assert_non_null(at);
	uz_ahead_program();
	assert_int_equal(uz_resident(at, SIZE), SIZE);
	free(at);
}

static long faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_minflt;
}

static void __attribute__((noinline)) use_stack(void)
{
	volatile char frame[16 * UZ_PAGE_SIZE];
	size_t i;

	for (i = 0; i < sizeof(frame); i += UZ_PAGE_SIZE)
		frame[i] = 1;
}

static void test_stack(void **state)
{
	long before;

	(void)state;
	uz_ahead_stack();
	before = faults();
	use_stack();
	/* The kernel may have had to move a page. */
	assert_in_range(faults() - before, 0, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_wanted),
		cmocka_unit_test(test_plenty),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_stack),
	};

	return cmocka_run_group_tests_name("util ahead", tests, NULL, NULL);
}
