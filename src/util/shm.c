// SPDX-License-Identifier: MIT
/*
 * Memory that can outlive the process: a memfd, mapped whole and shared. The
 * descriptor is always borrowed; ending a mapping frees nothing.
 *
 * A memfd is a file of a tmpfs of the kernel's own, and what mlock(2) keeps
 * from being swapped out of it is so only as long as a process has it mapped.
 * Memory that is never to be swapped is therefore a file without a name of
 * another tmpfs, whose files are not swapped, whoever maps them or nobody. It
 * is like a memfd in all else.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/shm.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* While part of a huge page cannot be had back; 3 ms in all. */
#define PUNCH_TRIES    7
#define PUNCH_PAUSE_NS 50000 /* doubled each time */

/* The tmpfs that is not swapped. Written before there are threads. */
static int noswap_fs = -1;

/* By system calls, as glibc has functions for them only from 2.36 on. */
static int fs_set(int fs, unsigned int command, const char *key,
		  const char *value)
{
	if (!syscall(SYS_fsconfig, fs, command, key, value, 0))
		return 0;
	return errno == EINVAL ? -ENOTSUP : -errno;
}

/* Mounted nowhere, so that nobody finds it and it needs no end. */
static int fs_mount(void)
{
	uz_autoclose int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	long ret;

	if (fs < 0)
		return -errno;
	ret = fs_set(fs, FSCONFIG_SET_FLAG, "noswap", NULL); /* Linux 6.4 */
	/* As memfds are: of any size, and of small pages. */
	if (!ret)
		ret = fs_set(fs, FSCONFIG_SET_STRING, "size", "0");
	if (!ret)
		ret = fs_set(fs, FSCONFIG_SET_STRING, "huge", "never");
	if (!ret)
		ret = fs_set(fs, FSCONFIG_CMD_CREATE, NULL, NULL);
	if (ret)
		return (int)ret;
	ret = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return ret < 0 ? -errno : (int)ret;
}

int uz_shm_noswap(void)
{
	int fs = noswap_fs < 0 ? fs_mount() : noswap_fs;

	if (fs < 0)
		return fs;
	noswap_fs = fs;
	return 0;
}

/* It has had a name, as that is shown in maps. */
static int noswap_file(const char *name)
{
	int fd = openat(noswap_fs, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);

	if (fd >= 0)
		unlinkat(noswap_fs, name, 0);
	return fd;
}

int uz_shm_memfd(const char *name)
{
	int fd = noswap_fs < 0 ? memfd_create(name, MFD_CLOEXEC)
			       : noswap_file(name);

	return fd < 0 ? -errno : fd;
}

/* It is never made shorter: a process that has died may have used all of it. */
static int make_long(int fd, size_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < size && ftruncate(fd, (off_t)size) < 0)
		return -errno;
	return 0;
}

static void *map_shared(void *at, int fd, size_t size)
{
	return mmap(at, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0), fd, 0);
}

static void unmap(char *from, char *to)
{
	if (from < to)
		munmap(from, (size_t)(to - from));
}

/*
 * Where huge pages fit, if the system has so much more address space. What is
 * mapped over was reserved here, so nobody else's is.
 */
static void *map_aligned(int fd, size_t size)
{
	size_t more = size + UZ_SHM_HUGE;
	char *space, *base;

	if (size < UZ_SHM_HUGE || more < size)
		return map_shared(NULL, fd, size);
	space = mmap(NULL, more, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		return map_shared(NULL, fd, size);
	base = space + (-(uintptr_t)space & (UZ_SHM_HUGE - 1));
	unmap(space, base);
	unmap(base + size, space + more);
	if (map_shared(base, fd, size) != MAP_FAILED)
		return base;
	unmap(base, base + size);
	return MAP_FAILED;
}

int uz_shm_map_room(struct uz_shm *shm, int fd, size_t size, size_t room)
{
	void *base;
	int err;

	if (!size || size % UZ_PAGE_SIZE || room % UZ_PAGE_SIZE)
		return -EINVAL;
	err = make_long(fd, size);
	if (err)
		return err;
	if (room < size)
		room = size;
	base = map_aligned(fd, room);
	if (base == MAP_FAILED) /* what others need of it is left to them */
		base = map_aligned(fd, room = size);
	if (base == MAP_FAILED)
		return -errno;
	/* A core file of a device's whole memory helps nobody. */
	madvise(base, room, MADV_DONTDUMP);
	*shm = (struct uz_shm){
		.fd = fd,
		.base = base,
		.size = size,
		.room = room,
	};
	return 0;
}

int uz_shm_map(struct uz_shm *shm, int fd, size_t size)
{
	return uz_shm_map_room(shm, fd, size, size);
}

int uz_shm_grow(struct uz_shm *shm, size_t size)
{
	int err;

	if (size % UZ_PAGE_SIZE)
		return -EINVAL;
	if (size <= shm->size)
		return 0;
	if (size > shm->room)
		return -ENOMEM;
	err = make_long(shm->fd, size);
	if (!err)
		shm->size = size;
	return err;
}

void uz_shm_unmap(struct uz_shm *shm)
{
	if (shm->base)
		munmap(shm->base, shm->room);
	*shm = (struct uz_shm){ .fd = -1 };
}

/* Before Linux 5.14: reserve by fallocate, then touch without changing. */
static int shm_populate_by_touch(const struct uz_shm *shm, size_t off,
				 size_t len)
{
	size_t at;

	/* A signal that a thread is to leave by ends the call, unfinished. */
	while (fallocate(shm->fd, FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len))
		if (errno != EINTR)
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

/* Is no page present there? */
static bool gone(const struct uz_shm *shm, size_t off, size_t len)
{
	off_t data = lseek(shm->fd, (off_t)off, SEEK_DATA);

	return data < 0 || (size_t)data >= off + len;
}

/*
 * A huge page of which a part is punched has to be taken apart. The kernel
 * cannot while anybody refers to it, such as I/O; then it writes zeroes, keeps
 * the memory, and says nothing. To look costs little beside the punching.
 */
int uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len)
{
	struct timespec pause = { .tv_nsec = PUNCH_PAUSE_NS };
	unsigned int tries;

	for (tries = 0; tries < PUNCH_TRIES; tries++) {
		if (fallocate(shm->fd,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)off, (off_t)len) < 0)
			return -errno;
		if (gone(shm, off, len))
			return 0;
		if (tries + 1 < PUNCH_TRIES)
			nanosleep(&pause, NULL);
		pause.tv_nsec *= 2;
	}
	return -EAGAIN;
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
