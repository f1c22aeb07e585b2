/* SPDX-License-Identifier: MIT */
#ifndef UZ_IMAGE_PRIV_H
#define UZ_IMAGE_PRIV_H

#include <uzram/image.h>

#define UZ__IMAGE_HEADER  1024u
#define UZ__IMAGE_BLOCK	  (1u << 20) /* most bytes of a block */
#define UZ__IMAGE_RECORD  12u /* bytes before a record's contents */
#define UZ__IMAGE_MORE	  0x6b636f42u /* block with records */
#define UZ__IMAGE_DONE	  0x656e6f44u /* the last block */
#define UZ__IMAGE_TRAILER (sizeof(struct uz__image_block) + 16)

/*
 * struct uz__image_block - what a block begins with; all little endian
 * @sum:     of all that follows in the block
 * @kind:    UZ__IMAGE_MORE or UZ__IMAGE_DONE
 * @bytes:   of the block, this included
 * @number:  of the block
 * @records: in the block
 * @zero:    0
 */
struct uz__image_block {
	uint64_t sum;
	uint32_t kind;
	uint32_t bytes;
	uint64_t number;
	uint32_t records;
	uint32_t zero;
};

/* ---- format.c ---- */

/* The header's UZ__IMAGE_HEADER bytes, and back. */
void uz__image_put_header(unsigned char *to, const struct uz_image_info *info,
			  uint64_t id);
uz_must_check int uz__image_get_header(const unsigned char *from,
				       struct uz_image_info *info, uint64_t *id,
				       const char *path, struct uz_err *err);

/* The sum of a block of @bytes, by its image's number. */
uint64_t uz__image_sum(const void *block, size_t bytes, uint64_t id);

/* Fill in the beginning of a block; its sum last. */
void uz__image_put_block(unsigned char *block, uint32_t kind, uint32_t bytes,
			 uint64_t number, uint32_t records, uint64_t id);

/* The beginning of a block, in this machine's order; nothing is checked. */
void uz__image_get_block(const unsigned char *from,
			 struct uz__image_block *block);

/* One record: bytes written; or bytes read, 0 when it makes no sense. */
size_t uz__image_put_page(unsigned char *to, const struct uz_image_page *page);
size_t uz__image_get_page(const unsigned char *from, size_t left,
			  struct uz_image_page *page);

void uz__image_put_trailer(unsigned char *to, uint64_t records, uint64_t bytes);
void uz__image_get_trailer(const unsigned char *from, uint64_t *records,
			   uint64_t *bytes);

/* ---- output.c ---- */

struct uz__output;

/*
 * A file that is written from beginning to end, some buffers at a time.
 * Buffers are of UZ__IMAGE_BLOCK bytes. Errors come from any later call.
 */
uz_must_check int uz__output_create(struct uz__output **out, int fd);
uz_must_check int uz__output_buffer(struct uz__output *out,
				    unsigned char **buffer);
uz_must_check int uz__output_send(struct uz__output *out, unsigned char *buffer,
				  size_t bytes);
uz_must_check int uz__output_flush(struct uz__output *out);
void uz__output_destroy(struct uz__output *out);

/* ---- target.c ---- */

/*
 * struct uz__target - a file that is not there yet
 * @fd:   open for writing
 * @path: what it will be called
 * @tmp:  what it is called now; "" while it has no name
 */
struct uz__target {
	int fd;
	char *path;
	char *tmp;
};

uz_must_check int uz__target_open(struct uz__target *target, const char *path,
				  struct uz_err *err);
uz_must_check int uz__target_settle(struct uz__target *target,
				    struct uz_err *err);
void uz__target_close(struct uz__target *target);

#endif
