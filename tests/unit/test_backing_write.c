// SPDX-License-Identifier: MIT
/*
 * Writes of many pieces, and of whole blocks past the page cache: through
 * io_uring and without it, in part, refused, and not kept.
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/backing.h>

#include "direct_fixture.h"

#define SIZE   (1u << 20)
#define PIECES 100
#define DEPTH  4

static char path[] = "/tmp/uz-write-XXXXXX";
static struct uz_backing *b;
static bool no_queue;
static size_t at_most;
static int fails, sync_fails;

/*
 * A queue of the test's own, where @on: of each write it carries out so many
 * bytes, or none and says which error.
 */
static struct {
	bool on;
	long gives;
	int fd;
	struct uz_write *writes[DEPTH];
	unsigned int nr;
} ours;

struct uz__queue;
int __real_uz__queue_create(struct uz__queue **q, int fd, unsigned int depth);
int __wrap_uz__queue_create(struct uz__queue **q, int fd, unsigned int depth);
void __real_uz__queue_destroy(struct uz__queue *q);
void __wrap_uz__queue_destroy(struct uz__queue *q);
int __real_uz__queue_submit(struct uz__queue *q, struct uz_write *write);
int __wrap_uz__queue_submit(struct uz__queue *q, struct uz_write *write);
struct uz_write *__real_uz__queue_next(struct uz__queue *q, bool wait,
				       long *res);
struct uz_write *__wrap_uz__queue_next(struct uz__queue *q, bool wait,
				       long *res);
ssize_t __real_pwritev64(int fd, const struct iovec *iov, int nr, off_t at);
ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int nr, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_uz__queue_create(struct uz__queue **q, int fd, unsigned int depth)
{
	if (!ours.on)
		return no_queue ? -EPERM
				: __real_uz__queue_create(q, fd, depth);
	ours.fd = fd;
	*q = (struct uz__queue *)&ours;
	return 0;
}

void __wrap_uz__queue_destroy(struct uz__queue *q)
{
	if (!ours.on)
		__real_uz__queue_destroy(q);
}

int __wrap_uz__queue_submit(struct uz__queue *q, struct uz_write *write)
{
	if (!ours.on)
		return __real_uz__queue_submit(q, write);
	ours.writes[ours.nr++] = write;
	return 0;
}

struct uz_write *__wrap_uz__queue_next(struct uz__queue *q, bool wait,
				       long *res)
{
	size_t left = ours.gives > 0 ? (size_t)ours.gives : 0, at = 0, len;
	struct uz_write *write;
	unsigned int i;

	if (!ours.on)
		return __real_uz__queue_next(q, wait, res);
	write = ours.writes[--ours.nr];
	for (i = 0; i < write->nr && left; i++, at += len, left -= len) {
		len = write->iov[i].iov_len < left ? write->iov[i].iov_len
						   : left;
		assert_int_equal(pwrite(ours.fd, write->iov[i].iov_base, len,
					(off_t)(write->offset + at)),
				 len);
	}
	*res = ours.gives > 0 ? (long)at : ours.gives;
	return write;
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int nr, off_t at)
{
	struct iovec part = iov[0];

	if (fails) {
		errno = fails;
		return -1;
	}
	if (!at_most)
		return __real_pwritev64(fd, iov, nr, at);
	if (part.iov_len > at_most)
		part.iov_len = at_most;
	return __real_pwritev64(fd, &part, 1, at);
}

int __wrap_fdatasync(int fd)
{
	if (!sync_fails)
		return __real_fdatasync(fd);
	errno = sync_fails;
	return -1;
}

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0 || ftruncate(fd, 16 * SIZE))
		return -1;
	close(fd);
	no_direct = true;
	return uz_backing_open(&b, path, NULL);
}

/* Where the files of tests are in memory they have none. */
static bool reopen_direct(void)
{
	uz_backing_close(b);
	no_direct = false;
	assert_int_equal(uz_backing_open(&b, path, NULL), 0);
	if (!uz_backing_direct(b))
		print_message("no direct I/O in /tmp\n");
	return uz_backing_direct(b);
}

static int tear_down(void **state)
{
	(void)state;
	uz_backing_close(b);
	return unlink(path);
}

static unsigned char *bytes(unsigned int salt)
{
	unsigned char *p = aligned_alloc(UZ_BLOCK_SIZE, SIZE);
	size_t i;

	assert_non_null(p);
	for (i = 0; i < SIZE; i++)
		p[i] = (unsigned char)(i * 31 + i / 251 + salt);
	return p;
}

/* SIZE bytes at most: in pieces of odd lengths, or as they are. */
static size_t cut(struct iovec *iov, unsigned char *from)
{
	size_t done = 0, len;
	unsigned int i;

	if (uz_backing_direct(b)) {
		iov[0] = (struct iovec){ from, SIZE };
		return SIZE;
	}

	for (i = 0; i < PIECES; i++, done += len) {
		len = 1 + i * 97 % 4099;
		iov[i] = (struct iovec){ from + done, len };
	}
	return done;
}

static void expect(uint64_t at, const unsigned char *want, size_t length)
{
	unsigned char *got = malloc(length);

	assert_non_null(got);
	assert_int_equal(uz_backing_read(b, at, got, length), 0);
	assert_memory_equal(got, want, length);
	free(got);
}

/* Waited for, or looked for until it is there. */
static struct uz_write *next_done(struct uz_writer *w, bool wait)
{
	struct uz_write *done = wait ? uz_writer_wait(w) : uz_writer_look(w);

	while (!done && !wait) {
		sched_yield();
		done = uz_writer_look(w);
	}
	return done;
}

/* Other bytes than those that are there. */
static void write_all(void)
{
	static unsigned int salt;
	struct iovec iov[DEPTH][PIECES];
	struct uz_write writes[DEPTH], *done;
	unsigned char *data[DEPTH];
	bool direct = uz_backing_direct(b);
	size_t length = 0, first = direct ? UZ_BLOCK_SIZE : 8;
	struct uz_writer *w;
	unsigned int i;

	assert_int_equal(uz_writer_create(&w, b, DEPTH), 0);
	assert_null(uz_writer_wait(w));
	assert_null(uz_writer_look(w));
	for (i = 0; i < DEPTH; i++) {
		data[i] = bytes(++salt);
		length = cut(iov[i], data[i]);
		writes[i] = (struct uz_write){ .iov = iov[i],
					       .nr = direct ? 1 : PIECES,
					       .offset = i * SIZE + first,
					       .length = length,
					       .result = 1 };
		uz_writer_submit(w, &writes[i]);
	}
	for (i = 0; i < DEPTH; i++) {
		done = next_done(w, i % 2);
		assert_non_null(done);
		assert_int_equal(done->result, fails ? -fails : 0);
	}
	assert_null(uz_writer_wait(w));
	assert_null(uz_writer_look(w));
	assert_int_equal(uz_writer_sync(w, 0, DEPTH * SIZE),
			 sync_fails && !direct ? -sync_fails : 0);
	for (i = 0; i < DEPTH; i++) {
		if (!fails)
			expect(i * SIZE + first, data[i], length);
		free(data[i]);
	}
	uz_writer_destroy(w);
}

static void test_queue(void **state)
{
	struct uz_backing_info before, after;

	(void)state;
	uz_backing_info(b, &before);
	write_all();
	uz_backing_info(b, &after);
	assert_true(after.written > before.written);
	assert_int_equal(after.read - before.read,
			 after.written - before.written);
}

static void test_no_queue(void **state)
{
	(void)state;
	no_queue = true;
	write_all();
	at_most = 1000;
	write_all();
	at_most = 0;
	no_queue = false;
}

/* The rest is written, wherever the queue has stopped, and whatever for. */
static void test_short_queue(void **state)
{
	static const long gives[] = { 0,    1,	   2,	     97,     98,
				      4096, 50000, SIZE * 2, -EINTR, -EAGAIN };
	size_t i;

	(void)state;
	ours.on = true;
	for (i = 0; i < sizeof(gives) / sizeof(*gives); i++) {
		ours.gives = gives[i];
		write_all();
		/* And what is left is written in part again. */
		at_most = 1000;
		write_all();
		at_most = 0;
	}
	/* An error is one, of the queue or of what it has left. */
	ours.gives = -EIO;
	fails = EIO;
	write_all();
	ours.gives = 1000;
	write_all();
	fails = 0;
	ours.on = false;
}

static void test_failures(void **state)
{
	struct uz_backing_info before, after;

	(void)state;
	no_queue = true;
	fails = ENOSPC;
	uz_backing_info(b, &before);
	write_all();
	uz_backing_info(b, &after);
	assert_int_equal(before.written, after.written);
	fails = 0;
	sync_fails = EIO;
	write_all();
	sync_fails = 0;
	no_queue = false;
}

static void test_direct(void **state)
{
	(void)state;
	if (!reopen_direct())
		return;
	test_queue(NULL);
	no_queue = true;
	at_most = UZ_BLOCK_SIZE;
	write_all();
	at_most = 0;
	test_failures(NULL);
	/* Of what is read through the page cache nothing is old. */
	test_queue(NULL);
}

/* What is there is read, as soon as there is memory for it. */
static void test_want(void **state)
{
	char buf[16];

	(void)state;
	no_memory = 5;
	assert_int_equal(uz_backing_read(b, 16, buf, sizeof(buf)), 0);
	assert_int_equal(no_memory, 0);
	/* But nobody is kept waiting for ever. */
	no_memory = UINT_MAX;
	assert_int_equal(uz_backing_read(b, 16, buf, sizeof(buf)), -ENOMEM);
	no_memory = 0;
}

static void test_end(void **state)
{
	char buf[16];

	(void)state;
	assert_int_equal(uz_backing_read(b, 16 * SIZE - 8, buf, 16), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_no_queue),
		cmocka_unit_test(test_short_queue),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_want),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
