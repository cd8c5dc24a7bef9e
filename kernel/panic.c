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
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/vm.h"

static volatile bool someone_panics;

/*
 * The symbols section, made by scripts/symbols out of the first link, by ascending address. A symbol is how far it lies
 * behind the one before, or behind text_start (ULEB128), and codes for: 1 + how many characters its name has in common with
 * the one before, the others, 0. A code stands for two others, or for itself.
 */
extern const uint32_t symbol_count __attribute__((weak));
extern const uint8_t symbol_pairs[256][2] __attribute__((weak)), symbol_table[] __attribute__((weak));
extern const char text_start[], text_end[];

static const uint8_t *take_distance(uint64_t *distance, const uint8_t *at)
{
    unsigned shift = 0;

    *distance = 0;
    do {
        *distance |= (uint64_t)(*at & 0x7f) << shift;
        shift += 7;
    } while (*at++ & 0x80);
    return at;
}

/* Returns what is behind the text. */
static char *expand(char *text, uint8_t code)
{
    const uint8_t *pair = symbol_pairs[code];

    if (pair[0] != code)
        return expand(expand(text, pair[0]), pair[1]);
    *text = (char)code;
    return text + 1;
}

/* From one symbol to the next: only in this order do the names become whole. */
static const uint8_t *take_name(char name[SYMBOL_NAME_BYTES], const uint8_t *at)
{
    char text[1 + SYMBOL_NAME_BYTES], *end = text;

    do
        end = expand(end, *at++);
    while (end[-1] != '\0');
    memcpy(name + text[0] - 1, text + 1, (size_t)(end - text - 1));
    return at;
}

const char *panic_symbol(uint64_t address, uint64_t *offset)
{
    static char name[SYMBOL_NAME_BYTES];
    const uint8_t *at = symbol_table;
    unsigned count = &symbol_count ? symbol_count : 0;
    uint64_t left = address - (uint64_t)text_start, distance;

    *offset = 0;
    if (address < (uint64_t)text_start || address >= (uint64_t)text_end)
        count = 0;
    memcpy(name, "?", sizeof "?");
    for (unsigned i = 0; i < count; i++) {
        at = take_distance(&distance, at);
        if (distance > left)
            break;
        left -= distance;
        at = take_name(name, at);
        *offset = left;
    }
    return name;
}

static void print_address(uint64_t address)
{
    uint64_t offset;
    const char *name = panic_symbol(address, &offset);

    log_error("panic", "  %016lx %s+%#lx", address, name, offset);
}

static void print_caller(void *context, uint64_t address)
{
    (void)context;
    print_address(address);
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

void panic_finish(uint64_t rip, uint64_t sp)
{
    log_error("panic", "backtrace of cpu%u:", this_pcpu()->id);
    print_address(rip);
    arch_backtrace(rip, sp, print_caller, NULL);
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
    /* Behind the frame of this function, which has one for that: RBP and the return address. */
    panic_finish((uint64_t)__builtin_return_address(0) - 1, (uint64_t)__builtin_frame_address(0) + 2 * sizeof(uint64_t));
}
