#!/bin/sh
# SPDX-License-Identifier: MIT
# Searches every interleaving of tests/model/pin.pml with Spin: the protocol
# must hold, and each mutation of it must be caught, or the model says nothing.
# usage: run.sh part|copy|move|part_move
set -eu

model=$(cd "$(dirname "$0")" && pwd)/pin.pml
if ! command -v spin >/dev/null; then
	echo "spin is not installed (package spin)"
	case ,${UZ_MUST_WORK-}, in
	*,commands,*) exit 1 ;;
	*) exit 77 ;;
	esac
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# search FLAG...: 0 when no error was found, 1 when one was
search() {
	rm -f pan pan.* -- *.trail
	# shellcheck disable=SC2068
	spin $@ -a "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
	${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c
	# -E: whoever died stays where he was; that is no deadlock.
	./pan -E -m100000 >pan.out
	if ! grep -q 'errors: ' pan.out || grep -q 'max search' pan.out; then
		cat pan.out
		exit 1
	fi
	grep -q 'errors: 0$' pan.out
}

holds() {
	if ! search "$@"; then
		cat pan.out
		echo "the protocol does not hold: $*"
		exit 1
	fi
	echo "holds:  $* ($(awk '/states, stored/ { print $1 }' pan.out) states)"
}

caught() {
	if search "$@"; then
		echo "not caught: $*"
		exit 1
	fi
	echo "caught: $*"
}

case ${1-} in
part)
	holds -DPART
	caught -DPART -DWEAK_PIN
	caught -DPART -DWEAK_FREE
	caught -DPART -DNO_RECHECK
	caught -DPART -DNO_DEFER
	caught -DPART -DNO_FLIP -DSTORES=3
	caught -DPART -DEARLY_PUBLISH
	caught -DPART -DLOST_DRAIN
	caught -DPART -DEARLY_UNMAP -DSTORES=3
	;;
copy)
	holds -DCOPY
	caught -DCOPY -DCOPY_BLIND -DSTORES=3
	caught -DCOPY -DCOPY_UNPINNED -DSTORES=3
	;;
move)
	holds -DMOVE
	caught -DMOVE -DMOVE_UNPINNED -DSTORES=3
	caught -DMOVE -DMOVE_NO_LOOK
	caught -DMOVE -DMOVE_BLIND
	caught -DMOVE -DMOVE_SWAP_FIRST
	caught -DMOVE -DMOVE_EARLY_FREE
	caught -DMOVE -DMOVE_NO_DEFER
	caught -DMOVE -DMOVE_LEAK
	;;
part_move)
	holds -DPART -DMOVE -DSTORES=1
	;;
*)
	sed -n 's/^# usage/usage/p' "$0" >&2
	exit 2
	;;
esac
