# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What both tests no_fault.sh share, of the block file and of disks: strict.c,
# which ends a worker that allocates, and the faults that the kernel counts.
#
# shellcheck disable=SC2154 # functions.sh sets build_root and tmp

strict_so=$build_root/tests/e2e/libstrict.so
[ -e "$strict_so" ] || missing commands "$strict_so was not built"

# strict 0|1: whether a worker that allocates is ended from now on.
strict()
{
	printf '%s' "$1" >"$tmp/strict"
}

# with_strict COMMAND...: what it starts is under strict.c, which waits for
# "strict 1".
with_strict()
{
	strict 0
	UZ_STRICT=$tmp/strict LD_PRELOAD=$strict_so "$@"
}

# no_more_faults CODEC BEFORE AFTER: of serving_faults.
no_more_faults()
{
	[ "$2" = "$3" ] || {
		printf 'with %s, before:\n%s\nafter:\n%s\n' "$@" >&2
		return 1
	}
}

# no_faults TRIES: "round NUMBER CODEC" sees no fault, with either codec. The
# kernel may move a page to make larger pieces of memory, and whoever uses it
# just then takes a fault that needs no memory. Not so that many times.
no_faults()
{
	local codec number=0 tries

	for codec in lz4 zstd; do
		tries=$1
		until round $((++number)) "$codec"; do
			[ $((--tries)) -gt 0 ] || fail "faults with $codec"
		done
	done
}
