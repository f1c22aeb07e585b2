#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The helpers themselves: an expectation that cannot fail would make every
# other test worthless.
#
# shellcheck disable=SC2016 # the inner scripts expand where they run

. "$(dirname "$0")/functions.sh" || exit 1

export UZ_MUST_WORK=

# inner STATUS TEXT SCRIPT: run SCRIPT as a test of its own.
inner()
{
	local wanted=$1 text=$2 status=0 output

	printf '. %q/functions.sh\n%s\n' "$here" "$3" >"$tmp/inner.sh"
	mkdir -p "$tmp/inner"
	TMPDIR=$tmp/inner bash "$tmp/inner.sh" >"$tmp/inner.out" 2>&1 ||
		status=$?
	output=$(cat "$tmp/inner.out")
	if [ $status -ne "$wanted" ] || [[ $output != *"$text"* ]]; then
		fail "$3: status $status: $output"
	fi
	expect_equal "$(ls "$tmp/inner")" '' "left behind by: $3"
}

inner 0 '' 'true'
inner 1 'FAILED: on purpose' 'fail on purpose'
inner 1 '' 'false; true'

inner 0 '2 1' 'on_exit echo 1; on_exit echo -n "2 "'
inner 1 'undone' 'on_exit echo undone; false'
inner 1 'undone' 'on_exit echo undone; kill -TERM $$; sleep 1'
inner 1 '---- a.log' 'echo why >"$tmp/a.log"; false'

inner 77 'not installed' 'requires no-such-command'
UZ_MUST_WORK=loop inner 77 'not installed' 'requires no-such-command'
UZ_MUST_WORK=loop,commands inner 1 'not installed' 'requires no-such-command'
inner 3 'skipped: a part' 'left_out commands a part; exit 3'
UZ_MUST_WORK=commands inner 1 'a part' 'left_out commands a part; exit 3'
UZRAMD=/no/such inner 77 'not built' 'requires_fuse'
UZRAMD=/no/such UZ_MUST_WORK=fuse inner 1 'not built' 'requires_fuse'

# A kernel that cannot be had is looked for once in each run of tools/test.
kernel=". '$here/../vm/kernel.sh'; vm_cache='$tmp/kernels'
requires() { :; }
vm_fetch_patiently() { echo tried >>'$tmp/tries'; echo 'no net'; return 1; }
vm_kernel sid"
tries()
{
	wc -l <"$tmp/tries"
}
unset UZ_RUN
inner 77 'skipped: kernel sid cannot be had: no net' "$kernel"
inner 77 'skipped: kernel sid cannot be had: no net' "$kernel"
expect_equal "$(tries)" 2 'tries of two tests by themselves'
UZ_RUN=one inner 77 'skipped: kernel sid cannot be had: no net' "$kernel"
UZ_RUN=one inner 77 'skipped: kernel sid cannot be had: no net' "$kernel"
UZ_RUN=one UZ_MUST_WORK=vm inner 1 'kernel sid cannot be had: no net' "$kernel"
expect_equal "$(tries)" 3 'tries of two tests and a run'
UZ_RUN=two inner 77 'skipped: kernel sid cannot be had: no net' "$kernel"
expect_equal "$(tries)" 4 'tries of two tests and two runs'

inner 0 '' 'expect_equal a a same'
inner 1 "same: got 'a', wanted 'b'" 'expect_equal a b same'
inner 0 '' 'expect_errno ENOENT cat /no/such/file'
inner 1 'succeeded' 'expect_errno ENOENT true'
inner 0 '' 'expect_errno ENOSPC/EIO cat /proc/self/mem'
inner 1 'wanted ENOSPC/EIO' 'expect_errno ENOSPC/EIO cat /no/such/file'
inner 1 'wanted EIO' 'expect_errno EIO cat /no/such/file'
inner 0 '' 'expect_fail_line 1 such cat /no/such/file'
inner 1 'status 1, wanted 2' 'expect_fail_line 2 such cat /no/such/file'
inner 1 "wanted 'x'" 'expect_fail_line 1 x cat /no/such/file'
inner 1 'wanted one line' 'expect_fail_line 1 such cat /no/such /no/such'
inner 1 'stdout' 'expect_fail_line 0 such echo such'

inner 1 'fsck: ' 'expect_sound /dev/null'

# A daemon that dies, says why, or never gets ready.
cat >"$tmp/daemon" <<'END'
#!/bin/bash
case $1 in
ready) echo READY >&9; exec 9>&-; exec sleep 60 ;;
refuse) echo 'no luck today' >&9 ;;
die) exit 3 ;;
esac
END
chmod +x "$tmp/daemon"
export UZRAMD=$tmp/daemon
inner 0 '' 'start_device a ready'
inner 1 'no luck today' 'start_device a refuse'
inner 1 'silence' 'start_device a die'
inner 1 'ended with status 143' 'start_device a ready; stop_device a'
