// SPDX-License-Identifier: MIT
/*
 * A daemon that was killed leaves its disk behind: without recovery the number
 * and /dev/ublkcN of one that has ended; with it a disk whose users wait for a
 * server. The driver keeps 64 bits for the server with each disk: ours name
 * the supervisor, by its process number and when it was started, so others can
 * clear up.
 *
 * Nothing that lives is deleted: its supervisor exists, or its worker has the
 * node open, which one process can. A daemon in a container does not see those
 * outside, and there deletes others' disks only when somebody asks for it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "ublk_priv.h"

/* "uz", 26 bits of the time, and a process number, which has 22 at most. */
#define MARK	   UINT64_C(0x757a)
#define MARK_BITS  48
#define PID_BITS   22
#define PID_MASK   ((UINT64_C(1) << PID_BITS) - 1)
#define BIRTH_MASK ((UINT64_C(1) << (MARK_BITS - PID_BITS)) - 1)

/* PROC_PID_INIT_INO in <linux/proc_ns.h>; <linux/nsfs.h> has it only lately. */
#define FIRST_PID_NS 0xeffffffcu

#define WAIT_MS 1000
#define STEP_MS 10

/* When it was started, in ticks, and its state; false: /proc does not say. */
static bool look(pid_t pid, uint64_t *birth, char *state)
{
	char path[32], text[512];
	const char *at;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	at = strrchr(text, ')'); /* its name may hold anything */
	return at && sscanf(at + 1,
			    " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			    "%*s %*s %*s %*s %*s %*s %*s %" SCNu64,
			    state, birth) == 2;
}

uint64_t uz__ublk_mark(pid_t supervisor)
{
	uint64_t birth = 0;
	char state;

	if (!look(supervisor, &birth, &state))
		birth = 0;
	return MARK << MARK_BITS | (birth & BIRTH_MASK) << PID_BITS |
	       ((uint64_t)supervisor & PID_MASK);
}

bool uz__ublk_is_left(uint64_t mark)
{
	const pid_t pid = (pid_t)(mark & PID_MASK);
	uint64_t birth;
	char state;

	if (mark >> MARK_BITS != MARK || pid <= 0)
		return false;
	if (kill(pid, 0) && errno == ESRCH)
		return true;
	if (!look(pid, &birth, &state))
		return false;
	return state == 'Z' || state == 'X' ||
	       (birth & BIRTH_MASK) != (mark >> PID_BITS & BIRTH_MASK);
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

/* What an older driver does not know it refuses. */
static int delete (struct uz__ublk_control *c, unsigned int id)
{
	int ret;

	/* Who has it open holds its number; nobody has to wait for that. */
	ret = uz__ublk_command(c, UBLK_CMD_DEL_DEV_ASYNC, id, 0, NULL, 0);
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = uz__ublk_command(c, UBLK_CMD_DEL_DEV, id, 0, NULL, 0);
	return ret;
}

static bool read_mark(struct uz__ublk_control *c, unsigned int id,
		      uint64_t *mark)
{
	struct ublksrv_ctrl_dev_info info = { .dev_id = id };
	int ret = uz__ublk_command(c, UBLK_CMD_GET_DEV_INFO, id, 0, &info,
				   sizeof(info));

	*mark = info.ublksrv_flags;
	return ret >= 0;
}

static bool is_left(struct uz__ublk_control *c, unsigned int id, uint64_t mine)
{
	uint64_t mark;

	(void)mine;
	return read_mark(c, id, &mark) && uz__ublk_is_left(mark);
}

static bool reap_one(struct uz__ublk_control *c, unsigned int id)
{
	int ret = delete (c, id);

	if (ret >= 0)
		uz_log(UZ_LOG_NOTICE,
		       "ublk: deleted disk %u, left by a daemon that died", id);
	else if (ret != -ENODEV) /* somebody else was faster */
		uz_log(UZ_LOG_WARN, "ublk: disk %u cannot be deleted: %s", id,
		       strerror(-ret));
	return ret >= 0;
}

static bool reap_mine(struct uz__ublk_control *c, unsigned int id,
		      uint64_t mine)
{
	uint64_t mark;

	return read_mark(c, id, &mark) && mark == mine && reap_one(c, id);
}

static bool reap_left(struct uz__ublk_control *c, unsigned int id,
		      uint64_t mine)
{
	return is_left(c, id, mine) && !is_served(id) && reap_one(c, id);
}

/* For how many of the driver's disks it is true. */
static unsigned int count_disks(struct uz__ublk_control *c, uint64_t mine,
				bool (*one)(struct uz__ublk_control *c,
					    unsigned int id, uint64_t mine))
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
			count += one(c, id, mine);
	closedir(dir);
	return count;
}

/*
 * Whether no process is out of sight: the namespace's number is the kernel's.
 */
static bool sees_all(void)
{
	struct stat st;

	return !stat("/proc/self/ns/pid", &st) && st.st_ino == FIRST_PID_NS;
}

unsigned int uz__ublk_reap(struct uz__ublk_control *c, uint64_t mine)
{
	unsigned int count = mine ? count_disks(c, mine, reap_mine) : 0;

	return sees_all() ? count + count_disks(c, 0, reap_left) : count;
}

unsigned int uz__ublk_reap_asked(struct uz__ublk_control *c)
{
	return count_disks(c, 0, reap_left);
}

unsigned int uz__ublk_count_left(struct uz__ublk_control *c)
{
	return count_disks(c, 0, is_left);
}
