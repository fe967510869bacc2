// SPDX-License-Identifier: GPL-2.0
/*
 * Other programs as judges: what qemu-img and VMware wrote is found sound, and
 * what mkvmdk makes, qemu-img and libvmdk read as it was meant.
 *
 * Skipped without qemu-img, vmdkinfo and $VMDK_SAMPLES respectively.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "check.h"
#include "mkvmdk.h"

extern char **environ;

static char folder[] = "/tmp/vmdk-judges.XXXXXX";

/* Exit status of a program, run silently; 127: there is none. */
static int run(const char *const argv[])
{
	posix_spawn_file_actions_t actions;
	int status, ret;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 1, 2);
	ret = posix_spawnp(&pid, argv[0], &actions, NULL,
			   (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (ret)
		return 127;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

#define RUN(...)	run((const char *const []){ __VA_ARGS__, NULL })

static void need(const char *program, const char *option)
{
	if (RUN(program, option) != 127)
		return;
	print_message("no %s\n", program);
	skip();
}

static void print_finding(const struct vmdk_finding *f, void *arg)
{
	print_message("  %s: %d %s at byte %llu: %s\n", (const char *)arg,
		      f->severity, f->structure, (unsigned long long)f->offset,
		      f->text);
}

static void check_path(const char *path, struct vmdk_check_result *result)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(vmdk_check_sparse(fd, 4, print_finding, (void *)path,
					   result), 0);
	close(fd);
}

static void assert_clean(const char *path)
{
	struct vmdk_check_result r;

	check_path(path, &r);
	assert_int_equal(r.notes + r.leaks + r.benign + r.corrupt, 0);
}

/* Writes all over the disk, across grains and tables, and zeros over some. */
static void scribble(const char *path, unsigned long long bytes)
{
	unsigned int seed = 1, i;
	char command[80];

	for (i = 0; i < 24; i++) {
		unsigned long long length = 512ULL << rand_r(&seed) % 10;
		unsigned long long place;

		if (length > bytes / 2)
			continue;
		place = ((unsigned long long)rand_r(&seed) << 20 ^
			 (unsigned long long)rand_r(&seed)) %
			((bytes - length) / 512) * 512;
		snprintf(command, sizeof(command), "write %s %llu %llu",
			 i % 4 == 3 ? "-z" : "-P 0xa5", place, length);
		assert_int_equal(RUN("qemu-io", "-f", "vmdk", "-c", command,
				     path), 0);
	}
}

struct made {
	const char *options, *size, *extent;
	unsigned long long bytes;	/* to scribble over; 0: not */
};

static void check_made(const struct made *made)
{
	struct vmdk_check_result r;
	char *path, *extent;

	assert_true(asprintf(&path, "%s/q.vmdk", folder) > 0);
	assert_true(asprintf(&extent, "%s/%s", folder, made->extent) > 0);
	assert_int_equal(RUN("qemu-img", "create", "-q", "-f", "vmdk", "-o",
			     made->options, path, made->size), 0);
	assert_clean(extent);
	if (made->bytes) {
		scribble(path, made->bytes);
		/* qemu forgets a grain that it replaces by zeros: a true leak. */
		check_path(extent, &r);
		assert_int_equal(r.notes + r.benign + r.corrupt, 0);
		assert_true(!r.leaks || strstr(made->options, "zeroed"));
		assert_true(r.grains_allocated);
		assert_int_equal(RUN("qemu-img", "check", "-q", path), 0);
	}
	free(extent);
	free(path);
}

static void test_qemu_images(void **state)
{
	static const struct made images[] = {
		{ "subformat=monolithicSparse", "1M", "q.vmdk", 1 << 20 },
		{ "subformat=monolithicSparse", "1000448", "q.vmdk", 1000448 },
		{ "zeroed_grain=on", "10M", "q.vmdk", 10 << 20 },
		{ "subformat=monolithicSparse", "33M", "q.vmdk", 33 << 20 },
		{ "zeroed_grain=on", "100G", "q.vmdk", 100ULL << 30 },
		{ "subformat=monolithicSparse", "5T", "q.vmdk", 5ULL << 40 },
		{ "subformat=twoGbMaxExtentSparse", "1M", "q-s001.vmdk",
		  1 << 20 },
		{ "subformat=twoGbMaxExtentSparse", "3G", "q-s002.vmdk",
		  3ULL << 30 },
	};
	size_t i;

	need("qemu-img", "--version");
	need("qemu-io", "--version");
	for (i = 0; i < sizeof(images) / sizeof(images[0]); i++)
		check_made(&images[i]);
	(void)state;
}

/* Where the disk's bytes are known: sectors of each grain, 0 where none is. */
static void assert_raw(const struct mk_image *m, const char *raw,
		       const uint8_t *fills, size_t grains)
{
	uint64_t bytes = m->opt.capacity * MK_SECTOR, at;
	uint64_t grain_bytes = m->opt.grain * MK_SECTOR;
	FILE *f = fopen(raw, "r");

	assert_non_null(f);
	for (at = 0; at < bytes; at++) {
		uint64_t grain = at / grain_bytes;
		int byte = getc(f);

		if (byte != (grain < grains ? fills[grain] : 0))
			fail_msg("byte %llu is %d", (unsigned long long)at, byte);
	}
	assert_int_equal(getc(f), EOF);
	fclose(f);
}

static void judge_mkvmdk(const struct mk_options *opt)
{
	uint8_t fills[24] = { 0 };
	uint64_t grains = (opt->capacity + opt->grain - 1) / opt->grain;
	struct mk_image m;
	char *path, *raw;
	uint64_t i;

	assert_true(asprintf(&path, "%s/image.vmdk", folder) > 0);
	assert_true(asprintf(&raw, "%s/raw", folder) > 0);
	assert_true(grains > 4);
	mk_create(&m, opt);
	for (i = 23; i; i--) {
		if (i >= grains || i % 5 == 1)
			continue;
		fills[i] = (uint8_t)(0x40 + i);
		mk_map(&m, i, fills[i]);
	}
	if (opt->flags & 4)
		mk_entry(&m, 0, 1);
	close(mk_save(&m, path));
	assert_clean(path);
	assert_int_equal(RUN("qemu-img", "check", "-q", "-f", "vmdk", path), 0);
	assert_int_equal(RUN("qemu-img", "convert", "-f", "vmdk", "-O", "raw",
			     path, raw), 0);
	assert_raw(&m, raw, fills, sizeof(fills));
	/* libvmdk takes no grain of 8 sectors and no table but of 512 entries. */
	if (opt->grain > 8 && RUN("vmdkinfo", "-V") != 127)
		assert_int_equal(RUN("vmdkinfo", path), 0);
	mk_free(&m);
	free(raw);
	free(path);
}

static void test_mkvmdk(void **state)
{
	static const struct mk_options made[] = {
		{ .capacity = 2048, .grain = 128 },
		{ .capacity = 4099, .grain = 16, .gtes = 512 },
		{ .capacity = 4099, .grain = 8, .gtes = 128 },
		{ .capacity = 20000, .grain = 16, .gtes = 512, .flags = 4,
		  .version = 2 },
		{ .capacity = 300000, .grain = 2048, .gtes = 512 },
		{ .capacity = 70000, .grain = 16, .gtes = 512,
		  .tables = MK_TABLES_LAZY },
		{ .capacity = 70000, .grain = 128, .one_copy = true },
	};
	size_t i;

	need("qemu-img", "--version");
	for (i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		judge_mkvmdk(&made[i]);
	(void)state;
}

/* Both copies as qemu reads them, after evening out what a cut left. */
static void test_even_out(void **state)
{
	const struct mk_options opt = { .capacity = 70000, .grain = 16,
					.flags = 4 };
	uint8_t fills[4] = { 0, 0x11, 0x22, 0x33 };
	struct mk_image m;
	uint64_t changed;
	char *path, *raw;
	int fd;

	need("qemu-img", "--version");
	assert_true(asprintf(&path, "%s/image.vmdk", folder) > 0);
	assert_true(asprintf(&raw, "%s/raw", folder) > 0);
	mk_create(&m, &opt);
	mk_map(&m, 1, fills[1]);
	mk_map(&m, 2, fills[2]);
	mk_map(&m, 3, fills[3]);
	mk_entry_copy(&m, 0, 1, 0);
	mk_entry_copy(&m, 0, 2, 1);
	mk_entry_copy(&m, 1, 3, 0);
	mk_put(&m, mk_gde(&m, 0, 1), 4, 0);
	fd = mk_save(&m, path);
	assert_int_equal(vmdk_even_out(fd, &changed), 0);
	assert_int_equal(changed, 4);
	close(fd);
	assert_int_equal(RUN("qemu-img", "convert", "-f", "vmdk", "-O", "raw",
			     path, raw), 0);
	assert_raw(&m, raw, fills, sizeof(fills));
	mk_free(&m);
	free(raw);
	free(path);
	(void)state;
}

static void test_samples(void **state)
{
	static const char *const sparse[] = {
		"ext2/ext2.vmdk", "split/tw_sparse-s001.vmdk",
		"vmware-10m/monolithicSparse.vmdk",
		"vmware-10m/twoGbMaxExtentSparse-s001.vmdk",
	};
	const char *samples = getenv("VMDK_SAMPLES");
	size_t i;

	if (!samples) {
		print_message("$VMDK_SAMPLES is not set\n");
		skip();
	}
	for (i = 0; i < sizeof(sparse) / sizeof(sparse[0]); i++) {
		char *path;

		assert_true(asprintf(&path, "%s/%s", samples, sparse[i]) > 0);
		assert_clean(path);
		free(path);
	}
	(void)state;
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qemu_images),
		cmocka_unit_test(test_mkvmdk),
		cmocka_unit_test(test_even_out),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests_name("judges", tests, make_folder,
					   remove_folder);
}
