#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device that mem_limit holds to 16 MiB is filled with data that do not
# compress: the writer is told, what was stored stays as it was, and what needs
# no further room goes on.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires xfs_io

# Loop devices of older kernels have but one error for everything.
no_room=ENOSPC${UZ_LOOP:+/EIO}

start_device limit -s 64M -a lz4 -o mem_limit=16M
make_noise 67108864 "$tmp/noise"

expect_errno "$no_room" dd if="$tmp/noise" of="$dev_block" bs=4k conv=notrunc \
	oflag=direct
stored=$(sed -n 's/^\([0-9]*\) bytes.*/\1/p' "$tmp/err")
[ "$stored" -ge $((14 << 20)) ] ||
	fail "only $stored bytes were stored in 16 MiB"
[ "$(mm_stat 5)" -le $((16 << 20)) ] ||
	fail "mem_used_max $(mm_stat 5) is beyond the limit"

# same BYTES: so many of the first are as written.
same()
{
	cmp -n "$1" "$dev_block" "$tmp/noise" >&2 || fail "old data changed"
}
same "$stored"

# In place: other noise on a page that holds noise already.
dd if="$tmp/noise" of="$dev_block" bs=4k count=256 skip=8192 conv=notrunc \
	oflag=direct status=none
dd if="$tmp/noise" of="$dev_block" bs=4k count=256 conv=notrunc oflag=direct \
	status=none
same "$stored"

# Pages that cost nothing.
xfs_io -d -c 'pwrite -q -S 0x11 32m 16m' "$dev_block"
expect_errno "$no_room" dd if="$tmp/noise" of="$dev_block" bs=4k count=512 \
	seek=12288 conv=notrunc oflag=direct

# Discarded pages make room for as many others.
xfs_io -c 'fpunch 0 4m' "$dev_block"
dd if="$tmp/noise" of="$dev_block" bs=4k count=900 seek=12288 conv=notrunc \
	oflag=direct status=none
dd if="$dev_block" bs=4k count=900 skip=12288 status=none >"$tmp/read"
head -c $((900 * 4096)) "$tmp/noise" >"$tmp/wanted"
expect_same "$tmp/read" "$tmp/wanted"
expect_equal "$(head -c 4194304 "$dev_block" | tr -d '\0' | wc -c)" 0 \
	'bytes in the hole'

# A higher limit takes effect at once.
echo 64M >"$dev_dir/mem_limit"
dd if="$tmp/noise" of="$dev_block" bs=1M count=32 conv=notrunc oflag=direct \
	status=none
same $((32 << 20))
