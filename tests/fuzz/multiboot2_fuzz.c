/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: no boot information, however damaged, is read past its end or overflows an array. */
#include "kernel/lib/bytes.h"
#include "kernel/memmap.h"
#include "kernel/multiboot2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct boot_info info;
static struct memmap map;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)multiboot2_parse(data, size, &info);
    map.count = 0;
    for (unsigned i = 0; i < info.memory_count; i++)
        (void)!memmap_add(&map, info.memory[i].start, info.memory[i].size, info.memory[i].type);
    for (unsigned i = 1; i < map.count; i++)
        if (map.ranges[i - 1].start.value + map.ranges[i - 1].size > map.ranges[i].start.value)
            __builtin_trap();
    return 0;
}
