/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_SIZE_H
#define UZRAM_UTIL_SIZE_H

#include <uzram/types.h>

/**
 * uz_size_parse() - a size as people write it
 * @text: "4096", "512M", "1GiB", "2GB", "1.5G", "50%", "ram", "ram/2"
 * @ram:  bytes of memory that "ram" and "%" refer to; 0: refuse those forms
 * @size: bytes, on success
 *
 * Suffixes as in util-linux: K, M, G, T, P and KiB... are powers of 1024, KB...
 * powers of 1000; the case of the letters does not matter. White space around
 * is allowed, anything else after the size is not.
 *
 * Context: any thread; allocates nothing.
 * Return:  0; -EINVAL not a size, or negative; -ERANGE more than 2^64 - 1. On
 *          failure @size is untouched.
 */
uz_must_check int uz_size_parse(const char *text, uint64_t ram, uint64_t *size);

/**
 * uz_size_memparse() - a size as the kernel's attributes take it
 * @text: decimal, 0x hexadecimal or 0 octal number, with one of K M G T P E
 *        after it (either case), and one line feed at most
 * @size: bytes, on success
 *
 * As strict as kernel zram is lenient: what follows the suffix is an error.
 *
 * Context: any thread; allocates nothing.
 * Return:  0; -EINVAL or -ERANGE as uz_size_parse(); then @size is untouched.
 */
uz_must_check int uz_size_memparse(const char *text, uint64_t *size);

/**
 * uz_size_ram() - how much memory this process may hope for
 *
 * The machine's memory, or the cgroup's limit (v1 or v2) when it is lower.
 *
 * Context: any thread; reads files.
 * Return:  bytes, never 0.
 */
uint64_t uz_size_ram(void);

#define UZ_SIZE_TEXT 16

/**
 * uz_size_format() - a size for a person, as util-linux prints it ("1.5G")
 * @size: bytes
 * @text: at least UZ_SIZE_TEXT bytes
 *
 * Context: any thread; allocates nothing.
 */
void uz_size_format(uint64_t size, char text[UZ_SIZE_TEXT]);

#endif
