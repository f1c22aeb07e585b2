# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Machines that differ from this one in what users find there. Each is a mount
# namespace with a small /dev of its own, in which /dev/fuse is open to
# everybody, as on ordinary machines; nothing of this one is changed.
#
# shellcheck disable=SC2154 # functions.sh sets tmp, UZRAMD, UZRAMCTL

requires_root
requires unshare setpriv fusermount3
unshare -m true 2>/dev/null || missing root 'cannot make a mount namespace'

# Programs and places that somebody else can reach.
chmod 711 "$tmp"
mkdir "$tmp/bin" "$tmp/user" "$tmp/overlay"
cp "$UZRAMD" "$UZRAMCTL" "$tmp/bin"
chmod -R a+rX "$tmp/bin"
chown 65534:65534 "$tmp/user"
chmod 700 "$tmp/user"

# machine SCRIPT: run it as root of a private /dev with the usual files and,
# unless nofuse is set, fuse for everybody. "user COMMAND..." runs one as nobody
# and "other COMMAND..." as another user, with the run directory of the first.
machine()
{
	cat >"$tmp/machine" <<-END
		set -eu
		export PATH=$tmp/bin:\$PATH UZRAM_RUNDIR=$tmp/run
		run=$tmp/user/run
		mount -t tmpfs -o mode=755 none /dev
		mknod -m 666 /dev/null c 1 3
		mknod -m 666 /dev/zero c 1 5
		mknod -m 666 /dev/random c 1 8
		mknod -m 666 /dev/urandom c 1 9
		[ -n "${nofuse-}" ] || mknod -m 666 /dev/fuse c 10 229
		user_by_id()
		{
			local id=\$1

			shift
			setpriv --reuid=\$id --regid=\$id --clear-groups \
				env -u XDG_RUNTIME_DIR HOME=$tmp/user \
				UZRAM_RUNDIR=\$run "\$@"
		}
		user()
		{
			user_by_id 65534 "\$@"
		}
		other()
		{
			user_by_id 1 "\$@"
		}
		$1
	END
	unshare -m --propagation private bash "$tmp/machine"
}
