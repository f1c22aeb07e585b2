#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The FUSE front end on the kernel of a guest: the transport that it should
# have there, a file system on a loop device, and nothing left afterwards.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

requires_fuse
requires_ctl
requires_loop

block=$("$UZRAMCTL" add disk --size 128M --algorithm zstd)
dev_dir=${block%/block}
on_exit "$UZRAMCTL" remove --force disk
wanted=fuse
! uring_is_on || wanted=io_uring
expect_equal "$(sed -n 's/^transport //p' "$dev_dir/stat")" $wanted \
	'the transport'

attach_loop "$block"
mkfs.ext4 -q "$loop_dev"
mount_fs "$loop_dev"
cp -r /uzram /usr/bin "$fs_dir"
(cd / && find uzram -type f -exec sha1sum {} +) >"$tmp/sums"
unmount_fs "$fs_dir"
fsck.ext4 -fn "$loop_dev" >"$tmp/check.log" 2>&1 || fail 'fsck found damage'
mount_fs "$loop_dev"
(cd "$fs_dir" && sha1sum --quiet -c "$tmp/sums") >&2 || fail 'other data'
(cd /usr/bin && find . -type f -exec cmp {} "$fs_dir/bin/{}" \;) >&2
unmount_fs "$fs_dir"
detach_loop "$loop_dev"
"$UZRAMCTL" remove disk
[ ! -e "$dev_dir" ] || fail 'remove left the directory'
