/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: every command of a VM does what its help says to the VM that is named, and to no other one; what cannot be done in
 * its state changes nothing and is answered with why.
 */
#include "tests/host/fake/shell_rig.h"
#include "kernel/lib/errno.h"

/* --- life --- */

static void test_a_life(void **state)
{
    (void)state;
    run("vm create copy like=web memory=32M vcpus=2 weight=300 cmdline=\"a b=c\"");
    expect("copy is created");
    assert_int_equal(manager_find("copy")->config->memory, MIB(32));
    assert_int_equal(manager_find("copy")->config->weight, 300);
    assert_string_equal(manager_find("copy")->config->cmdline, "a b=c");
    assert_int_equal(manager_find("web")->config->memory, MIB(256));
    run("vm start copy");
    expect("copy is running");
    run("vm pause copy");
    expect("copy is paused");
    run("vm resume copy");
    assert_int_equal(state_of("copy"), VM_RUNNING);
    run("vm restart copy");
    expect("copy is running anew");
    run("vm stop copy");
    expect("copy was asked to stop");
    assert_int_equal(state_of("copy"), VM_STOPPING);
    run("vm stop copy --force");
    expect("copy is stopped");
    assert_int_equal(state_of("copy"), VM_EMPTY);
    run("vm destroy copy");
    expect("copy is gone");
    assert_null(manager_find("copy"));
    assert_int_equal(state_of("web"), VM_EMPTY);
    assert_int_equal(state_of("db"), VM_EMPTY);
}

static void test_a_created_vm_is_destroyed(void **state)
{
    (void)state;
    run("vm create copy like=db");
    run("vm destroy copy");
    expect("copy is gone");
    run("vm destroy db");
    expect("db is gone");
}

/* Theory: two cards with one address on one switch is what nobody means by "another one like it". */
static void test_a_copy_has_addresses_of_its_own(void **state)
{
    struct vm_config *web = manager_find("web")->config;
    struct vm_config *copy;
    struct config_error error;

    (void)state;
    assert_int_equal(vm_config_add_net(web, "lan0,mac=02:00:00:00:00:01,vlan=7", &error), 0);
    assert_int_equal(vm_config_add_net(web, "lan0", &error), 0);
    run("vm create copy like=web");
    copy = manager_find("copy")->config;
    assert_int_equal(copy->net_count, 2);
    assert_int_equal(copy->nets[0].vlan, 7);
    assert_memory_not_equal(copy->nets[0].mac, web->nets[0].mac, sizeof web->nets[0].mac);
    assert_memory_not_equal(copy->nets[1].mac, web->nets[1].mac, sizeof web->nets[1].mac);
    assert_memory_not_equal(copy->nets[1].mac, copy->nets[0].mac, sizeof web->nets[0].mac);
    run("vm show web");
    expect("  net=lan0,mac=02:00:00:00:00:01,vlan=7");
}

static void test_list_and_show(void **state)
{
    (void)state;
    run("vm start web");
    manager_find("db")->last_reason = STOP_SHUTDOWN;
    run("vm list");
    expect("NAME                 STATE     VCPUS   MEMORY STARTS CONSOLE  LAST STOP");
    expect("web                  running       1     256M      1       1  -");
    expect("db                   stopped       1      64M      0       -  shutdown");
    run("vm show web");
    expect("web: running, 1 starts, last stop: none");
    expect("  memory=256M");
    expect("  cmdline=console=ttyS0");
    expect("  restart=never");
    expect("  console=serial");
    manager_find("db")->config->cpus = 0x15;
    manager_find("db")->config->memory = KIB(68);
    manager_find("db")->config->load = 0x7c00;
    manager_find("db")->config->consoles = 0;
    memcpy(manager_find("db")->config->cmdline, "a\x1b[2Jb", 7);
    vm_config_refuse(manager_find("db")->config, "no kernel");
    run("vm show db");
    expect("  refused: no kernel");
    expect("  cpus=0,2,4");
    expect("  memory=68K");
    expect("  load=0x7c00");
    expect("  console=none");
    expect("  cmdline=a?[2Jb");
    run("vm destroy web");
    run("vm stop web --force");
    run("vm destroy web");
    run("vm destroy db");
    run("vm list");
    expect("there is no VM");
}

static void test_attach_and_come_back(void **state)
{
    (void)state;
    run("attach web");
    expect("web is stopped; start it first");
    run("vm start web");
    run("attach web");
    assert_int_equal(console_attached(), 1);
    type("vm stop web --force\r");
    assert_int_equal(state_of("web"), VM_RUNNING);
    type("\x01" "0");
    assert_string_equal(vt100_current_row(&terminal), "rm>");
    manager_find("web")->console = 0;
    expect_refusal("attach web", "web has no console");
}

static void test_dump(void **state)
{
    (void)state;
    run("vm start web");
    run("dump web");
    assert_int_equal(manager_find("web")->vm->vcpus[0]->requests, REQUEST_DUMP);
    expect_refusal("dump db", "db is stopped; start it first");
}

/* --- what is wrong --- */

static void test_balloon(void **state)
{
    (void)state;
    expect_refusal("vm balloon web 64M", "web is stopped; start it first");
    run("vm start web");
    expect_refusal("vm balloon web", "vm balloon: SIZE is missing; usage: vm balloon VM SIZE");
    expect_refusal("vm balloon web much", "size=much: expected a size like 256M");
    run("vm balloon web 64M");
    expect("web was asked to live with 64M");
    assert_int_equal(fake_manager_memory, MIB(64));
    run("mem");
    expect("web                       256 MiB, 192 MiB (49152 pages) given back");
    fake_manager_error = -EINVAL;
    expect_refusal("vm balloon web 1G", "web was made with 256M: expected that or less");
    fake_manager_error = -ENOTSUP;
    expect_refusal("vm balloon web 64M", "web has no balloon");
    fake_manager_error = -ENOMEM;
    expect_refusal("vm balloon web 256M", "web: too little memory is free");
}

static void test_wrong_states(void **state)
{
    (void)state;
    run("vm start web");
    run("vm pause web");
    expect_refusal("vm pause web", "web is paused; resume it first");
    expect_refusal("vm start web", "web is paused; stop it first");
    expect_refusal("vm stop web", "web is paused; resume it first");
    expect_refusal("vm destroy web", "web is paused; stop it first");
    run("vm resume web");
    expect_refusal("vm start web", "web is running; stop it first");
    expect_refusal("vm resume web", "web is running; pause it first");
    run("vm stop web");
    expect_refusal("vm start web", "web is stopping; wait, or stop it with --force");
    expect_refusal("vm destroy web", "web is stopping; wait, or stop it with --force");
}

static void test_the_managers_errors_are_explained(void **state)
{
    static const struct {
        int error;
        const char *answer;
    } cases[] = {
        {-ENOMEM, "web: too little memory is free"},
        {-EBUSY, "web is stopped: not now"},
        {-EINVAL, "web: no module with role=kernel"},
        {-EIO, "web: error 5"},
    };

    (void)state;
    vm_config_refuse(manager_find("web")->config, "no module with role=kernel");
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        fake_manager_error = cases[i].error;
        expect_refusal("vm start web", cases[i].answer);
    }
    fake_manager_error = -EBUSY;
    expect_refusal("vm destroy db", "db is stopped: not now");
    fake_manager_error = -ENOMEM;
    expect_refusal("vm create x like=db", "vm create: no memory for it");
    for (unsigned i = 0; i < 4; i++)
        type((const char *[]){"vm create a like=db\r", "vm create b like=db\r", "vm create c like=db\r",
                              "vm create d like=db\r"}[i]);
    run("vm create e like=db");
    expect("vm create: there are as many VMs as there can be");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, shell_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_a_life),
        TEST(test_a_created_vm_is_destroyed),
        TEST(test_a_copy_has_addresses_of_its_own),
        TEST(test_list_and_show),
        TEST(test_attach_and_come_back),
        TEST(test_dump),
        TEST(test_balloon),
        TEST(test_wrong_states),
        TEST(test_the_managers_errors_are_explained),
    };
    return cmocka_run_group_tests(tests, shell_rig_start, NULL);
}
