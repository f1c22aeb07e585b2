#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzram.conf: a device as its section says, by uzramd and by uzramctl add; the
# command line is stronger; mistakes keep a device from being started, or are
# warnings; check-config finds them all.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse

conf=$UZRAM_CONFIG_ROOT/etc/uzram.conf
mkdir -p "$conf.d"

# refused TEXT ARGUMENTS...: both programs say the same.
refused()
{
	local text=$1

	shift
	expect_fail_line 1 "$text" timeout 60 "$UZRAMD" "$@"
	expect_fail_line 1 "$text" timeout 60 "$UZRAMCTL" add "$@"
}

# checked STATUS WANTED [FILE]: what check-config prints is WANTED.
checked()
{
	local wanted=$1 text=$2 status=0

	shift 2
	"$UZRAMCTL" check-config "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	expect_equal "$status" "$wanted" "status of check-config $*"
	expect_equal "$(sed "s|$UZRAM_CONFIG_ROOT||" "$tmp/out")" "$text" \
		"check-config $*"
	expect_equal "$(cat "$tmp/err")" '' "stderr of check-config $*"
}

# ---- devices ----

checked 0 'There is no configuration file.'
cat >"$conf" <<-END
	# what a device is to be
	[disk]
	size = 64M
	algorithm = lz4hc
	mem_limit = 8M

	[uz0]
	size = 3M

	[placed]
	size = 1M
	dir = $tmp/placed
END
checked 0 'No mistake in 1 file, 3 sections.'

start_device disk
expect_equal "$(stat -c %s "$dev_block")" $((64 << 20)) 'size by the file'
expect_equal "$(mm_stat 4)" $((8 << 20)) 'mem_limit by the file'
grep -q '\[lz4hc' "$dev_dir/comp_algorithm" || fail 'codec by the file'
stop_device disk

# Options are stronger, wherever they stand; what they leave out stays.
start_device disk -s 32M
expect_equal "$(stat -c %s "$dev_block")" $((32 << 20)) 'size by an option'
expect_equal "$(mm_stat 4)" $((8 << 20)) 'mem_limit by the file still'
stop_device disk
echo '[disk]' >"$conf.d/a.conf"
echo 'size = 16M' >>"$conf.d/a.conf"
start_device disk -o mem_limit=4M
expect_equal "$(stat -c %s "$dev_block")" $((16 << 20)) 'size by a piece'
expect_equal "$(mm_stat 4)" $((4 << 20)) 'mem_limit by an option'
stop_device disk

# uzramctl: by name, by the name that it chooses, and at another place.
expect_equal "$("$UZRAMCTL" add disk)" "$UZRAM_RUNDIR/disk/block" 'add'
on_exit "$UZRAMCTL" remove --force disk
expect_equal "$("$UZRAMCTL" -nb --raw -o DISKSIZE,MEM-LIMIT disk)" \
	"$((16 << 20)) $((8 << 20))" 'added'
"$UZRAMCTL" remove disk
"$UZRAMCTL" add >"$tmp/out"
on_exit "$UZRAMCTL" remove --force uz0
expect_equal "$("$UZRAMCTL" -nb --raw -o DISKSIZE uz0)" $((3 << 20)) 'uz0'
"$UZRAMCTL" remove uz0
expect_equal "$("$UZRAMCTL" add placed)" "$tmp/placed/block" 'dir by the file'
on_exit "$UZRAMCTL" remove --force "$tmp/placed"
"$UZRAMCTL" remove "$tmp/placed"
expect_equal "$("$UZRAMCTL" add placed -o "dir=$tmp/moved")" \
	"$tmp/moved/block" 'dir by an option'
on_exit "$UZRAMCTL" remove --force "$tmp/moved"
"$UZRAMCTL" remove "$tmp/moved"

# ---- mistakes ----

cat >"$conf.d/b.conf" <<-'END'
	[disk]
	size = plenty
	size = 1G
	[disk]
	colour = red
	threads
END
printf '[disk]\ndir = /mnt\001\n' >"$conf.d/c.conf"
printf '[disk]\ndir = /%s\n' "$(printf 'x%.0s' {1..9000})" >"$conf.d/d.conf"
ln -s nowhere "$conf.d/e.conf"
wanted="/etc/uzram.conf.d/b.conf:2: size 'plenty' is not a size; write it like \
512M, 2G, 50% or ram/2
/etc/uzram.conf.d/b.conf:3: 'size' is set already, in line 2: remove one of them
/etc/uzram.conf.d/b.conf:4: section [disk] is there already, in line 1: make \
one of them"
status=0
"$UZRAMCTL" check-config >"$tmp/out" || status=$?
expect_equal "$status" 1 'status of check-config'
expect_equal "$(sed "s|$UZRAM_CONFIG_ROOT||; 3q" "$tmp/out")" "$wanted" mistakes
for text in "b.conf:5: unknown key 'colour'; known are size" \
	"b.conf:6: 'threads': a setting is written KEY = VALUE" \
	'c.conf:2: byte 0x01 in column 11 is not text' \
	'd.conf:2: a line of 9007 bytes; it may have 8192' \
	'e.conf: No such file or directory'; do
	grep -qF "$text" "$tmp/out" || fail "no '$text' in: $(cat "$tmp/out")"
done
expect_equal "$(wc -l <"$tmp/out")" 8 'lines of check-config'
checked 3 "$tmp/none: No such file or directory" "$tmp/none"
checked 1 "$tmp: not a regular file" "$tmp"
checked 0 'No mistake in 1 file, 3 sections.' "$conf"
expect_fail_line 2 'usage: uzramctl check-config' "$UZRAMCTL" check-config a b

refused "$conf.d/b.conf:2: size 'plenty' is not a size" disk
# Options cannot hide them.
refused "$conf.d/b.conf:2: size 'plenty' is not a size" -s 64M disk
mv "$conf.d/e.conf" "$tmp/link"

# Another device starts, and tells.
start_device other -s 8M
grep -qF "$conf.d/b.conf:5: unknown key 'colour'" "$tmp/other.log" ||
	fail "no warning: $(cat "$tmp/other.log")"
stop_device other

# Nobody knows whose line it was.
echo 'size = 1G' >"$conf.d/b.conf"
rm "$conf.d/c.conf" "$conf.d/d.conf"
refused "$conf.d/b.conf:1: 'size' stands before any section" -s 64M other
mv "$tmp/link" "$conf.d/b.conf"
expect_fail_line 3 "$conf.d/b.conf: No such file" timeout 60 "$UZRAMD" other
rm "$conf.d/b.conf"
if [ "$(id -u)" != 0 ]; then
	chmod 0 "$conf.d/a.conf"
	expect_fail_line 5 "$conf.d/a.conf: Permission denied" timeout 60 \
		"$UZRAMD" other
fi

checked 0 'No mistake in 1 file, 3 sections.' "$source_root/tools/uzram.conf"
