// SPDX-License-Identifier: MIT
/*
 * The life of the ublk front end: a disk for the data, and the FUSE front end
 * for the attributes, in whose directory `block` is a link to the disk.
 *
 * The mount is the handle: who unmounts it asks for the end. A disk that is in
 * use then goes on until its last user has closed it, as a detached mount does.
 * Resetting is refused as long as there is a disk, which cannot be without a
 * size. It grows when the device does, where the driver can do that.
 *
 * stop() and leave() may come from any thread. All else is done by one. Whoever
 * comes first to the disk's fate decides it: it ends, or is left to another
 * process.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "../fuse/fuse_frontend.h"
#include "ublk_frontend.h"
#include "ublk_priv.h"

/* How often a disk that is in use is tried again. */
#define STEP_MS 50

/*
 * @fate: set by who ends the disk or leaves it. Nothing else hangs on it, so
 *        any order would do
 */
struct uz_frontend {
	struct uz_device *dev;
	struct uz__ublk_disk disk;
	struct uz_frontend_disk link;
	struct uz_frontend *attrs;
	_Atomic bool fate;
};

static const struct uz_frontend_ops *const fuse = &uz__fuse_frontend;

static void say_used(const struct uz__ublk_disk *disk)
{
	char text[256] = "somebody who cannot be seen";
	struct uz_users users = { 0 };

	if (!uz__ublk_disk_users(disk, &users) && users.count)
		uz_users_text(&users, text, sizeof(text));
	uz_users_free(&users);
	uz_log(UZ_LOG_WARN, "%s is still used by %s; serving until that ends",
	       disk->path, text);
}

static int ublk_wait(struct uz_frontend *fe)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	int ret = fuse->wait(fe->attrs), busy;
	bool said = false;

	while (atomic_exchange(&fe->fate, true))
		pause(); /* the process is about to end */
	while ((busy = uz__ublk_disk_try_stop(&fe->disk)) == -EBUSY) {
		if (!said)
			say_used(&fe->disk);
		said = true;
		nanosleep(&step, NULL);
	}
	return ret;
}

static void ublk_stop(struct uz_frontend *fe)
{
	fuse->stop(fe->attrs);
}

static int ublk_leave(struct uz_frontend *fe, struct uz_err *err)
{
	if (!uz__ublk_disk_recovers(&fe->disk))
		return uz_err_set(
			err, -ENOTSUP,
			"this kernel does not keep a disk without its "
			"server; remove the device and add it anew");
	if (atomic_exchange(&fe->fate, true))
		return uz_err_set(err, -EBUSY,
				  "the device is about to end, with the last "
				  "user of its disk");
	/* What takes long is a store there; the disk is served meanwhile. */
	fuse->leave(fe->attrs, err);
	uz__ublk_disk_leave(&fe->disk);
	return 0;
}

static int ublk_quit(const struct uz_session *session)
{
	return fuse->quit(session);
}

static void ublk_free(struct uz_frontend *fe)
{
	if (!fe)
		return;
	fuse->free(fe->attrs);
	uz__ublk_disk_end(&fe->disk);
	uz_device_release(fe->dev);
	free(fe);
}

static int ublk_mount(const struct uz_mount_config *config,
		      struct uz_session *session, struct uz_err *err)
{
	int ret = uz__ublk_guard_start();

	if (ret)
		return uz_err_set(err, ret, "no process to guard the disk: %s",
				  strerror(-ret));
	ret = fuse->mount(config, session, err);
	if (ret)
		uz__ublk_guard_end();
	return ret;
}

/*
 * Of a worker that died, its disk is left; and the guard may have been killed.
 */
static void ublk_unmount(struct uz_session *session)
{
	struct uz__ublk_control control;

	fuse->unmount(session);
	uz__ublk_guard_end();
	if (uz__ublk_control_open(&control, NULL))
		return;
	uz__ublk_reap(&control, uz__ublk_mark(getpid()));
	uz__ublk_control_close(&control);
}

unsigned int uz__ublk_clear_up(void)
{
	struct uz__ublk_control control;
	unsigned int count;

	if (uz__ublk_control_open(&control, NULL))
		return 0;
	count = uz__ublk_reap_asked(&control);
	uz__ublk_control_close(&control);
	return count;
}

int uz__ublk_probe(char *text, size_t size, struct uz_err *err)
{
	struct uz__ublk_control control;
	int ret = uz__ublk_control_open(&control, err);
	unsigned int left;
	size_t n;

	if (ret)
		return ret;
	uz__ublk_features_text(control.features, text, size);
	left = uz__ublk_count_left(&control);
	uz__ublk_control_close(&control);
	n = strlen(text);
	if (left)
		snprintf(text + n, size - n,
			 "; %u left by daemons that died: 'uzramctl remove "
			 "--force NAME'",
			 left);
	return 0;
}

static int check(const struct uz_frontend_config *config, struct uz_err *err)
{
	if (!uz_device_disksize(config->dev))
		return uz_err_set(err, -EINVAL,
				  "front end ublk makes a disk, which has a "
				  "size; give one (-s SIZE)");
	if (config->transport != UZ_TRANSPORT_AUTO)
		return uz_err_set(err, -EINVAL,
				  "-o transport is for the front end fuse; "
				  "leave it out with ublk");
	return 0;
}

static int can_grow(void *arg, struct uz_err *err)
{
	return uz__ublk_disk_can_grow(arg, err);
}

static int grow(void *arg, uint64_t size, struct uz_err *err)
{
	return uz__ublk_disk_grow(arg, size, err);
}

static int start_attrs(struct uz_frontend *fe,
		       const struct uz_frontend_config *config,
		       struct uz_err *err)
{
	struct uz_frontend_config attrs = *config;
	int ret;

	fe->link = (struct uz_frontend_disk){
		.path = fe->disk.path,
		.survives = uz__ublk_disk_recovers(&fe->disk) ? "yes" : "no",
		.buffer_bytes = fe->disk.plan.bytes,
		.attr = { can_grow, grow, &fe->disk },
	};
	attrs.disk = &fe->link;
	if (!uz__ublk_disk_recovers(&fe->disk))
		attrs.upgrade = NULL;
	attrs.transport = UZ_TRANSPORT_FUSE;
	ret = fuse->start(&attrs, &fe->attrs, err);
	/* One that was taken over, another worker may take over. */
	if (ret && !fe->disk.adopted)
		uz__ublk_disk_end(&fe->disk);
	return ret;
}

static int ublk_start(const struct uz_frontend_config *config,
		      struct uz_frontend **out, struct uz_err *err)
{
	struct uz_frontend *fe;
	int ret = check(config, err);

	if (ret)
		return ret;
	fe = calloc(1, sizeof(*fe));
	if (!fe)
		return uz_err_set(err, -ENOMEM, "no memory");
	fe->dev = config->dev;
	uz_device_hold(fe->dev);
	ret = uz__ublk_disk_start(&fe->disk, config, err);
	if (!ret)
		ret = start_attrs(fe, config, err);
	/*
	 * Not freed: threads that are left may use it until the process ends.
	 */
	if (ret)
		return ret;
	uz_log(UZ_LOG_INFO,
	       "transport ublk: %s, %u queues of %u buffers of %u KiB",
	       fe->disk.path, fe->disk.plan.queues, fe->disk.plan.depth,
	       fe->disk.plan.io_max >> 10);
	*out = fe;
	return 0;
}

const struct uz_frontend_ops uz__ublk_frontend = {
	.name = "ublk",
	.mount = ublk_mount,
	.unmount = ublk_unmount,
	.start = ublk_start,
	.wait = ublk_wait,
	.stop = ublk_stop,
	.quit = ublk_quit,
	.leave = ublk_leave,
	.free = ublk_free,
	.bound = true, /* by the mark, and by the guard */
};
