#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzramctl from the first device to the last: every verb, zramctl's spellings,
# what is printed where, and how it ends.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires jq
on_exit remove_all

remove_all()
{
	local dir

	for dir in "$UZRAM_RUNDIR"/* "$tmp"/other/*; do
		[ ! -d "$dir" ] || "$UZRAMCTL" remove --force "$dir"
	done
}

ctl()
{
	"$UZRAMCTL" "$@"
}

# Nothing yet: no table, no complaint.
expect_equal "$(ctl)" '' 'table without devices'
expect_equal "$(ctl --json | jq '.devices | length')" 0 'json without devices'

# Names are given from uz0 on; the path of the block file is all that is said.
expect_equal "$(ctl add -s 64M)" "$UZRAM_RUNDIR/uz0/block" 'add'
expect_equal "$(ctl -f -s 32M -a lz4hc -t 3)" "$UZRAM_RUNDIR/uz1/block" \
	'zramctl -f'
expect_equal "$(ctl add third -s 1G -a lz4 -p level=4 -o mem_limit=8M)" \
	"$UZRAM_RUNDIR/third/block" 'add with a name'
expect_equal "$(stat -c %s "$UZRAM_RUNDIR/uz0/block")" $((64 << 20)) 'size'

# The gap is filled first.
ctl remove uz0
[ ! -e "$UZRAM_RUNDIR/uz0" ] || fail 'remove left the directory'
expect_equal "$(ctl add -s 16M)" "$UZRAM_RUNDIR/uz0/block" 'add into the gap'

# The table: zramctl's columns in zramctl's order.
wanted='NAME ALGORITHM DISKSIZE DATA COMPR TOTAL STREAMS MOUNTPOINT'
expect_equal "$(ctl | sed -n 1p | xargs)" "$wanted" 'default columns'
wanted='third lz4:acceleration=4 1G'
expect_equal "$(ctl -n --raw -o NAME,ALGORITHM,DISKSIZE third)" "$wanted" \
	'chosen columns'
expect_equal "$(ctl list -n -b --raw -o disksize uz1)" $((32 << 20)) 'bytes'
expect_equal "$(ctl -n --raw -o STREAMS uz1)" 3 'threads'
expect_equal "$(ctl -n -b --raw -o mem-limit third)" $((8 << 20)) 'mem_limit'
expect_equal "$(ctl -o+PATH -n uz0 | awk '{ print $NF }')" \
	"$UZRAM_RUNDIR/uz0/block" 'an added column'
expect_equal "$(ctl --output-all | sed -n 1p | wc -w)" 14 'all columns'
expect_equal "$(ctl --json | jq -c '[.devices[] | .name, .disksize]')" \
	'["third",1073741824,"uz0",16777216,"uz1",33554432]' 'json'
expect_fail_line 2 "no column 'NOPE'" ctl -o NAME,NOPE

# A device may be named by its block file and by its directory.
for name in uz1 "$UZRAM_RUNDIR/uz1" "$UZRAM_RUNDIR/uz1/" \
	"$UZRAM_RUNDIR/uz1/block"; do
	expect_equal "$(ctl get "$name" disksize)" $((32 << 20)) "get $name"
done
cd "$UZRAM_RUNDIR"
expect_equal "$(ctl get ./uz1 disksize)" $((32 << 20)) 'get ./uz1'
cd /

# What is stored shows in words and numbers.
head -c 4M < <(tar c -C "$source_root" src include) >"$tmp/data"
dd if="$tmp/data" of="$UZRAM_RUNDIR/uz1/block" bs=64K conv=notrunc status=none
ctl stat uz1 >"$tmp/stat"
grep -q '^uz1: .* stored in .* of RAM (.*:1), of a size of 32 MiB' \
	"$tmp/stat" || fail "stat in words: $(cat "$tmp/stat")"
ctl stat --json uz1 >"$tmp/stat.json"
expect_equal "$(jq .version "$tmp/stat.json")" 1 'version of the json'
bytes=$(stat -c %s "$tmp/data")
expect_equal "$(jq .statistics.orig_data_size "$tmp/stat.json")" \
	$(((bytes + 4095) / 4096 * 4096)) 'orig_data_size'
# Nothing that the daemon counts is missing from the report.
# What is a word there has a place of its own.
sed -n 's/^\([a-z_]*\) [0-9]*$/\1/p' "$UZRAM_RUNDIR/uz1/stat" | sort >"$tmp/counted"
jq -r '.statistics | keys[]' "$tmp/stat.json" | sort >"$tmp/reported"
expect_same "$tmp/counted" "$tmp/reported"
# Through a file: 'grep -q' ends at its line, and the pipe breaks.
ctl stat third >"$tmp/stat"
grep -q '^Of the limit of 8.0 MiB, 0 % are used' "$tmp/stat" ||
	fail 'stat does not tell of the limit'

# Attributes, with the daemon's own reasons.
ctl set third mem_limit 4M
expect_equal "$(ctl -n -b --raw -o mem-limit third)" $((4 << 20)) 'set'
expect_fail_line 1 'third: mem_limit: not a size' ctl set third mem_limit lots
expect_fail_line 4 'third: disksize: ' ctl set third disksize 1M
expect_fail_line 5 'mm_stat: ' ctl set third mm_stat 1
expect_fail_line 5 'reset: not permitted for reading' ctl get third reset
expect_fail_line 3 'third has no attribute nope' ctl get third nope
expect_fail_line 3 'third has no attribute ../uz0' ctl get third ../uz0
expect_fail_line 1 'the value is empty' ctl set third mem_limit ''

# Reset: no size, no data, no limit; then anew.
# Whoever has had the file open may be heard of late.
wait_until 60 ctl reset third uz1 || fail 'reset'
expect_equal "$(ctl get uz1 initstate)" 0 'initstate after reset'
ctl set uz1 comp_algorithm lz4
ctl set uz1 disksize 8M
expect_equal "$(ctl -n -b --raw -o algorithm,disksize,data uz1)" \
	"lz4 $((8 << 20)) 0" 'after reset'
ctl -r uz1 third
expect_equal "$(ctl get uz1 initstate)" 0 'initstate after zramctl -r'

# Another run directory, relative too, by option and by environment.
mkdir "$tmp/other"
cd "$tmp"
expect_equal "$(ctl --rundir other add x -s 1M)" "$tmp/other/x/block" 'rundir'
expect_equal "$(ctl --rundir=other -n --raw -o NAME)" x 'rundir='
expect_fail_line 2 '--rundir needs' ctl --rundir
expect_equal "$(UZRAM_RUNDIR=other ctl -n --raw -o NAME)" x 'UZRAM_RUNDIR'
expect_equal "$(UZRAM_RUNDIR=elsewhere ctl --rundir "$tmp/other" get x disksize)" \
	$((1 << 20)) 'the option is stronger'
ctl --rundir other remove x
cd /

# A run directory that is made: others may know a device's name, but can
# neither list nor lock the directory.
ctl --rundir "$tmp/fresh" add x -s 1M >/dev/null
wanted=711
[ "$(id -u)" = 0 ] || wanted=700
expect_equal "$(stat -c %a "$tmp/fresh")" $wanted 'mode of the run directory'
ctl --rundir "$tmp/fresh" remove x

# A directory of one's own choice, made by hand and left in place.
mkdir "$tmp/own"
expect_equal "$(ctl add own -s 1M -o "dir=$tmp/own")" "$tmp/own/block" 'dir'
ctl remove "$tmp/own"
[ -d "$tmp/own" ] || fail 'remove took a directory that was there before'

# What does not exist, and lines that make no sense.
expect_fail_line 3 'no device nope' ctl stat nope
expect_fail_line 3 'no device nope' ctl reset nope
expect_fail_line 3 "$tmp/nope" ctl remove "$tmp/nope"
expect_fail_line 3 'no device other' ctl get "$tmp/other" disksize
expect_fail_line 2 'usage: uzramctl stat' ctl stat
expect_fail_line 2 'usage: uzramctl set' ctl set uz0 disksize
expect_fail_line 2 'usage: uzramctl doctor' ctl doctor uz0
expect_fail_line 2 'usage: uzramctl compact' ctl compact
expect_fail_line 2 'usage: uzramctl idle' ctl idle uz0 1 2
expect_fail_line 2 'unrecognized option' ctl swapoff --nosuchoption
expect_fail_line 2 'usage: uzramctl umount' ctl umount
expect_fail_line 2 'nosuchverb: no such verb' ctl nosuchverb
expect_fail_line 2 'unrecognized option' ctl add --nosuchoption
expect_fail_line 2 '-f' ctl -s 1G uz7
expect_fail_line 2 'NAME' ctl -r
expect_equal "$(ctl --version)" "$("$UZRAMD" --version | sed s/d/ctl/)" version
ctl --help | sed -n 's/^  \([a-z-]\{3,\}\) .*/\1/p' | grep -vx uzramctl >"$tmp/verbs"
[ "$(wc -l <"$tmp/verbs")" -gt 15 ] || fail '--help shows no verbs'
while read -r verb; do
	ctl "$verb" --help >"$tmp/help"
	grep -q "^Usage: uzramctl $verb" "$tmp/help" ||
		fail "$verb --help"
done <"$tmp/verbs"

# A terminal that closes its end is no reason for anything.
ctl remove uz0 uz1 third
expect_equal "$(ls "$UZRAM_RUNDIR")" '' 'run directory at the end'
