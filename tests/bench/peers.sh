# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154,SC2317,SC2329	# functions are called by name
# Sourced by tests/bench/guest: the ways to get at a disk. For a peer P:
#
#	needs_P		succeeds if it is here, or says why not
#	up_P KIND	makes a disk of image KIND and sets dev
#	down_P		takes it away
#
# The kinds are files in the folder $place: full (all grains there), empty (no grain),
# stream (compressed), each as KIND.vmdk and as KIND.raw; and chain (32 links), which
# the driver alone reads.

# Waits for "$@" to succeed: for daemons that do not say when they are ready.
await()
{
	local end=$((SECONDS + 10))
	while [ $SECONDS -lt $end ]; do
		! "$@" 2>/dev/null || return 0
	done
	echo "$* failed for 10 s" >&2
	return 1
}

have()
{
	command -v "$1" >/dev/null || { echo "no command $1"; return 1; }
}

have_module()
{
	modprobe -q "$@" || { echo "no module $1"; return 1; }
}

# What the peer's images are.
format()
{
	[[ $peer = loop* || $peer = null_blk || $peer = dm_linear ]] && echo raw || echo vmdk
}

# Makes the image anew that a row writes to from nothing, or frees, or that has to be
# what its children expect.
fresh()
{
	case $1 in
	empty)	rm -f "$place/empty.raw"
		truncate -s "$EMPTY_SIZE" "$place/empty.raw"
		cp "$store/empty.vmdk" "$place/" ;;
	full)	cp "$store/full.$(format)" "$place/" ;;
	chain)	cp "$store/full.vmdk" "$place/" ;;
	esac
}

# ---- the driver

needs_vmdk() { :; }

up_vmdk()
{
	local options=()
	[ "$1" != stream ] || options=(--read-only)
	dev=$(vmdkctl attach --no-partscan "${options[@]}" "${vmdk_options[@]}" \
		"$place/$1.vmdk")
}

down_vmdk() { vmdkctl detach "$dev"; }

needs_vmdk_direct() { needs_direct; }

up_vmdk_direct()
{
	local vmdk_options=(--direct-io on)
	up_vmdk "$1"
}

down_vmdk_direct() { down_vmdk; }

# ---- loop over a raw file

needs_loop() { have_module loop; }
up_loop() { dev=$(losetup --find --show "${loop_options[@]}" "$place/$1.raw"); }
down_loop() { losetup -d "$dev"; }

needs_direct()
{
	[ "${place##*/}" != tmpfs ] || { echo "no direct I/O on tmpfs"; return 1; }
}

needs_loop_direct() { needs_loop && needs_direct; }

up_loop_direct()
{
	local loop_options=(--direct-io=on)
	up_loop "$1"
}

down_loop_direct() { down_loop; }

# ---- a raw file's disk below device mapper

needs_dm_linear() { needs_loop && have dmsetup && have_module dm-mod; }

up_dm_linear()
{
	local sectors
	up_loop "$1"
	lower=$dev
	sectors=$(blockdev --getsz "$lower")
	echo "0 $sectors linear $lower 0" | dmsetup create --noudevsync bench
	dmsetup mknodes bench
	dev=/dev/mapper/bench
}

down_dm_linear()
{
	dmsetup remove --noudevsync bench
	losetup -d "$lower"
}

# ---- no disk at all: what the block layer costs

needs_null_blk()
{
	have_module null_blk nr_devices=0 || return
	[ -d /sys/kernel/config/nullb ] ||
		 mount -t configfs configfs /sys/kernel/config
}

up_null_blk()
{
	local disk=/sys/kernel/config/nullb/bench
	mkdir $disk
	echo 512 > $disk/blocksize
	echo $((${CONTENT_SIZE%M})) > $disk/size
	echo 1 > $disk/power
	dev=/dev/bench
	[ -b $dev ] || dev=/dev/nullb$(cat $disk/index)
}

down_null_blk()
{
	echo 0 > /sys/kernel/config/nullb/bench/power
	rmdir /sys/kernel/config/nullb/bench
}

# ---- qemu-nbd; the report takes the best of its settings

up_nbd()
{
	qemu-nbd --fork --pid-file=/run/nbd.pid --cache="$2" --aio="$3" \
		--discard=unmap -f vmdk -c /dev/nbd0 "$place/$1.vmdk"
	dev=/dev/nbd0
	await nbd_is_there
}

# qemu-nbd goes into the background before it has told the kernel all.
nbd_is_there() { [ "$(</sys/block/nbd0/size)" -gt 0 ]; }

down_nbd()
{
	qemu-nbd -d /dev/nbd0 >/dev/null
	await nbd_is_gone
}

nbd_is_gone() { [ ! -e /sys/block/nbd0/pid ]; }

needs_nbd_threads() { have qemu-nbd && have_module nbd nbds_max=1 max_part=0; }
up_nbd_threads() { up_nbd "$1" writeback threads; }
down_nbd_threads() { down_nbd; }

needs_nbd_uring() { needs_nbd_threads; }
up_nbd_uring() { up_nbd "$1" writeback io_uring; }
down_nbd_uring() { down_nbd; }

needs_nbd_direct_native() { needs_nbd_threads && needs_direct; }
up_nbd_direct_native() { up_nbd "$1" none native; }
down_nbd_direct_native() { down_nbd; }

needs_nbd_direct_uring() { needs_nbd_threads && needs_direct; }
up_nbd_direct_uring() { up_nbd "$1" none io_uring; }
down_nbd_direct_uring() { down_nbd; }

# ---- FUSE and loop

needs_fuse()
{
	needs_loop && have qemu-storage-daemon && have_module fuse
}

up_fuse()
{
	local read_only=off writable=on
	[ "$1" != stream ] || read_only=on writable=off
	: > /run/exported
	qemu-storage-daemon --daemonize --pidfile /run/fuse.pid \
		--blockdev "file,node-name=file,filename=$place/$1.vmdk,read-only=$read_only" \
		--blockdev "vmdk,node-name=disk,file=file,read-only=$read_only" \
		--export "fuse,id=bench,node-name=disk,mountpoint=/run/exported,writable=$writable"
	dev=$(losetup --find --show /run/exported)
}

down_fuse()
{
	local pid
	losetup -d "$dev"
	pid=$(cat /run/fuse.pid)
	kill "$pid"
	await gone "$pid"
}

gone() { ! kill -0 "$1"; }

# ---- libvmdk's FUSE and loop: reads only

needs_vmdkmount() { needs_loop && have vmdkmount && have_module fuse; }

up_vmdkmount()
{
	mkdir -p /run/vmdkmount
	vmdkmount "$place/$1.vmdk" /run/vmdkmount >/dev/null
	await test -e /run/vmdkmount/vmdk1
	dev=$(losetup --read-only --find --show /run/vmdkmount/vmdk1)
}

down_vmdkmount()
{
	losetup -d "$dev"
	umount /run/vmdkmount
}

# ---- ublk's target loop, over a raw file, where ublksrv is installed

needs_ublk() { have_module ublk_drv && have ublk; }

up_ublk()
{
	ublk add -t loop -n 0 -f "$place/$1.raw" >/dev/null
	dev=/dev/ublkb0
	await test -b $dev
}

down_ublk() { ublk del -n 0 >/dev/null; }
