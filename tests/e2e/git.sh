#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The project's own history, cloned onto the device and checked by git.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_loop
requires git mkfs.ext4
[ -e "$source_root/.git" ] || missing commands "$source_root has no history"

# The tree may belong to somebody else.
export HOME=$tmp GIT_CONFIG_NOSYSTEM=1
git config --global safe.directory '*'
# Nothing of it goes on in the background, and keeps the file system in use.
git config --global gc.auto 0
git config --global maintenance.auto false

start_device git -s 1G -a zstd
attach_loop "$dev_block"
mkfs.ext4 -q "$loop_dev"
mount_fs "$loop_dev"
git clone -q --no-local "$source_root" "$fs_dir/clone"
unmount_fs "$fs_dir"

mount_fs "$loop_dev"
git -C "$fs_dir/clone" fsck --full --strict
expect_equal "$(git -C "$fs_dir/clone" status --porcelain)" '' 'git status'
expect_equal "$(git -C "$fs_dir/clone" rev-parse HEAD)" \
	"$(git -C "$source_root" rev-parse HEAD)" HEAD
