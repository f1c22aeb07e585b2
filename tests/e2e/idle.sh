#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What an idle device costs: no thread of it wakes up more than once a second,
# none of its CPU time is worth a mention, and its memory stays small on a
# machine with many CPUs as well.
#
# shellcheck disable=SC2016 # awk programs

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio

# of_tasks FILE PID: that file of each thread of a process, and of those that it
# started.
of_tasks()
{
	local task child

	for task in "/proc/$2/task"/*; do
		echo "$task/$1"
		for child in $(<"$task/children"); do
			of_tasks "$1" "$child"
		done
	done
}

# sum PID FILE AWK-PROGRAM: over all threads; one that has ended meanwhile is
# none.
sum()
{
	# shellcheck disable=SC2046 # paths without spaces
	awk "$3 END { printf \"%.0f\", n }" $(of_tasks "$2" "$1") \
		2>/dev/null || :
}

# switches PID: how often they have gone to sleep, which is how often they woke
# up.
switches()
{
	sum "$1" status '/^voluntary_ctxt_switches/ { n += $2 }'
}

# cpu_time PID: nanoseconds of all of them together
cpu_time()
{
	sum "$1" schedstat '{ n += $1 }'
}

# wakers PID: for the log, what each thread has done so far
wakers()
{
	sum "$1" status '/^Name/ { printf "%s: ", $2 }
		/^voluntary_ctxt_switches/ { print $2 }'
}

# settled PID: whatever goes on behind the requests has come to its end.
settled()
{
	local before

	before=$(switches "$1")
	sleep 1
	[ "$(switches "$1")" -eq "$before" ]
}

# quiet PID...: each of these daemons, for the same five seconds, or as many as
# they became. Sets noise where one was not.
quiet()
{
	local pid woken=() spent=() began seconds

	for pid; do
		wakers "$pid" >"$tmp/wakers-$pid.log"
		woken[pid]=$(switches "$pid")
		spent[pid]=$(cpu_time "$pid")
	done
	began=$SECONDS
	sleep 5
	for pid; do
		woken[pid]=$(($(switches "$pid") - woken[pid]))
		spent[pid]=$(($(cpu_time "$pid") - spent[pid]))
		wakers "$pid" >>"$tmp/wakers-$pid.log"
		seconds=$((SECONDS - began))
		noise="$pid: ${woken[pid]} wake-ups and ${spent[pid]} ns of CPU"
		noise+=" in $seconds seconds"
		[ "${woken[pid]}" -le "$seconds" ] &&
			[ "${spent[pid]}" -le $((seconds * 1000000)) ] ||
			return 1
		rm "$tmp/wakers-$pid.log"
	done
}

# expect_quiet WHAT PID...: soon, and not before what goes on behind the
# requests has come to its end. On a busy machine a thread may stand still in
# the middle of that, and go on when it seemed to be over.
expect_quiet()
{
	local what=$1 pid i

	shift
	for pid; do
		wait_until 60 settled "$pid" ||
			fail "$what: $pid does not settle: $(wakers "$pid")"
	done
	for ((i = 0; i < 4; i++)); do
		! quiet "$@" || return 0
		echo "$what: $noise" >&2
	done
	fail "$what: $noise"
}

start_device idle -s 8G -a lz4

# Work for everybody: large and small requests, and fragments to compact.
for size in 4k 1m; do
	fio --name=work --filename="$dev_block" --rw=randrw --bs=$size \
		--direct=1 --ioengine=libaio --iodepth=32 --size=128m \
		--buffer_compress_percentage=50 --refill_buffers \
		--allow_file_create=0 --minimal >"$tmp/fio.log" 2>&1 ||
		fail "fio: $(tail "$tmp/fio.log")"
done
make_text 67108864 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
for ((i = 0; i < 256; i++)); do
	fallocate -p -o $((i * 262144)) -l 245760 "$dev_block"
done
expect_quiet 'after work' "$dev_pid"

# Threads as on a machine with 64 CPUs. Those that were ever needed at a time,
# which a busy machine decides, have a buffer of 1 MiB each.
idle_pid=$dev_pid
idle_block=$dev_block
start_device wide -s 8G -a lz4 -t 64 -o workers=64
taken=$(awk '/^Private_(Clean|Dirty):/ { n += $2 } END { print n * 1024 }' \
	"/proc/$(worker_pid)/smaps_rollup")
[ "$taken" -le $((16 << 20)) ] || fail "with 64 CPUs it takes $taken bytes"

# The first one with the file open, and a thread that was killed in the middle.
exec 7<>"$idle_block"
dd if=/dev/zero of="$idle_block" bs=1M count=512 conv=notrunc oflag=direct \
	status=none &
kill -KILL $!
wait $! 2>/dev/null || true
expect_quiet 'after a client was killed, and with 64 CPUs' "$idle_pid" "$dev_pid"
exec 7>&-
stop_device idle
stop_device wide
