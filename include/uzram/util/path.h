/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_PATH_H
#define UZRAM_UTIL_PATH_H

#include <uzram/types.h>

/**
 * uz_path_absolute() - a path that means the same in any directory
 * @file: a path; need not exist
 * @path: filled on success; nothing but the working directory is put before
 *        @file
 * @size: bytes at @path
 *
 * Context: any thread.
 * Return:  0; -EINVAL @file is empty; -ENAMETOOLONG; other -errno.
 */
uz_must_check int uz_path_absolute(const char *file, char *path, size_t size);

#endif
