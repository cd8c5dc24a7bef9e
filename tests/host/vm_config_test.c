/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a good set of module lines becomes the VMs that were meant; any bad line refuses the VM that
 * it names, with the key and what was expected, and leaves every other VM as it would be without it.
 */
#include "tests/host/fake/fake.h"
#include "kernel/vm_config.h"
#include <errno.h>

#define CAPACITY 4
static struct vm_config vms[CAPACITY];
static struct vm_config_set set;
static struct config_error error;
static unsigned next_module;

static int set_up(void **state)
{
    (void)state;
    memset(vms, 0xa5, sizeof vms); /* nothing may depend on clean memory */
    set = (struct vm_config_set){vms, CAPACITY, 0};
    memset(&error, 0, sizeof error);
    next_module = 0;
    fake_log_count = 0;
    return 0;
}

static int add(const char *line)
{
    return vm_config_add_module(&set, next_module++, line, &error);
}

static void add_ok(const char *line)
{
    if (add(line) != 0)
        fail_msg("%s: %s", line, error.text);
}

static void a_vm_with_everything(void **state)
{
    const struct vm_config *vm;

    (void)state;
    add_ok("vm=web role=kernel format=linux \"cmdline=console=ttyS0 root=/dev/vda\" memory=256M "
           "vcpus=2 cpus=1,2 weight=200 cap=150 restart=on-crash debug_exit=1 memory_map=identity "
           "serial=COM2 vga=1 console=serial");
    add_ok("vm=web role=initrd");
    add_ok("vm=web role=disk mode=ro id=root");
    add_ok("mode=rw role=disk id=\"scratch disk\" vm=web");
    add_ok("vm=web role=disk");
    vm_config_check(&set);
    assert_int_equal(set.count, 1);
    vm = vm_config_find(&set, "web");
    assert_false(vm->refused);
    assert_int_equal(vm->kernel, 0);
    assert_int_equal(vm->initrd, 1);
    assert_int_equal(vm->format, VM_FORMAT_LINUX);
    assert_string_equal(vm->cmdline, "console=ttyS0 root=/dev/vda");
    assert_int_equal(vm->memory, MIB(256));
    assert_int_equal(vm->vcpus, 2);
    assert_int_equal(vm->cpus, 6);
    assert_int_equal(vm->weight, 200);
    assert_int_equal(vm->cap, 150);
    assert_int_equal(vm->restart, VM_RESTART_ON_CRASH);
    assert_true(vm->debug_exit);
    assert_int_equal(vm->memory_map, VM_MEMORY_MAP_IDENTITY);
    assert_int_equal(vm->serial, VM_SERIAL_COM2);
    assert_true(vm->vga);
    assert_int_equal(vm->consoles, VM_CONSOLE_SERIAL);
    assert_int_equal(vm->disk_count, 3);
    assert_int_equal(vm->disks[0].image, 2);
    assert_int_equal(vm->disks[0].mode, VM_DISK_RO);
    assert_string_equal(vm->disks[0].id, "root");
    assert_int_equal(vm->disks[1].image, 3);
    assert_int_equal(vm->disks[1].mode, VM_DISK_COW);
    assert_string_equal(vm->disks[1].id, "scratch disk");
    assert_int_equal(vm->disks[2].mode, VM_DISK_RO);
    assert_string_equal(vm->disks[2].id, "");
}

static void defaults_are_modest(void **state)
{
    const struct vm_config *vm = vms;

    (void)state;
    add_ok("vm=a role=kernel memory=1M");
    vm_config_check(&set);
    assert_false(vm->refused);
    assert_int_equal(vm->format, VM_FORMAT_AUTO);
    assert_int_equal(vm->initrd, VM_IMAGE_NONE);
    assert_string_equal(vm->cmdline, "");
    assert_int_equal(vm->vcpus, 1);
    assert_int_equal(vm->cpus, 0);
    assert_int_equal(vm->weight, 100);
    assert_int_equal(vm->cap, 0);
    assert_int_equal(vm->restart, VM_RESTART_NEVER);
    assert_false(vm->debug_exit);
    assert_int_equal(vm->memory_map, VM_MEMORY_MAP_REMAP);
    assert_int_equal(vm->consoles, VM_CONSOLE_SERIAL | VM_CONSOLE_VIRTIO);
    assert_int_equal(vm->disk_count + vm->module_count, 0);
}

static void multiboot_modules_keep_their_order(void **state)
{
    (void)state;
    add_ok("vm=t role=module cmdline='first one'");
    add_ok("vm=t role=kernel format=multiboot memory=2M");
    add_ok("vm=t role=module");
    vm_config_check(&set);
    assert_false(vms[0].refused);
    assert_int_equal(vms[0].kernel, 1);
    assert_int_equal(vms[0].module_count, 2);
    assert_int_equal(vms[0].modules[0].image, 0);
    assert_string_equal(vms[0].modules[0].cmdline, "first one");
    assert_int_equal(vms[0].modules[1].image, 2);
    assert_string_equal(vms[0].modules[1].cmdline, "");
}

static void a_flat_image_is_completed(void **state)
{
    (void)state;
    add_ok("vm=boot role=kernel format=flat memory=64K");
    add_ok("vm=prot role=kernel format=flat memory=4M entry=protected");
    add_ok("vm=own role=kernel format=flat memory=4M load=0x8000 entry=real entry_point=0x8010");
    vm_config_check(&set);
    for (unsigned i = 0; i < set.count; i++)
        assert_false(vms[i].refused);
    assert_int_equal(vms[0].entry, VM_ENTRY_REAL);
    assert_int_equal(vms[0].load, 0x7c00);
    assert_int_equal(vms[0].entry_point, 0x7c00);
    assert_int_equal(vms[1].load, MIB(1));
    assert_int_equal(vms[1].entry_point, MIB(1));
    assert_int_equal(vms[2].load, 0x8000);
    assert_int_equal(vms[2].entry_point, 0x8010);
}

static void a_bad_line_refuses_its_vm_only(void **state)
{
    static const struct {
        const char *line, *reason;
    } cases[] = {
        {"vm=bad role=kernel memory=12Q", "memory=12Q: expected a size like 256M"},
        {"vm=bad role=kernel memory=32K", "memory=32K: expected a size like 256M"},
        {"vm=bad role=kernel memory=64M vcpus=65", "vcpus=65: expected a number from 1 to 64"},
        {"vm=bad role=kernel memory=64M colour=red", "colour: no such key for this role"},
        {"vm=bad role=kernel memory=64M memory=32M", "memory: given twice"},
        {"vm=bad role=kernel memory=64M format=elf",
         "format=elf: expected auto, linux, pvh, multiboot or flat"},
        {"vm=bad role=kernel memory=64M cmdline=\"open", "cmdline=open: the quote never ends"},
        {"vm=bad role=kernel memory=64M \"\"", "=1: expected a key before ="},
        {"vm=bad role=initrd memory=64M", "memory: no such key for this role"},
        {"vm=bad role=disk mode=wo", "mode=wo: expected ro, cow or rw"},
        {"vm=bad role=disk id=123456789012345678901", "id=123456789012345678901: expected at most 20"},
        {"vm=bad role=cpu", "role=cpu: expected kernel, initrd, disk or module"},
        {"vm=bad memory=64M", "role: missing"},
        {"vm=bad role=disk role=kernel", "role: given twice"},
        {"vm=bad vm=good role=kernel memory=1M", "vm: given twice"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct vm_config *bad;

        set_up(NULL);
        add_ok("vm=good role=kernel memory=64M");
        assert_int_equal(add(cases[i].line), -EINVAL);
        assert_non_null(strstr(error.text, cases[i].reason));
        vm_config_check(&set);
        assert_int_equal(set.count, 2);
        assert_false(vms[0].refused);
        bad = vm_config_find(&set, "bad");
        assert_true(bad->refused);
        assert_string_equal(bad->reason.text, error.text);
    }
}

static void lines_of_nobody_are_ignored(void **state)
{
    static const char *const lines[] = {"",           "role=kernel memory=64M", "vmlinuz", "vm=",
                                        "vm=Web",     "vm=a.b role=kernel",     "\"vm=a",
                                        "vm=0123456789012345678901234567890x"};
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        assert_int_equal(add(lines[i]), -ENOENT);
    assert_int_equal(set.count, 0);
    assert_int_equal(add("role=kernel"), -ENOENT);
    assert_string_equal(error.text, "vm: missing, expected the name of a VM");
    assert_int_equal(add("vm=Web role=kernel"), -ENOENT);
    assert_non_null(strstr(error.text, "vm=Web: expected a name"));
}

static void the_whole_must_make_sense(void **state)
{
    static const struct {
        const char *kernel, *other, *reason;
    } cases[] = {
        {NULL, "vm=a role=initrd", "no module with role=kernel"},
        {"vm=a role=kernel", NULL, "memory: missing"},
        {"vm=a role=kernel memory=64K", NULL, "memory=64K: expected at least 1M"},
        {"vm=a role=kernel memory=1M format=flat", "vm=a role=initrd", "role=initrd: not for"},
        {"vm=a role=kernel memory=1M format=multiboot", "vm=a role=initrd", "format=multiboot"},
        {"vm=a role=kernel memory=1M format=linux", "vm=a role=module", "role=module: not for"},
        {"vm=a role=kernel memory=1M load=0x1000", NULL, "only for format=flat"},
        {"vm=a role=kernel memory=1M entry=protected", NULL, "only for format=flat"},
        {"vm=a role=kernel memory=1M format=flat load=0x100000", NULL, "load=0x100000: beyond"},
        {"vm=a role=kernel memory=1M format=flat entry_point=0x100000", NULL, "entry_point=0x100000"},
        {"vm=a role=kernel memory=4M format=flat entry_point=0x100000", NULL, "real mode"},
        {"vm=a role=kernel memory=1M", "vm=a role=kernel memory=1M", "role=kernel: given twice"},
        {"vm=a role=kernel memory=4G memory_map=identity", NULL, "at most 3G"},
        {"vm=a role=kernel memory=1G memory_map=identity balloon=1", NULL, "balloon: not with memory_map"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up(NULL);
        if (cases[i].kernel)
            (void)add(cases[i].kernel);
        if (cases[i].other)
            (void)add(cases[i].other);
        vm_config_check(&set);
        assert_true(vms[0].refused);
        if (!strstr(vms[0].reason.text, cases[i].reason))
            fail_msg("case %u: %s", i, vms[0].reason.text);
    }
}

static void two_of_one_kind_are_refused(void **state)
{
    (void)state;
    add_ok("vm=a role=kernel memory=1M");
    add_ok("vm=a role=initrd");
    assert_int_equal(add("vm=a role=initrd"), -EINVAL);
    assert_string_equal(vms[0].reason.text, "role=initrd: given twice");
    add_ok("vm=b role=kernel memory=1M");
    add_ok("vm=b role=disk id=x");
    add_ok("vm=b role=disk");
    add_ok("vm=b role=disk");
    add_ok("vm=b role=disk id=x");
    vm_config_check(&set);
    assert_string_equal(vms[1].reason.text, "id=x: two disks have it");
}

static void there_is_one_low_memory(void **state)
{
    (void)state;
    add_ok("vm=a role=kernel memory=4G memory_map=identity"); /* refused: does not count */
    add_ok("vm=b role=kernel memory=1M memory_map=identity");
    add_ok("vm=c role=kernel memory=1M memory_map=identity");
    add_ok("vm=d role=kernel memory=1M");
    vm_config_check(&set);
    assert_false(vms[1].refused);
    assert_string_equal(vms[2].reason.text, "memory_map=identity: b has it");
    assert_false(vms[3].refused);
}

static void too_many_of_anything_are_refused(void **state)
{
    (void)state;
    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        add_ok("vm=a role=disk");
    assert_int_equal(add("vm=a role=disk"), -EINVAL);
    assert_string_equal(error.text, "role=disk: too many");
    for (unsigned i = 0; i < VM_MODULES_MAX; i++)
        add_ok("vm=b role=module");
    assert_int_equal(add("vm=b role=module"), -EINVAL);
    add_ok("vm=c role=initrd");
    add_ok("vm=d role=initrd");
    assert_int_equal(add("vm=e role=initrd"), -ENOSPC);
    assert_string_equal(error.text, "vm=e: more than 4 VMs");
    assert_int_equal(set.count, 4);
    assert_false(vms[3].refused);
}

static void the_first_reason_stays(void **state)
{
    (void)state;
    assert_int_equal(add("vm=a role=kernel memory=0"), -EINVAL);
    assert_int_equal(add("vm=a role=disk mode=x"), -EINVAL);
    vm_config_refuse(&vms[0], "a later one");
    assert_non_null(strstr(vms[0].reason.text, "memory=0"));
}

static void the_longest_command_line_fits_and_no_more(void **state)
{
    static char line[64 + CONFIG_VALUE_BYTES];
    size_t start = (size_t)sprintf(line, "vm=a role=kernel memory=1M cmdline=");

    (void)state;
    memset(line + start, 'x', CONFIG_VALUE_BYTES - 1);
    add_ok(line);
    assert_int_equal(strlen(vms[0].cmdline), CONFIG_VALUE_BYTES - 1);
    line[5 - 2] = 'b';
    line[start + CONFIG_VALUE_BYTES - 1] = 'x';
    assert_int_equal(add(line), -EINVAL);
    assert_true(vm_config_find(&set, "b")->refused);
    assert_non_null(strstr(error.text, "too long"));
}

static void a_boot_is_read_and_its_errors_are_logged(void **state)
{
    static struct boot_info boot;

    (void)state;
    boot.module_count = 4;
    boot.modules[0].command_line = "vm=a role=kernel memory=1M";
    boot.modules[1].command_line = "unknown thing";
    boot.modules[2].command_line = "vm=b role=kernel memory=1";
    boot.modules[3].command_line = "vm=a role=initrd";
    vm_config_read_boot(&set, &boot);
    assert_int_equal(set.count, 2);
    assert_false(vms[0].refused);
    assert_int_equal(vms[0].initrd, 3);
    assert_true(vms[1].refused);
    assert_int_equal(fake_log_count, 3);
    assert_non_null(strstr(fake_log_last, "vm b refused: memory=1: expected a size"));
}

/* Lines put together from pieces that mean something: the sanitizers are the judge. */
static void random_lines_are_survived(void **state)
{
    static const char *const pieces[] = {
        "vm=a ", "vm=", "role=",  "kernel ", "disk ", "module ", "initrd ", "memory=", "64M ", "cpus=0-63 ",
        "\"",    "'",   "\\",     "=",       " ",     "cap=",    "99999999999999999999 ", "id=",  "\\x41", ",",
        "-",     "\n",  "load=0x", "format=flat ", "\xff"};

    (void)state;
    srand(3);
    for (unsigned round = 0; round < 20000; round++) {
        char line[512];
        size_t length = 0;

        if (round % 50 == 0)
            set_up(NULL);
        for (int n = rand() % 16; n > 0; n--)
            length += (size_t)sprintf(line + length, "%s", pieces[(size_t)rand() % ARRAY_SIZE(pieces)]);
        line[length] = '\0';
        (void)add(line);
        vm_config_check(&set);
        assert_true(set.count <= CAPACITY);
    }
}

/* --- network cards --- */

static struct vm_net_config net_of(const char *value)
{
    struct vm_config vm = {.name = "web"};

    if (vm_config_add_net(&vm, value, &error) != 0)
        fail_msg("%s: %s", value, error.text);
    assert_int_equal(vm.net_count, 1);
    return vm.nets[0];
}

static void a_card_with_everything(void **state)
{
    struct vm_net_config net = net_of("lan0,mac=02:aB:00:00:00:01,vlan=10,trunk,isolated=1,rate=100M,spoof_check=0,"
                                      "queues=4,mtu=9000");

    (void)state;
    assert_string_equal(net.network, "lan0");
    assert_memory_equal(net.mac, "\x02\xab\0\0\0\x01", 6);
    assert_int_equal(net.vlan, 10);
    assert_true(net.is_trunk);
    assert_true(net.is_isolated);
    assert_int_equal(net.rate, 100000000);
    assert_false(net.spoof_check);
    assert_int_equal(net.queues, 4);
    assert_int_equal(net.mtu, 9000);
}

static void a_card_needs_a_switch_only(void **state)
{
    struct vm_net_config net = net_of("lan0"), same = net_of("switch=lan0");

    (void)state;
    assert_true(net.spoof_check);
    assert_int_equal(net.queues, 1);
    assert_int_equal(net.mtu, 1500);
    assert_int_equal(net.rate, 0);
    assert_int_equal(net.mac[0], 2);
    assert_memory_equal(&net.mac, &same.mac, 6); /* the same at every boot */
}

static void cards_of_a_vm_have_their_own_addresses(void **state)
{
    const struct vm_config *vm;

    (void)state;
    add_ok("vm=web role=kernel memory=64M net=lan0 net=lan1,vlan=3 net=lan0 net=lan0");
    vm = vm_config_find(&set, "web");
    assert_int_equal(vm->net_count, 4);
    assert_int_equal(vm->nets[1].vlan, 3);
    for (unsigned i = 1; i < 4; i++)
        assert_memory_not_equal(vm->nets[i].mac, vm->nets[0].mac, 6);
    assert_true(add("vm=mail role=kernel memory=64M net=a net=b net=c net=d net=e") < 0);
    assert_string_equal(error.text, "net: too many");
}

static void bad_cards_say_what_was_expected(void **state)
{
    static const struct {
        const char *value, *why;
    } rows[] = {
        {"", "switch="},
        {"Lan0", "switch=Lan0"},
        {"vlan=3", "expected the name of a switch"},
        {"lan0,mac=02:00:00:00:00", "mac"},
        {"lan0,mac=02-00-00-00-00-01", "mac"},
        {"lan0,mac=01:00:00:00:00:01", "mac"},
        {"lan0,mac=00:00:00:00:00:00", "mac"},
        {"lan0,mac=02:00:00:00:00:0g", "mac"},
        {"lan0,vlan=4095", "vlan=4095"},
        {"lan0,queues=5", "queues=5"},
        {"lan0,queues=0", "queues=0"},
        {"lan0,mtu=67", "mtu=67"},
        {"lan0,rate=1K", "rate"},
        {"lan0,rate=1001G", "rate"},
        {"lan0,rate=999999999999999", "rate"},
        {"lan0,rate=100MM", "rate"},
        {"lan0,rate=M", "rate"},
        {"lan0,speed=1", "speed: no such key"},
        {"lan0,=1", "expected a key"},
    };
    struct vm_config vm = {.name = "web"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(vm_config_add_net(&vm, rows[i].value, &error), -EINVAL);
        if (!strstr(error.text, rows[i].why))
            fail_msg("%s: said \"%s\"", rows[i].value, error.text);
        assert_int_equal(vm.net_count, 0);
    }
}

/* --- shared memory --- */

static void a_region_is_read(void **state)
{
    struct vm_config *vm;

    (void)state;
    add_ok("vm=web role=kernel memory=64M shared=ring,size=1M,vectors=2 net=lan0 shared=name=data,size=4K");
    vm = vm_config_find(&set, "web");
    assert_int_equal(vm->shared_count, 2);
    assert_string_equal(vm->shared[0].name, "ring");
    assert_int_equal(vm->shared[0].size, MIB(1));
    assert_int_equal(vm->shared[0].vectors, 2);
    assert_string_equal(vm->shared[1].name, "data");
    assert_int_equal(vm->shared[1].vectors, 1);
    assert_true(vm_config_has_pci(vm));
    assert_true(add("vm=mail role=kernel memory=64M shared=a,size=4K shared=b,size=4K shared=c,size=4K shared=d,size=4K "
                    "shared=e,size=4K") < 0);
    assert_string_equal(error.text, "shared: too many");
}

static void bad_regions_say_what_was_expected(void **state)
{
    static const struct {
        const char *value, *why;
    } rows[] = {
        {"", "name="},
        {"Ring,size=1M", "name=Ring"},
        {"size=1M", "expected the name of a region"},
        {"ring", "size: missing"},
        {"ring,size=3M", "power of two"},
        {"ring,size=2K", "size=2K"},
        {"ring,size=2G", "size=2G"},
        {"ring,size=1", "size=1"},
        {"ring,size=1M,vectors=0", "vectors=0"},
        {"ring,size=1M,vectors=33", "vectors=33"},
        {"ring,size=1M,peers=3", "peers: no such key"},
        {"old,size=1M", "named twice"},
    };
    struct vm_config vm = {.name = "web", .shared = {{.name = "old", .size = MIB(1)}}, .shared_count = 1};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(vm_config_add_shared(&vm, rows[i].value, &error), -EINVAL);
        if (!strstr(error.text, rows[i].why))
            fail_msg("%s: said \"%s\"", rows[i].value, error.text);
        assert_int_equal(vm.shared_count, 1);
    }
}

static void legacy_hardware_has_conditions(void **state)
{
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"vm=a role=kernel memory=16M serial=COM1", "COM1"},
        {"vm=a role=kernel memory=16M vga=1 balloon=1", "balloon: not for a VM that has the VGA"},
        {"vm=a role=kernel format=flat memory=64K vga=1", "vga: needs 1M"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        set_up(NULL);
        (void)!add(bad[i].line);
        vm_config_check(&set);
        assert_true(vms[0].refused);
        assert_non_null(strstr(vms[0].reason.text, bad[i].why));
    }
}

static void devices_are_read(void **state)
{
    struct vm_config vm = {.devices_text = "00:03.0,0001:fF:1f.7"};

    (void)state;
    vm_config_read_devices(&vm);
    assert_false(vm.refused);
    assert_int_equal(vm.device_count, 2);
    assert_int_equal(vm.devices[0].devfn, 0x18);
    assert_int_equal(vm.devices[1].segment, 1);
    assert_int_equal(vm.devices[1].bus, 0xff);
    assert_int_equal(vm.devices[1].devfn, 0xff);
}

static void bad_devices_say_what_was_expected(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"00:03", "expected PCI functions"},
        {"00:20.0", "expected PCI functions"},
        {"00:03.8", "expected PCI functions"},
        {"0:3.0", "expected PCI functions"},
        {"00:03.0,", "expected PCI functions"},
        {",00:03.0", "expected PCI functions"},
        {"00:03.0 00:04.0", "expected PCI functions"},
        {"000:00:03.0", "expected PCI functions"},
        {"00:03.0,0000:00:03.0", "named twice"},
        {"00:01.0,00:02.0,00:03.0,00:04.0,00:05.0,00:06.0,00:07.0,00:08.0,00:09.0", "more than 8"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct vm_config vm = {.name = "web"};

        strcpy(vm.devices_text, rows[i].text);
        vm_config_read_devices(&vm);
        assert_true(vm.refused);
        if (!strstr(vm.reason.text, rows[i].why))
            fail_msg("%s: said \"%s\"", rows[i].text, vm.reason.text);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_vm_with_everything),
        TEST(defaults_are_modest),
        TEST(multiboot_modules_keep_their_order),
        TEST(a_flat_image_is_completed),
        TEST(a_bad_line_refuses_its_vm_only),
        TEST(lines_of_nobody_are_ignored),
        TEST(the_whole_must_make_sense),
        TEST(two_of_one_kind_are_refused),
        TEST(there_is_one_low_memory),
        TEST(too_many_of_anything_are_refused),
        TEST(the_first_reason_stays),
        TEST(the_longest_command_line_fits_and_no_more),
        TEST(a_boot_is_read_and_its_errors_are_logged),
        TEST(random_lines_are_survived),
        TEST(a_card_with_everything),
        TEST(a_card_needs_a_switch_only),
        TEST(cards_of_a_vm_have_their_own_addresses),
        TEST(bad_cards_say_what_was_expected),
        TEST(a_region_is_read),
        TEST(bad_regions_say_what_was_expected),
        TEST(legacy_hardware_has_conditions),
        TEST(devices_are_read),
        TEST(bad_devices_say_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
