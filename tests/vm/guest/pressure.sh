#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The whole machine is short of memory, and swaps to a device alone: a ublk disk,
# then a loop device on a file of FUSE. A program works on more than there is,
# and looks at each page; workers are killed all the time. Nobody hangs, nobody
# is killed for memory, every page is what it was, and so after swapoff.
# By hand, as it takes minutes.
#
# Beside that: each thread of such a daemon has the flags that keep it from
# waiting for what it has to write out itself.
#
#	UZ_SECONDS=900 UZ_PAUSE=10 tests/vm/run.sh -m 512 -l 4000 \
#		sid vm/guest/pressure
#
# UZ_SECONDS=N: work for so long on each kind (5). UZ_PAUSE=N: seconds between
# kills (4); 0: nobody is killed. UZ_KINDS=ublk,fuse,io_uring: which, and in what
# order (ublk,fuse); io_uring needs -u. UZ_MIB=N: memory that is left for it, so
# that the machine may have more (256). UZ_PERCENT=N: of that, what the program
# works on (125). UZ_SEED=N repeats the order of pages.

. "$(dirname "$0")/../../e2e/functions.sh" || exit 1
. "$(dirname "$0")/disks.sh"

seconds=${UZ_SECONDS:-5}
pause=${UZ_PAUSE:-4}
kinds=${UZ_KINDS:-ublk,fuse}
seed=${UZ_SEED:-$RANDOM}
workset=$build_root/tests/programs/workset
left=${UZ_MIB:-256}
percent=${UZ_PERCENT:-125}

# Of the device, in MiB. Whatever its size, the system uses all of it in the end,
# since it discards little, and nothing once swapoff has begun: that has to fit
# beside what comes back. So it is as large as the program and a part of the
# root, which is swapped out, too.
disksize=$((left * percent / 100 + 64))

# Of a task (include/linux/sched.h): PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE are
# what PR_SET_IO_FLUSHER sets.
io_flusher=$((0x00080000 | 0x00100000))

# flags_of PID: those of its threads, a line for each.
flags_of()
{
	local task

	for task in "/proc/$1/task"/*; do
		# After the name, which may contain anything.
		echo "$(($(sed 's/.*) //' "$task/stat" | cut -d' ' -f7) &
			io_flusher)) $(cat "$task/comm")"
	done
}

mib_available()
{
	awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo
}

# leave MIB: so much is available and no more. A ramfs is not swapped.
leave()
{
	local more=$(($(mib_available) - $1))

	[ $more -le 0 ] || head -c ${more}M /dev/zero >"$tmp/ballast"
}

# has_ended: the program; by this shell alone, as a process costs memory.
has_ended()
{
	local state

	read -r _ _ state _ <"/proc/$client/stat" && [ "$state" = Z ]
}

# said WORD: the program has come so far, or to its end.
said()
{
	grep -qx "$1" "$tmp/workset.log" || has_ended
}

# another_than PID: a worker serves that is another one.
another_than()
{
	local now

	now=$(stat_of worker_pid) && [ -n "$now" ] && [ "$now" != "$1" ]
}

# no_harm: since the kernel's log was read last.
no_harm()
{
	dmesg -c >"$tmp/dmesg"
	! grep -iE 'out of memory|oom-kill|invoked oom|I/O error|-error on swap' \
		"$tmp/dmesg" >&2 || fail "$kind: the kernel had to complain"
}

# is_protected: and each thread has the flags, which others have not.
is_protected()
{
	local pid

	expect_equal "$(stat_of protection)" 'io_flusher,locked,oom,noswap,realtime' \
		"$kind: protection"
	expect_equal "$(flags_of $$ | cut -d' ' -f1)" 0 'flags of this shell'
	for pid in "$dev_pid" "$(stat_of worker_pid)"; do
		expect_equal "$(flags_of "$pid" | grep -v "^$io_flusher ")" '' \
			"$kind: threads of $pid without IO_FLUSHER"
	done
}

# Called by name when the test ends.
# shellcheck disable=SC2317
end_client()
{
	kill -KILL "$client" 2>/dev/null
}

# swap_off: for as long as pages come back. Sets back, what there was to do.
swap_off()
{
	local pid was='' now same=0 begin=$SECONDS

	back="$(awk 'NR == 2 { print int($4 / 1024) }' /proc/swaps) MiB back"
	back+=" beside $(awk '{ print int($3 / 1048576) }' "$dev_dir/mm_stat")"
	"$UZRAMCTL" swapoff swap &
	pid=$!
	until pid_gone $pid; do
		sleep 10
		now=$(sed 1d /proc/swaps)
		same=$((same + 1))
		[ "$now" = "$was" ] || same=0
		was=$now
		[ $same -lt 30 ] ||
			fail "$kind: swapoff does not get on: $now"
	done
	wait $pid || fail "$kind: swapoff"
	back+=" in $((SECONDS - begin)) s"
}

# press KIND
press()
{
	local options=() mib size old killed=0 swapped back
	local deadline=$((SECONDS + seconds + 900))

	kind=$1
	case $kind in
	ublk) options=(--frontend ublk) ;;
	*) options=(-o "transport=$kind") ;;
	esac
	start_device swap -s "${disksize}M" -a lz4 -o swap=on "${options[@]}"
	expect_equal "$(stat_of transport)" "$kind" 'the transport'
	expect_equal "$(stat_of survives)" yes "$kind: survives"
	is_protected
	"$UZRAMCTL" swapon swap >"$tmp/swapon.log"

	mib=$(mib_available)
	size=$((mib * percent / 100))
	"$workset" $size "$seconds" "$seed" $((mib / 4)) \
		>"$tmp/workset.log" 2>&1 &
	client=$!
	on_exit end_client
	until said kept; do
		sleep "${pause/#0/1}"
		[ $SECONDS -lt $deadline ] || fail "$kind: it does not come to its end"
		[ "$pause" != 0 ] || continue
		old=$(stat_of worker_pid)
		kill -KILL "$old"
		wait_until 200 another_than "$old" ||
			fail "$kind: nobody took over from $old"
		killed=$((killed + 1))
	done
	grep -qx kept "$tmp/workset.log" ||
		fail "$kind: $(tail -n 1 "$tmp/workset.log")"
	[ "$pause" = 0 ] || [ $killed -gt 0 ] || fail "$kind: nobody was killed"
	is_protected
	swapped=$(stat_of bytes_written)
	[ "$swapped" -gt $((mib << 17)) ] ||
		fail "$kind: only $swapped bytes were swapped out"
	swap_off
	expect_equal "$(sed 1d /proc/swaps)" '' "$kind: swaps"
	kill -TERM $client
	wait $client || fail "$kind: $(tail -n 1 "$tmp/workset.log")"
	grep -qx same "$tmp/workset.log" || fail "$kind: not all was looked at"
	expect_equal "$(awk '{ print $1, $2 }' "$dev_dir/io_stat")" '0 0' \
		"$kind: reads and writes that failed"
	expect_equal "$(stat_of restarts)" $killed "$kind: restarts"
	expect_equal "$(stat_of checksum_errors)" 0 "$kind: checksum errors"
	no_harm
	stop_device swap
	echo "$kind: $size of $mib MiB, $((swapped >> 20)) swapped" \
		"out, $killed workers killed, $back," \
		"$(grep waited "$tmp/workset.log")"
}

[ -x "$workset" ] || fail "$workset was not built"
# A daemon that writes to its log must not wait for a page of that.
mount -t ramfs none "$tmp"
on_exit umount -l "$tmp"
mkdir "$UZRAM_RUNDIR"
on_exit swapoff -a
dmesg -c >/dev/null
# As uzramd(8) has it for a small machine.
echo 16384 >/proc/sys/vm/min_free_kbytes
echo 0 >/proc/sys/vm/watermark_boost_factor
echo "seed $seed"
leave "$left"
for kind in ${kinds//,/ }; do
	press "$kind"
done
