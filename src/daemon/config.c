// SPDX-License-Identifier: MIT
/*
 * How a device is to be served, from the words of a command line. Each value
 * is checked when it is set, so that the message names the word that is wrong
 * and not the step that tripped over it later.
 *
 * Knows nothing of files or options; the programs in tools/ do.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/device.h>
#include <uzram/util/size.h>

#include "daemon_priv.h"

#define THREADS_MAX  64
#define WATCHDOG_MAX 3600

void uz_daemon_config_init(struct uz_daemon_config *config)
{
	*config = (struct uz_daemon_config){
		.workers = UZ_WORKERS_AUTO,
		.frontend = "fuse",
		.compaction = true,
		.reserve = UZ_RESERVE_AUTO,
		.version = "unknown",
		.ready_fd = -1,
	};
}

int uz_daemon_check_name(const char *name, struct uz_err *err)
{
	size_t len = strlen(name), i;

	if (!len || len > UZ_NAME_MAX)
		return uz_err_set(err, -EINVAL,
				  "name '%.40s': must be 1 to %d characters",
				  name, UZ_NAME_MAX);
	if (name[0] == '.' || name[0] == '-')
		return uz_err_set(err, -EINVAL,
				  "name '%s': must not begin with '%c'", name,
				  name[0]);
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) ||
		    (!isalnum(name[i]) && !strchr("._-", name[i])))
			return uz_err_set(err, -EINVAL,
					  "name '%s': only letters, digits, "
					  "'.', '_' and '-' are allowed",
					  name);
	return 0;
}

/* A size from @min to UZ_DISKSIZE_MAX; @range says the same in words. */
static int config_size(const char *key, const char *value, uint64_t min,
		       const char *range, uint64_t *size, struct uz_err *err)
{
	/* zram-generator's keys count in MiB, as they do there. */
	const bool foreign = !strncmp(key, "zram-", 5);
	uint64_t bytes, ram = uz_size_ram();
	int rc = foreign ? -EINVAL : uz_size_parse(value, ram, &bytes);

	if (rc == -EINVAL)
		rc = uz_size_compute(value, ram, foreign ? 1 << 20 : 1, &bytes);
	if (rc == -EINVAL)
		return uz_err_set(err, rc,
				  "%s '%.40s' is not a size; write it like "
				  "512M, 2G, 50%% or ram/2",
				  key, value);
	if (!rc && (bytes < min || bytes > UZ_DISKSIZE_MAX))
		rc = -ERANGE;
	if (rc == -ERANGE)
		return uz_err_set(err, rc,
				  "%s '%.40s' is out of range: it must be %s",
				  key, value, range);
	if (rc)
		return uz_err_set(err, rc, "%s '%.40s': %s", key, value,
				  strerror(-rc));
	*size = bytes;
	return 0;
}

static int set_size(struct uz_daemon_config *config, const char *key,
		    const char *value, struct uz_err *err)
{
	return config_size(key, value, UZ_DISKSIZE_MIN, "4 KiB to 16 TiB",
			   &config->size, err);
}

static int set_mem_limit(struct uz_daemon_config *config, const char *key,
			 const char *value, struct uz_err *err)
{
	return config_size(key, value, 0, "at most 16 TiB", &config->mem_limit,
			   err);
}

static int set_codec(struct uz_daemon_config *config, const char *key,
		     const char *value, struct uz_err *err)
{
	(void)key;
	return uz__config_codecs(config->codecs, value, err);
}

static int set_zpool(struct uz_daemon_config *config, const char *key,
		     const char *value, struct uz_err *err)
{
	int rc = uz_device_check_zpool(value, err);

	(void)key;
	if (rc)
		return rc;
	snprintf(config->zpool, sizeof(config->zpool), "%s", value);
	return 0;
}

static bool count_parse(const char *value, unsigned int min, unsigned int max,
			unsigned int *count)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*value))
		return false;
	n = strtoul(value, &end, 10);
	if (*end || n < min || n > max)
		return false;
	*count = (unsigned int)n;
	return true;
}

static int set_threads(struct uz_daemon_config *config, const char *key,
		       const char *value, struct uz_err *err)
{
	if (count_parse(value, 1, THREADS_MAX, &config->threads))
		return 0;
	return uz_err_set(err, -EINVAL, "%s '%.40s': must be 1 to %d", key,
			  value, THREADS_MAX);
}

static int set_workers(struct uz_daemon_config *config, const char *key,
		       const char *value, struct uz_err *err)
{
	if (!strcmp(value, "auto")) {
		config->workers = UZ_WORKERS_AUTO;
		return 0;
	}
	if (count_parse(value, 0, UZ_WORKERS_MAX, &config->workers))
		return 0;
	return uz_err_set(err, -EINVAL, "%s '%.40s': must be auto or 0 to %d",
			  key, value, UZ_WORKERS_MAX);
}

static int set_frontend(struct uz_daemon_config *config, const char *key,
			const char *value, struct uz_err *err)
{
	if (strcmp(value, "auto") && !uz_frontend_find(value))
		return uz_err_set(err, -EINVAL,
				  "%s '%.40s' is not in this build", key,
				  value);
	snprintf(config->frontend, sizeof(config->frontend), "%s", value);
	return 0;
}

static int set_compaction(struct uz_daemon_config *config, const char *key,
			  const char *value, struct uz_err *err)
{
	if (strcmp(value, "auto") && strcmp(value, "off"))
		return uz_err_set(err, -EINVAL,
				  "%s '%.40s': must be auto or off", key,
				  value);
	config->compaction = !strcmp(value, "auto");
	return 0;
}

static int set_swap(struct uz_daemon_config *config, const char *key,
		    const char *value, struct uz_err *err)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return uz_err_set(err, -EINVAL, "%s '%.40s': must be on or off",
				  key, value);
	config->swap = !strcmp(value, "on");
	return 0;
}

static int set_awake(struct uz_daemon_config *config, const char *key,
		     const char *value, struct uz_err *err)
{
	if (!strcmp(value, "auto"))
		config->awake = UZ_AWAKE_AUTO;
	else if (!strcmp(value, "on"))
		config->awake = UZ_AWAKE_ON;
	else if (!strcmp(value, "off"))
		config->awake = UZ_AWAKE_OFF;
	else
		return uz_err_set(err, -EINVAL,
				  "%s '%.40s': must be auto, on or off", key,
				  value);
	return 0;
}

static int set_reserve(struct uz_daemon_config *config, const char *key,
		       const char *value, struct uz_err *err)
{
	return config_size(key, value, 0, "at most 16 TiB", &config->reserve,
			   err);
}

static int set_seccomp(struct uz_daemon_config *config, const char *key,
		       const char *value, struct uz_err *err)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return uz_err_set(err, -EINVAL, "%s '%.40s': must be on or off",
				  key, value);
	if (!strcmp(value, "on") && !uz_daemon_can_filter())
		return uz_err_set(err, -ENOTSUP,
				  "%s=on: this build has no libseccomp", key);
	config->seccomp = strcmp(value, "on") ? UZ_SECCOMP_OFF : UZ_SECCOMP_ON;
	return 0;
}

static int set_track_age(struct uz_daemon_config *config, const char *key,
			 const char *value, struct uz_err *err)
{
	if (strcmp(value, "on") && strcmp(value, "off"))
		return uz_err_set(err, -EINVAL, "%s '%.40s': must be on or off",
				  key, value);
	config->track_age = !strcmp(value, "on");
	return 0;
}

static int set_watchdog(struct uz_daemon_config *config, const char *key,
			const char *value, struct uz_err *err)
{
	if (count_parse(value, 0, WATCHDOG_MAX, &config->watchdog))
		return 0;
	return uz_err_set(err, -EINVAL,
			  "%s '%.40s': must be seconds, 1 to %d, or 0 for none",
			  key, value, WATCHDOG_MAX);
}

static int set_transport(struct uz_daemon_config *config, const char *key,
			 const char *value, struct uz_err *err)
{
	static const char *const names[] = {
		[UZ_TRANSPORT_AUTO] = "auto",
		[UZ_TRANSPORT_FUSE] = "fuse",
		[UZ_TRANSPORT_IO_URING] = "io_uring",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(value, names[i]))
			continue;
		config->transport = (enum uz_transport)i;
		return 0;
	}
	return uz_err_set(err, -EINVAL,
			  "%s '%.40s': must be auto, fuse or io_uring", key,
			  value);
}

static int set_buffer_budget(struct uz_daemon_config *config, const char *key,
			     const char *value, struct uz_err *err)
{
	return config_size(key, value, 0, "at most 16 TiB",
			   &config->buffer_budget, err);
}

static int set_dir(struct uz_daemon_config *config, const char *key,
		   const char *value, struct uz_err *err)
{
	if (*value != '/')
		return uz_err_set(err, -EINVAL,
				  "%s '%.80s': must begin with '/'", key,
				  value);
	if (strlen(value) >= sizeof(config->dir))
		return uz_err_set(err, -EINVAL, "%s: path too long", key);
	snprintf(config->dir, sizeof(config->dir), "%s", value);
	return 0;
}

static int set_backing_dev(struct uz_daemon_config *config, const char *key,
			   const char *value, struct uz_err *err)
{
	if (*value != '/' && strcmp(value, "none"))
		return uz_err_set(err, -EINVAL,
				  "%s '%.80s': must begin with '/', or be none",
				  key, value);
	if (strlen(value) >= sizeof(config->backing))
		return uz_err_set(err, -EINVAL, "%s: path too long", key);
	snprintf(config->backing, sizeof(config->backing), "%s",
		 *value == '/' ? value : "");
	return 0;
}

static int set_cgroup(struct uz_daemon_config *config, const char *key,
		      const char *value, struct uz_err *err)
{
	if (!*value || strlen(value) >= sizeof(config->cgroup))
		return uz_err_set(err, -EINVAL, "%s: %s", key,
				  *value ? "path too long"
					 : "must not be empty");
	snprintf(config->cgroup, sizeof(config->cgroup), "%s", value);
	return 0;
}

static int set_restore(struct uz_daemon_config *config, const char *key,
		       const char *value, struct uz_err *err)
{
	if (*value != '/')
		return uz_err_set(err, -EINVAL,
				  "%s '%.80s': must begin with '/'", key,
				  value);
	if (strlen(value) >= sizeof(config->restore))
		return uz_err_set(err, -EINVAL, "%s: path too long", key);
	snprintf(config->restore, sizeof(config->restore), "%s", value);
	return 0;
}

static int set_policy(struct uz_daemon_config *config, const char *key,
		      const char *value, struct uz_err *err)
{
	struct uz_err why = { 0 };

	if (uz_policy_check(value, &why))
		return uz_err_set(err, -EINVAL, "%s '%.40s': %s", key, value,
				  why.text);
	snprintf(config->policy, sizeof(config->policy), "%s", value);
	return 0;
}

static const struct config_key {
	const char *name;
	int (*set)(struct uz_daemon_config *config, const char *key,
		   const char *value, struct uz_err *err);
} config_keys[] = {
	{ "size", set_size },
	{ "zram-size", set_size },
	{ "codec", set_codec },
	{ "algorithm", set_codec },
	{ "compression-algorithm", set_codec },
	{ "mem_limit", set_mem_limit },
	{ "zram-resident-limit", set_mem_limit },
	{ "zpool", set_zpool },
	{ "threads", set_threads },
	{ "workers", set_workers },
	{ "frontend", set_frontend },
	{ "compaction", set_compaction },
	{ "swap", set_swap },
	{ "awake", set_awake },
	{ "reserve", set_reserve },
	{ "seccomp", set_seccomp },
	{ "track_age", set_track_age },
	{ "watchdog", set_watchdog },
	{ "transport", set_transport },
	{ "buffer_budget", set_buffer_budget },
	{ "backing_dev", set_backing_dev },
	{ "backing", set_backing_dev },
	{ "writeback-device", set_backing_dev },
	{ "policy", set_policy },
	{ "cgroup", set_cgroup },
	{ "dir", set_dir },
	{ "restore", set_restore },
};

int uz_daemon_config_set(struct uz_daemon_config *config, const char *key,
			 const char *value, struct uz_err *err)
{
	size_t i;

	for (i = 0; i < sizeof(config_keys) / sizeof(*config_keys); i++)
		if (!strcmp(key, config_keys[i].name))
			return config_keys[i].set(config, key, value, err);
	return uz_err_set(err, -EINVAL,
			  "unknown key '%.40s'; known are size, codec, "
			  "mem_limit, zpool, threads, workers, frontend, "
			  "compaction, swap, awake, reserve, seccomp, "
			  "track_age, watchdog, transport, buffer_budget, "
			  "backing_dev, policy, cgroup, dir and restore",
			  key);
}
