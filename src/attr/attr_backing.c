// SPDX-License-Identifier: MIT
/*
 * Attributes of the backing store: backing_dev, writeback and what limits it,
 * bd_stat.
 *
 * Words, units and errors are kernel zram's. What goes beyond it: a file may
 * be the store, one may be given to a device that has a size but no store yet,
 * and keys that nobody knows are refused instead of passed over. Since several
 * pages share a block here, units of 4 KiB are blocks and not pages.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/cleanup.h>

#include "attr_priv.h"

/* More ranges than a text has room for: "page_index=1 ". */
#define RANGES_MAX (UZ_ATTR_TEXT_MAX / 12)

#define BLANKS " \t\n"

/* ---- the store ---- */

int uz__attr_backing_dev_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	char path[UZ_BACKING_PATH_MAX + 1];

	uz_device_backing(ctx->dev, path);
	uz_strbuf_add(out, "%s\n", path[0] ? path : "none");
	return 0;
}

int uz__attr_backing_dev_store(struct uz_attr_ctx *ctx, const char *text,
			       size_t len, struct uz_err *err)
{
	char path[UZ_ATTR_TEXT_MAX + 1];

	if (text[len - 1] == '\n')
		len--;
	snprintf(path, sizeof(path), "%.*s", (int)len, text);
	return uz_device_set_backing(ctx->dev,
				     strcmp(path, "none") ? path : NULL, err);
}

int uz__attr_bd_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_backing_stat s;

	uz_device_backing_stat(ctx->dev, &s);
	uz_strbuf_add(out, "%8" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
		      s.used_blocks, s.read_blocks, s.written_blocks);
	return 0;
}

/* ---- settings ---- */

static int setting_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out,
			enum uz_backing_setting which)
{
	uz_strbuf_add(out, "%" PRIu64 "\n",
		      uz_device_backing_setting(ctx->dev, which));
	return 0;
}

static int setting_store(struct uz_attr_ctx *ctx, const char *text,
			 enum uz_backing_setting which, uint64_t min,
			 uint64_t max, struct uz_err *err)
{
	uint64_t n;
	int ret = uz__attr_number(text, &n);

	/* The kernel has no other error for these. */
	if (ret || n < min || n > max)
		return uz_err_set(err, -EINVAL,
				  "not a number from %" PRIu64 " to %" PRIu64,
				  min, max);
	uz_device_set_backing_setting(ctx->dev, which, n);
	return 0;
}

int uz__attr_limited_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	return setting_show(ctx, out, UZ_BACKING_LIMITED);
}

int uz__attr_limited_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err)
{
	uint64_t n;

	(void)len;
	if (uz__attr_number(text, &n))
		return uz_err_set(err, -EINVAL, "write 0 or 1");
	/* As in the kernel, any other number is 1. */
	uz_device_set_backing_setting(ctx->dev, UZ_BACKING_LIMITED, n != 0);
	return 0;
}

int uz__attr_budget_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	return setting_show(ctx, out, UZ_BACKING_LIMIT);
}

int uz__attr_budget_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err)
{
	(void)len;
	return setting_store(ctx, text, UZ_BACKING_LIMIT, 0, UINT64_MAX, err);
}

int uz__attr_batch_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	return setting_show(ctx, out, UZ_BACKING_BATCH);
}

int uz__attr_batch_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err)
{
	(void)len;
	return setting_store(ctx, text, UZ_BACKING_BATCH, 1, UINT_MAX, err);
}

int uz__attr_promote_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	return setting_show(ctx, out, UZ_BACKING_PROMOTE);
}

int uz__attr_promote_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err)
{
	(void)len;
	return setting_store(ctx, text, UZ_BACKING_PROMOTE, 0, 1, err);
}

int uz__attr_marks_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uint64_t low = uz_device_backing_setting(ctx->dev, UZ_BACKING_LOW);
	uint64_t high = uz_device_backing_setting(ctx->dev, UZ_BACKING_HIGH);

	if (high)
		uz_strbuf_add(out, "%" PRIu64 "-%" PRIu64 "\n", low, high);
	else
		uz_strbuf_add(out, "off\n");
	return 0;
}

int uz__attr_marks_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err)
{
	unsigned int low = 0, high = 0;
	int end = 0;

	(void)len;
	if (strcmp(text, "off") && strcmp(text, "off\n")) {
		if (sscanf(text, "%3u-%3u%n", &low, &high, &end) != 2 || !end ||
		    (text[end] && strcmp(text + end, "\n")) ||
		    !isdigit((unsigned char)text[0]) ||
		    !isdigit((unsigned char)strchr(text, '-')[1]))
			return uz_err_set(
				err, -EINVAL,
				"write off, or two percentages, as in 90-95");
		if (!low || low >= high || high > 100)
			return uz_err_set(
				err, -ERANGE,
				"%u-%u: the first must be 1 or more, the second more than that and at most 100",
				low, high);
	}
	uz_room_set_marks(ctx->dev, low, high);
	return 0;
}

/* What is written back is compressed, whatever was asked for. */
int uz__attr_compressed_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	(void)ctx;
	uz_strbuf_add(out, "1\n");
	return 0;
}

int uz__attr_compressed_store(struct uz_attr_ctx *ctx, const char *text,
			      size_t len, struct uz_err *err)
{
	(void)len;
	if (!strchr("01yYnN", text[0]) || (text[1] && strcmp(text + 1, "\n")))
		return uz_err_set(err, -EINVAL, "write 0 or 1");
	if (uz_device_disksize(ctx->dev))
		return uz_err_set(err, -EBUSY, "the device has a size already");
	return 0;
}

/* ---- numbers in stat ---- */

#define FIELD(name)                                           \
	{                                                     \
#name, offsetof(struct uz_backing_stat, name) \
	}

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	FIELD(blocks),
	FIELD(used_blocks),
	FIELD(backed_pages),
	FIELD(backed_bytes),
	FIELD(read_blocks),
	FIELD(written_blocks),
	FIELD(written_back_pages),
	FIELD(promoted_pages),
	FIELD(writeback_changed),
	FIELD(writeback_failed),
	FIELD(backing_read_errors),
	FIELD(backing_lost),
	FIELD(stored_pages),
	FIELD(read_back_pages),
	FIELD(shrunk_pages),
	FIELD(pool_limit_hit),
	FIELD(gathered_pages),
};

_Static_assert(sizeof(struct uz_backing_stat) ==
		       sizeof(fields) / sizeof(fields[0]) * sizeof(uint64_t),
	       "a field of struct uz_backing_stat is missing in stat");

/*
 * Percent of the pages that were read, or changed in part, which were found in
 * memory; the latter are not in bytes_read, so it may say a little too little.
 */
static void show_hit_rate(struct uz_attr_ctx *ctx, uint64_t missed,
			  struct uz_strbuf *out)
{
	struct uz_device_stat s;
	double reads;

	uz_device_stat(ctx->dev, &s);
	reads = (double)s.bytes_read / UZ_PAGE_SIZE;
	if (reads < (double)missed)
		reads = (double)missed;
	uz_strbuf_add(out, "hit_rate %.2f\n",
		      reads > 0 ? 100 - 100 * (double)missed / reads : 100);
}

void uz__attr_backing_stat(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_writeback_done done;
	struct uz_backing_stat s;
	uint64_t total;
	unsigned int i;
	bool running;

	uz_device_backing_stat(ctx->dev, &s);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		uz_strbuf_add(out, "%s %" PRIu64 "\n", fields[i].name,
			      *(uint64_t *)((char *)&s + fields[i].offset));
	running = uz_backer_progress(ctx->backer, &total, &done);
	uz_strbuf_add(out,
		      "writeback_running %d\n"
		      "writeback_total %" PRIu64 "\n"
		      "writeback_done %" PRIu64 "\n",
		      running, total, done.pages + done.changed + done.failed);
	show_hit_rate(ctx, s.read_back_pages, out);
}

/* ---- writeback ---- */

static int parse_kinds(const char *word, unsigned int *kinds,
		       struct uz_err *err)
{
	static const struct {
		const char *word;
		unsigned int kinds;
	} known[] = {
		{ "huge", UZ_WRITEBACK_HUGE },
		{ "idle", UZ_WRITEBACK_IDLE },
		{ "huge_idle", UZ_WRITEBACK_HUGE | UZ_WRITEBACK_IDLE },
		{ "incompressible", UZ_WRITEBACK_INCOMPRESSIBLE },
	};
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(word, known[i].word))
			continue;
		*kinds = known[i].kinds;
		return 0;
	}
	return uz_err_set(
		err, -EINVAL,
		"'%.40s' is none of huge, idle, huge_idle and incompressible",
		word);
}

/* "N", or "LOW-HIGH", which includes both. */
static int parse_range(char *value, bool both, uint64_t pages,
		       struct uz_backer_range *range, struct uz_err *err)
{
	char *high = both ? strchr(value, '-') : value;
	uint64_t first, last;
	int ret = -EINVAL;

	if (both && high)
		*high++ = '\0';
	if (high)
		ret = uz__attr_number(value, &first);
	if (!ret)
		ret = uz__attr_number(high, &last);
	if (ret)
		return uz_err_set(err, ret, "'%.40s' is not %s", value,
				  both ? "two pages, as 0-99" : "a page");
	if (first > last || last >= pages)
		return uz_err_set(err, -ERANGE,
				  "pages %" PRIu64 " to %" PRIu64
				  ": the device has pages 0 to %" PRIu64,
				  first, last, pages - 1);
	*range = (struct uz_backer_range){ 0, first, last + 1 };
	return 0;
}

/* One word; *last: as in the kernel, what follows it is not looked at. */
static int parse_word(char *word, uint64_t pages, struct uz_backer_range *range,
		      bool *last, struct uz_err *err)
{
	char *value = strchr(word, '=');

	*last = false;
	if (value)
		*value++ = '\0';
	if (value && !strcmp(word, "page_index"))
		return parse_range(value, false, pages, range, err);
	if (value && !strcmp(word, "page_indexes"))
		return parse_range(value, true, pages, range, err);
	if (value && strcmp(word, "type"))
		return uz_err_set(
			err, -EINVAL,
			"unknown key '%.40s'; known are type, page_index and page_indexes",
			word);
	*last = true;
	*range = (struct uz_backer_range){ .end = pages };
	return parse_kinds(value ? value : word, &range->kinds, err);
}

static int parse_order(const char *text, uint64_t pages,
		       struct uz_backer_range *ranges, unsigned int *nr,
		       struct uz_err *err)
{
	char copy[UZ_ATTR_TEXT_MAX + 1], *rest, *word;
	bool last = false;
	int ret = 0;

	*nr = 0;
	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, BLANKS, &rest); word && !ret && !last;
	     word = strtok_r(NULL, BLANKS, &rest)) {
		if (*nr == RANGES_MAX)
			return uz_err_set(err, -E2BIG, "too many words");
		ret = parse_word(word, pages, &ranges[(*nr)++], &last, err);
	}
	if (!ret && !*nr)
		ret = uz_err_set(err, -EINVAL, "the text is empty");
	return ret;
}

int uz__attr_writeback(struct uz_attr_ctx *ctx, const char *text, uint64_t id,
		       struct uz_err *err)
{
	uint64_t pages = uz_device_disksize(ctx->dev) / UZ_PAGE_SIZE;
	uz_autofree struct uz_backer_range *ranges = NULL;
	struct uz_backer_order order = { 0 };
	char path[UZ_BACKING_PATH_MAX + 1];
	int ret;

	if (!pages)
		return uz_err_set(err, -EINVAL, "the device has no size");
	uz_device_backing(ctx->dev, path);
	if (!path[0])
		return uz_err_set(
			err, -ENODEV,
			"the device has no backing store; write its path to backing_dev");
	ranges = calloc(RANGES_MAX, sizeof(*ranges));
	if (!ranges)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = parse_order(text, pages, ranges, &order.nr, err);
	order.ranges = ranges;
	return ret ? ret : uz_backer_run(ctx->backer, &order, id, err);
}

/* For the table; the work is begun with who asks for it known. */
int uz__attr_writeback_store(struct uz_attr_ctx *ctx, const char *text,
			     size_t len, struct uz_err *err)
{
	(void)len;
	return uz__attr_writeback(ctx, text, 0, err);
}
