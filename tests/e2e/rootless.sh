#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Devices without root: an ordinary user, one in a container who has no
# capability, and the root of a user namespace of one's own. What they cannot
# have is refused in words that help. Another user gets nothing.
#
# shellcheck disable=SC2016 # the inner scripts expand where they run

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
. "${0%/*}/machine.sh"
requires mkfs.ext4 fuse2fs qemu-img qemu-io e2fsck strace
unshare -Ur true 2>/dev/null || missing root 'cannot make a user namespace'

cp -r "$source_root/src" "$source_root/include" "$tmp/bin"
cp "$here/rootless_body.sh" "$tmp/bin/body"
cp "$here/rootless_other.sh" "$tmp/bin/other"
chmod -R a+rX "$tmp/bin"
tree=$tmp/bin/src

# container COMMAND...: as root of a user namespace that knows every user, as that
# of a container does, and of nothing else. contained COMMAND...: as nobody there;
# fusermount3 becomes root there, and no more.
contained='
container()
{
	local pid

	mkfifo '$tmp'/go
	unshare -Um bash -c '\''read -r _ <$0 && exec "$@"'\'' '$tmp'/go "$@" &
	pid=$!
	until [ "$(readlink /proc/$pid/ns/user)" != \
		"$(readlink /proc/self/ns/user)" ]; do
		kill -0 $pid
		sleep 0.05
	done
	echo 0 0 65536 >/proc/$pid/uid_map
	echo 0 0 65536 >/proc/$pid/gid_map
	echo >'$tmp'/go
	rm '$tmp'/go
	wait $pid
}
contained()
{
	container setpriv --reuid=65534 --regid=65534 --clear-groups \
		--inh-caps=-all env HOME='$tmp'/user UZRAM_RUNDIR=$run "$@"
}'
no_caps="grep -q '^CapEff:.0*\$' /proc/self/status"

for who in user contained 'user unshare -Urm'; do
	expect_equal "$(machine "$contained
		$who timeout 120 bash $tmp/bin/body $tree" 2>"$tmp/body.log")" \
		passed "as '$who'"
done
machine "$contained
	user $no_caps; contained $no_caps" || fail 'they have capabilities'
expect_equal "$(ls -A "$tmp/user/run")" '' 'left behind'

# Without a process to spare for longer than workers may die in a row: the device
# waits, and has everything afterwards.
requires prlimit
machine '
	user uzramctl add -s 64M d >/dev/null
	user dd if=/bin/ls of=$run/d/block bs=4K count=8 conv=notrunc status=none
	supervisor=$(user cat $run/d/pid)
	most=$(user prlimit --pid $supervisor --nproc -o SOFT --noheadings --raw)
	user prlimit --pid $supervisor --nproc=0:
	kill -KILL $(user sed -n "s/^worker_pid //p" $run/d/stat)
	sleep 5
	user prlimit --pid $supervisor --nproc=$most:
	user timeout 60 cmp -n 32768 /bin/ls $run/d/block
	user uzramctl remove d' || fail 'lost for want of a process'

# ---- what cannot be had, and what can instead ----

# refusal TEXT COMMAND: an ordinary user who has a device d is told so.
refusal()
{
	expect_fail_line 5 "$1" machine "user uzramctl add -s 64M d >/dev/null
		status=0
		$2 || status=\$?
		user uzramctl remove d
		exit \$status"
}
refusal "mkfs.ext4 and fuse2fs on $tmp/user/run/d/block" \
	'user uzramctl mount d /mnt'
refusal 'sudo uzramctl add, sudo uzramctl swapon' 'user uzramctl swapon d'
refusal 'for mkfs.ext4 and fuse2fs' \
	'user uzramctl run -s 64M --mkfs ext4 -- true'
refusal 'remove it where it was added' 'user unshare -U uzramctl remove d'

# Inside a namespace without rights nothing can be mounted, but used.
expect_fail_line 5 "or add the device outside" machine \
	'user unshare -U uzramd -s 64M d'
machine 'user uzramctl add -s 64M d >/dev/null
	user unshare -U dd if=/bin/ls of=$run/d/block bs=4K count=8 \
		conv=notrunc status=none
	user unshare -U cmp -n 32768 /bin/ls $run/d/block
	user unshare -U uzramctl set d mem_limit 8M
	user unshare -U uzramctl stat d >/dev/null
	user uzramctl remove d' || fail 'a device from outside cannot be used'

# Root who may not mount; a user whose fusermount3 may not become root.
expect_fail_line 5 '--cap-add SYS_ADMIN' machine \
	'setpriv --bounding-set -sys_admin uzramd -s 64M d'
expect_fail_line 5 'no_new_privs' machine \
	'user setpriv --no-new-privs uzramd -s 64M d'
expect_fail_line 5 'unshare -Urm' machine 'user unshare -Ur uzramd -s 64M d'

# ---- another user ----

# On the machine, and where both have no rights but in a container.
mkdir -m 1777 "$tmp/open"
for root in '' container; do
	machine "$contained
	$root timeout 120 bash $tmp/bin/other \$run $tmp/open" ||
		fail "another user${root:+ of a container} gets at it"
done

# Root's devices can be looked at.
machine '
	run=$UZRAM_RUNDIR
	uzramctl add -s 64M r >/dev/null
	other cat $run/r/mm_stat >/dev/null
	other uzramctl stat r >/dev/null
	status=0
	for command in "head -c 1 $run/r/block" "uzramctl reset r" \
		"uzramctl remove r" "uzramctl remove --force r" \
		"uzramctl set r mem_limit 1M" "uzramctl add -s 64M s"; do
		if other $command 2>/dev/null; then
			echo "not refused: $command" >&2
			status=1
		fi
	done
	test -e $run/r/block
	uzramctl remove r
	exit $status' || fail "another user gets at root's device"
