// SPDX-License-Identifier: MIT
/*
 * The decoder against every kind of malformed message, and the encoder. Each
 * message lies in memory of exactly its size, so that under ASan a byte read
 * beyond it is an error.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "fuse_fixture.h"

/* What a decoder gets to see of the first @len bytes of @bytes. */
static int decode(struct uz__fuse_msg *msg, const void *bytes, size_t len)
{
	void *exact = malloc(len ? len : 1);
	int ret;

	memcpy(exact, bytes, len);
	memset(msg, 0xa5, sizeof(*msg));
	ret = uz__fuse_decode(msg, exact, len);
	msg->payload = NULL;
	free(exact);
	return ret;
}

static void test_short_header(void **state)
{
	struct fixture *f = *state;
	struct uz__fuse_msg msg;
	size_t len;

	message(f, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);
	for (len = 0; len < sizeof(struct fuse_in_header); len++)
		assert_int_equal(decode(&msg, f->msg, len), -EBADMSG);
	assert_int_equal(decode(&msg, f->msg, len), 0);
	assert_int_equal(msg.hdr.opcode, FUSE_STATFS);
	assert_int_equal(msg.hdr.unique, 77);
}

static void test_length_that_lies(void **state)
{
	struct fixture *f = *state;
	struct uz__fuse_msg msg;
	uint32_t *len = (uint32_t *)f->msg;

	message(f, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);
	for (*len = 0; *len < 200; ++*len)
		assert_int_equal(decode(&msg, f->msg, 40),
				 *len == 40 ? 0 : -EINVAL);
	*len = UINT32_MAX;
	assert_int_equal(decode(&msg, f->msg, 40), -EINVAL);
	/* It can be answered all the same. */
	assert_int_equal(msg.hdr.unique, 77);
}

static void test_nobody_to_answer(void **state)
{
	struct fixture *f = *state;
	struct uz__fuse_msg msg;

	message(f, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0);
	memset(f->msg + offsetof(struct fuse_in_header, unique), 0, 8);
	assert_int_equal(decode(&msg, f->msg, 40), -EBADMSG);
}

/* Each opcode with a fixed part, with every length that is too short. */
static void test_short_fixed_part(void **state)
{
	static const struct {
		uint32_t opcode;
		size_t least;
	} forms[] = {
		{ FUSE_SETATTR, 88 },	{ FUSE_OPEN, 8 },
		{ FUSE_READ, 40 },	{ FUSE_WRITE, 40 },
		{ FUSE_RELEASE, 24 },	{ FUSE_INIT, 16 },
		{ FUSE_OPENDIR, 8 },	{ FUSE_READDIR, 40 },
		{ FUSE_LSEEK, 24 },	{ FUSE_READDIRPLUS, 40 },
		{ FUSE_FALLOCATE, 32 },
	};
	struct fixture *f = *state;
	static const unsigned char zeroes[128];
	struct uz__fuse_msg msg;
	size_t i, n, len;

	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (n = 0; n < sizeof(zeroes); n++) {
			len = message(f, forms[i].opcode, 2, zeroes, n, NULL,
				      0);
			assert_int_equal(decode(&msg, f->msg, len),
					 n < forms[i].least ? -EINVAL : 0);
		}
	}
}

static void test_init_of_an_old_kernel(void **state)
{
	struct fixture *f = *state;
	const struct fuse_init_in in = { .major = 7, .minor = 31, .flags2 = 5 };
	struct uz__fuse_msg msg;
	size_t len = message(f, FUSE_INIT, 0, &in, FUSE_INIT_IN_MIN, NULL, 0);

	assert_int_equal(decode(&msg, f->msg, len), 0);
	assert_int_equal(msg.in.init.minor, 31);
	/* What was not sent is zero, whatever was there before. */
	assert_int_equal(msg.in.init.flags2, 0);
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	static char name[300];
	struct uz__fuse_msg msg;
	size_t len;

	/* No name, an empty one, one without its end. */
	len = message(f, FUSE_LOOKUP, 1, NULL, 0, NULL, 0);
	assert_int_equal(decode(&msg, f->msg, len), -EINVAL);
	len = message(f, FUSE_LOOKUP, 1, NULL, 0, "", 1);
	assert_int_equal(decode(&msg, f->msg, len), -EINVAL);
	len = message(f, FUSE_LOOKUP, 1, NULL, 0, "block", 5);
	assert_int_equal(decode(&msg, f->msg, len), -EINVAL);
	memset(name, 'n', sizeof(name));
	len = message(f, FUSE_LOOKUP, 1, NULL, 0, name, sizeof(name));
	assert_int_equal(decode(&msg, f->msg, len), -EINVAL);

	len = message(f, FUSE_LOOKUP, 1, NULL, 0, "block\0more", 11);
	assert_int_equal(decode(&msg, f->msg, len), 0);
	assert_int_equal(msg.payload_len, 5);
}

static void test_write_data(void **state)
{
	struct fixture *f = *state;
	struct fuse_write_in in = { .size = 10 };
	struct uz__fuse_msg msg;
	size_t len;

	len = message(f, FUSE_WRITE, 2, &in, sizeof(in), "0123456789", 10);
	assert_int_equal(uz__fuse_decode(&msg, f->msg, len), 0);
	assert_int_equal(msg.payload_len, 10);
	assert_memory_equal(msg.payload, "0123456789", 10);

	/* More was announced than came. */
	len = message(f, FUSE_WRITE, 2, &in, sizeof(in), "012345678", 9);
	assert_int_equal(decode(&msg, f->msg, len), -EINVAL);
	in.size = UINT32_MAX;
	len = message(f, FUSE_WRITE, 2, &in, sizeof(in), "012345678", 9);
	assert_int_equal(decode(&msg, f->msg, len), -EINVAL);

	/* Less: the rest is not looked at. */
	in.size = 4;
	len = message(f, FUSE_WRITE, 2, &in, sizeof(in), "012345678", 9);
	assert_int_equal(decode(&msg, f->msg, len), 0);
	assert_int_equal(msg.payload_len, 4);
}

static void test_parts(void **state)
{
	const struct fuse_write_in in = { .offset = 7, .size = 3 };
	unsigned char arg[128] = { 0 };
	struct uz__fuse_msg msg = { .hdr.opcode = FUSE_WRITE };
	char data[] = "abc";

	(void)state;
	/* The io_uring form: a fixed part with room to spare, data apart. */
	memcpy(arg, &in, sizeof(in));
	assert_int_equal(uz__fuse_decode_parts(&msg, arg, sizeof(arg), data, 3),
			 0);
	assert_int_equal(msg.in.write.offset, 7);
	assert_ptr_equal(msg.payload, data);
	assert_int_equal(uz__fuse_decode_parts(&msg, arg, sizeof(arg), data, 2),
			 -EINVAL);
}

static void test_unknown_opcodes(void **state)
{
	static const uint32_t opcodes[] = {
		0, 7, 52, 1000, 4096, 1048576, UINT32_MAX,
	};
	struct fixture *f = *state;
	struct uz__fuse_msg msg;
	size_t i, len;

	for (i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		len = message(f, opcodes[i], 1, "xyz", 3, NULL, 0);
		assert_int_equal(decode(&msg, f->msg, len), 0);
		assert_int_equal(ask(f, opcodes[i], 1, "xyz", 3, NULL, 0),
				 -ENOSYS);
	}
}

static void test_encode(void **state)
{
	struct fixture *f = *state;
	struct fuse_out_header out;

	f->call.msg.hdr.unique = UINT64_C(1) << 63 | 5;
	f->call.reply.data = f->room;
	f->call.reply.len = 100;
	uz__fuse_encode(&out, &f->call, 0);
	assert_int_equal(out.len, 116);
	assert_int_equal(out.error, 0);
	assert_true(out.unique == (UINT64_C(1) << 63 | 5));

	uz__fuse_encode(&out, &f->call, -ENOSPC);
	assert_int_equal(out.len, 16);
	assert_int_equal(out.error, -ENOSPC);
	assert_int_equal(f->call.reply.len, 0);

	/* What the kernel would refuse becomes an error that it takes. */
	uz__fuse_encode(&out, &f->call, 5);
	assert_int_equal(out.error, -EIO);
	uz__fuse_encode(&out, &f->call, -512);
	assert_int_equal(out.error, -EIO);
	uz__fuse_encode(&out, &f->call, INT32_MIN);
	assert_int_equal(out.error, -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_short_header),
		fixture_test(test_length_that_lies),
		fixture_test(test_nobody_to_answer),
		fixture_test(test_short_fixed_part),
		fixture_test(test_init_of_an_old_kernel),
		fixture_test(test_names),
		fixture_test(test_write_data),
		cmocka_unit_test(test_parts),
		fixture_test(test_unknown_opcodes),
		fixture_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
