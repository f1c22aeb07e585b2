/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_PRIV_H
#define UZRAM_DEVICE_PRIV_H

#include <stdatomic.h>

#include <uzram/backing.h>
#include <uzram/device.h>
#include <uzram/device/snapshot.h>
#include <uzram/pool.h>
#include <uzram/util/lock.h>
#include <uzram/util/reserve.h>
#include <uzram/util/shm.h>

#include "codecs.h"
#include "dict.h"
#include "idle.h"
#include "latency.h"
#include "pinned.h"
#include "room.h"

/* ---- superblock: super.c ---- */

#define UZ__MAGIC   UINT64_C(0x6d6172347a753031) /* "10uz4ram", as bytes */
#define UZ__VERSION 4

/**
 * struct uz__super - the first page of the control memfd
 * @magic:       UZ__MAGIC, written last: a device is there
 * @version:     of this layout, of the slot word and of how the arena is cut
 * @page_size:   UZ_PAGE_SIZE
 * @disksize:    0 while the device has none; written last by
 *               uz_device_set_disksize() and first by uz_device_reset(), so it
 *               alone says whether table and arena mean anything. Grows
 *               (growth.c) after @arena_size, and before a slot beyond its old
 *               value is used
 * @mem_limit:   bytes
 * @arena_size:  as struct uz_pool_config; grows before a place beyond its old
 *               value is used
 * @window_size: as struct uz_pool_config
 * @class_step:  as struct uz_pool_config
 * @codec:       index into @codecs for new stores
 * @codecs:      texts that uz_codec_parse() takes, "" where there is none; the
 *               slot word's codec field indexes it
 * @secondary:   codecs for recompression, see uz__secondary()
 * @zpool:       index into @zpools for the pool
 * @zpools:      names of backends; the other entry is where a change is made
 * @policy:      by enum uz_policy_number; no lock; all zero: as a new device
 * @dict_bytes:  of each codec's dictionary, or 0; see dict.c
 *
 * Changed under the configuration lock only. Whoever adopts believes it after
 * uz__super_check().
 */
struct uz__super {
	uint64_t magic;
	uint32_t version;
	uint32_t page_size;
	_Atomic uint64_t disksize;
	uint64_t mem_limit;
	uint64_t arena_size;
	uint32_t window_size;
	uint32_t class_step;
	_Atomic uint32_t codec;
	char codecs[UZ_SLOT_CODECS][UZ_CODEC_TEXT_MAX + 1];
	_Atomic uint32_t secondary;
	_Atomic uint32_t zpool;
	char zpools[2][UZ_POOL_NAME_MAX + 1];
	_Atomic uint64_t policy[UZ_POLICY_NUMBERS];
	uint32_t dict_bytes[UZ_SLOT_CODECS];
};

/* One counter for each codec that a slot can name. */
#define UZ__EACH_CODEC(X, name) \
	X(name##0)              \
	X(name##1)              \
	X(name##2)              \
	X(name##3)              \
	X(name##4)              \
	X(name##5)              \
	X(name##6)              \
	X(name##7)

/**
 * struct uz__super_backing - the second page: the store, see backed.c
 * @path:     "" without one; written last, its first byte last of all
 * @dev:      as struct uz_backing_info
 * @ino:      likewise
 * @settings: by enum uz_backing_setting; no lock
 */
struct uz__super_backing {
	char path[UZ_BACKING_PATH_MAX + 1];
	uint64_t dev;
	uint64_t ino;
	_Atomic uint64_t settings[UZ_BACKING_SETTINGS];
};

/*
 * Counters: X(name). The derived ones follow from the table and are counted
 * anew at adoption; the others are sums over the device's life.
 */
#define UZ__DERIVED_COUNTERS(X)        \
	X(pages_stored)                \
	X(compr_bytes)                 \
	X(same_pages)                  \
	X(huge_pages)                  \
	UZ__EACH_CODEC(X, codec_pages) \
	UZ__EACH_CODEC(X, codec_bytes) \
	X(backed_pages)                \
	X(backed_bytes)

#define UZ__LASTING_COUNTERS(X) \
	X(huge_pages_since)     \
	X(failed_reads)         \
	X(failed_writes)        \
	X(invalid_io)           \
	X(notify_free)          \
	X(num_reads)            \
	X(num_writes)           \
	X(num_discards)         \
	X(bytes_read)           \
	X(bytes_written)        \
	X(limit_rejections)     \
	X(checksum_errors)      \
	X(retries)              \
	X(pages_compacted)      \
	X(objects_moved)        \
	X(compact_pinned)       \
	X(compact_contended)    \
	X(recompressed)         \
	X(recompress_saved)     \
	X(worker_pages)

/* These as well: the numbers of the backing store. */
#define UZ__BACKING_COUNTERS(X) \
	X(read_blocks)          \
	X(written_blocks)       \
	X(written_back_pages)   \
	X(promoted_pages)       \
	X(writeback_changed)    \
	X(writeback_failed)     \
	X(backing_read_errors)  \
	X(read_back_pages)      \
	X(shrunk_pages)         \
	X(pool_limit_hit)       \
	X(gathered_pages)

/**
 * struct uz__counters - one thread's share of every counter
 *
 * In the control memfd, so that they survive the process. Only the owning
 * thread writes; a share may be "negative" (wrap), only sums mean something.
 */
struct uz__counters {
#define X(name) _Atomic uint64_t name;
	UZ__DERIVED_COUNTERS(X)
	UZ__LASTING_COUNTERS(X)
	UZ__BACKING_COUNTERS(X)
#undef X
} __attribute__((aligned(UZ_CACHELINE)));

/* Slot 0 collects what ended threads have counted. */
#define UZ__COUNTER_SLOTS (UZ_IO_MAX + 1)

/**
 * struct uz__ctl - the whole control memfd
 * @super:    the superblock
 * @backing:  its second page
 * @counters: one share per thread
 */
struct uz__ctl {
	union {
		struct uz__super super;
		unsigned char page[UZ_PAGE_SIZE];
	};
	union {
		struct uz__super_backing backing;
		unsigned char backing_page[UZ_PAGE_SIZE];
	};
	struct uz__counters counters[UZ__COUNTER_SLOTS];
};

#define UZ__CTL_SIZE \
	((sizeof(struct uz__ctl) + UZ_PAGE_SIZE - 1) & ~(UZ_PAGE_SIZE - 1ul))

/*
 * The owning thread alone writes its share, so a plain addition in two relaxed
 * halves loses nothing; readers want each value whole, not an order.
 */
#define uz__count(io, name, n)                                                 \
	atomic_store_explicit(                                                 \
		&(io)->cnt->name,                                              \
		atomic_load_explicit(&(io)->cnt->name, memory_order_relaxed) + \
			(uint64_t)(n),                                         \
		memory_order_relaxed)

/* ---- device ---- */

/**
 * struct uz_device - a device in this process
 * @name:      for messages
 * @mem:       borrowed descriptors
 * @shm:       mapping of the control memfd
 * @ctl:       what is mapped there
 * @lock:      configuration lock: guards the superblock, @table, @pool,
 *             @codecs, @ios against set-up and reset. Never taken on the path
 *             of a page
 * @generation: one more each time that there is a size; changes only while
 *             nobody is inside the gate
 * @nr_pages:  0: no size, requests are refused. The gate of io.c
 * @gate:      held while the gate is closed for a moment; a leaf
 * @table:     NULL while the device has no size
 * @pool:      NULL while the device has no size
 * @ceiling:   bytes that the memory limit cannot pass, 0 for none
 * @ref_end:   refs at or beyond it lie outside the arena
 * @direct:    objects may stay mapped and be used in place (pinned.c)
 * @codecs:    parsed codecs; ops is NULL where the superblock has none
 * @dicts:     their dictionaries
 * @codec:     index of the codec for new stores
 * @secondary: as in the superblock
 * @zpool:     the pool's backend, or what it will be; from uz_pool_backend()
 * @track_age: note when pages are used, whenever there is a size
 * @ages:      when each page was used last, or NULL; see idle.c
 * @ages_room: where that lies
 * @ages_begin: since when that is noted
 * @backing:   the store, or NULL; backed.c
 * @backing_end: bytes of the store
 * @resets:    how many there were; changed while nobody is in the gate
 * @fragmented: whom each pool tells that compaction is worth while
 * @arg:       handed to @fragmented
 * @whole:     whom each pool tells that there may be something to collapse
 * @whole_arg: handed to @whole
 * @damaged:   whom to tell of pages that are not what was stored
 * @damaged_arg: handed to @damaged
 * @ios:       contexts of all threads; the index plus one is the counter slot
 * @latency:   of requests, what threads have counted that are gone
 * @holders:   opens of the block file
 * @pulses:    of the threads in @ios, or NULL
 * @awake:     for requests, or NULL
 * @crew:      page workers
 * @room:      for stores at the limit
 * @snapshot:  told before a page changes, or NULL; set while the gate is closed
 */
struct uz_device {
	char name[UZ_NAME_MAX + 1];
	struct uz_device_mem mem;
	struct uz_shm shm;
	struct uz__ctl *ctl;
	struct uz_lock lock;
	uint64_t generation;
	_Atomic uint64_t nr_pages;
	struct uz_lock gate;
	struct uz_table *table;
	struct uz_pool *pool;
	uint64_t ceiling;
	_Atomic uz_ref_t ref_end;
	bool direct;
	struct uz_codec codecs[UZ_SLOT_CODECS];
	struct uz__dict dicts[UZ_SLOT_CODECS];
	_Atomic unsigned int codec;
	_Atomic uint32_t secondary;
	const char *zpool;
	bool track_age;
	_Atomic(_Atomic uint32_t *) ages;
	struct uz_reserve ages_room;
	uint32_t ages_begin;
	struct uz_backing *_Atomic backing;
	uint64_t backing_end;
	uint64_t resets;
	void (*fragmented)(void *arg);
	void *arg;
	void (*whole)(void *arg);
	void *whole_arg;
	void (*damaged)(void *arg, uint64_t index, const char *why);
	void *damaged_arg;
	struct uz_io *ios[UZ_IO_MAX];
	struct uz_latency latency[UZ_LATENCY_KINDS];
	_Atomic unsigned int holders;
	struct uz_pulse *pulses;
	struct uz_awake *awake;
	struct uz__crew *crew;
	struct uz__room room;
	struct uz_snapshot *snapshot;
};

/**
 * struct uz_io - one thread's context
 * @dev:     the device
 * @cnt:     this thread's share of the counters
 * @id:      index in the device's @ios
 * @turn:    odd while a request is under way (see io.c)
 * @mover:   it changes where pages lie, never what they hold
 * @untimed: requests until the next one that is timed, itself included
 * @pulse:   says that the thread is alive
 * @next:    the page after the one loaded last
 * @soon:    the next request's page, or UZ_PAGE_NONE (expect.c)
 * @later:   that of the one after it, or UZ_PAGE_NONE
 * @mem:     what the thread has beside this, for the statistics
 * @size:    bytes at @mem
 * @ctx:     codec contexts, by codec index
 * @scratch: a compressed page is built here
 * @page:    a page that is being modified
 * @local:   copy of an object, where none may stay mapped (pinned.c)
 * @again:   the same object, looked at once more
 * @unseen:  the pulse where nobody wants to know
 * @latency: of requests that were timed
 */
struct uz_io {
	struct uz_device *dev;
	struct uz__counters *cnt;
	unsigned int id;
	_Atomic uint32_t turn;
	bool mover;
	unsigned int untimed;
	struct uz_pulse *pulse;
	uint64_t next;
	uint64_t soon;
	uint64_t later;
	const void *mem;
	size_t size;
	struct uz_codec_ctx *ctx[UZ_SLOT_CODECS];
	unsigned char scratch[UZ_PAGE_SIZE];
	unsigned char page[UZ_PAGE_SIZE];
	unsigned char local[UZ_POOL_MAX_OBJECT];
	unsigned char again[UZ_POOL_MAX_OBJECT];
	struct uz_pulse unseen;
	struct uz__latency latency[UZ_LATENCY_KINDS];
} __attribute__((aligned(UZ_CACHELINE)));

/* ---- device.c; adopt.c ---- */

int uz__adopt(struct uz_device *dev, struct uz_err *err);
int uz__device_map_memory(struct uz_device *dev, uint64_t disksize,
			  const struct uz_pool_config *config);
void uz__device_ready(struct uz_device *dev, uint64_t disksize);
void uz__device_unmap_memory(struct uz_device *dev);

/* The limit that counts: the device's own, or the ceiling if that is lower. */
uint64_t uz__device_limit(const struct uz_device *dev);

/* ---- super.c ---- */

void uz__super_init(struct uz_device *dev);
int uz__super_check(struct uz_device *dev, struct uz_err *err);
int uz__super_codecs(struct uz_device *dev, struct uz_err *err);
int uz__super_zpool(struct uz_device *dev, struct uz_err *err);
void uz__super_set_zpool(struct uz_device *dev, const char *backend);
void uz__super_pool_config(const struct uz_device *dev,
			   struct uz_pool_config *config);
void uz__super_set_pool_config(struct uz_device *dev,
			       const struct uz_pool_config *config);
void uz__super_reset_policy(struct uz_device *dev);

/* ---- idle.c ---- */

/* A page was read or written just now. */
static inline void uz__page_used(const struct uz_io *io, uint64_t index)
{
	/* acquire: with the pointer comes the mapping. */
	_Atomic uint32_t *ages =
		atomic_load_explicit(&io->dev->ages, memory_order_acquire);

	if (uz_unlikely(ages))
		uz__age_note(ages, index);
}

/* ---- io.c ---- */

/*
 * Enter and leave a request. Enter returns the device's pages, 0 when it has
 * no size; uz__io_leave() is owed in either case.
 */
uint64_t uz__io_enter(struct uz_io *io);
void uz__io_leave(struct uz_io *io);

/* Wait until no request is under way; nr_pages was set to 0 before. */
void uz__io_drain(struct uz_device *dev, bool movers);

/* In nr_pages: nobody may enter for a moment. */
#define UZ__GATE_CLOSED (UINT64_C(1) << 63)

void uz__gate_close(struct uz_device *dev);
void uz__gate_open(struct uz_device *dev);

/* As uz_io_create() and uz_io_destroy(); configuration lock held. */
int uz__io_add(struct uz_device *dev, struct uz_io **io);
void uz__io_remove(struct uz_io *io);
/* Wait until each request that is under way now has ended. */
void uz__io_quiesce(struct uz_device *dev);

/* Codec contexts of every thread; all or none. Configuration lock held. */
int uz__io_make_contexts(struct uz_device *dev);

/*
 * The same for one more codec while requests are under way, and for one that
 * no request can come across any more.
 */
int uz__io_make_context(struct uz_device *dev, unsigned int index,
			const struct uz_codec *codec);
void uz__io_drop_context(struct uz_device *dev, unsigned int index);
void uz__io_drop_contexts(struct uz_device *dev);

/* ---- request.c ---- */

/**
 * uz__request_part() - some pages of a request
 * @io:    this thread's context
 * @rq:    UZ_OP_READ or UZ_OP_WRITE
 * @first: a page of it
 * @end:   page behind the last one
 *
 * Context: as uz_device_submit(), the gate was entered.
 * Return:  UZ__NO_FAILURE, or what failed first: a number that is smaller, the
 *          smaller the page's index is, and from which uz__failure_errno()
 *          makes the error.
 */
uint64_t uz__request_part(struct uz_io *io, const struct uz_request *rq,
			  uint64_t first, uint64_t end);

#define UZ__NO_FAILURE UINT64_MAX
static inline int uz__failure_errno(uint64_t failure)
{
	return failure == UZ__NO_FAILURE ? 0 : -(int)(failure & 0xfff);
}

/* ---- object.c ---- */

/**
 * struct uz__encoded - a page ready to be placed
 * @kind:    what it became
 * @codec:   index, for UZ_SLOT_OBJECT
 * @size:    bytes at @payload; 0 for UZ_SLOT_SAME
 * @payload: in the caller's page, in io->scratch or at @word
 * @word:    the repeated word of a same-filled page
 */
struct uz__encoded {
	enum uz_slot_kind kind;
	unsigned int codec;
	uint32_t size;
	const void *payload;
	uint64_t word;
};

/* Bytes of checksum behind each object's payload. */
#define UZ__SUM_SIZE 4u

void uz__object_encode(struct uz_io *io, const void *page,
		       struct uz__encoded *e);
uz_slot_t uz__object_place(struct uz_device *dev, const struct uz__encoded *e,
			   uint64_t index, uz_ref_t ref);
int uz__object_decode(struct uz_io *io, uz_slot_t slot, const void *bytes,
		      uint64_t index, void *page);
bool uz__object_intact(uz_slot_t slot, const void *bytes, uint64_t index);
void uz__page_fill(void *page, uint64_t word);
uint32_t uz__object_sum(const void *payload, uint32_t size, uint64_t index);

/* Bytes that the pool holds for this slot's object. */
static inline uint32_t uz__object_bytes(uint32_t size)
{
	return size + UZ__SUM_SIZE;
}

/* Is it a slot, and may what it names be mapped? */
static inline bool uz__slot_sound(const struct uz_device *dev, uz_slot_t w)
{
	return uz_slot_valid(w) &&
	       (!uz_slot_in_pool(w) ||
		uz_pool_spans(dev->pool, uz_slot_ref(w),
			      uz__object_bytes(uz_slot_size(w))));
}

/* ---- backed.c ---- */

/* What an object takes up on the store: up to where the next one may begin. */
static inline uint32_t uz__piece_bytes(uint32_t size)
{
	return (size + UZ__SUM_SIZE + UZ_REF_UNIT - 1) & ~(UZ_REF_UNIT - 1u);
}

int uz__backed_hold(struct uz_device *dev, uz_slot_t slot);
void uz__backed_free(struct uz_device *dev, uz_slot_t slot);
int uz__backed_read(struct uz_device *dev, uz_slot_t slot, void *bytes);
int uz__backed_fetch(struct uz_io *io, uz_slot_t slot, void *bytes);
int uz__backed_decode(struct uz_io *io, const struct uz__pinned *p,
		      uint64_t index, void *page);
void uz__backed_promote(struct uz_io *io, uint64_t index,
			const struct uz__pinned *p);
void uz__backing_reset(struct uz_device *dev);
int uz__backing_check(struct uz_device *dev, struct uz_err *err);
/* ---- page.c ---- */

int uz__page_place(struct uz_io *io, uint64_t index,
		   const struct uz__encoded *e, unsigned int flags,
		   uz_slot_t *slot);
int uz__page_place_reclaim(struct uz_io *io, uint64_t index,
			   const struct uz__encoded *e, uz_slot_t *slot);

#define UZ__SWAP_RECLAIM 1u /* have objects moved together for room */
#define UZ__SWAP_OVER	 2u /* pass the limit by what shrinks */

/*
 * Replace what uz__pin() has read by what was encoded; @p is unpinned then.
 * 0; -EAGAIN the slot has changed meanwhile; -ENOSPC whatever @how allows.
 */
int uz__page_swap(struct uz_io *io, uint64_t index, const struct uz__encoded *e,
		  struct uz__pinned *p, unsigned int how);

/* ---- damage.c ---- */

#define UZ__DAMAGED_SLOT   "its slot is damaged"
#define UZ__DAMAGED_OBJECT "the checksum of what is stored is wrong"
#define UZ__DAMAGED_DICT   "the dictionary that it needs is damaged"

/* In the place of a damaged slot that was adopted: names nothing, is none. */
#define UZ__SLOT_LOST UINT64_C(7)

int uz__damaged(struct uz_io *io, uint64_t index, const char *why);
int uz__unreadable(struct uz_io *io, uint64_t index);
uz_slot_t uz__slot_before(struct uz_io *io, uint64_t index, uz_slot_t w,
			  uz_slot_t now);

/* ---- stat.c ---- */

/* The counters of one codec: its pages, or its bytes. */
static inline _Atomic uint64_t *uz__codec_pages(struct uz__counters *cnt,
						unsigned int codec)
{
	return &cnt->codec_pages0 + codec;
}

static inline _Atomic uint64_t *uz__codec_bytes(struct uz__counters *cnt,
						unsigned int codec)
{
	return &cnt->codec_bytes0 + codec;
}

/* Count a slot's page in (sign 1) or out (sign -1). */
void uz__stat_slot(struct uz__counters *cnt, uz_slot_t slot, int sign);

/* The page's object lies elsewhere now; at no time is it counted as gone. */
void uz__stat_move(struct uz__counters *cnt, uz_slot_t from, uz_slot_t to);

/* Count what compaction did. */
void uz__stat_compaction(struct uz__counters *cnt,
			 const struct uz_pool_compaction *done);

/* Move a share to slot 0, zeroing it. Configuration lock held. */
void uz__stat_fold(struct uz_device *dev, struct uz__counters *cnt);
void uz__stat_zero(struct uz_device *dev);
/* Sum of all shares; configuration lock held. */
void uz__stat_sum(const struct uz_device *dev, struct uz__counters *sum);

/* ---- zpool.c ---- */

const char *uz__zpool_find(const char *name);

/* ---- relocate.c ---- */

/* Move one object; @arg is the device. See uz_pool_relocate. */
bool uz__relocate(void *arg, uint32_t owner, uz_ref_t from, uz_ref_t to);
bool uz__reclaim(struct uz_io *io, enum uz_pool_compact_scope scope);

/* ---- snapshot.c ---- */

void uz__snapshot_copy(struct uz_io *io, uint64_t index);

/* Memory that it takes, copies included. */
uint64_t uz__snapshot_bytes(const struct uz_snapshot *s);

/*
 * To be called before a slot gets other contents; io->again is used. A word
 * that means the same contents may be put in without.
 */
static inline void uz__snapshot_keep(struct uz_io *io, uint64_t index)
{
	if (uz_unlikely(io->dev->snapshot))
		uz__snapshot_copy(io, index);
}

#endif
