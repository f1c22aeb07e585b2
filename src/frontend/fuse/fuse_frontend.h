/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_FRONTEND_H
#define UZRAM_FUSE_FRONTEND_H

#include <stdint.h>

#include <uzram/frontend.h>

/* The FUSE front end; only in builds with libfuse3. */
extern const struct uz_frontend_ops uz__fuse_frontend;

/**
 * uz__fuse_session_set_disk() - keep a word for workers to come
 * @session: of mount()
 * @word:    whatever the front end that makes a disk has to know of it
 *
 * Context: one thread of one process.
 * Return:  0 or -errno.
 */
uz_must_check int uz__fuse_session_set_disk(const struct uz_session *session,
					    uint64_t word);

/**
 * uz__fuse_session_get_disk() - the word that was kept
 * @session: of mount()
 * @word:    set on success; 0 when none was kept
 * @err:     why not
 *
 * Context: one thread of one process.
 * Return:  0; -ENOTSUP the session is of another layout; -EUCLEAN it is
 *          damaged; other -errno.
 */
uz_must_check int uz__fuse_session_get_disk(const struct uz_session *session,
					    uint64_t *word, struct uz_err *err);

#endif
