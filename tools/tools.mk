# SPDX-License-Identifier: GPL-2.0
# vmdkctl; included by the top Makefile, which sets CC, CFLAGS and VMDK_VERSION.

TOOLS_BUILD := build/tools
TOOLS_SOURCES := $(wildcard tools/*.c) vmdk_format.c vmdk_foreign.c
TOOLS_OBJECTS := $(patsubst %.c,$(TOOLS_BUILD)/%.o,$(notdir $(TOOLS_SOURCES)))
TOOLS_CPPFLAGS := -D_FILE_OFFSET_BITS=64 -Iinclude -Itools
TOOLS_LIBS := -lsmartcols -ljson-c -lmount -lexpat -lz -lgcrypt

$(TOOLS_BUILD)/vmdkctl: $(TOOLS_OBJECTS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(TOOLS_LIBS)

# The version is compiled into one file, which follows a change of it.
$(TOOLS_BUILD)/vmdkctl.o: TOOLS_CPPFLAGS += -DVMDK_VERSION='"$(VMDK_VERSION)"'
$(TOOLS_BUILD)/vmdkctl.o: $(TOOLS_BUILD)/version

$(TOOLS_BUILD)/version: FORCE | $(TOOLS_BUILD)
	@echo '$(VMDK_VERSION)' | cmp -s - $@ || echo '$(VMDK_VERSION)' >$@

$(TOOLS_BUILD)/%.o: tools/%.c | $(TOOLS_BUILD)
	$(CC) $(TOOLS_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(TOOLS_BUILD)/%.o: %.c | $(TOOLS_BUILD)
	$(CC) $(TOOLS_CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(TOOLS_BUILD):
	mkdir -p $@

FORCE:
.PHONY: FORCE

-include $(TOOLS_OBJECTS:.o=.d)
