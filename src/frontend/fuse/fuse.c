// SPDX-License-Identifier: MIT
/*
 * The life of the FUSE front end: attributes, threads, mount, greeting; then
 * it serves until the kernel ends the connection, whoever unmounted.
 *
 * stop() may come from any thread and more than once, so a lock is around the
 * unmounting; requests are served meanwhile and never take it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/lock.h>

#include "fuse_frontend.h"
#include "uring_priv.h"

struct uz_frontend {
	struct uz__fuse fuse;
	struct uz__fuse_mount mount;
	struct uz__fuse_transport transport;
	struct uz_lock stop_lock;
};

static void fuse_resized(void *arg)
{
	struct uz_frontend *fe = arg;

	uz__fuse_dev_forget_attr(fe->transport.dev, UZ__FUSE_BLOCK);
}

static void fuse_free(struct uz_frontend *fe)
{
	if (!fe)
		return;
	if (fe->mount.session) {
		uz__fuse_transport_join(&fe->transport);
		/* A stop() that made the end come may not have returned yet. */
		uz_lock_acquire(&fe->stop_lock);
		uz__fuse_mount_end(&fe->mount);
		uz_lock_release(&fe->stop_lock);
	}
	uz__fuse_transport_destroy(&fe->transport);
	uz_attr_ctx_destroy(fe->fuse.attrs);
	uz_lock_destroy(&fe->stop_lock);
	free(fe);
}

static int fuse_stop(struct uz_frontend *fe)
{
	uz_scoped_acquire(guard, &fe->stop_lock);

	return uz__fuse_unmount(&fe->mount);
}

static int fuse_wait(struct uz_frontend *fe)
{
	return uz__fuse_transport_join(&fe->transport);
}

static int fuse_start(const struct uz_frontend_config *config,
		      struct uz_frontend **out, struct uz_err *err)
{
	struct uz_frontend *fe = calloc(1, sizeof(*fe));
	int ret;

	if (!fe)
		return uz_err_set(err, -ENOMEM, "no memory");
	uz_lock_init(&fe->stop_lock, UZ_LOCK_LEAF);
	fe->fuse.dev = config->dev;
	fe->fuse.uid = geteuid();
	fe->fuse.gid = getegid();
	clock_gettime(CLOCK_REALTIME, &fe->fuse.born);
	ret = uz_attr_ctx_create(&fe->fuse.attrs, config->dev, config->threads,
				 fuse_resized, fe);
	if (!ret)
		ret = uz__fuse_transport_create(&fe->transport, &fe->fuse,
						config);
	if (ret) {
		uz_err_set(err, ret, "cannot set up %u threads: %s",
			   config->threads, strerror(-ret));
		goto fail;
	}
	ret = uz__fuse_mount(&fe->mount, config->dir,
			     uz_device_name(config->dev), config->foreign, err);
	if (ret)
		goto fail;
	ret = uz__fuse_transport_start(&fe->transport, fe->mount.fd, err);
	if (ret) {
		fuse_stop(fe);
		goto fail;
	}
	*out = fe;
	return 0;

fail:
	fuse_free(fe);
	return ret;
}

const struct uz_frontend_ops uz__fuse_frontend = {
	.name = "fuse",
	.start = fuse_start,
	.wait = fuse_wait,
	.stop = fuse_stop,
	.free = fuse_free,
};
