#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzramctl with a ublk disk: mount, umount, swapon, swapoff and remove --force
# use the disk itself and no loop device; who uses it is told; doctor knows the
# driver.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

. "$(dirname "$0")/disks.sh"

# source_of DIR: what is mounted there.
source_of()
{
	awk -v dir="$1" '$2 == dir { print $1 }' /proc/mounts
}

swapped_to()
{
	sed 1d /proc/swaps | cut -d' ' -f1
}

mountpoint_of()
{
	"$UZRAMCTL" -n --raw -o MOUNTPOINT "$1"
}

no_loops()
{
	expect_equal "$(ls -d /sys/block/loop*/loop 2>/dev/null)" '' \
		'loop devices'
}

# ---- doctor ----

"$UZRAMCTL" doctor >"$tmp/doctor.log"
grep -qE '^ok +ublk +can be used' "$tmp/doctor.log" || fail 'doctor on ublk'
setpriv --reuid=65534 --clear-groups "$UZRAMCTL" doctor >"$tmp/doctor.log" ||
	true
grep -qE '^note +ublk +no disks: .*Permission denied; be root' \
	"$tmp/doctor.log" || fail 'doctor of an ordinary user'
mv /dev/ublk-control "$tmp"
"$UZRAMCTL" doctor >"$tmp/doctor.log"
mv "$tmp/ublk-control" /dev
grep -qE '^note +ublk +no disks: .*modprobe ublk_drv' "$tmp/doctor.log" ||
	fail 'doctor without the driver'

# ---- file systems ----

add_disk one --size 64M
mkdir "$tmp/mnt"
on_exit unmount_fs "$tmp/mnt"
"$UZRAMCTL" mount one "$tmp/mnt"
expect_equal "$(source_of "$tmp/mnt")" "$disk" 'mounted'
expect_equal "$(mountpoint_of one)" "$tmp/mnt" 'in the list'
echo content >"$tmp/mnt/file"
for verb in "mount one $tmp" 'swapon one' 'remove one'; do
	# shellcheck disable=SC2086 # words
	expect_fail_line 4 "ext4 on $tmp/mnt" "$UZRAMCTL" $verb
done
expect_fail_line 4 'a disk is not reset' "$UZRAMCTL" reset --force one
expect_equal "$(cat "$tmp/mnt/file")" content 'after reset --force'
"$UZRAMCTL" umount one
"$UZRAMCTL" mount one "$tmp/mnt"
expect_equal "$(cat "$tmp/mnt/file")" content 'mounted again'
"$UZRAMCTL" umount "$tmp/mnt"
expect_equal "$(source_of "$tmp/mnt")" '' 'mounted still'
expect_fail_line 3 'no file system' "$UZRAMCTL" umount one

# ---- swap ----

expect_fail_line 4 'not swap space' "$UZRAMCTL" swapon one
on_exit swapoff -a
expect_equal "$("$UZRAMCTL" swapon --force one)" "$disk" 'swapped to'
expect_equal "$(swapped_to)" "$disk" '/proc/swaps'
expect_equal "$(mountpoint_of one)" '[SWAP]' 'in the list'
expect_fail_line 4 'in use: swap' "$UZRAMCTL" remove one
"$UZRAMCTL" swapoff one
expect_fail_line 3 'nothing swaps' "$UZRAMCTL" swapoff one
"$UZRAMCTL" swapon one >"$tmp/swapon.log"
"$UZRAMCTL" remove --force one
wait_until 60 gone || fail 'left behind with swap'
expect_equal "$(swapped_to)" '' 'swapped to'
no_loops

# ---- partitions, and who is left at the end ----

add_disk one --size 64M
printf 'label: gpt\nsize=24M\nsize=24M\n' | sfdisk --quiet "$disk" >"$tmp/sfdisk.log"
wait_until 60 test -b "${disk}p2" || fail 'no partition'
mkfs.ext4 -q "${disk}p1"
mount "${disk}p1" "$tmp/mnt"
mkswap "${disk}p2" >"$tmp/mkswap.log"
swapon "${disk}p2"
expect_fail_line 4 "ext4 on $tmp/mnt, swap" "$UZRAMCTL" remove one
"$UZRAMCTL" swapoff one
expect_equal "$(source_of "$tmp/mnt")" "${disk}p1" 'mounted beside swap'
swapon "${disk}p2"
"$UZRAMCTL" umount one
expect_equal "$(swapped_to)" "${disk}p2" 'swapped to beside the mount'
mount "${disk}p1" "$tmp/mnt"
exec 7<"$disk"
"$UZRAMCTL" remove --force one 2>"$tmp/remove.log"
grep -q 'process .* (bash)' "$tmp/remove.log" || fail 'nobody was named'
expect_equal "$(source_of "$tmp/mnt")$(swapped_to)" '' 'used still'
[ -b "$disk" ] || fail 'gone under its user'
exec 7<&-
wait_until 60 gone || fail "left behind: $(ls -d "$dev_dir" /dev/ublk*)"
no_loops
