# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# A kernel zram of our own beside a device of ours, both without a size.
#
# shellcheck disable=SC2154,SC2034 # functions.sh has variables; so have tests

# pair_begin ARGUMENTS...: of our daemon. Sets pair_theirs, the kernel's
# directory of attributes, pair_block, its node, and pair_state, its block_state
# or nothing; ours is the device "ours".
pair_begin()
{
	requires_fuse
	requires_zram
	pair_id=$(cat /sys/class/zram-control/hot_add) ||
		missing zram 'cannot add a zram'
	pair_block=/dev/zram$pair_id
	pair_theirs=/sys/block/zram$pair_id
	on_exit pair_end
	wait_until 60 test -b "$pair_block" ||
		missing zram "no $pair_block"
	grep -qw lz4 "$pair_theirs/comp_algorithm" ||
		missing zram 'no lz4 in the kernel'
	pair_state=/sys/kernel/debug/zram/zram$pair_id/block_state
	[ -r "$pair_state" ] || pair_state=
	start_device ours "$@"
	echo lz4 >"$pair_theirs/comp_algorithm"
	echo lz4 >"$dev_dir/comp_algorithm"
}

pair_end()
{
	wait_until 60 pair_removed 2>/dev/null
}

# It may be open for a moment: to udev, say.
pair_removed()
{
	echo 1 >"$pair_theirs/reset"
	echo "$pair_id" >/sys/class/zram-control/hot_remove
	[ ! -e "$pair_theirs" ]
}
