#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device grows while it is in use: whoever has it open can use what is new at
# once, loop devices and a mounted file system grow with it, and neither a worker
# that is killed just then nor an image loses anything. A smaller size is refused.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_ctl
requires fio

size_of()
{
	stat -c %s "$dev_dir/block"
}

set_size()
{
	echo "$1" >"$dev_dir/disksize"
}

# write_at MIB FILE: 1 MiB of it, by direct I/O.
write_at()
{
	dd if="$2" of="$dev_block" bs=1M seek="$1" count=1 oflag=direct \
		conv=notrunc status=none
}

expect_at()
{
	dd if="$dev_block" bs=1M skip="$1" count=1 iflag=direct status=none |
		cmp - "$2" >&2 || fail "MiB $1 is not what was written"
}

make_text 1048576 "$tmp/text"
make_noise 1048576 "$tmp/noise"
truncate -s 1M "$tmp/zeroes"

start_device grow -s 64M -a lz4
write_at 0 "$tmp/text"
write_at 63 "$tmp/noise"
expect_errno ENOSPC write_at 64 "$tmp/text"
# Whoever has it open has the new size, too.
exec 7<>"$dev_block"
set_size 200M
expect_equal "$(size_of)" $((200 << 20)) 'size'
expect_equal "$(cat "$dev_dir/disksize")" $((200 << 20)) 'disksize'
expect_at 63 "$tmp/noise"
expect_at 64 "$tmp/zeroes"
write_at 64 "$tmp/text"
write_at 199 "$tmp/noise"
expect_errno ENOSPC write_at 200 "$tmp/text"
dd bs=1M skip=199 count=1 iflag=direct status=none <&7 | cmp - "$tmp/noise" >&2 ||
	fail 'an open file does not reach the new end'
exec 7<&-
expect_equal "$(stat -f -c %b "$dev_dir/block")" $((200 << 8)) 'blocks of statfs'

# Asynchronous requests, which the kernel cuts at the size that it knows.
timeout 60 fio --name=new --filename="$dev_block" --ioengine=libaio --rw=randwrite \
	--bs=64k --offset=100m --size=64m --iodepth=16 --direct=1 \
	--buffer_compress_percentage=60 --buffer_compress_chunk=4k \
	--refill_buffers --verify=crc32c --verify_fatal=1 --verify_state_save=0 \
	--allow_file_create=0 --minimal >"$tmp/fio.log" 2>&1 ||
	fail "fio beyond the old end: $(tail "$tmp/fio.log")"

# What is refused changes nothing.
expect_errno EBUSY set_size 64M
grep -q '^disksize: cannot set disksize of grow .* shrink; reset' \
	"$dev_dir/last_error" || fail "$(cat "$dev_dir/last_error")"
expect_errno EINVAL set_size 17T
if set_size 16T 2>/dev/null; then
	fail 'there was address space for 16 TiB'
fi
grep -q '^disksize: cannot grow grow .* address space' \
	"$dev_dir/last_error" || fail "$(cat "$dev_dir/last_error")"
set_size 200M
expect_equal "$(size_of)" $((200 << 20)) 'size after refusals'

# The verb.
expect_equal "$("$UZRAMCTL" resize grow 0.25G)" 'grow: 256 MiB, was 200 MiB' verb
expect_equal "$("$UZRAMCTL" resize "$dev_dir/block" 256M)" \
	'grow: 256 MiB already' 'the same size'
expect_fail_line 4 'grow: disksize: cannot set disksize of grow' \
	"$UZRAMCTL" resize grow 1M
expect_fail_line 2 "'many' is not a size" "$UZRAMCTL" resize grow many
expect_fail_line 2 "'0' is not a size" "$UZRAMCTL" resize grow 0
expect_fail_line 2 'usage: uzramctl resize' "$UZRAMCTL" resize grow
expect_fail_line 3 'no device other' "$UZRAMCTL" resize other 1G
expect_equal "$(size_of)" $((256 << 20)) 'size after the verb'

# A worker that is killed the moment after, under load.
if grep -q '^survives yes$' "$dev_dir/stat"; then
	start_load
	for size in 300 301 400 500; do
		set_size "${size}M"
		kill -KILL "$(worker_pid)"
		expect_equal "$(cat "$dev_dir/disksize")" $((size << 20)) \
			'disksize of the next worker'
		expect_equal "$(size_of)" $((size << 20)) 'size of the file'
		write_at $((size - 1)) "$tmp/noise"
		expect_at $((size - 1)) "$tmp/noise"
		load_runs
	done
	stop_load
	expect_at 199 "$tmp/noise"
	expect_equal "$(sed -n 's/^checksum_errors //p' "$dev_dir/stat")" 0 \
		'checksum errors'
fi

# An image is of the size of its moment, and made a larger device of.
write_at 0 "$tmp/text"
"$UZRAMCTL" save grow "$tmp/image"
size=$(size_of)
set_size 600M
stop_device grow
start_device again --restore "$tmp/image"
expect_equal "$(size_of)" "$size" 'size of an image'
expect_at 0 "$tmp/text"
"$UZRAMCTL" resize again 1G >/dev/null
expect_at 1023 "$tmp/zeroes"
"$UZRAMCTL" reset again
expect_fail_line 1 'again has no size' "$UZRAMCTL" resize again 1G
stop_device again

# grow_fs: on $loop_dev, while it is mounted; or not, where root may not do that
# (it takes CAP_SYS_RESOURCE).
grow_fs()
{
	timeout 60 resize2fs "$loop_dev" >"$tmp/resize2fs.log" 2>&1 && return
	grep -q 'Permission denied to resize' "$tmp/resize2fs.log" ||
		fail "resize2fs: $(cat "$tmp/resize2fs.log")"
	unmount_fs "$fs_dir"
	timeout 60 fsck.ext4 -fp "$loop_dev" >"$tmp/fsck.log" 2>&1 ||
		fail "fsck: $(cat "$tmp/fsck.log")"
	timeout 60 resize2fs "$loop_dev" >"$tmp/resize2fs.log" 2>&1 ||
		fail "resize2fs: $(cat "$tmp/resize2fs.log")"
	mount -o discard "$loop_dev" "$fs_dir"
}

# Loop devices are told, also while the kernel drops what it hears of the size,
# one of them on a part of the file.
if [ "$(id -u)" = 0 ] && [ -c /dev/loop-control ]; then
	requires losetup blockdev
	start_device busy -s 256M -a lz4
	attach_loop "$dev_block" --offset 1048576 --sizelimit $((300 << 20))
	part=$loop_dev
	attach_loop "$dev_block"
	start_load
	load_has_begun()
	{
		load_runs
		[ "$(sed -n 's/^num_writes //p' "$dev_dir/stat")" -gt 100 ]
	}
	wait_until 60 load_has_begun || fail 'fio writes nothing'
	for size in 260 270 280 290 310 320; do
		"$UZRAMCTL" resize busy "${size}M" >/dev/null
		expect_equal "$(blockdev --getsize64 "$loop_dev")" \
			$((size << 20)) 'size of the loop device under load'
		expect_equal "$(blockdev --getsize64 "$part")" \
			$(((size > 301 ? 300 : size - 1) << 20)) \
			'size of the one on a part'
	done
	stop_load
	detach_loop "$part"
	detach_loop "$loop_dev"
	stop_device busy
fi

# A file system on a loop device, which is told.
if [ "$(id -u)" = 0 ] && [ -c /dev/loop-control ]; then
	requires losetup blockdev mkfs.ext4 resize2fs fsck.ext4
	start_device loop -s 64M -a lz4
	attach_loop "$dev_block"
	mkfs.ext4 -q "$loop_dev" >"$tmp/mkfs.log" 2>&1
	mount_fs "$loop_dev" -o discard
	cp "$tmp/text" "$fs_dir/before"
	"$UZRAMCTL" resize loop 160M >/dev/null
	expect_equal "$(blockdev --getsize64 "$loop_dev")" $((160 << 20)) \
		'size of the loop device'
	grow_fs
	make_text $((96 << 20)) "$tmp/much"
	cp "$tmp/much" "$fs_dir/after"
	# As somebody does it who has not uzramctl.
	set_size 200M
	touch "$dev_dir/block"
	losetup -c "$loop_dev"
	expect_equal "$(blockdev --getsize64 "$loop_dev")" $((200 << 20)) \
		'size after losetup -c'
	unmount_fs "$fs_dir"
	mount "$loop_dev" "$fs_dir"
	expect_same "$fs_dir/after" "$tmp/much"
	expect_same "$fs_dir/before" "$tmp/text"
	unmount_fs "$fs_dir"
	expect_sound "$loop_dev"
	detach_loop "$loop_dev"
	stop_device loop
else
	missing loop 'no loop devices'
fi
