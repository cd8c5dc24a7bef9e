/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/pt_rig.h"
#include "tests/host/fake/arch.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/vmx/ept.h"
#include "kernel/lib/errno.h"

unsigned allocs_left;
void (*after_store)(void);
static unsigned stores;

struct pt pt;
bool is_ept;
uint64_t pages_at_start;

/* --- memory --- */

static int table_alloc(hpa_t *table)
{
    if (allocs_left != NEVER && allocs_left-- == 0) {
        allocs_left = 0;
        return -ENOMEM;
    }
    return page_alloc_zeroed(0, table);
}

static void table_free(hpa_t table)
{
    memset(phys_to_virt(table), 0xff, PAGE_SIZE);
    page_free(table, 0);
}

static void table_store(uint64_t *entry, uint64_t value)
{
    *entry = value;
    stores++;
    if (after_store)
        after_store();
}

const struct pt_memory table_memory = {table_alloc, table_free, phys_to_virt, table_store};

/* --- the hardware --- */

bool same(struct translation a, struct translation b)
{
    return a.present == b.present && (!a.present || (a.hpa == b.hpa && a.write == b.write &&
                                                     a.exec == b.exec && a.uncached == b.uncached));
}

struct translation hardware_walk(bool ept, hpa_t root, uint64_t virt)
{
    struct translation t = {.present = true, .write = true, .exec = true};
    uint64_t table = root.value, entry;

    for (unsigned shift = 39;; shift -= 9) {
        entry = ((uint64_t *)phys_to_virt(HPA(table)))[(virt >> shift) & 511];
        if (!(entry & (ept ? 7 : 1)))
            return (struct translation){0};
        t.write = t.write && (entry & 2);
        t.exec = t.exec && (ept ? (entry & 4) != 0 : !(entry >> 63));
        table = entry & 0x000ffffffffff000;
        if (shift == 12 || (entry & 0x80)) {
            assert_true(shift < 39);
            assert_int_equal(table & ((UINT64_C(1) << shift) - 1), 0); /* reserved bits */
            t.uncached = ept ? (entry & 0x38) == 0 : (entry & 0x18) == 0x18;
            t.hpa = table + (virt & ((UINT64_C(1) << shift) - 1));
            return t;
        }
    }
}

struct translation asked_for(uint64_t hpa, unsigned attributes)
{
    return (struct translation){true, hpa, (attributes & PT_WRITE) != 0,
                                (attributes & PT_EXEC) != 0, (attributes & PT_UNCACHED) != 0};
}

/* --- fixture --- */

uint64_t free_pages(void)
{
    struct page_stats s;

    page_get_stats(&s);
    return s.free_pages;
}

int set_up_format(const struct pt_format *format, unsigned leaf_levels)
{
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(2)), MIB(32)), 0);
    pages_at_start = free_pages();
    allocs_left = NEVER;
    after_store = NULL;
    is_ept = format == &ept_format;
    assert_int_equal(pt_create(&pt, format, &table_memory, leaf_levels), 0);
    return 0;
}

int set_up_host(void **state)
{
    (void)state;
    return set_up_format(&paging_format, ALL_LEAVES);
}

int set_up_ept(void **state)
{
    (void)state;
    return set_up_format(&ept_format, ALL_LEAVES);
}

int tear_down(void **state)
{
    (void)state;
    after_store = NULL;
    allocs_left = NEVER;
    pt_destroy(&pt);
    assert_int_equal(free_pages(), pages_at_start);
    return 0;
}
