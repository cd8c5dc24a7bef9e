/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/arch.h"
#include "kernel/lib/assert.h"
#include <sys/mman.h>

static uint8_t *ram(void)
{
    static uint8_t *base;

    if (!base) {
        base = mmap(NULL, FAKE_RAM_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ASSERT(base != MAP_FAILED);
    }
    return base;
}

void *phys_to_virt(hpa_t address)
{
    ASSERT(address.value < FAKE_RAM_BYTES);
    return ram() + address.value;
}

hpa_t virt_to_phys(const void *pointer)
{
    uint64_t offset = (uint64_t)((const uint8_t *)pointer - ram());

    ASSERT(offset < FAKE_RAM_BYTES);
    return HPA(offset);
}

void fake_ram_reset(void)
{
    ASSERT(madvise(ram(), FAKE_RAM_BYTES, MADV_DONTNEED) == 0);
}
