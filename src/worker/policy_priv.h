/* SPDX-License-Identifier: MIT */
#ifndef UZ_WORKER_POLICY_PRIV_H
#define UZ_WORKER_POLICY_PRIV_H

#include <uzram/types.h>
#include <uzram/worker/policy.h>

/* ---- policy.c ---- */

enum uz__policy_action {
	UZ__POLICY_REST,
	UZ__POLICY_MARK,
	UZ__POLICY_RECOMPRESS,
	UZ__POLICY_WRITEBACK,
	UZ__POLICY_END,
};

/*
 * struct uz__policy_view - the device at one moment
 * @on:       there is to be work unasked
 * @codec:    there is a secondary codec
 * @store:    there is a backing store that takes pages
 * @now:      seconds since some moment
 * @stored:   pages
 * @requests: that there were
 * @used:     bytes of memory
 * @limit:    bytes, or 0
 * @busy:     percent of the machine's CPU time of late
 * @busy_max: percent of it from which on recompression waits
 * @idle:     seconds after which a page is idle
 * @near:     percent of the limit from which on it is near
 */
struct uz__policy_view {
	bool on;
	bool codec;
	bool store;
	uint64_t now;
	uint64_t stored;
	uint64_t requests;
	uint64_t used;
	uint64_t limit;
	unsigned int busy;
	unsigned int busy_max;
	uint64_t idle;
	unsigned int near;
};

/*
 * struct uz__policy_past - what has to be known of what was before
 * @marked:     pages were marked
 * @recompress: marked pages were not recompressed yet
 * @writeback:  nor written back
 * @began:      no page counts as used before that
 * @marked_at:  when that began
 * @changed_at: when somebody last used pages, or marks were lost
 * @requests:   that were seen last
 */
struct uz__policy_past {
	bool marked;
	bool recompress;
	bool writeback;
	uint64_t began;
	uint64_t marked_at;
	uint64_t changed_at;
	uint64_t requests;
};

/*
 * struct uz__policy_step - what is to be done
 * @action: that
 * @word:   as uz_policy_rests()
 */
struct uz__policy_step {
	enum uz__policy_action action;
	const char *word;
};

/* Looks at nothing but its arguments, and changes nothing. */
struct uz__policy_step uz__policy_decide(const struct uz__policy_view *view,
					 const struct uz__policy_past *past);

/* Ages are tracked from @now on. */
void uz__policy_begin(struct uz__policy_past *past, uint64_t now);

/* Before each decision. */
void uz__policy_see(struct uz__policy_past *past,
		    const struct uz__policy_view *view);

/* After each action that began at @now; @tried pages were recompressed. */
void uz__policy_did(struct uz__policy_past *past, enum uz__policy_action action,
		    uint64_t now, uint64_t tried);

/*
 * Nanoseconds to rest after work of @cpu_ns, which took @wall_ns, so as to have
 * taken no more than @share percent, 1 to 100.
 */
uint64_t uz__policy_pause(uint64_t cpu_ns, uint64_t wall_ns,
			  unsigned int share);

/* ---- policy_setting.c ---- */

/* One of UZ_POLICY_IDLE, _SHARE, _NEAR and _BUSY, or its default. */
uint64_t uz__policy_setting(const struct uz_device *dev,
			    enum uz_policy_number which);

#endif
