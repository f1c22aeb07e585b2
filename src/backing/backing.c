// SPDX-License-Identifier: MIT
/*
 * The file behind a store: opening, reading, numbers.
 *
 * The file goes through the system's page cache, because pieces begin
 * anywhere; the cache is told to forget what was written (writer.c) and read.
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
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "backing_priv.h"

static int file_size(int fd, const struct stat *st, uint64_t *size)
{
	if (S_ISREG(st->st_mode)) {
		*size = (uint64_t)st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, size) ? -errno : 0;
}

/* O_EXCL on a block device: refused while it is mounted or swapped on. */
static int file_open(const char *path, struct uz_err *err)
{
	struct stat st;
	int fd;

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
	fd = open(path,
		  O_RDWR | O_CLOEXEC | (S_ISBLK(st.st_mode) ? O_EXCL : 0));
	if (fd >= 0)
		return fd;
	if (errno == EBUSY)
		return uz_err_set(err, -EBUSY,
				  "%s is in use (mounted, or swap)", path);
	return uz_err_set(err, -errno, "%s: %s", path, strerror(errno));
}

static int backing_fill(struct uz_backing *b, const char *path,
			struct uz_err *err)
{
	struct stat st;
	uint64_t size;
	int ret;

	if (flock(b->fd, LOCK_EX | LOCK_NB))
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
	struct uz_backing *b;
	int fd, ret;

	fd = file_open(path, err);
	if (fd < 0)
		return fd;
	b = calloc(1, sizeof(*b));
	if (!b) {
		close(fd);
		return uz_err_set(err, -ENOMEM, "%s: no memory", path);
	}
	b->fd = fd;
	uz_lock_init(&b->lock, UZ_LOCK_LEAF);
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
	close(b->fd);
	free(b);
}

int uz_backing_read(struct uz_backing *b, uint64_t offset, void *buf,
		    size_t length)
{
	size_t done = 0;
	ssize_t n;

	while (done < length) {
		n = pread(b->fd, (char *)buf + done, length - done,
			  (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
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
