// SPDX-License-Identifier: GPL-2.0
/*
 * The only place that talks to struct file.
 *
 * Data goes by kiocb, asynchronously where the file system can; metadata goes
 * through the page cache, synchronously.  Everything runs in the workers of a
 * disk, which are in NOIO scope: no allocation below can wait for this disk.
 *
 * The table of claimed files is what keeps two disks from the same file.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/hashtable.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/swap.h>

#include "vmdk.h"

static DEFINE_HASHTABLE(claimed, 6);
static DEFINE_MUTEX(claimed_lock);

/* The inode that holds the bytes, also behind an overlay file system. */
static struct inode *vmdk_file_inode(const struct vmdk_file *vf)
{
	if (vf->role == VMDK_ROLE_DEVICE)
		return vf->theirs->f_mapping->host;
	return d_real_inode(vf->theirs->f_path.dentry);
}

/* The block device that it is, or that it lies on; or NULL. */
static struct block_device *vmdk_file_bdev(const struct vmdk_file *vf)
{
	if (vf->role == VMDK_ROLE_DEVICE)
		return I_BDEV(vmdk_file_inode(vf));
	return file_inode(vf->theirs)->i_sb->s_bdev;
}

/* A fold writes to a file that the chain which is being folded only reads. */
static bool vmdk_file_allied(const struct vmdk_file *writer,
			     const struct vmdk_file *reader)
{
	return READ_ONCE(writer->owner->ally) == reader->owner &&
	       !reader->writable;
}

/*
 * Writers exclude everyone else; only the descriptor that lies in an extent's
 * file may share it, and windows of one device, within one disk.
 */
static bool vmdk_file_conflict(const struct vmdk_file *a,
			       const struct vmdk_file *b)
{
	if (vmdk_file_inode(a) != vmdk_file_inode(b))
		return false;
	if (!a->writable && !b->writable)
		return false;
	if (vmdk_file_allied(a, b) || vmdk_file_allied(b, a))
		return false;
	return a->owner != b->owner ||
	       (a->role == VMDK_ROLE_EXTENT && b->role == VMDK_ROLE_EXTENT);
}

/* Windows of a device share its file: only one can have the device to itself. */
static struct vmdk_file *vmdk_file_share(const struct vmdk_file *vf)
{
	unsigned long key = (unsigned long)vmdk_file_inode(vf);
	struct vmdk_file *other;

	if (vf->role != VMDK_ROLE_DEVICE)
		return NULL;
	mutex_lock(&claimed_lock);
	hash_for_each_possible(claimed, other, node, key) {
		if (vmdk_file_inode(other) == vmdk_file_inode(vf) &&
		    other->owner == vf->owner &&
		    other->writable == vf->writable) {
			other->refs++;
			break;
		}
	}
	mutex_unlock(&claimed_lock);
	return other;
}

static int vmdk_file_claim(struct vmdk_file *vf, struct vmdk_fault *fault)
{
	unsigned long key = (unsigned long)vmdk_file_inode(vf);
	struct vmdk_file *other;
	int ret = 0;

	mutex_lock(&claimed_lock);
	hash_for_each_possible(claimed, other, node, key) {
		if (!vmdk_file_conflict(vf, other))
			continue;
		vmdk_fault_set(fault, VMDK_NO_OFFSET, "file is in use by %s",
			       vf->owner == other->owner ?
			       "another extent of this disk" :
			       other->owner->name);
		ret = -EBUSY;
		break;
	}
	if (!ret)
		hash_add(claimed, &vf->node, key);
	mutex_unlock(&claimed_lock);
	return ret;
}

static int vmdk_file_check_type(const struct vmdk_file *vf,
				struct vmdk_fault *fault)
{
	umode_t mode = file_inode(vf->theirs)->i_mode;

	if (vf->role != VMDK_ROLE_DEVICE)
		return S_ISREG(mode) ? 0 :
		       vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "not a regular file");
	if (!S_ISBLK(mode))
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "not a block device");
	if (bdev_logical_block_size(vmdk_file_bdev(vf)) != SECTOR_SIZE)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "a device with blocks of %u bytes, only %d are supported",
				      bdev_logical_block_size(vmdk_file_bdev(vf)),
				      SECTOR_SIZE);
	return 0;
}

static int vmdk_file_check(const struct vmdk_file *vf, struct vmdk_fault *fault)
{
	fmode_t need = FMODE_READ | (vf->writable ? FMODE_WRITE : 0);
	bool writable = vf->writable;
	struct file *file = vf->theirs;
	int ret;

	ret = vmdk_file_check_type(vf, fault);
	if (ret)
		return ret;
	if ((file->f_mode & need) != need)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "not open for %s",
				      writable ? "reading and writing" :
						 "reading");
	if (file->f_flags & (O_APPEND | O_DIRECT))
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "open with O_APPEND or O_DIRECT");
	if (!file->f_op->read_iter || (writable && !file->f_op->write_iter))
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "its file system lacks read_iter or write_iter");
	if (writable && IS_SWAPFILE(file_inode(file)))
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "in use as swap space");
	return 0;
}

/* What direct I/O has to be aligned to; 0: the file cannot do it. */
static unsigned int vmdk_file_dio_align(const struct vmdk_file *vf)
{
	struct block_device *bdev = vmdk_file_bdev(vf);
	struct file *file = vf->file;
	struct kstat stat;

	if (!(file->f_mode & FMODE_CAN_ODIRECT))
		return 0;
	if (vf->role != VMDK_ROLE_DEVICE &&
	    !vfs_getattr(&file->f_path, &stat, STATX_DIOALIGN, 0) &&
	    (stat.result_mask & STATX_DIOALIGN))
		return stat.dio_offset_align;
	return bdev ? bdev_logical_block_size(bdev) : VMDK_SECTOR_SIZE;
}

/*
 * Metadata still goes through the page cache: without readahead, which would
 * only bring data there that direct I/O would have to throw out.
 */
static int vmdk_file_set_direct(struct vmdk_file *vf, struct vmdk_fault *fault)
{
	unsigned int align = vmdk_file_dio_align(vf);

	if (!align)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "its file system has no direct I/O");
	vf->direct = true;
	vf->dio_mask = align - 1;
	vf->file->f_mode |= FMODE_RANDOM;
	return 0;
}

/*
 * Flags of the file that was handed in can be changed by whoever else has it;
 * locks, in turn, belong to it, so both are kept.
 */
static int vmdk_file_reopen(struct vmdk_file *vf, struct vmdk_fault *fault)
{
	int flags = O_LARGEFILE | (vf->writable ? O_RDWR : O_RDONLY);
	struct file *file;

	/* Nobody mounts it, or takes it, meanwhile. */
	if (vf->role == VMDK_ROLE_DEVICE && vf->writable)
		flags |= O_EXCL;
	file = dentry_open(&vf->theirs->f_path, flags, vf->theirs->f_cred);
	if (IS_ERR(file)) {
		if (flags & O_EXCL)
			vmdk_fault_set(fault, VMDK_NO_OFFSET,
				       "the device is mounted or in other use");
		return PTR_ERR(file);
	}
	vf->file = file;
	vf->mapping = vmdk_file_inode(vf)->i_mapping;
	vf->since = filemap_sample_wb_err(vf->mapping);
	return 0;
}

/*
 * Where a read that may not wait is the page cache's business alone; a network
 * file system, say, asks its server first.
 */
static bool vmdk_file_may_peek(const struct file *file)
{
	return (file->f_mode & FMODE_NOWAIT) ||
	       file_inode(file)->i_sb->s_magic == TMPFS_MAGIC;
}

/**
 * vmdk_file_get - take a file for a disk
 * @fd: of the calling process
 * @writable: the disk will write to it
 * @direct: data is to go around the page cache
 * @role: what it is for
 * @owner: the chain that takes it
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl that attaches.
 * Return: the file, or an ERR_PTR: -EBADF without @fault set; -EBUSY when
 * another claim excludes this one; -EINVAL.
 */
struct vmdk_file *vmdk_file_get(int fd, bool writable, bool direct,
				enum vmdk_role role,
				const struct vmdk_chain *owner,
				struct vmdk_fault *fault)
{
	struct vmdk_file *vf = kzalloc(sizeof(*vf), GFP_KERNEL);
	struct vmdk_file *shared = NULL;
	int ret;

	if (!vf)
		return ERR_PTR(-ENOMEM);
	vf->owner = owner;
	vf->role = role;
	vf->writable = writable;
	vf->refs = 1;
	mutex_init(&vf->sync_mutex);
	ret = -EBADF;
	vf->theirs = fget(fd);
	if (!vf->theirs)
		goto err_free;
	ret = vmdk_file_check(vf, fault);
	if (ret)
		goto err_theirs;
	shared = vmdk_file_share(vf);
	if (shared)
		goto err_theirs;
	ret = vmdk_file_reopen(vf, fault);
	if (ret)
		goto err_theirs;
	if (direct)
		ret = vmdk_file_set_direct(vf, fault);
	else
		vf->peek = vmdk_file_may_peek(vf->file);
	if (!ret)
		ret = vmdk_file_claim(vf, fault);
	if (ret)
		goto err_file;
	return vf;

err_file:
	fput(vf->file);
err_theirs:
	fput(vf->theirs);
err_free:
	kfree(vf);
	return shared ?: ERR_PTR(ret);
}

/*
 * Where a write has failed, the page cache shows what the disk does not have, and takes
 * it for clean: whoever opened the file next would build on tables that are not there.
 */
static void vmdk_file_forget_lost(struct vmdk_file *vf)
{
	if (vf->sync_error || filemap_check_wb_err(vf->mapping, vf->since))
		invalidate_inode_pages2(vf->mapping);
}

/**
 * vmdk_file_put - let go of a file
 * @vf: from vmdk_file_get(), or NULL
 *
 * Context: process context.
 */
void vmdk_file_put(struct vmdk_file *vf)
{
	bool last;

	if (!vf)
		return;
	/* Before anybody else can have it. */
	vmdk_file_forget_lost(vf);
	mutex_lock(&claimed_lock);
	last = !--vf->refs;
	if (last)
		hash_del(&vf->node);
	mutex_unlock(&claimed_lock);
	if (!last)
		return;
	fput(vf->file);
	fput(vf->theirs);
	kvfree(vf->windows);
	kfree(vf);
}

/**
 * vmdk_file_demote - never write to a file again
 * @vf: a file without I/O; NULL for none
 *
 * What locks userspace has taken on it stay.
 */
void vmdk_file_demote(struct vmdk_file *vf)
{
	if (!vf)
		return;
	mutex_lock(&claimed_lock);
	vf->writable = false;
	mutex_unlock(&claimed_lock);
}

/**
 * vmdk_file_same - are these the same file, or device?
 * @a: one
 * @b: the other
 */
bool vmdk_file_same(const struct vmdk_file *a, const struct vmdk_file *b)
{
	return vmdk_file_inode(a) == vmdk_file_inode(b);
}

/**
 * vmdk_file_lies_on - is a file on a file system of a disk, or is it that device?
 * @vf: the file
 * @whole: the disk's
 *
 * What lies in between, as device-mapper and loop do, is not looked through.
 */
bool vmdk_file_lies_on(const struct vmdk_file *vf,
		       const struct block_device *whole)
{
	const struct block_device *bdev = vf->role == VMDK_ROLE_DEVICE ?
					  vmdk_file_bdev(vf) :
					  vmdk_file_inode(vf)->i_sb->s_bdev;

	return bdev && bdev_whole(bdev) == whole;
}

/**
 * vmdk_file_fs_block - bytes that the file's file system writes together at least
 * @vf: the file
 *
 * Those of a network say what they would like instead: a page it is, there.
 */
u32 vmdk_file_fs_block(const struct vmdk_file *vf)
{
	const struct inode *inode = vmdk_file_inode(vf);

	return inode->i_sb->s_bdev ? max_t(u32, i_blocksize(inode), PAGE_SIZE) :
				     PAGE_SIZE;
}

/* Bytes of the file as it is. */
static u64 vmdk_file_end(const struct vmdk_file *vf)
{
	if (vf->role == VMDK_ROLE_DEVICE)
		return bdev_nr_bytes(vmdk_file_bdev(vf));
	return i_size_read(file_inode(vf->file));
}

/**
 * vmdk_file_size - how long a file, or what is used of it, is now, in bytes
 * @vf: the file
 */
u64 vmdk_file_size(const struct vmdk_file *vf)
{
	const struct vmdk_window *last = vf->windows + vf->nr_windows - 1;

	return vf->windows ? last->start + last->length : vmdk_file_end(vf);
}

/**
 * vmdk_file_set_windows - use some parts of a file, as if there were no others
 * @vf: a file that is not written
 * @infos: checked for overflow
 * @nr: how many
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl that attaches.
 * Return: 0 or an error.
 */
int vmdk_file_set_windows(struct vmdk_file *vf,
			  const struct vmdk_window_info *infos, u32 nr,
			  struct vmdk_fault *fault)
{
	u64 end = vmdk_file_end(vf);
	u64 start = 0;
	u32 i;

	vf->windows = kvcalloc(nr, sizeof(*vf->windows), GFP_KERNEL);
	if (!vf->windows)
		return -ENOMEM;
	vf->nr_windows = nr;
	for (i = 0; i < nr; i++) {
		if (infos[i].offset + infos[i].length > end)
			return vmdk_fault_set(fault, infos[i].offset,
					      "window of %llu bytes past the end of the file (%llu bytes)",
					      infos[i].length, end);
		vf->windows[i].start = start;
		vf->windows[i].pos = infos[i].offset;
		vf->windows[i].length = infos[i].length;
		start += infos[i].length;
	}
	return 0;
}

static const struct vmdk_window *vmdk_window_find(const struct vmdk_file *vf,
						  u64 pos)
{
	u32 low = 0, high = vf->nr_windows;

	while (high - low > 1) {
		u32 mid = low + (high - low) / 2;

		if (vf->windows[mid].start <= pos)
			low = mid;
		else
			high = mid;
	}
	return &vf->windows[low];
}

/* Where @pos is in the file itself. */
static loff_t vmdk_file_pos(const struct vmdk_file *vf, u64 pos)
{
	const struct vmdk_window *window;

	if (likely(!vf->windows))
		return pos;
	window = vmdk_window_find(vf, pos);
	return window->pos + (pos - window->start);
}

/**
 * vmdk_file_span - how many bytes from @pos on follow each other in the file
 * @vf: the file
 * @pos: inside it
 */
u64 vmdk_file_span(const struct vmdk_file *vf, u64 pos)
{
	const struct vmdk_window *window;

	if (likely(!vf->windows))
		return LLONG_MAX;
	window = vmdk_window_find(vf, pos);
	return window->start + window->length > pos ?
	       window->start + window->length - pos : 0;
}

/**
 * vmdk_file_has_data - is there anything but a hole from @pos on?
 * @vf: the file
 * @pos: byte in the file
 *
 * A file system that knows no holes says yes wherever there is a byte.
 *
 * Context: process context.
 */
bool vmdk_file_has_data(struct vmdk_file *vf, u64 pos)
{
	return pos < vmdk_file_size(vf) &&
	       vfs_llseek(vf->file, pos, SEEK_DATA) != -ENXIO;
}

/**
 * vmdk_file_block_size - smallest write that costs the device no read, in bytes
 * @vf: the file
 */
unsigned int vmdk_file_block_size(const struct vmdk_file *vf)
{
	struct block_device *bdev = vmdk_file_bdev(vf);

	return bdev ? bdev_physical_block_size(bdev) : VMDK_SECTOR_SIZE;
}

/**
 * vmdk_file_hole_size - smallest hole that gives space back, in bytes
 * @vf: the file
 *
 * Return: 0 when its file system cannot punch holes at all; one that only looks
 * as if it could says -EOPNOTSUPP later.
 */
unsigned int vmdk_file_hole_size(const struct vmdk_file *vf)
{
	if (vf->role == VMDK_ROLE_DEVICE) {
		struct block_device *bdev = vmdk_file_bdev(vf);

		return bdev_write_zeroes_sectors(bdev) ?
		       max(bdev_discard_granularity(bdev),
			   bdev_logical_block_size(bdev)) : 0;
	}
	return vf->file->f_op->fallocate ? i_blocksize(file_inode(vf->file)) : 0;
}

/**
 * vmdk_file_read - read metadata
 * @vf: the file
 * @buf: receives the bytes
 * @len: in bytes
 * @pos: byte in the file
 *
 * Context: process context.
 * Return: 0, or -EIO when the file ends early, or what the file system says.
 */
int vmdk_file_read(struct vmdk_file *vf, void *buf, size_t len, loff_t pos)
{
	while (len) {
		size_t bytes = min_t(u64, len, vmdk_file_span(vf, pos));
		loff_t at = vmdk_file_pos(vf, pos);
		ssize_t n = bytes ? kernel_read(vf->file, buf, bytes, &at) : 0;

		if (n <= 0)
			return n ?: -EIO;
		buf += n;
		pos += n;
		len -= n;
	}
	return 0;
}

/* Tell the next sync that there is something to do; see vmdk_file_sync(). */
static void vmdk_file_set_dirty(struct vmdk_file *vf)
{
	/* What was written is there before a sync can find the mark. */
	smp_mb();
	if (!test_bit(VMDK_FILE_DIRTY, &vf->flags))
		set_bit(VMDK_FILE_DIRTY, &vf->flags);
}

/**
 * vmdk_file_write - write metadata through the page cache
 * @vf: a writable file
 * @buf: the bytes
 * @len: in bytes
 * @pos: byte in the file
 *
 * Context: process context.
 * Return: 0, or what the file system says.
 */
int vmdk_file_write(struct vmdk_file *vf, const void *buf, size_t len,
		    loff_t pos)
{
	int ret = 0;

	while (len) {
		ssize_t n = kernel_write(vf->file, buf, len, &pos);

		if (n <= 0) {
			ret = n ?: -EIO;
			break;
		}
		buf += n;
		len -= n;
	}
	vmdk_file_set_dirty(vf);
	return ret;
}

static int vmdk_file_write_zeros(struct vmdk_file *vf, loff_t pos, loff_t len)
{
	int ret = 0;

	while (len && !ret) {
		size_t n = min_t(loff_t, len, PAGE_SIZE);

		ret = vmdk_file_write(vf, page_address(ZERO_PAGE(0)), n, pos);
		pos += n;
		len -= n;
		cond_resched();
	}
	return ret;
}

/**
 * vmdk_file_punch - give the space of a range back; it reads as zeros then
 * @vf: a writable file
 * @pos: byte in the file
 * @len: in bytes
 *
 * Context: process context.
 * Return: 0, or -EOPNOTSUPP, or what the file system says.
 */
int vmdk_file_punch(struct vmdk_file *vf, loff_t pos, loff_t len)
{
	int ret = vfs_fallocate(vf->file,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				pos, len);

	vmdk_file_set_dirty(vf);
	return ret;
}

/**
 * vmdk_file_zero - make a range read as zeros
 * @vf: a writable file
 * @pos: byte in the file
 * @len: in bytes
 * @unmap: its space may be given back
 *
 * Context: process context.
 * Return: 0, or what the file system says.
 */
int vmdk_file_zero(struct vmdk_file *vf, loff_t pos, loff_t len, bool unmap)
{
	int ret;

	if (unmap)
		ret = vmdk_file_punch(vf, pos, len);
	else
		ret = vfs_fallocate(vf->file, FALLOC_FL_ZERO_RANGE |
				    FALLOC_FL_KEEP_SIZE, pos, len);
	vmdk_file_set_dirty(vf);
	if (ret == -EOPNOTSUPP)
		ret = vmdk_file_write_zeros(vf, pos, len);
	return ret;
}

/**
 * vmdk_file_resize - set the length of a file
 * @vf: a writable file
 * @size: in bytes; what is added reads as zeros
 *
 * Context: process context.
 * Return: 0, or what the file system says.
 */
int vmdk_file_resize(struct vmdk_file *vf, loff_t size)
{
	int ret = vfs_truncate(&vf->file->f_path, size);

	vmdk_file_set_dirty(vf);
	return ret;
}

/**
 * vmdk_file_sync - make all durable that was written before the call
 * @vf: the file
 *
 * A write marks the file when it is over, before its request completes: one
 * that completed before a flush was issued is seen here.  The mark goes before
 * the sync, so that a write which is over meanwhile leaves a new one.  Times
 * may be lost, size and mapping may not: the kind of sync that fdatasync() is.
 *
 * Context: process context.
 * Return: 0, or what the file system says: then what is on the disk is
 * unknown, for good, because Linux takes the pages for clean from now on.
 */
int vmdk_file_sync(struct vmdk_file *vf)
{
	int ret;

	if (!vf->writable)
		return 0;
	mutex_lock(&vf->sync_mutex);
	if (!vf->sync_error && test_and_clear_bit(VMDK_FILE_DIRTY, &vf->flags))
		vf->sync_error = vfs_fsync(vf->file, 1);
	ret = vf->sync_error;
	mutex_unlock(&vf->sync_mutex);
	return ret;
}

/**
 * vmdk_file_has_lost - could something that was written not reach the disk?
 * @vf: the file
 *
 * The page cache forgets it then, sooner or later, and a read finds what was there
 * before.  The next sync fails.  To be called after the read that it is about.
 *
 * Context: any.
 */
bool vmdk_file_has_lost(const struct vmdk_file *vf)
{
	return vf->writable && filemap_check_wb_err(vf->mapping, vf->since);
}

/* A page that readahead has marked is for a read that goes on with it. */
static bool vmdk_folio_fit(struct folio *folio)
{
	if (folio_test_hwpoison(folio) ||
	    (folio_test_large(folio) && folio_test_has_hwpoisoned(folio)))
		return false;
	return folio_test_uptodate(folio) && !folio_test_readahead(folio);
}

/**
 * vmdk_file_peek - copy what the page cache has
 * @vf: the file
 * @iter: receives the bytes, and is advanced
 * @bytes: how many at most
 * @pos: byte in the file
 *
 * Takes no lock, allocates nothing, starts no I/O, and does not call the file
 * system: so it can wait for nothing, wherever it is called from.
 *
 * Context: any process context, also under RCU.
 * Return: how many bytes were copied.
 */
size_t vmdk_file_peek(struct vmdk_file *vf, struct iov_iter *iter, size_t bytes,
		      loff_t pos)
{
	struct address_space *mapping = vf->file->f_mapping;
	size_t done = 0, n = 1;

	pos = vmdk_file_pos(vf, pos);

	while (vf->peek && done < bytes && n) {
		struct folio *folio;

		folio = compat_filemap_get_folio(mapping, pos >> PAGE_SHIFT);
		if (!folio)
			break;
		n = min(bytes - done, folio_size(folio) -
				      offset_in_folio(folio, pos));
		/* The size is looked at after the page, as any read does. */
		if (vmdk_folio_fit(folio) && pos + n <= vmdk_file_end(vf))
			n = copy_folio_to_iter(folio,
					       offset_in_folio(folio, pos), n,
					       iter);
		else
			n = 0;
		folio_mark_accessed(folio);
		folio_put(folio);
		done += n;
		pos += n;
	}
	return done;
}

/* The last of submitter and file system hands the run over. */
static void vmdk_file_put_run(struct vmdk_run *run)
{
	if (!atomic_dec_and_test(&run->refs))
		return;
	if (run->iocb.ki_flags & IOCB_WRITE)
		vmdk_file_set_dirty(run->map.file);
	run->done(run);
}

static void vmdk_file_iocb_complete(struct kiocb *iocb, long ret)
{
	struct vmdk_run *run = container_of(iocb, struct vmdk_run, iocb);

	if (iocb->ki_flags & IOCB_WRITE)
		kiocb_end_write(iocb);
	run->ret = ret < 0 ? ret : run->ret + ret;
	vmdk_file_put_run(run);
}

static void vmdk_file_init_iocb(struct vmdk_run *run, bool write)
{
	struct vmdk_file *vf = run->map.file;
	struct kiocb *iocb = &run->iocb;

	*iocb = (struct kiocb) {
		.ki_filp = vf->file,
		.ki_flags = vf->file->f_iocb_flags,
		.ki_ioprio = run->io->ioprio,
		.ki_pos = vmdk_file_pos(vf, run->map.pos),
		.ki_complete = vmdk_file_iocb_complete,
	};
	if (write)
		iocb->ki_flags |= IOCB_WRITE;
	if (vf->direct &&
	    !((iocb->ki_pos | iov_iter_alignment(&run->iter)) & vf->dio_mask))
		iocb->ki_flags |= IOCB_DIRECT;
}

static ssize_t vmdk_file_call(struct vmdk_run *run)
{
	const struct file_operations *fop = run->iocb.ki_filp->f_op;

	if (!(run->iocb.ki_flags & IOCB_WRITE))
		return fop->read_iter(&run->iocb, &run->iter);
	/* Not vfs_iocb_iter_write(): who guards against a freeze varies. */
	kiocb_start_write(&run->iocb);
	return fop->write_iter(&run->iocb, &run->iter);
}

/**
 * vmdk_file_submit - start the I/O of a run
 * @run: @run->map.file, @run->map.pos, @run->iter, @run->bytes and @run->done
 *	are set
 * @write: direction
 *
 * @run->done is called with @run->ret set, exactly once, from any context, and
 * not before the file system is through with @run: one reference is ours
 * until the call has returned, the other one the completion's.
 *
 * A file system may take less than it was given, and say only the next time
 * that it is full: so ask again for the rest.
 *
 * Context: process context, NOIO.
 */
void vmdk_file_submit(struct vmdk_run *run, bool write)
{
	ssize_t ret;

	vmdk_file_init_iocb(run, write);
	run->ret = 0;
	do {
		atomic_set(&run->refs, 2);
		ret = vmdk_file_call(run);
		if (ret == -EIOCBQUEUED) {
			vmdk_file_put_run(run);
			return;
		}
		if (write)
			kiocb_end_write(&run->iocb);
		run->ret = ret < 0 ? ret : run->ret + ret;
	} while (ret > 0 && run->ret < run->bytes);

	atomic_set(&run->refs, 1);
	vmdk_file_put_run(run);
}
