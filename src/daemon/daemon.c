// SPDX-License-Identifier: MIT
/*
 * One device from its birth to its end: place, memory, mount, a supervisor
 * that has it served (supervisor.c, serve.c), and back in reverse order.
 *
 * Order matters in two places. The directory is claimed before anything is
 * made and released last, so that a name is never free while its daemon still
 * lives. Who waits for us is told only once files can be opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uzram/util/cgroup.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "daemon_priv.h"

/* Its number, by which users of the device are found. Asks no server. */
static int daemon_number(struct uz__daemon *d, struct uz_err *err)
{
	struct statx stx;

	if (statx(AT_FDCWD, d->place.path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
		  0, &stx))
		return uz_err_set(err, -errno, "%s: %s", d->place.path,
				  strerror(errno));
	d->fs = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	return 0;
}

static int daemon_mount(struct uz__daemon *d, struct uz_err *err)
{
	const struct uz_mount_config mount = {
		.name = d->config->name,
		.dir = d->place.path,
		.foreign = geteuid() == 0,
	};
	const char *frontend = d->config->frontend;
	int rc;

	if (!strcmp(frontend, "auto"))
		frontend = uz_frontend_auto(d->config->size != 0);
	d->ops = uz_frontend_find(frontend);
	if (!d->ops)
		return uz_err_set(err, -ENOTSUP,
				  "front end '%s' is not in this build",
				  frontend);
	if (d->config->swap) {
		d->protected = uz__protect(UZ__PROTECT_NOSWAP, true);
		/* The guard of a disk inherits them; the supervisor tells. */
		uz__protect(UZ__PROTECT_OOM | UZ__PROTECT_RT, false);
	}
	rc = uz_device_mem_create(&d->mem);
	if (rc)
		return uz_err_set(err, rc, "memory of the device: %s",
				  strerror(-rc));
	rc = d->ops->mount(&mount, &d->session, err);
	return rc ? rc : daemon_number(d, err);
}

static int daemon_begin(struct uz__daemon *d, struct uz_err *err)
{
	int rc = uz__place_claim(&d->place, d->config, err);

	return rc ? rc : daemon_mount(d, err);
}

/* The service manager has it all once more. */
static void daemon_park(struct uz__daemon *d)
{
	close(uz_steal_fd(&d->session.fd));
	close(uz_steal_fd(&d->session.mem));
	close(uz_steal_fd(&d->place.fd));
}

static void daemon_end(struct uz__daemon *d)
{
	/* First: the connection ends when nobody has it any more. */
	uz__store_end(d);
	uz__board_close(d);
	if (d->spare >= 0)
		close(d->spare);
	if (d->ballast >= 0)
		close(d->ballast);
	if (d->program >= 0)
		close(d->program);
	if (d->parked)
		daemon_park(d);
	if (d->session.fd >= 0)
		d->ops->unmount(&d->session);
	uz_device_mem_close(&d->mem);
	uz__place_release(&d->place);
}

int uz_daemon_run(const struct uz_daemon_config *config, struct uz_err *err)
{
	struct uz__daemon d = {
		.config = config,
		.pid = getpid(),
		.mem = { .ctl_fd = -1, .table_fd = -1, .arena_fd = -1 },
		.session = { .fd = -1, .mem = -1 },
		.place = { .parent = -1, .fd = -1 },
		.board_fd = -1,
		.spare = -1,
		.ballast = -1,
		.program = -1,
		.keep = { .program = -1, .self = -1, .handover = -1 },
	};
	struct uz_err reason = { 0 };
	int rc;

	uz__signals_block();
	rc = uz_daemon_check_name(config->name, &reason);
	/* Before there is any memory, which stays charged where it was had. */
	if (!rc && *config->cgroup)
		rc = uz_cgroup_join("", config->cgroup, &reason);
	if (rc)
		goto out;
	rc = uz__store_take(&d, &reason);
	if (!rc)
		rc = daemon_begin(&d, &reason);
	if (rc >= 0)
		rc = uz__supervise(&d, &reason);
	daemon_end(&d);
out:
	if (!rc)
		return 0;
	if (config->ready_fd >= 0 && !d.served)
		uz__notify_starter(config->ready_fd, reason.text);
	else
		uz_log(UZ_LOG_ERR, "%s", reason.text);
	return uz_err_set(err, rc, "%s", reason.text);
}
