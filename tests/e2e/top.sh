#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzramctl top: tables where there is no terminal, a screen where there is one,
# which is as it was afterwards.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires python3

top()
{
	timeout 60 "$UZRAMCTL" top "$@"
}

# No device yet, and lines that make no sense.
expect_equal "$(top -n 1 -d 0.1 | sed -n 2p)" 'There are no devices.' 'no device'
expect_fail_line 3 'no device none' top none
for delay in 0 0.01 3601 x 1x '' nan; do
	expect_fail_line 2 'must be 0.1 to 3600' top -d "$delay"
done
for count in 0 -1 x 1.5 '' 99999999999999999999; do
	expect_fail_line 2 'must be 1 or more' top -n "$count"
done
expect_fail_line 2 'unrecognized option' top --nosuchoption

start_device one -s 16M -a lz4 -o compaction=off -o transport=fuse -t 2
one=$dev_block
make_text $((4 << 20)) "$tmp/text"
dd if="$tmp/text" of="$one" bs=64K conv=notrunc status=none
start_device two -s 4M

# ---- no terminal ----

# Two tables, of whole lines, with every device; read through a pipe.
top --count 2 --delay 0.2 | cat >"$tmp/plain"
expect_equal "$(grep -c '^NAME  *SIZE' "$tmp/plain")" 2 'tables'
expect_equal "$(grep -c '^$' "$tmp/plain")" 2 'blank lines'
expect_equal "$(grep -cE '^one +16M +4M +[0-9.]+M +0B +[0-9.]+ +0B +0B +0 +[0-9]+$' \
	"$tmp/plain")" 2 'rows of one'
expect_equal "$(grep -cE '^two +4M +0B ' "$tmp/plain")" 2 'rows of two'
! grep -q $'\033' "$tmp/plain" || fail 'a sequence without a terminal'
awk 'length > 80 { exit 1 }' "$tmp/plain" || fail 'more than 80 columns'
expect_equal "$(top -n 1 -d 0.1 two | grep -cE '^(one|two) ')" 1 'only one device'
TERM=dumb top -n 1 -d 0.1 >/dev/null

# watch FILE ARGUMENTS...: in the background; returns when there is a table.
watch()
{
	local file=$1

	shift
	"$UZRAMCTL" top -d 0.3 "$@" >"$file" &
	watcher=$!
	on_exit end_watch
	wait_until 60 grep -q '^NAME' "$file" || fail 'no table'
}

# It writes each table as a whole.
end_watch()
{
	[ -n "$watcher" ] || return 0
	kill "$watcher" || true
	wait "$watcher" 2>/dev/null || true
	watcher=
}

# seen FILE TEXT: until a table has a line like that.
seen()
{
	wait_until 60 grep -qE "$2" "$1" || fail "no '$2': $(cat "$1")"
}

# Rates are those of the time between two looks: what was written is seen then,
# and not any more when nothing is.
row='^one( +[0-9.]+[BKMG]){4} +[0-9.]+ +0B'
watch "$tmp/rates"
dd if="$tmp/text" of="$one" bs=64K conv=notrunc status=none
seen "$tmp/rates" "$row +[1-9][0-9.]*[BKMG] "
not_any_more()
{
	[[ $(grep '^one ' "$tmp/rates" | tail -n 1) =~ $row\ +0B\  ]]
}
wait_until 60 not_any_more || fail "rates: $(cat "$tmp/rates")"
end_watch

# And how long they took, if some were.
! grep -q latency "$tmp/plain" || fail "latency: $(cat "$tmp/plain")"
watch "$tmp/latency"
dd if="$tmp/text" of="$one" bs=4K conv=notrunc status=none
dd if="$one" of=/dev/null bs=4K iflag=direct status=none
time='[0-9.]+ [mu]?s'
seen "$tmp/latency" "^  latency: .*writes $time \(99 %: $time\)"
seen "$tmp/latency" "^  latency: reads $time \(99 %: $time\)"
end_watch
awk 'length > 80 { exit 1 }' "$tmp/latency" || fail 'more than 80 columns'

# A daemon that is gone: its row says so, the others go on.
watch "$tmp/gone" one two
kill -KILL "$(cat "$tmp/two.pid")"
seen "$tmp/gone" '^two +two: its daemon has died'
end_watch
expect_equal "$(grep -c '^one  *16M' "$tmp/gone")" \
	"$(grep -c '^NAME' "$tmp/gone")" 'rows of the living'
unmount_dead "$UZRAM_RUNDIR/two"

# ---- a terminal ----

for step in quits rates resizes counts signals stops hangs_up; do
	timeout 100 python3 "$here/top.py" $step "$UZRAMCTL" top >&2 ||
		fail "on a terminal: $step"
done
