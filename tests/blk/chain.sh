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
	vmdkctl check --chain "$1" > check.log || fail "vmdkctl check: status $? of $1"
	! grep -q ' 0 zeroed' check.log
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

# A chain c0.vmdk, c1.vmdk, ... of 8 MiB, of a base of format $1 and children that
# the programs "${@:2}" make, each written to at random. content.raw is what it has;
# $top and $parent are names of two links, without .vmdk.
make_chain()
{
	local n=0 program
	rm -f c[0-9].vmdk c0.data c0-*.vmdk
	make_raw base.raw $((8 << 20))
	new_base "$1" base.raw c0
	cp base.raw content.raw
	for program in "${@:2}"; do
		new_child c$n.vmdk c$((n + 1)).vmdk "$program"
		n=$((n + 1))
		exercise_image c$n.vmdk $((RANDOM)) content.raw --ops 150
		mv now.raw content.raw
	done
	# shellcheck disable=SC2034	# the caller uses them
	top=c$n parent=c$((n - 1))
}

# After a commit $parent alone is as good as the whole chain was, also for the judges
# $1 (see judge_child); $top is refused, and has the sum $2 still.
judge_commit()
{
	judge_check "$parent.vmdk"
	judge_driver "$parent.vmdk" content.raw
	judge_child "$parent.vmdk" content.raw "$1"
	refused "parentCID is" vmdkctl attach "$top.vmdk"
	[ "$(sha256sum < "$top.vmdk")" = "$2" ] || fail "the top was changed"
}
