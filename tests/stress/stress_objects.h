/* SPDX-License-Identifier: MIT */
#ifndef STRESS_OBJECTS_H
#define STRESS_OBJECTS_H

/* What stress_pool.c stores: sizes and bytes, and the numbers behind them. */
#include <stdlib.h>

#include <uzram/pool.h>

static inline uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint8_t pattern(uint32_t owner, uint32_t size, uint32_t at)
{
	uint32_t h = owner * 2654435761u ^ size * 40503u;

	return (uint8_t)((h >> (at % 4 * 8)) + at);
}

static inline void fill(uint8_t *bytes, uint32_t owner, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size; i++)
		bytes[i] = pattern(owner, size, i);
}

/* Most sizes fall into few classes, so that zspages are fought over. */
static inline uint32_t random_size(uint64_t r)
{
	static const uint32_t few[] = { 8, 700, 704, 1500, 2900, 4096, 4104 };

	if (r % 4)
		return few[r / 4 % (sizeof(few) / sizeof(few[0]))];
	return 1 + (uint32_t)(r / 4 % UZ_POOL_MAX_OBJECT);
}

#endif
