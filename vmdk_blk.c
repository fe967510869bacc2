// SPDX-License-Identifier: GPL-2.0
/*
 * Block driver for VMware disks: the module, the life of a disk, and the way of
 * a request from ->queue_rq to its completion.
 *
 * A disk exists from attach to detach and at no other time.  ->queue_rq serves a
 * small read that needs no I/O at once.  Everything else it hands to a worker,
 * because what follows may wait for the backing file system: vmdk_queue_rq() ->
 * vmdk_queue_workfn() -> vmdk_chain_submit() -> ... -> vmdk_io_done() ->
 * vmdk_complete_rq().  Reads and writes have a worker per hardware queue;
 * flushes, discards and writes of zeroes have one per disk, which serves all
 * flushes that wait with one commit.  Pages on their way to swap have one too: what
 * is to free memory stands behind nothing that may be waiting for memory.
 */
#include <linux/blk-mq.h>
#include <linux/file.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vmdk.h"
#include "vmdk_version.h"

#define VMDK_DEFAULT_DEPTH	128
#define VMDK_MAX_DEPTH		4096
#define VMDK_MAX_SEGMENTS	128
#define VMDK_MAX_SECTORS	2560U
/* What a request can say, in whole grains of any size. */
#define VMDK_MAX_ZERO_SECTORS	round_down(UINT_MAX >> SECTOR_SHIFT, VMDK_GRAIN_MAX)
/* More than this would make the default readahead absurd. */
#define VMDK_MAX_IO_OPT		SZ_1M
/* Larger reads keep the submitter longer than the hand-over to a worker would. */
#define VMDK_MAX_PEEK		SZ_32K
/* So many writes, and no larger ones, wait for each other's ends. */
#define VMDK_MAX_ENDED		8
#define VMDK_MAX_LATER		SZ_16K
/* Pages to be left free, and how often, 20 ms apart, to look whether they are. */
#define VMDK_SWAP_SPARE		128
#define VMDK_SWAP_TRIES		5

/**
 * struct vmdk_queue - requests that wait for a worker: a hardware queue's, or swap's
 * @disk: I
 * @wq: I  where @work is done
 * @list: A  the last one first
 * @work: serves them
 * @worker: A  who does so just now, or NULL
 * @ended: of the worker alone: what it will end with others, the last one first
 * @nr_ended: of the worker alone: how many these are
 */
struct vmdk_queue {
	struct vmdk_disk *disk;
	struct workqueue_struct *wq;
	struct llist_head list;
	struct work_struct work;
	struct task_struct *worker;
	struct llist_node *ended;
	unsigned int nr_ended;
};

/**
 * struct vmdk_cmd - what a request carries
 * @io: the request, as the layers below see it
 * @queue: that it came by
 * @bio: the first one whose memory is not in @io.iter yet
 * @bvec: the memory of all bios in one array, when there are several; or NULL
 * @alone: something failed, so bios are served one by one: merged ones are not to
 *	fail for each other
 */
struct vmdk_cmd {
	struct vmdk_io io;
	struct vmdk_queue *queue;
	struct bio *bio;
	struct bio_vec *bvec;
	bool alone;
};

static DEFINE_IDR(disks);
static DEFINE_MUTEX(disks_lock);
/* Detaches after a last close; flushed when the module goes. */
static struct workqueue_struct *vmdk_wq;

/* ------------------------------------------------------ request and worker */

static struct vmdk_cmd *vmdk_io_to_cmd(struct vmdk_io *io)
{
	return container_of(io, struct vmdk_cmd, io);
}

static bool vmdk_is_data(const struct vmdk_io *io)
{
	return io->op == REQ_OP_READ || io->op == REQ_OP_WRITE;
}

/* Hand @io to the worker that serves its kind.  From any context. */
static void vmdk_io_queue(struct vmdk_io *io)
{
	struct vmdk_queue *queue = vmdk_io_to_cmd(io)->queue;
	struct vmdk_disk *disk = queue->disk;
	unsigned long flags;

	if (vmdk_is_data(io)) {
		/* Once it is in the list it may be over, and the queue too. */
		rcu_read_lock();
		if (llist_add(&io->queued, &queue->list))
			queue_work(queue->wq, &queue->work);
		rcu_read_unlock();
	} else {
		spin_lock_irqsave(&disk->meta_lock, flags);
		list_add_tail(&io->node, &disk->meta);
		spin_unlock_irqrestore(&disk->meta_lock, flags);
		queue_work(disk->wq, &disk->meta_work);
	}
}

static bool vmdk_changes_data(const struct vmdk_io *io)
{
	return io->op != REQ_OP_READ && io->op != REQ_OP_FLUSH;
}

/*
 * A small write that ends within its queue's worker waits there for a few more, so
 * that whoever waits for them is woken once.  What is larger keeps too much memory
 * from being clean, and ends at once.
 */
static bool vmdk_end_later(struct vmdk_cmd *cmd, const struct request *rq)
{
	struct vmdk_queue *queue = cmd->queue;

	if (!in_task() || READ_ONCE(queue->worker) != current ||
	    req_op(rq) != REQ_OP_WRITE || blk_rq_bytes(rq) > VMDK_MAX_LATER)
		return false;
	cmd->io.queued.next = queue->ended;
	queue->ended = &cmd->io.queued;
	queue->nr_ended++;
	return true;
}

/* From any context: the last run of the request is over, failed or not. */
static void vmdk_io_done(struct vmdk_io *io)
{
	struct vmdk_cmd *cmd = vmdk_io_to_cmd(io);
	struct vmdk_fold *fold = READ_ONCE(cmd->queue->disk->fold);
	struct request *rq = blk_mq_rq_from_pdu(cmd);

	if (unlikely(fold) && vmdk_changes_data(io))
		vmdk_fold_mark(fold, blk_rq_pos(rq), blk_rq_sectors(rq));
	if (!vmdk_end_later(cmd, rq))
		blk_mq_complete_request(rq);
}

static void vmdk_set_iter(struct vmdk_io *io, const struct bio_vec *bvec,
			  unsigned int nr, unsigned int offset, size_t bytes)
{
	iov_iter_bvec(&io->iter, io->op == REQ_OP_WRITE ? ITER_SOURCE : ITER_DEST,
		      bvec, nr, bytes);
	io->iter.iov_offset = offset;
}

/*
 * How many pieces the memory of @bio has.  The first and the last may be its own in
 * part.  The array is walked as it stands: bio_for_each_bvec() copies each piece.
 */
static unsigned int vmdk_count_bvecs(const struct bio *bio)
{
	const struct bio_vec *bvec = __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter);
	unsigned int left = bio->bi_iter.bi_bvec_done + bio->bi_iter.bi_size;
	unsigned int nr = 0;

	do {
		left -= min(left, bvec[nr].bv_len);
		nr++;
	} while (left);
	return nr;
}

/* What of these pieces is its own. */
static unsigned int vmdk_copy_bvecs(struct bio_vec *to, const struct bio *bio)
{
	const struct bio_vec *bvec = __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter);
	unsigned int skip = bio->bi_iter.bi_bvec_done;
	unsigned int left = bio->bi_iter.bi_size;
	unsigned int nr = 0;

	do {
		to[nr].bv_page = bvec[nr].bv_page;
		to[nr].bv_offset = bvec[nr].bv_offset + skip;
		to[nr].bv_len = min(left, bvec[nr].bv_len - skip);
		left -= to[nr].bv_len;
		skip = 0;
		nr++;
	} while (left);
	return nr;
}

/* The memory of the next bio, where it is. */
static void vmdk_iter_from_bio(struct vmdk_cmd *cmd)
{
	struct bio *bio = cmd->bio;

	vmdk_set_iter(&cmd->io, __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter),
		      vmdk_count_bvecs(bio), bio->bi_iter.bi_bvec_done,
		      bio->bi_iter.bi_size);
	cmd->bio = bio->bi_next;
}

/* The memory of all bios in one array, so that it can go in one piece. */
static bool vmdk_iter_from_all(struct vmdk_cmd *cmd, struct request *rq)
{
	unsigned int nr = 0;
	struct bio *bio;

	__rq_for_each_bio(bio, rq)
		nr += vmdk_count_bvecs(bio);
	cmd->bvec = kmalloc_array(nr, sizeof(*cmd->bvec),
				  GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	if (!cmd->bvec)
		return false;
	nr = 0;
	__rq_for_each_bio(bio, rq)
		nr += vmdk_copy_bvecs(cmd->bvec + nr, bio);
	vmdk_set_iter(&cmd->io, cmd->bvec, nr, 0, blk_rq_bytes(rq));
	cmd->bio = NULL;
	return true;
}

/* Without memory for an array, a request goes bio by bio. */
static void vmdk_io_refill(struct vmdk_io *io)
{
	struct vmdk_cmd *cmd = vmdk_io_to_cmd(io);
	struct request *rq = blk_mq_rq_from_pdu(cmd);

	if (rq->bio != rq->biotail && cmd->bio == rq->bio && !cmd->alone &&
	    vmdk_iter_from_all(cmd, rq))
		return;
	vmdk_iter_from_bio(cmd);
}

static void vmdk_cmd_init(struct vmdk_cmd *cmd, struct vmdk_queue *queue,
			  struct request *rq)
{
	struct vmdk_io *io = &cmd->io;

	cmd->queue = queue;
	cmd->bio = rq->bio;
	cmd->bvec = NULL;
	cmd->alone = false;
	io->chain = queue->disk->chain;
	io->op = req_op(rq);
	io->unmap = !(rq->cmd_flags & REQ_NOUNMAP);
	io->below = false;
	io->run_used = false;
	io->ioprio = req_get_ioprio(rq);
	io->sector = blk_rq_pos(rq);
	io->left = blk_rq_sectors(rq);
	io->iter.count = 0;
	io->error = 0;
	atomic_set(&io->refs, 1);
	io->refill = vmdk_io_refill;
	io->resume = vmdk_io_queue;
	io->done = vmdk_io_done;
}

/* Serve the first bio that is left of @rq. */
static void vmdk_serve_alone(struct request *rq)
{
	struct vmdk_cmd *cmd = blk_mq_rq_to_pdu(rq);

	vmdk_cmd_init(cmd, cmd->queue, rq);
	cmd->alone = true;
	cmd->io.left = rq->bio->bi_iter.bi_size >> SECTOR_SHIFT;
	vmdk_io_queue(&cmd->io);
}

static void vmdk_complete_rq(struct request *rq)
{
	struct vmdk_cmd *cmd = blk_mq_rq_to_pdu(rq);
	blk_status_t status = errno_to_blk_status(cmd->io.error);

	kfree(cmd->bvec);
	if (likely(!cmd->alone && (!status || rq->bio == rq->biotail ||
				   !vmdk_is_data(&cmd->io))))
		blk_mq_end_request(rq, status);
	else if (!cmd->alone ||
		 blk_update_request(rq, status, rq->bio->bi_iter.bi_size))
		vmdk_serve_alone(rq);
	else
		__blk_mq_end_request(rq, status);
}

/* In the worker: what has waited for others ends now. */
static void vmdk_end_all(struct vmdk_queue *queue)
{
	struct llist_node *list = llist_reverse_order(queue->ended);
	struct vmdk_io *io, *next;

	queue->ended = NULL;
	queue->nr_ended = 0;
	llist_for_each_entry_safe(io, next, list, queued)
		vmdk_complete_rq(blk_mq_rq_from_pdu(vmdk_io_to_cmd(io)));
}

/*
 * A page on its way to swap takes one of the page cache, and the file system needs some
 * memory for that, which it waits for with its locks held when the reserves are used up.
 * So leave it something, if what is being written to the files gives memory back soon.
 * To wait for the files themselves would not do: that they are written may need what
 * those hold who wait for this page.
 */
static void vmdk_swap_await_memory(struct vmdk_queue *queue, u32 sectors)
{
	unsigned long pages = 2 * (sectors >> PAGE_SECTORS_SHIFT) +
			      VMDK_SWAP_SPARE;
	unsigned int tries;

	for (tries = 0; tries < VMDK_SWAP_TRIES; tries++) {
		if (global_zone_page_state(NR_FREE_PAGES) >= pages)
			break;
		vmdk_end_all(queue);
		memalloc_retry_wait(GFP_NOIO);
	}
}

static void vmdk_queue_workfn(struct work_struct *work)
{
	struct vmdk_queue *queue = container_of(work, struct vmdk_queue, work);
	bool swap = queue == queue->disk->swap;
	unsigned int noio = vmdk_enter_io();
	struct vmdk_io *io, *next;
	struct llist_node *list;

	WRITE_ONCE(queue->worker, current);
	list = llist_reverse_order(llist_del_all(&queue->list));
	llist_for_each_entry_safe(io, next, list, queued) {
		/* A read that comes here is likely to wait for a disk. */
		if (io->op == REQ_OP_READ || queue->nr_ended == VMDK_MAX_ENDED)
			vmdk_end_all(queue);
		if (swap)
			vmdk_swap_await_memory(queue, io->left);
		vmdk_chain_submit(io);
		cond_resched();
	}
	WRITE_ONCE(queue->worker, NULL);
	vmdk_end_all(queue);
	vmdk_leave_io(noio);
}

/*
 * Memory may be what everyone waits for until these pages are written, so
 * nothing here waits for long: the reserves are for this.  A page that finds none even
 * there fails, stays in memory, and is tried again.
 */
static void vmdk_swap_workfn(struct work_struct *work)
{
	unsigned int noreclaim = memalloc_noreclaim_save();

	vmdk_queue_workfn(work);
	memalloc_noreclaim_restore(noreclaim);
}

/* A flush covers what completed before it came; one commit serves them all. */
static void vmdk_finish_flushes(struct vmdk_disk *disk,
				struct list_head *flushes)
{
	struct vmdk_io *io, *next;
	int ret;

	if (list_empty(flushes))
		return;
	ret = vmdk_chain_flush(disk->chain);
	list_for_each_entry_safe(io, next, flushes, node) {
		list_del_init(&io->node);
		io->error = ret;
		io->done(io);
	}
}

static void vmdk_meta_workfn(struct work_struct *work)
{
	struct vmdk_disk *disk = container_of(work, struct vmdk_disk,
					      meta_work);
	unsigned int noio = vmdk_enter_io();
	struct vmdk_io *io, *next;
	LIST_HEAD(flushes);
	LIST_HEAD(list);

	spin_lock_irq(&disk->meta_lock);
	list_splice_init(&disk->meta, &list);
	spin_unlock_irq(&disk->meta_lock);
	list_for_each_entry_safe(io, next, &list, node) {
		list_del_init(&io->node);
		if (io->op == REQ_OP_FLUSH)
			list_add_tail(&io->node, &flushes);
		else
			vmdk_chain_zero(io);
	}
	vmdk_finish_flushes(disk, &flushes);
	vmdk_leave_io(noio);
}

/*
 * The worker is woken once for all requests that come together.  blk-mq calls this
 * and ->queue_rq under RCU: the requests may be over by now, and the queue too.
 */
static void vmdk_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	struct vmdk_queue *queue = hctx->driver_data;

	if (!llist_empty(&queue->list))
		queue_work(queue->wq, &queue->work);
}

static blk_status_t vmdk_queue_rq(struct blk_mq_hw_ctx *hctx,
				  const struct blk_mq_queue_data *bd)
{
	struct vmdk_queue *queue = hctx->driver_data;
	struct request *rq = bd->rq;
	struct vmdk_cmd *cmd = blk_mq_rq_to_pdu(rq);

	blk_mq_start_request(rq);
	switch (req_op(rq)) {
	case REQ_OP_WRITE:
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		if (!queue->disk->chain->writable)
			return BLK_STS_IOERR;
		break;
	case REQ_OP_READ:
	case REQ_OP_FLUSH:
		break;
	default:
		return BLK_STS_NOTSUPP;
	}
	if (rq->cmd_flags & REQ_SWAP)
		queue = queue->disk->swap;
	vmdk_cmd_init(cmd, queue, rq);
	if (req_op(rq) == REQ_OP_READ && blk_rq_bytes(rq) <= VMDK_MAX_PEEK &&
	    rq->bio == rq->biotail && vmdk_chain_peek(&cmd->io))
		blk_mq_end_request(rq, BLK_STS_OK);
	else if (vmdk_is_data(&cmd->io) && queue == hctx->driver_data)
		llist_add(&cmd->io.queued, &queue->list);
	else
		vmdk_io_queue(&cmd->io);
	if (bd->last)
		vmdk_commit_rqs(hctx);
	return BLK_STS_OK;
}

static struct vmdk_queue *vmdk_queue_alloc(struct vmdk_disk *disk,
					   struct workqueue_struct *wq,
					   work_func_t workfn, int node)
{
	struct vmdk_queue *queue;

	queue = kzalloc_node(sizeof(*queue), GFP_KERNEL, node);
	if (!queue)
		return NULL;
	queue->disk = disk;
	queue->wq = wq;
	init_llist_head(&queue->list);
	INIT_WORK(&queue->work, workfn);
	return queue;
}

static int vmdk_init_hctx(struct blk_mq_hw_ctx *hctx, void *data,
			  unsigned int index)
{
	struct vmdk_disk *disk = data;

	hctx->driver_data = vmdk_queue_alloc(disk, disk->wq, vmdk_queue_workfn,
					     hctx->numa_node);
	return hctx->driver_data ? 0 : -ENOMEM;
}

static void vmdk_exit_hctx(struct blk_mq_hw_ctx *hctx, unsigned int index)
{
	struct vmdk_queue *queue = hctx->driver_data;

	cancel_work_sync(&queue->work);
	kfree(queue);
}

/* A workqueue has one worker that needs no memory to start: swap has its own. */
static int vmdk_swap_init(struct vmdk_disk *disk, const char *name)
{
	struct workqueue_struct *wq;

	wq = alloc_workqueue("%s-swap", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, name);
	if (!wq)
		return -ENOMEM;
	disk->swap = vmdk_queue_alloc(disk, wq, vmdk_swap_workfn, NUMA_NO_NODE);
	if (!disk->swap) {
		destroy_workqueue(wq);
		return -ENOMEM;
	}
	return 0;
}

/* There is no more I/O. */
static void vmdk_swap_exit(struct vmdk_disk *disk)
{
	destroy_workqueue(disk->swap->wq);
	kfree(disk->swap);
}

static const struct blk_mq_ops vmdk_mq_ops = {
	.queue_rq	= vmdk_queue_rq,
	.commit_rqs	= vmdk_commit_rqs,
	.complete	= vmdk_complete_rq,
	.init_hctx	= vmdk_init_hctx,
	.exit_hctx	= vmdk_exit_hctx,
};

/* ----------------------------------------------------- open, close, detach */

static int vmdk_open(struct gendisk *gendisk, blk_mode_t mode)
{
	struct vmdk_disk *disk = gendisk->private_data;

	if (disk->life == VMDK_DELETING)
		return -ENXIO;
	/*
	 * Programs that only look (udev, blkid) do not claim the disk, and
	 * their close must not detach it.
	 */
	if (mode & BLK_OPEN_EXCL)
		disk->armed = true;
	return 0;
}

static void vmdk_release(struct gendisk *gendisk)
{
	struct vmdk_disk *disk = gendisk->private_data;

	lockdep_assert_held(&gendisk->open_mutex);
	if (disk_openers(gendisk))
		return;
	if (disk->life != VMDK_RUNDOWN &&
	    !(disk->life == VMDK_LIVE && disk->autoclear && disk->armed))
		return;
	WRITE_ONCE(disk->life, VMDK_DELETING);
	queue_work(vmdk_wq, &disk->detach_work);
}

/* Without this, BLKROSET would lift what the attach said. */
static int vmdk_set_read_only(struct block_device *bdev, bool ro)
{
	struct vmdk_disk *disk = bdev->bd_disk->private_data;
	bool writable;

	down_read(&disk->chain_sem);
	writable = disk->chain->writable;
	up_read(&disk->chain_sem);
	return ro || writable ? 0 : -EROFS;
}

static void vmdk_free_disk(struct gendisk *gendisk)
{
	struct vmdk_disk *disk = gendisk->private_data;

	fput(disk->backing);
	kfree(disk);
	module_put(THIS_MODULE);
}

COMPAT_DEFINE_OPEN(vmdk_open)
COMPAT_DEFINE_RELEASE(vmdk_release)

static const struct block_device_operations vmdk_fops = {
	.owner		= THIS_MODULE,
	.open		= COMPAT_OPEN(vmdk_open),
	.release	= COMPAT_RELEASE(vmdk_release),
	.set_read_only	= vmdk_set_read_only,
	.free_disk	= vmdk_free_disk,
};

/* From now on nobody finds the disk; its index stays taken. */
static void vmdk_hide_disk(int index)
{
	mutex_lock(&disks_lock);
	idr_replace(&disks, NULL, index);
	mutex_unlock(&disks_lock);
}

static void vmdk_put_index(int index)
{
	mutex_lock(&disks_lock);
	idr_remove(&disks, index);
	mutex_unlock(&disks_lock);
}

static void vmdk_task_workfn(struct work_struct *work)
{
	struct vmdk_task *task = container_of(work, struct vmdk_task, work);
	unsigned int noio = vmdk_enter_io();

	task->ret = task->run(task);
	vmdk_leave_io(noio);
}

/**
 * vmdk_run_task - do something for a disk in a worker, and wait for it
 * @disk: the disk
 * @task: with @run set, and what that needs
 *
 * In a worker, because a caller may be killed, or have a limit of file size.
 *
 * Context: process context, not in a worker of the disk.
 * Return: what @task->run returned.
 */
int vmdk_run_task(struct vmdk_disk *disk, struct vmdk_task *task)
{
	task->chain = disk->chain;
	INIT_WORK_ONSTACK(&task->work, vmdk_task_workfn);
	queue_work(disk->wq, &task->work);
	flush_work(&task->work);
	destroy_work_on_stack(&task->work);
	return task->ret;
}

static int vmdk_task_finish(struct vmdk_task *task)
{
	return vmdk_chain_finish(task->chain);
}

/*
 * The disk is VMDK_DELETING, so this is its only way here, nobody has it open, and
 * nobody can open it: there is no more I/O.  When it is gone, its files are complete:
 * whoever waited for that may copy them.
 */
static int vmdk_disk_remove(struct vmdk_disk *disk)
{
	struct vmdk_task finish = { .run = vmdk_task_finish };
	int index = disk->index;
	int ret;

	vmdk_hide_disk(index);
	ret = vmdk_run_task(disk, &finish);
	if (ret)
		pr_err("%s: detached, but the last commit failed (%d): what was written since the last flush may be lost\n",
		       disk->chain->name, ret);
	del_gendisk(disk->disk);
	cancel_work_sync(&disk->meta_work);
	blk_mq_free_tag_set(&disk->tag_set);
	vmdk_chain_free(disk->chain);
	vmdk_swap_exit(disk);
	destroy_workqueue(disk->wq);
	put_disk(disk->disk);
	vmdk_put_index(index);
	return ret;
}

static void vmdk_detach_workfn(struct work_struct *work)
{
	struct vmdk_disk *disk = container_of(work, struct vmdk_disk,
					      detach_work);

	vmdk_disk_remove(disk);
}

/* Decide under the lock that opens take, so that none can slip in. */
static int vmdk_start_detach(struct vmdk_disk *disk, bool lazy)
{
	int ret = 0;

	mutex_lock(&disk->disk->open_mutex);
	if (disk->life == VMDK_NEW || disk->life == VMDK_DELETING) {
		ret = -ENXIO;
	} else if (disk->life == VMDK_CHANGING) {
		ret = -EAGAIN;
	} else if (disk->life == VMDK_FOLDING) {
		ret = -EBUSY;
	} else if (!disk_openers(disk->disk)) {
		WRITE_ONCE(disk->life, VMDK_DELETING);
	} else if (lazy) {
		WRITE_ONCE(disk->life, VMDK_RUNDOWN);
		ret = -EINPROGRESS;
	} else {
		ret = -EBUSY;
	}
	mutex_unlock(&disk->disk->open_mutex);
	return ret;
}

/**
 * vmdk_disk_get - find /dev/vmdkN
 * @index: the N
 *
 * A last close may hold open_mutex for long, so that nobody takes it under
 * disks_lock.
 *
 * Return: the disk, with a reference to its device; or NULL.
 */
struct vmdk_disk *vmdk_disk_get(u32 index)
{
	struct vmdk_disk *disk;

	mutex_lock(&disks_lock);
	disk = idr_find(&disks, index);
	if (disk)
		get_device(disk_to_dev(disk->disk));
	mutex_unlock(&disks_lock);
	return disk;
}

/**
 * vmdk_disk_detach - remove /dev/vmdkN
 * @index: the N
 * @lazy: when it is open, after its last close
 *
 * Context: process context, in the ioctl.
 * Return: 0; -ENXIO; -EBUSY: it is open, or being folded; -EAGAIN: it is being
 * changed; or the error of the last commit.
 */
int vmdk_disk_detach(u32 index, bool lazy)
{
	struct vmdk_disk *disk = vmdk_disk_get(index);
	int ret;

	if (!disk)
		return -ENXIO;
	ret = vmdk_start_detach(disk, lazy);
	put_device(disk_to_dev(disk->disk));
	if (ret)
		return ret == -EINPROGRESS ? 0 : ret;
	return vmdk_disk_remove(disk);
}

/* ---------------------------------------------------------------- attach */

static void vmdk_set_limits(const struct vmdk_chain *chain,
			    struct compat_queue_limits *lim)
{
	lim->logical_block_size = SECTOR_SIZE;
	lim->physical_block_size = chain->block_size;
	lim->io_min = chain->block_size;
	lim->io_opt = min_t(u32, chain->grain_bytes, VMDK_MAX_IO_OPT);
	lim->max_hw_sectors = VMDK_MAX_SECTORS;
	lim->max_segments = VMDK_MAX_SEGMENTS;
	if (!chain->writable)
		return;
	lim->features = BLK_FEAT_WRITE_CACHE;
	lim->max_write_zeroes_sectors = VMDK_MAX_ZERO_SECTORS;
	if (!chain->discard_bytes)
		return;
	lim->max_hw_discard_sectors = lim->max_write_zeroes_sectors;
	lim->discard_granularity = chain->discard_bytes;
}

static int vmdk_init_tag_set(struct vmdk_disk *disk,
			     const struct vmdk_attach *attach)
{
	struct blk_mq_tag_set *set = &disk->tag_set;

	set->ops = &vmdk_mq_ops;
	set->nr_hw_queues = attach->nr_queues ?: num_online_cpus();
	set->queue_depth = attach->queue_depth ?: VMDK_DEFAULT_DEPTH;
	set->numa_node = NUMA_NO_NODE;
	set->cmd_size = sizeof(struct vmdk_cmd);
	set->flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	set->driver_data = disk;
	return blk_mq_alloc_tag_set(set);
}

static int vmdk_check_queues(const struct vmdk_attach *attach,
			     struct vmdk_fault *fault)
{
	if (attach->nr_queues > nr_cpu_ids)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "%u queues, but at most %u CPUs",
				      attach->nr_queues, nr_cpu_ids);
	if (attach->queue_depth > VMDK_MAX_DEPTH)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "queue depth %u, at most %u are supported",
				      attach->queue_depth, VMDK_MAX_DEPTH);
	return 0;
}

static void vmdk_init_gendisk(struct vmdk_disk *disk,
			      const struct vmdk_attach *attach)
{
	struct gendisk *gendisk = disk->disk;

	gendisk->fops = &vmdk_fops;
	gendisk->private_data = disk;
	strscpy(gendisk->disk_name, disk->chain->name, DISK_NAME_LEN);
	set_capacity(gendisk, disk->chain->sectors);
	set_disk_ro(gendisk, !disk->chain->writable);
	if (attach->flags & VMDK_ATTACH_NO_PARTSCAN)
		set_bit(GD_SUPPRESS_PART_SCAN, &gendisk->state);
}

static int vmdk_add_gendisk(struct vmdk_disk *disk,
			    const struct vmdk_attach *attach)
{
	struct compat_queue_limits lim = {};
	struct gendisk *gendisk;
	int ret;

	ret = vmdk_init_tag_set(disk, attach);
	if (ret)
		return ret;
	vmdk_set_limits(disk->chain, &lim);
	gendisk = compat_alloc_disk(&disk->tag_set, &lim, disk);
	if (IS_ERR(gendisk)) {
		ret = PTR_ERR(gendisk);
		goto err_tags;
	}
	disk->disk = gendisk;
	vmdk_init_gendisk(disk, attach);
	ret = device_add_disk(NULL, gendisk, vmdk_sysfs_groups);
	if (!ret)
		return 0;
	put_disk(gendisk);
err_tags:
	blk_mq_free_tag_set(&disk->tag_set);
	return ret;
}

static int vmdk_disk_set_up(struct vmdk_disk *disk,
			    const struct vmdk_config *config,
			    struct vmdk_fault *fault, u32 *fault_extent)
{
	char name[DISK_NAME_LEN];
	int ret;

	snprintf(name, sizeof(name), "vmdk%d", disk->index);
	disk->wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, name);
	if (!disk->wq)
		return -ENOMEM;
	ret = vmdk_swap_init(disk, name);
	if (ret)
		goto err_wq;
	disk->chain = vmdk_chain_open(config, name, disk->wq, fault,
				      fault_extent);
	ret = PTR_ERR_OR_ZERO(disk->chain);
	if (ret)
		goto err_swap;
	ret = vmdk_add_gendisk(disk, &config->attach);
	if (ret)
		goto err_chain;
	return 0;

err_chain:
	vmdk_chain_free(disk->chain);
err_swap:
	vmdk_swap_exit(disk);
err_wq:
	destroy_workqueue(disk->wq);
	return ret;
}

static struct vmdk_disk *vmdk_disk_alloc(const struct vmdk_attach *attach)
{
	struct vmdk_disk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);

	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->backing = fget(attach->backing_fd);
	if (!disk->backing) {
		kfree(disk);
		return ERR_PTR(-EBADF);
	}
	strscpy(disk->create_type, attach->create_type,
		sizeof(disk->create_type));
	disk->autoclear = attach->flags & VMDK_ATTACH_AUTOCLEAR;
	init_rwsem(&disk->chain_sem);
	spin_lock_init(&disk->meta_lock);
	INIT_LIST_HEAD(&disk->meta);
	INIT_WORK(&disk->meta_work, vmdk_meta_workfn);
	INIT_WORK(&disk->detach_work, vmdk_detach_workfn);
	return disk;
}

/* Takes an index; the disk is found under it only when it is live. */
static int vmdk_get_index(int wanted)
{
	int start = max(wanted, 0);
	int end = wanted < 0 ? 0 : wanted + 1;
	int index;

	mutex_lock(&disks_lock);
	index = idr_alloc(&disks, NULL, start, end, GFP_KERNEL);
	mutex_unlock(&disks_lock);
	return index == -ENOSPC && wanted >= 0 ? -EEXIST : index;
}

/**
 * vmdk_disk_live - nothing keeps a disk any more
 * @disk: new, or changed
 *
 * It may have been opened, held and closed already: then this is its last close.
 * Nobody may touch @disk after this who has no reference.
 */
void vmdk_disk_live(struct vmdk_disk *disk)
{
	struct gendisk *gendisk = disk->disk;
	bool gone;

	mutex_lock(&gendisk->open_mutex);
	gone = disk->autoclear && disk->armed && !disk_openers(gendisk);
	WRITE_ONCE(disk->life, gone ? VMDK_DELETING : VMDK_LIVE);
	if (gone)
		queue_work(vmdk_wq, &disk->detach_work);
	mutex_unlock(&gendisk->open_mutex);
}

static void vmdk_show_disk(struct vmdk_disk *disk)
{
	struct gendisk *gendisk = disk->disk;

	mutex_lock(&disks_lock);
	idr_replace(&disks, disk, disk->index);
	get_device(disk_to_dev(gendisk));
	mutex_unlock(&disks_lock);
	vmdk_disk_live(disk);
	put_device(disk_to_dev(gendisk));
}

/**
 * vmdk_disk_attach - create /dev/vmdkN
 * @config: a checked ATTACH call; receives the index and the extent at fault
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl.
 * Return: 0 or an error.
 */
int vmdk_disk_attach(struct vmdk_config *config, struct vmdk_fault *fault)
{
	struct vmdk_attach *attach = &config->attach;
	struct vmdk_disk *disk;
	int ret;

	ret = vmdk_check_queues(attach, fault);
	if (ret)
		return ret;
	disk = vmdk_disk_alloc(attach);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	ret = vmdk_get_index(attach->index);
	if (ret < 0)
		goto err_free;
	disk->index = ret;
	__module_get(THIS_MODULE);
	ret = vmdk_disk_set_up(disk, config, fault, &attach->fault_extent);
	if (ret)
		goto err_index;
	attach->index = disk->index;
	vmdk_show_disk(disk);
	return 0;

err_index:
	vmdk_put_index(disk->index);
	module_put(THIS_MODULE);
err_free:
	fput(disk->backing);
	kfree(disk);
	return ret;
}

/* ---------------------------------------------------------------- module */

static int __init vmdk_init(void)
{
	int ret;

	ret = vmdk_gt_cache_init();
	if (ret)
		return ret;
	ret = vmdk_below_cache_init();
	if (ret)
		goto err_gt_cache;
	ret = -ENOMEM;
	vmdk_wq = alloc_workqueue("vmdk-detach", WQ_UNBOUND, 0);
	if (!vmdk_wq)
		goto err_below_cache;
	ret = vmdk_stream_init();
	if (ret)
		goto err_wq;
	ret = vmdk_ctl_register();
	if (ret)
		goto err_stream;
	return 0;

err_stream:
	vmdk_stream_exit();
err_wq:
	destroy_workqueue(vmdk_wq);
err_below_cache:
	vmdk_below_cache_exit();
err_gt_cache:
	vmdk_gt_cache_exit();
	return ret;
}

static void __exit vmdk_exit(void)
{
	vmdk_ctl_unregister();
	destroy_workqueue(vmdk_wq);
	idr_destroy(&disks);
	vmdk_stream_exit();
	vmdk_below_cache_exit();
	vmdk_gt_cache_exit();
}

module_init(vmdk_init);
module_exit(vmdk_exit);

MODULE_DESCRIPTION("Block driver for VMware disks");
MODULE_LICENSE("GPL");
MODULE_VERSION(VMDK_VERSION);
