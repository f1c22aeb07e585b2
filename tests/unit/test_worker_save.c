// SPDX-License-Identifier: MIT
/*
 * A device to a file and back, on the real device: every page is there again,
 * whatever is wrong is refused with a line that says what, and a failure
 * leaves neither a file nor a device behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/device/codecs.h>
#include <uzram/image.h>
#include <uzram/worker.h>
#include <uzram/worker/save.h>

#include "backing_fixture.h"

#define SIZE  (16u << 20)
#define PAGES (SIZE / UZ_PAGE_SIZE)
#define USED  (PAGES / 2)

static char dir[64];
static char path[96];

struct scene {
	struct fixture f;
	struct uz_saver *saver;
};

static void page_nth(unsigned char *page, uint64_t n)
{
	switch (n % 5) {
	case 0:
		page_noise(page, n);
		break;
	case 1:
		page_same(page, n);
		break;
	case 2:
		page_same(page, UINT64_C(0x0123456789abcd01) + n * 256);
		break;
	default:
		page_text(page, n);
		break;
	}
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	strcpy(dir, "/tmp/uzram-save.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	fixture_open(&s->f, NULL, SIZE);
	for (i = 0; i < USED; i++) {
		/* Pages of two codecs. */
		if (i == USED / 2)
			assert_int_equal(
				uz_device_set_codec(s->f.dev, "store", NULL),
				0);
		page_nth(page, i);
		assert_int_equal(uz_page_store(s->f.io, 2 * i, page), 0);
	}
	assert_int_equal(uz_saver_create(&s->saver, s->f.dev), 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	uz_saver_destroy(s->saver);
	fixture_close(&s->f);
	free(s);
	unlink(path);
	return rmdir(dir);
}

static unsigned int entries(void)
{
	unsigned int n = 0;
	DIR *d = opendir(dir);

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void await_end(struct scene *s, struct uz_save_progress *p)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (;;) {
		uz_saver_progress(s->saver, p);
		assert_int_equal(p->all, USED);
		assert_true(p->done <= p->all);
		if (p->state != UZ_SAVE_RUNNING)
			return;
		nanosleep(&pause, NULL);
	}
}

static void save(struct scene *s)
{
	struct uz_save_progress p;
	struct uz_err err = { 0 };
	struct stat st;

	if (uz_saver_start(s->saver, path, &err))
		fail_msg("%s", err.text);
	await_end(s, &p);
	if (p.state != UZ_SAVE_DONE)
		fail_msg("%s", p.err.text);
	assert_int_equal(p.done, USED);
	assert_string_equal(p.path, path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, p.bytes);
	assert_int_equal(entries(), 1);
}

/* A device without a size, to restore into. */
static void target(struct fixture *to)
{
	memset(to, 0, sizeof(*to));
	assert_int_equal(uz_device_mem_create(&to->mem), 0);
	assert_int_equal(uz_device_open(&to->dev, "copy", &to->mem, NULL), 0);
	fixture_zpool(to->dev);
}

static void expect_pages(struct fixture *to)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i, nr = uz_device_disksize(to->dev) / UZ_PAGE_SIZE;

	assert_int_equal(uz_io_create(to->dev, &to->io), 0);
	for (i = 0; i < nr; i++) {
		memset(page, 0, sizeof(page));
		if (i % 2 == 0 && i / 2 < USED)
			page_nth(page, i / 2);
		expect_page(to, i, page);
	}
}

static void restore(uint64_t size, const char *codec)
{
	struct uz_device_stat stat;
	struct uz_err err = { 0 };
	struct uz_codec chosen;
	struct fixture to;

	target(&to);
	if (uz_restore(to.dev, path, size, codec, &err))
		fail_msg("%s", err.text);
	assert_int_equal(uz_device_disksize(to.dev), size ? size : SIZE);
	uz_device_stat(to.dev, &stat);
	assert_int_equal(stat.orig_data_size, USED * UZ_PAGE_SIZE);
	uz_device_codec(to.dev, &chosen);
	assert_string_equal(uz_codec_name(&chosen), *codec ? codec : "store");
	expect_pages(&to);
	fixture_close(&to);
}

static void test_round_trip(void **state)
{
	struct scene *s = *state;

	save(s);
	restore(0, "");
	restore(SIZE, uz_codec_known(0));
	restore(4 * SIZE, "");
	/* Over the one that is there. */
	save(s);
	restore(0, "");
}

/* What is stored is what was stored: nothing was compressed again. */
static void test_keeps_what_was_compressed(void **state)
{
	struct scene *s = *state;
	struct uz_device_stat before, after;
	struct fixture to;

	save(s);
	target(&to);
	assert_int_equal(uz_restore(to.dev, path, 0, "store", NULL), 0);
	uz_device_stat(s->f.dev, &before);
	uz_device_stat(to.dev, &after);
	assert_int_equal(after.compr_data_size, before.compr_data_size);
	assert_int_equal(after.same_pages, before.same_pages);
	assert_int_equal(after.huge_pages, before.huge_pages);
	/* And lasts: whoever adopts the memory finds its codecs. */
	uz_device_close(to.dev);
	fixture_adopt(&to);
	uz_io_destroy(to.io);
	expect_pages(&to);
	fixture_close(&to);
}

static void refuse(uint64_t size, const char *codec, int ret, const char *text)
{
	struct uz_err err = { 0 };
	struct fixture to;

	target(&to);
	assert_int_equal(uz_restore(to.dev, path, size, codec, &err), ret);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" is not in: %s", text, err.text);
	assert_int_equal(uz_device_disksize(to.dev), 0);
	/* It can still become something. */
	assert_int_equal(uz_device_set_disksize(to.dev, SIZE, NULL), 0);
	assert_int_equal(uz_io_create(to.dev, &to.io), 0);
	fixture_close(&to);
}

static void test_refuses(void **state)
{
	struct scene *s = *state;
	struct stat st;
	char byte;
	int fd;

	save(s);
	refuse(SIZE / 2, "", -EINVAL, "too small");
	refuse(0, "nonsense", -EINVAL, "nonsense");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	refuse(0, "", -EUCLEAN, "cut off at byte");
	save(s);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, st.st_size / 2), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2), 1);
	close(fd);
	refuse(0, "", -EUCLEAN, "damaged at byte");
	unlink(path);
	refuse(0, "", -ENOENT, path);
}

/* Images that are right as files, but not for this device. */
static void made(const char *second, const struct uz_image_page *page,
		 unsigned int times)
{
	struct uz_image_info info = { .disksize = SIZE, .codecs = { "store" } };
	struct uz_image_writer *w;

	strcpy(info.codecs[1], second);
	assert_int_equal(uz_image_create(&w, path, &info, NULL), 0);
	while (times--)
		assert_int_equal(uz_image_add(w, page, NULL), 0);
	assert_int_equal(uz_image_commit(w, NULL), 0);
}

static void test_refuses_what_does_not_fit(void **state)
{
	struct uz_image_page page = {
		.index = 0,
		.form = 1,
		.size = 8,
		.bytes = "12345678",
	};

	(void)state;
	made("brotli:level=3", &page, 0);
	refuse(0, "", -ENOTSUP, "needs the codec \"brotli:level=3\"");
	made("zstd:level=99", &page, 0);
	refuse(0, "", -ENOTSUP, "needs the codec \"zstd:level=99\"");
	made("", &page, 1);
	refuse(0, "", -EUCLEAN, "page 0 does not match");
	/* The low half of XXH3 of these eight bytes. */
	page.form = 2;
	page.codec = 1;
	made("", &page, 1);
	refuse(0, "", -EUCLEAN, "page 0 is by a codec that it does not name");
}

/* Pages of a codec with a dictionary, that only it makes small. */
static void test_dictionaries(void **state)
{
	unsigned char page[UZ_PAGE_SIZE], bytes[3 * UZ_PAGE_SIZE / 2];
	const struct uz_device_dict dict = { bytes, sizeof(bytes) };
	struct scene *s = *state;
	struct uz_codec before, after;
	struct fixture to;
	uint64_t i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * i >> 7 ^ i * 31);
	if (!dict_codec())
		return; /* not in this build */
	assert_int_equal(
		uz_device_set_dict(s->f.dev, 0, dict_codec(), &dict, NULL), 0);
	memcpy(page, bytes + 100, sizeof(page));
	for (i = 0; i < USED; i += 100)
		assert_int_equal(uz_page_store(s->f.io, 2 * i, page), 0);
	uz_device_codec(s->f.dev, &before);
	save(s);

	target(&to);
	assert_int_equal(uz_restore(to.dev, path, 0, "", NULL), 0);
	uz_device_codec(to.dev, &after);
	assert_true(before.dict && uz_codec_same(&before, &after));
	/* And once more out of that one's memory. */
	uz_device_close(to.dev);
	fixture_adopt(&to);
	for (i = 0; i < USED; i += 100)
		expect_page(&to, 2 * i, page);
	fixture_close(&to);
	/* By another codec from now on, it keeps the one that pages need. */
	target(&to);
	assert_int_equal(uz_restore(to.dev, path, 0, "store", NULL), 0);
	assert_int_equal(uz_io_create(to.dev, &to.io), 0);
	for (i = 0; i < USED; i += 100)
		expect_page(&to, 2 * i, page);
	fixture_close(&to);
}

/* An image of a codec with a dictionary of 5000 bytes, of which some come. */
static void made_dict(uint32_t size, unsigned int pieces, const char *codec)
{
	static const unsigned char bytes[UZ_PAGE_SIZE];
	struct uz_image_info info = {
		.disksize = SIZE,
		.codecs = { "store" },
		.dicts = { 0, size },
	};
	struct uz_image_page record = {
		.form = UZ_IMAGE_DICT,
		.codec = 1,
		.bytes = bytes,
	};
	struct uz_image_writer *w;
	unsigned int i;

	strcpy(info.codecs[1], codec);
	assert_int_equal(uz_image_create(&w, path, &info, NULL), 0);
	for (i = 0; i < pieces; i++) {
		record.index = i;
		record.size = i ? 5000 - UZ_PAGE_SIZE : UZ_PAGE_SIZE;
		assert_int_equal(uz_image_add(w, &record, NULL), 0);
	}
	assert_int_equal(uz_image_commit(w, NULL), 0);
}

static void test_refuses_dictionaries(void **state)
{
	char text[UZ_CODEC_TEXT_MAX + 1];

	(void)state;
	if (!dict_codec())
		return; /* not in this build */
	snprintf(text, sizeof(text), "%s:dict=1f", dict_codec());
	made_dict(5000, 0, text);
	refuse(0, "", -EUCLEAN, "dict=1f\" is missing");
	made_dict(5000, 1, text);
	refuse(0, "", -EUCLEAN, "dict=1f\" is missing");
	made_dict(5000, 3, text);
	refuse(0, "", -EUCLEAN, "its number is");
	made_dict(5001, 2, text);
	refuse(0, "", -EUCLEAN, "makes no sense");
	made_dict(UZ_IMAGE_DICT_MAX + 1, 0, text);
	refuse(0, "", -EUCLEAN, "its header makes no sense");
	/* One without the other. */
	made_dict(0, 0, text);
	refuse(0, "", -ENOTSUP, "dict=1f");
	made_dict(0, 1, text);
	refuse(0, "", -ENOTSUP, "dict=1f");
	made_dict(5000, 2, "store");
	refuse(0, "", -ENOTSUP, "store");
}

static void test_does_not_fit_the_limit(void **state)
{
	struct scene *s = *state;
	struct uz_err err;
	struct fixture to;

	save(s);
	target(&to);
	uz_device_set_limit(to.dev, 1 << 20);
	assert_int_equal(uz_restore(to.dev, path, 0, "", &err), -ENOSPC);
	assert_non_null(strstr(err.text, "mem_limit"));
	assert_int_equal(uz_device_disksize(to.dev), 0);
	uz_device_close(to.dev);
	uz_device_mem_close(&to.mem);
}

/* As the daemon does it: all that makes room is there before the size. */
static int restore_backed(struct fixture *to, uint64_t store_bytes,
			  struct uz_err *err)
{
	struct uz_shrinker *shrinker;
	int ret;

	target(to);
	store_make(store_bytes);
	assert_int_equal(uz_device_set_backing(to->dev, store_path, NULL), 0);
	uz_device_set_limit(to->dev, 1 << 20);
	assert_int_equal(uz_shrinker_start(&shrinker, to->dev), 0);
	ret = uz_restore(to->dev, path, 0, "", err);
	uz_shrinker_stop(shrinker);
	return ret;
}

/* What does not fit below the limit goes to the store, as it went before. */
static void test_fits_with_a_store(void **state)
{
	struct scene *s = *state;
	struct uz_device_stat stat;
	struct uz_err err = { 0 };
	struct fixture to;

	save(s);
	if (restore_backed(&to, 2 * SIZE, &err))
		fail_msg("%s", err.text);
	assert_true(backing_stat(&to).shrunk_pages > 0);
	uz_device_stat(to.dev, &stat);
	assert_int_equal(stat.limit_rejections, 0);
	assert_in_range(stat.mem_used_max, 1 << 19, 1 << 20);
	expect_pages(&to);
	/* Looks at the users of every block, too. */
	backed_close(&to);
}

/* A file that may not grow: an error, and nothing is left. */
static void test_has_no_room_for_the_file(void **state)
{
	struct scene *s = *state;
	struct uz_save_progress p;
	struct rlimit limit, before;
	struct uz_err err;

	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 1 << 20;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(uz_saver_start(s->saver, path, &err), 0);
	await_end(s, &p);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(p.state, UZ_SAVE_FAILED);
	assert_non_null(strstr(p.err.text, path));
	assert_int_equal(entries(), 0);
	/* The device is as before. */
	save(s);
	restore(0, "");
}

static void test_is_given_up(void **state)
{
	struct scene *s = *state;

	assert_int_equal(uz_saver_start(s->saver, path, NULL), 0);
	uz_saver_destroy(s->saver);
	s->saver = NULL;
	/* Unless it was quicker, which is as well. */
	if (entries())
		restore(0, "");
}

static void test_is_reset_meanwhile(void **state)
{
	struct scene *s = *state;
	struct uz_save_progress p;

	assert_int_equal(uz_saver_start(s->saver, path, NULL), 0);
	assert_int_equal(uz_device_reset(s->f.dev, true, NULL), 0);
	await_end(s, &p);
	if (p.state == UZ_SAVE_FAILED) {
		assert_non_null(strstr(p.err.text, "reset"));
		assert_int_equal(entries(), 0);
	}
}

/* ---- next to writers ---- */

static struct {
	struct scene *scene;
	_Atomic bool stop;
} writing;

/* Changes every page over and over, and puts each back as it was. */
static void *writer_main(void *arg)
{
	unsigned char page[UZ_PAGE_SIZE], other[UZ_PAGE_SIZE];
	struct uz_request rq = {
		.op = UZ_OP_WRITE,
		.length = UZ_PAGE_SIZE,
	};
	struct uz_io *io;
	uint64_t i;

	(void)arg;
	assert_int_equal(uz_io_create(writing.scene->f.dev, &io), 0);
	for (i = 0; !atomic_load(&writing.stop); i = (i + 1) % USED) {
		unsigned char both[2 * UZ_PAGE_SIZE];

		/* Two pages in one request: never one without the other. */
		page_nth(page, i);
		page_noise(other, i);
		memcpy(both, other, UZ_PAGE_SIZE);
		memcpy(both + UZ_PAGE_SIZE, other, UZ_PAGE_SIZE);
		rq.offset = 2 * i * UZ_PAGE_SIZE;
		rq.length = sizeof(both);
		rq.buf = both;
		assert_int_equal(uz_device_submit(io, &rq), 0);
		memcpy(both, page, UZ_PAGE_SIZE);
		memset(both + UZ_PAGE_SIZE, 0, UZ_PAGE_SIZE);
		assert_int_equal(uz_device_submit(io, &rq), 0);
	}
	uz_io_destroy(io);
	return NULL;
}

static void expect_pairs(void)
{
	unsigned char even[UZ_PAGE_SIZE], odd[UZ_PAGE_SIZE];
	unsigned char want[UZ_PAGE_SIZE], zero[UZ_PAGE_SIZE] = { 0 };
	struct fixture to;
	unsigned int changed = 0;
	uint64_t i;

	target(&to);
	assert_int_equal(uz_restore(to.dev, path, 0, "", NULL), 0);
	assert_int_equal(uz_io_create(to.dev, &to.io), 0);
	for (i = 0; i < USED; i++) {
		assert_int_equal(uz_page_load(to.io, 2 * i, even), 0);
		assert_int_equal(uz_page_load(to.io, 2 * i + 1, odd), 0);
		if (!memcmp(odd, zero, sizeof(zero))) {
			page_nth(want, i);
		} else {
			page_noise(want, i);
			assert_memory_equal(odd, want, sizeof(want));
			changed++;
		}
		assert_memory_equal(even, want, sizeof(want));
	}
	/* One writer has one pair under way at most. */
	assert_in_range(changed, 0, 1);
	fixture_close(&to);
}

static void test_next_to_a_writer(void **state)
{
	struct uz_save_progress p;
	pthread_t thread;
	unsigned int i;

	writing.scene = *state;
	atomic_store(&writing.stop, false);
	pthread_create(&thread, NULL, writer_main, NULL);
	for (i = 0; i < 10; i++) {
		assert_int_equal(
			uz_saver_start(writing.scene->saver, path, NULL), 0);
		do {
			uz_saver_progress(writing.scene->saver, &p);
		} while (p.state == UZ_SAVE_RUNNING);
		assert_int_equal(p.state, UZ_SAVE_DONE);
		assert_int_equal(p.done, p.all);
		expect_pairs();
	}
	atomic_store(&writing.stop, true);
	pthread_join(thread, NULL);
}

#define save_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		save_test(test_round_trip),
		save_test(test_keeps_what_was_compressed),
		save_test(test_refuses),
		save_test(test_refuses_what_does_not_fit),
		save_test(test_dictionaries),
		save_test(test_refuses_dictionaries),
		save_test(test_does_not_fit_the_limit),
		save_test(test_fits_with_a_store),
		save_test(test_has_no_room_for_the_file),
		save_test(test_is_given_up),
		save_test(test_is_reset_meanwhile),
		save_test(test_next_to_a_writer),
	};

	return cmocka_run_group_tests_name("worker save", tests, NULL, NULL);
}
