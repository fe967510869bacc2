# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154	# set by run, which sources this
# A guest whose kernel is a program of this host (User Mode Linux): nothing is
# emulated, and a checker costs it what it costs any program. It has one CPU, whatever
# is asked for: in 7.2, a process that runs on another one is not told when a page is
# taken from it, and goes on with memory that is somebody else's.

# Most of what the checkers note is outside of the guest's memory.
suit_debug_kernel()
{
	mem=$(($(numfmt --from=iec "$mem") * 5 / 4 + (64 << 20)))B
	memory_args=""	# they know better than slub
}

machine_args()
{
	local n=0 disk
	[ ${#extra_qemu[@]} = 0 ] || die "kernel $kver does not run in qemu"
	args=(mem="${mem%B}" ncpus=1 seccomp=on
		initrd="$BUILD/guest/$kver.initramfs"
		con=null "con0=null,fd:1" ssl=null "ssl0=null,fd:5" "ssl1=null,fd:6"
		console=tty0 "OUT=\"$outdir\"")
	for disk in "${disks[@]}"; do
		args+=("ubd$n=$disk")
		n=$((n + 1))
	done
	# shellcheck disable=SC2206	# one word each
	args+=($KERNEL_ARGS $memory_args $hang_args $kernel_args)
}

# The two pipes end when the kernel does, for its processes have neither. A kernel
# that panics sends a signal to all of its session.
start_machine()
{
	setpriv --pdeathsig KILL setsid "$kdir/vmlinux" "${args[@]}" </dev/null \
		>"$outdir/console.log" 2>&1 5>"$rundir/output" 6>"$rundir/state" &
}

# Nothing reaches this kernel but through its programs.
ask_kernel()
{
	:
}
