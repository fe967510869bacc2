// SPDX-License-Identifier: GPL-2.0
/*
 * Directories and tables of a hosted sparse or COWD extent, read from its file.
 *
 * Memory is bounded by the limits of vmdk_format.h: two directories of at most
 * 16 MiB, which vmdk_header_decode() found to be inside the file, and one run
 * of tables per copy.
 */
#define _GNU_SOURCE	/* SEEK_DATA */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grain_tables.h"

/* Tables of one run: hosted files keep theirs side by side, 64 MiB per TiB. */
#define RUN_BYTES	(1024U * 1024U)

/**
 * vmdk_pread_all - read all of a range
 * @fd: file
 * @buf: receives the bytes
 * @size: how many
 * @offset: byte in the file
 *
 * Return: 0, -errno, or -EIO when the file ends early (it shrank meanwhile).
 */
int vmdk_pread_all(int fd, void *buf, size_t size, u64 offset)
{
	const struct vmdk_part part = { .fd = fd, .bytes = UINT64_MAX };

	return vmdk_part_read(&part, buf, size, offset);
}

/**
 * vmdk_pwrite_all - write all of a range
 * @fd: file
 * @buf: the bytes
 * @size: how many
 * @offset: byte in the file
 *
 * Return: 0 or -errno.
 */
int vmdk_pwrite_all(int fd, const void *buf, size_t size, u64 offset)
{
	const char *p = buf;

	while (size) {
		ssize_t n = pwrite(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		offset += (u64)n;
		size -= (size_t)n;
	}
	return 0;
}

/**
 * vmdk_tables_directory - where a directory lies
 * @t: the tables
 * @copy: which one
 *
 * Return: its first sector.
 */
u64 vmdk_tables_directory(const struct vmdk_tables *t, enum vmdk_copy copy)
{
	return copy == VMDK_PRIMARY ? t->geo.gd : t->geo.rgd;
}

static int take_file(struct vmdk_tables *t, int fd, struct vmdk_fault *fault)
{
	struct stat st;

	memset(t, 0, sizeof(*t));
	memset(fault, 0, sizeof(*fault));
	t->part.fd = fd;
	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENODEV;
	t->file_bytes = (u64)st.st_size;
	t->part.bytes = t->file_bytes;
	t->whole_sectors = t->file_bytes >> VMDK_SECTOR_SHIFT;
	t->file_sectors = t->whole_sectors;
	return 0;
}

static int read_header(struct vmdk_tables *t, void *header, size_t size,
		       struct vmdk_fault *fault)
{
	if (t->file_bytes < size)
		return vmdk_fault_set(fault, 0,
				      "header: the file has %llu bytes, expected at least %zu",
				      (unsigned long long)t->file_bytes, size);
	return vmdk_part_read(&t->part, header, size, 0);
}

static int read_footer(struct vmdk_tables *t,
		       const struct vmdk_sparse_header *header,
		       struct vmdk_fault *fault)
{
	u64 end = t->file_bytes >> VMDK_SECTOR_SHIFT << VMDK_SECTOR_SHIFT;
	u64 size = end < VMDK_TAIL_BYTES_MAX ? end : VMDK_TAIL_BYTES_MAX;
	void *tail = malloc(size);
	int ret;

	if (!tail)
		return -ENOMEM;
	ret = vmdk_part_read(&t->part, tail, size, end - size);
	if (!ret)
		ret = vmdk_footer_decode(header, tail, size, end - size,
					 t->file_bytes, &t->geo, fault);
	free(tail);
	return ret;
}

static int read_directory(struct vmdk_tables *t, enum vmdk_copy copy)
{
	size_t size = (size_t)t->geo.gd_sectors << VMDK_SECTOR_SHIFT;
	u32 *gd = malloc(size);
	u32 i;
	int ret;

	if (!gd)
		return -ENOMEM;
	t->gd[copy] = gd;
	ret = vmdk_part_read(&t->part, gd, size,
			     vmdk_tables_directory(t, copy) << VMDK_SECTOR_SHIFT);
	if (ret)
		return ret;
	for (i = 0; i < t->gd_slots; i++)
		gd[i] = le32_to_cpu(gd[i]);
	return 0;
}

/* No more than all tables take: most images are small. */
static size_t run_bytes(const struct vmdk_tables *t)
{
	u64 all = (u64)t->geo.gd_entries * t->geo.gt_sectors << VMDK_SECTOR_SHIFT;

	return all < RUN_BYTES ? (size_t)all : RUN_BYTES;
}

static int read_directories(struct vmdk_tables *t)
{
	unsigned int copy;
	int ret = 0;

	t->copies = t->geo.rgd ? 2 : 1;
	t->gd_slots = t->geo.gd_sectors * (VMDK_SECTOR_SIZE / sizeof(u32));
	for (copy = 0; copy < t->copies && !ret; copy++) {
		ret = read_directory(t, copy);
		t->run[copy].entries = malloc(run_bytes(t));
		if (!ret && !t->run[copy].entries)
			ret = -ENOMEM;
	}
	if (ret)
		vmdk_tables_close(t);
	return ret;
}

/**
 * vmdk_tables_open - read header and directories of a hosted sparse extent
 * @t: receives them; to be closed when 0 was returned
 * @fd: a regular file, open for reading
 * @fault: its text is set when the header is bad, and empty otherwise
 *
 * Return: 0; -EINVAL with @fault set for a bad header; -EOPNOTSUPP for a
 * compressed extent; -errno when the file cannot be read.
 */
int vmdk_tables_open(struct vmdk_tables *t, int fd, struct vmdk_fault *fault)
{
	struct vmdk_sparse_header header;
	int ret;

	ret = take_file(t, fd, fault);
	if (!ret)
		ret = read_header(t, &header, sizeof(header), fault);
	if (!ret)
		ret = vmdk_header_decode(&header, t->file_bytes, &t->geo, fault);
	if (!ret && (t->geo.flags & VMDK_FLAG_COMPRESSED))
		ret = -EOPNOTSUPP;
	return ret ? ret : read_directories(t);
}

/**
 * vmdk_tables_open_stream - read header, footer and directories of a stream
 * @t: receives them; to be closed when 0 was returned
 * @part: where it is
 * @fault: its text is set when the header is bad, and empty otherwise
 *
 * Return: as vmdk_tables_open(); -EOPNOTSUPP for what is not compressed.
 */
int vmdk_tables_open_stream(struct vmdk_tables *t, const struct vmdk_part *part,
			    struct vmdk_fault *fault)
{
	struct vmdk_sparse_header header;
	int ret;

	ret = take_file(t, part->fd, fault);
	if (ret)
		return ret;
	t->part = *part;
	t->file_bytes = part->bytes;
	t->whole_sectors = t->file_bytes >> VMDK_SECTOR_SHIFT;
	/* the last grain of a file that was cut behind it may end anywhere */
	t->file_sectors = (t->file_bytes + VMDK_SECTOR_SIZE - 1) >> VMDK_SECTOR_SHIFT;
	ret = read_header(t, &header, sizeof(header), fault);
	if (!ret)
		ret = vmdk_header_decode(&header, t->file_bytes, &t->geo, fault);
	if (!ret && !(t->geo.flags & VMDK_FLAG_COMPRESSED))
		ret = -EOPNOTSUPP;
	if (!ret && t->geo.gd == VMDK_GD_AT_END)
		ret = read_footer(t, &header, fault);
	return ret ? ret : read_directories(t);
}

/**
 * vmdk_tables_open_cowd - read header and directory of a COWD extent
 * @t: receives them; to be closed when 0 was returned
 * @fd: a regular file, open for reading
 * @fault: its text is set when the header is bad, and empty otherwise
 *
 * Return: as vmdk_tables_open().
 */
int vmdk_tables_open_cowd(struct vmdk_tables *t, int fd,
			  struct vmdk_fault *fault)
{
	struct vmdk_cowd_header header;
	u32 free_sector;
	int ret;

	ret = take_file(t, fd, fault);
	if (!ret)
		ret = read_header(t, &header, sizeof(header), fault);
	if (!ret)
		ret = vmdk_cowd_decode(&header, t->file_bytes, &t->geo,
				       &free_sector, fault);
	return ret ? ret : read_directories(t);
}

/**
 * vmdk_tables_close - free what vmdk_tables_open() took
 * @t: the tables; the file stays open
 */
void vmdk_tables_close(struct vmdk_tables *t)
{
	unsigned int copy;

	for (copy = 0; copy < VMDK_COPIES; copy++) {
		free(t->gd[copy]);
		free(t->run[copy].entries);
		t->gd[copy] = NULL;
		t->run[copy].entries = NULL;
	}
}

/* How many tables from @index on follow each other in the file, and fit. */
static u32 run_length(const struct vmdk_tables *t, const u32 *gd, u32 index)
{
	u32 most = RUN_BYTES / (t->geo.gt_sectors << VMDK_SECTOR_SHIFT);
	u32 n;

	for (n = 1; n < most && n < t->geo.gd_entries - index; n++) {
		u64 next = gd[index] + (u64)n * t->geo.gt_sectors;

		if (gd[index + n] != next ||
		    next + t->geo.gt_sectors > t->whole_sectors)
			break;
	}
	return n;
}

/* Preallocated tables are mostly holes: those are not worth reading. */
static int read_run(const struct vmdk_part *part, void *buf, size_t size,
		    u64 pos)
{
	u64 offset = part->base + pos;
	off_t data = part->windows ? (off_t)offset :
				     lseek(part->fd, (off_t)offset, SEEK_DATA);

	if (data < 0 ? errno != ENXIO : (u64)data < offset + size)
		return vmdk_part_read(part, buf, size, pos);
	memset(buf, 0, size);
	return 0;
}

/**
 * vmdk_tables_get - read one table
 * @t: the tables
 * @copy: of which directory
 * @index: its number; the directory entry is valid by vmdk_gde_fault(), not 0
 * @table: receives gt_entries entries, valid until the next call for @copy
 *
 * Reads ahead: tables asked for in order cost one pread() per MiB.
 *
 * Return: 0 or -errno.
 */
int vmdk_tables_get(struct vmdk_tables *t, enum vmdk_copy copy, u32 index,
		    const __le32 **table)
{
	struct vmdk_table_run *run = &t->run[copy];
	const u32 *gd = t->gd[copy];

	if (index < run->first || index - run->first >= run->count) {
		u32 count = run_length(t, gd, index);
		size_t size = (size_t)count * t->geo.gt_sectors
			      << VMDK_SECTOR_SHIFT;
		int ret;

		run->count = 0;
		ret = read_run(&t->part, run->entries, size,
			       (u64)gd[index] << VMDK_SECTOR_SHIFT);
		if (ret)
			return ret;
		run->first = index;
		run->count = count;
	}
	*table = run->entries + (size_t)(index - run->first) * t->geo.gt_entries;
	return 0;
}
