# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154	# OPS is set by those that source it
# Sourced by tests after lib.sh: writing to a disk whose files fail, and what has to be
# there afterwards. What is flushed is marked on another disk, /dev/ram0; see
# tests/power/powercut.c.
# shellcheck source=expect.sh
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"

POWERCUT=$BUILD/power/powercut

make_marks()
{
	modprobe brd rd_nr=1 rd_size=1024 || skip "no module brd"
	on_exit rmmod brd
}

no_marks()
{
	dd if=/dev/zero of=/dev/ram0 bs=512 count=4 oflag=direct status=none
	: > log
	: > ops
}

# "$@" may fail, but it has to come to an end.
in_time()
{
	local status=0
	timeout $((60 * ${SLOWER:-1})) "$@" >> log 2>&1 || status=$?
	[ $status != 124 ] || fail "no end: $*"
	return $status
}

# Sets dev, and succeeds, unless the attach fails.
try_attach()
{
	in_time vmdkctl attach --no-partscan "$@" || return
	dev=$(tail -n 1 log)
	[ -b "$dev" ] || fail "attach printed '$dev'"
}

# OPS operations on image $1, as far as they get, and a detach.
write_to()
{
	local dev
	try_attach --direct-io=off "$1" || return 0
	in_time "$POWERCUT" work "$dev" /dev/ram0 ops 1 "$OPS" || true
	in_time vmdkctl detach "$dev" || true
	no_disks
}

# Image $1 has leaks at worst, and every sector that was flushed; base $2 as for
# powercut verify.
judge()
{
	local dev file=$1 base=$2 status=0
	vmdkctl check "$file" > log 2>&1 || status=$?
	case $status in
	0|3)	;;
	*)	fail "check: status $status: $(cat log)" ;;
	esac
	dd if=/dev/ram0 of=marks bs=512 count=4 iflag=direct status=none
	dev=$(attach --no-partscan "$file")
	"$POWERCUT" verify ops marks "$dev" "$base" || fail "$file is not what it was"
	vmdkctl detach "$dev"
}

