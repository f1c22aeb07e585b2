# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# The guest's root: this machine's programs with the libraries that they name,
# ours, the tests, and the kernel's modules, in a cpio archive that the kernel
# unpacks into memory. Nothing of it is ever written back.
#
# shellcheck disable=SC2154 # run.sh and kernel.sh set tmp, vm_modules and more

# What the tests call. The rest of a system is busybox's.
vm_commands='awk bash blkdiscard blkid blockdev cat chmod cmp cp cut dd du
fallocate find fio flock fsck.ext4 fstrim grep head kill ln losetup ls mkdir mkfifo mkfs.ext4
findmnt jq mkfs.xfs mkswap mktemp mount mountpoint mv ps readlink realpath resize2fs rm rmdir sed seq
setpriv sfdisk sha1sum sleep sort stat swapoff swapon sync tail tar taskset timeout touch
tr truncate umount wc xargs xfs_io xfs_repair'

# In the order in which they are asked for; "?" where a kernel may have it
# built in, or not at all.
vm_module_names='?fuse ?loop ?ext4 ?xfs ?crc32c_generic ?zram ?ublk_drv'

# vm_add FILE: to the same place, with the libraries that it is linked with.
vm_add()
{
	local file

	for file in "$1" $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
		[ ! -e "$vm_root$file" ] || continue
		mkdir -p "$vm_root${file%/*}"
		cp -L "$file" "$vm_root$file"
	done
}

# vm_add_module NAME: and before it what it depends on. Modules are read here
# and not by depmod, whose tables the packages do not have.
vm_add_module()
{
	local name=${1#[?]} file to depends

	file=$(find "$vm_modules" -name "${name//[-_]/[-_]}.ko*" | head -n 1)
	# A module of another build, for who looks at what these have not.
	[ "$name" != zram ] || file=${UZ_VM_ZRAM-$file}
	if [ -z "$file" ]; then
		[ "$name" != "$1" ] || fail "no module $name in $vm_modules"
		return 0
	fi
	to=$vm_root/modules/${name//-/_}.ko
	[ ! -e "$to" ] || return 0
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -qdc "$file" ;;
	*.gz) gzip -dc "$file" ;;
	*) cat "$file" ;;
	esac >"$to"
	depends=$(tr '\0' '\n' <"$to" | sed -n 's/^depends=//p' | tr , ' ')
	for name in $depends; do
		vm_add_module "?$name"
	done
	echo "${to##*/}" >>"$vm_root/modules/order"
}

# vm_image FILE: write the archive.
vm_image()
{
	local name vm_root=$tmp/root

	requires cpio busybox xz ldd
	mkdir -p "$vm_root"/{usr/{bin,sbin,lib,lib64},dev,proc,sys,tmp,etc,run} \
		"$vm_root"/{modules,root,uzram/build/tools}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$vm_root/$name"
	done
	for name in $vm_commands; do
		requires "$name"
		vm_add "$(type -P "$name")"
	done
	vm_add "$(type -P busybox)"
	# Found at run time, by whoever ends a thread.
	vm_add "$(ldconfig -p | sed -n 's|.*libgcc_s.so.1 .*64.*> ||p' | head -n 1)"
	for name in $vm_module_names; do
		vm_add_module "$name"
	done
	ln -s /proc/self/mounts "$vm_root/etc/mtab"
	echo 'root:x:0:0::/root:/bin/bash' >"$vm_root/etc/passwd"
	for name in "$UZRAMD" "$UZRAMCTL"; do
		cp "$name" "$vm_root/uzram/build/tools/"
		vm_add "$(realpath "$name")"
	done
	mkdir -p "$vm_root"/uzram/build/tests/{e2e,programs}
	name=tests/e2e/libstrict.so # where libc is the one that it is for
	[ ! -e "$build_root/$name" ] ||
		cp "$build_root/$name" "$vm_root/uzram/build/$name"
	for name in uzramd-next uzramd-otherlayout crashes workset; do
		cp "$build_root/tests/programs/$name" \
			"$vm_root/uzram/build/tests/programs/"
	done
	# For who measures there; no test needs it.
	name=${UZRAMD%/*}/uzram-bench
	if [ -x "$name" ]; then
		cp "$name" "$vm_root/uzram/build/tools/"
		vm_add "$(realpath "$name")"
	fi
	mkdir "$vm_root/uzram/tests"
	cp -r "$source_root/tests/e2e" "$source_root/tests/vm" \
		"$vm_root/uzram/tests/"
	cp "$source_root/tests/vm/guest/init" "$vm_root/init"
	(cd "$vm_root" && find . | cpio --quiet -o -H newc) >"$1"
	rm -rf "$vm_root"
}
