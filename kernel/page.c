/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A buddy allocator. Each range of RAM has one byte of notes a page: what kind of block starts
 * there, and of which order. Free blocks of an order are linked through their own first bytes.
 *
 * Invariants: two free buddies are never left apart; the notes alone decide what is free, so that a
 * link which somebody overwrote (a write after free) is noticed before it is followed.
 */
#include "kernel/page.h"
#include "arch/arch.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"

#define RANGES_MAX 64
#define LOW_PAGES  (MIB(1) >> PAGE_SHIFT)
#define NO_PAGE    0u /* page 0 is nobody's: the BIOS keeps its data there, and it reads as "none" */

/* A byte of the notes: the kind of block that starts at the page, or'ed with its order; of a used one, whose it is. */
#define NOTE_INSIDE 0x00u /* no block starts here */
#define NOTE_FREE   0x40u
#define NOTE_USED   0x80u
#define NOTE_GUESTS 0x20u
#define NOTE_ORDER  0x1fu
_Static_assert(PAGE_ORDER_MAX <= NOTE_ORDER, "a note has room for every order");

struct range {
    uint64_t first, count;             /* pages that can be allocated */
    uint64_t whole_first, whole_count; /* with the pages that hold the notes */
    uint8_t *notes;                    /* one a page */
};

struct free_block {
    uint64_t next, previous; /* page numbers */
};

static struct lock page_lock; /* guards everything below, the notes and the links */
static struct range ranges[RANGES_MAX];
static unsigned range_count;
static uint64_t free_lists[PAGE_ORDER_MAX + 1]; /* page number of the first block */
static struct page_stats totals;
static uint64_t low_known[LOW_PAGES / 64], low_free[LOW_PAGES / 64]; /* bitmaps by page number */
static unsigned fails_in, failures; /* page_fail(): allocations until the first, how many from there on */

static hpa_t page_address(uint64_t page)
{
    return HPA(page << PAGE_SHIFT);
}

static const struct range *find_range(uint64_t page)
{
    for (unsigned i = 0; i < range_count; i++)
        if (page - ranges[i].first < ranges[i].count)
            return &ranges[i];
    return NULL;
}

/* NULL: no memory of ours. */
static uint8_t *find_note(uint64_t page)
{
    const struct range *range = find_range(page);

    return range ? &range->notes[page - range->first] : NULL;
}

static bool is_free_block(uint64_t page, unsigned order)
{
    const uint8_t *note = find_note(page);

    return note && *note == (NOTE_FREE | order);
}

static struct free_block *free_block_at(uint64_t page, unsigned order)
{
    if (!is_free_block(page, order))
        panic("page: a free block of order %u was written to: its link says page %#lx", order,
              page);
    return phys_to_virt(page_address(page));
}

static void link_free(uint64_t page, unsigned order)
{
    uint64_t next = free_lists[order];

    *find_note(page) = (uint8_t)(NOTE_FREE | order);
    *free_block_at(page, order) = (struct free_block){.next = next, .previous = NO_PAGE};
    if (next != NO_PAGE)
        free_block_at(next, order)->previous = page;
    free_lists[order] = page;
    totals.free_blocks[order]++;
    totals.free_pages += BIT(order);
}

/* Leaves the page with the given note. */
static void unlink_free(uint64_t page, unsigned order, unsigned note)
{
    struct free_block links = *free_block_at(page, order);

    if (links.next != NO_PAGE)
        free_block_at(links.next, order)->previous = links.previous;
    if (links.previous != NO_PAGE)
        free_block_at(links.previous, order)->next = links.next;
    else
        free_lists[order] = links.next;
    *find_note(page) = (uint8_t)note;
    totals.free_blocks[order]--;
    totals.free_pages -= BIT(order);
}

static void release_block(uint64_t page, unsigned order)
{
    *find_note(page) = NOTE_INSIDE;
    while (order < PAGE_ORDER_MAX && is_free_block(page ^ BIT(order), order)) {
        unlink_free(page ^ BIT(order), order, NOTE_INSIDE);
        page &= ~BIT(order);
        order++;
    }
    link_free(page, order);
}

/* NO_PAGE: none left. */
static uint64_t take_block(unsigned order)
{
    unsigned found = order;
    uint64_t page;

    while (found <= PAGE_ORDER_MAX && free_lists[found] == NO_PAGE)
        found++;
    if (found > PAGE_ORDER_MAX)
        return NO_PAGE;
    page = free_lists[found];
    unlink_free(page, found, NOTE_USED | order);
    while (found > order) {
        found--;
        link_free(page + BIT(found), found);
    }
    return page;
}

/* The page out of the free block that holds it, whose other parts stay free. */
static void take_out(uint64_t page, uint64_t block, unsigned order)
{
    unlink_free(block, order, NOTE_INSIDE);
    while (order > 0) {
        uint64_t upper = block + BIT(--order);

        link_free(page < upper ? upper : block, order);
        if (page >= upper)
            block = upper;
    }
    *find_note(page) = NOTE_USED;
}

static bool take_page(uint64_t page)
{
    for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++) {
        uint64_t block = page & ~(BIT(order) - 1);

        if (is_free_block(block, order)) {
            take_out(page, block, order);
            return true;
        }
    }
    return false;
}

/* --- adding ranges --- */

void page_init(void)
{
    page_lock = (struct lock){0};
    range_count = 0;
    totals = (struct page_stats){0};
    memset(free_lists, 0, sizeof free_lists);
    memset(low_known, 0, sizeof low_known);
    memset(low_free, 0, sizeof low_free);
}

static bool is_known(uint64_t first, uint64_t count)
{
    for (unsigned i = 0; i < range_count; i++)
        if (ranges_overlap(first, count, ranges[i].whole_first, ranges[i].whole_count))
            return true;
    for (uint64_t page = first; page < MIN(first + count, LOW_PAGES); page++)
        if (low_known[page / 64] & BIT(page % 64))
            return true;
    return false;
}

static void add_low_pages(uint64_t first, uint64_t end)
{
    for (uint64_t page = MAX(first, 1u); page < end; page++) {
        low_known[page / 64] |= BIT(page % 64);
        low_free[page / 64] |= BIT(page % 64);
        totals.low_total_pages++;
        totals.low_free_pages++;
    }
}

/* The largest blocks that alignment and the range's end allow. */
static void release_range(uint64_t first, uint64_t count)
{
    while (count > 0) {
        unsigned order = MIN((unsigned)__builtin_ctzll(first), PAGE_ORDER_MAX);

        while (BIT(order) > count)
            order--;
        release_block(first, order);
        first += BIT(order);
        count -= BIT(order);
    }
}

static void add_high_pages(uint64_t first, uint64_t count)
{
    uint64_t notes_pages = (count + PAGE_SIZE) / (PAGE_SIZE + 1);
    /* The less aligned end is the cheaper one: the other may be the start of a large page. */
    bool at_end = __builtin_ctzll(first) > __builtin_ctzll(first + count);
    struct range *range = &ranges[range_count++];

    range->whole_first = first;
    range->whole_count = count;
    range->first = at_end ? first : first + notes_pages;
    range->count = count - notes_pages;
    range->notes = phys_to_virt(page_address(at_end ? first + range->count : first));
    memset(range->notes, NOTE_INSIDE, range->count);
    totals.total_pages += range->count;
    release_range(range->first, range->count);
}

static int add_pages(uint64_t first, uint64_t end)
{
    uint64_t high = MAX(first, LOW_PAGES);

    if (is_known(first, end - first))
        return -EEXIST;
    if (high < end && range_count == RANGES_MAX)
        return -ENOSPC;
    add_low_pages(first, MIN(end, LOW_PAGES));
    if (high < end)
        add_high_pages(high, end - high);
    return 0;
}

int page_add_range(hpa_t start, uint64_t size_bytes)
{
    uint64_t first = (start.value >> PAGE_SHIFT) + !IS_ALIGNED(start.value, PAGE_SIZE);
    uint64_t end = (start.value + size_bytes) >> PAGE_SHIFT;
    int error;

    if (start.value + size_bytes < start.value)
        return -EINVAL;
    if (first >= end)
        return 0;
    lock_acquire(&page_lock);
    error = add_pages(first, end);
    lock_release(&page_lock);
    return error;
}

/* --- allocations that fail because a test wants it --- */

void page_fail(unsigned number, unsigned times)
{
    lock_acquire(&page_lock);
    fails_in = number;
    failures = times;
    lock_release(&page_lock);
}

unsigned page_fails_in(void)
{
    return READ_ONCE(fails_in);
}

/* The lock is held. Once it is due it stays so until the last failure. */
static bool take_failure(void)
{
    if (failures == 0 || (fails_in > 0 && --fails_in > 0))
        return false;
    failures--;
    return true;
}

bool page_is_to_fail(void)
{
    bool is_due;

    if (likely(READ_ONCE(failures) == 0))
        return false;
    lock_acquire(&page_lock);
    is_due = take_failure();
    lock_release(&page_lock);
    return is_due;
}

/* --- allocating and freeing --- */

int page_alloc(unsigned order, hpa_t *block)
{
    uint64_t page;

    ASSERT(order <= PAGE_ORDER_MAX);
    lock_acquire(&page_lock);
    page = take_failure() ? NO_PAGE : take_block(order);
    lock_release(&page_lock);
    *block = page_address(page);
    return page == NO_PAGE ? -ENOMEM : 0;
}

int page_alloc_zeroed(unsigned order, hpa_t *block)
{
    int error = page_alloc(order, block);

    if (!error)
        memset(phys_to_virt(*block), 0, PAGE_SIZE << order);
    return error;
}

static uint64_t take_low_page(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(low_free); i++) {
        if (low_free[i] != 0) {
            unsigned bit = (unsigned)__builtin_ctzll(low_free[i]);

            low_free[i] &= ~BIT(bit);
            totals.low_free_pages--;
            return 64 * i + bit;
        }
    }
    return NO_PAGE;
}

int page_alloc_low(hpa_t *page)
{
    uint64_t taken;

    lock_acquire(&page_lock);
    taken = take_low_page();
    lock_release(&page_lock);
    *page = page_address(taken);
    return taken == NO_PAGE ? -ENOMEM : 0;
}

static void free_low(uint64_t page, unsigned order)
{
    uint64_t bit = BIT(page % 64);

    if (order != 0 || !(low_known[page / 64] & bit))
        panic("page: %#lx was never allocated with order %u", page << PAGE_SHIFT, order);
    if (low_free[page / 64] & bit)
        panic("page: %#lx is freed twice", page << PAGE_SHIFT);
    low_free[page / 64] |= bit;
    totals.low_free_pages++;
}

static void check_is_used(uint64_t page, unsigned order)
{
    const uint8_t *note = find_note(page);

    if (!note)
        panic("page: %#lx is freed, but is no memory of the allocator", page << PAGE_SHIFT);
    if (*note & NOTE_FREE)
        panic("page: %#lx is freed twice", page << PAGE_SHIFT);
    if (*note == NOTE_INSIDE)
        panic("page: %#lx is freed, but no allocated block starts there", page << PAGE_SHIFT);
    if ((*note & ~NOTE_GUESTS) != (NOTE_USED | order))
        panic("page: %#lx was allocated with order %u, is freed with %u", page << PAGE_SHIFT,
              *note & NOTE_ORDER, order);
}

void page_free(hpa_t block, unsigned order)
{
    uint64_t page = block.value >> PAGE_SHIFT;

    ASSERT(IS_ALIGNED(block.value, PAGE_SIZE));
    lock_acquire(&page_lock);
    if (page < LOW_PAGES) {
        free_low(page, order);
    } else {
        check_is_used(page, order);
        release_block(page, order);
    }
    lock_release(&page_lock);
}

int page_take(hpa_t page)
{
    bool is_taken;

    ASSERT(IS_ALIGNED(page.value, PAGE_SIZE));
    lock_acquire(&page_lock);
    is_taken = !take_failure() && take_page(page.value >> PAGE_SHIFT);
    lock_release(&page_lock);
    return is_taken ? 0 : -EBUSY;
}

void page_split(hpa_t block, unsigned order)
{
    uint64_t page = block.value >> PAGE_SHIFT;

    ASSERT(IS_ALIGNED(block.value, PAGE_SIZE));
    lock_acquire(&page_lock);
    check_is_used(page, order);
    memset(find_note(page), NOTE_USED | (*find_note(page) & NOTE_GUESTS), BIT(order));
    lock_release(&page_lock);
}

void page_mark_guests(hpa_t block, unsigned order)
{
    uint64_t page = block.value >> PAGE_SHIFT;

    lock_acquire(&page_lock);
    check_is_used(page, order);
    *find_note(page) |= NOTE_GUESTS;
    lock_release(&page_lock);
}

/* The first page behind the guest's block that the page is in; the page itself: it is in none. */
static uint64_t end_of_guests_block(uint64_t page)
{
    for (unsigned order = 0; order <= PAGE_ORDER_MAX; order++) {
        uint64_t block = page & ~(BIT(order) - 1);
        const uint8_t *note = find_note(block);

        if (note && *note == (NOTE_USED | NOTE_GUESTS | order))
            return block + BIT(order);
    }
    return page;
}

bool page_is_guests(hpa_t start, uint64_t size_bytes)
{
    uint64_t page = start.value >> PAGE_SHIFT, end = (start.value + size_bytes + PAGE_SIZE - 1) >> PAGE_SHIFT, next;

    lock_acquire(&page_lock);
    for (; page < end; page = next) {
        next = end_of_guests_block(page);
        if (next == page)
            break;
    }
    lock_release(&page_lock);
    return page >= end;
}

hpa_t page_end(void)
{
    uint64_t end = 0;

    for (unsigned i = 0; i < range_count; i++)
        end = MAX(end, ranges[i].first + ranges[i].count);
    return page_address(end);
}

void page_get_stats(struct page_stats *stats)
{
    lock_acquire(&page_lock);
    *stats = totals;
    lock_release(&page_lock);
}
