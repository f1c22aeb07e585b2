#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Memory pressure: a program in a small memory cgroup works on several times as
# much as the cgroup holds, with swap on a device whose worker is killed again and
# again. Every page is what it was, all the time, and after swapoff.
#
# If something hangs, a process that is not swapped ends the connection of the
# device, so that whoever waits for it gets errors.
#
# UZ_SECONDS=N: work for so long (10). UZ_SEED=N repeats the order of the pages
# and the pauses between kills. UZ_LIMIT and UZ_WORKING_SET: MiB (64, 256).
# UZ_PAUSE=N: seconds between kills (up to 3). UZ_STRESS='--vm 2 ...': stress-ng
# works in the cgroup as well, with these options; it must find no fault.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires_loop
requires mkswap python3

limit=$((${UZ_LIMIT:-64} << 20))
working_set=$((${UZ_WORKING_SET:-256} << 20))
seconds=${UZ_SECONDS:-10}
RANDOM=${UZ_SEED:-$RANDOM}

# Real memory, each page made its own by numbers, changed and read in any order.
cat >"$tmp/client.py" <<'END_OF_PROGRAM'
import mmap, os, random, signal, struct, sys, time
corpus, enough, pages, seconds, seed = *sys.argv[1:3], *map(int, sys.argv[3:])
print('seed', seed, flush=True)
random.seed(seed)
stop = []
signal.signal(signal.SIGTERM, lambda *args: stop.append(1))
data = open(corpus, 'rb').read()
memory = mmap.mmap(-1, pages << 12,
                   flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
version = [0] * pages
def content(i):
    at = (i * 7919 + version[i]) * 4096 % (len(data) - 4096) & ~4095
    return struct.pack('QQ', i, version[i]) + data[at + 16:at + 4096]
def fill(i):
    memory[i << 12:(i + 1) << 12] = content(i)
def check(i):
    if memory[i << 12:(i + 1) << 12] != content(i):
        sys.exit('page %d is not what it was' % i)
for i in range(pages):
    fill(i)
print('filled', flush=True)
end = time.time() + seconds
while time.time() < end or not os.path.exists(enough):
    i = random.randrange(pages)
    check(i)
    if random.random() < 0.5:
        version[i] += 1
        fill(i)
print('worked', flush=True)
# swapoff comes now; then all of it once more.
while not stop:
    time.sleep(0.05)
for i in range(pages):
    check(i)
print('same', flush=True)
END_OF_PROGRAM

# It needs no memory when the time has come, or when the test was killed.
cat >"$tmp/guard.py" <<'END_OF_PROGRAM'
import ctypes, os, select, sys
abort = os.open(sys.argv[1], os.O_WRONLY)
assert ctypes.CDLL(None).mlockall(3) == 0
print('ready', flush=True)
said = select.select([0], [], [], int(sys.argv[2]))[0] and os.read(0, 1)
if not said:
    os.write(abort, b'1')
    sys.exit('it hangs: the connection was ended')
END_OF_PROGRAM

# start_guard SECONDS: from now on nothing can hang for longer than that.
start_guard()
{
	local number

	number=$(awk -v dir="$dev_dir" '$5 == dir { print substr($3, 3) }' \
		/proc/self/mountinfo)
	mkdir "$tmp/control"
	mount -t fusectl fusectl "$tmp/control"
	on_exit umount "$tmp/control"
	mkfifo "$tmp/guarded"
	python3 "$tmp/guard.py" "$tmp/control/$number/abort" "$1" \
		<"$tmp/guarded" >"$tmp/guard.log" 2>&1 &
	guard=$!
	exec 8>"$tmp/guarded"
	on_exit end_guard
	wait_until 60 grep -q ready "$tmp/guard.log" || fail 'no guard'
}

# Called by name when the test ends. The guard may be gone.
# shellcheck disable=SC2317
end_guard()
{
	(echo "done" >&8) 2>/dev/null
	wait "$guard"
}

swaps()
{
	grep -q "^$(cat "$tmp/loop") " /proc/swaps
}

# Called by name when the test ends, before the guard and the device go. A device
# that does not answer never will: the guard is told by the end of its input.
# shellcheck disable=SC2086,SC2317 # numbers, or nothing
end_pressure()
{
	timeout -k 1 20 cat "$dev_dir/stat" >"$tmp/out" 2>&1 || exec 8>&-
	if [ -n "$client$stress" ]; then
		kill -KILL $client $stress 2>/dev/null
		wait $client $stress 2>/dev/null
	fi
	! swaps || timeout 60 "$UZRAMCTL" swapoff swap 2>/dev/null ||
		wait_until 60 timeout 60 swapoff "$(cat "$tmp/loop")"
}

# said WORD: the client has come so far, or to its end.
said()
{
	grep -qx "$1" "$tmp/client.log" || pid_gone "$client"
}

[ -z "${UZ_STRESS-}" ] || requires stress-ng
make_cgroup $limit
python3 "$source_root/tools/corpus" -s 16M -o "$tmp/corpus" heap >/dev/null
# Room for what the system swaps out of others, too: full, it would be the end
# of the client.
start_device swap -s 4G -o swap=on
grep -q '^protection .*noswap' "$dev_dir/stat" ||
	missing fuse 'no tmpfs without swap in this kernel'
grep -q '^survives yes' "$dev_dir/stat" ||
	missing fuse 'this kernel does not give requests out again'
start_guard $((seconds + 60 + (working_set >> 20)))
client=
stress=
: >"$tmp/client.log"
: >"$tmp/loop"
on_exit end_pressure
"$UZRAMCTL" swapon swap -p 1000 >"$tmp/loop" 8>&-

in_cgroup python3 "$tmp/client.py" "$tmp"/corpus/heap* "$tmp/enough" \
	$((working_set >> 12)) "$seconds" "$RANDOM" >"$tmp/client.log" 2>&1 8>&- &
client=$!
if [ -n "${UZ_STRESS-}" ]; then
	# shellcheck disable=SC2086 # words
	in_cgroup stress-ng --verify --oomable --timeout "$seconds" \
		--temp-path "$tmp" $UZ_STRESS >"$tmp/stress.log" 2>&1 8>&- &
	stress=$!
fi

# Whoever can be asked serves again.
killed=0
until said worked; do
	sleep "${UZ_PAUSE:-$((RANDOM % 3)).$((RANDOM % 10))}"
	worker=$(worker_pid)
	kill -KILL "$worker"
	killed=$((killed + 1))
	# It works until then, however slow the machine is to kill any.
	[ $killed -lt 3 ] || touch "$tmp/enough"
done
grep -qx worked "$tmp/client.log" || fail 'the client ended early'
swapped=$(awk '$1 == "bytes_written" { print $2 }' "$dev_dir/stat")
[ "$swapped" -gt $((working_set / 2)) ] ||
	fail "only $swapped bytes were swapped out"
[ $killed -gt 2 ] || fail "only $killed workers were killed"
expect_equal "$(stat_of restarts)" $killed restarts
expect_equal "$(awk '{ print $1, $2 }' "$dev_dir/io_stat")" '0 0' \
	'reads and writes that failed'

if [ -n "$stress" ]; then
	status=0
	wait "$stress" || status=$?
	stress=
	expect_equal $status 0 'status of stress-ng'
	! grep -Ei 'fail|error|detected' "$tmp/stress.log" ||
		fail 'stress-ng found something'
fi

# All of it comes back, which needs room.
echo $((working_set * 2)) >"$cgroup_limit"
"$UZRAMCTL" swapoff swap || fail 'swapoff'
! swaps || fail 'it still swaps'
kill -TERM "$client"
status=0
wait "$client" || status=$?
client=
expect_equal $status 0 'status of the client'
grep -qx same "$tmp/client.log" || fail 'not all pages were looked at'
echo "passed: $seconds s, $killed workers killed, $((swapped >> 20)) MiB swapped" \
	"out, each page what it was"
