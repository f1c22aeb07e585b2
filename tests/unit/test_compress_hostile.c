// SPDX-License-Identifier: MIT
/*
 * Bytes that no codec made: whatever they are, decoding ends with 0 or -EIO
 * and stays within the bytes given and the one page. Both lie between guard
 * pages, so that a byte too far is a crash.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <tests/pages.h>
#include <uzram/compress.h>

#include "config.h"

#define ROUNDS 20000

struct hostile {
	uint64_t random;
	unsigned char *src;
	unsigned char *dst;
	struct uz_codec_ctx *ctx;
};

/*
 * Decode @len bytes of @bytes from the end, or the start, of the guarded page.
 */
static int decode(const struct hostile *h, const void *bytes, size_t len,
		  bool at_start)
{
	unsigned char *src = h->src + (at_start ? 0 : UZ_PAGE_SIZE - len);
	int ret;

	memmove(src, bytes, len);
	ret = uz_codec_decompress(h->ctx, src, len, h->dst);
	if (ret)
		assert_int_equal(ret, -EIO);
	return ret;
}

/* A page of random kind, compressed; its length is in @len. */
static void make_good(struct hostile *h, unsigned char out[UZ_PAGE_SIZE],
		      size_t *len)
{
	unsigned char page[UZ_PAGE_SIZE];
	size_t kind = page_random(&h->random) % PAGE_RANDOM;

	page_fill(page, (enum page_kind)kind, &h->random);
	assert_int_equal(
		uz_codec_compress(h->ctx, page, out, UZ_PAGE_SIZE, len), 0);
}

static void fuzz_random(struct hostile *h)
{
	unsigned char bytes[UZ_PAGE_SIZE];
	unsigned int refused = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t len = 1 + page_random(&h->random) % UZ_PAGE_SIZE;

		if (i % 2)
			len = 1 + len % 64;
		for (size_t k = 0; k < len; k++)
			bytes[k] = (unsigned char)page_random(&h->random);
		refused += decode(h, bytes, len, i % 4 < 2) != 0;
	}
	assert_true(refused > ROUNDS / 2);
}

/* Some start like the real thing and then go wrong: bits, bytes, splices. */
static void fuzz_damaged(struct hostile *h)
{
	unsigned char bytes[UZ_PAGE_SIZE], other[UZ_PAGE_SIZE];
	size_t len, other_len;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t hits = 1 + page_random(&h->random) % 4;

		make_good(h, bytes, &len);
		if (i % 4 == 3) {
			make_good(h, other, &other_len);
			other_len = other_len < len ? other_len : len;
			memcpy(bytes + len - other_len / 2,
			       other + other_len - other_len / 2,
			       other_len / 2);
		}
		while (hits--) {
			size_t at = page_random(&h->random) % len;
			uint64_t by = page_random(&h->random);

			bytes[at] ^= (unsigned char)(i % 2 ? 1u << by % 8 : by);
		}
		(void)decode(h, bytes, len, i % 8 < 4);
	}
}

/* Neither a byte less nor a byte more is one page. */
static void check_length(struct hostile *h)
{
	unsigned char bytes[UZ_PAGE_SIZE + 1];
	size_t len;

	for (unsigned int i = 0; i < PAGE_KINDS; i++) {
		make_good(h, bytes, &len);
		assert_int_equal(decode(h, bytes, len, false), 0);
		for (size_t cut = 1; cut < len; cut++)
			assert_int_equal(decode(h, bytes, cut, false), -EIO);
		for (unsigned int more = 0; more < 256; more++) {
			if (len == UZ_PAGE_SIZE)
				break;
			bytes[len] = (unsigned char)more;
			assert_int_equal(decode(h, bytes, len + 1, false),
					 -EIO);
		}
	}
}

static void test_all(void **state)
{
	struct hostile *h = *state;
	struct uz_codec codec;

	for (unsigned int i = 0; uz_codec_known(i); i++) {
		assert_int_equal(
			uz_codec_parse(uz_codec_known(i), &codec, NULL), 0);
		assert_int_equal(uz_codec_ctx_create(&codec, NULL, &h->ctx), 0);
		fuzz_random(h);
		fuzz_damaged(h);
		check_length(h);
		uz_codec_ctx_destroy(h->ctx);
	}
}

#if UZ_HAVE_ZSTD
static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

/* What libzstd takes for the start of something, and none of it is ours. */
static void test_zstd_strangers(void **state)
{
	static const uint32_t magics[] = {
		0xfd2fb51e, 0xfd2fb522, 0xfd2fb523, 0xfd2fb524, 0xfd2fb525,
		0xfd2fb526, 0xfd2fb527, 0xfd2fb529, 0x184d2a50, 0x184d2a5f,
	};
	unsigned char bytes[UZ_PAGE_SIZE], good[UZ_PAGE_SIZE];
	struct hostile *h = *state;
	struct uz_codec codec;
	size_t len;

	assert_int_equal(uz_codec_parse("zstd", &codec, NULL), 0);
	assert_int_equal(uz_codec_ctx_create(&codec, NULL, &h->ctx), 0);
	do
		make_good(h, good, &len);
	while (len > UZ_PAGE_SIZE - 8);
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
		memcpy(bytes, good, len);
		put32(bytes, magics[i]);
		assert_int_equal(decode(h, bytes, len, false), -EIO);
	}
	/* A frame to be skipped, empty, before and after a good one. */
	put32(bytes, 0x184d2a50);
	put32(bytes + 4, 0);
	memcpy(bytes + 8, good, len);
	assert_int_equal(decode(h, bytes, len + 8, false), -EIO);
	memmove(bytes + len, bytes, 8);
	memcpy(bytes, good, len);
	assert_int_equal(decode(h, bytes, len + 8, false), -EIO);
	assert_int_equal(decode(h, bytes, len, false), 0);
	uz_codec_ctx_destroy(h->ctx);
}
#endif

static int set_up(void **state)
{
	static struct hostile hostile;

	hostile.random = page_seed("# ");
	hostile.src = page_guarded();
	hostile.dst = page_guarded();
	*state = &hostile;
	return hostile.src && hostile.dst ? 0 : -1;
}

static int tear_down(void **state)
{
	struct hostile *h = *state;

	page_unguard(h->src);
	page_unguard(h->dst);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
#if UZ_HAVE_ZSTD
		cmocka_unit_test(test_zstd_strangers),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
