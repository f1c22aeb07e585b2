/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BACKING_H
#define UZRAM_BACKING_H

#include <sys/uio.h>

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: the backing store
 *
 * A file or block device that holds what was written back. It knows bytes at
 * offsets and who uses them, nothing of pages or slots.
 *
 * Space is handed out in *runs* of blocks of 4 KiB. Into a run goes what was
 * collected, one piece after the other, so that several pieces share a block.
 * Each block counts its users: the pieces that touch it, the one who holds the
 * run while it is being filled, and everybody who reads from it. A block
 * without users is free. So a reader who has raised the count finds whatever
 * lay there when he did, until he lowers it again.
 *
 * The counts are in ordinary memory: whoever adopts the device's memory opens
 * the store anew and raises them for each piece that a slot names.
 */

/* Of what is counted and handed out. */
#define UZ_BLOCK_SIZE 4096u

/* 16 TiB: an offset in units of 8 bytes fits a ref. */
#define UZ_BACKING_MAX (UINT64_C(1) << 44)

struct uz_backing;

/**
 * struct uz_backing_info - the numbers of a store
 * @blocks:  in all
 * @used:    blocks with users
 * @written: bytes written, ever
 * @read:    bytes read, ever
 * @dev:     st_dev of the file, by which it is known again
 * @ino:     st_ino likewise
 */
struct uz_backing_info {
	uint64_t blocks;
	uint64_t used;
	uint64_t written;
	uint64_t read;
	uint64_t dev;
	uint64_t ino;
};

/**
 * uz_backing_open() - a store on a file or block device
 * @backing: set on success
 * @path:    of a regular file (its size is the store's; sparse is fine) or of
 *           a block device that nobody else has; absolute
 * @err:     the reason; may be NULL
 *
 * What it holds is overwritten as space is handed out. Nobody else may open it
 * as a store meanwhile (flock); nor after this process was killed, until the
 * writes that it had under way have ended.
 *
 * Context: any thread; sleeps.
 * Return:  0; -EINVAL not absolute, or smaller than a block; -EISDIR a
 *          directory; -ENOTBLK neither that, nor a file or block device;
 *          -EBUSY somebody has it; -ESTALE it became another file just then;
 *          -ENOMEM; -errno of open(2).
 */
uz_must_check int uz_backing_open(struct uz_backing **backing, const char *path,
				  struct uz_err *err);

/**
 * uz_backing_close() - forget the store; the file stays as it is
 * @backing: the store, or NULL
 *
 * Context: nobody uses it any more.
 */
void uz_backing_close(struct uz_backing *backing);

/**
 * uz_backing_direct() - do writes go past the page cache?
 * @backing: the store
 *
 * Then each begins at a block, has buffers that are aligned to blocks, and is
 * of whole blocks; and it is done when it has reached the device. Nothing is
 * said of the device's own cache: what it loses when power fails, the memory
 * with the slots loses as well.
 *
 * Context: any thread.
 * Return:  true if so; else pieces may begin anywhere, and uz_writer_sync()
 *          has to be called.
 */
bool uz_backing_direct(const struct uz_backing *backing);

/**
 * uz_backing_info() - its numbers now
 * @backing: the store
 * @info:    filled
 *
 * Context: any thread.
 */
void uz_backing_info(struct uz_backing *backing, struct uz_backing_info *info);

/* ---- space ---- */

/**
 * struct uz_run - blocks in a row
 * @block: the first
 * @nr:    how many
 */
struct uz_run {
	uint64_t block;
	uint32_t nr;
};

/**
 * uz_backing_reserve() - take a run of free blocks
 * @backing: the store
 * @nr:      blocks wanted, 1 ... 4096
 * @run:     filled: as many as lie in a row at the first place found, at most
 *           @nr; its holder is a user of each
 *
 * Context: any thread; takes a leaf lock, looks through memory only.
 * Return:  0; -ENOSPC not one block is free.
 */
uz_must_check int uz_backing_reserve(struct uz_backing *backing, uint32_t nr,
				     struct uz_run *run);

/**
 * uz_backing_release() - hold a run no more; what nobody else uses is free
 * @backing: the store
 * @run:     from uz_backing_reserve()
 *
 * Context: any thread; takes a leaf lock.
 */
void uz_backing_release(struct uz_backing *backing, const struct uz_run *run);

/**
 * uz_backing_hold() - one more user of the blocks that some bytes touch
 * @backing: the store
 * @offset:  bytes, from the start of the store
 * @length:  bytes, at least 1
 *
 * Sequentially consistent with the loads of slots before and after it: whoever
 * finds the slot unchanged afterwards has what it names.
 *
 * Context: any thread; takes a leaf lock.
 * Return:  0; -EUCLEAN beyond the end, which only damage can bring about, or
 *          more users than can be counted.
 */
uz_must_check int uz_backing_hold(struct uz_backing *backing, uint64_t offset,
				  uint32_t length);

/**
 * uz_backing_drop() - one user less
 * @backing: the store
 * @offset:  as for uz_backing_hold()
 * @length:  as for uz_backing_hold()
 *
 * Context: any thread; takes a leaf lock.
 */
void uz_backing_drop(struct uz_backing *backing, uint64_t offset,
		     uint32_t length);

/**
 * uz_backing_users() - how many users a block has
 * @backing: the store
 * @block:   below its number of blocks
 *
 * Context: any thread; takes a leaf lock.
 * Return:  its count of users; 0: it is free.
 */
uint32_t uz_backing_users(struct uz_backing *backing, uint64_t block);

/* ---- reading and writing ---- */

/**
 * uz_backing_read() - bytes from the store
 * @backing: the store
 * @offset:  bytes
 * @buf:     @length bytes
 * @length:  bytes
 *
 * Where the system has no memory for it, that is waited for, some seconds.
 *
 * Context: any thread that holds the bytes; sleeps.
 * Return:  0; -EIO the end came too soon; -errno of pread(2).
 */
uz_must_check int uz_backing_read(struct uz_backing *backing, uint64_t offset,
				  void *buf, size_t length);

struct uz_writer;

/**
 * struct uz_write - one write of many pieces
 * @iov:    the pieces, borrowed until it is done; changed by it
 * @nr:     of them, 1 ... 1024
 * @offset: bytes, where the first goes
 * @length: bytes of all
 * @result: 0 or -errno when it is done
 * @next:   for the writer
 */
struct uz_write {
	struct iovec *iov;
	unsigned int nr;
	uint64_t offset;
	size_t length;
	int result;
	struct uz_write *next;
};

/**
 * uz_writer_create() - a way to have several writes under way
 * @writer:  set on success
 * @backing: the store
 * @depth:   writes under way at a time, 1 ... 64
 *
 * Through io_uring where the build and the system have it, one after the other
 * otherwise.
 *
 * Context: any thread; one thread uses a writer at a time.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_writer_create(struct uz_writer **writer,
				   struct uz_backing *backing,
				   unsigned int depth);

/**
 * uz_writer_destroy() - the writer ends
 * @writer: nothing is under way; or NULL
 *
 * Context: the thread that uses it.
 */
void uz_writer_destroy(struct uz_writer *writer);

/**
 * uz_writer_submit() - begin a write
 * @writer: the writer; fewer than @depth are under way
 * @write:  what; stays until uz_writer_wait() has returned it
 *
 * Context: the thread that uses the writer; may sleep.
 */
void uz_writer_submit(struct uz_writer *writer, struct uz_write *write);

/**
 * uz_writer_wait() - the next write that is done
 * @writer: the writer
 *
 * Done is not yet on the device unless uz_backing_direct(): see
 * uz_writer_sync().
 *
 * Context: the thread that uses the writer; sleeps.
 * Return:  one of those submitted, its @result set; NULL when none is under
 *          way.
 */
struct uz_write *uz_writer_wait(struct uz_writer *writer);

/**
 * uz_writer_look() - the next write that is done already
 * @writer: the writer
 *
 * Context: the thread that uses the writer; waits for nothing but the rest of a
 *          write that was done in part.
 * Return:  as uz_writer_wait(); NULL also when all are still under way.
 */
struct uz_write *uz_writer_look(struct uz_writer *writer);

/**
 * uz_writer_sync() - have all that was written be on the device
 * @writer: nothing is under way
 * @offset: bytes, the lowest written since the last call
 * @length: bytes, from there to the highest
 *
 * Afterwards the system need not keep these bytes in memory, and is told so:
 * memory is what writing back is to save. Nothing where uz_backing_direct().
 *
 * Context: the thread that uses the writer; sleeps.
 * Return:  0; -errno: nothing that was written since the last call may be
 *          relied on.
 */
uz_must_check int uz_writer_sync(struct uz_writer *writer, uint64_t offset,
				 uint64_t length);

#endif
