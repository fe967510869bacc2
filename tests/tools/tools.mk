# SPDX-License-Identifier: GPL-2.0
# Programs that tests/blk uses; included by the top Makefile, or by itself:
#	make -f tests/tools/tools.mk

CFLAGS ?= -O2 -g -Wall -Wextra
TEST_TOOLS_BUILD := build/tests
TEST_TOOLS_CPPFLAGS := -D_FILE_OFFSET_BITS=64 -Iinclude -Itests/unit
TEST_TOOLS := $(addprefix $(TEST_TOOLS_BUILD)/,exercise mkimage ctl faulty files fill mutants uevents mkforeign cold)
CTL_OBJECTS := $(addprefix $(TEST_TOOLS_BUILD)/,ctl.o ctl_base.o ctl_request.o \
	ctl_files.o ctl_device.o ctl_fuzz.o detach.o starve.o)
MKFOREIGN_OBJECTS := $(addprefix $(TEST_TOOLS_BUILD)/,mkforeign.o mkvmdk.o \
	mkstream.o mkcowd.o mksesparse.o)
TEST_TOOLS_OBJECTS := $(patsubst tests/tools/%.c,$(TEST_TOOLS_BUILD)/%.o,$(wildcard tests/tools/*.c))

test-tools: $(TEST_TOOLS)

$(TEST_TOOLS_BUILD)/exercise: $(addprefix $(TEST_TOOLS_BUILD)/,exercise.o stamp.o)
	$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^

$(TEST_TOOLS_BUILD)/cold: $(addprefix $(TEST_TOOLS_BUILD)/,cold.o stamp.o)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(TEST_TOOLS_BUILD)/ctl: $(CTL_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(TEST_TOOLS_BUILD)/mutants: $(addprefix $(TEST_TOOLS_BUILD)/,mutants.o detach.o)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(TEST_TOOLS_BUILD)/mkforeign: $(MKFOREIGN_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lz

$(TEST_TOOLS_BUILD)/%: $(TEST_TOOLS_BUILD)/%.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(TEST_TOOLS_BUILD)/%.o: tests/tools/%.c | $(TEST_TOOLS_BUILD)
	$(CC) $(TEST_TOOLS_CPPFLAGS) $(CFLAGS) -pthread -MMD -MP -c -o $@ $<

# The writers of images for unit tests.
$(TEST_TOOLS_BUILD)/%.o: tests/unit/%.c | $(TEST_TOOLS_BUILD)
	$(CC) $(TEST_TOOLS_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(TEST_TOOLS_BUILD):
	mkdir -p $@

.PHONY: test-tools

-include $(TEST_TOOLS_OBJECTS:.o=.d)
