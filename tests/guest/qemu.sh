# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154	# set by run, which sources this
# A guest on a machine that qemu emulates.

# True if a guest boots with /dev/kvm; asked once per kernel and host boot.
kvm_works()
{
	local known
	known=$BUILD/guest/kvm.$kver.$(cat /proc/sys/kernel/random/boot_id)
	if [ ! -e "$known" ]; then
		if VMDK_KVM=trial VMDK_BOOT_LIMIT=30 "$0" -k "$kver" -t 10 true \
				>/dev/null 2>&1; then
			echo yes > "$known"
		else
			echo no > "$known"
		fi
	fi
	[ "$(cat "$known")" = yes ]
}

# It is slower by far, for races between CPUs alone: of slub's checks it has the names
# of who allocated, which tests/guest/agent wants.
suit_debug_kernel()
{
	mem=$(($(numfmt --from=iec "$mem") * 3 / 2 + (256 << 20)))B
	memory_args="slub_debug=U"
	hang_args="sysctl.kernel.hung_task_timeout_secs=200 \
sysctl.kernel.watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=200 \
workqueue.watchdog_thresh=200"
	BOOT_LIMIT=$((BOOT_LIMIT * 5)) END_LIMIT=$((END_LIMIT * 5))
}

choose_accel()
{
	case ${VMDK_KVM:-} in
	trial)	accel=(-accel kvm -cpu host); return ;;
	1)	if kvm_works; then
			accel=(-accel kvm -cpu host)
			return
		fi ;;
	esac
	# cx16: qemu 7.2 emulates cmpxchg16b wrongly now and then, and the
	# guest's slab allocator falls over. la57, pku: page tables of five levels
	# and memory keys double the time that a guest's process takes to start.
	# erms, fsrm: copies byte by byte, where an emulator's cost is by the step.
	accel=(-accel tcg -cpu "max,-cx16,-la57,-pku,-erms,-fsrm")
	# With one CPU it changes nothing, but it would forbid -icount.
	[ "$cpus" = 1 ] || accel[1]=tcg,thread=multi
}

# A comma in a path has to be doubled for qemu.
quoted()
{
	printf '%s' "${1//,/,,}"
}

# A PC's own arguments: as above.
PC_ARGS="console=ttyS0 mitigations=off nokaslr tsc=reliable no_timer_check \
sysrq_always_enabled"

machine_args()
{
	local n=0 disk share=security_model=none,multidevs=remap
	choose_accel
	# pc would do instead of q35, but its interrupt links take the guest
	# seconds each to set up.
	args=(-M "q35,smm=off,sata=off,smbus=off,usb=off,vmport=off,hpet=off"
		-nodefaults -no-user-config -display none -no-reboot -nic none
		"${accel[@]}" -smp "$cpus" -m "$mem"
		-kernel "$kdir/vmlinux" -initrd "$BUILD/guest/$kver.initramfs"
		-append "$PC_ARGS $KERNEL_ARGS $memory_args $hang_args$kernel_args"
		-serial "file:$(quoted "$outdir/console.log")"
		-chardev "pipe,id=monitor,path=$(quoted "$rundir/monitor")"
		-mon chardev=monitor
		-device virtio-serial-pci
		-chardev "file,id=output,path=$(quoted "$rundir/output")"
		-device "virtserialport,chardev=output,nr=1"
		-chardev "file,id=state,path=$(quoted "$rundir/state")"
		-device "virtserialport,chardev=state,nr=2"
		-virtfs "local,path=/,mount_tag=root,readonly=on,$share"
		-virtfs "local,path=$(quoted "$outdir"),mount_tag=out,$share")
	# A guest's power cut is never the host's, so nothing need be synced.
	for disk in "${disks[@]}"; do
		args+=(-drive "file=$(quoted "$disk"),if=none,id=disk$n,format=raw,cache=unsafe,discard=unmap"
			-device "virtio-blk-pci,drive=disk$n,serial=disk$n")
		n=$((n + 1))
	done
	args+=("${extra_qemu[@]}")
}

# qemu's devices open both pipes, and qemu itself holds them as descriptors 1
# and 3 from the start: the pipes end when it ends, however it ends.
start_machine()
{
	mkfifo "$rundir/monitor.in" "$rundir/monitor.out"
	setpriv --pdeathsig KILL qemu-system-x86_64 "${args[@]}" </dev/null \
		>"$rundir/state" 3>"$rundir/output" 2>"$rundir/machine.log" &
}

# Has a kernel whose programs say nothing any more put on its console what its CPUs do,
# how its memory is, and who is blocked: by its keyboard. Its help marks the end.
ask_kernel()
{
	local key
	for key in l m w h; do
		echo "sendkey alt-sysrq-$key"
	done 1<> "$rundir/monitor.in"	# nobody may be there to read it
	for _ in {1..20}; do
		! grep -qas 'sysrq: HELP' "$outdir/console.log" || return 0
		sleep 1
	done
}
