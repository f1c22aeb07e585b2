#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guest's kernel has all that e2e/zram_walk is to compare with, so nothing
# is passed over there. But recompression: Debian's kernels are built without.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

requires_zram
[ -d /sys/block/zram0 ] || fail 'no zram0'
for name in idle backing_dev writeback writeback_limit writeback_limit_enable \
	bd_stat algorithm_params; do
	[ -e "/sys/block/zram0/$name" ] || fail "this kernel has no $name"
done
[ -e /sys/kernel/debug/zram/zram0/block_state ] ||
	fail 'this kernel has no block_state'
grep -qw lz4 /sys/block/zram0/comp_algorithm || fail 'this kernel has no lz4'
grep -qw zstd /sys/block/zram0/comp_algorithm || fail 'this kernel has no zstd'
