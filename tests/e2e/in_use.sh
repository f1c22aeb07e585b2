#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A device in use is not taken away: reset and remove refuse and name the user,
# SIGTERM detaches it and lets the user finish. --force takes down what stands
# on loop devices, but no process and no busy file system.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires_loop
requires mkfs.ext4

# daemon_ends NAME: by itself, with success, and leaves nothing.
daemon_ends()
{
	local pid status=0

	pid=$(cat "$tmp/$1.pid")
	wait_until 60 pid_gone "$pid" || fail "the daemon of $1 still runs"
	wait "$pid" || status=$?
	rm "$tmp/$1.pid"
	expect_equal $status 0 "end of the daemon of $1"
	[ ! -e "$UZRAM_RUNDIR/$1" ] || fail "$1 left its directory"
	! grep -q " $UZRAM_RUNDIR/$1 " /proc/self/mountinfo ||
		fail "$1 left its mount"
}

# loop_of NAME: the loop device on it, as uzramctl names it.
loop_of()
{
	"$UZRAMCTL" stat "$1" | sed -n 's|^It is in use: /dev/\(loop[0-9]*\).*|/dev/\1|p'
}

# is_detached LOOP: from anything. Whoever has it open at that moment, as udev
# may, keeps it for a while.
is_detached()
{
	! losetup "$1" >/dev/null 2>&1
}

# ---- a file system on a loop device ----

mkdir "$tmp/fs"
on_exit unmount_fs "$tmp/fs"
start_device used -s 64M
"$UZRAMCTL" mount used "$tmp/fs"
findmnt -no FSTYPE,OPTIONS "$tmp/fs" | grep -q '^ext4 .*discard' ||
	fail "mounted as $(findmnt -no FSTYPE,OPTIONS "$tmp/fs")"
loop=$(loop_of used)
expect_equal "$(losetup -nO DIO,LOG-SEC,AUTOCLEAR "$loop" | xargs)" '1 4096 1' \
	'the loop device'
expect_equal "$("$UZRAMCTL" -n --raw -o MOUNTPOINT used)" "$tmp/fs" MOUNTPOINT
cp "$UZRAMD" "$tmp/fs/file"

busy="used is in use: $loop (ext4 on $tmp/fs)"
expect_fail_line 4 "$busy; unmount it or use --force" "$UZRAMCTL" reset used
expect_fail_line 4 "$busy; unmount it or use --force" "$UZRAMCTL" remove used
expect_fail_line 4 "$busy" "$UZRAMCTL" mount used "$tmp/fs"
expect_errno EBUSY bash -c "echo 1 >'$dev_dir/reset'"
expect_errno EBUSY bash -c "umount '$dev_dir' 2>&1 |
	sed 's/.*target is busy.*/Device or resource busy/' >&2; false"
cmp "$UZRAMD" "$tmp/fs/file"

# umount by name and by directory takes the loop device with it.
"$UZRAMCTL" umount used
wait_until 60 is_detached "$loop" || fail "$loop is still attached"
expect_fail_line 3 'no file system of a device is mounted' \
	"$UZRAMCTL" umount used
expect_fail_line 3 'no file system of a device is mounted' \
	"$UZRAMCTL" umount "$tmp/fs"
"$UZRAMCTL" mount used "$tmp/fs"
cmp "$UZRAMD" "$tmp/fs/file" || fail 'a second mount made a new file system'
"$UZRAMCTL" umount "$tmp/fs"
expect_equal "$(loop_of used)" '' 'loop device after umount DIR'

# --force stops at a busy file system and changes nothing.
"$UZRAMCTL" mount used "$tmp/fs"
exec 7<"$tmp/fs/file"
expect_fail_line 4 "cannot unmount $tmp/fs" "$UZRAMCTL" remove --force used
expect_fail_line 4 "cannot unmount $tmp/fs" "$UZRAMCTL" reset --force used
cmp "$UZRAMD" "$tmp/fs/file"
exec 7<&-
"$UZRAMCTL" reset --force used
! is_mounted "$tmp/fs" || fail 'reset --force left the file system mounted'
expect_equal "$(cat "$dev_dir/initstate")" 0 'after reset --force'
echo 64M >"$dev_dir/disksize"
"$UZRAMCTL" mount used "$tmp/fs"
"$UZRAMCTL" remove --force used
daemon_ends used
! is_mounted "$tmp/fs" || fail 'remove --force left the file system mounted'

# ---- a bare loop device, and swap on it ----

start_device looped -s 64M
attach_loop "$dev_block"
expect_fail_line 4 "looped is in use: $loop_dev;" "$UZRAMCTL" remove looped
expect_fail_line 4 "looped is in use: $loop_dev;" "$UZRAMCTL" reset looped
"$UZRAMCTL" reset --force looped
wait_until 60 loop_is_free "$loop_dev" ||
	fail 'reset --force left the loop device'
echo 64M >"$dev_dir/disksize"
attach_loop "$dev_block"
# shellcheck disable=SC2317 # run by on_exit
swap_off()
{
	! grep -q "^$1 " /proc/swaps || swapoff "$1"
}
mkswap -q "$loop_dev" >/dev/null
if swapon "$loop_dev" 2>/dev/null; then
	on_exit swap_off "$loop_dev"
	expect_equal "$("$UZRAMCTL" -n --raw -o MOUNTPOINT looped)" '[SWAP]' swap
	expect_fail_line 4 "$loop_dev (swap)" "$UZRAMCTL" remove looped
fi
"$UZRAMCTL" remove --force looped
daemon_ends looped

# ---- a process ----

comm=$(cat /proc/$$/comm)
start_device opened -s 64M
exec 7<>"$dev_block"
busy="opened is in use: process $$ ($comm); unmount it or use --force"
expect_fail_line 4 "$busy" "$UZRAMCTL" reset opened
expect_fail_line 4 "$busy" "$UZRAMCTL" remove opened
"$UZRAMCTL" reset --force opened
expect_equal "$(cat "$dev_dir/disksize")" 0 'reset --force of an open device'
echo 64M >"$dev_dir/disksize"
"$UZRAMCTL" remove --force opened 2>"$tmp/err"
grep -q "opened is detached; .* process $$ ($comm)" "$tmp/err" ||
	fail "remove --force of an open device: $(cat "$tmp/err")"
! is_mounted "$dev_dir" || fail 'still mounted'
echo content >&7 # it still serves
exec 7>&-
daemon_ends opened

start_device inside -s 64M
(cd "$dev_dir" && exec sleep 600) &
sleeper=$!
# shellcheck disable=SC2016 # read anew each time
wait_until 60 bash -c '[ "$(readlink "/proc/$1/cwd")" = "$2" ]' - $sleeper \
	"$dev_dir" || fail 'it does not get there'
expect_fail_line 4 "process $sleeper (sleep)" "$UZRAMCTL" remove inside
kill $sleeper
wait $sleeper || true
stop_device inside

# ---- SIGTERM while a file system is mounted ----

start_device signalled -s 64M
"$UZRAMCTL" mount signalled "$tmp/fs"
loop=$(loop_of signalled)
cp "$UZRAMD" "$tmp/fs/before"
kill -TERM "$dev_pid"
wait_until 60 grep -q "still used by $loop (ext4 on $tmp/fs); detached" \
	"$tmp/signalled.log" || fail 'the daemon did not name its user'
is_hidden()
{
	! is_mounted "$dev_dir"
}
wait_until 60 is_hidden || fail 'the mount was not detached'

# The file system goes on as if nothing had been.
cp "$UZRAMCTL" "$tmp/fs/after"
sync -f "$tmp/fs"
echo 3 >/proc/sys/vm/drop_caches
cmp "$UZRAMD" "$tmp/fs/before"
cmp "$UZRAMCTL" "$tmp/fs/after"
# Its name is not free yet; a second signal changes nothing.
expect_fail_line 4 'still serves its last users' "$UZRAMD" -s 64M signalled
kill -INT "$dev_pid"
sleep 0.2
cmp "$UZRAMD" "$tmp/fs/before"
unmount_fs "$tmp/fs"
daemon_ends signalled
wait_until 60 is_detached "$loop" || fail "$loop is stale"
