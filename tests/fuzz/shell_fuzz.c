/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever keys are typed at the shell, the line editor keeps its invariant, no command asks anything of a VM in
 * a state that it may not be in, and the shell is there again after Ctrl-C. Input: keys as they come from the line; those
 * from 80h on are words that would be long to find.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/manager.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vt100.h"
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/heap.h"
#include "kernel/machine_net.h"
#include "kernel/page.h"
#include "kernel/shell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const words[] = {
    "vm list\r", "vm show ", "vm create ", "vm set ", "vm start ", "vm pause ", "vm resume ", "vm restart ",
    "vm stop ", "vm balloon ", "vm destroy ", "attach ", "dump ", "exits ", "trace on ", "trace off ", "trace ",
    "top\r", "top -1\r", "cpus\r", "mem\r", "log ", "reboot", "poweroff", "help ", "net ", "--force", "web", "db",
    "copy", "lan0", "like=", "memory=", "vcpus=", "cpus=", "cmdline=", "weight=", "cap=", "restart=", "net=",
    "shared=", "devices=", "64M", "0x", "18446744073709551615", "error", "debug", "mac=02:00:00:00:00:01", ",vlan=",
    ",rate=", "'", "\"", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[3~", "\x1b[1;5C", "\x1b\x7f", "\t", "\t\t",
    "\r", " ", "q", "\x03",
};

static struct vt100 terminal;
static jmp_buf the_end;

uint64_t arch_irq_save(void)
{
    return 0;
}

void arch_irq_restore(uint64_t flags)
{
    (void)flags;
}

void arch_power_off(unsigned status)
{
    (void)status;
    longjmp(the_end, 1);
}

void arch_reboot(void)
{
    longjmp(the_end, 1);
}

static uint64_t get_register(struct vcpu *vcpu, enum vcpu_register which)
{
    (void)vcpu, (void)which;
    return 0;
}

static void boot(void)
{
    static const struct vcpu_ops engine = {.get = get_register};
    static char line[CONSOLE_LINE_BYTES]; /* nobody says anything */
    struct console_guest guest = {.name = "web", .line = line};
    struct chardev sink = vt100_chardev(&terminal);

    vcpu_ops = &engine;
    vt100_reset(&terminal);
    fake_pcpus_reset(2);
    page_init();
    if (page_add_range(HPA(MIB(16)), MIB(64)) != 0)
        abort();
    heap_init();
    console_add_sink(&sink);
    if (console_add_guest(&guest) != 1)
        abort();
    memcpy(guest.name, "db", 3);
    if (console_add_guest(&guest) != 2)
        abort();
    shell_init();
    machine_net_init();
}

static void press(uint8_t key)
{
    uint8_t bytes[64];
    size_t count;

    console_input(&key, 1);
    while ((count = console_take_shell_input(bytes, sizeof bytes)) > 0)
        shell_input(bytes, count);
    if (shell_wants_tick())
        shell_tick();
}

static void type(const char *text)
{
    for (; *text; text++)
        press((uint8_t)*text);
}

static void press_or_type(uint8_t key)
{
    if (key & 0x80)
        type(words[(key & 0x7f) % ARRAY_SIZE(words)]);
    else
        press(key);
}

/* Of an empty line, whatever was being done. */
static void expect_prompt(void)
{
    console_attach(CONSOLE_SHELL);
    type("\x1b\x03\x03");
    if (strcmp(vt100_current_row(&terminal), "rm>") != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_booted;

    if (!is_booted)
        boot();
    is_booted = true;
    fake_manager_reset();
    expect_prompt();
    if (setjmp(the_end) == 0)
        for (size_t i = 0; i < size; i++)
            press_or_type(data[i]);
    expect_prompt();
    return 0;
}
