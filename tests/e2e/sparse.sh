#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The largest device, 16 TiB, with one page at its end: memory is taken for
# what was touched, not for what could be.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires xfs_io

size=$((16 << 40))
start_device sparse -s 16T -a lz4
expect_equal "$(stat -c %s "$dev_block")" $size 'size'
make_text 4096 "$tmp/page"
dd if="$tmp/page" of="$dev_block" bs=4k seek=$((size / 4096 - 1)) conv=notrunc \
	status=none
expect_equal "$(mm_stat 1)" 4096 orig_data_size
expect_equal "$(xfs_io -r -c 'seek -d 0' "$dev_block" | awk 'END { print $2 }')" \
	$((size - 4096)) 'where data begins'
tail -c 4096 "$dev_block" >"$tmp/read"
expect_same "$tmp/read" "$tmp/page"
[ "$(mm_stat 3)" -le 1048576 ] || fail "the pool takes $(mm_stat 3) bytes"

resident=$(awk '/^VmRSS:/ { print $2 }' "/proc/$(worker_pid)/status")
[ "$resident" -le 131072 ] || fail "the daemon takes $resident KiB"
xfs_io -c "fpunch 0 $size" "$dev_block"
expect_equal "$(mm_stat 1)" 0 'orig_data_size after everything was discarded'
