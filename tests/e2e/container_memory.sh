#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The example for containers, small: it measures, draws, and leaves nothing. And
# a daemon that is put into a cgroup is charged there.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires_loop
requires python3
requires mkswap

# ---- a daemon in a cgroup ----

base=/sys/fs/cgroup/memory
limit_file=memory.limit_in_bytes
usage=memory.usage_in_bytes
if [ ! -e $base/$limit_file ]; then
	base=/sys/fs/cgroup
	limit_file=memory.max
	usage=memory.current
	grep -qw memory $base/cgroup.subtree_control 2>/dev/null ||
		missing cgroup 'no memory controller'
fi
group=uzram-e2e-$$
mkdir $base/$group 2>/dev/null || missing cgroup 'no new cgroup'
on_exit remove_group

# Called by name.
# shellcheck disable=SC2317
remove_group()
{
	wait_until 10 rmdir "$base/$group" 2>/dev/null
}
echo 128M >$base/$group/$limit_file

dev_dir=$UZRAM_RUNDIR/charged
on_exit remove_charged

# Called by name.
# shellcheck disable=SC2317
remove_charged()
{
	[ ! -d "$dev_dir" ] || "$UZRAMCTL" remove --force charged
}
"$UZRAMCTL" add charged -s 256M --cgroup "/$group" >/dev/null
for pid in "$(cat "$dev_dir/pid")" "$(worker_pid)"; do
	grep -q ":memory:/$group\$\|^0::/$group\$" "/proc/$pid/cgroup" ||
		fail "process $pid is elsewhere"
done
expect_equal "$(stat_of cgroup)" "/$group" \
	'what stat says'
before=$(cat "$base/$group/$usage")
make_noise $((32 << 20)) "$tmp/noise"
dd if="$tmp/noise" of="$dev_dir/block" bs=1M oflag=direct conv=notrunc \
	status=none
[ $(($(cat "$base/$group/$usage") - before)) -ge $((30 << 20)) ] ||
	fail 'it is not charged for what it stores'
limit=$(mm_stat 4)
((limit > 64 << 20 && limit < 128 << 20)) ||
	fail "mem_limit is $limit in a cgroup of 128 MiB"
"$UZRAMCTL" remove charged

# By its directory, as root of nothing would name it; and refusals.
"$UZRAMCTL" add charged -s 16M --cgroup "$base/$group" >/dev/null
expect_equal "$(stat_of cgroup)" "/$group" \
	'by its directory'
"$UZRAMCTL" remove charged
expect_fail_line 3 'there is none; make it' "$UZRAMCTL" add charged -s 16M \
	--cgroup /uzram-no-such-group
expect_fail_line 2 'must not be empty' "$UZRAMCTL" add charged -s 16M --cgroup ''

# ---- the example ----

# Whoever has one open at that moment, as udev may, keeps it for a while.
no_loop()
{
	losetup -nO BACK-FILE >"$tmp/loops"
	! grep -qF "$UZRAM_RUNDIR" "$tmp/loops"
}

# nothing_left: of ours; others may swap meanwhile.
nothing_left()
{
	expect_equal "$(ls -A "$UZRAM_RUNDIR")" '' 'devices left'
	wait_until 60 no_loop || fail 'a loop device is left'
	! ls -d /sys/fs/cgroup/memory/uzram-example-* \
		/sys/fs/cgroup/uzram-example-* 2>/dev/null ||
		fail 'a cgroup is left'
}

# Swap is written again and again while it is slow, and not discarded: much room.
timeout 280 "$source_root/tools/examples/container-memory" \
	--uzramctl "$UZRAMCTL" --size 48M --limits 44M,36M --codecs lz4 \
	--uzram transport=fuse,workers=1 --swap 768M --rounds 1 --seconds 120 \
	--svg "$tmp/chart.svg" --json "$tmp/runs.json" \
	>"$tmp/table" 2>"$tmp/example.log" || fail "$(cat "$tmp/example.log")"
cat "$tmp/table"
grep -Eq '^none +- +none +ok ' "$tmp/table" || fail 'no run without a limit'
expect_equal "$(grep -Ec '^none +- .* killed ' "$tmp/table")" 2 \
	'runs that did not fit'
expect_equal "$(grep -Ec '^uzram:transport=fuse,workers=1 +lz4 .* ok ' \
	"$tmp/table")" 2 'runs with swap'
python3 - "$tmp/runs.json" "$tmp/chart.svg" <<'END'
import json, sys
import xml.dom.minidom
every = json.load(open(sys.argv[1]))['runs']
zram = [r for r in every if r['swap'] == 'zram']
runs = [r for r in every if r['swap'].startswith('uzram')]
for run in runs:
    assert run['rounds'] == [run['seconds']], run
    own = [r['seconds'] for r in zram if r['limit'] == run['limit'] and
           r['result'] == 'ok']
    assert not own or run['speed'] == round(own[0] / run['seconds'], 3), run
    assert run['out'] > 4 << 20 and run['in'] > 0, run
    # So small, the reserve of a device weighs as much as what is stored.
    assert run['stored'] > 0 and run['taken'] > 0, run
    assert run['memory'] <= run['limit'], run
assert len(runs) == 2
chart = xml.dom.minidom.parse(sys.argv[2])
assert len(chart.getElementsByTagName('rect')) >= 5
END
nothing_left

# Any command; what fails is told, and leaves nothing either.
status=0
timeout 120 "$source_root/tools/examples/container-memory" \
	--uzramctl "$UZRAMCTL" --limits 64M --codecs lz4 --no-zram \
	-- sh -c 'exit 3' >"$tmp/out" 2>"$tmp/err" || status=$?
expect_equal $status 1 'a command that fails'
grep -q 'the workload failed' "$tmp/err" || fail "$(cat "$tmp/err")"
nothing_left
