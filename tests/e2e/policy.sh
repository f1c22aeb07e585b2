#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device that works for itself: recompresses what is idle, writes back what
# stays so at the limit, goes on after its worker was killed, and leaves no
# thread behind when it is turned off. Data stay what they were.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse

expect_data()
{
	cmp -n 33554432 "$tmp/data" "$dev_block" >&2 || fail "$1: other data"
}

# has_thread: is there one for it?
has_thread()
{
	grep -qx uz-policy "/proc/$(stat_of worker_pid)/task"/*/comm 2>/dev/null
}

# above NAME NUMBER
above()
{
	[ "$(stat_of "$1")" -gt "$2" ]
}

says()
{
	[ "$(stat_of policy)" = "$1" ]
}

make_text 33554432 "$tmp/data"

# ---- settings ----

start_device off -s 256M -a lz4
grep -q zstd "$dev_dir/comp_algorithm" || missing zstd 'no zstd in this build'
expect_equal "$(cat "$dev_dir/policy")" \
	'off idle=60 share=25 near=90 busy=50' 'a new device'
expect_errno EINVAL bash -c "echo on >'$dev_dir/policy'"
grep -q "^policy: unknown word 'on'; known are off, auto, " \
	"$dev_dir/last_error" || fail "$(cat "$dev_dir/last_error")"
has_thread && fail 'there is a thread although it is off'
echo auto >"$dev_dir/policy"
wait_until 60 has_thread || fail 'there is no thread'
wait_until 60 says empty || fail "it says $(stat_of policy)"
echo 1 >"$dev_dir/reset"
wait_until 60 says off || fail 'a reset does not turn it off'
echo auto,idle=1000 >"$dev_dir/policy"
echo off >"$dev_dir/policy"
# Who has waited for its end may still find it in /proc for a moment.
no_thread()
{
	! has_thread
}
wait_until 60 no_thread || fail 'the thread stays'
expect_equal "$(cat "$dev_dir/policy")" \
	'off idle=1000 share=25 near=90 busy=50' 'what is not named stays'
stop_device off
expect_fail_line 2 "policy 'on': unknown word" "$UZRAMD" -o policy=on x

# ---- recompression ----

start_device auto -s 256M -a lz4 -o policy=auto,idle=1000,share=100,busy=100
dd if="$tmp/data" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
# Before it does anything, and without what is kept for later stores.
used=$(mm_stat 2)
expect_equal "$(stat_of policy_recompressed)" 0 'recompressed so far'
echo idle=1 >"$dev_dir/policy"
wait_until 100 above policy_recompressed 7000 ||
	fail "only $(stat_of policy_recompressed) pages were recompressed"
wait_until 100 says unchanged || fail "it does not rest: $(stat_of policy)"
memory_shrinks()
{
	[ "$(mm_stat 3)" -lt $((used * 80 / 100)) ]
}
wait_until 60 memory_shrinks || fail "$(mm_stat 3) bytes used, $used before"
above policy_marked 7000 || fail "only $(stat_of policy_marked) marked"
above policy_saved 1000000 || fail "only $(stat_of policy_saved) saved"
above policy_cpu_ns 0 || fail 'no CPU time'
if [ -x "$UZRAMCTL" ]; then
	"$UZRAMCTL" stat auto >"$tmp/said"
	grep -Eq '^Unasked, [0-9]+ pages were recompressed, which saves .*; all is done until ' \
		"$tmp/said" || fail "uzramctl stat: $(cat "$tmp/said")"
fi
expect_data 'after recompression'

# ---- killed: it goes on ----

done_before=$(stat_of policy_recompressed)
setting=$(cat "$dev_dir/policy")
kill -KILL "$(worker_pid)"
expect_data 'after a death'
expect_equal "$(stat_of restarts)" 1 restarts
expect_equal "$(cat "$dev_dir/policy")" "$setting" 'setting after a death'
[ "$(stat_of policy_recompressed)" -ge "$done_before" ] ||
	fail 'it has forgotten what it did'
wait_until 60 has_thread || fail 'the next worker does not go on'
dd if="$tmp/data" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
wait_until 100 above policy_recompressed $((done_before + 7000)) ||
	fail 'the next worker recompresses nothing'
expect_data 'the next worker'

# ---- written back ----

# Nothing is left to be gained, so that what is used stays near the limit.
wait_until 100 says unchanged || fail "it does not rest: $(stat_of policy)"
# The policy alone, without what keeps to the limit in any case.
echo off >"$dev_dir/writeback_marks"
: >"$tmp/store"
truncate -s 64M "$tmp/store"
echo "$tmp/store" >"$dev_dir/backing_dev"
echo $(($(mm_stat 2) + 65536)) >"$dev_dir/mem_limit"
wait_until 100 above policy_written_back 1000 ||
	fail "it writes nothing back: $(cat "$dev_dir/stat")"
above backed_pages 1000 || fail "$(stat_of backed_pages) pages are there"
expect_data 'after writing back'
stop_device auto
