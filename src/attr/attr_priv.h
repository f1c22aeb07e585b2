/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_ATTR_PRIV_H
#define UZRAM_ATTR_PRIV_H

#include <uzram/attr.h>
#include <uzram/util/lock.h>
#include <uzram/worker.h>
#include <uzram/worker/policy.h>
#include <uzram/worker/save.h>
#include <uzram/worker/train.h>

/* Readers of block_state at a time that need not begin from the start. */
#define UZ__ATTR_PLACES 4

/**
 * struct uz__attr_place - how far a reader of block_state has come
 * @line:  number of a line; 0: none
 * @index: page from which on its page is found
 */
struct uz__attr_place {
	uint64_t line;
	uint64_t index;
};

/* Longest text of a level. */
#define UZ__ATTR_LEVEL_MAX 16

/**
 * struct uz__attr_waiting - what is to be said to a codec that is yet to come
 * @level: or ""
 * @dict:  bytes of a dictionary, or NULL; owned
 * @size:  of @dict
 */
struct uz__attr_waiting {
	char level[UZ__ATTR_LEVEL_MAX + 1];
	char *dict;
	size_t size;
};

/**
 * struct uz_attr_ctx - what attributes work on
 * @dev:          the device; borrowed
 * @backer:       writes pages back
 * @saver:        what saves it to a file
 * @policy:       what it does unasked; followed under @store_lock
 * @streams:      threads that serve requests
 * @resized:      told when the disksize has changed; may be NULL
 * @arg:          handed to @resized
 * @process:      what is said about processes
 * @disk:         that stands on the device, or NULL
 * @store_lock:   one store at a time; shows never take it
 * @again:        the store that is under way may have been carried out before;
 *                under @store_lock
 * @recompressor: what a store to recompress needs
 * @trainer:      what a store to train needs
 * @waiting:      for codecs of priorities that have none; under @store_lock
 * @text_lock:    guards what follows; innermost, held for a copy only
 * @transport:    how requests get to the front end; or NULL
 * @buffer_bytes: most that its buffers take
 * @places:       where readers of block_state have got to
 * @next_place:   which of them is forgotten next
 * @scrubber:     looks at stored pages; used under @store_lock, but its state
 * @survives:     what becomes of requests when this process dies; or NULL
 * @last_error:   the last refusal or damaged page, one line with its line feed,
 *                or ""
 * @damage_told:  when the log got a line about a damaged page, s
 */
struct uz_attr_ctx {
	struct uz_device *dev;
	struct uz_backer *backer;
	struct uz_saver *saver;
	struct uz_policy *policy;
	unsigned int streams;
	void (*resized)(void *arg);
	void *arg;
	struct uz_attr_process process;
	const struct uz_attr_disk *disk;
	struct uz_lock store_lock;
	bool again;
	struct uz_recompressor *recompressor;
	struct uz_trainer *trainer;
	struct uz__attr_waiting waiting[UZ_PRIORITIES];
	struct uz_lock text_lock;
	const char *transport;
	uint64_t buffer_bytes;
	struct uz__attr_place places[UZ__ATTR_PLACES];
	unsigned int next_place;
	struct uz_scrubber *scrubber;
	const char *survives;
	char last_error[UZ_ERR_TEXT + 32];
	time_t damage_told;
};

/**
 * uz__attr_number() - a decimal number as the kernel's kstrtou64() takes it
 * @text:  digits, one line feed at most after them
 * @value: the number, on success
 *
 * Context: any thread.
 * Return:  0; -EINVAL not a number; -ERANGE more than 2^64 - 1.
 */
uz_must_check int uz__attr_number(const char *text, uint64_t *value);

/* attr_config.c */

/* The codecs of this build in a line, the one given in brackets. */
void uz__attr_codec_list(const struct uz_codec *codec, struct uz_strbuf *out);
int uz__attr_disksize_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_disksize_store(struct uz_attr_ctx *ctx, const char *text,
			    size_t len, struct uz_err *err);
int uz__attr_initstate_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_reset_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err);
int uz__attr_algorithm_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_algorithm_store(struct uz_attr_ctx *ctx, const char *text,
			     size_t len, struct uz_err *err);
int uz__attr_streams_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_streams_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err);
int uz__attr_limit_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err);

/* attr_backing.c */
int uz__attr_marks_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_marks_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err);
int uz__attr_backing_dev_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_backing_dev_store(struct uz_attr_ctx *ctx, const char *text,
			       size_t len, struct uz_err *err);
int uz__attr_bd_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_limited_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_limited_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err);
int uz__attr_budget_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_budget_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err);
int uz__attr_batch_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_batch_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err);
int uz__attr_promote_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_promote_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err);
int uz__attr_compressed_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_compressed_store(struct uz_attr_ctx *ctx, const char *text,
			      size_t len, struct uz_err *err);
int uz__attr_writeback_store(struct uz_attr_ctx *ctx, const char *text,
			     size_t len, struct uz_err *err);

/* The store to writeback, by @id (see uz_backer_run()); store_lock not held. */
int uz__attr_writeback(struct uz_attr_ctx *ctx, const char *text, uint64_t id,
		       struct uz_err *err);

/* The numbers of the store, and how far writing back is or came. */
void uz__attr_backing_stat(struct uz_attr_ctx *ctx, struct uz_strbuf *out);

/* attr_stat.c */
int uz__attr_used_max_store(struct uz_attr_ctx *ctx, const char *text,
			    size_t len, struct uz_err *err);
int uz__attr_mm_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_io_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_debug_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_latency_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_last_error_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_pid_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);

/* attr_pages.c */
int uz__attr_idle_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			struct uz_err *err);
int uz__attr_block_state_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_block_state_read(struct uz_attr_ctx *ctx, uint64_t offset,
			      void *buf, size_t size, size_t *len);

/* attr_params.c */
int uz__attr_params_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err);

/* The codec of a priority from 1 on, with what was kept for it. */
uz_must_check int uz__attr_params_choose(struct uz_attr_ctx *ctx,
					 unsigned int priority,
					 const char *algo, struct uz_err *err);
void uz__attr_params_forget(struct uz_attr_ctx *ctx);

/* The first priority from @from on whose codec has that name, if any has. */
unsigned int uz__attr_find_priority(struct uz_attr_ctx *ctx, const char *algo,
				    unsigned int from);

/* That of a codec's name, unless this is NULL; -EINVAL there is none. */
uz_must_check int uz__attr_any_priority(struct uz_attr_ctx *ctx,
					const char *algo,
					unsigned int *priority,
					struct uz_err *err);

/* attr_recomp.c */
int uz__attr_recomp_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_recomp_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err);
int uz__attr_recompress_store(struct uz_attr_ctx *ctx, const char *text,
			      size_t len, struct uz_err *err);

/* The same for who may interrupt it by @id; takes no lock of this layer. */
int uz__attr_recompress(struct uz_attr_ctx *ctx, const char *text, uint64_t id,
			struct uz_err *err);

int uz__attr_train_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_train_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err);

/* Likewise. */
int uz__attr_train(struct uz_attr_ctx *ctx, const char *text, uint64_t id,
		   struct uz_err *err);

/* attr_pool.c */
int uz__attr_scrub_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_scrub_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			 struct uz_err *err);
int uz__attr_compact_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err);
int uz__attr_zpool_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_pool_stat_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);

/* attr_policy.c */
int uz__attr_policy_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
int uz__attr_policy_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			  struct uz_err *err);
void uz__attr_policy_stat(struct uz_attr_ctx *ctx, struct uz_strbuf *out);

/* attr_upgrade.c */
int uz__attr_upgrade_store(struct uz_attr_ctx *ctx, const char *text,
			   size_t len, struct uz_err *err);
int uz__attr_upgrade_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);

/* attr_save.c */
int uz__attr_save_store(struct uz_attr_ctx *ctx, const char *text, size_t len,
			struct uz_err *err);
int uz__attr_save_show(struct uz_attr_ctx *ctx, struct uz_strbuf *out);

#endif
