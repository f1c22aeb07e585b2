// SPDX-License-Identifier: MIT
/*
 * Whoever sets what makes room wanted goes on when there is somebody who can
 * make it, and not before. Room is made by a thread of the test, and time goes
 * as the test says, so nothing depends on how fast the machine is.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/device/snapshot.h>

#include "writeback_fixture.h"

#define LIMIT	(3u << 20)
#define WRITTEN (PAGES / 2) /* do not fit */
#define STEP_NS UINT64_C(10000000)
#define SECOND	UINT64_C(1000000000)

/* ---- time ---- */

/*
 * REAL:  as it is.
 * AHEAD: an hour later than whoever sleeps until a moment knows; so sleepers
 *        are woken by what they wait for, or never.
 * STEPS: each look of the test's own thread takes 10 ms, and it never sleeps.
 *        The pool's keeper looks as well, and not always equally often.
 */
static _Atomic enum {
	REAL,
	AHEAD,
	STEPS
} how;
static _Atomic uint64_t looks;
static _Thread_local bool tester; /* this thread */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int ret = __real_clock_gettime(id, t);
	uint64_t ns;

	if (how == AHEAD)
		t->tv_sec += 3600;
	if (how != STEPS || !tester)
		return ret;
	ns = ++looks * STEP_NS;
	t->tv_sec = (time_t)(ns / SECOND);
	t->tv_nsec = (long)(ns % SECOND);
	return ret;
}

/* ---- who makes room ---- */

/*
 * @returned:  whoever has set something went on
 * @snapshot:  somebody is about to hold the configuration lock, and to wait
 * @nothing:   it is ready, but makes no room
 * @forgets:   what it has made is gone again when it is ready
 * @made:      how often it was ready
 * @limit:     of memory, that was in force then; if it @forgets
 */
static struct {
	pthread_t thread;
	sem_t need;
	_Atomic bool ending;
	_Atomic bool returned;
	_Atomic bool snapshot;
	_Atomic bool nothing;
	_Atomic bool forgets;
	_Atomic unsigned int made;
	_Atomic uint64_t limit;
	struct uz_writeback *wb;
	struct uz_room_hand hand;
} maker;

static void need(void *arg)
{
	(void)arg;
	sem_post(&maker.need);
}

/* Late: whoever does not wait for it is far away before it begins. */
static void come_late(void)
{
	unsigned int i;

	for (i = 0; i < 100 && !maker.returned; i++)
		usleep(1000);
	while (maker.returned && !maker.snapshot && !maker.ending)
		usleep(1000);
	if (maker.snapshot)
		usleep(50000);
}

/* Again, so that the snapshot has begun. */
static void begin_late(void)
{
	if (maker.snapshot)
		usleep(50000);
	maker.snapshot = false;
}

static void make_room(void)
{
	struct uz_writeback_done done = { 0 };
	int ret;

	do {
		uint64_t before = done.pages;

		ret = uz_room_make(maker.wb, &maker.hand, &done);
		if (done.pages > before)
			uz_room_tell(f.dev, 0);
	} while (ret == 1 || (ret == -ENODATA && !maker.ending));
}

static uint64_t limit_now(void)
{
	struct uz_device_stat stat;

	uz_device_stat(f.dev, &stat);
	return stat.mem_limit;
}

static void maker_forget(void)
{
	uz_writeback_destroy(maker.wb);
	maker.wb = NULL;
}

static void *maker_main(void *arg)
{
	(void)arg;
	for (;;) {
		while (sem_wait(&maker.need))
			;
		if (maker.ending)
			return NULL;
		if (!maker.wb) {
			come_late();
			/* Takes the configuration lock. */
			if (uz_writeback_create(&maker.wb, f.dev, NULL))
				continue;
		}
		if (maker.forgets) {
			maker.limit = limit_now();
			maker_forget();
		}
		maker.made++;
		uz_room_ready(f.dev);
		if (!maker.wb || maker.nothing)
			continue;
		begin_late();
		make_room();
	}
}

static void maker_start(bool forgets)
{
	memset(&maker, 0, sizeof(maker));
	maker.forgets = forgets;
	sem_init(&maker.need, 0, 0);
	assert_int_equal(pthread_create(&maker.thread, NULL, maker_main, NULL),
			 0);
}

static void maker_stop(void)
{
	maker.ending = true;
	sem_post(&maker.need);
	pthread_join(maker.thread, NULL);
	uz_room_on_need(f.dev, NULL, NULL);
	maker_forget();
	sem_destroy(&maker.need);
}

/* ---- who sets something ---- */

static void set_need(void)
{
	uz_room_on_need(f.dev, need, NULL);
}

static void set_store(void)
{
	assert_int_equal(uz_device_set_backing(f.dev, store_path, NULL), 0);
}

static void set_limit(void)
{
	uz_device_set_limit(f.dev, LIMIT);
}

static void set_lower_limit(void)
{
	uz_device_set_limit(f.dev, LIMIT / 4 * 3);
}

static void set_ceiling(void)
{
	uz_device_set_ceiling(f.dev, LIMIT / 2);
}

static void set_marks(void)
{
	uz_room_set_marks(f.dev, 50, 60);
}

static void set_size(void)
{
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
}

/*
 * By the time that a lower limit makes stores wait for room there is somebody
 * who can make it: to become ready he takes the configuration lock, which
 * others hold while they wait for such stores.
 */
static void waits(void (*set)(void))
{
	unsigned int before = maker.made;
	uint64_t limit = limit_now();

	set();
	assert_int_equal(maker.made, before + 1);
	assert_int_equal(maker.limit, limit);
}

static void does_not_wait(void (*set)(void))
{
	unsigned int before = maker.made;

	set();
	assert_int_equal(maker.made, before);
}

static void test_setters_wait(void **state)
{
	(void)state;
	how = AHEAD;
	fixture_open(&f, NULL, SIZE);
	store_make(SIZE);
	maker_start(true);
	does_not_wait(set_limit);
	does_not_wait(set_need);
	waits(set_store);
	waits(set_limit);
	waits(set_lower_limit);
	waits(set_ceiling);
	waits(set_marks);
	/* The next device, and one that has a store before it has a size. */
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	does_not_wait(set_store);
	does_not_wait(set_limit);
	waits(set_size);
	maker_stop();
	/* Another process of the same device. */
	fixture_forget(&f);
	fixture_adopt(&f);
	maker_start(true);
	waits(set_need);
	/* What ends the wish is no wish. */
	uz_room_set_marks(f.dev, 0, 0);
	uz_device_set_limit(f.dev, 0);
	assert_int_equal(maker.made, 1);
	maker_stop();
	backed_close(&f);
}

/* ---- nobody comes ---- */

static void deaf(void *arg)
{
	(void)arg;
}

static uint64_t waited(uint64_t since)
{
	return (looks - since) * STEP_NS;
}

static void test_not_for_ever(void **state)
{
	uint64_t since;

	(void)state;
	how = STEPS;
	tester = true;
	backed_open(&f, SIZE, SIZE);
	uz_room_on_need(f.dev, deaf, NULL);
	since = looks;
	uz_device_set_limit(f.dev, LIMIT);
	assert_in_range(waited(since), SECOND / 2, 5 * SECOND + 5 * STEP_NS);
	uz_room_on_need(f.dev, NULL, NULL);
	backed_close(&f);
}

/* A device that has nothing yet: nobody is needed, so nobody is waited for. */
static void test_new_device(void **state)
{
	uint64_t since;

	(void)state;
	how = STEPS;
	tester = true;
	since = looks;
	fixture_open(&f, NULL, 0);
	uz_room_on_need(f.dev, deaf, NULL);
	assert_true(uz_device_set_backing(f.dev, "/nowhere", NULL) < 0);
	uz_device_set_limit(f.dev, LIMIT);
	assert_in_range(waited(since), 0, SECOND / 2);
	uz_room_on_need(f.dev, NULL, NULL);
	fixture_close(&f);
}

/* ---- who waits for room ---- */

static struct uz_pulse pulses[UZ_IO_MAX];

struct writer {
	pthread_t thread;
	struct uz_io *io;
	int err;
};

static void *writer_main(void *arg)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_request rq = {
		.op = UZ_OP_WRITE,
		.length = UZ_PAGE_SIZE,
		.buf = page,
	};
	struct writer *w = arg;
	uint64_t i;

	for (i = 0; i < WRITTEN && !w->err; i++) {
		make(page, i, 0);
		rq.offset = i * UZ_PAGE_SIZE;
		w->err = uz_device_submit(w->io, &rq);
	}
	return NULL;
}

/* Writes more than there is room for. */
static void writer_start(struct writer *w)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(uz_io_create(f.dev, &w->io), 0);
	assert_int_equal(pthread_create(&w->thread, NULL, writer_main, w), 0);
}

static void writer_end(struct writer *w)
{
	uint64_t i;

	pthread_join(w->thread, NULL);
	uz_io_destroy(w->io);
	assert_int_equal(w->err, 0);
	for (i = 0; i < WRITTEN; i++)
		expect(i, 0);
}

static void await_waiting(void)
{
	while (!backing_stat(&f).pool_limit_hit)
		usleep(1000);
}

static void begin_limited(void)
{
	backed_open(&f, SIZE, 4 * SIZE);
	uz_device_set_pulses(f.dev, pulses);
	maker_start(false);
	set_need();
	how = AHEAD;
	set_limit();
	maker.returned = true;
	how = REAL;
}

/*
 * The moment of a snapshot waits for all requests, with the configuration lock
 * held. Who makes room for them must not need it then.
 */
static void test_snapshot_meanwhile(void **state)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct writer w;

	(void)state;
	begin_limited();
	maker.nothing = true;
	writer_start(&w);
	await_waiting();
	maker.snapshot = true;
	maker.nothing = false;
	need(NULL);
	assert_int_equal(uz_snapshot_begin(f.dev, &snap, &info, NULL), 0);
	uz_snapshot_end(snap);
	writer_end(&w);
	maker_stop();
	backed_close(&f);
}

/* Whoever watches the threads sees that this one waits, and does not hang. */
static void test_waiting_is_no_hanging(void **state)
{
	struct uz_pulse_seen seen = { 0 };
	struct uz_pulse *p;
	struct writer w;
	unsigned int i;

	(void)state;
	begin_limited();
	maker.nothing = true;
	writer_start(&w);
	await_waiting();
	for (p = pulses; !(p->word & UZ_PULSE_WAITS);) {
		usleep(1000);
		p = p == &pulses[UZ_IO_MAX - 1] ? pulses : p + 1;
	}
	for (i = 0; i < 9; i++)
		assert_int_equal(uz_pulse_look(p, &seen), 0);
	maker.nothing = false;
	need(NULL);
	writer_end(&w);
	assert_false(uz_pulse_works(p));
	maker_stop();
	backed_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setters_wait),
		cmocka_unit_test(test_not_for_ever),
		cmocka_unit_test(test_new_device),
		cmocka_unit_test(test_snapshot_meanwhile),
		cmocka_unit_test(test_waiting_is_no_hanging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
