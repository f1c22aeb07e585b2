// SPDX-License-Identifier: MIT
/*
 * Dictionaries of a device's codecs: what is stored by one comes back, also to
 * whoever adopts the memory; one lives as long as a page needs it and no
 * longer; what is refused changes nothing; and damage is told of, costs only
 * the pages that need the dictionary, and never gives other bytes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE	  (4u << 20)
#define PAGES	  64u
#define DICT_SIZE 8000u /* no multiple of a page */

static const char *const codecs[] = { "lz4", "lz4hc", "zstd", "zstd:level=9" };

static unsigned char bytes[2][2 * UZ_PAGE_SIZE];
static const struct uz_device_dict dicts[2] = {
	{ bytes[0], DICT_SIZE },
	{ bytes[1], DICT_SIZE },
};

static int set_up(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		page_noise(bytes[i / 2] + i % 2 * UZ_PAGE_SIZE, i);
	return 0;
}

/* A part of a dictionary, which without it does not compress. */
static void page_of(unsigned char *page, unsigned int dict, uint64_t n)
{
	memcpy(page, bytes[dict] + n * 37 % (DICT_SIZE - UZ_PAGE_SIZE),
	       UZ_PAGE_SIZE);
	memcpy(page + 100, &n, sizeof(n));
}

static void put_pages(struct fixture *f, unsigned int dict, uint64_t first)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = first; i < first + PAGES; i++) {
		page_of(page, dict, i);
		assert_int_equal(uz_page_store(f->io, i, page), 0);
	}
}

static void expect_pages(struct fixture *f, unsigned int dict, uint64_t first)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = first; i < first + PAGES; i++) {
		page_of(page, dict, i);
		expect_page(f, i, page);
	}
}

static void choose(struct fixture *f, const char *codec, unsigned int dict)
{
	struct uz_err err = { 0 };

	if (uz_device_set_dict(f->dev, 0, codec, &dicts[dict], &err))
		fail_msg("%s", err.text);
}

static uint64_t compressed(struct fixture *f)
{
	struct uz_device_stat stat;

	uz_device_stat(f->dev, &stat);
	return stat.compr_data_size;
}

/* Dictionaries in the device's memory. */
static unsigned int held(const struct fixture *f)
{
	unsigned int i, n = 0;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		n += f->dev->ctl->super.dict_bytes[i] != 0;
	return n;
}

static void one_codec(const char *codec)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	struct uz_codec before, after;
	struct uz_device_stat stat;
	struct fixture f;
	uint64_t meta;

	fixture_open(&f, codec, SIZE);
	put_pages(&f, 0, 0);
	assert_true(compressed(&f) > PAGES * UZ_PAGE_SIZE * 9 / 10);
	uz_device_stat(f.dev, &stat);
	meta = stat.meta_bytes;
	choose(&f, codec, 0);
	uz_device_stat(f.dev, &stat);
	assert_true(stat.meta_bytes >= meta + DICT_SIZE);
	put_pages(&f, 0, 0);
	assert_true(compressed(&f) < PAGES * UZ_PAGE_SIZE / 4);
	fixture_check(&f);

	/* The next one: pages of both, and what is adopted has both. */
	choose(&f, codec, 1);
	put_pages(&f, 1, PAGES);
	assert_true(compressed(&f) < 2 * PAGES * UZ_PAGE_SIZE / 4);
	assert_int_equal(held(&f), 2);
	uz_device_codec(f.dev, &before);
	fixture_forget(&f);
	fixture_adopt(&f);
	uz_device_codec(f.dev, &after);
	assert_true(uz_codec_same(&before, &after));
	expect_pages(&f, 0, 0);
	expect_pages(&f, 1, PAGES);
	fixture_check(&f);

	/* By its number alone, as a text from elsewhere names it. */
	uz_codec_format(&after, text);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), 0);
	assert_int_equal(uz_device_set_codec(f.dev, text, NULL), 0);
	assert_int_equal(held(&f), 2);

	/* The first one goes after its last page, with the next choice. */
	put_pages(&f, 1, 0);
	assert_true(compressed(&f) < 2 * PAGES * UZ_PAGE_SIZE / 4);
	choose(&f, codec, 1);
	assert_int_equal(held(&f), 1);
	assert_int_equal(uz_device_set_codec(f.dev, codec, NULL), 0);
	assert_int_equal(held(&f), 1);
	expect_pages(&f, 1, 0);
	fixture_check(&f);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	assert_int_equal(held(&f), 0);
	fixture_close(&f);
}

static void test_codecs(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		one_codec(codecs[i]);
}

/* Whether the system has memory for dictionaries. */
static bool is_resident(const struct fixture *f)
{
	return lseek(f->mem.ctl_fd, (off_t)UZ__DICTS_AT, SEEK_DATA) >= 0;
}

/* Given back to the system, not only forgotten. */
static void test_memory(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "lz4", SIZE);
	put_pages(&f, 0, 0);
	assert_false(is_resident(&f));
	choose(&f, "lz4", 0);
	assert_true(is_resident(&f));
	assert_int_equal(uz_device_set_codec(f.dev, "lz4", NULL), 0);
	assert_false(is_resident(&f));

	/* One that a death has left without its codec. */
	choose(&f, "lz4", 0);
	f.dev->ctl->super.codecs[atomic_load(&f.dev->codec)][0] = '\0';
	atomic_store(&f.dev->ctl->super.codec, 0);
	fixture_forget(&f);
	assert_true(is_resident(&f));
	fixture_adopt(&f);
	assert_int_equal(held(&f), 0);
	assert_false(is_resident(&f));
	expect_pages(&f, 0, 0);
	fixture_close(&f);
}

/* Recompression by a codec with a dictionary, and one before the size. */
static void test_secondary(void **state)
{
	struct uz_recompress how = { .priority = 1 };
	struct uz_recompression done = { 0 };
	struct fixture f;
	uint64_t at = 0;

	(void)state;
	fixture_open(&f, "lz4", 0);
	assert_int_equal(uz_device_set_dict(f.dev, 1, "zstd", &dicts[0], NULL),
			 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	put_pages(&f, 0, 0);
	assert_int_equal(uz_recompress_begin(f.dev, &how, NULL), 0);
	while (uz_recompress(f.io, &how, &at, 16, &done) == 1)
		;
	assert_int_equal(done.gained, PAGES);
	assert_true(compressed(&f) < PAGES * UZ_PAGE_SIZE / 4);
	expect_pages(&f, 0, 0);
	fixture_forget(&f);
	fixture_adopt(&f);
	expect_pages(&f, 0, 0);
	fixture_close(&f);
}

static void refuse(struct fixture *f, const char *codec,
		   const struct uz_device_dict *dict, int ret, const char *says)
{
	struct uz_codec before, after;
	struct uz_err err = { 0 };

	uz_device_codec(f->dev, &before);
	assert_int_equal(uz_device_set_dict(f->dev, 0, codec, dict, &err), ret);
	if (!strstr(err.text, says))
		fail_msg("\"%s\" is not in: %s", says, err.text);
	uz_device_codec(f->dev, &after);
	assert_true(uz_codec_same(&before, &after));
	assert_int_equal(held(f), 1);
	fixture_check(f);
}

static void test_refused(void **state)
{
	static const unsigned char broken[64] = { 0x37, 0xa4, 0x30, 0xec };
	const struct uz_device_dict damaged = { broken, sizeof(broken) };
	struct uz_device_dict dict = dicts[1];
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	choose(&f, "lz4", 0);
	put_pages(&f, 0, 0);
	refuse(&f, "store", &dict, -ENOTSUP, "no use for dictionaries");
	refuse(&f, "zstd", &damaged, -EINVAL, "dictionary for zstd is damaged");
	refuse(&f, "lz4:dict=1", &dict, -EUCLEAN, "its number is");
	refuse(&f, "lz4:dict=x", &dict, -EINVAL, "not the number");
	refuse(&f, "lz4:dict=1", NULL, -EINVAL, "has no dictionary 1 for lz4");
	refuse(&f, "store:dict=1", NULL, -EINVAL, "no use for dictionaries");
	dict.size = UZ_CODEC_DICT_MIN - 1;
	refuse(&f, "lz4", &dict, -ERANGE, "too small");
	assert_int_equal(uz_device_set_dict(f.dev, UZ_PRIORITIES, "lz4",
					    &dicts[1], NULL),
			 -EINVAL);
	expect_pages(&f, 0, 0);
	fixture_close(&f);
}

static void test_too_large(void **state)
{
	struct uz_device_dict dict = { .size = UZ_CODEC_DICT_MAX + 1 };
	struct fixture f;

	(void)state;
	dict.bytes = calloc(1, dict.size);
	fixture_open(&f, NULL, SIZE);
	choose(&f, "lz4", 0);
	refuse(&f, "lz4", &dict, -ERANGE, "too large");
	dict.size--;
	assert_int_equal(uz_device_set_dict(f.dev, 0, "lz4", &dict, NULL), 0);
	fixture_close(&f);
	free((void *)dict.bytes);
}

/* More than there are places, each with pages: an error, and all still read. */
static void test_many(void **state)
{
	struct uz_err err = { 0 };
	char text[40];
	struct fixture f;
	uint64_t i;
	int ret = 0;

	(void)state;
	fixture_open(&f, "store", SIZE);
	for (i = 0; !ret; i++) {
		snprintf(text, sizeof(text), "lz4:level=%u",
			 (unsigned int)i + 1);
		ret = uz_device_set_dict(f.dev, 0, text, &dicts[i % 2], &err);
		if (!ret)
			put_pages(&f, i % 2, i * PAGES);
	}
	assert_int_equal(ret, -EBUSY);
	assert_int_equal(i, UZ_SLOT_CODECS + 1);
	assert_int_equal(held(&f), UZ_SLOT_CODECS);
	while (--i)
		expect_pages(&f, (i - 1) % 2, (i - 1) * PAGES);
	fixture_close(&f);
}

static void flip(struct fixture *f, unsigned int index)
{
	off_t at = (off_t)(UZ__DICTS_AT + (uint64_t)index * UZ_CODEC_DICT_MAX +
			   5000);
	unsigned char byte;

	assert_int_equal(pread(f->mem.ctl_fd, &byte, 1, at), 1);
	byte ^= 4;
	assert_int_equal(pwrite(f->mem.ctl_fd, &byte, 1, at), 1);
}

static uint64_t scrub(struct fixture *f, uint64_t *bad)
{
	struct uz_scrub done = { 0 };

	while (uz_device_scrub(f->io, 10, &done))
		;
	*bad = done.bad;
	return done.errors;
}

static void test_damage(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	unsigned int index;
	struct fixture f;
	uint64_t i, bad;

	(void)state;
	fixture_open(&f, "zstd", SIZE);
	put_pages(&f, 0, 0);
	choose(&f, "lz4", 0);
	index = atomic_load(&f.dev->codec);
	put_pages(&f, 0, PAGES);
	assert_int_equal(scrub(&f, &bad), 0);
	flip(&f, index);
	assert_int_equal(scrub(&f, &bad), PAGES);
	assert_int_equal(bad, PAGES);
	assert_int_equal(uz_device_check(f.dev, NULL), -EUCLEAN);

	/* Who adopts it has lost those pages, and nothing else. */
	fixture_forget(&f);
	fixture_adopt(&f);
	expect_pages(&f, 0, 0);
	for (i = PAGES; i < 2 * PAGES; i++)
		assert_int_equal(uz_page_load(f.io, i, page), -EIO);
	assert_int_equal(scrub(&f, &bad), PAGES);
	assert_int_equal(uz_snapshot_begin(f.dev, &snap, &info, NULL), -EIO);
	/* It stores, although not by that codec. */
	put_pages(&f, 1, PAGES / 2);
	expect_pages(&f, 1, PAGES / 2);
	/* The same again is another one. */
	choose(&f, "lz4", 0);
	assert_int_not_equal(atomic_load(&f.dev->codec), index);
	put_pages(&f, 0, 2 * PAGES);
	expect_pages(&f, 0, 2 * PAGES);
	/* With the last page of it the damage goes. */
	put_pages(&f, 0, PAGES);
	choose(&f, "lz4", 0);
	assert_int_equal(held(&f), 1);
	assert_int_equal(scrub(&f, &bad), 0);
	fixture_check(&f);

	/* Bytes that are missing altogether. */
	assert_int_equal(ftruncate(f.mem.ctl_fd, UZ__DICTS_AT), 0);
	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(uz_page_load(f.io, PAGES, page), -EIO);
	put_pages(&f, 0, PAGES);
	expect_pages(&f, 0, PAGES);
	fixture_forget(&f);
	uz_device_mem_close(&f.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codecs),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_secondary),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests_name("device dict", tests, set_up, NULL);
}
