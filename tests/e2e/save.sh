#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device is saved to a file while fio writes, and restored: what comes back
# is what was there. Larger devices take it too; what cannot be right is
# refused and leaves neither a file nor a mount.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires_ctl
requires fio

# restored NAME FILE ARGUMENTS...: a device out of a file; sets dev_block.
restored()
{
	local name=$1 file=$2

	shift 2
	start_device "$name" --restore "$file" "$@"
}

# nothing_mounted NAME: no device came of it.
nothing_mounted()
{
	! is_mounted "$UZRAM_RUNDIR/$1" || fail "$1 is mounted"
}

fio_pid=
end_fio()
{
	[ -n "$fio_pid" ] || return 0
	kill "$fio_pid" || true
	wait "$fio_pid" || true
	fio_pid=
}

# --- at rest ---

make_text 33554432 "$tmp/text"
make_noise 16777216 "$tmp/noise"
start_device one -s 64M -a zstd
block=$dev_block
dd if="$tmp/text" of="$block" bs=1M conv=notrunc status=none
dd if="$tmp/noise" of="$block" bs=1M seek=40 conv=notrunc status=none
expect_equal "$(cat "$dev_dir/save")" none 'save before the first one'

# A path of the client's own directory.
(cd "$tmp" && "$UZRAMCTL" save one image) >"$tmp/said"
grep -q "pages (48 MiB) saved to $tmp/image" "$tmp/said" ||
	fail "save said: $(cat "$tmp/said")"
grep -q "^saved 12288 pages in [0-9]* bytes to $tmp/image$" "$dev_dir/save" ||
	fail "the attribute says: $(cat "$dev_dir/save")"
expect_equal "$(stat -c %a "$tmp/image")" 600 'mode of the file'
[ "$(stat -c %s "$tmp/image")" -lt $((32 << 20)) ] ||
	fail "the file has $(stat -c %s "$tmp/image") bytes"

restored two "$tmp/image"
expect_same "$block" "$dev_block"
grep -q '\[zstd\]' "$dev_dir/comp_algorithm" || fail 'the codec is another'
stop_device two
restored three "$tmp/image" -s 128M -a lz4
expect_equal "$(cat "$dev_dir/disksize")" $((128 << 20)) 'a larger disksize'
cmp -n $((64 << 20)) "$block" "$dev_block" >&2 || fail 'larger: not the same'
cmp -n $((64 << 20)) -i $((64 << 20)):0 "$dev_block" /dev/zero >&2 ||
	fail 'larger: what is beyond is not empty'
stop_device three

# --- refused ---

expect_fail_line 1 'too small' "$UZRAMCTL" add no --restore "$tmp/image" -s 32M
head -c 1000000 "$tmp/image" >"$tmp/short"
expect_fail_line 1 'cut off at byte 1000000' \
	"$UZRAMCTL" add no --restore "$tmp/short"
cp "$tmp/image" "$tmp/other"
printf 'x' | dd of="$tmp/other" bs=1 seek=3000000 conv=notrunc status=none
expect_fail_line 1 'is damaged at byte' \
	"$UZRAMCTL" add no --restore "$tmp/other"
expect_fail_line 1 'no image of a uzram device' \
	"$UZRAMCTL" add no --restore "$tmp/text"
expect_fail_line 1 'mem_limit' \
	"$UZRAMCTL" add no --restore "$tmp/image" -o mem_limit=4M
# What went to the store when it was written does so again.
truncate -s 64M "$tmp/store"
restored backed "$tmp/image" -o mem_limit=8M -o "backing_dev=$tmp/store"
expect_same "$block" "$dev_block"
stop_device backed
# Unless that is full as well.
truncate -s 0 "$tmp/store"
truncate -s 4M "$tmp/store"
! "$UZRAMCTL" add no --restore "$tmp/image" -o mem_limit=8M \
	-o "backing_dev=$tmp/store" 2>"$tmp/err" ||
	fail 'restored to where there is no room'
grep -q "$tmp/image does not fit: no room below mem_limit or in $tmp/store for \
page [0-9]*\$" "$tmp/err" || fail "$(cat "$tmp/err")"
nothing_mounted no
# And the store is not anybody's any more.
restored backed "$tmp/image" -o "backing_dev=$tmp/store"
expect_same "$block" "$dev_block"
stop_device backed
expect_fail_line 3 "$tmp/none" "$UZRAMCTL" add no --restore "$tmp/none"
nothing_mounted no

expect_fail_line 1 'no regular file' "$UZRAMCTL" save one "$tmp"
expect_fail_line 3 'No such file' "$UZRAMCTL" save one "$tmp/no/image"
expect_errno EINVAL bash -c "echo image >'$UZRAM_RUNDIR/one/save'"
grep -q "^save: .*does not begin with '/'" "$UZRAM_RUNDIR/one/last_error" ||
	fail "last_error: $(cat "$UZRAM_RUNDIR/one/last_error")"

# --- a full file system ---

if [ "$(id -u)" = 0 ]; then
	mkdir "$tmp/small"
	mount -t tmpfs -o size=4M none "$tmp/small"
	on_exit unmount_fs "$tmp/small"
	expect_fail_line 1 'No space left on device' \
		"$UZRAMCTL" save one "$tmp/small/image"
	expect_equal "$(ls -A "$tmp/small")" '' 'left in the full file system'
fi

# --- while it is written to ---

start_device busy -s 128M -a lz4
block=$dev_block
fio --name=busy --filename="$block" --rw=randwrite --bssplit=4k/70:64k/30 \
	--size=128m --iodepth=8 --ioengine=psync --numjobs=2 --direct=1 \
	--buffer_compress_percentage=60 --refill_buffers --time_based \
	--runtime=600 --allow_file_create=0 --minimal >"$tmp/fio.log" 2>&1 &
fio_pid=$!
on_exit end_fio
writes()
{
	[ "$(mm_stat 1)" -gt $((8 << 20)) ]
}
wait_until 60 writes || fail "fio: $(tail "$tmp/fio.log")"
for number in 1 2 3; do
	"$UZRAMCTL" save busy "$tmp/busy" >"$tmp/said"
	# Two devices of one file are one device.
	restored "again$number" "$tmp/busy"
	"$UZRAMCTL" save "again$number" "$tmp/again" >"$tmp/said"
	restored "twice$number" "$tmp/again"
	expect_same "$UZRAM_RUNDIR/again$number/block" "$dev_block"
	stop_device "again$number"
	stop_device "twice$number"
done
end_fio
"$UZRAMCTL" save busy "$tmp/busy" >"$tmp/said"
restored end "$tmp/busy"
expect_same "$block" "$dev_block"

# A worker that is killed in the middle leaves what was there, and the device.
worker=$(sed -n 's/^worker_pid //p' "$UZRAM_RUNDIR/busy/stat")
echo "$tmp/busy" >"$UZRAM_RUNDIR/busy/save"
kill -KILL "$worker"
wait_until 60 pid_gone "$worker" || fail "worker $worker does not die"
expect_equal "$(cat "$UZRAM_RUNDIR/busy/save")" none 'save after a death'
expect_equal "$(find "$tmp" -name 'busy.tmp*')" '' 'left by the killed one'
restored whole "$tmp/busy"
expect_same "$UZRAM_RUNDIR/end/block" "$dev_block"
expect_same "$UZRAM_RUNDIR/busy/block" "$dev_block"
