// SPDX-License-Identifier: MIT
/*
 * Attributes that tell numbers: mm_stat, io_stat, debug_stat as kernel zram
 * prints them, to the blank; stat with every number of ours by its name;
 * latency, mem_used_max, last_error, pid. Each show reads the statistics once,
 * so one line is from one moment.
 */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include <uzram/device/latency.h>

#include "attr_priv.h"

#define NS_PER_MS 1000000

int uz__attr_used_max_store(struct uz_attr_ctx *ctx, const char *text,
			    size_t len, struct uz_err *err)
{
	uint64_t n;

	(void)len;
	if (uz__attr_number(text, &n) || n)
		return uz_err_set(err, -EINVAL, "takes only 0");
	uz_device_reset_max(ctx->dev);
	return 0;
}

int uz__attr_mm_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_device_stat s;

	uz_device_stat(ctx->dev, &s);
	uz_strbuf_add(out,
		      "%8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
		      " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
		      " %8" PRIu64 "\n",
		      s.orig_data_size, s.compr_data_size, s.mem_used_total,
		      s.mem_limit, s.mem_used_max, s.same_pages,
		      s.pages_compacted, s.huge_pages, s.huge_pages_since);
	return 0;
}

int uz__attr_io_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_device_stat s;

	uz_device_stat(ctx->dev, &s);
	/* Kernel zram's third field, invalid_io, is a constant by now. */
	uz_strbuf_add(out, "%8" PRIu64 " %8" PRIu64 " 0 %8" PRIu64 "\n",
		      s.failed_reads, s.failed_writes, s.notify_free);
	return 0;
}

/* Each codec by which something is stored. */
static void show_codecs(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_device_codec_stat stat;
	char text[UZ_CODEC_TEXT_MAX + 1];
	unsigned int i;

	for (i = 0; uz_device_codec_stat(ctx->dev, i, &stat); i++) {
		if (!stat.codec.ops || !stat.pages)
			continue;
		uz_codec_format(&stat.codec, text);
		uz_strbuf_add(out,
			      "codec %s: %" PRIu64 " pages %" PRIu64 " bytes\n",
			      text, stat.pages, stat.bytes);
	}
}

int uz__attr_debug_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_device_stat s;

	uz_device_stat(ctx->dev, &s);
	uz_strbuf_add(out, "version: 1\n0 %8" PRIu64 "\n", s.miss_free);
	/* So far the kernel's; what follows is ours. */
	uz_strbuf_add(out, "longest_map_ms: %" PRIu64 "\n",
		      s.longest_map_ns / NS_PER_MS);
#ifdef UZ_DEBUG_CHECKS
	uz_strbuf_add(out, "maps: %" PRIu64 "\n", s.maps);
#endif
	uz_strbuf_add(out,
		      "deferred_frees: %" PRIu64 "\n"
		      "deferred_bytes: %" PRIu64 "\n"
		      "pages_compacted: %" PRIu64 "\n"
		      "objects_moved: %" PRIu64 "\n"
		      "compact_pinned: %" PRIu64 "\n"
		      "compact_contended: %" PRIu64 "\n",
		      s.deferred_frees, s.deferred_bytes, s.pages_compacted,
		      s.objects_moved, s.compact_pinned, s.compact_contended);
	show_codecs(ctx, out);
	return 0;
}

#define FIELD(name)                                          \
	{                                                    \
#name, offsetof(struct uz_device_stat, name) \
	}

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
	FIELD(orig_data_size),
	FIELD(compr_data_size),
	FIELD(mem_used_total),
	FIELD(mem_limit),
	FIELD(mem_used_max),
	FIELD(same_pages),
	FIELD(pages_compacted),
	FIELD(objects_moved),
	FIELD(compact_pinned),
	FIELD(compact_contended),
	FIELD(huge_pages),
	FIELD(huge_pages_since),
	FIELD(failed_reads),
	FIELD(failed_writes),
	FIELD(invalid_io),
	FIELD(notify_free),
	FIELD(miss_free),
	FIELD(num_reads),
	FIELD(num_writes),
	FIELD(num_discards),
	FIELD(bytes_read),
	FIELD(bytes_written),
	FIELD(limit_rejections),
	FIELD(checksum_errors),
	FIELD(retries),
	FIELD(recompressed),
	FIELD(recompress_saved),
	FIELD(workers),
	FIELD(worker_pages),
	FIELD(deferred_frees),
	FIELD(deferred_bytes),
	FIELD(longest_map_ns),
	FIELD(maps),
	FIELD(empty_bytes),
	FIELD(reserve_size),
	FIELD(reserve_missed),
	FIELD(thp_bytes),
	FIELD(meta_bytes),
	FIELD(mem_resident),
};

/* A number that is added to the statistics has to appear here too. */
_Static_assert(sizeof(struct uz_device_stat) ==
		       sizeof(fields) / sizeof(fields[0]) * sizeof(uint64_t),
	       "a field of struct uz_device_stat is missing in stat");

static void show_recompression(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_recompression done;
	uint64_t total;
	bool running;

	running = uz_recompressor_progress(ctx->recompressor, &total, &done);
	uz_strbuf_add(out,
		      "recompress_running %d\n"
		      "recompress_total %" PRIu64 "\n"
		      "recompress_tried %" PRIu64 "\n"
		      "recompress_kept %" PRIu64 "\n"
		      "recompress_lost %" PRIu64 "\n",
		      running, total, done.tried, done.kept, done.lost);
}

/* One that is known, on a line of its own. */
static void show_text(struct uz_strbuf *out, const char *name, const char *text)
{
	if (text && *text)
		uz_strbuf_add(out, "%s %s\n", name, text);
}

int uz__attr_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	struct uz_device_stat s;
	unsigned int i;

	uz_device_stat(ctx->dev, &s);
	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		uz_strbuf_add(out, "%s %" PRIu64 "\n", fields[i].name,
			      *(uint64_t *)((char *)&s + fields[i].offset));
	show_recompression(ctx, out);
	uz__attr_backing_stat(ctx, out);
	uz__attr_policy_stat(ctx, out);
	uz_lock_acquire(&ctx->text_lock);
	uz_strbuf_add(out, "buffer_bytes %" PRIu64 "\n", ctx->buffer_bytes);
	if (ctx->transport)
		uz_strbuf_add(out, "transport %s\n", ctx->transport);
	if (ctx->survives)
		uz_strbuf_add(out, "survives %s\n", ctx->survives);
	uz_lock_release(&ctx->text_lock);
	uz_strbuf_add(out, "restarts %u\nworker_pid %d\n",
		      ctx->process.restarts, (int)getpid());
	show_text(out, "protection", ctx->process.protection);
	uz_strbuf_add(out, "awake %s\nwatchdog %u\nhangs %u\n",
		      ctx->process.awake ? "on" : "off", ctx->process.watchdog,
		      ctx->process.hangs);
	show_text(out, "confinement", ctx->process.confinement);
	show_text(out, "cgroup", ctx->process.cgroup);
	return 0;
}

/* What nobody took is not said, so that the text is as long as it has to be. */
int uz__attr_latency_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	static const char *const names[] = {
		[UZ_LATENCY_READ] = "read",
		[UZ_LATENCY_WRITE] = "write",
	};
	struct uz_latency l;
	unsigned int of, i;

	for (of = 0; of < UZ_LATENCY_KINDS; of++) {
		uz_device_latency(ctx->dev, (enum uz_latency_of)of, &l);
		for (i = 0; i < UZ_LATENCY_BUCKETS; i++)
			if (l.count[i])
				uz_strbuf_add(out,
					      "%s %" PRIu64 " %" PRIu64 "\n",
					      names[of], uz_latency_most(i),
					      l.count[i]);
		uz_strbuf_add(out, "%s sum %" PRIu64 "\n", names[of], l.sum_ns);
	}
	return 0;
}

int uz__attr_last_error_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uz_scoped_acquire(guard, &ctx->text_lock);

	if (ctx->last_error[0])
		uz_strbuf_add(out, "%s", ctx->last_error);
	return 0;
}

int uz__attr_pid_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out)
{
	uz_strbuf_add(out, "%d\n", (int)ctx->process.supervisor);
	return 0;
}
