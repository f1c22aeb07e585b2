// SPDX-License-Identifier: MIT
/*
 * Memory that can outlive the process: a memfd, mapped whole and shared. The
 * descriptor is always borrowed; ending a mapping frees nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/shm.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

int uz_shm_memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int uz_shm_map(struct uz_shm *shm, int fd, size_t size)
{
	struct stat st;
	void *base;

	if (!size || size % UZ_PAGE_SIZE)
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < size && ftruncate(fd, (off_t)size) < 0)
		return -errno;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	/* A core file of a device's whole memory helps nobody. */
	madvise(base, size, MADV_DONTDUMP);
	*shm = (struct uz_shm){ .fd = fd, .base = base, .size = size };
	return 0;
}

void uz_shm_unmap(struct uz_shm *shm)
{
	if (shm->base)
		munmap(shm->base, shm->size);
	*shm = (struct uz_shm){ .fd = -1 };
}

/* Before Linux 5.14: reserve by fallocate, then touch without changing. */
static int shm_populate_by_touch(const struct uz_shm *shm, size_t off,
				 size_t len)
{
	size_t at;

	if (fallocate(shm->fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
		return errno == ENOSPC ? -ENOMEM : -errno;
	for (at = off; at < off + len; at += UZ_PAGE_SIZE) {
		_Atomic unsigned char *byte =
			(_Atomic unsigned char *)shm->base + at;

		/* A write that changes nothing, whoever else writes there. */
		atomic_fetch_or_explicit(byte, 0, memory_order_relaxed);
	}
	return 0;
}

int uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len)
{
	static _Atomic bool too_old;

	/* relaxed: a stale answer costs one more refused call, no more. */
	if (!atomic_load_explicit(&too_old, memory_order_relaxed)) {
		if (!madvise((char *)shm->base + off, len, MADV_POPULATE_WRITE))
			return 0;
		if (errno == EFAULT)
			return -ENOMEM; /* the fault would have been SIGBUS */
		if (errno != EINVAL)
			return -errno;
		atomic_store_explicit(&too_old, true, memory_order_relaxed);
	}
	return shm_populate_by_touch(shm, off, len);
}

int uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len)
{
	if (fallocate(shm->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)off, (off_t)len) < 0)
		return -errno;
	return 0;
}

int uz_shm_next_data(const struct uz_shm *shm, size_t off, size_t *start,
		     size_t *end)
{
	off_t s, e;

	if (off >= shm->size)
		return -ENXIO;
	s = lseek(shm->fd, (off_t)off, SEEK_DATA);
	if (s < 0)
		return -errno;
	e = lseek(shm->fd, s, SEEK_HOLE);
	if (e < 0)
		return -errno;
	if ((size_t)s >= shm->size)
		return -ENXIO;
	*start = (size_t)s;
	*end = (size_t)e < shm->size ? (size_t)e : shm->size;
	return 0;
}

uint64_t uz_shm_resident(const struct uz_shm *shm)
{
	struct stat st;

	if (fstat(shm->fd, &st) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}
