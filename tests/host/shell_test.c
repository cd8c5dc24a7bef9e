/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a person types at the console and looks at a screen. Every command does what its help says to the VM
 * that is named, and to no other one; whatever else is typed changes nothing and is answered with what was expected.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/manager.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vt100.h"
#include "arch/arch.h"
#include "drivers/net/networks.h"
#include "kernel/console.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/log.h"
#include "kernel/machine_net.h"
#include "kernel/page.h"
#include "kernel/shared_memory.h"
#include "kernel/shell.h"

static struct vt100 terminal;
static jmp_buf the_end;
static const char *how_it_ended;

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
    assert_int_equal(status, 0);
    how_it_ended = "power off";
    longjmp(the_end, 1);
}

void arch_reboot(void)
{
    how_it_ended = "reboot";
    longjmp(the_end, 1);
}

/* Keys, as they come from the line to the control thread. */
static void type(const char *text)
{
    uint8_t bytes[64];
    size_t count;

    for (; *text; text++) {
        console_input((const uint8_t *)text, 1);
        while ((count = console_take_shell_input(bytes, sizeof bytes)) > 0)
            shell_input(bytes, count);
    }
}

/* A command on an empty screen. */
static void run(const char *line)
{
    vt100_reset(&terminal);
    type("\x0c");
    type(line);
    type("\r");
}

static void expect(const char *row)
{
    if (vt100_shows(&terminal, row))
        return;
    for (unsigned i = 0; i <= terminal.row; i++)
        print_message("| %s\n", vt100_row(&terminal, i));
    fail_msg("no row begins with: %s", row);
}

/* The command's whole answer is that, and nothing was done. */
static void expect_refusal(const char *line, const char *row)
{
    unsigned calls = fake_manager_calls;

    run(line);
    expect(row);
    assert_true(terminal.row <= 3); /* some answers wrap */
    assert_string_equal(vt100_current_row(&terminal), "rm>");
    assert_int_equal(fake_manager_calls, calls);
}

static enum vm_state state_of(const char *name)
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

static int start(void **state)
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

static int setup(void **state)
{
    (void)state;
    fake_manager_reset();
    type("q\x03");
    console_attach(CONSOLE_SHELL);
    return 0;
}

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

static void test_wrong_commands(void **state)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"frobnicate", "unknown command 'frobnicate'; help lists all"},
        {"vm strat web", "unknown command 'vm strat'; did you mean 'vm start'?"},
        {"vm x", "vm what? list, show, create, start, pause, resume, restart, stop, balloon,"},
        {"vm", "vm what? list, show, create, start, pause, resume, restart, stop, balloon,"},
        {"atach web", "unknown command 'atach'; did you mean 'attach'?"},
        {"poweron", "unknown command 'poweron'; did you mean 'poweroff'?"},
        {"VM LIST", "unknown command 'VM'; help lists all"},
        {"vm start", "vm start: VM is missing; usage: vm start VM"},
        {"vm start web db", "vm start: db is too much; usage: vm start VM"},
        {"vm start web=1", "vm start: web is no single word; usage: vm start VM"},
        {"vm start 'web", "vm start: web is no single word; usage: vm start VM"},
        {"vm start wbe", "no VM 'wbe'; did you mean 'web'?; there are: web, db"},
        {"vm start nonsense", "no VM 'nonsense'; there are: web, db"},
        {"vm stop web --now", "vm stop: '--now' is not [--force]"},
        {"vm create", "vm create: NAME is missing; usage: vm create NAME like=VM [KEY=VALUE ...]"},
        {"vm create x", "vm create: like=VM [KEY=VALUE ...] is missing; usage: vm create NAME like=VM [KE"},
        {"vm create X like=web", "name=X: expected a name of a-z, 0-9, _ and -, of at most 31 characters"},
        {"vm create web like=db", "vm create: there is a VM 'web' already"},
        {"vm create x memory=1M", "vm create: like=VM is missing: whose images?"},
        {"vm create x like=y", "vm create: like=y: no VM has that name"},
        {"vm create x like=web memory=12Q", "vm create: memory=12Q: expected a size like 256M, whole pages, from 64K to 16T"},
        {"vm create x like=web colour=red", "vm create: colour: no such key; help vm create lists all"},
        {"vm create x like=web vcpus=1 vcpus=2", "vm create: vcpus: given twice"},
        {"vm create x like=web like=db", "vm create: like: given twice"},
        {"vm create x like=web memory=64K", "vm create: memory=64K: expected at least 1M unless format=flat"},
        {"vm create x like=web 'cmdline=a", "vm create: cmdline=a: the quote never ends"},
        {"vm pause web", "web is stopped; start it first"},
        {"vm resume web", "web is stopped; start it first"},
        {"vm stop web --force", "web is stopped already"},
        {"vm restart web", "web is stopped; start it first"},
        {"exits wbe", "no VM 'wbe'; did you mean 'web'?; there are: web, db"},
        {"trace web", "web is stopped; start it first"},
        {"trace on web", "web is stopped; start it first"},
        {"trace off web", "web is stopped; start it first"},
        {"trace web 0", "number=0: expected a number from 1 to 1000000"},
        {"trace web many", "number=many: expected a number from 1 to 1000000"},
        {"top -2", "top: '-2' is not [-1]"},
        {"log loud", "log: 'loud' is not [error|warn|info|debug]"},
        {"help nonsense", "no command 'nonsense'; help lists all"},
        {"poweroff now", "poweroff: 'now' is not [--force]"},
        {"\"vm\" 'start' \"db", "vm start: db is no single word; usage: vm start VM"},
        {"an-endless-word-of-more-than-thirty-one-characters-is-no-command", "unknown command 'an-endless-word-of-more-than-th"},
        {"=", "unknown command ''; help lists all"},
        {"' '", "unknown command ' '; help lists all"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        expect_refusal(cases[i].line, cases[i].answer);
    run("");
    run("   ");
    assert_int_equal(terminal.row, 1);
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

/* --- exits, traces, top --- */

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

/* --- help and completion --- */

static void test_help(void **state)
{
    (void)state;
    run("help");
    expect("vm stop VM [--force]                   press its power button, or pull the plug");
    expect("poweroff [--force]");
    for (unsigned row = 0; row < VT100_ROWS; row++)
        if (terminal.cells[row][VT100_COLUMNS - 1] != ' ')
            fail_msg("too wide: %s", vt100_row(&terminal, row));
    run("help help");
    expect("help [COMMAND]");
    run("help vm stop");
    expect("vm stop VM [--force]");
    assert_false(vt100_shows(&terminal, "vm start"));
    run("help vm");
    expect("vm start VM");
    assert_false(vt100_shows(&terminal, "top"));
    run("help vm create");
    expect("  memory       RAM");
    run("help top");
    expect("top [-1]");
}

static void test_a_module_adds_a_command(void **state)
{
    static unsigned runs;
    static const struct shell_command pci[] = {{"pci", {{SHELL_NOTHING, NULL}}, "the devices", NULL}};

    (void)state;
    (void)runs;
    expect_refusal("pci", "unknown command 'pci'; ");
    shell_add_commands(pci, 1);
    run("help pci");
    expect("pci                                    the devices");
}

static void test_completion(void **state)
{
    static const struct {
        const char *typed, *row;
    } cases[] = {
        {"at\t", "rm> attach"},
        {"at\tw\t", "rm> attach web"},
        {"vm st\ta\t", "rm> vm start"},
        {"vm sta\td\t", "rm> vm start db"},
        {"vm stop web -\t", "rm> vm stop web --force"},
        {"vm start web \t", "rm> vm start web"},
        {"vm create x li\tw\tmem\t", "rm> vm create x like=web memory"},
        {"trace o\tf\tw\t", "rm> trace off web"},
        {"trace w\t", "rm> trace web"},
        {"log d\t", "rm> log debug"},
        {"help at\t", "rm> help attach"},
        {"nonsense \t", "rm> nonsense"},
        {" \t", "rm>"},
        {"vm start =\t", "rm> vm start ="},
        {"vm 'x y\t", "rm> vm 'x y"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        type("\x03\x0c");
        type(cases[i].typed);
        assert_string_equal(vt100_current_row(&terminal), cases[i].row);
    }
    type("\x03\x0c" "vm start \t");
    assert_string_equal(vt100_row(&terminal, 0), "web  db");
    assert_string_equal(vt100_row(&terminal, 1), "rm> vm start");
}

static void test_cancel(void **state)
{
    (void)state;
    run("vm start web");
    vt100_reset(&terminal);
    type("vm stop web --force\x03");
    assert_string_equal(vt100_row(&terminal, 1), "rm>");
    assert_int_equal(state_of("web"), VM_RUNNING);
}

/* A line that arrives in one piece is on the screen above its answer as if it had been typed, with all its keys. */
static void test_a_pasted_line_is_shown(void **state)
{
    static const char line[] = "log debug\r";
    uint8_t bytes[sizeof line];
    size_t count;

    (void)state;
    vt100_reset(&terminal);
    type("\x0c");
    console_input((const uint8_t *)line, sizeof line - 1);
    count = console_take_shell_input(bytes, sizeof bytes);
    shell_input(bytes, count);
    expect("rm> log debug");
    assert_string_equal(vt100_current_row(&terminal), "rm>");
}

static void test_lines_come_above_what_is_typed(void **state)
{
    (void)state;
    type("\x0cvm st");
    console_write("rm: event=vm-stop vm=web reason=shutdown\r\n", 42);
    console_guest_write(2, (const uint8_t *)"hello\n", 6);
    type("art web\r");
    assert_string_equal(vt100_row(&terminal, 0), "rm: event=vm-stop vm=web reason=shutdown");
    assert_string_equal(vt100_row(&terminal, 1), "[db] hello");
    assert_string_equal(vt100_row(&terminal, 2), "rm> vm start web");
    assert_string_equal(vt100_row(&terminal, 3), "web is running");
}

/* Lines of words that mean something and of bytes that do not: no crash, and only named VMs change. */
static void test_random_lines(void **state)
{
    static const char *const words[] = {"vm", "start", "stop", "pause", "resume", "web", "like=web", "trace",
                                        "on", "off", "top", "exits", "help",
                                        "\t", "q", "'", "\"", "\\", "=", "x", "--force", "-1", "create",
                                        "memory=1M", "log", "info", "list", "show"};
    uint32_t random = 7;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        random = random * 1664525 + 1013904223;
        type(words[(random >> 16) % ARRAY_SIZE(words)]);
        type(random >> 29 ? " " : "\r");
        if (random >> 24 == 0)
            shell_tick();
    }
    type("\x03q\x03");
    assert_int_equal(state_of("db"), VM_EMPTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_life, setup),
        cmocka_unit_test_setup(test_a_copy_has_addresses_of_its_own, setup),
        cmocka_unit_test_setup(test_a_created_vm_is_destroyed, setup),
        cmocka_unit_test_setup(test_list_and_show, setup),
        cmocka_unit_test_setup(test_attach_and_come_back, setup),
        cmocka_unit_test_setup(test_dump, setup),
        cmocka_unit_test_setup(test_balloon, setup),
        cmocka_unit_test_setup(test_wrong_commands, setup),
        cmocka_unit_test_setup(test_wrong_states, setup),
        cmocka_unit_test_setup(test_the_managers_errors_are_explained, setup),
        cmocka_unit_test_setup(test_cpus_and_mem, setup),
        cmocka_unit_test_setup(test_mem_shows_regions, setup),
        cmocka_unit_test_setup(test_log_level, setup),
        cmocka_unit_test_setup(test_the_end, setup),
        cmocka_unit_test_setup(test_exits, setup),
        cmocka_unit_test_setup(test_trace, setup),
        cmocka_unit_test_setup(test_top, setup),
        cmocka_unit_test_setup(test_top_once, setup),
        cmocka_unit_test_setup(test_who_leaves_ends_top, setup),
        cmocka_unit_test_setup(test_top_of_a_restarted_vm, setup),
        cmocka_unit_test_setup(test_net, setup),
        cmocka_unit_test_setup(test_who_leaves_ends_net, setup),
        cmocka_unit_test_setup(test_help, setup),
        cmocka_unit_test_setup(test_a_module_adds_a_command, setup),
        cmocka_unit_test_setup(test_completion, setup),
        cmocka_unit_test_setup(test_cancel, setup),
        cmocka_unit_test_setup(test_a_pasted_line_is_shown, setup),
        cmocka_unit_test_setup(test_lines_come_above_what_is_typed, setup),
        cmocka_unit_test_setup(test_random_lines, setup),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
