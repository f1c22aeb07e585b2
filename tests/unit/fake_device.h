/* SPDX-License-Identifier: MIT */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include <stdatomic.h>

#include <uzram/device.h>
#include <uzram/device/latency.h>

#define FAKE_CLASSES 4
#define FAKE_TURNS   16

/*
 * A device of plain memory in place of src/device/, for tests of what stands
 * on top of it: what it was asked can be seen, what it answers can be chosen.
 */
struct uz_device {
	unsigned char *data;
	uint64_t size;
	uint64_t limit;
	unsigned int holders;
	struct uz_codec codec;
	/* Secondary codecs; ops is NULL where there is none. */
	struct uz_codec secondary[UZ_PRIORITIES];
	/*
	 * Recompression: pages that there are, each tried by itself, and the
	 * order that came last. It waits while hold is set; a number of pages
	 * after which it fails, and how.
	 */
	uint64_t candidates;
	struct uz_recompress how;
	_Atomic unsigned int recompressed;
	_Atomic bool hold;
	unsigned int fail_after;
	int recompress_error;
	/* The answer to a change of codec, if not 0. */
	int codec_error;
	struct uz_latency latency[UZ_LATENCY_KINDS];
	/* The dictionary that came last: its size and its first bytes. */
	size_t dict_size;
	char dict[8];
	struct uz_device_stat stat;
	/* The answer of the next submit; then 0 again. */
	int submit_error;
	/* The last request, and how many there were. */
	struct uz_request last;
	unsigned int submits;
	/* The hints of what comes next, in order. */
	uint64_t soon[FAKE_TURNS], later[FAKE_TURNS];
	unsigned int expected;
	unsigned int resets_of_max;
	/* Pages that are stored, out of fake_states; the last age given. */
	struct uz_page_state *states;
	uint64_t nr_states;
	uint64_t idle_age;
	unsigned int state_calls;
	/* Releases one holder when it is asked for the n-th time. */
	unsigned int release_after;
	/*
	 * Compaction: batches that each move 10 objects and gain a page, then
	 * one that returns false and passes over so many zspages and classes.
	 */
	_Atomic unsigned int batches;
	_Atomic unsigned int pinned;
	_Atomic unsigned int contended;
	/*
	 * Calls that do nothing and yet say that there is more, before others.
	 */
	_Atomic unsigned int stuck;
	/* Calls so far, and how the last one was made. */
	_Atomic unsigned int compacts;
	_Atomic enum uz_pool_compact_scope scope;
	_Atomic uint32_t budget;
	/* Huge pages: calls so far, and what the first of them return. */
	_Atomic unsigned int collapses;
	const int *collapsed;
	unsigned int nr_collapsed;
	void (*whole)(void *arg);
	void *whole_arg;
	/* Whom to tell that compaction is worth while. */
	void (*fragmented)(void *arg);
	void *fragmented_arg;
	/* Whom to tell of damaged pages. */
	void (*damaged)(void *arg, uint64_t index, const char *why);
	void *damaged_arg;
	/* So often the store cannot be found yet; each look takes one off. */
	_Atomic unsigned int missing;
	/* The store's path, numbers and settings. */
	char backing[UZ_BACKING_PATH_MAX + 1];
	struct uz_backing_stat backing_stat;
	_Atomic uint64_t settings[UZ_BACKING_SETTINGS];
	/*
	 * Writing back: each step takes 100 pages of those that are wanted. The
	 * n-th from now fails; what was wanted last can be seen, and something
	 * be called in each step.
	 */
	unsigned int fail_step;
	int fail_error;
	int skipped;
	_Atomic unsigned int steps;
	struct uz_writeback_want want;
	uint64_t want_first;
	uint64_t want_end;
	void (*in_step)(void *arg);
	void *in_step_arg;
	/*
	 * Snapshots: so many pages in one, the answer of begin and that of
	 * next after the pages. Next waits for as long as @hold_snapshot.
	 */
	unsigned int snapshot_pages;
	int begin_error;
	int next_error;
	_Atomic bool hold_snapshot;
	_Atomic unsigned int snapshots;
	/* Of the policy; the answer to the tracking of ages. */
	_Atomic uint64_t policy[UZ_POLICY_NUMBERS];
	bool tracks_age;
	int track_error;
	/*
	 * Room: whom to tell of need; what each turn is to return, and each one
	 * after them, and how many there were; how often somebody was told, and
	 * what at last; contexts for writing back that were made.
	 */
	void (*need)(void *arg);
	void *need_arg;
	_Atomic int turn[FAKE_TURNS];
	_Atomic int always;
	_Atomic unsigned int writebacks;
	_Atomic unsigned int turns;
	_Atomic unsigned int told;
	_Atomic int told_error;
	unsigned int nr_classes;
	struct uz_pool_class_stat classes[FAKE_CLASSES];
};

struct uz_io {
	struct uz_device *dev;
};

/* Of pages that it has given. */
struct uz_snapshot {
	struct uz_device *dev;
	unsigned int given;
};

/* All zeroes but the default codec. */
void fake_device_init(struct uz_device *dev);
void fake_device_end(struct uz_device *dev);

#endif
