/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever two VMs' tables map, the audit finds something if, and only if, some page is one that the VM must not
 * have, or that both have. Input: records of 4 bytes {what, page of the guest, page of the machine, rights}.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/vmx/ept.h"
#include "kernel/audit.h"
#include "kernel/iommu.h"
#include "kernel/page.h"
#include "kernel/vm.h"
#include "tests/host/fake/arch.h"

#define RECORD_BYTES 4u
#define RAM_START    MIB(16)
#define RAM_BYTES    MIB(16)
#define PAGES        16u /* of a VM's RAM, and as many addresses behind it */
#define DEVICE       (GIB(3))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm vms[2];
static struct pt tables[2];
static hpa_t blocks[2], of_host; /* each of PAGES pages */
static hpa_t mapped[2][2 * PAGES];
static bool is_code[2][2 * PAGES];

static hpa_t no_apic_page(const struct vm *vm)
{
    (void)vm;
    return HPA(0);
}

static const struct vcpu_ops engine = {.apic_page = no_apic_page};

/* The first VM has a device, a page at its address. */
static bool is_own_device(const struct vm *vm, const struct pt_mapping *page)
{
    return vm == &vms[0] && page->hpa.value == DEVICE;
}

static void report(void *context, const char *text)
{
    (void)context;
    if (strlen(text) == 0)
        abort();
}

static void start(void)
{
    fake_ram_reset();
    page_init();
    if (page_add_range(HPA(RAM_START), RAM_BYTES) != 0 || page_alloc(4, &of_host) != 0)
        abort();
    memset(mapped, 0, sizeof mapped);
    iommu_ops = NULL;
    vcpu_ops = &engine;
    for (unsigned i = 0; i < 2; i++) {
        vms[i] = (struct vm){.stage2 = &tables[i], .name = "web"};
        if (pt_create(&tables[i], &ept_format, &pt_host_memory, PT_LEAF_4K | PT_LEAF_2M) != 0 || page_alloc(4, &blocks[i]) != 0)
            abort();
        page_mark_guests(blocks[i], 4);
        if (guest_mem_add(&vms[i].mem, GPA(0), PAGES * PAGE_SIZE, phys_to_virt(blocks[i])) != 0)
            abort();
    }
}

/* Its own, the other's, the hypervisor's, or a device's. */
static hpa_t choose_page(unsigned vm, uint8_t choice)
{
    uint64_t offset = (uint64_t)(choice % PAGES) << PAGE_SHIFT;

    switch (choice >> 4) {
    case 0:
        return HPA(blocks[!vm].value + offset);
    case 1:
        return HPA(of_host.value + offset);
    case 2:
        return HPA(DEVICE);
    default:
        return HPA(blocks[vm].value + offset);
    }
}

static void map(const uint8_t record[RECORD_BYTES])
{
    unsigned vm = record[0] & 1, page = record[1] % (2 * PAGES);
    bool executes = record[3] & 1;
    hpa_t hpa = choose_page(vm, record[2]);

    if (record[0] & 2)
        hpa = HPA(blocks[vm].value + ((uint64_t)(page % PAGES) << PAGE_SHIFT)); /* its place, if it is RAM */
    if (mapped[vm][page].value)
        return;
    if (pt_map(&tables[vm], (uint64_t)page << PAGE_SHIFT, hpa, PAGE_SIZE, PT_READ | PT_WRITE | (executes ? PT_EXEC : 0)) != 0)
        abort();
    mapped[vm][page] = hpa;
    is_code[vm][page] = executes;
}

static void unmap(const uint8_t record[RECORD_BYTES])
{
    unsigned vm = record[0] & 1, page = record[1] % (2 * PAGES);

    if (pt_unmap(&tables[vm], (uint64_t)page << PAGE_SHIFT, PAGE_SIZE) != 0)
        abort();
    mapped[vm][page] = HPA(0);
}

/* --- the definition --- */

static bool is_of(hpa_t hpa, hpa_t block)
{
    return hpa.value - block.value < PAGES * PAGE_SIZE;
}

static bool has_elsewhere(unsigned vm, unsigned page)
{
    for (unsigned other = 0; other < 2; other++)
        for (unsigned i = 0; i < PAGES; i++)
            if ((other != vm || i != page) && mapped[other][i].value == mapped[vm][page].value)
                return true;
    return false;
}

/* As long as its RAM is in one piece, a page has one place; else any page of a guest's may be it. */
static bool is_wrong(unsigned vm, unsigned page)
{
    const struct guest_mem_slot *slot = &vms[vm].mem.slots[0];
    hpa_t hpa = mapped[vm][page];

    if (!hpa.value)
        return false;
    if (page >= PAGES)
        return vm != 0 || hpa.value != DEVICE || is_code[vm][page];
    if (!slot->is_scattered && hpa.value != blocks[vm].value + ((uint64_t)page << PAGE_SHIFT))
        return true;
    return (!is_of(hpa, blocks[0]) && !is_of(hpa, blocks[1])) || has_elsewhere(vm, page);
}

static void check(void)
{
    struct audit audit = {.is_given = is_own_device, .report = report};
    bool is_bad = false;

    for (unsigned vm = 0; vm < 2; vm++)
        for (unsigned page = 0; page < 2 * PAGES; page++)
            is_bad |= is_wrong(vm, page);
    if (audit_begin(&audit) != 0)
        abort();
    audit_vm(&audit, &vms[0], false);
    audit_vm(&audit, &vms[1], false);
    audit_end(&audit);
    if ((audit.violations > 0) != is_bad)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start();
    for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES) {
        const uint8_t *record = data + at;

        if (record[0] % 16 == 15)
            vms[record[0] >> 4 & 1].mem.slots[0].is_scattered ^= true;
        else if (record[0] % 16 == 14)
            check();
        else if (record[0] % 16 == 13)
            unmap(record);
        else
            map(record);
    }
    check();
    return 0;
}
