#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Discarded pages give their memory back: through a file system's fstrim and
# through blkdiscard.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_loop
requires mkfs.ext4 fstrim blkdiscard

blocks()
{
	stat -c %b "$dev_block"
}

# A file's blocks are what its pages take up in memory; the kernel may
# remember them for a second.
blocks_hold()
{
	[ $(($(blocks) * 512)) -ge "$1" ]
}

# used_at_most BYTES: memory may go back a moment after the discard.
used_at_most()
{
	[ "$(mm_stat 3)" -le "$1" ]
}

blocks_match()
{
	[ $(($(blocks) * 512)) -eq "$(mm_stat 3)" ]
}

start_device discard -s 1G -a lz4
attach_loop "$dev_block"
# Nothing that ext4 would do by itself later, after the numbers were read.
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$loop_dev"
mount_fs "$loop_dev"
fstrim "$fs_dir"
before=$(mm_stat 1)
before_used=$(mm_stat 3)

make_noise 67108864 "$fs_dir/noise"
sync -f "$fs_dir"
[ $(($(mm_stat 1) - before)) -ge 67108864 ] ||
	fail "64 MiB were written, but orig_data_size is $(mm_stat 1)"
wait_until 60 blocks_hold 67108864 ||
	fail "64 MiB of noise take only $(blocks) blocks"

rm "$fs_dir/noise"
sync -f "$fs_dir"
fstrim "$fs_dir"
[ $(($(mm_stat 1) - before)) -le 1048576 ] ||
	fail "after fstrim orig_data_size is $(mm_stat 1), before $before"
wait_until 60 used_at_most $((before_used + 8388608)) ||
	fail "after fstrim mem_used_total is $(mm_stat 3), was $before_used"

unmount_fs "$fs_dir"
blkdiscard -f "$loop_dev"
expect_equal "$(mm_stat 1)" 0 "orig_data_size after blkdiscard"
expect_equal "$(mm_stat 2)" 0 "compr_data_size after blkdiscard"
wait_until 60 used_at_most 8388608 ||
	fail "after blkdiscard mem_used_total is $(mm_stat 3)"
wait_until 60 blocks_match || fail "$(blocks) blocks, but $(mm_stat 3) bytes"
