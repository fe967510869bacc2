# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by tests of chains, after data.sh and expect.sh.

MKFOREIGN=$BUILD/tests/mkforeign
require_cmd qemu-img vmdkmount

# The content id of image $1, or its parent's: cid_of FILE [PARENT-CID]
cid_of()
{
	vmdkctl info --raw -no "${2:-CID}" "$1"
}

# A child $2 of image $1, by vmdkctl or by qemu-img ($3).
new_child()
{
	rm -f "$2"
	case $3 in
	vmdkctl) vmdkctl snapshot "$1" "$2" ;;
	qemu)	 qemu-img create -q -f vmdk -b "$1" -F vmdk "$2" ;;
	zeroed)	 qemu-img create -q -f vmdk -o zeroed_grain=on -b "$1" -F vmdk "$2" ;;
	esac
}

# An image of format $1 of raw file $2, called $3.vmdk.
new_base()
{
	local size
	size=$(($(stat -c %s "$2") / 512))
	rm -rf "$3" "$3".*
	case $1 in
	cowd|sesparse)
		"$MKFOREIGN" "$1" "$3.data" "$2" --descriptor "$3.vmdk" > show.log ;;
	stream)
		qemu-img convert -f raw -O vmdk -o subformat=streamOptimized \
			"$2" "$3.vmdk" ;;
	sparse)
		"$MKIMAGE" --name "$3" --extent $size --fill "$2" . > show.log ;;
	small)
		"$MKIMAGE" --name "$3" --grain 8 --gtes 128 --zeroed \
			--zero-entries --extent $size --fill "$2" . > show.log ;;
	flat)
		"$MKIMAGE" --name "$3" --type monolithicFlat --extent $size \
			--fill "$2" . > show.log ;;
	split)
		"$MKIMAGE" --name "$3" --type twoGbMaxExtentSparse --extent 1024 \
			--extent 3072 --extent $((size - 4096)) --fill "$2" . > show.log ;;
	custom)
		"$MKIMAGE" --name "$3" --type custom --extent RW:SPARSE:1024 \
			--extent RW:FLAT:1000 --extent RW:SPARSE:2072 \
			--extent RW:FLAT:$((size - 4096)) --fill "$2" . > show.log ;;
	esac
}

# libvmdk (of 2020) takes a zeroed grain of a child for an absent one, and shows
# what the parent has there. It knows no small grains, no seSparse, no custom
# disks, and no flat ones as parents.
has_zeroed_grains()
{
	! vmdkctl check --chain "$1" | grep -q ' 0 zeroed'
}

# Judges of child $1 that must hold raw file $2; $3: some of "qemu libvmdk".
judge_child()
{
	vmdkctl check --chain "$1" || fail "vmdkctl check: status $? of $1"
	if [[ $3 = *qemu* ]]; then
		qemu-img check -q -f vmdk "$1" ||
			fail "qemu-img check: status $? of $1"
		qemu-img compare -q -f vmdk -F raw "$1" "$2" ||
			fail "qemu-img compare: status $? of $1"
	fi
	[[ $3 != *libvmdk* ]] || has_zeroed_grains "$1" ||
		judge_libvmdk "$1" "$2"
}

# Sums of all files that the chain below the top $1 consists of.
sums_below()
{
	find . -maxdepth 1 -type f ! -name "${1##*/}" \( -name '*.vmdk' -o \
		-name '*.data' -o -name '*.ova' \) -exec sha256sum {} + | sort
}
