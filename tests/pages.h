/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAGES_H
#define TESTS_PAGES_H

/*
 * Pages of every kind that memory holds, and a place for them between guard
 * pages: the libraries that are tested are not built with a sanitizer, so a
 * byte too far must fault by itself.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <uzram/types.h>

enum page_kind {
	PAGE_ZERO,
	PAGE_WORD, /* one word over and over */
	PAGE_RAMP, /* 0, 1, 2, ... */
	PAGE_TEXT,
	PAGE_POINTERS, /* as a heap has them */
	PAGE_RUNS, /* repeated bytes of all lengths */
	PAGE_HALF, /* half zero, half random */
	PAGE_RANDOM,
	PAGE_KINDS,
};

static inline uint64_t page_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* UZ_SEED, or something new; @prefix is "# " where the output is TAP. */
static inline uint64_t page_seed(const char *prefix)
{
	const char *given = getenv("UZ_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

	printf("%sseed %llu\n", prefix, (unsigned long long)seed);
	fflush(stdout);
	/* The generator must not start at zero, nor with close states. */
	return (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

static inline void page_words(uint64_t *words, enum page_kind kind,
			      uint64_t *random)
{
	uint64_t first = page_random(random);
	size_t n = UZ_PAGE_SIZE / sizeof(*words);

	for (size_t i = 0; i < n; i++) {
		uint64_t next = page_random(random);

		if (kind == PAGE_WORD)
			words[i] = first;
		else if (kind == PAGE_POINTERS)
			words[i] = UINT64_C(0x7f0000000000) + next % 65536 * 16;
		else if (kind == PAGE_RANDOM || i < n / 2)
			words[i] = next;
		else
			words[i] = 0;
	}
}

static inline void page_text(char *text, uint64_t *random)
{
	static const char *const words[] = { "the ",	"page ", "of ",
					     "a ",	"slot ", "is ",
					     "stored ", "in\n",	 "memory, " };
	size_t at = 0;

	while (at < UZ_PAGE_SIZE) {
		const char *w = words[page_random(random) %
				      (sizeof(words) / sizeof(words[0]))];
		size_t n = strlen(w);

		if (n > UZ_PAGE_SIZE - at)
			n = UZ_PAGE_SIZE - at;
		memcpy(text + at, w, n);
		at += n;
	}
}

static inline void page_runs(unsigned char *bytes, uint64_t *random)
{
	size_t at = 0;

	while (at < UZ_PAGE_SIZE) {
		size_t n = 1 + page_random(random) % 300;

		if (n > UZ_PAGE_SIZE - at)
			n = UZ_PAGE_SIZE - at;
		memset(bytes + at, (int)(page_random(random) & 0xff), n);
		at += n;
	}
}

static inline void page_fill(void *page, enum page_kind kind, uint64_t *random)
{
	unsigned char *bytes = page;

	switch (kind) {
	case PAGE_ZERO:
	case PAGE_KINDS:
		memset(page, 0, UZ_PAGE_SIZE);
		break;
	case PAGE_RAMP:
		for (size_t i = 0; i < UZ_PAGE_SIZE; i++)
			bytes[i] = (unsigned char)i;
		break;
	case PAGE_TEXT:
		page_text(page, random);
		break;
	case PAGE_RUNS:
		page_runs(page, random);
		break;
	case PAGE_WORD:
	case PAGE_POINTERS:
	case PAGE_HALF:
	case PAGE_RANDOM:
		page_words(page, kind, random);
		break;
	}
}

/* A page of memory with no memory before and none after it; NULL if refused. */
static inline unsigned char *page_guarded(void)
{
	unsigned char *base = mmap(NULL, (size_t)3 * UZ_PAGE_SIZE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED ||
	    mprotect(base + UZ_PAGE_SIZE, UZ_PAGE_SIZE, PROT_READ | PROT_WRITE))
		return NULL;
	return base + UZ_PAGE_SIZE;
}

static inline void page_unguard(unsigned char *page)
{
	munmap(page - UZ_PAGE_SIZE, (size_t)3 * UZ_PAGE_SIZE);
}

#endif
