// SPDX-License-Identifier: MIT
/*
 * Huge pages of a memfd, made when somebody asks for one (MADV_COLLAPSE): the
 * kernel copies 2 MiB to one page and maps that. It does so whatever
 * transparent_hugepage/shmem_enabled says, and fills holes.
 *
 * Where the system makes them without being asked, the first byte written
 * populates 2 MiB. Who counts his memory has that forbidden, and then none are
 * made for him at all.
 *
 * What is remembered belongs to the process: whether the kernel can.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <uzram/util/shm.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define SETTINGS "/sys/kernel/mm/transparent_hugepage/"

/*
 * So many refusals before the first success, and it cannot be done here. The
 * kernel has one errno for "not in this build" and for some of what passes.
 */
#define REFUSALS 4

static _Atomic bool works;
static _Atomic unsigned int refusals;

/* Does the chosen word of a setting, "a [b] c", give huge pages unasked? */
static bool setting_gives(const char *path)
{
	static const char *const giving[] = { "[always]", "[within_size]",
					      "[force]" };
	FILE *f = fopen(path, "re");
	char line[128] = "";
	size_t i;

	/* That there is none says that nobody gives any; else be careful. */
	if (!f)
		return errno != ENOENT;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	for (i = 0; i < sizeof(giving) / sizeof(giving[0]); i++)
		if (strstr(line, giving[i]))
			return true;
	return false;
}

/* Pages of any size above the smallest; since Linux 6.11 each has a setting. */
static bool system_gives(void)
{
	char path[sizeof(SETTINGS) + 48];
	unsigned int kib;

	if (setting_gives(SETTINGS "shmem_enabled"))
		return true;
	for (kib = UZ_PAGE_SIZE / 512; kib <= UZ_SHM_HUGE / 1024; kib *= 2) {
		snprintf(path, sizeof(path),
			 SETTINGS "hugepages-%ukB/shmem_enabled", kib);
		if (setting_gives(path))
			return true;
	}
	return false;
}

void uz_shm_page_by_page(struct uz_shm *shm, bool always)
{
	shm->small = always || system_gives();
	/* Fails where there are no huge pages. */
	if (shm->small)
		madvise(shm->base, shm->room, MADV_NOHUGEPAGE);
}

/* relaxed: numbers; a stale one costs one more refused call. */
static int refused(void)
{
	if (atomic_load_explicit(&works, memory_order_relaxed))
		return -EAGAIN;
	if (atomic_fetch_add_explicit(&refusals, 1, memory_order_relaxed) + 1 <
	    REFUSALS)
		return -EAGAIN;
	return -ENOTSUP;
}

static bool never(void)
{
	return atomic_load_explicit(&refusals, memory_order_relaxed) >=
		       REFUSALS &&
	       !atomic_load_explicit(&works, memory_order_relaxed);
}

int uz_shm_collapse(const struct uz_shm *shm, size_t off)
{
	char *at = (char *)shm->base + off;

	if (off % UZ_SHM_HUGE || off >= shm->size ||
	    shm->size - off < UZ_SHM_HUGE)
		return -EINVAL;
	if (shm->small || (uintptr_t)at % UZ_SHM_HUGE || never())
		return -ENOTSUP;
	if (!madvise(at, UZ_SHM_HUGE, MADV_COLLAPSE)) {
		atomic_store_explicit(&works, true, memory_order_relaxed);
		return 0;
	}
	switch (errno) {
	case EBUSY: /* the cgroup has no room for it */
	case ENOMEM:
		return -ENOMEM;
	case EINVAL:
		return refused();
	default:
		return -EAGAIN;
	}
}
