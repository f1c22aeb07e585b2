// SPDX-License-Identifier: MIT
/*
 * Ordinary memory that can grow and does not move: one mapping without rights,
 * of which more and more becomes readable and writable. What has no rights
 * counts against no limit but that of address space, also where the system
 * does not hand out more memory than it has.
 *
 * No locks: one thread at a time makes it grow.
 */
#include <errno.h>
#include <sys/mman.h>

#include <uzram/util/reserve.h>

static size_t whole_pages(size_t size)
{
	return (size + UZ_PAGE_SIZE - 1) & ~(size_t)(UZ_PAGE_SIZE - 1);
}

static void *reserve(size_t size)
{
	return mmap(NULL, size, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int uz_reserve_map(struct uz_reserve *r, size_t size, size_t room)
{
	void *base;

	size = whole_pages(size);
	room = whole_pages(room);
	if (!size)
		return -ENOMEM;
	if (room < size)
		room = size;
	base = reserve(room);
	if (base == MAP_FAILED) /* what others need of it is left to them */
		base = reserve(room = size);
	if (base == MAP_FAILED)
		return -ENOMEM;
	if (mprotect(base, size, PROT_READ | PROT_WRITE)) {
		munmap(base, room);
		return -ENOMEM;
	}
	*r = (struct uz_reserve){ .base = base, .size = size, .room = room };
	return 0;
}

int uz_reserve_grow(struct uz_reserve *r, size_t size)
{
	size = whole_pages(size);
	if (size <= r->size)
		return 0;
	if (size > r->room || mprotect((char *)r->base + r->size,
				       size - r->size, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	r->size = size;
	return 0;
}

void uz_reserve_unmap(struct uz_reserve *r)
{
	if (r->base)
		munmap(r->base, r->room);
	*r = (struct uz_reserve){ 0 };
}
