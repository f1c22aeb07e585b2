#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Attributes written with what they cannot mean: refused with the right errno,
# explained in last_error, and without effect.

. "${0%/*}/functions.sh"
requires_fuse

# put ATTRIBUTE TEXT: exactly these bytes in one write.
put()
{
	printf %s "$2" | dd of="$dev_dir/$1" bs=2M conv=notrunc \
		iflag=fullblock status=none
}

# settings: everything that a refused write must not change.
settings()
{
	cat "$dev_dir/disksize" "$dev_dir/initstate" "$dev_dir/comp_algorithm" \
		"$dev_dir/max_comp_streams"
	mm_stat 4
	sha256sum <"$dev_block"
}

# unchanged_by ENAME ATTRIBUTE TEXT
unchanged_by()
{
	settings >"$tmp/before"
	expect_errno "$1" put "$2" "$3"
	settings >"$tmp/after"
	expect_same "$tmp/before" "$tmp/after"
	grep -q "^$2: ." "$dev_dir/last_error" ||
		fail "last_error after $2: $(cat "$dev_dir/last_error")"
}

start_device dev
for size in 0 -1 -1M many '' 17T 99999999999999999999 '1 M' $'\n' 1M1 0x; do
	[ -n "$size" ] || continue
	unchanged_by EINVAL disksize "$size"
done
unchanged_by EINVAL comp_algorithm lz5
unchanged_by EINVAL comp_algorithm $'\n'
unchanged_by E2BIG comp_algorithm "$(printf 'n%.0s' {1..200})"

echo 64M >"$dev_dir/disksize"
head -c 1M /dev/urandom | dd of="$dev_block" bs=1M conv=notrunc \
	iflag=fullblock status=none
unchanged_by EBUSY disksize 63M
unchanged_by EBUSY disksize 4K
unchanged_by EINVAL disksize 0
unchanged_by EINVAL disksize 17T
unchanged_by EINVAL comp_algorithm lz5
unchanged_by EINVAL mem_limit lots
unchanged_by EINVAL mem_limit -1
unchanged_by EINVAL mem_used_max 1
unchanged_by EINVAL max_comp_streams many
unchanged_by EINVAL reset 0
unchanged_by EINVAL reset now

# 1 MiB of bytes, of text and of none, wherever one can write.
tr '\0' x < <(head -c 1M /dev/zero) >"$tmp/long"
head -c 1M /dev/zero >"$tmp/zeroes"
for attr in disksize comp_algorithm mem_limit mem_used_max max_comp_streams \
	reset; do
	settings >"$tmp/before"
	for bytes in long zeroes; do
		expect_errno E2BIG dd if="$tmp/$bytes" of="$dev_dir/$attr" \
			bs=1M conv=notrunc status=none
	done
	printf '64M\0' >"$tmp/zero-inside"
	expect_errno EINVAL dd if="$tmp/zero-inside" of="$dev_dir/$attr" \
		conv=notrunc status=none
	: >"$dev_dir/$attr" # nothing is written, nothing happens
	settings >"$tmp/after"
	expect_same "$tmp/before" "$tmp/after"
done

# What can only be read, or only be written; root needs no permission to try.
for attr in mm_stat io_stat debug_stat stat initstate last_error pid; do
	expect_errno EACCES put "$attr" 1
done
for attr in reset mem_limit mem_used_max; do
	expect_errno EACCES cat "$dev_dir/$attr"
done

# Less than a page is a page, as in the kernel: nearly nothing fits, which is
# no damage, and same-filled pages still need no memory.
stop_device dev
start_device small -s 64M
echo 1 >"$dev_dir/mem_limit"
expect_equal "$(mm_stat 4)" 4096 'a limit smaller than one page'
expect_errno ENOSPC dd if=/dev/urandom of="$dev_block" bs=4K count=64 \
	oflag=direct conv=notrunc status=none
dd if=/dev/zero of="$dev_block" bs=4K count=64 oflag=direct conv=notrunc \
	status=none
head -c 256K /dev/zero | cmp -n $((256 << 10)) - "$dev_block"
echo 0 >"$dev_dir/mem_limit"
dd if=/dev/urandom of="$dev_block" bs=4K count=64 oflag=direct conv=notrunc \
	status=none
stop_device small
