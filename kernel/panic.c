/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Panic: file, line, CPU, registers, symbolised backtrace, the last exits of each CPU. Allocates
 * nothing, waits for no lock, and survives a panic inside itself.
 */
#include <stdarg.h>
#include "kernel/panic.h"
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/dump.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/format.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/vm.h"

static volatile bool someone_panics;

/*
 * The symbols section, made by scripts/symbols.py out of the first link: count, count pairs of (offset
 * from text_start, offset of the name in strings), by ascending address, then the strings.
 */
struct symbol {
    uint32_t text_offset;
    uint32_t name_offset;
};
extern const uint32_t symbol_count __attribute__((weak));
extern const struct symbol symbol_table[] __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));
extern const char text_start[], text_end[];

const char *panic_symbol(uint64_t address, uint64_t *offset)
{
    uint64_t at = address - (uint64_t)text_start;
    unsigned low = 0, high = &symbol_count ? symbol_count : 0;

    *offset = 0;
    if (address < (uint64_t)text_start || address >= (uint64_t)text_end)
        return "?";
    if (high == 0 || at < symbol_table[0].text_offset)
        return "?";
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;

        if (symbol_table[middle].text_offset <= at)
            low = middle;
        else
            high = middle;
    }
    *offset = at - symbol_table[low].text_offset;
    return symbol_names + symbol_table[low].name_offset;
}

static void print_address(uint64_t address)
{
    uint64_t offset;
    const char *name = panic_symbol(address, &offset);

    log_error("panic", "  %016lx %s+%#lx", address, name, offset);
}

/* The last byte of the call: where that does not return, its return address is the next function's. */
static void print_caller(void *context, uint64_t return_address)
{
    (void)context;
    print_address(return_address - 1);
}

void panic_start(void)
{
    struct pcpu *cpu = this_pcpu();

    arch_irq_save();
    if (cpu->is_panicking)
        arch_halt();
    cpu->is_panicking = true;
    if (__atomic_exchange_n(&someone_panics, true, __ATOMIC_SEQ_CST))
        arch_halt();
    console_break_locks();
    arch_stop_others();
}

void panic_stop_if_asked(void)
{
    if (someone_panics)
        arch_halt();
}

void panic_finish(uint64_t rip, uint64_t frame)
{
    log_error("panic", "backtrace of cpu%u:", this_pcpu()->id);
    print_address(rip);
    arch_backtrace(frame, print_caller, NULL);
    for (unsigned i = 0; i < pcpu_count; i++)
        if (pcpus[i].current)
            dump_log_last_exits(pcpus[i].current);
    log_event("event=panic");
    arch_power_off(3);
}

void panic_at(const char *file, int line, const char *format, ...)
{
    char text[256];
    va_list args;

    panic_start();
    va_start(args, format);
    format_text_va(text, sizeof text, format, args);
    va_end(args);
    log_error("panic", "%s:%d: %s", file, line, text);
    arch_log_registers();
    panic_finish((uint64_t)__builtin_return_address(0) - 1, (uint64_t)__builtin_frame_address(0));
}
