#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Holes of the block file: where they are, and what is left around them.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires xfs_io

# pattern OFFSET LENGTH BYTE: the range must consist of this byte.
pattern()
{
	expect_equal "$(tail -c "+$(($1 + 1))" "$dev_block" | head -c "$2" |
		tr -d "\\$(printf %o "$3")" | wc -c)" 0 \
		"bytes other than $3 in $1+$2"
}

# seek: "Whence Result" pairs on one line.
seek()
{
	xfs_io -r -c 'seek -a -r 0' "$dev_block" | tail -n +2 | tr -s '\t\n' ' '
}

start_device holes -s 1M -a lz4
expect_equal "$(seek)" 'HOLE 0 ' 'an empty device is one hole'

make_text 1048576 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc status=none
expect_equal "$(seek)" 'DATA 0 HOLE 1048576 ' 'a full one has none'

xfs_io -c 'pwrite -q -S 0xaa 0 64k' "$dev_block"
xfs_io -c 'fpunch 8k 16k' "$dev_block"
expect_equal "$(seek)" 'DATA 0 HOLE 8192 DATA 24576 HOLE 1048576 ' 'punched'
pattern 0 8192 170
pattern 8192 16384 0
pattern 24576 40960 170

# Ends that are not whole pages become zero and stay data.
xfs_io -c 'pwrite -q -S 0xaa 0 64k' -c 'fpunch 1000 9000' "$dev_block"
expect_equal "$(seek)" 'DATA 0 HOLE 4096 DATA 8192 HOLE 1048576 ' 'odd ends'
pattern 0 1000 170
pattern 1000 9000 0
pattern 10000 55536 170

xfs_io -c 'pwrite -q -S 0xaa 0 64k' -c 'fzero -k 4k 8k' "$dev_block"
pattern 0 4096 170
pattern 4096 8192 0
pattern 12288 53248 170

# A hole may end beyond the end, the file does not grow.
xfs_io -c 'fpunch 512k 2m' "$dev_block"
pattern 524288 524288 0
expect_equal "$(stat -c %s "$dev_block")" 1048576 'size after a long hole'
expect_errno EOPNOTSUPP xfs_io -c 'falloc 0 4k' "$dev_block"
