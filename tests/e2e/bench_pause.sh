#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram-bench pause: workers of a device of ours are killed, the pauses are
# told, and everything is taken down, at the end and after a signal.

. "${0%/*}/functions.sh"
. "$here/bench_run.sh"
requires_fuse

# Without that a request that a worker had begun fails, which ends the bench.
start_device probe -s 64M
grep -q '^survives yes' "$dev_dir/stat" ||
	missing fuse 'this kernel does not give requests out again'
stop_device probe

"$bench" pause -s 16M,48M --disksize 256M -k 3 -d same -d light -d /usr/bin \
	-t uzram -t uzram:transport=fuse,codec=lz4 \
	--json="$tmp/results.json" --svg "$tmp/chart.svg" >"$tmp/out" \
	2>"$tmp/bench.log" || fail "ended with $?: $(cat "$tmp/bench.log")"
nothing_left 'a whole run'
grep -q '48M stored' "$tmp/out" || fail 'no table'
python3 - "$tmp/results.json" "$tmp/chart.svg" <<-'PYTHON'
	import json, sys, xml.etree.ElementTree
	xml.etree.ElementTree.parse(sys.argv[2])
	results = json.load(open(sys.argv[1]))
	assert results["kills"] == 3
	assert results["disksize"] == 256 << 20
	rows = results["results"]["rows"]
	assert len(rows) == 3 * 2 * 2, len(rows)
	for row in rows:
	    pauses = row["pause_ms"]["rounds"]
	    assert len(pauses) == 3 and min(pauses) > 0
	    assert row["longest_ms"] == max(pauses)
	    assert ("ms_per_gib" in row) == (row["what"] == "48M stored")
	    if row["corpus"] == "same":
	        assert row["pool_bytes"] < 1 << 20
	    if row["corpus"] == "light":
	        assert 0 < row["pool_bytes"] < 4 << 20
PYTHON

# What is no device of ours has no worker.
status=0
"$bench" pause -t "$tmp/out" >/dev/null 2>&1 || status=$?
[ "$status" = 2 ] || fail "a file as target: ended with $status, not 2"

under_way()
{
	grep -q '16M stored' "$tmp/bench.log"
}
ended_by_signal under_way pause -s 16M,17M,18M -k 64
