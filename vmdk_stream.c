// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed grains: inflated, kept, and inflated ahead of a sequential reader.
 *
 * A grain is inflated once for all who want it: the first one has an entry in
 * the cache while it inflates, and the others wait there.  A request for all of
 * a grain inflates into its own memory; a smaller one into the cache, which
 * answers the next.  The memory of a request may be that of a program, which writes
 * to it as it likes: nothing is ever taken from there, so who waited for such a grain
 * inflates it once more.  The cache is bounded, and the shrinker takes from it.
 *
 * Contexts for zlib are a fixed pool for all disks, and one of each chain's own: who
 * finds neither waits.  A context is held while a grain is read from its file and
 * inflated.  The file may lie on another disk with compressed grains, whose chain's own
 * context waits for nothing but what lies below that.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/zlib.h>

#include "vmdk.h"

/* Compressed bytes are fed to zlib in pieces of this size. */
#define VMDK_FEED_SIZE		SZ_64K
/* Grains up to this size are inflated straight into a request. */
#define VMDK_DIRECT_PAGES	32
#define VMDK_AHEAD_PER_CPU	8

static unsigned int inflate_streams;
module_param(inflate_streams, uint, 0444);
MODULE_PARM_DESC(inflate_streams,
		 "Grains inflated at a time, over all disks, beside one for each (default: CPUs + 1)");

/**
 * struct vmdk_inflate - a context for zlib
 * @node: L (contexts_lock)  while it is free, and of the pool
 * @owner: I  of a chain's own
 * @strm: with its workspace
 * @feed: compressed bytes on their way to zlib
 * @pages: of a request that is inflated into
 */
struct vmdk_inflate {
	struct list_head node;
	struct vmdk_cache *owner;
	struct z_stream_s strm;
	u8 *feed;
	struct page *pages[VMDK_DIRECT_PAGES];
};

static LIST_HEAD(contexts);
static DEFINE_SPINLOCK(contexts_lock);
static DECLARE_WAIT_QUEUE_HEAD(contexts_wait);

/**
 * struct vmdk_decoded - an inflated grain, or one that is being inflated
 * @stream: I
 * @grain: I
 * @pos: I  byte of its marker in the file
 * @lru: L (cache->lock)  once it is ready
 * @waiters: L (cache->lock)  I/O that waits until it is
 * @users: L (cache->lock)  who copies from it right now
 * @ready: L (cache->lock)  @data is there
 * @used: L (cache->lock)  looked at since it was last up for eviction
 * @data: a grain's worth of bytes
 * @work: inflates it ahead of a reader
 */
struct vmdk_decoded {
	struct vmdk_stream *stream;
	u64 grain;
	loff_t pos;
	struct list_head lru;
	struct list_head waiters;
	u32 users;
	bool ready;
	bool used;
	void *data;
	struct work_struct work;
};

/* --------------------------------------------------------------- contexts */

static struct vmdk_inflate *vmdk_context_try(struct vmdk_cache *cache)
{
	struct vmdk_inflate *context;

	spin_lock(&contexts_lock);
	context = list_first_entry_or_null(&contexts, struct vmdk_inflate,
					   node);
	if (context)
		list_del(&context->node);
	else
		swap(context, cache->own);
	spin_unlock(&contexts_lock);
	return context;
}

static struct vmdk_inflate *vmdk_context_get(struct vmdk_cache *cache)
{
	struct vmdk_inflate *context;

	wait_event(contexts_wait, (context = vmdk_context_try(cache)));
	return context;
}

static void vmdk_context_put(struct vmdk_inflate *context)
{
	spin_lock(&contexts_lock);
	if (context->owner)
		context->owner->own = context;
	else
		list_add(&context->node, &contexts);
	spin_unlock(&contexts_lock);
	wake_up(&contexts_wait);
}

static void vmdk_context_free(struct vmdk_inflate *context)
{
	if (!context)
		return;
	kvfree(context->strm.workspace);
	kvfree(context->feed);
	kfree(context);
}

/* @owner: NULL: for the pool */
static int vmdk_context_add(struct vmdk_cache *owner)
{
	struct vmdk_inflate *context = kzalloc(sizeof(*context), GFP_KERNEL);

	if (!context)
		return -ENOMEM;
	context->owner = owner;
	context->strm.workspace = kvmalloc(zlib_inflate_workspacesize(),
					   GFP_KERNEL);
	context->feed = kvmalloc(VMDK_FEED_SIZE, GFP_KERNEL);
	if (!context->strm.workspace || !context->feed) {
		vmdk_context_free(context);
		return -ENOMEM;
	}
	vmdk_context_put(context);
	return 0;
}

/**
 * vmdk_stream_exit - free all contexts; nobody uses one
 */
void vmdk_stream_exit(void)
{
	struct vmdk_inflate *context, *next;

	list_for_each_entry_safe(context, next, &contexts, node)
		vmdk_context_free(context);
	INIT_LIST_HEAD(&contexts);
}

/**
 * vmdk_stream_init - allocate all contexts
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_stream_init(void)
{
	unsigned int i;

	if (!inflate_streams)
		inflate_streams = num_online_cpus() + 1;
	for (i = 0; i < inflate_streams; i++) {
		if (!vmdk_context_add(NULL))
			continue;
		vmdk_stream_exit();
		return -ENOMEM;
	}
	return 0;
}

/* ---------------------------------------------------------------- inflate */

/* Compressed bytes that are still to come from the file. */
struct vmdk_feed {
	struct vmdk_file *file;
	loff_t pos;
	u32 left;
};

static int vmdk_feed_zlib(struct vmdk_inflate *context, struct vmdk_feed *feed)
{
	u32 n = min_t(u32, feed->left, VMDK_FEED_SIZE);
	int ret;

	ret = vmdk_file_read(feed->file, context->feed, n, feed->pos);
	if (ret)
		return ret;
	context->strm.next_in = context->feed;
	context->strm.avail_in = n;
	feed->pos += n;
	feed->left -= n;
	return 0;
}

/* Take @n bytes that zlib shall not see.  Returns -ENODATA at the end. */
static int vmdk_feed_take(struct vmdk_inflate *context, struct vmdk_feed *feed,
			  void *to, u32 n)
{
	struct z_stream_s *strm = &context->strm;
	u8 *bytes = to;
	int ret;

	while (n--) {
		if (!strm->avail_in) {
			ret = feed->left ? vmdk_feed_zlib(context, feed) :
					   -ENODATA;
			if (ret)
				return ret;
		}
		*bytes++ = *strm->next_in++;
		strm->avail_in--;
	}
	return 0;
}

/* A failed read of what is not deflated: why? */
static int vmdk_feed_why(int ret, const char **why)
{
	if (ret)
		*why = ret == -ENODATA ? "the compressed data ends early" :
					 "cannot be read";
	return ret;
}

/* Two bytes of header, RFC 1950: deflate, without a preset dictionary. */
static int vmdk_zlib_header(struct vmdk_inflate *context,
			    struct vmdk_feed *feed, const char **why)
{
	__be16 bytes;
	u16 header;
	int ret;

	ret = vmdk_feed_why(vmdk_feed_take(context, feed, &bytes,
					   sizeof(bytes)), why);
	if (ret)
		return ret;
	header = be16_to_cpu(bytes);
	*why = "the compressed data is damaged";
	return (header >> 8 & 0xf) == Z_DEFLATED &&
	       header >> 12 <= MAX_WBITS - 8 && !(header & 0x20) &&
	       header % 31 == 0 ? 0 : -EIO;
}

static int vmdk_zlib_trailer(struct vmdk_inflate *context,
			     struct vmdk_feed *feed, const void *out, u32 size,
			     const char **why)
{
	__be32 sum;
	int ret;

	ret = vmdk_feed_why(vmdk_feed_take(context, feed, &sum, sizeof(sum)),
			    why);
	if (ret)
		return ret;
	*why = "the check sum of the data is wrong";
	return be32_to_cpu(sum) == vmdk_adler32(out, size) ? 0 : -EIO;
}

static int vmdk_run_inflate(struct vmdk_inflate *context,
			    struct vmdk_feed *feed, const char **why)
{
	struct z_stream_s *strm = &context->strm;
	int ret;

	do {
		if (!strm->avail_in && feed->left) {
			*why = "cannot be read";
			ret = vmdk_feed_zlib(context, feed);
			if (ret)
				return ret;
		}
		ret = zlib_inflate(strm, Z_NO_FLUSH);
	} while (ret == Z_OK && (strm->avail_in || feed->left));

	*why = ret == Z_OK || ret == Z_BUF_ERROR ?
	       (strm->avail_out ? "the compressed data ends early" :
				  "inflates to more than a grain") :
	       "the compressed data is damaged";
	return ret == Z_STREAM_END ? 0 : -EIO;
}

/*
 * Inflate into @out, and not a byte further.  zlib is given the deflated bytes
 * alone: its check sum, a byte at a time, takes a quarter of all instructions.
 * Returns the number of bytes, or an error with *why set.
 */
static int vmdk_run_zlib(struct vmdk_inflate *context, struct vmdk_feed *feed,
			 void *out, u32 size, const char **why)
{
	struct z_stream_s *strm = &context->strm;
	int ret;

	*why = "inflate cannot start";
	if (zlib_inflateInit2(strm, -MAX_WBITS) != Z_OK)
		return -EIO;
	strm->avail_in = 0;
	strm->next_out = out;
	strm->avail_out = size;
	ret = vmdk_zlib_header(context, feed, why);
	if (!ret)
		ret = vmdk_run_inflate(context, feed, why);
	if (!ret)
		ret = vmdk_zlib_trailer(context, feed, out, strm->total_out,
					why);
	return ret ?: strm->total_out;
}

/* The last grain of a disk may be short in the file; the rest is zeros. */
static int vmdk_check_length(const struct vmdk_stream *stream, u64 grain,
			     void *out, u32 bytes, const char **why)
{
	if (bytes == stream->grain_bytes)
		return 0;
	*why = "inflates to less than a grain";
	if (grain + 1 != vmdk_grains(stream->geo))
		return -EIO;
	memset(out + bytes, 0, stream->grain_bytes - bytes);
	return 0;
}

static int vmdk_read_marker(struct vmdk_stream *stream, u64 grain, loff_t pos,
			    struct vmdk_feed *feed, struct vmdk_fault *fault)
{
	u8 marker[16];
	u32 offset;
	int ret;

	vmdk_fault_set(fault, pos, "cannot be read");
	ret = vmdk_file_read(stream->file, marker, sizeof(marker), pos);
	if (ret)
		return ret;
	ret = vmdk_grain_marker_check(marker, stream->geo, grain,
				      pos - stream->base, stream->bytes,
				      &offset, &feed->left, fault);
	feed->file = stream->file;
	feed->pos = pos + offset;
	return ret;
}

/* Inflate one grain into @out, which holds all of it. */
static int vmdk_inflate_grain(struct vmdk_stream *stream,
			      struct vmdk_inflate *context, u64 grain,
			      loff_t pos, void *out)
{
	const char *why = NULL;
	struct vmdk_fault fault;
	struct vmdk_feed feed;
	int ret;

	ret = vmdk_read_marker(stream, grain, pos, &feed, &fault);
	if (!ret) {
		ret = vmdk_run_zlib(context, &feed, out, stream->grain_bytes,
				    &why);
		if (ret >= 0)
			ret = vmdk_check_length(stream, grain, out, ret, &why);
	}
	if (!ret) {
		vmdk_count(stream->chain, VMDK_STAT_INFLATES, 1);
		return 0;
	}
	pr_err_ratelimited("%s: %pD: grain %llu at byte %lld: %s\n",
			   stream->chain->name, stream->file->file, grain, pos,
			   why ?: fault.text);
	return -EIO;
}

/* ------------------------------------------------------------------ cache */

static void vmdk_decoded_free(struct vmdk_decoded *decoded)
{
	kvfree(decoded->data);
	kfree(decoded);
}

/* Takes it out of the cache; whoever calls frees it. */
static void vmdk_decoded_remove(struct vmdk_decoded *decoded)
{
	struct vmdk_cache *cache = &decoded->stream->chain->cache;

	lockdep_assert_held(&cache->lock);
	xa_erase(&decoded->stream->decoded, decoded->grain);
	if (decoded->ready) {
		list_del(&decoded->lru);
		WRITE_ONCE(cache->nr, cache->nr - 1);
		WRITE_ONCE(cache->bytes, cache->bytes -
			   decoded->stream->grain_bytes);
	}
}

/* Second chance: what was looked at since the last round stays this time. */
static bool vmdk_cache_evict_one(struct vmdk_cache *cache,
				 struct list_head *evicted)
{
	struct vmdk_decoded *decoded;

	lockdep_assert_held(&cache->lock);
	decoded = list_first_entry(&cache->lru, struct vmdk_decoded, lru);
	if (decoded->users || decoded->used) {
		decoded->used = false;
		list_move_tail(&decoded->lru, &cache->lru);
		return false;
	}
	vmdk_decoded_remove(decoded);
	list_add(&decoded->lru, evicted);
	return true;
}

static void vmdk_cache_free_list(struct list_head *evicted)
{
	struct vmdk_decoded *decoded, *next;

	list_for_each_entry_safe(decoded, next, evicted, lru)
		vmdk_decoded_free(decoded);
}

/* Down to @target bytes, in at most two rounds over all that is there. */
static unsigned long vmdk_cache_shrink(struct vmdk_cache *cache, size_t target)
{
	unsigned long freed = 0, tries;
	LIST_HEAD(evicted);

	spin_lock(&cache->lock);
	tries = 2 * cache->nr;
	while (cache->bytes > target && tries--)
		if (vmdk_cache_evict_one(cache, &evicted))
			freed++;
	spin_unlock(&cache->lock);
	vmdk_cache_free_list(&evicted);
	return freed;
}

/*
 * The grain of @decoded is inflated, or could not be.  Those who wait look
 * again: when it failed, the first of them tries for itself.
 */
static void vmdk_decoded_finish(struct vmdk_decoded *decoded, bool ready)
{
	struct vmdk_cache *cache = &decoded->stream->chain->cache;
	struct vmdk_io *io, *next;
	LIST_HEAD(waiters);

	spin_lock(&cache->lock);
	list_splice_init(&decoded->waiters, &waiters);
	if (ready) {
		decoded->ready = true;
		decoded->used = true;
		list_add_tail(&decoded->lru, &cache->lru);
		WRITE_ONCE(cache->nr, cache->nr + 1);
		WRITE_ONCE(cache->bytes, cache->bytes +
			   decoded->stream->grain_bytes);
	} else {
		vmdk_decoded_remove(decoded);
	}
	spin_unlock(&cache->lock);
	if (!ready)
		vmdk_decoded_free(decoded);
	list_for_each_entry_safe(io, next, &waiters, node) {
		list_del_init(&io->node);
		io->resume(io);
	}
	vmdk_cache_shrink(cache, cache->limit);
}

/*
 * Look a grain up.  *wait: it is being inflated, and @io waits for it.  -EBUSY:
 * so it is, but a worker waits for @io itself, and may not wait for another one.
 */
static struct vmdk_decoded *vmdk_decoded_get(struct vmdk_stream *stream,
					     u64 grain, struct vmdk_io *io,
					     bool *wait)
{
	struct vmdk_cache *cache = &stream->chain->cache;
	struct vmdk_decoded *decoded;

	*wait = false;
	spin_lock(&cache->lock);
	decoded = xa_load(&stream->decoded, grain);
	if (decoded && !decoded->ready && io->below) {
		decoded = ERR_PTR(-EBUSY);
	} else if (decoded && !decoded->ready) {
		list_add_tail(&io->node, &decoded->waiters);
		*wait = true;
		decoded = NULL;
	} else if (decoded) {
		decoded->users++;
		decoded->used = true;
	}
	spin_unlock(&cache->lock);
	return decoded;
}

static void vmdk_decoded_put(struct vmdk_decoded *decoded)
{
	struct vmdk_cache *cache = &decoded->stream->chain->cache;

	spin_lock(&cache->lock);
	decoded->users--;
	spin_unlock(&cache->lock);
}

static void vmdk_ahead_workfn(struct work_struct *work);

/*
 * An entry for a grain that the caller will inflate: -EBUSY when there is one
 * already.  Without memory the caller does without.
 */
static struct vmdk_decoded *vmdk_decoded_new(struct vmdk_stream *stream,
					     u64 grain, loff_t pos)
{
	gfp_t gfp = GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN;
	struct vmdk_decoded *decoded = kzalloc(sizeof(*decoded), gfp);
	int ret;

	if (!decoded)
		return ERR_PTR(-ENOMEM);
	decoded->stream = stream;
	decoded->grain = grain;
	decoded->pos = pos;
	INIT_LIST_HEAD(&decoded->waiters);
	INIT_WORK(&decoded->work, vmdk_ahead_workfn);
	ret = xa_insert(&stream->decoded, grain, decoded, gfp);
	if (ret) {
		kfree(decoded);
		return ERR_PTR(ret);
	}
	return decoded;
}

static bool vmdk_decoded_alloc(struct vmdk_decoded *decoded)
{
	decoded->data = kvmalloc(decoded->stream->grain_bytes,
				 GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	return decoded->data;
}

/* ------------------------------------------------------------------- read */

static int vmdk_copy_out(struct vmdk_io *io, const void *data, u32 offset,
			 u32 nr)
{
	size_t bytes = (size_t)nr << SECTOR_SHIFT;

	if (copy_to_iter(data + ((size_t)offset << SECTOR_SHIFT), bytes,
			 &io->iter) != bytes)
		return -EFAULT;
	return 0;
}

static int vmdk_inflate_to(struct vmdk_stream *stream, u64 grain, loff_t pos,
			   void *out)
{
	struct vmdk_inflate *context = vmdk_context_get(&stream->chain->cache);
	int ret = vmdk_inflate_grain(stream, context, grain, pos, out);

	vmdk_context_put(context);
	return ret;
}

/* Without memory: one at a time, and nothing is kept. */
static int vmdk_read_spare(struct vmdk_io *io, struct vmdk_stream *stream,
			   const struct vmdk_map *map, u32 nr)
{
	struct vmdk_cache *cache = &stream->chain->cache;
	int ret;

	mutex_lock(&cache->spare_mutex);
	ret = vmdk_inflate_to(stream, map->grain, map->pos, cache->spare);
	if (!ret)
		ret = vmdk_copy_out(io, cache->spare, map->offset, nr);
	mutex_unlock(&cache->spare_mutex);
	return ret;
}

/* The memory of a request as pages, if it is whole ones: then they are mapped. */
static bool vmdk_iter_pages(struct iov_iter iter, struct page **pages, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		const struct bio_vec *bvec = iter.bvec;
		size_t offset = bvec->bv_offset + iter.iov_offset;

		if (offset_in_page(offset) ||
		    bvec->bv_len - iter.iov_offset < PAGE_SIZE)
			return false;
		pages[i] = bvec->bv_page + (offset >> PAGE_SHIFT);
		iov_iter_advance(&iter, PAGE_SIZE);
	}
	return true;
}

/* If someone waits for a grain that goes into a request, it is cached the next time. */
static void vmdk_note_wanted(struct vmdk_decoded *decoded)
{
	struct vmdk_cache *cache = &decoded->stream->chain->cache;

	spin_lock(&cache->lock);
	if (!list_empty(&decoded->waiters))
		WRITE_ONCE(decoded->stream->wanted, decoded->grain);
	spin_unlock(&cache->lock);
}

/* Returns -EAGAIN when the memory of @io is not fit for it. */
static int vmdk_read_direct(struct vmdk_io *io, struct vmdk_decoded *decoded)
{
	struct vmdk_stream *stream = decoded->stream;
	u32 nr = stream->grain_bytes >> PAGE_SHIFT;
	struct vmdk_inflate *context;
	int ret = -EAGAIN;
	void *out = NULL;

	if (!nr || nr > VMDK_DIRECT_PAGES)
		return ret;
	context = vmdk_context_get(&stream->chain->cache);
	if (vmdk_iter_pages(io->iter, context->pages, nr))
		out = vm_map_ram(context->pages, nr, NUMA_NO_NODE);
	if (out) {
		ret = vmdk_inflate_grain(stream, context, decoded->grain,
					 decoded->pos, out);
		vm_unmap_ram(out, nr);
	}
	vmdk_context_put(context);
	if (!ret)
		iov_iter_advance(&io->iter, stream->grain_bytes);
	return ret;
}

static int vmdk_read_cached(struct vmdk_io *io, struct vmdk_decoded *decoded,
			    const struct vmdk_map *map, u32 nr)
{
	int ret;

	if (!vmdk_decoded_alloc(decoded)) {
		vmdk_decoded_finish(decoded, false);
		return vmdk_read_spare(io, map->stream, map, nr);
	}
	ret = vmdk_inflate_to(decoded->stream, decoded->grain, decoded->pos,
			      decoded->data);
	if (!ret)
		ret = vmdk_copy_out(io, decoded->data, map->offset, nr);
	vmdk_decoded_finish(decoded, !ret);
	return ret;
}

/* The first one to want this grain. */
static int vmdk_read_miss(struct vmdk_io *io, const struct vmdk_map *map,
			  u32 nr)
{
	struct vmdk_stream *stream = map->stream;
	struct vmdk_decoded *decoded;
	int ret;

	decoded = vmdk_decoded_new(stream, map->grain, map->pos);
	if (decoded == ERR_PTR(-EBUSY))
		return -EAGAIN;
	if (IS_ERR(decoded))
		return vmdk_read_spare(io, stream, map, nr);
	if ((u64)nr << SECTOR_SHIFT == stream->grain_bytes &&
	    READ_ONCE(stream->wanted) != map->grain) {
		ret = vmdk_read_direct(io, decoded);
		if (ret != -EAGAIN) {
			vmdk_note_wanted(decoded);
			vmdk_decoded_finish(decoded, false);
			return ret;
		}
	}
	return vmdk_read_cached(io, decoded, map, nr);
}

/**
 * vmdk_stream_read - read from a compressed grain
 * @io: the read; its memory is filled and advanced
 * @map: COMPRESSED
 * @nr: sectors, within the grain
 *
 * Context: process context, NOIO.
 * Return: 0; -EAGAIN: map again; -EINPROGRESS: someone else is inflating the
 * grain, and @io->resume will be called; -EIO with a line in the log.
 */
int vmdk_stream_read(struct vmdk_io *io, const struct vmdk_map *map, u32 nr)
{
	struct vmdk_decoded *decoded;
	bool wait;
	int ret;

	decoded = vmdk_decoded_get(map->stream, map->grain, io, &wait);
	if (wait)
		return -EINPROGRESS;
	if (IS_ERR(decoded))
		return vmdk_read_spare(io, map->stream, map, nr);
	if (!decoded)
		return vmdk_read_miss(io, map, nr);
	vmdk_count(map->stream->chain, VMDK_STAT_CACHE_HITS, 1);
	ret = vmdk_copy_out(io, decoded->data, map->offset, nr);
	vmdk_decoded_put(decoded);
	return ret;
}

/**
 * vmdk_stream_peek - read from a compressed grain that is inflated already
 * @io: the read; its memory is filled and advanced
 * @map: COMPRESSED
 * @nr: sectors, within the grain
 *
 * Context: any process context, also under RCU.
 * Return: 0, or -EAGAIN: it is not there.
 */
int vmdk_stream_peek(struct vmdk_io *io, const struct vmdk_map *map, u32 nr)
{
	struct vmdk_cache *cache = &map->stream->chain->cache;
	struct vmdk_decoded *decoded;
	u64 last = READ_ONCE(map->stream->last);
	int ret;

	/* A sequential reader: have the next ones inflated ahead of it. */
	if (map->grain == last + 1)
		return -EAGAIN;
	if (map->grain != last)
		WRITE_ONCE(map->stream->last, map->grain);
	spin_lock(&cache->lock);
	decoded = xa_load(&map->stream->decoded, map->grain);
	if (decoded && decoded->ready) {
		decoded->users++;
		decoded->used = true;
	} else {
		decoded = NULL;
	}
	spin_unlock(&cache->lock);
	if (!decoded)
		return -EAGAIN;
	vmdk_count(map->stream->chain, VMDK_STAT_CACHE_HITS, 1);
	ret = vmdk_copy_out(io, decoded->data, map->offset, nr);
	vmdk_decoded_put(decoded);
	return ret;
}

/* -------------------------------------------------------------- readahead */

static void vmdk_ahead_workfn(struct work_struct *work)
{
	struct vmdk_decoded *decoded = container_of(work, struct vmdk_decoded,
						    work);
	unsigned int noio = vmdk_enter_io();
	int ret = -ENOMEM;

	if (vmdk_decoded_alloc(decoded))
		ret = vmdk_inflate_to(decoded->stream, decoded->grain,
				      decoded->pos, decoded->data);
	vmdk_decoded_finish(decoded, !ret);
	vmdk_leave_io(noio);
}

/**
 * vmdk_stream_ahead_window - how far to inflate ahead of a reader
 * @stream: the stream
 * @grain: that was just read
 * @count: receives how many grains from the one returned on
 *
 * Grains that are read in order, from any number of queues, make a window that
 * moves with them, by half of it at a time: CPUs that are woken for each grain
 * would spend much of their time on that.  One CPU has nothing to gain.
 *
 * Return: the first grain to inflate ahead.
 */
u64 vmdk_stream_ahead_window(struct vmdk_stream *stream, u64 grain, u32 *count)
{
	u32 cpus = num_online_cpus();
	u64 room = stream->chain->cache.limit / 2 / stream->grain_bytes;
	u64 window = min_t(u64, VMDK_AHEAD_PER_CPU * cpus, room);
	u64 last = READ_ONCE(stream->last), from;

	*count = 0;
	WRITE_ONCE(stream->last, grain);
	if (grain != last + 1 || cpus == 1)
		return 0;
	from = max(READ_ONCE(stream->ahead), grain + 1);
	if (from > grain + window)
		from = grain + 1;
	if (from > grain + window / 2)
		return 0;
	*count = grain + 1 + window - from;
	WRITE_ONCE(stream->ahead, from + *count);
	return from;
}

/**
 * vmdk_stream_ahead - inflate a grain in the background
 * @map: COMPRESSED
 *
 * Context: process context, NOIO.
 */
void vmdk_stream_ahead(const struct vmdk_map *map)
{
	struct vmdk_decoded *decoded;

	if (xa_load(&map->stream->decoded, map->grain))
		return;
	decoded = vmdk_decoded_new(map->stream, map->grain, map->pos);
	if (!IS_ERR(decoded))
		queue_work(map->stream->chain->wq, &decoded->work);
}

/* --------------------------------------------------------- open and free */

static unsigned long vmdk_cache_count(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	struct vmdk_cache *cache = compat_shrinker_data(shrinker);

	return READ_ONCE(cache->nr) ?: SHRINK_EMPTY;
}

static unsigned long vmdk_cache_scan(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	struct vmdk_cache *cache = compat_shrinker_data(shrinker);
	unsigned long nr = READ_ONCE(cache->nr);
	size_t bytes = READ_ONCE(cache->bytes);
	size_t want;

	if (!nr)
		return 0;
	want = bytes / nr * sc->nr_to_scan;
	return vmdk_cache_shrink(cache, bytes > want ? bytes - want : 0);
}

/**
 * vmdk_cache_init - for the decoded grains of a chain
 * @chain: the chain, with all its extents open
 * @limit: in bytes
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_cache_init(struct vmdk_chain *chain, u64 limit)
{
	struct vmdk_cache *cache = &chain->cache;
	char name[DISK_NAME_LEN + 16];

	spin_lock_init(&cache->lock);
	INIT_LIST_HEAD(&cache->lru);
	cache->limit = limit;
	mutex_init(&cache->spare_mutex);
	if (cache->spare_bytes) {
		cache->spare = kvmalloc(cache->spare_bytes, GFP_KERNEL);
		if (!cache->spare || vmdk_context_add(cache))
			return -ENOMEM;
	}
	snprintf(name, sizeof(name), "vmdk-grains:%s", chain->name);
	cache->shrinker = compat_shrinker_new(name, cache, vmdk_cache_count,
					      vmdk_cache_scan);
	return cache->shrinker ? 0 : -ENOMEM;
}

/**
 * vmdk_cache_exit - undo vmdk_cache_init()
 * @chain: the chain; it may have no cache
 */
void vmdk_cache_exit(struct vmdk_chain *chain)
{
	if (chain->cache.shrinker)
		compat_shrinker_free(chain->cache.shrinker);
	vmdk_context_free(chain->cache.own);
	kvfree(chain->cache.spare);
}

/**
 * vmdk_stream_open - make an extent's compressed grains readable
 * @chain: that it belongs to
 * @file: that it lies in
 * @base: byte in the file at which it begins
 * @bytes: how many it takes
 * @geo: of the extent; stays where it is
 *
 * Return: the stream or an ERR_PTR.
 */
struct vmdk_stream *vmdk_stream_open(struct vmdk_chain *chain,
				     struct vmdk_file *file, u64 base,
				     u64 bytes, const struct vmdk_geometry *geo)
{
	struct vmdk_stream *stream = kzalloc(sizeof(*stream), GFP_KERNEL);

	if (!stream)
		return ERR_PTR(-ENOMEM);
	stream->chain = chain;
	stream->file = file;
	stream->base = base;
	stream->bytes = bytes;
	stream->geo = geo;
	stream->grain_bytes = geo->grain_sectors << SECTOR_SHIFT;
	stream->last = ~0ULL - 1;
	stream->wanted = ~0ULL;
	xa_init(&stream->decoded);
	chain->cache.spare_bytes = max(chain->cache.spare_bytes,
				       stream->grain_bytes);
	return stream;
}

/**
 * vmdk_stream_free - forget everything
 * @stream: one without I/O, or NULL
 */
void vmdk_stream_free(struct vmdk_stream *stream)
{
	struct vmdk_decoded *decoded;
	unsigned long grain;

	if (!stream)
		return;
	/* Those that are inflated ahead of a reader. */
	flush_workqueue(stream->chain->wq);
	xa_for_each(&stream->decoded, grain, decoded)
		vmdk_decoded_free(decoded);
	xa_destroy(&stream->decoded);
	kfree(stream);
}
