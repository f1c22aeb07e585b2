// SPDX-License-Identifier: MIT
/*
 * A daemon that was killed leaves its disk's number and /dev/ublkcN behind;
 * the disk itself is gone by then. The driver keeps 64 bits for the server
 * with each disk: ours name the supervisor, so the next one can clear up.
 *
 * Nothing that lives is deleted: its supervisor exists, or its worker has the
 * node open, which one process can.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "ublk_priv.h"

/* "uz" and a version of what lies below. */
#define MARK	  UINT64_C(0x757a0001)
#define MARK_BITS 32

#define WAIT_MS 1000
#define STEP_MS 10

uint64_t uz__ublk_mark(pid_t supervisor)
{
	return MARK << MARK_BITS | (uint32_t)supervisor;
}

/* The kernel may take a moment to let go of a process that was killed. */
static bool is_served(unsigned int id)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	int left, fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/dev/ublkc%u", id);
	for (left = WAIT_MS; left > 0; left -= STEP_MS) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 || errno != EBUSY)
			break;
		nanosleep(&step, NULL);
	}
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static bool is_orphan(const struct ublksrv_ctrl_dev_info *info)
{
	const pid_t pid = (pid_t)(uint32_t)info->ublksrv_flags;

	if (info->ublksrv_flags >> MARK_BITS != MARK || pid <= 0)
		return false;
	/* The supervisor itself asks when no worker of it is left. */
	if (pid == getpid())
		return true;
	return kill(pid, 0) && errno == ESRCH && !is_served(info->dev_id);
}

static bool reap_one(struct uz__ublk_control *c, unsigned int id)
{
	struct ublksrv_ctrl_dev_info info = { .dev_id = id };

	if (uz__ublk_command(c, UBLK_CMD_GET_DEV_INFO, id, 0, &info,
			     sizeof(info)) < 0 ||
	    !is_orphan(&info))
		return false;
	if (uz__ublk_command(c, UBLK_CMD_DEL_DEV, id, 0, NULL, 0) < 0)
		return false;
	uz_log(UZ_LOG_NOTICE,
	       "ublk: deleted disk %u, left by a daemon that died", id);
	return true;
}

unsigned int uz__ublk_reap(struct uz__ublk_control *c)
{
	DIR *dir = opendir("/dev");
	const struct dirent *entry;
	unsigned int id, count = 0;
	int end;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "ublkc%u%n", &id, &end) == 1 &&
		    !entry->d_name[end])
			count += reap_one(c, id);
	closedir(dir);
	return count;
}
