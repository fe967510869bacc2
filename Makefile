# SPDX-License-Identifier: GPL-2.0
# People's view; the kernel's is Kbuild.  `make help` lists the targets.

VMDK_VERSION := $(shell sed -n 's/.*VMDK_VERSION "\(.*\)"/\1/p' include/vmdk_version.h)
CFLAGS ?= -O2 -g -Wall -Wextra
PREFIX ?= /usr
DESTDIR ?=
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
MODULE_BUILD := build/module/host-$(KVER)
TEST_KERNELS := 6.1 6.12 7.2

all: build/tools/vmdkctl

include tools/tools.mk
include tests/unit/unit.mk
-include tests/tools/tools.mk
include tests/bench/bench.mk
include tests/power/power.mk

help:
	@echo "make demo       see it work in a throw-away virtual machine"
	@echo "make test       run all tests; the last line counts them"
	@echo "make test-long  those too that take long"
	@echo "make test-guest those in guests, or TESTS=511; VMDK_LONG=1: long"
	@echo "make test-debug those in guests, in a kernel with KASAN, lockdep..."
	@echo "make test-races some of them, in a kernel with KCSAN"
	@echo "make test-fuzz  what parses images, 20 million times"
	@echo "make test-stress  an hour of load, and of swapping"
	@echo "make test-power 12,000 power cuts (test-cuts), 500 guests that are killed"
	@echo "                (test-kills), and proof that faults are found (test-prove)"
	@echo "make bench      measure it against loop, qemu-nbd and others"
	@echo "make bench-check  the same, and fail where a figure is over its bar"
	@echo "make            build vmdkctl"
	@echo "make module     build vmdk.ko for the running kernel, or KVER=..."
	@echo "make install    install both, with manual pages, udev rule, completion"
	@echo "make uninstall  remove them"
	@echo "make sign       sign vmdk.ko for Secure Boot: KEY=... CERT=..."
	@echo "make clean      remove build/, but for the guests' kernels"

# ------------------------------------------------------------- build, install

# Built in a folder of links, so that kernels do not meet and the tree is clean.
module:
	mkdir -p $(MODULE_BUILD)
	cp -rsf $(addprefix $(CURDIR)/,Kbuild $(wildcard *.c *.h) include compat) \
		$(MODULE_BUILD)/
	$(MAKE) -C $(KDIR) M=$(CURDIR)/$(MODULE_BUILD) modules

sign:
	$(KDIR)/scripts/sign-file sha256 $(KEY) $(CERT) $(MODULE_BUILD)/vmdk.ko

deps:
	tests/guest/deps build
	[ -d $(KDIR) ] || apt-get install -y linux-headers-$(KVER)

install: deps
	$(MAKE) all module
	install -D -m 755 build/tools/vmdkctl $(DESTDIR)$(PREFIX)/sbin/vmdkctl
	install -D -m 644 $(MODULE_BUILD)/vmdk.ko \
		$(DESTDIR)/lib/modules/$(KVER)/updates/vmdk.ko
	$(MAKE) install-texts
	[ -n "$(DESTDIR)" ] || depmod $(KVER)
	[ -n "$(DESTDIR)" ] || ! command -v udevadm >/dev/null || udevadm control --reload || true

# What is not built.  The unit has to name the tool where it is.
install-texts:
	install -D -m 644 include/vmdk_ioctl.h $(DESTDIR)$(PREFIX)/include/linux/vmdk.h
	install -D -m 644 tools/man/vmdkctl.8 $(DESTDIR)$(PREFIX)/share/man/man8/vmdkctl.8
	install -D -m 644 tools/man/vmdk.4 $(DESTDIR)$(PREFIX)/share/man/man4/vmdk.4
	install -D -m 644 tools/completion/vmdkctl \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vmdkctl
	install -D -m 644 tools/udev/61-vmdk.rules $(DESTDIR)/lib/udev/rules.d/61-vmdk.rules
	install -D -m 644 tools/systemd/vmdk@.service \
		$(DESTDIR)/lib/systemd/system/vmdk@.service
	sed -i 's|=/usr/sbin/|=$(PREFIX)/sbin/|' $(DESTDIR)/lib/systemd/system/vmdk@.service

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/vmdkctl \
		$(DESTDIR)/lib/modules/$(KVER)/updates/vmdk.ko \
		$(DESTDIR)$(PREFIX)/include/linux/vmdk.h \
		$(DESTDIR)$(PREFIX)/share/man/man8/vmdkctl.8 \
		$(DESTDIR)$(PREFIX)/share/man/man4/vmdk.4 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/vmdkctl \
		$(DESTDIR)/lib/udev/rules.d/61-vmdk.rules \
		$(DESTDIR)/lib/systemd/system/vmdk@.service
	[ -n "$(DESTDIR)" ] || depmod $(KVER)

# ----------------------------------------------------------------------- tests

test:
	tests/guest/deps
	tests/all

test-long:
	tests/guest/deps
	VMDK_LONG=1 tests/all

# Those in guests alone; make test-guest TESTS="511 512", VMDK_LONG=1 make test-guest...
test-guest:
	tests/guest/deps
	tests/guest/prepare 6.1
	tests/run $(TESTS)

# 20 million executions and more.
test-fuzz:
	tests/guest/deps build demo test fuzz
	tests/fuzz -n $(or $(RUNS),4000000) -a $(or $(SECONDS),300) -c

# What comes from the environment is set in the recipes: a default for one target takes
# it away from the programs of all others.
test-stress:
	tests/guest/deps build guest demo test
	tests/guest/prepare 6.1
	VMDK_SECONDS=$(or $(VMDK_SECONDS),3600) tests/run -j 2 900- 901-

# Kernels with checkers take some 20 minutes to build, once.  All tests in their short
# forms, and the long ones that such a kernel is for.
test-debug:
	tests/guest/deps build guest debug demo test
	tests/guest/prepare 7.2-debug
	VMDK_SLOWER=$(or $(VMDK_SLOWER),5) tests/run -k 7.2-debug -j 2 $(TESTS)
	[ -n "$(TESTS)" ] || VMDK_LONG=1 VMDK_SLOWER=$(or $(VMDK_SLOWER),5) \
		VMDK_RESULTS=$(CURDIR)/build/test-results/long \
		tests/run -k 7.2-debug -j 2 510- 513- 520-

test-races: TESTS ?= 001 200 201 202 203 309 600 722 731 809
test-races:
	tests/guest/deps build guest debug demo test
	tests/guest/prepare 6.1-kcsan
	VMDK_LONG=1 VMDK_SLOWER=$(or $(VMDK_SLOWER),5) tests/run -k 6.1-kcsan $(TESTS)

demo:
	tests/guest/deps build guest demo
	tests/demo

kernels:
	tests/guest/deps build guest
	tests/guest/prepare $(TEST_KERNELS)

unit: $(UNIT_TESTS)

clean:
	[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name kernels -exec rm -rf {} +

.PHONY: all help module sign deps install install-texts uninstall test test-long test-guest test-fuzz \
	test-stress test-debug test-races bench bench-check demo kernels unit clean
