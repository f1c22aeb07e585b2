// SPDX-License-Identifier: MIT
/*
 * The moment from which a worker may take over the disk of one that died: the
 * kernel has to be done with the dead one, not only nearly.
 *
 * Drivers before Linux 6.16 clear up in works that the kernel puts off, one for
 * each queue as a rule. The last thing that such a work does is to take back
 * the tags of whichever server has them. One that comes late, on a machine with
 * much to do, would find the successor's, and the disk would go on without
 * anybody to serve it; then it can neither be taken over nor stopped, and its
 * users hang for good. The driver does not tell that they are done. But once
 * the dead one's node is closed, all of them were begun or put off; once the
 * disk is quiesced, none sleeps any more; so whatever the kernel puts off after
 * that, on each CPU, is done after them.
 *
 * None of what is asked for until then waits for the driver's lock of the disk,
 * which such a work holds for as long as the dead one has requests.
 *
 * One thread, so no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ublk_priv.h"

/*
 * How long the kernel may take to let go of a worker that was killed. Without
 * a spare tag (disk.c) it is the time limit of a request, 30 s, and some more.
 */
#define RELEASE_MS 60000
#define STEP_MS	   5

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Nobody has it open. */
static int is_closed(uint32_t id)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/ublkc%u", id);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int try(struct uz__ublk_control *c, uint32_t id)
{
	struct ublksrv_ctrl_dev_info info = { .dev_id = id };
	int ret = uz__ublk_command(c, UBLK_CMD_GET_DEV_INFO, id, 0, &info,
				   sizeof(info));

	if (ret >= 0 && info.state != UBLK_S_DEV_QUIESCED)
		ret = info.state == UBLK_S_DEV_DEAD ? -ENOTSUP : -EBUSY;
	if (ret >= 0 && !(c->features & UBLK_F_PER_IO_DAEMON)) {
		ret = is_closed(id);
		if (!ret)
			ret = uz__ublk_control_settle(c);
	}
	if (ret >= 0)
		ret = uz__ublk_command(c, UBLK_CMD_START_USER_RECOVERY, id, 0,
				       NULL, 0);
	return ret;
}

int uz__ublk_recovery_begin(struct uz__ublk_control *c, uint32_t id)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	const uint64_t until = now_ms() + RELEASE_MS;
	int ret;

	while ((ret = try(c, id)) == -EBUSY && now_ms() < until)
		nanosleep(&step, NULL);
	/* It has ended, or a worker died between this and the next step. */
	return ret == -EINVAL || ret == -ENODEV ? -ENOTSUP : ret;
}
