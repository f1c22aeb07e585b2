// SPDX-License-Identifier: MIT
/*
 * The kernel's zram with the same pages, written by direct I/O.
 *
 * What it takes all in all it does not tell; its table has 16 bytes for each
 * page of the device, and zsmalloc a handle of 8 bytes for each object.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "pool.h"

#define TABLE_ENTRY 16
#define HANDLE	    8

static void attribute(const struct pool_zram *z, const char *name,
		      char path[64])
{
	snprintf(path, 64, "/sys/block/zram%d/%s", z->target.number, name);
}

int pool_zram_open(struct pool_zram *z, struct pool_run *run,
		   struct uz_err *err)
{
	struct uz_err why = { 0 };
	char spec[UZ_CODEC_TEXT_MAX + 8];

	memset(z, 0, sizeof(*z));
	z->fd = -1;
	if (run->o->no_zram)
		return 0;
	snprintf(spec, sizeof(spec), "zram:%s", run->codec_text);
	if (!target_open(&z->target, spec, run->o->size, false, &why)) {
		z->fd = open(z->target.path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (z->fd < 0)
			uz_err_set(&why, -errno, "%s: %m", z->target.path);
	}
	z->here = z->fd >= 0;
	if (!z->here) {
		pool_zram_close(z);
		snprintf(run->table->note, sizeof(run->table->note),
			 "(without kernel zram: %s)", why.text);
	}
	return undo_stopped() ? uz_err_set(err, -EINTR, "interrupted") : 0;
}

void pool_zram_close(struct pool_zram *z)
{
	if (z->fd >= 0)
		close(z->fd);
	z->fd = -1;
	z->here = false;
	undo_all();
}

int pool_zram_fill(struct pool_zram *z, const struct pool_run *run,
		   const struct corpus *corpus, struct uz_err *err)
{
	const struct load fill = {
		.path = z->target.path,
		.corpus = corpus,
		.size = run->o->size,
		.block = CORPUS_WRAP,
		.reads = 0,
		.depth = 1,
		.jobs = 1,
	};

	return load_fill(&fill, err);
}

int pool_zram_write(struct pool_zram *z, uint64_t page, const void *buf,
		    struct uz_err *err)
{
	ssize_t n;

	do {
		n = pwrite(z->fd, buf, UZ_PAGE_SIZE,
			   (off_t)(page << UZ_PAGE_SHIFT));
	} while (n < 0 && errno == EINTR);
	if (n == UZ_PAGE_SIZE)
		return 0;
	return uz_err_set(err, n < 0 ? -errno : -EIO, "%s: cannot write: %s",
			  z->target.path, strerror(n < 0 ? errno : EIO));
}

int pool_zram_compact(struct pool_zram *z, struct uz_err *err)
{
	char path[64];
	int ret;

	attribute(z, "compact", path);
	ret = scratch_write(path, "1");
	return ret ? uz_err_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

int pool_zram_memory(const struct pool_zram *z, struct pool_memory *m,
		     struct uz_err *err)
{
	unsigned long long orig, compressed, used, same;
	uint64_t table = z->target.size / UZ_PAGE_SIZE * TABLE_ENTRY;
	char path[64], text[256];

	attribute(z, "mm_stat", path);
	scratch_read(path, text, sizeof(text));
	if (sscanf(text, "%llu %llu %llu %*u %*u %llu", &orig, &compressed,
		   &used, &same) != 4)
		return uz_err_set(err, -EIO, "%s: \"%s\" is not understood",
				  path, text);
	m->compressed = compressed;
	m->used = used;
	m->meta = 0;
	m->table = table;
	m->resident = 0;
	m->all = used + table + (orig / UZ_PAGE_SIZE - same) * HANDLE;
	return 0;
}
