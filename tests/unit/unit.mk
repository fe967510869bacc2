# SPDX-License-Identifier: GPL-2.0
# Unit tests of what needs no kernel, and fuzzers of it; included by the top
# Makefile.  All of it runs under ASan and UBSan.

UNIT_BUILD := build/unit
UNIT_FLAGS := -std=gnu11 -O1 -g -Wall -Wextra -Wshadow -Wformat=2 -Werror \
	      -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	      -D_FILE_OFFSET_BITS=64 -Iinclude -Itools -Itests/unit $(XML_CPPFLAGS)
FUZZ_CC ?= clang
UNIT_FORMAT := vmdk_format.c vmdk_foreign.c
UNIT_IMAGE := tests/unit/scaffold.c tests/unit/mkvmdk.c tools/image.c \
	      tools/probe.c tools/extents.c tools/devices.c tools/inspect.c tools/policy.c \
	      tools/path.c tools/printable.c tools/lock.c tools/descriptor.c tools/ova.c \
	      tools/ovf.c tools/tar.c tools/chunks.c tools/part.c \
	      tools/grain_tables.c $(UNIT_FORMAT)
UNIT_CHECK := tests/unit/mkvmdk.c tools/check.c tools/check_tables.c \
	      tools/check_stream.c tools/check_sesparse.c tools/part.c \
	      tools/grain_tables.c tools/even_out.c $(UNIT_FORMAT)
UNIT_CHAIN := tools/chain.c tools/hint.c tools/child.c tools/overlay.c
UNIT_TESTS := $(patsubst tests/unit/%.c,$(UNIT_BUILD)/%,$(wildcard tests/unit/test_*.c))
UNIT_HEADERS := $(wildcard include/*.h tools/*.h tests/unit/*.h)

$(UNIT_BUILD)/test_format: tests/unit/mkvmdk.c $(UNIT_FORMAT)
$(UNIT_BUILD)/test_stream: tests/unit/mkstream.c tests/unit/mkvmdk.c $(UNIT_FORMAT)
$(UNIT_BUILD)/test_foreign: tests/unit/mkcowd.c tests/unit/mksesparse.c \
			   tests/unit/mkvmdk.c $(UNIT_FORMAT)
$(UNIT_BUILD)/test_check $(UNIT_BUILD)/test_judges: $(UNIT_CHECK)
$(UNIT_BUILD)/test_descriptor: tools/descriptor.c tools/printable.c
$(UNIT_BUILD)/test_printable: $(UNIT_IMAGE)
$(UNIT_BUILD)/test_image $(UNIT_BUILD)/test_names $(UNIT_BUILD)/test_locks: $(UNIT_IMAGE)
$(UNIT_BUILD)/test_ova $(UNIT_BUILD)/test_devices: $(UNIT_IMAGE)
$(UNIT_BUILD)/test_chain $(UNIT_BUILD)/test_child: $(UNIT_CHAIN) $(UNIT_IMAGE)
$(UNIT_BUILD)/test_content_id: tools/content_id.c $(UNIT_IMAGE)
$(UNIT_BUILD)/test_size: tools/size.c
$(UNIT_BUILD)/test_retext: tools/retext.c $(UNIT_CHAIN) $(UNIT_IMAGE)
$(UNIT_BUILD)/test_manifest: tools/manifest.c tools/ova_sums.c $(UNIT_IMAGE)
$(UNIT_BUILD)/test_kinds: tests/unit/mkstream.c tests/unit/mkcowd.c \
			 tests/unit/mksesparse.c tools/check.c \
			 tools/check_tables.c tools/check_stream.c \
			 tools/check_sesparse.c tools/check_extent.c \
			 $(UNIT_IMAGE)
# All of the tool; the test itself includes the file that has its main().
$(UNIT_BUILD)/test_verbs: tests/unit/scaffold.c tests/unit/mkvmdk.c $(UNIT_FORMAT) \
			 $(filter-out tools/vmdkctl.c,$(wildcard tools/*.c))
$(UNIT_BUILD)/test_verbs: UNIT_FLAGS += -DVMDK_VERSION='"0"' \
	-Wl,--wrap=vmdk_ova_read,--wrap=vmdk_check_extent
$(UNIT_BUILD)/test_verbs: UNIT_LIBS := -lsmartcols -ljson-c -lmount

$(UNIT_TESTS): $(UNIT_BUILD)/%: tests/unit/%.c $(UNIT_HEADERS) | $(UNIT_BUILD)
	$(CC) $(UNIT_FLAGS) -o $@ $(filter %.c,$^) -lcmocka -lz -lexpat -lgcrypt $(UNIT_LIBS)

$(UNIT_BUILD)/fuzz_format: $(UNIT_CHECK) tests/unit/mkstream.c \
			  tests/unit/mkcowd.c tests/unit/mksesparse.c
$(UNIT_BUILD)/fuzz_descriptor: tools/descriptor.c tools/printable.c
$(UNIT_BUILD)/fuzz_ovf: tools/ovf.c tools/path.c tools/printable.c
$(UNIT_BUILD)/fuzz_manifest: tools/manifest.c
$(UNIT_BUILD)/fuzz_tar: tools/tar.c tools/ovf.c tools/ova.c tools/ova_sums.c \
		       tools/manifest.c tools/chunks.c tools/part.c \
		       tools/path.c tools/printable.c tools/grain_tables.c $(UNIT_FORMAT)

$(UNIT_BUILD)/fuzz_%: tests/unit/fuzz_%.c $(UNIT_HEADERS) | $(UNIT_BUILD)
	$(FUZZ_CC) $(UNIT_FLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $(filter %.c,$^) -lz -lexpat -lgcrypt

$(UNIT_BUILD):
	mkdir -p $@
