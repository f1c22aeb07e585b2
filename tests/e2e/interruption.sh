#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Clients that are killed or interrupted in the middle of their requests: the
# device serves the next one as if nothing had been, and knows that they are
# gone. Whoever only takes a signal loses nothing.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio python3

start_device interruption -s 256M -a zstd
make_text 67108864 "$tmp/text"

# struck SIGNAL PID: is it gone? Until fio has got ready it does not listen.
struck()
{
	kill "-$1" "$2" 2>/dev/null
	sleep 0.1
	pid_gone "$2"
}

# Large requests that take their time, then many small ones.
for ((round = 0; round < 16; round++)); do
	shape='--bs=1m --iodepth=16'
	[ $((round % 2)) -eq 0 ] || shape='--bs=4k --iodepth=64'
	signal=KILL
	[ $((round % 4)) -lt 2 ] || signal=INT
	# shellcheck disable=SC2086 # two options
	fio --name=victim --filename="$dev_block" --rw=randrw $shape \
		--direct=1 --ioengine=libaio --size=128m --offset=128m \
		--time_based --runtime=60 --allow_file_create=0 --thread \
		--minimal >/dev/null 2>&1 &
	victim=$!
	sleep "0.$((2 + round % 5))"
	# fio allocates memory when it is interrupted, so one that was just
	# starting may wait for itself.
	wait_until 5 struck $signal $victim 2>/dev/null ||
		wait_until 60 struck KILL $victim 2>/dev/null ||
		fail "round $round: it goes on"
	wait $victim 2>/dev/null || true
	dd if="$tmp/text" of="$dev_block" bs=1M count=8 conv=notrunc \
		oflag=direct status=none
	cmp -n 8388608 "$tmp/text" "$dev_block" >&2 || fail "round $round"
done

# Signals arrive every millisecond. The kernel tells the daemon of each that
# finds a request under way; the call goes on, or is repeated.
cat >"$tmp/pestered.py" <<'END'
import mmap
import os
import signal
import sys

taken = 0
def take(number, frame):
    global taken
    taken += 1

fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
size = 1 << 20
buf = mmap.mmap(-1, size)
signal.signal(signal.SIGALRM, take)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for turn in range(100):
    page = (b'%d bytes of it ' % turn * 1000)[:4096]
    data = b''.join(b'%04d' % i + page[4:] for i in range(256))
    at = (128 + turn % 64) * size
    buf[:] = data
    if os.pwritev(fd, [buf], at) != size:
        sys.exit(f'turn {turn}: a short write')
    buf[:] = bytes(size)
    if os.preadv(fd, [buf], at) != size:
        sys.exit(f'turn {turn}: a short read')
    if buf[:] != data:
        sys.exit(f'turn {turn}: other data')
signal.setitimer(signal.ITIMER_REAL, 0)
if not taken:
    sys.exit('no signal arrived')
END
timeout 150 python3 "$tmp/pestered.py" "$dev_block" ||
	fail 'a client that takes signals'
cmp -n 8388608 "$tmp/text" "$dev_block" >&2 || fail 'after the signals'

# Nobody has it open any more, so it can be reset.
[ -z "${UZ_LOOP-}" ] || detach_loop "$dev_block"
reset()
{
	echo 1 2>/dev/null >"$dev_dir/reset"
}
wait_until 60 reset ||
	fail "reset: $(cat "$dev_dir/last_error")"
expect_equal "$(cat "$dev_dir/disksize")" 0 'disksize after reset'
