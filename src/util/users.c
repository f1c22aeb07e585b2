// SPDX-License-Identifier: MIT
/*
 * Who uses a mount or a disk, read from /proc and /sys. The mount is known by
 * the number of its file system (st_dev), which stays right after the mount was
 * detached and its paths mean nothing any more. The disk is known by its own
 * number (st_rdev); its partitions, which have others, count as it.
 *
 * Asks nothing of the FUSE server behind the mount, so that it can neither hang
 * on one that is stuck nor fail on one that died: statx(2) with an empty mask
 * gives st_dev and nothing else. The exception is a loop device whose file has
 * lost its path: there the loop driver asks for us.
 *
 * What it finds may be outdated by the time it is read; use it for messages
 * and early refusals, never instead of the kernel's own EBUSY.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/users.h>

#define LOOP_MAJOR 7

/* More partitions than this are not told apart from others' disks. */
#define PARTS_MAX 64

/*
 * struct search - one search under way
 * @fs:     file system that is asked about, or 0
 * @parts:  the disk that is asked about and its partitions
 * @nr:     how many; 0: no disk
 * @users:  found so far
 * @failed: -ENOMEM, sticky
 */
struct search {
	dev_t fs;
	dev_t parts[PARTS_MAX];
	unsigned int nr;
	struct uz_users users;
	int failed;
};

static struct uz_user *search_add(struct search *s, enum uz_user_kind kind,
				  int loop)
{
	struct uz_user *list =
		reallocarray(s->users.list, s->users.count + 1, sizeof(*list));

	if (!list) {
		s->failed = -ENOMEM;
		return NULL;
	}
	s->users.list = list;
	list += s->users.count++;
	*list = (struct uz_user){ .kind = kind, .loop = loop };
	return list;
}

static bool search_has_loop(const struct search *s, int loop)
{
	size_t i;

	for (i = 0; i < s->users.count; i++)
		if (s->users.list[i].kind == UZ_USER_LOOP &&
		    s->users.list[i].loop == loop)
			return true;
	return false;
}

/* An anonymous mapping is said to be of number 0, and 0 asks for no mount. */
static bool is_mount(const struct search *s, dev_t dev)
{
	return dev && dev == s->fs;
}

/* st_dev of what @path leads to, without asking a FUSE server. */
static bool path_device(const char *path, struct statx *stx, dev_t *dev)
{
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, stx))
		return false;
	*dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
	return true;
}

/* ---- the disk ---- */

static bool is_part(const struct search *s, dev_t dev)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (s->parts[i] == dev)
			return true;
	return false;
}

/* Is @path a node of the disk? */
static bool is_node(const struct search *s, const char *path)
{
	struct statx stx;
	dev_t dev;

	return s->nr && path_device(path, &stx, &dev) &&
	       S_ISBLK(stx.stx_mode) &&
	       is_part(s, makedev(stx.stx_rdev_major, stx.stx_rdev_minor));
}

static void read_parts(struct search *s, dev_t disk)
{
	char dir[64], path[64 + 256 + 16];
	const struct dirent *entry;
	unsigned int major, minor;
	FILE *file;
	DIR *d;

	s->parts[s->nr++] = disk;
	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(disk),
		 minor(disk));
	d = opendir(dir);
	if (!d)
		return;
	while ((entry = readdir(d)) && s->nr < PARTS_MAX) {
		snprintf(path, sizeof(path), "%s/%s/partition", dir,
			 entry->d_name);
		if (access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), "%s/%s/dev", dir, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%u:%u", &major, &minor) == 2)
			s->parts[s->nr++] = makedev(major, minor);
		fclose(file);
	}
	closedir(d);
}

/* Devices on top: dm, md. */
static void search_holders(struct search *s)
{
	const struct dirent *entry;
	struct uz_user *user;
	unsigned int i;
	char dir[64];
	DIR *d;

	for (i = 0; i < s->nr; i++) {
		snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u/holders",
			 major(s->parts[i]), minor(s->parts[i]));
		d = opendir(dir);
		if (!d)
			continue;
		while ((entry = readdir(d))) {
			if (entry->d_name[0] == '.')
				continue;
			user = search_add(s, UZ_USER_HOLDER, -1);
			if (user)
				snprintf(user->type, sizeof(user->type),
					 "%.31s", entry->d_name);
		}
		closedir(d);
	}
}

/* ---- loop devices ---- */

/* For a backing file whose path is gone, the loop driver itself knows. */
static bool loop_stands_on(int loop, dev_t fs)
{
	struct loop_info64 info;
	uz_autoclose int fd = -1;
	char path[32];
	uint64_t dev;

	snprintf(path, sizeof(path), "/dev/loop%d", loop);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info))
		return false;
	dev = info.lo_device; /* the kernel's encoding: 12 bits major */
	return makedev((dev >> 8) & 0xfff,
		       (dev & 0xff) | ((dev >> 12) & 0xfff00)) == fs;
}

static void search_loop(struct search *s, int loop)
{
	char path[64], backing[4096];
	uz_autoclose int fd = -1;
	struct statx stx;
	ssize_t len;
	dev_t dev;

	snprintf(path, sizeof(path), "/sys/block/loop%d/loop/backing_file",
		 loop);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, backing, sizeof(backing) - 1);
	if (len <= 1)
		return;
	backing[len - 1] = '\0'; /* instead of the line feed */
	if (is_node(s, backing))
		search_add(s, UZ_USER_LOOP, loop);
	/* Detached, the file's path leads nowhere. */
	else if (path_device(backing, &stx, &dev)
			 ? is_mount(s, dev)
			 : s->fs && loop_stands_on(loop, s->fs))
		search_add(s, UZ_USER_LOOP, loop);
}

static void search_loops(struct search *s)
{
	DIR *dir = opendir("/sys/block");
	const struct dirent *entry;
	int loop, end;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "loop%d%n", &loop, &end) == 1 &&
		    !entry->d_name[end])
			search_loop(s, loop);
	closedir(dir);
}

/* ---- file systems and swap ---- */

/* The number N of "/dev/loopN" or a partition of it; -1 for anything else. */
static int loop_number(const char *path)
{
	int loop, end = 0;

	if (sscanf(path, "/dev/loop%d%n", &loop, &end) != 1)
		return -1;
	return !path[end] || path[end] == 'p' ? loop : -1;
}

/* The tables in /proc write a space in a path as \040. */
static void unescape(char *to, size_t size, const char *from)
{
	char *last = to + size - 1;

	while (*from && to < last) {
		unsigned int c;

		if (*from == '\\' && sscanf(from, "\\%3o", &c) == 1) {
			*to++ = (char)c;
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/*
 * ID PARENT MAJOR:MINOR ROOT WHERE OPTIONS [TAG]... - TYPE SOURCE OPTIONS
 * The number alone does not do: btrfs has one of its own.
 */
static void search_mount(struct search *s, char *line)
{
	char *dash = strstr(line, " - "), *type, *source, *save;
	unsigned int major, minor;
	char where[4096];
	struct uz_user *user;
	int loop;

	if (!dash || sscanf(line, "%*d %*d %u:%u %*s %4095s", &major, &minor,
			    where) != 3)
		return;
	type = strtok_r(dash + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	if (!type || !source)
		return;
	loop = major == LOOP_MAJOR ? (int)minor : loop_number(source);
	if (!search_has_loop(s, loop)) {
		if (!is_part(s, makedev(major, minor)) && !is_node(s, source))
			return;
		loop = -1;
	}
	user = search_add(s, UZ_USER_MOUNT, loop);
	if (!user)
		return;
	snprintf(user->type, sizeof(user->type), "%s", type);
	unescape(user->path, sizeof(user->path), where);
}

static void search_swap(struct search *s, char *line)
{
	struct uz_user *user;
	int loop;

	line[strcspn(line, " \t")] = '\0';
	loop = loop_number(line);
	if (!search_has_loop(s, loop)) {
		if (!is_node(s, line))
			return;
		loop = -1;
	}
	user = search_add(s, UZ_USER_SWAP, loop);
	if (user)
		unescape(user->path, sizeof(user->path), line);
}

static void for_each_line(struct search *s, const char *path,
			  void (*each)(struct search *s, char *line))
{
	FILE *file = fopen(path, "re");
	uz_autofree char *line = NULL;
	size_t cap = 0;

	if (!file)
		return;
	while (getline(&line, &cap, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		each(s, line);
	}
	fclose(file);
}

/* ---- processes ---- */

/*
 * Does @path lead into the mount, to the disk, or to a loop device on either?
 */
static bool search_link(const struct search *s, const char *path, int *loop)
{
	struct statx stx;
	dev_t dev;

	if (!path_device(path, &stx, &dev))
		return false;
	*loop = -1;
	if (is_mount(s, dev))
		return true;
	if (!S_ISBLK(stx.stx_mode))
		return false;
	if (is_part(s, makedev(stx.stx_rdev_major, stx.stx_rdev_minor)))
		return true;
	*loop = (int)stx.stx_rdev_minor;
	return stx.stx_rdev_major == LOOP_MAJOR && search_has_loop(s, *loop);
}

static bool search_descriptors(const struct search *s, pid_t pid, int *loop)
{
	const struct dirent *entry;
	char path[64 + 256];
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid,
			 entry->d_name);
		found = search_link(s, path, loop);
	}
	closedir(dir);
	return found;
}

/* A mapping keeps a file in use although its descriptor was closed. */
static bool search_maps(const struct search *s, pid_t pid)
{
	uz_autofree char *line = NULL;
	unsigned int major, minor;
	bool found = false;
	size_t cap = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && getline(&line, &cap, file) > 0)
		found = sscanf(line, "%*s %*s %*s %x:%x", &major, &minor) ==
				2 &&
			is_mount(s, makedev(major, minor));
	fclose(file);
	return found;
}

static bool search_process_uses(const struct search *s, pid_t pid, int *loop)
{
	static const char *const links[] = { "cwd", "root" };
	char path[64];
	size_t i;

	for (i = 0; i < sizeof(links) / sizeof(*links); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, links[i]);
		if (search_link(s, path, loop))
			return true;
	}
	if (search_descriptors(s, pid, loop))
		return true;
	*loop = -1;
	return search_maps(s, pid);
}

static void search_process(struct search *s, pid_t pid)
{
	struct uz_user *user;
	char path[64];
	FILE *file;
	int loop;

	if (!search_process_uses(s, pid, &loop))
		return;
	user = search_add(s, UZ_USER_PROCESS, loop);
	if (!user)
		return;
	user->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(user->type, sizeof(user->type), file))
		user->type[strcspn(user->type, "\n")] = '\0';
	fclose(file);
}

static void search_processes(struct search *s)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)atol(entry->d_name);

		if (pid > 0 && pid != getpid())
			search_process(s, pid);
	}
	closedir(dir);
}

int uz_users_find(struct uz_users *users, dev_t fs, dev_t disk, bool processes)
{
	struct search s = { .fs = fs };

	if (disk)
		read_parts(&s, disk);
	search_loops(&s);
	search_holders(&s);
	if (s.users.count || disk) {
		for_each_line(&s, "/proc/self/mountinfo", search_mount);
		for_each_line(&s, "/proc/swaps", search_swap);
	}
	if (processes)
		search_processes(&s);
	if (s.failed)
		uz_users_free(&s.users);
	else
		*users = s.users;
	return s.failed;
}

void uz_users_free(struct uz_users *users)
{
	free(users->list);
	*users = (struct uz_users){ 0 };
}

/* ---- in words ---- */

/* A loop device and what stands on it are one phrase. */
static int users_phrase(const struct uz_users *users,
			const struct uz_user *user, char *text, size_t size)
{
	size_t i;

	switch (user->kind) {
	case UZ_USER_PROCESS:
		return snprintf(text, size, "process %d (%s)", (int)user->pid,
				user->type);
	case UZ_USER_MOUNT:
		return snprintf(text, size, "%s on %s", user->type, user->path);
	case UZ_USER_SWAP:
		return snprintf(text, size, "swap");
	case UZ_USER_HOLDER:
		return snprintf(text, size, "/dev/%s", user->type);
	case UZ_USER_LOOP:
		break;
	}
	for (i = 0; i < users->count; i++) {
		const struct uz_user *on = &users->list[i];

		if (on->loop != user->loop)
			continue;
		if (on->kind == UZ_USER_MOUNT)
			return snprintf(text, size, "/dev/loop%d (%s on %s)",
					user->loop, on->type, on->path);
		if (on->kind == UZ_USER_SWAP)
			return snprintf(text, size, "/dev/loop%d (swap)",
					user->loop);
	}
	return snprintf(text, size, "/dev/loop%d", user->loop);
}

void uz_users_text(const struct uz_users *users, char *text, size_t size)
{
	size_t i, len = 0, left = 0;
	char phrase[4352];

	text[0] = '\0';
	for (i = 0; i < users->count; i++) {
		const struct uz_user *user = &users->list[i];
		int n;

		/* What stands on a loop device is told with it. */
		if (user->loop >= 0 &&
		    (user->kind == UZ_USER_MOUNT || user->kind == UZ_USER_SWAP))
			continue;
		n = users_phrase(users, user, phrase, sizeof(phrase));
		/* 24 bytes stay for "and N more"; the first is always named. */
		if (left || (len && len + (size_t)n + 24 > size)) {
			left++;
			continue;
		}
		n = snprintf(text + len, size - len, "%s%s", len ? ", " : "",
			     phrase);
		len = len + (size_t)n < size ? len + (size_t)n : size - 1;
	}
	if (left)
		snprintf(text + len, size - len, " and %zu more", left);
	/* A directory's name may hold anything; one line stays one. */
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}
