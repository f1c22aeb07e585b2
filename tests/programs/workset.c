// SPDX-License-Identifier: MIT
/*
 * A program that uses more memory than there is: workset MIB SECONDS SEED KEEP.
 *
 * Every page is made its own by its number and version, and compresses to about
 * a third. For SECONDS it takes pages in any order, looks whether they are what
 * they were, and changes half of them. Then it looks at all of them, lets go of
 * all but KEEP MiB, and looks at those again on SIGTERM. It says how far it has
 * come; what differs ends it.
 *
 * It calls nothing that allocates once it works, and needs no other file, so
 * that it fits a guest's small image.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define PAGE  4096
#define WORDS (PAGE / sizeof(uint64_t))

static unsigned char *memory;
static uint32_t *versions;

static uint64_t next_random(uint64_t *state)
{
	/* Marsaglia's xorshift64. */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Noise of any length up to 5/8, so of many size classes; then repetition. */
static void make(uint64_t *page, size_t i)
{
	uint64_t state = (i << 32 | versions[i]) * 2654435769u + 1;
	size_t at, noise = 8 + next_random(&state) % 312;

	page[0] = i;
	page[1] = versions[i];
	for (at = 2; at < noise; at++)
		page[at] = next_random(&state);
	for (; at < WORDS; at++)
		page[at] = state;
}

static void fill(size_t i)
{
	make((uint64_t *)(memory + i * PAGE), i);
}

static void check(size_t i, const char *when)
{
	uint64_t page[WORDS];

	make(page, i);
	if (!memcmp(memory + i * PAGE, page, PAGE))
		return;
	printf("page %zu is not what it was, %s\n", i, when);
	exit(EXIT_FAILURE);
}

static void check_all(size_t nr, const char *when)
{
	size_t i;

	for (i = 0; i < nr; i++)
		check(i, when);
}

static void work(size_t nr, time_t seconds, uint64_t state)
{
	const time_t end = time(NULL) + seconds;

	while (time(NULL) < end) {
		uint64_t random = next_random(&state);
		size_t i = (random >> 1) % nr;

		check(i, "while it worked");
		if (random & 1) {
			versions[i]++;
			fill(i);
		}
	}
}

int main(int argc, char **argv)
{
	struct rusage usage;
	size_t nr, keep, i;
	sigset_t term;
	int signal;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5)
		return 2;
	nr = strtoul(argv[1], NULL, 10) << 8;
	keep = strtoul(argv[4], NULL, 10) << 8;
	memory = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	versions = calloc(nr, sizeof(*versions));
	if (!nr || keep > nr || memory == MAP_FAILED || !versions)
		return 2;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	printf("seed %s\n", argv[3]);
	for (i = 0; i < nr; i++)
		fill(i);
	puts("filled");
	work(nr, (time_t)strtoul(argv[2], NULL, 10),
	     strtoul(argv[3], NULL, 10) + 1);
	puts("worked");
	check_all(nr, "after the work");
	munmap(memory + keep * PAGE, (nr - keep) * PAGE);
	getrusage(RUSAGE_SELF, &usage);
	printf("waited for a page %ld times\n", usage.ru_majflt);
	puts("kept");
	sigwait(&term, &signal);
	check_all(keep, "after swapoff");
	puts("same");
	return 0;
}
