#!/bin/bash
# SPDX-License-Identifier: MIT
#
# ublk disks come and go, over and over, and fail to come for want of each thing
# that they need: one line says why, and nothing is left, be it a disk, a
# process, a thread of the kernel's, a mount or a directory.
#
# UZ_CYCLES: how often (10).

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1

. "$(dirname "$0")/disks.sh"

cycles=${UZ_CYCLES:-10}

# processes NAME: how many.
processes()
{
	grep -lx "$1" /proc/[0-9]*/comm 2>/dev/null | wc -l || true
}

# nothing_left: of all that we have tried so far.
nothing_left()
{
	[ "$(ls -d "$UZRAM_RUNDIR"/* /dev/ublk* 2>/dev/null)" = \
		/dev/ublk-control ] &&
		! grep -q "$UZRAM_RUNDIR" /proc/self/mountinfo &&
		[ "$(processes 'uzramd.*')" -eq 0 ] &&
		[ "$(ls -d /sys/block/ublk* 2>/dev/null)" = '' ]
}

expect_nothing_left()
{
	wait_until 60 nothing_left || fail "$*: left: $(
		ls -d "$UZRAM_RUNDIR"/* /dev/ublk* /sys/block/ublk*
		grep uzramd /proc/[0-9]*/comm
	)"
}

# add_within COMMAND...: with what it allows; true if the disk came.
add_within()
{
	local status=0

	timeout -k 5 200 "$@" "$UZRAMCTL" add one --size 16M --frontend ublk \
		>"$tmp/add.out" 2>"$tmp/add.err" || status=$?
	if [ $status -eq 0 ]; then
		"$UZRAMCTL" remove one
	else
		[ $status -lt 124 ] || fail "$*: status $status"
		[ ! -s "$tmp/add.out" ] || fail "$*: stdout"
		# Others are of libfuse, or of what it went without before.
		expect_equal "$(grep -c '^uzramctl: ' "$tmp/add.err")" 1 \
			"$*: lines of $(cat "$tmp/add.err")"
	fi
	expect_nothing_left "$*"
	return $((status != 0))
}

# fails_for TEXT COMMAND...
fails_for()
{
	local text=$1

	shift
	! add_within "$@" || fail "$*: the disk came"
	grep -qF -- "$text" "$tmp/add.err" ||
		fail "$*: wanted '$text', got: $(cat "$tmp/add.err")"
}

# until_it_comes FIRST COMMAND...: with FIRST and more in place of NUMBER, until
# the disk comes, which is to take a while.
until_it_comes()
{
	local first=$1 n

	shift
	for ((n = first; n < 64; n++)); do
		! add_within "${@//NUMBER/$n}" || break
	done
	((n > first + 3 && n < 64)) || fail "$*: came with $n"
}

# ---- they come and go ----

for ((i = 0; i < cycles; i++)); do
	add_within env || fail "cycle $i: $(cat "$tmp/add.err")"
done

# ---- they do not come ----

# Root alone may not be kept out by the node's mode.
chmod 0 /dev/ublk-control
fails_for 'Permission denied; be root' setpriv --bounding-set=-dac_override \
	--inh-caps=-dac_override
chmod 600 /dev/ublk-control

off=/proc/sys/kernel/io_uring_disabled
if [ -e $off ]; then
	echo 2 >$off
	fails_for 'kernel.io_uring_disabled=0' env
	echo 0 >$off
fi

# One descriptor, and one task, more each time. With less than these descriptors
# the programs do not find their libraries.
# shellcheck disable=SC2016 # words of the other shell
until_it_comes 8 bash -c 'ulimit -n NUMBER && exec "$@"' bash
mkdir "$tmp/cgroups"
mount -t cgroup2 none "$tmp/cgroups"
on_exit umount "$tmp/cgroups"
echo +pids >"$tmp/cgroups/cgroup.subtree_control"
mkdir "$tmp/cgroups/few"
# shellcheck disable=SC2016
until_it_comes 1 bash -c "echo NUMBER >'$tmp/cgroups/few/pids.max'
	echo \$\$ >'$tmp/cgroups/few/cgroup.procs'; exec \"\$@\"" bash
add_within env
