#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Side by side with the kernel's zram: the same writes to the attributes of
# both get the same errno, and what is read looks the same, to the blank.
#
# Left out on purpose: the texts of comp_algorithm (each lists what it has),
# bytes after compression, the errno of a full device (ENOSPC here), a change of
# codec with a size (EBUSY there, for new stores here), and a disksize that is the
# same or larger (EBUSY there, here the device grows).

. "${0%/*}/functions.sh"
. "$here/zram_pair.sh"

# The kernel's compacts when it is told to; so shall ours.
pair_begin -o compaction=off
zram_dir=$pair_theirs
zram_block=$pair_block

# reason COMMAND...: "done", or the errno's text out of its last message.
reason()
{
	if "$@" 2>"$tmp/reason" >"$tmp/reason.out"; then
		echo "done"
	else
		sed -n '$s/.*: //p' "$tmp/reason"
	fi
}

put()
{
	printf %s "$2" | dd of="$1" bs=2M iflag=fullblock conv=notrunc \
		status=none
}

compared=0
different=0

# both WHAT THEIRS OURS: all differences are shown before the test fails.
both()
{
	compared=$((compared + 1))
	[ "$2" != "$3" ] || return 0
	different=$((different + 1))
	echo "$1: the kernel: '$2', ours: '$3'" >&2
}

# same_put ATTRIBUTE TEXT, same_get ATTRIBUTE
same_put()
{
	[ -e "$zram_dir/$1" ] || return 0
	both "$1 <- '${2:0:20}'" "$(reason put "$zram_dir/$1" "$2")" \
		"$(reason put "$dev_dir/$1" "$2")"
}

same_get()
{
	both "$1" "$(reason cat "$zram_dir/$1" && cat "$tmp/reason.out")" \
		"$(reason cat "$dev_dir/$1" && cat "$tmp/reason.out")"
}

# Only as many lines as the kernel has: ours may follow.
same_get_head()
{
	local lines

	lines=$(wc -l <"$zram_dir/$1")
	both "$1" "$(cat "$zram_dir/$1")" \
		"$(head -n "$lines" "$dev_dir/$1")"
}

same_mode()
{
	[ -e "$zram_dir/$1" ] || return 0
	both "mode of $1" "$(stat -c %a "$zram_dir/$1")" \
		"$(stat -c %a "$dev_dir/$1")"
}

long=$(printf 'n%.0s' {1..200})
try_all()
{
	local value

	for value in 1 x '' -1 1M; do
		[ -z "$value" ] || same_put mem_used_max "$value"
	done
	same_put mem_used_max 0
	for value in x -1 lots; do
		same_put mem_limit "$value"
	done
	for value in 0 x -1 '' 65536 99999999999999999999 '1 1'; do
		[ -z "$value" ] || same_put reset "$value"
	done
	for value in lz5 "$long" ''; do
		[ -z "$value" ] || same_put comp_algorithm "$value"
	done
	for value in 0 x many; do
		same_put disksize "$value"
	done
	for value in initstate mm_stat io_stat debug_stat; do
		same_put "$value" 1
	done
	for value in initstate mm_stat io_stat; do
		same_get "$value"
	done
	same_get_head debug_stat
	for value in 1 x; do
		same_put compact "$value"
	done
	for value in reset mem_limit mem_used_max compact disksize; do
		same_get "$value"
	done
}

for attr in disksize initstate reset comp_algorithm max_comp_streams \
	mem_limit mem_used_max compact mm_stat io_stat debug_stat; do
	same_mode $attr
done

# Without a size, with one, and after a reset.
try_all
same_put comp_algorithm lz4
same_put disksize $'64M\n'
same_get disksize
same_get initstate
try_all
same_put disksize 63M
same_put disksize 4096
same_put mem_limit 0x1000000
same_get mm_stat
same_put mem_limit 16M
same_get mm_stat
same_put mem_limit $'1\n'
same_get mm_stat
same_put mem_limit 0
same_get mm_stat

# The same data: the numbers that do not depend on the allocator.
both_write()
{
	dd if="$1" of="$zram_block" bs=64K oflag=direct conv=notrunc \
		status=none "${@:2}"
	dd if="$1" of="$dev_block" bs=64K oflag=direct conv=notrunc \
		status=none "${@:2}"
}

# columns NUMBERS FILE
columns()
{
	awk -v want="$1" '{ n = split(want, c, ",")
		for (i = 1; i <= n; i++) printf "%s ", $c[i] }' "$2"
}

same_columns()
{
	both "$2, columns $1" "$(columns "$1" "$zram_dir/$2")" \
		"$(columns "$1" "$dev_dir/$2")"
}

same_data()
{
	same_columns 1,4,6,7 mm_stat
	both 'width of mm_stat' "$(wc -w <"$zram_dir/mm_stat")" \
		"$(wc -w <"$dev_dir/mm_stat")"
	same_get io_stat
	same_get_head debug_stat
	both 'the data' "$(sha256sum <"$zram_block")" \
		"$(sha256sum <"$dev_block")"
}

head -c 1M < <(tar c -C "$source_root" include src) >"$tmp/text"
truncate -s 1M "$tmp/text"
head -c 1M /dev/urandom >"$tmp/noise"
head -c 1M < <(yes 12345678901 | tr -d '\n') >"$tmp/eleven"
head -c 1M < <(yes 12345678 | tr -d '\n') >"$tmp/eight"
both_write "$tmp/text"
same_data
both_write "$tmp/noise" seek=16
same_columns 8,9 mm_stat
both_write "$tmp/eleven" seek=32
both_write "$tmp/eight" seek=48
same_data
both_write "$tmp/text" seek=16
same_columns 8,9 mm_stat
same_data
blkdiscard -o $((1 << 20)) -l $((1 << 20)) "$zram_block"
fallocate -p -o $((1 << 20)) -l $((1 << 20)) "$dev_block"
same_data

# Beyond the end, and between two pages.
both 'write beyond the end' \
	"$(reason dd if=/dev/zero of="$zram_block" bs=4K seek=16384 count=1 \
		oflag=direct conv=notrunc status=none)" \
	"$(reason dd if=/dev/zero of="$dev_block" bs=4K seek=16384 count=1 \
		oflag=direct conv=notrunc status=none)"
both 'read beyond the end' \
	"$(dd if="$zram_block" bs=4K skip=16384 count=1 status=none | wc -c)" \
	"$(dd if="$dev_block" bs=4K skip=16384 count=1 status=none | wc -c)"

# In use, and not any more.
exec 7<"$zram_block" 8<"$dev_block"
same_put reset 1
same_get initstate
exec 7<&- 8<&-
# Ours may hear of the close late; and udev looks at a zram whenever it likes.
is_free()
{
	[ "$(reason put "$1/reset" 1)" = "done" ]
}
for dir in "$zram_dir" "$dev_dir"; do
	wait_until 60 is_free "$dir" || fail "$dir is still in use"
done
for attr in initstate disksize mm_stat io_stat; do
	same_get $attr
done
try_all

expect_equal $different 0 'differences'
[ $compared -gt 100 ] || fail "only $compared comparisons were made"
stop_device ours
