# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034	# used by the scripts that source this
# Shared by the scripts of this folder: where things are, and how to give up.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$TOP/build
KERNELS=$BUILD/kernels		# one folder per kernel: KERNELS/KVER
KVERS="6.1 6.12 7.2 6.1-kcsan 7.2-debug"
DEFAULT_KVER=6.1

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Root is needed for apt-get and chroot alone, so ask for it only there.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		command -v sudo >/dev/null || die "need root or sudo for: $*"
		sudo "$@"
	fi
}

known_kver()
{
	[[ " $KVERS " == *" $1 "* ]] || die "unknown kernel '$1' (known: $KVERS)"
}

# Kernels with a dash are built from source, with checkers that slow them down.
is_debug_kver()
{
	[[ $1 = *-* ]]
}

# What kernel $1 runs on: its arguments, and how it starts, are in a file of that name.
machine_of()
{
	case $1 in
	7.2-debug)	echo uml ;;
	*)		echo qemu ;;
	esac
}

# The options that kernel $1 is built with, and as a comment, which patch.
wanted_config()
{
	local machine config=$TOP/tests/guest/config
	machine=$(machine_of "$1")
	cat "$config/"{base,"$machine","${1#*-}"}
	[ ! -e "$config/$machine.patch" ] ||
		sed 's/.*/# patch &/' <(sha256sum < "$config/$machine.patch")
}

prepared_kver()
{
	known_kver "$1"
	[ -d "$KERNELS/$1/" ] ||
		die "no kernel $1 yet: run tests/guest/prepare $1"
}

# Makes folder $1 of the module's sources, with patch $2, for VMDK_SOURCE.
patched_source()
{
	mkdir "$1"
	cp -r "$TOP"/{Kbuild,*.c,*.h,include,compat} "$1"
	patch -s -d "$1" -p1 < "$2"
}

# Runs "$@" in the root folder $1 of another Debian release, as the caller,
# with folder $2 at its own path. The mounts are gone with the last process.
in_root()
{
	local root=$1 shared=$2
	shift 2
	# shellcheck disable=SC2016	# expanded by the inner shell
	as_root unshare --mount --propagation private bash -euc '
		root=$1 shared=$2 user=$3
		shift 3
		mkdir -p "$root$shared"
		mount -t proc proc "$root/proc"
		mount --bind "$shared" "$root$shared"
		exec chroot --userspec="$user" "$root" "$@"
	' in_root "$root" "$shared" "$(id -u):$(id -g)" "$@"
}

# Runs kernel $1's own build system for the module sources in folder $2; the
# rest are make's arguments.
kernel_make()
{
	local kdir=$KERNELS/$1 source=$2 headers
	shift 2
	if [ -d "$kdir/root" ]; then
		headers=/usr/src/linux-headers-$(cat "$kdir/release")
		in_root "$kdir/root" "$source" \
			make -C "$headers" M="$source" "$@"
	else
		make -C "$kdir/build" M="$source" "$@"
	fi
}
