// SPDX-License-Identifier: MIT
/*
 * Dictionaries made of pages that are to be compressed.
 *
 * A dictionary helps a page by what other pages have, too: what a page repeats
 * itself a codec finds without. So strings of 8 bytes count by the number of
 * pages that they are in, and a piece of a page is worth what its strings
 * count. The pages are gone through once, in as many stretches as pieces are
 * wanted; of each the best piece is taken, and what it has counts no more. The
 * best of them come last: codecs reach those from every byte of a page, and
 * matches at a short distance are cheaper.
 *
 * Strings are told apart by a hash only, so some count for one another; that
 * makes a dictionary worse, never wrong.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compress_priv.h"

#define STRING 8u
#define PIECE  256u

/* More than there are strings in some MiB; 2 MiB of memory. */
#define HASH_BITS 18

/*
 * struct strings - how many pages have the strings of a hash
 * @pages: beside the first one
 * @last:  the last page that was counted, from 1 on
 */
struct strings {
	uint32_t pages[1u << HASH_BITS];
	uint32_t last[1u << HASH_BITS];
};

/*
 * struct piece - a piece of a page
 * @at:    its PIECE bytes
 * @worth: of its strings
 */
struct piece {
	const uint8_t *at;
	uint64_t worth;
};

static uint32_t hash(const uint8_t *at)
{
	uint64_t string;

	memcpy(&string, at, sizeof(string));
	/* An odd number with no pattern, here 2^64 by the golden ratio. */
	return (uint32_t)(string * UINT64_C(0x9e3779b97f4a7c15) >>
			  (64 - HASH_BITS));
}

static void count(struct strings *s, const uint8_t *pages, size_t nr)
{
	size_t i, j;

	for (i = 0; i < nr; i++) {
		for (j = 0; j + STRING <= UZ_PAGE_SIZE; j++) {
			uint32_t h = hash(pages + i * UZ_PAGE_SIZE + j);

			if (s->last[h] == i + 1)
				continue;
			s->pages[h] += s->last[h] != 0;
			s->last[h] = (uint32_t)(i + 1);
		}
	}
}

/* The best piece of a page, if it is better than @best. */
static void look_at(const struct strings *s, const uint8_t *page,
		    struct piece *best)
{
	uint64_t worth = 0;
	size_t i;

	for (i = 0; i + STRING <= UZ_PAGE_SIZE; i++) {
		worth += s->pages[hash(page + i)];
		if (i + STRING < PIECE)
			continue;
		if (worth > best->worth)
			*best = (struct piece){
				.at = page + i + STRING - PIECE,
				.worth = worth,
			};
		worth -= s->pages[hash(page + i + STRING - PIECE)];
	}
}

static void take(struct strings *s, const struct piece *piece)
{
	size_t i;

	for (i = 0; i + STRING <= PIECE; i++)
		s->pages[hash(piece->at + i)] = 0;
}

static int by_worth(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->worth != y->worth)
		return x->worth < y->worth ? -1 : 1;
	/* The same dictionary each time. */
	return x->at < y->at ? -1 : x->at > y->at;
}

/* The best piece of each of as many stretches; returns how many there are. */
static size_t choose(struct strings *s, const uint8_t *pages, size_t nr,
		     struct piece *pieces, size_t wanted)
{
	size_t found = 0, i, page = 0;

	for (i = 0; i < wanted; i++) {
		size_t end = nr * (i + 1) / wanted;
		struct piece best = { 0 };

		/* More pieces than pages: several of the same one. */
		page = nr * i / wanted;
		do
			look_at(s, pages + page * UZ_PAGE_SIZE, &best);
		while (++page < end);
		if (!best.worth)
			continue;
		take(s, &best);
		pieces[found++] = best;
	}
	return found;
}

/* The pieces, one after the other; 0 or -ENOMEM, -E2BIG. */
static int collect(const uint8_t *pages, size_t nr, uint8_t *dict, size_t cap,
		   size_t *size)
{
	struct strings *s = calloc(1, sizeof(*s));
	struct piece *pieces = calloc(cap / PIECE, sizeof(*pieces));
	size_t found = 0, i;
	int ret = s && pieces ? 0 : -ENOMEM;

	if (!ret) {
		count(s, pages, nr);
		found = choose(s, pages, nr, pieces, cap / PIECE);
		qsort(pieces, found, sizeof(*pieces), by_worth);
		for (i = 0; i < found; i++)
			memcpy(dict + i * PIECE, pieces[i].at, PIECE);
		*size = found * PIECE;
		ret = found ? 0 : -E2BIG;
	}
	free(pieces);
	free(s);
	return ret;
}

size_t uz_codec_dict_reach(const struct uz_codec *codec)
{
	return codec->ops->dict_reach;
}

int uz_codec_train(const struct uz_codec *codec, const void *pages, size_t nr,
		   void *dict, size_t cap, size_t *size)
{
	const struct uz_codec_ops *ops = codec->ops;
	size_t content;
	int ret;

	if (!ops->dict_reach)
		return -ENOTSUP;
	if (cap < UZ_CODEC_TRAIN_MIN || cap > UZ_CODEC_DICT_MAX)
		return -ERANGE;
	if (cap > ops->dict_reach)
		cap = ops->dict_reach;
	ret = collect(pages, nr, dict, cap - ops->dict_head, &content);
	if (ret)
		return ret;
	if (ops->dict_finish)
		content = ops->dict_finish(codec->level, pages, nr, dict,
					   content, cap);
	*size = content;
	return 0;
}
