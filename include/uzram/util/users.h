/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_USERS_H
#define UZRAM_UTIL_USERS_H

#include <sys/types.h>

#include <uzram/types.h>

/**
 * DOC: who uses a mount, or a disk
 *
 * Found from outside, in /proc and /sys, because the kernel tells a FUSE
 * server neither who attached a loop device to a file of it nor what is
 * mounted on that, and the server of a disk nothing at all. What the caller
 * may not see (other users' processes) is not found.
 */

/**
 * enum uz_user_kind - how a mount or a disk is used
 * @UZ_USER_LOOP:    a loop device stands on a file of it, or on the disk
 * @UZ_USER_MOUNT:   a file system is mounted on such a loop device or the disk
 * @UZ_USER_SWAP:    the system swaps to one of these
 * @UZ_USER_HOLDER:  another device (dm, md) stands on the disk
 * @UZ_USER_PROCESS: a process has a file of the mount, the disk or such a loop
 *                   device open, mapped, or as its directory
 */
enum uz_user_kind {
	UZ_USER_LOOP,
	UZ_USER_MOUNT,
	UZ_USER_SWAP,
	UZ_USER_HOLDER,
	UZ_USER_PROCESS,
};

/**
 * struct uz_user - one user
 * @kind: how
 * @loop: number of the loop device; -1: the mount or the disk itself is used
 * @pid:  the process; 0 for the other kinds
 * @type: the file system's type, the process's or the holder's name, else ""
 * @path: UZ_USER_MOUNT: where it is mounted; UZ_USER_SWAP: what is swapped to;
 *        else ""
 */
struct uz_user {
	enum uz_user_kind kind;
	int loop;
	pid_t pid;
	char type[32];
	char path[4096];
};

/**
 * struct uz_users - all of them, loop devices first
 * @list:  @count users
 * @count: how many
 *
 * All zeroes is an empty list.
 */
struct uz_users {
	struct uz_user *list;
	size_t count;
};

/**
 * uz_users_find() - look for the users of a mount, a disk, or both
 * @users:     filled on success, untouched on failure
 * @fs:        st_dev of what is or was mounted; 0: no mount
 * @disk:      st_rdev of a disk, whose partitions count as it; 0: no disk
 * @processes: look at every process too, which takes some milliseconds
 *
 * The calling process itself is left out.
 *
 * Context: any thread; reads /proc and /sys.
 * Return:  0 or -ENOMEM. What cannot be read is taken for unused.
 */
uz_must_check int uz_users_find(struct uz_users *users, dev_t fs, dev_t disk,
				bool processes);

/**
 * uz_users_free() - free the list; it is empty afterwards
 * @users: from uz_users_find(), or all zeroes
 *
 * Context: any thread.
 */
void uz_users_free(struct uz_users *users);

/**
 * uz_users_text() - name them in one line
 * @users: at least one
 * @text:  filled: "/dev/loop3 (ext4 on /mnt/x), process 1234 (fio)", or of a
 *         disk "ext4 on /mnt/x, swap, /dev/dm-0"; "and 2 more" when there is
 *         no room
 * @size:  bytes at @text
 *
 * Context: any thread; allocates nothing.
 */
void uz_users_text(const struct uz_users *users, char *text, size_t size);

#endif
