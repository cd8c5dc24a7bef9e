/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/dump.h"
#include "kernel/control.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/vm.h"

#define LINE_BYTES 400u

/* --- taking --- */

static void take_last_exits(uint8_t kinds[DUMP_EXITS], const struct vcpu *vcpu)
{
    for (unsigned i = 0; i < DUMP_EXITS; i++)
        kinds[i] = vcpu->trace[(uint8_t)(vcpu->trace_next - DUMP_EXITS + i)];
}

static void take_registers(struct dump *dump, struct vcpu *vcpu)
{
    const struct {
        enum vcpu_register which;
        uint64_t *to;
    } registers[] = {
        {VCPU_RIP, &dump->rip}, {VCPU_RFLAGS, &dump->rflags}, {VCPU_RSP, &dump->gpr[GPR_RSP]},
        {VCPU_CR0, &dump->cr0}, {VCPU_CR2, &dump->cr2},       {VCPU_CR3, &dump->cr3},
        {VCPU_CR4, &dump->cr4}, {VCPU_EFER, &dump->efer},
    };

    memcpy(dump->gpr, vcpu->gpr, sizeof dump->gpr);
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        *registers[i].to = vcpu_ops->get(vcpu, registers[i].which);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        vcpu_ops->get_segment(vcpu, i, &dump->segment[i]);
}

void dump_take(struct dump *dump, struct vcpu *vcpu)
{
    dump->vcpu = vcpu->index;
    dump->cpu = this_pcpu()->id;
    take_registers(dump, vcpu);
    dump->engine_count = vcpu_ops->describe(vcpu, dump->engine, DUMP_ENGINE_VALUES);
    dump->code_bytes = vcpu_fetch(vcpu, dump->code, sizeof dump->code);
    take_last_exits(dump->exits, vcpu);
}

/* --- printing --- */

/* Those of the kind 0 are where there has been none yet, but for the last one. */
static void log_exit_kinds(const char *name, const uint8_t kinds[DUMP_EXITS])
{
    char line[LINE_BYTES];
    size_t n = 0;

    line[0] = '\0';
    for (unsigned i = 0; i < DUMP_EXITS && n < sizeof line; i++)
        if (kinds[i] != EXIT_UNEXPECTED || i == DUMP_EXITS - 1)
            n += format_text(line + n, sizeof line - n, " %s", exit_name(kinds[i]));
    log_info("dump", "%s: last exits:%s", name, line);
}

static void print_general(const struct dump *dump, const char *name)
{
    static const struct {
        const char *name;
        enum gpr gpr;
    } order[] = {
        {"rax", GPR_RAX}, {"rbx", GPR_RBX}, {"rcx", GPR_RCX}, {"rdx", GPR_RDX},
        {"rsi", GPR_RSI}, {"rdi", GPR_RDI}, {"rbp", GPR_RBP}, {"rsp", GPR_RSP},
        {"r8 ", GPR_R8},  {"r9 ", GPR_R9},  {"r10", GPR_R10}, {"r11", GPR_R11},
        {"r12", GPR_R12}, {"r13", GPR_R13}, {"r14", GPR_R14}, {"r15", GPR_R15},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(order); i += 4) {
        log_info("dump", "%s: %s %016lx %s %016lx %s %016lx %s %016lx", name, order[i].name, dump->gpr[order[i].gpr],
                 order[i + 1].name, dump->gpr[order[i + 1].gpr], order[i + 2].name, dump->gpr[order[i + 2].gpr],
                 order[i + 3].name, dump->gpr[order[i + 3].gpr]);
        control_yield();
    }
}

static void print_segments(const struct dump *dump, const char *name)
{
    static const char *const names[SEG_COUNT] = {"es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"};

    for (unsigned i = 0; i < SEG_COUNT; i++) {
        const struct segment *s = &dump->segment[i];

        log_info("dump", "%s: %-4s %04x base %016lx limit %08x rights %04x", name, names[i], s->selector, s->base, s->limit,
                 s->attributes);
        control_yield();
    }
}

static void print_engine(const struct dump *dump, const char *name)
{
    char line[LINE_BYTES];
    size_t n = 0;

    line[0] = '\0';
    for (unsigned i = 0; i < dump->engine_count && n < sizeof line; i++)
        n += format_text(line + n, sizeof line - n, " %s %lx", dump->engine[i].name, dump->engine[i].value);
    log_info("dump", "%s:%s", name, line);
    control_yield();
}

static void print_code(const struct dump *dump, const char *name)
{
    char text[3 * DUMP_CODE_BYTES + 1];

    text[0] = '\0';
    for (size_t i = 0; i < dump->code_bytes; i++)
        format_text(text + 3 * i, 4, " %02x", dump->code[i]);
    log_info("dump", "%s: code:%s", name, dump->code_bytes ? text : " not readable");
    control_yield();
}

void dump_print(const struct dump *dump, const char *name)
{
    log_info("dump", "%s: %s (vcpu %u, on cpu%u)", name, dump->why, dump->vcpu, dump->cpu);
    log_info("dump", "%s: rip %016lx rflags %08lx", name, dump->rip, dump->rflags);
    print_general(dump, name);
    log_info("dump", "%s: cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", name, dump->cr0, dump->cr2, dump->cr3, dump->cr4,
             dump->efer);
    print_segments(dump, name);
    print_engine(dump, name);
    print_code(dump, name);
    log_exit_kinds(name, dump->exits);
}

void dump_print_counts(const struct vcpu *vcpu)
{
    for (unsigned i = 0; i < EXIT_KINDS; i++)
        if (vcpu->exits[i]) {
            log_info("exits", "%s: %s %lu", vcpu->vm->name, exit_name(i), vcpu->exits[i]);
            control_yield();
        }
}

void dump_log_last_exits(const struct vcpu *vcpu)
{
    uint8_t kinds[DUMP_EXITS];

    take_last_exits(kinds, vcpu);
    log_exit_kinds(vcpu->vm->name, kinds);
}
