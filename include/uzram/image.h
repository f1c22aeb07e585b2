/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_IMAGE_H
#define UZRAM_IMAGE_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: images: the pages of a device in a file
 *
 * The layer knows the file and nothing of devices. An image is written from
 * beginning to end, and is there under its name only once it is complete and
 * on the disk. It is read from beginning to end, and nothing is given out of
 * it that does not match its checksum.
 *
 * The format, version 2. Version 1 is written where there is no dictionary, so
 * that older programs read it, and has zeroes for what is about them. Numbers
 * are little endian, there is no padding but what is said.
 *
 * *Header*, 1024 bytes:
 *
 * ======= ===== ==========================================================
 * offset  bytes
 * ======= ===== ==========================================================
 * 0       8     "uzramimg"
 * 8       4     version, 1 or 2
 * 12      4     bytes of a page, 4096
 * 16      8     disksize in bytes, a multiple of that
 * 24      8     number of the image, drawn at random; seed of all checksums
 *               behind the header
 * 32      8     when it was begun, seconds since 1970
 * 40      4     index of the codec for new pages
 * 44      4     0
 * 48      512   8 codecs of 64 bytes: a text as "zstd:level=3", zeroes
 *               behind it; all zeroes where there is none
 * 560     32    8 times 4: bytes of the codec's dictionary, at most 1 MiB, or
 *               0; the text then has its number, as "zstd:dict=1f...", which
 *               is XXH3, 64 bits, seed 0, of these bytes
 * 592     424   zeroes
 * 1016    8     XXH3, 64 bits, seed 0, of the 1016 bytes before it
 * ======= ===== ==========================================================
 *
 * *Blocks*, one behind the other, each of at most 1 MiB:
 *
 * ======= ===== ==========================================================
 * 0       8     XXH3, 64 bits, seeded, of all that follows in this block
 * 8       4     0x6b636f42 ("Bock"); in the last block 0x656e6f44 ("Done")
 * 12      4     bytes of the block, these 32 included
 * 16      8     number of the block: 0, 1, ...
 * 24      4     records in it
 * 28      4     0
 * 32            records
 * ======= ===== ==========================================================
 *
 * The last block has no records but 16 bytes: the number of records in the
 * whole file and the bytes of the file. Nothing follows it.
 *
 * *Records*: first those of dictionaries, codec after codec, each from its
 * first bytes to its last ones; then one for each page that is stored, in any
 * order:
 *
 * ======= ===== ==========================================================
 * 0       4     index of the page; of a dictionary, the offset divided by 4096
 * 4       2     bytes of contents: 8, 1 ... 4095, or 4096
 * 6       1     1: 8 bytes that repeat; 2: compressed; 3: as they are; 4: of
 *               the codec's dictionary, the next 4096 bytes or the rest
 * 7       1     index of the codec for 2 and 4, else 0
 * 8       4     low half of XXH3 of the contents (seed 0), xor the low half
 *               of the index times 0x9e3779b1; of a dictionary 0
 * 12            contents
 * ======= ===== ==========================================================
 *
 * A page without a record is all zeroes.
 */

#define UZ_IMAGE_CODECS	    8
#define UZ_IMAGE_CODEC_TEXT 63
#define UZ_IMAGE_DICT_MAX   (1u << 20)
#define UZ_IMAGE_DICT	    4 /* form of a record of a dictionary */

/**
 * struct uz_image_info - what the header says
 * @disksize: bytes
 * @created:  seconds since 1970
 * @codec:    index into @codecs
 * @codecs:   texts, "" where there is none
 * @dicts:    bytes of their dictionaries, or 0
 */
struct uz_image_info {
	uint64_t disksize;
	uint64_t created;
	unsigned int codec;
	char codecs[UZ_IMAGE_CODECS][UZ_IMAGE_CODEC_TEXT + 1];
	uint32_t dicts[UZ_IMAGE_CODECS];
};

/**
 * struct uz_image_page - one record
 * @index: which page
 * @form:  1 ... 4, see above
 * @codec: index of the codec
 * @size:  bytes at @bytes
 * @sum:   see above; handed on, not computed here
 * @bytes: the contents
 */
struct uz_image_page {
	uint32_t index;
	unsigned int form;
	unsigned int codec;
	uint32_t size;
	uint32_t sum;
	const void *bytes;
};

struct uz_image_writer;

/**
 * uz_image_create() - begin an image
 * @writer: set on success, untouched on failure
 * @path:   where it is to be; what is there stays until uz_image_commit()
 * @info:   for the header
 * @err:    the reason; may be NULL
 *
 * The file has no name until it is complete, where the file system can do
 * that; else it is called @path.tmp-XXXXXX. Its mode is 0600.
 *
 * Context: any thread; may sleep.
 * Return:  0; -EINVAL something else than a regular file is there; -errno.
 */
uz_must_check int uz_image_create(struct uz_image_writer **writer,
				  const char *path,
				  const struct uz_image_info *info,
				  struct uz_err *err);

/**
 * uz_image_add() - one more page
 * @writer: the image
 * @page:   copied; @size is at most UZ_PAGE_SIZE
 * @err:    the reason; may be NULL
 *
 * Context: one thread at a time; may sleep until earlier pages are written.
 * Return:  0 or -errno: then the image is only good for uz_image_abort().
 */
uz_must_check int uz_image_add(struct uz_image_writer *writer,
			       const struct uz_image_page *page,
			       struct uz_err *err);

/**
 * uz_image_bytes() - how long the file is
 * @writer: the image
 *
 * Context: the thread that uses @writer.
 * Return:  bytes, with what was added but not written yet, and its end.
 */
uint64_t uz_image_bytes(const struct uz_image_writer *writer);

/**
 * uz_image_commit() - the image is complete: have it under its name
 * @writer: freed in any case
 * @err:    the reason; may be NULL
 *
 * Replaces what was there in one step, after all of it is on the disk.
 *
 * Context: as uz_image_add(); waits for the disk.
 * Return:  0 or -errno: then there is nothing new, and what was there is as
 *          it was.
 */
uz_must_check int uz_image_commit(struct uz_image_writer *writer,
				  struct uz_err *err);

/**
 * uz_image_abort() - leave nothing behind
 * @writer: from uz_image_create(), or NULL; freed
 *
 * Context: as uz_image_add().
 */
void uz_image_abort(struct uz_image_writer *writer);

struct uz_image_reader;

/**
 * uz_image_open() - begin to read an image
 * @reader: set on success, untouched on failure
 * @path:   the file
 * @info:   filled on success
 * @err:    the reason, with the offset; may be NULL
 *
 * Context: any thread; may sleep.
 * Return:  0; -EUCLEAN it is no image, or damaged; -ENOTSUP of another
 *          version; -ENOMEM; other -errno.
 */
uz_must_check int uz_image_open(struct uz_image_reader **reader,
				const char *path, struct uz_image_info *info,
				struct uz_err *err);

/**
 * uz_image_next() - the next page
 * @reader: the image
 * @page:   filled; valid until the next call. Its numbers are within their
 *          ranges, its @index below the disksize; what is of a dictionary has
 *          the size that it must have
 * @err:    the reason, with the offset; may be NULL
 *
 * That nothing is missing is known only when 0 was returned.
 *
 * Context: one thread at a time; may sleep.
 * Return:  1 a page; 0 these were all; -EUCLEAN the file is cut off or
 *          altered; other -errno.
 */
uz_must_check int uz_image_next(struct uz_image_reader *reader,
				struct uz_image_page *page, struct uz_err *err);

/**
 * uz_image_close() - done with it
 * @reader: from uz_image_open(), or NULL
 *
 * Context: nobody uses @reader any more.
 */
void uz_image_close(struct uz_image_reader *reader);

#endif
