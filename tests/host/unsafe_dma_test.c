/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: where nothing confines devices, a guest gets one only if its memory is where the device looks for it; nobody
 * is told that it is confined; a device is one guest's at a time, and its messages go where they say.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "arch/x86/unsafe_dma.h"
#include "kernel/guest_mem.h"
#include "kernel/heap.h"
#include "kernel/iommu.h"
#include "kernel/lib/errno.h"
#include "kernel/page.h"

static const struct iommu_device disk = {.address = {0, 0, 0x28}};
static struct iommu_domain *domain;

static int set_up(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(64)), MIB(16)), 0);
    heap_init();
    iommu_ops = unsafe_dma_start();
    return iommu_ops->domain_create("web", IOMMU_TRANSLATED, &domain);
}

static int tear_down(void **state)
{
    (void)state;
    iommu_ops->domain_destroy(domain);
    iommu_ops = NULL;
    return 0;
}

static void it_says_that_it_confines_nothing(void **state)
{
    (void)state;
    assert_false(iommu_ops->confines);
    assert_false(iommu_ops->remaps_interrupts());
    assert_non_null(strstr(fake_log_last, "UNSAFE"));
}

/* The first MiB is the guest's own, elsewhere. */
static void only_memory_at_its_own_address_is_mapped(void **state)
{
    struct guest_mem mem = {.count = 0};

    (void)state;
    assert_int_equal(guest_mem_add(&mem, GPA(0), MIB(1), phys_to_virt(HPA(MIB(70)))), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(MIB(4)), MIB(8), phys_to_virt(HPA(MIB(4)))), 0);
    assert_int_equal(iommu_map_guest(domain, &mem), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(MIB(12)), MIB(1), phys_to_virt(HPA(MIB(71)))), 0);
    assert_int_equal(iommu_map_guest(domain, &mem), -EINVAL);
    assert_int_equal(iommu_ops->map(domain, 0, HPA(MIB(70)), MIB(1) + PAGE_SIZE, 0), -EINVAL);
}

static int count_reach(void *context, const struct iommu_reach *r)
{
    unsigned *count = context;

    assert_string_equal(r->owner, "web");
    assert_true(pci_is_same(r->requester, disk.address));
    assert_int_equal(r->iova, 0);
    assert_true(r->size >= BIT(40));
    ++*count;
    return 0;
}

static void a_device_is_in_one_domain(void **state)
{
    struct iommu_domain *other;
    unsigned count = 0;

    (void)state;
    assert_int_equal(iommu_ops->domain_create("other", IOMMU_TRANSLATED, &other), 0);
    assert_int_equal(iommu_ops->attach(domain, &disk), 0);
    assert_int_equal(iommu_ops->attach(other, &disk), -EBUSY);
    assert_int_equal(iommu_ops->detach(other, disk.address), -ENODEV);
    assert_int_equal(iommu_ops->audit(count_reach, &count), 0);
    assert_int_equal(count, 1); /* everything */
    assert_int_equal(iommu_ops->detach(domain, disk.address), 0);
    assert_int_equal(iommu_ops->audit(count_reach, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(iommu_ops->attach(other, &disk), 0);
    assert_int_equal(iommu_ops->detach(other, disk.address), 0);
    iommu_ops->domain_destroy(other);
}

static void attachments_are_bounded(void **state)
{
    int error = 0;
    unsigned n = 0;

    (void)state;
    for (; !error; n++)
        error = iommu_ops->attach(domain, &(struct iommu_device){.address = {1, 0, (uint8_t)n}});
    assert_int_equal(error, -ENOSPC);
    for (unsigned i = 0; i + 1 < n; i++)
        assert_int_equal(iommu_ops->detach(domain, (struct pci_address){1, 0, (uint8_t)i}), 0);
}

static void messages_name_the_cpu_themselves(void **state)
{
    struct iommu_route route = {.apic_id = 3, .vector = 0x41};
    struct iommu_interrupts *interrupts;
    struct iommu_message m;

    (void)state;
    assert_int_equal(iommu_ops->interrupts_create(disk.address, 2, &interrupts), 0);
    assert_int_equal(iommu_ops->interrupts_route(interrupts, 0, &route, &m), 0);
    assert_int_equal(m.address, 0xfee03000);
    assert_int_equal(m.data, 0x41);
    assert_int_equal(iommu_ops->interrupts_route(interrupts, 2, &route, &m), -EINVAL);
    assert_int_equal(iommu_ops->interrupts_route(interrupts, 0, NULL, &m), -ENOTSUP);
    route.apic_id = 256;
    assert_int_equal(iommu_ops->interrupts_route(interrupts, 0, &route, &m), -ENOTSUP);
    iommu_ops->interrupts_destroy(interrupts);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_says_that_it_confines_nothing),      TEST(only_memory_at_its_own_address_is_mapped),
        TEST(a_device_is_in_one_domain),             TEST(attachments_are_bounded),
        TEST(messages_name_the_cpu_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
