// SPDX-License-Identifier: MIT
/*
 * Dictionaries made of pages: they help pages that they were not made of, are
 * the same each time, keep to their size, and are refused where there is
 * nothing to be learnt.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uzram/compress.h>

#include <tests/pages.h>

#define PAGES 256u
#define CAP   (32u << 10)
#define LINE  64u
#define LINES 512u

static unsigned char lines[LINES][LINE];

/* Lines that many pages have, in another order in each: made once. */
static void make_pages(unsigned char *pages, unsigned int nr, uint64_t *random)
{
	unsigned int i, j;

	for (i = 0; i < nr; i++)
		for (j = 0; j < UZ_PAGE_SIZE / LINE; j++)
			memcpy(pages + i * UZ_PAGE_SIZE + j * LINE,
			       lines[page_random(random) % LINES], LINE);
}

static uint64_t bytes_of(const struct uz_codec *codec,
			 const struct uz_codec_dict *dict,
			 const unsigned char *pages)
{
	unsigned char out[UZ_PAGE_SIZE], back[UZ_PAGE_SIZE];
	struct uz_codec_ctx *ctx;
	uint64_t sum = 0;
	size_t len, i;

	assert_int_equal(uz_codec_ctx_create(codec, dict, &ctx), 0);
	for (i = 0; i < PAGES; i++) {
		const unsigned char *page = pages + i * UZ_PAGE_SIZE;

		if (uz_codec_compress(ctx, page, out, UZ_PAGE_SIZE, &len)) {
			sum += UZ_PAGE_SIZE;
			continue;
		}
		assert_int_equal(uz_codec_decompress(ctx, out, len, back), 0);
		assert_memory_equal(page, back, UZ_PAGE_SIZE);
		sum += len;
	}
	uz_codec_ctx_destroy(ctx);
	return sum;
}

struct scene {
	unsigned char *learn;
	unsigned char *other;
	unsigned char dict[CAP];
	unsigned char again[CAP];
};

static void one_codec(struct scene *s, const char *text)
{
	struct uz_codec_dict *dict;
	uint64_t without, with;
	struct uz_codec codec;
	size_t size, same;

	assert_int_equal(uz_codec_parse(text, &codec, NULL), 0);
	assert_true(uz_codec_dict_reach(&codec) >= CAP);
	assert_int_equal(
		uz_codec_train(&codec, s->learn, PAGES, s->dict, CAP, &size),
		0);
	assert_in_range(size, CAP / 2, CAP);
	assert_int_equal(
		uz_codec_train(&codec, s->learn, PAGES, s->again, CAP, &same),
		0);
	assert_int_equal(size, same);
	assert_memory_equal(s->dict, s->again, size);

	without = bytes_of(&codec, NULL, s->other);
	assert_int_equal(uz_codec_dict_create(&codec, s->dict, size, &dict), 0);
	codec.dict = 1;
	with = bytes_of(&codec, dict, s->other);
	uz_codec_dict_destroy(dict);
	print_message("# %s: %llu bytes without, %llu with %zu\n", text,
		      (unsigned long long)without, (unsigned long long)with,
		      size);
	assert_true(with < without / 2);
}

static void test_gain(void **state)
{
	uint64_t random = page_seed("# ");
	struct scene *s = calloc(1, sizeof(*s));
	unsigned int i, j;

	(void)state;
	for (i = 0; i < LINES; i++)
		for (j = 0; j < LINE; j++)
			lines[i][j] = (unsigned char)page_random(&random);
	s->learn = malloc(PAGES * UZ_PAGE_SIZE);
	s->other = malloc(PAGES * UZ_PAGE_SIZE);
	make_pages(s->learn, PAGES, &random);
	make_pages(s->other, PAGES, &random);
	one_codec(s, "lz4");
	one_codec(s, "lz4hc");
	one_codec(s, "zstd");
	one_codec(s, "zstd:level=-5");
	free(s->learn);
	free(s->other);
	free(s);
}

/* Any size of what is made of few pages. */
static void test_sizes(void **state)
{
	static const size_t caps[] = { UZ_CODEC_TRAIN_MIN, 5000, 65536,
				       UZ_CODEC_DICT_MAX };
	unsigned char *pages = malloc(8 * UZ_PAGE_SIZE);
	unsigned char *dict = malloc(UZ_CODEC_DICT_MAX);
	uint64_t random = page_seed("# ");
	struct uz_codec codec;
	size_t i, size;

	(void)state;
	make_pages(pages, 8, &random);
	memcpy(pages + 7 * UZ_PAGE_SIZE, pages, UZ_PAGE_SIZE);
	assert_int_equal(uz_codec_parse("zstd", &codec, NULL), 0);
	for (i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		assert_int_equal(
			uz_codec_train(&codec, pages, 8, dict, caps[i], &size),
			0);
		assert_in_range(size, 256, caps[i]);
	}
	/* lz4 does not look farther. */
	assert_int_equal(uz_codec_parse("lz4", &codec, NULL), 0);
	assert_int_equal(uz_codec_train(&codec, pages, 8, dict,
					UZ_CODEC_DICT_MAX, &size),
			 0);
	assert_in_range(size, 256, 65536);
	free(dict);
	free(pages);
}

static void test_refusals(void **state)
{
	unsigned char *pages = malloc(2 * UZ_PAGE_SIZE);
	uint64_t random = page_seed("# ");
	unsigned char dict[4096];
	struct uz_codec codec;
	size_t size = 77, i;

	(void)state;
	for (i = 0; i < 2 * UZ_PAGE_SIZE; i++)
		pages[i] = (unsigned char)page_random(&random);
	assert_int_equal(uz_codec_parse("zstd", &codec, NULL), 0);
	/* Noise has nothing in common; a page alone has it with nobody. */
	assert_int_equal(uz_codec_train(&codec, pages, 1, dict, 4096, &size),
			 -E2BIG);
	assert_int_equal(uz_codec_train(&codec, pages, 1, dict,
					UZ_CODEC_TRAIN_MIN - 1, &size),
			 -ERANGE);
	assert_int_equal(uz_codec_train(&codec, pages, 1, dict,
					UZ_CODEC_DICT_MAX + 1, &size),
			 -ERANGE);
	assert_int_equal(uz_codec_parse("store", &codec, NULL), 0);
	assert_int_equal(uz_codec_dict_reach(&codec), 0);
	assert_int_equal(uz_codec_train(&codec, pages, 1, dict, 4096, &size),
			 -ENOTSUP);
	assert_int_equal(size, 77);
	free(pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gain),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("compress train", tests, NULL, NULL);
}
