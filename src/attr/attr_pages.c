// SPDX-License-Identifier: MIT
/*
 * Attributes about single pages: idle, and block_state, which kernel zram has
 * in debugfs.
 *
 * block_state has a line for each stored page, so it may be longer than memory
 * and is made as it is read. All lines are of one length: an offset is a line
 * and a byte of it. Which page has that line can only be known by counting, so
 * the ends of the last few reads are kept; who reads in order goes on from
 * there, and sees each page that was stored all along exactly once, whatever
 * happens to others. A reader whose place was forgotten is counted up again.
 *
 * Locks: text_lock for the places, for a moment.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "attr_priv.h"

/* "%12llu %12u.%06d %c%c%c%c%c%c\n", as the kernel prints it. */
#define LINE 40

/* Lines that are made at a time. */
#define BATCH 256

int uz__attr_idle_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			struct uz_err *err)
{
	uint64_t age;

	(void)len;
	if (!strcmp(text, "all") || !strcmp(text, "all\n"))
		return uz_device_mark_idle(ctx->dev, UZ_IDLE_ALL, NULL, err);
	if (uz__attr_number(text, &age) || age > UINT32_MAX)
		return uz_err_set(err, -EINVAL,
				  "write \"all\" or an age in seconds");
	return uz_device_mark_idle(ctx->dev, age, NULL, err);
}

static void make_line(const struct uz_page_state *s, char line[LINE + 1])
{
	snprintf(line, LINE + 1,
		 "%12" PRIu64 " %12" PRIu32 ".%06d %c%c%c%c%c%c\n", s->index,
		 s->used, 0, s->same ? 's' : '.', s->backed ? 'w' : '.',
		 s->huge ? 'h' : '.', s->idle ? 'i' : '.',
		 s->recompressed ? 'r' : '.', s->incompressible ? 'n' : '.');
}

/* The nearest place at or before a line that is known. */
static struct uz__attr_place find_place(struct uz_attr_ctx *ctx, uint64_t line)
{
	uz_scoped_acquire(guard, &ctx->text_lock);
	struct uz__attr_place best = { 0 };
	unsigned int i;

	for (i = 0; i < UZ__ATTR_PLACES; i++)
		if (ctx->places[i].line == line)
			best = ctx->places[i];
	return best;
}

static void keep_place(struct uz_attr_ctx *ctx, uint64_t before,
		       const struct uz__attr_place *place)
{
	uz_scoped_acquire(guard, &ctx->text_lock);
	unsigned int i;

	/* The same reader's, a while ago. */
	for (i = 0; i < UZ__ATTR_PLACES; i++)
		if (before && ctx->places[i].line == before)
			break;
	if (i == UZ__ATTR_PLACES)
		i = ctx->next_place++ % UZ__ATTR_PLACES;
	ctx->places[i] = *place;
}

/* Lines from the place on that come before the one that is wanted. */
static bool skip_lines(struct uz_device *dev, struct uz__attr_place *place,
		       uint64_t line)
{
	struct uz_page_state states[BATCH];

	while (place->line < line) {
		uint64_t want = line - place->line;
		unsigned int max = want < BATCH ? (unsigned int)want : BATCH;
		unsigned int n =
			uz_device_page_states(dev, &place->index, states, max);

		place->line += n;
		if (n < max)
			return false;
	}
	return true;
}

int uz__attr_block_state_read(struct uz_attr_ctx *ctx, uint64_t offset,
			      void *buf, size_t size, size_t *len)
{
	struct uz__attr_place place = find_place(ctx, offset / LINE);
	uint64_t before = place.line;
	struct uz_page_state states[BATCH];
	size_t skip = offset % LINE, part;
	unsigned int max, n, i;
	char line[LINE + 1];
	uint64_t index;

	*len = 0;
	if (!skip_lines(ctx->dev, &place, offset / LINE))
		return 0;
	do {
		part = (size - *len + skip + LINE - 1) / LINE;
		max = part < BATCH ? (unsigned int)part : BATCH;
		index = place.index;
		n = max ? uz_device_page_states(ctx->dev, &index, states, max)
			: 0;
		for (i = 0; i < n; i++) {
			make_line(&states[i], line);
			part = LINE - skip < size - *len ? LINE - skip
							 : size - *len;
			memcpy((char *)buf + *len, line + skip, part);
			*len += part;
			/* A line that was cut is read on from its page. */
			if (skip + part < LINE)
				break;
			skip = 0;
			place.line++;
			place.index = states[i].index + 1;
		}
	} while (*len < size && n && n == max);
	keep_place(ctx, before, &place);
	return 0;
}

/* All of it at once, for who wants it so. */
int uz__attr_block_state_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_page_state states[BATCH];
	char line[LINE + 1];
	uint64_t index = 0;
	unsigned int n, i;

	do {
		n = uz_device_page_states(ctx->dev, &index, states, BATCH);
		for (i = 0; i < n; i++) {
			make_line(&states[i], line);
			uz_strbuf_add(out, "%s", line);
		}
	} while (n == BATCH);
	return 0;
}
