// SPDX-License-Identifier: MIT
/*
 * Sizes: every form that is taken, at its bounds, and every one that is not;
 * how sizes are printed; and memory as limits of cgroups lower it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <uzram/util/size.h>

#include "root_fixture.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define EIB (GIB * GIB)
#define RAM (8 * GIB)

typedef int (*parser)(const char *text, uint64_t *size);

static int parse(const char *text, uint64_t *size)
{
	return uz_size_parse(text, RAM, size);
}

static void takes(parser p, const char *text, uint64_t expected)
{
	uint64_t size = 4711;

	if (p(text, &size) || size != expected)
		fail_msg("'%s' is %llu instead of %llu", text,
			 (unsigned long long)size,
			 (unsigned long long)expected);
}

static void refuses(parser p, const char *const *texts, size_t n, int code)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t size = 4711;
		int ret = p(texts[i], &size);

		if (ret != code || size != 4711)
			fail_msg("'%s' gives %d instead of %d, or a size",
				 texts[i], ret, code);
	}
}

#define REFUSES(p, texts, code) \
	refuses(p, texts, sizeof(texts) / sizeof((texts)[0]), code)

static void test_parse_takes(void **state)
{
	(void)state;
	takes(parse, "0", 0);
	takes(parse, "4096", 4096);
	takes(parse, "010", 10);
	takes(parse, "1K", KIB);
	takes(parse, "512M", 512 * MIB);
	takes(parse, "1GiB", GIB);
	takes(parse, "2GB", UINT64_C(2000000000));
	takes(parse, "3kb", 3000);
	takes(parse, "1tib", 1024 * GIB);
	takes(parse, "1P", 1024 * 1024 * GIB);
	takes(parse, "15E", 15 * EIB);
	takes(parse, "1EB", UINT64_C(1000000000000000000));
	takes(parse, "1.5G", GIB + GIB / 2);
	takes(parse, "0.5k", 512);
	takes(parse, "0.001KB", 1);
	takes(parse, "1.00000000000000000000000000000000001K", KIB);
	takes(parse, " \t1M\n", MIB);
	takes(parse, "18446744073709551615", UINT64_MAX);
	takes(parse, "15.999999999999999999E", UINT64_MAX - 1);
}

static void test_parse_ram(void **state)
{
	static const char *const texts[] = { "ram", "ram/2", "50%", "0.5%" };
	uint64_t size = 4711;

	(void)state;
	takes(parse, "ram", RAM);
	takes(parse, "RAM/2", RAM / 2);
	takes(parse, " ram / 3 ", RAM / 3);
	takes(parse, "0%", 0);
	takes(parse, "50%", RAM / 2);
	takes(parse, "150%", RAM + RAM / 2);
	takes(parse, "12.5%", RAM / 8);
	/* When it is not known how much there is, these are no sizes. */
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(uz_size_parse(texts[i], 0, &size), -EINVAL);
	assert_int_equal(uz_size_parse("101%", UINT64_MAX, &size), -ERANGE);
	assert_int_equal(size, 4711);
	assert_int_equal(uz_size_parse("100%", UINT64_MAX, &size), 0);
	assert_true(size == UINT64_MAX);
}

static void test_parse_refuses(void **state)
{
	static const char *const wrong[] = {
		"",
		" ",
		"-1",
		"-1K",
		"+1",
		"K",
		"KiB",
		"x",
		"1x",
		"1.5",
		"1.0",
		".5G",
		"5.G",
		"1..5G",
		"1,5G",
		"0x10",
		"1 K",
		"1Ki",
		"1iB",
		"1B",
		"1KK",
		"1G 1",
		"%",
		"-5%",
		"5%%",
		"5 %",
		"5K%",
		"5%K",
		"ra",
		"ram2",
		"ram/",
		"ram/0",
		"ram/-1",
		"ram*2",
		"ram/2K",
		"rams",
		"1e3",
		"inf",
		"nan",
		"\xff",
		"ram/2/2",
		"1G1",
		"99999999999999999999x",
	};
	static const char *const too_much[] = {
		"16E",
		"18446744073709551616",
		"18446744073709551615K",
		"99999999999999999999999999999G",
		"16.0E",
		"99999999999999999999.5K",
	};

	(void)state;
	REFUSES(parse, wrong, -EINVAL);
	REFUSES(parse, too_much, -ERANGE);
}

static void test_memparse(void **state)
{
	static const char *const wrong[] = {
		"",    "\n",	 "-1",	 "+1",	" 1",	"1 ", "K",
		"1B",  "1KiBs",	 "1KK",	 "1Ki", "1.5K", "08", "0x",
		"0xg", "1K\n\n", "1\nK", "ram", "5%",
	};
	static const char *const too_much[] = {
		"16E",
		"18446744073709551616",
		"0x10000000000000000",
		"17179869184G",
	};

	(void)state;
	takes(uz_size_memparse, "0", 0);
	takes(uz_size_memparse, "4096\n", 4096);
	takes(uz_size_memparse, "1k", KIB);
	takes(uz_size_memparse, "512M\n", 512 * MIB);
	takes(uz_size_memparse, "1G", GIB);
	takes(uz_size_memparse, "2MB\n", 2 * MIB);
	takes(uz_size_memparse, "3kiB", 3 * KIB);
	takes(uz_size_memparse, "1t", 1024 * GIB);
	takes(uz_size_memparse, "1P", 1024 * 1024 * GIB);
	takes(uz_size_memparse, "15E", 15 * EIB);
	takes(uz_size_memparse, "0x10", 16);
	takes(uz_size_memparse, "0x1E", 30);
	takes(uz_size_memparse, "0x1K", KIB);
	takes(uz_size_memparse, "010", 8);
	takes(uz_size_memparse, "18446744073709551615", UINT64_MAX);
	takes(uz_size_memparse, "17179869183G", UINT64_MAX - GIB + 1);
	REFUSES(uz_size_memparse, wrong, -EINVAL);
	REFUSES(uz_size_memparse, too_much, -ERANGE);
}

static void prints(uint64_t size, const char *expected)
{
	char text[UZ_SIZE_TEXT];

	uz_size_format(size, text);
	assert_string_equal(text, expected);
}

static void test_format(void **state)
{
	(void)state;
	prints(0, "0B");
	prints(1, "1B");
	prints(1023, "1023B");
	prints(KIB, "1K");
	prints(KIB + 51, "1K");
	prints(KIB + 52, "1.1K");
	prints(4096, "4K");
	prints(10 * KIB - 1, "10K");
	prints(MIB - 1, "1M");
	prints(1023 * KIB + 900, "1023.9K");
	prints(1536 * MIB, "1.5G");
	prints(GIB, "1G");
	prints(100 * GIB, "100G");
	prints(1024 * GIB, "1T");
	prints(1024 * 1024 * GIB, "1P");
	prints(15 * EIB, "15E");
	prints(UINT64_MAX, "16E");
}

/* ---- memory and cgroups ---- */

static void ram_is(const char *root, uint64_t expected)
{
	assert_true(uz_size_ram_at(root) == expected);
}

static void test_ram(void **state)
{
	const char *root = *state;
	uint64_t machine = uz_size_ram_at(root);

	/* No cgroup to be seen: the machine's, and that is the most. */
	assert_true(machine >= 16 * MIB);
	assert_in_range(uz_size_ram(), 1, machine);

	put_file(root, "proc/self/cgroup", "garbage\n\n1:memory\n::\n");
	ram_is(root, machine);
}

static void test_ram_v2(void **state)
{
	const char *root = *state;
	uint64_t machine = uz_size_ram_at(root);

	put_file(root, "proc/self/cgroup", "0::/a/b/c\n");
	ram_is(root, machine);
	put_file(root, "sys/fs/cgroup/a/b/c/memory.max", "max\n");
	ram_is(root, machine);
	put_file(root, "sys/fs/cgroup/a/b/c/memory.max", "12288\n");
	ram_is(root, 12288);
	/* An ancestor's lower limit counts, a higher one does not. */
	put_file(root, "sys/fs/cgroup/a/memory.max", "8192\n");
	ram_is(root, 8192);
	put_file(root, "sys/fs/cgroup/a/memory.max", "16384\n");
	ram_is(root, 12288);
	put_file(root, "sys/fs/cgroup/a/b/c/memory.max", "not a number\n");
	ram_is(root, 16384);
	/* Somebody else's limit is none of ours. */
	put_file(root, "sys/fs/cgroup/other/memory.max", "4096\n");
	ram_is(root, 16384);
	/* In a container: the path leads nowhere, the mount is the cgroup. */
	put_file(root, "proc/self/cgroup", "0::/host/path\n");
	put_file(root, "sys/fs/cgroup/memory.max", "20480\n");
	ram_is(root, 20480);
	put_file(root, "proc/self/cgroup", "0::/\n");
	ram_is(root, 20480);
}

static void test_ram_v1(void **state)
{
	const char *root = *state;
	uint64_t machine = uz_size_ram_at(root);

	put_file(root, "proc/self/cgroup",
		 "9:name=systemd:/x\n5:cpu,memory:/x/y\n3:cpuset:/z\n0::/\n");
	/* Without a limit v1 shows a number beyond all memory. */
	put_file(root, "sys/fs/cgroup/memory/x/y/memory.limit_in_bytes",
		 "9223372036854771712\n");
	ram_is(root, machine);
	put_file(root, "sys/fs/cgroup/memory/x/memory.limit_in_bytes",
		 "8192\n");
	ram_is(root, 8192);
	put_file(root, "sys/fs/cgroup/memory/z/memory.limit_in_bytes",
		 "4096\n");
	ram_is(root, 8192);
	put_file(root, "proc/self/cgroup", "5:memory2:/x/y\n3:cpuset:/x\n");
	ram_is(root, machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_takes),
		cmocka_unit_test(test_parse_ram),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_memparse),
		cmocka_unit_test(test_format),
		root_test(test_ram),
		root_test(test_ram_v2),
		root_test(test_ram_v1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
