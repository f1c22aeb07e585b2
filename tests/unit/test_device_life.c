// SPDX-License-Identifier: MIT
/*
 * A device's life: names, codec, size, holders, reset, and what each state
 * refuses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "device_fixture.h"
#include "soon.h"

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",    ".x", "-x",  "a/b",
		"a b", "..", "a\n", "abcdefghijklmnopqrstuvwxyz012345" /* 32 */
	};
	struct uz_device_mem mem;
	struct uz_device *dev = NULL;
	struct uz_err err;
	size_t i;

	(void)state;
	assert_int_equal(uz_device_mem_create(&mem), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(uz_device_open(&dev, bad[i], &mem, &err),
				 -EINVAL);
		assert_null(dev);
		assert_true(err.text[0]);
	}
	uz_device_mem_close(&mem);
	uz_device_mem_close(&mem); /* closing twice closes nothing else */
}

static void test_sizes(void **state)
{
	struct fixture f;
	struct uz_err err;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_disksize(f.dev), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, 0, &err), -EINVAL);
	assert_int_equal(
		uz_device_set_disksize(f.dev, UZ_DISKSIZE_MAX + 1, &err),
		-EINVAL);
	assert_int_equal(uz_device_disksize(f.dev), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, 1, &err), 0);
	assert_int_equal(uz_device_disksize(f.dev), UZ_DISKSIZE_MIN);
	assert_int_equal(uz_device_reset(f.dev, false, &err), 0);
	assert_int_equal(
		uz_device_set_disksize(f.dev, UZ_DISKSIZE_MIN + 1, &err), 0);
	assert_int_equal(uz_device_disksize(f.dev),
			 UZ_DISKSIZE_MIN + UZ_PAGE_SIZE);
	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 22, &err), -EBUSY);
	assert_non_null(strstr(err.text, "test"));
	fixture_close(&f);
}

static void test_codec(void **state)
{
	struct uz_codec codec;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), uz_codec_known(0));
	assert_int_equal(uz_device_set_codec(f.dev, "no-such", NULL), -EINVAL);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), "store");
	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 20, NULL), 0);
	assert_int_equal(uz_device_set_codec(f.dev, "no-such", NULL), -EINVAL);
	assert_int_equal(uz_device_set_codec(f.dev, uz_codec_known(0), NULL),
			 0);
	fixture_close(&f);
}

static void expect_zpool(struct fixture *f, const char *want)
{
	char name[UZ_POOL_NAME_MAX + 1];

	uz_device_zpool(f->dev, name);
	assert_string_equal(name, want);
}

static void test_zpool(void **state)
{
	struct uz_err err;
	const char *name;
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	expect_zpool(&f, uz_pool_backend(0));
	assert_int_equal(uz_device_set_zpool(f.dev, "no-such", &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "no-such"));
	assert_non_null(strstr(err.text, uz_pool_backend(0)));
	assert_int_equal(uz_device_set_zpool(f.dev, "", NULL), -ENOTSUP);
	expect_zpool(&f, uz_pool_backend(0));
	for (i = 0; (name = uz_pool_backend(i)); i++) {
		unsigned char page[UZ_PAGE_SIZE];

		assert_int_equal(uz_device_set_zpool(f.dev, name, NULL), 0);
		expect_zpool(&f, name);
		fixture_forget(&f);
		fixture_adopt(&f); /* chosen, no size yet */
		expect_zpool(&f, name);
		assert_int_equal(uz_device_set_disksize(f.dev, 1 << 20, NULL),
				 0);
		assert_int_equal(uz_device_set_zpool(f.dev, name, &err),
				 -EBUSY);
		page_text(page, i);
		assert_int_equal(uz_page_store(f.io, i, page), 0);
		fixture_check(&f);
		fixture_forget(&f);
		fixture_adopt(&f);
		expect_zpool(&f, name);
		expect_page(&f, i, page);
		assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
		expect_zpool(&f, uz_pool_backend(0));
	}
	fixture_close(&f);
}

/* Those of all classes are among those of the pool, once it is at rest. */
static bool classes_add_up(struct fixture *f)
{
	struct uz_pool_class_stat stat;
	struct uz_device_stat total;
	uint64_t used = 0;
	unsigned int i;

	for (i = 0; uz_device_class_stat(f->dev, i, &stat); i++)
		used += stat.used_bytes;
	uz_device_stat(f->dev, &total);
	return used && used <= total.mem_used_total;
}

static void test_classes(void **state)
{
	struct uz_pool_class_stat stat = { .size = 77 };
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t objects = 0;
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_false(uz_device_class_stat(f.dev, 0, &stat));
	assert_int_equal(stat.size, 77);
	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 20, NULL), 0);
	for (i = 0; i < 100; i++) {
		if (i % 2)
			page_noise(page, i);
		else
			page_text(page, i);
		assert_int_equal(uz_page_store(f.io, i, page), 0);
	}
	for (i = 0; uz_device_class_stat(f.dev, i, &stat); i++)
		objects += stat.objects;
	assert_int_equal(objects, 100);
	assert_true(SOON(classes_add_up(&f)));
	fixture_close(&f);
}

static void test_no_size_no_io(void **state)
{
	unsigned char page[UZ_PAGE_SIZE] = { 0 };
	struct uz_request rq = { UZ_OP_READ, 0, UZ_PAGE_SIZE, page };
	struct uz_device_stat stat;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_submit(f.io, &rq), -EINVAL);
	rq.op = UZ_OP_WRITE;
	assert_int_equal(uz_device_submit(f.io, &rq), -EINVAL);
	uz_device_set_limit(f.dev, 5000);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.mem_limit, 8192);
	assert_int_equal(stat.orig_data_size, 0);
	fixture_close(&f);
}

static void test_reset(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	struct uz_codec codec;
	struct stat st;
	struct fixture f;
	struct uz_err err;

	(void)state;
	fixture_open(&f, "store", 1 << 20);
	page_noise(page, 1);
	assert_int_equal(uz_page_store(f.io, 3, page), 0);
	uz_device_hold(f.dev);
	uz_device_hold(f.dev);
	uz_device_release(f.dev);
	assert_int_equal(uz_device_holders(f.dev), 1);
	assert_int_equal(uz_device_reset(f.dev, false, &err), -EBUSY);
	expect_page(&f, 3, page);
	assert_int_equal(uz_device_reset(f.dev, true, &err), 0);
	uz_device_release(f.dev);

	assert_int_equal(uz_device_disksize(f.dev), 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), uz_codec_known(0));
	assert_int_equal(fstat(f.mem.arena_fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(fstat(f.mem.table_fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);

	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 20, &err), 0);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.orig_data_size, 0);
	assert_int_equal(stat.huge_pages_since, 0);
	page_same(page, 0);
	expect_page(&f, 3, page);
	fixture_close(&f);
}

static uint64_t resident(struct fixture *f)
{
	struct uz_device_stat stat;

	uz_device_stat(f->dev, &stat);
	assert_int_equal(stat.mem_resident,
			 stat.mem_used_total + stat.meta_bytes);
	return stat.mem_resident;
}

/* Of a thread's buffer, what was touched; and what the thread itself takes. */
static void test_buffers_count(void **state)
{
	const size_t size = 64 * UZ_PAGE_SIZE;
	unsigned char *buf = mmap(NULL, size, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t before, with_thread;
	struct fixture f;
	struct uz_io *io;

	(void)state;
	assert_ptr_not_equal(buf, MAP_FAILED);
	fixture_open(&f, NULL, 1 << 20);
	before = resident(&f);
	assert_int_equal(uz_io_create(f.dev, &io), 0);
	with_thread = resident(&f);
	assert_true(with_thread > before + 2 * UZ_PAGE_SIZE);
	uz_io_buffer(io, buf, size);
	assert_int_equal(resident(&f), with_thread);
	buf[0] = 1;
	buf[size - 1] = 1;
	assert_int_equal(resident(&f), with_thread + 2 * UZ_PAGE_SIZE);
	uz_io_destroy(io);
	assert_int_equal(resident(&f), before);
	fixture_close(&f);
	munmap(buf, size);
}

static void test_too_many_threads(void **state)
{
	static struct uz_io *io[UZ_IO_MAX];
	struct uz_io *more = NULL;
	struct fixture f;
	int i;

	(void)state;
	fixture_open(&f, NULL, 0);
	for (i = 0; i < UZ_IO_MAX - 1; i++)
		assert_int_equal(uz_io_create(f.dev, &io[i]), 0);
	assert_int_equal(uz_io_create(f.dev, &more), -EBUSY);
	assert_null(more);
	for (i = 0; i < UZ_IO_MAX - 1; i++)
		uz_io_destroy(io[i]);
	assert_int_equal(uz_io_create(f.dev, &more), 0);
	uz_io_destroy(more);
	uz_io_destroy(NULL);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_zpool),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_no_size_no_io),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_buffers_count),
		cmocka_unit_test(test_too_many_threads),
	};

	return cmocka_run_group_tests_name("device life", tests, NULL, NULL);
}
