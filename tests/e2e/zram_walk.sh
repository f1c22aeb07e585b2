#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A walk through every attribute that the kernel here has, by somebody who only
# is told another path (zram_user.sh): once with kernel zram, once with ours.
# What he sees is compared line by line. Differences that are meant are listed
# below, with both values; all others fail the test.

. "${0%/*}/functions.sh"
. "$here/zram_pair.sh"
. "$here/zram_user.sh"
. "$here/zram_user_idle.sh"

requires_fuse
requires_loop
requires mkfs.ext4 mkswap blkdiscard fallocate
pair_begin -o track_age=on

# ---- what is meant ----

# STEP: WHAT|KERNEL|OURS, with shell patterns; the comment says why.
meant="
# Other text after a size: the kernel takes 1.5M for one byte.
sizes: '1048576B' > *|done|Invalid argument
sizes: '1M ' > *|done|Invalid argument
sizes: '1.5M' > *|done|Invalid argument
# A device in use can grow; the size that it has already is no change of it.
with a size: '16M' > disksize|Device or resource busy|done
# Another codec applies to what is stored from then on.
with a size: 'lz4' > comp_algorithm|Device or resource busy|done
# A full device can be told from a broken one.
limit: more than fits|Input/output error|No space left on device
# Ages can always be had; a kernel may be built without.
idle: '?*' > idle|Invalid argument|done
# 7.2 takes an age beyond the time since the machine started for none.
idle: older than an hour: pages by flags|*...i..*|*......*
# What is written back is compressed in any case.
without a size: compressed_writeback|0|1
# The path is wrong for another reason, too: it is not a whole one.
backing_dev: '' > backing_dev|Is a directory|Invalid argument
# The device's own store, once more.
backing_dev: '/dev/loop*' > backing_dev|Device or resource busy|done
# A kernel that is built for one codec has no such priority.
algorithm_params: 'priority=2 level=1' > algorithm_params|Invalid argument|done
# No codec has that priority; 7.1 refuses it, too.
recompress: 'priority=3' > recompress|done|Invalid argument
# A limited number is of the largest pages, in the kernel from 6.13 on.
recompress: sixteen: pages by flags|*|*
# What had that codec before is not tried, and stays idle.
recompress: idle: pages by flags|*....r.*|*...ir.*
# Words that nobody knows are refused.
writeback: '' > writeback|done|Invalid argument
writeback: 'huge=1' > writeback|done|Invalid argument
"
# Before 7.0 a page's sort is forgotten with its place in memory.
[ -e "$pair_theirs/compressed_writeback" ] || meant+="
writeback*: pages by flags|*.w....*|*.wh...*
# The first number of debug_stat had a width once.
files: first lines of debug_stat|version: 1;       0        0;|version: 1;0        0;
# Any text was taken for a number of streams, and a longer age for one.
streams and codecs: '?*' > max_comp_streams|done|Invalid argument
idle: '99999999999' > idle|done|Invalid argument
"

is_meant()
{
	local what theirs ours

	while IFS='|' read -r what theirs ours; do
		case $what in
		'' | '#'*) continue ;;
		esac
		# shellcheck disable=SC2053 # patterns
		if [[ $1 == $what && $2 == $theirs && $3 == $ours ]]; then
			return 0
		fi
	done <<<"$meant"
	return 1
}

# ---- the walk ----

has()
{
	[ -e "$pair_theirs/$1" ]
}

walk()
{
	use_files
	use_codecs
	use_sizes
	use_order
	use_fs
	use_swap
	use_data
	use_limit
	use_idle
	use_backing
	use_params
	use_recompression
}

with_theirs()
{
	dir=$pair_theirs
	block=$pair_block
	state=$pair_state
	disk_on()
	{
		disk=$block
	}
	disk_off()
	{
		:
	}
	punch()
	{
		blkdiscard -o "$1" -l "$2" "$block"
	}
}

with_ours()
{
	dir=$dev_dir
	block=$dev_dir/block
	state=${pair_state:+$dev_dir/block_state}
	disk_on()
	{
		attach_loop "$block"
		disk=$loop_dev
	}
	disk_off()
	{
		detach_loop "$disk"
	}
	punch()
	{
		fallocate -p -o "$1" -l "$2" "$block"
	}
}

# Of all kernels up to 7.2; "stat" is the block layer's.
# shellcheck disable=SC2034 # for zram_user.sh
attributes='disksize initstate reset comp_algorithm algorithm_params
	recomp_algorithm recompress max_comp_streams mem_limit mem_used_max
	compact idle backing_dev writeback writeback_limit
	writeback_limit_enable writeback_batch_size compressed_writeback
	mm_stat io_stat bd_stat debug_stat'
# shellcheck disable=SC2034
long=$(printf 'n%.0s' {1..200})

codecs=
for name in lz4 lz4hc zstd deflate lzo lzo-rle 842; do
	grep -qwF -- "$name" "$pair_theirs/comp_algorithm" &&
		grep -qwF -- "$name" "$dev_dir/comp_algorithm" &&
		codecs="$codecs $name"
done
truncate -s 64M "$tmp/spare"
attach_loop "$tmp/spare"
spare=$loop_dev

with_theirs
walk >"$tmp/theirs"
with_ours
walk >"$tmp/ours"

# ---- what came of it ----

# is_near PERCENT A B
is_near()
{
	local difference=$(($2 - $3))

	[ $((100 * ${difference#-})) -le $(($1 * ($2 > $3 ? $2 : $3))) ]
}

compared=0
different=0
while IFS=$'\t' read -r -u 3 what theirs number &&
	IFS=$'\t' read -r -u 4 what_ours ours number_ours; do
	compared=$((compared + 1))
	expect_equal "$what_ours" "$what" "line $compared of the walk"
	if [ -n "$number" ]; then
		is_near "${theirs#\~}" "$number" "$number_ours" && continue
		theirs=$number
		ours=$number_ours
	fi
	[ "$theirs" != "$ours" ] || continue
	if is_meant "$what" "$theirs" "$ours"; then
		echo "meant: $what: '$theirs', ours '$ours'" >&2
		continue
	fi
	different=$((different + 1))
	echo "$what: the kernel: '$theirs', ours: '$ours'" >&2
done 3<"$tmp/theirs" 4<"$tmp/ours"
expect_equal "$(wc -l <"$tmp/ours")" "$(wc -l <"$tmp/theirs")" 'lines'
for name in $attributes; do
	[ -e "$dev_dir/$name" ] || fail "there is no $name"
	has "$name" || echo "not compared, this kernel has no $name" >&2
done
[ -n "$pair_state" ] || echo 'not compared: no block_state here' >&2
echo "$compared lines compared" >&2
expect_equal $different 0 'differences'
[ $compared -gt 250 ] || fail "only $compared comparisons were made"
stop_device ours
