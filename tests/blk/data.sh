# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by tests that write to images and have others judge the bytes.

EXERCISE=$BUILD/tests/exercise
MKIMAGE=$BUILD/tests/mkimage
for tool in "$EXERCISE" "$MKIMAGE"; do
	[ -x "$tool" ] || fail "no $tool: make -f tests/tools/tools.mk"
done

# Writes an image with options "$@" of mkimage into the new folder $1, and
# prints its path.
new_image()
{
	rm -rf "${1:?}"
	mkdir "$1"
	"$MKIMAGE" "${@:2}" "$1"
}

# Exit status of "$@", whatever it is; its output goes to the test's.
status_of()
{
	local status=0
	"$@" >&2 || status=$?
	echo $status
}

expect_fail()
{
	! "$@" || fail "succeeded: $*"
}

expect_equal()
{
	[ "$2" = "$3" ] || fail "$1: $2, expected $3"
}

# The $1th byte of file $2, and the 4-byte number at byte $1 of file $2.
byte_at()
{
	echo $(($(od -An -tu1 -j "$1" -N 1 "$2")))
}

word_at()
{
	echo $(($(od -An -tu4 -j "$1" -N 4 "$2")))
}

# A counter of disk $1: stat /dev/vmdk0 commits
stat_of()
{
	echo "$(<"/sys/block/${1##*/}/stats/$2")"
}

allocated_bytes()
{
	echo $(($(stat -c %b "$1") * 512))
}

# ------------------------------------------------------------------- judges

# What vmdkctl finds in image $1: nothing, after a detach in order.
judge_check()
{
	vmdkctl check "$1" || fail "vmdkctl check: status $? of $1"
}

# The same bytes by the driver: image $1, raw file $2, more options of exercise.
judge_driver()
{
	local dev
	dev=$(vmdkctl attach --read-only "$1")
	"$EXERCISE" verify --ops 50 --against "$2" "${@:3}" "$dev" ||
		fail "$1 differs after it was attached again"
	vmdkctl detach "$dev"
}

# By qemu.
judge_qemu()
{
	qemu-img check -q -f vmdk "$1" || fail "qemu-img check: status $? of $1"
	qemu-img compare -f vmdk -F raw "$1" "$2" ||
		fail "qemu-img compare: status $? of $1"
}

# Sparse extent $1 alone, of $2 sectors, by qemu, which wants a descriptor; $3
# as for judge_qemu.
judge_extent()
{
	cat > "${1%.vmdk}.alone" <<-EOF
	# Disk DescriptorFile
	version=1
	CID=1
	parentCID=ffffffff
	createType="twoGbMaxExtentSparse"
	RW $2 SPARSE "${1##*/}"
	EOF
	judge_qemu "${1%.vmdk}.alone" "$3"
}

# By libvmdk; of a chain, the last of the files that it shows is the child.
judge_libvmdk()
{
	local status=0
	modprobe fuse
	mkdir -p mnt
	vmdkmount "$1" mnt >vmdkmount.log 2>&1 || {
		cat vmdkmount.log >&2
		fail "vmdkmount: status $? of $1"
	}
	cmp "$(find mnt -type f | sort -V | tail -n 1)" "$2" || status=$?
	umount mnt
	[ $status = 0 ] || fail "libvmdk reads other bytes of $1"
}

# Writes to image $1 at random with seeds $2, from content $3 on (empty: zeros),
# with more options of exercise; leaves what it must hold then in now.raw.
exercise_image()
{
	local image=$1 seeds=$2 before=$3 seed dev
	for seed in $seeds; do
		dev=$(attach "$image")
		"$EXERCISE" random --seed "$seed" --dump next.raw \
			${before:+--against "$before"} "${@:4}" "$dev" ||
			fail "wrong bytes in $image, seed $seed"
		vmdkctl detach "$dev"
		mv next.raw now.raw
		before=now.raw
	done
}

# A raw file $1 of $2 bytes in which sectors differ, and parts are zeros.
make_raw()
{
	head -c $(($2 / 4)) /dev/urandom > "$1"
	truncate -s $(($2 / 2)) "$1"
	head -c $(($2 / 8)) /dev/urandom >> "$1"
	truncate -s "$2" "$1"
}
