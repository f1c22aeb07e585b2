// SPDX-License-Identifier: MIT
/*
 * The memory of io_uring's entries: a part of a memfd that a process hands on
 * to its successor. The kernel knows an entry by the addresses of its buffers,
 * so both processes have it at the same place, which is noted in its first
 * page. The place is random, in a stretch of the address space where nothing
 * else is put by itself; should it be taken all the same, the successor has to
 * be started anew and is laid out differently then.
 *
 *	page 0           what this is, how large, where it has to be
 *	page 1, ...      entry 0: a page with struct uz__fuse_slot, the payload
 *	                 entry 1, ...
 *
 * Whatever the memory holds, nothing but a plausible head is mapped. What the
 * entries hold is for entry.c to judge.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>

#include "area_priv.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17 */
#endif

/* "uzentry" and the version of all that lies here. */
#define MAGIC UINT64_C(0x017972746e657a75)

/*
 * Programs, heaps, stacks and mappings of any process lie above or below of
 * [2^45, 2^46), and so does what sanitizers reserve. But one of them lets
 * nobody go there.
 */
#if UINTPTR_MAX > UINT32_MAX && !defined(__SANITIZE_THREAD__)
#define PLACES_START (UINT64_C(1) << 45)
#define PLACES_SIZE  (UINT64_C(1) << 45)
#endif
#define TRIES 4

/* No process has anything from here on. */
#if UINTPTR_MAX > UINT32_MAX
#define PROGRAMS_END (UINT64_C(1) << 56)
#else
#define PROGRAMS_END UINTPTR_MAX
#endif

struct head {
	_Atomic uint64_t magic;
	uint64_t address;
	uint32_t queues;
	uint32_t depth;
	uint32_t payload;
	uint32_t padding;
};

static_assert(sizeof(struct head) == 32, "layout");

static size_t size_of(const struct uz__fuse_plan *plan)
{
	return UZ_PAGE_SIZE +
	       (size_t)plan->queues * plan->depth * uz__fuse_slot_size(plan);
}

static void *map(const struct uz__fuse_area *area, void *at, int flags)
{
	return mmap(at, area->size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE | flags, area->fd,
		    (off_t)area->offset);
}

/* At a random place; or where the kernel likes, if there is none. */
static void *map_anywhere(const struct uz__fuse_area *area)
{
#ifdef PLACES_START
	uint64_t place;
	void *base;
	int i;

	for (i = 0; i < TRIES; i++) {
		if (getrandom(&place, sizeof(place), GRND_NONBLOCK) !=
		    (ssize_t)sizeof(place))
			break;
		place = PLACES_START +
			place % PLACES_SIZE / UZ_PAGE_SIZE * UZ_PAGE_SIZE;
		base = map(area, (void *)(uintptr_t)place, MAP_FIXED_NOREPLACE);
		if ((uintptr_t)base == place)
			return base;
		/* A kernel that does not know the flag takes it for a hint. */
		if (base != MAP_FAILED)
			munmap(base, area->size);
	}
#endif
	return map(area, NULL, 0);
}

static void use(struct uz__fuse_area *area, void *base)
{
	area->base = base;
	area->slots = area->base + UZ_PAGE_SIZE;
	/* A huge page would be one request's. */
	madvise(base, area->size, MADV_NOHUGEPAGE);
	/* A core file is no place for what clients write. */
	madvise(base, area->size, MADV_DONTDUMP);
	uz_ahead_memory(base, area->size);
}

/* Long enough, and nothing there. */
static int make_room(const struct uz__fuse_area *area)
{
	const off_t end = (off_t)(area->offset + area->size);
	struct stat st;

	if (fstat(area->fd, &st))
		return -errno;
	if (st.st_size < end)
		return ftruncate(area->fd, end) ? -errno : 0;
	return fallocate(area->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)area->offset, (off_t)area->size)
		       ? -errno
		       : 0;
}

int uz__fuse_area_create(struct uz__fuse_area *area, int fd, uint64_t offset,
			 const struct uz__fuse_plan *plan)
{
	struct uz__fuse_area a = {
		.fd = fd,
		.offset = offset,
		.size = size_of(plan),
		.plan = *plan,
	};
	struct head *head;
	void *base;
	int ret = make_room(&a);

	if (ret)
		return ret;
	base = map_anywhere(&a);
	if (base == MAP_FAILED)
		return -errno;
	use(&a, base);
	head = base;
	head->address = (uintptr_t)base;
	head->queues = plan->queues;
	head->depth = plan->depth;
	head->payload = plan->payload;
	/* release: who sees it sees the rest. */
	atomic_store_explicit(&head->magic, MAGIC, memory_order_release);
	*area = a;
	return 0;
}

static bool plausible(const struct head *head, const struct stat *st,
		      const struct uz__fuse_area *area)
{
	return head->queues && head->queues <= UZ__FUSE_CPUS_MAX &&
	       head->depth && head->depth <= UZ__FUSE_DEPTH_MAX &&
	       head->payload >= FUSE_MIN_READ_BUFFER &&
	       head->payload <= UZ__FUSE_IO_MAX &&
	       head->payload % UZ_PAGE_SIZE == 0 && head->address &&
	       head->address % UZ_PAGE_SIZE == 0 &&
	       head->address <= PROGRAMS_END - area->size &&
	       (uint64_t)st->st_size >= area->offset &&
	       (uint64_t)st->st_size - area->offset >= area->size;
}

int uz__fuse_area_adopt(struct uz__fuse_area *area, int fd, uint64_t offset)
{
	struct uz__fuse_area a = { .fd = fd,
				   .offset = offset,
				   .adopted = true };
	struct head head;
	struct stat st;
	void *at, *base;
	ssize_t n = pread(fd, &head, sizeof(head), (off_t)offset);

	if (n < 0 || fstat(fd, &st))
		return -errno;
	if (n < (ssize_t)sizeof(head) || !head.magic)
		return -ENODATA;
	a.plan = (struct uz__fuse_plan){
		.queues = head.queues,
		.depth = head.depth,
		.payload = head.payload,
	};
	a.size = size_of(&a.plan);
	if (head.magic != MAGIC || !plausible(&head, &st, &a))
		return -EINVAL;
	a.plan.bytes = uz__fuse_plan_bytes(&a.plan);
	at = (void *)(uintptr_t)head.address;
	base = map(&a, at, MAP_FIXED_NOREPLACE);
	if (base == MAP_FAILED)
		return -errno;
	if (base != at) {
		munmap(base, a.size);
		return -EEXIST;
	}
	use(&a, base);
	uz_delay(UZ_DELAY_MAPPED);
	*area = a;
	return 0;
}

/* By a call: a look at the mapping would take memory for what is not there. */
static bool peek(const struct uz__fuse_area *area, unsigned int slot,
		 size_t what, void *buf, size_t len)
{
	const uint64_t at = area->offset + UZ_PAGE_SIZE +
			    slot * (uint64_t)uz__fuse_slot_size(&area->plan);

	return pread(area->fd, buf, len, (off_t)(at + what)) == (ssize_t)len;
}

bool uz__fuse_area_touched(const struct uz__fuse_area *area, unsigned int slot)
{
	uint64_t id;

	return !peek(area, slot,
		     offsetof(struct uz__fuse_slot, hdr.ent.commit_id), &id,
		     sizeof(id)) ||
	       id;
}

int uz__fuse_area_populate(const struct uz__fuse_area *area, unsigned int slot)
{
	const size_t size = uz__fuse_slot_size(&area->plan);

	return madvise(area->slots + slot * size, size, MADV_POPULATE_WRITE)
		       ? -errno
		       : 0;
}

void uz__fuse_area_drop(struct uz__fuse_area *area)
{
	struct head *head = (struct head *)area->base;

	if (head)
		atomic_store_explicit(&head->magic, 0, memory_order_release);
}

void uz__fuse_area_end(struct uz__fuse_area *area)
{
	if (area->base)
		munmap(area->base, area->size);
	*area = (struct uz__fuse_area){ .fd = -1 };
}
