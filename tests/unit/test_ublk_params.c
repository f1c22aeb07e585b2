// SPDX-License-Identifier: MIT
/*
 * What the ublk front end computes: buffers within a budget, a disk that looks
 * like zram, and requests out of descriptions that may say anything.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <ublk_priv.h>

static void test_plan(void **state)
{
	struct uz__ublk_plan plan;

	(void)state;
	uz__ublk_plan(&plan, 2, UINT64_C(1) << 30);
	assert_int_equal(plan.queues, 2);
	assert_int_equal(plan.depth, UZ__UBLK_DEPTH_MAX);
	assert_int_equal(plan.io_max, UZ__UBLK_IO_MAX);
	assert_int_equal(plan.bytes, 2ull * plan.depth * plan.io_max);
	/* Requests get smaller before there are fewer of them. */
	uz__ublk_plan(&plan, 2, UINT64_C(8) << 20);
	assert_int_equal(plan.depth, UZ__UBLK_DEPTH_MAX);
	assert_int_equal(plan.io_max, UZ__UBLK_IO_MIN);
	uz__ublk_plan(&plan, 4, UINT64_C(8) << 20);
	assert_int_equal(plan.queues, 4);
	assert_int_equal(plan.depth, UZ__UBLK_DEPTH_MAX / 2);
	/* And one queue of the least is always had. */
	uz__ublk_plan(&plan, 1000, 0);
	assert_int_equal(plan.queues, 1);
	assert_int_equal(plan.depth, UZ__UBLK_DEPTH_MIN);
	assert_int_equal(plan.io_max, UZ__UBLK_IO_MIN);
}

static void test_params(void **state)
{
	struct ublk_params params;

	(void)state;
	uz__ublk_params(&params, UINT64_C(16) << 40, 512 << 10);
	assert_int_equal(params.types,
			 UBLK_PARAM_TYPE_BASIC | UBLK_PARAM_TYPE_DISCARD);
	assert_int_equal(params.basic.attrs, 0);
	assert_int_equal(1 << params.basic.logical_bs_shift, 4096);
	assert_int_equal(1 << params.basic.physical_bs_shift, 4096);
	assert_int_equal(params.basic.max_sectors, 1024);
	assert_int_equal(params.basic.dev_sectors, UINT64_C(1) << 35);
	assert_int_equal(params.discard.discard_granularity, 4096);
	assert_int_equal(params.discard.max_discard_segments, 1);
	assert_true(params.discard.max_discard_sectors >= 1u << 22);
	assert_true(params.discard.max_write_zeroes_sectors >= 1u << 22);
}

/* The kernel's sizes; old headers or new. */
static void test_layout(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct ublksrv_ctrl_cmd), 32);
	assert_int_equal(sizeof(struct ublksrv_ctrl_dev_info), 64);
	assert_int_equal(sizeof(struct ublksrv_io_cmd), 16);
	assert_int_equal(sizeof(struct ublksrv_io_desc), 24);
	assert_int_equal(sizeof(struct ublk_param_basic), 32);
	assert_int_equal(sizeof(struct ublk_param_discard), 20);
	assert_int_equal(uz__ublk_encode(UBLK_CMD_ADD_DEV), 0xc0207504);
	assert_int_equal(uz__ublk_encode(UBLK_CMD_GET_FEATURES), 0x80207513);
	assert_int_equal(uz__ublk_encode(UBLK_IO_FETCH_REQ), 0xc0107520);
}

static void test_decode(void **state)
{
	static const struct {
		struct ublksrv_io_desc desc;
		int ret;
		enum uz_op op;
		uint64_t offset, length;
		bool data;
	} cases[] = {
		{ { 0, 8, 16, 0 }, 0, UZ_OP_READ, 8192, 4096, true },
		/* Flags above the operation mean nothing to us. */
		{ { 0xffffff01, 8, 0, 0 }, 0, UZ_OP_WRITE, 0, 4096, true },
		{ { 2, 77, 99, 0 }, 0, UZ_OP_FLUSH, 0, 0, false },
		{ { 3, UINT32_MAX, 0, 0 },
		  0,
		  UZ_OP_DISCARD,
		  0,
		  (uint64_t)UINT32_MAX << 9,
		  false },
		{ { 5, 8, 8, 0 }, 0, UZ_OP_ZERO, 4096, 4096, false },
		{ { 4, 8, 8, 0 }, -EOPNOTSUPP, 0, 0, 0, false },
		{ { 0xff, 8, 8, 0 }, -EOPNOTSUPP, 0, 0, 0, false },
		/* More than the buffer holds. */
		{ { 0, 129, 0, 0 }, -EINVAL, 0, 0, 0, false },
		{ { 1, UINT32_MAX, 0, 0 }, -EINVAL, 0, 0, 0, false },
		/* Beyond what bytes can be counted in. */
		{ { 0, 8, UINT64_MAX, 0 }, -EINVAL, 0, 0, 0, false },
		{ { 3, 8, UINT64_C(1) << 55, 0 }, -EINVAL, 0, 0, 0, false },
		{ { 3, 2, UINT64_MAX >> 9, 0 }, -EINVAL, 0, 0, 0, false },
	};
	struct uz_request rq;
	char buf[1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(
			uz__ublk_decode(&rq, &cases[i].desc, 128 << 9, buf),
			cases[i].ret);
		if (cases[i].ret)
			continue;
		assert_int_equal(rq.op, cases[i].op);
		assert_int_equal(rq.offset, cases[i].offset);
		assert_int_equal(rq.length, cases[i].length);
		assert_ptr_equal(rq.buf, cases[i].data ? buf : NULL);
	}
}

/* Whatever it says: refused, or within what there is. */
static void test_random(void **state)
{
	const char *text = getenv("UZ_SEED");
	unsigned int seed = text ? (unsigned int)atol(text)
				 : (unsigned int)time(NULL);
	struct ublksrv_io_desc desc;
	struct uz_request rq;
	unsigned char *bytes = (unsigned char *)&desc;
	char buf[1];
	size_t i, n;

	(void)state;
	print_message("# seed %u\n", seed);
	srand(seed);
	for (n = 0; n < 100000; n++) {
		for (i = 0; i < sizeof(desc); i++)
			bytes[i] = (unsigned char)(rand() >> 7);
		desc.op_flags &= n & 1 ? ~0u : ~0xf8u;
		if (uz__ublk_decode(&rq, &desc, 1 << 20, buf))
			continue;
		assert_true(rq.length <= UINT64_MAX - rq.offset);
		assert_true(!rq.buf || rq.length <= 1 << 20);
	}
}

static void test_features_text(void **state)
{
	const uint64_t recovery = UBLK_F_USER_RECOVERY |
				  UBLK_F_USER_RECOVERY_REISSUE;
	char text[160];

	(void)state;
	uz__ublk_features_text(0, text, sizeof(text));
	assert_string_equal(text, "can be used, but a disk ends with its "
				  "worker (until Linux 6.5)");
	uz__ublk_features_text(recovery, text, sizeof(text));
	assert_string_equal(text, "can be used, and workers that die are "
				  "replaced, but for one that dies while it "
				  "takes over (until Linux 6.16); features "
				  "0x18");
	uz__ublk_features_text(recovery | UBLK_F_PER_IO_DAEMON, text,
			       sizeof(text));
	assert_string_equal(text, "can be used, and workers that die are "
				  "replaced; features 0x2018");
	uz__ublk_features_text(recovery, text, 12);
	assert_string_equal(text, "can be used");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features_text),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
