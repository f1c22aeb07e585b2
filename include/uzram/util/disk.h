/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_DISK_H
#define UZRAM_UTIL_DISK_H

#include <stddef.h>
#include <sys/types.h>

/**
 * uz_disk_users() - who uses a block device, or a partition of it
 * @disk: its number (st_rdev)
 * @text: filled: "ext4 on /mnt/x, swap, dm-0, process 1234 (fio)"; ends in
 *        "..." when there is no room
 * @size: bytes at @text
 *
 * Read from /proc and /sys: what the caller may not see is not found, and what
 * is found may be outdated. The calling process is left out.
 *
 * Context: any thread; does not open the device.
 * Return:  how many.
 */
unsigned int uz_disk_users(dev_t disk, char *text, size_t size);

#endif
