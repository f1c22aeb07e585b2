// SPDX-License-Identifier: MIT
/*
 * The bytes of an image, as include/uzram/image.h describes them: to and from
 * the structures that the program works with. Nothing is read or written here,
 * and nothing that comes from a file is believed before its sum was checked;
 * what the sum covers is checked all the same, since anybody can compute one.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "image_priv.h"

#define VERSION	   2
#define PLAIN	   1 /* no dictionaries, which older programs read */
#define AT_VERSION 8
#define AT_PAGE	   12
#define AT_SIZE	   16
#define AT_ID	   24
#define AT_CREATED 32
#define AT_CODEC   40
#define AT_CODECS  48
#define AT_DICTS   560
#define AT_SUM	   1016

static const char magic[8] = { 'u', 'z', 'r', 'a', 'm', 'i', 'm', 'g' };

static void put16(unsigned char *to, uint16_t v)
{
	v = htole16(v);
	memcpy(to, &v, sizeof(v));
}

static void put32(unsigned char *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(unsigned char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof(v));
}

static uint16_t get16(const unsigned char *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof(v));
	return le16toh(v);
}

static uint32_t get32(const unsigned char *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return le32toh(v);
}

static uint64_t get64(const unsigned char *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return le64toh(v);
}

/* ---- header ---- */

void uz__image_put_header(unsigned char *to, const struct uz_image_info *info,
			  uint64_t id)
{
	uint32_t version = PLAIN;
	unsigned int i;

	memset(to, 0, UZ__IMAGE_HEADER);
	for (i = 0; i < UZ_IMAGE_CODECS; i++) {
		put32(to + AT_DICTS + i * sizeof(uint32_t), info->dicts[i]);
		if (info->dicts[i])
			version = VERSION;
	}
	memcpy(to, magic, sizeof(magic));
	put32(to + AT_VERSION, version);
	put32(to + AT_PAGE, UZ_PAGE_SIZE);
	put64(to + AT_SIZE, info->disksize);
	put64(to + AT_ID, id);
	put64(to + AT_CREATED, info->created);
	put32(to + AT_CODEC, info->codec);
	for (i = 0; i < UZ_IMAGE_CODECS; i++)
		memcpy(to + AT_CODECS + i * sizeof(info->codecs[i]),
		       info->codecs[i], strlen(info->codecs[i]));
	put64(to + AT_SUM, XXH3_64bits(to, AT_SUM));
}

static int header_sense(const struct uz_image_info *info, const char *path,
			struct uz_err *err)
{
	bool sense = info->disksize >= UZ_DISKSIZE_MIN &&
		     info->disksize <= UZ_DISKSIZE_MAX &&
		     info->disksize % UZ_PAGE_SIZE == 0 &&
		     info->codec < UZ_IMAGE_CODECS;
	unsigned int i;

	for (i = 0; i < UZ_IMAGE_CODECS && sense; i++)
		sense = !info->codecs[i][UZ_IMAGE_CODEC_TEXT] &&
			info->dicts[i] <= UZ_IMAGE_DICT_MAX;
	if (sense && *info->codecs[info->codec])
		return 0;
	return uz_err_set(err, -EUCLEAN, "%s: its header makes no sense", path);
}

int uz__image_get_header(const unsigned char *from, struct uz_image_info *info,
			 uint64_t *id, const char *path, struct uz_err *err)
{
	uint32_t version = get32(from + AT_VERSION);
	unsigned int i;

	if (memcmp(from, magic, sizeof(magic)))
		return uz_err_set(err, -EUCLEAN,
				  "%s is no image of a uzram device", path);
	/* First: where the sum is, the version says. */
	if (version != VERSION && version != PLAIN)
		return uz_err_set(
			err, -ENOTSUP,
			"%s is an image of version %u, this program knows version %d",
			path, version, VERSION);
	if (get64(from + AT_SUM) != XXH3_64bits(from, AT_SUM))
		return uz_err_set(
			err, -EUCLEAN,
			"%s is damaged at byte 0: its header does not match its checksum",
			path);
	if (get32(from + AT_PAGE) != UZ_PAGE_SIZE)
		return uz_err_set(err, -ENOTSUP, "%s has pages of %u bytes",
				  path, get32(from + AT_PAGE));
	info->disksize = get64(from + AT_SIZE);
	info->created = get64(from + AT_CREATED);
	info->codec = get32(from + AT_CODEC);
	memcpy(info->codecs, from + AT_CODECS, sizeof(info->codecs));
	for (i = 0; i < UZ_IMAGE_CODECS; i++)
		info->dicts[i] = get32(from + AT_DICTS + i * sizeof(uint32_t));
	*id = get64(from + AT_ID);
	return header_sense(info, path, err);
}

/* ---- blocks ---- */

uint64_t uz__image_sum(const void *block, size_t bytes, uint64_t id)
{
	const size_t skip = sizeof(uint64_t);

	return XXH3_64bits_withSeed((const unsigned char *)block + skip,
				    bytes - skip, id);
}

void uz__image_put_block(unsigned char *block, uint32_t kind, uint32_t bytes,
			 uint64_t number, uint32_t records, uint64_t id)
{
	put32(block + offsetof(struct uz__image_block, kind), kind);
	put32(block + offsetof(struct uz__image_block, bytes), bytes);
	put64(block + offsetof(struct uz__image_block, number), number);
	put32(block + offsetof(struct uz__image_block, records), records);
	put32(block + offsetof(struct uz__image_block, zero), 0);
	put64(block, uz__image_sum(block, bytes, id));
}

void uz__image_get_block(const unsigned char *from,
			 struct uz__image_block *block)
{
	*block = (struct uz__image_block){
		.sum = get64(from),
		.kind = get32(from + offsetof(struct uz__image_block, kind)),
		.bytes = get32(from + offsetof(struct uz__image_block, bytes)),
		.number =
			get64(from + offsetof(struct uz__image_block, number)),
		.records =
			get32(from + offsetof(struct uz__image_block, records)),
		.zero = get32(from + offsetof(struct uz__image_block, zero)),
	};
}

void uz__image_put_trailer(unsigned char *to, uint64_t records, uint64_t bytes)
{
	put64(to, records);
	put64(to + sizeof(records), bytes);
}

void uz__image_get_trailer(const unsigned char *from, uint64_t *records,
			   uint64_t *bytes)
{
	*records = get64(from);
	*bytes = get64(from + sizeof(*records));
}

/* ---- records ---- */

size_t uz__image_put_page(unsigned char *to, const struct uz_image_page *page)
{
	put32(to, page->index);
	put16(to + 4, (uint16_t)page->size);
	to[6] = (unsigned char)page->form;
	to[7] = (unsigned char)page->codec;
	put32(to + 8, page->sum);
	memcpy(to + UZ__IMAGE_RECORD, page->bytes, page->size);
	return UZ__IMAGE_RECORD + page->size;
}

static bool page_sense(const struct uz_image_page *page)
{
	switch (page->form) {
	case 1:
		return page->size == 8 && !page->codec;
	case 2:
		return page->size && page->size < UZ_PAGE_SIZE &&
		       page->codec < UZ_IMAGE_CODECS;
	case 3:
		return page->size == UZ_PAGE_SIZE && !page->codec;
	case UZ_IMAGE_DICT:
		return page->size && page->size <= UZ_PAGE_SIZE &&
		       page->codec < UZ_IMAGE_CODECS;
	default:
		return false;
	}
}

size_t uz__image_get_page(const unsigned char *from, size_t left,
			  struct uz_image_page *page)
{
	if (left < UZ__IMAGE_RECORD)
		return 0;
	*page = (struct uz_image_page){
		.index = get32(from),
		.size = get16(from + 4),
		.form = from[6],
		.codec = from[7],
		.sum = get32(from + 8),
		.bytes = from + UZ__IMAGE_RECORD,
	};
	if (!page_sense(page) || page->size > left - UZ__IMAGE_RECORD)
		return 0;
	return UZ__IMAGE_RECORD + page->size;
}
