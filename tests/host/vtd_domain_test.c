/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: against a unit that caches whatever it may cache and believes nothing else than the specification, a device
 * reaches exactly what its domain maps, at every moment; whatever a unit fails to do is reported and never taken for done.
 */
#include "tests/host/fake/vtd_rig.h"
#include "kernel/guest_mem.h"
#include "kernel/lib/errno.h"
#include "kernel/page.h"

/* --- domains --- */

static void a_device_reaches_what_its_domain_maps(void **state)
{
    struct iommu_domain *a, *b;

    (void)state;
    start();
    a = create();
    b = create();
    map(a, 0, GIB(1), MIB(4));
    attach(a, NIC);
    attach(a, OTHER); /* behind the other unit */
    attach(b, BELOW);
    map(b, 0x5000, GIB(1) + MIB(8), 0x3000);
    assert_reaches(NIC, 0x1fffff, GIB(1) + 0x1fffff);
    assert_reaches(OTHER, MIB(4) - 1, GIB(1) + MIB(4) - 1);
    assert_reaches(BELOW, 0x7000, GIB(1) + MIB(8) + 0x2000);
    assert_blocked(NIC, MIB(4));
    assert_blocked(BELOW, 0x8000);
    assert_blocked(BELOW, BIT(50));
    assert_blocked(NIC + 1, 0);
    detach(a, NIC);
    assert_blocked(NIC, 0);
    assert_reaches(OTHER, 0, GIB(1));
    attach(b, NIC);
    assert_reaches(NIC, 0x5000, GIB(1) + MIB(8));
    assert_blocked(NIC, 0);
    detach(a, OTHER);
    detach(b, NIC);
    detach(b, BELOW);
    iommu->domain_destroy(a);
    iommu->domain_destroy(b);
}

/* What is cached is gone when unmap returns, with large pages split on the way. */
static void what_was_unmapped_is_blocked_at_once(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    attach(d, OTHER);
    map(d, 0, GIB(1), GIB(1));
    assert_reaches(NIC, 0x3000, GIB(1) + 0x3000);
    assert_reaches(OTHER, 0x3000, GIB(1) + 0x3000);
    assert_int_equal(iommu->unmap(d, 0x3000, 0x1000), 0);
    assert_blocked(NIC, 0x3000);
    assert_blocked(OTHER, 0x3fff);
    assert_reaches(NIC, 0x2000, GIB(1) + 0x2000);
    assert_reaches(NIC, 0x4000, GIB(1) + 0x4000);
    map(d, 0x3000, GIB(1) + 0x3000, 0x1000);
    assert_reaches(OTHER, 0x3000, GIB(1) + 0x3000);
}

static void caching_mode_and_write_buffers_are_told_of_new_mappings(void **state)
{
    struct iommu_domain *d;
    unsigned flushes, writes;

    (void)state;
    fake_units[0].cap |= CAP_CM | CAP_RWBF;
    start();
    d = create();
    attach(d, NIC);
    flushes = fake_units[0].domain_flushes;
    writes = fake_units[0].write_flushes;
    map(d, 0, GIB(1), 0x1000);
    assert_int_equal(fake_units[0].domain_flushes, flushes + 1);
    assert_int_equal(fake_units[0].write_flushes, writes + 1);
    flushes = fake_units[1].domain_flushes;
    assert_int_equal(fake_units[1].domain_flushes, flushes);
    assert_int_equal(fake_units[1].write_flushes, 0);
}

static void read_only_is_read_only(void **state)
{
    struct iommu_domain *d;
    uint64_t hpa;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    assert_int_equal(iommu->map(d, 0, HPA(GIB(1)), 0x1000, PT_READ), 0);
    assert_true(fake_unit_translate(&fake_units[0], NIC, 0, false, &hpa));
    assert_false(fake_unit_translate(&fake_units[0], NIC, 0, true, &hpa));
}

static void the_units_decide_about_tables(void **state)
{
    static const struct {
        uint64_t sagaw[2];
        unsigned levels;
    } cases[] = {{{6, 6}, 4}, {{2, 6}, 3}, {{4, 6}, 4}, {{4, 2}, 0}, {{0x14, 4}, 4}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct iommu_domain *d;

        vtd_rig_set_up(NULL);
        for (unsigned u = 0; u < FAKE_UNITS; u++)
            fake_units[u].cap = (FAKE_UNIT_CAP & ~(UINT64_C(0x1f) << 8)) | cases[i].sagaw[u] << 8;
        fake_units[0].ecap &= ~(i % 2 ? ECAP_C : 0);
        fake_units[1].cap &= ~(i % 2 ? CAP_SLLPS_1G : 0);
        start();
        if (cases[i].levels == 0) {
            assert_int_equal(iommu->domain_create("web", IOMMU_TRANSLATED, &d), -ENOTSUP);
        } else {
            d = create();
            map(d, 0, GIB(1), GIB(1));
            attach(d, NIC);
            assert_int_equal(vtd_common.levels, cases[i].levels);
            assert_reaches(NIC, MIB(513), GIB(1) + MIB(513));
        }
    }
}

static void addresses_beyond_the_width_are_refused(void **state)
{
    struct iommu_domain *d;

    (void)state;
    fake_units[1].cap = (FAKE_UNIT_CAP & ~(UINT64_C(0x3f) << 16)) | UINT64_C(38) << 16;
    start();
    d = create();
    assert_int_equal(iommu->map(d, BIT(39) - 0x1000, HPA(0), 0x2000, RW), -EINVAL);
    map(d, BIT(39) - 0x1000, 0, 0x1000);
    assert_int_equal(iommu->map(d, BIT(39) - 0x1000, HPA(0), 0x1000, RW), -EEXIST);
}

static void domains_have_numbers_of_their_own(void **state)
{
    struct iommu_domain *d[15], *one_more;

    (void)state;
    fake_units[1].cap &= ~UINT64_C(7); /* 16 domains */
    start();
    for (unsigned i = 0; i < ARRAY_SIZE(d); i++) {
        d[i] = create();
        assert_int_not_equal(d[i]->id, 0);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(d[i]->id, d[j]->id);
    }
    assert_int_equal(iommu->domain_create("x", IOMMU_TRANSLATED, &one_more), -ENOSPC);
    iommu->domain_destroy(d[3]);
    assert_int_equal(iommu->domain_create("x", IOMMU_TRANSLATED, &one_more), 0);
}

static void pass_through_only_where_asked(void **state)
{
    struct iommu_domain *d;
    struct iommu_device other = device(OTHER);

    (void)state;
    fake_units[1].ecap &= ~ECAP_PT;
    start();
    assert_int_equal(iommu->domain_create("host", IOMMU_PASS_THROUGH, &d), 0);
    attach(d, NIC);
    assert_reaches(NIC, GIB(7), GIB(7));
    assert_int_equal(iommu->attach(d, &other), -ENOTSUP);
    assert_int_equal(iommu->map(d, 0, HPA(0), 0x1000, RW), -EINVAL);
    assert_int_equal(iommu->unmap(d, 0, 0x1000), -EINVAL);
    detach(d, NIC);
    assert_blocked(NIC, GIB(7));
    iommu->domain_destroy(d);
}

static void a_device_has_one_domain(void **state)
{
    struct iommu_domain *a, *b;
    struct iommu_device nic = device(NIC), nowhere = {pci_requester(1, NIC), false};

    (void)state;
    start();
    a = create();
    b = create();
    attach(a, NIC);
    assert_int_equal(iommu->attach(b, &nic), -EBUSY);
    assert_int_equal(iommu->attach(b, &nowhere), -ENODEV); /* no unit in that segment */
    assert_int_equal(iommu->detach(b, nic.address), -ENODEV);
    expect_panic(iommu->domain_destroy(a));
}

static void a_guest_is_mapped_as_a_whole_or_not_at_all(void **state)
{
    struct guest_mem mem = {.count = 0};
    struct iommu_domain *d;

    (void)state;
    start();
    iommu_ops = iommu;
    assert_int_equal(guest_mem_add(&mem, GPA(0), MIB(2), phys_to_virt(HPA(GIB(1)))), 0);
    assert_int_equal(guest_mem_add(&mem, GPA(GIB(4)), MIB(4), phys_to_virt(HPA(GIB(1) + MIB(2)))),
                     0);
    d = create();
    attach(d, NIC);
    assert_int_equal(iommu_map_guest(d, &mem), 0);
    assert_reaches(NIC, GIB(4) + 5, GIB(1) + MIB(2) + 5);
    assert_int_equal(iommu->unmap(d, 0, MIB(2)), 0);
    assert_int_equal(iommu_map_guest(d, &mem), -EEXIST); /* the second slot is there */
    assert_blocked(NIC, 0);
    iommu_ops = NULL;
}

/* --- a unit that stops working --- */

static const char *owner_of(struct pci_address device)
{
    static char name[IOMMU_OWNER_BYTES];

    vtd_copy_owner(device, name);
    return name;
}

static void a_unit_that_hangs_is_never_taken_for_done(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    map(d, 0, GIB(1), MIB(2));
    assert_reaches(NIC, 0, GIB(1));
    fake_units[0].queue_hangs = true;
    assert_int_equal(iommu->unmap(d, 0, MIB(2)), -EIO);
    assert_int_equal(iommu->detach(d, pci_requester(0, NIC)), -EIO);
    assert_string_equal(owner_of(pci_requester(0, NIC)), "web");
    fake_units[0].queue_hangs = false;
    detach(d, NIC);
    assert_blocked(NIC, 0);
    iommu->domain_destroy(d);
}

static void a_refused_request_is_logged_and_the_queue_goes_on(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    map(d, 0, GIB(1), MIB(2));
    fake_units[0].queue_refuses = true;
    assert_int_equal(iommu->unmap(d, 0, 0x1000), -EIO);
    fake_units[0].queue_refuses = false;
    assert_int_equal(iommu->unmap(d, 0x1000, 0x1000), 0);
    assert_blocked(NIC, 0);
    assert_blocked(NIC, 0x1000);
}

/* The queue's end is its beginning. */
static void the_queue_wraps(void **state)
{
    struct iommu_domain *d;

    (void)state;
    start();
    d = create();
    attach(d, NIC);
    for (unsigned i = 0; i < 3 * IQ_ENTRIES; i++) {
        map(d, 0, GIB(1) + i * PAGE_SIZE, 0x1000);
        assert_reaches(NIC, 0, GIB(1) + i * PAGE_SIZE);
        assert_int_equal(iommu->unmap(d, 0, 0x1000), 0);
    }
    assert_blocked(NIC, 0);
}

static void an_attachment_that_fails_leaves_nothing(void **state)
{
    struct iommu_domain *d;
    struct iommu_device nic = device(NIC);
    hpa_t page, next;

    (void)state;
    start();
    d = create();
    while (page_alloc(0, &next) == 0)
        page = next;
    assert_int_equal(iommu->attach(d, &nic), -ENOMEM);
    page_free(page, 0);
    assert_string_equal(owner_of(nic.address), "");
    attach(d, NIC);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, vtd_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_device_reaches_what_its_domain_maps),
        TEST(what_was_unmapped_is_blocked_at_once),
        TEST(caching_mode_and_write_buffers_are_told_of_new_mappings),
        TEST(read_only_is_read_only),
        TEST(the_units_decide_about_tables),
        TEST(addresses_beyond_the_width_are_refused),
        TEST(domains_have_numbers_of_their_own),
        TEST(pass_through_only_where_asked),
        TEST(a_device_has_one_domain),
        TEST(a_guest_is_mapped_as_a_whole_or_not_at_all),
        TEST(a_unit_that_hangs_is_never_taken_for_done),
        TEST(a_refused_request_is_logged_and_the_queue_goes_on),
        TEST(the_queue_wraps),
        TEST(an_attachment_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
