// SPDX-License-Identifier: GPL-2.0
/*
 * The text of a descriptor with another capacity in it: the length of the last
 * extent, and the cylinders that follow from it.  No other byte is changed, but
 * for comments.
 *
 * A text file is replaced as a whole.  A text inside of a sparse extent lies in
 * sectors that reach the disk one by one: so either one sector alone is changed,
 * or each number in its own sector, with all that moves in between.  A number that
 * takes more digits then takes them from a comment beside it.
 */
#define _GNU_SOURCE	/* mkostemp, asprintf */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child.h"
#include "grain_tables.h"
#include "lock.h"
#include "path.h"
#include "retext.h"

#define NUMBERS		3	/* sectors, cylinders, biosCylinders */
#define EDITS		(2 * NUMBERS)
#define DIGITS_MAX	20
#define IDE_CYLINDERS	16383

/* What stands at @span becomes @with. */
struct edit {
	struct vmdk_span span;
	char with[DIGITS_MAX + 1];
};

struct edits {
	struct edit list[EDITS];
	size_t nr;
};

/* -------------------------------------------------------------- what changes */

static void add_edit(struct edits *edits, struct vmdk_span span, uint64_t value)
{
	struct edit *edit = &edits->list[edits->nr++];

	edit->span = span;
	snprintf(edit->with, sizeof(edit->with), "%" PRIu64, value);
}

static void add_cylinders(struct edits *edits, const struct vmdk_image *image,
			  const struct vmdk_geom *geom, struct vmdk_span span,
			  uint64_t sectors)
{
	const char *adapter = image->desc.adapter_type;
	uint64_t most = adapter && strcmp(adapter, "ide") ? UINT32_MAX :
							    IDE_CYLINDERS;
	uint64_t cylinders;

	if (!span.length || !geom->cylinders || !geom->heads || !geom->sectors)
		return;
	cylinders = sectors / ((uint64_t)geom->heads * geom->sectors);
	if (cylinders > most)
		cylinders = most;
	if (cylinders != geom->cylinders)
		add_edit(edits, span, cylinders);
}

/* @sectors: of the whole disk */
static void find_edits(const struct vmdk_image *image, uint64_t sectors,
		       struct edits *edits)
{
	const struct vmdk_descriptor *desc = &image->desc;
	const struct vmdk_desc_extent *last;

	last = &desc->extents[desc->nr_extents - 1];
	edits->nr = 0;
	add_edit(edits, last->sectors_span,
		 sectors - (desc->sectors - last->sectors));
	add_cylinders(edits, image, &desc->physical, desc->cylinders_span,
		      sectors);
	add_cylinders(edits, image, &desc->bios, desc->bios_cylinders_span,
		      sectors);
}

static int compare_edits(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	return x->span.offset < y->span.offset ? -1 :
	       x->span.offset > y->span.offset;
}

/* @size: bytes of the text; what is behind them stays behind. */
static int apply(const char *text, size_t size, struct edits *edits,
		 char **out, size_t *out_size)
{
	size_t at = 0, i;
	FILE *file;

	qsort(edits->list, edits->nr, sizeof(*edits->list), compare_edits);
	file = open_memstream(out, out_size);
	if (!file)
		return -ENOMEM;
	for (i = 0; i < edits->nr; i++) {
		const struct edit *edit = &edits->list[i];

		fwrite(text + at, 1, edit->span.offset - at, file);
		fputs(edit->with, file);
		at = edit->span.offset + edit->span.length;
	}
	fwrite(text + at, 1, size - at, file);
	return fclose(file) ? -ENOMEM : 0;
}

/* ------------------------------------------------- a text inside an extent */

static size_t sector_of(const struct vmdk_image *image, size_t at)
{
	return (image->desc_offset + at) / VMDK_SECTOR_SIZE;
}

/* Is [at, end) of the text in one sector of the file? */
static bool in_one_sector(const struct vmdk_image *image, size_t at, size_t end)
{
	return sector_of(image, at) == sector_of(image, end - 1);
}

/*
 * Take @less bytes off the end of the comment that [at, at + length) is, or add
 * -@less blanks.
 */
static struct edit change_comment(size_t at, size_t length, long less)
{
	struct edit edit = { .span.offset = at + length };

	if (less > 0) {
		edit.span.offset -= less;
		edit.span.length = less;
	} else {
		memset(edit.with, ' ', -less);
	}
	return edit;
}

static long growth(const struct edit *edit)
{
	return (long)strlen(edit->with) - (long)edit->span.length;
}

/* Is the line that ends at @end changed already? */
static bool is_taken(const struct edits *edits, size_t end)
{
	size_t i;

	for (i = 0; i < edits->nr; i++)
		if (edits->list[i].span.offset + edits->list[i].span.length ==
		    end)
			return true;
	return false;
}

/*
 * Have what edit @nr moves end at a comment, in the same sector; but not at the
 * first line, by which readers know a descriptor.
 */
static bool balance(const struct vmdk_image *image, struct edits *edits,
		    size_t nr)
{
	const struct edit *edit = &edits->list[nr];
	size_t from = edit->span.offset, to = from + edit->span.length;
	long less = growth(edit);
	size_t at = 0, length, low, high;
	bool comment;

	for (; image->text[at]; at += strspn(image->text + at, "\r\n")) {
		comment = at && image->text[at] == '#';
		length = strcspn(image->text + at, "\r\n");
		low = at < from ? at : from;
		high = at < from ? to : at + length;
		if (comment && (long)length > less &&
		    in_one_sector(image, low, high) &&
		    !is_taken(edits, at + length)) {
			edits->list[edits->nr++] =
				change_comment(at, length, less);
			return true;
		}
		at += length;
	}
	return false;
}

static int balance_all(const struct vmdk_image *image, struct edits *edits,
		       char **why)
{
	size_t i, nr = edits->nr;

	for (i = 0; i < nr; i++) {
		const struct edit *edit = &edits->list[i];
		size_t end = edit->span.offset + edit->span.length;

		if (!growth(edit) &&
		    in_one_sector(image, edit->span.offset, end))
			continue;
		if (!growth(edit) || !balance(image, edits, i))
			return vmdk_refuse(why, -ENOSPC,
					   "%s: its descriptor cannot be changed in one piece: a number in it lies across two sectors, or has no comment beside it to take room from",
					   image->path);
	}
	return 0;
}

static size_t count_changed(const char *old, const char *new, size_t size)
{
	size_t at, nr = 0;

	for (at = 0; at < size; at += VMDK_SECTOR_SIZE)
		nr += !!memcmp(old + at, new + at, VMDK_SECTOR_SIZE);
	return nr;
}

/* The text filled up with zeros to what there is room for; NULL: it does not fit. */
static char *fill_up(char *text, size_t size, size_t room)
{
	char *area = size < room ? calloc(1, room) : NULL;

	if (area)
		memcpy(area, text, size);
	free(text);
	return area;
}

static int retext_embedded(const struct vmdk_image *image, struct edits *edits,
			   char **text, size_t *size, char **why)
{
	size_t room = image->desc_size;
	int ret;

	ret = apply(image->text, strlen(image->text), edits, text, size);
	if (ret)
		return ret;
	*text = fill_up(*text, *size, room);
	*size = room;
	if (*text && count_changed(image->text, *text, room) <= 1)
		return 0;
	free(*text);
	*text = NULL;
	ret = balance_all(image, edits, why);
	if (!ret)
		ret = apply(image->text, room, edits, text, size);
	return ret;
}

/**
 * vmdk_retext - make the text of an image that has another capacity
 * @image: the image
 * @sectors: its capacity, as it is to be
 * @text: receives the text, to be freed; NULL on failure
 * @size: receives its length; of an embedded one, that of the room for it
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -errno.
 */
int vmdk_retext(const struct vmdk_image *image, uint64_t sectors, char **text,
		size_t *size, char **why)
{
	struct edits edits;
	int ret;

	*text = NULL;
	if (!image->text)
		return vmdk_refuse(why, -EOPNOTSUPP,
				   "%s: has no descriptor that could be changed",
				   image->path);
	find_edits(image, sectors, &edits);
	if (image->embedded)
		ret = retext_embedded(image, &edits, text, size, why);
	else
		ret = apply(image->text, image->desc_size, &edits, text, size);
	if (ret) {
		free(*text);
		*text = NULL;
	}
	return ret;
}

/* ------------------------------------------------------------------ writing */

static int cannot_write(const struct vmdk_image *image, int ret, char **why)
{
	return vmdk_refuse(why, ret, "%s: its descriptor cannot be written: %s",
			   image->path, strerror(-ret));
}

/* The file that @image is, whatever its name leads to by now. */
static int open_again(const struct vmdk_image *image)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", image->desc_fd);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int write_changed(int fd, const struct vmdk_image *image,
			 const char *text)
{
	size_t at;
	int ret = 0;

	for (at = 0; at < image->desc_size && !ret; at += VMDK_SECTOR_SIZE)
		if (memcmp(image->text + at, text + at, VMDK_SECTOR_SIZE))
			ret = vmdk_pwrite_all(fd, text + at, VMDK_SECTOR_SIZE,
					      image->desc_offset + at);
	return !ret && fsync(fd) ? -errno : ret;
}

/**
 * vmdk_retext_in_place - write a text into the sectors that it came from
 * @image: whose text is embedded
 * @text: from vmdk_retext()
 * @why: receives the reason of a failure
 *
 * Return: 0, with the text durable; or -errno.
 */
int vmdk_retext_in_place(const struct vmdk_image *image, const char *text,
			 char **why)
{
	int fd = open_again(image);
	int ret = fd < 0 ? fd : write_changed(fd, image, text);

	if (fd >= 0)
		close(fd);
	return ret ? cannot_write(image, ret, why) : 0;
}

static int copy_owner(int fd, const struct vmdk_image *image)
{
	struct stat st;

	if (fstat(image->desc_fd, &st) || fchown(fd, st.st_uid, st.st_gid) ||
	    fchmod(fd, st.st_mode & 07777))
		return -errno;
	return 0;
}

/* Locked before it has the name, so that it never is there without. */
static int fill_file(int fd, const struct vmdk_image *image, const char *text,
		     size_t size, char **why)
{
	int ret = copy_owner(fd, image);

	if (!ret)
		ret = vmdk_pwrite_all(fd, text, size, 0);
	if (!ret && fsync(fd))
		ret = -errno;
	return ret ?: vmdk_lock_image(fd, true, image->path, why);
}

static int sync_folder(const struct vmdk_folder *folder)
{
	int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

static int put_in_place(const struct vmdk_folder *folder, int fd, const char *new,
			const struct vmdk_image *image, const char *text,
			size_t size, char **why)
{
	int ret = fill_file(fd, image, text, size, why);

	if (!ret && renameat(folder->fd, new, folder->fd, folder->name))
		ret = -errno;
	if (ret)
		unlinkat(folder->fd, new, 0);
	return ret ?: sync_folder(folder);
}

/* Returns the new file, which has taken the name of the old one; or -errno. */
static int replace_file(const struct vmdk_folder *folder,
			const struct vmdk_image *image, const char *text,
			size_t size, char **why)
{
	char *new;
	int fd, ret;

	/* By this name mkostemp() gets into the folder that is open, and no other. */
	if (asprintf(&new, "/proc/self/fd/%d/%s.XXXXXX", folder->fd,
		     folder->name) < 0)
		return -ENOMEM;
	fd = mkostemp(new, O_CLOEXEC);
	ret = fd < 0 ? -errno :
	      put_in_place(folder, fd, strrchr(new, '/') + 1, image, text, size,
			   why);
	free(new);
	if (fd >= 0 && ret)
		close(fd);
	return ret ?: fd;
}

/**
 * vmdk_retext_file - replace the file of a descriptor
 * @image: whose text is a file of its own
 * @text: what it is to have
 * @size: how many bytes
 * @why: receives the reason of a failure
 *
 * That is the file which is open, where it lies now: a name that leads elsewhere by now
 * is nothing that anybody chose.
 *
 * Return: the new file, locked and durable; or -errno.
 */
int vmdk_retext_file(const struct vmdk_image *image, const char *text,
		     size_t size, char **why)
{
	struct vmdk_folder folder;
	int fd;

	fd = vmdk_folder_open(image->path, image->desc_fd, &folder, why);
	if (!fd)
		fd = replace_file(&folder, image, text, size, why);
	vmdk_folder_close(&folder);
	return fd < 0 && !*why ? cannot_write(image, fd, why) : fd;
}
