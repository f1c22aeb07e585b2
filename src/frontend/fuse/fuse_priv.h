/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_PRIV_H
#define UZRAM_FUSE_PRIV_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include <uzram/attr.h>
#include <uzram/device.h>
#include <uzram/frontend.h>

#include "proto.h"

/**
 * DOC: how the FUSE front end is cut
 *
 *   transport.c           which of the two transports
 *   dev.c                 bytes from and to a descriptor, threads
 *   uring_priv.h          buffers that the kernel fills and empties, threads
 *        |                 uz__fuse_decode(), uz__fuse_handle(),
 *        v                 uz__fuse_encode()
 *   wire.c                pure: bytes <-> struct uz__fuse_msg and _reply
 *   ops.c                 one function for each opcode
 *   tree.c, block.c, attrfile.c, init.c
 *                         what the files are and do
 *   session.c             what the next process has to know
 *   trial.c               requests of which processes die
 *
 * Only a transport touches the descriptor, and only it knows where messages
 * come from; both serve the same operations.
 */

/* Most bytes of one read or write that any transport takes. */
#define UZ__FUSE_IO_MAX (1u << 20)

/**
 * struct uz__fuse_msg - one decoded request
 * @hdr:         its header
 * @in:          its fixed part, by @hdr.opcode; zeroes where a kernel sent less
 * @payload:     what follows the fixed part: a name (with its zero) or data
 * @payload_len: bytes at @payload; for a name without the zero, for a write
 *               exactly @in.write.size
 *
 * @payload points into the transport's buffer, all else is a copy.
 */
struct uz__fuse_msg {
	struct fuse_in_header hdr;
	union {
		struct fuse_setattr_in setattr;
		struct fuse_open_in open;
		struct fuse_release_in release;
		struct fuse_read_in read;
		struct fuse_write_in write;
		struct fuse_init_in init;
		struct fuse_fallocate_in fallocate;
		struct fuse_interrupt_in interrupt;
		struct fuse_lseek_in lseek;
	} in;
	void *payload;
	size_t payload_len;
};

/**
 * struct uz__fuse_reply - one answer
 * @none: nothing is to be sent
 * @data: what follows the header; @out or @room, or NULL
 * @len:  bytes at @data
 * @out:  for answers of fixed size
 * @room: the transport's space for data, page-aligned; it may be where the
 *        request's payload lies, so only operations without payload use it
 * @cap:  bytes at @room
 */
struct uz__fuse_reply {
	bool none;
	const void *data;
	size_t len;
	union {
		struct fuse_entry_out entry;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
		struct fuse_write_out write;
		struct fuse_statfs_out statfs;
		struct fuse_init_out init;
		struct fuse_lseek_out lseek;
	} out;
	void *room;
	size_t cap;
};

/**
 * struct uz__fuse_proto - what was agreed with the kernel, once per mount
 * @minor:   of the protocol
 * @io_max:  most bytes of one read or write
 * @flags:   FUSE_INIT flags that both sides use
 * @offered: those that the kernel could use
 */
struct uz__fuse_proto {
	uint32_t minor;
	uint32_t io_max;
	uint64_t flags;
	uint64_t offered;
};

/**
 * struct uz__fuse - what operations work on
 * @dev:   the device
 * @attrs: its attributes
 * @uid:   owner of all files
 * @gid:   group of all files
 * @born:  time stamp of all files
 * @proto: set before the first operation but FUSE_INIT
 * @disk:  `block` is a link to it; or NULL
 * @session:     memory that outlives the process, mapped; see session_priv.h
 * @session_mem: its memfd
 *
 * Nothing here changes while requests are served.
 */
struct uz__fuse {
	struct uz_device *dev;
	struct uz_attr_ctx *attrs;
	uid_t uid;
	gid_t gid;
	struct timespec born;
	struct uz__fuse_proto proto;
	const struct uz_frontend_disk *disk;
	struct uz__fuse_session *session;
	int session_mem;
};

/**
 * struct uz__fuse_call - one request on its way
 * @fuse:  what to work on
 * @io:    this thread's
 * @msg:   the request
 * @reply: the answer
 * @trial: where this thread notes what it is at work on, or NULL; see trial.c
 *
 * A transport has one for each request that it can have under way.
 */
struct uz__fuse_call {
	struct uz__fuse *fuse;
	struct uz_io *io;
	struct uz__fuse_msg msg;
	struct uz__fuse_reply reply;
	struct uz__fuse_trial *trial;
};

/* ---- wire.c ---- */

/**
 * uz__fuse_decode() - one message as read from /dev/fuse
 * @msg: filled as far as the message goes
 * @buf: the message, of any alignment
 * @len: bytes read
 *
 * Context: any thread; pure.
 * Return:  0; -EBADMSG there is nothing that could be answered; -EINVAL the
 *          message is malformed, @msg->hdr is valid.
 */
uz_must_check int uz__fuse_decode(struct uz__fuse_msg *msg, void *buf,
				  size_t len);

/**
 * uz__fuse_decode_parts() - a message that came in parts
 * @msg:         @msg->hdr is valid, the rest is filled
 * @arg:         the fixed part; more than the opcode's size is ignored
 * @arg_len:     bytes at @arg
 * @payload:     what follows it
 * @payload_len: bytes at @payload
 *
 * Context: any thread; pure.
 * Return:  0; -EINVAL the message is malformed.
 */
uz_must_check int uz__fuse_decode_parts(struct uz__fuse_msg *msg,
					const void *arg, size_t arg_len,
					void *payload, size_t payload_len);

/**
 * uz__fuse_encode() - the header of an answer
 * @out:   filled
 * @call:  what is answered; on error its reply loses its data
 * @error: 0 or -errno
 *
 * Context: any thread; pure.
 */
void uz__fuse_encode(struct fuse_out_header *out, struct uz__fuse_call *call,
		     int error);

/* ---- ops.c ---- */

/**
 * uz__fuse_handle() - carry out a request
 * @call: @msg was decoded without error; @reply.room and .cap are set, the
 *        rest of @reply is filled
 *
 * Context: the thread of @call->io; may sleep.
 * Return:  0 or the -errno to answer.
 */
uz_must_check int uz__fuse_handle(struct uz__fuse_call *call);

/* An answer of a fixed struct in @reply->out. */
#define uz__fuse_answer(reply, member)                      \
	do {                                                \
		(reply)->data = &(reply)->out.member;       \
		(reply)->len = sizeof((reply)->out.member); \
	} while (0)

/* ---- trial.c; the rest is in session_priv.h ---- */

/**
 * uz__fuse_trial_of() - where a thread notes what it is at work on
 * @fuse:  what it serves
 * @index: of the thread, over all transports; below UZ__FUSE_HEADS
 *
 * Context: any thread.
 * Return:  for struct uz__fuse_call; NULL where there is no session.
 */
struct uz__fuse_trial *uz__fuse_trial_of(const struct uz__fuse *fuse,
					 unsigned int index);

/* ---- init.c ---- */

/**
 * uz__fuse_init() - agree with the kernel
 * @call: FUSE_INIT; @fuse->proto is filled on success
 *
 * Context: before any other operation.
 * Return:  0; -EAGAIN send the answer, the kernel will ask again with our
 *          version; -EPROTO this kernel is too old.
 */
uz_must_check int uz__fuse_init(struct uz__fuse_call *call);

/**
 * uz__fuse_init_uring() - agree to requests over io_uring
 * @call:   as uz__fuse_init() left it; the kernel has offered them
 * @io_max: most bytes of one read or write
 *
 * Context: before the answer is sent.
 */
void uz__fuse_init_uring(struct uz__fuse_call *call, uint32_t io_max);

/* ---- tree.c ---- */

/* Inode numbers: the directory, the block file, the attributes in order. */
#define UZ__FUSE_BLOCK	    2
#define UZ__FUSE_FIRST_ATTR 3

/**
 * uz__fuse_attr_of() - the attribute behind an inode
 * @nodeid: any number
 *
 * Context: any thread.
 * Return:  the attribute, or NULL when @nodeid is something else.
 */
const struct uz_attr *uz__fuse_attr_of(uint64_t nodeid);

/* The rest of tree.c, block.c and attrfile.c: each one operation of ops.c. */
int uz__fuse_lookup(struct uz__fuse_call *call);
int uz__fuse_getattr(struct uz__fuse_call *call);
int uz__fuse_setattr(struct uz__fuse_call *call);
int uz__fuse_readlink(struct uz__fuse_call *call);
int uz__fuse_readdir(struct uz__fuse_call *call);
int uz__fuse_statfs(struct uz__fuse_call *call);

int uz__fuse_block_open(struct uz__fuse_call *call);
int uz__fuse_block_release(struct uz__fuse_call *call);
int uz__fuse_block_read(struct uz__fuse_call *call);
int uz__fuse_block_write(struct uz__fuse_call *call);
int uz__fuse_block_fallocate(struct uz__fuse_call *call);
int uz__fuse_block_lseek(struct uz__fuse_call *call);

int uz__fuse_attrfile_open(struct uz__fuse_call *call);
int uz__fuse_attrfile_read(struct uz__fuse_call *call);
int uz__fuse_attrfile_write(struct uz__fuse_call *call);

/* ---- mount.c ---- */

/**
 * uz__fuse_mount() - mount on an empty directory
 * @config: where, and for whom
 * @dir:    @config->dir without symbolic links
 * @fd:     /dev/fuse, set on success
 * @err:    why not, and what to do
 *
 * Context: one thread at a time.
 * Return:  0 or -errno; -ENODEV without /dev/fuse.
 */
uz_must_check int uz__fuse_mount(const struct uz_mount_config *config,
				 const char *dir, int *fd, struct uz_err *err);

/* The minor number of what is mounted there, if its major is 0; else 0. */
uint32_t uz__fuse_mount_minor(const char *dir);

/**
 * uz__fuse_unmount() - take it out of the tree
 * @session: of the mount
 * @fd:      its descriptor
 *
 * Requests have to be served meanwhile.
 *
 * Context: one thread at a time.
 * Return:  0; -EBUSY it is in use, was detached, or is out of reach below
 *          another mount, and lives until the last user is gone; other -errno:
 *          it is still there.
 */
int uz__fuse_unmount(struct uz__fuse_session *session, int fd);

/**
 * uz__fuse_mount_ended() - has the kernel ended the connection?
 * @fd: the mount's descriptor
 *
 * Context: any thread.
 * Return:  whether it was unmounted, by anybody, and nobody uses it.
 */
bool uz__fuse_mount_ended(int fd);

/**
 * uz__fuse_mount_end() - close the descriptor
 * @session: of the mount
 * @fd:      its descriptor, and no other process has a copy
 *
 * A mount that is still there is detached; its users get errors.
 *
 * Context: no thread reads the descriptor any more.
 */
void uz__fuse_mount_end(struct uz__fuse_session *session, int fd);

/* ---- dev.c ---- */

struct uz__fuse_dev;

/*
 * Ends the sleep of a thread that is to leave. Of no meaning to anybody else:
 * it is ignored unless somebody wants it.
 */
#define UZ__FUSE_INTERRUPT SIGURG

/* From now on that signal interrupts system calls. */
void uz__fuse_interruptible(void);

/* Until it is tried again: a signal may come just before a thread sleeps. */
void uz__fuse_nap(void);

/**
 * uz__fuse_thread() - a thread that takes no signal but UZ__FUSE_INTERRUPT
 * @id:     set on success
 * @main:   what it does
 * @arg:    with what
 * @kind:   of its name, at most 5 characters
 * @number: of its name
 *
 * Signals are for the thread that the program has chosen.
 *
 * Context: any thread.
 * Return:  0 or -errno.
 */
uz_must_check int uz__fuse_thread(pthread_t *id, void *(*main)(void *arg),
				  void *arg, const char *kind,
				  unsigned int number);

/**
 * uz__fuse_dev_create() - what the threads on /dev/fuse need
 * @dev:     set on success, untouched on failure
 * @fuse:    what they work on; borrowed
 * @threads: most that there will be, at most UZ__FUSE_HEADS
 *
 * Context: any thread.
 * Return:  0, -ENOMEM, or as uz_io_create().
 */
uz_must_check int uz__fuse_dev_create(struct uz__fuse_dev **dev,
				      struct uz__fuse *fuse,
				      unsigned int threads);

/**
 * uz__fuse_dev_greet() - read FUSE_INIT and agree on all but the transport
 * @dev: from uz__fuse_dev_create()
 * @fd:  /dev/fuse, mounted; borrowed until uz__fuse_dev_join()
 * @err: why not
 *
 * Context: one thread.
 * Return:  0: the kernel waits for uz__fuse_dev_accept() or _refuse();
 *          -errno: it was refused.
 */
uz_must_check int uz__fuse_dev_greet(struct uz__fuse_dev *dev, int fd,
				     struct uz_err *err);

/**
 * uz__fuse_dev_call() - the greeting
 * @dev: greeted
 *
 * Context: between uz__fuse_dev_greet() and _accept().
 * Return:  for uz__fuse_init_uring().
 */
struct uz__fuse_call *uz__fuse_dev_call(struct uz__fuse_dev *dev);

/**
 * uz__fuse_dev_accept() - answer FUSE_INIT
 * @dev: greeted
 *
 * Context: one thread.
 */
void uz__fuse_dev_accept(struct uz__fuse_dev *dev);

/**
 * uz__fuse_dev_refuse() - answer FUSE_INIT by an error
 * @dev: greeted; of no use afterwards but for uz__fuse_dev_destroy()
 *
 * Context: one thread.
 */
void uz__fuse_dev_refuse(struct uz__fuse_dev *dev);

/**
 * uz__fuse_dev_adopt() - take a connection over, in place of the greeting
 * @dev: from uz__fuse_dev_create()
 * @fd:  /dev/fuse; borrowed until uz__fuse_dev_join(). Another process had it,
 *       which is no more
 * @err: why not
 *
 * What that process had taken from the kernel and not answered will be read
 * once more, if the kernel can do that (uz__fuse_resends()), and else is
 * answered by -EIO.
 *
 * Context: one thread, before any thread reads @fd.
 * Return:  0 or -errno.
 */
uz_must_check int uz__fuse_dev_adopt(struct uz__fuse_dev *dev, int fd,
				     struct uz_err *err);

/* Does the kernel give requests out again that a dead process had? */
static inline bool uz__fuse_resends(const struct uz__fuse *fuse)
{
	return fuse->proto.offered & FUSE_HAS_RESEND;
}

/**
 * uz__fuse_dev_run() - let threads serve
 * @dev:     accepted
 * @threads: how many, at most as many as it was created for
 * @err:     why not
 *
 * Context: one thread.
 * Return:  0 or -errno; then some threads may run, until the descriptor's
 *          connection ends.
 */
uz_must_check int uz__fuse_dev_run(struct uz__fuse_dev *dev,
				   unsigned int threads, struct uz_err *err);

/**
 * uz__fuse_dev_bytes() - address space of one thread's buffer
 * @fuse: what it works on
 *
 * Context: any thread.
 * Return:  bytes; less once less has been agreed on.
 */
size_t uz__fuse_dev_bytes(const struct uz__fuse *fuse);

/**
 * uz__fuse_dev_join() - sleep until all threads have ended
 * @dev: started or not
 *
 * Context: one thread.
 * Return:  0 when the kernel ended the connection, or -errno.
 */
int uz__fuse_dev_join(struct uz__fuse_dev *dev);

/**
 * uz__fuse_dev_leave() - have all threads finish what they are at, and no more
 * @dev: started. Its threads stay, so uz__fuse_dev_join() does not return
 *       unless the connection has ended; the process has to end
 *
 * Context: any thread, once; sleeps until the last request is answered.
 */
void uz__fuse_dev_leave(struct uz__fuse_dev *dev);

/**
 * uz__fuse_dev_destroy() - free it
 * @dev: joined; or NULL
 *
 * Context: one thread.
 */
void uz__fuse_dev_destroy(struct uz__fuse_dev *dev);

/**
 * uz__fuse_dev_forget_attr() - let the kernel ask again for an inode's size
 * @dev:    started
 * @nodeid: the inode
 *
 * Context: any thread.
 */
void uz__fuse_dev_forget_attr(struct uz__fuse_dev *dev, uint64_t nodeid);

#endif
