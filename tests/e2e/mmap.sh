#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The block file mapped into memory, where the kernel allows it (since 6.6):
# what is stored through the mapping is read by read(2), and the other way
# round.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires xfs_io

start_device mmap -s 16M -a lz4
make_text 1048576 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc status=none

if ! xfs_io -c 'mmap -rw 0 1m' "$dev_block" >"$tmp/mmap.out" 2>&1; then
	grep -q 'No such device' "$tmp/mmap.out" ||
		fail "mmap: $(cat "$tmp/mmap.out")"
	[ "$(uname -r | cut -d. -f1)" -lt 6 ] ||
		fail "mmap is refused: $(cat "$tmp/mmap.out")"
	echo "skipped: this kernel maps no file with direct I/O" >&2
	exit 77
fi

xfs_io -r -c 'mmap -r 0 1m' -c 'mread -v 0 64' "$dev_block" >"$tmp/mapped"
xfs_io -r -c 'mmap -r 0 1m' -c 'mread -v 0 64' "$tmp/text" >"$tmp/wanted"
expect_same "$tmp/mapped" "$tmp/wanted"

xfs_io -c 'mmap -rw 0 1m' -c 'mwrite -S 0xcd 5000 10000' -c 'msync -s' \
	"$dev_block"
cp "$tmp/text" "$tmp/changed"
xfs_io -c 'pwrite -q -S 0xcd 5000 10000' "$tmp/changed"
dd if="$dev_block" bs=1M count=1 iflag=direct status=none >"$tmp/read"
expect_same "$tmp/read" "$tmp/changed"
