# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Sourced by tests after lib.sh: what several of them expect, and do to images.

CTL_PROGRAM=$BUILD/tests/ctl

start_ctl()
{
	[ -n "${CTL_PID:-}" ] || coproc CTL { exec "$CTL_PROGRAM" serve; }
}

# How long it may take to refuse an image, in milliseconds. On an emulated machine
# most of it is the start of vmdkctl, which takes 0.1 s there, and a machine that has
# other things to do takes any time: the fastest of so many attempts counts.
REFUSAL_MS=$((1000 * ${SLOWER:-1}))
REFUSAL_TRIES=5

# The answer of tests/tools/ctl to "${@:2}" must match the shell pattern $1. It
# stays in said. A refusal of an attach has the time that refused() allows, and what
# attaches ten times that: the disk is looked at for partitions, too.
answers()
{
	local pattern=$1 tries=0 took
	shift
	start_ctl
	until ask "$@"; do
		[[ $said != ok* && $((++tries)) -lt $REFUSAL_TRIES ]] ||
			fail "ctl $*: took $took ms"
	done
	# shellcheck disable=SC2053	# it is a pattern
	[[ $said = $pattern ]] ||
		fail "ctl $*: answered '$said', expected '$pattern'"
}

# Sets said and took (milliseconds). Did it come in time?
ask()
{
	local began=${EPOCHREALTIME/./} limit=$REFUSAL_MS
	printf '%s\0' "$@" "" >&"${CTL[1]}"
	read -r -u "${CTL[0]}" said || fail "ctl $*: no answer"
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
	[[ $said != ok* ]] || limit=$((10 * limit))
	[[ $1 != attach || $took -lt $limit ]]
}

# From here on the memory is counted that ctl takes, and the kernel for it.
count_memory()
{
	CTL_CGROUP=/sys/fs/cgroup/$TEST_NAME
	echo +memory > /sys/fs/cgroup/cgroup.subtree_control
	mkdir "$CTL_CGROUP"
	start_ctl
	echo "$CTL_PID" > "$CTL_CGROUP/cgroup.procs"
	on_exit stop_counting
}

# shellcheck disable=SC2317,SC2329	# called by on_exit
stop_counting()
{
	kill_child "$CTL_PID"
	rmdir "$CTL_CGROUP"
}

# It was no more than $1 MiB at any time.
took_at_most()
{
	local peak
	peak=$(<"$CTL_CGROUP/memory.peak")
	note "$((peak >> 10)) KiB of memory at most"
	[ "$peak" -le $(($1 << 20)) ] || fail "$peak bytes of memory"
}

# Runs "$@", and sets status and took (milliseconds).
timed()
{
	local began=${EPOCHREALTIME/./}
	status=0
	"$@" >"$SCRATCH/.out" 2>"$SCRATCH/.err" || status=$?
	took=$(((${EPOCHREALTIME/./} - began) / 1000))
}

# Command "${@:2}" must exit with 1, print nothing on stdout, and one line on
# stderr that has the extended regular expression $1 in it, in time.
refused()
{
	local pattern=$1 limit=$REFUSAL_MS tries=0 status took lines
	shift
	# Others may have to wait: a detach does, for who has the disk open.
	[ "${2:-}" = attach ] || limit=$((10 * limit))
	until timed "$@"; [[ $took -lt $limit || $((++tries)) -ge $REFUSAL_TRIES ]]; do
		note "$*: $took ms"
	done
	mapfile -t lines < "$SCRATCH/.err"
	[ "$status" = 1 ] ||
		fail "$*: exit status $status, expected 1; ${lines[*]}"
	[ ! -s "$SCRATCH/.out" ] || fail "$*: stdout: $(cat "$SCRATCH/.out")"
	[ ${#lines[@]} = 1 ] || fail "$*: not one line: ${lines[*]}"
	[[ ${lines[0]} =~ $pattern ]] || fail "$*: '${lines[0]}' lacks '$pattern'"
	[ "$took" -lt $limit ] || fail "$*: took $took ms"
}

# Command "${@:2}" must exit with $1.
exits()
{
	local expected=$1 status=0
	shift
	"$@" >"$SCRATCH/.out" 2>"$SCRATCH/.err" || status=$?
	[ $status = "$expected" ] ||
		fail "$*: exit status $status, expected $expected; $(cat "$SCRATCH/.err")"
}

# Command "$@" must fail, however.
fails()
{
	! "$@" >"$SCRATCH/.out" 2>&1 || fail "succeeded: $*"
}

# An image of format vmdk: sparse_image FILE SIZE [SUBFORMAT]
sparse_image()
{
	qemu-img create -q -f vmdk -o "subformat=${3:-monolithicSparse}" "$1" "$2"
}

# qemu-io has an image open, as it is until let_go: hold_with_qemu [-r] FILE
hold_with_qemu()
{
	[ -p hold ] || mkfifo hold
	qemu-io -f vmdk "$@" <> hold >qemu.log 2>&1 &
	holder=$!
	exec 7<>hold
	echo "length" >&7
	# shellcheck disable=SC2016	# evaluated later
	wait_for 'grep -q . qemu.log' 20 || fail "qemu-io does not start"
}

let_go()
{
	echo quit >&7
	wait "$holder" || true
	exec 7>&-
}

# Prints a little-endian number as escapes for printf: bytes WIDTH VALUE
bytes()
{
	local n
	for ((n = 0; n < $1; n++)); do
		printf '\\x%02x' $((($2 >> (8 * n)) & 255))
	done
}

# Puts little-endian numbers: poke FILE [BYTE WIDTH VALUE]...
poke()
{
	answers ok poke "$@"
}

# A copy with other numbers in it: copy FROM TO [BYTE WIDTH VALUE]...
copy()
{
	answers ok copy "$@"
}

# Two files must have the same bytes.
same_files()
{
	answers ok same "$1" "$2"
}

# Prints a little-endian number: peek FILE BYTE WIDTH
peek()
{
	local number
	number=$(od -An -v -t "u$3" -j "$2" -N "$3" --endian=little "$1")
	echo "${number// /}"
}

# Waits until $3 writes of process $2 have been counted of disk $1.
writes_come()
{
	# shellcheck disable=SC2034	# wait_for uses them
	local file=/sys/block/${1##*/}/stat writer=$2 count=$3 stat
	# shellcheck disable=SC2016	# evaluated later
	wait_for 'read -ra stat < "$file"
		[ "${stat[4]}" -ge "$count" ] || ! kill -0 "$writer"' 120
	kill -0 "$writer"
}

# The random operations of process $1 were to last as long as $2 did, and have: they end
# here, and compare the whole disk.
end_exercise()
{
	kill "$1" || fail "the I/O ended before the $2 did"
	wait "$1" || fail "wrong bytes, or an error, during the $2"
}

# Reads and writes in flight of disk $dev become $1.
in_flight()
{
	# shellcheck disable=SC2034,SC2154	# wait_for uses it; the caller's dev
	local counts=() wanted=$1 file=/sys/block/${dev##*/}/inflight
	# shellcheck disable=SC2016	# evaluated later
	wait_for 'read -ra counts < "$file"; [ "${counts[*]}" = "$wanted" ]' 20 ||
		fail "in flight: ${counts[*]}, expected $1"
}

# Process $1 waits in a kernel function with $2 in its name. (wchan knows no better than
# "somewhere" in a User Mode Linux.)
waits_in()
{
	# shellcheck disable=SC2034	# wait_for uses them
	local waiter=$1 where=$2
	# shellcheck disable=SC2016	# evaluated later
	wait_for '[[ $(<"/proc/$waiter/stack") = *"$where"* ]]' 20 ||
		fail "$1 does not wait in $2: $(tr '\n' ' ' < "/proc/$1/stack")"
}

no_disks()
{
	local disk
	for disk in /sys/block/vmdk*; do
		[ ! -e "$disk" ] || fail "there is ${disk##*/}"
	done
}

# Disk $dev, which is being changed, comes to answer no more, whatever is asked for: then
# process $reader is still waiting for the 64 KiB from 64 KiB * $1 on, in file "got".
stands_still()
{
	# shellcheck disable=SC2034	# the caller's
	reader=""
	wait_for "has_stopped $1" 20 || fail "the disk went on"
}

# shellcheck disable=SC2317,SC2329,SC2034	# called by wait_for; the caller's
has_stopped()
{
	dd if="$dev" of=got bs=64K skip="$1" count=1 iflag=direct status=none &
	reader=$!
	# shellcheck disable=SC2016	# evaluated later
	! wait_for '! [ -e /proc/$reader ]' 1
}

# Disk $1 goes without anyone who waits for it: at the last close of a lazy detach; or,
# refused, when the kernel has looked for partitions, from Linux 6.9 on after the call.
disk_goes()
{
	wait_for "[ ! -e /sys/block/$1 ]" 30 || fail "$1 is left"
}

# And a moment later, its files are closed: image $1 is anybody's again.
lock_goes()
{
	wait_for "qemu-img check -q $1" 30 || fail "$1 is locked"
}

# The only disk, of extent $1, goes, though no call ends then: what lets go of its file,
# and then of its number, comes after that.
unheard_goes()
{
	disk_goes vmdk0
	wait_for "is_first $1" 30 || fail "$1, or number 0, is in use"
}

# shellcheck disable=SC2317,SC2329	# called by wait_for
is_first()
{
	local index
	ask attach "$1"
	[[ $said != EBUSY* ]] || return
	[[ $said = "ok "* ]] || fail "ctl attach $1: $said"
	index=${said#ok }
	answers ok detach "$index"
	[ "$index" = 0 ]
}

# Writes a partition table: mbr_table FILE SECTOR TYPE:FIRST:SECTORS...
mbr_table()
{
	local file=$1 sector=$2 n=0 entry type first sectors text=""
	for entry in "${@:3}" 0:0:0 0:0:0 0:0:0; do
		[ $n -lt 4 ] || break
		IFS=: read -r type first sectors <<< "$entry"
		text+='\x00\x00\x00\x00'$(bytes 1 "$type")'\x00\x00\x00'
		text+=$(bytes 4 "$first")$(bytes 4 "$sectors")
		n=$((n + 1))
	done
	# shellcheck disable=SC2059	# escapes are what it is for
	printf "$text"'\x55\xaa' | dd of="$file" bs=1 \
		seek=$((sector * 512 + 446)) conv=notrunc,fsync status=none
}

# Sets tracing to the folder of what the kernel can trace.
find_tracing()
{
	tracing=/sys/kernel/tracing
	[ -e $tracing/trace ] || mount -t tracefs tracefs $tracing
}

# Makes /dev/mapper/under, on a RAM disk of $1 MiB, with a file system that
# "${@:2}" makes of it.
make_under()
{
	modprobe -a dm-mod dm-flakey || skip "no module dm-flakey"
	modprobe brd rd_nr=1 rd_size=$(($1 << 10)) || skip "no module brd"
	on_exit rmmod brd
	UNDER_SECTORS=$(($1 << 11))
	dmsetup create under --noudevsync --table "0 $UNDER_SECTORS linear /dev/ram0 0"
	on_exit dmsetup remove --noudevsync under
	dmsetup mknodes
	"${@:2}" /dev/mapper/under
}

# What is asked of /dev/mapper/under waits, from hold_under to release_under.
hold_under()
{
	dmsetup suspend --noudevsync --nolockfs --noflush under
}

release_under()
{
	dmsetup resume --noudevsync under
}

# Changes what /dev/mapper/under does, from now on: linear, error (all fails),
# error_writes (writes fail, reads do not), or that in sectors $2 to $3 alone.
switch_under()
{
	local table="0 $UNDER_SECTORS" fails="flakey /dev/ram0"
	case $1 in
	linear)		table+=" linear /dev/ram0 0" ;;
	error)		table+=" error" ;;
	error_writes)	table+=" $fails 0 0 3600 1 error_writes" ;;
	error_part)
		table="0 $2 linear /dev/ram0 0
			$2 $(($3 - $2)) $fails $2 0 3600 1 error_writes
			$3 $((UNDER_SECTORS - $3)) linear /dev/ram0 $3" ;;
	esac
	hold_under
	dmsetup load under --table "$table"
	release_under
}
