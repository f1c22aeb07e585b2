// SPDX-License-Identifier: MIT
/*
 * Pages and requests: what is written is what is read, whatever the offset
 * and length; what each kind of page costs; discard and write-zeroes; damage.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (4u << 20)

static int submit(struct fixture *f, enum uz_op op, uint64_t off, uint64_t len,
		  void *buf)
{
	struct uz_request rq = { op, off, len, buf };

	return uz_device_submit(f->io, &rq);
}

static void test_kinds_and_costs(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	struct fixture f;

	(void)state;
	if (!codec_compresses())
		return;
	fixture_open(&f, NULL, SIZE);
	page_same(page, 0);
	assert_int_equal(uz_page_store(f.io, 0, page), 0);
	expect_page(&f, 0, page);
	page_same(page, UINT64_C(0xdeadbeefdeadbeef));
	assert_int_equal(uz_page_store(f.io, 1, page), 0);
	expect_page(&f, 1, page);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.same_pages, 2);
	assert_int_equal(stat.mem_used_total, 0);
	assert_int_equal(stat.compr_data_size, 0);

	page_same(page, UINT64_C(0x0123456789abcdef));
	assert_int_equal(uz_page_store(f.io, 2, page), 0);
	expect_page(&f, 2, page);
	page_text(page, 3);
	assert_int_equal(uz_page_store(f.io, 3, page), 0);
	expect_page(&f, 3, page);
	page_noise(page, 4);
	assert_int_equal(uz_page_store(f.io, 4, page), 0);
	expect_page(&f, 4, page);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.same_pages, 3);
	assert_int_equal(stat.huge_pages, 1);
	assert_int_equal(stat.huge_pages_since, 1);
	assert_int_equal(stat.orig_data_size, 5 * UZ_PAGE_SIZE);
	assert_true(stat.compr_data_size > UZ_PAGE_SIZE + 8);
	assert_true(stat.compr_data_size < 2 * UZ_PAGE_SIZE);

	uz_page_drop(f.io, 4);
	uz_page_drop(f.io, 4);
	page_same(page, 0);
	expect_page(&f, 4, page);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.huge_pages, 0);
	assert_int_equal(stat.huge_pages_since, 1);
	assert_int_equal(stat.orig_data_size, 4 * UZ_PAGE_SIZE);
	fixture_close(&f);
}

/* Random requests against a plain copy of the device. */
static void test_any_offset_and_length(void **state)
{
	unsigned char *model = calloc(1, SIZE), *buf = malloc(SIZE);
	const char *env = getenv("UZ_SEED");
	unsigned int seed = env ? (unsigned int)atoi(env)
				: (unsigned int)getpid();
	struct fixture f;
	int i;

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	fixture_open(&f, NULL, SIZE);
	for (i = 0; i < 3000; i++) {
		size_t off = (size_t)random() % SIZE;
		size_t max = random() % 10 ? 9000 : 300000;
		size_t len = (size_t)random() % max;

		if (len > SIZE - off)
			len = SIZE - off;
		switch (random() % 4) {
		case 0:
			page_noise(buf, (uint64_t)random());
			if (len > UZ_PAGE_SIZE)
				len = UZ_PAGE_SIZE;
			break;
		case 1:
			memset(buf, (int)random(), len);
			break;
		default:
			page_text(buf, (uint64_t)i);
			memset(buf + UZ_PAGE_SIZE, 'q', UZ_PAGE_SIZE);
			if (len > UZ_PAGE_SIZE * 2)
				len = UZ_PAGE_SIZE * 2;
		}
		switch (random() % 8) {
		case 0:
			assert_int_equal(submit(&f, UZ_OP_ZERO, off, len, NULL),
					 0);
			memset(model + off, 0, len);
			break;
		case 1:
			assert_int_equal(submit(&f, UZ_OP_READ, off, len, buf),
					 0);
			assert_memory_equal(buf, model + off, len);
			break;
		default:
			assert_int_equal(submit(&f, UZ_OP_WRITE, off, len, buf),
					 0);
			memcpy(model + off, buf, len);
		}
	}
	assert_int_equal(submit(&f, UZ_OP_READ, 0, SIZE, buf), 0);
	assert_memory_equal(buf, model, SIZE);
	fixture_close(&f);
	free(model);
	free(buf);
}

static void test_discard_keeps_the_ends(void **state)
{
	unsigned char *buf = malloc(SIZE), *want = malloc(SIZE);
	struct uz_device_stat stat;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	memset(want, 'x', SIZE);
	want[5] = 'y';
	assert_int_equal(submit(&f, UZ_OP_WRITE, 0, SIZE, want), 0);
	assert_int_equal(submit(&f, UZ_OP_DISCARD, 100, 4 * 4096, NULL), 0);
	memset(want + 4096, 0, 3 * 4096);
	assert_int_equal(submit(&f, UZ_OP_DISCARD, 4096 * 8 + 1, 4000, NULL),
			 0);
	assert_int_equal(submit(&f, UZ_OP_ZERO, 4096 * 10 + 1, 4000, NULL), 0);
	memset(want + 4096 * 10 + 1, 0, 4000);
	assert_int_equal(submit(&f, UZ_OP_ZERO, 4096 * 12 + 9, 4096, NULL), 0);
	memset(want + 4096 * 12 + 9, 0, 4096);
	assert_int_equal(submit(&f, UZ_OP_READ, 0, SIZE, buf), 0);
	assert_memory_equal(buf, want, SIZE);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.notify_free, 3);
	assert_int_equal(stat.num_discards, 4);

	assert_int_equal(submit(&f, UZ_OP_DISCARD, 0, SIZE, NULL), 0);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.orig_data_size, 0);
	assert_int_equal(stat.compr_data_size, 0);
	assert_int_equal(stat.same_pages, 0);
	fixture_close(&f);
	free(buf);
	free(want);
}

/* ThreadSanitizer leaves a process less address space than that. */
#ifdef __SANITIZE_THREAD__
#define HUGE_DEVICE (UINT64_C(1) << 38)
#else
#define HUGE_DEVICE UZ_DISKSIZE_MAX
#endif

static void test_zeroing_a_hole_costs_nothing(void **state)
{
	struct uz_device_stat stat;
	struct fixture f;
	uint64_t before;

	(void)state;
	fixture_open(&f, NULL, HUGE_DEVICE);
	/* So that the thread's own memory is touched. */
	assert_int_equal(submit(&f, UZ_OP_ZERO, 1, 2 * UZ_PAGE_SIZE, NULL), 0);
	uz_device_stat(f.dev, &stat);
	before = stat.mem_resident;
	assert_int_equal(submit(&f, UZ_OP_ZERO, 1, HUGE_DEVICE - 2, NULL), 0);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.orig_data_size, 0);
	assert_true(stat.mem_resident <= before + UZ_PAGE_SIZE);
	fixture_close(&f);
}

static void test_out_of_range(void **state)
{
	unsigned char page[UZ_PAGE_SIZE] = { 0 };
	struct uz_device_stat stat;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	assert_int_equal(submit(&f, UZ_OP_WRITE, SIZE, 1, page), -EINVAL);
	assert_int_equal(submit(&f, UZ_OP_READ, SIZE - 1, 2, page), -EINVAL);
	assert_int_equal(submit(&f, UZ_OP_DISCARD, UINT64_MAX, 2, NULL),
			 -EINVAL);
	assert_int_equal(submit(&f, UZ_OP_READ, 0, UINT64_MAX, page), -EINVAL);
	assert_int_equal(submit(&f, UZ_OP_READ, SIZE, 0, page), 0);
	assert_int_equal(submit(&f, (enum uz_op)77, 0, 0, page), -EINVAL);
	assert_int_equal(submit(&f, UZ_OP_FLUSH, 0, 0, NULL), 0);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.invalid_io, 4);
	assert_int_equal(stat.failed_writes, 0);
	fixture_close(&f);
}

static void test_data_and_holes(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct fixture f;
	uint64_t at = 0;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	assert_int_equal(uz_device_next(f.dev, 0, true, &at), -ENXIO);
	assert_int_equal(uz_device_next(f.dev, 10, false, &at), 0);
	assert_int_equal(at, 10);
	page_text(page, 1);
	assert_int_equal(uz_page_store(f.io, 600, page), 0);
	assert_int_equal(uz_page_store(f.io, 601, page), 0);
	assert_int_equal(uz_device_next(f.dev, 5, true, &at), 0);
	assert_int_equal(at, 600 * 4096);
	assert_int_equal(uz_device_next(f.dev, 600 * 4096 + 7, true, &at), 0);
	assert_int_equal(at, 600 * 4096 + 7);
	assert_int_equal(uz_device_next(f.dev, 600 * 4096 + 7, false, &at), 0);
	assert_int_equal(at, 602 * 4096);
	assert_int_equal(uz_device_next(f.dev, 602 * 4096, true, &at), -ENXIO);
	assert_int_equal(uz_device_next(f.dev, SIZE, false, &at), -ENXIO);
	fixture_close(&f);
}

/*
 * Flip a bit in each byte of the arena that is not zero, in turn: at most one
 * page fails, with -EIO, none ever reads wrong, and a new store heals it. By
 * pread and pwrite: a look through a mapping would populate holes.
 */
static void test_damage_is_seen(void **state)
{
	static unsigned char arena[24 << 18]; /* any of the first windows */
	unsigned char want[3][UZ_PAGE_SIZE], got[UZ_PAGE_SIZE];
	const char *zpool = getenv("UZ_ZPOOL");
	unsigned int seen[3] = { 0 };
	struct uz_device_stat stat;
	struct fixture f;
	size_t at, i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	page_text(want[0], 1);
	page_noise(want[1], 2);
	page_same(want[2], UINT64_C(0x0123456789abcdef));
	for (i = 0; i < 3; i++)
		assert_int_equal(uz_page_store(f.io, i, want[i]), 0);
	assert_int_equal(pread(f.mem.arena_fd, arena, sizeof(arena), 0),
			 sizeof(arena));
	for (at = 0; at < sizeof(arena); at++) {
		unsigned char flipped = arena[at] ^ 0x10;
		unsigned int bad = 0;

		if (!arena[at])
			continue; /* mostly beyond the objects */
		assert_int_equal(pwrite(f.mem.arena_fd, &flipped, 1, (off_t)at),
				 1);
		for (i = 0; i < 3; i++) {
			int err = uz_page_load(f.io, i, got);

			if (err) {
				assert_int_equal(err, -EIO);
				seen[i]++;
				bad++;
			} else {
				assert_memory_equal(got, want[i], UZ_PAGE_SIZE);
			}
		}
		/* The pool's own bytes between an object's do no harm. */
		if (!zpool || strcmp(zpool, "scatter"))
			assert_int_equal(bad, 1);
		assert_true(bad <= 1);
		assert_int_equal(
			pwrite(f.mem.arena_fd, &arena[at], 1, (off_t)at), 1);
	}
	assert_true(seen[0] > 500);
	assert_true(seen[1] > 4000);
	assert_true(seen[2] >= 8);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.failed_reads, seen[0] + seen[1] + seen[2]);
	assert_int_equal(stat.checksum_errors, stat.failed_reads);

	/* The first object, whichever that is, for good. */
	memset(got, 0xff, sizeof(got));
	assert_int_equal(pwrite(f.mem.arena_fd, got, 64, 0), 64);
	for (i = 0; i < 3; i++)
		assert_int_equal(uz_page_store(f.io, i, want[i]), 0);
	for (i = 0; i < 3; i++)
		expect_page(&f, i, want[i]);
	fixture_close(&f);
}

static void test_partial_store_of_damage_fails(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	struct fixture f;
	unsigned char *arena;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	page_noise(page, 1);
	assert_int_equal(uz_page_store(f.io, 0, page), 0);
	arena = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		     f.mem.arena_fd, 0);
	arena[77] ^= 1;
	assert_int_equal(submit(&f, UZ_OP_WRITE, 10, 10, page), -EIO);
	arena[77] ^= 1;
	expect_page(&f, 0, page);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.failed_writes, 1);
	munmap(arena, 4096);
	fixture_close(&f);
}

/* A slot whose size is impossible: read, written and dropped. */
static void test_damaged_slots_do_no_harm(void **state)
{
	unsigned char page[UZ_PAGE_SIZE], got[UZ_PAGE_SIZE];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	page_text(page, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(uz_page_store(f.io, i, page), 0);
	/* Kind raw, with more bytes than any object; then without any. */
	for (i = 0; i < 2; i++) {
		uz_slot_t good = uz_table_load(f.dev->table, 0);
		uz_slot_t bad[] = {
			uz_slot_make(UZ_SLOT_RAW, 0, 8191, uz_slot_ref(good)),
			uz_slot_make(UZ_SLOT_OBJECT, 0, 0, uz_slot_ref(good)),
		};

		uz_table_exchange(f.dev->table, 0, bad[i]);
		assert_int_equal(uz_page_load(f.io, 0, got), -EIO);
		assert_int_equal(uz_page_store(f.io, 0, page), 0);
		expect_page(&f, 0, page);
		uz_table_exchange(f.dev->table, 0, bad[i]);
		uz_page_drop(f.io, 0);
		assert_int_equal(uz_page_store(f.io, 0, page), 0);
	}
	for (i = 0; i < 3; i++)
		expect_page(&f, i, page);
	/*
	 * Objects that no slot names any more are left behind: no full check.
	 */
	fixture_forget(&f);
	uz_device_mem_close(&f.mem);
}

/*
 * Slots that are possible by themselves, but name places where no such object
 * lies: the arena's last bytes, beyond them, the rest of another object.
 */
static void test_misdirected_slots_do_no_harm(void **state)
{
	static const uint32_t sizes[] = { 1, 4, 100, 2000, 4095 };
	unsigned char page[UZ_PAGE_SIZE], got[UZ_PAGE_SIZE];
	struct fixture f;
	uz_ref_t near, end;
	unsigned int i, s;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	page_text(page, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(uz_page_store(f.io, i, page), 0);
	near = uz_slot_ref(uz_table_load(f.dev->table, 1));
	end = f.dev->ref_end;
	for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		const uz_ref_t refs[] = { end - 1,    end - 13,	 end - 64,
					  end - 512,  end - 600, end / 2,
					  near + 1,   near + 32, near + 8192,
					  near + 512, end,	 end + 1000 };

		for (i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
			uz_slot_t bad = uz_slot_make(UZ_SLOT_OBJECT, 0,
						     sizes[s], refs[i]);

			uz_table_exchange(f.dev->table, 0, bad);
			assert_int_equal(uz_page_load(f.io, 0, got), -EIO);
			assert_int_equal(submit(&f, UZ_OP_WRITE, 10, 10, page),
					 -EIO);
			assert_int_equal(uz_page_store(f.io, 0, page), 0);
			expect_page(&f, 0, page);
			uz_table_exchange(f.dev->table, 0, bad);
			uz_page_drop(f.io, 0);
			assert_int_equal(uz_page_store(f.io, 0, page), 0);
		}
	}
	for (i = 0; i < 3; i++)
		expect_page(&f, i, page);
	/*
	 * Objects that no slot names any more are left behind: no full check.
	 */
	fixture_forget(&f);
	uz_device_mem_close(&f.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds_and_costs),
		cmocka_unit_test(test_any_offset_and_length),
		cmocka_unit_test(test_discard_keeps_the_ends),
		cmocka_unit_test(test_zeroing_a_hole_costs_nothing),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_data_and_holes),
		cmocka_unit_test(test_damage_is_seen),
		cmocka_unit_test(test_partial_store_of_damage_fails),
		cmocka_unit_test(test_damaged_slots_do_no_harm),
		cmocka_unit_test(test_misdirected_slots_do_no_harm),
	};

	return cmocka_run_group_tests_name("device page", tests, NULL, NULL);
}
