# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the end-to-end tests share. A test is one bash script; its first
# command is
#
#	. "$(dirname "$0")/functions.sh" || exit 1
#
# It ends with 0 (passed), 77 (cannot be run here) or anything else (failed).
# Everything that it makes lies in $tmp, everything that it starts, mounts or
# attaches is undone when it ends, however it ends. Nothing is found by name:
# only by the pid, path or number that we got ourselves.
#
# UZ_MUST_WORK=root,fuse,loop,zram,ublk,uring,huge,vm,commands names what a machine
# must offer: there a test that lacks it fails instead of being skipped.
#
# UZ_TRANSPORT=io_uring is the suite e2e-uring: the same tests on the other
# transport. The module parameter that allows it must be Y; tools/test sees to
# that.
#
# UZ_LOOP=1: $dev_block is a loop device on the block file, wherever a test takes
# it from there. What a block device cannot do, a test asks of $dev_dir/block.
#
# By hand: UZRAMD=build/tools/uzramd UZRAMCTL=build/tools/uzramctl SCRIPT

set -euo pipefail
export LC_ALL=C
unset POSIXLY_CORRECT BLOCKSIZE

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2034 # used by tests
source_root=$(cd "$here/../.." && pwd)
build_root=${UZ_BUILD:-$source_root/build}
UZRAMD=$(realpath -m "${UZRAMD:-$build_root/tools/uzramd}")
UZRAMCTL=$(realpath -m "${UZRAMCTL:-$build_root/tools/uzramctl}")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/uzram-e2e.XXXXXX")
export UZRAM_RUNDIR=$tmp/run UZRAM_CONFIG_ROOT=$tmp/root
mkdir "$UZRAM_RUNDIR"

# ---- the end ----

undo_stack=()

# on_exit COMMAND...: run it when the test ends, the last one first. It must
# be harmless when what it undoes is undone already.
on_exit()
{
	undo_stack+=("$(printf '%q ' "$@")")
}

run_undo_stack()
{
	local status=$? i

	trap '' EXIT INT TERM HUP
	set +e
	[ $status -eq 0 ] || [ $status -eq 77 ] || show_logs
	for ((i = ${#undo_stack[@]} - 1; i >= 0; i--)); do
		eval "${undo_stack[i]}"
	done
	rm -rf --one-file-system "$tmp"
	exit $status
}
trap run_undo_stack EXIT
trap 'exit 1' INT TERM HUP

show_logs()
{
	local log

	for log in "$tmp"/*.log; do
		[ -s "$log" ] || continue
		echo "---- ${log##*/} ----" >&2
		tail -n 50 "$log" >&2
	done
}

fail()
{
	echo "FAILED: $*" >&2
	exit 1
}

# ---- what a test needs ----

# left_out KIND REASON...: a part of the test, which goes on; or fail where KIND
# must work.
left_out()
{
	local kind=$1

	shift
	case ,${UZ_MUST_WORK-}, in
	*,"$kind",*) fail "$* (UZ_MUST_WORK=$UZ_MUST_WORK)" ;;
	esac
	echo "skipped: $*" >&2
}

# missing KIND REASON...: skip, or fail where KIND must work.
missing()
{
	left_out "$@"
	exit 77
}

requires()
{
	local command

	for command; do
		[ -n "$(type -P "$command")" ] ||
			missing commands "$command is not installed"
	done
}

requires_root()
{
	[ "$(id -u)" = 0 ] || missing root "needs root"
}

requires_fuse()
{
	[ -x "$UZRAMD" ] || missing fuse "$UZRAMD was not built"
	: 2>/dev/null <>/dev/fuse || missing fuse "cannot open /dev/fuse"
	[ "$(id -u)" = 0 ] || requires fusermount3
	[ "${UZ_TRANSPORT-}" != io_uring ] || uring_is_on ||
		missing uring "$uring_parameter is not Y"
	[ -z "${UZ_LOOP-}" ] || requires_loop
}

uring_parameter=/sys/module/fuse/parameters/enable_uring

# uring_is_on: will a device be offered io_uring?
uring_is_on()
{
	[ "$(cat "$uring_parameter" 2>/dev/null)" = Y ]
}

requires_loop()
{
	requires_root
	requires losetup
	[ -c /dev/loop-control ] || missing loop "no /dev/loop-control"
}

requires_zram()
{
	requires_root
	[ -d /sys/class/zram-control ] || missing zram "no zram in this kernel"
}

# Where it is missing, a redirection would make a file of that name.
cpu_latency_opens()
{
	[ -c /dev/cpu_dma_latency ] && (: >/dev/cpu_dma_latency) 2>/dev/null
}

requires_ctl()
{
	[ -x "$UZRAMCTL" ] || missing commands "$UZRAMCTL was not built"
}

# ---- waiting ----

# wait_until SECONDS COMMAND...: true as soon as COMMAND is.
wait_until()
{
	local deadline=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.05
	done
}

pid_gone()
{
	# Our own child stays a zombie until it is waited for.
	case $(ps -o stat= -p "$1" 2>/dev/null) in
	'' | Z*) return 0 ;;
	esac
	return 1
}

# ---- devices ----

# start_device NAME ARGUMENTS...: a daemon in the background; returns when it
# serves. Sets dev_dir, dev_block and dev_pid; its messages go to
# $tmp/NAME.log.
start_device()
{
	local name=$1 line=

	shift
	mkfifo "$tmp/$name.ready"
	"$UZRAMD" ${UZ_TRANSPORT:+-o "transport=$UZ_TRANSPORT"} "$@" \
		--ready-fd=9 "$name" \
		9>"$tmp/$name.ready" >>"$tmp/$name.log" 2>&1 </dev/null &
	dev_pid=$!
	echo "$dev_pid" >"$tmp/$name.pid"
	dev_dir=$UZRAM_RUNDIR/$name
	# shellcheck disable=SC2034 # used by tests
	dev_block=$dev_dir/block
	on_exit end_device "$name"
	read -r -t 60 line <"$tmp/$name.ready" || true
	rm -f "$tmp/$name.ready"
	[ "$line" = READY ] ||
		fail "uzramd $* $name did not become ready: ${line:-silence}"
	[ -n "${UZ_LOOP-}" ] || return 0
	attach_loop "$dev_block"
	dev_block=$loop_dev
}

# worker_pid: of the process that serves the device; $dev_pid is its supervisor.
worker_pid()
{
	stat_of worker_pid
}

# serving_faults PID: threads that serve requests, with their faults so far.
serving_faults()
{
	local task name

	for task in "/proc/$1/task"/*; do
		# A thread may end meanwhile.
		name=$(cat "$task/comm" 2>/dev/null) || continue
		case $name in
		uz-fuse-* | uz-ring-* | uz-page-* | uz-ublk-*)
			# After the name, which may contain anything: 10 and 12.
			echo "$name $(sed 's/.*) //' "$task/stat" |
				awk '{ print $8 + $10 }')"
			;;
		esac
	done | sort
}

# stop_device NAME: the orderly end; the daemon must succeed and unmount.
stop_device()
{
	local name=$1 pid status=0

	pid=$(cat "$tmp/$name.pid")
	kill -TERM "$pid"
	wait_until 60 pid_gone "$pid" ||
		fail "uzramd $name still runs 60 s after SIGTERM"
	wait "$pid" || status=$?
	rm -f "$tmp/$name.pid"
	[ $status -eq 0 ] || fail "uzramd $name ended with status $status"
	! is_mounted "$UZRAM_RUNDIR/$name" ||
		fail "uzramd $name left its mount behind"
}

# end_device NAME: whatever state it is in.
end_device()
{
	local name=$1 pid

	[ -f "$tmp/$name.pid" ] || return 0
	pid=$(cat "$tmp/$name.pid")
	kill -TERM "$pid" 2>/dev/null
	if ! wait_until 30 pid_gone "$pid"; then
		echo "uzramd $name ($pid) had to be killed" >&2
		kill -KILL "$pid"
	fi
	wait "$pid" 2>/dev/null
	unmount_dead "$UZRAM_RUNDIR/$name"
}

# is_dead DIR: nobody serves it any more, to the last thread. Requests that were
# under way when its daemon died end with other errors than those that come now.
is_dead()
{
	! timeout 20 cat "$1/disksize" >/dev/null 2>"$tmp/dead" &&
		grep -q 'not connected' "$tmp/dead"
}

unmount_dead()
{
	! is_mounted "$1" || umount -l "$1" 2>/dev/null ||
		fusermount3 -uz "$1"
}

is_mounted()
{
	grep -q " $1 " /proc/self/mountinfo
}

# ---- loop devices and file systems ----

# attach_loop FILE [OPTIONS...]: sets loop_dev. Numbers from 900 on, so that
# nobody who takes "the first free one" meets ours; each test begins at another
# one, so that what it detaches is not at once somebody else's.
attach_loop()
{
	local i

	for ((i = 0; i < 64; i++)); do
		loop_dev=/dev/loop$((900 + ($$ * 5 + i) % 64))
		losetup --direct-io=on --sector-size 4096 "${@:2}" "$loop_dev" \
			"$1" 2>"$tmp/losetup.log" || continue
		loop_file[$loop_dev]=$(loop_has "$loop_dev")
		on_exit detach_loop "$loop_dev"
		return
	done
	fail "cannot attach $1 to a loop device: $(cat "$tmp/losetup.log")"
}

# The file of each loop device of ours. Once it has none or another one it may
# be somebody else's: tests that run beside this one take the same numbers.
declare -A loop_file

# loop_has DEVICE: which file stands behind it, in numbers; nothing: none.
loop_has()
{
	losetup --noheadings --output BACK-MAJ:MIN,BACK-INO "$1" 2>/dev/null ||
		true
}

# loop_is_free DEVICE: it has the file no more with which we attached it.
loop_is_free()
{
	[ "$(loop_has "$1")" != "${loop_file[$1]}" ]
}

# detach_loop DEVICE: and wait until nothing of it is under way. Whoever has it
# open at that moment, as udev may, keeps it for a while.
detach_loop()
{
	[ -n "${loop_file[$1]-}" ] || return 0
	if ! loop_is_free "$1"; then
		losetup -d "$1" && wait_until 60 loop_is_free "$1"
	fi
	loop_file[$1]=
}

# mount_fs DEVICE [OPTIONS...]: sets fs_dir.
mount_fs()
{
	local dev=$1

	shift
	fs_dir=$tmp/fs-${dev##*/}
	mkdir -p "$fs_dir"
	mount "$@" "$dev" "$fs_dir"
	on_exit unmount_fs "$fs_dir"
}

# unmount_fs DIR: somebody who looks at all that is mounted may be in there for
# a moment.
unmount_fs()
{
	wait_until 30 unmounted "$1" || {
		cat "$tmp/umount.log" >&2
		return 1
	}
}

unmounted()
{
	! is_mounted "$1" || timeout 60 umount "$1" 2>"$tmp/umount.log"
}

# ---- cgroups ----

# make_cgroup BYTES: a memory cgroup with this limit, of version 2 where that has
# the memory controller. Sets cgroup, cgroup_limit (a file), and cgroup_events
# (a file that counts oom_kill).
make_cgroup()
{
	local base

	base=$(awk '$9 == "cgroup2" || $8 == "cgroup2" || $10 == "cgroup2" {
		print $5; exit }' /proc/self/mountinfo)
	if [ -n "$base" ] && grep -qw memory "$base/cgroup.controllers"; then
		cgroup=$base/uzram-e2e-$$
		echo +memory >"$base/cgroup.subtree_control" 2>/dev/null || true
		cgroup_limit=$cgroup/memory.max
		cgroup_events=$cgroup/memory.events
	else
		base=$(awk '/ - cgroup .*[ ,]memory/ { print $5; exit }' \
			/proc/self/mountinfo)
		[ -n "$base" ] || missing cgroup 'no memory controller'
		cgroup=$base/uzram-e2e-$$
		cgroup_limit=$cgroup/memory.limit_in_bytes
		# shellcheck disable=SC2034 # used by tests
		cgroup_events=$cgroup/memory.oom_control
	fi
	mkdir "$cgroup" 2>/dev/null || missing cgroup 'no new cgroup'
	on_exit remove_cgroup
	echo "$1" >"$cgroup_limit" ||
		missing cgroup 'no memory controller here'
}

# Whoever was in there may just be ending.
remove_cgroup()
{
	wait_until 10 rmdir "$cgroup" 2>/dev/null
}

# in_cgroup COMMAND...: run it in there, as this very process.
in_cgroup()
{
	echo "$BASHPID" >"$cgroup/cgroup.procs"
	exec "$@"
}

# ---- what is expected ----

# expect_equal GOT WANTED WHAT...
expect_equal()
{
	local got=$1 wanted=$2

	shift 2
	[ "$got" = "$wanted" ] || fail "$*: got '$got', wanted '$wanted'"
}

# expect_same FILE FILE: byte for byte.
expect_same()
{
	cmp "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# expect_errno ENAME COMMAND...: it fails, and says that this is why.
expect_errno()
{
	local name=$1 text

	shift
	case $name in
	E2BIG) text='Argument list too long' ;;
	ERANGE) text='Numerical result out of range' ;;
	EACCES) text='Permission denied' ;;
	EBUSY) text='Device or resource busy' ;;
	EFBIG) text='File too large' ;;
	EINVAL) text='Invalid argument' ;;
	EIO) text='Input/output error' ;;
	ENODEV) text='No such device' ;;
	ENOENT) text='No such file or directory' ;;
	ENOSPC) text='No space left on device' ;;
	ENOSPC/EIO) text=$'No space left on device\nInput/output error' ;;
	ENOTCONN) text='Transport endpoint is not connected' ;;
	ENXIO) text='No such device or address' ;;
	EOPNOTSUPP) text='Operation not supported' ;;
	EPERM) text='Operation not permitted' ;;
	*) fail "expect_errno does not know $name" ;;
	esac
	if "$@" >"$tmp/out" 2>"$tmp/err"; then
		fail "$* succeeded, wanted $name"
	fi
	grep -qF "$text" "$tmp/err" ||
		fail "$*: wanted $name, got: $(cat "$tmp/err")"
}

# expect_fail_line STATUS TEXT COMMAND...: it ends with STATUS, nothing on
# stdout and one line that contains TEXT on stderr.
expect_fail_line()
{
	local wanted=$1 text=$2 status=0

	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	[ $status -eq "$wanted" ] ||
		fail "$*: status $status, wanted $wanted: $(cat "$tmp/err")"
	[ ! -s "$tmp/out" ] || fail "$*: stdout: $(cat "$tmp/out")"
	[ "$(wc -l <"$tmp/err")" -eq 1 ] ||
		fail "$*: wanted one line, got: $(cat "$tmp/err")"
	grep -qF -- "$text" "$tmp/err" ||
		fail "$*: wanted '$text', got: $(cat "$tmp/err")"
}

# stat_of NAME: its value in the attribute stat.
stat_of()
{
	sed -n "s/^$1 //p" "$dev_dir/stat"
}

# expect_sound DEVICE: its ext4, which is not mounted, has no faults.
expect_sound()
{
	fsck.ext4 -fn "$1" >"$tmp/fsck.log" 2>&1 ||
		fail "fsck: $(cat "$tmp/fsck.log")"
}

# mm_stat COLUMN: 1 orig_data_size, 2 compr_data_size, 3 mem_used_total,
# 4 mem_limit, 5 mem_used_max, 6 same_pages, 7 pages_compacted, 8 huge_pages.
mm_stat()
{
	awk -v column="$1" '{ print $column }' "$dev_dir/mm_stat"
}

# ---- data ----

# make_text BYTES FILE: it compresses well, no two pages are alike.
make_text()
{
	seq 1 1000000000 2>/dev/null | head -c "$1" >"$2" || true
	expect_equal "$(stat -c %s "$2")" "$1" "bytes written to $2"
}

# make_noise BYTES FILE: it does not compress at all.
make_noise()
{
	head -c "$1" /dev/urandom >"$2"
}

# ---- load ----

# start_load: two jobs on the first 128 MiB of $dev_block that check what they
# read, and go on until stop_load.
start_load()
{
	fio --name=load --filename="$dev_block" --ioengine=libaio \
		--bssplit=512/5:2k/5:4k/40:64k/40:1m/10 --rw=randwrite \
		--size=48m --offset_increment=64m --numjobs=2 --iodepth=32 \
		--direct=1 --buffer_compress_percentage=60 \
		--buffer_compress_chunk=4k --refill_buffers \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 \
		--allow_file_create=0 --loops=100000 --minimal \
		>"$tmp/fio.log" 2>&1 &
	load_pid=$!
	on_exit end_load
}

end_load()
{
	kill "$load_pid" 2>/dev/null || true
}

load_runs()
{
	! pid_gone "$load_pid" || fail "fio: $(tail "$tmp/fio.log")"
}

# Until it has begun, bash has it pass over the signal. Not again at once: while
# it prints what it has seen it may be where a signal must not come twice.
load_ends()
{
	[ $((load_asked++ % 200)) -ne 0 ] ||
		kill -INT "$load_pid" 2>/dev/null || true
	pid_gone "$load_pid"
}

# stop_load: it has seen no error.
stop_load()
{
	load_runs
	load_asked=0
	wait_until 60 load_ends || fail 'fio does not end'
	wait "$load_pid" 2>/dev/null || true
	! grep -qi 'verify.*failed\|error' "$tmp/fio.log" ||
		fail "fio: $(cat "$tmp/fio.log")"
}

# ---- upgrades ----

# Why a program is not taken that got no CPU for so long.
late='does not serve after 5 s'

# fails_for REASON PROGRAM NAME: an upgrade of that device fails, and not for
# want of a CPU, unless that is REASON. Sets late_ones: tries that did before.
fails_for()
{
	local status

	late_ones=0
	while :; do
		status=0
		timeout 60 "$UZRAMCTL" upgrade --binary "$2" "$3" \
			2>"$tmp/why" || status=$?
		[ "$1" != "$late" ] || break
		grep -q "$late" "$tmp/why" || break
		late_ones=$((late_ones + 1))
	done
	cat "$tmp/why" >&2
	return $status
}
