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
 * Suffixes as in util-linux: K, M, G, T, P, E and KiB... are powers of 1024,
 * KB... powers of 1000; the case of the letters does not matter. White space
 * around is allowed (around the slash as well), anything else after the size
 * is not. What does not come out whole is rounded down.
 *
 * Context: any thread; allocates nothing.
 * Return:  0; -EINVAL not a size, or negative; -ERANGE more than 2^64 - 1. On
 *          failure @size is untouched.
 */
uz_must_check int uz_size_parse(const char *text, uint64_t ram, uint64_t *size);

/**
 * uz_size_compute() - a size as zram-generator computes it
 * @text: numbers, with a suffix or a percent sign as above or without, and
 *        "ram"; + - * / and parentheses between them; min(A, B, ...) and
 *        max(A, B, ...). White space is allowed between all of these.
 * @ram:  bytes of memory that "ram" and "%" refer to
 * @unit: bytes that the result counts in: a number without suffix is one of
 *        them, so that with 2^20 "ram / 2" is half of the memory and
 *        "2 * 1024" is 2 GiB
 * @size: bytes, on success
 *
 * Computed in floating-point numbers and rounded down to a byte.
 *
 * Context: any thread; allocates nothing.
 * Return:  0; -EINVAL not such a text, a negative result, a division by zero,
 *          or more than 16 parentheses in one another; -ERANGE more than
 *          2^64 - 1. On failure @size is untouched.
 */
uz_must_check int uz_size_compute(const char *text, uint64_t ram, uint64_t unit,
				  uint64_t *size);

/**
 * uz_size_memparse() - a size as the kernel's attributes take it
 * @text: decimal, 0x hexadecimal or 0 octal number, with one of K M G T P E
 *        after it (either case), then B or iB, and one line feed at most
 * @size: bytes, on success
 *
 * As strict as kernel zram is lenient: what else follows is an error.
 *
 * Context: any thread; allocates nothing.
 * Return:  0; -EINVAL or -ERANGE as uz_size_parse(); then @size is untouched.
 */
uz_must_check int uz_size_memparse(const char *text, uint64_t *size);

/**
 * uz_size_ram() - how much memory this process may hope for
 *
 * The machine's memory, or the lowest limit of the process's own cgroup and
 * those around it (v1 and v2) when that is lower.
 *
 * Context: any thread; reads files.
 * Return:  bytes, never 0.
 */
uint64_t uz_size_ram(void);

/**
 * uz_size_ram_at() - the same with another root directory, for tests
 * @root: directory whose proc/self/cgroup and sys/fs/cgroup are read; the
 *        machine's own memory is the real one whatever this is
 *
 * Context: any thread; reads files.
 * Return:  bytes, never 0.
 */
uint64_t uz_size_ram_at(const char *root);

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
