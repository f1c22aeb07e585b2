// SPDX-License-Identifier: MIT
/*
 * recomp_algorithm, algorithm_params and recompress: words, refusals and what
 * reaches the device. The kernel's own refusals are compared with these in
 * tests/e2e/recompress.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "attr_fixture.h"
#include "config.h"

static int recomp(struct fixture *f, const char *text)
{
	return store(f, "recomp_algorithm", text);
}

static void test_recomp_algorithm(void **state)
{
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };
	char text[300];

	assert_shows(f, "recomp_algorithm", "");
	assert_int_equal(recomp(f, "algo=store\n"), 0);
	assert_int_equal(recomp(f, "priority=3 algo=store"), 0);
	assert_int_equal(
		uz_attr_show(f->ctx, attr_named("recomp_algorithm"), &out), 0);
	assert_memory_equal(out.data, "#1: ", 4);
	assert_non_null(strstr(out.data, "[store] \n#3: "));
	uz_strbuf_free(&out);
	assert_int_equal(recomp(f, "algo=store priority=0"), -EINVAL);
	assert_int_equal(recomp(f, "algo=store priority=4"), -EINVAL);
	assert_int_equal(recomp(f, "algo=store priority=x"), -EINVAL);
	assert_int_equal(recomp(f, "algo=none"), -EINVAL);
	assert_int_equal(recomp(f, "priority=1"), -EINVAL);
	assert_int_equal(recomp(f, "algo"), -EINVAL);
	assert_int_equal(recomp(f, "algo="), -EINVAL);
	assert_shows(f, "last_error",
		     "recomp_algorithm: 'algo=' has no value\n");
	assert_int_equal(recomp(f, " "), -EINVAL);
	/* What it does not know it passes over, as the kernel does. */
	assert_int_equal(recomp(f, "  algo=store\tcolour=red  "), 0);
	memset(text, 'n', sizeof(text));
	memcpy(text, "algo=", 5);
	text[5 + 128] = 0;
	assert_int_equal(recomp(f, text), -E2BIG);
	text[5 + 127] = 0;
	assert_int_equal(recomp(f, text), -EINVAL);
}

static int params(struct fixture *f, const char *text)
{
	return store(f, "algorithm_params", text);
}

static void test_params_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(params(f, "algo=none level=3"), -EINVAL);
	assert_int_equal(params(f, "priority=4 level=3"), -EINVAL);
	assert_int_equal(params(f, "priority=1 level=x"), -EINVAL);
	assert_int_equal(params(f, "level"), -EINVAL);
	assert_int_equal(params(f, "level=abc"), -EINVAL);
	assert_int_equal(params(f, "deflate.winbits=x"), -EINVAL);
	assert_int_equal(params(f, "deflate.winbits=-12"), 0);
}

/* A file of so many bytes. */
static void dict_file(const char *path, off_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_int_equal(pwrite(fd, "a dictionary", 12, 0), 12);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
}

static void refuse_dict(struct fixture *f, const char *path, const char *says)
{
	char text[200], line[400];

	f->dev.dict_size = 0;
	snprintf(text, sizeof(text), "dict=%s\n", path);
	assert_int_equal(params(f, text), -EINVAL);
	snprintf(line, sizeof(line), "algorithm_params: %s\n", says);
	assert_shows(f, "last_error", line);
	assert_int_equal(f->dev.dict_size, 0);
}

static void test_dict(void **state)
{
	static const char cannot[] = "cannot read the dictionary ";
	char dir[] = "/tmp/uzram-dict.XXXXXX", path[64], text[200];
	struct fixture *f = *state;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dict", dir);
	snprintf(text, sizeof(text), "%s%s: No such file or directory", cannot,
		 path);
	refuse_dict(f, path, text);
	snprintf(text, sizeof(text), "%s%s: it is no regular file", cannot,
		 dir);
	refuse_dict(f, dir, text);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(text, sizeof(text), "%s%s: it is no regular file", cannot,
		 path);
	refuse_dict(f, path, text); /* and at once */
	unlink(path);
	dict_file(path, 7);
	snprintf(text, sizeof(text),
		 "the dictionary %s has 7 bytes: it must have 8 to 1048576",
		 path);
	refuse_dict(f, path, text);
	dict_file(path, 1048577);
	snprintf(
		text, sizeof(text),
		"the dictionary %s has 1048577 bytes: it must have 8 to 1048576",
		path);
	refuse_dict(f, path, text);
	refuse_dict(
		f, "dict",
		"cannot read the dictionary dict: the path does not begin with '/', and the daemon has a directory of its own");

	dict_file(path, 5000);
	snprintf(text, sizeof(text), "dict=%s", path);
	assert_int_equal(params(f, text), 0);
	assert_int_equal(f->dev.dict_size, 5000);
	assert_memory_equal(f->dev.dict, "a dictio", 8);
	assert_int_equal(recomp(f, "algo=store priority=2"), 0);
	snprintf(text, sizeof(text), "priority=2 level=0 dict=%s\n", path);
	f->dev.dict_size = 0;
	assert_int_equal(params(f, text), 0);
	assert_int_equal(f->dev.dict_size, 5000);
	assert_int_equal(params(f, "dict="), -EINVAL);
	unlink(path);
	rmdir(dir);
}

/* For a priority that has no codec they wait until it has one. */
static void test_dict_before_the_codec(void **state)
{
	char path[] = "/tmp/uzram-dict.XXXXXX", text[200];
	struct fixture *f = *state;

	close(mkstemp(path));
	dict_file(path, 5000);
	snprintf(text, sizeof(text), "priority=2 dict=%s", path);
	assert_int_equal(params(f, text), 0);
	assert_int_equal(params(f, "priority=2 dict=/none/such"), -EINVAL);
	unlink(path);
	assert_int_equal(f->dev.dict_size, 0);
	assert_int_equal(recomp(f, "algo=store priority=1"), 0);
	assert_int_equal(f->dev.dict_size, 0);
	assert_int_equal(recomp(f, "algo=store priority=2"), 0);
	assert_int_equal(f->dev.dict_size, 5000);
	assert_memory_equal(f->dev.dict, "a dictio", 8);
}

#if UZ_HAVE_DEFLATE
static void test_deflate_params(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "comp_algorithm", "store"), 0);
	assert_int_equal(recomp(f, "algo=deflate priority=3"), 0);
	/* The size of the window is taken and changes nothing. */
	assert_int_equal(params(f, "algo=deflate level=9 deflate.winbits=-15"),
			 0);
	assert_int_equal(f->dev.secondary[3].level, 9);
	assert_int_equal(params(f, "priority=3 level=-1"), 0);
	assert_int_equal(f->dev.secondary[3].level, -1);
	assert_int_equal(params(f, "priority=3 level=13"), -EINVAL);
	assert_int_equal(f->dev.secondary[3].level, -1);
}
#endif

#if UZ_HAVE_ZSTD
static void test_level_before_the_codec(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(params(f, "priority=1 level=9"), 0);
	assert_int_equal(params(f, "priority=2 level=100"), 0);
	assert_int_equal(params(f, "priority=3 level=9"), 0);
	assert_int_equal(recomp(f, "algo=zstd priority=1"), 0);
	assert_int_equal(f->dev.secondary[1].level, 9);
	/* Of two the later, and nothing is kept for one more codec. */
	assert_int_equal(recomp(f, "algo=zstd priority=2"), -EINVAL);
	assert_int_equal(params(f, "priority=2 level=-7"), 0);
	assert_int_equal(recomp(f, "algo=zstd priority=2"), 0);
	assert_int_equal(f->dev.secondary[2].level, -7);
	assert_int_equal(recomp(f, "algo=zstd priority=2"), 0);
	assert_int_equal(f->dev.secondary[2].level, 3);
	/* What is said with the name counts. */
	assert_int_equal(recomp(f, "algo=zstd:level=4 priority=3"), 0);
	assert_int_equal(f->dev.secondary[3].level, 4);
}

static void test_level_before_a_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(params(f, "priority=1 level=9"), 0);
	assert_int_equal(store(f, "reset", "1"), 0);
	assert_int_equal(recomp(f, "algo=zstd priority=1"), 0);
	assert_int_equal(f->dev.secondary[1].level, 3);
}

static void test_algorithm_params(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "comp_algorithm", "store"), 0);
	assert_int_equal(recomp(f, "algo=zstd priority=2"), 0);
	assert_int_equal(params(f, "algo=zstd level=8\n"), 0);
	assert_int_equal(f->dev.secondary[2].level, 8);
	assert_int_equal(params(f, "level=-5 priority=2"), 0);
	assert_int_equal(f->dev.secondary[2].level, -5);
	assert_int_equal(params(f, "level=100 priority=2"), -EINVAL);
	assert_int_equal(f->dev.secondary[2].level, -5);
	assert_int_equal(store(f, "comp_algorithm", "zstd"), 0);
	/* Priority 0 where none is given, and where the name fits first. */
	assert_int_equal(params(f, "level=4"), 0);
	assert_int_equal(f->dev.codec.level, 4);
	assert_int_equal(params(f, "algo=zstd level=5"), 0);
	assert_int_equal(f->dev.codec.level, 5);
	assert_int_equal(f->dev.secondary[2].level, -5);
}
#endif

static int go(struct fixture *f, const char *text)
{
	return store(f, "recompress", text);
}

static void test_recompress(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(go(f, "type=idle"), -EINVAL);
	assert_shows(f, "last_error", "recompress: the device has no size\n");
	assert_int_equal(store(f, "disksize", "1M"), 0);
	assert_int_equal(go(f, "type=idle"), -EINVAL);
	assert_shows(f, "last_error", "recompress: no codec\n");
	assert_int_equal(recomp(f, "algo=store"), 0);
	f->dev.candidates = 40;
	assert_int_equal(go(f, "type=idle\n"), 0);
	assert_true(f->dev.how.idle && !f->dev.how.huge);
	assert_int_equal(f->dev.recompressed, 40);
	assert_int_equal(go(f, "type=huge"), 0);
	assert_true(!f->dev.how.idle && f->dev.how.huge);
	assert_int_equal(go(f, "type=huge_idle threshold=3000"), 0);
	assert_true(f->dev.how.idle && f->dev.how.huge);
	assert_int_equal(f->dev.how.least, 3000);
	f->dev.recompressed = 0;
	assert_int_equal(go(f, "max_pages=7"), 0);
	assert_int_equal(f->dev.recompressed, 7);
	assert_int_equal(go(f, "max_pages=0"), 0);
	assert_int_equal(f->dev.recompressed, 7);
	assert_int_equal(f->dev.how.priority, 0);
	assert_int_equal(go(f, "algo=store"), 0);
	assert_int_equal(f->dev.how.priority, 1);
	assert_int_equal(go(f, "priority=1 algo=store"), 0);
	assert_int_equal(go(f, " "), 0);

	assert_int_equal(go(f, "type=old"), -EINVAL);
	assert_int_equal(go(f, "type"), -EINVAL);
	assert_int_equal(go(f, "threshold=4000"), -EINVAL);
	assert_int_equal(go(f, "threshold=3999"), 0);
	assert_int_equal(go(f, "threshold=x"), -EINVAL);
	assert_int_equal(go(f, "threshold=4294967296"), -ERANGE);
	assert_int_equal(go(f, "max_pages=-1"), -EINVAL);
	assert_int_equal(go(f, "algo=none"), -EINVAL);
	assert_int_equal(recomp(f, "algo=store priority=3"), 0);
	assert_int_equal(go(f, "priority=3 algo=store"), 0);
	assert_int_equal(f->dev.how.priority, 3);
	assert_int_equal(go(f, "priority=2 algo=store"), -EINVAL);
	assert_int_equal(go(f, "priority=2"), -EINVAL);
	f->dev.recompress_error = -ENOSPC;
	f->dev.fail_after = f->dev.recompressed;
	assert_int_equal(go(f, "type=idle"), -ENOSPC);
}

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };
	char text[100];

	assert_int_equal(store(f, "disksize", "1M"), 0);
	assert_int_equal(recomp(f, "algo=store"), 0);
	f->dev.candidates = 40;
	f->dev.stat.compr_data_size = 123;
	assert_int_equal(go(f, "max_pages=30"), 0);
	assert_int_equal(uz_attr_show(f->ctx, attr_named("stat"), &out), 0);
	assert_non_null(strstr(out.data, "\nrecompress_running 0\n"));
	assert_non_null(strstr(out.data, "\nrecompress_total 30\n"));
	assert_non_null(strstr(out.data, "\nrecompress_tried 30\n"));
	uz_strbuf_free(&out);
	assert_int_equal(uz_attr_show(f->ctx, attr_named("debug_stat"), &out),
			 0);
	snprintf(text, sizeof(text), "\ncodec %s: 3 pages 123 bytes\n",
		 uz_codec_name(&f->dev.codec));
	assert_non_null(strstr(out.data, text));
	uz_strbuf_free(&out);
}

/* The id of a write that is to end before it has begun. */
static void test_interrupted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "1M"), 0);
	assert_int_equal(recomp(f, "algo=store"), 0);
	f->dev.candidates = 1000;
	uz_attr_interrupt(f->ctx, 42);
	assert_int_equal(uz_attr_store_for(f->ctx, attr_named("recompress"),
					   "type=idle", 9, false, 42),
			 -EINTR);
	assert_int_equal(uz_attr_store_for(f->ctx, attr_named("recompress"),
					   "type=idle", 9, false, 43),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_recomp_algorithm),
		fixture_test(test_params_refused),
		fixture_test(test_dict),
		fixture_test(test_dict_before_the_codec),
#if UZ_HAVE_DEFLATE
		fixture_test(test_deflate_params),
#endif
#if UZ_HAVE_ZSTD
		fixture_test(test_algorithm_params),
		fixture_test(test_level_before_the_codec),
		fixture_test(test_level_before_a_reset),
#endif
		fixture_test(test_recompress),
		fixture_test(test_statistics),
		fixture_test(test_interrupted),
	};

	return cmocka_run_group_tests_name("attr recomp", tests, NULL, NULL);
}
