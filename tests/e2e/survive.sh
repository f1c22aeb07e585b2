#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The worker of a device dies, of whatever, again and again: nobody who uses
# the device sees an error, and nothing is lost. What ends a device is the death
# of the supervisor, and workers that cannot live.
#
# UZ_KILLS: how often the worker is killed under each load (30). UZ_SEED repeats
# a run's moments.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio python3

kills=${UZ_KILLS:-30}
seed=${UZ_SEED:-$RANDOM}
ulimit -c 0
: "${UZ_TRANSPORT:=fuse}"

stat_of()
{
	sed -n "s/^$1 //p" "$dev_dir/stat"
}

# killed_while COMMAND...: run it over and over while the worker is killed.
killed_while()
{
	local killer

	python3 "$here/survive.py" "$dev_dir" "$kills" $((seed++)) \
		>"$tmp/killer.log" 2>&1 &
	killer=$!
	while ! pid_gone $killer; do
		"$@"
	done
	wait $killer || fail "the killer: $(cat "$tmp/killer.log")"
	"$@"
	echo "$*: $(cat "$tmp/killer.log")"
}

# verify FILE SIZES: two jobs, 32 requests each under way.
verify()
{
	timeout 120 fio --name=verify --filename="$1" --ioengine=libaio \
		--bssplit="$2" --rw=randwrite --size=64m \
		--offset_increment=64m --numjobs=2 --iodepth=32 --direct=1 \
		--buffer_compress_percentage=60 --buffer_compress_chunk=4k \
		--refill_buffers --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --allow_file_create=0 --minimal \
		>"$tmp/fio.log" 2>&1 || fail "fio on $1: $(tail "$tmp/fio.log")"
}

# no_errors: and as many workers as were killed.
no_errors()
{
	expect_equal "$(awk '{ print $1, $2, $3 }' "$dev_dir/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
	expect_equal "$(stat_of restarts)" "$1" 'restarts'
	expect_equal "$(stat_of checksum_errors)" 0 'checksum errors'
}

# ---- the block file ----

start_device file -s 256M -a lz4
case $(stat_of survives) in
yes) ;;
*) missing fuse 'this kernel does not give requests out again' ;;
esac
killed_while verify "$dev_block" 512/5:2k/5:4k/30:7k/10:64k/30:1m/20
no_errors "$kills"

# A small process holds it all.
private=$(awk '/^Private_/ { sum += $2 } END { print sum }' \
	"/proc/$dev_pid/smaps_rollup")
[ "$private" -lt 1024 ] || fail "the supervisor takes $private KiB"

# Nothing of the pool is lost: without pages it is empty.
fallocate -p -o 0 -l 256M "$dev_block"
expect_equal "$(mm_stat 1)" 0 'bytes stored after all was discarded'
nothing_lost()
{
	[ "$(mm_stat 3)" -le $((1 << 20)) ]
}
wait_until 60 nothing_lost || fail "$(mm_stat 3) bytes of pool memory are lost"
stop_device file

# ---- ext4 on a loop device ----

if [ "$(id -u)" = 0 ] && [ -c /dev/loop-control ]; then
	requires losetup mkfs.ext4 fsck.ext4
	start_device loop -s 512M -a lz4
	attach_loop "$dev_block"
	mkfs.ext4 -q "$loop_dev" >"$tmp/mkfs.log" 2>&1
	mount_fs "$loop_dev" -o discard
	truncate -s 128M "$fs_dir/file"
	killed_while verify "$fs_dir/file" 4k/40:16k/10:64k/30:1m/20
	no_errors "$kills"
	unmount_fs "$fs_dir"
	expect_sound "$loop_dev"
	detach_loop "$loop_dev"
	stop_device loop
else
	missing loop 'no loop devices'
fi

# ---- what else it can die of, and what is kept ----

start_device kept -s 64M -a zstd -o zpool=zbud
make_text 4194304 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
echo 32M >"$dev_dir/mem_limit"
cat "$dev_dir/comp_algorithm" "$dev_dir/zpool" >"$tmp/before"
born=$(stat -c %Y.%y "$dev_block")
exec 7<"$dev_block"
python3 "$here/survive.py" "$dev_dir" 3 0 SIGSEGV SIGABRT SIGBUS >/dev/null
for signal in 6 7 11; do
	grep -q "another takes over: killed by signal $signal (" \
		"$tmp/kept.log" || fail "not said: signal $signal"
done
cmp -n 4194304 "$tmp/text" "$dev_block" >&2 || fail 'other data'
cat "$dev_dir/comp_algorithm" "$dev_dir/zpool" | cmp - "$tmp/before"
expect_equal "$(mm_stat 4)" $((32 << 20)) mem_limit
expect_equal "$(cat "$dev_dir/pid")" "$dev_pid" pid
expect_equal "$(stat -c %Y.%y "$dev_block")" "$born" 'time of the files'
# Whoever had it open before still does.
expect_errno EBUSY bash -c "echo 1 >'$dev_dir/reset'"
exec 7<&-
wait_until 60 bash -c "echo 1 2>/dev/null >'$dev_dir/reset'" || fail 'reset'
# What was reset stays so, and what is set then stays as well.
python3 "$here/survive.py" "$dev_dir" 1 0 >/dev/null
expect_equal "$(cat "$dev_dir/disksize")" 0 'disksize after a reset'
echo 32M >"$dev_dir/disksize"
python3 "$here/survive.py" "$dev_dir" 1 0 >/dev/null
expect_equal "$(cat "$dev_dir/disksize")" $((32 << 20)) 'disksize'

# Detached, it serves its last user whatever happens.
exec 7<>"$dev_block"
worker=$(worker_pid)
kill -TERM "$dev_pid"
wait_until 60 grep -q 'detached, and serving' "$tmp/kept.log" ||
	fail 'not detached'
kill -KILL "$worker"
dd if="$tmp/text" bs=64k count=1 iflag=fullblock status=none >&7
cmp -n 65536 "$tmp/text" - <"/proc/$$/fd/7" >&2 || fail 'detached: other data'
exec 7>&-
wait_until 60 pid_gone "$dev_pid" || fail 'it does not end'
wait "$dev_pid" || fail "ended with status $?"
rm "$tmp/kept.pid"
[ ! -e "$dev_dir" ] || fail 'it left its directory'

# ---- the end ----

# refused FILE: soon, and by an error.
refused()
{
	local status=0

	timeout 60 dd if="$1" of=/dev/null bs=4k count=1 iflag=direct \
		status=none 2>/dev/null || status=$?
	expect_equal $status 1 "reading $1 from a device that is gone"
}

# Workers that cannot live: an end, not a hang. Each dies before it has served
# for long only if this shell is quick, so it starts no process in between, and
# is nicer to nobody.
start_device vain -s 64M
exec 7<"$dev_block"
renice -n -20 $$ >/dev/null 2>&1 || true
while read -r stat <"/proc/$dev_pid/stat" && [[ $stat != *') Z '* ]]; do
	# It does not end in a newline.
	read -r -a workers <"/proc/$dev_pid/task/$dev_pid/children" || true
	kill -KILL "${workers[@]}" 2>/dev/null || true
done
renice -n 0 $$ >/dev/null 2>&1 || true
refused "/proc/$$/fd/7"
exec 7<&-
status=0
wait "$dev_pid" || status=$?
rm "$tmp/vain.pid"
expect_equal $status 1 'status of a device that is given up'
grep -q 'died 8 times in a row without serving; the device is gone: killed by' \
	"$tmp/vain.log" || fail 'not said why'
[ ! -e "$dev_dir" ] || fail 'it left its directory'

# Without its supervisor no worker goes on.
start_device alone -s 64M
exec 7<"$dev_block"
worker=$(worker_pid)
kill -KILL "$dev_pid"
wait "$dev_pid" || true
rm "$tmp/alone.pid"
wait_until 60 pid_gone "$worker" || fail 'the worker goes on alone'
refused "/proc/$$/fd/7"
exec 7<&-
unmount_dead "$dev_dir"
