// SPDX-License-Identifier: GPL-2.0
/*
 * mutants - attach images of which a few numbers are others, and use what attaches.
 *
 * usage: mutants SEED COUNT KIND:FILE:SECTORS...
 *
 * COUNT times, one of the files is copied into memory; there, up to eight numbers are
 * changed, mostly in what is at its beginning, or its end is cut off; then it is
 * attached as an extent of KIND (sparse, cowd, sesparse), read, written to, and
 * detached.  Any of that may fail, with one line of text where it is the attach, but
 * has to end.  Prints how many were attached, and how many were refused.
 */
#define _GNU_SOURCE	/* memfd_create, O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "detach.h"
#include "vmdk_ioctl.h"

#define SECTOR		512
#define LARGEST		(1 << 16)	/* of one I/O */

struct image {
	unsigned int kind;
	uint64_t sectors;
	uint8_t *bytes;
	size_t size;
};

static uint64_t state;
static int control;
static uint8_t *buf;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "mutants: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * 0x2545f4914f6cdd1dULL >> 11) % n;
}

static void read_image(struct image *image, char *text)
{
	static const struct {
		const char *word;
		unsigned int kind;
	} kinds[] = {
		{ "sparse", VMDK_KIND_SPARSE }, { "cowd", VMDK_KIND_COWD },
		{ "sesparse", VMDK_KIND_SESPARSE },
	};
	const char *word = strsep(&text, ":"), *path = strsep(&text, ":");
	struct stat st;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].word, word))
			image->kind = kinds[i].kind;
	fd = path ? open(path, O_RDONLY) : -1;
	if (fd < 0 || !text || fstat(fd, &st))
		die(word);
	image->sectors = strtoull(text, NULL, 0);
	image->size = st.st_size;
	image->bytes = mmap(NULL, image->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (image->bytes == MAP_FAILED)
		die(path);
	close(fd);
}

static uint64_t other_value(uint64_t old)
{
	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return old + 1;
	case 3:
		return old - 1;
	case 4:
		return old ^ 1ULL << below(64);
	case 5:
		return (1ULL << below(64)) - below(2);
	case 6:
		return below(4096);
	default:
		return old ^ below(UINT32_MAX);
	}
}

/* Little-endian, as the machine is. */
static void change_number(int fd, const struct image *image)
{
	static const size_t parts[] = { 96, 96, 512, 4096, 1 << 17, SIZE_MAX };
	size_t part = parts[below(sizeof(parts) / sizeof(parts[0]))];
	size_t width = 1ULL << below(4), at;
	uint64_t value = 0;

	if (part > image->size)
		part = image->size;
	at = below(part / width) * width;
	memcpy(&value, image->bytes + at, width);
	value = other_value(value);
	if (pwrite(fd, &value, width, at) != (ssize_t)width)
		die("mutation");
}

static int make_mutant(const struct image *image)
{
	int fd = memfd_create("mutant", MFD_CLOEXEC);
	unsigned int n;

	if (fd < 0 || write(fd, image->bytes, image->size) != (ssize_t)image->size)
		die("memory");
	for (n = below(9); n; n--)
		change_number(fd, image);
	if (!below(10) && ftruncate(fd, below(image->size)))
		die("truncation");
	return fd;
}

/* One line of text, or none. */
static void check_message(const char *message)
{
	for (; *message; message++) {
		if (*message < 0x20 || *message == 0x7f) {
			puts("a message is not one line of text");
			exit(1);
		}
	}
}

static int attach(const struct image *image, int fd)
{
	static char message[VMDK_MESSAGE_SIZE];
	bool read_only = image->kind == VMDK_KIND_SESPARSE || below(2);
	struct vmdk_extent_info extent = {
		.fd = fd, .kind = image->kind, .access = VMDK_ACCESS_RW,
		.sectors = image->sectors,
	};
	struct vmdk_link_info link = { .nr_extents = 1, .sectors = image->sectors };
	struct vmdk_attach head = {
		.flags = VMDK_ATTACH_NO_PARTSCAN |
			 (read_only ? VMDK_ATTACH_READ_ONLY : 0) |
			 (below(4) ? 0 : VMDK_ATTACH_VERIFIED),
		.index = -1, .backing_fd = fd, .nr_links = 1, .nr_extents = 1,
		.parent_cid = UINT32_MAX, .message_size = sizeof(message),
		.links = (uintptr_t)&link, .extents = (uintptr_t)&extent,
		.message = (uintptr_t)message, .create_type = "mutant",
	};

	message[0] = '\0';
	if (!ioctl(control, VMDK_ATTACH, &head))
		return head.index;
	check_message(message);
	return -1;
}

/* Errors are as good as data. */
static void use_disk(int index, uint64_t sectors)
{
	uint64_t range[2], at;
	char node[32];
	int n, fd;

	snprintf(node, sizeof(node), "/dev/vmdk%d", index);
	fd = open(node, O_RDWR | O_DIRECT);
	if (fd < 0)
		fd = open(node, O_RDONLY | O_DIRECT);
	if (fd < 0)
		die(node);
	for (n = 0; n < 6; n++) {
		at = below(sectors) * SECTOR;
		(void)!pread(fd, buf, SECTOR * (1 + below(LARGEST / SECTOR)), at);
		(void)!pwrite(fd, buf, SECTOR * (1 + below(16)), at);
	}
	range[0] = below(sectors) * SECTOR;
	range[1] = (sectors - range[0] / SECTOR) * SECTOR;
	ioctl(fd, below(2) ? BLKDISCARD : BLKZEROOUT, range);
	fsync(fd);
	close(fd);
}

static bool try_mutant(const struct image *image)
{
	int fd = make_mutant(image), index = attach(image, fd);

	if (index >= 0) {
		use_disk(index, image->sectors);
		detach_disk(control, index);
	}
	close(fd);
	return index >= 0;
}

int main(int argc, char **argv)
{
	unsigned long long count, i, attached = 0;
	struct image *images;
	int n = argc - 3;

	if (n < 1)
		return 2;
	state = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15ULL + 1;
	count = strtoull(argv[2], NULL, 0);
	images = calloc(n, sizeof(*images));
	buf = aligned_alloc(4096, LARGEST);
	if (!images || !buf)
		die("memory");
	memset(buf, 0x5a, LARGEST);
	for (i = 0; i < (unsigned int)n; i++)
		read_image(&images[i], argv[3 + i]);
	control = open("/dev/vmdk-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		die("/dev/vmdk-control");
	for (i = 0; i < count; i++)
		attached += try_mutant(&images[below(n)]);
	printf("%llu attached, %llu refused\n", attached, count - attached);
	return 0;
}
