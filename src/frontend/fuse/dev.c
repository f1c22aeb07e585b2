// SPDX-License-Identifier: MIT
/*
 * The classic transport: threads that read requests from one /dev/fuse
 * descriptor and write the answers to it.
 *
 * One descriptor for all, not one clone each: the kernel ends the requests
 * that were read through a clone when that clone is closed, so nobody could
 * take them over from a process that died.
 *
 * Each thread has a buffer of its own, one page and 1 MiB. A message is read
 * so that the data of a write begin on the second page; the data of a read go
 * out from there. Pages that no request has needed cost nothing. Per request
 * there is no lock and no allocation here; threads share nothing but the
 * descriptor and, at the end, the first error.
 *
 * Threads end when the kernel has ended the connection, and only then.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "fuse_priv.h"

/* What comes before the data of a write. */
#define WRITE_HEAD \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define BUF_SIZE (UZ_PAGE_SIZE + UZ__FUSE_IO_MAX)

struct thread {
	struct uz__fuse_dev *dev;
	pthread_t id;
	unsigned char *buf;
	struct uz__fuse_call call;
};

struct uz__fuse_dev {
	struct uz__fuse *fuse;
	int fd;
	_Atomic int error;
	unsigned int running;
	unsigned int count;
	struct thread threads[];
};

/* One message into the thread's buffer: its length, or -errno. */
static ssize_t receive(struct thread *t)
{
	struct pollfd readable = { .fd = t->dev->fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		n = read(t->dev->fd, t->buf + UZ_PAGE_SIZE - WRITE_HEAD,
			 WRITE_HEAD + UZ__FUSE_IO_MAX);
		if (n > 0)
			return n;
		if (!n) /* never from /dev/fuse: a socket's end, in tests */
			return -ENODEV;
		switch (errno) {
		case EINTR:
		case ENOENT: /* the request was taken back just now */
			break;
		case EAGAIN: /* whoever gave us the descriptor set this mode */
			poll(&readable, 1, -1);
			break;
		case EFAULT: /* no memory for the buffer: the client got EIO */
			uz_log(UZ_LOG_WARN, "a request was lost: no memory");
			break;
		default:
			return -errno;
		}
	}
}

static void answer(struct thread *t, int error)
{
	struct uz__fuse_reply *reply = &t->call.reply;
	struct fuse_out_header out;
	struct iovec iov[2];

	uz__fuse_encode(&out, &t->call, error);
	iov[0] = (struct iovec){ &out, sizeof(out) };
	iov[1] = (struct iovec){ (void *)reply->data, reply->len };
	if (writev(t->dev->fd, iov, reply->len ? 2 : 1) >= 0)
		return;
	/* Nobody waits for it any more. */
	if (errno == ENOENT || errno == ENODEV)
		return;
	uz_log(UZ_LOG_ERR, "opcode %u: the kernel refused the answer: %s",
	       t->call.msg.hdr.opcode, strerror(errno));
	if (!error)
		answer(t, -EIO);
}

static void serve(struct thread *t, size_t len)
{
	int ret = uz__fuse_decode(&t->call.msg,
				  t->buf + UZ_PAGE_SIZE - WRITE_HEAD, len);

	if (ret == -EBADMSG)
		return;
	t->call.reply.none = false;
	if (!ret)
		ret = uz__fuse_handle(&t->call);
	if (!t->call.reply.none)
		answer(t, ret);
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;
	int none = 0;
	ssize_t n;

	while ((n = receive(t)) >= 0)
		serve(t, (size_t)n);
	/*
	 * Both are the end, the second when it came in the middle of a read.
	 * relaxed: it is read after pthread_join(), which orders everything.
	 */
	if (n != -ENODEV && n != -ECONNABORTED)
		atomic_compare_exchange_strong_explicit(
			&t->dev->error, &none, (int)n, memory_order_relaxed,
			memory_order_relaxed);
	return NULL;
}

/* The first message is FUSE_INIT, and nothing else comes before its answer. */
static int greet(struct uz__fuse_dev *dev, struct uz_err *err)
{
	struct thread *t = &dev->threads[0];
	const struct fuse_init_in *in = &t->call.msg.in.init;
	ssize_t n;
	int ret;

	do {
		n = receive(t);
		if (n < 0)
			return uz_err_set(err, (int)n,
					  "FUSE: no greeting from the kernel: "
					  "%s",
					  strerror((int)-n));
		ret = uz__fuse_decode(&t->call.msg,
				      t->buf + UZ_PAGE_SIZE - WRITE_HEAD,
				      (size_t)n);
		if (!ret && t->call.msg.hdr.opcode != FUSE_INIT)
			ret = -EPROTO;
		if (!ret)
			ret = uz__fuse_init(&t->call);
		answer(t, ret == -EAGAIN ? 0 : ret);
	} while (ret == -EAGAIN);
	if (ret)
		return uz_err_set(err, ret,
				  "FUSE: the kernel speaks %u.%u, %d.%d "
				  "(Linux 4.20) is the least that is needed",
				  in->major, in->minor, FUSE_MAJOR,
				  FUSE_MINOR_MIN);
	return 0;
}

int uz__fuse_dev_create(struct uz__fuse_dev **dev, struct uz__fuse *fuse,
			unsigned int threads)
{
	struct uz__fuse_dev *d;
	int ret = -ENOMEM;
	unsigned int i;

	d = calloc(1, sizeof(*d) + threads * sizeof(d->threads[0]));
	if (!d)
		return -ENOMEM;
	d->fuse = fuse;
	d->fd = -1;
	for (i = 0; i < threads; i++) {
		struct thread *t = &d->threads[i];

		t->dev = d;
		t->buf = mmap(NULL, BUF_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (t->buf == MAP_FAILED)
			goto fail;
		d->count = i + 1;
		t->call.fuse = fuse;
		t->call.reply.room = t->buf + UZ_PAGE_SIZE;
		t->call.reply.cap = UZ__FUSE_IO_MAX;
		ret = uz_io_create(fuse->dev, &t->call.io);
		if (ret)
			goto fail;
		uz_io_buffer(t->call.io, t->buf, BUF_SIZE);
	}
	*dev = d;
	return 0;

fail:
	uz__fuse_dev_destroy(d);
	return ret;
}

int uz__fuse_dev_start(struct uz__fuse_dev *dev, int fd, struct uz_err *err)
{
	sigset_t all, before;
	char name[16];
	int ret;

	dev->fd = fd;
	ret = greet(dev, err);
	if (ret)
		return ret;
	/* Signals are for the thread that the program has chosen. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!ret && dev->running < dev->count) {
		struct thread *t = &dev->threads[dev->running];

		ret = pthread_create(&t->id, NULL, thread_main, t);
		if (ret)
			break;
		snprintf(name, sizeof(name), "uz-fuse-%u", dev->running++);
		pthread_setname_np(t->id, name);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return uz_err_set(err, -ret, "no new thread: %s",
				  strerror(ret));
	return 0;
}

int uz__fuse_dev_join(struct uz__fuse_dev *dev)
{
	while (dev->running)
		pthread_join(dev->threads[--dev->running].id, NULL);
	return atomic_load_explicit(&dev->error, memory_order_relaxed);
}

void uz__fuse_dev_destroy(struct uz__fuse_dev *dev)
{
	if (!dev)
		return;
	while (dev->count) {
		struct thread *t = &dev->threads[--dev->count];

		uz_io_destroy(t->call.io);
		munmap(t->buf, BUF_SIZE);
	}
	free(dev);
}

void uz__fuse_dev_forget_attr(struct uz__fuse_dev *dev, uint64_t nodeid)
{
	struct {
		struct fuse_out_header hdr;
		struct fuse_notify_inval_inode_out body;
	} note = {
		.hdr = { .len = sizeof(note),
			 .error = FUSE_NOTIFY_INVAL_INODE },
		.body = { .ino = nodeid, .off = -1 },
	};

	/* ENOENT: the kernel does not know the inode, so it will ask. */
	if (write(dev->fd, &note, sizeof(note)) < 0 && errno != ENOENT &&
	    errno != ENODEV)
		uz_log(UZ_LOG_WARN, "the kernel was not told the new size: %s",
		       strerror(errno));
}
