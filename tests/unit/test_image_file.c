// SPDX-License-Identifier: MIT
/*
 * Images as files: what was put in comes out, nothing comes out of a file that
 * was cut off at any byte or altered anywhere, and a failed write leaves what
 * was there before.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <image_priv.h>

#define PAGES 512u /* of the device; its image has fewer */

static char dir[64];
static char path[128];

static const struct uz_image_info info = {
	.disksize = PAGES * UZ_PAGE_SIZE,
	.created = 1700000000,
	.codec = 1,
	.codecs = { "lz4", "zstd:level=3" },
};

static uint64_t random_next(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/uzram-image.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/image", dir);
	return 0;
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

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(entries(), 0);
	return rmdir(dir);
}

/* The n-th page: of every form and of many sizes. */
static void page_nth(uint64_t n, struct uz_image_page *page,
		     unsigned char bytes[UZ_PAGE_SIZE])
{
	uint64_t x = n + 1;
	unsigned int i;

	*page = (struct uz_image_page){
		.index = (uint32_t)(n * 7 % PAGES),
		.form = 1 + n % 3,
		.sum = (uint32_t)(n * 2654435761u),
		.bytes = bytes,
	};
	page->size = page->form == 1   ? 8
		     : page->form == 3 ? UZ_PAGE_SIZE
				       : 1 + n * 131 % (UZ_PAGE_SIZE - 1);
	page->codec = page->form == 2 ? n % 2 : 0;
	for (i = 0; i < page->size; i++)
		bytes[i] = (unsigned char)random_next(&x);
}

static void write_image(const char *name, unsigned int pages)
{
	unsigned char bytes[UZ_PAGE_SIZE];
	struct uz_image_writer *w;
	struct uz_image_page page;
	struct uz_err err = { 0 };
	unsigned int n;

	if (uz_image_create(&w, name, &info, &err))
		fail_msg("%s", err.text);
	for (n = 0; n < pages; n++) {
		page_nth(n, &page, bytes);
		assert_int_equal(uz_image_add(w, &page, &err), 0);
	}
	if (uz_image_commit(w, &err))
		fail_msg("%s", err.text);
}

/*
 * Reads an image; every page that comes out must be the one that went in.
 * Returns how many there were, or the failure.
 */
static int read_image(const char *name, struct uz_err *err)
{
	unsigned char bytes[UZ_PAGE_SIZE];
	struct uz_image_page page, want;
	struct uz_image_reader *r;
	struct uz_image_info got;
	int ret, n = 0;

	ret = uz_image_open(&r, name, &got, err);
	if (ret)
		return ret;
	assert_int_equal(got.disksize, info.disksize);
	assert_int_equal(got.created, info.created);
	assert_int_equal(got.codec, info.codec);
	assert_memory_equal(got.codecs, info.codecs, sizeof(got.codecs));
	while ((ret = uz_image_next(r, &page, err)) == 1) {
		page_nth((uint64_t)n++, &want, bytes);
		assert_int_equal(page.index, want.index);
		assert_int_equal(page.form, want.form);
		assert_int_equal(page.codec, want.codec);
		assert_int_equal(page.size, want.size);
		assert_int_equal(page.sum, want.sum);
		assert_memory_equal(page.bytes, bytes, want.size);
	}
	/* It stays so. */
	if (!ret)
		assert_int_equal(uz_image_next(r, &page, err), 0);
	uz_image_close(r);
	return ret ? ret : n;
}

static void test_round_trip(void **state)
{
	struct uz_err err;
	struct stat st;

	(void)state;
	write_image(path, 0);
	assert_int_equal(read_image(path, &err), 0);
	write_image(path, 1);
	assert_int_equal(read_image(path, &err), 1);
	/* Several blocks, more than there are buffers. */
	write_image(path, 6000);
	assert_int_equal(read_image(path, &err), 6000);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 6 << 20);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(entries(), 1);
}

/* ---- files that are wrong ---- */

static unsigned char *slurp(size_t *size)
{
	int fd = open(path, O_RDONLY);
	unsigned char *bytes;
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size + 1);
	assert_int_equal(read(fd, bytes, *size), *size);
	close(fd);
	return bytes;
}

static void spill(const void *bytes, size_t size)
{
	/* Not O_TRUNC, for which some file systems wait at the close. */
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void test_refuses_every_length(void **state)
{
	struct uz_err err;
	unsigned char *bytes;
	char where[32];
	size_t size, len;

	(void)state;
	write_image(path, 3);
	bytes = slurp(&size);
	for (len = 0; len < size; len++) {
		assert_int_equal(truncate(path, (off_t)len), 0);
		assert_int_equal(read_image(path, &err), -EUCLEAN);
		snprintf(where, sizeof(where), "at byte %zu:", len);
		if (!strstr(err.text, where))
			fail_msg("%zu: %s", len, err.text);
		spill(bytes, size);
	}
	bytes[size] = 0;
	spill(bytes, size + 1);
	assert_int_equal(read_image(path, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "follows"));
	free(bytes);
}

static void test_refuses_every_bit(void **state)
{
	struct uz_err err;
	unsigned char *bytes;
	size_t size, i;
	int ret;

	(void)state;
	write_image(path, 3);
	bytes = slurp(&size);
	for (i = 0; i < size; i++) {
		bytes[i] ^= (unsigned char)(1u << i % 8);
		spill(bytes, size);
		ret = read_image(path, &err);
		if (ret != -EUCLEAN && ret != -ENOTSUP)
			fail_msg("byte %zu: %d", i, ret);
		bytes[i] ^= (unsigned char)(1u << i % 8);
	}
	free(bytes);
}

static uint64_t seed(void)
{
	const char *text = getenv("UZ_SEED");
	uint64_t x = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	print_message("# UZ_SEED=%llu\n", (unsigned long long)x);
	return x * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

/* Runs of bytes changed, moved, cut out and doubled. */
static void test_refuses_alterations(void **state)
{
	uint64_t x = seed();
	unsigned char *bytes, *other;
	size_t size, from, to, len;
	struct uz_err err;
	unsigned int i;
	int ret;

	(void)state;
	write_image(path, 900);
	bytes = slurp(&size);
	other = malloc(size);
	for (i = 0; i < 200; i++) {
		memcpy(other, bytes, size);
		len = 1 + random_next(&x) % (i % 2 ? 16 : size / 4);
		from = random_next(&x) % (size - len);
		to = random_next(&x) % (size - len);
		memmove(other + to, other + from, len);
		if (i % 4 == 3)
			other[to] ^= 0x55;
		if (!memcmp(other, bytes, size))
			continue;
		spill(other, size);
		ret = read_image(path, &err);
		if (ret != -EUCLEAN && ret != -ENOTSUP)
			fail_msg("%zu bytes from %zu to %zu: %d", len, from, to,
				 ret);
	}
	free(bytes);
	free(other);
}

/* A block of another image, right in itself, is not taken. */
static void test_refuses_blocks_of_others(void **state)
{
	unsigned char *a, *b;
	struct uz_err err;
	size_t size;

	(void)state;
	write_image(path, 5);
	a = slurp(&size);
	write_image(path, 5);
	b = slurp(&size);
	memcpy(a + UZ__IMAGE_HEADER, b + UZ__IMAGE_HEADER,
	       size - UZ__IMAGE_HEADER);
	spill(a, size);
	assert_int_equal(read_image(path, &err), -EUCLEAN);
	free(a);
	free(b);
}

/* A file with sums that are right and contents that are not. */
static int read_made(const void *records, size_t len, uint32_t nr,
		     uint64_t total, struct uz_err *err)
{
	unsigned char file[UZ__IMAGE_HEADER + 8192] = { 0 };
	unsigned char *block = file + UZ__IMAGE_HEADER;
	size_t head = sizeof(struct uz__image_block);
	struct uz_image_reader *r;
	struct uz_image_info got;
	struct uz_image_page page;
	int ret;

	uz__image_put_header(file, &info, 9);
	memcpy(block + head, records, len);
	uz__image_put_block(block, UZ__IMAGE_MORE, (uint32_t)(head + len), 0,
			    nr, 9);
	block += head + len;
	uz__image_put_trailer(block + head, total,
			      (size_t)(block - file) + UZ__IMAGE_TRAILER);
	uz__image_put_block(block, UZ__IMAGE_DONE, UZ__IMAGE_TRAILER, 1, 0, 9);
	spill(file, (size_t)(block - file) + UZ__IMAGE_TRAILER);
	assert_int_equal(uz_image_open(&r, path, &got, err), 0);
	while ((ret = uz_image_next(r, &page, err)) == 1)
		;
	uz_image_close(r);
	return ret;
}

static void test_refuses_nonsense(void **state)
{
	unsigned char bytes[UZ_PAGE_SIZE], rec[UZ_PAGE_SIZE + 64];
	struct uz_image_page page, bad;
	struct uz_err err;
	size_t len;

	(void)state;
	page_nth(1, &page, bytes);
	len = uz__image_put_page(rec, &page);
	assert_int_equal(read_made(rec, len, 1, 1, &err), 0);
	assert_int_equal(read_made(rec, len, 1, 2, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "missing"));
	assert_int_equal(read_made(rec, len, 2, 2, &err), -EUCLEAN);
	assert_int_equal(read_made(rec, len + 1, 1, 1, &err), -EUCLEAN);
	assert_int_equal(read_made(rec, len - 1, 1, 1, &err), -EUCLEAN);
	assert_int_equal(read_made(rec, 5, 1, 1, &err), -EUCLEAN);
	assert_int_equal(read_made(rec, len, 0, 0, &err), -EUCLEAN);
#define REFUSE(change)                                                       \
	do {                                                                 \
		bad = page;                                                  \
		bad.change;                                                  \
		uz__image_put_page(rec, &bad);                               \
		assert_int_equal(read_made(rec, len, 1, 1, &err), -EUCLEAN); \
		assert_non_null(strstr(err.text, "at byte"));                \
	} while (0)
	REFUSE(index = PAGES);
	REFUSE(form = 0);
	REFUSE(form = 4);
	REFUSE(form = 5);
	REFUSE(form = 1);
	REFUSE(form = 3);
	REFUSE(codec = UZ_IMAGE_CODECS);
	REFUSE(size = 0);
}

/* What is of dictionaries is told apart, and is what the header tells of. */
static void test_dictionaries(void **state)
{
	static const unsigned char bytes[UZ_PAGE_SIZE] = "dictionary";
	struct uz_image_page record = {
		.form = UZ_IMAGE_DICT,
		.codec = 1,
		.bytes = bytes,
	};
	struct uz_image_info with = info, got;
	struct uz_image_writer *w;
	struct uz_image_reader *r;
	struct uz_err err;
	unsigned int i;
	char version;
	int fd;

	(void)state;
	with.dicts[1] = UZ_PAGE_SIZE + 100;
	assert_int_equal(uz_image_create(&w, path, &with, NULL), 0);
	for (i = 0; i < 3; i++) {
		record.index = i;
		record.size = i == 1 ? 100 : UZ_PAGE_SIZE;
		assert_int_equal(uz_image_add(w, &record, NULL), 0);
	}
	assert_int_equal(uz_image_commit(w, NULL), 0);
	assert_int_equal(uz_image_open(&r, path, &got, NULL), 0);
	assert_memory_equal(got.dicts, with.dicts, sizeof(got.dicts));
	for (i = 0; i < 2; i++) {
		assert_int_equal(uz_image_next(r, &record, NULL), 1);
		assert_int_equal(record.form, UZ_IMAGE_DICT);
		assert_int_equal(record.index, i);
		assert_memory_equal(record.bytes, bytes, record.size);
	}
	assert_int_equal(uz_image_next(r, &record, &err), -EUCLEAN);
	assert_non_null(strstr(err.text, "makes no sense"));
	uz_image_close(r);

	/* Programs that know of none read what has none. */
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, &version, 1, 8), 1);
	assert_int_equal(version, 2);
	close(fd);
	write_image(path, 1);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, &version, 1, 8), 1);
	assert_int_equal(version, 1);
	close(fd);
}

static void refuse_header(const struct uz_image_info *wrong, uint32_t version,
			  int ret, const char *text)
{
	unsigned char header[UZ__IMAGE_HEADER];
	struct uz_image_reader *r;
	struct uz_image_info got;
	struct uz_err err;

	uz__image_put_header(header, wrong, 1);
	memcpy(header + 8, &version, sizeof(version));
	spill(header, sizeof(header));
	assert_int_equal(uz_image_open(&r, path, &got, &err), ret);
	if (!strstr(err.text, text))
		fail_msg("%s", err.text);
}

static void test_refuses_headers(void **state)
{
	struct uz_image_info wrong = info;
	struct uz_image_reader *r;
	struct uz_image_info got;
	struct uz_err err;

	(void)state;
	refuse_header(&info, 3, -ENOTSUP, "version 3");
	wrong.dicts[7] = UZ_IMAGE_DICT_MAX + 1;
	refuse_header(&wrong, 2, -EUCLEAN, "makes no sense");
	wrong = info;
	wrong.disksize++;
	refuse_header(&wrong, 1, -EUCLEAN, "makes no sense");
	wrong.disksize = 0;
	refuse_header(&wrong, 1, -EUCLEAN, "makes no sense");
	wrong.disksize = UZ_DISKSIZE_MAX + UZ_PAGE_SIZE;
	refuse_header(&wrong, 1, -EUCLEAN, "makes no sense");
	wrong = info;
	wrong.codec = 8;
	refuse_header(&wrong, 1, -EUCLEAN, "makes no sense");
	wrong.codec = 2;
	refuse_header(&wrong, 1, -EUCLEAN, "makes no sense");
	spill("uzramimh", 8);
	assert_int_equal(uz_image_open(&r, path, &got, &err), -EUCLEAN);
	unlink(path);
	assert_int_equal(uz_image_open(&r, path, &got, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(uz_image_open(&r, dir, &got, &err), -EISDIR);
}

/* ---- writes that fail ---- */

static void test_leaves_what_was_there(void **state)
{
	unsigned char bytes[UZ_PAGE_SIZE];
	struct uz_image_writer *w;
	struct uz_image_page page;
	struct uz_err err;
	unsigned int n;

	(void)state;
	write_image(path, 10);
	assert_int_equal(uz_image_create(&w, path, &info, &err), 0);
	for (n = 0; n < 2000; n++) {
		page_nth(n, &page, bytes);
		assert_int_equal(uz_image_add(w, &page, &err), 0);
	}
	assert_true(uz_image_bytes(w) > 2 << 20);
	assert_int_equal(read_image(path, &err), 10);
	uz_image_abort(w);
	uz_image_abort(NULL);
	assert_int_equal(entries(), 1);
	assert_int_equal(read_image(path, &err), 10);
	write_image(path, 11);
	assert_int_equal(read_image(path, &err), 11);
}

static void test_refuses_targets(void **state)
{
	char where[256];
	struct uz_image_writer *w;
	struct uz_err err;

	(void)state;
	assert_int_equal(uz_image_create(&w, dir, &info, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no regular file"));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(uz_image_create(&w, path, &info, &err), -EINVAL);
	unlink(path);
	snprintf(where, sizeof(where), "%s/no/image", dir);
	assert_int_equal(uz_image_create(&w, where, &info, &err), -ENOENT);
	assert_non_null(strstr(err.text, where));
}

/* The file may not grow beyond 2 MiB: told by a later call, at the latest. */
static int write_limited(struct uz_err *err)
{
	unsigned char bytes[UZ_PAGE_SIZE];
	struct uz_image_writer *w;
	struct uz_image_page page;
	unsigned int n;
	int ret;

	ret = uz_image_create(&w, path, &info, err);
	for (n = 0; n < 6000 && !ret; n++) {
		page_nth(n, &page, bytes);
		ret = uz_image_add(w, &page, err);
		if (ret)
			assert_int_equal(uz_image_add(w, &page, err), ret);
	}
	if (!ret)
		return uz_image_commit(w, err);
	uz_image_abort(w);
	return ret;
}

static void test_no_room_in_the_file_system(void **state)
{
	struct rlimit limit, before;
	struct uz_err err = { 0 };
	int ret;

	(void)state;
	write_image(path, 10);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 2 << 20;
	setrlimit(RLIMIT_FSIZE, &limit);
	ret = write_limited(&err);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(ret, -EFBIG);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(entries(), 1);
	assert_int_equal(read_image(path, &err), 10);
}

/* Killed while it writes: nothing new, what was there is whole. */
static void test_is_killed(void **state)
{
	unsigned char bytes[UZ_PAGE_SIZE];
	struct uz_image_writer *w;
	struct uz_image_page page;
	struct uz_err err;
	unsigned int n;
	int status;
	pid_t pid;

	(void)state;
	write_image(path, 10);
	pid = fork();
	if (!pid) {
		if (uz_image_create(&w, path, &info, &err))
			_exit(1);
		for (n = 0; n < 3000; n++) {
			page_nth(n, &page, bytes);
			if (uz_image_add(w, &page, &err))
				_exit(1);
		}
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(read_image(path, &err), 10);
	assert_int_equal(entries(), 1);
}

#define file_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(test_round_trip),
		file_test(test_refuses_every_length),
		file_test(test_refuses_every_bit),
		file_test(test_refuses_alterations),
		file_test(test_refuses_blocks_of_others),
		file_test(test_refuses_nonsense),
		file_test(test_dictionaries),
		file_test(test_refuses_headers),
		file_test(test_leaves_what_was_there),
		file_test(test_refuses_targets),
		file_test(test_no_room_in_the_file_system),
		file_test(test_is_killed),
	};

	return cmocka_run_group_tests_name("image file", tests, NULL, NULL);
}
