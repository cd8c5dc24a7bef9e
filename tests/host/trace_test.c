/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a traced vCPU's last exits are in its ring, oldest first, each with what it was for in words, whatever its kind; nothing
 * is recorded before or after, and a ring that goes round keeps the last.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "kernel/heap.h"
#include "kernel/page.h"
#include "kernel/trace.h"

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;
static struct exit_record records[EXIT_RING_RECORDS];

static int set_up(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(16)), MIB(4)), 0);
    heap_init();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trace_free(vcpu);
    fake_vcpu_free(&f);
    return 0;
}

static void record(struct vcpu_exit exit, unsigned ticks)
{
    vcpu->exit = exit;
    trace_exit(vcpu, &exit);
    fake_clock_advance(ticks);
    trace_handled(vcpu);
}

static const char *describe(struct vcpu_exit exit)
{
    static char text[64];

    record(exit, 1);
    assert_int_equal(trace_read(vcpu, records, 1), 1);
    trace_describe(records, text, sizeof text);
    return text;
}

static void each_kind_in_words(void **state)
{
    (void)state;
    assert_int_equal(trace_start(vcpu), 0);
    vcpu->gpr[GPR_RAX] = 0x40000000;
    vcpu->gpr[GPR_RCX] = 0x1b;
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_IO, .io = {0x3f8, 1, false, false, false}}), "out 0x3f8 width 1");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_IO, .io = {0xcfc, 4, true, false, false}}), "in 0xcfc width 4");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_MEMORY, .memory = {GPA(0xfee00000), true, false}}),
                        "write 0xfee00000");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_MEMORY, .memory = {GPA(0x1000), false, true}}), "fetch 0x1000");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_MEMORY, .memory = {GPA(0x1000), false, false}}), "read 0x1000");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_CR, .cr = {.number = 8, .is_read = true}}), "read cr8");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_CR, .cr = {.number = 4}}), "write cr4");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_CPUID}), "0x40000000");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_HYPERCALL}), "0x40000000");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_WRMSR}), "0x1b");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_EXCEPTION, .exception.vector = 14}), "0xe");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_EOI, .vector = 0x31}), "0x31");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_APIC_WRITE, .apic_offset = 0x300}), "0x300");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_UNEXPECTED, .hardware = {55, 0}}), "0x37");
    assert_string_equal(describe((struct vcpu_exit){.kind = EXIT_HLT}), "");
}

static void the_last_ones_oldest_first(void **state)
{
    unsigned count;

    (void)state;
    assert_int_equal(trace_read(vcpu, records, 8), 0); /* it was never traced */
    assert_int_equal(trace_start(vcpu), 0);
    for (unsigned i = 0; i < 3 * EXIT_RING_RECORDS; i++) {
        f.registers[VCPU_RIP] = i;
        record((struct vcpu_exit){.kind = EXIT_CPUID}, i);
    }
    count = trace_read(vcpu, records, EXIT_RING_RECORDS);
    assert_int_equal(count, EXIT_RING_RECORDS - 1); /* one may be being written */
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(records[i].rip, 2 * EXIT_RING_RECORDS + 1 + i);
        assert_int_equal(records[i].ticks, records[i].rip);
    }
    assert_int_equal(trace_read(vcpu, records, 2), 2);
    assert_int_equal(records[1].rip, 3 * EXIT_RING_RECORDS - 1);
    assert_int_equal(vcpu->exit_ring->handled[EXIT_CPUID], 3 * EXIT_RING_RECORDS);
}

/* What is not a record's own end counts nowhere: an exit of before, or of another kind. */
static void an_end_without_its_beginning(void **state)
{
    (void)state;
    assert_int_equal(trace_start(vcpu), 0);
    assert_int_equal(vcpu->exit_rows, EXIT_KINDS);
    trace_handled(vcpu);
    record((struct vcpu_exit){.kind = EXIT_CPUID}, 5);
    vcpu->exit.kind = EXIT_HLT;
    trace_handled(vcpu);
    assert_int_equal(vcpu->exit_ring->handled[EXIT_HLT], 0);
    assert_int_equal(vcpu->exit_ring->handled[EXIT_CPUID], 1);
    assert_int_equal(vcpu->exit_ring->ticks[EXIT_CPUID], 5);
    trace_stop(vcpu);
    assert_int_equal(vcpu->exit_rows, 0);
    assert_int_equal(trace_read(vcpu, records, 8), 1); /* it stays to be read */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(each_kind_in_words), TEST(the_last_ones_oldest_first), TEST(an_end_without_its_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
