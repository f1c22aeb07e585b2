// SPDX-License-Identifier: MIT
/*
 * disksize, reset, comp_algorithm, max_comp_streams, mem_limit: what they
 * take, what they refuse and with which number.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "attr_fixture.h"
#include "config.h"

static void test_disksize(void **state)
{
	static const char *const bad[] = {
		"0\n",	 "-1\n", "x\n",	  "\n",	   "1M x\n",
		"1MM\n", " \n",	 "-4K\n", "1e6\n", "99999999999999999999999\n",
	};
	struct fixture *f = *state;
	unsigned int i;

	assert_shows(f, "disksize", "0\n");
	assert_shows(f, "initstate", "0\n");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(store(f, "disksize", bad[i]), -EINVAL);
	assert_shows(f, "initstate", "0\n");
	assert_int_equal(store(f, "disksize", "1048577\n"), 0);
	assert_shows(f, "disksize", "1052672\n");
	assert_shows(f, "initstate", "1\n");
	/* A bad size is bad even when no size could be set: as the kernel. */
	assert_int_equal(store(f, "disksize", "0"), -EINVAL);
	assert_int_equal(store(f, "disksize", "1048576"), -EBUSY);
	assert_shows(f, "last_error", "disksize: it has a size\n");
	assert_int_equal(store(f, "disksize", "17T"), -EINVAL);
	assert_shows(f, "disksize", "1052672\n");
}

static void test_disksize_suffixes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "2M\n"), 0);
	assert_shows(f, "disksize", "2097152\n");
	assert_int_equal(store(f, "reset", "1"), 0);
	assert_int_equal(store(f, "disksize", "0x100000"), 0);
	assert_shows(f, "disksize", "1048576\n");
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "1048576"), 0);
	assert_int_equal(store(f, "reset", "0"), -EINVAL);
	assert_int_equal(store(f, "reset", "\n"), -EINVAL);
	assert_int_equal(store(f, "reset", "yes"), -EINVAL);
	assert_int_equal(store(f, "reset", "1x"), -EINVAL);
	assert_int_equal(store(f, "reset", "-1"), -EINVAL);
	assert_int_equal(store(f, "reset", "forced"), -EINVAL);
	assert_int_equal(store(f, "reset", "65536"), -ERANGE);
	assert_shows(f, "initstate", "1\n");
	assert_int_equal(store(f, "reset", "65535\n"), 0);
	assert_shows(f, "initstate", "0\n");
}

/* By a process that could not say so before it died, or by somebody else. */
static void test_disksize_was_set_already(void **state)
{
	struct fixture *f = *state;
	const struct uz_attr *disksize = attr_named("disksize");

	assert_int_equal(uz_attr_store(f->ctx, disksize, "1M", 2, true), 0);
	assert_int_equal(uz_attr_store(f->ctx, disksize, "1M", 2, true), 0);
	assert_int_equal(uz_attr_store(f->ctx, disksize, "1048575", 7, true),
			 0);
	assert_int_equal(uz_attr_store(f->ctx, disksize, "1M", 2, false), 0);
	assert_int_equal(uz_attr_store(f->ctx, disksize, "4K", 2, true),
			 -EBUSY);
	assert_shows(f, "disksize", "1048576\n");
}

static void test_reset_of_what_is_held(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "1048576"), 0);
	f->dev.holders = 1;
	assert_int_equal(store(f, "reset", "1\n"), -EBUSY);
	assert_shows(f, "last_error", "reset: it is open\n");
	assert_shows(f, "initstate", "1\n");
	assert_int_equal(store(f, "reset", "force\n"), 0);
	assert_shows(f, "initstate", "0\n");
	f->dev.holders = 0;
}

static void test_disksize_grows(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "1M\n"), 0);
	f->dev.holders = 1;
	f->dev.data[0] = 77;
	assert_int_equal(store(f, "disksize", "3M\n"), 0);
	assert_shows(f, "disksize", "3145728\n");
	assert_int_equal(f->dev.data[0], 77);
	assert_int_equal(store(f, "disksize", "3145728"), 0);
	f->dev.holders = 0;
}

/* A disk on the device. */
struct disk {
	int can;
	int fails;
	uint64_t size;
	unsigned int calls;
};

static int disk_can_grow(void *arg, struct uz_err *err)
{
	const struct disk *disk = arg;

	return disk->can ? uz_err_set(err, disk->can, "not this one") : 0;
}

static int disk_grow(void *arg, uint64_t size, struct uz_err *err)
{
	struct disk *disk = arg;

	disk->calls++;
	if (disk->fails)
		return uz_err_set(err, disk->fails, "it will not");
	disk->size = size;
	return 0;
}

static void test_disksize_of_a_disk(void **state)
{
	struct disk disk = { .can = -ENOTSUP };
	const struct uz_attr_disk ops = { disk_can_grow, disk_grow, &disk };
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "1M"), 0);
	uz_attr_set_disk(f->ctx, &ops);
	assert_int_equal(store(f, "disksize", "2M"), -ENOTSUP);
	assert_shows(f, "last_error", "disksize: not this one\n");
	assert_shows(f, "disksize", "1048576\n");
	assert_int_equal(store(f, "disksize", "1048575"), 0);
	assert_int_equal(disk.calls, 0);

	/* The device is larger then, and the next try makes the disk so. */
	disk.can = 0;
	disk.fails = -EIO;
	assert_int_equal(store(f, "disksize", "2M"), -EIO);
	assert_shows(f, "last_error", "disksize: it will not\n");
	disk.fails = 0;
	assert_int_equal(store(f, "disksize", "2097151"), 0);
	assert_int_equal(disk.size, 2 << 20);
	assert_int_equal(store(f, "disksize", "1M"), -EBUSY);
	assert_int_equal(disk.calls, 2);
}

static void test_reset_of_a_disk(void **state)
{
	struct fixture *f = *state;
	const struct uz_attr_disk disk = { disk_can_grow, disk_grow, NULL };

	assert_int_equal(store(f, "disksize", "1048576"), 0);
	uz_attr_set_disk(f->ctx, &disk);
	assert_int_equal(store(f, "reset", "1"), -EBUSY);
	assert_int_equal(store(f, "reset", "force"), -EBUSY);
	assert_shows(f, "last_error",
		     "reset: a disk is not reset, not even by \"force\"; "
		     "remove it and add it anew\n");
	assert_shows(f, "disksize", "1048576\n");
}

static void test_reset_waits_for_a_close(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "1048576"), 0);
	f->dev.holders = 1;
	f->dev.release_after = 5;
	assert_int_equal(store(f, "reset", "1"), 0);
	assert_int_equal(f->dev.holders, 0);
	assert_shows(f, "initstate", "0\n");
}

static void test_comp_algorithm(void **state)
{
	struct fixture *f = *state;
	char text[200], other[32];
	struct uz_strbuf out = { 0 };
	char *open;

	/* "[lz4] lz4hc zstd \n": brackets, and a blank after each. */
	assert_int_equal(
		uz_attr_show(f->ctx, attr_named("comp_algorithm"), &out), 0);
	open = strchr(out.data, '[');
	snprintf(text, sizeof(text), "[%s] ", uz_codec_known(0));
	assert_ptr_equal(open, out.data);
	assert_int_equal(strncmp(out.data, text, strlen(text)), 0);
	assert_string_equal(out.data + out.len - 2, " \n");
	uz_strbuf_free(&out);

	assert_int_equal(store(f, "comp_algorithm", "none-such\n"), -EINVAL);
	assert_int_equal(store(f, "comp_algorithm", "\n"), -EINVAL);
	memset(text, 'a', 128);
	text[128] = 0;
	assert_int_equal(store(f, "comp_algorithm", text), -E2BIG);
	text[127] = '\n';
	assert_int_equal(store(f, "comp_algorithm", text), -EINVAL);

	if (!uz_codec_known(1))
		return; /* there is no other to choose */
	snprintf(other, sizeof(other), "%s\n", uz_codec_known(1));
	assert_int_equal(store(f, "comp_algorithm", other), 0);
	assert_string_equal(uz_codec_name(&f->dev.codec), uz_codec_known(1));
	assert_int_equal(store(f, "disksize", "1048576"), 0);
	assert_int_equal(store(f, "comp_algorithm", other), 0);
	f->dev.codec_error = -EBUSY;
	assert_int_equal(store(f, "comp_algorithm", other), -EBUSY);
	assert_shows(f, "last_error", "comp_algorithm: no more codecs\n");
}

#if UZ_HAVE_ZSTD
static void test_comp_algorithm_with_parameters(void **state)
{
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };

	assert_int_equal(store(f, "comp_algorithm", "zstd:level=7\n"), 0);
	assert_int_equal(
		uz_attr_show(f->ctx, attr_named("comp_algorithm"), &out), 0);
	assert_non_null(strstr(out.data, "[zstd:level=7] "));
	uz_strbuf_free(&out);
}
#endif

static void test_max_comp_streams(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "max_comp_streams", "3\n");
	assert_int_equal(store(f, "max_comp_streams", "8\n"), 0);
	assert_shows(f, "max_comp_streams", "3\n");
	assert_int_equal(store(f, "max_comp_streams", "0"), -EINVAL);
	assert_int_equal(store(f, "max_comp_streams", "-1"), -EINVAL);
	assert_int_equal(store(f, "max_comp_streams", "many"), -EINVAL);
	assert_int_equal(store(f, "max_comp_streams", "2147483648"), -ERANGE);
}

static void test_mem_limit(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "mem_limit", "1\n"), 0);
	assert_int_equal(f->dev.limit, 1);
	assert_int_equal(store(f, "mem_limit", "512M\n"), 0);
	assert_int_equal(f->dev.limit, 512u << 20);
	assert_int_equal(store(f, "mem_limit", "x\n"), -EINVAL);
	assert_int_equal(store(f, "mem_limit", "-1\n"), -EINVAL);
	/* Rounded up, this one would be no limit at all. */
	assert_int_equal(store(f, "mem_limit", "18446744073709551615"),
			 -EINVAL);
	assert_int_equal(f->dev.limit, 512u << 20);
	assert_int_equal(store(f, "mem_limit", "0\n"), 0);
	assert_int_equal(f->dev.limit, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_disksize),
		fixture_test(test_disksize_suffixes),
		fixture_test(test_reset),
		fixture_test(test_disksize_was_set_already),
		fixture_test(test_disksize_grows),
		fixture_test(test_disksize_of_a_disk),
		fixture_test(test_reset_of_what_is_held),
		fixture_test(test_reset_of_a_disk),
		fixture_test(test_reset_waits_for_a_close),
		fixture_test(test_comp_algorithm),
#if UZ_HAVE_ZSTD
		fixture_test(test_comp_algorithm_with_parameters),
#endif
		fixture_test(test_max_comp_streams),
		fixture_test(test_mem_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
