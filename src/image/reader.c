// SPDX-License-Identifier: MIT
/*
 * Reading an image, block by block. A block is given out page by page once its
 * checksum was found right; whatever is wrong is named with its offset.
 *
 * What a checksum covers may still be nonsense, made on purpose: every number
 * is checked before it is used.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_priv.h"

/*
 * struct uz_image_reader - an image that is being read
 * @fd:       the file
 * @path:     its name, for messages
 * @id:       number of the image
 * @pages:    of its device
 * @dicts:    bytes of its codecs' dictionaries
 * @at:       offset of the next block
 * @number:   of the next block
 * @total:    records given out
 * @left:     of the block at hand
 * @next:     offset in @block of the next record
 * @bytes:    of the block at hand
 * @done:     the last block was found
 * @block:    UZ__IMAGE_BLOCK bytes
 */
struct uz_image_reader {
	int fd;
	char *path;
	uint64_t id;
	uint64_t pages;
	uint32_t dicts[UZ_IMAGE_CODECS];
	uint64_t at;
	uint64_t number;
	uint64_t total;
	uint32_t left;
	uint32_t next;
	uint32_t bytes;
	bool done;
	unsigned char *block;
};

static int damaged(const struct uz_image_reader *r, uint64_t at,
		   const char *why, struct uz_err *err)
{
	return uz_err_set(err, -EUCLEAN,
			  "%s is damaged at byte %" PRIu64 ": %s", r->path, at,
			  why);
}

/* All of @bytes at @offset, or an error that says where the file ends. */
static int read_whole(const struct uz_image_reader *r, void *to, size_t bytes,
		      uint64_t offset, struct uz_err *err)
{
	size_t got = 0;
	ssize_t n;

	while (got < bytes) {
		n = pread(r->fd, (char *)to + got, bytes - got,
			  (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return uz_err_set(
				err, -errno,
				"cannot read %s at byte %" PRIu64 ": %s",
				r->path, offset + got, strerror(errno));
		if (!n)
			return uz_err_set(err, -EUCLEAN,
					  "%s is cut off at byte %" PRIu64
					  ": the image goes on there",
					  r->path, offset + got);
		got += (size_t)n;
	}
	return 0;
}

int uz_image_open(struct uz_image_reader **reader, const char *path,
		  struct uz_image_info *info, struct uz_err *err)
{
	unsigned char header[UZ__IMAGE_HEADER];
	struct uz_image_reader *r = calloc(1, sizeof(*r));
	int ret = -ENOMEM;

	if (r) {
		r->fd = -1;
		r->path = strdup(path);
		r->block = malloc(UZ__IMAGE_BLOCK);
	}
	if (!r || !r->path || !r->block) {
		uz_image_close(r);
		return uz_err_set(err, ret, "no memory to read %s", path);
	}
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0) {
		ret = uz_err_set(err, -errno, "cannot open %s: %s", path,
				 strerror(errno));
	} else {
		posix_fadvise(r->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		ret = read_whole(r, header, sizeof(header), 0, err);
	}
	if (!ret)
		ret = uz__image_get_header(header, info, &r->id, path, err);
	if (ret) {
		uz_image_close(r);
		return ret;
	}
	r->pages = info->disksize / UZ_PAGE_SIZE;
	memcpy(r->dicts, info->dicts, sizeof(r->dicts));
	r->at = UZ__IMAGE_HEADER;
	*reader = r;
	return 0;
}

static int end_found(struct uz_image_reader *r, struct uz_err *err)
{
	uint64_t records, bytes;
	unsigned char more;
	ssize_t n;

	uz__image_get_trailer(r->block + sizeof(struct uz__image_block),
			      &records, &bytes);
	if (records != r->total || bytes != r->at + r->bytes)
		return damaged(r, r->at, "pages are missing before it", err);
	n = pread(r->fd, &more, 1, (off_t)bytes);
	if (n < 0)
		return uz_err_set(err, -errno, "cannot read %s: %s", r->path,
				  strerror(errno));
	if (n)
		return damaged(r, bytes, "something follows the image's end",
			       err);
	r->done = true;
	return 0;
}

static bool block_sense(const struct uz__image_block *b)
{
	if (b->kind == UZ__IMAGE_DONE)
		return b->bytes == UZ__IMAGE_TRAILER && !b->records;
	return b->kind == UZ__IMAGE_MORE && b->bytes > sizeof(*b) &&
	       b->bytes <= UZ__IMAGE_BLOCK && b->records;
}

/* The next block, checked. */
static int next_block(struct uz_image_reader *r, struct uz_err *err)
{
	struct uz__image_block b;
	int ret = read_whole(r, r->block, sizeof(b), r->at, err);

	if (ret)
		return ret;
	uz__image_get_block(r->block, &b);
	if (!block_sense(&b))
		return damaged(r, r->at, "no block begins here", err);
	ret = read_whole(r, r->block + sizeof(b), b.bytes - sizeof(b),
			 r->at + sizeof(b), err);
	if (ret)
		return ret;
	if (uz__image_sum(r->block, b.bytes, r->id) != b.sum)
		return damaged(r, r->at, "a block does not match its checksum",
			       err);
	if (b.number != r->number || b.zero)
		return damaged(r, r->at, "a block is missing before it", err);
	r->bytes = b.bytes;
	r->next = sizeof(b);
	r->left = b.records;
	if (b.kind == UZ__IMAGE_DONE)
		return end_found(r, err);
	r->number++;
	return 0;
}

/* Is it of a page, or of a dictionary, that the header tells of? */
static bool is_known(const struct uz_image_reader *r,
		     const struct uz_image_page *page)
{
	uint64_t begin = (uint64_t)page->index * UZ_PAGE_SIZE;
	uint64_t left;

	if (page->form != UZ_IMAGE_DICT)
		return page->index < r->pages;
	if (begin >= r->dicts[page->codec])
		return false;
	left = r->dicts[page->codec] - begin;
	return page->size == (left < UZ_PAGE_SIZE ? left : UZ_PAGE_SIZE);
}

int uz_image_next(struct uz_image_reader *r, struct uz_image_page *page,
		  struct uz_err *err)
{
	size_t len;
	int ret;

	if (!r->left && !r->done) {
		ret = next_block(r, err);
		if (ret)
			return ret;
	}
	if (r->done)
		return 0;
	len = uz__image_get_page(r->block + r->next, r->bytes - r->next, page);
	if (!len || !is_known(r, page))
		return damaged(r, r->at + r->next, "a page makes no sense",
			       err);
	r->next += (uint32_t)len;
	r->total++;
	if (--r->left)
		return 1;
	if (r->next != r->bytes)
		return damaged(r, r->at + r->next,
			       "something follows the last page of a block",
			       err);
	r->at += r->bytes;
	return 1;
}

void uz_image_close(struct uz_image_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r->block);
	free(r);
}
