#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The example for CI jobs, each way that it knows: with loop devices, with
# fuse2fs as an ordinary user, and with nothing but the block file.
#
# shellcheck disable=SC2016 # the inner scripts expand where they run

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
. "${0%/*}/machine.sh"
requires mkfs.ext4
cp "$source_root/tools/examples/ci-ramdisk" "$tmp/bin"
chmod a+rx "$tmp/bin/ci-ramdisk"
job=$tmp/bin/ci-ramdisk

# nothing_left: of any way.
nothing_left()
{
	expect_equal "$(ls -A "$UZRAM_RUNDIR")" '' 'devices left'
	! ls -d "$tmp"/ci-ramdisk.* 2>/dev/null || fail 'a directory is left'
}

export UZRAMCTL TMPDIR=$tmp

# ---- root, on a loop device ----

requires_loop
"$job" -s 64M -a zstd -- bash -c 'test "$PWD" = "$UZRAM_DIR" &&
	findmnt -no FSTYPE . && cp "$UZRAMCTL" . && cmp uzramctl "$UZRAMCTL"' \
	>"$tmp/out" 2>"$tmp/err" || fail "$(cat "$tmp/err")"
expect_equal "$(cat "$tmp/out")" ext4 'the file system'
grep -q 'by loop' "$tmp/err" || fail "$(cat "$tmp/err")"
nothing_left

# ---- its status, and its end ----

status=0
"$job" -s 64M -- bash -c 'exit 7' 2>"$tmp/err" || status=$?
expect_equal $status 7 'the status'
nothing_left
status=0
"$job" -s 64M -- bash -c 'trap "exit 9" TERM; kill -TERM $PPID; sleep 300 & wait' \
	2>"$tmp/err" || status=$?
expect_equal $status 9 'the status of one that was told to end'
nothing_left
expect_fail_line 2 'no command' "$job" -s 64M
expect_fail_line 2 'unknown option' "$job" -x true
UZRAMCTL=/none expect_fail_line 5 'not installed' "$job" true
status=0
"$job" -s 1 -- true 2>"$tmp/err" || status=$?
expect_equal $status 5 'no device'
nothing_left

# ---- only the block file ----

"$job" --block -s 64M -- bash -c 'test -z "${UZRAM_DIR-}" &&
	dd if=/bin/ls of="$UZRAM_BLOCK" bs=4K count=8 conv=notrunc status=none &&
	cmp -n 32768 /bin/ls "$UZRAM_BLOCK"' 2>"$tmp/err" ||
	fail "$(cat "$tmp/err")"
nothing_left

# ---- an ordinary user ----

requires fuse2fs
machine 'user env TMPDIR='"$tmp/user"' UZRAMCTL=uzramctl ci-ramdisk -s 64M -- \
	bash -c "test \"\$PWD\" = \"\$UZRAM_DIR\" && cp /bin/ls . &&
		cmp ls /bin/ls && id -u && stat -c %u:%n ls"' \
	>"$tmp/out" 2>"$tmp/err" || fail "$(cat "$tmp/err")"
expect_equal "$(xargs <"$tmp/out")" '65534 65534:ls' 'as an ordinary user'
grep -q 'by fuse2fs' "$tmp/err" || fail "$(cat "$tmp/err")"
expect_equal "$(ls -A "$tmp/user")" run 'left behind'
