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

# sum FILE AWK-PROGRAM: over all threads; one that has ended meanwhile is none.
sum()
{
	# shellcheck disable=SC2046 # paths without spaces
	awk "$2 END { printf \"%.0f\", n }" $(of_tasks "$1" "$dev_pid") \
		2>/dev/null || :
}

# switches: how often they have gone to sleep, which is how often they woke up.
switches()
{
	sum status '/^voluntary_ctxt_switches/ { n += $2 }'
}

# cpu_time: nanoseconds of all of them together
cpu_time()
{
	sum schedstat '{ n += $1 }'
}

# wakers: for the log, what each thread has done so far
wakers()
{
	sum status '/^Name/ { printf "%s: ", $2 }
		/^voluntary_ctxt_switches/ { print $2 }'
}

# Whatever goes on behind the requests has come to its end.
settled()
{
	local before

	before=$(switches)
	sleep 1
	[ "$(switches)" -eq "$before" ]
}

# expect_quiet WHAT: for five seconds
expect_quiet()
{
	local woken spent

	wait_until 60 settled || fail "$1: it does not settle: $(wakers)"
	wakers >"$tmp/wakers.log"
	woken=$(switches)
	spent=$(cpu_time)
	sleep 5
	woken=$(($(switches) - woken))
	spent=$(($(cpu_time) - spent))
	wakers >>"$tmp/wakers.log"
	[ $woken -le 5 ] || fail "$1: $woken wake-ups in five seconds"
	[ $spent -le 5000000 ] || fail "$1: $spent ns of CPU in five seconds"
	rm "$tmp/wakers.log"
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
expect_quiet 'after work'

# With the file open, and a thread that was killed in the middle.
exec 7<>"$dev_block"
dd if=/dev/zero of="$dev_block" bs=1M count=512 conv=notrunc oflag=direct \
	status=none &
kill -KILL $!
wait $! 2>/dev/null || true
expect_quiet 'after a client was killed'
exec 7>&-
stop_device idle

# Threads as on a machine with 64 CPUs.
start_device wide -s 8G -a lz4 -t 64 -o workers=64
taken=$(awk '/^Private_(Clean|Dirty):/ { n += $2 } END { print n * 1024 }' \
	"/proc/$(worker_pid)/smaps_rollup")
[ "$taken" -le 8388608 ] || fail "with 64 CPUs it takes $taken bytes"
expect_quiet 'with 64 CPUs'
stop_device wide
