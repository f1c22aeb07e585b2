/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_ROOM_H
#define UZ_DEVICE_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include <uzram/device/room.h>
#include <uzram/table.h>
#include <uzram/util/lock.h>

/* ---- room.c ---- */

/**
 * struct uz__room - stores that wait for room, and who makes it; room.c
 * @need:    whom to tell that there is need, or NULL
 * @arg:     handed to @need
 * @low:     bytes of the pool down to which room is made; 0: there are no marks
 * @lock:    guards what follows; a leaf
 * @told:    with @turns
 * @turns:   that were told of
 * @failed:  what came of the last one
 * @refuse:  nobody waits before that moment
 * @waiting: stores that were told nothing yet
 * @ready:   who makes room has all that it takes, as things are now
 */
struct uz__room {
	void (*need)(void *arg);
	void *arg;
	_Atomic uint64_t low;
	struct uz_lock lock;
	pthread_cond_t told;
	uint64_t turns;
	int failed;
	uint64_t refuse;
	unsigned int waiting;
	bool ready;
};

void uz__room_init(struct uz_device *dev);
void uz__room_destroy(struct uz_device *dev);
void uz__room_watch(struct uz_device *dev);
void uz__room_update(struct uz_device *dev, bool prepared);
void uz__room_settle(struct uz_device *dev);
bool uz__room_prepare(struct uz_device *dev);
bool uz__room_await(struct uz_io *io, uint64_t *until);

/* ---- backed.c, for gather.c ---- */

struct uz__pinned;

int uz__backed_take(struct uz_io *io, uint64_t index,
		    const struct uz__pinned *p, uz_slot_t flags);
bool uz__backed_alone(struct uz_device *dev, uz_slot_t slot);

/* ---- gather.c ---- */

void uz__gather(struct uz_io *io, uint64_t *next, uint64_t nr, uint64_t most);

/* ---- writeback.c ---- */

struct uz_io *uz__writeback_io(struct uz_writeback *wb);

/* Inside the gate, of @nr pages: is it the device that @wb was made for? */
bool uz__writeback_same(const struct uz_writeback *wb, uint64_t nr);

/*
 * Write back some @bytes of pages that are marked as idle, and mark those that
 * are not on the way; inside the gate. Otherwise as uz_writeback_some().
 */
int uz__writeback_cold(struct uz_writeback *wb, uint64_t bytes, uint64_t *next,
		       uint64_t end, struct uz_writeback_done *done);

#endif
