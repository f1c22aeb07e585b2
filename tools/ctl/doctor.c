// SPDX-License-Identifier: MIT
/*
 * doctor: what this system has of what devices need, one line for each thing:
 * how it is, and what to do about it. Looks, and changes nothing.
 *
 * The status tells whether a device can be had at all; what only some uses
 * need is a remark.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/daemon.h>
#include <uzram/frontend.h>
#include <uzram/util/cgroup.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/cpus.h>
#include <uzram/util/size.h>
#include <uzram/util/spawn.h>
#include <uzram/util/suid.h>

#define URING_FUSE "/sys/module/fuse/parameters/enable_uring"
#define URING_OFF  "/proc/sys/kernel/io_uring_disabled"
#define GOVERNOR   "/sys/devices/system/cpu/cpuidle/current_governor_ro"
#define HALT_POLL  "/sys/module/haltpoll/parameters/guest_halt_poll_ns"

enum state {
	GOOD, /* as it should be */
	WANTS, /* something will not work, or not so well */
	BAD, /* no device can be had */
};

/* One line: how it is, with what to do. */
struct finding {
	enum state state;
	char text[256];
};

static struct finding found(enum state state, const char *fmt, ...)
	uz_printf(2, 3);

static struct finding found(enum state state, const char *fmt, ...)
{
	struct finding f = { .state = state };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	return f;
}

/* 0 or -errno of opening it for reading and writing. */
static int try_open(const char *path)
{
	uz_autoclose int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

/* A small file's text, or "". */
static void read_text(const char *path, char *text, size_t size)
{
	uz_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
}

/* The first character of a small file, or 0. */
static char first_of(const char *path)
{
	char text[2];

	read_text(path, text, sizeof(text));
	return text[0];
}

static struct finding check_fuse(void)
{
	int rc = try_open("/dev/fuse");

	if (!rc)
		return found(GOOD, "can be opened");
	if (rc == -EACCES || rc == -EPERM)
		return found(BAD,
			     "%s: be root, or have root do 'chmod 666 "
			     "/dev/fuse'",
			     strerror(-rc));
	return found(BAD,
		     "%s: load the module ('modprobe fuse'), or give the "
		     "container the device ('--device /dev/fuse')",
		     strerror(-rc));
}

static struct finding check_fusermount(void)
{
	enum uz_suid suid = uz_suid_check("fusermount3");

	if (!geteuid())
		return found(GOOD, "root mounts without it");
	if (suid == UZ_SUID_WORKS)
		return found(GOOD, "installed, and set-user-ID root");
	return found(BAD, "%s", uz_suid_advice(suid));
}

static struct finding check_rundir(void)
{
	char path[CTL_PATH_MAX];
	int rc = uz_daemon_rundir(path, sizeof(path));

	if (!rc)
		return found(GOOD, "%.200s", path);
	return found(BAD, "XDG_RUNTIME_DIR is not set: log in anew, or set "
			  "UZRAM_RUNDIR to a directory of yours");
}

static struct finding check_fuse_uring(void)
{
	switch (first_of(URING_FUSE)) {
	case 'Y':
		return found(GOOD, "on: small requests are quicker");
	case 'N':
		return found(WANTS,
			     "off: small requests are slower; root turns it "
			     "on by 'echo Y >" URING_FUSE "'");
	default:
		return found(WANTS,
			     "this kernel has it not (Linux 6.14): small "
			     "requests are slower");
	}
}

static struct finding check_uring(void)
{
	switch (first_of(URING_OFF)) {
	case '2':
		break;
	case '1':
		if (geteuid())
			break;
		__attribute__((fallthrough));
	default:
		return found(GOOD, "allowed");
	}
	return found(WANTS, "forbidden here: root allows it by 'sysctl "
			    "kernel.io_uring_disabled=0'");
}

static struct finding check_loop(void)
{
	int rc = try_open("/dev/loop-control");

	if (!rc)
		return found(GOOD, "can be had: file systems and swap work");
	if (geteuid())
		return found(WANTS,
			     "only root has them, and so mount and swap; "
			     "fuse2fs mounts a block file without");
	return found(WANTS,
		     "%s: no file system can be mounted; load the module "
		     "('modprobe loop')",
		     strerror(-rc));
}

static struct finding check_ublk(void)
{
	struct uz_err err;
	char text[240];

	if (uz_frontend_probe_disks(text, sizeof(text), &err))
		return found(WANTS, "no disks: %.200s", err.text);
	return found(GOOD, "%s", text);
}

static struct finding check_mkfs(void)
{
	static const char *const mkfs[] = { "mkfs.ext4", "-V", NULL };

	if (!uz_spawn_wait(mkfs, true))
		return found(GOOD, "installed");
	return found(WANTS,
		     "not installed: 'uzramctl mount' needs it for an empty "
		     "device; install e2fsprogs, or name another -t");
}

/* What a worker really has is in the attribute stat of its device. */
static struct finding check_seccomp(void)
{
	char text[256] = "";

	if (!uz_daemon_can_filter())
		return found(WANTS, "not in this build: workers may make any "
				    "system call");
	read_text("/proc/sys/kernel/seccomp/actions_avail", text, sizeof(text));
	if (!strstr(text, "kill_process"))
		return found(WANTS, "this kernel has it not: workers may make "
				    "any system call");
	return found(GOOD, "workers make only the system calls they need");
}

static struct finding check_memory(void)
{
	char text[UZ_SIZE_TEXT];

	uz_size_format(uz_size_ram(), text);
	return found(GOOD, "%s for this process, by machine and cgroup", text);
}

static struct finding check_cgroup(void)
{
	char path[200];

	uz_cgroup_own("", path, sizeof(path));
	return found(GOOD, "%s", *path ? path : "none");
}

static struct finding check_cpus(void)
{
	return found(GOOD, "%u, by affinity and cgroup", uz_cpus());
}

/*
 * A small request wakes a few threads, each of which may be the first on a CPU
 * that has halted. In a virtual machine that is the dearest part of a request,
 * unless such a CPU looks out for work a moment longer, or for as long as it
 * is asked to (the option awake).
 */
static struct finding check_idle(void)
{
	char governor[32], poll[32];

	read_text(GOVERNOR, governor, sizeof(governor));
	if (strncmp(governor, "haltpoll", 8) != 0)
		return found(GOOD, "left to the kernel");
	read_text(HALT_POLL, poll, sizeof(poll));
	if (strtoull(poll, NULL, 10))
		return found(GOOD, "halt when nothing came for up to %llu us",
			     strtoull(poll, NULL, 10) / 1000);
	return found(WANTS, "halt at once, and waking one is dear in a virtual "
			    "machine: small requests are quicker with "
			    "-o awake=on, which swap=on has by itself");
}

static struct finding check_memlock(void)
{
	char text[UZ_SIZE_TEXT];
	struct rlimit limit;

	if (!geteuid() || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return found(GOOD, "no limit");
	uz_size_format(limit.rlim_cur, text);
	return found(WANTS, "%s: a device's memory may be swapped out", text);
}

static const struct {
	const char *name;
	struct finding (*check)(void);
} checks[] = {
	{ "/dev/fuse", check_fuse },
	{ "fusermount3", check_fusermount },
	{ "run directory", check_rundir },
	{ "io_uring", check_uring },
	{ "FUSE over io_uring", check_fuse_uring },
	{ "loop devices", check_loop },
	{ "ublk", check_ublk },
	{ "mkfs.ext4", check_mkfs },
	{ "seccomp", check_seccomp },
	{ "memory", check_memory },
	{ "memory cgroup", check_cgroup },
	{ "locked memory", check_memlock },
	{ "CPUs", check_cpus },
	{ "idle CPUs", check_idle },
};

static enum state report(void)
{
	static const char *const words[] = {
		[GOOD] = "ok",
		[WANTS] = "note",
		[BAD] = "FAIL",
	};
	enum state worst = GOOD;
	size_t i;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct finding f = checks[i].check();

		printf("%-5s %-19s %s\n", words[f.state], checks[i].name,
		       f.text);
		if (f.state > worst)
			worst = f.state;
	}
	return worst;
}

enum uz_exit ctl_verb_doctor(int argc, char **argv)
{
	enum uz_exit status;

	if (!ctl_words(argc, argv, 0, 0, &status))
		return status;
	return report() == BAD ? UZ_EXIT_NOT_SUPPORTED : UZ_EXIT_OK;
}
