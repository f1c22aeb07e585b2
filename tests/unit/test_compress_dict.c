// SPDX-License-Identifier: MIT
/*
 * Dictionaries: pages come back, and smaller than without; contexts share one
 * and leave it as it is; a damaged one makes no other pages; what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/pages.h>
#include <uzram/compress.h>

/* Small enough that the 4096 places of lz4 hold it. */
#define DICT_SIZE 8192

static unsigned char bytes[DICT_SIZE], copy[DICT_SIZE];

/* Bytes without a pattern, so that only the dictionary can help a page. */
static void fill(unsigned char *to, size_t size, uint64_t *random)
{
	size_t i;

	for (i = 0; i < size; i++)
		to[i] = (unsigned char)page_random(random);
}

/* A part of the dictionary in which some bytes are changed. */
static void page_of(unsigned char page[UZ_PAGE_SIZE], uint64_t *random)
{
	int i;

	memcpy(page, bytes + page_random(random) % (DICT_SIZE - UZ_PAGE_SIZE),
	       UZ_PAGE_SIZE);
	for (i = 0; i < 8; i++)
		page[page_random(random) % UZ_PAGE_SIZE] ^= 0x55;
}

/* Of the compressed bytes, the checksum included. */
static void damage(unsigned char *out, size_t len,
		   const unsigned char page[UZ_PAGE_SIZE],
		   struct uz_codec_ctx *ctx, uint64_t *random)
{
	const uint64_t bit = page_random(random) % (len * 8);
	unsigned char back[UZ_PAGE_SIZE];

	out[bit / 8] ^= (unsigned char)(1u << bit % 8);
	/* There may be bits that mean nothing. */
	if (!uz_codec_decompress(ctx, out, len, back))
		assert_memory_equal(page, back, UZ_PAGE_SIZE);
}

/* Of the dictionary, at every byte of what one page was made from. */
static void one_damaged(const char *text)
{
	unsigned char page[UZ_PAGE_SIZE], out[UZ_PAGE_SIZE], back[UZ_PAGE_SIZE];
	unsigned char bad[DICT_SIZE];
	struct uz_codec_dict *dict, *other;
	struct uz_codec_ctx *to, *from;
	struct uz_codec codec;
	unsigned int seen = 0;
	size_t len, at;

	memcpy(page, bytes, UZ_PAGE_SIZE);
	assert_int_equal(uz_codec_parse(text, &codec, NULL), 0);
	codec.dict = 1;
	assert_int_equal(uz_codec_dict_create(&codec, bytes, DICT_SIZE, &dict),
			 0);
	assert_int_equal(uz_codec_ctx_create(&codec, dict, &to), 0);
	assert_int_equal(uz_codec_compress(to, page, out, UZ_PAGE_SIZE, &len),
			 0);
	for (at = 0; at < UZ_PAGE_SIZE; at += 97) {
		memcpy(bad, bytes, DICT_SIZE);
		bad[at] ^= 1;
		assert_int_equal(
			uz_codec_dict_create(&codec, bad, DICT_SIZE, &other),
			0);
		assert_int_equal(uz_codec_ctx_create(&codec, other, &from), 0);
		if (uz_codec_decompress(from, out, len, back))
			seen++;
		else
			assert_memory_equal(page, back, UZ_PAGE_SIZE);
		uz_codec_ctx_destroy(from);
		uz_codec_dict_destroy(other);
	}
	assert_true(seen);
	uz_codec_ctx_destroy(to);
	uz_codec_dict_destroy(dict);
}

static void one_codec(const char *text, uint64_t *random)
{
	unsigned char page[UZ_PAGE_SIZE], out[UZ_PAGE_SIZE], back[UZ_PAGE_SIZE];
	struct uz_codec_ctx *to, *from, *plain;
	struct uz_codec_dict *dict;
	struct uz_codec codec;
	size_t len, first = 0;
	int i;

	assert_int_equal(uz_codec_parse(text, &codec, NULL), 0);
	assert_int_equal(uz_codec_ctx_create(&codec, NULL, &plain), 0);
	codec.dict = 1;
	assert_int_equal(uz_codec_dict_create(&codec, bytes, DICT_SIZE, &dict),
			 0);
	assert_true(uz_codec_dict_bytes(dict) > 4096);
	assert_int_equal(uz_codec_ctx_create(&codec, dict, &to), 0);
	assert_int_equal(uz_codec_ctx_create(&codec, dict, &from), 0);
	for (i = 0; i < 300; i++) {
		page_of(page, random);
		/* Without the dictionary there is nothing to gain. */
		assert_int_equal(uz_codec_compress(plain, page, out,
						   UZ_PAGE_SIZE * 3 / 4, &len),
				 -E2BIG);
		assert_int_equal(uz_codec_compress(to, page, out,
						   UZ_PAGE_SIZE / 4, &len),
				 0);
		assert_int_equal(uz_codec_decompress(from, out, len, back), 0);
		assert_memory_equal(page, back, UZ_PAGE_SIZE);
		/* Made for it, so without it there is no page, or another. */
		if (!uz_codec_decompress(plain, out, len, back))
			assert_memory_not_equal(page, back, UZ_PAGE_SIZE);
		assert_int_equal(uz_codec_decompress(from, out, 4, back), -EIO);
		damage(out, len, page, from, random);
		if (i % 7 == 0) /* a page that does not fit leaves no trace */
			assert_int_equal(
				uz_codec_compress(to, page, out, 8, &len),
				-E2BIG);
	}
	/* Always the same result, however much has gone through. */
	memcpy(page, bytes + 1000, UZ_PAGE_SIZE);
	for (i = 0; i < 3; i++) {
		assert_int_equal(uz_codec_compress(i == 1 ? from : to, page,
						   out, UZ_PAGE_SIZE, &len),
				 0);
		first = i ? first : len;
		assert_int_equal(len, first);
	}
	assert_memory_equal(bytes, copy, DICT_SIZE);
	uz_codec_ctx_destroy(plain);
	uz_codec_ctx_destroy(from);
	uz_codec_ctx_destroy(to);
	uz_codec_dict_destroy(dict);
}

static void test_pages(void **state)
{
	static const char *const codecs[] = {
		"lz4",		 "lz4:level=8",	   "lz4hc",
		"lz4hc:level=2", "lz4hc:level=12", "zstd",
		"zstd:level=-5", "zstd:level=19"
	};
	uint64_t random = page_seed("# ");
	struct uz_codec codec;
	size_t i;

	(void)state;
	fill(bytes, DICT_SIZE, &random);
	memcpy(copy, bytes, DICT_SIZE);
	for (i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++)
		if (!uz_codec_parse(codecs[i], &codec, NULL)) {
			one_codec(codecs[i], &random);
			one_damaged(codecs[i]);
		}
}

static void test_refused(void **state)
{
	static const unsigned char broken[64] = { 0x37, 0xa4, 0x30, 0xec };
	struct uz_codec_dict *dict = NULL;
	struct uz_codec codec;

	(void)state;
	assert_int_equal(uz_codec_parse("store", &codec, NULL), 0);
	assert_int_equal(uz_codec_dict_create(&codec, bytes, 100, &dict),
			 -ENOTSUP);
	assert_int_equal(uz_codec_parse("zstd", &codec, NULL), 0);
	assert_int_equal(uz_codec_dict_create(&codec, bytes, 7, &dict),
			 -ERANGE);
	assert_int_equal(uz_codec_dict_create(&codec, bytes,
					      UZ_CODEC_DICT_MAX + 1, &dict),
			 -ERANGE);
	assert_int_equal(
		uz_codec_dict_create(&codec, broken, sizeof(broken), &dict),
		-EINVAL);
	assert_null(dict);
	uz_codec_dict_destroy(NULL);
	assert_int_equal(uz_codec_dict_bytes(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("compress dict", tests, NULL, NULL);
}
