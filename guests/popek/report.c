/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the rows and says what came of each: how it ended and where, and what of registers, flags, segments and scratch
 * memory is not as it was. Then once more under the trap flag: behind which instructions it trapped.
 */
#include "arch/x86/regs.h"
#include "guests/common/guest.h"
#include "guests/popek/asm.h"
#include "guests/popek/inputs.h"
#include "guests/popek/popek.h"
#include "guests/popek/tables.h"

#define SCRATCH_BYTES 64
#define PATTERN       0xcc
#define STEPS_MAX     16

static const struct mode modes[] = {
    {"long", MODE_LONG_0, 64, 0, WORLD_LONG, PAGING_LONG, SEL_CODE64, SEL_DATA, 0, LOW_BASE},
    {"long", MODE_LONG_3, 64, 3, WORLD_LONG, PAGING_LONG, SEL_USER_CODE64, SEL_USER_DATA, 0, ALIAS_BASE + LOW_BASE},
    {"compat", MODE_COMPAT_0, 32, 0, WORLD_LONG, PAGING_LONG, SEL_CODE32, SEL_DATA, 0, LOW_BASE},
    {"compat", MODE_COMPAT_3, 32, 3, WORLD_LONG, PAGING_LONG, SEL_USER_CODE32, SEL_USER_DATA, 0, ALIAS_BASE + LOW_BASE},
    {"prot32", MODE_PROT32_0, 32, 0, WORLD_LEGACY, PAGING_NONE, SEL_CODE32, SEL_DATA, 0, LOW_BASE},
    {"prot32", MODE_PROT32_3, 32, 3, WORLD_LEGACY, PAGING_NONE, SEL_USER_CODE32, SEL_USER_DATA, 0, LOW_BASE},
    {"prot16", MODE_PROT16_0, 16, 0, WORLD_LEGACY, PAGING_NONE, SEL_CODE16, SEL_DATA16, 0, 0},
    {"prot16", MODE_PROT16_3, 16, 3, WORLD_LEGACY, PAGING_NONE, SEL_USER_CODE16, SEL_USER_DATA16, 0, 0},
    {"vm86", MODE_VM86, 16, 3, WORLD_VM86, PAGING_NONE, LOW_SEGMENT, LOW_SEGMENT, LOW_SEGMENT, 0},
    {"real", MODE_REAL, 16, 0, WORLD_REAL, PAGING_NONE, LOW_SEGMENT, LOW_SEGMENT, LOW_SEGMENT, 0},
    {"page32", MODE_PAGE32_0, 32, 0, WORLD_LEGACY, PAGING_32, SEL_CODE32, SEL_DATA, 0, LOW_BASE},
    {"page32", MODE_PAGE32_3, 32, 3, WORLD_LEGACY, PAGING_32, SEL_USER_CODE32, SEL_USER_DATA, 0, ALIAS_BASE + LOW_BASE},
    {"pae", MODE_PAE_0, 32, 0, WORLD_LEGACY, PAGING_PAE, SEL_CODE32, SEL_DATA, 0, LOW_BASE},
    {"pae", MODE_PAE_3, 32, 3, WORLD_LEGACY, PAGING_PAE, SEL_USER_CODE32, SEL_USER_DATA, 0, ALIAS_BASE + LOW_BASE},
    {"vm86page32", MODE_VM86_PAGE32, 16, 3, WORLD_VM86, PAGING_32, LOW_SEGMENT, LOW_SEGMENT, LOW_SEGMENT, 0},
    {"vm86pae", MODE_VM86_PAE, 16, 3, WORLD_VM86, PAGING_PAE, LOW_SEGMENT, LOW_SEGMENT, LOW_SEGMENT, 0},
};

static const char *const exceptions[X86_EXCEPTIONS] = {
    [X86_DE] = "#DE", [X86_DB] = "#DB", [X86_NMI] = "NMI", [X86_BP] = "#BP", [X86_OF] = "#OF", [X86_BR] = "#BR",
    [X86_UD] = "#UD", [X86_NM] = "#NM", [X86_DF] = "#DF", [X86_TS] = "#TS", [X86_NP] = "#NP", [X86_SS] = "#SS",
    [X86_GP] = "#GP", [X86_PF] = "#PF", [X86_MF] = "#MF", [X86_AC] = "#AC", [X86_MC] = "#MC", [X86_XM] = "#XM",
};

static uint8_t *const scratch = (uint8_t *)(LOW_BASE + LOW_SCRATCH);

static void start_state(const struct mode *mode, const struct row *row, struct cpu_state *state)
{
    *state = (struct cpu_state){
        .ip = mode->origin + row->offset,
        .flags = RFLAGS_ONE | row->flags,
        .cs = mode->code,
        .ss = mode->data,
        .seg = {[SEGMENT_GS] = mode->other, [SEGMENT_FS] = mode->other, [SEGMENT_ES] = mode->data,
                [SEGMENT_DS] = mode->data},
        .reg = {[REG_DI] = mode->origin + LOW_SCRATCH, [REG_SI] = mode->origin + LOW_SCRATCH + SCRATCH_BYTES,
                [REG_BP] = mode->origin + row->offset, [REG_SP] = mode->origin + LOW_STACK, [REG_BX] = 0xb1b2b3b4,
                [REG_DX] = 0xd1d2d3d4, [REG_CX] = 0xc1c2c3c4, [REG_AX] = 0xa1a2a3a4},
    };
}

static void fill_scratch(void)
{
    for (unsigned i = 0; i < SCRATCH_BYTES; i++) {
        scratch[i] = PATTERN;
        scratch[SCRATCH_BYTES + i] = (uint8_t)(i + 1);
    }
}

/* --- what is printed --- */

static void print_place(const struct mode *mode, const struct row *row, uint64_t ip)
{
    uint64_t start = mode->origin + row->offset;

    if (ip >= start && ip <= start + row->length + 1)
        print(" +%lu", ip - start);
    else
        print(" at %lx", ip);
}

static bool is_over(const struct mode *mode, const struct row *row, const struct outcome *o)
{
    return o->vector == VECTOR_END && o->after.ip == mode->origin + row->offset + row->length + 1;
}

static void print_end(const struct mode *mode, const struct row *row, const struct outcome *o)
{
    if (is_over(mode, row, o)) {
        print(" ok");
        return;
    }
    if (o->vector < X86_EXCEPTIONS && exceptions[o->vector])
        print(" %s", exceptions[o->vector]);
    else
        print(" vector-%x", o->vector);
    if (o->has_error)
        print("(%x)", o->error);
    print_place(mode, row, o->after.ip);
    if (o->vector == X86_PF)
        print(" cr2=%lx", o->cr2);
    if (o->vector == X86_DB)
        print(" dr6=%lx", o->dr6);
}

static void print_registers(const struct cpu_state *before, const struct cpu_state *after, uint32_t options)
{
    static const struct {
        const char *name;
        uint32_t hide;
    } names[REGS] = {{"di", 0}, {"si", 0}, {"bp", 0}, {"sp", 0}, {"bx", HIDE_BX}, {"dx", HIDE_DX}, {"cx", HIDE_CX},
                     {"ax", HIDE_AX}};

    for (unsigned i = REGS; i-- > 0;) {
        if (options & names[i].hide)
            continue;
        if (before->reg[i] != after->reg[i])
            print(" %s=%lx", names[i].name, after->reg[i]);
    }
}

static void print_segments(const struct cpu_state *before, const struct cpu_state *after)
{
    static const char *const names[SEGMENTS] = {"gs", "fs", "es", "ds"};

    if (before->cs != after->cs)
        print(" cs=%x", after->cs);
    if (before->ss != after->ss)
        print(" ss=%x", after->ss);
    for (unsigned i = 0; i < SEGMENTS; i++)
        if (before->seg[i] != after->seg[i])
            print(" %s=%x", names[i], after->seg[i]);
}

static void print_scratch(void)
{
    unsigned changed = 0;

    for (unsigned i = 0; i < SCRATCH_BYTES; i++)
        if (scratch[i] != PATTERN)
            changed = i + 1;
    if (changed > 0)
        print(" mem=");
    for (unsigned i = 0; i < changed; i++)
        print("%x%x", scratch[i] >> 4, scratch[i] & 15);
}

/* Registers in the order of the instruction set's numbers: AX CX DX BX SP BP SI DI. */
static void print_task_switch(const struct mode *mode, const struct outcome *o)
{
    struct left_task left;

    if (o->task != SEL_TASK)
        print(" tr=%x", o->task);
    if (tables_root(mode) != 0 && o->root != tables_root(mode))
        print(" cr3=%lx", o->root);
    cpu_left_task(&left);
    if (left.ip == 0)
        return;
    print(" left: ip=%x flags=%x regs", left.ip, left.flags);
    for (unsigned i = 0; i < REGS; i++)
        print(":%x", left.reg[i]);
    print(" segs");
    for (unsigned i = 0; i < ARRAY_SIZE(left.seg); i++)
        print(":%x", left.seg[i]);
    print(" link=%x busy=%u%u%u ts=%u", left.link, left.is_busy, left.is_other_busy, left.is_16_bit_busy, o->ts);
}

static void print_outcome(const struct mode *mode, const struct row *row, const struct cpu_state *before,
                          const struct outcome *o)
{
    print_end(mode, row, o);
    print_registers(before, &o->after, row->options);
    if (!(row->options & HIDE_FLAGS) && before->flags != o->after.flags)
        print(" flags=%lx", o->after.flags);
    print_segments(before, &o->after);
    print_scratch();
    print_task_switch(mode, o);
    tables_print_changes(mode);
}

/* --- runs --- */

/* Are these the traps of the trap flag, and is there more to come? */
static bool is_step(const struct mode *mode, const struct row *row, const struct outcome *o)
{
    uint64_t start = mode->origin + row->offset;

    return o->vector == X86_DB && o->after.ip > start && o->after.ip <= start + row->length && o->after.cs == mode->code &&
           (o->after.flags & RFLAGS_TF);
}

static void step(const struct mode *mode, const struct row *row, const struct cpu_state *start,
                 const struct outcome *unstepped)
{
    struct cpu_state state = *start;
    struct outcome o;
    unsigned steps = 0;

    fill_scratch();
    cpu_reset(mode, row->options);
    state.flags |= RFLAGS_TF;
    for (;;) {
        cpu_prepare(row->cr0, row->cr4);
        cpu_run(mode, &state, &o);
        if (!is_step(mode, row, &o) || ++steps > STEPS_MAX)
            break;
        print("%s+%lu%s", steps == 1 ? " steps=" : "", o.after.ip - start->ip, o.dr6 & DR6_BS ? "" : "(no BS)");
        state = o.after;
    }
    if (o.vector != unstepped->vector || o.after.ip != unstepped->after.ip) {
        print(" stepped:");
        print_end(mode, row, &o);
    }
}

static void run_row(const struct mode *mode, const struct row *original, const struct input *input)
{
    struct row row = *original;
    struct cpu_state state;
    struct outcome o;

    row.options |= input->options;
    start_state(mode, &row, &state);
    if (row.input != INPUT_NONE)
        for (unsigned i = 0; i < REGS; i++)
            state.reg[i] = input->reg[i];
    fill_scratch();
    cpu_reset(mode, row.options);
    if (input->page)
        tables_set_window(mode, input->page);
    cpu_prepare(row.cr0, row.cr4);
    cpu_run(mode, &state, &o);
    print_outcome(mode, &row, &state, &o);
    if (!(row.options & NO_STEPS))
        step(mode, &row, &state, &o);
    print("\n");
}

static void run_inputs(const struct mode *mode, const struct row *row)
{
    struct cpu_state state;

    start_state(mode, row, &state);
    for (unsigned i = 0;; i++) {
        struct input input = {.options = 0};

        for (unsigned r = 0; r < REGS; r++)
            input.reg[r] = state.reg[r];
        if (!inputs[row->input](mode, i, &input))
            return;
        if (input.is_skipped)
            continue;
        print("POPEK %s %u %s %lx", mode->name, mode->cpl, row->name, input.label);
        if (input.has_value)
            print(" %lx", input.value);
        if (input.name)
            print(" %s", input.name);
        print(":");
        run_row(mode, row, &input);
    }
}

static const struct input no_input;

/* Bits of CR4 that this CPU does not have make #GP: nothing can be said of the case then. */
static bool is_possible(const struct row *row, uint64_t cr4_supported)
{
    return (row->cr4 & ~cr4_supported) == 0;
}

static uint64_t find_cr4_bits(void)
{
    uint64_t supported = 0;

    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(cpu_cr4_tried & BIT(bit)))
            continue;
        struct cpu_state state = {.cs = SEL_CODE64, .ss = SEL_DATA, .flags = RFLAGS_ONE,
                                  .ip = LOW_BASE + (uint64_t)(write_cr4_code - low_start),
                                  .reg = {[REG_SP] = LOW_BASE + LOW_STACK, [REG_AX] = cpu_cr4(&modes[0]) | BIT(bit)}};
        struct outcome o;

        cpu_reset(&modes[0], 0);
        cpu_run(&modes[0], &state, &o);
        if (o.vector == VECTOR_END)
            supported |= BIT(bit);
    }
    return supported;
}

void report_all(void)
{
    uint64_t cr4_supported = find_cr4_bits();

    print("POPEK cr4 bits tried: %x, there: %lx\n", cpu_cr4_tried, cr4_supported);
    for (unsigned m = 0; m < ARRAY_SIZE(modes); m++) {
        for (const struct row *row = rows_start; row < rows_end; row++) {
            if (!(row->modes & modes[m].bit) || ((row->options & ENDS_TCG) && cpu_is_tcg))
                continue;
            if (row->input != INPUT_NONE) {
                run_inputs(&modes[m], row);
                continue;
            }
            print("POPEK %s %u %s:", modes[m].name, modes[m].cpl, row->name);
            if (is_possible(row, cr4_supported))
                run_row(&modes[m], row, &no_input);
            else
                print(" no such bit in CR4\n");
        }
    }
}
