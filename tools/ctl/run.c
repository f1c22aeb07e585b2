// SPDX-License-Identifier: MIT
/*
 * run: a device for one command, as a job in CI wants it. The device is there
 * before the command starts and gone when it has ended, however that was.
 *
 * The command finds the block file in UZRAM_BLOCK. With --mkfs it finds a
 * file system in UZRAM_DIR and starts there. Its status is ours. Signals that
 * ask for an end are the command's business: it gets them, we wait for it.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"

#define SIZE_DEFAULT "50%"

/* As shells have it. */
#define STATUS_NOT_RUN	 126
#define STATUS_NOT_FOUND 127
#define STATUS_SIGNAL	 128

/*
 * struct run - one command and its device
 * @add:    the device
 * @fstype: file system to make and mount, or NULL
 * @block:  path of the block file
 * @dir:    where the file system is mounted, or ""
 */
struct run {
	struct ctl_add add;
	const char *fstype;
	char block[CTL_PATH_MAX];
	char dir[64];
};

static volatile sig_atomic_t child;

static void pass_on(int sig)
{
	kill((pid_t)child, sig);
}

/*
 * SIGTERM and SIGHUP wait until there is a command to have them; what the
 * keyboard sends reaches it by itself.
 */
static void hold_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(how, &set, NULL);
}

static void take_signals(void)
{
	struct sigaction action = { .sa_handler = pass_on };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
}

static _Noreturn void run_command(const struct run *run, char **argv)
{
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	hold_signals(SIG_UNBLOCK);
	setenv("UZRAM_BLOCK", run->block, 1);
	if (*run->dir) {
		setenv("UZRAM_DIR", run->dir, 1);
		if (chdir(run->dir)) {
			ctl_note("%s: %s", run->dir, strerror(errno));
			_exit(STATUS_NOT_RUN);
		}
	}
	execvp(argv[0], argv);
	ctl_note("%s: %s", argv[0], strerror(errno));
	_exit(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN);
}

static int wait_command(const struct run *run, char **argv)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		run_command(run, argv);
	if (pid < 0) {
		ctl_note("%s: %s", argv[0], strerror(errno));
		return UZ_EXIT_FAILED;
	}
	child = pid;
	take_signals();
	hold_signals(SIG_UNBLOCK);
	while (waitpid(pid, &status, 0) < 0)
		; /* EINTR: a signal was passed on */
	/* From now on nothing keeps the device from being ended. */
	hold_signals(SIG_BLOCK);
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static int run_mount(struct run *run, struct uz_err *err)
{
	static const char pattern[] = "/tmp/uzram-run-XXXXXX";
	int rc;

	if (!run->fstype)
		return 0;
	strcpy(run->dir, pattern);
	if (!mkdtemp(run->dir)) {
		rc = -errno;
		run->dir[0] = '\0';
		return uz_err_set(err, rc, "%s: %s", pattern, strerror(-rc));
	}
	return ctl_mount(run->block, run->dir, run->fstype, err);
}

/* What the command left running may still use the device. */
static enum uz_exit run_end(struct run *run)
{
	enum uz_exit status = UZ_EXIT_OK;
	struct uz_err err;

	if (ctl_remove(run->block, true, &err))
		status = ctl_fail(&err);
	if (*run->dir && rmdir(run->dir))
		ctl_note("%s is left: %s", run->dir, strerror(errno));
	return status;
}

static int run_all(struct run *run, char **argv)
{
	enum uz_exit end;
	struct uz_err err;
	int status;

	hold_signals(SIG_BLOCK);
	status = ctl_add_start(&run->add, run->block);
	if (status)
		return status;
	status = run_mount(run, &err) ? (int)ctl_fail(&err)
				      : wait_command(run, argv);
	end = run_end(run);
	return status ? status : (int)end;
}

static int run_option(struct run *run, int c, const char *arg, bool *sized,
		      struct uz_err *err)
{
	switch (c) {
	case 'a':
		run->add.codec = arg;
		return 0;
	case 's':
		*sized = true;
		return ctl_add_option(&run->add, "-s", arg, err);
	case 'm':
		run->fstype = arg;
		return 0;
	default:
		return ctl_add_option(&run->add, "-o", arg, err);
	}
}

enum uz_exit ctl_verb_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "algorithm", required_argument, NULL, 'a' },
		{ "option", required_argument, NULL, 'o' },
		{ "mkfs", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct run run = { .add = { .dir = "" } };
	bool sized = false;
	struct uz_err err;
	int c;

	/* The command's own options are not ours. */
	while ((c = getopt_long(argc, argv, "+s:a:o:h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("run");
		if (c == '?')
			return UZ_EXIT_USAGE;
		if (run_option(&run, c, optarg, &sized, &err))
			return ctl_fail(&err);
	}
	if (optind == argc)
		return ctl_usage("run");
	if (!sized && ctl_add_option(&run.add, "-s", SIZE_DEFAULT, &err))
		return ctl_fail(&err);
	if (run.fstype && geteuid()) {
		ctl_note("run: --mkfs mounts, which needs root; without it the "
			 "command finds a block file in UZRAM_BLOCK, for "
			 "mkfs.ext4 and fuse2fs");
		return UZ_EXIT_NOT_SUPPORTED;
	}
	return (enum uz_exit)run_all(&run, argv + optind);
}
