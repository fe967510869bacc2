// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of qemu's that tells which cache lines of the kernel's memory two CPUs
 * write, both of them, between the marks that load.c sets: from the last one that
 * begins to the first one that ends.  Each such line would wander from CPU to CPU.
 *
 * Argument: out=FILE.  It appends to FILE
 *	begin
 *	LINE STORES CODE STORES CODE	of each CPU, how often it stored to the line,
 *					and the address of the code that did last
 *	end
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT	__attribute__((visibility("default")))

/* ---- qemu's side ---- */

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W };

typedef void (*translated_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_fn)(unsigned int cpu, void *data);
typedef void (*accessed_fn)(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address,
			    void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn fn,
					    enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, accessed_fn fn,
				      enum qemu_plugin_cb_flags flags,
				      enum qemu_plugin_mem_rw rw, void *data);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info,
			       int argc, char **argv);

/* ---- lines ---- */

#define CPUS		2
#define LINES		(1u << 20)
#define LINE_SHIFT	6
#define FIRST_OF_KERNEL	0x8000000000000000ULL
#define MARK_BYTES	7

struct line {
	uint64_t number;	/* its address, shifted; 0: none */
	uint64_t code;
	uint64_t stores;
	uint64_t round;		/* the one that it was stored to in */
};

/* Each CPU has its own, and only that one writes to it. */
static struct line *lines[CPUS];
static uint64_t round_now;
static unsigned int begun;
static FILE *out;

static const uint8_t begin_mark[MARK_BYTES] = { 0x0f, 0x1f, 0x80, 0x01, 0x44, 0x4d, 0x56 };
static const uint8_t end_mark[MARK_BYTES] = { 0x0f, 0x1f, 0x80, 0x02, 0x44, 0x4d, 0x56 };

/* The line, or the place where it is to go. */
static struct line *find_line(struct line *table, uint64_t number)
{
	uint64_t i = number * 0x9e3779b97f4a7c15 >> 44, n;

	for (n = 0; n < LINES; n++, i++) {
		struct line *l = &table[i % LINES];

		if (!l->number || l->number == number)
			return l;
	}
	fputs("lines: too many\n", stderr);
	abort();
}

static void stored(unsigned int cpu, qemu_plugin_meminfo_t info, uint64_t address,
		   void *data)
{
	struct line *l;

	if (!qemu_plugin_mem_is_store(info) || address < FIRST_OF_KERNEL ||
	    cpu >= CPUS || begun < CPUS)
		return;
	l = find_line(lines[cpu], address >> LINE_SHIFT);
	if (l->round != round_now)
		l->stores = 0;
	l->number = address >> LINE_SHIFT;
	l->round = round_now;
	l->code = (uintptr_t)data;
	l->stores++;
}

static void at_begin(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	if (__atomic_add_fetch(&begun, 1, __ATOMIC_SEQ_CST) == 1)
		round_now++;
}

static void print_shared(const struct line *a)
{
	const struct line *b = find_line(lines[1], a->number);

	if (!a->number || a->round != round_now || !b->number || b->round != round_now)
		return;
	fprintf(out, "%llx %llu %llx %llu %llx\n",
		(unsigned long long)a->number << LINE_SHIFT,
		(unsigned long long)a->stores, (unsigned long long)a->code,
		(unsigned long long)b->stores, (unsigned long long)b->code);
}

static void at_end(unsigned int cpu, void *data)
{
	uint32_t i;

	(void)cpu;
	(void)data;
	if (__atomic_exchange_n(&begun, 0, __ATOMIC_SEQ_CST) < CPUS)
		return;
	fputs("begin\n", out);
	for (i = 0; i < LINES; i++)
		print_shared(&lines[0][i]);
	fputs("end\n", out);
	fflush(out);
}

static bool is_mark(const struct qemu_plugin_insn *insn, const uint8_t *mark)
{
	return qemu_plugin_insn_size(insn) == MARK_BYTES &&
		!memcmp(qemu_plugin_insn_data(insn), mark, MARK_BYTES);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);

		if (address >= FIRST_OF_KERNEL)
			qemu_plugin_register_vcpu_mem_cb(insn, stored, QEMU_PLUGIN_CB_NO_REGS,
							 QEMU_PLUGIN_MEM_W,
							 (void *)(uintptr_t)address);
		else if (is_mark(insn, begin_mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_begin,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (is_mark(insn, end_mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_end,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info,
			int argc, char **argv)
{
	unsigned int cpu;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	for (cpu = 0; cpu < CPUS; cpu++)
		lines[cpu] = calloc(LINES, sizeof(*lines[cpu]));
	if (!out || !lines[0] || !lines[1])
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
