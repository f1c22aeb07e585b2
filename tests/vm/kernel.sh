# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Kernels to boot: packages of Debian, by name, through the machine's own apt
# with a source list that differs from the machine's in the suite alone, so
# that mirrors, proxies and keys are the machine's. apt checks the signatures.
#
# They lie in $UZRAM_VM_CACHE (default: ~/.cache/uzram-vm), a directory for
# each name below. After a week newer ones are looked for; what is there is
# used when none can be had. One that could not be had is not looked for again by
# others of the same tools/test, which says so by UZ_RUN, a word of its own: each
# would wait as long for the same.
#
# shellcheck disable=SC2154 # functions.sh sets tmp

vm_cache=${UZRAM_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/uzram-vm}
vm_keep_days=7

# vm_kernel_package NAME: sets suite and pattern, a regular expression for the
# names of packages; the newest is taken.
vm_kernel_package()
{
	case $1 in
	6.1)
		suite=bookworm
		pattern='linux-image-6\.1\.0-[0-9]+-cloud-amd64'
		;;
	6.12)
		suite=bookworm-backports
		pattern='linux-image-6\.12\.[0-9]+\+[a-z0-9.]+-cloud-amd64-unsigned'
		;;
	sid)
		suite=sid
		pattern='linux-image-[0-9.]+(\+[a-z0-9.]+)?-cloud-amd64'
		;;
	*) fail "no kernel is called $1" ;;
	esac
}

# vm_apt_source SUITE: the machine's own source, for that suite.
vm_apt_source()
{
	local codename file

	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -f "$file" ] || continue
		awk -v RS= -v name="$codename" -v suite="$1" '
		$0 ~ "Suites:[^\n]*[ \t]" name "([ \t\n]|$)" && /Types:[^\n]*deb/ {
			sub(/Suites:[^\n]*/, "Suites: " suite)
			print
			exit
		}' "$file"
		return
	done
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ ! -f "$file" ] || sed -nE \
			"s/^(deb (\[.*\] )?[^ ]+) $codename ([a-z].*)/\1 $1 \3/p" \
			"$file" | head -n 1
	done
}

# vm_apt COMMAND WORD...: with lists and cache in the directory $into.
vm_apt()
{
	local command=$1

	shift
	"$command" -q -o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$into/apt/sources" \
		-o Dir::State::Lists="$into/apt/lists" \
		-o Dir::Cache="$into/apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# vm_fetch NAME: its package unpacked into $into/root.
vm_fetch()
{
	local suite pattern source package rest deb format=list

	vm_kernel_package "$1"
	source=$(vm_apt_source "$suite")
	[ -n "$source" ] || {
		echo "no apt source of this machine is Debian's"
		return 1
	}
	case $source in
	*Suites:*) format=sources ;;
	esac
	rm -rf "$into/apt" "$into/new"
	mkdir -p "$into"/apt/{sources,lists/partial,cache/archives/partial} \
		"$into/new/root"
	printf '%s\n' "$source" >"$into/apt/sources/vm.$format"
	vm_apt apt-get update || return 1
	vm_apt apt-cache pkgnames linux- >"$into/new/names" || return 1
	package=$(grep -Ex "$pattern" "$into/new/names" | sort -V |
		tail -n 1) || true
	[ -n "$package" ] || {
		echo "no package $pattern in $suite"
		return 1
	}
	# Newer ones come in three, of which this one only names the others.
	rest=$(grep -Fx -e "linux-binary-${package#linux-image-}" \
		-e "linux-modules-${package#linux-image-}" \
		"$into/new/names") || true
	# shellcheck disable=SC2086 # suite is one word, rest several
	(cd "$into/new" && vm_apt apt-get download "$package" $rest) || return 1
	for deb in "$into"/new/*.deb; do
		dpkg-deb -x "$deb" "$into/new/root" || return 1
	done
	rm -rf "$into/root" "$into/apt"
	mv "$into/new/root" "$into/root"
	rm -r "$into/new"
	echo "$package" >"$into/package"
}

# vm_fetch_patiently NAME: a mirror that is just being brought up to date has
# lists that do not fit together, or packages no more that they name.
vm_fetch_patiently()
{
	local pause

	for pause in 5 20; do
		! vm_fetch "$1" || return 0
		sleep $pause
	done
	vm_fetch "$1"
}

# vm_has_failed: has one of this run tried in vain?
vm_has_failed()
{
	[ -n "${UZ_RUN-}" ] && [ "$(head -n 1 "$into/failed" 2>/dev/null)" = \
		"$UZ_RUN" ]
}

# vm_try NAME: to have a newer one; what was said is in $tmp/fetch.log. A failure
# of before is one of now.
vm_try()
{
	if vm_has_failed; then
		tail -n +2 "$into/failed" >"$tmp/fetch.log"
		return 1
	fi
	rm -f "$into/failed"
	vm_fetch_patiently "$1" >"$tmp/fetch.log" 2>&1 && return 0
	[ -z "${UZ_RUN-}" ] || {
		echo "$UZ_RUN"
		tail -n 1 "$tmp/fetch.log"
	} >"$into/failed"
	return 1
}

# vm_kernel NAME: sets vm_linux, the image to boot, and vm_modules, the
# directory of its modules.
vm_kernel()
{
	local into=$vm_cache/$1 status=0

	mkdir -p "$into"
	exec 8>"$into/lock"
	flock 8
	if [ -z "$(find "$into/package" -mtime -$vm_keep_days 2>/dev/null)" ]; then
		requires apt-get apt-cache dpkg-deb
		vm_try "$1" || status=$?
	fi
	exec 8>&-
	if [ $status -ne 0 ]; then
		[ -f "$into/package" ] || missing vm "kernel $1 cannot be had:" \
			"$(tail -n 1 "$tmp/fetch.log")"
		echo "kernel $1: none newer to be had, taking the old one" >&2
	fi
	# shellcheck disable=SC2034 # for image.sh
	vm_modules=$(find "$into/root" -path '*lib/modules/*' -prune -type d)
	vm_linux=$(find "$into/root" -name 'vmlinuz*')
	[ -f "$vm_linux" ] || fail "kernel $1: no kernel in $into"
	echo "kernel $1: $(cat "$into/package")" >&2
}
