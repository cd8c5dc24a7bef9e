/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the audit reads hardware and not our notes: it says of each device what it reaches and whose it is; a device that
 * reaches more or less than its guest's memory, and a unit that does not translate, are found.
 */
#include "tests/host/fake/vtd_rig.h"
#include "kernel/guest_mem.h"
#include "kernel/lib/errno.h"

struct seen {
    unsigned count;
    uint64_t bytes;
    struct iommu_reach last;
};

static int note_reach(void *context, const struct iommu_reach *reach)
{
    struct seen *s = context;

    s->count++;
    s->bytes += reach->size;
    s->last = *reach;
    return 0;
}

static int stop_at_once(void *context, const struct iommu_reach *reach)
{
    (void)context;
    (void)reach;
    return 77;
}

static void note_line(void *context, const char *text)
{
    strcpy(context, text);
}

static void the_audit_sees_what_devices_reach(void **state)
{
    struct seen s = {0};
    struct iommu_domain *d, *all;
    char line[200];

    (void)state;
    start();
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.count, 0);
    d = create();
    map(d, MIB(2), GIB(1) + MIB(2), MIB(2) + 0x1000);
    attach(d, BELOW);
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.bytes, MIB(2) + 0x1000);
    assert_int_equal(s.last.iova, MIB(4));
    assert_int_equal(s.last.hpa.value, GIB(1) + MIB(4));
    assert_int_equal(pci_requester_id(s.last.requester), BELOW);
    assert_string_equal(s.last.owner, "web");
    assert_int_equal(s.last.attributes, RW);
    iommu_ops = iommu;
    assert_int_equal(iommu_list(note_line, line), 0);
    iommu_ops = NULL;
    assert_string_equal(line, "0000:06:01.0 (web) rw 0x400000-0x400fff is memory at 0x40400000");
    assert_int_equal(iommu_list(note_line, line), -ENODEV);
    assert_int_equal(iommu->audit(stop_at_once, NULL), 77);
    assert_int_equal(iommu->domain_create("host", IOMMU_PASS_THROUGH, &all), 0);
    attach(all, OTHER);
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.last.size, BIT(48));
}

/* It reads hardware, not our notes. */
static void the_audit_sees_what_should_not_be(void **state)
{
    struct seen s = {0};
    struct iommu_domain *d;
    struct vtd_entry *e;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    e = vtd_context_find(&vtd_units[0], pci_requester(0, OTHER));
    *e = vtd_context_entry(IOMMU_TRANSLATED, d->pt.root, 4, d->id);
    map(d, 0, GIB(1), 0x1000);
    assert_int_equal(iommu->audit(note_reach, &s), 0);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.last.owner, "");
    e->high |= 7;
    assert_int_equal(iommu->audit(note_reach, &s), -EIO);
    e->low = 0;
    fake_units[1].status &= ~GCMD_TE;
    assert_int_equal(iommu->audit(note_reach, &s), -EIO);
    fake_units[1].status |= GCMD_TE;
    fake_units[0].root_written += 0x1000;
    assert_int_equal(iommu->audit(note_reach, &s), -EIO);
}

/* --- against the guests' memory --- */

static struct guest_mem checked_mem;

static const struct guest_mem *memory_of(struct pci_address requester)
{
    return pci_requester_id(requester) == NIC ? &checked_mem : NULL;
}

static struct iommu_domain *start_check(void)
{
    struct iommu_domain *d;

    start();
    iommu_ops = iommu;
    memset(&checked_mem, 0, sizeof checked_mem);
    assert_int_equal(guest_mem_add(&checked_mem, GPA(0), MIB(4), phys_to_virt(HPA(GIB(1)))), 0);
    assert_int_equal(guest_mem_add(&checked_mem, GPA(MIB(4)), MIB(2), phys_to_virt(HPA(GIB(2)))), 0);
    d = create();
    assert_int_equal(iommu_map_guest(d, &checked_mem), 0);
    attach(d, NIC);
    return d;
}

static void assert_check_says(const char *text)
{
    unsigned devices;

    assert_int_equal(iommu_check(memory_of, &devices), -EFAULT);
    assert_non_null(strstr(fake_log_last, text));
}

static void a_device_that_reaches_its_guests_memory_is_right(void **state)
{
    unsigned devices;

    (void)state;
    (void)start_check();
    assert_int_equal(iommu_check(memory_of, &devices), 0);
    assert_int_equal(devices, 1);
    iommu_ops = NULL;
    assert_int_equal(iommu_check(memory_of, &devices), -ENODEV);
}

static void a_device_that_reaches_more_or_less_is_found(void **state)
{
    struct iommu_domain *d = start_check();

    (void)state;
    assert_int_equal(iommu->unmap(d, MIB(4), PAGE_SIZE), 0);
    assert_check_says("misses 4 KiB");
    map(d, MIB(4), GIB(2) + PAGE_SIZE, PAGE_SIZE);
    assert_check_says("0000:00:03.0 reaches 0x80001000-0x80001fff at 0x400000, which is not its guest's memory");
    assert_int_equal(iommu->unmap(d, MIB(4), PAGE_SIZE), 0);
    map(d, MIB(4), GIB(2), PAGE_SIZE);
    map(d, MIB(8), GIB(1), PAGE_SIZE); /* its own, at another address */
    assert_check_says("which is not its guest's memory");
    assert_int_equal(iommu->unmap(d, MIB(8), PAGE_SIZE), 0);
    map(d, 0xfee00000, GIB(1), PAGE_SIZE);
    assert_check_says("lies where interrupts are");
    assert_int_equal(iommu->unmap(d, 0xfee00000, PAGE_SIZE), 0);
    attach(d, OTHER);
    assert_check_says("0000:00:1f.0 reaches");
    assert_check_says("is given to nobody");
    iommu_ops = NULL;
}

static void what_firmware_declared_is_no_mistake(void **state)
{
    unsigned devices;

    (void)state;
    add_rmrr(GIB(3), 0x4000, OTHER);
    start();
    iommu_ops = iommu;
    assert_int_equal(iommu_check(memory_of, &devices), 0);
    assert_int_equal(devices, 0);
    iommu_ops = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, vtd_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(the_audit_sees_what_devices_reach),
        TEST(the_audit_sees_what_should_not_be),
        TEST(a_device_that_reaches_its_guests_memory_is_right),
        TEST(a_device_that_reaches_more_or_less_is_found),
        TEST(what_firmware_declared_is_no_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
