/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_AREA_PRIV_H
#define UZRAM_FUSE_AREA_PRIV_H

#include <uzram/types.h>

#include "fuse_priv.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/**
 * DOC: the memory of io_uring's entries
 *
 * How much of it there is (budget.c), how it lies in a memfd that outlives the
 * process (area.c), and what is in it.
 */

/* ---- budget.c ---- */

#define UZ__FUSE_DEPTH_MIN 2
#define UZ__FUSE_DEPTH_MAX 16
/* One page for an entry's header, so that payloads are aligned. */
#define UZ__FUSE_ENTRY_HEAD UZ_PAGE_SIZE
#define UZ__FUSE_CPUS_MAX   4096

/**
 * struct uz__fuse_plan - how many entries, how large
 * @queues:  one for each possible CPU
 * @depth:   entries of a queue
 * @payload: bytes of an entry's payload; the most that one request moves
 * @bytes:   of all entries and of the thread on /dev/fuse
 */
struct uz__fuse_plan {
	unsigned int queues;
	unsigned int depth;
	uint32_t payload;
	uint64_t bytes;
};

/**
 * uz__fuse_plan() - the best plan within a budget
 * @plan:   filled on success
 * @queues: at least 1
 * @budget: bytes
 *
 * First the depth gives way, down to 8, then the payload, down to 64 KiB. After
 * that the depth does again, down to two: with one, a store to an attribute
 * that waits for a file's close would keep that from being told. Then the
 * payload does.
 *
 * Context: any thread; pure.
 * Return:  0; -ENOSPC even the least does not fit; then @plan is the least.
 */
uz_must_check int uz__fuse_plan(struct uz__fuse_plan *plan, unsigned int queues,
				uint64_t budget);

/**
 * uz__fuse_plan_bytes() - what a plan takes
 * @plan: @plan->bytes need not be set
 *
 * Context: any thread; pure.
 * Return:  bytes.
 */
uint64_t uz__fuse_plan_bytes(const struct uz__fuse_plan *plan);

/**
 * struct uz__fuse_cpus - a set of CPUs
 * @has: by number
 */
struct uz__fuse_cpus {
	bool has[UZ__FUSE_CPUS_MAX];
};

/**
 * uz__fuse_cpus_parse() - the CPUs of a list as the kernel writes it
 * @list: "0-3,8-11\n"
 * @cpus: those are added; or NULL
 *
 * Context: any thread; pure.
 * Return:  how many, 1 ... 4096, or -EINVAL.
 */
int uz__fuse_cpus_parse(const char *list, struct uz__fuse_cpus *cpus);

/**
 * uz__fuse_cpus_possible() - the CPUs that this machine may ever have
 *
 * Context: any thread; reads a file.
 * Return:  as uz__fuse_cpus_parse(), or -errno.
 */
int uz__fuse_cpus_possible(void);

/**
 * uz__fuse_cpus_online() - the CPUs that there are now
 * @cpus: those are added
 *
 * Context: any thread; reads a file.
 * Return:  as uz__fuse_cpus_parse(), or -errno.
 */
int uz__fuse_cpus_online(struct uz__fuse_cpus *cpus);

/* ---- area.c ---- */

/* All that may follow an answer's header and does not lie in the payload. */
#define UZ__FUSE_SMALL sizeof(((struct uz__fuse_reply *)0)->out)

/**
 * struct uz__fuse_outcome - what came of an entry's request
 * @answered_id: commit_id of the request that the rest belongs to; stored
 *               last, and before anything of the request is overwritten
 * @error:       0 or -errno
 * @len:         bytes of data
 * @small:       they are in @data, not in the payload
 * @data:        a few of them
 */
struct uz__fuse_outcome {
	_Atomic uint64_t answered_id;
	int32_t error;
	uint32_t len;
	uint32_t small;
	uint32_t padding;
	unsigned char data[UZ__FUSE_SMALL];
};

/**
 * struct uz__fuse_slot - the first page of an entry's memory
 * @hdr:     the kernel's
 * @outcome: ours
 */
struct uz__fuse_slot {
	struct fuse_uring_req_header hdr;
	_Alignas(UZ_CACHELINE) struct uz__fuse_outcome outcome;
};

static_assert(sizeof(struct uz__fuse_slot) <= UZ__FUSE_ENTRY_HEAD, "layout");

static inline size_t uz__fuse_slot_size(const struct uz__fuse_plan *plan)
{
	return UZ__FUSE_ENTRY_HEAD + (size_t)plan->payload;
}

/**
 * struct uz__fuse_area - the memory of all entries
 * @fd:      memfd; borrowed
 * @offset:  where in it; a multiple of the page size
 * @size:    bytes
 * @plan:    entries
 * @base:    where it is mapped, or NULL
 * @slots:   of the entries, queue after queue, uz__fuse_slot_size() apart
 * @adopted: it was a predecessor's
 */
struct uz__fuse_area {
	int fd;
	uint64_t offset;
	size_t size;
	struct uz__fuse_plan plan;
	unsigned char *base;
	unsigned char *slots;
	bool adopted;
};

/**
 * uz__fuse_area_create() - memory for new entries
 * @area:   set on success, untouched on failure
 * @fd:     memfd, borrowed until uz__fuse_area_end(); grown if need be
 * @offset: where in it; what lies behind is lost
 * @plan:   entries
 *
 * No memory is taken but for the first page.
 *
 * Context: one thread. So for all below.
 * Return:  0 or -errno.
 */
uz_must_check int uz__fuse_area_create(struct uz__fuse_area *area, int fd,
				       uint64_t offset,
				       const struct uz__fuse_plan *plan);

/**
 * uz__fuse_area_adopt() - the memory of a process that has died
 * @area:   set on success, untouched on failure
 * @fd:     as for uz__fuse_area_create(). Any bytes at all may be in it
 * @offset: where in it
 *
 * Best called before a process maps anything else, as it takes one certain
 * place in the address space.
 *
 * Return:  0; -ENODATA there is none; -EINVAL it is not of our making, or of
 *          another version; -EEXIST its place is taken in this process, another
 *          one may be luckier; other -errno.
 */
uz_must_check int uz__fuse_area_adopt(struct uz__fuse_area *area, int fd,
				      uint64_t offset);

/**
 * uz__fuse_area_touched() - has a request ever been in that slot?
 * @area: adopted
 * @slot: 0 ... number of entries - 1
 *
 * Return: false for certain, true in doubt.
 */
bool uz__fuse_area_touched(const struct uz__fuse_area *area, unsigned int slot);

/**
 * uz__fuse_area_populate() - have all of a slot present, and mapped here
 * @area: mapped
 * @slot: 0 ... number of entries - 1
 *
 * Contents stay.
 *
 * Context: any thread; sleeps, up to about 2 us for each page that is new.
 * Return:  0 or -errno; then some of it may be present.
 */
uz_must_check int uz__fuse_area_populate(const struct uz__fuse_area *area,
					 unsigned int slot);

/**
 * uz__fuse_area_drop() - nobody is to adopt it
 * @area: mapped, or all zeroes
 */
void uz__fuse_area_drop(struct uz__fuse_area *area);

/**
 * uz__fuse_area_end() - end the mapping; the memory lives on in the memfd
 * @area: mapped, or all zeroes
 */
void uz__fuse_area_end(struct uz__fuse_area *area);

#endif
