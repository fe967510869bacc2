// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of qemu's that counts the guest's instructions by function, between
 * the marks that load.c sets.  Debian's qemu ships no header for plugins: what
 * is needed of it is declared here.
 *
 * Argument: out=FILE.  For each pair of marks it appends to FILE
 *	begin
 *	ADDRESS INSTRUCTIONS	the address of a block of the kernel's, or 0
 *	end			for all of user space
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT	__attribute__((visibility("default")))

/* ---- qemu's side ---- */

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };

typedef void (*translated_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*executed_fn)(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, translated_fn fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, executed_fn fn,
					  enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_fn fn,
					    enum qemu_plugin_cb_flags flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info,
			       int argc, char **argv);

/* ---- counting ---- */

#define BUCKETS		(1u << 18)
#define FIRST_OF_KERNEL	0x8000000000000000ULL
#define MARK_BYTES	7

struct block {
	struct block *next;	/* in its bucket */
	uint64_t address;
	uint64_t length;	/* in instructions */
	uint64_t runs;
};

static struct block *bucket[BUCKETS];
static FILE *out;

static const uint8_t begin_mark[MARK_BYTES] = { 0x0f, 0x1f, 0x80, 0x01, 0x44, 0x4d, 0x56 };
static const uint8_t end_mark[MARK_BYTES] = { 0x0f, 0x1f, 0x80, 0x02, 0x44, 0x4d, 0x56 };

/* Blocks are translated again and again: the same one has to be found. */
static struct block *find_block(uint64_t address, uint64_t length)
{
	uint64_t hash = (address * 31 + length) * 0x9e3779b97f4a7c15;
	struct block **head = &bucket[hash >> 46], *b;

	for (b = *head; b; b = b->next)
		if (b->address == address && b->length == length)
			return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->address = address;
	b->length = length;
	b->next = *head;
	*head = b;
	return b;
}

static void ran(unsigned int cpu, void *data)
{
	struct block *b = data;

	(void)cpu;
	b->runs++;
}

static void at_begin(unsigned int cpu, void *data)
{
	struct block *b;
	unsigned int i;

	(void)cpu;
	(void)data;
	for (i = 0; i < BUCKETS; i++)
		for (b = bucket[i]; b; b = b->next)
			b->runs = 0;
}

static void at_end(unsigned int cpu, void *data)
{
	struct block *b;
	unsigned int i;

	(void)cpu;
	(void)data;
	fputs("begin\n", out);
	for (i = 0; i < BUCKETS; i++)
		for (b = bucket[i]; b; b = b->next)
			if (b->runs)
				fprintf(out, "%llx %llu\n",
					(unsigned long long)b->address,
					(unsigned long long)(b->runs * b->length));
	fputs("end\n", out);
	fflush(out);
}

static bool is_mark(const struct qemu_plugin_insn *insn, const uint8_t *mark)
{
	return qemu_plugin_insn_size(insn) == MARK_BYTES &&
		!memcmp(qemu_plugin_insn_data(insn), mark, MARK_BYTES);
}

static void look_for_marks(struct qemu_plugin_tb *tb, size_t n)
{
	struct qemu_plugin_insn *insn;
	size_t i;

	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (is_mark(insn, begin_mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_begin,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
		else if (is_mark(insn, end_mark))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, at_end,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (address < FIRST_OF_KERNEL) {
		look_for_marks(tb, n);
		address = 0;
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, QEMU_PLUGIN_CB_NO_REGS,
					     find_block(address, n));
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info,
			int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
