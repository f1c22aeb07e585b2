// SPDX-License-Identifier: MIT
/*
 * A file written from beginning to end, with several buffers under way: while
 * the kernel copies one, the caller fills the next. Through io_uring where the
 * build and the kernel have it (async.c), else each buffer is written at once.
 *
 * A write that ends early is gone on with. The first error is kept, and comes
 * from every call from then on. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "async.h"
#include "image_priv.h"

#define BUFFERS 4

/*
 * struct buffer - memory for one block
 * @bytes:  UZ__IMAGE_BLOCK of them
 * @offset: in the file, of what is left to be written
 * @at:     in @bytes, likewise
 * @left:   bytes to be written; 0 when it is free
 */
struct buffer {
	unsigned char *bytes;
	uint64_t offset;
	size_t at;
	size_t left;
};

/*
 * struct uz__output - the file
 * @fd:      borrowed
 * @async:   NULL: written at once
 * @buffers: those that there are
 * @offset:  of the next one in the file
 * @failed:  0 or -errno
 */
struct uz__output {
	int fd;
	struct uz__async *async;
	struct buffer buffers[BUFFERS];
	uint64_t offset;
	int failed;
};

int uz__output_create(struct uz__output **out, int fd)
{
	struct uz__output *o = calloc(1, sizeof(*o));
	unsigned int i;

	if (!o)
		return -ENOMEM;
	o->fd = fd;
	for (i = 0; i < BUFFERS; i++) {
		o->buffers[i].bytes = malloc(UZ__IMAGE_BLOCK);
		if (!o->buffers[i].bytes) {
			uz__output_destroy(o);
			return -ENOMEM;
		}
	}
	/* Not offered, or not permitted: then without. */
	if (uz__async_create(&o->async, BUFFERS))
		o->async = NULL;
	*out = o;
	return 0;
}

static int start(struct uz__output *o, unsigned int i)
{
	const struct buffer *b = &o->buffers[i];

	return uz__async_write(o->async, o->fd, b->bytes + b->at, b->left,
			       b->offset, i);
}

/* @n bytes of a buffer were written, or -errno. */
static int wrote(struct buffer *b, ssize_t n)
{
	if (n == -EINTR || n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n ? (int)n : -EIO;
	b->at += (size_t)n;
	b->left -= (size_t)n;
	b->offset += (uint64_t)n;
	return 0;
}

/* Wait for one write to end, and go on with it if it has ended early. */
static void wait_for_one(struct uz__output *o)
{
	struct buffer *b;
	unsigned int i;
	ssize_t n;
	int ret = uz__async_wait(o->async, &i, &n);

	if (!ret) {
		b = &o->buffers[i];
		ret = wrote(b, n);
		if (!ret && b->left)
			ret = start(o, i);
		if (ret)
			b->left = 0;
	}
	if (ret && !o->failed)
		o->failed = ret;
}

static bool is_busy(const struct uz__output *o)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++)
		if (o->buffers[i].left)
			return true;
	return false;
}

int uz__output_buffer(struct uz__output *o, unsigned char **buffer)
{
	unsigned int i;

	while (!o->failed) {
		for (i = 0; i < BUFFERS; i++) {
			if (o->buffers[i].left)
				continue;
			*buffer = o->buffers[i].bytes;
			return 0;
		}
		wait_for_one(o);
	}
	return o->failed;
}

static int write_now(struct uz__output *o, struct buffer *b)
{
	ssize_t n;
	int ret = 0;

	while (b->left && !ret) {
		n = pwrite(o->fd, b->bytes + b->at, b->left, (off_t)b->offset);
		ret = wrote(b, n < 0 ? -errno : n);
	}
	b->left = 0;
	return ret;
}

int uz__output_send(struct uz__output *o, unsigned char *buffer, size_t bytes)
{
	unsigned int i = 0;
	int ret;

	if (o->failed)
		return o->failed;
	while (o->buffers[i].bytes != buffer)
		i++;
	o->buffers[i].offset = o->offset;
	o->buffers[i].at = 0;
	o->buffers[i].left = bytes;
	o->offset += bytes;
	ret = o->async ? start(o, i) : write_now(o, &o->buffers[i]);
	if (ret) {
		o->buffers[i].left = 0;
		o->failed = ret;
	}
	return ret;
}

int uz__output_flush(struct uz__output *o)
{
	while (!o->failed && is_busy(o))
		wait_for_one(o);
	return o->failed;
}

void uz__output_destroy(struct uz__output *o)
{
	unsigned int i;

	if (!o)
		return;
	/* Ends what is under way, so that nobody reads the buffers any more. */
	uz__async_destroy(o->async);
	for (i = 0; i < BUFFERS; i++)
		free(o->buffers[i].bytes);
	free(o);
}
