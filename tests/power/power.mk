# SPDX-License-Identifier: GPL-2.0
# Power cuts; included by the top Makefile.
#	make test-power		10,000 of them: POINTS for each of eight kinds of disk
#				and each of SEEDS; 500 guests that are killed; then
#				proof that all that finds what is wrong

POWER_BUILD := build/power

$(POWER_BUILD)/powercut: tests/power/powercut.c tests/tools/stamp.c tests/tools/stamp.h | $(POWER_BUILD)
	$(CC) -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -Itests/tools -pthread -static -o $@ \
		$(filter %.c,$^)

$(POWER_BUILD)/vmdkread: tests/power/vmdkread.c | $(POWER_BUILD)
	$(CC) -O2 -g -Wall -Wextra -D_FILE_OFFSET_BITS=64 -o $@ $< -lvmdk

power-tools: $(POWER_BUILD)/powercut $(POWER_BUILD)/vmdkread

$(POWER_BUILD):
	mkdir -p $@

test-power: SEEDS ?= 1 2 3 4
test-power: POINTS ?= 313
test-power: KILLS ?= 63
test-power:
	tests/guest/deps
	tests/guest/prepare 6.1
	set -e; for seed in $(SEEDS); do \
		tests/power/cuts -n $(POINTS) -s $$seed -o 1500 -j 2; done
	tests/power/kills -n $(KILLS) -j 2
	tests/power/prove

.PHONY: test-power power-tools
