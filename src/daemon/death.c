// SPDX-License-Identifier: MIT
/*
 * What a worker died of, in words: what it has said itself, or else what the
 * kernel says. Where cores go is found out ahead, as the supervisor opens
 * nothing when it is wanted.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "daemon_priv.h"

void uz__death_prepare(struct uz__death *death)
{
	uz_autoclose int fd =
		open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0
			   : read(fd, death->cores, sizeof(death->cores) - 1);

	death->cores[n > 0 ? n : 0] = '\0';
	death->cores[strcspn(death->cores, "\n")] = '\0';
}

void uz__death_failure(struct uz__death *death, int rc, const char *what)
{
	death->failure.rc = rc;
	snprintf(death->failure.text, sizeof(death->failure.text), "%s: %s",
		 what, strerror(-rc));
}

bool uz__death_is_final(const struct uz__death *death)
{
	return death->failure.rc == -EUCLEAN || death->failure.rc == -ENOTSUP;
}

void uz__death_text(const struct uz__death *death, int status, char *text,
		    size_t size)
{
	if (death->failure.rc)
		snprintf(text, size, "%.200s", death->failure.text);
	else if (WIFEXITED(status))
		snprintf(text, size, "ended with status %d",
			 WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGSYS)
		snprintf(text, size,
			 "killed by signal %d (%s): the filter of system calls "
			 "knows none such of a worker; dmesg may name it",
			 SIGSYS, strsignal(SIGSYS));
	else if (WCOREDUMP(status))
		snprintf(text, size,
			 "killed by signal %d (%s), its core is where "
			 "kernel.core_pattern says: %s",
			 WTERMSIG(status), strsignal(WTERMSIG(status)),
			 death->cores);
	else
		snprintf(text, size, "killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
}

void uz__death_note(struct uz__death *death, pid_t worker, const char *why)
{
	if (worker > 0)
		snprintf(death->told, sizeof(death->told),
			 "worker %d died, another takes over: %s", (int)worker,
			 why);
	else if (!death->told[0])
		snprintf(death->told, sizeof(death->told),
			 "a worker had to wait: %s", why);
}

void uz__death_hangs(struct uz__death *death, pid_t worker, const char *how)
{
	snprintf(death->hang, sizeof(death->hang),
		 "worker %d hangs: %s; the watchdog kills it", (int)worker,
		 how);
}

/*
 * Not before: the log may lie in what is swapped out to the device, and nobody
 * would be there to have it back.
 */
void uz__death_tell(struct uz__death *death)
{
	if (death->hang[0])
		uz_log(UZ_LOG_WARN, "%s", death->hang);
	if (death->told[0])
		uz_log(UZ_LOG_WARN, "%s", death->told);
	death->hang[0] = death->told[0] = '\0';
}
