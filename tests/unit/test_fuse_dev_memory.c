// SPDX-License-Identifier: MIT
/*
 * Threads on /dev/fuse in a system that has no memory for a moment, so that the
 * kernel cannot reach what was swapped out of a buffer. A socket pair stands
 * for /dev/fuse.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuse_fixture.h"
#include "soon.h"

#define THREADS 4

static struct fixture *f;
static struct uz__fuse_dev *dev;
static int kernel = -1, dev_fd = -1;

/*
 * The linker leads dev.c here (--wrap=read, --wrap=writev). So many messages
 * are lost, and so many answers not taken.
 */
static atomic_uint lost, not_taken;

ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
ssize_t __real_writev(int fd, const struct iovec *iov, int nr);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int nr);

static bool take_one(atomic_uint *left)
{
	unsigned int n = atomic_load(left);

	while (n && !atomic_compare_exchange_weak(left, &n, n - 1))
		;
	return n;
}

/* As in the kernel, the message is gone. */
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	ssize_t got = __real_read(fd, buf, n);

	if (fd != dev_fd || got <= 0 || !take_one(&lost))
		return got;
	errno = ENOMEM;
	return -1;
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int nr)
{
	if (fd != dev_fd || !take_one(&not_taken))
		return __real_writev(fd, iov, nr);
	errno = ENOMEM;
	return -1;
}

static void send_statfs(void)
{
	size_t len = message(f, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);

	assert_int_equal(write(kernel, f->msg, len), len);
}

static bool is_answered(void)
{
	struct pollfd answer = { .fd = kernel, .events = POLLIN };

	return poll(&answer, 1, 0) == 1;
}

/* The error in the answer. */
static int answer(void)
{
	struct {
		struct fuse_out_header hdr;
		unsigned char data[ROOM];
	} got;

	assert_true(SOON(is_answered()));
	assert_true(read(kernel, &got, sizeof(got)) >=
		    (ssize_t)sizeof(got.hdr));
	return got.hdr.error;
}

static int set_up(void **state)
{
	const struct fuse_init_in in = { .major = 7, .minor = 38 };
	int fds[2];
	size_t len;
	void *p;

	(void)state;
	if (fixture_setup(&p) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -1;
	f = p;
	kernel = fds[0];
	dev_fd = fds[1];
	len = message(f, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
	assert_int_equal(write(kernel, f->msg, len), len);
	assert_int_equal(uz__fuse_dev_create(&dev, &f->fuse, THREADS), 0);
	assert_int_equal(uz__fuse_dev_greet(dev, dev_fd, NULL), 0);
	uz__fuse_dev_accept(dev);
	assert_int_equal(answer(), 0);
	return uz__fuse_dev_run(dev, THREADS, NULL);
}

static int tear_down(void **state)
{
	void *p = f;

	(void)state;
	close(kernel);
	uz__fuse_dev_join(dev);
	uz__fuse_dev_destroy(dev);
	close(dev_fd);
	return fixture_teardown(&p);
}

/* Of one message: the next is served, however many there were. */
static void test_message_lost(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 2 * THREADS; i++) {
		atomic_store(&lost, 1);
		send_statfs();
		assert_true(SOON(!atomic_load(&lost)));
		send_statfs();
		assert_int_equal(answer(), 0);
	}
}

/* What was done is not answered by an error. */
static void test_answer_not_taken(void **state)
{
	(void)state;
	atomic_store(&not_taken, 3);
	send_statfs();
	assert_int_equal(answer(), 0);
	assert_int_equal(atomic_load(&not_taken), 0);
	send_statfs();
	assert_int_equal(answer(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_message_lost),
		TEST(test_answer_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
