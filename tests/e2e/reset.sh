#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Reset is refused while somebody has the block file open, or a loop device
# is attached to it, and drops everything when nobody has.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse

reset()
{
	echo 1 >"$dev_dir/reset"
}

start_device reset -s 1M -a lz4
make_text 1048576 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc status=none

exec 7<"$dev_block"
expect_errno EBUSY reset
exec 7<&-
cmp "$tmp/text" "$dev_block" >&2 || fail "a refused reset changed the data"

if [ "$(id -u)" = 0 ] && [ -c /dev/loop-control ]; then
	attach_loop "$dev_block"
	expect_errno EBUSY reset
	detach_loop "$loop_dev"
fi

wait_until 60 reset 2>/dev/null || fail "$(cat "$dev_dir/last_error")"
expect_equal "$(cat "$dev_dir/initstate")" 0 initstate
expect_equal "$(stat -c %s "$dev_block")" 0 'size after reset'
echo 2M >"$dev_dir/disksize"
expect_equal "$(stat -c %s "$dev_block")" 2097152 'size after disksize'
expect_equal "$(tr -d '\0' <"$dev_block" | wc -c)" 0 'bytes that are not zero'
