/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever a guest's exits were, tracing, describing and dumping them stay in their buffers, and what is read of the
 * ring is what was recorded last, in order. Input: records of 12 bytes {what, kind, detail, value}.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vcpu.h"
#include "kernel/control.h"
#include "kernel/dump.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/trace.h"
#include "kernel/lib/bytes.h"

#define RECORD_BYTES 12u
#define TEXT_BYTES   32u /* short, so that long descriptions are cut */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;
static bool is_tracing;
static unsigned recorded; /* since the ring is there, at most as many as it has */

void control_yield(void)
{
}

static void start(void)
{
    fake_vcpu_init(&f);
    strcpy(f.vm.name, "web");
    fake_log_reset();
    page_init();
    if (page_add_range(HPA(MIB(16)), MIB(4)) != 0)
        abort();
    heap_init();
    is_tracing = false;
    recorded = 0;
}

static void take_exit(const uint8_t *record)
{
    struct vcpu_exit exit = {.kind = (enum exit_kind)(record[1] % EXIT_KINDS)};

    memcpy(&exit.io, record + 2, MIN(sizeof exit.io, (size_t)RECORD_BYTES - 2)); /* whatever a kind has there */
    exit.io.is_in = record[3] & 1;
    exit.io.is_string = record[3] & 2;
    exit.io.has_rep = record[3] & 4;
    f.registers[VCPU_RIP] = get_le64(record + 4);
    fake_clock_advance(get_le16(record + 2));
    vcpu_trace(vcpu, &exit);
    if (!is_tracing)
        return;
    trace_exit(vcpu, &exit);
    recorded = MIN(recorded + 1, EXIT_RING_RECORDS);
    if (record[0] & 0x80)
        trace_handled(vcpu);
}

static void read_ring(unsigned count)
{
    static struct exit_record records[EXIT_RING_RECORDS];
    unsigned got = trace_read(vcpu, records, MIN(count, EXIT_RING_RECORDS));
    char text[TEXT_BYTES];

    if (got > count || got > recorded)
        abort();
    for (unsigned i = 0; i < got; i++) {
        if (records[i].kind >= EXIT_KINDS || (i && records[i].tsc < records[i - 1].tsc))
            abort();
        trace_describe(&records[i], text, sizeof text);
        if (strnlen(text, sizeof text) == sizeof text)
            abort();
    }
}

static void describe_anything(const uint8_t *record)
{
    struct exit_record made = {.rip = get_le64(record + 4), .info = get_le64(record + 4), .kind = record[1] % EXIT_KINDS};
    char text[TEXT_BYTES];

    trace_describe(&made, text, 1 + record[2] % sizeof text);
    if (strnlen(text, sizeof text) == sizeof text)
        abort();
}

static void dump_all(const uint8_t *record)
{
    static struct dump dump;

    memcpy(vcpu->gpr, record + 4, 8);
    f.registers[VCPU_RIP] = get_le64(record + 4);
    f.registers[VCPU_CR0] ^= record[2];
    dump_take(&dump, vcpu);
    strcpy(dump.why, "a reason");
    dump_print(&dump, f.vm.name);
    dump_print_counts(vcpu);
    dump_log_last_exits(vcpu);
    fake_log_reset();
}

static void step(const uint8_t *record)
{
    switch (record[0] % 8) {
    case 0:
        is_tracing |= trace_start(vcpu) == 0;
        break;
    case 1:
        trace_stop(vcpu);
        is_tracing = false;
        break;
    case 2:
        read_ring(record[2]);
        break;
    case 3:
        describe_anything(record);
        break;
    case 4:
        dump_all(record);
        break;
    default:
        take_exit(record);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES)
        step(data + at);
    trace_free(vcpu);
    fake_vcpu_free(&f);
    return 0;
}
