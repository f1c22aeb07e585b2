// SPDX-License-Identifier: MIT
/*
 * How many buffers of which size the io_uring transport gets. The kernel wants
 * a queue for each CPU that the machine may ever have, however few it has now,
 * so the number of queues is given and depth and payload are what can yield.
 *
 * What is counted is what all of them would take. The kernel gets as many as
 * requests have been under way at a time, and one more (queue.c); the rest
 * takes no memory.
 *
 * Pure functions, but for those that read which CPUs there are.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "area_priv.h"

/*
 * As much as the kernel sends at a time. A request that comes in pieces costs
 * a trip for each, and page workers are woken and waited for that often.
 */
#define PAYLOAD_MAX (1024u << 10)
#define PAYLOAD_MIN FUSE_MIN_READ_BUFFER
/*
 * Until both are down to this, the payload yields before the depth: requests
 * that wait for an entry cost more than large ones that come in pieces.
 */
#define PAYLOAD_FAIR (64u << 10)
#define DEPTH_FAIR   8

uint64_t uz__fuse_plan_bytes(const struct uz__fuse_plan *plan)
{
	const uint64_t entry = UZ__FUSE_ENTRY_HEAD + plan->payload;

	return plan->queues * (uint64_t)plan->depth * entry + UZ_PAGE_SIZE +
	       plan->payload;
}

/* As deep as fits, but not less deep than that. */
static bool fits(struct uz__fuse_plan *plan, unsigned int depth_min,
		 uint64_t budget)
{
	plan->depth = UZ__FUSE_DEPTH_MAX;
	while ((plan->bytes = uz__fuse_plan_bytes(plan)) > budget &&
	       plan->depth > depth_min)
		plan->depth--;
	return plan->bytes <= budget;
}

int uz__fuse_plan(struct uz__fuse_plan *plan, unsigned int queues,
		  uint64_t budget)
{
	plan->queues = queues;
	for (plan->payload = PAYLOAD_MAX;; plan->payload /= 2) {
		if (fits(plan,
			 plan->payload > PAYLOAD_FAIR ? DEPTH_FAIR
						      : UZ__FUSE_DEPTH_MIN,
			 budget))
			return 0;
		if (plan->payload / 2 < PAYLOAD_MIN)
			return -ENOSPC;
	}
}

/* A number, and what follows it. */
static int parse_cpu(const char **text)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	n = strtoul(*text, &end, 10);
	*text = end;
	return n < UZ__FUSE_CPUS_MAX ? (int)n : -EINVAL;
}

int uz__fuse_cpus_parse(const char *list, struct uz__fuse_cpus *cpus)
{
	int first, last, i, count = 0;

	for (;; list++) {
		first = parse_cpu(&list);
		last = first;
		if (first >= 0 && *list == '-') {
			list++;
			last = parse_cpu(&list);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		count += last - first + 1;
		for (i = first; i <= last && cpus; i++)
			cpus->has[i] = true;
		if (*list != ',')
			break;
	}
	/* A list without its end was cut: there are more. */
	if (list[0] != '\n' || list[1])
		return -EINVAL;
	return count > UZ__FUSE_CPUS_MAX ? -EINVAL : count;
}

static int read_list(const char *path, struct uz__fuse_cpus *cpus)
{
	uz_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096]; /* never more than a page, here with 4 KiB */
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return uz__fuse_cpus_parse(text, cpus);
}

int uz__fuse_cpus_possible(void)
{
	return read_list("/sys/devices/system/cpu/possible", NULL);
}

int uz__fuse_cpus_online(struct uz__fuse_cpus *cpus)
{
	return read_list("/sys/devices/system/cpu/online", cpus);
}
