# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Somebody who uses a zram device, and does not know whose: he is told where its
# attributes are and where its data, and does with it what scripts for zram do.
# What he sees he writes down, one "what<tab>value" a line; what depends on the
# allocator or on time as "what<tab>~percent<tab>value".
#
# Given to him:
#	dir		directory of attributes
#	block		the data
#	state		the file block_state, or empty
#	codecs		names to try
#	attributes	names of all attributes that there may be
#	long		a name that is too long
#	spare		a block device to write back to, 64 MiB
#	disk_on		sets disk to a block device with the data
#	disk_off	gives it back
#	punch BYTE LENGTH	discards
# and what the device that is compared with has, so that both are asked the
# same: has ATTRIBUTE.
#
# shellcheck disable=SC2154 # given to him

note()
{
	printf '%s\t%s\n' "$step: $1" "$2"
}

# near WHAT PERCENT VALUE
near()
{
	printf '%s\t~%s\t%s\n' "$step: $1" "$2" "$3"
}

# why FILE: sets reason to the errno's text out of the last message. Where
# machines are emulated, it is processes that take the time, so this, and what
# else is done for each line, needs none.
why()
{
	local line last=

	while IFS= read -r line; do
		last=$line
	done <"$1"
	reason=
	[[ $last != *': '* ]] || reason=${last##*: }
}

# try WHAT COMMAND...: how it went.
try()
{
	local what=$1

	shift
	if "$@" >"$tmp/user.out" 2>"$tmp/user.err"; then
		note "$what" "done"
	else
		why "$tmp/user.err"
		note "$what" "$reason"
	fi
}

echo_to()
{
	echo "$2" >"$dir/$1"
}

# put ATTRIBUTE TEXT: as everybody does it.
put()
{
	! has "$1" || try "'$2' > $1" echo_to "$1" "$2"
}

get()
{
	! has "$1" || note "$1" "$(cat "$dir/$1" 2>&1)"
}

# put_free ATTRIBUTE TEXT: the same to a device that nobody uses, but that whoever
# looks at what is new in the system, as udev does, may have open for a moment.
put_free()
{
	! has "$1" || ! wait_until 60 not_busy "$1" "$2" ||
		note "'$2' > $1" "$went"
}

# not_busy ATTRIBUTE TEXT: sets went.
not_busy()
{
	went='done'
	! echo_to "$1" "$2" 2>"$tmp/user.err" || return 0
	why "$tmp/user.err"
	went=$reason
	[ "$went" != 'Device or resource busy' ]
}

# column ATTRIBUTE N
column()
{
	local words

	read -r -a words <"$dir/$1"
	echo "${words[$2 - 1]}"
}

# columns ATTRIBUTE N...: exactly.
columns()
{
	local attr=$1 n words

	has "$attr" || return 0
	shift
	read -r -a words <"$dir/$attr"
	for n; do
		note "$attr, column $n" "${words[n - 1]}"
	done
}

# states: the lines of block_state; read in parts, the kernel leaves some out.
states()
{
	dd if="$state" bs=4M count=1 status=none
}

# flags WHAT: how many pages have which flags, and how a line looks.
flags()
{
	[ -n "$state" ] || return 0
	states >"$tmp/user.states"
	note "$1: letters and fields of a line" \
		"$(awk 'NR == 1 { print length, NF; exit }' "$tmp/user.states")"
	note "$1: pages by flags" "$(awk '{ nr[$3]++ }
		END { for (flags in nr) print nr[flags], flags }' \
		"$tmp/user.states" | sort -k 2 | xargs)"
}

# ---- data that both get alike ----

# data KIND MIB: sets file. Made once, so that both get the same.
data()
{
	file=$tmp/data.$1.$2
	[ ! -f "$file" ] || return 0
	case $1 in
	text) make_text $(($2 << 20)) "$file" ;;
	noise) make_noise $(($2 << 20)) "$file" ;;
	zero) truncate -s "$2M" "$file" ;;
	eight)
		printf '12345678%.0s' {1..8192} >"$file.64K"
		for ((i = 0; i < $2 * 16; i++)); do
			cat "$file.64K"
		done >"$file"
		;;
	esac
}

# fill KIND MIB AT
fill()
{
	data "$1" "$2"
	dd if="$file" of="$block" bs=64K oflag=direct conv=notrunc \
		seek=$(($3 * 16)) status=none
}

sum()
{
	note "$1" "$(dd if="$block" bs=64K count=256 iflag=direct \
		status=none | md5sum)"
}

# ---- what he does ----

# The files as such: all that the kernel documents for a device.
use_files()
{
	local name

	step='files'
	for name in $attributes; do
		has "$name" || continue
		note "mode of $name" "$(stat -c %a "$dir/$name")"
		[ -n "$(find "$dir/$name" -perm /444)" ] ||
			try "read $name" cat "$dir/$name"
		[ -n "$(find "$dir/$name" -perm /222)" ] ||
			try "write $name" echo_to "$name" 1
	done
	note 'first lines of debug_stat' "$(head -n 2 "$dir/debug_stat" | tr '\n' ';')"
}

use_codecs()
{
	local name number

	step='streams and codecs'
	for number in 1 4 0 -1 x; do
		put max_comp_streams $number
	done
	for name in $codecs; do
		put comp_algorithm "$name"
		note 'chosen' "$(sed 's/.*\[\(.*\)\].*/\1/' \
			"$dir/comp_algorithm")"
	done
	put comp_algorithm none-such
	put comp_algorithm "$long"
	put comp_algorithm ''
	put comp_algorithm lz4
}

use_sizes()
{
	local size

	step='sizes'
	for size in 1048576 1M 1m 1024K 0x200000 04000000 1048577 4096 1 5000 \
		512K 25M 2G 1MB 1MiB ' 1M' -1M +1M 0 0K \
		'' x M; do
		put disksize "$size"
		get disksize
		get initstate
		put_free reset 1
		get disksize
	done
	# What follows a size, without a look at what came of it.
	for size in 1048576B '1M ' 1.5M; do
		put disksize "$size"
		put_free reset 1
	done
	for size in 1048576 1M 1m 0x100000 4097 1 0 1MiB -1 '' x; do
		put mem_limit "$size"
		put disksize 1M
		columns mm_stat 4
		put_free reset 1
	done
}

# Before it has a size, and after.
use_order()
{
	local text

	step='without a size'
	for text in 1 anything; do
		put compact "$text"
	done
	for text in all 1 x; do
		put idle "$text"
	done
	put writeback idle
	put recompress type=idle
	put mem_used_max 0
	put mem_used_max 1
	for text in initstate disksize mm_stat io_stat bd_stat backing_dev \
		writeback_limit writeback_limit_enable writeback_batch_size \
		compressed_writeback recomp_algorithm; do
		get $text
	done
	note 'bytes of the device' "$(wc -c <"$block" 2>/dev/null)"

	step='with a size'
	put disksize 16M
	put disksize 8M
	put disksize 16M
	put disksize 0
	put comp_algorithm lz4
	put compact 1
	put compact anything
	for text in all none '' -1 1x; do
		put idle "$text"
	done
	for text in x -1 1M ''; do
		put mem_used_max "$text"
	done
	for text in 0 x -1 65536 ''; do
		put reset "$text"
	done
	note 'bytes of the device' "$(wc -c <"$block")"
	exec 7<"$block"
	put reset 1
	exec 7<&-
	put_free reset 1
	get initstate
}

# A file system, as the kernel's selftests and LTP use one.
use_fs()
{
	local used kib

	step='file system'
	put disksize 64M
	put mem_limit 32M
	disk_on
	note 'logical block' "$(blockdev --getss "$disk")"
	note 'physical block' "$(blockdev --getpbsz "$disk")"
	note 'bytes' "$(blockdev --getsize64 "$disk")"
	try 'half a block' dd if="$disk" of=/dev/null bs=512 count=1 \
		iflag=direct
	mkfs.ext4 -q "$disk"
	mount_fs "$disk"
	try 'reset while mounted' echo_to reset 1
	get initstate
	kib=$(fill_fs)
	sync
	used=$(column mm_stat 3)
	[ "$used" -gt 0 ] && note 'ratio above 1' \
		$((100 * 1024 * kib / used > 100))
	near 'KiB until it is full' 5 "$kib"
	near 'pages that repeat a word' 10 "$(column mm_stat 6)"
	note 'within the limit' "$((used <= 33554432))"
	columns mm_stat 4 8
	columns io_stat 1 2 3
	unmount_fs "$fs_dir"
	fsck.ext4 -fn "$disk" >"$tmp/fsck.log" 2>&1 && note fsck clean
	disk_off
	put_free reset 1
	columns mm_stat 1 2 3 4 6 8
}

# Prints how many KiB went in; half of them zeroes.
fill_fs()
{
	local kib=0

	data text 1
	while cat "$file" >>"$fs_dir/fill" 2>/dev/null &&
		head -c 1M /dev/zero >>"$fs_dir/fill" 2>/dev/null; do
		kib=$((kib + 2048))
	done
	echo $kib
}

use_swap()
{
	step='swap'
	put disksize 64M
	disk_on
	mkswap "$disk" >"$tmp/mkswap.log"
	try 'swapon' swapon "$disk"
	on_exit swapoff_quietly "$disk"
	try 'reset while swapped on' echo_to reset 1
	# How much of it is in use is the system's affair.
	note 'swap' "$(awk -v d="$disk" '$1 == d { print $3 }' /proc/swaps)"
	try 'swapoff' swapoff "$disk"
	disk_off
	put_free reset 1
	get initstate
}

swapoff_quietly()
{
	swapoff "$1" 2>/dev/null
}

# Known data, and what the numbers say at each step.
use_data()
{
	step='data'
	put disksize 16M
	fill text 4 0
	look
	fill noise 2 4
	look
	fill zero 2 6
	fill eight 2 8
	look
	fill noise 2 0
	look
	fill text 2 4
	look
	punch $((1 << 20)) $((1 << 20))
	look
	put mem_used_max 0
	wait_until 60 peak_is_used && note 'peak is what is used' 1
	put_free reset 1
	get mm_stat
	get io_stat
}

# peak_is_used: and as long as memory is still being given back, not yet.
peak_is_used()
{
	local words

	echo 0 >"$dir/mem_used_max"
	read -r -a words <"$dir/mm_stat"
	[ "${words[2]}" = "${words[4]}" ]
}

# Two versions of one codec, two allocators: what they make of text differs.
look()
{
	columns mm_stat 1 4 6 8 9
	put compact 1
	near 'compr_data_size' 35 "$(column mm_stat 2)"
	near 'mem_used_total' 50 "$(column mm_stat 3)"
	columns io_stat 1 2 3 4
	flags 'now'
	sum 'the data'
}

# The limit: refused, and what was there is intact.
use_limit()
{
	step='limit'
	put disksize 16M
	put mem_limit 4M
	columns mm_stat 4
	data noise 8
	try 'more than fits' dd if="$file" of="$block" bs=64K \
		oflag=direct conv=notrunc status=none
	note 'failed writes' "$(($(column io_stat 2) > 0))"
	near 'pages that went in' 3 "$(($(column mm_stat 1) / 4096))"
	punch 0 $((1 << 20))
	data text 1
	try 'what fits again' dd if="$file" of="$block" bs=64K \
		oflag=direct conv=notrunc status=none
	put mem_limit 0
	data noise 8
	try 'without a limit' dd if="$file" of="$block" bs=64K \
		oflag=direct conv=notrunc status=none
	columns mm_stat 4
	put_free reset 1
}
