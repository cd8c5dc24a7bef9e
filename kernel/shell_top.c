/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell's top: who has the CPUs. Rates come from two samples; a VM that was started anew, which its id tells,
 * has none yet. A screen is written in one piece, so that no line of the log gets between.
 */
#include <stdarg.h>
#include "kernel/console.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/shell_command.h"
#include "kernel/timer.h"

#define SAMPLES_MAX  256u
#define WHOLE_VM     (~0u)
#define TICKS_MIN    1000ul /* two samples at once have no rate, and no quotient overflows */
#define SCREEN_ROWS  22u
#define SCREEN_BYTES (96u * (SCREEN_ROWS + 2))
#define HOME         "\x1b[H"
#define END_OF_LINE  "\x1b[K\r\n"
#define REST_BLANK   "\x1b[J"

/* Of a VM, or of one of its vCPUs. */
struct sample {
    unsigned vm_id, vcpu;
    uint64_t run, steal, exits;
};

struct sampling {
    uint64_t when;
    unsigned count;
    struct sample samples[SAMPLES_MAX];
};

static struct sampling samplings[2]; /* the last one, and the one before */
static unsigned current;
static bool is_plain;                /* once, without control sequences */

static struct sample *add_sample(struct sampling *s, const struct sample *sample)
{
    static struct sample nowhere;

    if (s->count == SAMPLES_MAX)
        return &nowhere;
    s->samples[s->count] = *sample;
    return &s->samples[s->count++];
}

static void sample_vm(struct sampling *s, const struct vm *vm)
{
    struct sample *sum = add_sample(s, &(struct sample){vm->id, WHOLE_VM, 0, 0, 0});

    for (unsigned i = 0; i < shell_vcpu_count(vm); i++) {
        const struct vcpu *vcpu = shell_vcpu(vm, i);
        struct sample one = {vm->id, i, sched_run_ticks(&vcpu->task), vcpu_steal_ticks(vcpu), shell_vcpu_exits(vcpu)};

        sum->run += one.run;
        sum->steal += one.steal;
        sum->exits += one.exits;
        add_sample(s, &one);
    }
}

static void take_samples(void)
{
    struct sampling *s = &samplings[current ^= 1];
    const struct vm_slot *slot;

    s->when = clock_now();
    s->count = 0;
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        if (slot->vm)
            sample_vm(s, slot->vm);
}

/* All zero where there is none. */
static struct sample find_sample(const struct sampling *s, unsigned vm_id, unsigned vcpu)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->samples[i].vm_id == vm_id && s->samples[i].vcpu == vcpu)
            return s->samples[i];
    return (struct sample){.vm_id = vm_id, .vcpu = vcpu};
}

/* --- the screen --- */

struct page {
    char bytes[SCREEN_BYTES];
    size_t count;
    unsigned rows;
};

static void put(struct page *page, const char *text)
{
    page->count += format_text(page->bytes + page->count, sizeof page->bytes - page->count, "%s", text);
    page->count = MIN(page->count, sizeof page->bytes - 1);
}

/* A plain page has no end; the rows of a screen that do not fit are left out. */
PRINTF_LIKE(2, 3) static void put_row(struct page *page, const char *format, ...)
{
    char line[96];
    va_list args;

    va_start(args, format);
    format_text_va(line, sizeof line, format, args);
    va_end(args);
    if (is_plain)
        shell_print("%s", line);
    else if (page->rows++ < SCREEN_ROWS) {
        put(page, line);
        put(page, END_OF_LINE);
    }
}

struct rates {
    uint64_t cpu, steal; /* in tenths of a percent of one CPU */
    uint64_t exits;      /* a second */
};

static struct rates rates_of(unsigned vm_id, unsigned vcpu)
{
    const struct sampling *now = &samplings[current], *before = &samplings[current ^ 1];
    struct sample a = find_sample(before, vm_id, vcpu), b = find_sample(now, vm_id, vcpu);
    uint64_t ticks = MAX(now->when - before->when, TICKS_MIN);

    return (struct rates){
        mul_div(b.run - MIN(a.run, b.run), 1000, ticks),
        mul_div(b.steal - MIN(a.steal, b.steal), 1000, ticks),
        mul_div(b.exits - MIN(a.exits, b.exits), clock_hz(), ticks),
    };
}

static void put_rates(struct page *page, const char *name, const char *state, uint64_t memory, struct rates r)
{
    char size[16] = "";

    if (memory)
        format_text(size, sizeof size, "%luM", memory >> 20);
    put_row(page, "%-24s %-9s %8s %4lu.%lu %4lu.%lu %9lu", name, state, size, r.cpu / 10, r.cpu % 10, r.steal / 10,
            r.steal % 10, r.exits);
}

static void put_vm(struct page *page, const struct vm_slot *slot)
{
    char name[VM_NAME_MAX + 8];

    if (!slot->vm) {
        put_row(page, "%-24s %s", slot->config->name, vm_state_name(slot->state));
        return;
    }
    put_rates(page, slot->config->name, vm_state_name(slot->state), slot->config->memory, rates_of(slot->vm->id, WHOLE_VM));
    for (unsigned i = 0; i < shell_vcpu_count(slot->vm); i++) {
        format_text(name, sizeof name, "  vcpu %u", i);
        put_rates(page, name, shell_vcpu(slot->vm, i)->is_halted ? "halted" : "ready", 0, rates_of(slot->vm->id, i));
    }
}

static void show(void)
{
    static struct page page; /* too large for a stack */
    const struct vm_slot *slot;

    page.count = page.rows = 0;
    put(&page, HOME);
    put_row(&page, "%-24s %-9s %8s %6s %6s %9s%s", "VM", "STATE", "MEMORY", "CPU %", "STEAL", "EXITS/S",
            is_plain ? "" : "   (q ends)");
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        put_vm(&page, slot);
    put(&page, REST_BLANK);
    if (!is_plain)
        console_shell_write(page.bytes, page.count);
}

static bool refresh(void)
{
    take_samples();
    show();
    return !is_plain;
}

/* The first second has only begun: the screen starts with zeroes. */
static void top(const struct shell_call *call)
{
    is_plain = call->word[0][0] != '\0';
    take_samples();
    samplings[current ^ 1] = samplings[current];
    if (!is_plain)
        show();
    shell_refresh(refresh);
}

void shell_top_init(void)
{
    static const struct shell_command commands[] = {
        {"top", {{SHELL_CHOICE, "[-1]"}}, "who has the CPUs, each second; -1: once", top},
    };

    shell_add_commands(commands, ARRAY_SIZE(commands));
}
