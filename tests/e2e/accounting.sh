#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the device says it takes is what the kernel says its daemon takes: the
# arena to the page, and everything together within a hundredth.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse

# shmem NAME: bytes that the daemon's memfds of that name take; '*' for all.
shmem()
{
	local fd sum=0

	for fd in "/proc/$(worker_pid)/fd"/*; do
		# shellcheck disable=SC2254 # a pattern
		case $(readlink "$fd") in
		/memfd:uzram-$1\ *)
			sum=$((sum + $(stat -L -c %b "$fd") * 512))
			;;
		esac
	done
	echo $sum
}

# rollup FIELDS: their sum in bytes, for the whole daemon.
rollup()
{
	awk -v fields="$1" '$1 ~ "^(" fields "):" { n += $2 }
		END { print n * 1024 }' "/proc/$(worker_pid)/smaps_rollup"
}

# alone: bytes that no other process has mapped, those of memfds left out.
alone()
{
	awk '/^[0-9a-f]+-[0-9a-f]+ / { memfd = $6 ~ "^/memfd:uzram-" }
		/^Private_(Clean|Dirty):/ && !memfd { n += $2 }
		END { print n * 1024 }' "/proc/$(worker_pid)/smaps"
}

# Ordinary memory, and the memfds: their pages are shared by nobody else, but
# need not be mapped.
kernel_says()
{
	echo $(($(rollup Anonymous) + $(shmem '*')))
}

number()
{
	awk -v name="$1" '$1 == name { print $2 }' "$dev_dir/stat"
}

# near GOT WANTED: within a hundredth
near()
{
	local off=$(($1 > $2 ? $1 - $2 : $2 - $1))

	[ $((off * 100)) -le "$2" ]
}

# Memory populated ahead goes back soon after the last store, so what is read
# one after the other need not be of the same moment at first. Sets used,
# resident and their counterparts.
agrees()
{
	used=$(mm_stat 3)
	shmem=$(shmem arena)
	resident=$(($(number mem_resident) - before_resident))
	kernel=$(($(kernel_says) - before))
	[ "$used" -eq "$(mm_stat 3)" ] && near "$used" "$shmem" &&
		near "$resident" "$kernel"
}

# parts: of one moment, and what they should add up to
parts()
{
	awk '$1 == "mem_used_total" || $1 == "meta_bytes" { sum += $2 }
		$1 == "mem_resident" { all = $2 }
		END { printf "%.0f %.0f", all, sum }' "$dev_dir/stat"
}

start_device accounting -s 8G -a lz4

# Empty: everything that is the daemon's alone, its code and libc included.
idle=$(($(alone) + $(shmem '*')))
[ $idle -le 8388608 ] || fail "a device of 8 GiB takes $idle bytes when empty"

# Half of it is noise; the other half compresses to less than a third.
make_noise 268435456 "$tmp/noise"
make_text 268435456 "$tmp/text"
before=$(kernel_says)
before_resident=$(number mem_resident)
for ((at = 0; at < 512; at += 64)); do
	dd if="$tmp/noise" of="$dev_block" bs=1M count=32 skip=$((at / 2)) \
		seek=$at conv=notrunc oflag=direct status=none
	dd if="$tmp/text" of="$dev_block" bs=4K count=8192 \
		skip=$((at * 128)) seek=$(((at + 32) * 256)) conv=notrunc \
		oflag=direct status=none
done
expect_equal "$(mm_stat 1)" $((512 << 20)) 'bytes stored'

# check WHAT
check()
{
	local all sum

	wait_until 60 agrees ||
		fail "$1: mem_used_total $used, but the kernel says $shmem;" \
			"mem_resident grew by $resident, the kernel: $kernel"
	read -r all sum <<<"$(parts)"
	expect_equal "$all" "$sum" "$1: the sum of its parts"
}
check 'after the fill'

# Small writes at random, then reads of all: nothing grows unseen.
for ((i = 0; i < 200; i++)); do
	dd if="$tmp/text" of="$dev_block" bs=4K count=1 skip=$i \
		seek=$((RANDOM * 4)) conv=notrunc oflag=direct status=none
done
dd if="$dev_block" of=/dev/null bs=1M count=512 iflag=direct status=none
check 'after overwriting and reading'
