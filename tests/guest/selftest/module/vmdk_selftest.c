// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for the module where the test bed itself is tested: it leaks what it
 * is told to, and makes the faults that a debug kernel has to find.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

static struct kmem_cache *cache;
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

/* Not during init: that code is gone before anybody looks for leaks. */
static int leak_set(const char *what, const struct kernel_param *kp)
{
	void *p = NULL;

	if (sysfs_streq(what, "kmalloc"))
		p = kmalloc(100, GFP_KERNEL);
	else if (sysfs_streq(what, "vmalloc"))
		p = vmalloc(100000);
	else if (sysfs_streq(what, "cache"))
		p = kmem_cache_alloc(cache, GFP_KERNEL);
	else if (sysfs_streq(what, "reference"))
		p = try_module_get(THIS_MODULE) ? cache : NULL;
	else if (sysfs_streq(what, "time"))
		msleep(1000 * 1000);
	return p ? 0 : -EINVAL;
}

static const struct kernel_param_ops leak_ops = { .set = leak_set };
module_param_cb(leak, &leak_ops, NULL, 0200);
MODULE_PARM_DESC(leak, "what to leak: kmalloc, vmalloc, cache, reference, time");

static void overflow(void)
{
	char *p = kmalloc(100, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	if (p)
		WRITE_ONCE(p[100], 1);
	kfree(p);
}

static void lock_both(struct mutex *outer, struct mutex *inner)
{
	mutex_lock(outer);
	mutex_lock(inner);
	mutex_unlock(inner);
	mutex_unlock(outer);
}

static int fault_set(const char *what, const struct kernel_param *kp)
{
	unsigned int bits = 40;

	if (sysfs_streq(what, "lost")) {
		/* The allocator is called by the library, not from here. */
		bitmap_zalloc(1000, GFP_KERNEL);
	} else if (sysfs_streq(what, "overflow")) {
		overflow();
	} else if (sysfs_streq(what, "order")) {
		lock_both(&first, &second);
		lock_both(&second, &first);
	} else if (sysfs_streq(what, "panic")) {
		panic("selftest");
	} else if (sysfs_streq(what, "shift")) {
		OPTIMIZER_HIDE_VAR(bits);
		bits = 1U << bits;
		OPTIMIZER_HIDE_VAR(bits);
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct kernel_param_ops fault_ops = { .set = fault_set };
module_param_cb(fault, &fault_ops, NULL, 0200);
MODULE_PARM_DESC(fault, "what to do wrong: lost, overflow, order, panic, shift");

static int __init selftest_init(void)
{
	cache = kmem_cache_create("vmdk_selftest", 72, 0, 0, NULL);
	return cache ? 0 : -ENOMEM;
}

static void __exit selftest_exit(void)
{
	kmem_cache_destroy(cache);
}

module_init(selftest_init);
module_exit(selftest_exit);
MODULE_DESCRIPTION("vmdk test bed's self-test");
MODULE_LICENSE("GPL");
