/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FRONTEND_H
#define UZRAM_FRONTEND_H

#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: front ends
 *
 * A front end turns a kernel protocol into struct uz_request for the device
 * and into shows and stores of attributes. The daemon drives it through the
 * four functions of struct uz_frontend_ops. Today there is one: FUSE.
 */

struct uz_frontend;

/**
 * enum uz_transport - how requests get from the kernel to a front end
 * @UZ_TRANSPORT_AUTO:     the best that is possible here
 * @UZ_TRANSPORT_FUSE:     FUSE: threads that read /dev/fuse
 * @UZ_TRANSPORT_IO_URING: FUSE: buffers in an io_uring of each thread
 */
enum uz_transport {
	UZ_TRANSPORT_AUTO,
	UZ_TRANSPORT_FUSE,
	UZ_TRANSPORT_IO_URING,
};

/**
 * struct uz_frontend_config - what a front end needs to know
 * @dev:           the device that it serves; borrowed
 * @dir:           directory to mount on; exists and is empty
 * @threads:       threads that serve requests, 1 ... 64
 * @foreign:       let other users in (FUSE allow_other); each file's mode
 *                 still decides
 * @transport:     what was asked for; it is not replaced by another
 * @buffer_budget: most bytes of address space for buffers of requests over
 *                 io_uring
 */
struct uz_frontend_config {
	struct uz_device *dev;
	const char *dir;
	unsigned int threads;
	bool foreign;
	enum uz_transport transport;
	uint64_t buffer_budget;
};

/**
 * struct uz_frontend_ops - one front end
 * @name:  "fuse"
 * @start: mount and begin to serve; returns when the kernel has accepted us
 *         (FUSE_INIT answered) and files can be opened.
 *         On failure nothing stays mounted, @err says why and what to do.
 *         Returns 0; -ENODEV no /dev/fuse; -EPERM not allowed; -ENOTSUP the
 *         transport that was asked for is not possible; other -errno
 * @wait:  sleep until the service has ended: the kernel ended the connection
 *         (unmounted by anybody), or it broke. Returns 0 or -errno
 * @stop:  ask for the end from any thread: unmount. Returns 0; -EBUSY
 *         somebody uses the mount: then it was detached (nobody can open
 *         anything there any more) and service goes on until the last user
 *         is gone
 * @free:  end and free everything; the service has ended, or never began
 */
struct uz_frontend_ops {
	const char *name;
	int (*start)(const struct uz_frontend_config *config,
		     struct uz_frontend **fe, struct uz_err *err);
	int (*wait)(struct uz_frontend *fe);
	int (*stop)(struct uz_frontend *fe);
	void (*free)(struct uz_frontend *fe);
};

/**
 * uz_frontend_find() - a front end by name
 * @name: "fuse"
 *
 * Context: any thread.
 * Return:  the front end, or NULL when this build has none of that name.
 */
const struct uz_frontend_ops *uz_frontend_find(const char *name);

#endif
