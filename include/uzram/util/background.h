/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_BACKGROUND_H
#define UZRAM_UTIL_BACKGROUND_H

/**
 * uz_background() - the calling thread works while others are waited for
 *
 * From now on it takes a CPU from nobody by waking up, and who wakes up takes
 * its CPU at once, where the kernel can do that (Linux 6.12). Its share of the
 * time stays what it was, so it may hold locks. A refusal is no matter.
 *
 * Context: any thread; threads that it makes inherit it.
 */
void uz_background(void);

#endif
