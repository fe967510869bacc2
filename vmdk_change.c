// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a disk that is in use: another link on top, another capacity.  One
 * at a time, and the disk cannot go meanwhile; its requests wait for the moment
 * of the change itself.  (A fold, vmdk_fold.c, takes longer, and keeps to the same.)
 */
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vmdk.h"

static int vmdk_leave_live(struct vmdk_disk *disk, enum vmdk_life life)
{
	int ret = 0;

	mutex_lock(&disk->disk->open_mutex);
	if (disk->life == VMDK_LIVE)
		WRITE_ONCE(disk->life, life);
	else if (disk->life == VMDK_CHANGING)
		ret = -EAGAIN;
	else
		ret = disk->life == VMDK_FOLDING ? -EBUSY : -ENXIO;
	mutex_unlock(&disk->disk->open_mutex);
	return ret;
}

/**
 * vmdk_disk_start_change - keep /dev/vmdkN from going, and from other changes
 * @index: the N
 * @life: what it is until vmdk_disk_end_change()
 *
 * Return: the disk; or an ERR_PTR: -EAGAIN: it is being changed; -EBUSY: it is
 * being folded; -ENXIO.
 */
struct vmdk_disk *vmdk_disk_start_change(u32 index, enum vmdk_life life)
{
	struct vmdk_disk *disk = vmdk_disk_get(index);
	int ret;

	if (!disk)
		return ERR_PTR(-ENXIO);
	ret = vmdk_leave_live(disk, life);
	if (!ret)
		return disk;
	put_device(disk_to_dev(disk->disk));
	return ERR_PTR(ret);
}

/**
 * vmdk_disk_end_change - let a disk go, and others change it
 * @disk: from vmdk_disk_start_change(); not to be touched any more
 */
void vmdk_disk_end_change(struct vmdk_disk *disk)
{
	vmdk_disk_live(disk);
	put_device(disk_to_dev(disk->disk));
}

static int vmdk_task_flush(struct vmdk_task *task)
{
	return vmdk_chain_flush(task->chain);
}

/**
 * vmdk_freeze - wait until no request is on its way, and keep those who submit one
 * @disk: the disk
 *
 * What is on its way may need what they hold, who are kept: a journal's handle in a task
 * that swaps to this very disk.  So they are let in every now and then, the longer it
 * takes the less often.
 *
 * Context: process context, not in a worker of the disk.
 * Return: for vmdk_unfreeze(), until which all memory is to be had without I/O.
 */
unsigned int vmdk_freeze(struct vmdk_disk *disk)
{
	unsigned int noio = memalloc_noio_save();
	unsigned int ms;

	for (ms = 250;; ms *= 2) {
		blk_freeze_queue_start(disk->disk->queue);
		if (blk_mq_freeze_queue_wait_timeout(disk->disk->queue,
						     msecs_to_jiffies(ms)))
			return noio;
		blk_mq_unfreeze_queue_nomemrestore(disk->disk->queue);
		msleep(ms / 8);
	}
}

/**
 * vmdk_unfreeze - let requests come again
 * @disk: the disk
 * @noio: from vmdk_freeze()
 */
void vmdk_unfreeze(struct vmdk_disk *disk, unsigned int noio)
{
	blk_mq_unfreeze_queue_nomemrestore(disk->disk->queue);
	memalloc_noio_restore(noio);
}

/*
 * The files may need what those hold who are kept, too, and that can take long.  So the
 * queue is frozen until it is quiesced, and no longer: what comes then waits in the
 * queue, and nobody waits with it, as long as there are tags.
 */
static void vmdk_quiesce(struct vmdk_disk *disk)
{
	unsigned int noio = vmdk_freeze(disk);

	blk_mq_quiesce_queue(disk->disk->queue);
	vmdk_unfreeze(disk, noio);
}

/*
 * Before Linux 6.13, nobody else runs the queue for a request that is added by someone
 * who found it quiesced just before.  They look under RCU.
 */
static void vmdk_unquiesce(struct vmdk_disk *disk)
{
	blk_mq_unquiesce_queue(disk->disk->queue);
	synchronize_rcu();
	blk_mq_run_hw_queues(disk->disk->queue, true);
}

/**
 * vmdk_run_quiesced - do something for a disk while no request is on its way
 * @disk: the disk
 * @task: as for vmdk_run_task(); it may change the disk's chain
 *
 * What waits is not lost, and finds as many sectors as @task leaves; if these are
 * others, the disk says so after that.
 *
 * Context: process context, not in a worker of the disk.
 * Return: what @task->run returned, or the error of a flush before it.
 */
int vmdk_run_quiesced(struct vmdk_disk *disk, struct vmdk_task *task)
{
	struct vmdk_task flush = { .run = vmdk_task_flush };
	unsigned int noio;
	int ret;

	/* So that there is little left to do while the disk stands still. */
	ret = vmdk_run_task(disk, &flush);
	if (ret)
		return ret;
	noio = memalloc_noio_save();
	vmdk_quiesce(disk);
	ret = vmdk_run_task(disk, task);
	vmdk_unquiesce(disk);
	memalloc_noio_restore(noio);
	/* Who has the lock that this takes may be waiting for I/O of the disk. */
	set_capacity_and_notify(disk->disk, disk->chain->sectors);
	return ret;
}

/**
 * vmdk_disk_set_backing - what sysfs shows of a disk's top is another file
 * @disk: the disk
 * @file: belongs to the disk from now on
 * @create_type: what it is; NULL: as before
 */
void vmdk_disk_set_backing(struct vmdk_disk *disk, struct file *file,
			   const char *create_type)
{
	spin_lock_irq(&disk->meta_lock);
	swap(disk->backing, file);
	if (create_type)
		strscpy(disk->create_type, create_type,
			sizeof(disk->create_type));
	spin_unlock_irq(&disk->meta_lock);
	fput(file);
}

/*
 * Names in sysfs lead elsewhere when files are moved: so whoever opened one is told
 * whether it is the disk's, which stays so while the disk is changed.
 */
static int vmdk_check_backing(const struct vmdk_disk *disk, int fd,
			      struct vmdk_fault *fault)
{
	struct file *file;
	bool same;

	file = fget(fd);
	if (!file)
		return -EBADF;
	same = file_inode(file) == file_inode(disk->backing);
	fput(file);
	if (!same)
		vmdk_fault_set(fault, VMDK_NO_OFFSET,
			       "is not the file that the disk was attached from");
	return same ? 0 : -ESTALE;
}

/* -------------------------------------------------------------- snapshot */

/* It would wait for itself: a file on what is mounted from the disk. */
static int vmdk_check_not_above(const struct vmdk_disk *disk,
				const struct vmdk_push *push,
				struct vmdk_fault *fault)
{
	const struct block_device *whole = disk->disk->part0;
	const struct vmdk_extent *ext;
	bool above = false;
	u32 i;

	vmdk_for_each_extent(ext, &push->link)
		above |= ext->file && vmdk_file_lies_on(ext->file, whole);
	for (i = 0; i < push->nr_patches; i++)
		above |= vmdk_file_lies_on(push->patches[i].file, whole);
	if (above)
		vmdk_fault_set(fault, VMDK_NO_OFFSET,
			       "lies on the disk itself");
	return above ? -EDEADLK : 0;
}

static int vmdk_task_push(struct vmdk_task *task)
{
	return vmdk_chain_push(task->chain, task->push);
}

static int vmdk_do_snapshot(struct vmdk_disk *disk, struct vmdk_config *config,
			    struct vmdk_fault *fault)
{
	struct vmdk_attach *attach = &config->attach;
	struct file *backing = fget(attach->backing_fd);
	struct vmdk_task task = { .run = vmdk_task_push };
	struct vmdk_push *push;
	int ret = -ENOMEM;

	if (!backing)
		return -EBADF;
	push = kzalloc(sizeof(*push), GFP_KERNEL);
	if (!push)
		goto out_file;
	task.push = push;
	ret = vmdk_chain_prepare(disk->chain, config, push, fault,
				 &attach->fault_extent);
	if (!ret)
		ret = vmdk_check_not_above(disk, push, fault);
	if (!ret)
		ret = vmdk_run_quiesced(disk, &task);
	if (ret)
		vmdk_chain_cancel(push);
	else
		vmdk_disk_set_backing(disk, get_file(backing),
				      attach->create_type);
	kfree(push);
out_file:
	fput(backing);
	return ret;
}

/**
 * vmdk_disk_snapshot - put a link on top of /dev/vmdkN
 * @index: the N
 * @config: a checked call, of one link; receives the extent at fault
 * @check_top: the caller says what the file of the top is
 * @top_fd: that file
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl.
 * Return: 0; -ENXIO; -EAGAIN: it is being changed already; -EBUSY: it is being
 * folded; -ESTALE: its top is another one; -EDEADLK: the link lies on the disk itself;
 * or another error, after which the disk is as it was.
 */
int vmdk_disk_snapshot(u32 index, struct vmdk_config *config, bool check_top,
		       int top_fd, struct vmdk_fault *fault)
{
	struct vmdk_disk *disk = vmdk_disk_start_change(index, VMDK_CHANGING);
	int ret = 0;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	if (check_top)
		ret = vmdk_check_backing(disk, top_fd, fault);
	if (!ret)
		ret = vmdk_do_snapshot(disk, config, fault);
	vmdk_disk_end_change(disk);
	return ret;
}

/* ---------------------------------------------------------------- resize */

static int vmdk_task_resize(struct vmdk_task *task)
{
	return vmdk_chain_resize(task->chain, task->sectors, task->fault);
}

static int vmdk_task_resize_finish(struct vmdk_task *task)
{
	return vmdk_chain_resize_finish(task->chain, task->sectors,
					task->fault);
}

/**
 * vmdk_disk_resize - the first half of a resize of /dev/vmdkN
 * @index: the N
 * @sectors: length of its last extent, as it is to be
 * @shrink: it may be less than now
 * @backing_fd: what the caller takes for the file of the top; -1: nothing
 * @fault: receives the reason of a refusal
 *
 * No other change of the disk comes in between until vmdk_disk_end_change().
 *
 * Context: process context, in the ioctl.
 * Return: the disk; or an ERR_PTR: -ENXIO, -EAGAIN: it is being changed already,
 * -ESTALE: its file is another one, or another error, after which the disk is as it
 * was.
 */
struct vmdk_disk *vmdk_disk_resize(u32 index, u64 sectors, bool shrink,
				   int backing_fd, struct vmdk_fault *fault)
{
	struct vmdk_task task = {
		.run = vmdk_task_resize, .sectors = sectors, .fault = fault,
	};
	struct vmdk_disk *disk = vmdk_disk_start_change(index, VMDK_CHANGING);
	int ret = 0;

	if (IS_ERR(disk))
		return disk;
	if (backing_fd != -1)
		ret = vmdk_check_backing(disk, backing_fd, fault);
	if (!ret)
		ret = vmdk_chain_check_resize(disk->chain, sectors, shrink,
					      fault);
	if (!ret)
		ret = vmdk_run_quiesced(disk, &task);
	if (ret) {
		vmdk_disk_end_change(disk);
		return ERR_PTR(ret);
	}
	disk->resize_to = sectors;
	return disk;
}

/**
 * vmdk_disk_resize_finish - the second half
 * @disk: from vmdk_disk_resize()
 * @index: its N
 * @sectors: as there
 * @backing_fd: the file to show in sysfs from now on; -1: as it was
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl.
 * Return: 0 or an error.
 */
int vmdk_disk_resize_finish(struct vmdk_disk *disk, u32 index, u64 sectors,
			    int backing_fd, struct vmdk_fault *fault)
{
	struct vmdk_task task = {
		.run = vmdk_task_resize_finish, .sectors = sectors,
		.fault = fault,
	};
	struct file *backing = NULL;

	if (index != disk->index || sectors != disk->resize_to)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the resize that has begun is another one");
	if (backing_fd != -1) {
		backing = fget(backing_fd);
		if (!backing)
			return -EBADF;
		vmdk_disk_set_backing(disk, backing, NULL);
	}
	return vmdk_run_quiesced(disk, &task);
}
