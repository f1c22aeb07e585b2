#!/bin/bash
# SPDX-License-Identifier: MIT
#
# scrub on a sound device: all pages are looked at, beside other work, at a
# rate if wanted, and an interrupt ends it. What it finds when bits have
# flipped is shown in the unit tests.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse

start_device scrub -s 256M -a lz4
head -c 64M < <(while :; do tar c -C "$source_root" src include; done) \
	>"$tmp/data" || true
dd if="$tmp/data" of="$dev_block" bs=1M conv=notrunc oflag=direct status=none
"$UZRAMCTL" scrub scrub >"$tmp/said" || fail "scrub: $(cat "$tmp/said")"
grep -qx 'scrub: [0-9]* pages looked at, 0 damaged' "$tmp/said" ||
	fail "scrub says $(cat "$tmp/said")"
pages=$(awk '{ print $2 }' "$tmp/said")
((pages > 15000)) || fail "only $pages pages looked at"
expect_equal "$(head -n 1 "$dev_dir/scrub")" 'state finished' state

# At a rate it takes its time; a second one is refused; an interrupt ends it.
"$UZRAMCTL" scrub --rate 1M scrub >"$tmp/slow" 2>&1 &
pid=$!
wait_until 60 grep -q '^state running' "$dev_dir/scrub" || fail 'not running'
expect_fail_line 4 'a scrub is going on' "$UZRAMCTL" scrub scrub
cmp -n $((64 << 20)) "$tmp/data" "$dev_block" || fail 'data differ'
kill -TERM $pid
status=0
wait $pid || status=$?
expect_equal $status 1 'status of a scrub that was interrupted'
grep -q 'ended before its end' "$tmp/slow" || fail "it says $(cat "$tmp/slow")"
expect_equal "$(head -n 1 "$dev_dir/scrub")" 'state stopped' state

expect_fail_line 1 'takes 1, rate=SIZE or stop' "$UZRAMCTL" set scrub scrub soon
expect_fail_line 1 'rate=SIZE' "$UZRAMCTL" scrub --rate quick scrub
"$UZRAMCTL" reset scrub
expect_fail_line 1 'the device has no size' "$UZRAMCTL" scrub scrub
