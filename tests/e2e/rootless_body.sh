#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What an ordinary user does with a device, from the first command to the last;
# rootless.sh has it run by several kinds of user. The first word is a directory
# of files to be stored.

set -euo pipefail
export LC_ALL=C
tree=$1
work=$(mktemp -d "$HOME/body.XXXXXX")

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

sums()
{
	(cd "$1" && find . -type f ! -path './lost+found*' -print0 | sort -z |
		xargs -0 sha256sum)
}

# with_fuse2fs COMMAND...: while the file system is mounted on $work/mnt.
with_fuse2fs()
{
	local pid status=0 i

	fuse2fs -f -o fakeroot "$block" "$work/mnt" >"$work/fuse2fs.log" 2>&1 &
	pid=$!
	for ((i = 0; i < 1200; i++)); do
		! mountpoint -q "$work/mnt" || break
		sleep 0.05
	done
	mountpoint -q "$work/mnt" ||
		fail "fuse2fs does not mount: $(cat "$work/fuse2fs.log")"
	"$@" || status=$?
	umount "$work/mnt" 2>/dev/null || fusermount3 -u "$work/mnt" ||
		fail 'cannot unmount'
	wait "$pid" || fail "fuse2fs: $(cat "$work/fuse2fs.log")"
	return $status
}

uzramctl doctor >"$work/doctor" || fail "doctor: $(cat "$work/doctor")"

# ---- add, use, stat, set ----

block=$(uzramctl add -s 64M -a lz4 mine)
[ "$block" = "$UZRAM_RUNDIR/mine/block" ] || fail "it is at $block"
[ "$(stat -c %a "$block")" = 600 ] || fail 'others may open it'
head -c 4M /proc/self/exe | dd of="$block" conv=notrunc status=none
uzramctl stat mine >"$work/stat"
grep -q '^mine: .* stored' "$work/stat" || fail "$(cat "$work/stat")"
uzramctl set mine mem_limit 32M
[ "$(uzramctl list -n -b --raw -o MEM-LIMIT mine)" = $((32 << 20)) ] ||
	fail 'no limit'
uzramctl reset mine
uzramctl set mine disksize 64M

# ---- files ----

mkdir "$work/mnt"
mkfs.ext4 -q -F -d "$tree" "$block"
sums "$tree" >"$work/before"
same()
{
	sums "$work/mnt$1" >"$work/after"
	cmp "$work/before" "$work/after"
}
again()
{
	same '' && cp -r "$tree" "$work/mnt/again"
}
with_fuse2fs again || fail 'a file differs'
e2fsck -fn "$block" >"$work/e2fsck" 2>&1 || fail "$(cat "$work/e2fsck")"
with_fuse2fs same /again || fail 'a copy differs'

# ---- images ----

uzramctl reset mine
uzramctl set mine disksize 64M
tar -c -C "$tree" . >"$work/image"
truncate -s 64M "$work/image"
qemu-img convert -n -f raw -O raw "$work/image" "$block"
qemu-img compare -q -f raw -F raw "$work/image" "$block" ||
	fail 'the image differs'
cmp "$work/image" "$block" || fail 'the image is not what is stored'
qemu-io -f raw -c 'write -P 0x5a 32M 1M' -c 'read -P 0x5a 32M 1M' \
	-c 'write -P 0x33 33561088 512' -c 'read -P 0x33 33561088 512' \
	-c 'read -P 0x5a 33560576 512' -c 'write -z 32M 64K' \
	-c 'read -P 0 32M 64K' -c 'discard 0 4M' -c 'flush' "$block" \
	>"$work/qemu-io" || fail "$(cat "$work/qemu-io")"
! grep -qi 'verification failed\|error' "$work/qemu-io" ||
	fail "$(cat "$work/qemu-io")"
! qemu-img compare -q -f raw -F raw "$work/image" "$block" ||
	fail 'a difference is not seen'

# ---- remove ----

uzramctl remove mine
[ ! -e "$UZRAM_RUNDIR/mine" ] || fail 'it is still there'
rm -rf "$work"
echo passed
