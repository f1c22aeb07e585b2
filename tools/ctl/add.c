// SPDX-License-Identifier: MIT
/*
 * add: start a daemon and wait until it serves. The daemon gets a session of
 * its own and nothing of ours but two pipes: on one it says that it is ready
 * or what is wrong, the other is its stderr and is passed on until then. Once
 * we are gone its messages go nowhere; uzramd under a service manager keeps
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/daemon/conf.h>
#include <uzram/util/cleanup.h>

extern char **environ;

#define NAMES_MAX 1000
#define READY_FD  3 /* in the daemon */

/* With a dictionary's path; what is cut off here is too long for the daemon. */
#define CODEC_MAX (2 * CTL_PATH_MAX)

enum {
	OPT_FRONTEND = 256,
	OPT_BACKING,
	OPT_RESTORE,
	OPT_CGROUP,
};

int ctl_add_option(struct ctl_add *add, const char *option, const char *value,
		   struct uz_err *err)
{
	/* Room stays for what add_spawn() itself puts around them. */
	if (add->nargs + 2 > sizeof(add->args) / sizeof(*add->args))
		return uz_err_set(err, -EINVAL, "too many options");
	add->args[add->nargs++] = option;
	add->args[add->nargs++] = value;
	return 0;
}

/* Beside us in a build or in bin/, else in ../sbin, else along PATH. */
static void add_find_daemon(char path[CTL_PATH_MAX])
{
	static const char *const places[] = { "/uzramd", "/../sbin/uzramd" };
	char self[CTL_PATH_MAX - 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *dir;
	size_t i;

	if (n > 0) {
		self[n] = '\0';
		dir = dirname(self);
		for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
			snprintf(path, CTL_PATH_MAX, "%s%s", dir, places[i]);
			if (!access(path, X_OK))
				return;
		}
	}
	snprintf(path, CTL_PATH_MAX, "uzramd");
}

/*
 * Parameters are written between blanks for zramctl, and between commas here.
 */
static void add_codec(const struct ctl_add *add, char text[CODEC_MAX])
{
	int begin =
		snprintf(text, CODEC_MAX, "%s", add->codec ? add->codec : "");
	char *at;

	if (!add->params || begin >= CODEC_MAX)
		return;
	at = text + begin;
	snprintf(at, CODEC_MAX - (size_t)begin, ":%s", add->params);
	while ((at = strpbrk(at, " \t")))
		*at = ',';
}

static int add_spawn(const struct ctl_add *add, const char *name,
		     const int ready[2], const int messages[2], pid_t *pid)
{
	const char *argv[sizeof(add->args) / sizeof(*add->args) + 8];
	char codec[CODEC_MAX], daemon[CTL_PATH_MAX];
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	size_t n = 0, i;
	sigset_t none;
	int rc;

	add_find_daemon(daemon);
	add_codec(add, codec);
	argv[n++] = "uzramd";
	argv[n++] = "--ready-fd=3";
	if (add->codec || add->params) {
		argv[n++] = "-a";
		argv[n++] = codec;
	}
	for (i = 0; i < add->nargs; i++)
		argv[n++] = add->args[i];
	argv[n++] = "--";
	argv[n++] = name;
	argv[n] = NULL;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
					 O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null",
					 O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, messages[1], STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&actions, ready[1], READY_FD);
	posix_spawn_file_actions_addclosefrom_np(&actions, READY_FD + 1);
	posix_spawn_file_actions_addchdir_np(&actions, "/");
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr,
				 POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
	/* posix_spawnp() promises not to change the words. */
	rc = posix_spawnp(pid, daemon, &actions, &attr,
			  (char *const *)(uintptr_t)argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -rc;
}

/* Passes messages on until the ready pipe has given its one line or ended. */
static void add_listen(int ready, int messages, char *line, size_t size)
{
	struct pollfd fds[2] = {
		{ .fd = messages, .events = POLLIN },
		{ .fd = ready, .events = POLLIN },
	};
	size_t len = 0;
	char buf[1024];
	ssize_t n;

	while (len + 1 < size && !memchr(line, '\n', len)) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents) {
			n = read(messages, buf, sizeof(buf));
			if (n <= 0)
				fds[0].fd = -1;
			else if (write(STDERR_FILENO, buf, (size_t)n) < 0)
				continue; /* nobody listens to us either */
			continue; /* first all that was said before READY */
		}
		if (fds[1].revents) {
			n = read(ready, line + len, size - 1 - len);
			if (n <= 0)
				break;
			len += (size_t)n;
		}
	}
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

/* How the daemon ended, as an error of ours with the daemon's own words. */
static enum uz_exit add_failed(pid_t pid, const char *line, char *why,
			       size_t size)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return UZ_EXIT_FAILED;
	if (WIFSIGNALED(status))
		snprintf(why, size, "uzramd was ended by signal %d",
			 WTERMSIG(status));
	else
		snprintf(why, size, "%s",
			 *line ? line : "uzramd ended without a reason");
	if (!WIFEXITED(status) || !WEXITSTATUS(status))
		return UZ_EXIT_FAILED;
	return (enum uz_exit)WEXITSTATUS(status);
}

/* Pipes whose numbers the daemon's own cannot collide with. */
static int add_pipe(int fds[2])
{
	int i, high;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	for (i = 0; i < 2; i++) {
		high = fcntl(fds[i], F_DUPFD_CLOEXEC, READY_FD + 1);
		if (high < 0)
			return -errno;
		close(fds[i]);
		fds[i] = high;
	}
	return 0;
}

static enum uz_exit add_try(const struct ctl_add *add, const char *name,
			    char *why, size_t size)
{
	int ready[2] = { -1, -1 }, messages[2] = { -1, -1 }, rc, i;
	enum uz_exit status = UZ_EXIT_OK;
	char line[UZ_ERR_TEXT + 16];
	pid_t pid;

	rc = add_pipe(ready);
	if (!rc)
		rc = add_pipe(messages);
	if (!rc)
		rc = add_spawn(add, name, ready, messages, &pid);
	for (i = 0; i < 2; i++) {
		int *end = i ? &ready[1] : &messages[1];

		if (*end >= 0)
			close(*end);
	}
	if (rc) {
		snprintf(why, size, "cannot start uzramd: %s", strerror(-rc));
		status = UZ_EXIT_FAILED;
	} else {
		add_listen(ready[0], messages[0], line, sizeof(line));
		if (strcmp(line, "READY"))
			status = add_failed(pid, line, why, size);
	}
	if (ready[0] >= 0)
		close(ready[0]);
	if (messages[0] >= 0)
		close(messages[0]);
	return status;
}

/* Where it is mounted, as the command line or a file says it; "": by name. */
static void add_place(const struct ctl_add *add, const char *name,
		      struct uz_daemon_config *config)
{
	uz_daemon_config_init(config);
	/* It has just been read by the daemon, which would have failed. */
	if (!*add->dir && uz_conf_load(config, name, NULL, NULL, NULL))
		*config->dir = '\0';
	if (*add->dir)
		snprintf(config->dir, sizeof(config->dir), "%s", add->dir);
}

static enum uz_exit add_named(const struct ctl_add *add, const char *rundir,
			      const char *name, char path[CTL_PATH_MAX],
			      char *why, size_t size)
{
	enum uz_exit status = add_try(add, name, why, size);
	struct uz_daemon_config config;
	int n;

	if (status != UZ_EXIT_OK)
		return status;
	add_place(add, name, &config);
	if (*config.dir)
		n = snprintf(path, CTL_PATH_MAX, "%s/block", config.dir);
	else
		n = snprintf(path, CTL_PATH_MAX, "%s/%s/block", rundir, name);
	/* A daemon has been there by that name, so it fits. */
	return n < CTL_PATH_MAX ? UZ_EXIT_OK : UZ_EXIT_FAILED;
}

enum uz_exit ctl_add_start(const struct ctl_add *add, char path[CTL_PATH_MAX])
{
	char rundir[CTL_PATH_MAX] = "", place[CTL_PATH_MAX + 16], name[16];
	char why[UZ_ERR_TEXT + 64] = "every name from uz0 on is taken";
	enum uz_exit status = UZ_EXIT_BUSY;
	struct stat st;
	struct uz_err err;
	int i;

	if (ctl_rundir(rundir, &err) && !*add->dir)
		return ctl_fail(&err);
	if (add->name) {
		status = add_named(add, rundir, add->name, path, why,
				   sizeof(why));
		if (status != UZ_EXIT_OK)
			ctl_note("add %s: %s", add->name, why);
		return status;
	}
	/* The one that starts first has a name; the other takes the next. */
	for (i = 0; i < NAMES_MAX && status == UZ_EXIT_BUSY; i++) {
		snprintf(name, sizeof(name), "uz%d", i);
		snprintf(place, sizeof(place), "%s/%s", rundir, name);
		if (!lstat(place, &st) || errno != ENOENT)
			continue;
		status = add_named(add, rundir, name, path, why, sizeof(why));
		if (*add->dir)
			break;
	}
	if (status != UZ_EXIT_OK)
		ctl_note("add: %s", why);
	return status;
}

enum uz_exit ctl_add_run(const struct ctl_add *add)
{
	char path[CTL_PATH_MAX];
	enum uz_exit status = ctl_add_start(add, path);

	if (status == UZ_EXIT_OK)
		puts(path);
	return status;
}

/* As -o KEY=VALUE; @setting is memory for both. */
static int add_setting(struct ctl_add *add, char setting[CTL_SETTING_MAX],
		       const char *key, const char *value, struct uz_err *err)
{
	snprintf(setting, CTL_SETTING_MAX, "%s=%s", key, value);
	return ctl_add_option(add, "-o", setting, err);
}

/* The daemon has another working directory, so it needs the whole path. */
static int add_backing(struct ctl_add *add, const char *file,
		       struct uz_err *err)
{
	char path[CTL_PATH_MAX];

	if (!realpath(file, path))
		return uz_err_set(err, -errno, "%s: %s", file, strerror(errno));
	return add_setting(add, add->backing, "backing_dev", path, err);
}

/* The daemon works in the root directory. */
static int add_restore(struct ctl_add *add, const char *file,
		       struct uz_err *err)
{
	int rc = ctl_absolute(file, add->restore, err);

	return rc ? rc : ctl_add_option(add, "--restore", add->restore, err);
}

static int add_option(struct ctl_add *add, int c, const char *arg,
		      struct uz_err *err)
{
	switch (c) {
	case 'a':
		add->codec = arg;
		return 0;
	case 'p':
		add->params = arg;
		return 0;
	case 's':
		return ctl_add_option(add, "-s", arg, err);
	case 't':
		return ctl_add_option(add, "-t", arg, err);
	case OPT_BACKING:
		return add_backing(add, arg, err);
	case OPT_FRONTEND:
		return ctl_add_option(add, "--frontend", arg, err);
	case OPT_RESTORE:
		return add_restore(add, arg, err);
	case OPT_CGROUP:
		return add_setting(add, add->cgroup, "cgroup", arg, err);
	default:
		if (!strncmp(arg, "dir=", 4))
			add->dir = arg + 4;
		return ctl_add_option(add, "-o", arg, err);
	}
}

enum uz_exit ctl_verb_add(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "algorithm", required_argument, NULL, 'a' },
		{ "algorithm-params", required_argument, NULL, 'p' },
		{ "threads", required_argument, NULL, 't' },
		{ "frontend", required_argument, NULL, OPT_FRONTEND },
		{ "backing", required_argument, NULL, OPT_BACKING },
		{ "restore", required_argument, NULL, OPT_RESTORE },
		{ "cgroup", required_argument, NULL, OPT_CGROUP },
		{ "option", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ctl_add add = { .dir = "" };
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "s:a:p:t:o:h", options, NULL)) >=
	       0) {
		if (c == 'h')
			return ctl_help("add");
		if (c == '?')
			return UZ_EXIT_USAGE;
		if (add_option(&add, c, optarg, &err))
			return ctl_fail(&err);
	}
	if (argc - optind > 1)
		return ctl_usage("add");
	add.name = argv[optind];
	return ctl_add_run(&add);
}
