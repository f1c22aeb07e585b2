// SPDX-License-Identifier: MIT
/*
 * The slot word and the table: forms of a repeated word, what is no slot,
 * memory only where something was stored, adoption of what a memfd holds.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/table.h>
#include <uzram/util/shm.h>

static void same_round_trip(uint64_t value, bool fits)
{
	uz_slot_t slot = 0;

	assert_int_equal(uz_slot_same(value, &slot), fits);
	if (!fits)
		return;
	assert_int_equal(uz_slot_kind(slot), UZ_SLOT_SAME);
	assert_true(uz_slot_valid(slot));
	assert_false(uz_slot_in_pool(slot));
	assert_true(uz_slot_same_value(slot) == value);
}

static void test_same_words(void **state)
{
	unsigned int shift;

	(void)state;
	same_round_trip(0, true);
	same_round_trip(UINT64_MAX, true);
	same_round_trip(1, true);
	same_round_trip((uint64_t)-12345, true);
	same_round_trip(UINT64_C(0xffff888012345678), true); /* pointer */
	same_round_trip(UINT64_C(0x00007fff12345678), true);
	same_round_trip(UINT64_C(0xdeadbeefdeadbeef), true); /* 32 bits twice */
	same_round_trip(UINT64_C(0xa5a5a5a5a5a5a5a5), true);
	same_round_trip(UINT64_C(0x3ff0000000000000), true); /* 1.0 */
	same_round_trip(UINT64_C(0x0123456789abcdef), false);
	same_round_trip(UINT64_C(0x8000000000000001), false);
	for (shift = 0; shift < 64; shift++)
		same_round_trip(UINT64_C(1) << shift, true);
}

static void test_slot_fields(void **state)
{
	uz_ref_t ref = (UINT64_C(1) << UZ_REF_BITS) - 1;
	uz_slot_t w = uz_slot_make(UZ_SLOT_OBJECT, 7, 4095, ref);

	(void)state;
	assert_int_equal(uz_slot_kind(w), UZ_SLOT_OBJECT);
	assert_int_equal(uz_slot_codec(w), 7);
	assert_int_equal(uz_slot_size(w), 4095);
	assert_true(uz_slot_ref(w) == ref);
	assert_true(uz_slot_valid(w));
	assert_true(uz_slot_same_place(w, uz_slot_flags(w, UZ_SLOT_IDLE, 0)));
	assert_true(uz_slot_valid(uz_slot_flags(w, UZ_SLOT_IDLE, 0)));
	assert_true(uz_slot_flags(uz_slot_flags(w, UZ_SLOT_IDLE, 0), 0,
				  UZ_SLOT_IDLE) == w);
	assert_true(uz_slot_valid(uz_slot_move(w, 1234)));
	assert_true(uz_slot_ref(uz_slot_move(w, 1234)) == 1234);
	assert_false(uz_slot_same_place(
		w, uz_slot_make(UZ_SLOT_OBJECT, 7, 4095, ref - 1)));
}

static void test_backed(void **state)
{
	const uz_slot_t w =
		uz_slot_flags(uz_slot_make(UZ_SLOT_OBJECT, 3, 1000, 77),
			      UZ_SLOT_IDLE | UZ_SLOT_INCOMPRESSIBLE, 0);
	const uz_slot_t raw = uz_slot_make(UZ_SLOT_RAW, 0, 4096, 5);
	const uz_slot_t b = uz_slot_to_backing(w, 9);

	(void)state;
	assert_true(uz_slot_valid(b));
	assert_true(uz_slot_is_compressed(b));
	assert_int_equal(uz_slot_kind(b), UZ_SLOT_BACKED);
	assert_true(uz_slot_ref(b) == 9);
	assert_true(uz_slot_from_backing(b, 77) ==
		    uz_slot_flags(w, 0, UZ_SLOT_IDLE));
	assert_true(uz_slot_from_backing(uz_slot_to_backing(raw, 1), 5) == raw);
	assert_false(uz_slot_is_compressed(uz_slot_to_backing(raw, 1)));
}

static void test_invalid_slots(void **state)
{
	(void)state;
	assert_true(uz_slot_valid(0));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_BACKED, 1, 4096, 1)));
	assert_false(uz_slot_valid(UINT64_C(1) << 40)); /* empty, with a ref */
	assert_false(uz_slot_valid(6));
	assert_false(uz_slot_valid(7));
	assert_false(uz_slot_valid(UZ_SLOT_BACKED));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_OBJECT, 0, 0, 1)));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_OBJECT, 0, 4096, 1)));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_RAW, 0, 4095, 1)));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_RAW, 1, 4096, 1)));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_SAME_OBJ, 0, 9, 1)));
	assert_false(uz_slot_valid(uz_slot_make(UZ_SLOT_OBJECT, 0, 9, 1) ^
				   (UZ_SLOT_ONE | UZ_SLOT_CHECK)));
	/* no such form; a one that is not there; 32 bits twice, and more */
	assert_false(uz_slot_valid(UZ_SLOT_SAME | 3 << 3 | 7 << 5));
	assert_false(uz_slot_valid(UZ_SLOT_SAME | 1 << 6));
	assert_false(uz_slot_valid(UZ_SLOT_SAME | 1 << 3 | 3 << 6 |
				   UINT64_C(3) << 40 | UINT64_C(1) << 5 |
				   UINT64_C(1) << 8));
}

static unsigned int bits(uint64_t w)
{
	return (unsigned int)__builtin_popcountll(w);
}

/* Whatever the slot: with any one bit flipped it is none. */
static void flip_each_bit(uz_slot_t slot)
{
	unsigned int bit;

	assert_true(uz_slot_valid(slot));
	assert_true(!slot || bits(slot) >= 4);
	for (bit = 0; bit < 64; bit++)
		assert_false(uz_slot_valid(slot ^ UINT64_C(1) << bit));
}

static void test_flips_are_seen(void **state)
{
	static const uint64_t words[] = {
		0,
		1,
		UINT64_MAX,
		UINT64_C(0x8000000080000000),
		UINT64_C(0xdeadbeefdeadbeef),
		UINT64_C(0x3ff0000000000000),
		UINT64_C(0x8000000000000000),
		UINT64_C(0xffff888012345678),
	};
	uz_slot_t slot = 0;
	unsigned int i;

	(void)state;
	flip_each_bit(0);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_true(uz_slot_same(words[i], &slot));
		flip_each_bit(slot);
	}
	for (i = 0; i < 4096; i++) {
		uz_ref_t ref = i ? UINT64_C(0x1ffffffffff) / i : 0;

		slot = uz_slot_make(UZ_SLOT_OBJECT, i % 8, 1 + i % 4095, ref);
		flip_each_bit(slot);
		flip_each_bit(uz_slot_flags(slot, UZ_SLOT_IDLE, 0));
		flip_each_bit(uz_slot_flags(slot, UZ_SLOT_INCOMPRESSIBLE, 0));
		flip_each_bit(uz_slot_move(slot, i));
		flip_each_bit(uz_slot_to_backing(slot, i));
		flip_each_bit(uz_slot_make(UZ_SLOT_RAW, 0, 4096, ref));
		flip_each_bit(uz_slot_make(UZ_SLOT_SAME_OBJ, 0, 8, ref));
	}
}

static void test_costs_nothing_untouched(void **state)
{
	const uint64_t nr = UZ_DISKSIZE_MAX / UZ_PAGE_SIZE;
	struct uz_table *t = NULL;
	int fd = uz_shm_memfd("test");
	uint64_t before;

	(void)state;
	assert_int_equal(uz_table_create(&t, fd, nr, nr), 0);
	assert_int_equal(uz_table_pages(t), nr);
	assert_true(uz_table_load(t, 0) == 0);
	assert_true(uz_table_load(t, nr - 1) == 0);
	assert_int_equal(uz_table_next(t, 0), nr);
	before = uz_table_resident(t);
	/* What knows of it: at most a bit for each page of slots. */
	assert_in_range(before, 1, nr / 512 / 8 + UZ_PAGE_SIZE);

	assert_int_equal(uz_table_prepare(t, nr - 1), 0);
	/* A page, and in the bitmap perhaps another. */
	assert_in_range(uz_table_resident(t), before + UZ_PAGE_SIZE,
			before + 2 * UZ_PAGE_SIZE);
	assert_int_equal(uz_table_next(t, 0), nr - 512);
	assert_int_equal(uz_table_next(t, nr - 3), nr - 3);
	assert_true(uz_table_exchange(t, nr - 1, 42) == 0);
	assert_true(uz_table_load(t, nr - 1) == 42);
	uz_table_destroy(t);
	close(fd);
}

static void test_exchange_and_swap(void **state)
{
	struct uz_table *t = NULL;
	int fd = uz_shm_memfd("test");

	(void)state;
	assert_int_equal(uz_table_create(&t, fd, 1000, 1000), 0);
	assert_int_equal(uz_table_prepare(t, 999), 0);
	assert_true(uz_table_exchange(t, 999, 5) == 0);
	assert_false(uz_table_swap(t, 999, 4, 6));
	assert_true(uz_table_load(t, 999) == 5);
	assert_true(uz_table_swap(t, 999, 5, 6));
	assert_true(uz_table_exchange(t, 999, 0) == 6);
	uz_table_destroy(t);
	close(fd);
}

static void test_adopts_what_is_there(void **state)
{
	const uint64_t nr = UINT64_C(1) << 20;
	struct uz_table *t = NULL;
	int fd = uz_shm_memfd("test");
	uint64_t i;

	(void)state;
	assert_int_equal(uz_table_create(&t, fd, nr, nr), 0);
	for (i = 700; i < nr; i += nr / 3) {
		assert_int_equal(uz_table_prepare(t, i), 0);
		uz_table_exchange(t, i, i);
	}
	uz_table_destroy(t);
	t = NULL;
	assert_int_equal(uz_table_create(&t, fd, nr, nr), 0);
	for (i = 700; i < nr; i += nr / 3)
		assert_true(uz_table_load(t, i) == i);
	assert_int_equal(uz_table_next(t, 0), 512);
	assert_int_equal(uz_table_next(t, 1024), (700 + nr / 3) / 512 * 512);
	uz_table_destroy(t);
	close(fd);
}

/* Of what is there nothing moves, and what is new is empty. */
static void test_grows(void **state)
{
	const uint64_t most = UINT64_C(1) << 24;
	struct uz_table *t = NULL, *next = NULL;
	int fd = uz_shm_memfd("test");

	(void)state;
	assert_int_equal(uz_table_create(&t, fd, 1000, most), 0);
	assert_int_equal(uz_table_most(t), most);
	assert_int_equal(uz_table_prepare(t, 999), 0);
	uz_table_exchange(t, 999, 5);
	assert_int_equal(uz_table_next(t, 1000), 1000);
	assert_int_equal(uz_table_grow(t, 1000), -EINVAL);
	assert_int_equal(uz_table_grow(t, 999), -EINVAL);
	assert_int_equal(uz_table_grow(t, most + 1), -ENOMEM);
	assert_int_equal(uz_table_grow(t, UINT64_MAX), -EINVAL);
	assert_int_equal(uz_table_pages(t), 1000);

	assert_int_equal(uz_table_grow(t, 1001), 0); /* the same chunk */
	assert_true(uz_table_load(t, 1000) == 0);
	assert_int_equal(uz_table_grow(t, most), 0);
	assert_int_equal(uz_table_pages(t), most);
	assert_true(uz_table_load(t, 999) == 5);
	assert_true(uz_table_load(t, most - 1) == 0);
	assert_int_equal(uz_table_next(t, 1024), most);
	assert_int_equal(uz_table_prepare(t, most - 1), 0);
	uz_table_exchange(t, most - 1, 7);
	assert_int_equal(uz_table_next(t, 1024), most - 512);

	/* Who adopts it by the old size, or by the new one. */
	assert_int_equal(uz_table_create(&next, fd, 1000, 0), 0);
	assert_int_equal(uz_table_next(next, 1024), 1024);
	assert_true(uz_table_load(next, 999) == 5);
	assert_int_equal(uz_table_grow(next, 1025), -ENOMEM);
	uz_table_destroy(next);
	next = NULL;
	assert_int_equal(uz_table_create(&next, fd, most, most), 0);
	assert_true(uz_table_load(next, most - 1) == 7);
	uz_table_destroy(next);
	uz_table_destroy(t);
	close(fd);
}

static void test_refuses_no_pages(void **state)
{
	struct uz_table *t = NULL;
	int fd = uz_shm_memfd("test");

	(void)state;
	assert_int_equal(uz_table_create(&t, fd, 0, 0), -EINVAL);
	assert_int_equal(
		uz_table_create(&t, fd, UZ_DISKSIZE_MAX / UZ_PAGE_SIZE + 1, 0),
		-EINVAL);
	assert_null(t);
	assert_int_not_equal(uz_table_create(&t, -1, 10, 10), 0);
	uz_table_destroy(NULL);
	close(fd);
}

static void test_flags(void **state)
{
	uz_slot_t w = uz_slot_make(UZ_SLOT_OBJECT, 3, 100, 12345), x;

	(void)state;
	x = uz_slot_flags(w, UZ_SLOT_IDLE, 0);
	assert_true(x & UZ_SLOT_IDLE);
	assert_true(uz_slot_valid(x));
	assert_true(uz_slot_same_place(w, x));
	x = uz_slot_flags(x, UZ_SLOT_INCOMPRESSIBLE, UZ_SLOT_IDLE);
	assert_false(x & UZ_SLOT_IDLE);
	assert_true(x & UZ_SLOT_INCOMPRESSIBLE);
	assert_true(uz_slot_valid(x));
	x = uz_slot_flags(x, 0, UZ_SLOT_IDLE | UZ_SLOT_INCOMPRESSIBLE);
	assert_int_equal(x, w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_same_words),
		cmocka_unit_test(test_slot_fields),
		cmocka_unit_test(test_backed),
		cmocka_unit_test(test_invalid_slots),
		cmocka_unit_test(test_flips_are_seen),
		cmocka_unit_test(test_costs_nothing_untouched),
		cmocka_unit_test(test_exchange_and_swap),
		cmocka_unit_test(test_adopts_what_is_there),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_refuses_no_pages),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
