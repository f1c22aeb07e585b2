// SPDX-License-Identifier: MIT
/*
 * The life of the FUSE front end. The supervisor mounts and keeps the session;
 * a worker sets up attributes and threads, greets the kernel or takes over from
 * the one before it, and serves until the kernel ends the connection, whoever
 * unmounted.
 *
 * No locks: what is shared has its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "fuse_frontend.h"
#include "session_priv.h"

struct uz_frontend {
	struct uz__fuse fuse;
	int fd;
	struct uz__fuse_transport transport;
};

static int fuse_mount(const struct uz_mount_config *config,
		      struct uz_session *session, struct uz_err *err)
{
	uz_autofree char *dir = realpath(config->dir, NULL);
	uz_autoclose int mem = -1;
	int ret;

	if (!dir)
		return uz_err_set(err, -errno, "%s: %s", config->dir,
				  strerror(errno));
	mem = uz__fuse_session_create(dir);
	if (mem < 0)
		return uz_err_set(err, mem, "memory of the session: %s",
				  strerror(-mem));
	ret = uz__fuse_mount(config, dir, &session->fd, err);
	/* Not known, it is taken for ours, whatever is there. */
	if (!ret && uz__fuse_session_set_minor(mem, uz__fuse_mount_minor(dir)))
		uz_log(UZ_LOG_WARN, "%s: its number is not kept", dir);
	if (!ret)
		session->mem = uz_steal_fd(&mem);
	return ret;
}

static void fuse_unmount(struct uz_session *session)
{
	struct uz__fuse fuse = { 0 };

	if (!uz__fuse_session_map(&fuse, session->mem, NULL))
		uz__fuse_mount_end(fuse.session, uz_steal_fd(&session->fd));
	uz__fuse_session_unmap(&fuse);
	if (session->fd >= 0)
		close(uz_steal_fd(&session->fd));
	close(uz_steal_fd(&session->mem));
}

static void fuse_resized(void *arg)
{
	struct uz_frontend *fe = arg;

	uz__fuse_dev_forget_attr(fe->transport.dev, UZ__FUSE_BLOCK);
}

static void fuse_free(struct uz_frontend *fe)
{
	if (!fe)
		return;
	uz__fuse_transport_join(&fe->transport);
	uz__fuse_transport_destroy(&fe->transport);
	uz_attr_ctx_destroy(fe->fuse.attrs);
	uz__fuse_session_unmap(&fe->fuse);
	free(fe);
}

static void fuse_stop(struct uz_frontend *fe)
{
	/* Who waits for a store that takes long would keep the mount in use. */
	uz_attr_interrupt(fe->fuse.attrs, 0);
}

static int fuse_quit(const struct uz_session *session)
{
	struct uz__fuse fuse = { 0 };
	int ret = uz__fuse_session_map(&fuse, session->mem, NULL);

	if (!ret)
		ret = uz__fuse_unmount(fuse.session, session->fd);
	uz__fuse_session_unmap(&fuse);
	return ret;
}

static int fuse_leave(struct uz_frontend *fe, struct uz_err *err)
{
	(void)err;
	uz__fuse_transport_leave(&fe->transport);
	return 0;
}

static int fuse_wait(struct uz_frontend *fe)
{
	return uz__fuse_transport_join(&fe->transport);
}

/* All but the kernel. */
static int fuse_create(struct uz_frontend *fe,
		       const struct uz_frontend_config *config,
		       struct uz_err *err)
{
	const struct uz_attr_process process = {
		.supervisor = config->supervisor,
		.restarts = config->restarts,
		.protection = config->protection,
		.awake = config->awake,
		.confinement = config->confinement,
		.watchdog = config->watchdog,
		.hangs = config->hangs,
		.cgroup = config->cgroup,
		.upgrade = config->upgrade,
	};
	int ret = uz__fuse_session_map(&fe->fuse, config->session.mem, err);

	if (ret)
		return ret;
	uz__fuse_session_hold(&fe->fuse);
	uz__fuse_trial_adopt(fe->fuse.session);
	ret = uz_attr_ctx_create(&fe->fuse.attrs, config->dev, config->threads,
				 fuse_resized, fe);
	if (!ret)
		uz_attr_set_process(fe->fuse.attrs, &process);
	if (!ret && config->disk)
		uz_attr_set_disk(fe->fuse.attrs, &config->disk->attr);
	if (!ret)
		ret = uz__fuse_transport_create(&fe->transport, &fe->fuse,
						config);
	if (ret)
		return uz_err_set(err, ret, "cannot set up %u threads: %s",
				  config->threads, strerror(-ret));
	return 0;
}

static int fuse_start(const struct uz_frontend_config *config,
		      struct uz_frontend **out, struct uz_err *err)
{
	struct uz_frontend *fe = calloc(1, sizeof(*fe));
	int ret;

	if (!fe)
		return uz_err_set(err, -ENOMEM, "no memory");
	fe->fuse.dev = config->dev;
	fe->fuse.uid = geteuid();
	fe->fuse.gid = getegid();
	fe->fuse.disk = config->disk;
	fe->fd = config->session.fd;
	ret = fuse_create(fe, config, err);
	if (ret) {
		fuse_free(fe);
		return ret;
	}
	/* From here on there may be threads, which only the end can end. */
	ret = uz__fuse_transport_start(&fe->transport, fe->fd, err);
	if (!ret)
		*out = fe;
	return ret;
}

const struct uz_frontend_ops uz__fuse_frontend = {
	.name = "fuse",
	.mount = fuse_mount,
	.unmount = fuse_unmount,
	.start = fuse_start,
	.wait = fuse_wait,
	.stop = fuse_stop,
	.leave = fuse_leave,
	.quit = fuse_quit,
	.free = fuse_free,
};
