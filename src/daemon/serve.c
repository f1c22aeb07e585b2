// SPDX-License-Identifier: MIT
/*
 * The worker: the process that opens the device on the memory that it was
 * given, and serves. It is a copy of the supervisor, made by fork(), so it has
 * the configuration and every descriptor, or it was executed with all that
 * (handover.c); whatever it does or dies of, the supervisor's are not touched.
 *
 * The first one configures the device. Those after it take over what they find
 * and change nothing: it may have been changed since, through attributes.
 *
 * The main thread waits in the front end; signals are taken by a thread of
 * their own (signal.c). It never outlives the supervisor: nobody would know
 * that the device is still there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <uzram/device.h>
#include <uzram/util/ahead.h>
#include <uzram/util/awake.h>
#include <uzram/util/cgroup.h>
#include <uzram/util/cpus.h>
#include <uzram/util/delay.h>
#include <uzram/util/log.h>
#include <uzram/util/size.h>
#include <uzram/util/spare.h>
#include <uzram/worker.h>
#include <uzram/worker/dict_file.h>
#include <uzram/worker/save.h>

#include "daemon_priv.h"

#define THREADS_MIN 2
#define THREADS_MAX 64

#define BUDGET_MAX   (UINT64_C(32) << 20)
#define BUDGET_SHARE 32 /* of the memory that this process may hope for */

/*
 * struct service - what a worker has
 * @d:         what it was given
 * @dev:       the device, or NULL
 * @compactor: works in the background, or NULL
 * @shrinker:  likewise
 * @fe:        the service
 * @signals:   the thread that ends the service
 * @awake:     keeps CPUs from halting, or NULL
 * @awake_fd:  what it needs; -errno: it cannot, or need not, be had
 * @alive:   shows that the process runs
 * @protection: what it has of swap=on, in words
 * @upgrade:   for the attribute
 * @confinement: what it has given up, in words
 * @cgroup:    where its memory is charged, or ""
 */
struct service {
	const struct uz__daemon *d;
	struct uz_device *dev;
	struct uz_compactor *compactor;
	struct uz_collapser *collapser;
	struct uz_shrinker *shrinker;
	struct uz_frontend *fe;
	struct uz__signals signals;
	struct uz_awake *awake;
	int awake_fd;
	struct uz__alive alive;
	char protection[64];
	char confinement[48];
	char cgroup[256];
	struct uz_attr_upgrade upgrade;
};

static unsigned int service_threads(const struct uz_daemon_config *config)
{
	unsigned int n = uz_cpus();

	if (config->threads)
		return config->threads;
	if (n < THREADS_MIN)
		n = THREADS_MIN;
	return n > THREADS_MAX ? THREADS_MAX : n;
}

/* With the thread that has received the request, one for each CPU. */
static unsigned int service_workers(const struct uz_daemon_config *config)
{
	return config->workers == UZ_WORKERS_AUTO ? uz_cpus() - 1
						  : config->workers;
}

/*
 * Buffers that were needed once stay in memory, so they are to be little of
 * what there is; the ceiling of the pool (ceiling.c) leaves room for more.
 */
static uint64_t service_budget(const struct uz_daemon_config *config)
{
	uint64_t share = uz_size_ram() / BUDGET_SHARE;

	if (config->buffer_budget)
		return config->buffer_budget;
	return share < BUDGET_MAX ? share : BUDGET_MAX;
}

static uint64_t service_reserve(const struct uz_daemon_config *config)
{
	if (config->reserve != UZ_RESERVE_AUTO)
		return config->reserve;
	return config->swap ? UZ_RESERVE_AUTO : 0;
}

static void service_limit(struct uz_device *dev, uint64_t limit)
{
	uint64_t ceiling = uz__ceiling();
	char text[UZ_SIZE_TEXT];

	uz_device_set_limit(dev, limit);
	if (!ceiling || (limit && limit <= ceiling))
		return;
	uz_size_format(ceiling, text);
	uz_log(UZ_LOG_NOTICE,
	       "mem_limit set to %s: more would not fit this cgroup", text);
}

static void service_compact(struct service *s)
{
	int rc = uz_compactor_start(&s->compactor, s->dev);

	if (rc)
		uz_log(UZ_LOG_WARN,
		       "no thread for compaction (%s): done only when asked for",
		       strerror(-rc));
}

static void service_collapse(struct service *s)
{
	int rc = uz_collapser_start(&s->collapser, s->dev);

	if (rc)
		uz_log(UZ_LOG_WARN,
		       "no thread for huge pages (%s): random reads will be slower",
		       strerror(-rc));
}

static void service_shrink(struct service *s)
{
	int rc = uz_shrinker_start(&s->shrinker, s->dev);

	if (rc)
		uz_log(UZ_LOG_WARN,
		       "no thread to write back at mem_limit (%s): stores that do not fit are refused",
		       strerror(-rc));
}

static int service_codec(struct service *s, unsigned int priority,
			 struct uz_err *err)
{
	const struct uz_daemon_codec *codec = &s->d->config->codecs[priority];

	if (!*codec->text)
		return 0;
	if (*codec->dict)
		return uz_dict_file_use(s->dev, priority, codec->text,
					codec->dict, err);
	return priority ? uz_device_set_secondary(s->dev, priority, codec->text,
						  err)
			: uz_device_set_codec(s->dev, codec->text, err);
}

/* What the device keeps by itself. */
static int service_configure(struct service *s, struct uz_err *err)
{
	const struct uz_daemon_config *config = s->d->config;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < UZ_PRIORITIES && !rc; i++)
		rc = service_codec(s, i, err);
	if (!rc && *config->zpool)
		rc = uz_device_set_zpool(s->dev, config->zpool, err);
	if (!rc && *config->backing)
		rc = uz_device_set_backing(s->dev, config->backing, err);
	if (!rc && *config->policy)
		rc = uz_policy_apply(s->dev, config->policy, err);
	if (!rc)
		service_limit(s->dev, config->mem_limit);
	return rc;
}

static int service_restore(struct service *s, struct uz_err *err)
{
	const struct uz_daemon_config *config = s->d->config;
	const struct uz_daemon_codec *codec = &config->codecs[0];
	int rc = uz_restore(s->dev, config->restore, config->size, codec->text,
			    err);

	/* Which has chosen the codec as it is without its dictionary. */
	return !rc && *codec->dict ? service_codec(s, 0, err) : rc;
}

/* The thread comes after the confinement, which is each thread's own. */
static void service_awake(struct service *s)
{
	int rc = s->awake_fd;

	if (s->awake_fd >= 0) {
		rc = uz_awake_start(&s->awake, s->awake_fd);
		if (rc)
			close(s->awake_fd);
	}
	if (rc && s->d->config->awake == UZ_AWAKE_ON && !s->d->served)
		uz_log(UZ_LOG_WARN,
		       "awake=on: not possible (%s): idle CPUs halt as ever; needs root and /dev/cpu_dma_latency",
		       strerror(-rc));
	uz_device_set_awake(s->dev, s->awake);
}

static int service_open(struct service *s, struct uz_err *err)
{
	const struct uz_daemon_config *config = s->d->config;
	const bool first = !s->d->served;
	struct uz_device_mem mem = s->d->mem;
	int rc;

	mem.reserve = service_reserve(config);
	rc = uz_device_open(&s->dev, config->name, &mem, err);
	if (!rc && first)
		rc = service_configure(s, err);
	if (rc)
		return rc;
	/* What belongs to a process. */
	if (s->d->board->watchdog)
		uz_device_set_pulses(s->dev, s->d->board->pulses);
	service_awake(s);
	uz_device_set_ceiling(s->dev, uz__ceiling());
	uz_device_set_workers(s->dev, service_workers(config));
	if (config->compaction)
		service_compact(s);
	/* To take a huge page apart may need memory: not where we give it. */
	if (!mem.reserve && !config->swap)
		service_collapse(s);
	service_shrink(s);
	if (config->track_age) {
		rc = uz_device_track_age(s->dev);
		if (rc)
			return uz_err_set(err, rc, "ages of pages: %s",
					  strerror(-rc));
	}
	/* One that dies meanwhile has not served, so no other one follows. */
	if (first && *config->restore)
		return service_restore(s, err);
	if (first && config->size)
		rc = uz_device_set_disksize(s->dev, config->size, err);
	return rc;
}

static int ask_upgrade(void *arg, const char *path, bool again,
		       struct uz_err *err)
{
	const struct uz__daemon *d = arg;
	int rc = uz__board_ask(d->board, path, again, err);

	if (!rc)
		uz__report(d->report, UZ__REPORT_UPGRADE, 0, "%s", "");
	return rc;
}

static void show_upgrade(void *arg, struct uz_strbuf *out)
{
	const struct uz__daemon *d = arg;

	uz__board_show(d->board, d->config->version, out);
}

static int service_start(struct service *s, struct uz_err *err)
{
	const struct uz__daemon *d = s->d;
	const struct uz_frontend_config fe = {
		.dev = s->dev,
		.session = d->session,
		.threads = service_threads(d->config),
		.transport = d->config->transport,
		.buffer_budget = service_budget(d->config),
		.supervisor = d->pid,
		.restarts = d->restart.total,
		.protection = s->protection,
		.awake = s->awake,
		.upgrade = &s->upgrade,
		.confinement = s->confinement,
		.cgroup = s->cgroup,
		.watchdog = d->board->watchdog,
		.hangs = atomic_load(&d->board->hangs),
	};
	int rc;

	s->upgrade = (struct uz_attr_upgrade){
		.ask = ask_upgrade,
		.show = show_upgrade,
		.arg = (void *)d,
	};
	rc = d->ops->start(&fe, &s->fe, err);
	if (rc)
		return rc;
	s->signals.ops = d->ops;
	s->signals.fe = s->fe;
	s->signals.report = d->report;
	rc = uz__signals_start(&s->signals);
	if (rc)
		return uz_err_set(err, rc, "thread for signals: %s",
				  strerror(-rc));
	return 0;
}

/* Where nothing is too expensive to look at: is the device what it says? */
static int service_check(struct service *s, struct uz_err *err)
{
#ifdef UZ_DEBUG_CHECKS
	return uz_device_check(s->dev, err);
#else
	(void)s;
	(void)err;
	return 0;
#endif
}

static int service_wait(struct service *s, struct uz_err *err)
{
	int rc;

	uz_ahead_program();
	uz__ballast_drop(s->d);
	uz__report(s->d->report, UZ__REPORT_SERVES, 0, "%s",
		   s->d->config->version);
	uz_delay(UZ_DELAY_SERVES);
	uz_log_release();
	rc = s->d->ops->wait(s->fe);
	uz__signals_end(&s->signals);
	uz__report(s->d->report, UZ__REPORT_MANAGER, 0, "STOPPING=1");
	if (rc)
		uz_err_set(err, rc, "service of %s broke: %s", s->d->place.path,
			   strerror(-rc));
	s->d->ops->free(s->fe);
	uz_shrinker_stop(s->shrinker);
	uz_compactor_stop(s->compactor);
	uz_collapser_stop(s->collapser);
	if (!rc)
		rc = service_check(s, err);
	uz_device_close(s->dev);
	uz_collapser_free(s->collapser);
	uz_awake_stop(s->awake);
	return rc;
}

/*
 * Until the worker of a supervisor that was killed is gone: it dies as well,
 * but nobody can wait for it. The lock is the process's own and is taken from
 * it when its last thread has ended; nobody here opens or closes that memfd
 * again, which would give it up.
 */
static int service_own(const struct uz__daemon *d, struct uz_err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(d->mem.ctl_fd, F_SETLKW, &lock))
		return uz_err_set(err, -errno, "cannot lock the memory: %s",
				  strerror(errno));
	return 0;
}

/* What the supervisor alone may hold. */
static void become_worker(const struct uz__daemon *d)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != d->pid) /* it was too late for that */
		_exit(1);
	/* A terminal's signals come by way of the supervisor. */
	setpgid(0, 0);
	prctl(PR_SET_NAME, "uzramd-worker");
	if (d->place.parent >= 0)
		close(d->place.parent);
	if (d->place.fd >= 0)
		close(d->place.fd);
	if (d->config->ready_fd >= 0)
		close(d->config->ready_fd);
}

/*
 * The supervisor has said what is refused. What has been written to before its
 * memory is locked may be swapped out, and is needed to have it back. So may
 * the log be, but for the first one, which nobody swaps to yet.
 */
static void service_protect(struct service *s)
{
	unsigned int got = 0;

	if (s->d->config->swap) {
		if (s->d->served)
			uz_log_hold();
		uz_ahead_enable();
		uz_spare_use(s->d->spare);
		got = s->d->protected | uz__protect(UZ__PROTECT_PROCESS, false);
	}
	uz__protect_text(got, s->protection, sizeof(s->protection));
}

static int service_confine(struct service *s, struct uz_err *err)
{
	const struct uz__daemon *d = s->d;
	const bool disk = !strcmp(d->ops->name, "ublk");

	/*
	 * The driver waits until nobody has its queues mapped any more; and who
	 * swaps to us, for the memory that an heir would hold.
	 */
	if (!disk && !d->config->swap)
		uz__heir_start(d);
	return uz__confine(d->config, disk, !d->restart.total, s->confinement,
			   sizeof(s->confinement), err);
}

/* The file is root's, and opened before anything is given up. */
static void service_awake_open(struct service *s)
{
	const struct uz_daemon_config *config = s->d->config;

	s->awake_fd = -ECANCELED;
	if (config->awake == UZ_AWAKE_ON || (config->awake == UZ_AWAKE_AUTO &&
					     config->swap && uz_awake_halts()))
		s->awake_fd = uz_awake_open();
}

/* From here on the process is seen to run. */
static int service_alive(struct service *s, struct uz_err *err)
{
	int rc = uz__alive_start(&s->alive, s->d->board);

	return rc ? uz_err_set(err, rc, "thread for the watchdog: %s",
			       strerror(-rc))
		  : 0;
}

void uz__serve(const struct uz__daemon *d)
{
	struct service s = { .d = d };
	struct uz_err err = { 0 };
	int rc;

	service_protect(&s);
	service_awake_open(&s);
	uz_cgroup_own("", s.cgroup, sizeof(s.cgroup));
	become_worker(d);
	rc = service_own(d, &err);
	if (!rc)
		rc = service_confine(&s, &err);
	if (!rc)
		rc = service_alive(&s, &err);
	if (!rc)
		rc = service_open(&s, &err);
	if (!rc)
		rc = service_start(&s, &err);
	if (!rc)
		rc = service_wait(&s, &err);
	/* Threads may be left after a failure; they end here. */
	if (rc)
		uz__report(d->report, UZ__REPORT_FAILED, rc, "%s", err.text);
	_exit(!!rc);
}
