#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzramctl stat --prometheus: the format to the letter, the numbers those of
# the device, one family for all devices, whatever they are called.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires python3

metrics()
{
	"$UZRAMCTL" stat --prometheus "$@" >"$tmp/raw"
	python3 "$here/prometheus.py" <"$tmp/raw" >"$tmp/metrics" ||
		fail "the format of: $(cat "$tmp/raw")"
}

# value FAMILY DEVICE
value()
{
	sed -n "s/^uzram_$1{device=\"$2\"} //p" "$tmp/metrics"
}

# No device: families without samples.
metrics
expect_equal "$(cat "$tmp/metrics")" '' 'samples without devices'
grep -q '^# TYPE uzram_reads_total counter$' "$tmp/raw" || fail 'no families'

start_device one -s 16M -a lz4 -o mem_limit=8M -o compaction=off \
	-o transport=fuse -t 2
make_text 65536 "$tmp/text"
dd if="$tmp/text" of="$dev_block" bs=4096 conv=notrunc status=none
fallocate -p -o 0 -l 8192 "$dev_block"
one=$dev_dir
start_device two -s 4M
metrics
counted()
{
	sed -n "s/^$1 //p" "$one/stat"
}
expect_equal "$(value disksize_bytes one)" $((16 << 20)) 'disksize'
expect_equal "$(value disksize_bytes two)" $((4 << 20)) 'disksize of two'
expect_equal "$(value data_bytes one)" $((14 * 4096)) 'data'
expect_equal "$(value memory_limit_bytes one)" $((8 << 20)) 'limit'
expect_equal "$(value compressed_bytes one)" "$(counted compr_data_size)" 'compressed'
expect_equal "$(value written_bytes_total one)" 65536 'written'
expect_equal "$(value discarded_bytes_total one)" 8192 'discarded'
expect_equal "$(value writes_total one)" "$(counted num_writes)" 'writes'
expect_equal "$(value writes_total two)" 0 'writes of two'
# It may be longer than a second, where a thread stood still meanwhile.
expect_equal "$(value longest_map_seconds one)" "$(counted longest_map_ns |
	awk '{ printf "%.9f", $1 / 1e9 }')" 'nanoseconds as seconds'
grep -qxE 'uzram_device_info\{device="one",algorithm="lz4[^"]*",transport="[a-z_]+"\} 1' \
	"$tmp/metrics" || fail "info: $(cat "$tmp/metrics")"

# How long requests took, once there were enough: of so many, whoever served
# them, one thread has had one that is timed.
duration()
{
	sed -n "s/^uzram_request_duration_seconds_$1{device=\"$2\",\(.*\)} /\1 /p" \
		"$tmp/metrics"
}
expect_equal "$(duration count two)" \
	'operation="read" 0'$'\n''operation="write" 0' 'durations of two'
for ((i = 0; i < 64; i++)); do
	dd if="$tmp/text" of="$one/block" bs=4096 conv=notrunc status=none
done
metrics
expect_equal "$(duration count two)" \
	'operation="read" 0'$'\n''operation="write" 0' 'durations of two'
writes=$(duration count one | sed -n 's/^operation="write" //p')
[ "$writes" -gt 0 ] || fail "durations: $(cat "$tmp/metrics")"
expect_equal "$(duration bucket one | grep -c 'operation="write",le=')" 25 \
	'buckets'
"$UZRAMCTL" stat --json one >"$tmp/json"
python3 - "$tmp/json" "$writes" <<-'PYTHON'
	import json, sys
	latency = json.load(open(sys.argv[1]))['latency']['write']
	assert latency['timed'] >= int(sys.argv[2]), latency
	assert 0 < latency['p50_ns'] <= latency['p99_ns'], latency
	assert latency['sum_ns'] > 0, latency
PYTHON

# Each family is made of a statistic that there is.
sed -n 's/^\t{ "[a-z_]*", "\([a-z_]*\)", .*/\1/p' \
	"$source_root/tools/ctl/prometheus.c" | sort -u >"$tmp/sources"
[ "$(wc -l <"$tmp/sources")" -gt 30 ] || fail 'no table of metrics found'
cut -d' ' -f1 "$one/stat" | sort >"$tmp/statistics"
expect_equal "$(comm -23 "$tmp/sources" "$tmp/statistics")" '' \
	'statistics that do not exist'

# One by its name, and by a path; nothing else then.
metrics two
expect_equal "$(grep -c 'device="two"' "$tmp/metrics")" \
	"$(wc -l <"$tmp/metrics")" 'samples of one device'
expect_fail_line 3 'no device none' "$UZRAMCTL" stat --prometheus one none
expect_fail_line 2 'usage: uzramctl stat' "$UZRAMCTL" stat one two

# A directory may be called anything.
# shellcheck disable=SC1003 # that is a backslash
odd=$tmp/'q"b\n'$'\n''e'
mkdir "$odd"
start_device odd -s 1M -o "dir=$odd"
on_exit unmount_dead "$odd"
metrics "$odd"
grep -qxF 'uzram_disksize_bytes{device="q\"b\\n\ne"} 1048576' "$tmp/metrics" ||
	fail "escapes: $(cat "$tmp/metrics")"

# What cannot be written whole is a failure.
if [ -w /dev/full ]; then
	status=0
	"$UZRAMCTL" stat --prometheus >/dev/full 2>"$tmp/err" || status=$?
	expect_equal "$status" 1 'status when stdout is full'
	grep -q 'cannot write: No space left' "$tmp/err" ||
		fail "no reason: $(cat "$tmp/err")"
fi

# A daemon that is gone does not hide the others.
kill -KILL "$(cat "$tmp/two.pid")"
wait_until 60 is_dead "$UZRAM_RUNDIR/two" || fail 'a worker goes on alone'
"$UZRAMCTL" stat --prometheus >"$tmp/raw" 2>"$tmp/err"
grep -q '"one"' "$tmp/raw" || fail 'no metrics beside a dead daemon'
! grep -q '"two"' "$tmp/raw" || fail 'metrics of a dead daemon'
grep -q 'two: its daemon has died' "$tmp/err" || fail "$(cat "$tmp/err")"
