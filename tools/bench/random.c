// SPDX-License-Identifier: MIT
/*
 * Numbers that look random and are the same in every run: what is compared
 * has to do the same work.
 */
#include "bench.h"

uint64_t random_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	/* The high half of a 128-bit product: no division. */
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint64_t)((unsigned __int128)random_mix(*state) * n >> 64);
}

void random_order(uint32_t *order, uint64_t n, uint64_t seed)
{
	for (uint64_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	for (uint64_t i = n; i > 1; i--) {
		uint64_t j = random_below(&seed, i);
		uint32_t t = order[i - 1];

		order[i - 1] = order[j];
		order[j] = t;
	}
}
