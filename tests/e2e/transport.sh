#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Which transport a device gets, what is said when it cannot have the one that
# was demanded, and that no failure of io_uring leaves a mount that hangs.
# Without io_uring this is about refusals; in the suite e2e-uring about it.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
unset UZ_TRANSPORT

# transport_is NAME: what the device says, and that it serves.
transport_is()
{
	expect_equal "$(stat_of transport)" "$1" \
		"transport of $dev_dir"
	make_text 1048576 "$tmp/text"
	dd if="$tmp/text" of="$dev_block" bs=1M conv=notrunc oflag=direct \
		status=none
	cmp -n 1048576 "$tmp/text" "$dev_block" >&2 || fail "$1: other data"
}

buffer_bytes()
{
	stat_of buffer_bytes
}

# refused STATUS TEXT ARGUMENTS...: in one line, and nothing is left.
refused()
{
	local status=$1 text=$2

	shift 2
	expect_fail_line "$status" "$text" timeout 60 "$@" \
		-o transport=io_uring refused
	[ ! -e "$UZRAM_RUNDIR/refused" ] || fail "$* left its directory"
}

expect_fail_line 2 'must be auto, fuse or io_uring' \
	"$UZRAMD" -o transport=smoke refused

start_device classic -s 16M -o transport=fuse
transport_is fuse
stop_device classic

if ! uring_is_on; then
	if [ -e "$uring_parameter" ]; then
		refused 5 "echo Y >$uring_parameter" "$UZRAMD" -s 16M
	else
		refused 5 'this kernel has it not' "$UZRAMD" -s 16M
	fi
	start_device auto -s 16M
	transport_is fuse
	stop_device auto
	exit 0
fi

# ---- it is there ----

start_device auto -v -s 16M
transport_is io_uring
grep -q 'transport io_uring: ' "$tmp/auto.log" || fail 'not in the log'
[ "$(buffer_bytes)" -le $((32 << 20)) ] || fail 'more than the budget'
stop_device auto

start_device budget -s 16M -o buffer_budget=1M
transport_is io_uring
[ "$(buffer_bytes)" -le $((1 << 20)) ] || fail 'more than a budget of 1M'
stop_device budget

refused 5 'more than buffer_budget 4K; raise it' \
	"$UZRAMD" -s 16M -o buffer_budget=4K
start_device poor -s 16M -o buffer_budget=4K
transport_is fuse
grep -q 'more than buffer_budget 4K' "$tmp/poor.log" || fail 'no reason'
stop_device poor

# A device that serves goes on serving when the parameter is N again.
start_device later -s 16M
if [ -w "$uring_parameter" ]; then
	on_exit eval "echo Y >$uring_parameter"
	echo N >"$uring_parameter"
	transport_is io_uring
	echo Y >"$uring_parameter"
fi

# A client that is killed in the middle, and a daemon that is.
dd if=/dev/zero of="$dev_block" bs=1M count=16 conv=notrunc oflag=direct \
	status=none &
kill -KILL $!
wait $! 2>/dev/null || true
transport_is io_uring
exec 7<>"$dev_block"
kill -KILL "$dev_pid"
wait "$dev_pid" 2>/dev/null || true
# Which error it is depends on when; that there is one does not.
status=0
timeout 60 cat "$dev_dir/pid" 2>/dev/null || status=$?
expect_equal $status 1 'a file of a daemon that was killed'
exec 7>&-
unmount_dead "$dev_dir"
rm "$tmp/later.pid"

# A store that waits for a close keeps nobody else waiting.
start_device slow -s 16M
exec 7<>"$dev_block"
expect_errno EBUSY bash -c "echo 1 >'$dev_dir/reset'" &
store=$!
transport_is io_uring
wait $store
exec 7>&-
wait_until 60 bash -c "echo 1 >'$dev_dir/reset'"
stop_device slow

# ---- one CPU, and threads fewer than CPUs ----

for threads in 1 64; do
	start_device "threads$threads" -s 16M -t $threads
	transport_is io_uring
	stop_device "threads$threads"
done
requires taskset
(
	taskset -p -c 0 $BASHPID >/dev/null
	start_device bound -s 16M
	transport_is io_uring
	stop_device bound
)

# ---- failures before and after the kernel was told ----

requires strace

# faulty CALL FAILURE: makes $tmp/faulty, the daemon with failures put in. For
# that strace has the daemon call what is no call at all, which a filter refuses.
faulty()
{
	printf '#!/bin/bash\nexec strace -f -qq -o %q -e %q -e %q %q %s "$@"\n' \
		"$tmp/strace.out" "trace=$1" "inject=$1:$2" "$UZRAMD" \
		'-o seccomp=off' >"$tmp/faulty"
	chmod +x "$tmp/faulty"
}

# falls_back CALL FAILURE: a device gets the other transport.
falls_back()
{
	local real=$UZRAMD

	faulty "$@"
	UZRAMD=$tmp/faulty
	start_device faulty -s 16M
	UZRAMD=$real
	transport_is fuse
	# strace passes no signal on to what it follows.
	kill -TERM "$(cat "$dev_dir/pid")"
	wait_until 60 pid_gone "$dev_pid" || fail "$*: it does not end"
	wait "$dev_pid" || fail "$*: ended with status $?"
	rm "$tmp/faulty.pid"
}

# Rings cannot be had, at all or after some.
falls_back io_uring_setup error=EPERM
refused 5 'io_uring: Operation not permitted; allow it' "$tmp/faulty" -s 16M
falls_back io_uring_setup error=ENOMEM:when=3
refused 1 'io_uring: cannot be set up' "$tmp/faulty" -s 16M
# No thread can register anything for a while: the kernel has to be told. Or
# never again, and then it cannot even be told.
falls_back io_uring_enter error=ENOMEM:when=2..20
for when in 2..20 2+; do
	faulty io_uring_enter error=ENOMEM:when=$when
	status=0
	timeout 60 "$tmp/faulty" -s 16M -o transport=io_uring refused \
		2>"$tmp/err" || status=$?
	case $status in
	0 | 124) fail "$when: status $status" ;;
	esac
	grep -q 'did not take the buffers' "$tmp/err" ||
		fail "$when: $(cat "$tmp/err")"
	[ ! -e "$UZRAM_RUNDIR/refused" ] || fail "$when: left its directory"
done

# The kernel has fewer queues than we believe: it refuses one.
requires_root
requires unshare
echo 0-99 >"$tmp/possible"
printf '#!/bin/bash\n%s\n' "exec unshare -m --propagation slave bash -c \
	'mount --bind $tmp/possible /sys/devices/system/cpu/possible &&
	exec \"\$0\" \"\$@\"' $UZRAMD \"\$@\"" >"$tmp/many"
chmod +x "$tmp/many"
refused 5 'the kernel did not take the buffers' "$tmp/many" -s 16M

# ---- an ordinary user ----

requires setpriv fusermount3
chmod 711 "$tmp"
mkdir -m 700 "$tmp/user"
chown 65534:65534 "$tmp/user"
cp "$UZRAMD" "$tmp/uzramd"
chmod 755 "$tmp/uzramd"
cat >"$tmp/session" <<-'END'
	set -eu
	cd "$1"
	export UZRAM_RUNDIR=$1/user
	mkfifo user/ready
	./uzramd -s 16M -o transport=io_uring --ready-fd=9 mine \
		9>user/ready &
	read -r -t 60 line <user/ready || true
	echo "$line"
	grep -x 'transport io_uring' user/mine/stat
	echo content >user/mine/block
	head -c 8 user/mine/block
	kill -TERM $!
	wait $!
	echo "ended with $?"
END
cat >"$tmp/machine" <<-END
	set -eu
	mount -t tmpfs -o mode=755 none /dev
	mknod -m 666 /dev/null c 1 3
	mknod -m 666 /dev/fuse c 10 229
	setpriv --reuid=65534 --regid=65534 --clear-groups \
		bash $tmp/session $tmp
END
expect_equal "$(unshare -m --propagation private bash "$tmp/machine")" \
	"$(printf '%s\n' READY 'transport io_uring' content 'ended with 0')" \
	'the device of an ordinary user'
