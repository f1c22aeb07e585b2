#!/bin/bash
# SPDX-License-Identifier: MIT
#
# uzramctl histogram: what it counts is what was stored, and the bars fit the
# locale and the terminal.

. "${0%/*}/functions.sh"
requires_ctl
requires_fuse
requires jq script python3

histogram()
{
	"$UZRAMCTL" histogram "$@"
}

store()
{
	dd if="$1" of="$dev_block" bs=4096 seek="$2" conv=notrunc status=none
}

start_device d -s 16M -a lz4 -o track_age=on -o compaction=off
expect_equal "$(histogram d)" 'd: 0 pages (0 bytes) are stored.' 'no pages'
expect_equal "$(histogram --json d | jq -c '[.pages, .classes, .codecs, .ages]')" \
	'[0,[],[],[]]' 'json of no pages'

# 64 pages that compress, 32 that do not, 16 of one word.
# The text's first page has numbers too short to be worth compressing.
make_text $((72 * 4096)) "$tmp/numbers"
tail -c $((64 * 4096)) "$tmp/numbers" >"$tmp/text"
make_noise $((32 * 4096)) "$tmp/noise"
head -c $((16 * 4096)) /dev/zero | tr '\0' x >"$tmp/same"
store "$tmp/text" 0
store "$tmp/noise" 100
store "$tmp/same" 200
histogram --json d >"$tmp/json"
expect_equal "$(jq -c '[.version, .name, .pages, .same_pages, .huge_pages,
	.backed_pages, .idle_pages, .recompressed_pages]' "$tmp/json")" \
	'[1,"d",112,16,32,0,0,0]' 'kinds'
expect_equal "$(jq -c '[.codecs[] | .name, .pages]' "$tmp/json")" \
	'["lz4",64]' 'codecs'
expect_equal "$(jq '[.classes[].pages] | add' "$tmp/json")" 96 \
	'pages in size classes'
expect_equal "$(jq '[.classes[] | select(.size > 4096).pages] | add' \
	"$tmp/json")" 32 'pages stored as they are'
expect_equal "$(jq '[.classes[] | select(.pages > .places or
	.unused > .memory or .pages * .size > .memory)] | length' \
	"$tmp/json")" 0 'classes that make no sense'
expect_equal "$(jq '[.ages[].pages] | add' "$tmp/json")" 112 'ages'
expect_equal "$(jq -c '[.ages[].seconds]' "$tmp/json")" \
	'[1,10,60,600,3600,21600,86400,null]' 'groups of ages'
# Pages of one word take no memory; there is no mark on them.
echo all >"$dev_dir/idle"
expect_equal "$(histogram --json d | jq .idle_pages)" 96 'idle pages'

# The same in columns. Each section's numbers are of all pages.
histogram --plain d >"$tmp/plain"
grep -q '^stored as they are  *32  29 %$' "$tmp/plain" ||
	fail "plain: $(cat "$tmp/plain")"
grep -q '^idle  *96  86 %$' "$tmp/plain" ||
	fail "plain: $(cat "$tmp/plain")"
expect_equal "$(awk '/^ *[0-9]+ to *[0-9]+  / { n += $4 }
	/^more than 4096/ { n += $4 } END { print n }' "$tmp/plain")" 96 \
	'pages in rows of sizes'
! grep -q '#' "$tmp/plain" || fail '--plain draws bars'
! grep -q ' $' "$tmp/plain" || fail 'blanks at the end of a line'

# Bars: number signs in the locale C, blocks in one of UTF-8.
histogram d >"$tmp/ascii"
! LC_ALL=C grep -q '[^ -~]' "$tmp/ascii" || fail 'not only ASCII in locale C'
grep -q '^idle .*  ###*$' "$tmp/ascii" || fail "bars: $(cat "$tmp/ascii")"
LC_ALL=C.UTF-8 histogram d >"$tmp/blocks"
grep -q $'\xe2\x96\x88' "$tmp/blocks" || fail "blocks: $(cat "$tmp/blocks")"
! grep -q '#' "$tmp/blocks" || fail 'number signs where there are blocks'
# But for the bars they say the same; of ages and of memory, which is given
# back behind the stores, each what it was then.
then='/ago /d; s/ *$//; s/  *[0-9.]*[A-Z]  *[0-9.]*[A-Z]$//'
expect_same <(sed "s/  ##*$//; $then" "$tmp/ascii") \
	<(LC_ALL=C sed "s/[^ -~]*$//; $then" "$tmp/blocks")

# A picture: one bar for each row, as many as the columns have.
histogram --svg d >"$tmp/svg"
python3 - "$tmp/svg" <<-'END' >"$tmp/picture" || fail 'no picture'
	import sys, xml.etree.ElementTree as tree
	name = '{http://www.w3.org/2000/svg}'
	root = tree.parse(sys.argv[1]).getroot()
	height = float(root.get('height'))
	for text in root.iter(name + 'text'):
	    assert 0 < float(text.get('y')) < height
	    print(text.text)
	for bar in list(root.iter(name + 'rect'))[1:]:
	    assert float(bar.get('x')) + float(bar.get('width')) <= 500
	    print('bar')
END
# 17 of sizes, 6 of kinds, 1 codec, 8 of ages
expect_equal "$(grep -cx bar "$tmp/picture")" 32 'bars of the picture'
grep -qx 'd: 112 pages (448 KiB)' "$tmp/picture" || fail 'no title'
grep -qx '32 (29 %)' "$tmp/picture" || fail 'no numbers'

# No line is wider than the terminal.
for columns in 66 100 300; do
	script -qec "stty cols $columns; '$UZRAMCTL' histogram d" /dev/null \
		>"$tmp/wide" </dev/null
	tr -d '\r' <"$tmp/wide" | awk -v max=$columns '
		length > max { exit 1 } /#/ { n++ } END { exit !n }' ||
		fail "$columns columns: $(cat "$tmp/wide")"
done

# An allocator without size classes; ages that nobody noted.
start_device z -s 4M -o zpool=zbud
store "$tmp/text" 0
histogram z >"$tmp/zbud"
grep -q '^The allocator does not tell of sizes' "$tmp/zbud" ||
	fail "zbud: $(cat "$tmp/zbud")"
! grep -q 'ago' "$tmp/zbud" || fail "ages: $(cat "$tmp/zbud")"

expect_fail_line 3 'no device nope' histogram nope
expect_fail_line 2 'usage: uzramctl histogram' histogram
expect_fail_line 2 'unrecognized option' histogram --nosuchoption d
