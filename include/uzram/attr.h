/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_ATTR_H
#define UZRAM_ATTR_H

#include <sys/types.h>

#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>
#include <uzram/util/strbuf.h>

/**
 * DOC: attributes
 *
 * One row per file of the device's directory, named, formatted and refused as
 * in /sys/block/zramN. The layer turns text into calls of the device and back;
 * it knows nothing of FUSE. A new attribute is one row and its functions.
 */

/* A write longer than this is refused with -E2BIG. */
#define UZ_ATTR_TEXT_MAX 4095

/**
 * struct uz_attr_ctx - what attributes work on; private to the layer
 */
struct uz_attr_ctx;

/**
 * struct uz_attr - one attribute
 * @name:  file name
 * @mode:  permission bits, as kernel zram's
 * @what:  one sentence for uzramctl and for the lint that looks for it in the
 *         man page
 * @show:  appends the text, line feed included; NULL when write-only
 * @store: takes the text (zero-terminated, @len bytes, trailing line feed
 *         still there); NULL when read-only
 *
 * @show and @store are called by uz_attr_show() and uz_attr_store() only.
 */
struct uz_attr {
	const char *name;
	unsigned int mode;
	const char *what;
	int (*show)(struct uz_attr_ctx *ctx, struct uz_strbuf *out);
	int (*store)(struct uz_attr_ctx *ctx, const char *text, size_t len,
		     struct uz_err *err);
};

/**
 * uz_attr_ctx_create() - attributes of a device
 * @ctx:     set on success, untouched on failure
 * @dev:     borrowed; told uz_device_on_damage(), so nobody uses it yet
 * @streams: threads that serve requests
 * @resized: called after the disksize changed, or may have, never under a lock
 *           of this layer; NULL for none
 * @arg:     handed to @resized
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_attr_ctx_create(struct uz_attr_ctx **ctx,
				     struct uz_device *dev,
				     unsigned int streams,
				     void (*resized)(void *arg), void *arg);

/**
 * uz_attr_set_transport() - what the attribute stat says about the front end
 * @ctx:          the attributes' context
 * @name:         one word; stays valid
 * @buffer_bytes: most that its buffers take
 * @survives:     one word, what becomes of requests when this process dies:
 *                "yes" all are carried out by the next one, "queued" those
 *                that it had begun end with an error; stays valid
 *
 * Context: any thread; takes a lock of this layer.
 */
void uz_attr_set_transport(struct uz_attr_ctx *ctx, const char *name,
			   uint64_t buffer_bytes, const char *survives);

/**
 * struct uz_attr_disk - a disk that stands on the device
 * @can_grow: 0, or why it cannot be told of a larger size
 * @grow:     it has this size from now on, in bytes; also one that it has
 *            already. 0, or why not; then it has the size that it had
 * @arg:      handed to both
 *
 * Both are called from any thread, one at a time.
 */
struct uz_attr_disk {
	int (*can_grow)(void *arg, struct uz_err *err);
	int (*grow)(void *arg, uint64_t size, struct uz_err *err);
	void *arg;
};

/**
 * uz_attr_set_disk() - there is a disk
 * @ctx:  the attributes' context, before anybody stores by it
 * @disk: borrowed for as long as there is @ctx
 *
 * A store to reset gives -EBUSY from then on, forced or not.
 *
 * Context: one thread.
 */
void uz_attr_set_disk(struct uz_attr_ctx *ctx, const struct uz_attr_disk *disk);

/**
 * struct uz_attr_upgrade - who knows how to go on with another program
 * @ask:  begin, with the program at @path, or "" for the one that is installed.
 *        @again: as for uz_attr_store(). Returns 0; -EBUSY one is under way;
 *        -ENOTSUP it cannot be done here
 * @show: appends how it stands, line feeds included
 * @arg:  handed to both
 *
 * Both are called from any thread.
 */
struct uz_attr_upgrade {
	int (*ask)(void *arg, const char *path, bool again, struct uz_err *err);
	void (*show)(void *arg, struct uz_strbuf *out);
	void *arg;
};

/**
 * struct uz_attr_process - what pid and stat say about processes
 * @supervisor:  the process that signals are for
 * @restarts:    workers that have served the device before us
 * @protection:  what protects this process while memory is short, one word
 * @awake:       CPUs are kept from halting while the device is in use
 * @watchdog:    seconds after which one that hangs is replaced; 0: never
 * @hangs:       how often that has happened
 * @confinement: what it has given up, one word
 * @cgroup:      where its memory is charged; "": nowhere
 * @upgrade:     for the attribute of that name; without it, that refuses
 *
 * NULL is for what is not known.
 */
struct uz_attr_process {
	pid_t supervisor;
	unsigned int restarts;
	const char *protection;
	bool awake;
	unsigned int watchdog;
	unsigned int hangs;
	const char *confinement;
	const char *cgroup;
	const struct uz_attr_upgrade *upgrade;
};

/**
 * uz_attr_set_process() - tell it
 * @ctx:     the attributes' context; without this call, we are the supervisor
 *           and all else is not known
 * @process: copied; what it points to is borrowed for as long as there is @ctx
 *
 * Context: before attributes are read.
 */
void uz_attr_set_process(struct uz_attr_ctx *ctx,
			 const struct uz_attr_process *process);

/**
 * uz_attr_ctx_destroy() - forget it
 * @ctx: the context, or NULL
 *
 * Context: nobody uses it any more.
 */
void uz_attr_ctx_destroy(struct uz_attr_ctx *ctx);

/**
 * uz_attr_at() - the attributes in their order
 * @i: 0, 1, 2, ...
 *
 * Context: any thread.
 * Return:  the attribute, or NULL after the last.
 */
const struct uz_attr *uz_attr_at(unsigned int i);

/**
 * uz_attr_show() - an attribute's text
 * @ctx:  the attributes' context
 * @attr: from uz_attr_at()
 * @out:  the text is appended
 *
 * Context: any thread; may sleep and allocate.
 * Return:  0; -EACCES write-only; -ENOMEM; what show() returns.
 */
uz_must_check int uz_attr_show(struct uz_attr_ctx *ctx,
			       const struct uz_attr *attr,
			       struct uz_strbuf *out);

/**
 * uz_attr_read() - a part of an attribute's text
 * @ctx:    the attributes' context
 * @attr:   from uz_attr_at()
 * @offset: of its first byte in the text
 * @buf:    @size bytes
 * @size:   most bytes wanted
 * @len:    bytes written; less than @size at the end of the text only
 *
 * The text is made anew with each call, so parts of it may be of different
 * moments. block_state may be longer than memory and is made in parts; its
 * lines go on behind the page of the line before, if it is read in order.
 *
 * Context: any thread; may sleep and allocate.
 * Return:  0 or as uz_attr_show().
 */
uz_must_check int uz_attr_read(struct uz_attr_ctx *ctx,
			       const struct uz_attr *attr, uint64_t offset,
			       void *buf, size_t size, size_t *len);

/**
 * uz_attr_store() - write an attribute
 * @ctx:  the attributes' context
 * @attr: from uz_attr_at()
 * @text: @len bytes, not zero-terminated; any bytes at all
 * @len:  how many
 * @again: a process that died since may have carried out this very store and
 *        not have been able to say so. What it did is not done twice, and no
 *        reason for a refusal
 *
 * One store is under way at a time, but for those that take long. A refusal is
 * kept for last_error, as one line "NAME: REASON".
 *
 * Context: any thread; may sleep and allocate.
 * Return:  0; -EACCES read-only; -E2BIG longer than UZ_ATTR_TEXT_MAX; -EINVAL
 *          with a zero byte inside, or empty; what store() returns.
 */
uz_must_check int uz_attr_store(struct uz_attr_ctx *ctx,
				const struct uz_attr *attr, const void *text,
				size_t len, bool again);

/**
 * uz_attr_store_for() - write an attribute for somebody who may change his mind
 * @ctx:  the attributes' context
 * @attr: from uz_attr_at()
 * @text: as for uz_attr_store()
 * @len:  as for uz_attr_store()
 * @again: as for uz_attr_store()
 * @id:   what uz_attr_interrupt() will know him by; never given twice; 0: none
 *
 * Context: as uz_attr_store().
 * Return:  as uz_attr_store(); -EINTR it was interrupted.
 */
uz_must_check int uz_attr_store_for(struct uz_attr_ctx *ctx,
				    const struct uz_attr *attr,
				    const void *text, size_t len, bool again,
				    uint64_t id);

/**
 * uz_attr_busy() - would a store be refused because one is under way?
 * @ctx:  the attributes' context
 * @attr: from uz_attr_at()
 *
 * Of some attributes a store may take minutes, and another one is refused
 * meanwhile. A system that lets in one writer to a file at a time never hands
 * that one on; then who opens the file can be refused. Kept for last_error, as
 * a store's refusal is.
 *
 * Context: any thread; does not wait for the store.
 * Return:  0 or -EBUSY.
 */
uz_must_check int uz_attr_busy(struct uz_attr_ctx *ctx,
			       const struct uz_attr *attr);

/**
 * uz_attr_takes_long() - is it one of these?
 * @attr: from uz_attr_at()
 *
 * Context: any thread.
 * Return:  whether uz_attr_busy() may ever refuse.
 */
bool uz_attr_takes_long(const struct uz_attr *attr);

/**
 * uz_attr_interrupt() - have a store end soon that would take long
 * @ctx: the attributes' context
 * @id:  of the store, which may be about to begin, or have ended, too; 0: any
 *
 * Context: any thread; does not wait.
 */
void uz_attr_interrupt(struct uz_attr_ctx *ctx, uint64_t id);

#endif
