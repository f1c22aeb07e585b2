// SPDX-License-Identifier: MIT
/*
 * Corpora: real data to store, held in memory whole.
 *
 * The memory is aligned to pages and repeats its start after its end, so a
 * load generator writes from it directly, at any page, without a copy and
 * without a wrap in the middle of a block.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <uzram/util/cleanup.h>

#include "bench.h"

static int read_file(struct corpus *c, int fd, size_t max)
{
	while (c->size < max) {
		ssize_t n = read(fd, c->data + c->size, max - c->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		c->size += (size_t)n;
	}
	return 0;
}

static int read_dir(struct corpus *c, int fd, size_t max)
{
	struct dirent **entry = NULL;
	int n = scandirat(fd, ".", &entry, NULL, alphasort);

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		uz_autoclose int file = -1;
		struct stat st;

		if (c->size < max && entry[i]->d_name[0] != '.')
			file = openat(fd, entry[i]->d_name,
				      O_RDONLY | O_CLOEXEC | O_NONBLOCK |
					      O_NOFOLLOW);
		/* What cannot be read is only not part of the corpus. */
		if (file >= 0 && fstat(file, &st) == 0 && S_ISREG(st.st_mode))
			(void)read_file(c, file, max);
		free(entry[i]);
	}
	free(entry);
	return 0;
}

static void set_name(struct corpus *c, const char *path)
{
	size_t len = strlen(path);
	const char *base;

	while (len > 1 && path[len - 1] == '/')
		len--;
	base = path + len;
	while (base > path && base[-1] != '/')
		base--;
	/* A directory's last name alone ("bin") says too little. */
	if (base - path < 8)
		base = path;
	snprintf(c->name, sizeof(c->name), "%.*s", (int)(path + len - base),
		 base);
	output_printable(c->name);
}

void corpus_free(struct corpus *c)
{
	if (c->data)
		munmap(c->data, c->mapped);
	memset(c, 0, sizeof(*c));
}

static int map_data(struct corpus *c, const char *name, size_t max,
		    struct uz_err *err)
{
	c->data = mmap(NULL, max + CORPUS_WRAP, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->data == MAP_FAILED) {
		c->data = NULL;
		return uz_err_set(err, -ENOMEM, "corpus %s: no memory", name);
	}
	c->mapped = max + CORPUS_WRAP;
	set_name(c, name);
	return 0;
}

int corpus_make(struct corpus *c, const char *name, size_t size,
		void (*fill)(uint8_t *page, uint64_t index), struct uz_err *err)
{
	int ret;

	memset(c, 0, sizeof(*c));
	ret = map_data(c, name, size, err);
	if (ret)
		return ret;
	c->size = size;
	for (uint64_t i = 0; i < corpus_pages(c); i++)
		fill(c->data + i * UZ_PAGE_SIZE, i);
	memcpy(c->data + size, c->data, CORPUS_WRAP);
	return 0;
}

int corpus_load(struct corpus *c, const char *path, size_t max,
		struct uz_err *err)
{
	uz_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int ret;

	memset(c, 0, sizeof(*c));
	if (fd < 0 || fstat(fd, &st) < 0)
		return uz_err_set(err, -errno, "corpus %s: %m", path);
	max &= ~(size_t)(UZ_PAGE_SIZE - 1);
	ret = map_data(c, path, max, err);
	if (ret)
		return ret;
	ret = S_ISDIR(st.st_mode) ? read_dir(c, fd, max)
				  : read_file(c, fd, max);
	if (ret < 0) {
		uz_err_set(err, ret, "corpus %s: %s", path, strerror(-ret));
		goto fail;
	}
	c->size &= ~(size_t)(UZ_PAGE_SIZE - 1);
	if (c->size < CORPUS_MIN) {
		ret = uz_err_set(err, -EINVAL,
				 "corpus %s: holds less than 1 MiB; give a "
				 "larger file, tools/corpus makes some",
				 path);
		goto fail;
	}
	memcpy(c->data + c->size, c->data, CORPUS_WRAP);
	return 0;
fail:
	corpus_free(c);
	return ret;
}
