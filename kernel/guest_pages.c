/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A slot begins as one block of the allocator's. With the first page that leaves it the block is split into single
 * pages, and the slot is scattered for good. A page that comes back is the very same one if nobody took it meanwhile,
 * so that memory which was only lent stays in one piece, and its large pages come back.
 */
#include "kernel/guest_pages.h"
#include "arch/arch.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/page.h"
#include "kernel/pt.h"
#include "kernel/stage2.h"

#define FREE_STEP_PAGES 512u

void guest_pages_init(struct guest_pages *gp, struct guest_mem *mem, struct pt *pt)
{
    *gp = (struct guest_pages){.mem = mem, .pt = pt};
    mem->pages = gp;
}

static struct guest_mem_slot *find_slot(struct guest_pages *gp, gpa_t address)
{
    return (struct guest_mem_slot *)guest_mem_find_slot(gp->mem, address);
}

/* --- looking --- */

static bool find_page(const struct guest_pages *gp, gpa_t address, hpa_t *page)
{
    struct pt_mapping m;

    if (!pt_lookup(gp->pt, address.value, &m))
        return false;
    *page = HPA(m.hpa.value + ALIGN_DOWN(address.value - m.virt, PAGE_SIZE));
    return true;
}

uint8_t *guest_pages_find(const struct guest_pages *gp, gpa_t address)
{
    hpa_t page;

    if (!guest_mem_find_slot(gp->mem, address) || !find_page(gp, address, &page))
        return NULL;
    return (uint8_t *)phys_to_virt(page) + address.value % PAGE_SIZE;
}

/* --- giving back --- */

bool guest_pages_has_room(const struct guest_pages *gp)
{
    return !READ_ONCE(gp->is_flushing) && READ_ONCE(gp->limbo_count) < GUEST_PAGES_LIMBO_MAX &&
           READ_ONCE(gp->looks) < GUEST_PAGES_LOOKS_MAX;
}

static void add_to_limbo(struct guest_pages *gp, hpa_t start, uint64_t pages)
{
    struct guest_pages_extent *last = gp->limbo_count > 0 ? &gp->limbo[gp->limbo_count - 1] : NULL;

    if (last && last->start.value + last->pages * PAGE_SIZE == start.value)
        last->pages += pages;
    else
        gp->limbo[gp->limbo_count++] = (struct guest_pages_extent){start, pages};
    gp->missing += pages;
}

/* Whoever looks at the slot next goes by the tables, which so far say the same. */
static void scatter(struct guest_mem *mem, struct guest_mem_slot *slot)
{
    if (slot->is_scattered)
        return;
    page_split(virt_to_phys(slot->host), page_order_for(slot->size));
    __atomic_store_n(&mem->is_scattered, true, __ATOMIC_RELEASE);
    __atomic_store_n(&slot->is_scattered, true, __ATOMIC_RELEASE);
}

/* One run of pages: as far as the tables, the slot and the host agree. Returns its bytes, or 0: it cannot be. */
static uint64_t release_run(struct guest_pages *gp, gpa_t address, uint64_t size, uint64_t *pages)
{
    struct guest_mem_slot *slot = find_slot(gp, address);
    struct pt_mapping m;
    uint64_t offset;

    gp->looks++;
    if (!slot || !pt_lookup(gp->pt, address.value, &m))
        return PAGE_SIZE; /* of that page there is nothing to take */
    offset = address.value - m.virt;
    size = MIN(size, m.size - offset);
    size = MIN(size, slot->size - (address.value - slot->base.value));
    scatter(gp->mem, slot);
    if (stage2_unmap(gp->pt, address, size) != 0)
        return 0;
    add_to_limbo(gp, HPA(m.hpa.value + offset), size >> PAGE_SHIFT);
    *pages += size >> PAGE_SHIFT;
    return size;
}

uint64_t guest_pages_release(struct guest_pages *gp, gpa_t address, uint64_t size, uint64_t *done)
{
    uint64_t pages = 0, run = 1;

    ASSERT(IS_ALIGNED(address.value | size, PAGE_SIZE) && address.value + size >= address.value);
    *done = 0;
    lock_acquire(&gp->lock);
    while (*done < size && run > 0 && guest_pages_has_room(gp)) {
        run = release_run(gp, GPA(address.value + *done), size - *done, &pages);
        *done += run;
    }
    lock_release(&gp->lock);
    return pages;
}

/* --- taking again --- */

/* The page that was there at first, if it is still free. */
static int alloc_page(const struct guest_mem_slot *slot, gpa_t address, hpa_t *page)
{
    *page = virt_to_phys(slot->host + (address.value - slot->base.value));
    if (page_take(*page) != 0 && page_alloc(PAGE_ORDER_4K, page) != 0)
        return -ENOMEM;
    page_mark_guests(*page, PAGE_ORDER_4K);
    memset(phys_to_virt(*page), 0, PAGE_SIZE);
    return 0;
}

/* Another CPU may have been faster. */
static int add_page(struct guest_pages *gp, gpa_t address, hpa_t page)
{
    struct pt_mapping m;
    int error = -EEXIST;

    lock_acquire(&gp->lock);
    if (!pt_lookup(gp->pt, address.value, &m))
        error = stage2_map(gp->pt, address, page, PAGE_SIZE);
    gp->missing -= error == 0;
    lock_release(&gp->lock);
    return error;
}

int guest_pages_restore(struct guest_pages *gp, gpa_t address)
{
    const struct guest_mem_slot *slot = find_slot(gp, address);
    hpa_t page;
    int error;

    address.value = ALIGN_DOWN(address.value, PAGE_SIZE);
    if (!slot)
        return -EFAULT;
    if (find_page(gp, address, &page))
        return 0;
    error = alloc_page(slot, address, &page);
    if (error)
        return error;
    error = add_page(gp, address, page);
    if (error)
        page_free(page, PAGE_ORDER_4K);
    return error == -EEXIST ? 0 : error;
}

uint8_t *guest_pages_at(struct guest_pages *gp, gpa_t address)
{
    uint8_t *byte = guest_pages_find(gp, address);

    if (likely(byte))
        return byte;
    if (guest_pages_restore(gp, address) == -ENOMEM && gp->exhausted)
        gp->exhausted(gp->context);
    return guest_pages_find(gp, address);
}

/* --- flushing --- */

bool guest_pages_begin_flush(struct guest_pages *gp)
{
    bool has_work;

    lock_acquire(&gp->lock);
    gp->looks = 0;
    has_work = gp->limbo_count > 0 || gp->pt->is_stale;
    gp->is_flushing = has_work;
    gp->pt->is_stale = false;
    lock_release(&gp->lock);
    return has_work;
}

/* Small pages that became a large one meanwhile have left a table that some CPU may still walk. */
bool guest_pages_end_flush(struct guest_pages *gp)
{
    bool is_clean;

    lock_acquire(&gp->lock);
    is_clean = !gp->pt->is_stale;
    if (is_clean)
        pt_flushed(gp->pt);
    lock_release(&gp->lock);
    return is_clean;
}

static void free_pages(hpa_t start, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++)
        page_free(HPA(start.value + i * PAGE_SIZE), PAGE_ORDER_4K);
}

/* Nothing is added to limbo as long as this flush lasts: no lock. */
bool guest_pages_free_flushed(struct guest_pages *gp)
{
    struct guest_pages_extent *last;
    uint64_t count;

    ASSERT(gp->is_flushing);
    if (gp->limbo_count > 0) {
        last = &gp->limbo[gp->limbo_count - 1];
        count = MIN(last->pages, FREE_STEP_PAGES);
        last->pages -= count;
        free_pages(HPA(last->start.value + last->pages * PAGE_SIZE), count);
        gp->limbo_count -= last->pages == 0;
    }
    if (gp->limbo_count == 0)
        __atomic_store_n(&gp->is_flushing, false, __ATOMIC_RELEASE);
    return gp->limbo_count > 0;
}

/* --- the end --- */

static void free_scattered(struct guest_pages *gp, gpa_t address, uint64_t size)
{
    hpa_t page;

    for (uint64_t offset = 0; offset < size; offset += PAGE_SIZE)
        if (find_page(gp, GPA(address.value + offset), &page))
            page_free(page, PAGE_ORDER_4K);
}

/* The next piece of the RAM that lies behind `next`; false: there is none. */
static const struct guest_mem_slot *next_slot(const struct guest_pages *gp, uint64_t next)
{
    for (unsigned i = 0; i < gp->mem->count; i++)
        if (gp->mem->slots[i].base.value + gp->mem->slots[i].size > next)
            return &gp->mem->slots[i];
    return NULL;
}

static uint64_t free_piece(struct guest_pages *gp, const struct guest_mem_slot *slot, uint64_t from)
{
    uint64_t end = slot->base.value + slot->size;

    if (!slot->is_scattered) {
        page_free(virt_to_phys(slot->host), page_order_for(slot->size));
        return end;
    }
    end = MIN(end, from + FREE_STEP_PAGES * PAGE_SIZE);
    free_scattered(gp, GPA(from), end - from);
    return end;
}

bool guest_pages_free_all(struct guest_pages *gp, uint64_t *next)
{
    const struct guest_mem_slot *slot;

    if (gp->limbo_count > 0) {
        gp->is_flushing = true;
        guest_pages_free_flushed(gp);
        return true;
    }
    slot = next_slot(gp, *next);
    if (slot)
        *next = free_piece(gp, slot, MAX(*next, slot->base.value));
    return slot;
}
