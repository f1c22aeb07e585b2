#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The worker dies while the kernel copies requests to it, where no request as
# large as these has been before: on a device that has just begun to serve, and
# by a worker that has just taken over. No write fails.
#
# UZ_KILLS: how many devices, each of which loses five workers (3). UZ_SEED
# repeats a run's moments.

. "$(dirname "$0")/functions.sh" || exit 1

requires_fuse
requires python3

devices=${UZ_KILLS:-3}
seed=${UZ_SEED:-$RANDOM}
echo "seed $seed"
ulimit -c 0
failed=0

for ((i = 0; i < devices; i++)); do
	start_device "copying$i" -s 64M -a lz4
	case $(stat_of survives) in
	yes) ;;
	*) missing fuse 'this kernel does not give requests out again' ;;
	esac
	# The files' sizes are known from here on: no write is alone.
	stat "$dev_block" >/dev/null
	timeout 250 python3 "$here/copying.py" "$dev_dir" $((seed++)) \
		$((1 << 20)) 8192 65536 262144 $((1 << 20)) || failed=1
	expect_equal "$(stat_of restarts)" 5 restarts
	stop_device "copying$i"
done
[ $failed = 0 ] || fail 'a write did not survive'
