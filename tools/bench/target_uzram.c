// SPDX-License-Identifier: MIT
/*
 * "uzram[:KEY=VALUE[,KEY=VALUE]...]": a device of ours, served by the uzramd
 * that lies beside this program, or the one that is installed. "frontend=ublk"
 * among them makes it a disk.
 */
#include <string.h>

#include <uzram/util/cleanup.h>

#include "device.h"

#define OPTIONS_MAX 16

static void find_daemon(char path[PATH_MAX])
{
	char self[PATH_MAX - 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n > 0) {
		self[n] = 0;
		slash = strrchr(self, '/');
		*slash = 0;
		snprintf(path, PATH_MAX, "%s/uzramd", self);
		if (access(path, X_OK) == 0)
			return;
		snprintf(path, PATH_MAX, "%s/../sbin/uzramd", self);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, PATH_MAX, "uzramd");
}

static void take_down(void *arg)
{
	struct target *t = arg;
	char mount[PATH_MAX + 8];

	child_stop(t->pid);
	snprintf(mount, sizeof(mount), "%s/bench", t->dir);
	scratch_unmount(mount);
}

/* mem_used_total is the third number of mm_stat. */
static uint64_t memory(const struct target *t)
{
	char path[PATH_MAX + 16], text[256];
	unsigned long long used = 0;

	snprintf(path, sizeof(path), "%s/bench/mm_stat", t->dir);
	scratch_read(path, text, sizeof(text));
	if (sscanf(text, "%*u %*u %llu", &used) != 1)
		return 0;
	return used;
}

/* READY, or why not; -ENOTSUP when it says that it cannot be had here. */
static int wait_ready(const struct target *t, int fd, struct uz_err *err)
{
	char line[UZ_ERR_TEXT] = "";
	size_t len = 0;

	while (len < sizeof(line) - 1) {
		ssize_t n = read(fd, line + len, sizeof(line) - 1 - len);

		if (n < 0 && errno == EINTR)
			return uz_err_set(err, -EINTR, "interrupted");
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	line[strcspn(line, "\n")] = 0;
	if (!strcmp(line, "READY"))
		return 0;
	return uz_err_set(
		err, child_status(t->pid) == EXIT_UNSUPPORTED ? -ENOTSUP : -EIO,
		"target %s: %s", t->name,
		*line ? line : "uzramd did not start");
}

/* The front end is no option of the device but of the daemon. */
static int option(char *word, char *argv[2])
{
	static const char frontend[] = "frontend=";
	const size_t len = sizeof(frontend) - 1;
	const bool is_frontend = !strncmp(word, frontend, len);

	argv[0] = (char *)(is_frontend ? "--frontend" : "-o");
	argv[1] = is_frontend ? word + len : word;
	return 2;
}

static int open_uzram(struct target *t, const char *options, struct uz_err *err)
{
	char daemon[PATH_MAX], size[32], *argv[8 + 2 * OPTIONS_MAX];
	uz_autofree char *copy = strdup(options);
	uz_autoclose int ready = -1;
	char *rest = copy, *word;
	int n = 0, ret;

	if (!copy)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = scratch_make(t->dir, err);
	if (ret)
		return ret;
	find_daemon(daemon);
	snprintf(size, sizeof(size), "%llu", (unsigned long long)t->size);
	argv[n++] = daemon;
	argv[n++] = (char *)"--quiet";
	argv[n++] = (char *)"--ready-fd=3";
	argv[n++] = (char *)"--size";
	argv[n++] = size;
	while ((word = strsep(&rest, ","))) {
		if (!*word)
			continue;
		if (n >= 5 + 2 * OPTIONS_MAX)
			return uz_err_set(err, -EINVAL,
					  "target uzram: too many options");
		n += option(word, argv + n);
	}
	argv[n++] = (char *)"bench";
	argv[n] = NULL;
	setenv("UZRAM_RUNDIR", t->dir, 1);
	ret = child_start(argv, &ready, &t->pid);
	if (ret)
		return uz_err_set(err, ret, "target uzram: %s", strerror(-ret));
	undo_push(take_down, t);
	snprintf(t->path, sizeof(t->path), "%.*s/bench/block", PATH_MAX - 16,
		 t->dir);
	t->memory = memory;
	return wait_ready(t, ready, err);
}

const struct target_kind target_uzram = {
	.name = "uzram",
	.open = open_uzram,
};
