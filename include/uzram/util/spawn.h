/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_SPAWN_H
#define UZRAM_UTIL_SPAWN_H

#include <uzram/types.h>

/**
 * uz_spawn_wait() - run another program and wait for its end
 * @argv:  its words, ended by NULL; the first is looked up in PATH. Never
 *         passes through a shell
 * @quiet: throw its stderr away as well; its stdout always is
 *
 * Context: any thread; the program inherits no signal that is blocked here.
 * Return:  its exit status, 0 ... 255 (128 + N when signal N ended it);
 *          -ENOENT no such program; other -errno.
 */
uz_must_check int uz_spawn_wait(const char *const argv[], bool quiet);

#endif
