#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram-bench device measures a device of ours, with and without a loop device
# on it, and takes everything down: at the end, after a failure, after a signal.

. "${0%/*}/functions.sh"

bench=$build_root/tools/uzram-bench
requires_fuse
requires_loop
requires python3
[ -x "$bench" ] || missing commands "$bench was not built"

export TMPDIR=$tmp/work
mkdir "$TMPDIR"

nothing_left()
{
	! grep -F "$TMPDIR" /proc/self/mountinfo ||
		fail "$1: something is still mounted"
	! losetup --noheadings --output BACK-FILE | grep -F "$TMPDIR" ||
		fail "$1: a loop device is still there"
	[ -z "$(ls -A "$TMPDIR")" ] || fail "$1: $(ls -A "$TMPDIR") is left"
}

# run STATUS OPTION...: a short run
run()
{
	local want=$1 status=0

	shift
	"$bench" device -s 64M -r 2 --seconds 0.05 "$@" >"$tmp/out" \
		2>"$tmp/bench.log" || status=$?
	[ "$status" = "$want" ] || fail "$*: ended with $status, not $want"
}

run 0 -t uzram -t loop:uzram:codec=zstd --json="$tmp/results.json" \
	--svg "$tmp/chart.svg" -d 1,4
nothing_left "a whole run"
grep -q 'random read 4 KiB, depth 4, 2 jobs' "$tmp/out" || fail "no table"
python3 - "$tmp/results.json" "$tmp/chart.svg" <<-'PYTHON'
	import json, sys, xml.etree.ElementTree
	xml.etree.ElementTree.parse(sys.argv[2])
	results = json.load(open(sys.argv[1]))
	works = results["results"]
	assert len(works) == 20, len(works)
	for work in works:
	    assert [t["target"] for t in work["targets"]] == [
	        "uzram", "loop:uzram:codec=zstd"]
	    for target in work["targets"]:
	        assert len(target["requests_per_second"]["rounds"]) == 2
	        assert target["mb_per_second"] > 0
	        assert 0 < target["p50_us"] <= target["p99_us"]
	        assert target["p99_us"] <= target["p999_us"]
	        assert len(target["cpu_seconds_per_gib"]["rounds"]) == 2
	# What 64 MiB of programs take: something, and less than they are.
	assert all(0 < t["memory_bytes"] < 64 << 20 for t in results["memory"])
PYTHON

run 1 -t loop:uzram -t "$tmp/nonesuch" -d 1
nothing_left "a target that is not there"
run 1 -t uzram -t uzram:codec=nonesuch -d 1
grep -q nonesuch "$tmp/bench.log" || fail "the daemon's reason is not shown"
nothing_left "a codec that is not there"

"$bench" device -t uzram -t loop:uzram -s 64M --seconds 60 >"$tmp/out" \
	2>"$tmp/bench.log" &
pid=$!
on_exit kill "$pid"
sleep 1
wait_until 20 grep -qF "$TMPDIR" /proc/self/mountinfo || fail "did not start"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
[ "$status" = 130 ] || fail "after a signal it ended with $status, not 130"
nothing_left "a signal"
