#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Command lines and places that cannot work. Each is refused with one line that
# names what is wrong, by uzramd itself and through uzramctl, and leaves
# neither a mount nor a directory behind.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse

# refused STATUS TEXT ARGUMENTS...: both programs say the same.
refused()
{
	local status=$1 text=$2

	shift 2
	expect_fail_line "$status" "$text" timeout 60 "$UZRAMD" "$@"
	expect_fail_line "$status" "$text" timeout 60 "$UZRAMCTL" add "$@"
}

# nothing_left: no device came of it.
nothing_left()
{
	expect_equal "$(ls -A "$UZRAM_RUNDIR")" '' 'left in the run directory'
	! grep -q " $tmp" /proc/self/mountinfo || fail 'a mount was left'
}

# Codecs.
refused 2 "codec 'lz5' is unknown" -s 64M -a lz5 dev
refused 2 'level' -s 64M -a zstd:level=1000 dev
refused 2 'level' -s 64M -a zstd:level=-99999999 dev
refused 2 "'colour'" -s 64M -a lz4:colour=red dev
refused 2 'zstd' -s 64M -a zstd:level= dev
refused 2 "codec '' is unknown" -s 64M -a '' dev
refused 2 'codec' -s 64M -a "lz4$(printf 'x%.0s' {1..600})" dev
refused 2 'dict: path too long' -s 64M \
	-a "lz4:dict=/$(printf 'x%.0s' {1..9000})" dev
nothing_left

# Sizes.
refused 2 "'0' is out of range" -s 0 dev
refused 2 "'-1' is not a size" -s -1 dev
refused 2 "'-64M' is not a size" -s -64M dev
refused 2 "'many' is not a size" -s many dev
refused 2 "'' is not a size" -s '' dev
refused 2 "'64X' is not a size" -s 64X dev
refused 2 "'64M64' is not a size" -s 64M64 dev
refused 2 "'4095' is out of range" -s 4095 dev
refused 2 "'17T' is out of range" -s 17T dev
refused 2 "'99999999999999999999' is out of range" -s 99999999999999999999 dev
refused 2 "mem_limit 'some' is not a size" -o mem_limit=some dev
nothing_left

# Names.
refused 2 "name 'a/b': only" -s 64M a/b
refused 2 "name '../x': must not begin with '.'" -s 64M ../x
refused 2 "name '..': must not begin with '.'" -s 64M ..
refused 2 "name '': must be 1 to 31" -s 64M ''
refused 2 "name '-x': must not begin with '-'" -s 64M -- -x
refused 2 "must be 1 to 31" -s 64M "$(printf 'n%.0s' {1..32})"
refused 2 "name 'a b': only" -s 64M 'a b'
refused 2 'only letters' -s 64M $'a\nb'
nothing_left

# Options.
refused 2 "unknown key 'colour'" -o colour=red dev
refused 2 "write it KEY=VALUE" -o colour dev
refused 2 "threads '0': must be 1 to 64" -o threads=0 dev
refused 2 "threads '65'" -o threads=65 dev
refused 2 "threads '-1'" -o threads=-1 dev
refused 2 "workers 'few': must be auto or 0 to 64" -o workers=few dev
refused 2 "workers '65'" -o workers=65 dev
refused 2 "frontend 'smoke' is not in this build" --frontend smoke dev
refused 2 "must begin with '/'" -o dir=relative dev
expect_fail_line 2 'give one NAME' "$UZRAMD"
expect_fail_line 2 'give one NAME' "$UZRAMD" one two
expect_fail_line 2 "--ready-fd 'x' is not a descriptor" "$UZRAMD" \
	--ready-fd=x dev
nothing_left

# Places. Not empty:
mkdir "$UZRAM_RUNDIR/dev"
touch "$UZRAM_RUNDIR/dev/file"
refused 4 "$UZRAM_RUNDIR/dev is not empty" -s 64M dev
[ -e "$UZRAM_RUNDIR/dev/file" ] || fail 'a file in the way was removed'
rm "$UZRAM_RUNDIR/dev/file"

# a file, and a directory above that is missing:
rmdir "$UZRAM_RUNDIR/dev"
touch "$UZRAM_RUNDIR/dev"
refused 1 "$UZRAM_RUNDIR/dev: Not a directory" -s 64M dev
rm "$UZRAM_RUNDIR/dev"
refused 3 "$tmp/none: No such file or directory" -s 64M -o "dir=$tmp/none/x" dev
UZRAM_RUNDIR=$tmp/none/run refused 3 "cannot make $tmp/none/run" -s 64M dev

# not writable, for root too:
if [ "$(id -u)" = 0 ]; then
	mkdir "$tmp/ro"
	mount -t tmpfs -o size=64k,mode=755 none "$tmp/ro"
	on_exit unmount_fs "$tmp/ro"
	mkdir "$tmp/ro/there"
	mount -o remount,ro "$tmp/ro"
	UZRAM_RUNDIR=$tmp/ro refused 5 \
		"cannot make $tmp/ro/dev: Read-only file system" -s 64M dev
	unmount_fs "$tmp/ro"
fi
nothing_left

# A name that is taken, by a device that must not feel it.
start_device taken -s 64M
echo content >"$tmp/content"
dd if="$tmp/content" of="$dev_block" conv=notrunc status=none
refused 4 'taken is taken' -s 64M taken
refused 4 'other is taken' -s 64M -o "dir=$dev_dir" other
head -c 8 "$dev_block" | cmp - "$tmp/content"
stop_device taken
nothing_left
