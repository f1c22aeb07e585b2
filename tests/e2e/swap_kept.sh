#!/bin/bash
# SPDX-License-Identifier: MIT
#
# While a dead worker is replaced, nobody has the device's memory mapped or
# locked. If the system wrote it out just then, to the device itself, the next
# worker would wait for itself for ever. So memory of a device with swap=on is of
# a kind that is not swapped. Here the system is made to try, with a swap file of
# its own, so that nothing hangs if it succeeds.

. "${0%/*}/functions.sh"
requires_fuse
requires_loop
requires mkswap python3

# Has the kernel write out what PID holds by descriptor. Prints what of it is
# swapped out then, and what there is, in KiB.
cat >"$tmp/pageout.py" <<'END_OF_PROGRAM'
import mmap, os, re, sys
MADV_PAGEOUT = 21
fds = '/proc/%s/fd/' % sys.argv[1]
maps, inodes = [], set()
for fd in os.listdir(fds):
    if not re.search('uzram-(ctl|table|arena|session|spare|ballast)', os.readlink(fds + fd)):
        continue
    file = os.open(fds + fd, os.O_RDWR)
    stat = os.fstat(file)
    inodes.add('%d' % stat.st_ino)
    at, end = 0, stat.st_size
    while True:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError:
            break
        stop = min(os.lseek(file, at, os.SEEK_HOLE), end)
        area = mmap.mmap(file, stop - at, offset=at)
        for page in range(0, stop - at, 4096):
            area[page]
        area.madvise(MADV_PAGEOUT)
        maps.append(area)
        at = stop
swapped = there = 0
ours = False
for line in open('/proc/self/smaps'):
    word = line.split()
    if re.match('[0-9a-f]+-', line):
        ours = word[4] in inodes and 'uzram-' in line
    elif ours and word[0] == 'Swap:':
        swapped += int(word[1])
    elif ours and word[0] == 'Size:':
        there += int(word[1])
assert len(inodes) in (4, 6), inodes
print(swapped, there)
END_OF_PROGRAM

# all_gone PID: and with it each thread, so that it has nothing mapped any more.
all_gone()
{
	pid_gone "$1" && [ "$(ls "/proc/$1/task" 2>/dev/null)" = "$1" ]
}

# between_workers: the moment when one is dead and no other there yet, made
# long. Sets swapped and there.
between_workers()
{
	local worker

	worker=$(worker_pid)
	kill -STOP "$dev_pid"
	kill -KILL "$worker"
	wait_until 60 all_gone "$worker" || fail 'the worker lives on'
	timeout 60 python3 "$tmp/pageout.py" "$dev_pid" >"$tmp/out"
	read -r swapped there <"$tmp/out"
	kill -CONT "$dev_pid"
	expect_same "$tmp/noise" "$dev_block"
	[ "$there" -ge $((16 << 10)) ] || fail "only $there KiB are there"
}

# Others may have come to use it, and have no room for what they put there.
end_swap()
{
	! grep -q "^$1 " /proc/swaps ||
		wait_until 60 timeout 60 swapoff "$1" 2>"$tmp/swapoff" ||
		cat "$tmp/swapoff"
}

make_noise $((16 << 20)) "$tmp/noise"
truncate -s 0 "$tmp/place"
chmod 600 "$tmp/place"
dd if=/dev/zero of="$tmp/place" bs=1M count=64 status=none
attach_loop "$tmp/place"
mkswap "$loop_dev" >/dev/null
on_exit end_swap "$loop_dev"
swapon "$loop_dev"

# What is to be seen can be seen: an ordinary device is swapped out.
start_device plain -s 16M
dd if="$tmp/noise" of="$dev_block" bs=1M oflag=direct conv=notrunc status=none
between_workers
[ "$swapped" -gt $((there / 2)) ] ||
	fail "of an ordinary device only $swapped of $there KiB were swapped out"
stop_device plain

start_device kept -s 16M -o swap=on
case ,$(stat_of protection), in
*,noswap,*) ;;
*)
	grep -q 'swap: no noswap (' "$tmp/kept.log" || fail 'no word of it'
	missing fuse 'no tmpfs without swap in this kernel'
	;;
esac
dd if="$tmp/noise" of="$dev_block" bs=1M oflag=direct conv=notrunc status=none
between_workers
expect_equal "$swapped" 0 "KiB of $there that were swapped out"
stop_device kept
