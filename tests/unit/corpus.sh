#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/corpus makes what it says, twice the same where it says so, and refuses
# in one line. The first argument is the program.
set -eu

corpus=$1
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT

fail()
{
	echo "corpus.sh: $*" >&2
	exit 1
}

# fails STATUS ARGUMENT... - ends with STATUS, one line on stderr, no output
fails()
{
	want=$1
	shift
	status=0
	"$corpus" "$@" >"$dir/out" 2>"$dir/err" || status=$?
	[ "$status" -eq "$want" ] || fail "$*: exit $status instead of $want"
	[ "$(wc -l <"$dir/err")" -eq 1 ] || fail "$*: not one line on stderr"
	[ ! -s "$dir/out" ] || fail "$*: prints something"
}

"$corpus" --help | grep -q -- --size || fail "--help does not name --size"

"$corpus" -s 1M -o "$dir/a" >"$dir/out"
for kind in binaries text heap; do
	size=$(wc -c <"$dir/a/$kind")
	[ "$size" -gt 0 ] || fail "$kind is empty"
	[ "$size" -le 1048576 ] || fail "$kind is larger than asked for"
	[ $((size % 4096)) -eq 0 ] || fail "$kind does not end with a page"
	printf '%s\t%s\n' "$dir/a/$kind" "$size"
done >"$dir/expected"
cmp "$dir/expected" "$dir/out" || fail "prints other paths or sizes"
[ "$(head -c 4 "$dir/a/binaries")" = "$(printf '\177ELF')" ] ||
	fail "binaries does not begin with a program"
# A heap is more than the zeroes of memory that nobody touched.
[ "$(tr -d '\0' <"$dir/a/heap" | wc -c)" -gt 200000 ] || fail "heap is empty"

"$corpus" -s 1M -o "$dir/b" text binaries text >"$dir/out"
[ "$(wc -l <"$dir/out")" -eq 2 ] || fail "a kind named twice is made twice"
cmp "$dir/a/binaries" "$dir/b/binaries" || fail "binaries differ"
cmp "$dir/a/text" "$dir/b/text" || fail "texts differ"
[ "$(find "$dir/a" "$dir/b" -type f | wc -l)" -eq 5 ] || fail "leaves files"

fails 2 nonsense
fails 2 --nonsense
fails 2 -s 0
fails 2 -s 4095
fails 2 -s -1M
fails 2 -s 1X
fails 1 -s 1M -o "$dir/out/below-a-file" text
fails 1 -s 1M -o /dev/null text
