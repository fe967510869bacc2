// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer entry for the parser of manifests: whatever the bytes, it answers,
 * and what it accepts is in the text.
 */
#define _GNU_SOURCE	/* memmem */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
	if (!truth)
		abort();
}

static void check_line(const struct vmdk_manifest_line *line,
		       const uint8_t *data, size_t size)
{
	size_t len = strlen(line->name);

	insist(line->kind < VMDK_SUM_KINDS);
	insist(len && !strchr(line->name, '\n'));
	insist(!!memmem(data, size, line->name, len));
}

static void check_fault(const struct vmdk_text_fault *fault, size_t size)
{
	insist(fault->offset <= size);
	insist(fault->line >= 1 && fault->line <= size);
	insist(*fault->text && memchr(fault->text, '\0', sizeof(fault->text)));
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
	struct vmdk_text_fault fault = { 0 };
	struct vmdk_manifest m;
	unsigned int last = 0;
	size_t i;
	int ret;

	ret = vmdk_manifest_parse((const char *)data, size, &m, &fault);
	if (ret) {
		insist(ret == -EINVAL && !m.nr && !m.lines);
		check_fault(&fault, size);
		return 0;
	}
	for (i = 0; i < m.nr; i++) {
		insist(m.lines[i].line > last);
		last = m.lines[i].line;
		check_line(&m.lines[i], data, size);
	}
	vmdk_manifest_free(&m);
	return 0;
}
