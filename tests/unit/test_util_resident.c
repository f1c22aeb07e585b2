// SPDX-License-Identifier: MIT
/*
 * Memory that is there: what was touched, to the byte, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <uzram/util/resident.h>

#define PAGES 1100u /* more than are looked at at once, and not a multiple */
#define SIZE  ((size_t)PAGES * UZ_PAGE_SIZE)

static void test_touched(void **state)
{
	unsigned char *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	(void)state;
	assert_ptr_not_equal(mem, MAP_FAILED);
	/* Huge pages would be touched as a whole. */
	madvise(mem, SIZE, MADV_NOHUGEPAGE);
	assert_int_equal(uz_resident(mem, SIZE), 0);
	for (i = 0; i < PAGES; i += 11)
		mem[(size_t)i * UZ_PAGE_SIZE] = 1;
	assert_int_equal(uz_resident(mem, SIZE), SIZE / 11);
	/* Parts of pages, at both ends and within one. */
	assert_int_equal(uz_resident(mem + 100, UZ_PAGE_SIZE),
			 UZ_PAGE_SIZE - 100);
	assert_int_equal(uz_resident(mem + 10 * UZ_PAGE_SIZE + 7, UZ_PAGE_SIZE),
			 7);
	assert_int_equal(uz_resident(mem + 5, 10), 10);
	assert_int_equal(uz_resident(mem + UZ_PAGE_SIZE, 10), 0);
	assert_int_equal(uz_resident(mem, 0), 0);
	munmap(mem, SIZE);
}

static void test_not_mapped(void **state)
{
	void *mem =
		mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_ptr_not_equal(mem, MAP_FAILED);
	munmap(mem, SIZE);
	assert_int_equal(uz_resident(mem, SIZE), 0);
	assert_int_equal(uz_resident(NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_touched),
		cmocka_unit_test(test_not_mapped),
	};

	return cmocka_run_group_tests_name("util resident", tests, NULL, NULL);
}
