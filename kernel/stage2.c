/* SPDX-License-Identifier: BSD-2-Clause */
#include "kernel/stage2.h"
#include "kernel/pt.h"

int stage2_create(struct pt *pt)
{
    return pt_create(pt, stage2_ops->format, &pt_host_memory, stage2_ops->leaf_levels());
}

void stage2_destroy(struct pt *pt)
{
    pt_destroy(pt);
}

int stage2_map(struct pt *pt, gpa_t gpa, hpa_t hpa, uint64_t size)
{
    return pt_map(pt, gpa.value, hpa, size, PT_READ | PT_WRITE | PT_EXEC);
}

int stage2_map_shared(struct pt *pt, gpa_t gpa, hpa_t hpa, uint64_t size)
{
    return pt_map(pt, gpa.value, hpa, size, PT_READ | PT_WRITE);
}

int stage2_map_device(struct pt *pt, gpa_t gpa, hpa_t hpa, uint64_t size)
{
    return pt_map(pt, gpa.value, hpa, size, PT_READ | PT_WRITE | PT_UNCACHED);
}

int stage2_unmap(struct pt *pt, gpa_t gpa, uint64_t size)
{
    return pt_unmap(pt, gpa.value, size);
}
