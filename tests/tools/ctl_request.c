// SPDX-License-Identifier: GPL-2.0
/* A request for the control device, from arguments of ctl. */
#define _GNU_SOURCE	/* O_DIRECT, O_PATH */
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl.h"

#define LINKS_SHOWN	4

#define MEMBER(p, s, m, n) { p, #m, offsetof(struct s, m), \
			     sizeof(((struct s *)0)->m) / (n), n }
const struct member members[] = {
	MEMBER("head", vmdk_attach, flags, 1),
	MEMBER("head", vmdk_attach, index, 1),
	MEMBER("head", vmdk_attach, backing_fd, 1),
	MEMBER("head", vmdk_attach, nr_links, 1),
	MEMBER("head", vmdk_attach, nr_extents, 1),
	MEMBER("head", vmdk_attach, nr_patches, 1),
	MEMBER("head", vmdk_attach, nr_queues, 1),
	MEMBER("head", vmdk_attach, queue_depth, 1),
	MEMBER("head", vmdk_attach, cid, 1),
	MEMBER("head", vmdk_attach, new_cid, 1),
	MEMBER("head", vmdk_attach, parent_cid, 1),
	MEMBER("head", vmdk_attach, message_size, 1),
	MEMBER("head", vmdk_attach, links, 1),
	MEMBER("head", vmdk_attach, extents, 1),
	MEMBER("head", vmdk_attach, patches, 1),
	MEMBER("head", vmdk_attach, message, 1),
	MEMBER("head", vmdk_attach, fault_extent, 1),
	MEMBER("head", vmdk_attach, nr_windows, 1),
	MEMBER("head", vmdk_attach, cache_size, 1),
	MEMBER("head", vmdk_attach, create_type, VMDK_TYPE_SIZE),
	MEMBER("head", vmdk_attach, windows, 1),
	MEMBER("head", vmdk_attach, reserved, 6),
	MEMBER("link", vmdk_link_info, nr_extents, 1),
	MEMBER("link", vmdk_link_info, flags, 1),
	MEMBER("link", vmdk_link_info, sectors, 1),
	MEMBER("link", vmdk_link_info, reserved, 2),
	MEMBER("extent", vmdk_extent_info, fd, 1),
	MEMBER("extent", vmdk_extent_info, kind, 1),
	MEMBER("extent", vmdk_extent_info, access, 1),
	MEMBER("extent", vmdk_extent_info, flags, 1),
	MEMBER("extent", vmdk_extent_info, start, 1),
	MEMBER("extent", vmdk_extent_info, sectors, 1),
	MEMBER("extent", vmdk_extent_info, offset, 1),
	MEMBER("extent", vmdk_extent_info, length, 1),
	MEMBER("extent", vmdk_extent_info, nr_windows, 1),
	MEMBER("extent", vmdk_extent_info, reserved, 1),
	MEMBER("patch", vmdk_patch, fd, 1),
	MEMBER("patch", vmdk_patch, length, 1),
	MEMBER("patch", vmdk_patch, offset, 1),
	MEMBER("patch", vmdk_patch, old, VMDK_PATCH_SIZE),
	MEMBER("patch", vmdk_patch, new, VMDK_PATCH_SIZE),
	MEMBER("detach", vmdk_detach, index, 1),
	MEMBER("detach", vmdk_detach, flags, 1),
	MEMBER("detach", vmdk_detach, reserved, 4),
	MEMBER("resize", vmdk_resize, index, 1),
	MEMBER("resize", vmdk_resize, flags, 1),
	MEMBER("resize", vmdk_resize, sectors, 1),
	MEMBER("resize", vmdk_resize, backing_fd, 1),
	MEMBER("resize", vmdk_resize, message_size, 1),
	MEMBER("resize", vmdk_resize, message, 1),
	MEMBER("resize", vmdk_resize, reserved, 4),
	MEMBER("snapshot", vmdk_snapshot, index, 1),
	MEMBER("snapshot", vmdk_snapshot, backing_fd, 1),
	MEMBER("snapshot", vmdk_snapshot, nr_extents, 1),
	MEMBER("snapshot", vmdk_snapshot, nr_patches, 1),
	MEMBER("snapshot", vmdk_snapshot, cid, 1),
	MEMBER("snapshot", vmdk_snapshot, new_cid, 1),
	MEMBER("snapshot", vmdk_snapshot, parent_cid, 1),
	MEMBER("snapshot", vmdk_snapshot, message_size, 1),
	MEMBER("snapshot", vmdk_snapshot, extents, 1),
	MEMBER("snapshot", vmdk_snapshot, patches, 1),
	MEMBER("snapshot", vmdk_snapshot, message, 1),
	MEMBER("snapshot", vmdk_snapshot, fault_extent, 1),
	MEMBER("snapshot", vmdk_snapshot, flags, 1),
	MEMBER("snapshot", vmdk_snapshot, create_type, VMDK_TYPE_SIZE),
	MEMBER("snapshot", vmdk_snapshot, top_fd, 1),
	MEMBER("snapshot", vmdk_snapshot, reserved, 15),
	MEMBER("progress", vmdk_fold_progress, flags, 1),
	MEMBER("progress", vmdk_fold_progress, index, 1),
	MEMBER("progress", vmdk_fold_progress, sectors, 1),
	MEMBER("progress", vmdk_fold_progress, left, 1),
	MEMBER("progress", vmdk_fold_progress, reserved, 4),
};

const size_t nr_members = ARRAY_SIZE(members);

static int open_flags(const char *letters)
{
	int flags = O_RDONLY;

	for (; *letters; letters++) {
		switch (*letters) {
		case 'r':
			break;
		case 'w':
			flags |= O_WRONLY;
			break;
		case 'b':
			flags |= O_RDWR;
			break;
		case 'a':
			flags |= O_APPEND;
			break;
		case 'd':
			flags |= O_DIRECT;
			break;
		case 'p':
			flags |= O_PATH;
			break;
		default:
			usage(letters);
		}
	}
	return flags;
}

static int open_special(const char *value)
{
	char letters[8] = "";
	const char *path;
	int fds[2];

	if (!strcmp(value, "control"))
		return control;
	if (!strcmp(value, "pipe")) {
		if (pipe(fds))
			die("pipe");
		return fds[0];
	}
	if (!strcmp(value, "socket")) {
		fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
		if (fds[0] < 0)
			die("socket");
		return fds[0];
	}
	path = strchr(value + 5, ':');
	if (!path || path - value - 5 >= (ptrdiff_t)sizeof(letters))
		usage(value);
	memcpy(letters, value + 5, path - value - 5);
	return open_file(path + 1, open_flags(letters));
}

static uint64_t parse_value(const char *value)
{
	if (!strcmp(value, "null"))
		return 0;
	if (!strcmp(value, "bad"))
		return unmapped();
	if (!strcmp(value, "kernel"))
		return 0xffff888000000000ULL;
	if (!strcmp(value, "edge"))
		return edge(8);
	if (!strcmp(value, "pipe") || !strcmp(value, "socket") ||
	    !strcmp(value, "control") || !strncmp(value, "open:", 5))
		return open_special(value);
	if (value[0] == '-')
		return -parse_number(value + 1);
	return parse_number(value);
}

void *structure(struct request *req, const char *path, size_t len)
{
	static const struct {
		const char *path;
		size_t offset;
	} single[] = {
		{ "head", offsetof(struct request, head) },
		{ "link", offsetof(struct request, link) },
		{ "detach", offsetof(struct request, detach) },
		{ "resize", offsetof(struct request, resize) },
		{ "snapshot", offsetof(struct request, snapshot) },
		{ "progress", offsetof(struct request, progress) },
	};
	unsigned int i = path[len - 1] - '0';
	size_t n;

	for (n = 0; n < ARRAY_SIZE(single); n++)
		if (strlen(single[n].path) == len &&
		    !strncmp(path, single[n].path, len))
			return (char *)req + single[n].offset;
	if (!strncmp(path, "extent", 6) && len == 7 && i < EXTENTS_SHOWN)
		return &req->extent[i];
	if (!strncmp(path, "patch", 5) && len == 6 && i < VMDK_MAX_PATCHES)
		return &req->patch[i];
	usage(path);
}

static const struct member *find_member(const char *path, const char *name)
{
	size_t i, len;

	for (i = 0; i < nr_members; i++) {
		len = strlen(members[i].name);
		if (!strncmp(path, members[i].path, strlen(members[i].path)) &&
		    !strncmp(name, members[i].name, len) &&
		    (name[len] == '=' || name[len] == '['))
			return &members[i];
	}
	usage(name);
}

/* PATH.MEMBER=VALUE or PATH.MEMBER[N]=VALUE */
void put_value(struct request *req, const char *arg)
{
	const char *name = strchr(arg, '.') + 1;
	const char *value = strchr(arg, '=') + 1;
	const struct member *m = find_member(arg, name);
	char *p = structure(req, arg, name - 1 - arg);
	uint64_t number;

	p += m->offset;
	if (!strncmp(value, "text:", 5)) {
		memset(p, 0, m->size * m->count);
		memcpy(p, value + 5, strnlen(value + 5, m->size * m->count));
		return;
	}
	if (name[strlen(m->name)] == '[')
		p += m->size * strtoul(name + strlen(m->name) + 1, NULL, 0);
	number = parse_value(value);
	memcpy(p, &number, m->size);
}

/* Cuts the next word of "a:b:c" off. */
static char *next_word(char **text)
{
	char *word = strsep(text, ":");

	if (!word)
		usage("EXTENT");
	return word;
}

static unsigned int parse_kind(const char *word)
{
	static const struct {
		const char *word;
		unsigned int kind;
	} kinds[] = {
		{ "zero", VMDK_KIND_ZERO }, { "flat", VMDK_KIND_FLAT },
		{ "device", VMDK_KIND_DEVICE }, { "sparse", VMDK_KIND_SPARSE },
		{ "cowd", VMDK_KIND_COWD }, { "sesparse", VMDK_KIND_SESPARSE },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(word, kinds[i].word))
			return kinds[i].kind;
	usage(word);
}

void add_extent(struct request *req, const char *arg)
{
	struct vmdk_extent_info *ext = &req->extent[req->head.nr_extents++];
	struct vmdk_link_info *link = &req->link[req->head.nr_links - 1];
	char *text = strdup(arg);
	bool write = !(req->head.flags & VMDK_ATTACH_READ_ONLY) &&
		     link == req->link;

	ext->kind = parse_kind(next_word(&text));
	ext->access = VMDK_ACCESS_RW;
	ext->start = link->sectors;
	ext->fd = -1;
	if (ext->kind != VMDK_KIND_ZERO)
		ext->fd = open_file(next_word(&text),
				    write ? O_RDWR : O_RDONLY);
	ext->sectors = parse_number(next_word(&text));
	link->sectors += ext->sectors;
	link->nr_extents++;
	if (req->head.backing_fd < 0)
		req->head.backing_fd = ext->fd;
}

void init_request(struct request *req)
{
	memset(&req->head, 0, sizeof(req->head));
	memset(req->link, 0, LINKS_SHOWN * sizeof(req->link[0]));
	memset(req->extent, 0, EXTENTS_SHOWN * sizeof(req->extent[0]));
	memset(req->patch, 0, sizeof(req->patch));
	req->message[0] = '\0';
	req->head.index = -1;
	req->head.backing_fd = -1;
	req->head.nr_links = 1;
	req->head.cid = 0x12345678;
	req->head.new_cid = 0x12345678;
	req->head.parent_cid = 0xffffffff;
	req->head.message_size = sizeof(req->message);
	req->head.links = (uintptr_t)req->link;
	req->head.extents = (uintptr_t)req->extent;
	req->head.patches = (uintptr_t)req->patch;
	req->head.message = (uintptr_t)req->message;
	strcpy(req->head.create_type, "custom");
}

void build_attach(struct request *req, int argc, char **argv)
{
	int i;

	init_request(req);
	for (i = 0; i < argc; i++)
		if (!strcmp(argv[i], "read-only"))
			req->head.flags |= VMDK_ATTACH_READ_ONLY;
	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "below") && req->head.nr_links < LINKS_SHOWN)
			req->head.nr_links++;
		else if (!strchr(argv[i], '=') && strcmp(argv[i], "read-only"))
			add_extent(req, argv[i]);
	}
	/* A disk without a file of its own is shown as what leads to it. */
	if (req->head.backing_fd < 0)
		req->head.backing_fd = open_file("/dev/null", O_RDONLY);
	for (i = 0; i < argc; i++)
		if (strchr(argv[i], '='))
			put_value(req, argv[i]);
}

/* What a request for an attach says, as one for a new top of disk @index. */
void build_snapshot(struct request *req, int index)
{
	const struct vmdk_attach *head = &req->head;
	struct vmdk_snapshot *snap = &req->snapshot;

	memset(snap, 0, sizeof(*snap));
	snap->index = index;
	snap->backing_fd = head->backing_fd;
	snap->nr_extents = head->nr_extents;
	snap->nr_patches = head->nr_patches;
	snap->cid = head->cid;
	snap->new_cid = head->new_cid;
	snap->parent_cid = head->parent_cid;
	snap->message_size = head->message_size;
	snap->extents = head->extents;
	snap->patches = head->patches;
	snap->message = head->message;
	snap->flags = head->flags;
	memcpy(snap->create_type, head->create_type, sizeof(snap->create_type));
}
