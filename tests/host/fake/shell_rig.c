/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/shell_rig.h"
#include "tests/host/fake/pcpu.h"
#include "arch/arch.h"
#include "kernel/heap.h"
#include "kernel/machine_net.h"
#include "kernel/page.h"

struct vt100 terminal;
jmp_buf the_end;
const char *how_it_ended;

void arch_power_off(unsigned status)
{
    assert_int_equal(status, 0);
    how_it_ended = "power off";
    longjmp(the_end, 1);
}

void arch_reboot(void)
{
    how_it_ended = "reboot";
    longjmp(the_end, 1);
}

void type(const char *text)
{
    uint8_t bytes[64];
    size_t count;

    for (; *text; text++) {
        console_input((const uint8_t *)text, 1);
        while ((count = console_take_shell_input(bytes, sizeof bytes)) > 0)
            shell_input(bytes, count);
    }
}

void run(const char *line)
{
    vt100_reset(&terminal);
    type("\x0c");
    type(line);
    type("\r");
}

void expect(const char *row)
{
    if (vt100_shows(&terminal, row))
        return;
    for (unsigned i = 0; i <= terminal.row; i++)
        print_message("| %s\n", vt100_row(&terminal, i));
    fail_msg("no row begins with: %s", row);
}

void expect_refusal(const char *line, const char *row)
{
    unsigned calls = fake_manager_calls;

    run(line);
    expect(row);
    assert_true(terminal.row <= 3); /* some answers wrap */
    assert_string_equal(vt100_current_row(&terminal), "rm>");
    assert_int_equal(fake_manager_calls, calls);
}

enum vm_state state_of(const char *name)
{
    struct vm_slot *slot = manager_find(name);

    assert_non_null(slot);
    return slot->state;
}

static uint64_t get_register(struct vcpu *vcpu, enum vcpu_register which)
{
    (void)vcpu;
    return which == VCPU_RIP ? 0xffffffff81000000 : 0;
}

int shell_rig_start(void **state)
{
    static const struct vcpu_ops engine = {.get = get_register};
    static char line[CONSOLE_LINE_BYTES]; /* nobody says anything */
    struct console_guest guest = {.name = "web", .line = line};
    struct chardev sink = vt100_chardev(&terminal);

    (void)state;
    vcpu_ops = &engine;
    vt100_reset(&terminal);
    fake_pcpus_reset(2);
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(16)), MIB(64)), 0);
    heap_init();
    console_add_sink(&sink);
    assert_int_equal(console_add_guest(&guest), 1);
    memcpy(guest.name, "db", 3);
    assert_int_equal(console_add_guest(&guest), 2);
    shell_init();
    machine_net_init();
    assert_string_equal(vt100_row(&terminal, 0), ""); /* nobody has typed yet */
    return 0;
}

int shell_rig_set_up(void **state)
{
    (void)state;
    fake_manager_reset();
    type("q\x03");
    console_attach(CONSOLE_SHELL);
    return 0;
}
