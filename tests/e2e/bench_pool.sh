#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram-bench pool with the kernel's zram beside it: both get the same data, and
# no device of zram is left, at the end and after a signal.

. "${0%/*}/functions.sh"
. "$here/bench_run.sh"
requires_zram

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

nothing_left()
{
	[ "$(devices)" = "$before" ] || fail "$1 left $(devices)"
}
at_zram()
{
	grep -q 'kernel zram, round' "$tmp/bench.log"
}
ended_by_signal at_zram pool -s 256M --churn 2 --part churn
