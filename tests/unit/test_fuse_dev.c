// SPDX-License-Identifier: MIT
/*
 * The transport, with the test as the kernel: a socket pair that keeps
 * messages whole stands for /dev/fuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuse_fixture.h"
#include "soon.h"

#define THREADS 4

struct kernel {
	struct fixture *f;
	struct uz__fuse_dev *dev;
	int fd; /* ours */
	int dev_fd;
	struct {
		struct fuse_out_header hdr;
		unsigned char data[ROOM];
	} got;
	ssize_t got_len;
};

static void kernel_open(struct kernel *k)
{
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	k->fd = fds[0];
	k->dev_fd = fds[1];
}

static int kernel_setup(void **state)
{
	struct kernel *k = calloc(1, sizeof(*k));
	void *f;

	if (!k || fixture_setup(&f))
		return -1;
	k->f = f;
	kernel_open(k);
	*state = k;
	return uz__fuse_dev_create(&k->dev, &k->f->fuse, THREADS);
}

/* Hanging up ends the threads, as the end of the connection does. */
static int kernel_teardown(void **state)
{
	struct kernel *k = *state;
	void *f = k->f;

	close(k->fd);
	uz__fuse_dev_join(k->dev);
	uz__fuse_dev_destroy(k->dev);
	close(k->dev_fd);
	free(k);
	return fixture_teardown(&f);
}

static void kernel_send(struct kernel *k, uint32_t opcode, uint64_t nodeid,
			const void *arg, size_t arg_len, const void *payload,
			size_t payload_len)
{
	size_t len = message(k->f, opcode, nodeid, arg, arg_len, payload,
			     payload_len);

	assert_int_equal(write(k->fd, k->f->msg, len), len);
}

/* The next message from the other side; its error. */
static int kernel_get(struct kernel *k)
{
	k->got_len = read(k->fd, &k->got, sizeof(k->got));
	assert_true(k->got_len >= (ssize_t)sizeof(k->got.hdr));
	assert_int_equal(k->got.hdr.len, k->got_len);
	return k->got.hdr.error;
}

static void send_init(struct kernel *k, uint32_t major, uint32_t minor)
{
	const struct fuse_init_in in = { .major = major, .minor = minor };

	kernel_send(k, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
}

static int start(struct kernel *k, struct uz_err *err)
{
	int ret = uz__fuse_dev_greet(k->dev, k->dev_fd, err);

	if (ret)
		return ret;
	uz__fuse_dev_accept(k->dev);
	return uz__fuse_dev_run(k->dev, THREADS, err);
}

static void greet(struct kernel *k)
{
	send_init(k, 7, 38);
	assert_int_equal(start(k, NULL), 0);
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(k->got_len, 80);
	assert_int_equal(k->f->fuse.proto.minor, 38);
}

static void test_greeting(void **state)
{
	greet(*state);
}

static void test_newer_major_asks_again(void **state)
{
	struct kernel *k = *state;

	send_init(k, 8, 1);
	send_init(k, 7, 40);
	assert_int_equal(start(k, NULL), 0);
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(((struct fuse_init_out *)k->got.data)->major, 7);
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(((struct fuse_init_out *)k->got.data)->minor, 40);
}

static void test_old_kernel(void **state)
{
	struct kernel *k = *state;
	struct uz_err err = { 0 };

	send_init(k, 7, 12);
	assert_int_equal(start(k, &err), -EPROTO);
	assert_non_null(strstr(err.text, "7.12"));
	assert_int_equal(kernel_get(k), -EPROTO);
}

/* Beside io_uring: as large as was agreed on, and no larger. */
static void test_smaller_messages(void **state)
{
	struct kernel *k = *state;
	struct fuse_init_out *out = (struct fuse_init_out *)k->got.data;
	struct fuse_write_in in = { .size = 8192 };
	static unsigned char data[8192];

	send_init(k, 7, 42);
	assert_int_equal(uz__fuse_dev_greet(k->dev, k->dev_fd, NULL), 0);
	uz__fuse_init_uring(uz__fuse_dev_call(k->dev), sizeof(data));
	uz__fuse_dev_accept(k->dev);
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(out->max_write, 8192);
	assert_int_equal(out->max_pages, 2);
	assert_int_equal(out->flags2 & (FUSE_OVER_IO_URING >> 32),
			 FUSE_OVER_IO_URING >> 32);
	assert_int_equal(uz__fuse_dev_bytes(&k->f->fuse), 4096 + 8192);

	assert_int_equal(uz__fuse_dev_run(k->dev, THREADS, NULL), 0);
	kernel_send(k, FUSE_WRITE, UZ__FUSE_BLOCK, &in, sizeof(in), data,
		    sizeof(data));
	assert_int_equal(kernel_get(k), 0);
}

static void test_refusal(void **state)
{
	struct kernel *k = *state;

	send_init(k, 7, 42);
	assert_int_equal(uz__fuse_dev_greet(k->dev, k->dev_fd, NULL), 0);
	uz__fuse_dev_refuse(k->dev);
	assert_int_equal(kernel_get(k), -EPROTO);
}

static void test_no_greeting(void **state)
{
	struct kernel *k = *state;
	struct uz_err err = { 0 };

	shutdown(k->fd, SHUT_WR);
	assert_int_equal(start(k, &err), -ENODEV);
	assert_true(err.text[0]);
}

static void test_wrong_greeting(void **state)
{
	struct kernel *k = *state;

	kernel_send(k, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	assert_int_equal(start(k, NULL), -EPROTO);
	assert_int_equal(kernel_get(k), -EPROTO);
}

static void test_write_and_read(void **state)
{
	struct kernel *k = *state;
	struct fuse_write_in out = { .offset = 4096, .size = 4096 };
	const struct fuse_read_in in = { .offset = 4095, .size = 4098 };
	unsigned char data[4096];

	greet(k);
	memset(data, 0x5a, sizeof(data));
	kernel_send(k, FUSE_WRITE, UZ__FUSE_BLOCK, &out, sizeof(out), data,
		    sizeof(data));
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(k->got.hdr.unique, 77);
	assert_int_equal(((struct fuse_write_out *)k->got.data)->size, 4096);
	/* The data lay on pages of their own: no copy was needed. */
	assert_int_equal((uintptr_t)k->f->dev.last.buf % UZ_PAGE_SIZE, 0);

	kernel_send(k, FUSE_READ, UZ__FUSE_BLOCK, &in, sizeof(in), NULL, 0);
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(k->got_len, 16 + 4098);
	assert_int_equal(k->got.data[0], 0);
	assert_memory_equal(k->got.data + 1, data, sizeof(data));
	assert_int_equal(k->got.data[4097], 0);
}

/* Nothing that comes ends a thread: the one after it is served. */
static void test_malformed(void **state)
{
	struct kernel *k = *state;
	unsigned char *msg = k->f->msg;
	struct fuse_write_in in = { .size = 100 };
	unsigned int i;

	greet(k);
	for (i = 0; i < 2 * THREADS; i++) {
		/* No answer is possible... */
		message(k->f, FUSE_STATFS, 1, NULL, 0, NULL, 0);
		assert_int_equal(write(k->fd, msg, 39), 39);
		memset(msg + offsetof(struct fuse_in_header, unique), 0, 8);
		assert_int_equal(write(k->fd, msg, 40), 40);
		/* ...or none is awaited... */
		kernel_send(k, FUSE_FORGET, 2, "12345678", 8, NULL, 0);
		/* ...or there is one. */
		kernel_send(k, FUSE_WRITE, 2, &in, sizeof(in), "short", 5);
		assert_int_equal(kernel_get(k), -EINVAL);
		kernel_send(k, 4000, 2, NULL, 0, NULL, 0);
		assert_int_equal(kernel_get(k), -ENOSYS);
	}
	kernel_send(k, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	assert_int_equal(kernel_get(k), 0);
}

static void test_forget_attr(void **state)
{
	struct kernel *k = *state;
	struct fuse_notify_inval_inode_out *body = (void *)k->got.data;

	greet(k);
	uz__fuse_dev_forget_attr(k->dev, UZ__FUSE_BLOCK);
	assert_int_equal(kernel_get(k), FUSE_NOTIFY_INVAL_INODE);
	assert_int_equal(k->got.hdr.unique, 0);
	assert_int_equal(k->got_len, 40);
	assert_int_equal(body->ino, UZ__FUSE_BLOCK);
	assert_true(body->off < 0);
}

/* Another process on the same session, after the one that has greeted. */
static void successor(struct kernel *k)
{
	shutdown(k->fd, SHUT_WR);
	assert_int_equal(uz__fuse_dev_join(k->dev), 0);
	uz__fuse_dev_destroy(k->dev);
	k->dev = NULL;
	close(k->fd);
	close(k->dev_fd);
	kernel_open(k);
	assert_int_equal(uz__fuse_dev_create(&k->dev, &k->f->fuse, THREADS), 0);
}

static void test_taking_over(void **state)
{
	struct kernel *k = *state;
	const struct fuse_init_in in = {
		.major = 7,
		.minor = 40,
		.flags = (uint32_t)FUSE_INIT_EXT,
		.flags2 = FUSE_HAS_RESEND >> 32,
	};

	kernel_send(k, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
	assert_int_equal(start(k, NULL), 0);
	assert_int_equal(kernel_get(k), 0);
	assert_true(uz__fuse_resends(&k->f->fuse));
	successor(k);
	assert_int_equal(uz__fuse_dev_adopt(k->dev, k->dev_fd, NULL), 0);
	assert_int_equal(kernel_get(k), FUSE_NOTIFY_RESEND);
	assert_int_equal(k->got.hdr.unique, 0);
	assert_int_equal(k->got_len, 16);
	/* Its answers name the requests as they came. */
	assert_int_equal(uz__fuse_dev_run(k->dev, THREADS, NULL), 0);
	message(k->f, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	((struct fuse_in_header *)k->f->msg)->unique |= FUSE_UNIQUE_RESEND;
	assert_int_equal(write(k->fd, k->f->msg, 40), 40);
	assert_int_equal(kernel_get(k), 0);
	assert_true(k->got.hdr.unique == (77 | FUSE_UNIQUE_RESEND));
}

/* An older kernel: what was under way ends, as far as anybody can tell. */
static void test_taking_over_without_resend(void **state)
{
	struct kernel *k = *state;

	greet(k);
	assert_false(uz__fuse_resends(&k->f->fuse));
	kernel_send(k, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	assert_int_equal(kernel_get(k), 0);
	successor(k);
	assert_int_equal(uz__fuse_dev_adopt(k->dev, k->dev_fd, NULL), 0);
	assert_int_equal(kernel_get(k), -EIO);
	assert_int_equal(k->got.hdr.unique, 77);
	assert_int_equal(uz__fuse_dev_run(k->dev, THREADS, NULL), 0);
}

/* As a process leaves it that dies at work on it, before it has answered. */
static void orphan(struct kernel *k, uint32_t opcode, uint64_t nodeid,
		   uint64_t fh)
{
	const struct fuse_release_in in = { .fh = fh };
	struct uz__fuse_session *s = k->f->fuse.session;

	message(k->f, opcode, nodeid, &in, sizeof(in), NULL, 0);
	memcpy(&s->heads[1][UZ__FUSE_HEAD_AT], k->f->msg,
	       sizeof(struct fuse_in_header) + sizeof(in));
	assert_int_equal(uz__fuse_dev_adopt(k->dev, k->dev_fd, NULL), 0);
	assert_int_equal(kernel_get(k), -EIO);
}

/* What nobody will close any more is not open: the device can be reset. */
static void test_taking_over_opens(void **state)
{
	struct kernel *k = *state;
	const struct uz__fuse *fuse = &k->f->fuse;
	uint64_t fh;

	/* The client gets EIO, although it was counted. */
	assert_int_equal(uz__fuse_session_open(fuse, 77), 77);
	orphan(k, FUSE_OPEN, UZ__FUSE_BLOCK, 0);
	assert_int_equal(k->f->dev.holders, 0);
	/* Not yet counted; and of another file. */
	fh = uz__fuse_session_open(fuse, 78);
	orphan(k, FUSE_OPEN, UZ__FUSE_BLOCK, 0);
	orphan(k, FUSE_RELEASE, UZ__FUSE_BLOCK + 1, fh);
	assert_int_equal(k->f->dev.holders, 1);
	orphan(k, FUSE_RELEASE, UZ__FUSE_BLOCK, fh);
	assert_int_equal(k->f->dev.holders, 0);
	/* It was closed already, as far as can be known. */
	uz_device_hold(&k->f->dev);
	orphan(k, FUSE_RELEASE, UZ__FUSE_BLOCK, fh);
	orphan(k, FUSE_RELEASE, UZ__FUSE_BLOCK, 0);
	assert_int_equal(k->f->dev.holders, 1);
	uz_device_release(&k->f->dev);
}

/* Unmounted while nobody served: the threads find out, whatever it says. */
static void test_taking_over_nothing(void **state)
{
	struct kernel *k = *state;
	struct uz_err err = { 0 };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ended[2];

	k->f->fuse.proto.offered = FUSE_HAS_RESEND;
	assert_int_equal(uz__fuse_dev_adopt(k->dev, null, &err), -EBADF);
	assert_non_null(strstr(err.text, "does not give out again"));
	close(null);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ended, O_CLOEXEC), 0);
	close(ended[0]);
	assert_int_equal(uz__fuse_dev_adopt(k->dev, ended[1], NULL), 0);
	close(ended[1]);
}

/*
 * A process that is being killed gets no memory for what it is just reading,
 * and the kernel fails the request. So all that can be read is there before.
 */
static void test_memory_is_there_first(void **state)
{
	static const size_t size = UZ_PAGE_SIZE + UZ__FUSE_IO_MAX;
	struct kernel *k = *state;
	struct fuse_write_in in = { .size = 4096 };
	static unsigned char data[4096];
	unsigned char present[UZ__FUSE_IO_MAX / UZ_PAGE_SIZE];
	unsigned int i, page;

	greet(k);
	assert_int_equal(uz__fuse_dev_bytes(&k->f->fuse), size);
	/* Whichever thread it is that reads. */
	for (i = 0; i < 2 * THREADS; i++) {
		kernel_send(k, FUSE_WRITE, UZ__FUSE_BLOCK, &in, sizeof(in),
			    data, sizeof(data));
		assert_int_equal(kernel_get(k), 0);
		assert_int_equal(mincore((void *)k->f->dev.last.buf,
					 sizeof(present) * UZ_PAGE_SIZE,
					 present),
				 0);
		for (page = 0; page < sizeof(present); page++)
			assert_int_equal(present[page] & 1, 1);
	}
}

/* Mappings of the size of a thread's data that are populated. */
static unsigned int buffers_present(void)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned long size = 0, rss;
	unsigned int n = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (!sscanf(line, "Size: %lu kB", &size) &&
		    sscanf(line, "Rss: %lu kB", &rss) == 1)
			n += size == UZ__FUSE_IO_MAX >> 10 && rss == size;
	fclose(maps);
	return n;
}

static void wait_for_buffers(unsigned int n)
{
	assert_true(SOON(buffers_present() >= n));
}

/* It is much memory: threads without work do without. */
static void test_threads_begin_when_needed(void **state)
{
	struct kernel *k = *state;
	const unsigned int before = buffers_present();
	struct fuse_write_in in = { .size = 10 };
	uint64_t recompress = inode_of(k->f, "recompress");

	/* Another one reads while it is carried out, and no more do then. */
	greet(k);
	kernel_send(k, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	assert_int_equal(kernel_get(k), 0);
	wait_for_buffers(before + 2);
#ifndef __SANITIZE_THREAD__ /* whose own memory looks the same */
	assert_int_equal(buffers_present(), before + 2);
#endif
	/* One that takes long, and others meanwhile. */
	assert_int_equal(uz_device_set_secondary(&k->f->dev, 1, "store", NULL),
			 0);
	k->f->dev.candidates = 10;
	k->f->dev.hold = true;
	kernel_send(k, FUSE_WRITE, recompress, &in, sizeof(in), "priority=1",
		    in.size);
	kernel_send(k, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(k->got_len, 16 + sizeof(struct fuse_statfs_out));
	wait_for_buffers(before + 3);
	k->f->dev.hold = false;
	assert_int_equal(kernel_get(k), 0);
	assert_int_equal(k->got_len, 16 + sizeof(struct fuse_write_out));
}

static void test_end(void **state)
{
	struct kernel *k = *state;

	greet(k);
	shutdown(k->fd, SHUT_WR);
	assert_int_equal(uz__fuse_dev_join(k->dev), 0);
	/* Joining again is allowed. */
	assert_int_equal(uz__fuse_dev_join(k->dev), 0);
}

static void test_broken_descriptor(void **state)
{
	struct kernel *k = *state;
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	greet(k);
	/* Reading a directory is an error that is not the end. */
	assert_int_equal(dup2(dir, k->dev_fd), k->dev_fd);
	close(dir);
	/* A thread that sleeps in the old descriptor has to wake up first. */
	message(k->f, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	send(k->fd, k->f->msg, 40, MSG_NOSIGNAL);
	close(k->fd);
	k->fd = -1;
	assert_int_equal(uz__fuse_dev_join(k->dev), -EISDIR);
}

/*
 * What is read is answered, what is not read is left; in a process of its own.
 */
static int leave(struct kernel *k)
{
	char c;

	message(k->f, FUSE_STATFS, 1, NULL, 0, NULL, 0);
	if (send(k->fd, k->f->msg, 40, 0) != 40 ||
	    read(k->fd, &k->got, sizeof(k->got)) < (ssize_t)sizeof(k->got.hdr))
		return 1;
	uz__fuse_dev_leave(k->dev);
	if (send(k->fd, k->f->msg, 40, 0) != 40)
		return 2;
	usleep(20000);
	return recv(k->dev_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? 0 : 3;
}

static void test_leaves(void **state)
{
	struct kernel *k = *state;
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		alarm(100);
		greet(k);
		_exit(leave(k));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define kernel_test(name) \
	cmocka_unit_test_setup_teardown(name, kernel_setup, kernel_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		kernel_test(test_greeting),
		kernel_test(test_newer_major_asks_again),
		kernel_test(test_old_kernel),
		kernel_test(test_smaller_messages),
		kernel_test(test_refusal),
		kernel_test(test_no_greeting),
		kernel_test(test_wrong_greeting),
		kernel_test(test_write_and_read),
		kernel_test(test_malformed),
		kernel_test(test_forget_attr),
		kernel_test(test_taking_over),
		kernel_test(test_taking_over_without_resend),
		kernel_test(test_taking_over_opens),
		kernel_test(test_taking_over_nothing),
		kernel_test(test_memory_is_there_first),
		kernel_test(test_threads_begin_when_needed),
		kernel_test(test_leaves),
		kernel_test(test_end),
		kernel_test(test_broken_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
