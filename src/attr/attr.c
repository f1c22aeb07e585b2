// SPDX-License-Identifier: MIT
/*
 * The attribute table, and the two ways into it: uz_attr_show() and
 * uz_attr_store(). What is common to all stores is done here: the limits on
 * the text, one store at a time, keeping the reason of a refusal, and telling
 * the front end when the disksize has changed.
 *
 * Locks: store_lock around a store that does not take long; text_lock, inside
 * it or alone, for the copy of a line, also by whoever reads a damaged page. A
 * show takes neither but last_error's, so statistics can be read however long
 * a store takes. resized() is called under no lock.
 *
 * The layer knows nothing of files, offsets or FUSE.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/log.h>
#include <uzram/worker.h>

#include "attr_priv.h"

/* The order is the order of the directory; front ends number by it. */
static const struct uz_attr attrs[] = {
	{ "disksize", 0644,
	  "size of the block file in bytes; set once, rounded up to a page",
	  uz__attr_disksize_show, uz__attr_disksize_store },
	{ "initstate", 0444, "1 once the disksize is set, else 0",
	  uz__attr_initstate_show, NULL },
	{ "reset", 0200,
	  "a number above 0 drops all data and settings of a device that nobody "
	  "has open; \"force\" does so in any case",
	  NULL, uz__attr_reset_store },
	{ "comp_algorithm", 0644,
	  "the codecs, the chosen one in brackets; applies to new stores",
	  uz__attr_algorithm_show, uz__attr_algorithm_store },
	{ "algorithm_params", 0200,
	  "parameters of a codec: algo=NAME or priority=N; level=N, dict=PATH",
	  NULL, uz__attr_params_store },
	{ "recomp_algorithm", 0644,
	  "the codecs for recompression, written as algo=NAME priority=1 to 3",
	  uz__attr_recomp_show, uz__attr_recomp_store },
	{ "recompress", 0200,
	  "recompresses pages: type=idle, huge or huge_idle, threshold=BYTES, "
	  "max_pages=N, algo=NAME, priority=N; any of them",
	  NULL, uz__attr_recompress_store },
	{ "max_comp_streams", 0644,
	  "threads that serve requests; writing changes nothing",
	  uz__attr_streams_show, uz__attr_streams_store },
	{ "mem_limit", 0200,
	  "most bytes of memory for stored pages, 0 for no limit", NULL,
	  uz__attr_limit_store },
	{ "mem_used_max", 0200,
	  "0 lets the peak of memory used begin again from now", NULL,
	  uz__attr_used_max_store },
	{ "train", 0644,
	  "has a dictionary made of what is stored, for algo=NAME or "
	  "priority=N, of size=SIZE, and chosen; read, what it gained",
	  uz__attr_train_show, uz__attr_train_store },
	{ "compact", 0200,
	  "any write moves pages together until no more memory can be gained",
	  NULL, uz__attr_compact_store },
	{ "idle", 0200,
	  "\"all\" marks every page as idle, a number of seconds those that "
	  "were not used for longer",
	  NULL, uz__attr_idle_store },
	{ "block_state", 0400,
	  "a line for each stored page: number, last use and flags",
	  uz__attr_block_state_show, NULL },
	{ "backing_dev", 0644,
	  "path of a file or block device for pages that leave memory, or none",
	  uz__attr_backing_dev_show, uz__attr_backing_dev_store },
	{ "writeback", 0200,
	  "has pages leave memory for the backing store: huge, idle, huge_idle "
	  "or incompressible, also as type=; page_index=N, page_indexes=N-M",
	  NULL, uz__attr_writeback_store },
	{ "writeback_limit", 0644,
	  "blocks of 4 KiB that may still be written to the backing store",
	  uz__attr_budget_show, uz__attr_budget_store },
	{ "writeback_limit_enable", 0644, "1: writeback_limit counts",
	  uz__attr_limited_show, uz__attr_limited_store },
	{ "writeback_batch_size", 0644,
	  "writes to the backing store under way at a time; 8 at most are",
	  uz__attr_batch_show, uz__attr_batch_store },
	{ "compressed_writeback", 0644,
	  "always 1: pages lie compressed on the backing store",
	  uz__attr_compressed_show, uz__attr_compressed_store },
	{ "writeback_promote", 0644,
	  "1: a page read from the backing store goes back to memory if there "
	  "is room",
	  uz__attr_promote_show, uz__attr_promote_store },
	{ "writeback_marks", 0644,
	  "LOW-HIGH, percent of mem_limit: from HIGH on what was used least "
	  "recently is written back, until LOW; off",
	  uz__attr_marks_show, uz__attr_marks_store },
	{ "policy", 0644,
	  "auto: the device recompresses and writes back by itself, off: only "
	  "when asked; idle=SECONDS, share=PERCENT, near=PERCENT, "
	  "busy=PERCENT",
	  uz__attr_policy_show, uz__attr_policy_store },
	{ "bd_stat", 0444,
	  "blocks of 4 KiB on the backing store in one line: in use, read, "
	  "written",
	  uz__attr_bd_stat_show, NULL },
	{ "scrub", 0644,
	  "1 looks at every stored page for damage, rate=SIZE at so many bytes "
	  "a second, stop ends that; how far it is, and what was found",
	  uz__attr_scrub_show, uz__attr_scrub_store },
	{ "mm_stat", 0444, "memory statistics in one line, as kernel zram's",
	  uz__attr_mm_stat_show, NULL },
	{ "io_stat", 0444, "failed requests in one line, as kernel zram's",
	  uz__attr_io_stat_show, NULL },
	{ "debug_stat", 0444,
	  "missed frees, as kernel zram's; then mappings, deferred frees and "
	  "compaction",
	  uz__attr_debug_stat_show, NULL },
	{ "stat", 0444, "every statistic, one \"name value\" a line",
	  uz__attr_stat_show, NULL },
	{ "zpool", 0444, "the allocator that the stored pages lie in",
	  uz__attr_zpool_show, NULL },
	{ "pool_stat", 0444, "a table of what its size classes hold",
	  uz__attr_pool_stat_show, NULL },
	{ "save", 0644,
	  "an absolute path has all pages saved there as they are now; read, how "
	  "far that is",
	  uz__attr_save_show, uz__attr_save_store },
	{ "upgrade", 0644,
	  "1 goes on with the installed program, an absolute path with that one; "
	  "read, which one serves and how the last upgrade went",
	  uz__attr_upgrade_show, uz__attr_upgrade_store },
	{ "last_error", 0444,
	  "why the last write to an attribute was refused, or which page was "
	  "found damaged, whichever came last",
	  uz__attr_last_error_show, NULL },
	{ "pid", 0444, "process that keeps the device and takes signals",
	  uz__attr_pid_show, NULL },
	{ "latency", 0444,
	  "how long requests took: \"read\" or \"write\", nanoseconds at most, "
	  "and how many of those that were timed",
	  uz__attr_latency_show, NULL },
};

/* The device met a page that is not what was stored; inside a request. */
/*
 * Whoever reads much may meet many, and some again and again: the log gets a
 * line a second at most.
 */
static void keep_damage(void *arg, uint64_t index, const char *why)
{
	struct uz_attr_ctx *ctx = arg;
	struct timespec now;
	bool tell;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uz_lock_acquire(&ctx->text_lock);
	snprintf(ctx->last_error, sizeof(ctx->last_error),
		 "block: page %" PRIu64
		 ": %s; reading it fails until all of it is written\n",
		 index, why);
	tell = now.tv_sec != ctx->damage_told;
	ctx->damage_told = now.tv_sec;
	uz_lock_release(&ctx->text_lock);
	if (tell)
		uz_log(UZ_LOG_ERR,
		       "block: page %" PRIu64
		       ": %s; reading it fails until all of it is written",
		       index, why);
}

int uz_attr_ctx_create(struct uz_attr_ctx **ctx, struct uz_device *dev,
		       unsigned int streams, void (*resized)(void *arg),
		       void *arg)
{
	struct uz_attr_ctx *c = calloc(1, sizeof(*c));
	struct uz_err err = { 0 };

	if (!c)
		return -ENOMEM;
	if (uz_recompressor_create(&c->recompressor, dev) ||
	    uz_trainer_create(&c->trainer, dev) ||
	    uz_backer_create(&c->backer, dev) ||
	    uz_saver_create(&c->saver, dev) ||
	    uz_policy_create(&c->policy, dev) ||
	    uz_scrubber_create(&c->scrubber, dev)) {
		uz_policy_destroy(c->policy);
		uz_recompressor_destroy(c->recompressor);
		uz_trainer_destroy(c->trainer);
		uz_backer_destroy(c->backer);
		uz_saver_destroy(c->saver);
		free(c);
		return -ENOMEM;
	}
	c->dev = dev;
	c->streams = streams;
	c->resized = resized;
	c->arg = arg;
	c->process.supervisor = getpid();
	uz_lock_init(&c->store_lock, UZ_LOCK_ATTR);
	uz_lock_init(&c->text_lock, UZ_LOCK_LEAF);
	uz_device_on_damage(dev, keep_damage, c);
	if (uz_policy_follow(c->policy, &err))
		uz_log(UZ_LOG_WARN, "%s; the device does nothing unasked",
		       err.text);
	*ctx = c;
	return 0;
}

void uz_attr_set_transport(struct uz_attr_ctx *ctx, const char *name,
			   uint64_t buffer_bytes, const char *survives)
{
	uz_scoped_acquire(guard, &ctx->text_lock);

	ctx->transport = name;
	ctx->buffer_bytes = buffer_bytes;
	ctx->survives = survives;
}

void uz_attr_set_disk(struct uz_attr_ctx *ctx, const struct uz_attr_disk *disk)
{
	ctx->disk = disk;
}

void uz_attr_set_process(struct uz_attr_ctx *ctx,
			 const struct uz_attr_process *process)
{
	ctx->process = *process;
}

void uz_attr_ctx_destroy(struct uz_attr_ctx *ctx)
{
	if (!ctx)
		return;
	uz_policy_destroy(ctx->policy);
	uz_scrubber_destroy(ctx->scrubber);
	uz_device_on_damage(ctx->dev, NULL, NULL);
	uz_recompressor_destroy(ctx->recompressor);
	uz_trainer_destroy(ctx->trainer);
	uz__attr_params_forget(ctx);
	uz_saver_destroy(ctx->saver);
	uz_lock_destroy(&ctx->text_lock);
	uz_lock_destroy(&ctx->store_lock);
	uz_backer_destroy(ctx->backer);
	free(ctx);
}

const struct uz_attr *uz_attr_at(unsigned int i)
{
	return i < sizeof(attrs) / sizeof(attrs[0]) ? &attrs[i] : NULL;
}

int uz_attr_show(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		 struct uz_strbuf *out)
{
	int ret;

	if (!attr->show)
		return -EACCES;
	ret = attr->show(ctx, out);
	return ret ? ret : uz_strbuf_error(out);
}

int uz_attr_read(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		 uint64_t offset, void *buf, size_t size, size_t *len)
{
	struct uz_strbuf text = { 0 };
	int ret;

	*len = 0;
	/* What may be longer than memory is made piece by piece. */
	if (attr->show == uz__attr_block_state_show)
		return uz__attr_block_state_read(ctx, offset, buf, size, len);
	ret = uz_attr_show(ctx, attr, &text);
	if (!ret && offset < text.len) {
		*len = text.len - offset < size ? text.len - offset : size;
		memcpy(buf, text.data + offset, *len);
	}
	uz_strbuf_free(&text);
	return ret;
}

/*
 * Everything that is checked before store() is asked; makes the text safe.
 * What may take minutes is done without the lock: other stores go on, that of
 * reset in particular.
 */
static int store_checked(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
			 const void *text, size_t len, bool again, uint64_t id,
			 struct uz_err *err)
{
	char copy[UZ_ATTR_TEXT_MAX + 1];

	if (!attr->store)
		return uz_err_set(err, -EACCES, "can only be read");
	if (len > UZ_ATTR_TEXT_MAX)
		return uz_err_set(err, -E2BIG,
				  "%zu bytes are too many, %d are the most",
				  len, UZ_ATTR_TEXT_MAX);
	if (!len || memchr(text, 0, len))
		return uz_err_set(err, -EINVAL,
				  len ? "a zero byte is inside the text"
				      : "the text is empty");
	memcpy(copy, text, len);
	copy[len] = 0;
	if (attr->store == uz__attr_recompress_store)
		return uz__attr_recompress(ctx, copy, id, err);
	if (attr->store == uz__attr_train_store)
		return uz__attr_train(ctx, copy, id, err);
	if (attr->store == uz__attr_writeback_store)
		return uz__attr_writeback(ctx, copy, id, err);

	uz_scoped_acquire(guard, &ctx->store_lock);

	ctx->again = again;
	return attr->store(ctx, copy, len, err);
}

static void keep_error(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		       int code, const struct uz_err *err)
{
	uz_scoped_acquire(guard, &ctx->text_lock);

	snprintf(ctx->last_error, sizeof(ctx->last_error), "%s: %s\n",
		 attr->name, err->code ? err->text : strerror(-code));
}

int uz_attr_busy(struct uz_attr_ctx *ctx, const struct uz_attr *attr)
{
	struct uz_err err = { 0 };
	int ret = 0;

	if (attr->store == uz__attr_recompress_store)
		ret = uz_recompressor_busy(ctx->recompressor, &err);
	if (attr->store == uz__attr_writeback_store)
		ret = uz_backer_busy(ctx->backer, &err);
	if (ret)
		keep_error(ctx, attr, ret, &err);
	return ret;
}

bool uz_attr_takes_long(const struct uz_attr *attr)
{
	return attr->store == uz__attr_recompress_store ||
	       attr->store == uz__attr_writeback_store;
}

int uz_attr_store_for(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		      const void *text, size_t len, bool again, uint64_t id)
{
	struct uz_err err = { 0 };
	uint64_t before = uz_device_disksize(ctx->dev);
	int ret;

	ret = store_checked(ctx, attr, text, len, again, id, &err);
	if (ret)
		keep_error(ctx, attr, ret, &err);
	/* A process that died may have changed it, and not have told. */
	if (ctx->resized && (again || uz_device_disksize(ctx->dev) != before))
		ctx->resized(ctx->arg);
	return ret;
}

int uz_attr_store(struct uz_attr_ctx *ctx, const struct uz_attr *attr,
		  const void *text, size_t len, bool again)
{
	return uz_attr_store_for(ctx, attr, text, len, again, 0);
}

void uz_attr_interrupt(struct uz_attr_ctx *ctx, uint64_t id)
{
	uz_recompressor_interrupt(ctx->recompressor, id);
	uz_trainer_interrupt(ctx->trainer, id);
	uz_backer_interrupt(ctx->backer, id);
}

int uz__attr_number(const char *text, uint64_t *value)
{
	uint64_t v = 0;
	const char *p = text;

	if (*p == '+')
		p++;
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	if (*p == '\n')
		p++;
	if (*p)
		return -EINVAL;
	*value = v;
	return 0;
}
