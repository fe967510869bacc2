/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's in-memory contract.  A request's way through the files:
 *
 *	vmdk_blk.c	request -> vmdk_io, worker, completion
 *	vmdk_extent.c	vmdk_io -> runs: which extent, what lies there
 *	vmdk_link.c	  which link of a chain has a sector
 *	vmdk_sparse.c	extent with grain tables: mapping, zeroing, its unclean flag
 *	vmdk_directory.c  its header and directories: read and validated at attach
 *	vmdk_commit.c	  its tables back to disk, in crash-safe order
 *	vmdk_alloc.c	  its grains: claim, publish, free
 *	vmdk_gt.c	  its grain tables in memory
 *	vmdk_stream.c	compressed grain -> bytes in memory
 *	vmdk_file.c	run -> bytes of a struct file
 *
 * and beside it vmdk_ctl.c (the control device), vmdk_sysfs.c, vmdk_change.c
 * (another link, another capacity), vmdk_fold.c (the top of a chain into its
 * parent), vmdk_chain.c (a disk's links: opened, flushed, closed), and vmdk_resize.c
 * (more or fewer sectors in an image).  Calls go down this list only.
 *
 * Lock order, outermost first:
 *
 *	the mutex of an open control device (vmdk_ctl.c)
 *	disks_lock (vmdk_blk.c); gendisk->open_mutex, not under disks_lock;
 *	disk->chain_sem; chain->links_sem
 *	  chain->begin_mutex, chain->commit_mutex, chain->reclaim_mutex
 *	    sparse->mark_mutex, sparse->load_mutex, sparse->extend_mutex
 *	      file->sync_mutex, chain->tables_sem
 *	      sparse->lock (spinlock, irq-safe: grains are published where
 *			    the file system completes their I/O)
 *
 * Legend of members: I immutable once the disk is live; F changed only with the
 * queue quiesced and nothing on its way, so that I/O may read it; L under the lock
 * that is named; R read under RCU, changed under the lock that is named; A atomic, or
 * read and written whole with READ_ONCE and WRITE_ONCE.
 */
#ifndef VMDK_H
#define VMDK_H

#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/percpu-refcount.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat/compat.h"
#include "vmdk_format.h"
#include "vmdk_ioctl.h"

struct vmdk_chain;
struct vmdk_extent;
struct vmdk_io;
struct vmdk_sparse;
struct vmdk_stream;

/* ------------------------------------------------------------ vmdk_file.c */

/*
 * Why a file is held; two claims of one file conflict when either writes, unless
 * that is a fold's (chain->ally).
 */
enum vmdk_role {
	VMDK_ROLE_EXTENT,
	VMDK_ROLE_DESCRIPTOR,	/* may share its file with an extent of its disk */
	VMDK_ROLE_DEVICE,	/* a block device, in windows that do not overlap */
};

/**
 * struct vmdk_window - a part of a file
 * @start: first byte, as those count who use the file
 * @pos: the same, in the file
 * @length: in bytes
 */
struct vmdk_window {
	u64 start;
	u64 pos;
	u64 length;
};

/**
 * struct vmdk_file - a file that a disk lies in
 * @file: I  our own open file, with flags that nobody else can change
 * @theirs: I  the one that was handed in: what is locked by it stays locked
 * @owner: I  the chain that claimed it
 * @role: I
 * @writable: I
 * @direct: I  data goes around the page cache where its alignment allows
 * @peek: I  what the page cache has of it may be copied from there
 * @dio_mask: I  what position and length must be aligned to for that, less one
 * @flags: A  VMDK_FILE_DIRTY: something was written since the last sync began
 * @sync_mutex: one sync at a time: whoever finds nothing dirty has waited for it
 * @sync_error: L (sync_mutex)  a sync has failed, and so does every later one
 * @mapping: I  whose errors tell that something could not be written
 * @since: I  what they were when the file was opened
 * @windows: I  the parts of the file that are used, one after the other; NULL:
 *	all of it, and positions are the file's own
 * @nr_windows: I
 * @node: L (vmdk_file.c)  in the table of claimed files
 * @refs: L (vmdk_file.c)  windows of a device share it
 */
struct vmdk_file {
	struct file *file;
	struct file *theirs;
	const struct vmdk_chain *owner;
	enum vmdk_role role;
	bool writable;
	bool direct;
	bool peek;
	unsigned int dio_mask;
	unsigned long flags;
	struct mutex sync_mutex;	/* one sync at a time */
	int sync_error;
	struct address_space *mapping;
	errseq_t since;
	struct vmdk_window *windows;
	u32 nr_windows;
	struct hlist_node node;
	u32 refs;
};

#define VMDK_FILE_DIRTY		0	/* bit number in vmdk_file.flags */

struct vmdk_file *vmdk_file_get(int fd, bool writable, bool direct,
				enum vmdk_role role,
				const struct vmdk_chain *owner,
				struct vmdk_fault *fault);
void vmdk_file_put(struct vmdk_file *vf);
void vmdk_file_demote(struct vmdk_file *vf);
bool vmdk_file_same(const struct vmdk_file *a, const struct vmdk_file *b);
bool vmdk_file_lies_on(const struct vmdk_file *vf,
		       const struct block_device *whole);
u32 vmdk_file_fs_block(const struct vmdk_file *vf);
int vmdk_file_set_windows(struct vmdk_file *vf,
			  const struct vmdk_window_info *infos, u32 nr,
			  struct vmdk_fault *fault);
u64 vmdk_file_size(const struct vmdk_file *vf);
bool vmdk_file_has_data(struct vmdk_file *vf, u64 pos);
u64 vmdk_file_span(const struct vmdk_file *vf, u64 pos);
int vmdk_file_read(struct vmdk_file *vf, void *buf, size_t len, loff_t pos);
int vmdk_file_write(struct vmdk_file *vf, const void *buf, size_t len,
		    loff_t pos);
int vmdk_file_zero(struct vmdk_file *vf, loff_t pos, loff_t len, bool unmap);
int vmdk_file_punch(struct vmdk_file *vf, loff_t pos, loff_t len);
int vmdk_file_resize(struct vmdk_file *vf, loff_t size);
int vmdk_file_sync(struct vmdk_file *vf);
bool vmdk_file_has_lost(const struct vmdk_file *vf);
unsigned int vmdk_file_block_size(const struct vmdk_file *vf);
unsigned int vmdk_file_hole_size(const struct vmdk_file *vf);

/* ---------------------------------------------------------- vmdk_extent.c */

/* What lies at a range of sectors. */
enum vmdk_state {
	VMDK_MAP_DATA,	/* at @file, @pos */
	VMDK_MAP_ZERO,	/* zeros */
	VMDK_MAP_HOLE,	/* nothing: the parent shows, or zeros */
	VMDK_MAP_COMPRESSED, /* @offset sectors into @grain, which is at @pos */
};

/**
 * struct vmdk_map - what lies at a sector, and how far that answer holds
 * @state: what
 * @sectors: how far; at least 1
 * @file: for DATA: the file
 * @pos: for DATA: the byte in it
 * @pin: for DATA that could be freed: released when its I/O is over
 * @stream: for COMPRESSED: who can inflate it
 * @grain: for COMPRESSED
 * @offset: for COMPRESSED: sectors
 */
struct vmdk_map {
	enum vmdk_state state;
	u32 sectors;
	struct vmdk_file *file;
	loff_t pos;
	struct percpu_ref *pin;
	struct vmdk_stream *stream;
	u64 grain;
	u32 offset;
};

/**
 * struct vmdk_claim - absent grains that a write is about to fill
 * @sparse: the extent; NULL: no claim
 * @gt: their table, kept in memory by the claim
 * @first: their first entry in the table
 * @count: how many
 * @gte: sector of the first one in the file; the others follow it
 * @pos: byte in the file of the sector that was asked for
 * @sectors: how far the claim reaches from there
 */
struct vmdk_claim {
	struct vmdk_sparse *sparse;
	struct vmdk_gt *gt;
	u32 first;
	u32 count;
	u32 gte;
	u32 sectors;
	loff_t pos;
};

/**
 * struct vmdk_run - one file I/O on its way
 * @iocb: for the file system
 * @iter: the memory
 * @bytes: how much of it
 * @ret: bytes done, or a negative error
 * @refs: A  the submitter and the completion; the last one calls @done
 * @done: it is over
 * @io: what it is part of
 * @sector: the first one of the disk that it is about
 * @map: where
 * @claim: the grains to publish when it succeeded
 */
struct vmdk_run {
	struct kiocb iocb;
	struct iov_iter iter;
	size_t bytes;
	long ret;
	atomic_t refs;
	void (*done)(struct vmdk_run *run);
	struct vmdk_io *io;
	u64 sector;
	struct vmdk_map map;
	struct vmdk_claim claim;
};

void vmdk_file_submit(struct vmdk_run *run, bool write);
size_t vmdk_file_peek(struct vmdk_file *vf, struct iov_iter *iter, size_t bytes,
		      loff_t pos);

/**
 * struct vmdk_io - a request for sectors of a chain
 * @chain: of the disk
 * @below: read what the parents have
 * @op: REQ_OP_READ, _WRITE, _DISCARD or _WRITE_ZEROES
 * @ioprio: of the request
 * @unmap: for WRITE_ZEROES: space may be given back
 * @sector: first sector that is not on its way yet
 * @left: sectors from there to the end
 * @iter: their memory, or the next piece of it
 * @refs: A  runs on their way, and one for whoever submits
 * @error: A  the first error
 * @node: in a list of those who wait for a grain, or for the disk's one worker
 * @queued: of those who wait for the queue's worker
 * @wait_grain: L (sparse->lock)  the grain that it waits for
 * @refill: @iter is used up, and there is more: set it
 * @resume: continue after that wait; from any context
 * @done: it is over; from any context
 * @run: the first run; more come from a mempool
 * @run_used: @run is taken
 */
struct vmdk_io {
	struct vmdk_chain *chain;
	enum req_op op;
	bool unmap;
	bool below;
	bool run_used;
	u16 ioprio;
	sector_t sector;
	u32 left;
	int error;
	atomic_t refs;
	struct iov_iter iter;
	union {
		struct list_head node;
		struct llist_node queued;
	};
	u64 wait_grain;
	void (*refill)(struct vmdk_io *io);
	void (*resume)(struct vmdk_io *io);
	void (*done)(struct vmdk_io *io);
	struct vmdk_run run;
};

/**
 * struct vmdk_extent_ops - what makes a kind of extent
 * @map: what lies at @sector of the extent, for @nr sectors at most; with
 *	@peek, -EAGAIN when that cannot be told without waiting: the caller is
 *	under RCU, and gets no pin, because what was freed is not used again
 *	before it has left
 * @claim: take absent grains for a write of @nr sectors at @sector; 0, or
 *	-EAGAIN: map again, or -EINPROGRESS: @io waits for another writer of the
 *	grain and will be resumed
 * @zero: discard @nr sectors, or make them read as zeros, as @io says; stores
 *	how far it came; 0, or -EINPROGRESS as for @claim, or 1: they are a hole
 *	that shows the parent, and have to be written
 * @detach: after the last commit, before @free: leave the image clean
 * @free: let go of everything but the file
 */
struct vmdk_extent_ops {
	int (*map)(struct vmdk_extent *ext, u64 sector, u32 nr, bool peek,
		   struct vmdk_map *map);
	int (*claim)(struct vmdk_extent *ext, u64 sector, u32 nr,
		     struct vmdk_io *io, struct vmdk_claim *claim);
	int (*zero)(struct vmdk_extent *ext, u64 sector, u32 *nr,
		    struct vmdk_io *io);
	int (*detach)(struct vmdk_extent *ext);
	void (*free)(struct vmdk_extent *ext);
};

/**
 * struct vmdk_extent - a contiguous piece of a link
 * @ops: I
 * @start: I  first sector in the link
 * @sectors: F
 * @access: I
 * @file: I  NULL for ZERO
 * @offset: I  byte in the file at which it begins
 * @sparse: F (links_sem)  of a sparse extent
 */
struct vmdk_extent {
	const struct vmdk_extent_ops *ops;
	u64 start;
	u64 sectors;
	enum vmdk_access access;
	struct vmdk_file *file;
	u64 offset;
	struct vmdk_sparse *sparse;
};

/**
 * struct vmdk_link - a disk of its own, or what differs from the links behind it
 * @extents: I  sorted by start, without gaps
 * @nr_extents: I  those that are open
 * @sectors: F  capacity
 * @writable: I  it is the top of a disk that may be written to
 */
struct vmdk_link {
	struct vmdk_extent *extents;
	u32 nr_extents;
	u64 sectors;
	bool writable;
};

/**
 * struct vmdk_below - which link behind the top has what, as far as it is known
 * @pages: R (lock)  struct vmdk_below_page, by number of the unit
 * @lock: protects the following, and changes of @pages
 * @lru: L  all pages, those that the shrinker looks at first at the front
 * @nr_pages: A (lock)
 * @unit_shift: I  logarithm of the sectors of a unit
 * @shrinker: I
 *
 * What it remembers holds for good: only the top link is ever written to; and by
 * a fold, what is behind it, where only the top is looked at.
 */
struct vmdk_below {
	struct xarray pages;
	spinlock_t lock;		/* pages and their list */
	struct list_head lru;
	unsigned long nr_pages;
	u32 unit_shift;
	struct shrinker *shrinker;
};

/* A patch of the descriptor and its file. */
struct vmdk_chain_patch {
	struct vmdk_file *file;
	struct vmdk_patch patch;
};

/* Counters that sysfs shows. */
enum vmdk_stat {
	VMDK_STAT_ALLOCATED,	/* grains published */
	VMDK_STAT_FREED,	/* grains given up by discard and write zeroes */
	VMDK_STAT_GT_HIT,	/* grain table found in memory */
	VMDK_STAT_GT_MISS,	/* grain table read from the file */
	VMDK_STAT_COMMITS,	/* commits that wrote a table */
	VMDK_STAT_INFLATES,	/* grains inflated */
	VMDK_STAT_CACHE_HITS,	/* reads from an inflated grain */
	VMDK_NR_STATS
};

struct vmdk_stats {
	u64 count[VMDK_NR_STATS];
};

/**
 * struct vmdk_pins - I/O that may still use grains which have been freed
 * @gen: two generations
 * @gen.ref: counts I/O
 * @gen.drained: it has reached zero
 * @current_gen: A  index of the one that counts new I/O
 *
 * Before a freed grain is punched or used again, whoever frees it makes the
 * other generation current and waits until the first one has drained.
 */
struct vmdk_pins {
	struct vmdk_pin_gen {
		struct percpu_ref ref;
		struct completion drained;
	} gen[2];
	unsigned int current_gen;
};

struct vmdk_inflate;

/**
 * struct vmdk_cache - inflated grains of a chain
 * @lock: protects the following, and all entries
 * @lru: L  those that are ready
 * @nr: A (lock)  how many
 * @bytes: A (lock)  what they take
 * @limit: I
 * @shrinker: I
 * @spare_mutex: protects @spare
 * @spare: L  to inflate into when there is no memory
 * @spare_bytes: I  its size: the largest compressed grain
 * @own: L (contexts_lock)  the chain's own context for zlib, while it is free
 */
struct vmdk_cache {
	spinlock_t lock;		/* entries and their list */
	struct list_head lru;
	unsigned long nr;
	size_t bytes;
	size_t limit;
	struct shrinker *shrinker;
	struct mutex spare_mutex;	/* one user of the spare at a time */
	void *spare;
	u32 spare_bytes;
	struct vmdk_inflate *own;
};

/**
 * struct vmdk_chain - the stack of links that a disk is made of
 * @name: I  of the disk, for messages
 * @ally: A (commit_mutex)  of the target of a fold, the chain that is folded: it
 *	reads files that this one writes to; else NULL
 * @tables_sem: held for reading while a table is read from a file; held by an
 *	ally for writing while it writes to one
 * @links_sem: held for writing to change @links, or tables of their extents, with
 *	the queue quiesced; to be held for reading where I/O does not keep the queue
 *	from being quiesced
 * @links: L  the child, which may be written to, first; then its parent...
 * @nr_links: L
 * @sectors: F  capacity
 * @writable: I
 * @direct: I
 * @grain_bytes: I  largest grain of a sparse extent; 0: there is none
 * @block_size: I  largest block size of a backing file
 * @gd_entries: F  directory entries of all extents: their memory is limited
 * @discard_bytes: I  what a discard frees at least; 0: it frees nothing
 * @patches: I  of the descriptor, before the first write
 * @nr_patches: I
 * @cid: A  content id
 * @new_cid: I  what the patches make it
 * @parent_cid: A
 * @error: A  -EIO for good after a failed sync: nothing may be written
 * @damaged: A  a bad table entry was met: nothing may be written
 * @begun: A  the content id was renewed
 * @begin_mutex: serialises that
 * @commit_mutex: one commit at a time
 * @reclaim_mutex: one reclaim at a time
 * @commit_work: the commit in the background
 * @reclaim_work: punches what a commit has freed
 * @wq: I  for all work of the disk
 * @batch: L (commit_mutex)  records of a commit; NULL without sparse extents
 * @dirty_sectors: A  table sectors that wait for a commit
 * @nr_freed: A  struct vmdk_freed that are not in a pool
 * @nr_marks: A  pages in sparse->mapped of all extents
 * @pins: of I/O on grains
 * @runs: I  reserve of runs, so that I/O makes progress without memory
 * @gts: I  reserve of tables, for the same
 * @shrinker: I  gives tables back
 * @cache: of inflated grains
 * @below: what the parents have
 * @fills: I  struct vmdk_fill, so that a grain can be completed without memory
 * @fill_pages: I  the same for what is read from the parent
 * @stats: A  per CPU, so that counting shares no cache line
 */
struct vmdk_chain {
	char name[DISK_NAME_LEN];
	struct vmdk_chain *ally;
	struct rw_semaphore tables_sem;	/* tables in files */
	struct rw_semaphore links_sem;	/* links and nr_links */
	struct vmdk_link *links;
	u32 nr_links;
	u64 sectors;
	bool writable;
	bool direct;
	u32 grain_bytes;
	u32 block_size;
	u32 gd_entries;
	u32 discard_bytes;
	struct vmdk_chain_patch patches[VMDK_MAX_PATCHES];
	u32 nr_patches;
	u32 cid;
	u32 new_cid;
	u32 parent_cid;
	int error;
	bool damaged;
	bool begun;
	struct mutex begin_mutex;	/* one writer renews the content id */
	struct mutex commit_mutex;	/* one commit at a time */
	struct mutex reclaim_mutex;	/* one reclaim at a time */
	struct delayed_work commit_work;
	struct work_struct reclaim_work;
	struct workqueue_struct *wq;
	struct vmdk_batch *batch;
	atomic_t dirty_sectors;
	atomic_t nr_freed;
	atomic_t nr_marks;
	struct vmdk_pins pins;
	mempool_t runs;
	mempool_t gts;
	struct shrinker *shrinker;
	struct vmdk_cache cache;
	struct vmdk_below below;
	mempool_t fills;
	mempool_t fill_pages;
	struct vmdk_stats __percpu *stats;
};

/* What completes a grain is read in pieces of this. */
#define VMDK_FILL_ORDER		4
#define VMDK_FILL_SECTORS	((PAGE_SIZE << VMDK_FILL_ORDER) >> SECTOR_SHIFT)

/**
 * struct vmdk_fill - a read from the parent, to complete a grain
 * @io: the read
 * @bv: its memory
 * @wake: @io is over, or has to be continued
 * @over: which
 */
struct vmdk_fill {
	struct vmdk_io io;
	struct bio_vec bv;
	struct completion wake;
	bool over;
};

static inline bool vmdk_has_parent(const struct vmdk_chain *chain)
{
	return chain->nr_links > 1;
}

/* Each extent of link @link. */
#define vmdk_for_each_extent(ext, link) \
	for ((ext) = (link)->extents; \
	     (ext) < (link)->extents + (link)->nr_extents; (ext)++)

void vmdk_chain_submit(struct vmdk_io *io);
bool vmdk_chain_peek(struct vmdk_io *io);
void vmdk_chain_zero(struct vmdk_io *io);
int vmdk_extent_open(struct vmdk_chain *chain, const struct vmdk_link *link,
		     struct vmdk_extent *ext,
		     const struct vmdk_extent_info *info,
		     const struct vmdk_window_info *windows, bool verified,
		     struct vmdk_fault *fault);

/* ------------------------------------------------------------ vmdk_link.c */

struct vmdk_extent *vmdk_link_find(const struct vmdk_link *link,
				   sector_t sector);
int vmdk_link_check_access(const struct vmdk_extent *ext, bool write);
int vmdk_link_map(const struct vmdk_link *link, u64 sector, u32 nr, bool peek,
		  struct vmdk_map *map, struct vmdk_extent **found);
int vmdk_below_map(struct vmdk_chain *chain, sector_t sector, u32 nr,
		   bool peek, struct vmdk_map *map, struct vmdk_extent **ext);
int vmdk_below_cache_init(void);
void vmdk_below_cache_exit(void);
int vmdk_below_init(struct vmdk_chain *chain);
void vmdk_below_reset(struct vmdk_chain *chain);
void vmdk_below_exit(struct vmdk_chain *chain);

/* ----------------------------------------------------------- vmdk_chain.c */

struct vmdk_config;

/**
 * struct vmdk_push - a link that is about to become the top of a chain
 * @chain: the chain; NULL: nothing of it is changed yet
 * @gd_entries: that it has without the link
 * @link: its extents, open
 * @patches: of its descriptor
 * @nr_patches: how many
 * @cid: its content id
 * @new_cid: what the patches make it
 * @parent_cid: that it expects of the top
 */
struct vmdk_push {
	struct vmdk_chain *chain;
	u32 gd_entries;
	struct vmdk_link link;
	struct vmdk_chain_patch patches[VMDK_MAX_PATCHES];
	u32 nr_patches;
	u32 cid;
	u32 new_cid;
	u32 parent_cid;
};

struct vmdk_chain *vmdk_chain_open(const struct vmdk_config *config,
				   const char *name,
				   struct workqueue_struct *wq,
				   struct vmdk_fault *fault, u32 *fault_extent);
u64 vmdk_chain_offset(struct vmdk_chain *chain);
int vmdk_chain_begin(struct vmdk_chain *chain);
int vmdk_chain_finish(struct vmdk_chain *chain);
int vmdk_chain_prepare(struct vmdk_chain *chain,
		       const struct vmdk_config *config,
		       struct vmdk_push *push, struct vmdk_fault *fault,
		       u32 *fault_extent);
int vmdk_chain_push(struct vmdk_chain *chain, struct vmdk_push *push);
void vmdk_chain_cancel(struct vmdk_push *push);
void vmdk_chain_free(struct vmdk_chain *chain);
int vmdk_chain_flush(struct vmdk_chain *chain);
u64 vmdk_chain_stat(const struct vmdk_chain *chain, enum vmdk_stat stat);

/*
 * A sync has failed: write nothing any more.  Linux forgets that the pages were
 * dirty, so a second sync that succeeds would prove nothing.  Only detach helps.
 */
static inline void vmdk_chain_fail(struct vmdk_chain *chain, int error)
{
	if (!cmpxchg(&chain->error, 0, -EIO))
		pr_err("%s: sync of the image failed (%d): the disk takes no more writes\n",
		       chain->name, error);
}

/* In our workers: nothing below may wait for I/O on this very disk. */
static inline unsigned int vmdk_enter_io(void)
{
	current->flags |= PF_LOCAL_THROTTLE;
	return memalloc_noio_save();
}

static inline void vmdk_leave_io(unsigned int noio)
{
	memalloc_noio_restore(noio);
	current->flags &= ~PF_LOCAL_THROTTLE;
}

static inline void vmdk_count(struct vmdk_chain *chain, enum vmdk_stat stat,
			      u32 n)
{
	this_cpu_add(chain->stats->count[stat], n);
}

/* Have a commit in the background, soon or now.  From any context. */
static inline void vmdk_commit_later(struct vmdk_chain *chain, bool now)
{
	if (now)
		mod_delayed_work(chain->wq, &chain->commit_work, 0);
	else
		queue_delayed_work(chain->wq, &chain->commit_work, 5 * HZ);
}

/* Have freed grains punched in the background.  From any context. */
static inline void vmdk_reclaim_later(struct vmdk_chain *chain)
{
	queue_work(chain->wq, &chain->reclaim_work);
}

/* ---------------------------------------------------------- vmdk_sparse.c */

/* Marks in the low bits of the sector of a table in memory. */
#define VMDK_GTE_BUSY		0xffffffffU	/* absent, and being filled */
#define VMDK_GTE_BUSY_ZERO	0xfffffffeU	/* zeroed, and being filled */
#define VMDK_GTE_FREED		0xfffffffdU	/* absent, but not yet in the file */
#define VMDK_GTE_FREED_ZERO	0xfffffffcU	/* zeroed, but not yet in the file */
#define VMDK_GTE_BAD		0xfffffffbU	/* invalid in the file */

/**
 * struct vmdk_gt - a grain table in memory, or a part of a long one
 * @pool: I  where its memory goes back to
 * @lru: L (sparse->lock)  those that the shrinker looks at first
 * @dirty_node: L (sparse->lock)  in sparse->dirty while @dirty is not 0
 * @rcu: readers look at entries under RCU only
 * @index: I  which one
 * @dirty: L (sparse->lock)  bitmap of its sectors that differ from the file
 * @pins: L (sparse->lock)  claims and commits that need it in memory
 * @used: A  looked at since the shrinker last came by
 * @bad: I  an entry was found invalid that would pass for valid the next time
 * @entry: R (sparse->lock)  in CPU order
 */
struct vmdk_gt {
	mempool_t *pool;
	struct list_head lru;
	struct list_head dirty_node;
	struct rcu_head rcu;
	u32 index;
	u32 dirty;
	u32 pins;
	bool used;
	bool bad;
	u32 entry[];
};

/**
 * struct vmdk_freed - grains that were freed together
 * @node: L (sparse->lock)
 * @gte: sector of the first one
 * @count: how many follow each other
 */
struct vmdk_freed {
	struct list_head node;
	u32 gte;
	u32 count;
};

#define VMDK_GROUP_SHIFT	6
#define VMDK_GROUP_SIZE		BIT(VMDK_GROUP_SHIFT)

/**
 * struct vmdk_gt_group - adjacent tables; made when the first of them is loaded
 * @gt: R (sparse->lock)  those that are in memory
 */
struct vmdk_gt_group {
	struct vmdk_gt __rcu *gt[VMDK_GROUP_SIZE];
};

/**
 * struct vmdk_layout - where directory and table entries lead to
 * @gt_entries: entries of a table in memory; a power of two
 * @gt_shift: its logarithm
 * @gt_sectors: sectors of the file that these take
 * @split_shift: a table of the file makes 1 << this many in memory
 * @gde_base: a directory entry, shifted left by @gde_shift, and added to this
 * @gde_shift: is the sector of a table
 * @gte_base: a table entry, shifted left by @gte_shift, and added to this
 * @gte_shift: is the sector of a grain
 * @gte_step: from the entry of one grain to that of the next one in the file
 * @unclean_pos: byte in the extent of its unclean flag
 * @unclean_bytes: length of the flag; 0: there is none
 *
 * Tables of 4096 entries, in the formats of ESXi, are kept in parts.  Entries of
 * seSparse are grain numbers; in memory they are biased, so that 0 means absent
 * and 1 means zeros in all formats.
 */
struct vmdk_layout {
	u32 gt_entries;
	u32 gt_shift;
	u32 gt_sectors;
	u32 split_shift;
	u64 gde_base;
	u32 gde_shift;
	u32 gte_shift;
	u64 gte_base;
	u32 gte_step;
	u32 unclean_pos;
	u32 unclean_bytes;
};

/**
 * struct vmdk_sparse - an extent with grain tables
 * @chain: I
 * @file: I
 * @base: I  byte in the file at which the extent begins
 * @kind: I  VMDK_KIND_SPARSE, VMDK_KIND_COWD or VMDK_KIND_SESPARSE
 * @writable: I
 * @geo: I  what the header says
 * @layout: I
 * @sesparse: I  what the header of a seSparse extent says; else NULL
 * @raw: L (load_mutex)  a part of a table as it is in a seSparse file
 * @length: I  bytes of the file that it may take; 0: all
 * @gd: A  the directory, in CPU order; changed by a commit only
 * @rgd: A  the redundant directory; NULL: there is none
 * @gd_dirty: L (commit_mutex)  bitmap of directory sectors that differ from the file
 * @unsettled: L (commit_mutex)  bitmap, by directory entry, of new tables
 * @late_tables: I  sorted sectors of tables behind overHead; NULL: none
 * @nr_late_tables: I
 * @stream: I  reads its grains when they are compressed; else NULL
 * @open_sectors: I  length of the file at attach
 * @grows: A  a fold adds, or has added, grains to the file behind that
 * @seen: L (load_mutex)  bitmap of tables that were validated in full; NULL:
 *	they are read anew each time, because nothing is ever added to them
 * @mapped: L (load_mutex)  bitmaps of what the tables in the file point to
 * @groups: A (load_mutex)  of tables in memory; none goes before the extent
 * @nr_groups: I
 * @marked: A  the unclean flag is set in the file
 * @mark_mutex: serialises that
 * @load_mutex: one table is loaded at a time, so none can be loaded stale
 * @extend_mutex: serialises growth of the file
 * @end: A (extend_mutex)  sectors that the file has
 * @durable_end: L (commit_mutex)  sectors that it has after a power cut
 * @free_sector: L (commit_mutex)  what the header of a COWD extent says
 * @lock: the following, and all that says so
 * @lru: L  all tables in memory
 * @nr_tables: A  how many
 * @dirty: L  tables with dirty sectors
 * @waiters: L  I/O that waits for a grain to be published
 * @cursor: L  first sector behind all grains
 * @table_next: L (commit_mutex)  where the next new table goes
 * @table_left: L (commit_mutex)  how many sectors are left there
 * @table_room: L  sectors of the file that are kept for tables which it lacks
 * @freed: L  freed in memory, not yet in the file
 * @committing: L (commit_mutex)  freed by the commit that is running
 * @unpunched: L  freed in the file
 * @draining: L (reclaim_mutex)  those that will be punched now
 * @pool: L  free, and reading as zeros: to be used again
 * @nr_pool: L  how many runs of them
 */
struct vmdk_sparse {
	struct vmdk_chain *chain;
	struct vmdk_file *file;
	u64 base;
	u32 kind;
	bool writable;
	struct vmdk_geometry geo;
	struct vmdk_layout layout;
	struct vmdk_sesparse_geometry *sesparse;
	__le64 *raw;
	u64 length;
	u32 *gd;
	u32 *rgd;
	unsigned long *gd_dirty;
	unsigned long *unsettled;
	u32 *late_tables;
	u32 nr_late_tables;
	struct vmdk_stream *stream;
	u64 open_sectors;
	bool grows;
	unsigned long *seen;
	struct xarray mapped;
	struct vmdk_gt_group **groups;
	u32 nr_groups;
	bool marked;
	struct mutex mark_mutex;	/* one writer sets the unclean flag */
	struct mutex load_mutex;	/* one table is loaded at a time */
	struct mutex extend_mutex;	/* one writer makes the file grow */
	u64 end;
	u64 durable_end;
	u64 free_sector;
	spinlock_t lock;		/* entries, lists and the cursor */
	struct list_head lru;
	unsigned long nr_tables;
	struct list_head dirty;
	struct list_head waiters;
	u64 cursor;
	u64 table_next;
	u32 table_left;
	u64 table_room;
	struct list_head freed;
	struct list_head committing;
	struct list_head unpunched;
	struct list_head draining;
	struct list_head pool;
	u32 nr_pool;
};

extern const struct vmdk_extent_ops vmdk_sparse_ops;

/* Entries of a seSparse table in memory: number of the grain, and this. */
#define VMDK_SESPARSE_BIAS	2U
/* Directory entries of all extents of a disk: 64 TiB of 4 KiB grains. */
#define VMDK_CHAIN_GD_MAX	(4U << 20)
/* Pages of marks of a disk; see vmdk_prepare_marks(). */
#define VMDK_MARKS_MAX		16384

int vmdk_sparse_open(struct vmdk_chain *chain, struct vmdk_extent *ext,
		     const struct vmdk_extent_info *info, bool verified,
		     struct vmdk_fault *fault);
int vmdk_sparse_mark_unclean(struct vmdk_sparse *sparse);

/* Bytes that the extent has in its file now. */
static inline u64 vmdk_sparse_file_bytes(const struct vmdk_sparse *sparse)
{
	u64 size = vmdk_file_size(sparse->file);

	size = size > sparse->base ? size - sparse->base : 0;
	return sparse->length ? min(sparse->length, size) : size;
}

/* First sector of the extent that the grain of table entry @gte takes. */
static inline u64 vmdk_grain_sector(const struct vmdk_sparse *sparse, u32 gte)
{
	const struct vmdk_layout *layout = &sparse->layout;

	return layout->gte_base + ((u64)gte << layout->gte_shift);
}

/*
 * Does what the header says of the capacity fit what the descriptor says?
 * VirtualBox rounds the header's up to a grain.
 */
static inline bool vmdk_capacity_fits(const struct vmdk_geometry *geo,
				      u64 sectors)
{
	return geo->capacity == sectors ||
	       geo->capacity == round_up(sectors, (u64)geo->grain_sectors);
}

/* Where table @index lies, as directory @gd says; 0: there is none. */
static inline u64 vmdk_table_sector(const struct vmdk_sparse *sparse,
				    const u32 *gd, u32 index)
{
	const struct vmdk_layout *layout = &sparse->layout;
	u32 gde = READ_ONCE(gd[index >> layout->split_shift]);
	u32 part = index & (BIT(layout->split_shift) - 1);

	if (!gde)
		return 0;
	return layout->gde_base + ((u64)gde << layout->gde_shift) +
	       part * layout->gt_sectors;
}

/* Table @index, if it is in memory.  Under RCU or sparse->lock. */
static inline struct vmdk_gt *vmdk_gt_find(const struct vmdk_sparse *sparse,
					   u32 index)
{
	struct vmdk_gt_group *group;

	group = READ_ONCE(sparse->groups[index >> VMDK_GROUP_SHIFT]);
	if (!group)
		return NULL;
	return rcu_dereference_check(group->gt[index & (VMDK_GROUP_SIZE - 1)],
				     lockdep_is_held(&sparse->lock));
}

/* ------------------------------------------------------ vmdk_directory.c */

int vmdk_directory_open(struct vmdk_sparse *sparse,
			const struct vmdk_extent *ext, bool verified,
			struct vmdk_fault *fault);
void vmdk_directory_free(struct vmdk_sparse *sparse);

/* ---------------------------------------------------------- vmdk_stream.c */

/**
 * struct vmdk_stream - the compressed grains of an extent
 * @chain: I
 * @file: I
 * @base: I  byte in the file at which the extent begins
 * @bytes: I  how many it takes
 * @geo: I  the extent's
 * @grain_bytes: I
 * @decoded: inflated grains, and those that are being inflated, by number
 * @last: A  the grain that was read last
 * @ahead: A  the first one that nobody inflates ahead yet
 * @wanted: A  a grain that others waited for when it went straight into a request
 */
struct vmdk_stream {
	struct vmdk_chain *chain;
	struct vmdk_file *file;
	u64 base;
	u64 bytes;
	const struct vmdk_geometry *geo;
	u32 grain_bytes;
	struct xarray decoded;
	u64 last;
	u64 ahead;
	u64 wanted;
};

int vmdk_stream_init(void);
void vmdk_stream_exit(void);
int vmdk_cache_init(struct vmdk_chain *chain, u64 limit);
void vmdk_cache_exit(struct vmdk_chain *chain);
struct vmdk_stream *vmdk_stream_open(struct vmdk_chain *chain,
				     struct vmdk_file *file, u64 base,
				     u64 bytes,
				     const struct vmdk_geometry *geo);
void vmdk_stream_free(struct vmdk_stream *stream);
int vmdk_stream_read(struct vmdk_io *io, const struct vmdk_map *map, u32 nr);
int vmdk_stream_peek(struct vmdk_io *io, const struct vmdk_map *map, u32 nr);
u64 vmdk_stream_ahead_window(struct vmdk_stream *stream, u64 grain, u32 *count);
void vmdk_stream_ahead(const struct vmdk_map *map);

/* -------------------------------------------------------------- vmdk_gt.c */

int vmdk_gt_cache_init(void);
void vmdk_gt_cache_exit(void);
int vmdk_gt_pool_init(struct vmdk_chain *chain);
void vmdk_gt_pool_exit(struct vmdk_chain *chain);
int vmdk_gt_load(struct vmdk_sparse *sparse, u32 index);
void vmdk_gt_mark_dirty(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			u32 entry);
bool vmdk_gt_in_doubt(struct vmdk_sparse *sparse, u64 sector, u32 nr);
void vmdk_gt_free_all(struct vmdk_sparse *sparse);
int vmdk_shrinker_init(struct vmdk_chain *chain);
void vmdk_shrinker_free(struct vmdk_chain *chain);

static inline bool vmdk_gte_is_data(u32 gte)
{
	return gte > VMDK_GTE_ZERO && gte < VMDK_GTE_BAD;
}

static inline bool vmdk_gte_is_busy(u32 gte)
{
	return gte >= VMDK_GTE_BUSY_ZERO;
}

static inline bool vmdk_gte_is_freed(u32 gte)
{
	return gte == VMDK_GTE_FREED || gte == VMDK_GTE_FREED_ZERO;
}

/* What a grain that is being filled, or was freed, was or is otherwise. */
static inline u32 vmdk_gte_settled(u32 gte)
{
	if (gte == VMDK_GTE_BUSY || gte == VMDK_GTE_FREED)
		return VMDK_GTE_ABSENT;
	if (gte == VMDK_GTE_BUSY_ZERO || gte == VMDK_GTE_FREED_ZERO)
		return VMDK_GTE_ZERO;
	return gte;
}

/* ----------------------------------------------------------- vmdk_alloc.c */

int vmdk_alloc_claim(struct vmdk_sparse *sparse, u64 grain, u32 want,
		     struct vmdk_io *io, struct vmdk_claim *claim);
void vmdk_alloc_publish(struct vmdk_claim *claim);
void vmdk_alloc_unclaim(struct vmdk_claim *claim);
void vmdk_alloc_give_back(struct vmdk_sparse *sparse, u32 gte, u32 count);
int vmdk_alloc_metadata(struct vmdk_sparse *sparse, u32 grains, u32 *gte);
int vmdk_alloc_wait(struct vmdk_sparse *sparse, u64 grain, struct vmdk_io *io);
int vmdk_alloc_free(struct vmdk_sparse *sparse, u64 grain, u32 *nr);
int vmdk_alloc_save_cursor(struct vmdk_sparse *sparse);
int vmdk_alloc_trim(struct vmdk_sparse *sparse);
void vmdk_alloc_drop_all(struct vmdk_sparse *sparse);
void vmdk_reclaim(struct vmdk_chain *chain);
int vmdk_pins_init(struct vmdk_pins *pins);
void vmdk_pins_exit(struct vmdk_pins *pins);
struct percpu_ref *vmdk_pin(struct vmdk_pins *pins);

/* ---------------------------------------------------------- vmdk_commit.c */

/* Table sectors that wait: a commit is due now; writers take part in it. */
#define VMDK_DIRTY_DUE		1024
#define VMDK_DIRTY_MAX		(8 * VMDK_DIRTY_DUE)
/* Runs of freed grains that wait: whoever frees more commits and punches. */
#define VMDK_FREED_MAX		16384

void vmdk_commit_init(struct vmdk_chain *chain);
void vmdk_commit_stop(struct vmdk_chain *chain);
int vmdk_batch_init(struct vmdk_chain *chain);
void vmdk_batch_free(struct vmdk_chain *chain);
u32 vmdk_new_table_sectors(const struct vmdk_sparse *sparse);
int vmdk_commit(struct vmdk_chain *chain);

/* ---------------------------------------------------------- vmdk_resize.c */

int vmdk_chain_check_resize(const struct vmdk_chain *chain, u64 sectors,
			    bool shrink, struct vmdk_fault *fault);
int vmdk_chain_resize(struct vmdk_chain *chain, u64 sectors,
		      struct vmdk_fault *fault);
int vmdk_chain_resize_finish(struct vmdk_chain *chain, u64 sectors,
			     struct vmdk_fault *fault);

/* -------------------------------------------- vmdk_blk.c and those beside */

/**
 * struct vmdk_config - an ATTACH call, copied in and checked
 * @attach: its head
 * @links: @attach.nr_links entries
 * @extents: @attach.nr_extents entries
 * @patches: @attach.nr_patches entries
 * @windows: @attach.nr_windows entries
 * @ally: the chain whose parents these are, for a fold; else NULL
 */
struct vmdk_config {
	struct vmdk_attach attach;
	struct vmdk_link_info *links;
	struct vmdk_extent_info *extents;
	struct vmdk_patch *patches;
	struct vmdk_window_info *windows;
	struct vmdk_chain *ally;
};

/* Where a disk is in its life. */
enum vmdk_life {
	VMDK_NEW,	/* can be opened already, cannot go yet */
	VMDK_CHANGING,	/* gets a link or another size, cannot go meanwhile */
	VMDK_FOLDING,	/* its top is being folded, cannot go meanwhile */
	VMDK_LIVE,
	VMDK_RUNDOWN,	/* detaches after the last close */
	VMDK_DELETING,
};

struct vmdk_queue;
struct vmdk_fold;

/**
 * struct vmdk_task - something that is done in a worker
 * @work: does it
 * @chain: of the disk
 * @push: for a snapshot
 * @fold: for a fold
 * @sectors: for a resize
 * @fault: the same: receives the reason of a refusal
 * @run: what
 * @ret: what it returned
 */
struct vmdk_task {
	struct work_struct work;
	struct vmdk_chain *chain;
	struct vmdk_push *push;
	struct vmdk_fold *fold;
	u64 sectors;
	struct vmdk_fault *fault;
	int (*run)(struct vmdk_task *task);
	int ret;
};

/**
 * struct vmdk_disk - /dev/vmdkN
 * @index: I  the N
 * @chain_sem: held for writing to change @chain, with the queue quiesced; to be held
 *	for reading where neither I/O nor @life keeps that from happening
 * @chain: L  what it is made of
 * @fold: A  is told what is written; changed with the queue frozen
 * @disk: I
 * @tag_set: I
 * @wq: I  all work of the disk but @swap's
 * @swap: I  pages on their way to swap
 * @backing: L (meta_lock)  the file that the user named, or of the last snapshot
 * @create_type: A
 * @autoclear: L (disk->open_mutex)  detach after the last close
 * @armed: L (disk->open_mutex)  it was held, so that the last close counts
 * @life: L (disk->open_mutex)  also read without, for sysfs
 * @resize_to: of who made it VMDK_CHANGING: sectors of the last extent
 * @meta_lock: protects @meta and @backing
 * @meta: L (meta_lock)  flushes, discards, zeroes: served one after the other
 * @meta_work: serves them
 * @detach_work: detaches after the last close
 */
struct vmdk_disk {
	int index;
	struct rw_semaphore chain_sem;	/* chain */
	struct vmdk_chain *chain;
	struct vmdk_fold *fold;
	struct gendisk *disk;
	struct blk_mq_tag_set tag_set;
	struct workqueue_struct *wq;
	struct vmdk_queue *swap;
	struct file *backing;
	char create_type[VMDK_TYPE_SIZE];
	bool autoclear;
	bool armed;
	enum vmdk_life life;
	u64 resize_to;
	spinlock_t meta_lock;		/* protects meta and backing */
	struct list_head meta;
	struct work_struct meta_work;
	struct work_struct detach_work;
};

int vmdk_disk_attach(struct vmdk_config *config, struct vmdk_fault *fault);
int vmdk_disk_detach(u32 index, bool lazy);
int vmdk_disk_snapshot(u32 index, struct vmdk_config *config, bool check_top,
		       int top_fd, struct vmdk_fault *fault);
struct vmdk_disk *vmdk_disk_get(u32 index);
struct vmdk_disk *vmdk_disk_start_change(u32 index, enum vmdk_life life);
void vmdk_disk_end_change(struct vmdk_disk *disk);
void vmdk_disk_live(struct vmdk_disk *disk);
void vmdk_disk_set_backing(struct vmdk_disk *disk, struct file *file,
			   const char *create_type);
int vmdk_run_task(struct vmdk_disk *disk, struct vmdk_task *task);
unsigned int vmdk_freeze(struct vmdk_disk *disk);
void vmdk_unfreeze(struct vmdk_disk *disk, unsigned int noio);
int vmdk_run_quiesced(struct vmdk_disk *disk, struct vmdk_task *task);

struct vmdk_fold *vmdk_fold_begin(struct vmdk_config *config,
				  struct vmdk_fault *fault);
int vmdk_fold_copy(struct vmdk_fold *fold, struct vmdk_fold_progress *progress);
int vmdk_fold_end(struct vmdk_fold *fold);
int vmdk_fold_cancel(struct vmdk_fold *fold);
void vmdk_fold_mark(struct vmdk_fold *fold, u64 sector, u32 nr);

struct vmdk_disk *vmdk_disk_resize(u32 index, u64 sectors, bool shrink,
				   int backing_fd, struct vmdk_fault *fault);
int vmdk_disk_resize_finish(struct vmdk_disk *disk, u32 index, u64 sectors,
			    int backing_fd, struct vmdk_fault *fault);

int vmdk_ctl_register(void);
void vmdk_ctl_unregister(void);

extern const struct attribute_group *vmdk_sysfs_groups[];

#endif /* VMDK_H */
