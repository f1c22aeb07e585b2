// SPDX-License-Identifier: MIT
/*
 * What a worker gives up before it opens the device, so that somebody who finds
 * a way to have it do what he wants gains little:
 *
 *  - rights that a program could bring (no_new_privs). It runs none: what has
 *    to be unmounted, a process of the supervisor's unmounts (quit.c);
 *  - capabilities that nothing in it needs;
 *  - system calls that nothing in it makes (filter.c).
 *
 * Done while there is one thread; all others inherit it. The supervisor, and
 * so the next worker to begin with, has what it had.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "daemon_priv.h"

#define CAP(name) (UINT64_C(1) << CAP_##name)

uint64_t uz__confine_needs(const struct uz_daemon_config *config, bool disk)
{
	/*
	 * Files that backing_dev and save name, and replace, may be anybody's.
	 */
	uint64_t needs = CAP(DAC_OVERRIDE) | CAP(FOWNER);

	/* Memory that is locked counts; once there is a limit, against it. */
	needs |= CAP(IPC_LOCK);
	if (config->swap)
		needs |= CAP(SYS_RESOURCE);
	else /* to leave SCHED_IDLE again */
		needs |= CAP(SYS_NICE);
	/* The driver's commands; to name who uses the disk. */
	if (disk)
		needs |= CAP(SYS_ADMIN) | CAP(SYS_PTRACE);
	return needs;
}

int uz__confine_capabilities(uint64_t needs)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int i;

	if (syscall(SYS_capget, &head, data))
		return -errno;
	for (i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(needs >> (32 * i));
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

static void gained(char *text, size_t size, const char *what)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", len ? "," : "", what);
}

int uz__confine(const struct uz_daemon_config *config, bool disk, bool tell,
		char *text, size_t size, struct uz_err *err)
{
	int rc;

	text[0] = '\0';
	if (!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		gained(text, size, "no_new_privs");
	if (!uz__confine_capabilities(uz__confine_needs(config, disk)))
		gained(text, size, "capabilities");
	if (config->seccomp != UZ_SECCOMP_OFF && uz_daemon_can_filter()) {
		rc = uz__filter();
		if (!rc)
			gained(text, size, "seccomp");
		else if (config->seccomp == UZ_SECCOMP_ON)
			return uz_err_set(err, rc,
					  "seccomp=on: the kernel refuses the "
					  "filter: %s",
					  strerror(-rc));
		else if (tell)
			uz_log(UZ_LOG_NOTICE,
			       "no filter of system calls (%s): the kernel has "
			       "none",
			       strerror(-rc));
	}
	if (!*text)
		snprintf(text, size, "no");
	return 0;
}
