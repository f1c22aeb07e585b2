#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Direct I/O that is not aligned to pages: the block file takes it, a page is
# read, changed and stored again; the loop device, with sectors of 4 KiB, does
# not.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires xfs_io

start_device alignment -s 4M -a lz4
make_text 4194304 "$tmp/model"
dd if="$tmp/model" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none

for range in '1 1' '4095 2' '512 512' '100 10000' '4096 4097' '1048000 3001'; do
	xfs_io -d -c "pwrite -q -S 0x5a $range" "$dev_block"
	xfs_io -c "pwrite -q -S 0x5a $range" "$tmp/model"
done
cat "$dev_block" >"$tmp/read"
expect_same "$tmp/read" "$tmp/model"

requires_loop
attach_loop "$dev_block"
expect_errno EINVAL xfs_io -d -c 'pwrite 512 512' "$loop_dev"
expect_errno EINVAL xfs_io -d -c 'pread 512 4096' "$loop_dev"
xfs_io -d -c 'pwrite -q -S 0x77 4096 4096' "$loop_dev"
expect_equal "$(head -c 8192 "$dev_block" | tail -c 4096 | tr -d w | wc -c)" 0 \
	'bytes of the page written through the loop device'
