/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UBLK_PRIV_H
#define UZRAM_UBLK_PRIV_H

#include <liburing.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include <uzram/device.h>
#include <uzram/frontend.h>
#include <uzram/types.h>
#include <uzram/util/err.h>
#include <uzram/util/users.h>

#include "uapi.h"

/**
 * DOC: how the ublk front end is cut
 *
 *   ublk.c     its life, beside the FUSE mount that has the attributes
 *   disk.c     one disk: add, start, take over, grow, stop, delete; its node
 *   queues.c   all its queues: memory and threads
 *   recovery.c when the disk of a worker that died can be taken over
 *   control.c  commands to the driver, each with a time limit
 *   orphan.c   disks whose daemon died
 *   guard.c    a process that outlives the daemon, to delete its disk
 *   queue.c    a thread: takes requests from its ring, serves, answers
 *   ring.c     its io_uring
 *   params.c   pure: limits of the disk, size of buffers, decoding, words
 *
 * Memory is copied by the kernel, in the thread of the queue: one system call
 * takes answers along and brings requests with their data. Copying ourselves
 * (UBLK_F_USER_COPY) would save buffers and cost a system call for each
 * request.
 */

/* ---- params.c ---- */

/**
 * struct uz__ublk_plan - queues and buffers
 * @queues: one for each CPU, as far as threads go
 * @depth:  requests that a queue has under way
 * @io_max: most bytes of one read or write
 * @bytes:  address space of all buffers
 */
struct uz__ublk_plan {
	unsigned int queues;
	unsigned int depth;
	uint32_t io_max;
	uint64_t bytes;
};

#define UZ__UBLK_DEPTH_MIN  16
#define UZ__UBLK_DEPTH_MAX  64
#define UZ__UBLK_IO_MAX	    (UINT32_C(512) << 10)
#define UZ__UBLK_IO_MIN	    (UINT32_C(64) << 10)
#define UZ__UBLK_QUEUES_MAX 64

/**
 * uz__ublk_plan() - the best plan within a budget
 * @plan:   filled
 * @queues: wanted, at least 1
 * @budget: bytes
 *
 * First requests get smaller, then the queues less deep, then there are fewer
 * of them. What no budget can forbid is one queue of the least.
 *
 * Context: any thread; pure.
 */
void uz__ublk_plan(struct uz__ublk_plan *plan, unsigned int queues,
		   uint64_t budget);

/**
 * uz__ublk_params() - a disk that looks like zram
 * @params: filled
 * @size:   of the disk, whole pages
 * @io_max: most bytes of one read or write
 *
 * Blocks of a page, discards and zeroes of any length, memory that is neither
 * volatile nor rotating.
 *
 * Context: any thread; pure.
 */
void uz__ublk_params(struct ublk_params *params, uint64_t size,
		     uint32_t io_max);

/**
 * uz__ublk_decode() - a request as the driver describes it
 * @rq:     filled on success
 * @desc:   any bytes at all
 * @io_max: bytes at @buf
 * @buf:    for the data
 *
 * Whether it lies within the disk is the device's to say.
 *
 * Context: any thread; pure.
 * Return:  0; -EOPNOTSUPP what we do not do; -EINVAL longer than the buffer, or
 *          beyond all bounds.
 */
uz_must_check int uz__ublk_decode(struct uz_request *rq,
				  const struct ublksrv_io_desc *desc,
				  uint32_t io_max, void *buf);

/**
 * uz__ublk_features_text() - what a driver can do
 * @features: as it says, or 0: it cannot tell
 * @text:     filled, one line
 * @size:     bytes at @text
 *
 * Context: any thread; pure.
 */
void uz__ublk_features_text(uint64_t features, char *text, size_t size);

/* ---- control.c ---- */

/**
 * struct uz__ublk_control - the way to the driver
 * @ring:     for commands; submissions of 128 bytes
 * @fd:       /dev/ublk-control
 * @features: UBLK_F_* that the driver knows; 0 if it cannot tell
 * @seq:      of the last command; those before it have timed out
 * @room:     what commands point to: a late one may still write there
 */
struct uz__ublk_control {
	struct io_uring ring;
	int fd;
	uint64_t features;
	uint64_t seq;
	_Alignas(8) unsigned char room[256];
};

/**
 * uz__ublk_control_open() - reach the driver and ask what it can
 * @c:   filled on success
 * @err: why not, and what to do
 *
 * Context: one thread, and never one of a queue. So for all below.
 * Return:  0; -ENODEV no driver; -EPERM not allowed; other -errno.
 */
uz_must_check int uz__ublk_control_open(struct uz__ublk_control *c,
					struct uz_err *err);

/**
 * uz__ublk_control_close() - give it up
 * @c: opened
 */
void uz__ublk_control_close(struct uz__ublk_control *c);

/**
 * uz__ublk_command() - one command
 * @c:     opened
 * @nr:    UBLK_CMD_*
 * @dev:   the disk's number, or UINT32_MAX
 * @data:  inline argument
 * @buf:   what it points to, and gets back; or NULL
 * @len:   bytes at @buf, at most 256
 *
 * Return: at least 0 as the driver says; -ETIMEDOUT it did not answer in time,
 *         and may still do it; other -errno.
 */
int uz__ublk_command(struct uz__ublk_control *c, unsigned int nr, uint32_t dev,
		     uint64_t data, void *buf, size_t len);

/**
 * uz__ublk_control_settle() - until works are done that the kernel has put off
 * @c: opened
 *
 * All that are in its common queue for short ones ("events"), of any CPU, and
 * do not sleep. Where the kernel does not offer that a nap should do.
 *
 * Return: 0; -EBUSY they are not done after all that time.
 */
uz_must_check int uz__ublk_control_settle(struct uz__ublk_control *c);

/**
 * uz__ublk_control_tell() - put a completion into another thread's ring
 * @c:    opened
 * @ring: its descriptor
 * @data: the completion's
 * @res:  likewise
 *
 * Return: 0 or -errno; then nothing was put there.
 */
uz_must_check int uz__ublk_control_tell(struct uz__ublk_control *c, int ring,
					uint64_t data, unsigned int res);

/* ---- recovery.c ---- */

/**
 * uz__ublk_recovery_begin() - begin to take over the disk of a worker that died
 * @c:  opened
 * @id: the disk's number
 *
 * Waits until the kernel is done with the dead one. On success nobody but the
 * caller may open the disk's node and give it tags, which nothing takes back.
 *
 * Return: 0; -EBUSY the kernel still has the dead one, after a minute; -ENOTSUP
 *         there is no disk that could be taken over; other -errno.
 */
uz_must_check int uz__ublk_recovery_begin(struct uz__ublk_control *c,
					  uint32_t id);

/* ---- orphan.c ---- */

/**
 * uz__ublk_mark() - what tells our disks from others
 * @supervisor: the daemon's process, which lives
 *
 * It changes when the number is given to another process.
 *
 * Context: any thread; reads /proc.
 * Return:  for ublksrv_flags; never 0.
 */
uint64_t uz__ublk_mark(pid_t supervisor);

/**
 * uz__ublk_is_left() - has the daemon of this mark died?
 * @mark: any number
 *
 * Context: any thread; reads /proc.
 * Return:  whether it is a mark of ours whose process is gone, or has died and
 *          nobody has waited for it yet.
 */
bool uz__ublk_is_left(uint64_t mark);

/**
 * uz__ublk_reap() - delete disks whose daemon has died
 * @c:    opened
 * @mine: those of this mark, which nobody serves any more; 0: none
 *
 * Others' only in the first pid namespace; uz__ublk_reap_asked(): wherever this
 * is. Who still uses one gets errors. Return: how many.
 */
unsigned int uz__ublk_reap(struct uz__ublk_control *c, uint64_t mine);
unsigned int uz__ublk_reap_asked(struct uz__ublk_control *c);

/**
 * uz__ublk_count_left() - disks whose daemon has died
 * @c: opened
 *
 * Return: how many; nothing is done about them.
 */
unsigned int uz__ublk_count_left(struct uz__ublk_control *c);

/* ---- guard.c ---- */

/**
 * uz__ublk_guard_start() - have a process wait for the end of this one
 *
 * When this process and its children are gone, it deletes the disk that they
 * have left, whose users would wait for ever. It holds none of our
 * descriptors but the standard ones.
 *
 * Context: a process of one thread, once.
 * Return:  0 or -errno.
 */
uz_must_check int uz__ublk_guard_start(void);

/**
 * uz__ublk_guard_end() - let it do what it is there for, and wait for it
 *
 * Context: the process that started it; no children of it serve any more.
 */
void uz__ublk_guard_end(void);

/* ---- ring.c ---- */

struct uz__ublk_ring;

/* In place of a tag: the thread is to leave. */
#define UZ__UBLK_LEAVE UINT_MAX

/**
 * struct uz__ublk_event - a command has completed
 * @tag: whose, or UZ__UBLK_LEAVE
 * @res: 0: there is a request; UBLK_IO_RES_ABORT; other -errno. To leave: 1,
 *       the driver has ceased to give out requests; 0, it has not
 */
struct uz__ublk_event {
	unsigned int tag;
	int res;
};

/**
 * uz__ublk_ring_create() - an io_uring for the calling thread
 * @ring:    set on success
 * @queue:   its number
 * @depth:   commands under way
 * @encoded: commands have their encoding, and not their number alone
 *
 * Context: the thread of the queue. So for all below.
 * Return:  0 or -errno.
 */
uz_must_check int uz__ublk_ring_create(struct uz__ublk_ring **ring,
				       unsigned int queue, unsigned int depth,
				       bool encoded);

/**
 * uz__ublk_ring_use() - what commands are for
 * @ring: ours
 * @fd:   /dev/ublkcN; borrowed
 */
void uz__ublk_ring_use(struct uz__ublk_ring *ring, int fd);

/**
 * uz__ublk_ring_destroy() - close it
 * @ring: or NULL
 *
 * Context: any thread; that of the queue has ended.
 */
void uz__ublk_ring_destroy(struct uz__ublk_ring *ring);

/**
 * uz__ublk_ring_fetch() - prepare to ask for a tag's first request
 * @ring: ours
 * @tag:  below the depth
 * @buf:  for its data
 */
void uz__ublk_ring_fetch(struct uz__ublk_ring *ring, unsigned int tag,
			 void *buf);

/**
 * uz__ublk_ring_commit() - prepare an answer, and to ask for the next request
 * @ring:   ours
 * @tag:    whose
 * @result: bytes or -errno
 * @buf:    for the data of both
 */
void uz__ublk_ring_commit(struct uz__ublk_ring *ring, unsigned int tag,
			  int result, void *buf);

/**
 * uz__ublk_ring_submit() - do all that was prepared
 * @ring: ours
 * @wait: and sleep until a command has completed
 *
 * Return: 0, also when a signal came; other -errno: what is left will be tried
 *         again by the next call.
 */
int uz__ublk_ring_submit(struct uz__ublk_ring *ring, bool wait);

/**
 * uz__ublk_ring_collect() - do all that was prepared, have completions come in
 * @ring: ours
 *
 * Does not sleep. A call brings some of what the kernel has, at least one.
 *
 * Return: as of uz__ublk_ring_submit().
 */
int uz__ublk_ring_collect(struct uz__ublk_ring *ring);

/**
 * uz__ublk_ring_tell_to_leave() - an event for the thread of a ring
 * @ring:    another thread's, which may have ended
 * @control: of this thread
 * @held:    the driver has ceased to give out requests
 *
 * Context: any thread but that of the ring; the ring stays meanwhile.
 * Return:  0 or -errno; then it was not told.
 */
uz_must_check int uz__ublk_ring_tell_to_leave(struct uz__ublk_ring *ring,
					      struct uz__ublk_control *control,
					      bool held);

/**
 * uz__ublk_ring_next() - the next completion
 * @ring:  ours
 * @event: filled
 *
 * Return: whether there was one.
 */
bool uz__ublk_ring_next(struct uz__ublk_ring *ring,
			struct uz__ublk_event *event);

/* ---- queue.c ---- */

/**
 * struct uz__ublk_queue - a queue of the disk and its thread
 * @ring:    made and used by the thread
 * @io:      its way to the device
 * @desc:    @depth requests, written by the driver
 * @buffers: @depth of @io_max bytes
 * @id:      the thread
 * @ready:   posted when there is a ring, and when the driver has all tags, or
 *           @error is set; and when the thread does nothing more
 * @go:      posted when @fd and @desc are set, or the thread is to end
 * @error:   why the thread has none to serve, or 0
 * @fd:      /dev/ublkcN; borrowed; -1: there will be none
 * @index:   in the disk
 * @depth:   tags
 * @io_max:  bytes of a buffer
 * @held:    pages of the answers that no system call has taken along yet
 * @tags:    those that the driver has
 * @told:    to leave, by who waits until it has left
 * @leave:   what UZ__UBLK_LEAVE came with, and one; 0: it has not come
 * @encoded: see uz__ublk_ring_create()
 * @started: there is a thread
 * @troubled: it has said that its ring is broken
 */
struct uz__ublk_queue {
	struct uz__ublk_ring *ring;
	struct uz_io *io;
	const struct ublksrv_io_desc *desc;
	unsigned char *buffers;
	pthread_t id;
	sem_t ready;
	sem_t go;
	int error;
	int fd;
	unsigned int index;
	unsigned int depth;
	uint32_t io_max;
	uint64_t held;
	unsigned int tags;
	bool told;
	int leave;
	bool encoded;
	bool started;
	bool troubled;
};

/**
 * uz__ublk_queue_main() - what the thread does, until the disk has ended
 * @arg: its struct uz__ublk_queue
 *
 * Told to leave, it sleeps until the process ends, or @go is posted once more.
 *
 * Return: NULL.
 */
void *uz__ublk_queue_main(void *arg);

struct uz__ublk_disk;

/* ---- queues.c ---- */

/**
 * uz__ublk_queues_prepare() - all that queues need but the driver
 * @disk: its plan is final
 *
 * Memory, threads and rings. After a failure, too, uz__ublk_queues_end() is
 * due. So for all below.
 *
 * Return: 0 or -errno.
 */
int uz__ublk_queues_prepare(struct uz__ublk_disk *disk);

/**
 * uz__ublk_queues_run() - give all tags of all queues to the driver
 * @disk: prepared; its @fd is open
 *
 * Return: 0 or -errno.
 */
int uz__ublk_queues_run(struct uz__ublk_disk *disk);

/**
 * uz__ublk_queues_leave() - have all queues finish what they are at
 * @disk:    they run
 * @control: of the calling thread
 * @held:    the driver has ceased to give out requests: what it has given is
 *           answered, all of it
 *
 * Context: any thread but those of the queues; the disk stays meanwhile.
 */
void uz__ublk_queues_leave(struct uz__ublk_disk *disk,
			   struct uz__ublk_control *control, bool held);

/**
 * uz__ublk_queues_end() - wait for the threads, free everything
 * @disk: the driver has given back all tags that it had
 */
void uz__ublk_queues_end(struct uz__ublk_disk *disk);

/* ---- disk.c ---- */

/**
 * struct uz__ublk_disk - a disk
 * @control: the way to the driver
 * @dev:     what it serves
 * @session: where its number is kept for the next worker; borrowed
 * @owner:   the supervisor
 * @plan:    its queues
 * @info:    as the driver made it
 * @fd:      /dev/ublkcN, or -1
 * @queues:  @plan.queues of them, or NULL
 * @path:    "/dev/ublkbN"
 * @opened:  @control is
 * @added:   the driver has it
 * @adopted: it was another worker's before
 * @live:    it was started
 */
struct uz__ublk_disk {
	struct uz__ublk_control control;
	struct uz_device *dev;
	struct uz_session session;
	pid_t owner;
	struct uz__ublk_plan plan;
	struct ublksrv_ctrl_dev_info info;
	int fd;
	struct uz__ublk_queue *queues;
	char path[32];
	bool opened;
	bool added;
	bool adopted;
	bool live;
};

/**
 * uz__ublk_disk_start() - make a disk and serve it, or take over
 * @disk:   filled; after a failure uz__ublk_disk_end() is not due
 * @config: the front end's; its device has a size. Where the session has word
 *          of a disk, it is that of the worker before
 * @err:    why not, and what to do
 *
 * After a failure the disk is deleted and everything freed, but not when the
 * disk was to be taken over or the driver does not answer: then threads may
 * be left, and the process has to end.
 *
 * Return: 0; -ENOTSUP the disk has ended, or cannot be taken over; other
 *         -errno.
 */
uz_must_check int uz__ublk_disk_start(struct uz__ublk_disk *disk,
				      const struct uz_frontend_config *config,
				      struct uz_err *err);

/**
 * uz__ublk_disk_recovers() - does it wait for another worker?
 * @disk: started
 *
 * Return: whether, when this process dies, its requests are kept and come
 *         again; if not, they fail.
 */
bool uz__ublk_disk_recovers(const struct uz__ublk_disk *disk);

/**
 * uz__ublk_disk_leave() - leave it to another process
 * @disk: started, and uz__ublk_disk_recovers()
 *
 * Requests that have come are answered, or come again; none is taken any more.
 * The process has to end.
 *
 * Context: any thread but those of the queues, once. Nobody stops the disk.
 */
void uz__ublk_disk_leave(struct uz__ublk_disk *disk);

/**
 * uz__ublk_disk_can_grow() - does the driver take another size of a live disk?
 * @disk: started
 * @err:  why not
 *
 * Context: any thread.
 * Return:  0 or -ENOTSUP.
 */
uz_must_check int uz__ublk_disk_can_grow(const struct uz__ublk_disk *disk,
					 struct uz_err *err);

/**
 * uz__ublk_disk_grow() - tell the driver of another size
 * @disk: started, and uz__ublk_disk_can_grow()
 * @size: bytes, whole pages
 * @err:  why not
 *
 * Context: any thread but those of the queues; the disk stays meanwhile.
 * Return:  0 or -errno; then it has the size that it had.
 */
uz_must_check int uz__ublk_disk_grow(const struct uz__ublk_disk *disk,
				     uint64_t size, struct uz_err *err);

/**
 * uz__ublk_disk_users() - who uses it
 * @disk:  started
 * @users: as of uz_users_find()
 *
 * Return: 0 or -errno.
 */
uz_must_check int uz__ublk_disk_users(const struct uz__ublk_disk *disk,
				      struct uz_users *users);

/**
 * uz__ublk_disk_try_stop() - end it unless somebody uses it
 * @disk: started
 *
 * Where the driver cannot tell (before Linux 7.0), users are looked for; one
 * that comes in between gets errors.
 *
 * Return: 0; -EBUSY also if that cannot be found out; other -errno.
 */
int uz__ublk_disk_try_stop(struct uz__ublk_disk *disk);

/**
 * uz__ublk_disk_end() - stop it, end the threads, delete it, free everything
 * @disk: in any state that uz__ublk_disk_start() passes through
 *
 * Whoever uses it gets errors. If the driver does not stop it in time, the
 * process ends: only then does the kernel take back what is with us.
 */
void uz__ublk_disk_end(struct uz__ublk_disk *disk);

#endif
