# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the tests of the ublk front end share.
#
# shellcheck disable=SC2154 # functions.sh sets tmp

requires_ctl
[ -c /dev/ublk-control ] || missing ublk 'no /dev/ublk-control'

# add_disk NAME ARGUMENTS...: sets dev_dir and disk.
add_disk()
{
	local block

	block=$("$UZRAMCTL" add "$@" --frontend ublk)
	dev_dir=${block%/block}
	disk=$(readlink "$block")
	on_exit "$UZRAMCTL" remove --force "$1"
	[ -b "$disk" ] || fail "$block leads to $disk"
}

# serve_disk NAME ARGUMENTS...: the same, by a child of ours, whose messages are
# shown when something fails.
serve_disk()
{
	start_device "$@" --frontend ublk
	disk=$(readlink "$dev_dir/block")
	[ -b "$disk" ] || fail "block leads to $disk"
}

# gone: nothing of the disk is left.
gone()
{
	[ ! -e "$dev_dir" ] && no_disk
}

# no_disk: the driver has none.
no_disk()
{
	[ ! -e "$disk" ] && [ ! -e "${disk/ublkb/ublkc}" ]
}

remove_disk()
{
	timeout 100 "$UZRAMCTL" remove "$1"
	wait_until 60 gone ||
		fail "left behind: $(ls -d "$dev_dir" /dev/ublk*)"
}

# stat_of NAME: the same as elsewhere, but a device that hangs ends the test.
stat_of()
{
	timeout 60 sed -n "s/^$1 //p" "$dev_dir/stat"
}

# ends_within SECONDS PID WHAT...: it ends, and well. Who hangs in the kernel
# cannot be killed, so that timeout(1) would wait, too.
ends_within()
{
	local seconds=$1 pid=$2

	shift 2
	wait_until "$seconds" pid_gone "$pid" ||
		fail "${seed:+seed $seed: }$* hangs: $(cat "/proc/$pid/stack")"
	wait "$pid" || fail "${seed:+seed $seed: }$* failed"
}

# verify FILE SIZES
verify()
{
	fio --name=verify --filename="$1" --ioengine=libaio \
		--bssplit="$2" --rw=randwrite --size=6m \
		--offset_increment=6m --numjobs=2 --iodepth=32 --direct=1 \
		--buffer_compress_percentage=60 --refill_buffers \
		--verify=crc32c --verify_fatal=1 --verify_state_save=0 \
		--allow_file_create=0 --minimal >"$tmp/fio.log" 2>&1 &
	ends_within 200 $! "fio on $1"
}

# no_errors DEATHS: and as many workers as that have died.
no_errors()
{
	expect_equal "$(awk '{ print $1, $2, $3 }' "$dev_dir/io_stat")" '0 0 0' \
		'failed reads, failed writes, invalid requests'
	expect_equal "$(stat_of restarts)" "$1" 'restarts'
	expect_equal "$(stat_of checksum_errors)" 0 'checksum errors'
	! dmesg | grep -E 'I/O error|error, dev ublk' >&2 ||
		fail 'the kernel saw errors'
}
