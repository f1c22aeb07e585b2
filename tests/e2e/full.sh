#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A file system whose device is full of data that do not compress: it sees
# errors, keeps what it had stored, and is usable again after files are gone.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_loop
requires mkfs.ext4 fsck.ext4 fstrim

start_device full -s 256M -a lz4
attach_loop "$dev_block"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 -O ^has_journal \
	"$loop_dev"
mount_fs "$loop_dev" -o errors=continue
make_noise 16777216 "$tmp/noise"
cp "$tmp/noise" "$fs_dir/kept"
sync -f "$fs_dir"

echo 48M >"$dev_dir/mem_limit"
if dd if=/dev/urandom of="$fs_dir/flood" bs=1M count=128 conv=fsync \
	2>"$tmp/err"; then
	fail "128 MiB of noise fit into a limit of 48 MiB"
fi
grep -q 'Input/output error\|No space left' "$tmp/err" ||
	fail "wanted EIO or ENOSPC: $(cat "$tmp/err")"
[ "$(mm_stat 5)" -le $((48 << 20)) ] ||
	fail "mem_used_max $(mm_stat 5) is beyond the limit"

echo 3 >/proc/sys/vm/drop_caches
expect_same "$fs_dir/kept" "$tmp/noise"

rm "$fs_dir/flood"
sync -f "$fs_dir" 2>/dev/null || : # reports the flood's errors once more
fstrim "$fs_dir"
cp "$tmp/noise" "$fs_dir/again"
sync -f "$fs_dir"
unmount_fs "$fs_dir"
# Block bitmaps that could not be written are the file system's to mend.
fsck.ext4 -fy "$loop_dev" >"$tmp/fsck.log" 2>&1 || [ $? -eq 1 ] ||
	fail "fsck: $(cat "$tmp/fsck.log")"
mount_fs "$loop_dev"
expect_same "$fs_dir/kept" "$tmp/noise"
expect_same "$fs_dir/again" "$tmp/noise"
