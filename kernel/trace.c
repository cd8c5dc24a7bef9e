/* SPDX-License-Identifier: BSD-2-Clause */
/* See trace.h. What info holds of each kind is in one table, with the words for it. */
#include "kernel/trace.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/timer.h"
#include "kernel/vm.h"

#define INFO_WRITE      BIT(62) /* addresses are shorter */
#define INFO_FETCH      BIT(63)
#define INFO_WIDTH_AT   16u
#define INFO_IN         BIT(24)
#define INFO_READ       BIT(8)

static uint64_t info_rax(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    return vcpu->gpr[GPR_RAX];
}

static uint64_t info_rcx(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    return vcpu->gpr[GPR_RCX];
}

static uint64_t info_io(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->io.port | (uint64_t)exit->io.width << INFO_WIDTH_AT | (exit->io.is_in ? INFO_IN : 0);
}

static uint64_t info_memory(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->memory.address.value | (exit->memory.is_write ? INFO_WRITE : 0) | (exit->memory.is_fetch ? INFO_FETCH : 0);
}

static uint64_t info_cr(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->cr.number | (exit->cr.is_read ? INFO_READ : 0);
}

static uint64_t info_exception(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->exception.vector;
}

static uint64_t info_eoi(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->vector;
}

static uint64_t info_apic(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->apic_offset;
}

static uint64_t info_hardware(const struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)vcpu;
    return exit->hardware.reason;
}

static void say_io(uint64_t info, char *text, size_t size)
{
    format_text(text, size, "%s %#lx width %lu", info & INFO_IN ? "in" : "out", info & 0xffff, info >> INFO_WIDTH_AT & 0xff);
}

static void say_memory(uint64_t info, char *text, size_t size)
{
    format_text(text, size, "%s %#lx", info & INFO_FETCH ? "fetch" : info & INFO_WRITE ? "write" : "read",
                info & ~(INFO_WRITE | INFO_FETCH));
}

static void say_cr(uint64_t info, char *text, size_t size)
{
    format_text(text, size, "%s cr%lu", info & INFO_READ ? "read" : "write", info & 0xff);
}

static void say_number(uint64_t info, char *text, size_t size)
{
    format_text(text, size, "%#lx", info);
}

static const struct {
    uint64_t (*read)(const struct vcpu *vcpu, const struct vcpu_exit *exit);
    void (*say)(uint64_t info, char *text, size_t size);
} kinds[EXIT_KINDS] = {
    [EXIT_UNEXPECTED] = {info_hardware, say_number}, [EXIT_ENTRY_FAILED] = {info_hardware, say_number},
    [EXIT_CPUID] = {info_rax, say_number},           [EXIT_HYPERCALL] = {info_rax, say_number},
    [EXIT_RDMSR] = {info_rcx, say_number},           [EXIT_WRMSR] = {info_rcx, say_number},
    [EXIT_IO] = {info_io, say_io},                   [EXIT_MEMORY] = {info_memory, say_memory},
    [EXIT_CR] = {info_cr, say_cr},                   [EXIT_EXCEPTION] = {info_exception, say_number},
    [EXIT_EOI] = {info_eoi, say_number},             [EXIT_APIC_WRITE] = {info_apic, say_number},
};

int trace_start(struct vcpu *vcpu)
{
    struct exit_ring *ring = vcpu->exit_ring;

    if (!ring)
        ring = heap_alloc(sizeof *ring);
    if (!ring)
        return -ENOMEM;
    vcpu->exit_ring = ring;
    __atomic_store_n(&vcpu->exit_rows, EXIT_KINDS, __ATOMIC_RELEASE);
    return 0;
}

void trace_stop(struct vcpu *vcpu)
{
    __atomic_store_n(&vcpu->exit_rows, 0, __ATOMIC_RELEASE);
}

void trace_free(struct vcpu *vcpu)
{
    heap_free(vcpu->exit_ring);
    vcpu->exit_ring = NULL;
}

void trace_exit(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    struct exit_ring *ring = vcpu->exit_ring;
    struct exit_record *record = &ring->records[ring->next % EXIT_RING_RECORDS];

    *record = (struct exit_record){
        .tsc = clock_now(),
        .rip = vcpu_ops->get(vcpu, VCPU_RIP),
        .info = kinds[exit->kind].read ? kinds[exit->kind].read(vcpu, exit) : 0,
        .kind = (uint8_t)exit->kind,
    };
    __atomic_store_n(&ring->next, ring->next + 1, __ATOMIC_RELEASE);
}

/* Tracing may have begun while the exit was handled: then there is no record of it. */
void trace_handled(struct vcpu *vcpu)
{
    struct exit_ring *ring = vcpu->exit_ring;
    struct exit_record *record = &ring->records[(ring->next - 1) % EXIT_RING_RECORDS];
    uint64_t ticks = clock_now() - record->tsc;

    if (ring->next == 0 || record->ticks != 0 || record->kind != vcpu->exit.kind)
        return;
    record->ticks = ticks <= UINT32_MAX ? (uint32_t)ticks : 0;
    ring->handled[record->kind]++;
    ring->ticks[record->kind] += ticks;
}

/* What the writer has overtaken meanwhile is left out, and the one that it may be at. */
unsigned trace_read(const struct vcpu *vcpu, struct exit_record *records, unsigned count)
{
    const struct exit_ring *ring = vcpu->exit_ring;
    uint64_t end = ring ? __atomic_load_n(&ring->next, __ATOMIC_ACQUIRE) : 0, start, first;

    start = end - MIN(MIN(count, EXIT_RING_RECORDS - 1), end);
    for (uint64_t i = start; i != end; i++)
        records[i - start] = ring->records[i % EXIT_RING_RECORDS];
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    first = ring ? __atomic_load_n(&ring->next, __ATOMIC_RELAXED) : 0;
    first = first >= EXIT_RING_RECORDS ? first - EXIT_RING_RECORDS + 1 : 0;
    first = MIN(MAX(first, start), end);
    __builtin_memmove(records, records + (first - start), (end - first) * sizeof *records);
    return (unsigned)(end - first);
}

void trace_describe(const struct exit_record *record, char *text, size_t size)
{
    text[0] = '\0';
    if (kinds[record->kind].say)
        kinds[record->kind].say(record->info, text, size);
}
