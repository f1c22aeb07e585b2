# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the tests of the ublk front end share.

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

stat_of()
{
	timeout 60 sed -n "s/^$1 //p" "$dev_dir/stat"
}
