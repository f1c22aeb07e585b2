#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram-bench pool --part client: a client reads before, during and after a
# recompression of a device of ours, and everything is taken down, at the end
# and after a signal.

. "${0%/*}/functions.sh"
. "$here/bench_run.sh"
requires_fuse

whole_run()
{
	"$bench" pool --part client -s 16M -r 2 --seconds 0.2 -c /usr/bin \
		-t uzram -t uzram:transport=fuse --json="$tmp/results.json" \
		>"$tmp/out" 2>"$tmp/bench.log" ||
		fail "ended with $?: $(cat "$tmp/bench.log")"
	nothing_left 'a whole run'
	! grep 'left out' "$tmp/out" || missing commands 'built without zstd'
}

# Of a recompression that ends before the client comes to read, as on a busy
# machine, there is nothing to tell.
was_measured()
{
	python3 - "$tmp/results.json" <<-'PYTHON'
		import json, sys
		part, = json.load(open(sys.argv[1]))["parts"]
		rows = [r for r in part["rows"] if r["what"].endswith("meanwhile")]
		sys.exit(not all(
		    r.get("pages_per_second", {}).get("median", 0) > 0
		    and len(r["load_p50_ns"]["rounds"]) == 2 for r in rows))
	PYTHON
}

for ((i = 0; i < 5; i++)); do
	whole_run
	! was_measured || break
done
python3 - "$tmp/results.json" <<-'PYTHON'
	import json, sys
	part, = json.load(open(sys.argv[1]))["parts"]
	rows = {row["what"]: row for row in part["rows"]}
	assert len(rows) == 2 * 3, list(rows)
	for target in "uzram", "uzram:transport=fuse":
	    before = rows[target + ", before"]
	    assert "load_p99_to_before" not in before
	    for what in "before", "meanwhile", "after":
	        row = rows[f"{target}, {what}"]
	        for key in "load_p50_ns", "load_p99_ns", "load_p999_ns":
	            assert len(row[key]["rounds"]) == 2, row
	        assert (
	            0
	            < row["load_p50_ns"]["median"]
	            <= row["load_p99_ns"]["median"]
	            <= row["load_p999_ns"]["median"]
	        ), row
	    # Something was recompressed while the client read.
	    assert rows[target + ", meanwhile"]["pages_per_second"]["median"] > 0
PYTHON

under_way()
{
	grep -qs '^recompress_running 1' "$TMPDIR"/uzram-bench-*/bench/stat
}

ended_by_signal under_way pool --part client -s 64M -r 20 --seconds 3 \
	-c /usr/bin
