/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_ENTRY_PRIV_H
#define UZRAM_FUSE_ENTRY_PRIV_H

#include <sys/uio.h>

#include "area_priv.h"
#include "fuse_priv.h"

/* A request in its two buffers, its answer in the same: entry.c. */

/**
 * enum uz__fuse_left - what a predecessor has left in an entry
 * @UZ__FUSE_LEFT_NOTHING: no request has ever been there
 * @UZ__FUSE_LEFT_ANSWER:  an answer, which the kernel may have or not
 * @UZ__FUSE_LEFT_REQUEST: a request that nobody has answered
 */
enum uz__fuse_left {
	UZ__FUSE_LEFT_NOTHING,
	UZ__FUSE_LEFT_ANSWER,
	UZ__FUSE_LEFT_REQUEST,
};

/**
 * struct uz__fuse_entry - one pair of buffers
 * @hdr:       where the kernel puts a request's header, and we the answer's
 * @outcome:   what a successor has to know of it
 * @payload:   its data, page-aligned
 * @cap:       bytes at @payload
 * @iov:       both, as the kernel is told of them
 * @commit_id: of the request that is in it
 * @next:      in a worker's list
 * @qid:       its queue
 * @home:      the worker that serves that queue's CPU
 * @cost:      of the request, see uz__fuse_entry_cost()
 * @page:      that the request begins with, see uz__fuse_entry_page()
 * @away:      grows with each request that another worker served while @home
 *             slept
 * @answered:  it holds an answer and not a request
 * @missing:   the kernel did not take it when it was registered
 * @renewed:   registered again after the kernel had refused an answer
 * @reads:     the request reads @page
 * @left:      by a predecessor, until the kernel brings something
 *
 * Whoever was told of a request owns all of it until it is committed.
 */
struct uz__fuse_entry {
	_Alignas(UZ_CACHELINE) struct fuse_uring_req_header *hdr;
	void *payload;
	uint32_t cap;
	struct iovec iov[2];
	uint64_t commit_id;
	struct uz__fuse_entry *next;
	struct uz__fuse_outcome *outcome;
	uint64_t page;
	unsigned int cost;
	uint16_t qid;
	uint16_t home;
	uint16_t away;
	bool answered;
	bool missing;
	bool renewed;
	bool reads;
	enum uz__fuse_left left;
};

/**
 * uz__fuse_entry_serve() - carry out the request in an entry and answer it
 * @entry: holds a request; then its answer, ready to be committed
 * @call:  the thread's; its @fuse and @io are set, the rest is overwritten
 *
 * Context: the thread of @call->io; may sleep.
 */
void uz__fuse_entry_serve(struct uz__fuse_entry *entry,
			  struct uz__fuse_call *call);

/**
 * uz__fuse_entry_adopt() - look at what a predecessor has left
 * @entry: its memory may hold any bytes at all
 *
 * An answer is ready to be committed afterwards, by @entry->commit_id.
 *
 * Context: before the entry is used for anything else.
 * Return:  what it was.
 */
enum uz__fuse_left uz__fuse_entry_adopt(struct uz__fuse_entry *entry);

/**
 * uz__fuse_entry_cost() - how much work is that?
 * @entry: holds a request; any bytes at all
 *
 * Context: any thread; pure.
 * Return:  about 1 for a page read; UZ__FUSE_COST_SLOW or more when it may keep
 *          a thread for so long that nobody should wait behind it, and
 *          UZ__FUSE_COST_STORE when it is a store to an attribute.
 */
unsigned int uz__fuse_entry_cost(const struct uz__fuse_entry *entry);

/**
 * uz__fuse_entry_page() - which page does it begin with?
 * @entry: holds a request; any bytes at all
 * @reads: set: it is read; else it is written
 *
 * Context: any thread; pure.
 * Return:  the page, whether there is such a one or not; UZ_PAGE_NONE if it
 *          neither reads nor writes the block file.
 */
uint64_t uz__fuse_entry_page(const struct uz__fuse_entry *entry, bool *reads);

/**
 * uz__fuse_entry_expect() - tell the device what waits
 * @entry: the request after the one that is served now, or NULL
 * @io:    who serves both
 *
 * Context: the thread of @io.
 */
void uz__fuse_entry_expect(const struct uz__fuse_entry *entry,
			   struct uz_io *io);

#define UZ__FUSE_COST_SLOW  (UINT32_MAX - 1)
#define UZ__FUSE_COST_STORE UINT32_MAX

#endif
