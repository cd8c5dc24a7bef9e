/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest-physical to host-virtual, checked; see guest_mem.h. */
#include "kernel/guest_mem.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

int guest_mem_add(struct guest_mem *mem, gpa_t base, uint64_t size, void *host)
{
    unsigned at = mem->count;

    if (size == 0 || !IS_ALIGNED(base.value | size, PAGE_SIZE) || base.value + size < base.value)
        return -EINVAL;
    for (unsigned i = 0; i < mem->count; i++)
        if (ranges_overlap(base.value, size, mem->slots[i].base.value, mem->slots[i].size))
            return -EEXIST;
    if (mem->count == GUEST_MEM_SLOTS_MAX)
        return -ENOSPC;
    for (; at > 0 && mem->slots[at - 1].base.value > base.value; at--)
        mem->slots[at] = mem->slots[at - 1];
    mem->slots[at] = (struct guest_mem_slot){base, size, host};
    mem->count++;
    return 0;
}

uint64_t guest_mem_contiguous(const struct guest_mem *mem, gpa_t address)
{
    const struct guest_mem_slot *slot = guest_mem_find_slot(mem, address);

    return slot ? slot->size - (address.value - slot->base.value) : 0;
}

void *guest_mem_at(const struct guest_mem *mem, gpa_t address, uint64_t size)
{
    const struct guest_mem_slot *slot = guest_mem_find_slot(mem, address);

    if (!slot || !range_fits(address.value - slot->base.value, size, slot->size))
        return NULL;
    return slot->host + (address.value - slot->base.value);
}

static bool is_ram(const struct guest_mem *mem, gpa_t address, uint64_t size)
{
    while (size > 0) {
        uint64_t here = guest_mem_contiguous(mem, address);

        if (here == 0)
            return false;
        here = MIN(here, size);
        address.value += here;
        size -= here;
    }
    return true;
}

int guest_mem_read(const struct guest_mem *mem, gpa_t address, void *to, uint64_t size)
{
    uint8_t *out = to;

    if (!is_ram(mem, address, size))
        return -EFAULT;
    while (size > 0) {
        uint64_t here = MIN(guest_mem_contiguous(mem, address), size);

        memcpy(out, guest_mem_at(mem, address, here), here);
        out += here;
        address.value += here;
        size -= here;
    }
    return 0;
}

int guest_mem_write(const struct guest_mem *mem, gpa_t address, const void *from, uint64_t size)
{
    const uint8_t *in = from;

    if (!is_ram(mem, address, size))
        return -EFAULT;
    while (size > 0) {
        uint64_t here = MIN(guest_mem_contiguous(mem, address), size);

        memcpy(guest_mem_at(mem, address, here), in, here);
        in += here;
        address.value += here;
        size -= here;
    }
    return 0;
}
