#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram-bench pool with the kernel's zram beside it: both get the same data, and
# no device of zram is left, at the end and after a signal.

. "${0%/*}/functions.sh"

bench=$build_root/tools/uzram-bench
requires_zram
requires python3
[ -x "$bench" ] || missing commands "$bench was not built"

devices()
{
	echo /sys/block/zram* && cat /sys/block/zram*/disksize
}
before=$(devices)

"$bench" pool -s 16M --churn 2 --part density --part churn \
	--json="$tmp/results.json" >"$tmp/out" 2>"$tmp/bench.log" ||
	fail "ended with $?: $(cat "$tmp/bench.log")"
grep -q 'without kernel zram' "$tmp/out" && missing zram "$(cat "$tmp/out")"
[ "$(devices)" = "$before" ] || fail "a whole run left $(devices)"
python3 - "$tmp/results.json" <<-'PYTHON'
	import json, sys
	parts = {p["part"]: {r["what"]: r for r in p["rows"]}
	         for p in json.load(open(sys.argv[1]))["parts"]}
	for part, ours, theirs in (
	    ("density", "uzram", "kernel zram"),
	    ("churn", "uzram, compacted", "kernel zram, compacted"),
	):
	    ours, theirs = parts[part][ours], parts[part][theirs]
	    # The same pages by the same codec come to much the same.
	    same = ours["compressed_bytes"] / theirs["compressed_bytes"]
	    assert 0.97 < same < 1.03, same
	    assert 0 < theirs["density"] < 1
	    ratio = ours["all_bytes"] / theirs["all_bytes"]
	    assert abs(ours["all_to_zram"] - ratio) < 1e-4, ratio
PYTHON

# What the run before wrote is not to be taken for what this one writes.
: >"$tmp/bench.log"
"$bench" pool -s 256M --churn 2 --part churn >"$tmp/out" \
	2>"$tmp/bench.log" &
pid=$!
on_exit kill "$pid"
wait_until 120 grep -q 'kernel zram, round' "$tmp/bench.log" ||
	fail "did not come to zram"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
[ "$status" = 130 ] || fail "after a signal it ended with $status, not 130"
[ "$(devices)" = "$before" ] || fail "a signal left $(devices)"
