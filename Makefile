# SPDX-License-Identifier: GPL-2.0
# People's view; the kernel's is Kbuild.  `make help` lists the targets.

VMDK_VERSION := $(shell sed -n 's/.*VMDK_VERSION "\(.*\)"/\1/p' include/vmdk_version.h)
CFLAGS ?= -O2 -g -Wall -Wextra

all: build/tools/vmdkctl

include tools/tools.mk

.PHONY: all
