#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The worker dies of faults inside its own code: at the steps of a store, a
# load, a move, a free, of answering, and of taking over from one that died.
# Nobody who uses the device sees an error, and nothing is lost. Needs a build
# with -Ddebug_checks=true (uzram/util/crash.h).
#
# UZ_ROUNDS: how often each load is repeated (1). UZ_SEED repeats a run's
# decisions. UZ_NEW: how many new devices see deaths from their first request on
# (3).

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires fio

rounds=${UZ_ROUNDS:-1}
seed=${UZ_SEED:-$RANDOM}
ulimit -c 0
: "${UZ_TRANSPORT:=fuse}"
# A sanitizer must not make an exit of it.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0
# libfuse keeps the name of a mount until it unmounts it, which another process
# does.
echo 'leak:fuse_session_mount' >"$tmp/leaks"
export LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}suppressions=$tmp/leaks
LSAN_OPTIONS+=:print_suppressions=0
echo "seed $seed"

UZ_CRASH=no-plan "$UZRAMD" --version >/dev/null 2>&1 &&
	missing debug 'this build has no debug checks'

# crashing NAME PLAN ARGUMENTS...: start_device; $crash_log has its messages.
crashing()
{
	local name=$1 plan=$2

	shift 2
	crash_log=$tmp/$name.log
	export UZ_CRASH=$seed:$plan
	start_device "$name" "$@"
	unset UZ_CRASH
	case $(stat_of survives) in
	yes) ;;
	*) missing fuse 'this kernel does not give requests out again' ;;
	esac
}

# missed STEP...: the first one at which nobody has died.
missed()
{
	local step

	for step; do
		grep -q "^dying at step $step\$" "$crash_log" && continue
		echo "$step"
		return
	done
}

# until_died 'STEP...' COMMAND...: repeat it until somebody has died at each.
until_died()
{
	local steps=$1 i=0

	shift
	# shellcheck disable=SC2086 # a list
	while ((i < rounds)) || [ -n "$(missed $steps)" ]; do
		((i++ < 100 * rounds)) ||
			fail "nobody died at the step '$(missed $steps)'"
		"$@"
	done
}

# verify FILE SIZES: two jobs, 32 requests each under way.
verify()
{
	timeout 300 fio --name=verify --filename="$1" --ioengine=libaio \
		--bssplit="$2" --rw=randwrite --size=32m \
		--offset_increment=32m --numjobs=2 --iodepth=32 --direct=1 \
		--buffer_compress_percentage=60 --buffer_compress_chunk=4k \
		--refill_buffers --verify=crc32c --verify_fatal=1 \
		--verify_state_save=0 --allow_file_create=0 --minimal \
		>"$tmp/fio.log" 2>&1 || fail "fio on $1: $(tail "$tmp/fio.log")"
}

# work FILE SIZES: the same, and then loads for longer than a worker is spared
# (uzram/util/crash.h), as the one that died of a store is followed by another.
work()
{
	verify "$@"
	timeout 300 fio --name=read --filename="$1" --ioengine=libaio \
		--bs=64k --rw=randread --size=64m --iodepth=32 --direct=1 \
		--time_based --runtime=1 --allow_file_create=0 --minimal \
		>"$tmp/fio.log" 2>&1 || fail "fio on $1: $(tail "$tmp/fio.log")"
}

deaths()
{
	grep -c 'takes over: killed by signal 11 ' "$crash_log" || true
}

# sound NAME: what the device says of itself. Its worker goes through all of it
# once more at the end, and fails if it finds anything.
sound()
{
	local deaths restarts

	# Two threads may die at a time, and so may who is asked for this.
	deaths=$(deaths)
	restarts=$(stat_of restarts)
	if [ "$restarts" -lt "$deaths" ] || [ "$restarts" -gt "$(deaths)" ]; then
		fail "$restarts restarts, but $deaths deaths"
	fi
	expect_equal "$(awk '{ print $1, $2, $3 }' "$dev_dir/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
	expect_equal "$(stat_of checksum_errors)" 0 'checksum errors'
	[ "$(grep -c '^dying at step' "$crash_log")" -ge "$(deaths)" ] ||
		fail 'it died of something else'
	echo "$1: $deaths deaths:" "$(sed -n 's/^dying at step //p' \
		"$crash_log" | sort | uniq -c | xargs)"
}

# What was populated ahead goes back a moment later.
is_given_back()
{
	[ "$(mm_stat 3)" -le $((1 << 20)) ]
}

# empty: nothing of the pool is lost. The end of a device that is full may take
# long: workers die while they go through it.
empty()
{
	fallocate -p -o 0 -l 256M "$dev_block"
	expect_equal "$(mm_stat 1)" 0 'bytes stored after all was discarded'
	wait_until 60 is_given_back ||
		fail "$(mm_stat 3) bytes of pool memory are lost"
}

# A store, a load and their requests; and whoever takes over dies as well.
requests=received/500,carried/500,marked/500,opened/8
taking_over=folded/1000,adopted/100000,settled/2000,resent/12,mapped/12
taking_over=$taking_over,found/300,registered/300
calm=greeted/0,poisoned/0

# ---- the block file ----

crashing file "all/5000,$requests,$taking_over,$calm" -s 256M -a lz4
# marked, mapped, found and registered there are over io_uring only, as resent
# is without.
adoption='mapped found registered marked'
[ "$UZ_TRANSPORT" = io_uring ] || adoption=resent
until_died "loaded pinned unpin taken filled exchanged published received \
	carried opened folded adopted settled $adoption" \
	work "$dev_block" 512/5:2k/5:4k/30:7k/10:64k/30:1m/20
sound 'block file'
empty
stop_device file

# The first deaths of a device: what requests need is there before the first one
# of their size has come.
echo "new devices: ${UZ_NEW:=3}"
for ((i = 0; i < UZ_NEW; i++)); do
	crashing "new$i" "all/1500,$requests,$taking_over,$calm" -s 256M -a lz4
	verify "$dev_block" 64k/50:1m/50
	sound 'new device'
	empty
	stop_device "new$i"
	((seed++))
done

# ---- what works beside the requests ----

# Stores to attributes are under way when it dies: they are done again, unless
# so many have died meanwhile that it might be the reason.
store()
{
	# The end of the load is a signal to this process.
	bash -c "echo '$2' >'$dev_dir/$1'" 2>/dev/null ||
		grep -q 'fails: 5 workers' "$crash_log" || fail "$1"
}

crashing beside \
	"all/0,seen/3000,copied/3000,swapped/3000,recoded/6000,$taking_over" \
	-s 256M -a lz4 -o zpool=zsmalloc
echo 'algo=zstd priority=1' >"$dev_dir/recomp_algorithm"
worked_on()
{
	verify "$dev_block" 4k/70:64k/30 &
	load=$!
	while ! pid_gone $load; do
		store compact 1
		store idle all
		store recompress type=idle
	done
	wait $load || exit 1
}
until_died 'seen copied swapped recoded' worked_on
sound 'compaction and recompression'
empty
stop_device beside

# ---- ext4 on a loop device ----

if [ "$(id -u)" = 0 ] && [ -c /dev/loop-control ]; then
	requires losetup mkfs.ext4 fsck.ext4
	crashing loop "all/5000,$requests,$taking_over,$calm" -s 256M -a lz4
	attach_loop "$dev_block"
	mkfs.ext4 -q "$loop_dev" >"$tmp/mkfs.log" 2>&1
	mount_fs "$loop_dev" -o discard
	truncate -s 64M "$fs_dir/file"
	until_died 'taken exchanged loaded received adopted' \
		work "$fs_dir/file" 4k/40:16k/10:64k/30:1m/20
	sound 'ext4'
	unmount_fs "$fs_dir"
	expect_sound "$loop_dev"
	detach_loop "$loop_dev"
	empty
	stop_device loop
else
	missing loop 'no loop devices'
fi

# ---- a request that no worker survives ----

# It fails after five of them, and the device goes on.
crashing poison all/0,poisoned/1 -s 64M -a lz4
before=$(stat_of restarts)
{ printf uzpoison && make_text 4088 "$tmp/rest" && cat "$tmp/rest"; } >"$tmp/page"
expect_errno EIO timeout 150 dd if="$tmp/page" of="$dev_block" bs=4k seek=7 \
	conv=notrunc oflag=direct status=none
expect_equal $(($(stat_of restarts) - before)) 5 'workers that died of it'
grep -q 'a request (opcode 16, file 2) fails: 5 workers in a row died with it' \
	"$crash_log" || fail 'not said'
dd if="$tmp/rest" of="$dev_block" bs=4k seek=7 conv=notrunc,sync \
	oflag=direct status=none
stop_device poison

# ---- before anybody can take over ----

# A death between the answer to FUSE_INIT and the note of what was agreed on: a
# device that never was, not one that hangs.
UZ_CRASH=$seed:all/0,greeted/1 timeout 150 "$UZRAMD" -s 64M greeted \
	>"$tmp/greeted.log" 2>&1 && fail 'it served'
grep -q 'worker did not come up: killed by signal 11' "$tmp/greeted.log" ||
	fail 'not said why it did not come up'
[ ! -e "$UZRAM_RUNDIR/greeted" ] || fail 'it left its directory'
