/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/machine_rig.h"
#include "tests/host/fake/arch.h"
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
#include "kernel/heap.h"
#include "kernel/iommu.h"
#include "kernel/machine_ranges.h"
#include "kernel/manager.h"
#include "kernel/multiboot2.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/random.h"
#include "kernel/stage2.h"
#include <malloc.h>

#define NIC_BAR   0xfe000000u
#define NIC_BYTES 0x4000u
#define CAP_MSIX  0x40u
#define MESSAGES  3u
#define TABLE     0x2000u
#define PIN_GSI   16u

uint64_t heap_objects, heap_bytes;
unsigned routed_pins;

/* --- the heap, where ASan sees each object --- */

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

void start_machine(void)
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
