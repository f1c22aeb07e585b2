// SPDX-License-Identifier: MIT
/*
 * Requests as io_uring brings them, in their two buffers: what becomes of
 * them, and that there is an answer to whatever lies there.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <uring_priv.h>

#include "fuse_fixture.h"

static struct uz__fuse_slot slot;
static struct uz__fuse_entry entry;
static struct fuse_out_header out;

/* What the kernel would put there. */
static void arrive(struct fixture *f, uint32_t opcode, uint64_t nodeid,
		   const void *arg, size_t arg_len, const void *payload,
		   size_t payload_len)
{
	const struct fuse_in_header in = {
		.opcode = opcode,
		.unique = 77,
		.nodeid = nodeid,
	};

	memset(&slot, 0xa5, sizeof(slot));
	memcpy(slot.hdr.in_out, &in, sizeof(in));
	memcpy(slot.hdr.op_in, arg, arg_len);
	memcpy(f->room, payload, payload_len);
	slot.hdr.ent.commit_id = 77;
	slot.hdr.ent.payload_sz = (uint32_t)payload_len;
	entry = (struct uz__fuse_entry){
		.hdr = &slot.hdr,
		.outcome = &slot.outcome,
		.payload = f->room,
		.cap = sizeof(f->room),
	};
}

/* The answer's error. */
static int serve(struct fixture *f)
{
	uz__fuse_entry_serve(&entry, &f->call);
	memcpy(&out, slot.hdr.in_out, sizeof(out));
	assert_int_equal(out.unique, 77);
	assert_int_equal(entry.commit_id, 77);
	assert_int_equal(out.len, sizeof(out) + slot.hdr.ent.payload_sz);
	assert_true(out.error <= 0 && out.error > -512);
	assert_true(!out.error || !slot.hdr.ent.payload_sz);
	return out.error;
}

static void test_write_and_read(void **state)
{
	struct fixture *f = *state;
	const struct fuse_write_in to = { .offset = 4096, .size = 5 };
	const struct fuse_read_in from = { .offset = 4095, .size = 7 };
	struct fuse_write_out written;

	arrive(f, FUSE_WRITE, UZ__FUSE_BLOCK, &to, sizeof(to), "12345", 5);
	assert_int_equal(serve(f), 0);
	/* The device took the data from where the kernel had put them. */
	assert_ptr_equal(f->dev.last.buf, f->room);
	assert_int_equal(slot.hdr.ent.payload_sz, sizeof(written));
	memcpy(&written, f->room, sizeof(written));
	assert_int_equal(written.size, 5);

	arrive(f, FUSE_READ, UZ__FUSE_BLOCK, &from, sizeof(from), "", 0);
	assert_int_equal(serve(f), 0);
	assert_ptr_equal(f->dev.last.buf, f->room);
	assert_int_equal(slot.hdr.ent.payload_sz, 7);
	assert_memory_equal(f->room,
			    "\0"
			    "12345",
			    7);
}

static void test_small_answer(void **state)
{
	struct fixture *f = *state;
	struct fuse_entry_out found;

	arrive(f, FUSE_LOOKUP, FUSE_ROOT_ID, "", 0, "block", 6);
	assert_int_equal(serve(f), 0);
	assert_int_equal(slot.hdr.ent.payload_sz, sizeof(found));
	memcpy(&found, f->room, sizeof(found));
	assert_int_equal(found.nodeid, UZ__FUSE_BLOCK);
	assert_int_equal(found.attr.size, DISKSIZE);
}

static void test_errors(void **state)
{
	struct fixture *f = *state;
	const struct fuse_write_in to = { .size = 6 };

	arrive(f, FUSE_LOOKUP, FUSE_ROOT_ID, "", 0, "nothing", 8);
	assert_int_equal(serve(f), -ENOENT);
	arrive(f, 4000, FUSE_ROOT_ID, "", 0, "", 0);
	assert_int_equal(serve(f), -ENOSYS);
	/* Fewer data than announced, more than there is room for. */
	arrive(f, FUSE_WRITE, UZ__FUSE_BLOCK, &to, sizeof(to), "12345", 5);
	assert_int_equal(serve(f), -EINVAL);
	arrive(f, FUSE_WRITE, UZ__FUSE_BLOCK, &to, sizeof(to), "12345", 5);
	slot.hdr.ent.payload_sz = sizeof(f->room) + 1;
	assert_int_equal(serve(f), -EINVAL);
	assert_int_equal(f->dev.submits, 0);
	/* What wants no answer gets one all the same. */
	arrive(f, FUSE_FORGET, FUSE_ROOT_ID, "", 0, "", 0);
	assert_int_equal(serve(f), 0);
}

/* A read is cut at the payload's end. */
static void test_long_read(void **state)
{
	struct fixture *f = *state;
	const struct fuse_read_in from = { .size = ROOM + 1 };

	arrive(f, FUSE_READ, UZ__FUSE_BLOCK, &from, sizeof(from), "", 0);
	assert_int_equal(serve(f), 0);
	assert_int_equal(slot.hdr.ent.payload_sz, ROOM);
}

/* ---- what another process has left ---- */

static void test_left_request(void **state)
{
	struct fixture *f = *state;
	const struct fuse_read_in from = { .size = 4096 };

	arrive(f, FUSE_READ, UZ__FUSE_BLOCK, &from, sizeof(from), "", 0);
	entry.left = uz__fuse_entry_adopt(&entry);
	assert_int_equal(entry.left, UZ__FUSE_LEFT_REQUEST);
	assert_int_equal(serve(f), 0);
	/* Whoever cares knows that it may be the second time. */
	assert_true(f->call.msg.hdr.unique & FUSE_UNIQUE_RESEND);
	arrive(f, FUSE_READ, UZ__FUSE_BLOCK, &from, sizeof(from), "", 0);
	assert_int_equal(serve(f), 0);
	assert_false(f->call.msg.hdr.unique & FUSE_UNIQUE_RESEND);
}

/* Wherever in the writing of the answer it died. */
static void test_left_answer(void **state)
{
	struct fixture *f = *state;
	const struct fuse_write_in to = { .offset = 4096, .size = 5 };
	struct uz__fuse_slot whole;
	struct fuse_write_out written;
	unsigned int i;

	arrive(f, FUSE_WRITE, UZ__FUSE_BLOCK, &to, sizeof(to), "12345", 5);
	assert_int_equal(serve(f), 0);
	whole = slot;
	for (i = 0; i < 3; i++) {
		slot = whole;
		if (i > 0)
			memset(slot.hdr.in_out, 0xa5, 16);
		if (i > 1)
			memset(f->room, 0xa5, sizeof(written));
		assert_int_equal(uz__fuse_entry_adopt(&entry),
				 UZ__FUSE_LEFT_ANSWER);
		assert_memory_equal(&slot, &whole, sizeof(slot));
		memcpy(&written, f->room, sizeof(written));
		assert_int_equal(written.size, 5);
	}
	assert_int_equal(f->dev.submits, 1);
}

static void test_left_nonsense(void **state)
{
	struct fixture *f = *state;
	static const struct uz__fuse_outcome outcomes[] = {
		{ .answered_id = 77, .len = ROOM + 1 },
		{ .answered_id = 77, .len = 129, .small = 1 },
		{ .answered_id = 77, .len = 4, .small = 2 },
		{ .answered_id = 77, .error = 1 },
		{ .answered_id = 77, .error = -512 },
		{ .answered_id = 77, .error = -5, .len = 1 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		arrive(f, FUSE_READ, UZ__FUSE_BLOCK, "", 0, "", 0);
		slot.outcome = outcomes[i];
		assert_int_equal(uz__fuse_entry_adopt(&entry),
				 UZ__FUSE_LEFT_ANSWER);
		memcpy(&out, slot.hdr.in_out, sizeof(out));
		assert_int_equal(out.error, -EIO);
		assert_int_equal(out.unique, 77);
		assert_int_equal(slot.hdr.ent.payload_sz, 0);
	}
	/* The parts of two requests. */
	arrive(f, FUSE_READ, UZ__FUSE_BLOCK, "", 0, "", 0);
	slot.hdr.ent.commit_id = 79;
	slot.outcome.answered_id = 77;
	assert_int_equal(uz__fuse_entry_adopt(&entry), UZ__FUSE_LEFT_ANSWER);
	memcpy(&out, slot.hdr.in_out, sizeof(out));
	assert_int_equal(out.error, -EIO);
	slot.hdr.ent.commit_id = 0;
	assert_int_equal(uz__fuse_entry_adopt(&entry), UZ__FUSE_LEFT_NOTHING);
}

static uint64_t page(struct fixture *f, uint32_t opcode, uint64_t nodeid,
		     uint64_t offset, bool *reads)
{
	struct fuse_read_in rw = { .offset = offset, .size = 4096 };

	arrive(f, opcode, nodeid, &rw, sizeof(rw), "", 0);
	return uz__fuse_entry_page(&entry, reads);
}

static void test_page(void **state)
{
	struct fixture *f = *state;
	bool reads;

	assert_int_equal(page(f, FUSE_READ, UZ__FUSE_BLOCK, 8192, &reads), 2);
	assert_true(reads);
	assert_int_equal(page(f, FUSE_WRITE, UZ__FUSE_BLOCK, 4095, &reads), 0);
	assert_false(reads);
	assert_int_equal(page(f, FUSE_READ, UZ__FUSE_BLOCK, UINT64_MAX, &reads),
			 UINT64_MAX / 4096);
	assert_int_equal(page(f, FUSE_READ, UZ__FUSE_FIRST_ATTR, 0, &reads),
			 UZ_PAGE_NONE);
	assert_int_equal(page(f, FUSE_LSEEK, UZ__FUSE_BLOCK, 0, &reads),
			 UZ_PAGE_NONE);
	assert_false(reads);
}

/* What waits behind the request that is served. */
static void test_expect(void **state)
{
	struct fixture *f = *state;
	struct uz__fuse_entry third = { .page = 9, .reads = true };
	struct uz__fuse_entry second = { .page = 7, .reads = true };

	uz__fuse_entry_expect(NULL, f->call.io);
	assert_int_equal(f->dev.expected, 0);
	uz__fuse_entry_expect(&second, f->call.io);
	assert_int_equal(f->dev.soon[0], 7);
	assert_int_equal(f->dev.later[0], UZ_PAGE_NONE);
	second.next = &third;
	second.reads = false;
	uz__fuse_entry_expect(&second, f->call.io);
	/* It is written: its object is not wanted. */
	assert_int_equal(f->dev.soon[1], UZ_PAGE_NONE);
	assert_int_equal(f->dev.later[1], 9);
}

static unsigned int cost(struct fixture *f, uint32_t opcode, uint64_t nodeid,
			 const void *arg, size_t len)
{
	arrive(f, opcode, nodeid, arg, len, "", 0);
	return uz__fuse_entry_cost(&entry);
}

static void test_cost(void **state)
{
	struct fixture *f = *state;
	struct fuse_read_in rw = { .size = 4096 };
	struct fuse_fallocate_in punch = { .length = 4096 };
	unsigned int page;

	page = cost(f, FUSE_READ, UZ__FUSE_BLOCK, &rw, sizeof(rw));
	assert_int_equal(page, 1);
	page = cost(f, FUSE_WRITE, UZ__FUSE_BLOCK, &rw, sizeof(rw));
	assert_true(page > 1);
	rw.size = 65536;
	assert_int_equal(cost(f, FUSE_WRITE, UZ__FUSE_BLOCK, &rw, sizeof(rw)),
			 16 * page);
	rw.size = UINT32_MAX;
	page = cost(f, FUSE_WRITE, UZ__FUSE_BLOCK, &rw, sizeof(rw));
	assert_true(page && page < UZ__FUSE_COST_SLOW);
	rw.size = 0;
	assert_true(cost(f, FUSE_READ, UZ__FUSE_BLOCK, &rw, sizeof(rw)) > 0);

	assert_int_equal(
		cost(f, FUSE_WRITE, UZ__FUSE_FIRST_ATTR, &rw, sizeof(rw)),
		UZ__FUSE_COST_STORE);
	assert_int_equal(
		cost(f, FUSE_FALLOCATE, UZ__FUSE_BLOCK, &punch, sizeof(punch)),
		1);
	/* As file systems trim: shared out by what it costs, as a write is. */
	punch.length = 16u << 20;
	page = cost(f, FUSE_FALLOCATE, UZ__FUSE_BLOCK, &punch, sizeof(punch));
	assert_in_range(page, 1024, 4096);
	punch.length = UINT64_MAX;
	assert_int_equal(
		cost(f, FUSE_FALLOCATE, UZ__FUSE_BLOCK, &punch, sizeof(punch)),
		UZ__FUSE_COST_SLOW);
	punch.length = (16u << 20) + 1;
	assert_int_equal(
		cost(f, FUSE_FALLOCATE, UZ__FUSE_BLOCK, &punch, sizeof(punch)),
		UZ__FUSE_COST_SLOW);
	assert_int_equal(cost(f, FUSE_LSEEK, UZ__FUSE_BLOCK, &rw, 0),
			 UZ__FUSE_COST_SLOW);
	assert_int_equal(cost(f, FUSE_STATFS, 1, &rw, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_write_and_read),
		fixture_test(test_small_answer),
		fixture_test(test_errors),
		fixture_test(test_long_read),
		fixture_test(test_left_request),
		fixture_test(test_left_answer),
		fixture_test(test_left_nonsense),
		fixture_test(test_page),
		fixture_test(test_expect),
		fixture_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
