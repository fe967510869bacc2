# SPDX-License-Identifier: GPL-2.0
# Power cuts; included by the top Makefile.
#	make test-power		the following three
#	make test-cuts		12,000 of them: POINTS for each of ten kinds of disk
#				and each of SEEDS, among them all ends of flushes
#	make test-kills		500 guests that are killed: KILLS for each kind, from
#				SEED on; with KILLED=7.2-debug, which is fast once it
#				is built
#	make test-prove		proof that the cuts, or tests, find what is wrong

POWER_BUILD := build/power

$(POWER_BUILD)/powercut: tests/power/powercut.c tests/tools/stamp.c tests/tools/stamp.h | $(POWER_BUILD)
	$(CC) -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Itests/tools -pthread -static -o $@ \
		$(filter %.c,$^)

$(POWER_BUILD)/vmdkread: tests/power/vmdkread.c | $(POWER_BUILD)
	$(CC) -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -o $@ $< -lvmdk

power-tools: $(POWER_BUILD)/powercut $(POWER_BUILD)/vmdkread

$(POWER_BUILD):
	mkdir -p $@

# Each of them takes both CPUs.
test-power:
	$(MAKE) test-cuts
	$(MAKE) test-kills
	$(MAKE) test-prove

test-cuts: SEEDS ?= 1 2
test-cuts: POINTS ?= 600
test-cuts: power-guest
	set -e; for seed in $(SEEDS); do \
		tests/power/cuts -n $(POINTS) -s $$seed -j 2; done

test-kills: KILLS ?= 50
test-kills: SEED ?= 1
test-kills: KILLED ?= 6.1
test-kills:
	tests/guest/deps
	tests/guest/prepare $(KILLED)
	tests/power/kills -k $(KILLED) -n $(KILLS) -s $(SEED) -j 2

test-prove: power-guest
	tests/power/prove

power-guest:
	tests/guest/deps
	tests/guest/prepare 6.1

.PHONY: test-power test-cuts test-kills test-prove power-guest power-tools
