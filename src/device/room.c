// SPDX-License-Identifier: MIT
/*
 * Room for stores at the memory limit, where there is a backing store: when
 * there is need, writing cold pages back, and stores that wait for it.
 *
 * Need arises when use reaches the high mark, which the pool tells while it
 * takes the memory, and when a store has found none. Somebody then comes with
 * a thread of his own (uz_room_make()) until use is below the low mark.
 *
 * A store waits inside the gate, with a page that is encoded and nothing else:
 * no lock, no pin, no object. Others may wait for such a store with the
 * configuration lock held: for a reset, for a snapshot's moment, for a codec's
 * last user. So none who makes room may take that lock, and the gate lets him
 * in even when it is closed for a moment (io.c). A store leaves when the device
 * is going, when it is told that there is nothing to be gained, and after
 * WAIT_NS at the latest: a store that hangs must not hang its client for ever.
 *
 * Who waits is counted under the lock before notice is given, and who makes
 * room looks at the count after he has taken notice: so each store finds
 * somebody who works for it.
 *
 * Locks: the room's, a leaf, guards the waiting.
 */
#include <errno.h>
#include <time.h>

#include "device_priv.h"

#define NS_PER_S UINT64_C(1000000000)

/* Chosen: longer than any disk takes for what is written in one go. */
#define WAIT_NS (30 * NS_PER_S)

/* How often who waits looks whether the device is going. */
#define LOOK_NS (NS_PER_S / 20)

/* How long whoever sets limit, store or marks waits for who makes room. */
#define READY_NS (5 * NS_PER_S)

/* After a failure nobody waits for so long. */
#define REFUSE_NS NS_PER_S

/* Bytes for one turn: worth a write; and not much of what is kept. */
#define LEAST (UINT64_C(256) << 10)

/* Batches of compaction in one turn: some milliseconds. */
#define COMPACTIONS 64

/* The hand has marked all pages, and found each of them used again. */
#define ROUNDS 3

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/**
 * uz__room_init() - nobody waits
 * @dev: being opened
 *
 * Context: no other thread.
 */
void uz__room_init(struct uz_device *dev)
{
	pthread_condattr_t attr;

	dev->room.ready = true; /* nobody is needed */
	uz_lock_init(&dev->room.lock, UZ_LOCK_LEAF);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dev->room.told, &attr);
	pthread_condattr_destroy(&attr);
}

void uz__room_destroy(struct uz_device *dev)
{
	pthread_cond_destroy(&dev->room.told);
	uz_lock_destroy(&dev->room.lock);
}

/* ---- marks ---- */

static bool is_on(const struct uz_device *dev)
{
	return dev->room.need && atomic_load(&dev->backing) &&
	       uz_device_backing_setting(dev, UZ_BACKING_HIGH);
}

static uint64_t percent(const struct uz_device *dev,
			enum uz_backing_setting which)
{
	uint64_t n = uz_device_backing_setting(dev, which);

	/* Memory that was adopted may hold anything. */
	return uz__device_limit(dev) / 100 * (n < 100 ? n : 100);
}

/**
 * uz__room_update() - limit, store, marks or size have changed
 * @dev:      configuration lock held
 * @prepared: what uz__room_prepare() returned, or false
 *
 * Context: as said.
 */
void uz__room_update(struct uz_device *dev, bool prepared)
{
	bool wanted = is_on(dev) && dev->pool && uz__device_limit(dev);

	uz_lock_acquire(&dev->room.lock);
	dev->room.refuse = 0;
	if (!wanted || !prepared)
		dev->room.ready = !wanted;
	uz_lock_release(&dev->room.lock);
	/* relaxed: a number, and notice follows. */
	atomic_store_explicit(&dev->room.low,
			      wanted ? percent(dev, UZ_BACKING_LOW) : 0,
			      memory_order_relaxed);
	if (!dev->pool)
		return;
	uz_pool_set_mark(dev->pool, wanted ? percent(dev, UZ_BACKING_HIGH) : 0);
	if (wanted && (!prepared || uz_pool_used_bytes(dev->pool) >=
					    percent(dev, UZ_BACKING_HIGH)))
		dev->room.need(dev->room.arg);
}

/* True: somebody has called uz_room_ready(), or nobody need. */
static bool await_ready(struct uz__room *room, uint64_t until)
{
	uint64_t to = clock_ns() + LOOK_NS;
	struct timespec t = { .tv_sec = (time_t)(to / NS_PER_S),
			      .tv_nsec = (long)(to % NS_PER_S) };

	if (!room->ready && to < until)
		pthread_cond_timedwait(&room->told, &room->lock.mutex, &t);
	return room->ready || to >= until;
}

/**
 * uz__room_settle() - wait until there is somebody who makes room
 * @dev: the device; limit, store, marks or size may just have been set
 *
 * What it takes to make room is made with the configuration lock held, which
 * must have happened before somebody can hold that lock and wait for a store
 * that waits for room. That lock is a mutex, which others who want it all the
 * time may take again and again before him. Who does not come in READY_NS has
 * trouble of his own; stores then wait in vain for WAIT_NS at the worst.
 *
 * Context: no lock is held, not inside a request; sleeps.
 */
void uz__room_settle(struct uz_device *dev)
{
	uint64_t until = clock_ns() + READY_NS;
	uz_scoped_acquire(guard, &dev->room.lock);

	while (!await_ready(&dev->room, until))
		;
}

/**
 * uz__room_prepare() - a limit is about to be set
 * @dev: the device
 *
 * As soon as it is set stores may wait for room, and others for them with the
 * configuration lock held. So who makes room has made what he needs before.
 *
 * Context: as uz__room_settle().
 * Return:  whether there is somebody who will make room.
 */
bool uz__room_prepare(struct uz_device *dev)
{
	bool on;

	uz_lock_acquire(&dev->lock);
	on = is_on(dev) && dev->pool;
	if (on) {
		uz_lock_acquire(&dev->room.lock);
		dev->room.ready = false;
		uz_lock_release(&dev->room.lock);
		dev->room.need(dev->room.arg);
	}
	uz_lock_release(&dev->lock);
	if (on)
		uz__room_settle(dev);
	return on;
}

void uz_room_ready(struct uz_device *dev)
{
	uz_scoped_acquire(guard, &dev->room.lock);

	dev->room.ready = true;
	pthread_cond_broadcast(&dev->room.told);
}

/**
 * uz__room_watch() - have the pool tell when it reaches the mark
 * @dev: configuration lock held
 *
 * Context: as said, and nobody uses the pool yet, or any more.
 */
void uz__room_watch(struct uz_device *dev)
{
	if (!dev->pool)
		return;
	uz_pool_set_mark(dev->pool, 0);
	uz_pool_on_mark(dev->pool, dev->room.need, dev->room.arg);
	uz__room_update(dev, false);
}

void uz_room_set_marks(struct uz_device *dev, unsigned int low,
		       unsigned int high)
{
	uz_lock_acquire(&dev->lock);
	uz_device_set_backing_setting(dev, UZ_BACKING_LOW, low);
	uz_device_set_backing_setting(dev, UZ_BACKING_HIGH, high);
	uz__room_update(dev, false);
	uz_lock_release(&dev->lock);
	uz__room_settle(dev);
}

void uz_room_on_need(struct uz_device *dev, void (*fn)(void *arg), void *arg)
{
	uz_lock_acquire(&dev->lock);
	dev->room.need = fn;
	dev->room.arg = arg;
	uz__room_watch(dev);
	uz_lock_release(&dev->lock);
	uz__room_settle(dev);
}

/* ---- making room ---- */

static unsigned int waiting(struct uz_device *dev)
{
	uz_scoped_acquire(guard, &dev->room.lock);

	return dev->room.waiting;
}

/* Bytes to be gained in this turn; 0: none. */
static uint64_t turn_bytes(struct uz_device *dev)
{
	uint64_t used = uz_pool_used_bytes(dev->pool);
	/* relaxed: as it was set. */
	uint64_t low =
		atomic_load_explicit(&dev->room.low, memory_order_relaxed);
	uint64_t over = low && used > low ? used - low : 0;

	if (!over && !waiting(dev))
		return 0;
	return over > LEAST ? over : LEAST;
}

static int turn(struct uz_writeback *wb, struct uz_io *io,
		struct uz_room_hand *hand, uint64_t nr,
		struct uz_writeback_done *done)
{
	uint64_t bytes = turn_bytes(io->dev), before = done->pages;
	uint64_t left = done->bytes;
	unsigned int i;
	int ret;

	if (!bytes)
		return 0;
	ret = uz__writeback_cold(wb, bytes, &hand->at, nr, done);
	if (hand->at >= nr) {
		hand->at = 0;
		hand->rounds++;
	}
	if (done->pages == before) {
		if (ret || hand->rounds < ROUNDS)
			return ret ? ret : 1;
		hand->rounds = 0;
		return done->skipped == -EDQUOT ? -EDQUOT : -ENODATA;
	}
	hand->rounds = 0;
	uz__count(io, shrunk_pages, done->pages - before);
	uz__gather(io, &hand->sparse, nr, (done->bytes - left) / 2);
	/* What has left was here and there. */
	for (i = 0; i < COMPACTIONS; i++)
		if (!uz__reclaim(io, UZ_POOL_COMPACT_FRAGMENTED))
			break;
	return 1;
}

int uz_room_make(struct uz_writeback *wb, struct uz_room_hand *hand,
		 struct uz_writeback_done *done)
{
	struct uz_io *io = uz__writeback_io(wb);
	uint64_t nr = uz__io_enter(io);
	int ret = -ENODEV;

	if (uz__writeback_same(wb, nr))
		ret = turn(wb, io, hand, nr, done);
	uz__io_leave(io);
	return ret;
}

/* ---- waiting ---- */

void uz_room_tell(struct uz_device *dev, int err)
{
	struct uz__room *room = &dev->room;
	uz_scoped_acquire(guard, &room->lock);

	room->turns++;
	room->failed = err;
	room->waiting = 0;
	if (err)
		room->refuse = clock_ns() + REFUSE_NS;
	pthread_cond_broadcast(&room->told);
}

/* The gate, seq_cst: a reset waits for whoever does not see this. */
static bool is_going(const struct uz_device *dev)
{
	return !(atomic_load(&dev->nr_pages) & ~UZ__GATE_CLOSED);
}

/* One more who waits, unless it is known to be in vain. */
static bool wait_begin(struct uz__room *room, uint64_t now, uint64_t *turns)
{
	uz_scoped_acquire(guard, &room->lock);

	if (now < room->refuse)
		return false;
	*turns = room->turns;
	room->waiting++;
	return true;
}

/* True: somebody has told that there is room. */
static bool wait_end(struct uz_device *dev, uint64_t turns, uint64_t until)
{
	struct uz__room *room = &dev->room;
	uz_scoped_acquire(guard, &room->lock);
	uint64_t now = clock_ns();

	while (room->turns == turns && now < until && !is_going(dev)) {
		uint64_t to = now + LOOK_NS < until ? now + LOOK_NS : until;
		struct timespec t = { .tv_sec = (time_t)(to / NS_PER_S),
				      .tv_nsec = (long)(to % NS_PER_S) };

		pthread_cond_timedwait(&room->told, &room->lock.mutex, &t);
		now = clock_ns();
	}
	if (room->turns != turns)
		return !room->failed;
	room->waiting--;
	return false;
}

/**
 * uz__room_await() - wait for room for a store that found none
 * @io:    the thread's context, inside a request
 * @until: 0 at the first time; when the store is to be refused
 *
 * Context: no lock and no pin is held; sleeps.
 * Return:  true: try again. False: there is none to be had.
 */
bool uz__room_await(struct uz_io *io, uint64_t *until)
{
	struct uz_device *dev = io->dev;
	uint64_t now = clock_ns(), turns;
	bool room;

	if (!*until) {
		uz__count(io, pool_limit_hit, 1);
		*until = now + WAIT_NS;
	}
	if (!is_on(dev) || now >= *until || is_going(dev) ||
	    !wait_begin(&dev->room, now, &turns))
		return false;
	dev->room.need(dev->room.arg);
	uz_pulse_wait(io->pulse);
	room = wait_end(dev, turns, *until);
	uz_pulse_go_on(io->pulse);
	return room;
}
