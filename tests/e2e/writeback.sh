#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Pages leave memory for a backing store, a file and a block device: memory
# shrinks, several pages share a block, everything reads back as it was, also
# after the worker was killed in the middle and when the store is full.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse

mib=64
pages=$((mib * 256))

# bd_stat COLUMN: 1 blocks in use, 2 read, 3 written.
bd_stat()
{
	awk -v column="$1" '{ print $column }' "$dev_dir/bd_stat"
}

# fill: three quarters text, one quarter noise.
fill()
{
	make_text $((mib * 786432)) "$tmp/data"
	make_noise $((mib * 262144)) "$tmp/noise"
	cat "$tmp/noise" >>"$tmp/data"
	dd if="$tmp/data" of="$dev_dir/block" bs=1M conv=notrunc oflag=direct \
		status=none
}

expect_data()
{
	dd if="$dev_dir/block" of="$tmp/read" bs=1M count=$mib iflag=direct \
		status=none
	expect_same "$tmp/data" "$tmp/read"
}

# refused ATTRIBUTE VALUE ERROR: the write is refused so.
refused()
{
	expect_errno "$3" bash -c "echo '$2' >'$dev_dir/$1'"
}

make_store()
{
	truncate -s "$1" "$tmp/store"
}

# Text alone must take no more than 0.6 blocks a page.
text_is_packed()
{
	local text=$((pages * 3 / 4))

	[ "$1" -le $((text * 60 / 100)) ]
}

# all_leave KIND COUNT-COMMAND: until no page of that kind is left. Those that
# compaction is just moving stay, and leave the next time.
all_leave()
{
	echo "type=$1" >"$dev_dir/writeback"
	[ "$("${@:2}")" -eq 0 ]
}

pages_here()
{
	echo $((pages - $(stat_of backed_pages)))
}

memory_is_given_back()
{
	[ "$(mm_stat 3)" -lt 4194304 ]
}

# the_way NAME STORE: as kernel zram is told to.
the_way()
{
	local before written

	start_device "$1" -a lz4
	expect_equal "$(cat "$dev_dir/backing_dev")" none backing_dev
	echo "$2" >"$dev_dir/backing_dev"
	expect_equal "$(cat "$dev_dir/backing_dev")" "$2" backing_dev
	refused writeback idle EINVAL
	echo 256M >"$dev_dir/disksize"
	refused backing_dev none EBUSY
	expect_equal "$(cat "$dev_dir/bd_stat")" \
		'       0        0        0' 'bd_stat of a new device'
	fill
	before=$(mm_stat 3)
	# Nothing is idle yet.
	echo idle >"$dev_dir/writeback"
	expect_equal "$(bd_stat 3)" 0 'blocks written for no idle page'
	# Text first: pages of noise are at the end.
	echo "page_indexes=0-$((pages * 3 / 4 - 1))" >"$dev_dir/writeback"
	written=$(bd_stat 3)
	text_is_packed "$written" ||
		fail "$written blocks for $((pages * 3 / 4)) pages of text"
	wait_until 60 all_leave huge mm_stat 8 || fail "$(mm_stat 8) huge pages left"
	expect_equal "$(mm_stat 1)" $((mib * 1048576)) orig_data_size
	wait_until 60 memory_is_given_back ||
		fail "memory $before before, $(mm_stat 3) after"
	[ "$(bd_stat 1)" -le "$(bd_stat 3)" ] || fail 'more used than written'
	expect_data
	[ "$(bd_stat 2)" -ge "$(stat_of backed_pages)" ] ||
		fail "bd_stat: $(cat "$dev_dir/bd_stat")"
	# Overwritten, it lies in memory, and the blocks are free.
	fill
	expect_equal "$(bd_stat 1)" 0 'blocks in use after overwriting'
	expect_data
	# Idle ones, and back by being read.
	echo all >"$dev_dir/idle"
	wait_until 60 all_leave idle pages_here ||
		fail "$(pages_here) pages did not leave"
	echo 1 >"$dev_dir/writeback_promote"
	expect_data
	expect_equal "$(stat_of backed_pages)" 0 'backed pages after reading'
	expect_equal "$(bd_stat 1)" 0 'blocks in use after promotion'
	expect_data
	expect_equal "$(awk '{ print $1, $2 }' "$dev_dir/io_stat")" '0 0' \
		'failed reads and writes'
	echo 1 >"$dev_dir/reset"
	expect_equal "$(cat "$dev_dir/backing_dev")" none 'backing_dev at reset'
	stop_device "$1"
}

# ---- on a file ----

make_store 256M
the_way file "$tmp/store"

# ---- on a block device ----

if [ "$(id -u)" = 0 ] && [ -e /dev/loop-control ]; then
	make_store 256M
	attach_loop "$tmp/store"
	the_way block "$loop_dev"
	detach_loop "$loop_dev"
else
	echo 'no loop devices: not on a block device'
fi

# ---- limits and a full store ----

make_store 8M
start_device full -s 256M -a lz4 -o "backing_dev=$tmp/store"
fill
echo 1 >"$dev_dir/writeback_limit_enable"
refused writeback huge EIO
grep -q '^writeback: writeback_limit is used up after 0 of ' \
	"$dev_dir/last_error" || fail "$(cat "$dev_dir/last_error")"
echo 100 >"$dev_dir/writeback_limit"
refused writeback huge EIO
expect_equal $(($(cat "$dev_dir/writeback_limit") + $(bd_stat 3))) 100 \
	'blocks written and left'
echo 0 >"$dev_dir/writeback_limit_enable"
refused writeback huge ENOSPC
grep -q '^writeback: the backing store is full after ' "$dev_dir/last_error" ||
	fail "$(cat "$dev_dir/last_error")"
[ "$(bd_stat 1)" -ge 2040 ] || fail "only $(bd_stat 1) of 2048 blocks in use"
expect_data
refused writeback nonsense EINVAL
refused writeback page_index=65536 ERANGE
stop_device full

# ---- killed in the middle ----

make_store 256M
start_device killed -s 256M -a lz4 -o "backing_dev=$tmp/store"
fill
for delay in 0.01 0.03 0.06 0.1; do
	echo all >"$dev_dir/idle"
	echo idle >"$dev_dir/writeback" 2>"$tmp/interrupted" &
	writer=$!
	sleep $delay
	kill -KILL "$(stat_of worker_pid)"
	wait $writer || true
	expect_data
	dd if="$tmp/data" of="$dev_dir/block" bs=1M count=16 conv=notrunc \
		oflag=direct status=none
done
expect_equal "$(stat_of restarts)" 4 restarts
expect_equal "$(stat_of backing_lost)" 0 'stores that were lost'
echo all >"$dev_dir/idle"
wait_until 60 all_leave idle pages_here ||
	fail "$(pages_here) pages did not leave"
expect_data
expect_equal "$(stat_of backed_pages)" $pages 'backed pages'
expect_equal "$(stat_of checksum_errors)" 0 'checksum errors'
stop_device killed

# ---- uzramctl ----

if [ -x "$UZRAMCTL" ]; then
	make_store 256M
	# Its name relative to here.
	(cd "$tmp" && "$UZRAMCTL" add ctl -s 256M --backing store) >"$tmp/said"
	dev_dir=$UZRAM_RUNDIR/ctl
	on_exit "$UZRAMCTL" remove ctl
	expect_equal "$(cat "$dev_dir/backing_dev")" "$tmp/store" backing_dev
	fill
	huge=$(mm_stat 8)
	"$UZRAMCTL" writeback ctl huge >"$tmp/said"
	grep -q "^ctl: $huge pages (16 MiB) written back in [0-9]* blocks" \
		"$tmp/said" || fail "uzramctl: $(cat "$tmp/said")"
	"$UZRAMCTL" writeback ctl page_index=4 page_indexes=5-9 >"$tmp/said"
	grep -q '^ctl: 6 pages ' "$tmp/said" || fail "$(cat "$tmp/said")"
	expect_fail_line 1 'none of huge, idle' "$UZRAMCTL" writeback ctl nope
	expect_fail_line 2 'usage: uzramctl writeback' "$UZRAMCTL" writeback ctl
	expect_data
	"$UZRAMCTL" remove ctl
fi
