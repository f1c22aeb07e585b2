// SPDX-License-Identifier: MIT
/*
 * Requests of which workers die: how often they are tried, and that others are
 * not taken for them. A death is a call that is begun and never ended.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fuse_fixture.h"

#define POISON 78
#define OTHER  80

/* One thread's request; the kernel says whether it comes again. */
static int begin(struct fixture *f, unsigned int thread, uint64_t unique)
{
	f->call.trial = uz__fuse_trial_of(&f->fuse, thread);
	f->call.msg.hdr.unique = unique;
	return uz__fuse_trial_begin(&f->call);
}

static void end(struct fixture *f, unsigned int thread, uint64_t unique)
{
	f->call.trial = uz__fuse_trial_of(&f->fuse, thread);
	f->call.msg.hdr.unique = unique;
	uz__fuse_trial_end(&f->call);
}

static void test_given_up(void **state)
{
	struct fixture *f = *state;
	const uint64_t again = POISON | FUSE_UNIQUE_RESEND;
	unsigned int i;

	assert_int_equal(begin(f, 0, POISON), 0);
	for (i = 1; i < UZ__FUSE_TRIALS; i++) {
		uz__fuse_trial_adopt(f->fuse.session);
		/* Whichever thread gets it, and whatever was before. */
		assert_int_equal(begin(f, i, OTHER + 2 * i), 0);
		end(f, i, OTHER + 2 * i);
		assert_int_equal(begin(f, i, again), 0);
	}
	/* To die while taking over counts for nothing. */
	uz__fuse_trial_adopt(f->fuse.session);
	uz__fuse_trial_adopt(f->fuse.session);
	assert_int_equal(begin(f, 0, again), -EIO);
	end(f, 0, again);
	/* It is over; nobody remembers. */
	assert_int_equal(begin(f, 0, again), 0);
	end(f, 0, again);
}

/* It was under way each time, but it is not what they die of. */
static void test_done_at_last(void **state)
{
	struct fixture *f = *state;
	const uint64_t again = OTHER | FUSE_UNIQUE_RESEND;
	unsigned int i;

	assert_int_equal(begin(f, 0, OTHER), 0);
	for (i = 1; i < UZ__FUSE_TRIALS; i++) {
		uz__fuse_trial_adopt(f->fuse.session);
		assert_int_equal(begin(f, 0, again), 0);
	}
	end(f, 0, again);
	for (i = 0; i < 3 * UZ__FUSE_TRIALS; i++) {
		uz__fuse_trial_adopt(f->fuse.session);
		assert_int_equal(begin(f, 0, again + 2), 0);
		end(f, 0, again + 2);
	}
}

/* Clients that have gone leave their requests in the list. */
static void test_many_suspects(void **state)
{
	struct fixture *f = *state;
	const uint64_t again = POISON | FUSE_UNIQUE_RESEND;
	unsigned int i, thread;
	uint64_t unique = 1000;

	assert_int_equal(begin(f, 0, POISON), 0);
	for (i = 1; i < UZ__FUSE_TRIALS; i++) {
		for (thread = 1; thread < UZ__FUSE_HEADS; thread++)
			assert_int_equal(begin(f, thread, unique += 2), 0);
		uz__fuse_trial_adopt(f->fuse.session);
		assert_int_equal(begin(f, 0, again), 0);
	}
	uz__fuse_trial_adopt(f->fuse.session);
	assert_int_equal(begin(f, 0, again), -EIO);
}

/* The operations ask, and answer for it. */
static void test_operation(void **state)
{
	struct fixture *f = *state;
	struct uz__fuse_trial *suspect = &f->fuse.session->suspects[7];

	f->call.trial = uz__fuse_trial_of(&f->fuse, 3);
	assert_int_equal(ask_lookup(f, "block"), 0);
	assert_int_equal(f->call.trial->unique, 0);
	assert_int_equal(f->call.trial->count, 1);
	f->call.msg.hdr.unique |= FUSE_UNIQUE_RESEND;
	suspect->unique = 77;
	suspect->count = UZ__FUSE_TRIALS - 1;
	assert_int_equal(uz__fuse_handle(&f->call), 0);
	assert_int_equal(suspect->unique, 0);
	suspect->unique = 77;
	suspect->count = UZ__FUSE_TRIALS;
	assert_int_equal(uz__fuse_handle(&f->call), -EIO);
	assert_int_equal(suspect->unique, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_given_up),
		fixture_test(test_done_at_last),
		fixture_test(test_many_suspects),
		fixture_test(test_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
