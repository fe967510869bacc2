# SPDX-License-Identifier: GPL-2.0
# Measuring; included by the top Makefile.
#	make bench		all of it: table, JSON and charts in build/bench/result
#	make bench-check	and fail if a figure is over its bar; BENCH=-s: the
#				short form

CFLAGS ?= -O2 -g -Wall -Wextra
BENCH_BUILD := build/bench
BENCH_TOOLS := $(addprefix $(BENCH_BUILD)/,load fulltables count.so lines.so)

bench-tools: $(BENCH_TOOLS) test-tools

# Static, so that starting it in a guest takes little.
$(BENCH_BUILD)/load $(BENCH_BUILD)/fulltables: $(BENCH_BUILD)/%: tests/bench/%.c | $(BENCH_BUILD)
	$(CC) $(CFLAGS) -D_FILE_OFFSET_BITS=64 -static -o $@ $<

$(BENCH_BUILD)/%.so: tests/bench/%.c | $(BENCH_BUILD)
	$(CC) $(CFLAGS) -fPIC -shared -fvisibility=hidden -o $@ $<

$(BENCH_BUILD):
	mkdir -p $@

bench:
	tests/guest/deps
	tests/guest/prepare 6.1 6.12
	tests/bench/bench -j $(BENCH)

bench-check:
	tests/guest/deps
	tests/guest/prepare $(if $(filter -s,$(BENCH)),6.1,6.1 6.12)
	tests/bench/bench -c -j $(BENCH)

.PHONY: bench bench-check bench-tools
