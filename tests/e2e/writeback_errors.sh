#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A backing store that fails: a file whose file system is full, a disk whose
# blocks cannot be written, a file that was cut off. Pages that could not leave
# stay in memory and read as before, one line says what has happened, the device
# goes on, and when the store is well again they leave. One that is missing is
# found when it is back.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_loop

mib=16
pages=$((mib * 256))

fill()
{
	make_noise $((mib << 20)) "$tmp/data"
	dd if="$tmp/data" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
}

expect_data()
{
	dd if="$dev_block" of="$tmp/read" bs=1M count=$mib iflag=direct \
		status=none
	expect_same "$tmp/data" "$tmp/read"
}

# refused TEXT ERROR: a writeback is, and says so in one line.
refused()
{
	expect_errno "$2" bash -c "echo huge >'$dev_dir/writeback'"
	expect_equal "$(wc -l <"$dev_dir/last_error")" 1 'lines of last_error'
	grep -q "^writeback: $1\$" "$dev_dir/last_error" ||
		fail "$(cat "$dev_dir/last_error")"
}

mount_store()
{
	mkdir "$tmp/small"
	mount -t tmpfs -o size=4M none "$tmp/small"
	on_exit umount_quietly
	truncate -s 64M "$tmp/small/store"
}

umount_quietly()
{
	! mountpoint -q "$tmp/small" || umount -l "$tmp/small"
}

unmount_store()
{
	# Who had a loop device open last lets go of the file a moment later.
	wait_until 60 umount "$tmp/small"
	rmdir "$tmp/small"
}

# ---- the store's file system is full ----

mount_store
start_device file -s 64M -a lz4 -o "backing_dev=$tmp/small/store"
fill
refused '[0-9]* of 4096 pages could not be written (No space left on device) and stay in memory' ENOSPC
[ "$(stat_of writeback_failed)" -gt 0 ] || fail 'no page is counted as failed'
there=$(stat_of backed_pages)
[ "$there" -lt 1024 ] || fail "$there pages in 4 MiB"
expect_equal "$(mm_stat 8)" $((pages - there)) 'pages in memory'
expect_data
# Writing, discarding and reading are as ever.
fill
expect_data
refused '.*stay in memory' ENOSPC
expect_data
# The store gets room.
mount -o remount,size=64M "$tmp/small"
echo huge >"$dev_dir/writeback"
expect_equal "$(mm_stat 8)" 0 'pages in memory'
expect_data
expect_equal "$(stat_of checksum_errors)" 0 'checksum errors'

# ---- and is cut off ----

truncate -s 1M "$tmp/small/store"
expect_errno EIO dd if="$dev_block" of="$tmp/read" bs=1M count=$mib \
	iflag=direct status=none
grep -q '^block: page [0-9]*: the backing store cannot be read there; ' \
	"$dev_dir/last_error" || fail "$(cat "$dev_dir/last_error")"
[ "$(stat_of backing_read_errors)" -gt 0 ] || fail 'no error is counted'
# What is written anew is well.
fill
expect_data
stop_device file
grep -q ': page [0-9]*: the backing store cannot be read there; ' \
	"$tmp/file.log" || fail 'the log does not tell of it'
expect_equal "$(grep -vc 'the backing store cannot be read there' \
	"$tmp/file.log" || true)" 0 'other lines of the daemon'
unmount_store

# ---- it is not there when a worker follows, and then it is ----

mount_store
mount -o remount,size=64M "$tmp/small"
start_device away -s 64M -a lz4 -o "backing_dev=$tmp/small/store"
fill
echo huge >"$dev_dir/writeback"
mv "$tmp/small/store" "$tmp/small/elsewhere"
worker=$(worker_pid)
kill -KILL "$worker"
wait_until 60 pid_gone "$worker"
expect_errno EIO dd if="$dev_block" of="$tmp/read" bs=1M count=$mib \
	iflag=direct status=none
expect_equal "$(stat_of backing_lost)" 1 'stores that were lost'
mv "$tmp/small/elsewhere" "$tmp/small/store"
is_back()
{
	[ "$(stat_of backing_lost)" = 0 ]
}
wait_until 120 is_back || fail 'the store was not found again'
expect_data
stop_device away
expect_equal "$(grep -c ': its backing store is' "$tmp/away.log")" 2 \
	'lines of the store'
grep -q ": its backing store is there again: $tmp/small/store\$" \
	"$tmp/away.log" || fail 'the log does not tell that it was found'
unmount_store

# ---- a disk that cannot be written ----

mount_store
attach_loop "$tmp/small/store"
start_device disk -s 64M -a lz4 -o "backing_dev=$loop_dev"
fill
refused ".* pages could not be written (.*) and stay in memory" ENOSPC/EIO
expect_data
mount -o remount,size=64M "$tmp/small"
echo huge >"$dev_dir/writeback"
expect_equal "$(mm_stat 8)" 0 'pages in memory'
expect_data
stop_device disk
detach_loop "$loop_dev"
unmount_store
