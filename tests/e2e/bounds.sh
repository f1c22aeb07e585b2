#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The end of the block file, which is that of a block device: reads stop,
# writes find no space, nothing makes it longer or shorter.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires xfs_io

start_device bounds -s 1M -a lz4
for how in -f -fd; do
	expect_errno ENOSPC xfs_io "$how" -c 'pwrite 1m 4k' "$dev_block"
	expect_errno ENOSPC xfs_io "$how" -c 'pwrite 16t 4k' "$dev_block"

	# A write that begins inside ends at the end.
	xfs_io $how -c 'pwrite -S 0xaa 1020k 8k' "$dev_block" \
		>"$tmp/out" 2>&1 || true
	grep -q 'wrote 4096/8192\|No space' "$tmp/out" ||
		fail "write across the end: $(cat "$tmp/out")"
	expect_equal "$(tail -c 4096 "$dev_block" | tr -d '\252' | wc -c)" 0 \
		'other bytes on the last page'
	xfs_io -c 'fpunch 1020k 4k' "$dev_block"
done
expect_equal "$(dd if="$dev_block" bs=64k skip=15 status=none | wc -c)" 65536 \
	'bytes before the end'
expect_equal "$(dd if="$dev_block" bs=64k skip=16 status=none | wc -c)" 0 \
	'bytes after the end'

expect_errno EINVAL truncate -s 2M "$dev_block"
expect_errno EINVAL truncate -s 512K "$dev_block"
expect_equal "$(stat -c %s "$dev_block")" 1048576 'size'

# As with a block device, O_TRUNC and cp do not empty or replace it.
make_text 65536 "$tmp/text"
cp "$tmp/text" "$dev_block"
head -c 65536 "$dev_block" >"$tmp/read"
expect_same "$tmp/read" "$tmp/text"
expect_equal "$(stat -c %s "$dev_block")" 1048576 'size after cp'
