# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154	# OPS and direct are set by those that source it
# Sourced by tests after lib.sh: writing to a disk whose files fail, and what has to be
# there afterwards. What is flushed is marked on another disk, /dev/ram0; see
# tests/power/powercut.c. Those that source it have mends(), too: it has the files work
# again, or says that they stay as they are.
# shellcheck source=expect.sh
. "$(dirname "${BASH_SOURCE[0]}")/expect.sh"

POWERCUT=$BUILD/power/powercut
COLD=$BUILD/tests/cold
LIMIT=$((60 * ${SLOWER:-1}))	# seconds, for all that may fail
saw=0				# errors that a program has seen

make_marks()
{
	modprobe brd rd_nr=1 rd_size=1024 || skip "no module brd"
	on_exit rmmod brd
}

# Nor is there an operation, but for one of no sectors.
no_marks()
{
	dd if=/dev/zero of=/dev/ram0 bs=512 count=5 oflag=direct status=none
	head -c 24 /dev/zero > ops
	: > log
	rm -f kept.raw
	saw=0
}

# "${@:2}", which ended with $1, may fail, but it has to come to an end.
ended()
{
	[ "$1" != 124 ] || fail "no end: ${*:2}"
	[ "$1" = 0 ] || saw=$((saw + 1))
	return "$1"
}

in_time()
{
	local status=0
	timeout "$LIMIT" "$@" >> log 2>&1 || status=$?
	ended $status "$@"
}

# Sets dev, and succeeds, unless the attach fails.
try_attach()
{
	in_time vmdkctl attach --no-partscan "$@" || return
	dev=$(tail -n 1 log)
	[ -b "$dev" ] || fail "attach printed '$dev'"
}

# OPS operations on image $1, as far as they get, with $3 in their midst; what can be
# read then; and a detach. Base $2 as for powercut verify.
write_to()
{
	local dev working forgetting status=0
	try_attach "--direct-io=$direct" "$1" || return 0
	# Else nothing would ever be read that was written.
	"$COLD" forget "${1%/*}" &
	forgetting=$!
	timeout "$LIMIT" "$POWERCUT" work "$dev" /dev/ram0 ops 1 "$OPS" >> log 2>&1 &
	working=$!
	[ -z "${3:-}" ] || "$3"
	wait $working || status=$?
	ended $status "work on $1" || true
	kill_child $forgetting
	look "$2"
	! mends || flush_again
	in_time vmdkctl detach "$dev" || true
	no_disks
}

# What can be read of the disk is right. Base $1 as before.
look()
{
	in_time "$COLD" read "$dev" is.raw || fail "$(tail -n 1 log)"
	unread=$(tail -n 1 log)
	[ "$unread" = 0 ] || saw=$((saw + 1))
	dd if=/dev/ram0 of=marks bs=512 count=5 iflag=direct status=none
	"$POWERCUT" verify ops marks is.raw "$1" || fail "wrong bytes on the disk"
}

# The files work again. A flush that says so too has kept all that could be read before
# it, which is kept.raw for judge; and none does that once a sync has failed.
flush_again()
{
	local state
	for _ in 1 2; do
		state=$(<"/sys/block/${dev##*/}/vmdk/state")
		in_time "$COLD" read "$dev" is.raw
		unread=$(tail -n 1 log)
		in_time dd if=/dev/null of="$dev" conv=fsync,notrunc || continue
		[ "$state" != failed ] || fail "a flush worked after a sync had failed"
		[ "$unread" != 0 ] || mv is.raw kept.raw
		break
	done
}

# Image $1 has leaks at worst, and every sector that was flushed; base $2 as before. With
# $3, a resize may have failed, and left more sectors than the disk showed, but nothing
# in them: see vmdk_resize.c.
judge()
{
	local dev file=$1 base=$2 status=0
	vmdkctl check "$file" > log 2>&1 || status=$?
	case $status in
	0|3)	;;
	*)	fail "check: status $status: $(cat log)" ;;
	esac
	dd if=/dev/ram0 of=marks bs=512 count=5 iflag=direct status=none
	dev=$(attach --no-partscan "$file")
	"$POWERCUT" verify ops marks "$dev" "$base" || fail "$file is not what it was"
	[ -z "${3:-}" ] || [ ! -e kept.raw ] ||
		truncate -s ">$(blockdev --getsize64 "$dev")" kept.raw
	[ ! -e kept.raw ] || cmp "$dev" kept.raw || fail "$file: lost after a flush"
	vmdkctl detach "$dev"
}
