// SPDX-License-Identifier: MIT
/*
 * Memory that a successor finds: in the memfd's first gap, zeroed, given back
 * when it is unmapped, the same pages for who comes next; anonymous without a
 * memfd, and when it refuses.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/shm.h>
#include <uzram/util/spare.h>

#define SIZE (16 * UZ_PAGE_SIZE)

static int fd;

/* KiB that the memfd holds. */
static unsigned int held(void)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (unsigned int)(st.st_blocks / 2);
}

static void expect_zeroes(const char *at, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		assert_int_equal(at[i], 0);
}

/* Where in the memfd a piece lies, by what is written to it. */
static long place_of(char *at)
{
	static const char mark[] = "where is this?";
	char there[sizeof(mark)];
	long offset;

	memcpy(at, mark, sizeof(mark));
	for (offset = 0; pread(fd, there, sizeof(there), offset) > 0;
	     offset += UZ_PAGE_SIZE)
		if (!memcmp(there, mark, sizeof(mark)))
			break;
	memset(at, 0, sizeof(mark));
	return offset / (long)SIZE;
}

/* First of all: there is no memfd yet. */
static void test_anonymous(void **state)
{
	char *at = uz_spare_map(SIZE);

	(void)state;
	assert_non_null(at);
	expect_zeroes(at, SIZE);
	uz_spare_unmap(at + SIZE / 2, SIZE / 2);
	at[0] = 1;
	uz_spare_unmap(at, SIZE / 2);
	fd = uz_shm_memfd("spare");
	assert_true(fd >= 0);
	uz_spare_use(fd);
	assert_int_equal(held(), 0);
}

static void test_gaps(void **state)
{
	char *a = uz_spare_map(SIZE), *b = uz_spare_map(SIZE - 100);
	char *c = uz_spare_map(SIZE), *d;

	(void)state;
	assert_int_equal(place_of(a), 0);
	assert_int_equal(place_of(b), 1);
	assert_int_equal(place_of(c), 2);
	assert_int_equal(held(), 3 * SIZE / 1024);
	memset(b, 1, SIZE);
	uz_spare_unmap(b, SIZE - 100);
	assert_int_equal(held(), 2 * SIZE / 1024);
	b = uz_spare_map(2 * SIZE);
	d = uz_spare_map(SIZE);
	assert_int_equal(place_of(b), 3);
	assert_int_equal(place_of(d), 1);
	expect_zeroes(d, SIZE);
	uz_spare_unmap(b, 2 * SIZE);
	uz_spare_unmap(a, SIZE);
	uz_spare_unmap(c, SIZE);
	uz_spare_unmap(d, SIZE);
	assert_int_equal(held(), 0);
}

/* A piece gives its end back, and somebody else has it. */
static void test_trim(void **state)
{
	char *a = uz_spare_map(2 * SIZE), *b;

	(void)state;
	memset(a, 1, 2 * SIZE);
	uz_spare_unmap(a + SIZE, SIZE);
	assert_int_equal(held(), SIZE / 1024);
	b = uz_spare_map(SIZE);
	assert_int_equal(place_of(b), 1);
	expect_zeroes(b, SIZE);
	assert_int_equal(a[SIZE - 1], 1);
	uz_spare_unmap(a, SIZE);
	uz_spare_unmap(b, SIZE);
	assert_int_equal(held(), 0);
}

/* It does not outlive the process in order: what is there is had again. */
static void test_found(void **state)
{
	char *a;

	(void)state;
	memset(uz_spare_map(SIZE), 1, SIZE);
	/* As a successor does; the list is the first one's. */
	uz_spare_use(fd);
	assert_int_equal(held(), SIZE / 1024);
	a = uz_spare_map(SIZE);
	assert_int_equal(held(), SIZE / 1024);
	expect_zeroes(a, SIZE);
	uz_spare_unmap(a, SIZE);
}

static void test_refused(void **state)
{
	int sealed = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char *at;

	(void)state;
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_GROW), 0);
	uz_spare_use(sealed);
	at = uz_spare_map(SIZE);
	assert_non_null(at);
	expect_zeroes(at, SIZE);
	memset(at, 1, SIZE);
	uz_spare_unmap(at, SIZE);
	uz_spare_use(fd);
	close(sealed);
	assert_null(uz_spare_map(SIZE_MAX / 2));
	assert_int_equal(held(), 0);
}

/* More pieces than are noted: the others are anonymous. */
static void test_many(void **state)
{
	char *at[300];
	unsigned int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		at[i] = uz_spare_map(UZ_PAGE_SIZE);
		assert_non_null(at[i]);
		at[i][0] = 1;
	}
	assert_int_equal(held(), 256 * UZ_PAGE_SIZE / 1024);
	for (i = 0; i < 300; i++)
		uz_spare_unmap(at[i], UZ_PAGE_SIZE);
	assert_int_equal(held(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anonymous), cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_trim),	  cmocka_unit_test(test_found),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
