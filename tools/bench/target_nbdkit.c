// SPDX-License-Identifier: MIT
/*
 * "nbdkit[:ALLOCATOR]": nbdkit's memory plugin behind nbdfuse, the nearest
 * thing to uzram that distributions have; allocator zstd unless said.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"

static void take_down(void *arg)
{
	struct target *t = arg;

	/* It ends by itself, and without a word, when it is unmounted. */
	scratch_unmount(t->path);
	for (int i = 0; i < 300 && child_alive(t->pid); i++)
		usleep(10000);
	child_stop(t->pid);
}

/* Resident memory of nbdkit, the child of nbdfuse. */
static uint64_t memory(const struct target *t)
{
	unsigned long long kib = 0;
	char path[64], text[64], line[128];
	int server = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", t->pid,
		 t->pid);
	scratch_read(path, text, sizeof(text));
	if (sscanf(text, "%d", &server) != 1)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/status", server);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

/* It is there when the empty file has become as large as the export. */
static int wait_ready(const struct target *t, struct uz_err *err)
{
	for (int i = 0; i < 6000; i++) {
		struct stat st;

		if (stat(t->path, &st) == 0 && (uint64_t)st.st_size == t->size)
			return 0;
		if (!child_alive(t->pid))
			return uz_err_set(
				err, -ENOTSUP,
				"target nbdkit: did not start; it "
				"needs nbdkit, nbdfuse and /dev/fuse");
		if (atomic_load_explicit(&undo_stop, memory_order_relaxed))
			return uz_err_set(err, -EINTR, "interrupted");
		usleep(10000);
	}
	return uz_err_set(err, -ETIMEDOUT, "target nbdkit: not ready in 60 s");
}

static int open_nbdkit(struct target *t, const char *options,
		       struct uz_err *err)
{
	char size[32], allocator[64];
	char *argv[] = {
		(char *)"nbdfuse",
		t->path,
		(char *)"[",
		(char *)"nbdkit",
		(char *)"--exit-with-parent",
		(char *)"memory",
		size,
		allocator,
		(char *)"]",
		NULL,
	};
	int ret = scratch_make(t->dir, err), fd;

	if (ret)
		return ret;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)t->size);
	snprintf(allocator, sizeof(allocator), "allocator=%s",
		 *options ? options : "zstd");
	snprintf(t->path, sizeof(t->path), "%.*s/nbd", PATH_MAX - 8, t->dir);
	fd = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return uz_err_set(err, -errno, "target nbdkit: %s: %m",
				  t->path);
	close(fd);
	ret = child_start(argv, NULL, &t->pid);
	if (ret)
		return uz_err_set(err, ret, "target nbdkit: %s",
				  strerror(-ret));
	undo_push(take_down, t);
	t->memory = memory;
	return wait_ready(t, err);
}

const struct target_kind target_nbdkit = {
	.name = "nbdkit",
	.open = open_nbdkit,
};
