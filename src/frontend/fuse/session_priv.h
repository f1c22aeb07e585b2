/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_SESSION_PRIV_H
#define UZRAM_FUSE_SESSION_PRIV_H

#include "uring_priv.h"

#define UZ__FUSE_SESSION_MAGIC	 UINT64_C(0x6573756672347a75) /* "uz4rfuse" */
#define UZ__FUSE_SESSION_VERSION 2

/* Open files that are known one by one; more are only counted. */
#define UZ__FUSE_OPENS 4096

/* Most threads on /dev/fuse; and most that serve requests at all. */
#define UZ__FUSE_HEADS 80

/* Twice as many as can be under way. */
#define UZ__FUSE_SUSPECTS 160

/*
 * With so many deaths a request is given up. The supervisor gives the device up
 * after eight in a row that come quickly.
 */
#define UZ__FUSE_TRIALS 5

/**
 * struct uz__fuse_trial - a request that may be the end of its worker
 * @unique: its number; 0: none
 * @count:  workers that have begun to carry it out
 */
struct uz__fuse_trial {
	_Atomic uint64_t unique;
	uint32_t count;
};

/**
 * struct uz__fuse_session - what a worker knows of those before it
 * @magic:     UZ__FUSE_SESSION_MAGIC, written last when it was made
 * @version:   of this layout
 * @greeted:   FUSE_INIT is over: what follows up to @plan holds. Written last
 * @proto:     what was agreed on
 * @transport: that was taken, never UZ_TRANSPORT_AUTO
 * @plan:      of its buffers, for UZ_TRANSPORT_IO_URING
 * @detached:  the mount is out of the tree but still in use
 * @minor:     of the number of its file system, whose major is 0; 0: not known
 * @born:      time stamp of all files
 * @dir:       where it is mounted, without symbolic links
 * @disk:      uz__fuse_session_set_disk()
 * @untracked: opens of the block file beyond those in @opens
 * @opens:     handles of the block file; 0: none
 * @trials:    what each thread is at work on
 * @suspects:  what threads of dead workers were at work on
 * @heads:     one for each thread on /dev/fuse: where messages begin, at
 *             UZ__FUSE_HEAD_AT
 *
 * One process at a time uses it. It may die between any two stores, so what
 * belongs together is complete by its last store. Buffers of io_uring follow
 * at UZ__FUSE_SESSION_SIZE.
 */
struct uz__fuse_session {
	uint64_t magic;
	uint32_t version;
	_Atomic uint32_t greeted;
	struct uz__fuse_proto proto;
	enum uz_transport transport;
	struct uz__fuse_plan plan;
	_Atomic uint32_t detached;
	uint32_t minor;
	struct timespec born;
	char dir[4096];
	uint64_t disk;
	_Atomic uint64_t untracked;
	_Atomic uint64_t opens[UZ__FUSE_OPENS];
	struct uz__fuse_trial trials[UZ__FUSE_HEADS];
	struct uz__fuse_trial suspects[UZ__FUSE_SUSPECTS];
	_Alignas(UZ_PAGE_SIZE) unsigned char heads[UZ__FUSE_HEADS][UZ_PAGE_SIZE];
};

/* Bytes in the memfd; a multiple of the page size. */
#define UZ__FUSE_SESSION_SIZE sizeof(struct uz__fuse_session)

/* A head is the page before the data of a write; this comes before them. */
#define UZ__FUSE_HEAD \
	(sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define UZ__FUSE_HEAD_AT (UZ_PAGE_SIZE - UZ__FUSE_HEAD)

/**
 * uz__fuse_session_create() - memory of a new session
 * @dir: where it will be mounted
 *
 * Context: any thread.
 * Return:  its memfd, or -errno.
 */
uz_must_check int uz__fuse_session_create(const char *dir);

/* Which mount it is of; @mem as of uz__fuse_session_map(). 0 or -errno. */
uz_must_check int uz__fuse_session_set_minor(int mem, uint32_t minor);

/**
 * uz__fuse_session_map() - find out what there was before this process
 * @fuse: @session, @session_mem, @born and, if there was a greeting, @proto are
 *        set on success
 * @mem:  from uz__fuse_session_create(), by whatever process; borrowed
 * @err:  why not
 *
 * Context: one thread.
 * Return:  0; -EUCLEAN it is no session; -ENOTSUP of another program; -errno.
 */
uz_must_check int uz__fuse_session_map(struct uz__fuse *fuse, int mem,
				       struct uz_err *err);

/* The mapping ends; the memory stays. */
void uz__fuse_session_unmap(struct uz__fuse *fuse);

/* Has a process before this one agreed with the kernel already? */
static inline bool uz__fuse_session_greeted(const struct uz__fuse_session *s)
{
	/* acquire: whoever finds it finds what was agreed on. */
	return atomic_load_explicit(&s->greeted, memory_order_acquire);
}

/**
 * uz__fuse_session_keep() - tell successors what was agreed on
 * @fuse:      @proto is final
 * @transport: that serves
 * @plan:      its buffers, or NULL
 *
 * Context: one thread, once.
 */
void uz__fuse_session_keep(struct uz__fuse *fuse, enum uz_transport transport,
			   const struct uz__fuse_plan *plan);

/**
 * uz__fuse_session_hold() - the device is open as often as it was before
 * @fuse: @dev and @session are set
 *
 * Context: one thread.
 */
void uz__fuse_session_hold(const struct uz__fuse *fuse);

/**
 * uz__fuse_session_open() - somebody opens the block file
 * @fuse:   @dev is told
 * @unique: of the request; with FUSE_UNIQUE_RESEND it may be known already, and
 *          then is not counted again
 *
 * Context: any thread.
 * Return:  the handle for uz__fuse_session_close().
 */
uint64_t uz__fuse_session_open(const struct uz__fuse *fuse, uint64_t unique);

/**
 * uz__fuse_session_close() - it was closed
 * @fuse:   @dev is told, unless that handle is not open (any more)
 * @handle: any number
 *
 * Context: any thread.
 */
void uz__fuse_session_close(const struct uz__fuse *fuse, uint64_t handle);

/* ---- trial.c ---- */

/**
 * uz__fuse_trial_adopt() - suspect what dead workers were at work on
 * @s: their session
 *
 * Context: one thread, before any request is served.
 */
void uz__fuse_trial_adopt(struct uz__fuse_session *s);

/**
 * uz__fuse_trial_begin() - a request is about to be carried out
 * @call: with it; nothing is noted if its @trial is NULL
 *
 * Context: the thread of @call.
 * Return:  0; -EIO too many workers died with it: it is to fail.
 */
uz_must_check int uz__fuse_trial_begin(struct uz__fuse_call *call);

/**
 * uz__fuse_trial_end() - it was carried out, or failed
 * @call: as it was begun
 *
 * Context: the thread of @call.
 */
void uz__fuse_trial_end(struct uz__fuse_call *call);

#endif
