# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154	# set by those that source it
# Sourced by cuts and kills: the disks that are written to, and what becomes of them.
# Set by those: kver; jobs, how many guests side by side; broken, a patch for the
# module; seed; and run_kind(), which is called with the name of a kind.
set -euo pipefail
# shellcheck source=../guest/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../guest/common.sh"

KINDS=(sparse small filled split cowd child overlay snapshot commit resize)
SIZE=$((24 << 20))	# of a disk
FS_FIRST=$((2 << 20))	# byte of the file system; a partition for marks is before
FS_SIZE=$((160 << 20))

# Much is written, and nothing of it is kept: in memory, where there is any.
work=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "$BUILD")" power.XXXXXX)
# What a guest reads: it has a /dev/shm of its own.
mkdir -p "$BUILD/power"
shared=$(mktemp -d -p "$BUILD/power" run.XXXXXX)
trap 'rm -rf "$work" "$shared"' EXIT
PATH=$BUILD/power:$BUILD/tools:$BUILD/tests:$PATH

build()
{
	local source=$TOP
	make -s -C "$TOP" all test-tools power-tools
	suffix=""
	if [ -n "$broken" ]; then
		source=$work/source
		patched_source "$source" "$broken"
		suffix=-$(basename "$broken" .patch)
	fi
	VMDK_SOURCE=$source VMDK_SUFFIX=$suffix "$TOP/tests/guest/kbuild" "$kver" \
		> "$work/kbuild.log" 2>&1 || {
		tail -n 20 "$work/kbuild.log" >&2
		die "the module does not build"
	}
	module=$BUILD/module/$kver$suffix/vmdk.ko
}

# By turns: one goes through the page cache of the image's files, the next around it,
# and with the next seed the other way round.
direct_io()
{
	local i
	for i in "${!KINDS[@]}"; do
		[ "${KINDS[$i]}" != "$1" ] || break
	done
	[ $(((i + $2) % 2)) = 0 ] && echo on || echo off
}

# What the file system begins with, in folder $1, for kind $2: the disk is disk.vmdk,
# and base the stamp of sectors that nobody wrote. libvmdk refuses grains of 4 KiB, and
# takes an extent that ends within a grain for longer than it is.
make_image()
{
	base=0
	export KIND=$2 LIBVMDK=true
	mkdir "$1"
	cd "$1"
	case $2 in
	sparse|snapshot)
		qemu-img create -q -f vmdk disk.vmdk $SIZE ;;
	small|resize)
		LIBVMDK=false
		mkimage --name disk --grain 8 --gtes 128 --zeroed --lazy \
			--extent $((SIZE / 512)) . >/dev/null ;;
	split)	LIBVMDK=false
		mkimage --name disk --type twoGbMaxExtentSparse --grain 16 \
			--extent $((SIZE / 1024 + 5)) \
			--extent $((SIZE / 1024 - 5)) . >/dev/null ;;
	cowd)	truncate -s $SIZE ../zeros
		mkforeign cowd disk.cowd ../zeros --descriptor disk.vmdk >/dev/null ;;
	filled)	base=1
		powercut base ../base $SIZE
		qemu-img convert -O vmdk ../base disk.vmdk ;;
	child|overlay|commit)
		base=1
		powercut base ../base $SIZE
		qemu-img convert -O vmdk ../base base.vmdk
		[ "$2" = overlay ] ||
			qemu-img create -q -f vmdk -b base.vmdk -F vmdk disk.vmdk ;;
	*)	die "no kind $2" ;;
	esac
	# Made by the attach, an overlay has none yet.
	[ "$2" = overlay ] || grep -a -m 1 '^CID=' <(head -c 64K disk.vmdk) > ../cut/cid
	cd - >/dev/null
}

# Two partitions: what mke2fs and the guest find there is what a cut leaves.
make_disk()
{
	mkdir -p "$work/$1/cut" "$shared/$1"/{out,kept}
	make_image "$work/$1/files" "$1"
	truncate -s $((FS_FIRST + FS_SIZE)) "$work/$1/disk"
	printf 'start=2048,size=2048\nstart=4096\n' | sfdisk -q "$work/$1/disk"
	/sbin/mke2fs -q -t ext4 -F -E offset=$FS_FIRST -d "$work/$1/files" \
		"$work/$1/disk" $((FS_SIZE >> 10))k
}

# Those that the judge kept are attached, in one guest.
attach_kept()
{
	"$TOP/tests/guest/run" -k "$kver" -s 1 -m 1G -t 900 \
		-e "MODULE=$module" -e "BASE=$base" -e "PATH=$PATH" \
		-e "KEPT=$shared/$1/kept" \
		"$TOP/tests/power/attach"
}

# Prints its verdict, about $2, when it is over.
judge_kind()
{
	local kind=$1 what=$2 word="ok"
	# In the background, a command that fails ends it, in spite of what follows.
	run_kind "$kind" > "$work/$kind.said" 2>&1 &
	wait $! || word="not ok"
	{
		echo "$word - $what, $kind"
		sed 's/^/# /' "$work/$kind.said"
	} > "$work/$kind.tap"
	cat "$work/$kind.tap"
	rm -rf "${work:?}/$kind" "${shared:?}/$kind"
	[ "$word" = "ok" ]
}

# All kinds, or those that are named after $1, which says what is tried.
judge_kinds()
{
	local what=$1 kind running=0 status=0
	shift
	[ $# -gt 0 ] || set -- "${KINDS[@]}"
	build
	for kind in "$@"; do
		if [ $running = "$jobs" ]; then
			wait -n || status=1
			running=$((running - 1))
		fi
		judge_kind "$kind" "$what" &
		running=$((running + 1))
	done
	for (( ; running; running--)); do
		wait -n || status=1
	done
	echo "1..$#"
	return $status
}
