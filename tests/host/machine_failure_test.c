/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whichever allocation finds no memory while a VM is made, made anew, or changed, that VM is refused and a line
 * says why; everything it had is free again; the other VMs have all that they had; and what was refused works as soon as
 * there is memory.
 *
 * Each case begins in a process of its own, since some things are made once and stay (a switch, an IOMMU's tables): the
 * N-th allocation fails, for every N until none is left to fail; once alone, and once with all that follow. All of
 * kernel/machine*.c is the real one, on AMD-V's engine and two VT-d units; the heap is libc's, for ASan to watch.
 */
#include "tests/host/fake/arch.h"
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vtd_unit.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/guest/world.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/svm_ops.h"
#include "arch/x86/svm/vmcb.h"
#include "arch/x86/vtd/vtd_ops.h"
#include "drivers/host/pci.h"
#include "drivers/host/pci_config.h"
#include "drivers/pci_regs.h"
#include "kernel/control.h"
#include "kernel/guest_pages.h"
#include "kernel/heap.h"
#include "kernel/iommu.h"
#include "kernel/machine.h"
#include "kernel/machine_function.h"
#include "kernel/machine_ranges.h"
#include "kernel/manager.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/random.h"
#include "kernel/stage2.h"
#include <errno.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOREVER 1000000u

#define NIC       0x0018 /* 00:03.0 */
#define NIC_BAR   0xfe000000u
#define NIC_BYTES 0x4000u
#define CAP_MSIX  0x40u
#define MESSAGES  3u
#define TABLE     0x2000u
#define PIN_GSI   16u

/* --- the heap, where ASan sees each object --- */

static uint64_t heap_objects, heap_bytes;

void heap_init(void)
{
}

void *heap_alloc(size_t size_bytes)
{
    void *object = page_is_to_fail() ? NULL : calloc(1, size_bytes);

    heap_objects += object != NULL;
    heap_bytes += malloc_usable_size(object);
    return object;
}

void heap_free(void *object)
{
    heap_objects -= object != NULL;
    heap_bytes -= malloc_usable_size(object);
    free(object);
}

void heap_get_stats(struct heap_stats *stats)
{
    *stats = (struct heap_stats){.objects = heap_objects, .object_bytes = heap_bytes};
}

/* --- the machine: a network card, an IOAPIC, time --- */

static uint8_t config[PCI_CONFIG_BYTES], writable[PCI_CONFIG_BYTES];
static uint8_t registers[NIC_BYTES];
static unsigned routed_pins;

unsigned pci_config_ecams(const struct pci_ecam **all)
{
    *all = NULL;
    return 0;
}

void pci_config_open_bus(uint16_t segment, uint8_t bus)
{
    (void)segment;
    (void)bus;
}

unsigned pci_config_bytes(struct pci_address address)
{
    (void)address;
    return PCI_CONFIG_BYTES;
}

uint32_t pci_config_read(struct pci_address a, unsigned offset, unsigned width)
{
    uint32_t value = UINT32_MAX;

    if (pci_requester_id(a) == NIC)
        memcpy(&value, config + offset, width);
    return width == 4 ? value : value & ((1u << 8 * width) - 1);
}

void pci_config_write(struct pci_address a, unsigned offset, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width && pci_requester_id(a) == NIC; i++)
        config[offset + i] = (uint8_t)((config[offset + i] & ~writable[offset + i]) | (value >> 8 * i & writable[offset + i]));
}

static void put(unsigned offset, unsigned width, uint32_t value, uint32_t mask)
{
    memcpy(config + offset, &value, width);
    memcpy(writable + offset, &mask, width);
}

static void make_card(void)
{
    put(PCI_VENDOR_ID, 4, 0x10008086, 0);
    put(PCI_COMMAND, 4, (uint32_t)PCI_STATUS_CAP_LIST << 16,
        PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF);
    put(PCI_REVISION_ID, 4, 0x02000000, 0);
    put(PCI_BAR0, 4, NIC_BAR, ~(NIC_BYTES - 1));
    put(PCI_CAPABILITIES, 1, CAP_MSIX, 0);
    put(PCI_INTERRUPT_PIN, 1, 1, 0);
    put(CAP_MSIX, 4, PCI_CAP_ID_MSIX | (MESSAGES - 1) << 16, 0xc0000000);
    put(CAP_MSIX + 4, 4, TABLE, 0);
    put(CAP_MSIX + 8, 4, TABLE + 0x800, 0);
}

void *arch_map_device(hpa_t address, uint64_t size)
{
    assert_true(address.value >= NIC_BAR && range_fits(address.value - NIC_BAR, size, NIC_BYTES));
    return registers + (address.value - NIC_BAR);
}

unsigned host_ioapic_pci_inputs(uint32_t *gsis, unsigned max)
{
    assert_true(max > 0);
    gsis[0] = PIN_GSI;
    return 1;
}

bool host_ioapic_route_pci(uint32_t gsi, const struct host_ioapic_target *to)
{
    (void)to;
    assert_int_equal(gsi, PIN_GSI);
    routed_pins++;
    return true;
}

void host_ioapic_set_mask(uint32_t gsi, bool is_masked)
{
    (void)gsi;
    (void)is_masked;
}

bool host_ioapic_route_isa(uint8_t irq, const struct host_ioapic_target *to)
{
    (void)irq;
    (void)to;
    return true;
}

void host_ioapic_set_isa_mask(uint8_t irq, bool is_masked)
{
    (void)irq;
    (void)is_masked;
}

/* COM2 and the VGA are nobody's. */
uint8_t io_in8(uint16_t port)
{
    (void)port;
    return 0xff;
}

void io_out8(uint16_t port, uint8_t value)
{
    (void)port;
    (void)value;
}

/* --- the scheduler: nobody runs, and who is asked to stop has left --- */

void control_wake(void)
{
}

void control_yield(void)
{
    const struct vm_slot *slot;

    fake_clock_advance(FAKE_HZ / 1000);
    for (unsigned i = 0; (slot = manager_slot(i)); i++)
        if (slot->vm && slot->vm->stop_reason != STOP_NONE)
            slot->vm->live_vcpus = 0;
}

void task_init(struct task *task, struct vcpu *vcpu, unsigned weight, unsigned cap, uint64_t cpus)
{
    (void)weight;
    (void)cap;
    (void)cpus;
    task->vcpu = vcpu;
    task->cpus = 1;
}

int sched_add(struct task *task)
{
    (void)task;
    return 0;
}

void sched_synchronize(void)
{
}

void vm_request(struct vm *vm, uint32_t requests)
{
    (void)vm;
    (void)requests;
}

const char *stop_reason_name(enum stop_reason reason)
{
    (void)reason;
    return "";
}

const char *exit_name(enum exit_kind kind)
{
    (void)kind;
    return "";
}

void world_reset(struct vcpu *vcpu)
{
    (void)vcpu;
}

enum verdict svm_enter(struct vcpu *vcpu, hpa_t guest, hpa_t host)
{
    (void)vcpu;
    (void)guest;
    (void)host;
    return VERDICT_LEAVE;
}

const struct exit_kind_row exit_kinds[2 * EXIT_KINDS];

void arch_take_interrupts(void)
{
}

void arch_kick(unsigned cpu)
{
    (void)cpu;
}

void arch_power_off(unsigned status)
{
    (void)status;
    abort();
}

void arch_reboot(void)
{
    abort();
}

/* --- three VMs --- */

/* One that is there all the time, one with all that is emulated, one with a function of the machine's. */
static const char *const lines[] = {
    "vm=neighbour role=kernel format=flat memory=2M net=lan0 shared=ring,size=64K vsock=4",
    ("vm=web role=kernel format=flat memory=9M vcpus=3 net=lan0,queues=2 net=lan1 vsock=3 shared=ring,size=64K "
     "shared=own,size=16K balloon=1 free_page_reporting=1 debug_exit=1 restart=on-crash"),
    "vm=web role=disk mode=cow",
    "vm=web role=disk mode=ro",
    "vm=driver role=kernel format=flat memory=5M vcpus=2 net=lan2 shared=ring,size=64K devices=00:03.0",
};

static const uint8_t image[8192] = {0xf4}; /* hlt */
static struct boot_info boot;
static struct random entropy;
static struct acpi_info acpi;
static struct memmap memory;
static struct vm_config configs[4];

static bool no_bridge(struct pci_address bridge, uint8_t *secondary, uint8_t *subordinate)
{
    (void)bridge;
    (void)secondary;
    (void)subordinate;
    return false;
}

static void start_iommu(void)
{
    const struct vtd_boot vtd = {&acpi, &memory, no_bridge, true};

    fake_units_reset();
    acpi.has_dmar = true;
    acpi.dmar.flags = ACPI_DMAR_INTR_REMAP;
    acpi.dmar.unit_count = 1;
    acpi.dmar.units[0] = (struct acpi_dmar_unit){HPA(FAKE_UNIT_BASE), 0, ACPI_DRHD_INCLUDE_PCI_ALL, 0, 1};
    acpi.dmar.scope_count = 1;
    acpi.dmar.scopes[0] = (struct acpi_dmar_scope){
        .type = ACPI_SCOPE_IOAPIC, .enumeration_id = 1, .start_bus = 0xf0, .path_length = 1, .path = {{0x1f, 0}}};
    acpi.ioapic_count = 1;
    acpi.ioapics[0].id = 1;
    iommu_ops = vtd_start(&vtd);
    assert_non_null(iommu_ops);
    vtd_start_interrupts(false);
}

static void add_slots(void)
{
    struct vm_config_set set = {.vms = configs, .capacity = ARRAY_SIZE(configs)};
    struct vm_slot *slot;

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        boot.modules[i] = (struct boot_module){HPA(MIB(1)), sizeof image, lines[i]};
        boot.module_count++;
    }
    vm_config_read_boot(&set, &boot);
    assert_int_equal(set.count, 3);
    for (unsigned i = 0; i < set.count; i++) {
        if (set.vms[i].refused)
            fail_msg("%s: %s", set.vms[i].name, set.vms[i].reason.text);
        assert_int_equal(manager_add(&set.vms[i], &slot), 0);
    }
}

static void start_machine(void)
{
    fake_clock_reset();
    fake_pcpus_reset(1);
    pcpus[0].is_online = pcpus[0].runs_guests = true;
    page_init();
    assert_int_equal(page_add_range(HPA(GIB(1)), MIB(64)), 0);
    memcpy(phys_to_virt(HPA(MIB(1))), image, sizeof image);
    assert_int_equal(memmap_add(&memory, HPA(GIB(1)), MIB(64), MEMMAP_USABLE), 0);
    vcpu_ops = &svm_ops;
    stage2_ops = &svm_stage2_ops;
    svm_caps = (struct svm_caps){.features = SVM_FEATURE_NP | SVM_FEATURE_AVIC, .asids = 4, .uses_asids = true,
                                .leaf_levels = PT_LEAF_4K | PT_LEAF_2M};
    assert_int_equal(vmcb_make_permission_maps(), 0);
    make_card();
    machine_ranges_init(&memory, &acpi);
    start_iommu();
    pci_scan();
    random_init(&entropy, NULL);
    manager_init(&boot, &entropy);
    add_slots();
}

/* --- what must be the same --- */

struct books {
    uint64_t free_pages, heap_objects, heap_bytes;
};

static struct books look(void)
{
    struct page_stats pages;

    page_get_stats(&pages);
    return (struct books){pages.free_pages, heap_objects, heap_bytes};
}

static void assert_same(struct books a, struct books b)
{
    assert_int_equal(a.free_pages, b.free_pages);
    assert_int_equal(a.heap_objects, b.heap_objects);
    assert_int_equal(a.heap_bytes, b.heap_bytes);
}

static struct vm_slot *slot_of(const char *name)
{
    struct vm_slot *slot = manager_find(name);

    assert_non_null(slot);
    return slot;
}

static void *memory_of(const char *name, uint64_t address)
{
    void *at = guest_mem_at(&slot_of(name)->vm->mem, GPA(address), 8);

    assert_non_null(at);
    return at;
}

/* --- the cases --- */

struct failing_case {
    const char *name, *vm;
    void (*prepare)(void); /* where nothing fails */
    int (*run)(void);
    void (*check)(int error); /* what the failure has left */
    void (*undo)(void);
};

/* -EBUSY: it was refused. */
static void stop(const char *name)
{
    int error = manager_stop(slot_of(name));

    assert_true(error == 0 || error == -EBUSY);
}

static void assert_refused(const char *name, int error)
{
    const struct vm_slot *slot = slot_of(name);

    assert_int_equal(error, -EINVAL);
    assert_null(slot->vm);
    assert_int_equal(slot->state, VM_EMPTY);
    assert_true(strlen(slot->config->reason.text) > 0);
}

/* --- a VM with every emulated device --- */

static int create_web(void)
{
    return manager_create(slot_of("web"));
}

static void web_is_refused(int error)
{
    assert_refused("web", error);
}

static void stop_web(void)
{
    stop("web");
}

static void start_web(void)
{
    assert_int_equal(manager_start(slot_of("web")), 0);
}

/* It was stopped for that: refused, it stays so. */
static int restart_web(void)
{
    struct vm_slot *slot = slot_of("web");

    return slot->vm ? manager_restart(slot) : manager_start(slot);
}

/* --- its balloon --- */

#define LENT_AT    (MIB(2) - KIB(64)) /* two large pages are split for it */
#define LENT_PAGES 32u

static struct guest_pages *web_pages(void)
{
    return slot_of("web")->vm->mem.pages;
}

static int take_again(void)
{
    int error = 0;

    for (unsigned i = 0; i < LENT_PAGES && !error; i++)
        error = guest_pages_restore(web_pages(), GPA(LENT_AT + i * PAGE_SIZE));
    return error;
}

/* As its balloon would: what cannot be taken from it stays. */
static int lend_and_take_again(void)
{
    struct vm *vm = slot_of("web")->vm;
    uint64_t done, lent = guest_pages_release(web_pages(), GPA(LENT_AT), LENT_PAGES * PAGE_SIZE, &done);

    vm->platform->balloon_wants_flush = true;
    ballooning_collect(vm);
    assert_int_equal(web_pages()->missing, lent);
    return lent == LENT_PAGES ? take_again() : -ENOMEM;
}

static void web_lives_on(int error)
{
    assert_int_equal(error, -ENOMEM);
    assert_int_equal(slot_of("web")->state, VM_RUNNING);
}

static void complete_web(void)
{
    assert_int_equal(take_again(), 0);
    assert_int_equal(web_pages()->missing, 0);
    stop_web();
    start_web();
}

/* --- a VM with a function of the machine's --- */

static int create_driver(void)
{
    return manager_create(slot_of("driver"));
}

static void driver_is_refused(int error)
{
    assert_refused("driver", error);
    assert_null(machine_function_find(pci_requester(0, NIC)));
}

/* Refused or not, once it was there its pin is listened to. */
static void stop_driver(void)
{
    if (slot_of("driver")->vm)
        assert_int_equal(routed_pins, 1);
    stop("driver");
}

/* --- its messages --- */

static void start_driver(void)
{
    assert_int_equal(manager_start(slot_of("driver")), 0);
}

static int prepare_message(void)
{
    struct machine_function *f = machine_function_find(pci_requester(0, NIC));
    struct iommu_message host;

    return machine_message_prepare(f, &f->messages[1], &host);
}

static void driver_lives_on(int error)
{
    assert_true(error < 0);
    assert_int_equal(slot_of("driver")->state, VM_RUNNING);
}

static void retire_message(void)
{
    machine_message_retire(&machine_function_find(pci_requester(0, NIC))->messages[1]);
}

static const struct failing_case cases[] = {
    {"a VM with every emulated device", "web", NULL, create_web, web_is_refused, stop_web},
    {"its restart", "web", start_web, restart_web, web_is_refused, stop_web},
    {"its balloon", "web", start_web, lend_and_take_again, web_lives_on, complete_web},
    {"a VM with a function of the machine's", "driver", NULL, create_driver, driver_is_refused, stop_driver},
    {"a message of the function", "driver", start_driver, prepare_message, driver_lives_on, retire_message},
};

/* --- one N of one case, in a process of its own --- */

static const struct failing_case *the_case;
static unsigned fails_at, failures;
static struct books *expected; /* at the end, where nothing has failed; all processes' */
static enum { FAILED = 10, ABSORBED, NONE_LEFT } outcome;

/* The case works, and has given all back that is not made once for all. */
static struct books repeat(void)
{
    int error = the_case->run();

    if (error)
        fail_msg("error %d without a failure: %s", error, slot_of(the_case->vm)->config->reason.text);
    the_case->undo();
    return look();
}

static void one_failure(void **state)
{
    struct books after;
    int error;

    (void)state;
    start_machine();
    assert_int_equal(manager_start(slot_of("neighbour")), 0);
    memcpy(memory_of("neighbour", KIB(64)), "is here", 8);
    if (the_case->prepare)
        the_case->prepare();
    page_fail(fails_at, failures);
    error = the_case->run();
    outcome = page_fails_in() > 0 ? NONE_LEFT : error ? FAILED : ABSORBED;
    page_fail(0, 0);
    if (outcome == FAILED)
        the_case->check(error);
    else
        assert_int_equal(error, 0);
    the_case->undo();
    after = look();
    assert_string_equal(memory_of("neighbour", KIB(64)), "is here");
    assert_true(repeat().free_pages <= after.free_pages);
    after = look();
    assert_same(repeat(), after);
    if (outcome == NONE_LEFT)
        *expected = after;
    else
        assert_same(after, *expected);
}

/* What passes says nothing. */
static void show(FILE *said)
{
    int c;

    rewind(said);
    while ((c = fgetc(said)) != EOF)
        fputc(c, stderr);
}

static int run_in_child(void)
{
    const struct CMUnitTest test[] = {cmocka_unit_test(one_failure)};
    FILE *said = tmpfile();
    int status;

    assert_non_null(said);
    fflush(NULL);
    if (fork() == 0) {
        dup2(fileno(said), STDOUT_FILENO);
        dup2(fileno(said), STDERR_FILENO);
        _exit(cmocka_run_group_tests(test, NULL, NULL) ? 1 : (int)outcome);
    }
    wait(&status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) < FAILED)
        show(said);
    fclose(said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void every_allocation_fails_once(const struct failing_case *c, unsigned times)
{
    unsigned refused = 0, status;

    the_case = c;
    failures = times;
    fails_at = FOREVER;
    assert_int_equal(run_in_child(), NONE_LEFT);
    for (fails_at = 1; (status = (unsigned)run_in_child()) != NONE_LEFT; fails_at++) {
        if (status != FAILED && status != ABSORBED)
            fail_msg("%s: allocation %u, %u failures", c->name, fails_at, times);
        refused += status == FAILED;
    }
    print_message("%s: %u allocations, %u of them needed, when %s failed\n", c->name, fails_at - 1, refused,
                  times == 1 ? "each alone" : "all from there on");
}

static void test_case(void **state)
{
    every_allocation_fails_once(*state, 1);
    every_allocation_fails_once(*state, FOREVER);
}

int main(void)
{
    struct CMUnitTest tests[ARRAY_SIZE(cases)];

    expected = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        tests[i] = (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)&cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
