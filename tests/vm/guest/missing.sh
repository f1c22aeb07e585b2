# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Read by every bash of the guest. A test may not notice that a program which it
# calls is not in the image (in a condition, in a pipe); init does, by the file.

command_not_found_handle()
{
	echo "$1" >>/run/missing
	echo "${0##*/}: no program $1" >&2
	return 127
}
