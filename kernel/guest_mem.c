/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest-physical to host-virtual, checked; see guest_mem.h. */
#include "kernel/guest_mem.h"
#include "kernel/guest_pages.h"
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
    mem->slots[at] = (struct guest_mem_slot){.base = base, .size = size, .host = host};
    mem->count++;
    return 0;
}

/* --- slots of which pages were given back --- */

/* What is looked up at most for one piece: a long one costs no CPU much time. */
#define SCATTERED_PIECE_MAX MIB(2)

uint8_t *guest_mem_scattered(const struct guest_mem *mem, gpa_t address)
{
    return guest_pages_at(mem->pages, address);
}

/*
 * The piece ends where the host has its next page elsewhere, or none: only the first page is made if it is missing, so
 * that nobody gets much memory by naming it.
 */
static COLD void *scattered_piece(const struct guest_mem *mem, gpa_t address, uint64_t *size)
{
    uint64_t wanted = MIN(*size, SCATTERED_PIECE_MAX), got = PAGE_SIZE - address.value % PAGE_SIZE;
    uint8_t *start = guest_pages_at(mem->pages, address);

    while (start && got < wanted && guest_pages_find(mem->pages, GPA(address.value + got)) == start + got)
        got += PAGE_SIZE;
    *size = start ? MIN(got, wanted) : 0;
    return start;
}

static COLD void *scattered_at(const struct guest_mem *mem, gpa_t address, uint64_t size)
{
    uint64_t got = size;
    void *start = scattered_piece(mem, address, &got);

    return got == size ? start : NULL;
}

/* --- all slots --- */

void *guest_mem_piece(const struct guest_mem *mem, gpa_t address, uint64_t *size)
{
    const struct guest_mem_slot *slot = guest_mem_find_slot(mem, address);
    uint64_t offset;

    if (!slot) {
        *size = 0;
        return NULL;
    }
    offset = address.value - slot->base.value;
    *size = MIN(*size, slot->size - offset);
    if (unlikely(READ_ONCE(slot->is_scattered)))
        return scattered_piece(mem, address, size);
    return slot->host + offset;
}

void *guest_mem_at(const struct guest_mem *mem, gpa_t address, uint64_t size)
{
    const struct guest_mem_slot *slot = guest_mem_find_slot(mem, address);

    if (!slot || !range_fits(address.value - slot->base.value, size, slot->size))
        return NULL;
    if (unlikely(READ_ONCE(slot->is_scattered)))
        return scattered_at(mem, address, size);
    return slot->host + (address.value - slot->base.value);
}

/* Makes what is missing, too. */
static bool is_ram(const struct guest_mem *mem, gpa_t address, uint64_t size)
{
    while (size > 0) {
        uint64_t here = size;

        if (!guest_mem_piece(mem, address, &here))
            return false;
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
        uint64_t here = size;
        const void *piece = guest_mem_piece(mem, address, &here);

        if (!piece)
            return -EFAULT;
        memcpy(out, piece, here);
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
        uint64_t here = size;
        void *piece = guest_mem_piece(mem, address, &here);

        if (!piece)
            return -EFAULT;
        memcpy(piece, in, here);
        in += here;
        address.value += here;
        size -= here;
    }
    return 0;
}
