// SPDX-License-Identifier: MIT
/*
 * The io_uring transport on a kernel that the test plays (fake_ring.c): set-up
 * and each of its failures, registering and falling back, sharing, entries
 * that go home, what is slow, refused answers, the end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "uring_fixture.h"

static void test_single_requests(void **state)
{
	struct world *w = *state;
	const struct fake_answer *a;
	unsigned int i;

	go(w);
	for (i = 0; i < 30; i++) {
		ask_long(w, i % CPUS, 4096);
		a = answered(w);
		assert_int_equal(a[i].error, 0);
		assert_int_equal(a[i].queue, i % CPUS);
		/* By the queue's own worker. */
		assert_ptr_equal(a[i].ring, ring_of(w, i % CPUS));
		fake_kernel_quiet(RINGS);
	}
}

/* More than there are entries, from everywhere at once. */
static void test_many_requests(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	for (i = 0; i < 3000; i++) {
		if (i % 100)
			ask_long(w, i * i % CPUS, i % 7 ? 4096 : 1u << 20);
		else
			ask_store(w, i % CPUS);
	}
	answered(w);
}

static void test_queues_of_absent_cpus(void **state)
{
	struct world *w = *state;
	unsigned int i;

	fake_kernel_begin(16);
	assert_int_equal(create(w, 16), 0);
	assert_int_equal(w->uring->serving, CPUS);
	assert_int_equal(uz__fuse_uring_go(w->uring), 0);
	for (i = 0; i < 160; i++)
		ask_long(w, i % 16, 4096);
	answered(w);
}

/*
 * A queue that stays deep spreads over the workers; with one request at a time
 * its entries go home again.
 */
static void test_sharing(void **state)
{
	struct world *w = *state;
	unsigned int i, foreign = 0;

	go(w);
	for (i = 0; i < 1000 && !foreign; i++) {
		ask_long(w, 0, 1u << 20);
		ask_long(w, 0, 1u << 20);
		ask_long(w, 0, 1u << 20);
		answered(w);
		fake_kernel_quiet(RINGS);
		foreign = DEPTH - fake_kernel_entries(0, ring_of(w, 0));
	}
	assert_true(foreign > 0);
	assert_int_equal(fake_kernel_entries(0, ring_of(w, THREADS)), 0);
	for (i = 0; i < 40; i++) {
		ask_long(w, 0, 4096);
		answered(w);
		fake_kernel_quiet(RINGS);
	}
	assert_ptr_equal(answered(w)[w->asked - 1].ring, ring_of(w, 0));
}

/* Who could not be told is still known to sleep. */
static void test_no_room_to_share(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	fake_faults.full = 1;
	fake_kernel_pause(true);
	ask_long(w, 0, 1u << 20);
	ask_long(w, 0, 1u << 20);
	fake_kernel_pause(false);
	answered(w);
	fake_kernel_quiet(RINGS);
	assert_int_equal(fake_faults.full, 0);
	for (i = 0; i < CPUS; i++)
		assert_true(w->uring->workers[i].idle);
}

/* It does not stay behind another client's requests for ever. */
static void test_home_from_a_busy_worker(void **state)
{
	struct world *w = *state;
	unsigned int i, home = 0, away = 0;

	go(w);
	/* Until the entry that the kernel takes next is elsewhere. */
	for (i = 0; i < 100 && !away; i++) {
		fake_kernel_pause(true);
		ask_long(w, 0, 1u << 20);
		ask_long(w, 0, 1u << 20);
		fake_kernel_pause(false);
		away = answered(w)[w->asked - 1].ring != ring_of(w, 0);
		fake_kernel_quiet(RINGS);
	}
	assert_true(away);
	for (i = 0; i < 1000 && !home; i++) {
		/* Whoever it is, he has something else to do as well. */
		fake_kernel_pause(true);
		ask_long(w, 1, 4096);
		ask_long(w, 2, 4096);
		ask_long(w, 0, 4096);
		fake_kernel_pause(false);
		answered(w);
		fake_kernel_quiet(RINGS);
		home = fake_kernel_entries(0, ring_of(w, 0)) == DEPTH;
	}
	assert_true(home);
}

/* What is cheap is not worth waking anybody. */
static void test_no_sharing(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	for (i = 0; i < 200; i++) {
		ask_long(w, 1, 4096);
		ask_long(w, 1, 4096);
		answered(w);
		fake_kernel_quiet(RINGS);
	}
	assert_int_equal(fake_kernel_entries(1, ring_of(w, 1)), DEPTH);
}

/* What is cheap does not wait for what is dear, wherever that stands. */
static void test_cheap_beside_dear(void **state)
{
	struct world *w = *state;
	const struct fake_answer *a;
	unsigned int i, dear;

	go(w);
	for (dear = 0; dear < 2; dear++) {
		fake_kernel_pause(true);
		ask_long(w, 0, dear ? 4096 : 1u << 20);
		ask_long(w, 0, dear ? 1u << 20 : 4096);
		fake_kernel_pause(false);
		a = answered(w);
		/* The second one went to another worker. */
		for (i = w->asked - 2; a[i].unique != w->asked; i++)
			assert_true(i < w->asked);
		assert_ptr_not_equal(a[i].ring, ring_of(w, 0));
		/* Each queue has all its entries in its own ring again. */
		fake_kernel_quiet(RINGS);
		world_again(w);
	}
}

static void test_messages_that_come_back(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	fake_faults.sends = UINT32_MAX;
	for (i = 0; i < 300; i++) {
		ask_long(w, 0, 1u << 20);
		if (i % 50 == 0)
			ask_store(w, 0);
	}
	answered(w);
	assert_int_equal(fake_kernel_entries(0, ring_of(w, 1)), 0);
	fake_faults.sends = 0;
}

/* It is carried out elsewhere; the entry stays where it was. */
static void test_slow_request(void **state)
{
	struct world *w = *state;
	const struct fake_answer *a;

	go(w);
	ask_store(w, 2);
	a = answered(w);
	assert_int_equal(a[0].error, -EINVAL);
	assert_ptr_equal(a[0].ring, ring_of(w, 2));
	fake_kernel_quiet(RINGS);
	assert_int_equal(fake_kernel_entries(2, ring_of(w, 2)), DEPTH);
}

/* It is registered anew, and serves on. */
static void test_refused_answer(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	fake_faults.commit_error = -ENOENT;
	fake_faults.commits = 1;
	ask_long(w, 0, 4096);
	fake_kernel_quiet(RINGS);
	assert_int_equal(fake_kernel_entries(0, ring_of(w, 0)), DEPTH);
	w->asked = 0;
	for (i = 0; i < DEPTH; i++)
		ask_long(w, 0, 4096);
	answered(w);
}

/* The client still waits: the same answer is given again until it is taken. */
static void test_answer_not_taken(void **state)
{
	static const int errors[] = { -ENOMEM, -EAGAIN, -EINTR, -EBUSY };
	struct world *w = *state;
	unsigned int i;

	go(w);
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake_faults.commit_error = errors[i];
		fake_faults.commits = 3;
		ask_long(w, 0, 4096);
		ask_store(w, 0);
		answered(w);
		fake_kernel_quiet(RINGS);
		assert_int_equal(fake_kernel_entries(0, ring_of(w, 0)), DEPTH);
	}
}

/* As at the connection's end: nothing is tried again, and it ends in order. */
static void test_switched_off(void **state)
{
	struct world *w = *state;

	go(w);
	fake_faults.commit_error = -EOPNOTSUPP;
	fake_faults.commits = 3;
	ask_long(w, 0, 4096);
	ask_store(w, 1);
	fake_kernel_quiet(RINGS);
	assert_int_equal(fake_faults.commits, 1);
	assert_int_equal(fake_kernel_entries(0, ring_of(w, 0)), DEPTH - 1);
	assert_int_equal(fake_kernel_entries(1, ring_of(w, 1)), DEPTH - 1);
}

static void test_submission_that_fails(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	fake_faults.submits = 3;
	for (i = 0; i < 100; i++)
		ask_long(w, i % CPUS, 4096);
	answered(w);
	assert_int_equal(fake_faults.submits, 0);
}

static void test_disconnect(void **state)
{
	struct world *w = *state;

	go(w);
	ask_long(w, 0, 4096);
	answered(w);
	fake_kernel_disconnect();
	fake_kernel_quiet(RINGS);
}

/* ---- set-up ---- */

static void test_create_fails(void **state)
{
	struct world *w = *state;
	unsigned int n;

	for (n = 1; n <= RINGS + 1; n++) {
		fake_faults.create_after = n;
		assert_int_equal(create(w, CPUS), -ENOMEM);
		assert_null(w->uring);
	}
	assert_int_equal(create(w, CPUS), 0);
}

static void test_fewer_entries(void **state)
{
	struct world *w = *state;
	unsigned int i;

	fake_faults.register_from = 2;
	assert_int_equal(create(w, CPUS), 0);
	assert_int_equal(uz__fuse_uring_go(w->uring), 0);
	for (i = 0; i < 100; i++)
		ask_long(w, i % CPUS, 4096);
	answered(w);
}

static void test_queue_without_entries(void **state)
{
	struct world *w = *state;

	fake_faults.register_queue = 2;
	assert_int_equal(create(w, CPUS), 0);
	assert_int_equal(uz__fuse_uring_go(w->uring), -EAGAIN);
}

static void test_more_queues_than_the_kernel_has(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, CPUS + 2), 0);
	assert_int_equal(uz__fuse_uring_go(w->uring), -EAGAIN);
}

/* The kernel does not hear of any failure, so it has to be told. */
static void test_nothing_can_be_registered(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, CPUS), 0);
	fake_faults.stuck_registers = true;
	assert_int_equal(uz__fuse_uring_go(w->uring), -EAGAIN);
}

static void test_workers_cannot_be_told(void **state)
{
	struct world *w = *state;

	assert_int_equal(create(w, CPUS), 0);
	fake_faults.lost_orders = true;
	assert_int_equal(uz__fuse_uring_go(w->uring), -EAGAIN);
}

static void test_kernel_cannot_be_told(void **state)
{
	struct world *w = *state;

	fake_faults.register_queue = 1;
	fake_faults.takes_anything = true;
	assert_int_equal(create(w, CPUS), 0);
	assert_int_equal(uz__fuse_uring_go(w->uring), -EIO);
}

/* Memory is short for a moment, when they begin and when they end. */
static void test_orders_that_need_time(void **state)
{
	struct world *w = *state;
	unsigned int i;

	fake_faults.busy = 4;
	go(w);
	assert_int_equal(fake_faults.busy, 0);
	for (i = 0; i < CPUS; i++)
		assert_int_equal(fake_kernel_entries(i, ring_of(w, i)), DEPTH);
	fake_faults.busy = 3;
	fake_faults.stops = RINGS + 2;
	uz__fuse_uring_destroy(w->uring);
	w->uring = NULL;
	assert_int_equal(fake_faults.stops, 0);
}

/* For another process: what comes from now on stays in the entries. */
static void test_leaves(void **state)
{
	struct world *w = *state;
	unsigned int i, served;

	fake_faults.interrupts = true;
	go(w);
	for (i = 0; i < 100; i++)
		ask_long(w, i % CPUS, 1u << 20);
	uz__fuse_uring_leave(w->uring);
	assert_int_equal(w->uring->running, 0);
	served = fake_kernel_answered();
	assert_in_range(served, 0, 100);
	ask_long(w, 0, 4096);
	ask_store(w, 1);
	usleep(20000);
	assert_int_equal(fake_kernel_answered(), served);
}

static void test_never_used(void **state)
{
	assert_int_equal(create(*state, CPUS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(test_single_requests),
		world_test(test_many_requests),
		world_test(test_queues_of_absent_cpus),
		world_test(test_sharing),
		world_test(test_no_room_to_share),
		world_test(test_home_from_a_busy_worker),
		world_test(test_no_sharing),
		world_test(test_cheap_beside_dear),
		world_test(test_messages_that_come_back),
		world_test(test_slow_request),
		world_test(test_refused_answer),
		world_test(test_answer_not_taken),
		world_test(test_switched_off),
		world_test(test_submission_that_fails),
		world_test(test_disconnect),
		world_test(test_create_fails),
		world_test(test_fewer_entries),
		world_test(test_queue_without_entries),
		world_test(test_more_queues_than_the_kernel_has),
		world_test(test_nothing_can_be_registered),
		world_test(test_workers_cannot_be_told),
		world_test(test_kernel_cannot_be_told),
		world_test(test_orders_that_need_time),
		world_test(test_leaves),
		world_test(test_never_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
