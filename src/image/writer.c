// SPDX-License-Identifier: MIT
/*
 * Writing an image: records are put into a buffer until the next one would not
 * fit, then it is closed with its checksum and sent off (output.c) while the
 * next one is filled.
 *
 * After a failure nothing more is written: the same error comes again until
 * the image is given up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "image_priv.h"

/*
 * struct uz_image_writer - an image that is being written
 * @target:  the file
 * @out:     writes it
 * @id:      number of the image
 * @block:   the buffer that is being filled, or NULL
 * @fill:    bytes in it
 * @records: in it
 * @number:  of the block
 * @total:   records in the blocks before
 * @bytes:   of the file before this block
 * @failed:  0 or -errno
 */
struct uz_image_writer {
	struct uz__target target;
	struct uz__output *out;
	uint64_t id;
	unsigned char *block;
	uint32_t fill;
	uint32_t records;
	uint64_t number;
	uint64_t total;
	uint64_t bytes;
	int failed;
};

static int writer_failed(struct uz_image_writer *w, int ret, struct uz_err *err)
{
	if (!ret)
		return 0;
	w->failed = ret;
	return uz_err_set(err, ret, "cannot write %s: %s", w->target.path,
			  strerror(-ret));
}

static int block_begin(struct uz_image_writer *w)
{
	int ret = uz__output_buffer(w->out, &w->block);

	w->fill = sizeof(struct uz__image_block);
	w->records = 0;
	return ret;
}

static int block_end(struct uz_image_writer *w, uint32_t kind)
{
	unsigned char *block = w->block;

	uz__image_put_block(block, kind, w->fill, w->number, w->records, w->id);
	w->block = NULL;
	w->number++;
	w->total += w->records;
	w->bytes += w->fill;
	return uz__output_send(w->out, block, w->fill);
}

static int write_header(struct uz_image_writer *w,
			const struct uz_image_info *info)
{
	unsigned char *buffer;
	int ret = uz__output_buffer(w->out, &buffer);

	if (ret)
		return ret;
	uz__image_put_header(buffer, info, w->id);
	w->bytes = UZ__IMAGE_HEADER;
	return uz__output_send(w->out, buffer, UZ__IMAGE_HEADER);
}

int uz_image_create(struct uz_image_writer **writer, const char *path,
		    const struct uz_image_info *info, struct uz_err *err)
{
	struct uz_image_writer *w = calloc(1, sizeof(*w));
	int ret;

	if (!w)
		return uz_err_set(err, -ENOMEM, "no memory to write %s", path);
	/* Without randomness the time tells two images apart as well. */
	if (getrandom(&w->id, sizeof(w->id), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(w->id))
		w->id = (uint64_t)time(NULL);
	ret = uz__target_open(&w->target, path, err);
	if (!ret) {
		ret = uz__output_create(&w->out, w->target.fd);
		if (!ret)
			ret = write_header(w, info);
		writer_failed(w, ret, err);
	}
	if (ret) {
		uz_image_abort(w);
		return ret;
	}
	*writer = w;
	return 0;
}

int uz_image_add(struct uz_image_writer *w, const struct uz_image_page *page,
		 struct uz_err *err)
{
	int ret = w->failed;

	if (!ret && w->block &&
	    w->fill + UZ__IMAGE_RECORD + page->size > UZ__IMAGE_BLOCK)
		ret = block_end(w, UZ__IMAGE_MORE);
	if (!ret && !w->block)
		ret = block_begin(w);
	if (ret)
		return writer_failed(w, ret, err);
	w->fill += (uint32_t)uz__image_put_page(w->block + w->fill, page);
	w->records++;
	return 0;
}

uint64_t uz_image_bytes(const struct uz_image_writer *w)
{
	return w->bytes + (w->block ? w->fill : 0) + UZ__IMAGE_TRAILER;
}

static int write_end(struct uz_image_writer *w)
{
	int ret = w->failed;

	if (!ret && w->block)
		ret = block_end(w, UZ__IMAGE_MORE);
	if (!ret)
		ret = block_begin(w);
	if (!ret) {
		uz__image_put_trailer(w->block + w->fill, w->total,
				      w->bytes + UZ__IMAGE_TRAILER);
		w->fill = UZ__IMAGE_TRAILER;
		ret = block_end(w, UZ__IMAGE_DONE);
	}
	return ret ? ret : uz__output_flush(w->out);
}

int uz_image_commit(struct uz_image_writer *w, struct uz_err *err)
{
	int ret = writer_failed(w, write_end(w), err);

	if (!ret) {
		uz__output_destroy(w->out);
		w->out = NULL;
		ret = uz__target_settle(&w->target, err);
	}
	uz_image_abort(w);
	return ret;
}

void uz_image_abort(struct uz_image_writer *w)
{
	if (!w)
		return;
	uz__output_destroy(w->out);
	uz__target_close(&w->target);
	free(w);
}
