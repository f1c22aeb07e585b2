// SPDX-License-Identifier: MIT
/*
 * Stores to attributes over io_uring: one that takes as long as the test wants
 * keeps neither another one waiting nor a request for the block file, more of
 * them than there are clerks are carried out all the same, and each is answered
 * once, whatever becomes of the messages between the threads.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "soon.h"
#include "uring_fixture.h"

static sem_t backer;

/* A step of writing back takes until the test says so. */
static void in_step(void *arg)
{
	(void)arg;
	sem_wait(&backer);
}

static int setup(void **state)
{
	struct world *w;
	struct uz_device *dev;
	int ret = world_setup(state);

	if (ret)
		return ret;
	w = *state;
	dev = &w->f->dev;
	dev->candidates = 5;
	dev->in_step = in_step;
	strcpy(dev->backing, "/store");
	sem_init(&backer, 0, 0);
	return uz_device_set_secondary(dev, 1, "store", NULL);
}

static int teardown(void **state)
{
	int ret = world_teardown(state);

	sem_destroy(&backer);
	return ret;
}

static void write_to(struct world *w, unsigned int queue, const char *name,
		     const char *text)
{
	const struct uz_attr *attr;
	uint64_t nodeid = UZ__FUSE_FIRST_ATTR;

	while ((attr = uz__fuse_attr_of(nodeid)) && strcmp(attr->name, name))
		nodeid++;
	assert_non_null(attr);
	fake_kernel_write(queue, ++w->asked, nodeid, text);
}

/* The answer to the @unique-th request, out of the first @count. */
static int error_of(uint64_t unique, unsigned int count)
{
	const struct fake_answer *a = fake_kernel_answers(count);
	unsigned int i;

	for (i = 0; i < count; i++)
		if (a[i].unique == unique)
			return a[i].error;
	fail_msg("request %d has no answer", (int)unique);
	return 0;
}

static const struct uz_attr *attr_stat(void)
{
	unsigned int i = 0;

	while (strcmp(uz_attr_at(i)->name, "stat"))
		i++;
	return uz_attr_at(i);
}

static bool shows(struct uz_attr_ctx *attrs, const char *line)
{
	struct uz_strbuf out = { 0 };
	bool there;

	assert_int_equal(uz_attr_show(attrs, attr_stat(), &out), 0);
	there = strstr(out.data, line);
	uz_strbuf_free(&out);
	return there;
}

/* Both long ones are under way; the requests have the numbers 1 and 2. */
static void begin_long(struct world *w)
{
	w->f->dev.hold = true;
	write_to(w, 0, "recompress", "priority=1");
	assert_true(SOON(shows(w->f->fuse.attrs, "recompress_running 1\n")));
	write_to(w, 0, "writeback", "huge");
	assert_true(SOON(shows(w->f->fuse.attrs, "writeback_running 1\n")));
}

static void end_long(struct world *w)
{
	w->f->dev.hold = false;
	sem_post(&backer);
	sem_post(&backer);
	sem_post(&backer);
	answered(w);
}

static void test_others_get_through(void **state)
{
	struct world *w = *state;

	go(w);
	begin_long(w);
	/* The same once more, from the same CPU and from another one. */
	write_to(w, 0, "recompress", "priority=1");
	assert_int_equal(error_of(3, 1), -EBUSY);
	write_to(w, 1, "writeback", "huge");
	assert_int_equal(error_of(4, 2), -EBUSY);
	write_to(w, 0, "mem_limit", "1M");
	assert_int_equal(error_of(5, 3), 0);
	assert_int_equal(w->f->dev.limit, 1 << 20);
	ask_long(w, 0, 4096);
	assert_int_equal(error_of(6, 4), 0);
	write_to(w, 2, "reset", "1");
	assert_int_equal(error_of(7, 5), 0);
	assert_int_equal(w->f->dev.size, 0);
	end_long(w);
}

/*
 * A request that comes while a store has the only entry of its queue gets
 * through as well: another entry is opened, and what waits is called for.
 */
static void test_shallow_queue(void **state)
{
	struct world *w = *state;

	go_shallow(w);
	w->f->dev.hold = true;
	fake_kernel_pause(true);
	write_to(w, 0, "recompress", "priority=1");
	ask_long(w, 0, 4096);
	fake_kernel_pause(false);
	/* And the answer to the call. */
	assert_int_equal(error_of(2, 2), 0);
	w->f->dev.hold = false;
	assert_int_equal(error_of(1, 3), 0);
}

/* A third one waits for a close, and behind it more wait than there is room. */
static void test_more_than_clerks(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	begin_long(w);
	uz_device_hold(&w->f->dev);
	write_to(w, 0, "reset", "1");
	for (i = 0; i < 3 * DEPTH; i++)
		write_to(w, i % CPUS, "mem_limit", i % 2 ? "1M" : "x");
	/* All but the two. */
	assert_int_equal(error_of(3, w->asked - 2), -EBUSY);
	for (i = 0; i < 3 * DEPTH; i++)
		assert_int_equal(error_of(4 + i, w->asked - 2),
				 i % 2 ? 0 : -EINVAL);
	uz_device_release(&w->f->dev);
	end_long(w);
	fake_kernel_quiet(RINGS);
	for (i = 0; i < CPUS; i++)
		assert_int_equal(fake_kernel_entries(i, ring_of(w, i)), DEPTH);
}

/*
 * Worker to slow one, slow one to clerk, clerk to slow one, slow one to worker:
 * each of these comes back once, and each finds no room once.
 */
static void test_lost_messages(void **state)
{
	struct world *w = *state;
	unsigned int after, full;

	go(w);
	for (after = 0; after < 8; after++) {
		full = after / 4;
		fake_faults.full_after = full ? after % 4 : 0;
		fake_faults.full = full;
		fake_faults.sends_after = full ? 0 : after % 4;
		fake_faults.sends = !full;
		write_to(w, 1, "mem_limit", "1M");
		answered(w);
		fake_kernel_quiet(RINGS);
		assert_int_equal(fake_faults.full + fake_faults.sends, 0);
		write_to(w, 1, "mem_limit", "x");
		assert_int_equal(error_of(w->asked, w->asked), -EINVAL);
		world_again(w);
	}
}

/* With stores under way, and with some that wait. */
static void test_end(void **state)
{
	struct world *w = *state;
	unsigned int i;

	go(w);
	begin_long(w);
	for (i = 0; i < 8; i++)
		write_to(w, 0, "recompress", "priority=1");
	fake_kernel_disconnect();
	w->f->dev.hold = false;
	for (i = 0; i < 3; i++)
		sem_post(&backer);
	uz__fuse_uring_destroy(w->uring);
	w->uring = NULL;
}

#define clerk_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		clerk_test(test_others_get_through),
		clerk_test(test_shallow_queue),
		clerk_test(test_more_than_clerks),
		clerk_test(test_lost_messages),
		clerk_test(test_end),
	};

	return cmocka_run_group_tests_name("fuse clerk", tests, NULL, NULL);
}
