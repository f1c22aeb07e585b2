#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Clients that are killed in the middle of their requests: the device serves
# the next one as if nothing had been, and knows that they are gone.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio

start_device interruption -s 256M -a zstd
make_text 67108864 "$tmp/text"

for ((round = 0; round < 10; round++)); do
	fio --name=victim --filename="$dev_block" --rw=randrw --bs=1m --direct=1 \
		--ioengine=libaio --iodepth=16 --size=128m --offset=128m \
		--time_based --runtime=60 --allow_file_create=0 --thread \
		--minimal >/dev/null 2>&1 &
	victim=$!
	sleep "0.$((2 + round % 5))"
	kill -KILL $victim
	wait $victim 2>/dev/null || true
	dd if="$tmp/text" of="$dev_block" bs=1M count=8 conv=notrunc \
		oflag=direct status=none
	cmp -n 8388608 "$tmp/text" "$dev_block" >&2 || fail "round $round"
done

# Nobody has it open any more, so it can be reset.
reset()
{
	echo 1 2>/dev/null >"$dev_dir/reset"
}
wait_until 10 reset ||
	fail "reset: $(cat "$dev_dir/last_error")"
expect_equal "$(cat "$dev_dir/disksize")" 0 'disksize after reset'
