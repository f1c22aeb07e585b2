// SPDX-License-Identifier: MIT
/*
 * Pages through every codec and back: all kinds of pages, all room for the
 * result, contexts used again after a page that did not fit, contexts of one
 * codec with different levels. Input and output lie between guard pages.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <tests/pages.h>
#include <uzram/compress.h>

#include "config.h"

/* The bounds of each range, the defaults, and where the method changes. */
static const char *const codecs[] = {
#if UZ_HAVE_LZ4
	"lz4",
	"lz4:acceleration=4",
	"lz4:acceleration=32",
	"lz4hc:level=1",
	"lz4hc:level=3",
	"lz4hc",
	"lz4hc:level=10",
	"lz4hc:level=12",
#endif
#if UZ_HAVE_ZSTD
	"zstd:level=-100",
	"zstd:level=-5",
	"zstd:level=0",
	"zstd:level=1",
	"zstd",
	"zstd:level=22",
#endif
#if UZ_HAVE_LZO
	"lzo",
	"lzo-rle",
#endif
#if UZ_HAVE_DEFLATE
	"deflate:level=1",
	"deflate:level=2",
	"deflate",
	"deflate:level=-1",
	"deflate:level=12",
#endif
	"store",
};

#define N_CODECS (sizeof(codecs) / sizeof(codecs[0]))

struct room {
	uint64_t random;
	unsigned char *page;
	unsigned char *out;
	unsigned char *back;
};

static struct uz_codec_ctx *open_codec(const char *text)
{
	struct uz_codec_ctx *ctx = NULL;
	struct uz_codec codec;

	assert_int_equal(uz_codec_parse(text, &codec, NULL), 0);
	assert_int_equal(uz_codec_ctx_create(&codec, NULL, &ctx), 0);
	assert_non_null(ctx);
	return ctx;
}

/* The result lies against the guard page, so @cap is kept to the byte. */
static int squeeze(struct uz_codec_ctx *ctx, const struct room *r, size_t cap,
		   unsigned char **out, size_t *len)
{
	*out = r->out + UZ_PAGE_SIZE - cap;
	return uz_codec_compress(ctx, r->page, *out, cap, len);
}

static void unsqueeze(struct uz_codec_ctx *ctx, const struct room *r,
		      const unsigned char *out, size_t len)
{
	memset(r->back, 0x55, UZ_PAGE_SIZE);
	assert_int_equal(uz_codec_decompress(ctx, out, len, r->back), 0);
	assert_memory_equal(r->back, r->page, UZ_PAGE_SIZE);
}

/* Compress with one, decompress with the other; the length, 0 if too big. */
static size_t round_trip(struct uz_codec_ctx *to, struct uz_codec_ctx *from,
			 const struct room *r, size_t cap)
{
	unsigned char *out;
	size_t len = 4711;
	int ret = squeeze(to, r, cap, &out, &len);

	if (ret) {
		assert_int_equal(ret, -E2BIG);
		assert_int_equal(len, 4711);
		return 0;
	}
	assert_in_range(len, 1, cap);
	/* The compressed bytes alone must do, again against the guard. */
	memmove(r->out + UZ_PAGE_SIZE - len, out, len);
	unsqueeze(from, r, r->out + UZ_PAGE_SIZE - len, len);
	return len;
}

static void test_kinds(void **state)
{
	struct room *r = *state;

	for (size_t i = 0; i < N_CODECS; i++) {
		struct uz_codec_ctx *ctx = open_codec(codecs[i]);

		for (int n = 0; n < 20 * PAGE_KINDS; n++) {
			enum page_kind kind = (enum page_kind)(n % PAGE_KINDS);
			size_t len;

			page_fill(r->page, kind, &r->random);
			len = round_trip(ctx, ctx, r, UZ_PAGE_SIZE);
			if (!strcmp(codecs[i], "store"))
				assert_int_equal(len, UZ_PAGE_SIZE);
			else if (kind == PAGE_ZERO || kind == PAGE_WORD)
				assert_in_range(len, 1, UZ_PAGE_SIZE / 8);
			else if (kind == PAGE_RANDOM)
				assert_int_equal(len, 0);
		}
		uz_codec_ctx_destroy(ctx);
	}
}

static void test_every_byte(void **state)
{
	struct room *r = *state;

	for (unsigned int i = 0; uz_codec_known(i); i++) {
		struct uz_codec_ctx *ctx = open_codec(uz_codec_known(i));

		page_fill(r->page, PAGE_TEXT, &r->random);
		for (size_t at = 0; at < UZ_PAGE_SIZE; at++) {
			unsigned char was = r->page[at];

			r->page[at] ^= (unsigned char)(1 + at % 255);
			assert_true(round_trip(ctx, ctx, r, UZ_PAGE_SIZE));
			r->page[at] = was;
		}
		uz_codec_ctx_destroy(ctx);
	}
}

/* Each cap is kept; and after each refusal the context still works. */
static void test_every_cap(void **state)
{
	static const enum page_kind kinds[] = { PAGE_TEXT, PAGE_HALF,
						PAGE_RANDOM };
	struct room *r = *state;

	for (size_t i = 0; i < N_CODECS * 3; i++) {
		struct uz_codec_ctx *ctx = open_codec(codecs[i / 3]);
		size_t len, whole;

		page_fill(r->page, kinds[i % 3], &r->random);
		whole = round_trip(ctx, ctx, r, UZ_PAGE_SIZE);
		for (size_t cap = 1; cap < UZ_PAGE_SIZE; cap++) {
			len = round_trip(ctx, ctx, r, cap);
			if (!whole) {
				assert_int_equal(len, 0);
			} else if (cap > whole + 64) {
				/* Room to spare changes nothing. */
				assert_int_equal(len, whole);
				cap += 50;
			}
		}
		assert_int_equal(round_trip(ctx, ctx, r, 1), 0);
		uz_codec_ctx_destroy(ctx);
	}
}

static void test_levels_read_each_other(void **state)
{
	struct uz_codec_ctx *ctx[N_CODECS];
	struct room *r = *state;
	unsigned int pairs = 0, tried = 0, fitted = 0;

	for (size_t i = 0; i < N_CODECS; i++)
		ctx[i] = open_codec(codecs[i]);
	for (size_t i = 0; i < N_CODECS * N_CODECS; i++) {
		const char *a = codecs[i / N_CODECS], *b = codecs[i % N_CODECS];

		if (strcspn(a, ":") != strcspn(b, ":") ||
		    strncmp(a, b, strcspn(a, ":")))
			continue;
		pairs++;
		/*
		 * Kinds that the weakest level, too, nearly always compresses.
		 */
		for (int kind = 0; kind <= PAGE_TEXT; kind++) {
			page_fill(r->page, (enum page_kind)kind, &r->random);
			tried++;
			fitted += round_trip(ctx[i / N_CODECS],
					     ctx[i % N_CODECS], r,
					     UZ_PAGE_SIZE) > 0;
		}
	}
	assert_true(fitted * 10 > tried * 9);
	assert_int_equal(pairs, 1 + UZ_HAVE_LZ4 * (3 * 3 + 5 * 5) +
					UZ_HAVE_ZSTD * 6 * 6 + UZ_HAVE_LZO * 2 +
					UZ_HAVE_DEFLATE * 5 * 5);
	for (size_t i = 0; i < N_CODECS; i++)
		uz_codec_ctx_destroy(ctx[i]);
}

/* What one page leaves behind in a context must not show in the next. */
static void test_history(void **state)
{
	struct room *r = *state;

	for (size_t i = 0; i < N_CODECS; i++) {
		struct uz_codec_ctx *used = open_codec(codecs[i]);

		for (int n = 0; n < 200; n++) {
			struct uz_codec_ctx *fresh = open_codec(codecs[i]);
			size_t kind = page_random(&r->random) % PAGE_KINDS;
			size_t cap = 1 + page_random(&r->random) % UZ_PAGE_SIZE;

			page_fill(r->page, (enum page_kind)kind, &r->random);
			assert_int_equal(round_trip(used, fresh, r, cap),
					 round_trip(fresh, used, r, cap));
			uz_codec_ctx_destroy(fresh);
		}
		uz_codec_ctx_destroy(used);
	}
}

/*
 * Pages that lie one after the other in memory, as those of one request do: a
 * library that takes them for a stream would refer from one to the next.
 */
static void test_neighbours(void **state)
{
	static unsigned char row[8][UZ_PAGE_SIZE];
	struct room *r = *state, at = *r;

	page_fill(row[0], PAGE_TEXT, &r->random);
	for (int i = 1; i < 8; i++)
		memcpy(row[i], row[0], UZ_PAGE_SIZE);
	for (size_t i = 0; i < N_CODECS; i++) {
		struct uz_codec_ctx *ctx = open_codec(codecs[i]);
		size_t first = 0;

		for (int n = 0; n < 8; n++) {
			size_t len;

			at.page = row[n];
			len = round_trip(ctx, ctx, &at, UZ_PAGE_SIZE);
			first = n ? first : len;
			assert_int_equal(len, first);
		}
		uz_codec_ctx_destroy(ctx);
	}
}

/* A level that is taken is used: the stronger makes the smaller page. */
static void test_levels_matter(void **state)
{
	static const char *const pairs[][2] = {
#if UZ_HAVE_LZ4
		{ "lz4", "lz4:acceleration=32" },
		{ "lz4hc:level=12", "lz4hc" },
		{ "lz4hc", "lz4hc:level=1" },
#endif
#if UZ_HAVE_ZSTD
		{ "zstd:level=22", "zstd:level=1" },
		{ "zstd", "zstd:level=-5" },
		{ "zstd:level=-5", "zstd:level=-100" },
#endif
#if UZ_HAVE_DEFLATE
		{ "deflate:level=12", "deflate" },
		{ "deflate", "deflate:level=1" },
#endif
		{ NULL, NULL },
	};
	struct room *r = *state;

	for (int i = 0; pairs[i][0]; i++) {
		struct uz_codec_ctx *strong = open_codec(pairs[i][0]);
		struct uz_codec_ctx *weak = open_codec(pairs[i][1]);
		size_t small = 0, large = 0;

		for (int n = 0; n < 50; n++) {
			page_fill(r->page, PAGE_TEXT, &r->random);
			small += round_trip(strong, weak, r, UZ_PAGE_SIZE);
			large += round_trip(weak, strong, r, UZ_PAGE_SIZE);
		}
		assert_true(small < large);
		uz_codec_ctx_destroy(strong);
		uz_codec_ctx_destroy(weak);
	}
}

#if UZ_HAVE_DEFLATE
/* What zlib's level 0 is: nothing gets smaller, so nothing ever fits. */
static void test_deflate_stores(void **state)
{
	struct uz_codec_ctx *ctx = open_codec("deflate:level=0");
	struct room *r = *state;

	page_fill(r->page, PAGE_ZERO, &r->random);
	assert_int_equal(round_trip(ctx, ctx, r, UZ_PAGE_SIZE), 0);
	uz_codec_ctx_destroy(ctx);
}

/* What libdeflate allocates is counted: the higher levels take megabytes. */
static void test_deflate_bytes(void **state)
{
	struct uz_codec_ctx *low = open_codec("deflate:level=1");
	struct uz_codec_ctx *high = open_codec("deflate:level=12");

	(void)state;
	assert_in_range(uz_codec_ctx_bytes(low), 32u << 10, 1u << 20);
	assert_in_range(uz_codec_ctx_bytes(high), 1u << 20, 16u << 20);
	uz_codec_ctx_destroy(low);
	uz_codec_ctx_destroy(high);
}
#endif

static int set_up(void **state)
{
	static struct room room;

	room.random = page_seed("# ");
	room.page = page_guarded();
	room.out = page_guarded();
	room.back = page_guarded();
	*state = &room;
	return room.page && room.out && room.back ? 0 : -1;
}

static int tear_down(void **state)
{
	struct room *r = *state;

	page_unguard(r->page);
	page_unguard(r->out);
	page_unguard(r->back);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_every_cap),
		cmocka_unit_test(test_levels_read_each_other),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_levels_matter),
#if UZ_HAVE_DEFLATE
		cmocka_unit_test(test_deflate_stores),
		cmocka_unit_test(test_deflate_bytes),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
