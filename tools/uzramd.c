// SPDX-License-Identifier: MIT
/*
 * uzramd: one device, served in the foreground until it is unmounted or told
 * to end. Only the command line is here; the daemon layer does the rest.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "ctl/exit.h"
#include <uzram/daemon.h>
#include <uzram/util/log.h>
#include <uzram/util/path.h>

enum {
	OPT_DIR = 256,
	OPT_FRONTEND,
	OPT_READY_FD,
	OPT_RESTORE,
};

static const char short_options[] = "s:a:t:o:vqhV";

static const struct option long_options[] = {
	{ "size", required_argument, NULL, 's' },
	{ "algorithm", required_argument, NULL, 'a' },
	{ "threads", required_argument, NULL, 't' },
	{ "option", required_argument, NULL, 'o' },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "frontend", required_argument, NULL, OPT_FRONTEND },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "restore", required_argument, NULL, OPT_RESTORE },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

static void help(void)
{
	fputs("Usage: uzramd [OPTIONS] NAME\n"
	      "Serve one compressed RAM device until it is unmounted.\n"
	      "\n"
	      "  -s, --size SIZE         disksize: 512M, 2G, 50%, ram/2\n"
	      "  -a, --algorithm CODEC   lz4, lz4hc, zstd, zstd:level=3 ...\n"
	      "  -t, --threads N         threads that serve requests, 1 to 64\n"
	      "  -o, --option KEY=VALUE  size, codec, mem_limit, zpool, threads,\n"
	      "                          workers, frontend, compaction,\n"
	      "                          swap, reserve, track_age, transport,\n"
	      "                          buffer_budget, backing_dev, policy,\n"
	      "                          dir, restore\n"
	      "      --dir DIR           mount there, not on RUNDIR/NAME\n"
	      "      --frontend NAME     fuse, ublk (a disk of its own), or auto\n"
	      "      --restore FILE      begin with what uzramctl save wrote\n"
	      "      --ready-fd N        write READY, or what is wrong, to N\n"
	      "  -v, --verbose           say more\n"
	      "  -q, --quiet             say only what is wrong\n"
	      "  -h, --help              this text\n"
	      "  -V, --version           the version\n"
	      "\n"
	      "See uzramd(8); uzramctl(8) is more convenient by hand.\n",
	      stdout);
}

/* KEY=VALUE in one word */
static int set_pair(struct uz_daemon_config *config, char *pair,
		    struct uz_err *err)
{
	char *equals = strchr(pair, '=');

	if (!equals)
		return uz_err_set(err, -EINVAL, "-o '%s': write it KEY=VALUE",
				  pair);
	*equals = '\0';
	return uz_daemon_config_set(config, pair, equals + 1, err);
}

static int set_ready_fd(struct uz_daemon_config *config, const char *text,
			struct uz_err *err)
{
	char *end;
	long fd = strtol(text, &end, 10);

	if (end == text || *end || fd < 0 || fd > 1 << 20)
		return uz_err_set(err, -EINVAL,
				  "--ready-fd '%s' is not a descriptor", text);
	config->ready_fd = (int)fd;
	return 0;
}

static int set_restore(struct uz_daemon_config *config, const char *file,
		       struct uz_err *err)
{
	char path[sizeof(config->restore)];

	if (uz_path_absolute(file, path, sizeof(path)))
		return uz_err_set(err, -EINVAL,
				  "--restore '%.80s': path too long", file);
	return uz_daemon_config_set(config, "restore", path, err);
}

static int set_option(struct uz_daemon_config *config, int c, char *arg,
		      struct uz_err *err)
{
	switch (c) {
	case 's':
		return uz_daemon_config_set(config, "size", arg, err);
	case 'a':
		return uz_daemon_config_set(config, "codec", arg, err);
	case 't':
		return uz_daemon_config_set(config, "threads", arg, err);
	case OPT_FRONTEND:
		return uz_daemon_config_set(config, "frontend", arg, err);
	case OPT_DIR:
		return uz_daemon_config_set(config, "dir", arg, err);
	case OPT_READY_FD:
		return set_ready_fd(config, arg, err);
	case OPT_RESTORE:
		return set_restore(config, arg, err);
	default:
		return set_pair(config, arg, err);
	}
}

/* Whoever waits on the ready descriptor is told there, and only there. */
static int fail(const struct uz_daemon_config *config, const struct uz_err *err,
		int status)
{
	if (config->ready_fd < 0)
		uz_log(UZ_LOG_ERR, "%s", err->text);
	else
		dprintf(config->ready_fd, "%s\n", err->text);
	return status;
}

int main(int argc, char **argv)
{
	enum uz_log_level level = UZ_LOG_NOTICE;
	struct uz_daemon_config config;
	struct uz_err err = { 0 };
	char who[64];
	int c;

	uz_daemon_config_init(&config);
	uz_log_init("uzramd", level);
	while ((c = getopt_long(argc, argv, short_options, long_options,
				NULL)) >= 0) {
		switch (c) {
		case 'h':
			help();
			return UZ_EXIT_OK;
		case 'V':
			puts("uzramd " UZ_VERSION);
			return UZ_EXIT_OK;
		case 'v':
			level = UZ_LOG_DEBUG;
			break;
		case 'q':
			level = UZ_LOG_WARN;
			break;
		case '?':
			return UZ_EXIT_USAGE;
		default:
			if (!set_option(&config, c, optarg, &err))
				break;
			return fail(&config, &err, UZ_EXIT_USAGE);
		}
	}
	if (argc - optind != 1) {
		uz_err_set(&err, -EINVAL, "give one NAME; see uzramd --help");
		return fail(&config, &err, UZ_EXIT_USAGE);
	}
	if (uz_daemon_check_name(argv[optind], &err))
		return fail(&config, &err, UZ_EXIT_USAGE);
	strcpy(config.name, argv[optind]);
	snprintf(who, sizeof(who), "uzramd %s", config.name);
	uz_log_init(who, level);
	return uz_exit_status(uz_daemon_run(&config, &err));
}
