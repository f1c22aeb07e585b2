#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A worker that hangs is killed and replaced where that is wanted, and only
# then: one that waits for a slow backing store, or is at a long write to an
# attribute, is left alone.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio

seed=${UZ_SEED:-$RANDOM}
ulimit -c 0
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0
echo "seed $seed"

# goes_on PID: if it is still there.
goes_on()
{
	kill -CONT "$1" 2>/dev/null || true
}

# stopped: the worker hangs as a whole, and then does not.
stopped()
{
	stopped_pid=$(worker_pid)
	until kill -STOP "$stopped_pid"; do
		stopped_pid=$(worker_pid)
	done
	on_exit goes_on "$stopped_pid"
}

# ---- hangs ----

start_device hangs -s 64M -o watchdog=1
survives=$(stat_of survives)
[ "$survives" = yes ] ||
	missing fuse 'this kernel does not give requests out again'
expect_equal "$(stat_of watchdog)" 1 watchdog
make_text 4194304 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
# Nobody asks for anything meanwhile; whoever asks then is answered.
stopped
wait_until 60 grep -q "worker $stopped_pid hangs" "$tmp/hangs.log" ||
	fail 'not noticed while nothing is asked for'
timeout 60 cmp -n 4194304 "$tmp/text" "$dev_block" >&2 || fail 'other data'
stopped
timeout 60 cmp -n 4194304 "$tmp/text" "$dev_block" >&2 || fail 'other data'
# On a machine that is busy, more than those that were stopped may stand still
# for a second; whoever is replaced has hung.
read -r restarts hangs < <(awk '/^restarts / { r = $2 }
	/^hangs / { print r, $2 }' "$dev_dir/stat")
[ "$hangs" -ge 2 ] || fail "$hangs hangs"
expect_equal "$restarts" "$hangs" restarts
stop_device hangs

# Without being asked nobody is killed.
start_device alone -s 64M
expect_equal "$(stat_of watchdog)" 0 'watchdog of those who want none'
stopped
timeout -s KILL 4 dd if="$dev_block" of=/dev/null bs=4k count=1 iflag=direct \
	status=none && fail 'a stopped worker answers'
kill -CONT "$stopped_pid"
dd if="$dev_block" of=/dev/null bs=4k count=1 iflag=direct status=none
expect_equal "$(stat_of restarts)" 0 'restarts without a watchdog'
stop_device alone

# One thread hangs in the middle of a store, a free or a move, with whatever it
# holds then, and others behind it.
# Builds without debug checks know no plans.
if ! UZ_CRASH=no-plan "$UZRAMD" --version >/dev/null 2>&1; then
	export UZ_CRASH="$seed:filled/1500!,looked/6000!,taken/3000!"
	start_device steps -s 128M -o watchdog=1
	unset UZ_CRASH
	for ((i = 0; i < 30; i++)); do
		timeout 120 fio --name=steps --filename="$dev_block" --rw=randwrite \
			--bssplit=4k/60:64k/40 --size=16m --iodepth=16 \
			--ioengine=libaio --direct=1 --numjobs=2 \
			--offset_increment=16m --verify=crc32c --verify_fatal=1 \
			--verify_state_save=0 --allow_file_create=0 --minimal \
			--buffer_compress_percentage=60 --refill_buffers \
			>"$tmp/fio.log" 2>&1 || fail "fio: $(tail "$tmp/fio.log")"
		[ "$(stat_of hangs)" -lt 2 ] || break
	done
	[ "$(stat_of hangs)" -ge 2 ] || fail 'no thread has hung'
	expect_equal "$(awk '{ print $1, $2, $3 }' "$dev_dir/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
	stop_device steps
fi

# ---- does not hang ----

# still_at PID SECONDS WHAT: it waits for that long, and is not done.
still_at()
{
	sleep "$2"
	[ -e "/proc/$1" ] || fail "$3"
}

# waits_for_store SECONDS: what the watchdog is given. True if nobody was killed.
waits_for_store()
{
	local name=quick$1 reader writer

	start_device "$name" -s 64M -a lz4 -o watchdog="$1" \
		-o backing_dev="$slow_block"
	dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
	echo all >"$dev_dir/idle"
	echo type=idle >"$dev_dir/writeback"
	[ "$(stat_of backed_pages)" -gt 500 ] ||
		fail 'hardly a page was written back'
	kill -STOP "$slow_pid"
	cmp -n 4194304 "$tmp/text" "$dev_block" >&2 &
	reader=$!
	still_at $reader $(($1 * 3)) 'it reads from a store that is stopped'
	kill -CONT "$slow_pid"
	wait $reader || fail 'other data from the store'

	# Nor is a long write to an attribute a hang, here to that store.
	dd if="$tmp/noise" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
	kill -STOP "$slow_pid"
	bash -c "echo huge >'$dev_dir/writeback'" &
	writer=$!
	still_at $writer $(($1 * 3)) 'it writes to a store that is stopped'
	kill -CONT "$slow_pid"
	wait $writer || [ "$(stat_of restarts)" -gt 0 ] ||
		fail 'cannot write back'
	expect_equal "$(stat_of restarts)" "$(stat_of hangs)" restarts
	hangs=$(stat_of hangs)
	stop_device "$name"
	[ "$hangs" -eq 0 ]
}

# Its backing store does: another device of ours, whose worker is stopped.
make_noise 4194304 "$tmp/noise"
start_device slow -s 64M
slow_pid=$(worker_pid)
slow_block=$dev_block
on_exit goes_on "$slow_pid"
# A second may be too little on a machine that is busy; what is killed for a slow
# store would be each time.
waits_for_store 1 || waits_for_store 4 || waits_for_store 12 ||
	fail 'killed because of a slow store'
dev_dir=$UZRAM_RUNDIR/slow stop_device slow
