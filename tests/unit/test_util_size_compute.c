// SPDX-License-Identifier: MIT
/*
 * Sizes that are computed: every operation, zram-generator's own examples, what
 * is no such text, and random texts against a second computation.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <uzram/util/size.h>
#include <uzram/util/strbuf.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (MIB << 10)
#define RAM (8 * GIB)

static uint64_t unit = 1;

static void gives(const char *text, uint64_t wanted)
{
	uint64_t size = 4711;
	int rc = uz_size_compute(text, RAM, unit, &size);

	if (rc || size != wanted)
		fail_msg("'%s' is %d, %llu instead of %llu", text, rc,
			 (unsigned long long)size, (unsigned long long)wanted);
}

static void refuses(const char *text, int code)
{
	uint64_t size = 4711;
	int rc = uz_size_compute(text, RAM, unit, &size);

	if (rc != code || size != 4711)
		fail_msg("'%s' is %d, %llu", text, rc,
			 (unsigned long long)size);
}

static void test_bytes(void **state)
{
	(void)state;
	unit = 1;
	gives("0", 0);
	gives("4096", 4096);
	gives("512M", 512 * MIB);
	gives("1.5GiB", 1536 * MIB);
	gives("1kb + 1KB", 2000);
	gives("50%", 4 * GIB);
	gives("ram/2", 4 * GIB);
	gives(" ram * 0.25 ", 2 * GIB);
	gives("2 + 3 * 4", 14);
	gives("(2 + 3) * 4", 20);
	gives("20 - 5 - 4", 11);
	gives("40 / 5 / 2", 4);
	gives("7 / 2", 3);
	gives("min(ram/2, 1G)", GIB);
	gives("min(3)", 3);
	gives("max(1, 5, 3)", 5);
	gives("min(max(1, 2), max(3, 4)) + 1", 3);
	gives("18446744073709549568", 18446744073709549568u);
	refuses("18446744073709551616", -ERANGE);
	refuses("16E", -ERANGE);
	refuses("ram * ram", -ERANGE);
}

/* As zram-generator's pages have them. */
static void test_megabytes(void **state)
{
	(void)state;
	unit = MIB;
	gives("4096", 4 * GIB);
	gives("ram", RAM);
	gives("min(ram / 2, 4096)", 4 * GIB);
	gives("ram / 10", RAM / 10);
	gives("min(min(ram, 4096) + max(ram - 4096, 0) / 2, 32 * 1024)",
	      6 * GIB);
	gives("0.5", MIB / 2);
	gives("1G + 1", 1025 * MIB);
	gives("25%", 2 * GIB);
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",	    " ",	 "-1",	    "1 - 2", "+1",     "1 +",
		"1 2",	    "1..2",	 "1.",	    ".5",    "1X",     "1MM",
		"1e3",	    "0x10",	 "(1",	    "1)",    "()",     "min",
		"min()",    "min(1,",	 "min(1,)", "min 1", "ramp",   "2ram",
		"ram ram",  "1 / 0",	 "ram/0",   "0 / 0", "1 // 2", "1 ** 2",
		"max(1 2)", "med(1)",	 "nan",	    "inf",   "$(id)",  "1,2",
		"min(1;2)", "1\xc3\xa4", "Ram",
	};
	char deep[80];
	size_t i;

	(void)state;
	unit = 1;
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		refuses(texts[i], -EINVAL);
	memset(deep, '(', 16);
	strcpy(deep + 16, "1))))))))))))))))");
	refuses(deep, -EINVAL);
	gives("(((((((((((((((1)))))))))))))))", 1);
}

/* A random text of whole numbers, and its value as it is put together. */
static long double add_random(struct uz_strbuf *b, int depth)
{
	long double left, right;

	switch (depth ? rand() % 6 : 5) {
	case 0:
		uz_strbuf_add(b, "(");
		left = add_random(b, depth - 1);
		uz_strbuf_add(b, " + ");
		right = add_random(b, depth - 1);
		uz_strbuf_add(b, ")");
		return left + right;
	case 1:
		uz_strbuf_add(b, "(");
		left = add_random(b, depth - 1);
		uz_strbuf_add(b, "-");
		right = add_random(b, depth - 1);
		uz_strbuf_add(b, ")");
		return left - right;
	case 2:
		left = add_random(b, 0);
		uz_strbuf_add(b, "*");
		return left * add_random(b, 0);
	case 3:
	case 4:
		uz_strbuf_add(b, depth % 2 ? "min(" : "max( ");
		left = add_random(b, depth - 1);
		uz_strbuf_add(b, ",");
		right = add_random(b, depth - 1);
		uz_strbuf_add(b, ")");
		return (left < right) == (depth % 2) ? left : right;
	default:
		left = rand() % 1000;
		uz_strbuf_add(b, "%d", (int)left);
		return left;
	}
}

static void test_random(void **state)
{
	const char *seed_text = getenv("UZ_SEED");
	unsigned int seed = seed_text ? (unsigned int)atol(seed_text)
				      : (unsigned int)time(NULL);
	struct uz_strbuf b;
	long double value;
	int i;

	(void)state;
	unit = 1;
	print_message("# seed %u\n", seed);
	srand(seed);
	for (i = 0; i < 2000; i++) {
		b = (struct uz_strbuf){ 0 };
		value = add_random(&b, 5);
		if (value < 0)
			refuses(b.data, -EINVAL);
		else
			gives(b.data, (uint64_t)value);
		uz_strbuf_free(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_megabytes),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
