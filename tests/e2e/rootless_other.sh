#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What another user can do to an ordinary user's device: nothing. rootless.sh has
# root of a machine, or of a container, run this. The words are a directory that
# is the first user's alone, and one that everybody can write to.

set -euo pipefail
export LC_ALL=C
run=$1
open=$2

as()
{
	local id=$1

	shift
	setpriv --reuid="$id" --regid="$id" --clear-groups --inh-caps=-all \
		env -u XDG_RUNTIME_DIR HOME="${run%/*}" UZRAM_RUNDIR="$run" "$@"
}

user()
{
	as 65534 "$@"
}

other()
{
	as 1 "$@"
}

refused()
{
	local said

	if said=$("$@" 2>&1); then
		echo "not refused: $*" >&2
		exit 1
	fi
	case $said in
	*"Permission denied"* | *"not permitted"*) ;;
	*"not found in"*) ;;
	*"no device"* | *"not a device"* | *"No such"*) ;;
	*)
		echo "$*: $said" >&2
		exit 1
		;;
	esac
}

# What the device is for, and what it tells; root is a stranger as well.
check_files()
{
	local as

	for as in other command; do
		refused $as head -c 1 "$1/block"
		refused $as dd if=/dev/zero of="$1/block" count=1
		refused $as cat "$1/mm_stat"
		refused $as ls "$1/"
	done
}

check_verbs()
{
	local line verb

	while read -r verb line; do
		# shellcheck disable=SC2086 # words
		case $verb in
		remove) refused other uzramctl remove $line "$1" ;;
		*) refused other uzramctl "$verb" "$1" $line ;;
		esac
	done <<-END
	stat
	histogram
	get mm_stat
	set mem_limit 1M
	compact
	idle all
	recompress
	writeback idle
	scrub
	upgrade
	save $open/file
	reset
	remove
	remove --force
	END
}

check_process()
{
	refused other bash -c "kill -TERM $1"
	refused other cat "/proc/$1/maps"
	refused other ls "/proc/$1/fd"
	refused other ls "/proc/$1/root/"
	refused other head -c 1 "/proc/$1/mem"
	refused other strace -p "$1"
}

# Both in a directory that is closed to him, and in one that is not.
user uzramctl add -s 64M d >/dev/null
user mkdir "$open/o"
user uzramctl add -s 64M -o dir="$open/o" o >/dev/null
for dir in "$run/d" "$open/o"; do
	check_files "$dir"
	check_verbs "$dir"
	check_process "$(user cat "$dir/pid")"
	check_process "$(user sed -n 's/^worker_pid //p' "$dir/stat")"
	refused other fusermount3 -u "$dir"
	user uzramctl stat "$dir" >/dev/null
done
refused other uzramctl add -s 64M mine
user uzramctl remove d
user uzramctl remove "$open/o"
user rmdir "$open/o"
