// SPDX-License-Identifier: MIT
/*
 * Memory that a successor finds where its predecessor left it: pieces of a
 * memfd. The list of them is the process's own. Each new piece takes the first
 * gap that it fits, so processes that do the same have the same pages, and one
 * that does a thing over and over does not have more each time.
 *
 * What lies there was somebody's, so it is zeroed. Pieces that the list has no
 * room for are anonymous memory.
 *
 * The lock covers the list and mmap(2), but nothing that waits for memory.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <uzram/util/ahead.h>
#include <uzram/util/lock.h>
#include <uzram/util/spare.h>

#define PIECES 256 /* more than threads with a buffer */

/* struct piece - @size bytes at @offset of the memfd, mapped @at */
struct piece {
	size_t offset;
	size_t size;
	char *at;
};

/* Written before there are threads. */
static int spare_fd = -1;

/* By offset. */
static struct piece pieces[PIECES];
static unsigned int count;
static struct uz_lock lock;

void uz_spare_use(int fd)
{
	if (spare_fd < 0)
		uz_lock_init(&lock, UZ_LOCK_LEAF);
	spare_fd = fd;
	count = 0;
}

/* The piece that @at lies in, or NULL. */
static struct piece *find(const char *at)
{
	struct piece *p;

	for (p = pieces; p < pieces + count; p++)
		if (at >= p->at && at < p->at + p->size)
			return p;
	return NULL;
}

/* Maps a piece and notes it; NULL if it cannot be had. */
static char *take(size_t size, size_t *offset)
{
	size_t end = 0;
	unsigned int i;
	void *at;
	uz_scoped_acquire(guard, &lock);

	if (count == PIECES)
		return NULL;
	for (i = 0; i < count && pieces[i].offset - end < size; i++)
		end = pieces[i].offset + pieces[i].size;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, spare_fd,
		  (off_t)end);
	if (at == MAP_FAILED)
		return NULL;
	memmove(pieces + i + 1, pieces + i, (count - i) * sizeof(*pieces));
	pieces[i] = (struct piece){ .offset = end, .size = size, .at = at };
	count++;
	*offset = end;
	return at;
}

/* The last @size bytes of the piece with @at are not its any more. */
static void drop(const char *at, size_t size)
{
	struct piece *p;
	uz_scoped_acquire(guard, &lock);

	p = find(at);
	p->size -= size;
	if (p->size)
		return;
	count--;
	memmove(p, p + 1, (size_t)(pieces + count - p) * sizeof(*p));
}

/* Where @at lies in the memfd, or -1. */
static off_t offset_of(const char *at)
{
	const struct piece *p;
	uz_scoped_acquire(guard, &lock);

	p = find(at);
	return p ? (off_t)p->offset + (at - p->at) : -1;
}

static void *map_anonymous(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	uz_ahead_memory(at, size);
	return at;
}

static size_t whole_pages(size_t size)
{
	return (size + UZ_PAGE_SIZE - 1) & ~(size_t)(UZ_PAGE_SIZE - 1);
}

void *uz_spare_map(size_t size)
{
	char *at = NULL;
	size_t offset;

	size = whole_pages(size);
	if (spare_fd >= 0)
		at = take(size, &offset);
	if (!at)
		return map_anonymous(size);
	/* To touch what the file does not reach would be a signal. */
	if (fallocate(spare_fd, 0, (off_t)offset, (off_t)size)) {
		uz_spare_unmap(at, size);
		return map_anonymous(size);
	}
	uz_ahead_memory(at, size);
	memset(at, 0, size);
	return at;
}

void uz_spare_unmap(void *mem, size_t size)
{
	off_t offset = spare_fd < 0 ? -1 : offset_of(mem);

	size = whole_pages(size);
	/* Nobody has its place before it is empty. */
	if (offset >= 0) {
		fallocate(spare_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  offset, (off_t)size);
		drop(mem, size);
	}
	munmap(mem, size);
}
