#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A ublk disk goes on with another program under verified load, under a file
# system and while it is swapped to: nobody sees an error, and no request is
# lost. A program that does not come up changes nothing; a disk that is about to
# end is left to nobody.
#
# UZ_UPGRADES: how often it goes from one program to the other (2, or more).

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1
. "$(dirname "$0")/disks.sh"

# Another program is to find nothing where the one before it had it.
echo 2 >/proc/sys/kernel/randomize_va_space

upgrades=${UZ_UPGRADES:-2}
ulimit -c 0
programs=$build_root/tests/programs

version_of()
{
	"$1" --version | sed 's/^uzramd //'
}

now=$(version_of "$UZRAMD")
next=$(version_of "$programs/uzramd-next")

# upgrade_value NAME: out of the attribute.
upgrade_value()
{
	timeout 60 sed -n "s/^$1 //p" "$dev_dir/upgrade"
}

# upgrade_to PROGRAM FROM TO
upgrade_to()
{
	until timeout 60 "$UZRAMCTL" upgrade --binary "$1" one >"$tmp/out" 2>&1
	do
		# It has so long, also where it gets no CPU.
		grep -q "$late" "$tmp/out" ||
			fail "upgrade to $1: $(cat "$tmp/out")"
		slow=$((slow + 1))
	done
	asked=$((asked + 1))
	grep -qx "one: upgraded from $2 to $3, pause [0-9]* ms" "$tmp/out" ||
		fail "upgrade to $1 says: $(cat "$tmp/out")"
	expect_equal "$(upgrade_value version)" "$3" version
	pauses+=" $(sed 's/.*pause \([0-9]*\) ms/\1/' "$tmp/out")"
}

back_and_forth()
{
	local i

	for ((i = 0; i < upgrades; i += 2)); do
		upgrade_to "$programs/uzramd-next" "$now" "$next"
		upgrade_to "$UZRAMD" "$next" "$now"
	done
}

# refused PROGRAM REASON: the version before it serves on.
refused()
{
	expect_fail_line 1 "$2" fails_for "$2" "$1" one
	slow=$((slow + late_ones))
	grep -q "\(rolled back to $now, pause\|$now serves on\)" "$tmp/err" ||
		fail "upgrade to $1 says: $(cat "$tmp/err")"
	expect_equal "$(upgrade_value version)" "$now" version
}

# another_than PID: a worker serves that is another one.
another_than()
{
	local pid

	pid=$(stat_of worker_pid) && [ -n "$pid" ] && [ "$pid" != "$1" ]
}

# Others that ran in this machine may have had errors made for them.
dmesg -c >/dev/null

# ---- under load ----

pauses=
asked=0
slow=0
serve_disk one --size 64M --algorithm lz4
case $(stat_of survives) in
yes) ;;
*) missing ublk 'this kernel does not keep a disk without its server' ;;
esac
load()
{
	until [ -e "$tmp/enough" ]; do
		verify "$disk" 4k/40:16k/10:64k/30:512k/20
	done
}
load &
loader=$!
back_and_forth
refused "$tmp/missing" 'No such file or directory'
refused "$programs/crashes" 'killed by signal 11'
refused "$programs/uzramd-otherlayout" 'of layout 4 with pages of 4096 bytes'
touch "$tmp/enough"
ends_within 200 $loader 'the load'
no_errors 0
expect_equal "$(upgrade_value upgrades) $(upgrade_value rollbacks)" \
	"$upgrades $((slow + 3))" 'upgrades and roll-backs'

# ---- a file system ----

mkfs.ext4 -q "$disk"
mount_fs "$disk"
cp -r /uzram "$fs_dir" &
copy=$!
upgrade_to "$programs/uzramd-next" "$now" "$next"
ends_within 100 $copy 'copying'
(cd / && find uzram -type f -exec cmp {} "$fs_dir/{}" \;) >&2

# What is upgraded to stays.
worker=$(stat_of worker_pid)
kill -KILL "$worker"
wait_until 100 another_than "$worker" || fail "nobody took over from $worker"
expect_equal "$(upgrade_value version)" "$next" 'version after a death'
no_errors 1

# On a machine that is busy some may need too long to leave, but not all. They
# had to for each upgrade, and for the two programs that were begun in vain.
one_has_left()
{
	[ "$(grep -c 'worker did not leave: ' "$tmp/one.log")" -lt \
		$((asked + slow + 2)) ]
}
for ((i = 0; i < 10; i++)); do
	! one_has_left || break
	upgrade_to "$programs/uzramd-next" "$next" "$next"
done
one_has_left || fail 'no worker ever left by itself'
unmount_fs "$fs_dir"
fsck.ext4 -fn "$disk" >"$tmp/fsck.log" 2>&1 ||
	fail "fsck: $(cat "$tmp/fsck.log")"
echo "pauses in ms:$pauses"

# ---- the end ----

# It is to end, but somebody uses it: nobody else is to begin with it then.
worker=$(stat_of worker_pid)
printf text | dd of="$disk" bs=4k conv=sync,nocreat oflag=direct status=none
exec 7<"$disk"
kill -TERM "$dev_pid"
ending()
{
	grep -q 'is still used by' "$tmp/one.log" && ! is_mounted "$dev_dir"
}
wait_until 100 ending || fail 'it does not want to end'
kill -HUP "$dev_pid"
wait_until 100 grep -q 'serves on: the device is about to end' "$tmp/one.log" ||
	fail 'an upgrade of what ends was not refused'
# Of one that dies, another takes the place all the same.
kill -KILL "$worker"
wait_until 60 pid_gone "$worker" || fail "worker $worker is still there"
expect_equal "$(timeout -k 1 100 dd bs=4k count=1 iflag=direct status=none \
	<&7 | head -c 4)" text 'what is read meanwhile'
exec 7<&-
wait_until 100 gone || fail "left behind: $(ls -d "$dev_dir" /dev/ublk*)"
wait_until 100 pid_gone "$dev_pid" || fail 'the daemon is still there'

# ---- swap ----

rm -f "$tmp/one.log"
serve_disk one --size 32M --algorithm lz4 -o swap=on
pauses=
mkswap "$disk" >"$tmp/mkswap.log"
swapon "$disk"
on_exit swapoff -a
grep '^protection' "$dev_dir/stat" >"$tmp/before"
upgrade_to "$programs/uzramd-next" "$now" "$next"
grep '^protection' "$dev_dir/stat" | cmp - "$tmp/before" ||
	fail "it was $(cat "$tmp/before")"
swapoff "$disk"
no_errors 0
remove_disk one
