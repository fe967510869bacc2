// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer entry for the reader of OVF descriptors: whatever the bytes, it
 * answers, and opens nothing.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ovf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
	if (!truth)
		abort();
}

static void check(const struct vmdk_ovf *ovf)
{
	size_t i;

	insist(ovf->nr_files <= 1024 && ovf->nr_disks <= 1024);
	for (i = 0; i < ovf->nr_files; i++) {
		const struct vmdk_ovf_file *file = &ovf->files[i];

		insist(!!file->href);
		if (file->id)
			insist(!!vmdk_ovf_find(ovf, file->id));
	}
	insist(!vmdk_ovf_find(ovf, "\001"));
}

/**
 * LLVMFuzzerTestOneInput - parse one input
 * @data: the text
 * @size: its length
 *
 * Return: 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmdk_ovf ovf;
	char *why = NULL;

	if (vmdk_ovf_parse((const char *)data, size, "x", &ovf, &why)) {
		insist(why && !strncmp(why, "x: ", 3) && !strchr(why, '\n'));
		insist(!ovf.files && !ovf.disks);
		free(why);
		return 0;
	}
	insist(!why);
	check(&ovf);
	vmdk_ovf_free(&ovf);
	return 0;
}
