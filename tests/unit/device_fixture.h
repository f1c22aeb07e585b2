/* SPDX-License-Identifier: MIT */
#ifndef DEVICE_FIXTURE_H
#define DEVICE_FIXTURE_H

/*
 * What the tests of the device share: a device on new memory, and pages that
 * can be told apart. Include after <cmocka.h>.
 */
#include <stdlib.h>
#include <string.h>

#include <uzram/device.h>

struct fixture {
	struct uz_device_mem mem;
	struct uz_device *dev;
	struct uz_io *io;
};

/* Does the default codec compress? It only copies in a build without others. */
static inline bool codec_compresses(void)
{
	return strcmp(uz_codec_known(0), "store") != 0;
}

/* A codec whose levels go from 1 to 12 at least, or NULL. */
static inline const char *level_codec(void)
{
	static const char *const names[] = { "lz4", "zstd", "deflate" };
	struct uz_codec codec;
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!uz_codec_parse(names[i], &codec, NULL))
			return names[i];
	return NULL;
}

/* A codec that takes dictionaries, or NULL. */
static inline const char *dict_codec(void)
{
	struct uz_codec codec;

	if (!uz_codec_parse("lz4:dict=1", &codec, NULL))
		return "lz4";
	return uz_codec_parse("zstd:dict=1", &codec, NULL) ? NULL : "zstd";
}

/* The allocator that the environment asks for, or the default. */
static inline void fixture_zpool(struct uz_device *dev)
{
	const char *name = getenv("UZ_ZPOOL");

	if (name)
		assert_int_equal(uz_device_set_zpool(dev, name, NULL), 0);
}

static inline void fixture_open(struct fixture *f, const char *codec,
				uint64_t size)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(uz_device_mem_create(&f->mem), 0);
	assert_int_equal(uz_device_open(&f->dev, "test", &f->mem, NULL), 0);
	fixture_zpool(f->dev);
	if (codec)
		assert_int_equal(uz_device_set_codec(f->dev, codec, NULL), 0);
	if (size)
		assert_int_equal(uz_device_set_disksize(f->dev, size, NULL), 0);
	assert_int_equal(uz_io_create(f->dev, &f->io), 0);
}

/* Give up the process's view; the memory stays. */
static inline void fixture_forget(struct fixture *f)
{
	uz_io_destroy(f->io);
	uz_device_close(f->dev);
	f->io = NULL;
	f->dev = NULL;
}

static inline void fixture_adopt(struct fixture *f)
{
	struct uz_err err = { 0 };
	int ret = uz_device_open(&f->dev, "test", &f->mem, &err);

	if (ret)
		fail_msg("%s", err.text);
	assert_int_equal(uz_io_create(f->dev, &f->io), 0);
}

static inline void fixture_check(struct fixture *f)
{
	struct uz_err err = { 0 };

	if (uz_device_check(f->dev, &err))
		fail_msg("%s", err.text);
}

static inline void fixture_close(struct fixture *f)
{
	fixture_check(f);
	fixture_forget(f);
	uz_device_mem_close(&f->mem);
}

/* A page that compresses to about half and differs for each number. */
static inline void page_text(unsigned char *page, uint64_t number)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	unsigned int i;

	for (i = 0; i < UZ_PAGE_SIZE; i++) {
		if (i % 2 == 0)
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		page[i] = (unsigned char)(i % 2 ? 'a' + number % 26 : x);
		if (i % 16 >= 8)
			page[i] = 'z';
	}
}

/*
 * Few letters, no words: a page that lz4 makes smaller, and zstd still much
 * smaller.
 */
static inline void page_dna(unsigned char *page, uint64_t number)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	unsigned int i;

	for (i = 0; i < UZ_PAGE_SIZE; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		page[i] = (unsigned char)"acgt"[x % 4];
	}
	memcpy(page, &number, sizeof(number));
	memset(page + UZ_PAGE_SIZE / 2, 0, UZ_PAGE_SIZE / 4);
}

/* A page that does not compress. */
static inline void page_noise(unsigned char *page, uint64_t number)
{
	uint64_t x = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	unsigned int i;

	for (i = 0; i < UZ_PAGE_SIZE; i += 8) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		memcpy(page + i, &x, 8);
	}
}

static inline void page_same(unsigned char *page, uint64_t word)
{
	unsigned int i;

	for (i = 0; i < UZ_PAGE_SIZE; i += 8)
		memcpy(page + i, &word, 8);
}

static inline void expect_page(struct fixture *f, uint64_t index,
			       const unsigned char *want)
{
	unsigned char got[UZ_PAGE_SIZE];

	assert_int_equal(uz_page_load(f->io, index, got), 0);
	assert_memory_equal(got, want, UZ_PAGE_SIZE);
}

static inline void store_text(struct fixture *f, uint64_t index,
			      uint64_t number)
{
	unsigned char page[UZ_PAGE_SIZE];

	page_text(page, number);
	assert_int_equal(
		uz_device_submit(f->io,
				 &(struct uz_request){
					 .op = UZ_OP_WRITE,
					 .offset = index * UZ_PAGE_SIZE,
					 .length = UZ_PAGE_SIZE,
					 .buf = page,
				 }),
		0);
}

static inline void expect_text(struct fixture *f, uint64_t index,
			       uint64_t number)
{
	unsigned char page[UZ_PAGE_SIZE];

	page_text(page, number);
	expect_page(f, index, page);
}

#endif
