/* SPDX-License-Identifier: MIT */
#ifndef URING_FIXTURE_H
#define URING_FIXTURE_H

/*
 * The io_uring transport on a kernel that the test plays, and on a fake device.
 * Include after <cmocka.h>; who wants another DEPTH defines it before.
 */
#include <unistd.h>

#include <uzram/util/shm.h>

#define CPUS	3
#define THREADS CPUS

#include "fake_cpus.h"
#include "fake_ring.h"
#include "fuse_fixture.h"

/* The workers that have queues, the one for what is slow, and clerks. */
#define RINGS (THREADS + 1 + UZ__FUSE_CLERKS)
/* Entries of a queue. */
#ifndef DEPTH
#define DEPTH 16
#endif

struct world {
	struct fixture *f;
	struct uz__fuse_uring *uring;
	int mem;
	struct uz__fuse_area area;
	unsigned int asked;
};

static inline int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	void *f;

	if (!w || fixture_setup(&f))
		return -1;
	w->f = f;
	w->mem = uz_shm_memfd("test");
	if (w->mem < 0)
		return -1;
	*state = w;
	fake_kernel_begin(CPUS);
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;
	void *f = w->f;

	uz__fuse_uring_destroy(w->uring);
	uz__fuse_area_end(&w->area);
	close(w->mem);
	free(w);
	return fixture_teardown(&f);
}

/* The kernel gets all entries at once. */
static inline void open_all(struct uz__fuse_uring *u)
{
	unsigned int i;

	u->opening = u->plan.depth;
	for (i = 0; i < u->plan.queues; i++)
		u->queues[i].open = (uint16_t)u->plan.depth;
}

static inline void make_area(struct world *w, unsigned int queues)
{
	const struct uz__fuse_plan plan = {
		.queues = queues,
		.depth = DEPTH,
		.payload = FUSE_MIN_READ_BUFFER,
	};

	uz__fuse_area_end(&w->area);
	assert_int_equal(uz__fuse_area_create(&w->area, w->mem, 0, &plan), 0);
}

static inline int create_shallow(struct world *w, unsigned int queues)
{
	make_area(w, queues);
	return uz__fuse_uring_create(&w->uring, &w->f->fuse, &w->area, THREADS,
				     -1);
}

static inline int create(struct world *w, unsigned int queues)
{
	int ret = create_shallow(w, queues);

	if (!ret)
		open_all(w->uring);
	return ret;
}

static inline void go_shallow(struct world *w)
{
	assert_int_equal(create_shallow(w, CPUS), 0);
	assert_int_equal(uz__fuse_uring_go(w->uring), 0);
	fake_kernel_quiet(RINGS);
}

static inline void go(struct world *w)
{
	assert_int_equal(create(w, CPUS), 0);
	assert_int_equal(uz__fuse_uring_go(w->uring), 0);
	fake_kernel_quiet(RINGS);
}

/* With another kernel. */
static inline void world_again(struct world *w)
{
	uz__fuse_uring_destroy(w->uring);
	w->uring = NULL;
	w->asked = 0;
	fake_kernel_begin(CPUS);
	go(w);
}

static inline const struct uz__ring *ring_of(struct world *w,
					     unsigned int worker)
{
	return w->uring->workers[worker].ring;
}

/* A read beyond the end: as dear as it is long, and without any effect. */
static inline void ask_long(struct world *w, unsigned int queue, uint32_t size)
{
	const struct fuse_read_in in = { .offset = DISKSIZE, .size = size };

	fake_kernel_request(queue, ++w->asked, FUSE_READ, UZ__FUSE_BLOCK, &in,
			    sizeof(in));
}

static inline void ask_store(struct world *w, unsigned int queue)
{
	const struct fuse_write_in in = { .size = 0 };

	fake_kernel_request(queue, ++w->asked, FUSE_WRITE, UZ__FUSE_FIRST_ATTR,
			    &in, sizeof(in));
}

/* Each request has been answered once. */
static inline const struct fake_answer *answered(struct world *w)
{
	const struct fake_answer *answers = fake_kernel_answers(w->asked);
	unsigned char seen[4096] = { 0 };
	unsigned int i;

	assert_true(w->asked < sizeof(seen));
	for (i = 0; i < w->asked; i++) {
		assert_in_range(answers[i].unique, 1, w->asked);
		assert_int_equal(seen[answers[i].unique]++, 0);
	}
	return answers;
}

#define world_test(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

#endif
