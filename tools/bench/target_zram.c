// SPDX-License-Identifier: MIT
/*
 * "zram[:ALGORITHM]": a device of the kernel's zram, lz4 unless said.
 *
 * A new one where the kernel lets us add one, else the first that nobody has
 * given a size.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

#define CONTROL "/sys/class/zram-control/"

static void attribute(const struct target *t, const char *name, char path[64])
{
	snprintf(path, 64, "/sys/block/zram%d/%s", t->number, name);
}

static int set(const struct target *t, const char *name, const char *value)
{
	char path[64];

	attribute(t, name, path);
	return scratch_write(path, value);
}

/* Whoever looks at every disk that comes, as udev does, may have it open. */
static void write_patiently(const char *path, const char *text)
{
	for (int i = 0; i < 1000 && scratch_write(path, text) == -EBUSY; i++)
		usleep(10000);
}

static void reset(void *arg)
{
	char path[64];

	attribute(arg, "reset", path);
	write_patiently(path, "1");
}

static void hot_remove(void *arg)
{
	const struct target *t = arg;
	char number[16];

	snprintf(number, sizeof(number), "%d", t->number);
	write_patiently(CONTROL "hot_remove", number);
}

static uint64_t memory(const struct target *t)
{
	char path[64], text[256];
	unsigned long long used = 0;

	attribute(t, "mm_stat", path);
	scratch_read(path, text, sizeof(text));
	if (sscanf(text, "%*u %*u %llu", &used) != 1)
		return 0;
	return used;
}

static int find_device(struct target *t)
{
	char text[32], path[64];

	scratch_read(CONTROL "hot_add", text, sizeof(text));
	if (sscanf(text, "%d", &t->number) == 1) {
		undo_push(hot_remove, t);
		return 0;
	}
	for (t->number = 0; t->number < 32; t->number++) {
		attribute(t, "initstate", path);
		scratch_read(path, text, sizeof(text));
		if (!strcmp(text, "0"))
			return 0;
	}
	return -ENODEV;
}

static int open_zram(struct target *t, const char *options, struct uz_err *err)
{
	const char *algorithm = *options ? options : "lz4";
	char size[32];
	int ret = find_device(t);

	if (ret)
		return uz_err_set(err, -ENOTSUP,
				  "target zram: no device of it is free here; "
				  "it needs root and a kernel with zram");
	ret = set(t, "comp_algorithm", algorithm);
	if (ret)
		return uz_err_set(err, ret, "target zram: algorithm %s: %s",
				  algorithm, strerror(-ret));
	snprintf(size, sizeof(size), "%llu", (unsigned long long)t->size);
	ret = set(t, "disksize", size);
	if (ret)
		return uz_err_set(err, ret, "target zram: disksize %s: %s",
				  size, strerror(-ret));
	undo_push(reset, t);
	snprintf(t->path, sizeof(t->path), "/dev/zram%d", t->number);
	t->memory = memory;
	return 0;
}

const struct target_kind target_zram = {
	.name = "zram",
	.open = open_zram,
};
