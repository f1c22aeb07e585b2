#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram-bench device measures a device of ours, with and without a loop device
# on it, and takes everything down: at the end, after a failure, after a signal.
# With --compare the kernel's offer of io_uring too is what it was.

. "${0%/*}/functions.sh"

bench=$build_root/tools/uzram-bench
requires_fuse
requires_loop
requires python3 unshare
[ -x "$bench" ] || missing commands "$bench was not built"

export TMPDIR=$tmp/work
mkdir "$TMPDIR"
offered=$(cat "$uring_parameter" 2>/dev/null || true)

# Whoever has one open at that moment, as udev may, keeps it for a while.
no_loop()
{
	losetup --noheadings --output BACK-FILE >"$tmp/loops"
	! grep -F "$TMPDIR" "$tmp/loops"
}

nothing_left()
{
	! grep -F "$TMPDIR" /proc/self/mountinfo ||
		fail "$1: something is still mounted"
	wait_until 60 no_loop || fail "$1: a loop device is still there"
	[ -z "$(ls -A "$TMPDIR")" ] || fail "$1: $(ls -A "$TMPDIR") is left"
	[ "$(cat "$uring_parameter" 2>/dev/null)" = "$offered" ] ||
		fail "$1: $uring_parameter is not $offered any more"
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
	    assert "auto" not in work
	# What 64 MiB of programs take: something, and less than they are.
	assert all(0 < t["memory_bytes"] < 64 << 20 for t in results["memory"])
PYTHON

# Everything that there is to compare with; what lacks here is named.
run 0 --compare -r 1 --seconds 0.02 --json="$tmp/results.json" \
	--svg "$tmp/chart.svg"
nothing_left "a comparison"
python3 - "$tmp/results.json" "$tmp/chart.svg" "$tmp/out" <<-'PYTHON'
	import json, sys, xml.etree.ElementTree
	xml.etree.ElementTree.parse(sys.argv[2])
	results = json.load(open(sys.argv[1]))
	text = open(sys.argv[3]).read()
	names = [t["target"] for t in results["memory"]]
	ours = {f"{loop}uzram:transport={t}"
	        for loop in ("", "loop:") for t in ("fuse", "io_uring")}
	absent = {t["target"] for t in results["left_out"]}
	assert all(t["why"] for t in results["left_out"])
	assert sorted([*names, *absent]) == sorted(
	    [*ours, "uzram:transport=auto", "zram:lz4", "nbdkit:zstd"])
	for name in absent:
	    assert f"left out: {name} (" in text, name
	works = results["results"]
	for work in works:
	    assert [t["target"] for t in work["targets"]] == names
	    if not absent & ours:
	        assert work["auto"]["better_transport"] in ("fuse", "io_uring")
	        assert work["auto"]["ratio"] > 0
	assert {(w["block"], w["random"], w["read_percent"], w["depth"],
	         w["jobs"]) for w in works} == {
	    (block, block == 4096, reads, depth, jobs)
	    for block, deep, percents in ((1 << 20, 4, (0, 100)),
	                                  (4096, 32, (0, 70, 100)))
	    for reads in percents for depth in (1, deep) for jobs in (1, 2)}
	# What the machine was busy for: a 20 ms load may fall between two ticks,
	# all of them together do not.
	assert any(t["cpu_seconds_per_gib"]["median"] > 0
	           for w in works for t in w["targets"])
PYTHON

if [ -e "$uring_parameter" ]; then
	! grep -q 'left out.*io_uring: it is off' "$tmp/out" ||
		fail "io_uring was not turned on: $(cat "$tmp/out")"
fi

# Where the kernel cannot be told to offer io_uring, the others are compared.
if [ "$offered" = N ]; then
	echo N >"$tmp/parameter"
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare --mount bash -c 'mount --bind "$1" "$2" &&
		mount -o remount,ro,bind "$2" && exec "${@:3}"' bash \
		"$tmp/parameter" "$uring_parameter" \
		"$bench" device --compare -s 64M -r 1 --seconds 0.05 -d 1 \
		-t uzram:transport=fuse -t uzram:transport=io_uring \
		>"$tmp/out" 2>"$tmp/bench.log" || fail "without io_uring: $?"
	grep -q '^left out: uzram:transport=io_uring (.*it is off' "$tmp/out" ||
		fail "it is not told that io_uring was left out"
	! grep -q 'better transport' "$tmp/out" ||
		fail "auto is compared with what is not there"
	nothing_left "a comparison without io_uring"
fi

# What is not installed is left out, but only of a comparison.
PATH=$tmp run 0 --compare -t uzram:transport=fuse -t nbdkit -d 1 -j 1
grep -q '^left out: nbdkit (target nbdkit: did not start' "$tmp/out" ||
	fail "it is not told that nbdkit was left out"
nothing_left "a comparison without nbdkit"
PATH=$tmp run 5 --compare -t nbdkit -d 1
grep -q 'nothing to compare: ' "$tmp/bench.log" || fail "no reason is told"
PATH=$tmp run 5 -t uzram -t nbdkit -d 1
nothing_left "nbdkit is not there"
# What is wrong fails there too.
run 1 --compare -t uzram -t uzram:codec=nonesuch -d 1
nothing_left "a comparison with a codec that is not there"

run 1 -t loop:uzram -t "$tmp/nonesuch" -d 1
nothing_left "a target that is not there"
run 1 -t uzram -t uzram:codec=nonesuch -d 1
grep -q nonesuch "$tmp/bench.log" || fail "the daemon's reason is not shown"
nothing_left "a codec that is not there"

"$bench" device --compare -t uzram -t loop:uzram -s 64M --seconds 60 \
	>"$tmp/out" 2>"$tmp/bench.log" &
pid=$!
kill_bench()
{
	kill "$pid" 2>/dev/null
}
on_exit kill_bench
wait_until 60 grep -qF "$TMPDIR" /proc/self/mountinfo || fail "did not start"
case $offered in
?) uring_is_on || fail "io_uring is not offered while it runs" ;;
esac
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
[ "$status" = 130 ] || fail "after a signal it ended with $status, not 130"
nothing_left "a signal"
