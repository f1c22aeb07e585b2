// SPDX-License-Identifier: MIT
/*
 * All pages as they are at one moment, taken out while requests go on.
 *
 * *The moment.* The gate (io.c) is closed until no request is under way, the
 * snapshot is hung into the device, the gate is opened. So every request is
 * either over by then, or sees the snapshot from its first page to its last.
 *
 * *The rule.* Each page has a bit: "secured", somebody has the contents that
 * it had at the moment. From the moment on nobody may put other contents into
 * a slot before its page's bit is set. There are two who set it:
 *
 * - Whoever is about to change a page (uz__snapshot_keep()) copies what the
 *   slot names, sets the bit, and if it was the first to do so hands the copy
 *   over; then it changes the slot.
 * - Who takes the pages out copies what the slot names and sets the bit; if
 *   that is set already the copy is thrown away, for somebody else's is on its
 *   way.
 *
 * Why that is right: the bit is set by one read-modify-write, so exactly one
 * thread finds it clear. Up to that point in the order of the changes of this
 * bit nobody had set it, hence, by the rule, nobody had changed the page's
 * contents; so what that thread copied, before, is what the page held at the
 * moment. Those that find it set have copied for nothing. Nobody waits for
 * anybody, and nothing of the old page is needed any more once the bit is set:
 * it is freed as always.
 *
 * Moving an object (relocate.c), recompressing one, writing one back or
 * fetching it again changes the slot's word but not the page's contents. So
 * none of these needs the bit, and a copy made before or after is the same
 * page. Copies lie in ordinary memory, not in the pool: a snapshot holds no pin
 * for longer than a copy takes, and works on every allocator.
 *
 * What lies on the backing store is not read by those who change pages: they
 * hold its piece (backed.c), which stays what it is as well, and hand that
 * over. When the device is reset the store goes, and with it every hold.
 *
 * Pages beyond the end that the device had at the moment are none of its own.
 * An empty slot is secured by its bit alone. Slots of table memory that was
 * never populated are skipped: they were empty at the moment.
 *
 * *The end.* When every page was looked at, all bits that matter are set.
 * Whoever set one and owes a copy has counted itself in @owed before that, and
 * is counted out when the copy was taken out. So "all looked at, none owed"
 * means that there are no more.
 *
 * *No room.* Copies count against the memory limit. Where there is no room
 * for one the snapshot is marked as failed, before the page is changed; its
 * reader looks at the mark after everything else.
 *
 * Lock: uz_snapshot_next() holds the configuration lock while it looks at the
 * table, so that reset, which takes the snapshot away, waits for it. Requests
 * take none.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uzram/util/resident.h>

#include "device_priv.h"

#define WORD_BITS 64

/* Slots looked at under one hold of the configuration lock. */
#define STRETCH 4096

/*
 * Copies may take a part of the limit beyond it, else a device that has
 * reached it could never be saved.
 */
#define BEYOND_PART 64
#define BEYOND_MIN  (UINT64_C(1) << 20)

/*
 * struct kept - a page that was copied before it was changed
 * @next:  handed over before
 * @index: the page
 * @slot:  its word; only kind, codec and size mean anything
 * @bytes: its object, checksum included; the word of a same-filled page;
 *         nothing of one on the backing store, which is held
 */
struct kept {
	struct kept *next;
	uint32_t index;
	uz_slot_t slot;
	unsigned char bytes[];
};

/*
 * struct uz_snapshot - a snapshot
 * @dev:     the device
 * @limit:   the device's memory limit, 0 for none
 * @pages:   slots of its table
 * @secured: a bit for each of them
 * @kept:    copies handed over, the last one first
 * @taken:   copies that uz_snapshot_next() has taken from there
 * @owed:    copies to come, or there, or taken but not given out yet
 * @bytes:   memory of copies
 * @most:    the most that it was
 * @failed:  0, or -errno: a page was changed that could not be copied
 * @at:      the next slot to be looked at
 * @bad:     the page that failed is wrong with
 * @object:  what uz_snapshot_next() gives out
 */
struct uz_snapshot {
	struct uz_device *dev;
	uint64_t limit;
	uint64_t pages;
	_Atomic uint64_t *secured;
	struct kept *_Atomic kept;
	struct kept *taken;
	_Atomic uint64_t owed;
	_Atomic uint64_t bytes;
	_Atomic uint64_t most;
	_Atomic int failed;
	uint64_t at;
	_Atomic uint64_t bad;
	unsigned char object[UZ_POOL_MAX_OBJECT];
};

/* ---- copying a page ---- */

/* Bytes that a slot's copy has. */
static uint32_t copy_bytes(uz_slot_t slot)
{
	if (uz_slot_in_pool(slot))
		return uz__object_bytes(uz_slot_size(slot));
	return uz_slot_kind(slot) == UZ_SLOT_SAME ? sizeof(uint64_t) : 0;
}

/*
 * The object is mapped for the time of the copy only. -EAGAIN: the slot names
 * another one by now.
 */
static int copy_object(struct uz_device *dev, uint64_t index, uz_slot_t w,
		       void *to)
{
	const void *bytes;
	struct uz_map map;
	int err = -EAGAIN;

	uz_pool_map(dev->pool, uz_slot_ref(w), &map);
	if (uz_likely(
		    uz_slot_same_place(w, uz_table_load(dev->table, index)))) {
		bytes = uz_pool_view(dev->pool, &map, copy_bytes(w), to);
		if (bytes && bytes != to)
			memcpy(to, bytes, copy_bytes(w));
		err = bytes ? 0 : -EIO;
	}
	uz_pool_unmap(dev->pool, &map);
	return err;
}

static bool hold_piece(struct uz_device *dev, uint64_t index, uz_slot_t w)
{
	bool same;

	if (uz__backed_hold(dev, w))
		return false;
	same = uz_slot_same_place(w, uz_table_load(dev->table, index));
	if (!same)
		uz__backed_free(dev, w);
	return same;
}

/*
 * What the page holds, at @to: UZ_POOL_MAX_OBJECT bytes. See uz__pin() for why
 * the slot is read twice. What lies on the backing store is held and not read.
 */
static int copy_slot(struct uz_device *dev, uint64_t index, uz_slot_t *slot,
		     void *to)
{
	uz_slot_t last = 0, w;
	uint64_t word;
	int err;

	for (;;) {
		w = *slot = uz_table_load(dev->table, index);
		if (!w)
			return 0;
		if (!uz__slot_sound(dev, w))
			return -EIO;
		if (uz_slot_in_pool(w)) {
			err = copy_object(dev, index, w, to);
			if (uz_likely(err != -EAGAIN))
				return err;
		} else if (uz_slot_kind(w) == UZ_SLOT_BACKED) {
			if (hold_piece(dev, index, w))
				return 0;
			/* The same twice: the store is not there. */
			if (last == w)
				return -EIO;
			last = w;
		} else {
			word = uz_slot_same_value(w);
			memcpy(to, &word, sizeof(word));
			return 0;
		}
	}
}

/* What copy_slot() has found is not needed. */
static void drop_slot(struct uz_device *dev, uz_slot_t slot)
{
	if (uz_slot_kind(slot) == UZ_SLOT_BACKED)
		uz__backed_free(dev, slot);
}

static bool is_secured(const struct uz_snapshot *s, uint64_t index)
{
	/* acquire: who finds the bit set changes the page after the copy. */
	return atomic_load_explicit(&s->secured[index / WORD_BITS],
				    memory_order_acquire) >>
		       (index % WORD_BITS) &
	       1;
}

/* Whether this thread is the one that has secured the page. */
static bool secure(struct uz_snapshot *s, uint64_t index)
{
	uint64_t bit = UINT64_C(1) << (index % WORD_BITS);

	return !(atomic_fetch_or(&s->secured[index / WORD_BITS], bit) & bit);
}

/* ---- those who change pages ---- */

static void snapshot_fail(struct uz_snapshot *s, int err, uint64_t index)
{
	int none = 0;

	atomic_store(&s->bad, index);
	atomic_compare_exchange_strong(&s->failed, &none, err);
}

static bool has_room(const struct uz_snapshot *s, uint64_t copies)
{
	uint64_t beyond = s->limit / BEYOND_PART;

	if (beyond < BEYOND_MIN)
		beyond = BEYOND_MIN;
	return !s->limit || copies <= beyond ||
	       uz_pool_used_bytes(s->dev->pool) + copies <= s->limit;
}

static void give_back(struct uz_snapshot *s, struct kept *kept)
{
	/* relaxed: a number, no more. */
	atomic_fetch_sub_explicit(&s->bytes,
				  sizeof(*kept) + copy_bytes(kept->slot),
				  memory_order_relaxed);
	free(kept);
}

static struct kept *make_kept(struct uz_snapshot *s, uint64_t index,
			      uz_slot_t slot, const void *object, int *err)
{
	uint32_t len = copy_bytes(slot);
	struct kept *kept = malloc(sizeof(*kept) + len);
	uint64_t bytes, most;

	if (!kept) {
		*err = -ENOMEM;
		return NULL;
	}
	*kept = (struct kept){ .index = (uint32_t)index, .slot = slot };
	memcpy(kept->bytes, object, len);
	/* relaxed: numbers; who reads @most at the end has joined all. */
	bytes = sizeof(*kept) + len +
		atomic_fetch_add_explicit(&s->bytes, sizeof(*kept) + len,
					  memory_order_relaxed);
	if (!has_room(s, bytes)) {
		give_back(s, kept);
		*err = -ENOSPC;
		return NULL;
	}
	most = atomic_load_explicit(&s->most, memory_order_relaxed);
	while (bytes > most &&
	       !atomic_compare_exchange_weak_explicit(&s->most, &most, bytes,
						      memory_order_relaxed,
						      memory_order_relaxed))
		;
	return kept;
}

static void hand_over(struct uz_snapshot *s, struct kept *kept)
{
	/* relaxed: the exchange below is what orders. */
	struct kept *first =
		atomic_load_explicit(&s->kept, memory_order_relaxed);

	do {
		kept->next = first;
	} while (!atomic_compare_exchange_weak(&s->kept, &first, kept));
}

void uz__snapshot_copy(struct uz_io *io, uint64_t index)
{
	struct uz_snapshot *s = io->dev->snapshot;
	struct kept *kept = NULL;
	uz_slot_t slot;
	int err;

	/* relaxed: a snapshot that has failed needs no more copies. */
	if (index >= s->pages || is_secured(s, index) ||
	    atomic_load_explicit(&s->failed, memory_order_relaxed))
		return;
	err = copy_slot(io->dev, index, &slot, io->again);
	if (!err && slot) {
		kept = make_kept(s, index, slot, io->again, &err);
		if (kept)
			atomic_fetch_add(&s->owed, 1);
		else
			drop_slot(io->dev, slot);
	}
	if (err) {
		snapshot_fail(s, err, index);
		return;
	}
	if (secure(s, index)) {
		if (kept)
			hand_over(s, kept);
	} else if (kept) {
		atomic_fetch_sub(&s->owed, 1);
		drop_slot(io->dev, slot);
		give_back(s, kept);
	}
}

/* ---- who takes the pages out ---- */

/* The object of a slot on the store, which was held; its word in a pool. */
static int fetch_piece(struct uz_snapshot *s, uz_slot_t *slot)
{
	int err = uz__backed_read(s->dev, *slot, s->object);

	uz__backed_free(s->dev, *slot);
	*slot = uz_slot_from_backing(*slot, 0);
	return err;
}

static int fill_page(struct uz_snapshot *s, uint64_t index, uz_slot_t slot,
		     struct uz_page_image *page)
{
	int err = 0;

	*page = (struct uz_page_image){
		.index = (uint32_t)index,
		.form = UZ_PAGE_WORD,
		.size = sizeof(uint64_t),
		.bytes = s->object,
	};
	if (uz_slot_kind(slot) == UZ_SLOT_BACKED)
		err = fetch_piece(s, &slot);
	if (err || (uz_slot_in_pool(slot) &&
		    !uz__object_intact(slot, s->object, index))) {
		snapshot_fail(s, -EIO, index);
		return -EIO;
	}
	if (uz_slot_kind(slot) == UZ_SLOT_OBJECT) {
		page->form = UZ_PAGE_CODED;
		page->codec = uz_slot_codec(slot);
		page->size = uz_slot_size(slot);
	} else if (uz_slot_kind(slot) == UZ_SLOT_RAW) {
		page->form = UZ_PAGE_RAW;
		page->size = UZ_PAGE_SIZE;
	}
	page->sum = uz__object_sum(page->bytes, page->size, index);
	return 1;
}

/* 1 a copy that was handed over; 0 there is none now */
static int next_kept(struct uz_snapshot *s, struct uz_page_image *page)
{
	struct kept *kept;
	uz_slot_t slot;
	uint64_t index;

	if (!s->taken)
		s->taken = atomic_exchange(&s->kept, NULL);
	kept = s->taken;
	if (!kept)
		return 0;
	s->taken = kept->next;
	slot = kept->slot;
	index = kept->index;
	memcpy(s->object, kept->bytes, copy_bytes(slot));
	give_back(s, kept);
	atomic_fetch_sub(&s->owed, 1);
	return fill_page(s, index, slot, page);
}

/*
 * 1 a page; 0 none among the next ones; that there are no more at all, @at
 * says.
 */
static int next_slot(struct uz_snapshot *s, struct uz_page_image *page)
{
	unsigned int left = STRETCH;
	uz_slot_t slot;
	uint64_t index;
	int err;

	while (left--) {
		index = uz_table_next(s->dev->table, s->at);
		s->at = index < s->pages ? index + 1 : s->pages;
		if (index >= s->pages)
			return 0;
		if (is_secured(s, index))
			continue;
		err = copy_slot(s->dev, index, &slot, s->object);
		if (err) {
			snapshot_fail(s, err, index);
			return err;
		}
		if (!secure(s, index))
			drop_slot(s->dev, slot);
		else if (slot)
			return fill_page(s, index, slot, page);
	}
	return 0;
}

/* One look, under the configuration lock; -EAGAIN: nothing this time. */
static int next_locked(struct uz_snapshot *s, struct uz_page_image *page)
{
	uz_scoped_acquire(guard, &s->dev->lock);
	int ret;

	if (s->dev->snapshot != s)
		return -ENODATA;
	ret = atomic_load(&s->failed);
	if (!ret)
		ret = next_kept(s, page);
	if (!ret)
		ret = next_slot(s, page);
	if (ret)
		return ret;
	/* In this order: who owes a copy was counted before it set its bit. */
	if (s->at < s->pages || atomic_load(&s->owed))
		return -EAGAIN;
	/* Last of all: what was changed without a copy has set it before. */
	return atomic_load(&s->failed);
}

static int next_failed(const struct uz_snapshot *s, int ret, struct uz_err *err)
{
	const char *name = s->dev->name;

	if (ret == -ENODATA)
		return uz_err_set(err, ret, "%s was reset meanwhile", name);
	if (ret == -ENOSPC)
		return uz_err_set(
			err, ret,
			"copies of pages of %s that were written meanwhile have no room below mem_limit: write less, or raise it",
			name);
	if (ret == -EIO)
		return uz_err_set(
			err, ret,
			"page %" PRIu64
			" of %s is damaged or cannot be read: overwrite or discard it first",
			atomic_load(&s->bad), name);
	return uz_err_set(err, ret, "no memory for copies of pages of %s",
			  name);
}

int uz_snapshot_next(struct uz_snapshot *snap, struct uz_page_image *page,
		     struct uz_err *err)
{
	/* For who is just about to hand over its copy. */
	const struct timespec pause = { .tv_nsec = 20000 };
	int ret;

	while ((ret = next_locked(snap, page)) == -EAGAIN) {
		if (snap->at == snap->pages)
			nanosleep(&pause, NULL);
	}
	return ret < 0 ? next_failed(snap, ret, err) : ret;
}

uint64_t uz_snapshot_copied(const struct uz_snapshot *snap)
{
	return atomic_load(&snap->most);
}

uint64_t uz__snapshot_bytes(const struct uz_snapshot *s)
{
	/* relaxed: a number, no more. */
	return sizeof(*s) +
	       atomic_load_explicit(&s->bytes, memory_order_relaxed) +
	       uz_resident((const void *)s->secured, s->pages / 8);
}

/* ---- begin and end ---- */

/* @held: pieces of the store are held, since the device was not reset. */
static void snapshot_free(struct uz_snapshot *s, bool held)
{
	struct kept *kept;

	while (s->taken || (s->taken = atomic_exchange(&s->kept, NULL))) {
		kept = s->taken;
		s->taken = kept->next;
		if (held)
			drop_slot(s->dev, kept->slot);
		free(kept);
	}
	free((void *)s->secured);
	free(s);
}

static struct uz_snapshot *snapshot_make(struct uz_device *dev)
{
	struct uz_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->dev = dev;
	s->limit = uz__device_limit(dev);
	s->pages = uz_table_pages(dev->table);
	/* Of 16 TiB these are 512 MiB, of which only what is used is there. */
	s->secured = calloc((s->pages + WORD_BITS - 1) / WORD_BITS,
			    sizeof(*s->secured));
	if (!s->secured) {
		free(s);
		return NULL;
	}
	return s;
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void snapshot_hang_in(struct uz_snapshot *s,
			     struct uz_snapshot_info *info)
{
	struct uz_device *dev = s->dev;
	uint64_t start = clock_ns();
	struct uz__counters sum;

	uz__gate_close(dev);
	dev->snapshot = s;
	uz__stat_sum(dev, &sum);
	uz__gate_open(dev);
	info->pages = sum.pages_stored;
	info->pause_ns = clock_ns() - start;
}

int uz_snapshot_begin(struct uz_device *dev, struct uz_snapshot **snap,
		      struct uz_snapshot_info *info, struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_snapshot *s;
	int ret;

	if (!dev->table)
		return uz_err_set(err, -EINVAL, "%s has no size", dev->name);
	if (dev->snapshot)
		return uz_err_set(err, -EBUSY, "%s is being saved already",
				  dev->name);
	ret = uz__codecs_describe(dev, info, err);
	if (ret)
		return ret;
	s = snapshot_make(dev);
	if (!s)
		return uz_err_set(err, -ENOMEM, "no memory to save %s",
				  dev->name);
	info->disksize = s->pages * UZ_PAGE_SIZE;
	snapshot_hang_in(s, info);
	*snap = s;
	return 0;
}

void uz_snapshot_end(struct uz_snapshot *snap)
{
	bool there;

	if (!snap)
		return;

	uz_scoped_acquire(guard, &snap->dev->lock);

	there = snap->dev->snapshot == snap;
	if (there) {
		/* Who is inside may be using it. */
		uz__gate_close(snap->dev);
		snap->dev->snapshot = NULL;
		uz__gate_open(snap->dev);
	}
	snapshot_free(snap, there);
}
