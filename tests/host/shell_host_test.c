/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the machine's CPUs, memory and switches are shown as they are, and it is not turned off under a VM that nobody
 * asked to end.
 */
#include "tests/host/fake/shell_rig.h"
#include "drivers/net/networks.h"
#include "kernel/log.h"
#include "kernel/pcpu.h"
#include "kernel/shared_memory.h"

/* --- the machine --- */

static void test_cpus_and_mem(void **state)
{
    (void)state;
    run("vm start web");
    pcpus[0].is_online = pcpus[0].runs_guests = pcpus[1].is_online = true;
    pcpus[0].current = manager_find("web")->vm->vcpus[0];
    pcpus[1].apic_id = 2;
    run("cpus");
    expect("   0        0  yes      web/0");
    expect("   1        2  no       idle");
    run("mem");
    expect("total                      63 MiB");
    expect("free                       63 MiB (");
    expect("web                       256 MiB");
}

static void test_mem_shows_regions(void **state)
{
    struct shared_region *region;

    (void)state;
    assert_int_equal(shared_memory_take("ring", MIB(1), &region), 0);
    run("mem");
    expect("region ring              1024 KiB, 1 VM");
    assert_int_equal(shared_memory_take("ring", MIB(1), &region), 0);
    run("mem");
    expect("region ring              1024 KiB, 2 VMs");
    shared_memory_give_back(region);
    shared_memory_give_back(region);
    run("mem");
    assert_false(vt100_shows(&terminal, "region"));
}

static void test_log_level(void **state)
{
    (void)state;
    run("log error");
    assert_int_equal(log_level, LOG_ERROR);
    run("log");
    expect("log level: error");
    run("log debug");
    assert_int_equal(log_level, LOG_DEBUG);
}

static void end_by(const char *line, const char *how)
{
    how_it_ended = "not";
    if (setjmp(the_end) == 0)
        run(line);
    assert_string_equal(how_it_ended, how);
}

static void test_the_end(void **state)
{
    (void)state;
    end_by("poweroff", "power off");
    end_by("reboot", "reboot");
    run("vm start db");
    end_by("poweroff", "not");
    expect("poweroff: still there: db; --force ends them");
    end_by("reboot", "not");
    end_by("reboot --force", "reboot");
    end_by("poweroff --force", "power off");
}

/* --- net --- */

static struct switch_port *plug(const char *network, struct switch_port_config config)
{
    struct switch_port *port;

    assert_int_equal(switch_attach(networks_get(network, 1), &config, &port), 0);
    return port;
}

static void run_net(const char *line, struct switch_port *port)
{
    run(line);
    assert_string_equal(vt100_current_row(&terminal), ""); /* a rate takes a second */
    fake_clock += FAKE_HZ;
    if (port) {
        port->sent.packets += 1500;
        port->sent.bytes += 1250000; /* 10 Mbit */
    }
    shell_tick();
    assert_string_equal(vt100_current_row(&terminal), "rm>");
}

static void test_net(void **state)
{
    struct switch_port *web, *db;

    (void)state;
    run_net("net", NULL);
    expect("there is no switch: no VM has a network card");
    expect_refusal("net lan0", "no switch 'lan0'; there is none");
    web = plug("lan0", (struct switch_port_config){.name = "web.0", .mac = {2, 0, 0, 0, 0, 1}, .rate = 100000000});
    db = plug("lan0", (struct switch_port_config){.name = "db.0", .mac = {2, 0, 0, 0, 0, 2}, .vlan = 10, .is_trunk = true,
                                                  .is_isolated = true});
    switch_detach(plug("lan0", (struct switch_port_config){.name = "gone.0", .mac = {2, 0, 0, 0, 0, 3}}));
    (void)plug("lan1", (struct switch_port_config){.name = "web.1", .mac = {2, 0, 0, 0, 0, 1}});
    web->sent = (struct switch_traffic){100, 5000000};
    web->send_drops[NET_DROP_SPOOFED] = 3;
    db->receive_drops[NET_DROP_NO_BUFFER] = 12345;
    mac_table_learn(&web->owner->macs, mac_key((const uint8_t[]){2, 9, 9, 9, 9, 0xab}, 10), db->number);
    run_net("net", web);
    expect("switch lan0, 2 in use");
    expect("PORT                   VLAN          LIMIT   SENT  BIT/S  RECVD  BIT/S  DROPS");
    expect("web.0                  0              100M   1.6K    10M      0      0      3");
    expect("db.0                   10,trunk,isol     -      0      0      0      0    12K");
    expect("switch lan1, 1 in use");
    assert_false(vt100_shows(&terminal, "ADDRESS"));
    assert_false(vt100_shows(&terminal, "gone.0"));
    run_net("net lan0", NULL);
    expect("02:00:00:00:00:01         0 web.0                  its card's");
    expect("02:09:09:09:09:ab        10 db.0                   2 s ago");
    expect("web.0                  sending    spoofed               3");
    expect("db.0                   receiving  no-buffer         12345");
    assert_false(vt100_shows(&terminal, "switch lan1"));
    expect_refusal("net lan3", "no switch 'lan3'; did you mean 'lan0'?; there are: lan0, lan1");
    expect_refusal("net lan0 lan1", "net: lan1 is too much; usage: net [SWITCH]");
    run_net("net l\t1", NULL);
    expect("switch lan1, 1 in use");
    run("help net");
    expect("net [SWITCH]");
}

static void test_who_leaves_ends_net(void **state)
{
    (void)state;
    run("net");
    type("\x03");
    assert_false(shell_wants_tick());
    assert_string_equal(vt100_current_row(&terminal), "rm>");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, shell_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_cpus_and_mem),
        TEST(test_mem_shows_regions),
        TEST(test_log_level),
        TEST(test_the_end),
        TEST(test_net),
        TEST(test_who_leaves_ends_net),
    };
    return cmocka_run_group_tests(tests, shell_rig_start, NULL);
}
