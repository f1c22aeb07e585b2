/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_H
#define UZRAM_DEVICE_H

#include <uzram/compress.h>
#include <uzram/device/backing.h>
#include <uzram/device/codecs.h>
#include <uzram/device/damage.h>
#include <uzram/device/idle.h>
#include <uzram/device/policy.h>
#include <uzram/device/pulses.h>
#include <uzram/device/recompress.h>
#include <uzram/device/room.h>
#include <uzram/device/sample.h>
#include <uzram/device/size.h>
#include <uzram/pool.h>
#include <uzram/table.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: the device
 *
 * Composes table, pool and codecs into a row of pages. It knows mechanism
 * ("store this page"), not policy, and nothing of FUSE or ublk.
 *
 * Life: a device is made without a size; its codec may be chosen; setting the
 * disksize makes the table and the pool (*initialised*); reset goes back to
 * the start. Everything that must outlive the process lies in the three
 * memfds of struct uz_device_mem: whoever opens a device on memfds that hold
 * one already adopts it with all its pages.
 *
 * Every thread that reads or writes has its own struct uz_io. Nobody holds a
 * lock while compressing, decompressing or copying a page.
 */

struct uz_device;

/* The reserve that suits the disksize: 1/64 of it, 4 to 32 MiB. */
#define UZ_RESERVE_AUTO UINT64_MAX

/**
 * struct uz_device_mem - the memory of a device, by descriptor
 * @ctl_fd:   superblock and counters
 * @table_fd: slot table
 * @arena_fd: pool arena
 * @reserve:  bytes that this process is to have ready for stores, 0 for none,
 *            or UZ_RESERVE_AUTO; see uz_pool_keep()
 *
 * With a reserve, stores succeed when the system has no memory to give, as long
 * as it lasts; for a device that the system swaps to, where each store lets the
 * system have more than it took. It is no part of the device: whoever adopts
 * it has its own.
 */
struct uz_device_mem {
	int ctl_fd;
	int table_fd;
	int arena_fd;
	uint64_t reserve;
};

/**
 * uz_device_mem_create() - three new, empty memfds
 * @mem: filled on success, untouched on failure
 *
 * Context: any thread.
 * Return:  0 or -errno.
 */
uz_must_check int uz_device_mem_create(struct uz_device_mem *mem);

/**
 * uz_device_mem_close() - close the memfds; the last close frees the memory
 * @mem: from uz_device_mem_create(); its descriptors become -1
 *
 * Context: no device uses them any more.
 */
void uz_device_mem_close(struct uz_device_mem *mem);

/* ---- life ---- */

/**
 * uz_device_open() - a device on its memory
 * @dev:  set on success, untouched on failure
 * @name: 1 ... UZ_NAME_MAX letters, digits, '.', '_' and '-', not beginning
 *        with '.' or '-'; for messages only
 * @mem:  borrowed until uz_device_close(). New memfds give a device without a
 *        size; memfds that hold a device are adopted
 * @err:  the reason; may be NULL
 *
 * Adoption believes the superblock and the table and rebuilds everything else
 * from them. A page whose slot is damaged is lost: it is counted among the
 * checksum_errors, reads as -EIO until it is written as a whole, and nothing
 * else is the worse for it. Slots that are sound but contradict each other or
 * the arena are no single damage: adoption fails.
 *
 * Context: any thread; nobody else may have these memfds open as a device.
 * Return:  0; -EUCLEAN the memory contradicts itself; -ENOTSUP it is of
 *          another version or needs a codec or an allocator that this build
 *          has not; -EINVAL bad name; -ENOMEM; other -errno.
 */
uz_must_check int uz_device_open(struct uz_device **dev, const char *name,
				 const struct uz_device_mem *mem,
				 struct uz_err *err);

/**
 * uz_device_close() - stop using the memory; what it holds stays
 * @dev: the device, or NULL
 *
 * Context: every uz_io was destroyed; no other thread uses the device.
 */
void uz_device_close(struct uz_device *dev);

/**
 * uz_device_name() - the name given at uz_device_open()
 * @dev: the device
 *
 * Context: any thread.
 * Return:  the name; lives as long as @dev.
 */
const char *uz_device_name(const struct uz_device *dev);

/**
 * uz_device_check_zpool() - is this an allocator for compressed pages?
 * @name: any text
 * @err:  says which there are; may be NULL
 *
 * Context: any thread.
 * Return:  0 or -ENOTSUP.
 */
uz_must_check int uz_device_check_zpool(const char *name, struct uz_err *err);

/**
 * uz_device_set_zpool() - choose the allocator for compressed pages
 * @dev:  the device
 * @name: one of uz_pool_backend()
 * @err:  the reason; may be NULL
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -EBUSY once the device has a size; -ENOTSUP unknown. After a
 *          failure nothing has changed.
 */
uz_must_check int uz_device_set_zpool(struct uz_device *dev, const char *name,
				      struct uz_err *err);

/**
 * uz_device_zpool() - the allocator for compressed pages
 * @dev:  the device
 * @name: filled
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_zpool(struct uz_device *dev, char name[UZ_POOL_NAME_MAX + 1]);

/**
 * uz_device_set_limit() - most memory that the pool may use
 * @dev:   the device
 * @bytes: rounded up to a page; 0 takes the limit away
 *
 * May be set before the disksize. A store that would pass it first has the
 * pool compacted; if that gains nothing more it waits for pages to be written
 * back, where there is a store for them (uzram/device/room.h), and otherwise
 * fails with -ENOSPC and leaves the old contents; overwriting a page by one
 * that needs no more room, and dropping pages, always succeed.
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_set_limit(struct uz_device *dev, uint64_t bytes);

/**
 * uz_device_set_ceiling() - the limit above all limits
 * @dev:   the device
 * @bytes: rounded down to a page; 0 for none
 *
 * What the process can take without being killed for it. Unlike the limit it
 * belongs to the process and not to the device: it stays when the device is
 * reset, and is not handed on to who adopts it. The lower of the two counts,
 * and is what uz_device_stat() tells as the limit.
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_set_ceiling(struct uz_device *dev, uint64_t bytes);

/**
 * uz_device_set_workers() - how many threads help with large requests
 * @dev: the device
 * @nr:  0 for none, as a new device has; at most UZ_WORKERS_MAX are had
 *
 * Page workers exist while the device has a size; each takes one place of
 * UZ_IO_MAX. They sleep while there is nothing for them. @nr is right when it
 * is one less than the CPUs that the process may use. It belongs to the
 * process: it stays when the device is reset, and is not handed on to who
 * adopts it. Workers that cannot be started are a warning in the log.
 *
 * Context: any thread that is not inside a request, also while others are;
 *          takes the configuration lock; waits for what the former workers
 *          have begun.
 */
void uz_device_set_workers(struct uz_device *dev, unsigned int nr);

#define UZ_WORKERS_MAX 64

/**
 * uz_device_hold() - somebody has opened the block file
 * @dev: the device
 *
 * Context: any thread.
 */
void uz_device_hold(struct uz_device *dev);

/**
 * uz_device_release() - undo one uz_device_hold()
 * @dev: the device
 *
 * Context: any thread.
 */
void uz_device_release(struct uz_device *dev);

/**
 * uz_device_holders() - how often the block file is open
 * @dev: the device
 *
 * Context: any thread.
 * Return:  holds less releases.
 */
unsigned int uz_device_holders(const struct uz_device *dev);

/**
 * uz_device_reset() - drop every page, the size, the limit and the counters,
 * and go back to the default codec and allocator
 * @dev:   the device
 * @force: although it is held; readers and writers then get -EINVAL, as from
 *         a device without a size
 * @err:   the reason; may be NULL
 *
 * Waits until requests that are under way have ended.
 *
 * Context: any thread that is not inside a request; takes the configuration
 *          lock.
 * Return:  0; -EBUSY it is held and @force is not set.
 */
uz_must_check int uz_device_reset(struct uz_device *dev, bool force,
				  struct uz_err *err);

/* ---- requests ---- */

struct uz_io;

/**
 * uz_io_create() - what one thread needs to use a device
 * @dev: the device
 * @io:  set on success, untouched on failure
 *
 * Scratch pages, codec contexts (made here or when the device gets its size,
 * never on the path of a page), this thread's counters.
 *
 * Context: any thread; takes the configuration lock; allocates.
 * Return:  0; -ENOMEM; -EBUSY more than UZ_IO_MAX threads.
 */
uz_must_check int uz_io_create(struct uz_device *dev, struct uz_io **io);

#define UZ_IO_MAX 256

/**
 * uz_io_buffer() - memory that the thread has for requests
 * @io:   from uz_io_create()
 * @mem:  what the thread holds beside its context, for as long as @io lives
 * @size: bytes
 *
 * For the statistics alone: what of it was ever touched belongs to what the
 * device takes. The last one that was named counts.
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_io_buffer(struct uz_io *io, const void *mem, size_t size);

/**
 * uz_io_destroy() - the thread is done with the device
 * @io: from uz_io_create(), or NULL
 *
 * Context: the thread that used it, or after it ended; takes the
 *          configuration lock.
 */
void uz_io_destroy(struct uz_io *io);

/**
 * enum uz_op - what a request wants
 * @UZ_OP_READ:    bytes into @buf
 * @UZ_OP_WRITE:   bytes from @buf
 * @UZ_OP_DISCARD: free the whole pages of the range and let them read as
 *                 zeroes; the ends that are not whole pages stay as they are
 * @UZ_OP_ZERO:    as discard, and the ends are zeroed too
 * @UZ_OP_FLUSH:   nothing to do: memory is all there is
 */
enum uz_op {
	UZ_OP_READ,
	UZ_OP_WRITE,
	UZ_OP_DISCARD,
	UZ_OP_ZERO,
	UZ_OP_FLUSH,
};

/**
 * struct uz_request - one request of any offset and length
 * @op:     what to do
 * @offset: first byte
 * @length: bytes; offset + length is at most the disksize
 * @buf:    @length bytes for UZ_OP_READ and UZ_OP_WRITE, else unused. Nobody
 *          may change it while a write of it is under way
 */
struct uz_request {
	enum uz_op op;
	uint64_t offset;
	uint64_t length;
	void *buf;
};

/**
 * uz_device_submit() - carry out a request
 * @io: this thread's context
 * @rq: the request
 *
 * Where there is no memory for a page but a backing store to write others to,
 * it waits for that (uzram/device/room.h).
 *
 * Pages are independent: each is stored or loaded as a whole, atomically for
 * other threads; the request is not. Two writers of different bytes of one
 * page both survive. When a page fails, the rest is still tried for writes
 * and discards but not for reads. Page workers, if there are any, help with a
 * request that takes long; nothing else about it changes.
 *
 * Context: the thread of @io; may sleep, holds no lock across a codec.
 * Return:  0; -EINVAL out of range, or the device has no size; -ENOSPC, -EIO
 *          as types.h says: the error of the lowest page that failed. A page
 *          whose store failed holds what it held before; the content of a
 *          failed read's buffer is undefined.
 */
uz_must_check int uz_device_submit(struct uz_io *io,
				   const struct uz_request *rq);

/* Of uz_device_expect(): nothing is known. */
#define UZ_PAGE_NONE UINT64_MAX

/**
 * uz_device_expect() - say what this thread is going to read next
 * @io:    its context
 * @soon:  the page that the request after the one submitted next will read, or
 *         UZ_PAGE_NONE; of one that reads several, the first
 * @later: likewise of the request after that; be it read or written
 *
 * A hint, for who has several requests at hand: what these pages need begins
 * to come from memory while the request submitted next is carried out. It
 * holds for that one request; call it before each, with what was @later as
 * @soon. Any numbers will do; wrong ones cost a little time.
 *
 * Context: the thread of @io; never waits.
 */
void uz_device_expect(struct uz_io *io, uint64_t soon, uint64_t later);

/* ---- one page: what workers build on ---- */

/**
 * uz_page_load() - read one page
 * @io:    this thread's context
 * @index: page, below disksize / UZ_PAGE_SIZE
 * @buf:   UZ_PAGE_SIZE bytes
 *
 * Context: as uz_device_submit(), and the device has a size.
 * Return:  0 or -EIO; then @buf is undefined.
 */
uz_must_check int uz_page_load(struct uz_io *io, uint64_t index, void *buf);

/**
 * uz_page_store() - write one whole page
 * @io:    this thread's context
 * @index: page
 * @buf:   UZ_PAGE_SIZE bytes
 *
 * Context: as uz_page_load().
 * Return:  0 or -ENOSPC; then the page holds what it held before.
 */
uz_must_check int uz_page_store(struct uz_io *io, uint64_t index,
				const void *buf);

/**
 * uz_page_store_part() - write some bytes of a page
 * @io:    this thread's context
 * @index: page
 * @off:   first byte within the page
 * @len:   bytes; @off + @len is at most UZ_PAGE_SIZE
 * @buf:   @len bytes, or NULL for zeroes
 *
 * Read, modify, and swap: repeated until nobody changed the slot meanwhile.
 *
 * Context: as uz_page_load().
 * Return:  0, -ENOSPC or -EIO; then the page holds what it held before.
 */
uz_must_check int uz_page_store_part(struct uz_io *io, uint64_t index,
				     uint32_t off, uint32_t len,
				     const void *buf);

/**
 * uz_page_drop() - free one page; it reads as zeroes from then on
 * @io:    this thread's context
 * @index: page
 *
 * Context: as uz_page_load(). Cannot fail.
 */
void uz_page_drop(struct uz_io *io, uint64_t index);

/* ---- compaction ---- */

/**
 * uz_device_compact() - one batch of moving pages together in the pool
 * @dev:    the device
 * @scope:  how far to go
 * @budget: most objects to move in this call; keep it small (a thousand or
 *          so): whoever wants the configuration lock waits for its end
 * @done:   added to
 *
 * Reads and writes go on meanwhile and do not wait. Call it again while it
 * returns true. What it does is counted in struct uz_device_stat.
 *
 * Context: any thread that is not inside a request; takes the configuration
 *          lock for the whole call.
 * Return:  true when another call would find more to do; false when there is
 *          none, when the allocator cannot move objects, or when the device
 *          has no size.
 */
bool uz_device_compact(struct uz_device *dev, enum uz_pool_compact_scope scope,
		       uint32_t budget, struct uz_pool_compaction *done);

/**
 * uz_device_on_fragmented() - be told when compaction is worth while
 * @dev: the device, not shared with other threads yet
 * @fn:  as uz_pool_on_fragmented() says: called inside requests, and must be
 *       short. NULL: nobody
 * @arg: handed to @fn
 *
 * Holds for every size that the device gets, until it is closed.
 *
 * Context: before the device is used by several threads; takes the
 *          configuration lock.
 */
void uz_device_on_fragmented(struct uz_device *dev, void (*fn)(void *arg),
			     void *arg);

/* ---- what it holds ---- */

/**
 * struct uz_device_stat - every number, under zram's public names
 * @orig_data_size:    bytes of pages stored, same-filled and backed ones too
 * @compr_data_size:   bytes of their payload in the pool
 * @mem_used_total:    bytes of pool arena in use, fragmentation included
 * @mem_limit:         bytes, 0 for none
 * @mem_used_max:      most that mem_used_total has been
 * @same_pages:        same-filled pages
 * @pages_compacted:   pages freed by compaction
 * @objects_moved:     objects moved by compaction
 * @compact_pinned:    zspages that compaction passed over because they were
 *                     mapped
 * @compact_contended: classes that it passed over because they were locked
 * @huge_pages:        pages stored raw, in the pool
 * @huge_pages_since:  pages ever stored raw
 * @failed_reads:      pages that could not be read
 * @failed_writes:     pages that could not be written
 * @invalid_io:        requests out of range or misaligned
 * @notify_free:       pages dropped by discard or write-zeroes
 * @miss_free:         always 0: no drop is ever given up
 * @num_reads:         requests
 * @num_writes:        requests
 * @num_discards:      requests
 * @bytes_read:        bytes asked for by reads
 * @bytes_written:     bytes given by writes
 * @limit_rejections:  stores refused because of mem_limit or lack of memory
 * @checksum_errors:   damaged slots and objects that were met
 * @retries:           partial stores and loads begun again because the slot
 *                     changed
 * @recompressed:      pages that recompression made smaller
 * @recompress_saved:  bytes that it saved, by size class
 * @workers:           page workers that there are
 * @worker_pages:      pages that they have done for others
 * @deferred_frees:    objects freed that still wait for a mapping to end
 * @deferred_bytes:    what these take up
 * @longest_map_ns:    nanoseconds; the longest time that an object was mapped,
 *                     as struct uz_pool_stat says
 * @maps:              objects mapped now, in a build with debug checks; else 0
 * @empty_bytes:       of mem_used_total, what is kept empty for reuse
 * @reserve_size:      bytes that are to be kept ready for stores; what of them
 *                     is there is a part of empty_bytes
 * @reserve_missed:    stores that found nothing of it left
 * @thp_bytes:         of table and arena, in huge pages (uz_device_collapse())
 * @meta_bytes:        memory beside the arena: table, descriptors, owners,
 *                     contexts and buffers of threads
 * @mem_resident:      everything that the device takes: arena and meta_bytes
 *
 * Sizes are bytes, everything else counts unless it says so; all of them since
 * the device got its size (@longest_map_ns: since this process has it).
 */
struct uz_device_stat {
	uint64_t orig_data_size;
	uint64_t compr_data_size;
	uint64_t mem_used_total;
	uint64_t mem_limit;
	uint64_t mem_used_max;
	uint64_t same_pages;
	uint64_t pages_compacted;
	uint64_t objects_moved;
	uint64_t compact_pinned;
	uint64_t compact_contended;
	uint64_t huge_pages;
	uint64_t huge_pages_since;
	uint64_t failed_reads;
	uint64_t failed_writes;
	uint64_t invalid_io;
	uint64_t notify_free;
	uint64_t miss_free;
	uint64_t num_reads;
	uint64_t num_writes;
	uint64_t num_discards;
	uint64_t bytes_read;
	uint64_t bytes_written;
	uint64_t limit_rejections;
	uint64_t checksum_errors;
	uint64_t retries;
	uint64_t recompressed;
	uint64_t recompress_saved;
	uint64_t workers;
	uint64_t worker_pages;
	uint64_t deferred_frees;
	uint64_t deferred_bytes;
	uint64_t longest_map_ns;
	uint64_t maps;
	uint64_t empty_bytes;
	uint64_t reserve_size;
	uint64_t reserve_missed;
	uint64_t thp_bytes;
	uint64_t meta_bytes;
	uint64_t mem_resident;
};

/**
 * uz_device_stat() - read every number
 * @dev:  the device; without a size all are 0 but mem_limit
 * @stat: filled; exact when no request is under way
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_stat(struct uz_device *dev, struct uz_device_stat *stat);

/**
 * uz_device_class_stat() - the numbers of one size class of its pool
 * @dev:  the device
 * @nth:  0, 1, ...: in order of size
 * @stat: filled
 *
 * Context: any thread; takes the configuration lock.
 * Return:  false: there are no more classes, or the device has no size; @stat
 *          is untouched.
 */
bool uz_device_class_stat(struct uz_device *dev, unsigned int nth,
			  struct uz_pool_class_stat *stat);

/**
 * uz_device_reset_max() - let mem_used_max begin again from what is used now
 * @dev: the device
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_reset_max(struct uz_device *dev);

/**
 * uz_device_next() - where data or a hole begins
 * @dev:    the device
 * @offset: byte to begin at, below the disksize
 * @data:   true: look for a page that is stored; false: for one that is not
 * @found:  byte offset, on success; @offset itself when it is in such a page,
 *          else the first byte of one. The end of the device counts as hole
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -ENXIO no such page, or @offset beyond the end.
 */
uz_must_check int uz_device_next(struct uz_device *dev, uint64_t offset,
				 bool data, uint64_t *found);

/**
 * uz_device_check() - does everything agree?
 * @dev: the device
 * @err: what does not; may be NULL
 *
 * The pool's own check; every slot names an object of the right size that the
 * pool knows under this owner, and no object is without a slot; statistics
 * equal what the table says; every object's checksum; dictionaries are what
 * they were.
 *
 * Context: no request is under way; takes the configuration lock.
 * Return:  0, -EUCLEAN or -ENOMEM.
 */
uz_must_check int uz_device_check(struct uz_device *dev, struct uz_err *err);

#endif
