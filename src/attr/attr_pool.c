// SPDX-License-Identifier: MIT
/*
 * Attributes of the allocator behind the device: its name, what its size
 * classes hold, and having it compacted. Kernel zram has compact as well; the
 * table follows what zsmalloc tells in debugfs (zsmalloc/zramN/classes).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <uzram/util/size.h>

#include <uzram/worker.h>

#include "attr_priv.h"

int uz__attr_compact_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err)
{
	struct uz_pool_compaction done = { 0 };

	/* As in the kernel, any text will do. */
	(void)text;
	(void)len;
	if (!uz_device_disksize(ctx->dev))
		return uz_err_set(err, -EINVAL, "the device has no size");
	uz_compact_all(ctx->dev, &done);
	return 0;
}

int uz__attr_scrub_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_scrub_state s;

	uz_scrubber_state(ctx->scrubber, &s);
	uz_strbuf_add(out, "state %s\npages %" PRIu64 "\nerrors %" PRIu64 "\n",
		      s.running	   ? "running"
		      : s.finished ? "finished"
				   : "stopped",
		      s.done.pages, s.done.errors);
	if (s.done.errors)
		uz_strbuf_add(out, "first_bad %" PRIu64 "\n", s.done.bad);
	uz_strbuf_add(out, "position %" PRIu64 "\n", s.done.next);
	return 0;
}

int uz__attr_scrub_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err)
{
	uint64_t rate = 0;
	int ret;

	(void)len;
	if (!strcmp(text, "stop") || !strcmp(text, "stop\n")) {
		uz_scrubber_stop(ctx->scrubber);
		return 0;
	}
	if (!strncmp(text, "rate=", 5))
		ret = uz_size_memparse(text + 5, &rate);
	else
		ret = strcmp(text, "1") && strcmp(text, "1\n") ? -EINVAL : 0;
	if (ret)
		return uz_err_set(err, ret, "takes 1, rate=SIZE or stop");
	if (!uz_device_disksize(ctx->dev))
		return uz_err_set(err, -EINVAL, "the device has no size");
	ret = uz_scrubber_start(ctx->scrubber, rate);
	if (ret == -EBUSY)
		return uz_err_set(err, ret,
				  "a scrub is going on; stop ends it");
	return ret;
}

int uz__attr_zpool_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	char name[UZ_POOL_NAME_MAX + 1];

	uz_device_zpool(ctx->dev, name);
	uz_strbuf_add(out, "%s\n", name);
	return 0;
}

/* ---- pool_stat ---- */

/*
 * struct row - the numbers of one line
 * @stat:   of a class, or sums over classes; its @objects are the live ones
 * @places: for objects, in all its zspages
 */
struct row {
	struct uz_pool_class_stat stat;
	uint64_t places;
};

static const char header[] =
	" class  size       12%       25%       37%       50%       62%"
	"       75%       87%       99%      100%   growing"
	" obj_allocated   obj_used obj_deferred pages_used"
	" pages_per_zspage freeable\n";

static void add_row(struct row *total, const struct row *row)
{
	unsigned int i;

	for (i = 0; i < UZ_POOL_GROUPS; i++)
		total->stat.fullness[i] += row->stat.fullness[i];
	total->stat.full += row->stat.full;
	total->stat.growing += row->stat.growing;
	total->stat.objects += row->stat.objects;
	total->stat.deferred += row->stat.deferred;
	total->stat.used_bytes += row->stat.used_bytes;
	/* As printed: the sum is the sum of what stands above it. */
	total->stat.waste += row->stat.waste / UZ_PAGE_SIZE * UZ_PAGE_SIZE;
	total->places += row->places;
}

static void print_numbers(struct uz_strbuf *out, const struct row *row)
{
	unsigned int i;

	for (i = 0; i < UZ_POOL_GROUPS; i++)
		uz_strbuf_add(out, " %9" PRIu64, row->stat.fullness[i]);
	uz_strbuf_add(out,
		      " %9" PRIu64 " %9" PRIu64 " %13" PRIu64 " %10" PRIu64
		      " %12" PRIu64 " %10" PRIu64,
		      row->stat.full, row->stat.growing, row->places,
		      row->stat.objects, row->stat.deferred,
		      row->stat.used_bytes / UZ_PAGE_SIZE);
	/* A dash where a sum means nothing, so that columns can be counted. */
	if (row->stat.pages)
		uz_strbuf_add(out, " %16" PRIu32, row->stat.pages);
	else
		uz_strbuf_add(out, " %16s", "-");
	uz_strbuf_add(out, " %8" PRIu64 "\n", row->stat.waste / UZ_PAGE_SIZE);
}

/*
 * Class by class, each at its own moment: the sums are exact when nothing is
 * under way. Memory kept for reuse belongs to no class.
 */
int uz__attr_pool_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct row total = { 0 }, row = { 0 };
	struct uz_device_stat s;
	unsigned int nth;

	uz_strbuf_add(out, "%s", header);
	for (nth = 0; uz_device_class_stat(ctx->dev, nth, &row.stat); nth++) {
		if (!row.stat.zspages)
			continue;
		row.places = row.stat.zspages * row.stat.per_zspage;
		uz_strbuf_add(out, " %5u %5" PRIu32, nth, row.stat.size);
		print_numbers(out, &row);
		add_row(&total, &row);
	}
	uz_device_stat(ctx->dev, &s);
	row = (struct row){ .stat.used_bytes = s.empty_bytes,
			    .stat.waste = s.empty_bytes };
	uz_strbuf_add(out, " %5s %5s", "Empty", "-");
	print_numbers(out, &row);
	add_row(&total, &row);
	uz_strbuf_add(out, " %5s %5s", "Total", "-");
	print_numbers(out, &total);
	return 0;
}
