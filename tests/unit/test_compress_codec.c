// SPDX-License-Identifier: MIT
/*
 * Codecs as text: what is taken, what is refused and in which words, and that
 * a codec comes back from its own text. Also that there is a context for it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <uzram/compress.h>

#include "config.h"

static void takes(const char *text, const char *name, int level,
		  const char *formatted)
{
	char back[UZ_CODEC_TEXT_MAX + 1];
	struct uz_err err = { 0 };
	struct uz_codec codec, again;

	assert_int_equal(uz_codec_parse(text, &codec, &err), 0);
	assert_string_equal(uz_codec_name(&codec), name);
	assert_int_equal(codec.level, level);
	uz_codec_format(&codec, back);
	assert_string_equal(back, formatted);
	assert_int_equal(uz_codec_parse(back, &again, NULL), 0);
	assert_ptr_equal(again.ops, codec.ops);
	assert_int_equal(again.level, codec.level);
}

static void refuses(const char *text, int code, const char *says)
{
	const struct uz_codec before = { .ops = NULL, .level = 4711 };
	struct uz_codec codec = before;
	struct uz_err err = { 0 };

	assert_int_equal(uz_codec_parse(text, &codec, &err), code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.text, says);
	assert_int_equal(uz_codec_parse(text, &codec, NULL), code);
	assert_memory_equal(&codec, &before, sizeof(before));
}

static void test_takes(void **state)
{
	(void)state;
	takes("store", "store", 0, "store");
	takes("store:level=0", "store", 0, "store");
	takes("store\n", "store", 0, "store");
#if UZ_HAVE_LZ4
	takes("lz4", "lz4", 1, "lz4");
	takes("lz4:acceleration=1", "lz4", 1, "lz4");
	takes("lz4:acceleration=4\n", "lz4", 4, "lz4:acceleration=4");
	takes("lz4:level=4", "lz4", 4, "lz4:acceleration=4");
	takes("lz4:level=65537", "lz4", 65537, "lz4:acceleration=65537");
	takes("lz4:level=4,acceleration=8", "lz4", 8, "lz4:acceleration=8");
	takes("lz4hc", "lz4hc", 9, "lz4hc");
	takes("lz4hc:level=1", "lz4hc", 1, "lz4hc:level=1");
	takes("lz4hc:level=012", "lz4hc", 12, "lz4hc:level=12");
#endif
#if UZ_HAVE_LZO
	takes("lzo", "lzo", 0, "lzo");
	takes("lzo-rle\n", "lzo-rle", 0, "lzo-rle");
#endif
#if UZ_HAVE_DEFLATE
	takes("deflate", "deflate", 6, "deflate");
	takes("deflate:level=12", "deflate", 12, "deflate:level=12");
	takes("deflate:level=-1", "deflate", -1, "deflate:level=-1");
#endif
#if UZ_HAVE_ZSTD
	takes("zstd", "zstd", 3, "zstd");
	takes("zstd:level=22", "zstd", 22, "zstd:level=22");
	takes("zstd:level=-100", "zstd", -100, "zstd:level=-100");
#endif
}

static void test_refuses_ranges(void **state)
{
	(void)state;
	refuses("store:level=1", -ERANGE,
		"store: level 1 is out of range: use 0 ... 0");
#if UZ_HAVE_LZ4
	refuses("lz4:level=0", -ERANGE,
		"lz4: acceleration 0 is out of range: use 1 ... 65537");
	refuses("lz4:acceleration=65538", -ERANGE,
		"lz4: acceleration 65538 is out of range: use 1 ... 65537");
	refuses("lz4hc:level=0", -ERANGE,
		"lz4hc: level 0 is out of range: use 1 ... 12");
	refuses("lz4hc:level=13", -ERANGE,
		"lz4hc: level 13 is out of range: use 1 ... 12");
#endif
#if UZ_HAVE_LZO
	refuses("lzo-rle:level=1", -ERANGE,
		"lzo-rle: level 1 is out of range: use 0 ... 0");
#endif
#if UZ_HAVE_DEFLATE
	refuses("deflate:level=-2", -ERANGE,
		"deflate: level -2 is out of range: use -1 ... 12");
	refuses("deflate:level=13", -ERANGE,
		"deflate: level 13 is out of range: use -1 ... 12");
#endif
#if UZ_HAVE_ZSTD
	refuses("zstd:level=23", -ERANGE,
		"zstd: level 23 is out of range: use -100 ... 22");
	refuses("zstd:level=-101", -ERANGE,
		"zstd: level -101 is out of range: use -100 ... 22");
	refuses("zstd:level=99999999999999999999", -ERANGE,
		"zstd: level 99999999999999999999 is out of range: "
		"use -100 ... 22");
	/* 2^32 + 3 must not be taken for 3. */
	refuses("zstd:level=4294967299", -ERANGE,
		"zstd: level 4294967299 is out of range: use -100 ... 22");
#endif
}

#if UZ_HAVE_ZSTD
/* Only the number; whose it is nobody here knows. */
static void test_dictionaries(void **state)
{
	struct uz_codec_ctx *ctx = NULL;
	struct uz_codec codec, other;

	(void)state;
	takes("zstd:dict=1f", "zstd", 3, "zstd:dict=1f");
	takes("zstd:dict=0", "zstd", 3, "zstd");
	takes("zstd:dict=ffffffffffffffff,level=-100", "zstd", -100,
	      "zstd:level=-100,dict=ffffffffffffffff");
	refuses("zstd:dict=", -EINVAL,
		"zstd: dict '' is not the number of a dictionary: use up to 16 of 0-9 and a-f");
	refuses("zstd:dict=/etc/dict", -EINVAL,
		"zstd: dict '/etc/dict' is not the number of a dictionary: use up to 16 of 0-9 and a-f");
	refuses("zstd:dict=10000000000000000", -EINVAL,
		"zstd: dict '10000000000000000' is not the number of a dictionary: use up to 16 of 0-9 and a-f");
	refuses("store:dict=1", -EINVAL, "store has no use for dictionaries");

	assert_int_equal(uz_codec_parse("zstd:dict=1f", &codec, NULL), 0);
	assert_int_equal(codec.dict, 0x1f);
	assert_int_equal(uz_codec_parse("zstd", &other, NULL), 0);
	assert_false(uz_codec_same(&codec, &other));
	other.dict = 0x1f;
	assert_true(uz_codec_same(&codec, &other));
	assert_int_equal(uz_codec_ctx_create(&codec, NULL, &ctx), -EINVAL);
	assert_null(ctx);
}
#endif

static void test_refuses_garbage(void **state)
{
	(void)state;
	refuses("store:", -EINVAL,
		"store: parameter '' is unknown: use level=N");
	refuses("store:level=0,", -EINVAL,
		"store: parameter '' is unknown: use level=N");
	refuses("store:speed=1", -EINVAL,
		"store: parameter 'speed' is unknown: use level=N");
	refuses("store:level", -EINVAL,
		"store: level '' is not a number: use 0 ... 0");
	refuses("store:level=", -EINVAL,
		"store: level '' is not a number: use 0 ... 0");
	refuses("store:level=-", -EINVAL,
		"store: level '-' is not a number: use 0 ... 0");
	refuses("store:level=0x0", -EINVAL,
		"store: level '0x0' is not a number: use 0 ... 0");
	refuses("store:level= 0", -EINVAL,
		"store: level ' 0' is not a number: use 0 ... 0");
	refuses("store:level=+0", -EINVAL,
		"store: level '+0' is not a number: use 0 ... 0");
	refuses("store:level=0\n\n", -EINVAL,
		"store: level '0?' is not a number: use 0 ... 0");
	refuses("store:acceleration=0", -EINVAL,
		"store: parameter 'acceleration' is unknown: use level=N");
}

static void test_refuses_names(void **state)
{
	static const char *const names[] = { "",    "\n",	"lz5",
					     "LZ4", "lz4 ",	" lz4",
					     "lz",  ":level=1", "lz4/" };
	struct uz_codec codec;
	struct uz_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(uz_codec_parse(names[i], &codec, &err),
				 -EINVAL);
		/* All that could be used instead is named. */
		for (unsigned int k = 0; uz_codec_known(k); k++)
			assert_non_null(strstr(err.text, uz_codec_known(k)));
	}
}

static void test_refuses_too_long(void **state)
{
	char text[UZ_CODEC_TEXT_MAX + 3];
	size_t n = UZ_CODEC_TEXT_MAX;
	struct uz_codec codec;

	(void)state;
	memset(text, '0', sizeof(text));
	memcpy(text, "store:level=", 12);
	/* The longest text, with and without a line feed. */
	text[n] = '\0';
	assert_int_equal(uz_codec_parse(text, &codec, NULL), 0);
	memcpy(text + n, "\n", 2);
	assert_int_equal(uz_codec_parse(text, &codec, NULL), 0);
	memcpy(text + n, "0", 2);
	refuses(text, -E2BIG,
		"codec 'store:level=00000000...' is longer than 63 bytes");
	memcpy(text + n, "0\n", 3);
	assert_int_equal(uz_codec_parse(text, &codec, NULL), -E2BIG);
}

static void test_known(void **state)
{
	struct uz_codec codec;
	struct uz_codec_ctx *ctx;
	unsigned int n = 0;

	(void)state;
#if UZ_HAVE_LZ4
	assert_string_equal(uz_codec_known(0), "lz4");
#endif
	for (; uz_codec_known(n); n++) {
		assert_true(strlen(uz_codec_known(n)) <= UZ_CODEC_NAME_MAX);
		assert_int_equal(
			uz_codec_parse(uz_codec_known(n), &codec, NULL), 0);
		assert_int_equal(uz_codec_ctx_create(&codec, NULL, &ctx), 0);
		assert_in_range(uz_codec_ctx_bytes(ctx), sizeof(void *),
				16u << 20);
		uz_codec_ctx_destroy(ctx);
	}
	assert_int_equal(n, 1 + 2 * UZ_HAVE_LZ4 + UZ_HAVE_ZSTD +
				    2 * UZ_HAVE_LZO + UZ_HAVE_DEFLATE);
	assert_null(uz_codec_known(n));
	assert_null(uz_codec_known(UINT32_MAX));
	uz_codec_ctx_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_refuses_ranges),
#if UZ_HAVE_ZSTD
		cmocka_unit_test(test_dictionaries),
#endif
		cmocka_unit_test(test_refuses_garbage),
		cmocka_unit_test(test_refuses_names),
		cmocka_unit_test(test_refuses_too_long),
		cmocka_unit_test(test_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
