/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables in memory that fails on demand and calls a hook after each store, and the hardware that reads them: a walk written
 * from the manual alone. Each test runs for both formats.
 */
#ifndef TESTS_HOST_FAKE_PT_RIG_H
#define TESTS_HOST_FAKE_PT_RIG_H

#include "tests/host/fake/fake.h"
#include "kernel/page.h"
#include "kernel/pt.h"

#define NEVER (~0u)
/* So many tables are still found. */
extern unsigned allocs_left;
extern void (*after_store)(void); /* NULL: none */
extern const struct pt_memory table_memory;

struct translation {
    bool present;
    uint64_t hpa;
    bool write, exec, uncached;
};
bool same(struct translation a, struct translation b);
struct translation hardware_walk(bool ept, hpa_t root, uint64_t virt);
struct translation asked_for(uint64_t hpa, unsigned attributes);

#define RW         (PT_READ | PT_WRITE)
#define RWX        (RW | PT_EXEC)
#define ALL_LEAVES (PT_LEAF_4K | PT_LEAF_2M | PT_LEAF_1G)

extern struct pt pt;
extern bool is_ept;
extern uint64_t pages_at_start;

uint64_t free_pages(void);
int set_up_format(const struct pt_format *format, unsigned leaf_levels);
int set_up_host(void **state);
int set_up_ept(void **state);
int tear_down(void **state);

#define BOTH(test)                                         \
    {#test " (host)", test, set_up_host, tear_down, NULL}, \
    {                                                      \
#test " (EPT)", test, set_up_ept, tear_down, NULL  \
    }

#endif
