# SPDX-License-Identifier: GPL-2.0
# usage: awk -v dev=MAJOR,MINOR -f order.awk PLACES TRACE
# Prints what is wrong with the order of writes. PLACES has lines "BATCH target SECTOR"
# and "BATCH pointer SECTOR": what a batch of writes makes durable, and what then points
# to it. TRACE is the kernel's, of requests, with marks "begin BATCH" and "end BATCH"; at
# the end all is flushed. What was complete when a flush began is durable when the flush
# is complete; of flushes, a queue has one at a time.

FNR == NR {
	role[$1, $3] = $2
	next
}

function begin(   key, part)
{
	split("", target)
	split("", pointer)
	split("", done)
	flushed = 0
	for (key in role) {
		split(key, part, SUBSEP)
		if (part[1] != batch)
			continue
		if (role[key] == "target")
			target[part[2]]
		else
			pointer[part[2]]
	}
}

function is_durable(sector)
{
	return sector in done && done[sector] <= flushed
}

function end(   sector)
{
	for (sector in pointer)
		if (!is_durable(sector))
			print "batch " batch ": sector " sector " points, and was not flushed"
}

function issue_write(   sector, points)
{
	for (sector = from; sector < to; sector++) {
		delete done[sector]
		if (sector in pointer)
			points = sector
	}
	if (!points)
		return
	for (sector in target)
		if (!is_durable(sector))
			print "batch " batch ": sector " points " is written, and what " \
				"it points to, " sector ", is not durable"
}

function complete_write(   sector)
{
	for (sector = from; sector < to; sector++)
		done[sector] = FNR
}

# EVENT: MAJOR,MINOR RWBS [BYTES] () SECTOR + SECTORS..., from field @at on
function request(at,   rwbs, is_issue)
{
	is_issue = $at ~ /issue/
	rwbs = $(at + 2)
	while ($at != "+")
		at++
	from = $(at - 1)
	to = from + $(at + 1)
	if (rwbs ~ /^F/ && from == to) {
		if (is_issue)
			flushing = FNR
		else if ($NF == "[0]")
			flushed = flushing
	} else if (rwbs ~ /W/) {
		if (is_issue)
			issue_write()
		else if ($NF == "[0]")
			complete_write()
	}
}

/: tracing_mark_write: begin / {
	batch = $NF
	begin()
}

/: tracing_mark_write: end / {
	end()
	seen[batch]
	batch = ""
}

batch != "" && match($0, /: block_rq_(issue|complete): /) {
	for (at = 1; $at !~ /^block_rq_/; at++)
		;
	if ($(at + 1) == dev)
		request(at)
}

END {
	for (key in role) {
		split(key, part, SUBSEP)
		if (!(part[1] in seen) && !told[part[1]]++)
			print "batch " part[1] ": not in the trace"
	}
}
