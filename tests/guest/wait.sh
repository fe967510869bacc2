# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034	# status is for the caller
# Sourced by what runs inside the guest.

# Waits for child $1, but no longer than $2 seconds; true when it has ended,
# then its exit status is in $status.
wait_at_most()
{
	local timer ended=""
	sleep "$2" &
	timer=$!
	wait -n -p ended "$1" "$timer" 2>/dev/null
	status=$?
	[ "$ended" != "$timer" ] || return 1
	kill "$timer" 2>/dev/null
	wait "$timer" 2>/dev/null
	# wait -n no longer knows a child that had ended before it was called.
	if [ -z "$ended" ]; then
		wait "$1" 2>/dev/null
		status=$?
	fi
	return 0
}
