// SPDX-License-Identifier: MIT
/*
 * The operations on files: the block file at and beyond its end, holes, holds
 * and errors; attribute files; the greeting; what gets no answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "fuse_fixture.h"

static int ask_open(struct fixture *f, uint64_t nodeid, int flags)
{
	const struct fuse_open_in in = { .flags = (uint32_t)flags };

	return ask(f, FUSE_OPEN, nodeid, &in, sizeof(in), NULL, 0);
}

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, 5000, "hello", 5), 0);
	assert_int_equal(f->call.reply.len, 8);
	assert_int_equal(f->call.reply.out.write.size, 5);
	assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, 4999, 7), 0);
	assert_int_equal(f->call.reply.len, 7);
	/* Straight into the transport's buffer. */
	assert_ptr_equal(f->call.reply.data, f->room);
	assert_memory_equal(f->room, "\0hello\0", 7);
	assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, 0, NULL, 0), 0);
	assert_int_equal(f->call.reply.out.write.size, 0);
}

static void test_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		ask_write(f, UZ__FUSE_BLOCK, DISKSIZE - 3, "abcdef", 6), 0);
	assert_int_equal(f->call.reply.out.write.size, 3);
	assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, DISKSIZE - 3, 4096), 0);
	assert_int_equal(f->call.reply.len, 3);
	assert_memory_equal(f->room, "abc", 3);
	assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, DISKSIZE, "a", 1),
			 -ENOSPC);
	assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, UINT64_MAX, "a", 1),
			 -ENOSPC);
	assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, DISKSIZE, 4096), 0);
	assert_int_equal(f->call.reply.len, 0);
	assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, UINT64_MAX, 4096), 0);
	assert_int_equal(f->call.reply.len, 0);
	/* A read of more than there is room for is short. */
	assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, 0, UINT32_MAX), 0);
	assert_int_equal(f->call.reply.len, ROOM);
}

static void test_no_size(void **state)
{
	struct fixture *f = *state;
	const struct fuse_lseek_in seek = { .whence = SEEK_DATA };

	assert_int_equal(uz_device_reset(&f->dev, true, NULL), 0);
	assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, 0, 4096), 0);
	assert_int_equal(f->call.reply.len, 0);
	assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, 0, "a", 1), -ENOSPC);
	assert_int_equal(ask(f, FUSE_LSEEK, UZ__FUSE_BLOCK, &seek, sizeof(seek),
			     NULL, 0),
			 -ENXIO);
	assert_int_equal(ask(f, FUSE_STATFS, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(f->call.reply.out.statfs.blocks, 0);
	assert_int_equal(f->dev.submits, 0);
}

static void test_errors_of_the_device(void **state)
{
	static const int errors[][2] = {
		{ -ENOSPC, -ENOSPC },
		{ -EIO, -EIO },
		{ -EINVAL, -EIO },
		{ -ENOMEM, -EIO },
	};
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		f->dev.submit_error = errors[i][0];
		assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, 0, "a", 1),
				 errors[i][1]);
		f->dev.submit_error = errors[i][0];
		assert_int_equal(ask_read(f, UZ__FUSE_BLOCK, 0, 1),
				 errors[i][1]);
	}
}

static int ask_fallocate(struct fixture *f, int mode, uint64_t offset,
			 uint64_t length)
{
	const struct fuse_fallocate_in in = {
		.offset = offset,
		.length = length,
		.mode = (uint32_t)mode,
	};

	return ask(f, FUSE_FALLOCATE, UZ__FUSE_BLOCK, &in, sizeof(in), NULL, 0);
}

static void test_fallocate(void **state)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	const int keep = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
	struct fixture *f = *state;

	assert_int_equal(ask_fallocate(f, punch, 100, 8192), 0);
	assert_int_equal(f->dev.last.op, UZ_OP_ZERO);
	assert_int_equal(f->dev.last.offset, 100);
	assert_int_equal(f->dev.last.length, 8192);
	assert_int_equal(ask_fallocate(f, keep, 4096, 4096), 0);
	assert_int_equal(f->dev.last.offset, 4096);
	assert_int_equal(ask_fallocate(f, FALLOC_FL_ZERO_RANGE, 0, DISKSIZE),
			 0);
	assert_int_equal(f->dev.submits, 3);

	/* As a block device: cut at the end, or refused. */
	assert_int_equal(ask_fallocate(f, punch, DISKSIZE - 10, UINT64_MAX), 0);
	assert_int_equal(f->dev.last.length, 10);
	assert_int_equal(ask_fallocate(f, keep, 0, DISKSIZE + 1), 0);
	assert_int_equal(f->dev.last.length, DISKSIZE);
	assert_int_equal(f->dev.submits, 5);
	assert_int_equal(
		ask_fallocate(f, FALLOC_FL_ZERO_RANGE, 0, DISKSIZE + 1),
		-EINVAL);
	assert_int_equal(ask_fallocate(f, punch, DISKSIZE, 1), -EINVAL);
	assert_int_equal(ask_fallocate(f, punch, 0, 0), -EINVAL);
	assert_int_equal(ask_fallocate(f, 0, 0, 4096), -EOPNOTSUPP);
	assert_int_equal(ask_fallocate(f, FALLOC_FL_KEEP_SIZE, 0, 4096),
			 -EOPNOTSUPP);
	assert_int_equal(ask_fallocate(f, FALLOC_FL_PUNCH_HOLE, 0, 4096),
			 -EOPNOTSUPP);
	assert_int_equal(ask_fallocate(f, -1, 0, 4096), -EOPNOTSUPP);
	assert_int_equal(f->dev.submits, 5);
}

static int ask_lseek(struct fixture *f, int whence, uint64_t offset)
{
	const struct fuse_lseek_in in = {
		.offset = offset,
		.whence = (uint32_t)whence,
	};

	return ask(f, FUSE_LSEEK, UZ__FUSE_BLOCK, &in, sizeof(in), NULL, 0);
}

static void test_lseek(void **state)
{
	struct fixture *f = *state;
	const uint64_t *found = &f->call.reply.out.lseek.offset;

	assert_int_equal(ask_write(f, UZ__FUSE_BLOCK, 8192, "x", 1), 0);
	assert_int_equal(ask_lseek(f, SEEK_DATA, 10), 0);
	assert_int_equal(*found, 8192);
	assert_int_equal(f->call.reply.len, 8);
	assert_int_equal(ask_lseek(f, SEEK_HOLE, 8200), 0);
	assert_int_equal(*found, 12288);
	assert_int_equal(ask_lseek(f, SEEK_HOLE, 10), 0);
	assert_int_equal(*found, 10);
	assert_int_equal(ask_lseek(f, SEEK_DATA, 12288), -ENXIO);
	assert_int_equal(ask_lseek(f, SEEK_HOLE, DISKSIZE), -ENXIO);
	assert_int_equal(ask_lseek(f, SEEK_SET, 0), -EINVAL);
	assert_int_equal(ask_lseek(f, 99, 0), -EINVAL);
}

static void release(struct fixture *f, uint64_t nodeid, uint64_t handle)
{
	const struct fuse_release_in in = { .fh = handle };

	assert_int_equal(ask(f, FUSE_RELEASE, nodeid, &in, sizeof(in), NULL, 0),
			 0);
}

static void test_holds(void **state)
{
	struct fixture *f = *state;
	const struct fuse_open_out *open = &f->call.reply.out.open;
	uint64_t handle;

	assert_int_equal(ask_open(f, UZ__FUSE_BLOCK, O_RDWR), 0);
	assert_true(open->open_flags & FOPEN_DIRECT_IO);
	assert_true(open->open_flags & FOPEN_PARALLEL_DIRECT_WRITES);
	assert_int_equal(ask_open(f, UZ__FUSE_BLOCK, O_RDONLY), 0);
	handle = open->fh;
	assert_int_equal(f->dev.holders, 2);
	assert_int_equal(ask_open(f, inode_of(f, "disksize"), O_RDWR), 0);
	assert_true(open->open_flags & FOPEN_DIRECT_IO);
	assert_int_equal(f->dev.holders, 2);

	release(f, inode_of(f, "disksize"), open->fh);
	assert_int_equal(f->dev.holders, 2);
	for (int i = 0; i < 3; i++)
		release(f, UZ__FUSE_BLOCK, handle);
	/* The third was one too many. */
	assert_int_equal(f->dev.holders, 0);
}

/* A second worker, and requests that it gets though the first did them. */
static void test_holds_again(void **state)
{
	struct fixture *f = *state;
	const uint64_t first = 100, second = 102;

	assert_int_equal(uz__fuse_session_open(&f->fuse, first), first);
	assert_int_equal(uz__fuse_session_open(&f->fuse, second), second);
	uz__fuse_session_unmap(&f->fuse);
	f->dev.holders = 0;
	assert_int_equal(uz__fuse_session_map(&f->fuse, f->session, NULL), 0);
	uz__fuse_session_hold(&f->fuse);
	assert_int_equal(f->dev.holders, 2);

	assert_int_equal(
		uz__fuse_session_open(&f->fuse, second | FUSE_UNIQUE_RESEND),
		second);
	assert_int_equal(f->dev.holders, 2);
	/* One that the first did not get to. */
	assert_int_equal(
		uz__fuse_session_open(&f->fuse, 104 | FUSE_UNIQUE_RESEND), 104);
	assert_int_equal(f->dev.holders, 3);
	uz__fuse_session_close(&f->fuse, first);
	uz__fuse_session_close(&f->fuse, first);
	assert_int_equal(f->dev.holders, 2);
}

/* More than are known one by one are counted all the same. */
static void test_holds_many(void **state)
{
	struct fixture *f = *state;
	uint64_t i;

	for (i = 1; i <= UZ__FUSE_OPENS; i++)
		assert_int_equal(uz__fuse_session_open(&f->fuse, i), i);
	assert_int_equal(uz__fuse_session_open(&f->fuse, i), 0);
	assert_int_equal(f->dev.holders, UZ__FUSE_OPENS + 1);
	f->dev.holders = 0;
	uz__fuse_session_hold(&f->fuse);
	assert_int_equal(f->dev.holders, UZ__FUSE_OPENS + 1);
	uz__fuse_session_close(&f->fuse, 0);
	uz__fuse_session_close(&f->fuse, 0);
	assert_int_equal(f->dev.holders, UZ__FUSE_OPENS);
}

/* What is no session of ours is not believed. */
static void test_other_sessions(void **state)
{
	struct fixture *f = *state;
	struct uz__fuse_session *s = f->fuse.session;
	struct uz__fuse other = { 0 };
	struct uz_err err = { 0 };

	s->version++;
	assert_int_equal(uz__fuse_session_map(&other, f->session, &err),
			 -ENOTSUP);
	assert_non_null(strstr(err.text, "layout 3"));
	s->magic--;
	assert_int_equal(uz__fuse_session_map(&other, f->session, &err),
			 -EUCLEAN);
	assert_null(other.session);
	assert_int_equal(uz__fuse_session_map(&other, -1, &err), -EBADF);
}

static void test_open_of_attributes(void **state)
{
	struct fixture *f = *state;
	const uint64_t reset = inode_of(f, "reset");
	const uint64_t mm_stat = inode_of(f, "mm_stat");

	/* Also for root, whom no mode stops. */
	assert_int_equal(ask_open(f, reset, O_RDONLY), -EACCES);
	assert_int_equal(ask_open(f, reset, O_RDWR), -EACCES);
	assert_int_equal(ask_open(f, reset, O_WRONLY | O_TRUNC), 0);
	assert_int_equal(ask_open(f, mm_stat, O_WRONLY), -EACCES);
	assert_int_equal(ask_open(f, mm_stat, O_RDONLY), 0);
	assert_int_equal(ask_open(f, FUSE_ROOT_ID, O_RDONLY), -EISDIR);
	assert_int_equal(ask_open(f, 999, O_RDONLY), -ENOENT);
}

static void test_attribute_files(void **state)
{
	struct fixture *f = *state;
	const uint64_t disksize = inode_of(f, "disksize");
	const uint64_t limit = inode_of(f, "mem_limit");

	assert_int_equal(ask_read(f, disksize, 0, 4096), 0);
	assert_int_equal(f->call.reply.len, 8);
	assert_memory_equal(f->room, "1048576\n", 8);
	assert_int_equal(ask_read(f, disksize, 3, 2), 0);
	assert_int_equal(f->call.reply.len, 2);
	assert_memory_equal(f->room, "85", 2);
	assert_int_equal(ask_read(f, disksize, 8, 4096), 0);
	assert_int_equal(f->call.reply.len, 0);
	assert_int_equal(ask_read(f, disksize, UINT64_MAX, 4096), 0);
	assert_int_equal(f->call.reply.len, 0);
	assert_int_equal(ask_read(f, limit, 0, 4096), -EACCES);

	assert_int_equal(ask_write(f, limit, 0, "8192\n", 5), 0);
	assert_int_equal(f->call.reply.out.write.size, 5);
	assert_int_equal(f->dev.limit, 8192);
	/* The offset of an appending writer means nothing. */
	assert_int_equal(ask_write(f, limit, 4096, "4096", 4), 0);
	assert_int_equal(f->dev.limit, 4096);
	assert_int_equal(ask_write(f, limit, 0, "x", 1), -EINVAL);
	assert_int_equal(ask_write(f, limit, 0, f->room, 8192), -E2BIG);
	assert_int_equal(ask_write(f, disksize, 0, "4096", 4), -EBUSY);
	assert_int_equal(ask_write(f, disksize, 0, "2097152", 7), 0);
	assert_int_equal(ask_read(f, disksize, 0, 4096), 0);
	assert_memory_equal(f->room, "2097152\n", 8);
	assert_int_equal(f->dev.limit, 4096);
}

static void test_data_of_what_has_none(void **state)
{
	struct fixture *f = *state;
	const uint64_t attr = inode_of(f, "disksize");
	static const struct fuse_fallocate_in fall;
	static const struct fuse_lseek_in seek;

	assert_int_equal(ask_read(f, FUSE_ROOT_ID, 0, 10), -EISDIR);
	assert_int_equal(ask_write(f, FUSE_ROOT_ID, 0, "a", 1), -EISDIR);
	assert_int_equal(ask_read(f, 999, 0, 10), -ENOENT);
	assert_int_equal(ask_write(f, 0, 0, "a", 1), -ENOENT);
	assert_int_equal(
		ask(f, FUSE_FALLOCATE, attr, &fall, sizeof(fall), NULL, 0),
		-EINVAL);
	assert_int_equal(ask(f, FUSE_LSEEK, attr, &seek, sizeof(seek), NULL, 0),
			 -EINVAL);
}

static void test_silence(void **state)
{
	static const uint32_t opcodes[] = {
		FUSE_FORGET,
		FUSE_BATCH_FORGET,
		FUSE_INTERRUPT,
	};
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(ask(f, opcodes[i], 2, "12345678", 8, NULL, 0),
				 0);
		assert_true(f->call.reply.none);
	}
	/* And the next one speaks again. */
	assert_int_equal(ask(f, FUSE_STATFS, 1, NULL, 0, NULL, 0), 0);
	assert_false(f->call.reply.none);
	/* ENOSYS tells the kernel never to ask again. */
	assert_int_equal(ask(f, FUSE_FLUSH, 2, NULL, 0, NULL, 0), -ENOSYS);
	assert_int_equal(ask(f, FUSE_FSYNC, 2, NULL, 0, NULL, 0), -ENOSYS);
	assert_int_equal(ask(f, FUSE_INIT, 0, f->room, 64, NULL, 0), -ENOSYS);
}

static int ask_init(struct fixture *f, struct fuse_init_in in)
{
	size_t len = message(f, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);

	assert_int_equal(uz__fuse_decode(&f->call.msg, f->msg, len), 0);
	return uz__fuse_init(&f->call);
}

static void test_greeting(void **state)
{
	struct fixture *f = *state;
	const struct fuse_init_out *out = &f->call.reply.out.init;
	struct fuse_init_in in = {
		.major = 7,
		.minor = 45,
		.max_readahead = 131072,
		.flags = UINT32_MAX,
		.flags2 = UINT32_MAX,
	};

	assert_int_equal(ask_init(f, in), 0);
	assert_int_equal(f->call.reply.len, sizeof(*out));
	assert_int_equal(out->major, 7);
	assert_int_equal(out->max_write, 1u << 20);
	assert_int_equal(out->max_pages, 256);
	assert_true(out->max_background >= 1024);
	assert_true(out->congestion_threshold <= out->max_background);
	assert_true(out->flags & FUSE_ASYNC_DIO);
	assert_true(out->flags2 & (FUSE_DIRECT_IO_ALLOW_MMAP >> 32));
	/* With this one open(O_TRUNC) would lose the size of the file. */
	assert_false(out->flags & (1u << 3));
	assert_int_equal(f->fuse.proto.flags,
			 out->flags | (uint64_t)out->flags2 << 32);

	/* Nothing that was not offered; flags2 only where it is sent. */
	in.flags = 0;
	assert_int_equal(ask_init(f, in), 0);
	assert_int_equal(out->flags, 0);
	assert_int_equal(out->flags2, 0);

	in.minor = 1000;
	assert_int_equal(ask_init(f, in), 0);
	assert_true(out->minor < 1000);
	in.minor = 31;
	assert_int_equal(ask_init(f, in), 0);
	assert_int_equal(out->minor, 31);
	in.minor = 12;
	assert_int_equal(ask_init(f, in), -EPROTO);
	in.major = 6;
	assert_int_equal(ask_init(f, in), -EPROTO);
	/* A newer major: tell ours, and be asked again. */
	in.major = 8;
	assert_int_equal(ask_init(f, in), -EAGAIN);
	assert_int_equal(out->major, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_read_and_write),
		fixture_test(test_the_end),
		fixture_test(test_no_size),
		fixture_test(test_errors_of_the_device),
		fixture_test(test_fallocate),
		fixture_test(test_lseek),
		fixture_test(test_holds),
		fixture_test(test_holds_again),
		fixture_test(test_holds_many),
		fixture_test(test_other_sessions),
		fixture_test(test_open_of_attributes),
		fixture_test(test_attribute_files),
		fixture_test(test_data_of_what_has_none),
		fixture_test(test_silence),
		fixture_test(test_greeting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
