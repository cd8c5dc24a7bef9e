/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: exits, traces and shares of the CPUs are what has happened since they were looked at last, of the VM that is named;
 * who leaves a display that goes on ends it.
 */
#include "tests/host/fake/shell_rig.h"

/* --- exits and traces --- */

static void test_exits(void **state)
{
    struct vcpu *vcpu;

    (void)state;
    run("vm start web");
    run("vm start db");
    vcpu = manager_find("web")->vm->vcpus[0];
    vcpu->exits[EXIT_IO] = 12;
    manager_find("db")->vm->vcpus[0]->exits[EXIT_HLT] = 5;
    run("exits");
    expect("web                  io                         12          -");
    expect("db                   hlt                         5          -");
    run("exits web");
    expect("web                  io                         12          -");
    assert_false(vt100_shows(&terminal, "db"));
}

/* As exit_handle() does, whose table is not in this program. */
static void exit_once(struct vcpu *vcpu, const struct vcpu_exit *exit, uint64_t ticks)
{
    vcpu->exit = *exit;
    vcpu_trace(vcpu, exit);
    if (vcpu->exit_rows == EXIT_KINDS)
        trace_exit(vcpu, exit);
    fake_clock += ticks;
    if (vcpu->exit_rows == EXIT_KINDS)
        trace_handled(vcpu);
}

static void test_trace(void **state)
{
    const struct vcpu_exit out = {.kind = EXIT_IO, .io = {.port = 0x3f8, .width = 1}};
    const struct vcpu_exit store = {.kind = EXIT_MEMORY, .memory = {.address = GPA(0xfec00000), .is_write = true}};
    const struct vcpu_exit cpuid = {.kind = EXIT_CPUID};
    struct vcpu *vcpu;

    (void)state;
    run("vm start web");
    vcpu = manager_find("web")->vm->vcpus[0];
    exit_once(vcpu, &out, 100);
    run("trace web");
    expect("nothing is recorded of web; trace on web begins");
    run("trace on web");
    expect("web is traced");
    exit_once(vcpu, &out, 100);
    exit_once(vcpu, &out, 300);
    vcpu->gpr[GPR_RAX] = 0x40000000;
    exit_once(vcpu, &cpuid, 50);
    exit_once(vcpu, &store, 70);
    run("trace web");
    expect("VCPU      TICKS AGO    TICKS  RIP              EXIT         WHAT");
    expect("   0            520      100  ffffffff81000000 io           out 0x3f8 width 1");
    expect("   0            420      300  ffffffff81000000 io           out 0x3f8 width 1");
    expect("   0            120       50  ffffffff81000000 cpuid        0x40000000");
    expect("   0             70       70  ffffffff81000000 mmio         write 0xfec00000");
    run("trace web 1");
    assert_false(vt100_shows(&terminal, "   0            120"));
    expect("   0             70");
    run("exits web");
    expect("web                  io                          3        200");
    run("trace off web");
    exit_once(vcpu, &out, 100);
    run("trace web 2");
    expect("   0            170       70");
    run("trace on web");
    for (unsigned i = 0; i < 1000; i++)
        exit_once(vcpu, &out, 1);
    run("trace web 200");
    assert_true(terminal.scrolled > 100);
}

/* --- top --- */

static void run_web(uint64_t run_ticks, uint64_t steal_ticks)
{
    struct sched_entity *entity = &manager_find("web")->vm->vcpus[0]->task.entity;

    entity->run_ticks += run_ticks;
    entity->wait_ticks += steal_ticks;
}

static void test_top(void **state)
{
    (void)state;
    run("vm start web");
    run_web(5 * (uint64_t)FAKE_HZ, 5 * (uint64_t)FAKE_HZ);
    run("top");
    assert_true(shell_wants_tick());
    assert_string_equal(vt100_row(&terminal, 0), "VM                       STATE       MEMORY  CPU %  STEAL   EXITS/S   (q ends)");
    expect("web                      running       256M    0.0    0.0         0");
    fake_clock += 2 * (uint64_t)FAKE_HZ;
    run_web(FAKE_HZ / 2, FAKE_HZ);
    manager_find("web")->vm->vcpus[0]->exits[EXIT_IO] = 2000;
    shell_tick();
    assert_string_equal(vt100_row(&terminal, 1), "web                      running       256M   25.0   50.0      1000");
    assert_string_equal(vt100_row(&terminal, 2), "  vcpu 0                 ready                25.0   50.0      1000");
    assert_string_equal(vt100_row(&terminal, 3), "db                       stopped");
    assert_string_equal(vt100_row(&terminal, 4), "");
    console_write("log\r\n", 5);
    shell_tick();
    assert_string_equal(vt100_row(&terminal, 4), "");
    type("x");
    assert_true(shell_wants_tick());
    type("q");
    assert_false(shell_wants_tick());
    assert_string_equal(vt100_current_row(&terminal), "rm>");
    shell_tick();
}

static void test_top_once(void **state)
{
    (void)state;
    run("top -1");
    assert_string_equal(vt100_current_row(&terminal), "");
    fake_clock += FAKE_HZ;
    shell_tick();
    expect("VM                       STATE       MEMORY");
    assert_false(shell_wants_tick());
    assert_string_equal(vt100_current_row(&terminal), "rm>");
}

static void test_who_leaves_ends_top(void **state)
{
    (void)state;
    run("top");
    console_attach(1);
    shell_tick();
    assert_false(shell_wants_tick());
    console_attach(CONSOLE_SHELL);
    assert_string_equal(vt100_current_row(&terminal), "rm>");
}

/* More VMs than rows, and samples of a VM that is not the same any more. */
static void test_top_of_a_restarted_vm(void **state)
{
    (void)state;
    run("vm start web");
    run_web(FAKE_HZ, 0);
    run("top");
    fake_clock += FAKE_HZ;
    assert_int_equal(manager_restart(manager_find("web")), 0);
    run_web(FAKE_HZ / 4, 0);
    shell_tick();
    assert_string_equal(vt100_row(&terminal, 1), "web                      running       256M   25.0    0.0         0");
    type("q");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, shell_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_exits),
        TEST(test_trace),
        TEST(test_top),
        TEST(test_top_once),
        TEST(test_who_leaves_ends_top),
        TEST(test_top_of_a_restarted_vm),
    };
    return cmocka_run_group_tests(tests, shell_rig_start, NULL);
}
