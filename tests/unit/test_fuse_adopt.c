// SPDX-License-Identifier: MIT
/*
 * What the io_uring transport makes of the memory of a process that has died,
 * on a kernel that the test plays (fake_ring.c): each state that an entry can
 * be left in, requests that have waited, failures, and memory that holds
 * anything at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEPTH 4
#include "uring_fixture.h"

/* Memory that a predecessor has just made. */
static int left_setup(void **state)
{
	if (world_setup(state))
		return -1;
	make_area(*state, CPUS);
	return 0;
}

static struct uz__fuse_slot *slot_at(struct world *w, unsigned int queue,
				     unsigned int i)
{
	return (struct uz__fuse_slot *)(w->area.slots +
					(queue * DEPTH + i) *
						uz__fuse_slot_size(
							&w->area.plan));
}

static unsigned char *payload_of(struct uz__fuse_slot *slot)
{
	return (unsigned char *)slot + UZ__FUSE_ENTRY_HEAD;
}

/* It dies, and another process takes over. */
static void succeed_shallow(struct world *w)
{
	uz__fuse_area_end(&w->area);
	assert_int_equal(uz__fuse_area_adopt(&w->area, w->mem, 0), 0);
	assert_int_equal(uz__fuse_uring_create(&w->uring, &w->f->fuse, &w->area,
					       CPUS, -1),
			 0);
}

/* With all entries open, however few have been needed. */
static void succeed(struct world *w)
{
	unsigned int i;

	succeed_shallow(w);
	for (i = 0; i < CPUS; i++)
		w->uring->queues[i].open = DEPTH;
	assert_int_equal(uz__fuse_uring_go(w->uring), 0);
}

/* A read of a page, as the kernel had it given to the predecessor. */
static void orphan_read(struct world *w, unsigned int queue, unsigned int i,
			uint64_t unique)
{
	const struct fuse_read_in in = { .offset = 4096, .size = 4096 };

	fake_kernel_orphan(queue, &slot_at(w, queue, i)->hdr, unique, FUSE_READ,
			   UZ__FUSE_BLOCK, &in, sizeof(in));
}

static void ask_page(unsigned int queue, uint64_t unique)
{
	const struct fuse_read_in in = { .offset = 4096, .size = 4096 };

	fake_kernel_request(queue, unique, FUSE_READ, UZ__FUSE_BLOCK, &in,
			    sizeof(in));
}

/* The answer to a request; sleeps until it is there. */
static const struct fake_answer *answer_to(uint64_t unique)
{
	const struct fake_answer *a;
	unsigned int n;

	for (n = 1;; n++) {
		a = &fake_kernel_answers(n)[n - 1];
		if (a->unique == unique)
			return a;
	}
}

/* Entries of a queue that are there for the next requests. */
static unsigned int available(struct world *w, unsigned int queue)
{
	unsigned int ring, n = 0;

	fake_kernel_quiet(RINGS);
	for (ring = 0; ring < RINGS; ring++)
		n += fake_kernel_entries(queue, w->uring->workers[ring].ring);
	return n;
}

/* So are all of all queues. */
static void all_available(struct world *w)
{
	unsigned int queue;

	for (queue = 0; queue < CPUS; queue++)
		assert_int_equal(available(w, queue), DEPTH);
}

static void test_nothing_left(void **state)
{
	struct world *w = *state;

	succeed(w);
	all_available(w);
	assert_int_equal(fake_kernel_unknown(), 0);
	ask_page(2, 10);
	assert_int_equal(answer_to(10)->error, 0);
}

static void test_request_left(void **state)
{
	struct world *w = *state;
	struct uz__fuse_slot *slot = slot_at(w, 1, 3);

	memset(w->f->dev.data + 4096, 0x77, 4096);
	orphan_read(w, 1, 3, 10);
	/* Of an older request in the same entry. */
	slot->outcome.answered_id = 8;
	succeed(w);
	assert_int_equal(answer_to(10)->error, 0);
	assert_int_equal(slot->hdr.ent.payload_sz, 4096);
	assert_int_equal(payload_of(slot)[4095], 0x77);
	assert_int_equal(slot->outcome.answered_id, 10);
	all_available(w);
	assert_int_equal(fake_kernel_unknown(), 0);
	assert_int_equal(w->f->dev.submits, 1);
}

/* The pages of a slot that are mapped here. */
static size_t mapped(struct world *w, unsigned int queue, unsigned int i)
{
	const size_t pages = uz__fuse_slot_size(&w->area.plan) / UZ_PAGE_SIZE;
	const uintptr_t at = (uintptr_t)slot_at(w, queue, i);
	uint64_t words[16];
	size_t n = 0, page;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0 && pages <= sizeof(words) / sizeof(words[0]));
	assert_int_equal(pread(fd, words, pages * sizeof(words[0]),
			       (off_t)(at / UZ_PAGE_SIZE * sizeof(words[0]))),
			 pages * sizeof(words[0]));
	close(fd);
	for (page = 0; page < pages; page++)
		n += words[page] >> 63;
	return n;
}

/*
 * Entries up to the last one that had a request are populated before one of
 * them is committed, and one more; the rest stays as it is.
 */
static void test_only_what_was_needed(void **state)
{
	struct world *w = *state;
	const size_t pages = uz__fuse_slot_size(&w->area.plan) / UZ_PAGE_SIZE;
	static const unsigned int open[CPUS] = { 1, 3, DEPTH };
	unsigned int queue, i;

	orphan_read(w, 1, 1, 10);
	for (i = 0; i < DEPTH; i++) {
		slot_at(w, 2, i)->hdr.ent.commit_id = 20 + i;
		slot_at(w, 2, i)->outcome.answered_id = 20 + i;
	}
	succeed_shallow(w);
	for (queue = 0; queue < CPUS; queue++) {
		assert_int_equal(w->uring->queues[queue].open, open[queue]);
		for (i = 0; i < DEPTH; i++)
			assert_int_equal(mapped(w, queue, i),
					 i < open[queue] ? pages : 0);
	}
	assert_int_equal(uz__fuse_uring_go(w->uring), 0);
	assert_int_equal(answer_to(10)->error, 0);
	for (queue = 0; queue < CPUS; queue++)
		assert_int_equal(available(w, queue), open[queue]);
}

/* The opcode is overwritten already, and the data of a write. */
static void test_answer_left(void **state)
{
	struct world *w = *state;
	struct uz__fuse_slot *slot = slot_at(w, 0, 1);
	const struct fuse_write_out out = { .size = 4096 };

	fake_kernel_orphan(0, &slot->hdr, 10, FUSE_WRITE, UZ__FUSE_BLOCK, "",
			   0);
	slot->outcome.answered_id = 10;
	slot->outcome.len = sizeof(out);
	slot->outcome.small = 1;
	memcpy(slot->outcome.data, &out, sizeof(out));
	memset(slot->hdr.in_out, 0xa5, 16);
	succeed(w);
	assert_int_equal(answer_to(10)->error, 0);
	assert_memory_equal(payload_of(slot), &out, sizeof(out));
	assert_int_equal(slot->hdr.ent.payload_sz, sizeof(out));
	all_available(w);
	assert_int_equal(w->f->dev.submits, 0);
}

static void test_answer_was_taken(void **state)
{
	struct world *w = *state;
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		slot_at(w, 2, i)->hdr.ent.commit_id = 10 + i;
		slot_at(w, 2, i)->outcome.answered_id = 10 + i;
	}
	succeed(w);
	all_available(w);
	assert_int_equal(fake_kernel_unknown(), DEPTH);
	assert_int_equal(w->f->dev.submits, 0);
	ask_page(2, 20);
	assert_int_equal(answer_to(20)->error, 0);
}

/* The kernel had no memory for the rest of it, and has told the client. */
static void test_half_a_request(void **state)
{
	struct world *w = *state;

	orphan_read(w, 0, 0, 10);
	slot_at(w, 0, 0)->outcome.answered_id = 10;
	slot_at(w, 0, 0)->hdr.ent.commit_id = 12;
	succeed(w);
	all_available(w);
	assert_int_equal(fake_kernel_unknown(), 1);
	assert_int_equal(w->f->dev.submits, 0);
}

/* It was carried out for nobody; what waits in the queue is called for. */
static void test_request_is_gone(void **state)
{
	struct world *w = *state;
	unsigned int i;

	/* The kernel believes that they are in another queue. */
	for (i = 0; i < DEPTH; i++)
		fake_kernel_orphan(1, &slot_at(w, 0, i)->hdr, 10 + i,
				   FUSE_STATFS, FUSE_ROOT_ID, "", 0);
	ask_page(0, 20);
	succeed(w);
	assert_int_equal(answer_to(20)->error, 0);
	all_available(w);
	assert_int_equal(fake_kernel_unknown(), DEPTH);
}

static void test_waiting_requests(void **state)
{
	struct world *w = *state;
	unsigned int i;

	for (i = 0; i < 10 * CPUS; i++)
		ask_page(i % CPUS, 10 + i);
	succeed(w);
	for (i = 0; i < 10 * CPUS; i++)
		assert_int_equal(answer_to(10 + i)->error, 0);
	all_available(w);
}

/* They come with the next request from there. */
static void test_unreachable_cpu(void **state)
{
	struct world *w = *state;

	fake_faults.unreachable = 2;
	ask_page(1, 10);
	ask_page(0, 11);
	succeed(w);
	answer_to(11);
	all_available(w);
	ask_page(1, 12);
	answer_to(10);
	answer_to(12);
}

/* More of everything than one ring takes at a time. */
static void test_everything_at_once(void **state)
{
	struct world *w = *state;
	unsigned int i;

	for (i = 0; i < CPUS * DEPTH; i++) {
		orphan_read(w, i % CPUS, i / CPUS, 10 + i);
		if (i % 3 == 1)
			slot_at(w, i % CPUS, i / CPUS)->outcome.answered_id =
				10 + i;
		ask_page(i % CPUS, 100 + i);
	}
	succeed(w);
	for (i = 0; i < CPUS * DEPTH; i++) {
		answer_to(10 + i);
		answer_to(100 + i);
	}
	all_available(w);
}

/* The kernel goes on with the queues that it has. */
static void test_no_memory_to_register(void **state)
{
	struct world *w = *state;

	fake_faults.registers = 20;
	succeed(w);
	ask_page(0, 10);
	answer_to(10);
	all_available(w);
	assert_int_equal(fake_faults.registers, 0);
}

static void test_buffer_that_is_refused(void **state)
{
	struct world *w = *state;

	fake_faults.register_queue = 1;
	fake_faults.register_error = -EINVAL;
	orphan_read(w, 0, 0, 10);
	succeed(w);
	assert_int_equal(answer_to(10)->error, 0);
	ask_page(0, 11);
	ask_page(1, 12);
	answer_to(11);
	answer_to(12);
}

static void test_orders_get_lost(void **state)
{
	struct world *w = *state;

	succeed_shallow(w);
	fake_faults.lost_orders = true;
	assert_int_equal(uz__fuse_uring_go(w->uring), -EIO);
}

/* Unmounted while nobody served. */
static void test_connection_has_ended(void **state)
{
	struct world *w = *state;

	orphan_read(w, 0, 0, 10);
	fake_kernel_disconnect();
	succeed(w);
	fake_kernel_quiet(RINGS);
}

/* ---- any bytes at all ---- */

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void scribble(void *at, size_t len)
{
	unsigned char *p = at;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = (unsigned char)draw();
}

static void damage(struct uz__fuse_slot *slot, uint64_t id)
{
	struct fuse_in_header in = {
		.opcode = draw() % 60,
		.nodeid = draw() % 8,
		.unique = id,
	};

	scribble(slot, sizeof(*slot));
	scribble(payload_of(slot), 64);
	if (draw() % 4)
		slot->hdr.ent.commit_id = id;
	if (draw() % 2)
		slot->outcome.answered_id = slot->hdr.ent.commit_id;
	if (draw() % 2)
		slot->hdr.ent.payload_sz = draw() % 9000;
	if (draw() % 2)
		slot->outcome.small = draw() % 2;
	if (draw() % 2)
		slot->outcome.len = draw() % 9000;
	if (draw() % 2)
		slot->outcome.error = -(int)(draw() % 600);
	if (draw() % 4)
		memcpy(slot->hdr.in_out, &in, sizeof(in));
}

/* Every request gets an answer, and every entry serves again. */
static void test_hostile_memory(void **state)
{
	struct world *w = *state;
	unsigned int round, i;

	for (round = 0; round < 60; round++) {
		fake_kernel_begin(CPUS);
		for (i = 0; i < CPUS * DEPTH; i++) {
			struct uz__fuse_slot *slot =
				slot_at(w, i % CPUS, i / CPUS);

			if (draw() % 2)
				orphan_read(w, i % CPUS, i / CPUS, 10 + i);
			damage(slot, 10 + i);
		}
		succeed(w);
		for (i = 0; i < CPUS; i++) {
			ask_page(i, 100 + i);
			answer_to(100 + i);
		}
		all_available(w);
		uz__fuse_uring_destroy(w->uring);
		w->uring = NULL;
	}
}

#define left_test(name) \
	cmocka_unit_test_setup_teardown(name, left_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		left_test(test_nothing_left),
		left_test(test_request_left),
		left_test(test_only_what_was_needed),
		left_test(test_answer_left),
		left_test(test_answer_was_taken),
		left_test(test_half_a_request),
		left_test(test_request_is_gone),
		left_test(test_waiting_requests),
		left_test(test_unreachable_cpu),
		left_test(test_everything_at_once),
		left_test(test_no_memory_to_register),
		left_test(test_buffer_that_is_refused),
		left_test(test_orders_get_lost),
		left_test(test_connection_has_ended),
		left_test(test_hostile_memory),
	};
	const char *text = getenv("UZ_SEED");

	seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	printf("# UZ_SEED=%llu\n", (unsigned long long)seed);
	seed = seed * 2 + 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
