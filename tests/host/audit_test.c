/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an audit of VMs that have only what is their own finds nothing; of each thing that a VM must not have – a page of
 * the hypervisor's, another VM's, its own at the wrong place, a device that is not its own, an open port or MSR – it finds that
 * one, and says where.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/apic_regs.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/msr.h"
#include "arch/x86/vmx/ept.h"
#include "kernel/audit.h"
#include "kernel/iommu.h"
#include "kernel/lib/string.h"
#include "kernel/page.h"
#include "kernel/vm.h"
#include "tests/host/fake/arch.h"

#define RAM_START  MIB(16)
#define RAM_BYTES  MIB(64)
#define GUEST_ORDER PAGE_ORDER_2M
#define GUEST_BYTES (PAGE_SIZE << GUEST_ORDER)
#define DEVICE_HPA 0xfeb00000u
#define BITS       1000u

static struct vm vms[2];
static struct pt tables[2];
static struct vcpu vcpu;
static hpa_t apic_page;
static char reported[512];
static struct audit audit;
static enum passed open_what;
static uint32_t open_index;
static bool is_open, is_in_force, is_served;

static uint64_t visit_passed(const struct vcpu *v, void (*visit)(void *context, enum passed what, uint32_t index), void *context)
{
    (void)v;
    visit(context, PASSED_MSR_READ, MSR_IA32_SYSENTER_CS);
    if (is_open)
        visit(context, open_what, open_index);
    return is_in_force ? BITS : 0;
}

static bool serves_msr(const struct vcpu *v, enum passed what, uint32_t index)
{
    (void)v;
    (void)what;
    return is_served && index == open_index;
}

static bool is_own_port(const struct vm *vm, uint16_t port)
{
    return vm == &vms[0] && port == 0x2f8;
}

static hpa_t find_apic_page(const struct vm *vm)
{
    return vm == &vms[0] ? apic_page : HPA(0);
}

static const struct vcpu_ops engine = {.visit_passed = visit_passed, .serves_msr = serves_msr, .apic_page = find_apic_page};
static const struct vcpu_ops *before;

static bool is_own_device(const struct vm *vm, const struct pt_mapping *page)
{
    return vm == &vms[0] && page->hpa.value == DEVICE_HPA;
}

static void report(void *context, const char *text)
{
    (void)context;
    strncat(reported, text, sizeof reported - strlen(reported) - 1);
}

static void make_vm(unsigned n, const char *name)
{
    hpa_t block;

    vms[n] = (struct vm){.stage2 = &tables[n]};
    strcpy(vms[n].name, name);
    assert_int_equal(pt_create(&tables[n], &ept_format, &pt_host_memory, PT_LEAF_4K | PT_LEAF_2M), 0);
    assert_int_equal(page_alloc(GUEST_ORDER, &block), 0);
    page_mark_guests(block, GUEST_ORDER);
    assert_int_equal(pt_map(&tables[n], 0, block, GUEST_BYTES, PT_READ | PT_WRITE | PT_EXEC), 0);
    assert_int_equal(guest_mem_add(&vms[n].mem, GPA(0), GUEST_BYTES, phys_to_virt(block)), 0);
}

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(RAM_START), RAM_BYTES), 0);
    msr_init();
    before = vcpu_ops;
    vcpu_ops = &engine;
    make_vm(0, "web");
    make_vm(1, "db");
    assert_int_equal(page_alloc(PAGE_ORDER_4K, &apic_page), 0);
    assert_int_equal(pt_map(&tables[0], APIC_DEFAULT_BASE, apic_page, PAGE_SIZE, PT_READ | PT_WRITE), 0);
    assert_int_equal(pt_map(&tables[0], GIB(3), HPA(DEVICE_HPA), PAGE_SIZE, PT_READ | PT_WRITE | PT_UNCACHED), 0);
    vcpu = (struct vcpu){.vm = &vms[0]};
    vms[0].vcpus[0] = &vcpu;
    vms[0].vcpu_count = 1;
    is_in_force = true;
    is_open = is_served = false;
    reported[0] = '\0';
    iommu_ops = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vcpu_ops = before;
    iommu_ops = NULL;
    return 0;
}

static const struct vm *find_vm(const char *name)
{
    return strcmp(name, "web") == 0 ? &vms[0] : strcmp(name, "db") == 0 ? &vms[1] : NULL;
}

/* Returns the number of violations. */
static unsigned run(void)
{
    struct page_stats first, last;

    page_get_stats(&first);
    audit = (struct audit){.is_given = is_own_device, .is_port_given = is_own_port, .report = report};
    assert_int_equal(audit_begin(&audit), 0);
    audit_vm(&audit, &vms[0], true);
    audit_vm(&audit, &vms[1], true);
    assert_int_equal(audit_iommu(&audit, find_vm), 0);
    audit_end(&audit);
    page_get_stats(&last);
    assert_int_equal(first.free_pages, last.free_pages);
    return audit.violations;
}

static void assert_found(const char *what)
{
    assert_int_equal(run(), 1);
    assert_non_null(strstr(reported, what));
}

static void what_is_its_own_is_fine(void **state)
{
    char text[128];

    (void)state;
    assert_int_equal(run(), 0);
    audit_format(&audit, text, sizeof text);
    assert_string_equal(text, "2 VMs, 1026 pages, 1000 bitmap bits: ok");
}

static hpa_t host_page(void)
{
    hpa_t page;

    assert_int_equal(page_alloc(PAGE_ORDER_4K, &page), 0);
    return page;
}

static void a_page_of_the_hypervisors_is_found(void **state)
{
    (void)state;
    assert_int_equal(pt_map(&tables[1], GUEST_BYTES, host_page(), PAGE_SIZE, PT_READ), 0);
    assert_found("db: 0x200000 is mapped to");
}

static void ram_at_the_wrong_place_is_found(void **state)
{
    hpa_t own = virt_to_phys(vms[1].mem.slots[0].host);

    (void)state;
    assert_int_equal(pt_unmap(&tables[1], MIB(1), PAGE_SIZE), 0);
    assert_int_equal(pt_map(&tables[1], MIB(1), HPA(own.value + PAGE_SIZE), PAGE_SIZE, PT_READ | PT_WRITE | PT_EXEC), 0);
    assert_found("db: RAM at 0x100000 is");
}

/* Of scattered RAM only the marks tell. */
static void replace_page(hpa_t by)
{
    vms[1].mem.slots[0].is_scattered = true;
    assert_int_equal(pt_unmap(&tables[1], MIB(1), PAGE_SIZE), 0);
    assert_int_equal(pt_map(&tables[1], MIB(1), by, PAGE_SIZE, PT_READ | PT_WRITE | PT_EXEC), 0);
}

static void a_page_of_the_hypervisors_in_scattered_ram_is_found(void **state)
{
    (void)state;
    replace_page(host_page());
    assert_found("which is no guest's");
}

static void a_free_page_is_found(void **state)
{
    hpa_t page = host_page();

    (void)state;
    replace_page(page);
    page_mark_guests(page, PAGE_ORDER_4K);
    assert_int_equal(run(), 0);
    page_free(page, PAGE_ORDER_4K);
    assert_int_equal(run(), 1);
}

static void another_vms_page_is_found(void **state)
{
    (void)state;
    replace_page(HPA(virt_to_phys(vms[0].mem.slots[0].host).value + MIB(1)));
    assert_found("which is mapped elsewhere, too");
}

static void anothers_device_is_found(void **state)
{
    (void)state;
    assert_int_equal(pt_map(&tables[1], GIB(3), HPA(DEVICE_HPA), PAGE_SIZE, PT_READ | PT_WRITE | PT_UNCACHED), 0);
    assert_found("db: 0xc0000000 is mapped to 0xfeb00000");
}

static void another_apic_page_is_found(void **state)
{
    (void)state;
    apic_page = host_page();
    assert_found("web: 0xfee00000 is mapped to");
}

static void an_open_port_is_found(void **state)
{
    (void)state;
    is_open = true;
    open_what = PASSED_PORT;
    open_index = 0xcf8;
    assert_found("web/0: port 0xcf8 makes no exit");
    open_index = 0x2f8; /* which it was given */
    assert_int_equal(run(), 0);
}

static void an_open_msr_is_found_unless_the_apic_page_serves_it(void **state)
{
    (void)state;
    is_open = true;
    open_what = PASSED_MSR_WRITE;
    open_index = MSR_IA32_X2APIC_FIRST + APIC_EOI / 16;
    is_served = true;
    assert_int_equal(run(), 0);
    is_served = false;
    assert_found("web/0: writing MSR 0x80b makes no exit");
}

/* Reading the TSC passes, writing it does not. */
static void reading_is_not_writing(void **state)
{
    (void)state;
    is_open = true;
    open_index = MSR_IA32_TIME_STAMP_COUNTER;
    open_what = PASSED_MSR_READ;
    assert_int_equal(run(), 0);
    open_what = PASSED_MSR_WRITE;
    assert_int_equal(run(), 1);
}

static void bitmaps_that_are_not_in_force_are_found(void **state)
{
    (void)state;
    is_in_force = false;
    assert_found("not the ones in force");
}

/* --- what devices reach --- */

static struct iommu_reach reach;

static int visit_reach(int (*visit)(void *context, const struct iommu_reach *reach), void *context)
{
    return visit(context, &reach);
}

static void a_device_that_reaches_another_vm_is_found(void **state)
{
    static const struct iommu_ops ops = {.audit = visit_reach};

    (void)state;
    iommu_ops = &ops;
    reach = (struct iommu_reach){.owner = "web", .iova = 0, .hpa = virt_to_phys(vms[0].mem.slots[0].host), .size = MIB(2)};
    assert_int_equal(run(), 0);
    reach.hpa = virt_to_phys(vms[1].mem.slots[0].host);
    assert_found("of web reaches");
    strcpy(reach.owner, "firmware");
    assert_int_equal(run(), 1);
    reach.hpa = HPA(0x7f000000);
    assert_int_equal(run(), 0);
}

static void many_violations_are_counted_and_few_are_told(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(pt_map(&tables[1], GUEST_BYTES + i * PAGE_SIZE, host_page(), PAGE_SIZE, PT_READ), 0);
    assert_int_equal(run(), 100);
    assert_true(strlen(reported) < sizeof reported);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_its_own_is_fine),
        TEST(a_page_of_the_hypervisors_is_found),
        TEST(ram_at_the_wrong_place_is_found),
        TEST(a_page_of_the_hypervisors_in_scattered_ram_is_found),
        TEST(a_free_page_is_found),
        TEST(another_vms_page_is_found),
        TEST(anothers_device_is_found),
        TEST(another_apic_page_is_found),
        TEST(an_open_port_is_found),
        TEST(an_open_msr_is_found_unless_the_apic_page_serves_it),
        TEST(reading_is_not_writing),
        TEST(bitmaps_that_are_not_in_force_are_found),
        TEST(a_device_that_reaches_another_vm_is_found),
        TEST(many_violations_are_counted_and_few_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
