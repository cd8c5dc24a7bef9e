/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a dump says what the vCPU was when it was taken, whatever became of it since; every line names the VM, since
 * others' lines may stand between; the control thread gives way between lines.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/regs.h"
#include "kernel/control.h"
#include "kernel/dump.h"

static struct fake_vcpu f;
static struct dump dump;
static unsigned yields;

void control_yield(void)
{
    yields++;
}

static int set_up(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    fake_log_reset();
    strcpy(f.vm.name, "web");
    memset(&dump, 0xff, sizeof dump);
    strcpy(dump.why, "triple fault");
    yields = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static void take_and_forget(void)
{
    dump_take(&dump, &f.vcpu);
    memset(f.registers, 0, sizeof f.registers);
    memset(f.segments, 0, sizeof f.segments);
    memset(f.vcpu.gpr, 0, sizeof f.vcpu.gpr);
    memset(f.ram, 0, FAKE_VCPU_RAM_BYTES);
    memset(f.vcpu.trace, 0, sizeof f.vcpu.trace);
}

static void expect_line(const char *part)
{
    if (!strstr(fake_log_text, part))
        fail_msg("no \"%s\" in\n%s", part, fake_log_text);
}

static void it_says_what_the_vcpu_was(void **state)
{
    (void)state;
    f.vcpu.index = 3;
    f.vcpu.gpr[GPR_RAX] = 0x1234567890abcdef;
    f.vcpu.gpr[GPR_R15] = 0xfeed;
    f.registers[VCPU_RSP] = 0x8000;
    f.registers[VCPU_RIP] = 0x1000;
    f.registers[VCPU_CR3] = 0x5000;
    f.segments[SEG_TR].selector = 0x28;
    memcpy(f.ram + 0x1000, "\x0f\x0b\xf4", 3);
    fake_pcpu_become(1);
    take_and_forget();
    dump_print(&dump, "web");
    expect_line("web: triple fault (vcpu 3, on cpu1)\n");
    expect_line("web: rip 0000000000001000 rflags");
    expect_line("rax 1234567890abcdef");
    expect_line("rsp 0000000000008000");
    expect_line("r15 000000000000feed\n");
    expect_line("cr3 5000");
    expect_line("tr   0028 base");
    expect_line("web: fake 7 twice e\n");
    expect_line("web: code: 0f 0b f4 00");
}

static void every_line_names_the_vm_and_lets_others_run(void **state)
{
    unsigned lines = 0;

    (void)state;
    take_and_forget();
    dump_print(&dump, "web");
    for (const char *at = fake_log_text; *at; at = strchr(at, '\n') + 1, lines++)
        assert_int_equal(strncmp(at, "web:", 4), 0);
    assert_int_equal(lines, fake_log_count);
    assert_true(yields + 4 >= lines);
}

static void code_that_cannot_be_read_is_said_so(void **state)
{
    (void)state;
    f.registers[VCPU_RIP] = FAKE_VCPU_RAM_BYTES;
    take_and_forget();
    dump_print(&dump, "web");
    expect_line("web: code: not readable\n");
}

/* The ring of kinds wraps; what was never an exit is left out. */
static void last_exits_come_oldest_first(void **state)
{
    static const enum exit_kind kinds[] = {EXIT_HLT, EXIT_IO, EXIT_CPUID};

    (void)state;
    f.vcpu.trace_next = 254;
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        vcpu_trace(&f.vcpu, &(struct vcpu_exit){.kind = kinds[i]});
    dump_log_last_exits(&f.vcpu);
    assert_string_equal(fake_log_last, "web: last exits: hlt io cpuid");
    take_and_forget();
    dump_print(&dump, "web");
    assert_string_equal(fake_log_last, "web: last exits: hlt io cpuid");
}

static void counts_are_one_a_line(void **state)
{
    (void)state;
    f.vcpu.exits[EXIT_HLT] = 5;
    f.vcpu.exits[EXIT_IO] = 6;
    dump_print_counts(&f.vcpu);
    assert_string_equal(fake_log_text, "web: io 6\nweb: hlt 5\n");
    assert_int_equal(yields, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_says_what_the_vcpu_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_line_names_the_vm_and_lets_others_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(code_that_cannot_be_read_is_said_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(last_exits_come_oldest_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_are_one_a_line, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
