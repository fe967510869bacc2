// SPDX-License-Identifier: GPL-2.0
/*
 * Making both copies of directory and tables alike after an interrupted commit.
 *
 * A commit writes the redundant copy, then the primary, and every copy points
 * at nothing but data that was durable before it.  So of two entries that
 * differ either is right, and the greater one is taken: a grain rather than
 * zeros, zeros rather than nothing.  Each single write leaves a valid image,
 * and doing it again changes nothing more.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "grain_tables.h"

static const enum vmdk_copy write_order[] = { VMDK_REDUNDANT, VMDK_PRIMARY };

#define SECTOR_ENTRIES	(VMDK_SECTOR_SIZE / sizeof(__le32))

static int sync_data(int fd)
{
	return fdatasync(fd) ? -errno : 0;
}

/* Which copy lacks table @index that the other has?  VMDK_COPIES: neither. */
static enum vmdk_copy lacks_table(const struct vmdk_tables *t, u32 index)
{
	bool primary = t->gd[VMDK_PRIMARY][index];
	bool redundant = t->gd[VMDK_REDUNDANT][index];

	if (primary == redundant)
		return VMDK_COPIES;
	return primary ? VMDK_REDUNDANT : VMDK_PRIMARY;
}

/*
 * Append a copy of each table that one directory lacks, and enter it in memory.
 * The file stays a multiple of the grain, as writers append grains at its end.
 */
static int append_tables(struct vmdk_tables *t, u64 *next)
{
	size_t size = (size_t)t->geo.gt_sectors << VMDK_SECTOR_SHIFT;
	u64 mask = t->geo.grain_sectors - 1;
	const __le32 *table;
	u32 i;
	int ret;

	for (i = 0; i < t->geo.gd_entries; i++) {
		enum vmdk_copy to = lacks_table(t, i);

		if (to == VMDK_COPIES)
			continue;
		if (*next + t->geo.gt_sectors > VMDK_SPARSE_SECTORS_MAX)
			return -EFBIG;
		ret = vmdk_tables_get(t, !to, i, &table);
		if (!ret)
			ret = vmdk_pwrite_all(t->part.fd, table, size,
					      *next << VMDK_SECTOR_SHIFT);
		if (ret)
			return ret;
		t->gd[to][i] = *next;
		*next += t->geo.gt_sectors;
	}
	if (ftruncate(t->part.fd, (off_t)(((*next + mask) & ~mask)
				     << VMDK_SECTOR_SHIFT)))
		return -errno;
	return sync_data(t->part.fd);
}

static int write_entry(struct vmdk_tables *t, enum vmdk_copy copy, u32 index)
{
	__le32 gde = cpu_to_le32(t->gd[copy][index]);

	return vmdk_pwrite_all(t->part.fd, &gde, sizeof(gde),
			       (vmdk_tables_directory(t, copy)
				<< VMDK_SECTOR_SHIFT) + index * sizeof(gde));
}

/* Tables first, durable; then the entries that point at them. */
static int even_directories(struct vmdk_tables *t, uint64_t *changed)
{
	u64 first_new = (t->file_bytes + VMDK_SECTOR_SIZE - 1) >>
			VMDK_SECTOR_SHIFT;
	u64 next = first_new;
	unsigned int n;
	u32 i;
	int ret;

	for (i = 0; i < t->geo.gd_entries; i++)
		if (lacks_table(t, i) != VMDK_COPIES)
			break;
	if (i == t->geo.gd_entries)
		return 0;
	next = (next + t->geo.grain_sectors - 1) &
	       ~(u64)(t->geo.grain_sectors - 1);
	ret = append_tables(t, &next);
	for (n = 0; n < VMDK_COPIES && !ret; n++) {
		enum vmdk_copy copy = write_order[n];

		for (i = 0; i < t->geo.gd_entries && !ret; i++) {
			if (t->gd[copy][i] < first_new)
				continue;
			ret = write_entry(t, copy, i);
			++*changed;
		}
		if (!ret)
			ret = sync_data(t->part.fd);
	}
	return ret;
}

/* Raise one sector of entries to those of the other copy; how many changed? */
static unsigned int raise_sector(__le32 *out, const __le32 *own,
				 const __le32 *other)
{
	unsigned int changed = 0;
	size_t i;

	for (i = 0; i < SECTOR_ENTRIES; i++) {
		bool raise = le32_to_cpu(own[i]) < le32_to_cpu(other[i]);

		out[i] = raise ? other[i] : own[i];
		changed += raise;
	}
	return changed;
}

static int even_table(struct vmdk_tables *t, enum vmdk_copy copy, u32 index,
		      uint64_t *changed)
{
	u64 place = (u64)t->gd[copy][index] << VMDK_SECTOR_SHIFT;
	const __le32 *own, *other;
	__le32 sector[SECTOR_ENTRIES];
	unsigned int n;
	u32 i;
	int ret;

	ret = vmdk_tables_get(t, copy, index, &own);
	if (!ret)
		ret = vmdk_tables_get(t, !copy, index, &other);
	for (i = 0; i < t->geo.gt_entries && !ret; i += SECTOR_ENTRIES) {
		n = raise_sector(sector, own + i, other + i);
		if (!n)
			continue;
		ret = vmdk_pwrite_all(t->part.fd, sector, sizeof(sector),
				      place + i * sizeof(__le32));
		*changed += n;
	}
	return ret;
}

static int even_tables(struct vmdk_tables *t, uint64_t *changed)
{
	unsigned int n;
	u32 i;
	int ret = 0;

	for (n = 0; n < VMDK_COPIES && !ret; n++) {
		for (i = 0; i < t->geo.gd_entries && !ret; i++)
			if (t->gd[VMDK_PRIMARY][i])
				ret = even_table(t, write_order[n], i, changed);
		if (!ret)
			ret = sync_data(t->part.fd);
	}
	return ret;
}

/**
 * vmdk_even_out - make both copies of all tables alike
 * @fd: a regular file, open for reading and writing, that nobody else uses
 * @entries_changed: receives how many entries of either copy were written
 *
 * Checks again before it writes: greater is right only where nothing is corrupt.
 *
 * Return: 0 when both copies are alike and durable; -EUCLEAN, with nothing
 * written, when there is more wrong than an interrupted commit explains;
 * -EOPNOTSUPP for a compressed extent; -EFBIG when a table that one copy lacks
 * has no room below 2 TiB; -errno.
 */
int vmdk_even_out(int fd, uint64_t *entries_changed)
{
	struct vmdk_check_result result;
	struct vmdk_tables t;
	struct vmdk_fault fault;
	int ret;

	*entries_changed = 0;
	ret = vmdk_check_sparse(fd, 0, NULL, NULL, &result);
	if (ret)
		return ret;
	if (result.corrupt)
		return -EUCLEAN;
	/* Whoever wrote what is there may not have made it durable. */
	ret = sync_data(fd);
	if (ret || !result.benign)
		return ret;
	ret = vmdk_tables_open(&t, fd, &fault);
	if (ret)
		return ret;
	ret = even_directories(&t, entries_changed);
	if (!ret)
		ret = even_tables(&t, entries_changed);
	vmdk_tables_close(&t);
	return ret;
}
