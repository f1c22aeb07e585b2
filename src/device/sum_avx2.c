// SPDX-License-Identifier: MIT
/*
 * XXH3 compiled for AVX2, which more than doubles it. This file alone is
 * built with -mavx2; sum.c calls it where the CPU has it.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sum.h"

uint64_t uz__sum_avx2(const void *bytes, size_t size)
{
	return XXH3_64bits(bytes, size);
}
