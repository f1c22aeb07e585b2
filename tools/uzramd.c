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
#include <uzram/daemon/conf.h>
#include <uzram/util/log.h>
#include <uzram/util/path.h>

enum {
	OPT_DIR = 256,
	OPT_FRONTEND,
	OPT_READY_FD,
	OPT_RESTORE,
	OPT_WORKER,
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
	/* Of a supervisor, which puts it first; see src/daemon/handover.c. */
	{ "worker", required_argument, NULL, OPT_WORKER },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ 0 },
};

/*
 * struct choices - what is not part of the configuration
 * @level:  what is said
 * @worker: what a supervisor hands over, or -1
 */
struct choices {
	enum uz_log_level level;
	int worker;
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
	      "                          swap, awake, reserve, seccomp,\n"
	      "                          track_age, watchdog, transport,\n"
	      "                          buffer_budget, backing_dev, policy,\n"
	      "                          cgroup, dir, restore\n"
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
static int set_pair(struct uz_daemon_config *config, const char *pair,
		    struct uz_err *err)
{
	const char *equals = strchr(pair, '=');
	char key[64];

	if (!equals)
		return uz_err_set(err, -EINVAL, "-o '%s': write it KEY=VALUE",
				  pair);
	/* Not in place: a worker may be given the same words once more. */
	snprintf(key, sizeof(key), "%.*s", (int)(equals - pair), pair);
	return uz_daemon_config_set(config, key, equals + 1, err);
}

static int set_fd(int *fd, const char *option, const char *text,
		  struct uz_err *err)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0 || n > 1 << 20)
		return uz_err_set(err, -EINVAL, "%s '%s' is not a descriptor",
				  option, text);
	*fd = (int)n;
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

static int set_option(struct uz_daemon_config *config, int c, const char *arg,
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
	case OPT_RESTORE:
		return set_restore(config, arg, err);
	case 'o':
		return set_pair(config, arg, err);
	default:
		return 0; /* none of these settings */
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

/*
 * What does not wait for the name: the number of an option that makes this
 * program do something else, as --help, or that is wrong.
 * What a worker reads as --ready-fd may mean something else by now.
 */
static int parse(struct uz_daemon_config *config, int argc, char **argv,
		 struct choices *choices, struct uz_err *err)
{
	int c;

	while ((c = getopt_long(argc, argv, short_options, long_options,
				NULL)) >= 0) {
		switch (c) {
		case 'h':
		case 'V':
		case '?':
			return c;
		case 'v':
			choices->level = UZ_LOG_DEBUG;
			break;
		case 'q':
			choices->level = UZ_LOG_WARN;
			break;
		case OPT_WORKER:
			if (set_fd(&choices->worker, "--worker", optarg, err))
				return c;
			break;
		case OPT_READY_FD:
			if (choices->worker < 0 &&
			    set_fd(&config->ready_fd, "--ready-fd", optarg,
				   err))
				return c;
			break;
		default:
			break;
		}
	}
	if (argc - optind == 1)
		return 0;
	uz_err_set(err, -EINVAL, "give one NAME; see uzramd --help");
	return '?';
}

static void warn(void *arg, const char *file, unsigned int line,
		 const char *text)
{
	(void)arg;
	uz_log(UZ_LOG_WARN, "%s:%u: %s", file, line, text);
}

/*
 * Who goes on with a device does so whatever has become of files and options
 * since it was made, as it would be lost.
 */
static int overlook(int rc, bool successor, struct uz_err *err)
{
	if (!rc || !successor)
		return rc;
	uz_log(UZ_LOG_WARN, "%s; the device is served without that", err->text);
	*err = (struct uz_err){ 0 };
	return 0;
}

/* The files first, then what the command line says. Returns how to end. */
static enum uz_exit configure(struct uz_daemon_config *config, int argc,
			      char **argv, bool successor, struct uz_err *err)
{
	const struct uz_daemon_config before = *config;
	int c, rc = uz_conf_load(config, config->name, warn, NULL, err);

	if (rc && successor)
		*config = before;
	rc = overlook(rc, successor, err);
	if (rc)
		return uz_exit_status(rc);
	optind = 0; /* from the start; 1 would do without permuted words */
	while (!rc && (c = getopt_long(argc, argv, short_options, long_options,
				       NULL)) >= 0)
		rc = overlook(set_option(config, c, optarg, err), successor,
			      err);
	return rc ? UZ_EXIT_USAGE : UZ_EXIT_OK;
}

int main(int argc, char **argv)
{
	struct choices choices = { .level = UZ_LOG_NOTICE, .worker = -1 };
	struct uz_daemon_config config;
	struct uz_err err = { 0 };
	char who[64];
	int c;

	uz_daemon_config_init(&config);
	config.version = UZ_VERSION;
	config.argv = argv;
	uz_log_init("uzramd", choices.level);
	c = parse(&config, argc, argv, &choices, &err);
	if (c == 'h') {
		help();
		return UZ_EXIT_OK;
	}
	if (c == 'V') {
		puts("uzramd " UZ_VERSION);
		return UZ_EXIT_OK;
	}
	if (c && !err.code) /* getopt_long() has said it */
		return UZ_EXIT_USAGE;
	if (err.code || uz_daemon_check_name(argv[optind], &err))
		return fail(&config, &err, UZ_EXIT_USAGE);
	strcpy(config.name, argv[optind]);
	snprintf(who, sizeof(who), "uzramd %s", config.name);
	uz_log_init(who, choices.level);
	c = configure(&config, argc, argv,
		      choices.worker >= 0 || uz_daemon_handed_over(), &err);
	if (c != UZ_EXIT_OK)
		return fail(&config, &err, c);
	if (choices.worker < 0)
		return uz_exit_status(uz_daemon_run(&config, &err));
	c = uz_daemon_work(&config, choices.worker, &err);
	return fail(&config, &err, uz_exit_status(c));
}
