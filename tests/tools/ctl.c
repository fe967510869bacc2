// SPDX-License-Identifier: GPL-2.0
/*
 * ctl - raw ioctls on /dev/vmdk-control, right and wrong ones.
 *
 *	ctl features
 *	ctl ioctl NUMBER [null|bad|sealed|zeros]
 *	ctl attach [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl failing [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl detach INDEX [PATH.MEMBER=VALUE...]
 *	ctl snapshot INDEX [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl fold [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl merge [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl resize INDEX SECTORS [PATH.MEMBER=VALUE...]
 *	ctl io WAY DEVICE RAW BYTE
 *	ctl nth [CALL:]N attach|snapshot|merge|resize|io ...
 *	ctl sealed attach|fold ...
 *	ctl harm DEVICE
 *	ctl range WAY FILE BYTE BYTES
 *	ctl direct DEVICE
 *	ctl coherent DEVICE
 *	ctl arguments DEVICE
 *	ctl copy FROM TO [BYTE WIDTH VALUE]...
 *	ctl poke FILE [BYTE WIDTH VALUE]...
 *	ctl truncate FILE BYTES
 *	ctl same FILE FILE
 *	ctl pieces DEVICE FILE BYTES COUNT
 *	ctl fuzz SEED COUNT FILE EMPTY SECTORS
 *	ctl serve
 *
 * attach builds a request that is right, then puts the values into it, and
 * prints "ok INDEX", or the name of the error and what the kernel says:
 * "EINVAL: unknown flags".  serve does one command after the other: words come
 * from stdin, each with a NUL behind it, and one without letters ends a command.
 *
 * failing attaches again and again: the first allocation of the first attempt
 * fails, the second of the second, until one has fewer than that. It prints "ok
 * REFUSED ATTACHED", how many failed for lack of memory and how many did without that
 * memory; or the first attempt that went otherwise.
 *
 * snapshot puts a new top on a disk, which is described as for attach.
 *
 * fold begins a fold, of disk head.index, with the extents of its parent; makes all
 * calls of it that are wrong, copies, and cancels it.
 *
 * merge does the same with calls that are right, and ends the fold. It prints "ok", or
 * what the call that failed says, after its name: begin, copy or end.
 *
 * io reads or changes the 64 KiB of DEVICE from BYTE on in one WAY: read, write, part
 * (some sectors of them are written), discard or zeroout; but for read, a flush follows.
 * RAW holds what the disk holds. It prints "ok", or the error; or what is wrong
 * afterwards, and ends: of the sectors that were changed each has to be what it was or
 * what it was to be, the others what they were, and the next flush has to succeed.
 *
 * nth does that while the Nth allocation of this thread and of each of the kernel's
 * workers fails, counted from the ioctl on (for merge, each ioctl, or only CALL), and
 * prints another line: "met", if one of them did fail, or "passed".
 *
 * resize makes the first call of the two, or another with resize.flags, and closes
 * the control device, as a program that was killed in between does.
 *
 * sealed does the same with the structure of the call in memory that can be read only.
 *
 * harm tries to make a device writable and to write to it, in every way that
 * there is, and prints those that seem to succeed, or "none".
 *
 * range changes a part of a device in one WAY: discard, zeroout, secure (BLKSECDISCARD),
 * punch or zero (fallocate; the first of them also for a file).
 *
 * direct reads and writes around the page cache, at odd places, with odd lengths, and
 * from odd memory; coherent compares what the page cache, a mapping, and direct reads
 * see of a device of 2 MiB or more, after parts are made zeros; arguments makes ioctls
 * of block devices with wrong addresses, and ioctls that the device does not have. They
 * print "ok", or the first thing that is wrong.
 *
 * pieces reads COUNT pieces of BYTES each from a device, around the page cache, and
 * prints a letter for each: "=" the same as in the file, "." zeros and not the same, "x"
 * something else, "!" an error.
 *
 * copy, poke (which puts little-endian numbers into a file), truncate and same
 * (have two files the same bytes?) are here because an emulated machine takes so
 * long to start a program.
 *
 * fuzz makes COUNT calls that are wrong in a few members, with images FILE and EMPTY of
 * SECTORS: to attach damaged copies, and to change disks of sound ones in all ways that
 * there are. It prints how many were done and refused, and fails when a disk cannot be
 * attached or detached at the end, or a message is not one line.
 *
 * An EXTENT is KIND:FILE:SECTORS, KIND one of sparse, cowd, sesparse, flat and
 * device, or zero:SECTORS; those behind the word "below" are the next link's.  PATH
 * is head, link, extent0 to extent9, patch0 to patch3, detach, resize, snapshot, or
 * progress.  A VALUE is a number; text:TEXT; for an address null, bad (nothing is
 * mapped there), kernel, or edge (its array would reach past the end of what is
 * mapped); for a descriptor open:FLAGS:FILE (letters: r, w, b both, a append, d direct,
 * p path only), pipe, socket or control.
 */
#define _GNU_SOURCE	/* close_range */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl.h"
#include "detach.h"
#include "starve.h"

#define MAX_WORDS	64

struct starving starving;
int control = -1;
static bool sealed;

/* ---- memory that is not to be had ---- */

/* An ioctl of that name. */
static int starved_ioctl(const char *name, unsigned long number, void *arg)
{
	int ret, err;

	if (!starving.nth || (starving.call && strcmp(starving.call, name)))
		return ioctl(control, number, arg);
	starve(starving.nth, true);
	ret = ioctl(control, number, arg);
	err = errno;
	starving.met |= relent();
	errno = err;
	return ret;
}

/* An ioctl with @req->head, which may have to be sealed. */
static int call(struct request *req, unsigned long number)
{
	int ret, err;

	if (!sealed)
		return starved_ioctl("call", number, &req->head);
	if (mprotect(req, sizeof(*req), PROT_READ))
		die("mprotect");
	ret = ioctl(control, number, &req->head);
	err = errno;
	if (mprotect(req, sizeof(*req), PROT_READ | PROT_WRITE))
		die("mprotect");
	errno = err;
	return ret;
}

/* ---- calls ---- */

static int do_attach(struct request *req, int argc, char **argv)
{
	build_attach(req, argc, argv);
	if (call(req, VMDK_ATTACH))
		return print_result(req->message);
	printf("ok %d\n", req->head.index);
	return 0;
}

static int do_resize(struct request *req, int argc, char **argv)
{
	struct vmdk_resize *resize = &req->resize;
	int i;

	if (argc < 2)
		usage("resize");
	memset(resize, 0, sizeof(*resize));
	resize->index = parse_number(argv[0]);
	resize->sectors = parse_number(argv[1]);
	resize->backing_fd = -1;
	resize->message = (uintptr_t)req->message;
	resize->message_size = sizeof(req->message);
	for (i = 2; i < argc; i++)
		put_value(req, argv[i]);
	if (starved_ioctl("resize", VMDK_RESIZE, resize))
		return print_result(req->message);
	puts("ok");
	return 0;
}

static int do_detach(struct request *req, int argc, char **argv)
{
	int i;

	if (!argc)
		usage("detach");
	memset(&req->detach, 0, sizeof(req->detach));
	req->detach.index = parse_number(argv[0]);
	for (i = 1; i < argc; i++)
		put_value(req, argv[i]);
	if (ioctl(control, VMDK_DETACH, &req->detach))
		return print_result("");
	puts("ok");
	return 0;
}

static int do_snapshot(struct request *req, int argc, char **argv)
{
	if (!argc)
		usage("snapshot");
	build_attach(req, argc - 1, argv + 1);
	build_snapshot(req, parse_number(argv[0]));
	if (starved_ioctl("snapshot", VMDK_SNAPSHOT, &req->snapshot))
		return print_result(req->message);
	puts("ok");
	return 0;
}

/* A call of a fold that must fail with @err, or succeed for 0. */
static bool fold_says(const char *what, unsigned long number, void *arg, int err)
{
	int ret = ioctl(control, number, arg) ? errno : 0;

	if (ret == err)
		return true;
	printf("%s: %s, expected %s\n", what, error_name(ret), error_name(err));
	return false;
}

static bool wrong_folds(struct request *req)
{
	struct vmdk_fold_progress flags = { .flags = 0x80000000 };
	struct vmdk_fold_progress reserved[4] = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reserved); i++) {
		reserved[i].reserved[i] = 1ULL << 63;
		if (!fold_says("reserved", VMDK_FOLD_COPY, &reserved[i], EINVAL))
			return false;
	}
	return fold_says("flags", VMDK_FOLD_COPY, &flags, EINVAL) &&
	       fold_says("bad", VMDK_FOLD_COPY, (void *)(uintptr_t)unmapped(),
			 EFAULT) &&
	       fold_says("sealed", VMDK_FOLD_COPY, sealed_zeros(), EFAULT) &&
	       fold_says("again", VMDK_FOLD_BEGIN, &req->head, EALREADY) &&
	       fold_says("end of 1", VMDK_FOLD_END, (void *)1, EINVAL) &&
	       fold_says("cancel of 1", VMDK_FOLD_CANCEL, (void *)1, EINVAL);
}

static int do_fold(struct request *req, int argc, char **argv)
{
	struct vmdk_fold_progress progress = { 0 };

	build_attach(req, argc, argv);
	if (!fold_says("copy before", VMDK_FOLD_COPY, &progress, ENXIO) ||
	    !fold_says("end before", VMDK_FOLD_END, NULL, ENXIO) ||
	    !fold_says("cancel before", VMDK_FOLD_CANCEL, NULL, ENXIO))
		return 1;
	if (call(req, VMDK_FOLD_BEGIN)) {
		int err = errno;

		if (!fold_says("copy after", VMDK_FOLD_COPY, &progress, ENXIO))
			return 1;
		errno = err;
		return print_result(req->message);
	}
	if (!wrong_folds(req) ||
	    !fold_says("copy", VMDK_FOLD_COPY, &progress, 0) ||
	    !fold_says("cancel", VMDK_FOLD_CANCEL, NULL, 0) ||
	    !fold_says("copy after", VMDK_FOLD_COPY, &progress, ENXIO))
		return 1;
	printf("ok %u %llu %llu\n", progress.index,
	       (unsigned long long)progress.sectors,
	       (unsigned long long)progress.left);
	return 0;
}

static int merge_failed(const struct request *req, const char *name)
{
	printf("%s: ", name);
	return print_result(req->message);
}

static int do_merge(struct request *req, int argc, char **argv)
{
	struct vmdk_fold_progress progress = { .left = 1 };

	build_attach(req, argc, argv);
	if (starved_ioctl("begin", VMDK_FOLD_BEGIN, &req->head))
		return merge_failed(req, "begin");
	while (progress.left)
		if (starved_ioctl("copy", VMDK_FOLD_COPY, &progress))
			return merge_failed(req, "copy");
	if (starved_ioctl("end", VMDK_FOLD_END, NULL))
		return merge_failed(req, "end");
	puts("ok");
	return 0;
}

static int do_features(void)
{
	uint64_t features = 0;

	if (ioctl(control, VMDK_GET_FEATURES, &features))
		return print_result("");
	printf("ok 0x%llx\n", (unsigned long long)features);
	return 0;
}

static int do_ioctl(int argc, char **argv)
{
	static char zeros[4096];
	void *arg = zeros;

	if (argc == 2 && !strcmp(argv[1], "null"))
		arg = NULL;
	if (argc == 2 && !strcmp(argv[1], "bad"))
		arg = (void *)(uintptr_t)unmapped();
	if (argc == 2 && !strcmp(argv[1], "sealed"))
		arg = sealed_zeros();
	if (ioctl(control, parse_number(argv[0]), arg))
		return print_result("");
	puts("ok");
	return 0;
}

/* ---- memory that is not to be had, for attach ---- */

/* Attaches while allocation @n fails; false: there are not so many. */
static bool attach_failing(struct request *req, unsigned int n, int *err)
{
	bool failed;

	req->head.index = -1;
	req->message[0] = '\0';
	starve(n, false);
	*err = ioctl(control, VMDK_ATTACH, &req->head) ? errno : 0;
	failed = relent();
	if (!*err)
		detach_disk(control, req->head.index);
	return failed;
}

/* A device whose name finds no memory is one without a name to the kernel. */
static bool lacks_memory(const struct request *req, int err)
{
	return err == ENOMEM || (err == EINVAL && !req->message[0]);
}

static int do_failing(struct request *req, int argc, char **argv)
{
	unsigned int n, refused = 0;
	int err;

	build_attach(req, argc, argv);
	for (n = 1; attach_failing(req, n, &err); n++) {
		refused += !!err;
		if (err && !lacks_memory(req, err))
			break;
	}
	if (err) {
		printf("allocation %u: ", n);
		errno = err;
		return print_result(req->message);
	}
	printf("ok %u %u\n", refused, n - 1 - refused);
	return 0;
}

static int run(int argc, char **argv);

/* @what: N or CALL:N */
static int do_nth(char *what, int argc, char **argv)
{
	char *colon = strchr(what, ':');
	int ret;

	starving.call = colon ? what : NULL;
	if (colon)
		*colon = '\0';
	starving.nth = parse_number(colon ? colon + 1 : what);
	starving.met = false;
	ret = run(argc, argv);
	puts(starving.met ? "met" : "passed");
	starving.nth = 0;
	return ret;
}

static int run(int argc, char **argv)
{
	static struct request request;

	if (!strcmp(argv[0], "nth") && argc > 2)
		return do_nth(argv[1], argc - 2, argv + 2);
	if (!strcmp(argv[0], "io") && argc == 5)
		return do_io(argv[1], argv[2], argv[3], argv[4]);
	if (!strcmp(argv[0], "copy") && argc > 2)
		return do_copy(argc - 1, argv + 1);
	if (!strcmp(argv[0], "poke") && argc > 1)
		return do_poke(argv[1], argc - 2, argv + 2);
	if (!strcmp(argv[0], "truncate") && argc == 3)
		return do_truncate(argv[1], argv[2]);
	if (!strcmp(argv[0], "same") && argc == 3)
		return do_same(argv[1], argv[2]);
	if (!strcmp(argv[0], "pieces") && argc == 5)
		return do_pieces(argv + 1);
	if (!strcmp(argv[0], "range") && argc == 5)
		return do_range(argv + 1);
	if (!strcmp(argv[0], "direct") && argc == 2)
		return do_direct(argv[1]);
	if (!strcmp(argv[0], "coherent") && argc == 2)
		return do_coherent(argv[1]);
	if (!strcmp(argv[0], "arguments") && argc == 2)
		return do_arguments(argv[1]);
	control = open_file(VMDK_CONTROL_PATH, O_RDWR);
	sealed = !strcmp(argv[0], "sealed") && argc > 1;
	argc -= sealed;
	argv += sealed;
	if (!strcmp(argv[0], "features"))
		return do_features();
	if (!strcmp(argv[0], "ioctl") && argc > 1)
		return do_ioctl(argc - 1, argv + 1);
	if (!strcmp(argv[0], "attach"))
		return do_attach(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "failing"))
		return do_failing(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "detach"))
		return do_detach(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "snapshot"))
		return do_snapshot(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "fold"))
		return do_fold(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "merge"))
		return do_merge(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "resize"))
		return do_resize(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "harm") && argc == 2)
		return do_harm(argv[1]);
	if (!strcmp(argv[0], "fuzz"))
		return do_fuzz(argc - 1, argv + 1);
	usage(argv[0]);
}

/* A command leaves nothing open that could keep a file or the module busy. */
static int serve(void)
{
	char *words[MAX_WORDS];
	size_t room = 0;
	int n = 0;

	for (;;) {
		words[n] = NULL;
		if (getdelim(&words[n], &room, 0, stdin) < 0)
			return 0;
		room = 0;
		if (*words[n] && n < MAX_WORDS - 1) {
			n++;
			continue;
		}
		if (n)
			run(n, words);
		fflush(stdout);
		close_range(STDERR_FILENO + 1, ~0U, 0);
		for (; n >= 0; n--)
			free(words[n]);
		n = 0;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage("no verb");
	if (!strcmp(argv[1], "serve"))
		return serve();
	return run(argc - 1, argv + 1);
}
