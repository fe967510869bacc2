// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer entry for the descriptor parser: whatever the bytes, it answers, and
 * what it accepts keeps its promises.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "descriptor.h"
#include "vmdk_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(int truth)
{
	if (!truth)
		abort();
}

static void check_span(const uint8_t *data, size_t size, struct vmdk_span span,
		       size_t max)
{
	size_t i;

	insist(span.offset <= size && span.length <= size - span.offset);
	insist(span.length <= max);
	for (i = 0; i < span.length; i++)
		insist(!!memchr("0123456789abcdefABCDEF",
				data[span.offset + i], 22));
}

static void check_extents(const struct vmdk_descriptor *desc)
{
	uint64_t sum = 0;
	size_t i;

	insist(desc->nr_extents && desc->nr_extents <= VMDK_MAX_EXTENTS);
	for (i = 0; i < desc->nr_extents; i++) {
		const struct vmdk_desc_extent *ext = &desc->extents[i];

		insist(ext->sectors && ext->sectors <= VMDK_CAPACITY_MAX);
		insist(!ext->name == (ext->type == VMDK_TYPE_ZERO));
		insist(!ext->name || (*ext->name && strlen(ext->name) < 4096));
		insist(!ext->offset || ext->type == VMDK_TYPE_FLAT);
		insist((ext->offset + ext->sectors) <= INT64_MAX >> 9);
		sum += ext->sectors;
	}
	insist(sum == desc->sectors && sum <= VMDK_CAPACITY_MAX);
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
	struct vmdk_text_fault fault;
	struct vmdk_descriptor desc;

	if (vmdk_descriptor_parse((const char *)data, size, &desc, &fault)) {
		insist(fault.offset <= size && *fault.text);
		insist(!desc.extents && !desc.create_type);
		return 0;
	}
	check_span(data, size, desc.cid_span, 8);
	check_span(data, size, desc.long_cid_span, 32);
	insist(desc.has_cid == !!desc.cid_span.length);
	insist(!desc.long_content_id == !desc.long_cid_span.length);
	insist(!desc.create_type ||
	       strlen(desc.create_type) < VMDK_TYPE_SIZE);
	check_extents(&desc);
	vmdk_descriptor_free(&desc);
	return 0;
}
