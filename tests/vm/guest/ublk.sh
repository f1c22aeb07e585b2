#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The ublk front end: the disk's limits, file systems, verified load on two
# queues, discards that give memory back, partitions; a disk that is in use is
# not removed, and one that is leaves nothing behind.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

. "$(dirname "$0")/disks.sh"

limit_is()
{
	expect_equal "$(cat "/sys/block/${disk##*/}/queue/$1")" "$2" "$1"
}

# ---- refusals ----

expect_fail_line 1 'give one (-s SIZE)' "$UZRAMCTL" add none --frontend ublk
! is_mounted "$UZRAM_RUNDIR/none" || fail 'left its mount'
expect_equal "$(ls "$UZRAM_RUNDIR")" '' 'directories left'
expect_fail_line 1 'is for the front end fuse' \
	"$UZRAMCTL" add none --size 16M --frontend ublk --option transport=fuse
expect_equal "$(ls -d "$UZRAM_RUNDIR"/* /dev/ublk* 2>/dev/null)" \
	/dev/ublk-control 'left'

# ---- the disk ----

add_disk one --size 192M --algorithm lz4
expect_equal "$(blockdev --getsize64 "$disk")" $((192 << 20)) 'its size'
expect_equal "$(blockdev --getss --getpbsz --getiomin "$disk" | tr '\n' ' ')" \
	'4096 4096 4096 ' 'its blocks'
limit_is rotational 0
limit_is write_cache 'write through'
limit_is discard_granularity 4096
limit_is logical_block_size 4096
[ "$(cat "/sys/block/${disk##*/}/queue/discard_max_bytes")" -gt 0 ] ||
	fail 'no discard'
[ "$(cat "/sys/block/${disk##*/}/queue/write_zeroes_max_bytes")" -gt 0 ] ||
	fail 'no write zeroes'
expect_equal "$(find "/sys/block/${disk##*/}/mq" -mindepth 1 -maxdepth 1 |
	wc -l)" 2 'queues'
expect_equal "$(stat_of transport)" ublk 'transport'
expect_errno EBUSY bash -c "echo 1 >'$dev_dir/reset'"

# ---- file systems ----

(cd / && find uzram -type f -exec sha1sum {} +) >"$tmp/sums"

# try_fs TYPE CHECK...
try_fs()
{
	local type=$1 before

	shift
	"mkfs.$type" -q "$disk"
	mount_fs "$disk"
	cp -r /uzram "$fs_dir"
	unmount_fs "$fs_dir"
	"$@" "$disk" >"$tmp/check.log" 2>&1 || fail "$*: damage"
	mount_fs "$disk"
	(cd "$fs_dir" && sha1sum --quiet -c "$tmp/sums") >&2 ||
		fail "$type: other data"
	# In use, it stays.
	expect_fail_line 4 "$type on $fs_dir" "$UZRAMCTL" remove one
	cp /usr/bin/fio "$fs_dir/more"
	sync
	before=$(mm_stat 1)
	rm -r "$fs_dir/more"
	sync
	fstrim "$fs_dir"
	[ "$(mm_stat 1)" -lt "$before" ] ||
		fail "$type: fstrim gave nothing back of $before"
	unmount_fs "$fs_dir"
	blkdiscard -f "$disk"
	expect_equal "$(mm_stat 1)" 0 'orig_data_size after blkdiscard'
}

try_fs ext4 fsck.ext4 -fn

# ---- growth ----

# With a file system on it, and a worker that is killed the moment after.
mkfs.ext4 -q "$disk"
mount_fs "$disk"
cp /usr/bin/fio "$fs_dir"
if [ "$(printf '6.16\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.16 ]; then
	expect_equal "$("$UZRAMCTL" resize one 256M)" 'one: 256 MiB, was 192 MiB' \
		'resize'
	kill -KILL "$(worker_pid)"
	expect_equal "$(blockdev --getsize64 "$disk")" $((256 << 20)) 'grown'
	timeout 60 resize2fs "$disk" >"$tmp/resize2fs.log" 2>&1 ||
		fail "resize2fs: $(cat "$tmp/resize2fs.log")"
	[ $(($(stat -f -c '%b * %S' "$fs_dir"))) -gt $((200 << 20)) ] ||
		fail 'the file system has not grown'
	expect_equal "$("$UZRAMCTL" resize one 256M)" 'one: 256 MiB already' \
		'the same size'
else
	expect_fail_line 5 'cannot grow: this kernel' "$UZRAMCTL" resize one 256M
	expect_equal "$("$UZRAMCTL" resize one 192M)" 'one: 192 MiB already' \
		'the same size'
	expect_equal "$(blockdev --getsize64 "$disk")" $((192 << 20)) 'not grown'
fi
expect_fail_line 4 'disksize' "$UZRAMCTL" resize one 1M
expect_same /usr/bin/fio "$fs_dir/fio"
unmount_fs "$fs_dir"
fsck.ext4 -fn "$disk" >"$tmp/check.log" 2>&1 || fail "fsck: $(cat "$tmp/check.log")"
blkdiscard -f "$disk"

# ---- load ----

fio --name=verify --filename="$disk" --ioengine=libaio --direct=1 \
	--bssplit=4k/50:16k/20:64k/20:1m/10 --rw=randwrite --size=24m \
	--offset_increment=24m --numjobs=2 --iodepth=64 --verify=crc32c \
	--buffer_compress_percentage=60 --refill_buffers --verify_fatal=1 \
	--verify_state_save=0 --minimal >"$tmp/fio.log" 2>&1 ||
	fail "fio: $(tail "$tmp/fio.log")"

# ---- partitions ----

printf 'label: gpt\nsize=32M\nsize=32M\n' | sfdisk --quiet "$disk" >"$tmp/sfdisk.log"
wait_until 60 test -b "${disk}p2" || fail 'no partition'
mkfs.ext4 -q "${disk}p1"
mount_fs "${disk}p1"
echo content >"$fs_dir/file"
expect_fail_line 4 'ext4 on' "$UZRAMCTL" remove one
unmount_fs "$fs_dir"

# ---- the end ----

exec 7<"$disk"
expect_fail_line 4 process "$UZRAMCTL" remove one
exec 7<&-
remove_disk one

# xfs wants more room.
add_disk one --size 384M --algorithm lz4
try_fs xfs xfs_repair -n
remove_disk one
expect_equal "$(ls /dev/ublk*)" /dev/ublk-control 'nodes'
