// SPDX-License-Identifier: MIT
/*
 * The file behind a store: opening, reading, numbers.
 *
 * It is opened twice, where it can be: for writes by direct I/O, which costs
 * neither memory nor a copy, and when it is done has reached the device; and
 * for reads, whose pieces begin anywhere, through the page cache. The kernel
 * throws out of the cache what is written past it. A file that cannot do
 * direct I/O in whole blocks is opened once, and all goes through the cache.
 *
 * The descriptor for writes is the one that keeps others away. A write that is
 * under way when its process is killed still has it, so nobody has the file
 * before that write has ended.
 *
 * No locks here; counters are relaxed, as they order nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "backing_priv.h"

/* How long a read waits for memory. */
#define WANT_MS	     5000
#define WANT_STEP_MS 5

static int file_size(int fd, const struct stat *st, uint64_t *size)
{
	if (S_ISREG(st->st_mode)) {
		*size = (uint64_t)st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
}

/* -EINVAL: none in whole blocks. What else is wrong with it is found later. */
static int open_direct(const char *path, int flags)
{
	_Alignas(UZ_BLOCK_SIZE) char block[UZ_BLOCK_SIZE];
	int fd = open(path, flags | O_DIRECT);

	if (fd < 0)
		return -errno;
	if (pread(fd, block, sizeof(block), 0) >= 0 || errno != EINVAL)
		return fd;
	close(fd);
	return -EINVAL;
}

static int same_file(int fd, const struct stat *st)
{
	struct stat other;

	if (fstat(fd, &other))
		return -errno;
	return other.st_dev == st->st_dev && other.st_ino == st->st_ino
		       ? 0
		       : -ESTALE;
}

/* O_EXCL on a block device: refused while it is mounted or swapped on. */
static int open_both(struct uz_backing *b, const char *path,
		     const struct stat *st)
{
	int flags = O_RDWR | O_CLOEXEC | (S_ISBLK(st->st_mode) ? O_EXCL : 0);

	b->out = open_direct(path, flags);
	if (b->out == -EINVAL) {
		b->out = b->fd = open(path, flags);
		return b->fd < 0 ? -errno : 0;
	}
	if (b->out < 0)
		return b->out;
	b->direct = true;
	b->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (b->fd < 0)
		return -errno;
	return same_file(b->fd, st) ? -ESTALE : same_file(b->out, st);
}

static int file_open(struct uz_backing *b, const char *path, struct uz_err *err)
{
	struct stat st;
	int ret;

	if (path[0] != '/')
		return uz_err_set(err, -EINVAL,
				  "'%s': give the backing store's whole path",
				  path);
	if (stat(path, &st))
		return uz_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return uz_err_set(err, S_ISDIR(st.st_mode) ? -EISDIR : -ENOTBLK,
				  "%s: a backing store is a file or a block "
				  "device",
				  path);
	ret = open_both(b, path, &st);
	if (ret == -EBUSY)
		return uz_err_set(err, ret, "%s is in use (mounted, or swap)",
				  path);
	return ret ? uz_err_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

static int backing_fill(struct uz_backing *b, const char *path,
			struct uz_err *err)
{
	struct stat st;
	uint64_t size;
	int ret;

	if (flock(b->out, LOCK_EX | LOCK_NB))
		return uz_err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno,
				  "%s is the backing store of another device",
				  path);
	ret = fstat(b->fd, &st) ? -errno : file_size(b->fd, &st, &size);
	if (ret)
		return uz_err_set(err, ret, "%s: its size: %s", path,
				  strerror(-ret));
	if (size > UZ_BACKING_MAX)
		size = UZ_BACKING_MAX;
	b->blocks = size / UZ_BLOCK_SIZE;
	b->dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	b->ino = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	if (!b->blocks)
		return uz_err_set(err, -EINVAL,
				  "%s: of %llu bytes, too small for a block; "
				  "give it a size (truncate -s)",
				  path, (unsigned long long)size);
	ret = uz__space_create(b);
	if (ret)
		return uz_err_set(err, ret,
				  "%s: no memory to count %llu blocks", path,
				  (unsigned long long)b->blocks);
	/* Pages are read back one by one, and seldom in order. */
	posix_fadvise(b->fd, 0, 0, POSIX_FADV_RANDOM);
	return 0;
}

int uz_backing_open(struct uz_backing **backing, const char *path,
		    struct uz_err *err)
{
	struct uz_backing *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return uz_err_set(err, -ENOMEM, "%s: no memory", path);
	b->fd = b->out = -1;
	uz_lock_init(&b->lock, UZ_LOCK_LEAF);
	ret = file_open(b, path, err);
	if (!ret)
		ret = backing_fill(b, path, err);
	if (ret) {
		uz_backing_close(b);
		return ret;
	}
	*backing = b;
	return 0;
}

void uz_backing_close(struct uz_backing *b)
{
	if (!b)
		return;
	uz__space_destroy(b);
	uz_lock_destroy(&b->lock);
	if (b->out >= 0 && b->out != b->fd)
		close(b->out);
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

bool uz_backing_direct(const struct uz_backing *b)
{
	return b->direct;
}

/*
 * The page cache has no memory, be it that of a cgroup: what lies there can be
 * read a moment later. An error would be that of a disk that is broken.
 */
static bool is_worth_waiting(unsigned int *tries)
{
	const struct timespec step = { .tv_nsec = WANT_STEP_MS * 1000000L };

	if (errno != ENOMEM || !*tries)
		return false;
	--*tries;
	nanosleep(&step, NULL);
	return true;
}

int uz_backing_read(struct uz_backing *b, uint64_t offset, void *buf,
		    size_t length)
{
	unsigned int tries = WANT_MS / WANT_STEP_MS;
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = pread(b->fd, (char *)buf + done, length - done,
			  (off_t)(offset + done));
		if (n < 0 && (errno == EINTR || is_worth_waiting(&tries)))
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		done += (size_t)n;
	}
	/* relaxed: a number for people */
	atomic_fetch_add_explicit(&b->read, length, memory_order_relaxed);
	return 0;
}
