// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vmdk-control: ioctls are copied in, checked as if hostile, and passed on.
 * No path and no text comes through here that means anything to the kernel.
 */
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vmdk.h"

#define VMDK_FEATURES	(VMDK_FEATURE_SPARSE | VMDK_FEATURE_FLAT | \
			 VMDK_FEATURE_STREAM | VMDK_FEATURE_COWD | \
			 VMDK_FEATURE_SESPARSE | VMDK_FEATURE_DEVICE | \
			 VMDK_FEATURE_CHAIN | VMDK_FEATURE_WINDOWS | \
			 VMDK_FEATURE_SNAPSHOT | VMDK_FEATURE_FOLD | \
			 VMDK_FEATURE_RESIZE)

/**
 * struct vmdk_ctl - an open control device
 * @mutex: one call of a fold or a resize at a time
 * @fold: L (mutex)  that was begun by it; or NULL
 * @resizing: L (mutex)  the disk whose resize was begun by it; or NULL
 */
struct vmdk_ctl {
	struct mutex mutex;	/* fold and resizing */
	struct vmdk_fold *fold;
	struct vmdk_disk *resizing;
};

/* ---------------------------------------------------------------- checks */

static int vmdk_refuse(struct vmdk_fault *fault, const char *why)
{
	return vmdk_fault_set(fault, VMDK_NO_OFFSET, "%s", why);
}

/* It is shown in sysfs: printable, and it ends. */
static bool vmdk_is_type_name(const char *name)
{
	u32 i;

	for (i = 0; i < VMDK_TYPE_SIZE && name[i]; i++)
		if (!isascii(name[i]) || !isprint(name[i]))
			return false;
	return i < VMDK_TYPE_SIZE;
}

static int vmdk_check_head(const struct vmdk_attach *attach,
			   struct vmdk_fault *fault)
{
	if (attach->flags & ~VMDK_ATTACH_FLAGS)
		return vmdk_refuse(fault, "unknown flags");
	if (memchr_inv(attach->reserved, 0, sizeof(attach->reserved)))
		return vmdk_refuse(fault, "reserved members are not zero");
	if (attach->index < -1 || attach->index > (s32)MINORMASK)
		return vmdk_refuse(fault, "device number out of range");
	if (!attach->nr_links || attach->nr_links > VMDK_MAX_LINKS ||
	    !attach->nr_extents || attach->nr_extents > VMDK_MAX_EXTENTS ||
	    attach->nr_patches > VMDK_MAX_PATCHES ||
	    attach->nr_windows > VMDK_MAX_WINDOWS)
		return vmdk_refuse(fault, "a number of structures is out of range");
	if (!vmdk_is_type_name(attach->create_type))
		return vmdk_refuse(fault, "create_type does not end, or is not printable");
	return 0;
}

static int vmdk_check_extent_info(const struct vmdk_extent_info *info,
				  u64 start, struct vmdk_fault *fault)
{
	if (info->flags || info->reserved)
		return vmdk_refuse(fault, "extent: flags or reserved members are not zero");
	if (info->access > VMDK_ACCESS_RW)
		return vmdk_refuse(fault, "extent: unknown access");
	if (!info->sectors || info->sectors > VMDK_CAPACITY_MAX)
		return vmdk_refuse(fault, "extent: length out of range");
	if (info->start != start)
		return vmdk_refuse(fault, "extent: does not follow the one before");
	if (info->offset > LLONG_MAX || info->length > LLONG_MAX ||
	    info->offset % SECTOR_SIZE ||
	    (info->length % SECTOR_SIZE && !info->nr_windows))
		return vmdk_refuse(fault, "extent: offset or window out of range");
	if (info->nr_windows && (info->kind != VMDK_KIND_SPARSE ||
				 info->access == VMDK_ACCESS_RW))
		return vmdk_refuse(fault, "extent: windows are for sparse ones, read-only");
	switch (info->kind) {
	case VMDK_KIND_FLAT:
	case VMDK_KIND_SPARSE:
	case VMDK_KIND_DEVICE:
	case VMDK_KIND_COWD:
	case VMDK_KIND_SESPARSE:
		return 0;
	case VMDK_KIND_ZERO:
		if (info->fd != -1 || info->offset || info->length)
			return vmdk_refuse(fault, "extent: a zero extent has no file");
		return 0;
	default:
		return vmdk_refuse(fault, "extent: unknown kind");
	}
}

/* @first: its first extent, of those that are left for it and for others. */
static int vmdk_check_link(const struct vmdk_link_info *link,
			   const struct vmdk_config *config, u32 first,
			   struct vmdk_fault *fault, u32 *fault_extent)
{
	const struct vmdk_extent_info *infos = &config->extents[first];
	u64 start = 0;
	u32 i;
	int ret;

	if (link->flags ||
	    memchr_inv(link->reserved, 0, sizeof(link->reserved)))
		return vmdk_refuse(fault, "link: flags or reserved members are not zero");
	if (!link->nr_extents ||
	    link->nr_extents > config->attach.nr_extents - first)
		return vmdk_refuse(fault, "link: number of extents does not match");
	for (i = 0; i < link->nr_extents; i++) {
		ret = vmdk_check_extent_info(&infos[i], start, fault);
		if (ret) {
			*fault_extent = first + i;
			return ret;
		}
		start += infos[i].sectors;
		if (start > VMDK_CAPACITY_MAX)
			return vmdk_refuse(fault, "link: capacity out of range");
	}
	if (start != link->sectors)
		return vmdk_refuse(fault, "link: capacity is not the sum of its extents");
	return 0;
}

/* Whether they are inside the file is seen when it is opened. */
static int vmdk_check_window(const struct vmdk_window_info *window, bool last,
			     struct vmdk_fault *fault)
{
	if (!window->length || window->offset > LLONG_MAX ||
	    window->length > LLONG_MAX - window->offset ||
	    window->offset % SECTOR_SIZE ||
	    (window->length % SECTOR_SIZE && !last))
		return vmdk_refuse(fault, "window: out of range");
	return 0;
}

/* Windows are in the order of the extents, and none is left over. */
static int vmdk_check_windows(const struct vmdk_config *config,
			      struct vmdk_fault *fault)
{
	u32 left = config->attach.nr_windows;
	const struct vmdk_window_info *window = config->windows;
	u32 i;
	u64 n;

	for (i = 0; i < config->attach.nr_extents; i++) {
		if (config->extents[i].nr_windows > left)
			return vmdk_refuse(fault, "window: too few");
		for (n = config->extents[i].nr_windows; n; n--, left--) {
			int ret = vmdk_check_window(window++, n == 1, fault);

			if (ret)
				return ret;
		}
	}
	return left ? vmdk_refuse(fault, "window: too many") : 0;
}

static int vmdk_check_patch(const struct vmdk_patch *patch,
			    struct vmdk_fault *fault)
{
	u32 i;

	if (!patch->length || patch->length > VMDK_PATCH_SIZE ||
	    patch->offset > LLONG_MAX - VMDK_PATCH_SIZE)
		return vmdk_refuse(fault, "patch: place out of range");
	for (i = 0; i < patch->length; i++)
		if (!isxdigit(patch->old[i]) || !isxdigit(patch->new[i]))
			return vmdk_refuse(fault, "patch: only hexadecimal digits can be replaced");
	return 0;
}

static int vmdk_check_links(struct vmdk_config *config,
			    struct vmdk_fault *fault)
{
	u32 first = 0;
	u32 i;
	int ret;

	for (i = 0; i < config->attach.nr_links; i++) {
		ret = vmdk_check_link(&config->links[i], config, first, fault,
				      &config->attach.fault_extent);
		if (ret)
			return ret;
		first += config->links[i].nr_extents;
	}
	if (first != config->attach.nr_extents)
		return vmdk_refuse(fault, "link: number of extents does not match");
	return 0;
}

static int vmdk_check_config(struct vmdk_config *config,
			     struct vmdk_fault *fault)
{
	int ret;
	u32 i;

	ret = vmdk_check_links(config, fault);
	if (!ret)
		ret = vmdk_check_windows(config, fault);
	for (i = 0; i < config->attach.nr_patches && !ret; i++)
		ret = vmdk_check_patch(&config->patches[i], fault);
	return ret;
}

/* --------------------------------------------------------------- copying */

static void *vmdk_copy_array(u64 address, size_t nr, size_t size)
{
	void *array;

	if (!nr)
		return NULL;
	array = kvmalloc_array(nr, size, GFP_KERNEL_ACCOUNT);
	if (!array)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(array, u64_to_user_ptr(address), nr * size)) {
		kvfree(array);
		return ERR_PTR(-EFAULT);
	}
	return array;
}

static void vmdk_free_arrays(struct vmdk_config *config)
{
	if (!IS_ERR(config->windows))
		kvfree(config->windows);
	if (!IS_ERR(config->patches))
		kvfree(config->patches);
	if (!IS_ERR(config->extents))
		kvfree(config->extents);
}

static void vmdk_free_config(struct vmdk_config *config)
{
	vmdk_free_arrays(config);
	if (!IS_ERR(config->links))
		kvfree(config->links);
}

static int vmdk_copy_arrays(struct vmdk_config *config)
{
	const struct vmdk_attach *attach = &config->attach;

	config->extents = vmdk_copy_array(attach->extents, attach->nr_extents,
					  sizeof(*config->extents));
	config->patches = vmdk_copy_array(attach->patches, attach->nr_patches,
					  sizeof(*config->patches));
	config->windows = vmdk_copy_array(attach->windows, attach->nr_windows,
					  sizeof(*config->windows));
	return PTR_ERR_OR_ZERO(config->extents) ?:
	       PTR_ERR_OR_ZERO(config->patches) ?:
	       PTR_ERR_OR_ZERO(config->windows);
}

static int vmdk_copy_config(struct vmdk_config *config)
{
	const struct vmdk_attach *attach = &config->attach;

	config->links = vmdk_copy_array(attach->links, attach->nr_links,
					sizeof(*config->links));
	return PTR_ERR_OR_ZERO(config->links) ?: vmdk_copy_arrays(config);
}

/* The reason of a refusal, for whoever called. */
static int vmdk_copy_message(u64 address, u32 room,
			     const struct vmdk_fault *fault)
{
	char message[VMDK_MESSAGE_SIZE];
	size_t size;

	if (!room)
		return 0;
	size = scnprintf(message, sizeof(message), "%s", fault->text);
	if (size && fault->offset != VMDK_NO_OFFSET)
		scnprintf(message + size, sizeof(message) - size,
			  " (byte %llu)", fault->offset);
	size = min_t(size_t, strlen(message) + 1, room);
	message[size - 1] = '\0';
	if (copy_to_user(u64_to_user_ptr(address), message, size))
		return -EFAULT;
	return 0;
}

/* ---------------------------------------------------------------- ioctls */

/* What belongs to config->attach; to be freed by the caller after an error too. */
static int vmdk_read_config(struct vmdk_config *config,
			    struct vmdk_fault *fault)
{
	int ret;

	ret = vmdk_check_head(&config->attach, fault);
	if (!ret)
		ret = vmdk_copy_config(config);
	return ret ?: vmdk_check_config(config, fault);
}

static int vmdk_do_attach(struct vmdk_config *config, struct vmdk_fault *fault)
{
	int ret;

	ret = vmdk_read_config(config, fault);
	if (!ret)
		ret = vmdk_disk_attach(config, fault);
	vmdk_free_config(config);
	return ret;
}

static int vmdk_ioctl_attach(struct vmdk_attach __user *arg)
{
	struct vmdk_config config = {};
	struct vmdk_fault fault = {};
	int ret;

	if (copy_from_user(&config.attach, arg, sizeof(config.attach)))
		return -EFAULT;
	config.attach.fault_extent = ~0U;
	ret = vmdk_do_attach(&config, &fault);
	if (vmdk_copy_message(config.attach.message,
			      config.attach.message_size, &fault) ||
	    copy_to_user(arg, &config.attach, sizeof(config.attach))) {
		/* Nobody learns of the disk, so there must not be one. */
		if (!ret)
			vmdk_disk_detach(config.attach.index, true);
		return -EFAULT;
	}
	return ret;
}

static int vmdk_ctl_cancel(struct vmdk_ctl *ctl)
{
	int ret = vmdk_fold_cancel(ctl->fold);

	ctl->fold = NULL;
	return ret;
}

static int vmdk_do_fold_begin(struct vmdk_ctl *ctl, struct vmdk_config *config,
			      struct vmdk_fault *fault)
{
	struct vmdk_fold *fold;
	int ret;

	ret = vmdk_read_config(config, fault);
	if (!ret) {
		fold = vmdk_fold_begin(config, fault);
		ret = PTR_ERR_OR_ZERO(fold);
	}
	if (!ret)
		ctl->fold = fold;
	vmdk_free_config(config);
	return ret;
}

static int vmdk_ioctl_fold_begin(struct vmdk_ctl *ctl,
				 struct vmdk_attach __user *arg)
{
	struct vmdk_config config = {};
	struct vmdk_fault fault = {};
	int ret;

	if (ctl->fold)
		return -EALREADY;
	if (copy_from_user(&config.attach, arg, sizeof(config.attach)))
		return -EFAULT;
	config.attach.fault_extent = ~0U;
	ret = vmdk_do_fold_begin(ctl, &config, &fault);
	if (vmdk_copy_message(config.attach.message,
			      config.attach.message_size, &fault) ||
	    put_user(config.attach.fault_extent, &arg->fault_extent)) {
		/* What the caller takes for refused must not go on. */
		if (!ret)
			vmdk_ctl_cancel(ctl);
		return ret ?: -EFAULT;
	}
	return ret;
}

static int vmdk_ioctl_fold_copy(struct vmdk_ctl *ctl,
				struct vmdk_fold_progress __user *arg)
{
	struct vmdk_fold_progress progress;
	int ret;

	if (!ctl->fold)
		return -ENXIO;
	if (copy_from_user(&progress, arg, sizeof(progress)))
		return -EFAULT;
	if (progress.flags || memchr_inv(progress.reserved, 0,
					 sizeof(progress.reserved)))
		return -EINVAL;
	ret = vmdk_fold_copy(ctl->fold, &progress);
	if (copy_to_user(arg, &progress, sizeof(progress)))
		return ret ?: -EFAULT;
	return ret;
}

static int vmdk_ioctl_fold_end(struct vmdk_ctl *ctl, unsigned long arg)
{
	int ret;

	if (!ctl->fold)
		return -ENXIO;
	if (arg)
		return -EINVAL;
	ret = vmdk_fold_end(ctl->fold);
	if (!ret)
		ctl->fold = NULL;
	return ret;
}

static int vmdk_ioctl_fold_cancel(struct vmdk_ctl *ctl, unsigned long arg)
{
	if (!ctl->fold)
		return -ENXIO;
	return arg ? -EINVAL : vmdk_ctl_cancel(ctl);
}

static int vmdk_ioctl_fold(struct vmdk_ctl *ctl, unsigned int cmd,
			   unsigned long arg)
{
	void __user *argp = (void __user *)arg;
	int ret;

	mutex_lock(&ctl->mutex);
	switch (cmd) {
	case VMDK_FOLD_BEGIN:
		ret = vmdk_ioctl_fold_begin(ctl, argp);
		break;
	case VMDK_FOLD_COPY:
		ret = vmdk_ioctl_fold_copy(ctl, argp);
		break;
	case VMDK_FOLD_END:
		ret = vmdk_ioctl_fold_end(ctl, arg);
		break;
	default:
		ret = vmdk_ioctl_fold_cancel(ctl, arg);
	}
	mutex_unlock(&ctl->mutex);
	return ret;
}

/* The new link as an ATTACH call of one link, so that it is checked as one. */
static void vmdk_snapshot_config(const struct vmdk_snapshot *snap,
				 struct vmdk_link_info *link,
				 struct vmdk_config *config)
{
	struct vmdk_attach *attach = &config->attach;

	attach->nr_links = 1;
	attach->nr_extents = snap->nr_extents;
	attach->nr_patches = snap->nr_patches;
	attach->cid = snap->cid;
	attach->new_cid = snap->new_cid;
	attach->parent_cid = snap->parent_cid;
	attach->backing_fd = snap->backing_fd;
	attach->extents = snap->extents;
	attach->patches = snap->patches;
	attach->message = snap->message;
	attach->message_size = snap->message_size;
	attach->fault_extent = ~0U;
	memcpy(attach->create_type, snap->create_type,
	       sizeof(attach->create_type));
	link->nr_extents = snap->nr_extents;
	config->links = link;
}

/* The sum of the extents is the capacity; that it is the disk's is checked there. */
static u64 vmdk_sum_extents(const struct vmdk_config *config)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < config->attach.nr_extents; i++)
		sum += config->extents[i].sectors;
	return sum;
}

static int vmdk_do_snapshot(const struct vmdk_snapshot *snap,
			    struct vmdk_config *config,
			    struct vmdk_fault *fault)
{
	int ret;

	if (snap->flags & ~VMDK_SNAPSHOT_FLAGS ||
	    memchr_inv(snap->reserved, 0, sizeof(snap->reserved)))
		return vmdk_refuse(fault, "unknown flags, or reserved members are not zero");
	if (!(snap->flags & VMDK_SNAPSHOT_TOP) && snap->top_fd)
		return vmdk_refuse(fault, "a file for the top needs VMDK_SNAPSHOT_TOP");
	ret = vmdk_check_head(&config->attach, fault);
	if (!ret)
		ret = vmdk_copy_arrays(config);
	if (ret)
		return ret;
	config->links->sectors = vmdk_sum_extents(config);
	ret = vmdk_check_config(config, fault);
	return ret ?: vmdk_disk_snapshot(snap->index, config,
					 snap->flags & VMDK_SNAPSHOT_TOP,
					 snap->top_fd, fault);
}

static int vmdk_ioctl_snapshot(struct vmdk_snapshot __user *arg)
{
	struct vmdk_config config = {};
	struct vmdk_link_info link = {};
	struct vmdk_fault fault = {};
	struct vmdk_snapshot snap;
	int ret;

	if (copy_from_user(&snap, arg, sizeof(snap)))
		return -EFAULT;
	/* It cannot be taken back where the caller cannot be told. */
	if (vmdk_copy_message(snap.message, snap.message_size, &fault) ||
	    put_user(~0U, &arg->fault_extent))
		return -EFAULT;
	vmdk_snapshot_config(&snap, &link, &config);
	ret = vmdk_do_snapshot(&snap, &config, &fault);
	vmdk_free_arrays(&config);
	if (vmdk_copy_message(snap.message, snap.message_size, &fault) ||
	    put_user(config.attach.fault_extent, &arg->fault_extent))
		return ret ?: -EFAULT;
	return ret;
}

/* The disk stays with @ctl until the second call, or until it is closed. */
static int vmdk_begin_resize(struct vmdk_ctl *ctl,
			     const struct vmdk_resize *resize,
			     struct vmdk_fault *fault)
{
	struct vmdk_disk *disk;

	if (ctl->resizing)
		return vmdk_refuse(fault, "another resize has begun, and not ended");
	disk = vmdk_disk_resize(resize->index, resize->sectors,
				resize->flags & VMDK_RESIZE_SHRINK,
				resize->backing_fd, fault);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	ctl->resizing = disk;
	return 0;
}

static int vmdk_finish_resize(struct vmdk_ctl *ctl,
			      const struct vmdk_resize *resize,
			      struct vmdk_fault *fault)
{
	int ret;

	if (!ctl->resizing)
		return vmdk_refuse(fault, "no resize has begun");
	ret = vmdk_disk_resize_finish(ctl->resizing, resize->index,
				      resize->sectors, resize->backing_fd,
				      fault);
	vmdk_disk_end_change(ctl->resizing);
	ctl->resizing = NULL;
	return ret;
}

static int vmdk_do_resize(struct vmdk_ctl *ctl,
			  const struct vmdk_resize *resize,
			  struct vmdk_fault *fault)
{
	bool finish = resize->flags & VMDK_RESIZE_FINISH;

	if (resize->flags & ~VMDK_RESIZE_FLAGS ||
	    memchr_inv(resize->reserved, 0, sizeof(resize->reserved)))
		return vmdk_refuse(fault, "unknown flags, or reserved members are not zero");
	if (!resize->sectors || resize->sectors > VMDK_CAPACITY_MAX)
		return vmdk_refuse(fault, "length out of range");
	return finish ? vmdk_finish_resize(ctl, resize, fault) :
			vmdk_begin_resize(ctl, resize, fault);
}

static int vmdk_ioctl_resize(struct vmdk_ctl *ctl,
			     struct vmdk_resize __user *arg)
{
	struct vmdk_resize resize;
	struct vmdk_fault fault = {};
	int ret;

	if (copy_from_user(&resize, arg, sizeof(resize)))
		return -EFAULT;
	mutex_lock(&ctl->mutex);
	ret = vmdk_do_resize(ctl, &resize, &fault);
	mutex_unlock(&ctl->mutex);
	if (vmdk_copy_message(resize.message, resize.message_size, &fault))
		return ret ?: -EFAULT;
	return ret;
}

static int vmdk_ioctl_detach(struct vmdk_detach __user *arg)
{
	struct vmdk_detach detach;

	if (copy_from_user(&detach, arg, sizeof(detach)))
		return -EFAULT;
	if ((detach.flags & ~VMDK_DETACH_FLAGS) ||
	    memchr_inv(detach.reserved, 0, sizeof(detach.reserved)))
		return -EINVAL;
	return vmdk_disk_detach(detach.index, detach.flags & VMDK_DETACH_LAZY);
}

static int vmdk_ioctl_features(u64 __user *arg)
{
	return put_user((u64)VMDK_FEATURES, arg);
}

static bool vmdk_ioctl_known(unsigned int cmd)
{
	switch (cmd) {
	case VMDK_ATTACH:
	case VMDK_DETACH:
	case VMDK_SNAPSHOT:
	case VMDK_FOLD_BEGIN:
	case VMDK_FOLD_COPY:
	case VMDK_FOLD_END:
	case VMDK_FOLD_CANCEL:
	case VMDK_RESIZE:
		return true;
	default:
		return false;
	}
}

static long vmdk_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	if (cmd == VMDK_GET_FEATURES)
		return vmdk_ioctl_features(argp);
	if (!vmdk_ioctl_known(cmd))
		return -ENOTTY;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (cmd) {
	case VMDK_ATTACH:
		return vmdk_ioctl_attach(argp);
	case VMDK_DETACH:
		return vmdk_ioctl_detach(argp);
	case VMDK_SNAPSHOT:
		return vmdk_ioctl_snapshot(argp);
	case VMDK_RESIZE:
		return vmdk_ioctl_resize(file->private_data, argp);
	default:
		return vmdk_ioctl_fold(file->private_data, cmd, arg);
	}
}

static int vmdk_ctl_open(struct inode *inode, struct file *file)
{
	struct vmdk_ctl *ctl = kzalloc(sizeof(*ctl), GFP_KERNEL_ACCOUNT);

	if (!ctl)
		return -ENOMEM;
	mutex_init(&ctl->mutex);
	file->private_data = ctl;
	return nonseekable_open(inode, file);
}

/* Whoever began a fold or a resize may have been killed. */
static int vmdk_ctl_release(struct inode *inode, struct file *file)
{
	struct vmdk_ctl *ctl = file->private_data;

	if (ctl->fold)
		vmdk_ctl_cancel(ctl);
	if (ctl->resizing)
		vmdk_disk_end_change(ctl->resizing);
	kfree(ctl);
	return 0;
}

static const struct file_operations vmdk_ctl_fops = {
	.owner		= THIS_MODULE,
	.open		= vmdk_ctl_open,
	.release	= vmdk_ctl_release,
	.unlocked_ioctl	= vmdk_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice vmdk_ctl = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "vmdk-control",
	.mode	= 0600,
	.fops	= &vmdk_ctl_fops,
};

/**
 * vmdk_ctl_register - create the control device
 *
 * Return: 0 or an error.
 */
int vmdk_ctl_register(void)
{
	return misc_register(&vmdk_ctl);
}

/**
 * vmdk_ctl_unregister - remove it
 */
void vmdk_ctl_unregister(void)
{
	misc_deregister(&vmdk_ctl);
}
