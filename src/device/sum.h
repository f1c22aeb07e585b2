/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_SUM_H
#define UZRAM_DEVICE_SUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of an object: XXH3, 64 bits, the same on every machine. Apart
 * from device_priv.h, because sum_avx2.c must not pull in code that other
 * files share and that would then be compiled for a CPU that is not there.
 */
uint64_t uz__sum(const void *bytes, size_t size);
uint64_t uz__sum_avx2(const void *bytes, size_t size);

#endif
