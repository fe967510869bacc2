# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by the tests in tests/blk, which run as root inside a guest (by
# tests/run, or singly: tests/guest/run tests/blk/NNN-name). A test looks so:
#
#	#!/bin/bash
#	# SPDX-License-Identifier: GPL-2.0
#	DESCRIPTION="what must hold"
#	TIMEOUT=120			# seconds, default 60
#	GUEST="-m 2G -s 4"		# arguments of tests/guest/run
#	KERNELS="6.1 6.12"		# only there; default: all
#	LONG=yes			# only with VMDK_LONG=1: make test-long
#	ALLOW_DMESG='regex'		# kernel complaints that it provokes
#	. "$(dirname "$0")/../lib.sh"
#
# The settings are one line each. The shell is in -euo pipefail mode; a test
# passes when it ends with 0, and any command that fails ends it. The module is
# loaded here (unless NO_MODULE is set), and removed after the test by its
# runner, who also looks at the kernel's messages, and for leaks.

set -euo pipefail
: "${DESCRIPTION-}${TIMEOUT-}${GUEST-}${KERNELS-}${LONG-}${ALLOW_DMESG-}"	# tests/run's

: "${TOP:=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}"
BUILD=$TOP/build
PATH=$BUILD/tools:$TOP/tests/guest:$PATH
export TOP BUILD PATH

: "${KVER:=6.1}" "${TEST_NAME:=${0##*/}}"
: "${TEST_STATE:=$(mktemp -d /run/test.XXXXXX)}"
MODULE=${MODULE:-$BUILD/module/$KVER/vmdk.ko}
SAMPLES=${VMDK_SAMPLES:-}	# see need_samples

# A folder of the test's own, on tmpfs.
SCRATCH=/scratch/$TEST_NAME
[ -d "$SCRATCH" ] || mkdir -p "$SCRATCH"
cd "$SCRATCH"

note()
{
	echo "# $*"
}

fail()
{
	echo "$*" > "$TEST_STATE/reason"
	echo "FAIL: $*" >&2
	exit 1
}

skip()
{
	echo "$*" > "$TEST_STATE/reason"
	touch "$TEST_STATE/skipped"
	echo "SKIP: $*"
	exit 4
}

# A command that fails says where, as set -e alone would not.
# shellcheck disable=SC2317,SC2329	# called by trap
failed_command()
{
	[ -s "$TEST_STATE/reason" ] ||
		echo "line $2: status $1 of: $3" > "$TEST_STATE/reason"
	echo "FAIL: ${0##*/}:$2: status $1 of: $3" >&2
}
set -o errtrace
# shellcheck disable=SC2154	# the trap sets it first
trap '_status=$?; [ "$BASH_SUBSHELL" != 0 ] || failed_command $_status $LINENO "$BASH_COMMAND"' ERR

# Runs "$@" when the test ends, however it ends; the last one first. It may be
# called in a subshell.
on_exit()
{
	printf '%q ' "$@" >> "$TEST_STATE/on_exit"
	echo >> "$TEST_STATE/on_exit"
}

# shellcheck disable=SC2317,SC2329	# called by trap
clean_up()
{
	local result=$? commands=() n
	set +e
	trap - ERR
	cd /
	[ ! -e "$TEST_STATE/on_exit" ] ||
		mapfile -t commands < "$TEST_STATE/on_exit"
	for ((n = ${#commands[@]} - 1; n >= 0; n--)); do
		eval "${commands[n]}" || {
			echo "cannot clean up: ${commands[n]}" >&2
			[ $result != 0 ] || result=1
		}
	done
	rm -rf --one-file-system "$SCRATCH"
	exit $result
}
trap clean_up EXIT

scratch()
{
	echo "$SCRATCH"
}

require_cmd()
{
	local cmd
	for cmd in "$@"; do
		command -v "$cmd" >/dev/null || skip "no command $cmd"
	done
}

# Loads modules of the kernel's own.
require_module()
{
	local module
	for module in "$@"; do
		modprobe "$module" 2>/dev/null || skip "no module $module"
	done
}

# Prints the guest's disk $1 (a, b...), of those that GUEST asks for with -d.
guest_disk()
{
	local dev
	for dev in "/dev/vd$1" "/dev/ubd$1"; do
		[ ! -b "$dev" ] || { echo "$dev"; return; }
	done
	fail "no disk $1"
}

# For tests that read the samples in $SAMPLES.
need_samples()
{
	[ -n "$SAMPLES" ] || skip "VMDK_SAMPLES is not set"
	[ -d "$SAMPLES" ] || fail "VMDK_SAMPLES is no folder: $SAMPLES"
}

# Loads the module anew, with parameters "$@".
# shellcheck disable=SC2120	# tests pass them
load_module()
{
	local needed=${MODULE_NEEDS-$(modinfo -F depends "$MODULE")}
	[ ! -d /sys/module/vmdk ] || rmmod vmdk
	needed=${needed//,/ }
	# shellcheck disable=SC2086	# one word each
	[ -z "$needed" ] || modprobe -a $needed
	insmod "$MODULE" "$@" || fail "cannot load $MODULE"
}

# Attaches image $1 (with options of vmdkctl attach) until the test ends, and
# prints the disk: dev=$(attach disk.vmdk --read-only)
attach()
{
	local dev
	dev=$(vmdkctl attach "$@")
	[ -b "$dev" ] || fail "vmdkctl attach $*: printed '$dev'"
	on_exit detach_if_there "$dev"
	echo "$dev"
}

# A test may have detached its disk itself.
# shellcheck disable=SC2317,SC2329	# called by on_exit
detach_if_there()
{
	[ ! -b "$1" ] || vmdkctl detach "$1"
}

# Kills and collects child $1 of this shell, which may have ended.
kill_child()
{
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

# Polls until the command $1 succeeds, no longer than $2 seconds (of a machine
# that is not busy): only for what nothing can be waited for.
wait_for()
{
	local end=$((SECONDS + $2 * ${SLOWER:-1}))
	until eval "$1"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# Starts the host's udevd in this guest, with the project's rules. Wait for it
# with: udevadm settle
start_udev()
{
	local udevd=/lib/systemd/systemd-udevd
	require_cmd udevadm
	[ -x $udevd ] || skip "no $udevd"
	mkdir -p /run/udev/rules.d
	cp "$TOP"/tools/udev/*.rules /run/udev/rules.d/
	$udevd &	# not a daemon: its end, which may take a while, is awaited
	on_exit kill_child $!
	wait_for "udevadm control --ping 2>/dev/null" 20 || fail "no udevd"
	udevadm settle
}

if [ -z "${NO_MODULE:-}" ] && [ ! -d /sys/module/vmdk ]; then
	# shellcheck disable=SC2119
	load_module
fi
