// SPDX-License-Identifier: MIT
/*
 * One device from its birth to its end: memory, device, place, front end, and
 * back in reverse order. The main thread waits in the front end; signals are
 * taken by a thread of their own (signal.c).
 *
 * Order matters in two places. The directory is claimed before anything is
 * made and released last, so that a name is never free while its daemon still
 * lives. Who waits for us is told only once files can be opened.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/device.h>
#include <uzram/util/cpus.h>
#include <uzram/util/log.h>
#include <uzram/util/size.h>
#include <uzram/worker.h>

#include "daemon_priv.h"

#define THREADS_MIN 2
#define THREADS_MAX 64

/*
 * struct daemon - everything that a running device has
 * @mem:       memory of the device
 * @dev:       the device, or NULL
 * @compactor: works in the background, or NULL
 * @place:     where it is mounted
 * @ops:       the front end
 * @fe:        its service, or NULL
 * @signals:   the thread that ends the service
 */
struct daemon {
	struct uz_device_mem mem;
	struct uz_device *dev;
	struct uz_compactor *compactor;
	struct uz__place place;
	const struct uz_frontend_ops *ops;
	struct uz_frontend *fe;
	struct uz__signals signals;
};

static unsigned int daemon_threads(const struct uz_daemon_config *config)
{
	unsigned int n = uz_cpus();

	if (config->threads)
		return config->threads;
	if (n < THREADS_MIN)
		n = THREADS_MIN;
	return n > THREADS_MAX ? THREADS_MAX : n;
}

/* With the thread that has received the request, one for each CPU. */
static unsigned int daemon_workers(const struct uz_daemon_config *config)
{
	return config->workers == UZ_WORKERS_AUTO ? uz_cpus() - 1
						  : config->workers;
}

static void daemon_limit(struct uz_device *dev, uint64_t limit)
{
	uint64_t ceiling = uz__ceiling();
	char text[UZ_SIZE_TEXT];

	uz_device_set_limit(dev, limit);
	if (!ceiling)
		return;
	uz_device_set_ceiling(dev, ceiling);
	if (limit && limit <= ceiling)
		return;
	uz_size_format(ceiling, text);
	uz_log(UZ_LOG_NOTICE,
	       "mem_limit set to %s: more would not fit this cgroup", text);
}

static void daemon_compact(struct daemon *d)
{
	int rc = uz_compactor_start(&d->compactor, d->dev);

	if (rc)
		uz_log(UZ_LOG_WARN,
		       "no thread for compaction (%s): done only when asked for",
		       strerror(-rc));
}

static int daemon_make_device(struct daemon *d,
			      const struct uz_daemon_config *config,
			      struct uz_err *err)
{
	int rc = uz_device_mem_create(&d->mem);

	if (rc)
		return uz_err_set(err, rc, "memory of the device: %s",
				  strerror(-rc));
	rc = uz_device_open(&d->dev, config->name, &d->mem, err);
	if (!rc && *config->codec)
		rc = uz_device_set_codec(d->dev, config->codec, err);
	if (!rc && *config->zpool)
		rc = uz_device_set_zpool(d->dev, config->zpool, err);
	if (rc)
		return rc;
	daemon_limit(d->dev, config->mem_limit);
	uz_device_set_workers(d->dev, daemon_workers(config));
	if (config->compaction)
		daemon_compact(d);
	if (config->track_age) {
		rc = uz_device_track_age(d->dev);
		if (rc)
			return uz_err_set(err, rc, "ages of pages: %s",
					  strerror(-rc));
	}
	if (config->size)
		rc = uz_device_set_disksize(d->dev, config->size, err);
	return rc;
}

static int daemon_mount(struct daemon *d, const struct uz_daemon_config *config,
			struct uz_err *err)
{
	struct uz_frontend_config fe = {
		.dev = d->dev,
		.dir = d->place.path,
		.threads = daemon_threads(config),
		.foreign = geteuid() == 0,
		.transport = config->transport,
		.buffer_budget = config->buffer_budget,
	};
	struct stat st;
	int rc;

	d->ops = uz_frontend_find(config->frontend);
	if (!d->ops)
		return uz_err_set(err, -ENOTSUP,
				  "front end '%s' is not in this build",
				  config->frontend);
	rc = d->ops->start(&fe, &d->fe, err);
	if (rc)
		return rc;
	uz__place_settled(&d->place);
	/* Its number, by which users of the device are found later. */
	if (stat(d->place.path, &st))
		return uz_err_set(err, -errno, "%s: %s", d->place.path,
				  strerror(errno));
	d->signals.ops = d->ops;
	d->signals.fe = d->fe;
	d->signals.fs = st.st_dev;
	rc = uz__signals_start(&d->signals);
	if (rc)
		return uz_err_set(err, rc, "thread for signals: %s",
				  strerror(-rc));
	return 0;
}

static int daemon_serve(struct daemon *d, const struct uz_daemon_config *config,
			struct uz_err *err)
{
	int rc;

	uz_log(UZ_LOG_INFO, "serving %s", d->place.path);
	uz__notify_manager("READY=1\nSTATUS=Serving %s", d->place.path);
	uz__notify_starter(config->ready_fd, "READY");
	rc = d->ops->wait(d->fe);
	uz__signals_end(&d->signals);
	uz__notify_manager("STOPPING=1");
	if (rc)
		return uz_err_set(err, rc, "service of %s broke: %s",
				  d->place.path, strerror(-rc));
	return 0;
}

static void daemon_end(struct daemon *d)
{
	if (d->fe)
		d->ops->free(d->fe);
	uz_compactor_stop(d->compactor);
	uz_device_close(d->dev);
	uz_device_mem_close(&d->mem);
	uz__place_release(&d->place);
}

/* Mounted, but something after that failed: take it down again. */
static void daemon_undo_mount(struct daemon *d)
{
	int rc = d->fe ? d->ops->stop(d->fe) : -ENODEV;

	/* Somebody may have been quick to open it, and must be gone first. */
	if (!rc || rc == -EBUSY)
		d->ops->wait(d->fe);
}

int uz_daemon_run(const struct uz_daemon_config *config, struct uz_err *err)
{
	struct daemon d = {
		.mem = { .ctl_fd = -1, .table_fd = -1, .arena_fd = -1 },
	};
	struct uz_err reason = { 0 };
	bool served = false;
	int rc;

	uz__signals_block();
	rc = uz_daemon_check_name(config->name, &reason);
	if (rc)
		goto out;
	rc = uz__place_claim(&d.place, config, &reason);
	if (!rc)
		rc = daemon_make_device(&d, config, &reason);
	if (!rc)
		rc = daemon_mount(&d, config, &reason);
	if (rc) {
		daemon_undo_mount(&d);
	} else {
		served = true;
		rc = daemon_serve(&d, config, &reason);
	}
	daemon_end(&d);
out:
	if (rc && !served)
		uz__notify_starter(config->ready_fd, reason.text);
	if (rc)
		uz_err_set(err, rc, "%s", reason.text);
	return rc;
}
