/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FRONTEND_H
#define UZRAM_FRONTEND_H

#include <sys/types.h>

#include <uzram/attr.h>
#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: front ends
 *
 * A front end turns a kernel protocol into struct uz_request for the device
 * and into shows and stores of attributes. The daemon drives it through the
 * functions of struct uz_frontend_ops, in two processes: the supervisor
 * mounts, which gives a session; one worker after another serves that session,
 * each taking over from one that died. There are two: FUSE, and ublk, which is
 * a disk of its own for the data and FUSE for the attributes.
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
 * struct uz_session - what of a mount outlives every worker
 * @fd:  the connection to the kernel; it lasts until its last copy is closed
 * @mem: memfd with all that a worker has to know of those before it, and what
 *       they had taken from the kernel and not answered yet
 *
 * Both are -1 where there is none.
 */
struct uz_session {
	int fd;
	int mem;
};

/**
 * struct uz_mount_config - what is to be mounted
 * @name:    of the device, shown as the source
 * @dir:     directory to mount on; exists and is empty
 * @foreign: let other users in (FUSE allow_other); each file's mode
 *           still decides
 */
struct uz_mount_config {
	const char *name;
	const char *dir;
	bool foreign;
};

/**
 * struct uz_frontend_disk - a disk that takes the place of the block file
 * @path:         its node, "/dev/ublkb0"
 * @buffer_bytes: most that its buffers take
 * @survives:     what becomes of its requests when this process dies, as
 *                uz_attr_set_transport() wants it
 * @attr:         for uz_attr_set_disk()
 */
struct uz_frontend_disk {
	const char *path;
	uint64_t buffer_bytes;
	const char *survives;
	struct uz_attr_disk attr;
};

/**
 * struct uz_frontend_config - what a front end needs to know
 * @dev:           the device that it serves; borrowed
 * @session:       from mount(); its descriptors are borrowed
 * @threads:       threads that serve requests, 1 ... 64
 * @transport:     what was asked for; it is not replaced by another
 * @buffer_budget: most bytes for buffers of requests over io_uring
 * @supervisor:    the process that signals are for
 * @restarts:      workers that have served the session before this one
 * @protection:    what protects this process while memory is short, in words;
 *                 stays valid
 * @awake:         CPUs are kept from halting while the device is in use
 * @upgrade:       for the attribute of that name; stays valid, or NULL
 * @confinement:   what this process has given up, in words; stays valid
 * @cgroup:        where this process's memory is charged, "" for nowhere; stays
 *                 valid
 * @watchdog:      seconds after which a process that hangs is replaced; 0:
 *                 never
 * @hangs:         how often that has happened
 * @disk:          FUSE: let `block` be a link to this; borrowed for as long as
 *                 it serves. NULL: it is the block file
 */
struct uz_frontend_config {
	struct uz_device *dev;
	struct uz_session session;
	unsigned int threads;
	enum uz_transport transport;
	uint64_t buffer_budget;
	pid_t supervisor;
	unsigned int restarts;
	const char *protection;
	bool awake;
	const struct uz_attr_upgrade *upgrade;
	const char *confinement;
	const char *cgroup;
	unsigned int watchdog;
	unsigned int hangs;
	const struct uz_frontend_disk *disk;
};

/**
 * struct uz_frontend_ops - one front end
 * @name:    "fuse", "ublk"
 * @mount:   mount; until a worker serves, whoever opens a file there waits.
 *           On failure nothing stays mounted, @err says why and what to do.
 *           Returns 0; -ENODEV no /dev/fuse; -EPERM not allowed; other -errno
 * @unmount: let go of a session, whatever state it is in: what is mounted
 *           still is detached, requests under way end with errors. No process
 *           serves it any more. @session becomes { -1, -1 }
 * @start:   begin to serve, or take over from a worker that died; returns when
 *           the kernel has accepted us (FUSE_INIT answered) and files can be
 *           opened. After a failure threads may be left that use @config->dev
 *           and the session: the process has to end. Returns 0; -ENOTSUP the
 *           transport that was asked for is not possible, or cannot be taken
 *           over; -EUCLEAN the session's memory is damaged; other -errno
 * @wait:    sleep until the service has ended: the kernel ended the connection
 *           (unmounted by anybody), or it broke. Returns 0 or -errno
 * @stop:    the end was asked for: give up what others wait for. From any
 *           thread
 * @quit:    unmount, in a process that does nothing else while another one
 *           serves. Returns 0; -EBUSY somebody uses the mount: then it was
 *           detached (nobody can open anything there any more) and service
 *           goes on until the last user is gone; other -errno
 * @leave:   have every thread finish the request that it is at, and take no
 *           more. Returns 0 when that is so, which a store to an attribute may
 *           keep from happening for long; then the process has to end, and
 *           another one may start() on the session. wait() goes on. Returns
 *           -ENOTSUP what it serves ends with this process; -EBUSY it is ending
 *           already: then nothing was done
 * @free:    end and free everything; the service has ended
 * @bound:   what it serves ends with the supervisor, so it is of no use to keep
 *           a session's descriptors for another one
 */
struct uz_frontend_ops {
	const char *name;
	int (*mount)(const struct uz_mount_config *config,
		     struct uz_session *session, struct uz_err *err);
	void (*unmount)(struct uz_session *session);
	int (*start)(const struct uz_frontend_config *config,
		     struct uz_frontend **fe, struct uz_err *err);
	int (*wait)(struct uz_frontend *fe);
	void (*stop)(struct uz_frontend *fe);
	int (*quit)(const struct uz_session *session);
	int (*leave)(struct uz_frontend *fe, struct uz_err *err);
	void (*free)(struct uz_frontend *fe);
	bool bound;
};

/**
 * uz_frontend_find() - a front end by name
 * @name: "fuse", "ublk"
 *
 * Context: any thread.
 * Return:  the front end, or NULL when this build has none of that name.
 */
const struct uz_frontend_ops *uz_frontend_find(const char *name);

/**
 * uz_frontend_auto() - the front end that is best here
 * @sized: the device has a size when it is mounted
 *
 * Context: any thread; looks at the system.
 * Return:  "ublk" if this build has it, the driver's node is there and may be
 *          used, and @sized, as a disk has a size from the beginning; else
 *          "fuse".
 */
const char *uz_frontend_auto(bool sized);

/**
 * uz_frontend_reap() - clear up what daemons that died have left in the kernel
 *
 * Disks of ublk whose processes are gone: who still uses one gets errors.
 *
 * Context: any thread; may take a minute when the driver does not answer.
 * Return:  how many.
 */
unsigned int uz_frontend_reap(void);

/**
 * uz_frontend_probe_disks() - can this system have disks (--frontend ublk)?
 * @text: filled on success: what the driver can do, one line
 * @size: bytes at @text
 * @err:  why not, and what to do
 *
 * Context: any thread; takes some seconds when the driver does not answer.
 * Return:  0; -ENOTSUP this build has them not; -ENODEV no driver; -EPERM not
 *          allowed; other -errno.
 */
uz_must_check int uz_frontend_probe_disks(char *text, size_t size,
					  struct uz_err *err);

#endif
