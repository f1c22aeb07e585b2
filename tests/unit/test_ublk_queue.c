// SPDX-License-Identifier: MIT
/*
 * A queue of the ublk front end against a ring that is played here: it gives
 * every tag, answers each request once, gives up tags that come back for good,
 * goes on when submitting fails, and ends when the driver has no tag left. Told
 * to leave, it takes nothing more, or all that has come, and stays.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ublk_priv.h>

#include "fake_device.h"

#define DEPTH  4
#define IO_MAX 8192

/* ---- the ring ---- */

struct uz__ublk_ring {
	int nothing;
};

static struct uz__ublk_ring the_ring;
static struct {
	int create_error;
	int fd;
	/* The next submissions that fail. */
	unsigned int submit_errors;
	/* What arrives, in order; then every tag comes back for good. */
	struct uz__ublk_event events[16];
	unsigned int nr_events, next;
	/* Tags that the kernel has. */
	bool has[DEPTH];
	unsigned int fetches, commits, creates, collected;
	int result[16];
	unsigned int tag[16];
} kernel;

int uz__ublk_ring_create(struct uz__ublk_ring **ring, unsigned int queue,
			 unsigned int depth, bool encoded)
{
	(void)queue;
	(void)encoded;
	assert_int_equal(depth, DEPTH);
	if (kernel.create_error)
		return kernel.create_error;
	kernel.creates++;
	*ring = &the_ring;
	return 0;
}

void uz__ublk_ring_use(struct uz__ublk_ring *ring, int fd)
{
	(void)ring;
	kernel.fd = fd;
}

static void give(unsigned int tag)
{
	assert_true(tag < DEPTH);
	assert_false(kernel.has[tag]);
	kernel.has[tag] = true;
}

void uz__ublk_ring_fetch(struct uz__ublk_ring *ring, unsigned int tag,
			 void *buf)
{
	(void)ring;
	(void)buf;
	give(tag);
	kernel.fetches++;
}

void uz__ublk_ring_commit(struct uz__ublk_ring *ring, unsigned int tag,
			  int result, void *buf)
{
	(void)ring;
	(void)buf;
	give(tag);
	kernel.tag[kernel.commits] = tag;
	kernel.result[kernel.commits++] = result;
}

int uz__ublk_ring_submit(struct uz__ublk_ring *ring, bool wait)
{
	(void)ring;
	(void)wait;
	if (!kernel.submit_errors)
		return 0;
	kernel.submit_errors--;
	return -ENOMEM;
}

int uz__ublk_ring_collect(struct uz__ublk_ring *ring)
{
	kernel.collected = kernel.commits;
	return uz__ublk_ring_submit(ring, false);
}

bool uz__ublk_ring_next(struct uz__ublk_ring *ring,
			struct uz__ublk_event *event)
{
	unsigned int tag;

	(void)ring;
	if (kernel.next < kernel.nr_events) {
		*event = kernel.events[kernel.next++];
		if (event->tag == UZ__UBLK_LEAVE)
			return true;
		assert_true(kernel.has[event->tag]);
		kernel.has[event->tag] = false;
		return true;
	}
	for (tag = 0; tag < DEPTH; tag++)
		if (kernel.has[tag]) {
			kernel.has[tag] = false;
			*event = (struct uz__ublk_event){ tag, -ENODEV };
			return true;
		}
	return false;
}

/* ---- the queue ---- */

static struct ublksrv_io_desc desc[DEPTH];
static unsigned char buffers[DEPTH * IO_MAX];
static struct uz_device dev;
static struct uz_io io = { .dev = &dev };

static void event(unsigned int tag, int res)
{
	kernel.events[kernel.nr_events++] = (struct uz__ublk_event){ tag, res };
}

static int run_with(int fd)
{
	struct uz__ublk_queue q = {
		.io = &io,
		.desc = desc,
		.buffers = buffers,
		.depth = DEPTH,
		.io_max = IO_MAX,
		.fd = fd,
	};
	int posted = 0;

	sem_init(&q.ready, 0, 0);
	sem_init(&q.go, 0, 1);
	assert_null(uz__ublk_queue_main(&q));
	sem_getvalue(&q.ready, &posted);
	/* Once for the ring, once for the tags, and at the end. */
	assert_int_equal(posted, 2 + (fd >= 0 && !kernel.create_error));
	sem_destroy(&q.ready);
	sem_destroy(&q.go);
	assert_int_equal(q.tags, 0);
	return q.error;
}

static int run(void)
{
	return run_with(7);
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	memset(desc, 0, sizeof(desc));
	memset(&dev, 0, sizeof(dev));
	dev.size = 1 << 20;
	dev.data = calloc(1, dev.size);
	return dev.data ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(dev.data);
	return 0;
}

static void test_serves(void **state)
{
	(void)state;
	memset(buffers + 2 * IO_MAX, 0x5a, 4096);
	desc[2] = (struct ublksrv_io_desc){ UBLK_IO_OP_WRITE, 8, 16, 0 };
	desc[0] = (struct ublksrv_io_desc){ UBLK_IO_OP_READ, 16, 8, 0 };
	desc[1] = (struct ublksrv_io_desc){ UBLK_IO_OP_DISCARD, 8, 0, 0 };
	event(2, 0);
	event(0, 0);
	event(1, 0);
	event(2, 0);
	assert_int_equal(run(), 0);
	assert_int_equal(kernel.fd, 7);
	assert_int_equal(kernel.fetches, DEPTH);
	assert_int_equal(kernel.commits, 4);
	assert_int_equal(kernel.tag[0], 2);
	assert_int_equal(kernel.result[0], 4096);
	assert_int_equal(kernel.result[1], 8192);
	assert_int_equal(kernel.result[2], 0);
	assert_memory_equal(dev.data + 8192, buffers + 2 * IO_MAX, 4096);
	assert_memory_equal(buffers + 4096, dev.data + 8192, 4096);
}

/* Two requests, and one behind the word that it is to leave. */
static void leave(int held)
{
	struct uz__ublk_queue q = {
		.io = &io,
		.desc = desc,
		.buffers = buffers,
		.depth = DEPTH,
		.io_max = IO_MAX,
		.fd = 7,
	};
	unsigned int posts;
	pthread_t thread;

	for (posts = 0; posts < DEPTH; posts++)
		desc[posts] =
			(struct ublksrv_io_desc){ UBLK_IO_OP_WRITE, 8, 0, 0 };
	event(2, 0);
	event(0, 0);
	event(UZ__UBLK_LEAVE, held);
	event(1, 0);
	sem_init(&q.ready, 0, 0);
	sem_init(&q.go, 0, 1);
	assert_int_equal(pthread_create(&thread, NULL, uz__ublk_queue_main, &q),
			 0);
	for (posts = 0; posts < 3; posts++)
		while (sem_wait(&q.ready))
			;
	assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY);
	sem_post(&q.go);
	pthread_join(thread, NULL);
	sem_destroy(&q.ready);
	sem_destroy(&q.go);
}

static void test_leaves_at_once(void **state)
{
	(void)state;
	leave(0);
	assert_int_equal(kernel.commits, 2);
	assert_int_equal(kernel.collected, 2);
	assert_true(kernel.has[3]);
	assert_int_equal(kernel.next, 3);
}

static void test_leaves_nothing_behind(void **state)
{
	(void)state;
	leave(1);
	assert_int_equal(kernel.commits, 3);
	assert_int_equal(kernel.collected, 3);
	assert_int_equal(kernel.tag[2], 1);
	assert_int_equal(kernel.result[2], 4096);
}

static void test_errors(void **state)
{
	(void)state;
	desc[0] = (struct ublksrv_io_desc){ UBLK_IO_OP_WRITE, 8, 0, 0 };
	desc[1] = (struct ublksrv_io_desc){ 99, 8, 0, 0 };
	desc[3] = (struct ublksrv_io_desc){ UBLK_IO_OP_READ, 1 << 20, 0, 0 };
	dev.submit_error = -ENOSPC;
	event(0, 0);
	event(1, 0);
	event(3, 0);
	assert_int_equal(run(), 0);
	assert_int_equal(kernel.result[0], -ENOSPC);
	assert_int_equal(kernel.result[1], -EOPNOTSUPP);
	assert_int_equal(kernel.result[2], -EINVAL);
}

static void test_broken_disk(void **state)
{
	(void)state;
	desc[0] = (struct ublksrv_io_desc){ UBLK_IO_OP_READ, 8, 0, 0 };
	dev.submit_error = -EINVAL;
	event(0, 0);
	assert_int_equal(run(), 0);
	assert_int_equal(kernel.result[0], -EIO);
}

/* A tag that the driver does not take any more is lost, the others are not. */
static void test_lost_tag(void **state)
{
	(void)state;
	desc[1] = (struct ublksrv_io_desc){ UBLK_IO_OP_FLUSH, 0, 0, 0 };
	event(0, -EINVAL);
	event(1, 0);
	assert_int_equal(run(), 0);
	assert_int_equal(kernel.commits, 1);
	assert_int_equal(kernel.result[0], 0);
}

static void test_submit_fails(void **state)
{
	(void)state;
	desc[1] = (struct ublksrv_io_desc){ UBLK_IO_OP_READ, 8, 0, 0 };
	event(1, 0);
	/* The first one is that of all tags: there is nothing to serve then. */
	kernel.submit_errors = 1;
	assert_int_equal(run(), -ENOMEM);
	assert_int_equal(kernel.commits, 0);
}

static void test_no_ring(void **state)
{
	(void)state;
	kernel.create_error = -EPERM;
	assert_int_equal(run(), -EPERM);
	assert_int_equal(kernel.fetches, 0);
}

/* Something else has failed before the driver was asked. */
static void test_never_begins(void **state)
{
	(void)state;
	assert_int_equal(run_with(-1), 0);
	assert_int_equal(kernel.fetches, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_leaves_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_leaves_nothing_behind,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_serves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_disk, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_lost_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(test_submit_fails, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_no_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_begins, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
