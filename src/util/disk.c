// SPDX-License-Identifier: MIT
/*
 * Who uses a block device: file systems, swap, devices on top of it (dm, md,
 * loop) and processes. A partition counts as the whole: it has a number of its
 * own, which /sys tells.
 *
 * For messages and early refusals; the kernel's own EBUSY is what protects.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/disk.h>

/* More partitions than this are not told apart from others' disks. */
#define PARTS_MAX 64

/*
 * struct look - one look for users
 * @parts: the disk and its partitions
 * @nr:    how many
 * @text:  what was found, @len bytes of at most @size
 * @count: how many were found
 */
struct look {
	dev_t parts[PARTS_MAX];
	unsigned int nr;
	char *text;
	size_t len;
	size_t size;
	unsigned int count;
};

static bool is_part(const struct look *look, dev_t dev)
{
	unsigned int i;

	for (i = 0; i < look->nr; i++)
		if (look->parts[i] == dev)
			return true;
	return false;
}

/* Is @path a node of the disk? */
static bool is_node(const struct look *look, const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode) &&
	       is_part(look, st.st_rdev);
}

static void found(struct look *look, const char *what)
{
	char *end = look->text + look->len;
	size_t room = look->size - look->len;
	int n = snprintf(end, room, "%s%s", look->count ? ", " : "", what);

	look->count++;
	if (n >= 0 && (size_t)n < room) {
		look->len += (size_t)n;
		return;
	}
	/* Cut: nothing more will fit. */
	if (room > 3)
		strcpy(look->text + look->size - 4, "...");
	look->len = look->size - 1;
}

/* ---- what it consists of ---- */

static void read_parts(struct look *look, dev_t disk)
{
	char dir[64], path[64 + 256 + 16];
	const struct dirent *entry;
	unsigned int major, minor;
	FILE *file;
	DIR *d;

	look->parts[look->nr++] = disk;
	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u", major(disk),
		 minor(disk));
	d = opendir(dir);
	if (!d)
		return;
	while ((entry = readdir(d)) && look->nr < PARTS_MAX) {
		snprintf(path, sizeof(path), "%s/%s/partition", dir,
			 entry->d_name);
		if (access(path, F_OK))
			continue;
		snprintf(path, sizeof(path), "%s/%s/dev", dir, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%u:%u", &major, &minor) == 2)
			look->parts[look->nr++] = makedev(major, minor);
		fclose(file);
	}
	closedir(d);
}

/* ---- what stands on it ---- */

static void look_at_mounts(struct look *look)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char where[256], type[64], source[256], what[400], *dash;
	uz_autofree char *line = NULL;
	unsigned int major, minor;
	size_t cap = 0;

	if (!file)
		return;
	while (getline(&line, &cap, file) > 0) {
		dash = strstr(line, " - ");
		if (!dash ||
		    sscanf(line, "%*d %*d %u:%u %*s %255s", &major, &minor,
			   where) != 3 ||
		    sscanf(dash, " - %63s %255s", type, source) != 2)
			continue;
		if (!is_part(look, makedev(major, minor)) &&
		    !is_node(look, source))
			continue;
		snprintf(what, sizeof(what), "%s on %s", type, where);
		found(look, what);
	}
	fclose(file);
}

static void look_at_swaps(struct look *look)
{
	FILE *file = fopen("/proc/swaps", "re");
	uz_autofree char *line = NULL;
	size_t cap = 0;

	if (!file)
		return;
	while (getline(&line, &cap, file) > 0) {
		line[strcspn(line, " \t")] = '\0';
		if (is_node(look, line))
			found(look, "swap");
	}
	fclose(file);
}

static void look_at_holders(struct look *look)
{
	const struct dirent *entry;
	unsigned int i;
	char dir[64];
	DIR *d;

	for (i = 0; i < look->nr; i++) {
		snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u/holders",
			 major(look->parts[i]), minor(look->parts[i]));
		d = opendir(dir);
		if (!d)
			continue;
		while ((entry = readdir(d)))
			if (entry->d_name[0] != '.')
				found(look, entry->d_name);
		closedir(d);
	}
}

static void look_at_loops(struct look *look)
{
	char path[320], backing[256];
	const struct dirent *entry;
	DIR *d = opendir("/sys/block");
	FILE *file;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file",
			 entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(backing, sizeof(backing), file)) {
			backing[strcspn(backing, "\n")] = '\0';
			if (is_node(look, backing))
				found(look, entry->d_name);
		}
		fclose(file);
	}
	closedir(d);
}

/* ---- processes ---- */

static bool process_has_it(const struct look *look, pid_t pid)
{
	const struct dirent *entry;
	char path[64 + 256];
	bool has = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!has && (entry = readdir(d))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid,
			 entry->d_name);
		has = is_node(look, path);
	}
	closedir(d);
	return has;
}

static void look_at_processes(struct look *look)
{
	char path[64], comm[32], what[80];
	const struct dirent *entry;
	DIR *d = opendir("/proc");
	FILE *file;
	pid_t pid;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		pid = (pid_t)atol(entry->d_name);
		if (pid <= 0 || pid == getpid() || !process_has_it(look, pid))
			continue;
		comm[0] = '\0';
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		file = fopen(path, "re");
		if (file && fgets(comm, sizeof(comm), file))
			comm[strcspn(comm, "\n")] = '\0';
		if (file)
			fclose(file);
		snprintf(what, sizeof(what), "process %d (%s)", (int)pid, comm);
		found(look, what);
	}
	closedir(d);
}

unsigned int uz_disk_users(dev_t disk, char *text, size_t size)
{
	struct look look = { .text = text, .size = size };

	*text = '\0';
	read_parts(&look, disk);
	look_at_mounts(&look);
	look_at_swaps(&look);
	look_at_holders(&look);
	look_at_loops(&look);
	look_at_processes(&look);
	return look.count;
}
