# SPDX-License-Identifier: GPL-2.0
# Unit tests of what needs no kernel, and fuzzers of it; included by the top
# Makefile.  All of it runs under ASan and UBSan.

UNIT_BUILD := build/unit
UNIT_FLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Wshadow -Wformat=2 -Werror \
	      -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	      -D_FILE_OFFSET_BITS=64 -Iinclude -Itools -Itests/unit
UNIT_IMAGE := tests/unit/scaffold.c tests/unit/mkvmdk.c tools/image.c \
	      tools/probe.c tools/extents.c tools/policy.c tools/path.c \
	      tools/lock.c tools/descriptor.c vmdk_format.c
UNIT_CHECK := tests/unit/mkvmdk.c tools/check.c tools/check_tables.c \
	      tools/grain_tables.c tools/even_out.c vmdk_format.c
UNIT_TESTS := $(patsubst tests/unit/%.c,$(UNIT_BUILD)/%,$(wildcard tests/unit/test_*.c))
UNIT_HEADERS := $(wildcard include/*.h tools/*.h tests/unit/*.h)

$(UNIT_BUILD)/test_format: tests/unit/mkvmdk.c vmdk_format.c
$(UNIT_BUILD)/test_check $(UNIT_BUILD)/test_judges: $(UNIT_CHECK)
$(UNIT_BUILD)/test_descriptor: tools/descriptor.c
$(UNIT_BUILD)/test_image $(UNIT_BUILD)/test_names $(UNIT_BUILD)/test_locks: $(UNIT_IMAGE)

$(UNIT_TESTS): $(UNIT_BUILD)/%: tests/unit/%.c $(UNIT_HEADERS) | $(UNIT_BUILD)
	$(CC) $(UNIT_FLAGS) -o $@ $(filter %.c,$^) -lcmocka

$(UNIT_BUILD)/fuzz_format: $(UNIT_CHECK)
$(UNIT_BUILD)/fuzz_descriptor: tools/descriptor.c

$(UNIT_BUILD)/fuzz_%: tests/unit/fuzz_%.c $(UNIT_HEADERS) | $(UNIT_BUILD)
	clang $(UNIT_FLAGS) -fsanitize=fuzzer -o $@ $(filter %.c,$^)

$(UNIT_BUILD):
	mkdir -p $@
