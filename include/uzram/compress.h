/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_COMPRESS_H
#define UZRAM_COMPRESS_H

#include <uzram/types.h>
#include <uzram/util/err.h>
#include <uzram/util/strbuf.h>

/**
 * DOC: codecs
 *
 * A codec is one file in compress/ and one line in the table of codec.c. What
 * is fixed for a device (struct uz_codec: which one, its level) is apart from
 * what a thread needs to work (struct uz_codec_ctx: created once per thread
 * and codec, nothing is allocated per page). The layer knows nothing of
 * devices, slots or pools.
 *
 * A codec is written NAME[:KEY=VALUE[,KEY=VALUE]...], for example "lz4",
 * "lz4:acceleration=4", "zstd:level=-3". "lz4:level=4" is also taken as
 * acceleration, as kernel zram does; of a key given twice the last counts.
 * "zstd:dict=1f" means that with a dictionary, by the number that its owner
 * gave it. "store" copies: it is there for tests.
 */

#define UZ_CODEC_NAME_MAX 15
#define UZ_CODEC_TEXT_MAX 63

/* Bytes of a dictionary; libzstd and liblz4 have no use for fewer than 8. */
#define UZ_CODEC_DICT_MIN 8
#define UZ_CODEC_DICT_MAX (UINT32_C(1) << 20)

/* Bytes of a dictionary that is trained: there is a head and some contents. */
#define UZ_CODEC_TRAIN_MIN 1024

struct uz_codec_ops;
struct uz_codec_ctx;
struct uz_codec_dict;

/**
 * struct uz_codec - a codec and its parameters
 * @ops:   which codec; never NULL in a parsed codec
 * @level: level (lz4: the acceleration), within the codec's range
 * @dict:  number of its dictionary, 0 for none
 *
 * A plain value: copy it as you like. Lives on in shared memory only as the
 * text of uz_codec_format(), because @ops is an address of this process.
 */
struct uz_codec {
	const struct uz_codec_ops *ops;
	int level;
	uint64_t dict;
};

/**
 * uz_codec_parse() - from text to codec
 * @text:  see DOC above; a trailing line feed is allowed
 * @codec: filled on success, untouched on failure
 * @err:   the reason and the known names or range; may be NULL
 *
 * Context: any thread; allocates nothing.
 * Return:  0; -EINVAL unknown name, key or value; -ERANGE level out of range;
 *          -E2BIG longer than UZ_CODEC_TEXT_MAX.
 */
uz_must_check int uz_codec_parse(const char *text, struct uz_codec *codec,
				 struct uz_err *err);

/**
 * uz_codec_format() - from codec to text that uz_codec_parse() takes back
 * @codec: the codec
 * @text:  at least UZ_CODEC_TEXT_MAX + 1 bytes; only the name when the level
 *         is the codec's default
 *
 * Context: any thread; allocates nothing.
 */
void uz_codec_format(const struct uz_codec *codec,
		     char text[UZ_CODEC_TEXT_MAX + 1]);

/**
 * uz_codec_same() - are codec, level and dictionary the same?
 * @a: a codec
 * @b: another one
 *
 * Context: any thread.
 * Return:  whether what one has made the other can read and would make again.
 */
static inline bool uz_codec_same(const struct uz_codec *a,
				 const struct uz_codec *b)
{
	return a->ops == b->ops && a->level == b->level && a->dict == b->dict;
}

/**
 * uz_codec_name() - the codec's name, as comp_algorithm shows it
 * @codec: the codec
 *
 * Context: any thread.
 * Return:  a string that is never freed.
 */
const char *uz_codec_name(const struct uz_codec *codec);

/**
 * uz_codec_known() - the names that this build knows, one after another
 * @i: 0, 1, 2, ...
 *
 * Context: any thread.
 * Return:  the name, or NULL after the last. The default codec is the first.
 */
const char *uz_codec_known(unsigned int i);

/**
 * uz_codec_dict_create() - make a dictionary ready for a codec
 * @codec: the codec; its level matters
 * @bytes: the dictionary, borrowed and unchanged until uz_codec_dict_destroy().
 *         lz4 and lz4hc look at its last 64 KiB. For zstd it may be one that
 *         was trained or any text
 * @size:  UZ_CODEC_DICT_MIN ... UZ_CODEC_DICT_MAX
 * @dict:  set on success, untouched on failure
 *
 * All contexts of the codec share it and none changes it.
 *
 * Context: any thread; allocates.
 * Return:  0; -ENOTSUP the codec has no use for dictionaries; -ERANGE @size;
 *          -EINVAL it begins as a trained one for zstd and is none; -ENOMEM.
 */
uz_must_check int uz_codec_dict_create(const struct uz_codec *codec,
				       const void *bytes, size_t size,
				       struct uz_codec_dict **dict);

/**
 * uz_codec_dict_destroy() - give a dictionary up
 * @dict: the dictionary, or NULL
 *
 * Context: every context that was made with it is gone.
 */
void uz_codec_dict_destroy(struct uz_codec_dict *dict);

/**
 * uz_codec_dict_bytes() - memory that it takes beside the bytes themselves
 * @dict: the dictionary, or NULL
 *
 * Context: any thread.
 * Return:  bytes.
 */
size_t uz_codec_dict_bytes(const struct uz_codec_dict *dict);

/**
 * uz_codec_dict_reach() - how much of a dictionary a codec makes use of
 * @codec: the codec
 *
 * Context: any thread.
 * Return:  bytes, counted from its end; 0: it has no use for dictionaries.
 */
size_t uz_codec_dict_reach(const struct uz_codec *codec);

/**
 * uz_codec_train() - make a dictionary of pages
 * @codec: that it is for; its level matters
 * @pages: such as will be compressed, one after the other
 * @nr:    how many, 1 or more; some hundred for each 64 KiB of @cap are good
 * @dict:  room for it
 * @cap:   bytes there, UZ_CODEC_TRAIN_MIN ... UZ_CODEC_DICT_MAX
 * @size:  set on success: bytes made
 *
 * The same pages make the same dictionary. Whether it gains anything is to be
 * seen with other pages.
 *
 * Context: any thread; allocates some MiB; takes some 10 ms for each MiB.
 * Return:  0; -ENOTSUP the codec has no use for dictionaries; -ERANGE @cap;
 *          -E2BIG the pages have nothing in common; -ENOMEM. After a failure
 *          @dict is undefined.
 */
uz_must_check int uz_codec_train(const struct uz_codec *codec,
				 const void *pages, size_t nr, void *dict,
				 size_t cap, size_t *size);

/**
 * uz_codec_ctx_create() - what one thread needs to run one codec
 * @codec: the codec
 * @dict:  its dictionary, made for a codec of the same name and level; outlives
 *         the context. NULL: it has none
 * @ctx:   set on success, untouched on failure
 *
 * What one compresses with a dictionary can be decompressed with that only:
 * with another, or none, the result is an error or other bytes.
 *
 * Context: any thread; allocates all that the codec will ever need.
 * Return:  0; -EINVAL @codec names a dictionary and @dict is NULL, or the other
 *          way round; -ENOMEM.
 */
uz_must_check int uz_codec_ctx_create(const struct uz_codec *codec,
				      const struct uz_codec_dict *dict,
				      struct uz_codec_ctx **ctx);

/**
 * uz_codec_ctx_destroy() - free a context
 * @ctx: the context, or NULL
 *
 * Context: nobody may be using it.
 */
void uz_codec_ctx_destroy(struct uz_codec_ctx *ctx);

/**
 * uz_codec_ctx_bytes() - memory that a context takes
 * @ctx: the context, or NULL
 *
 * Context: any thread, also while it is in use.
 * Return:  bytes.
 */
size_t uz_codec_ctx_bytes(const struct uz_codec_ctx *ctx);

/**
 * uz_codec_compress() - compress one page
 * @ctx: this thread's context
 * @src: UZ_PAGE_SIZE bytes
 * @dst: room for the result
 * @cap: bytes at @dst, 1 ... UZ_PAGE_SIZE
 * @len: bytes written, 1 ... @cap, on success
 *
 * Context: the one thread that uses @ctx; takes no lock, allocates nothing
 *          (liblz4 does at lz4hc levels 10 to 12, and may then answer -E2BIG
 *          for want of memory).
 * Return:  0; -E2BIG the result does not fit @cap. On failure @dst is
 *          undefined and @len untouched.
 */
uz_must_check int uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
				    void *dst, size_t cap, size_t *len);

/**
 * uz_codec_decompress() - the page back from its compressed bytes
 * @ctx: this thread's context, of the same codec name; the level may differ
 * @src: compressed bytes; they may be damaged or hostile
 * @len: how many, 1 ... UZ_PAGE_SIZE
 * @dst: UZ_PAGE_SIZE bytes, never written beyond
 *
 * Context: the one thread that uses @ctx; takes no lock, allocates nothing.
 * Return:  0; -EIO the bytes do not decode to exactly one page, or with a
 *          dictionary to another page than was compressed, because one of the
 *          two is damaged; @dst is then undefined.
 */
uz_must_check int uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
				      size_t len, void *dst);

#endif
