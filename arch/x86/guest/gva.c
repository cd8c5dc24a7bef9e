/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two walkers, one for tables of 64-bit entries (PAE, 4-level, 5-level) and one for 32-bit paging,
 * gather what the common end needs: the address, the rights that all levels grant, the entries to
 * mark as accessed. Tables outside of RAM read as all ones.
 *
 * Before them stands a short cut, because a walk is a part of every MMIO exit: it knows the usual
 * case only and may say nothing but yes. Whatever it cannot say yes to is walked from the start.
 *
 * SDM 3A, "Paging": the sections on each mode, "Access Rights", "Accessed and Dirty Flags".
 */
#include "arch/x86/guest/gva.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

#define LEVELS_MAX 5

enum outcome { FOUND, NOT_PRESENT, RESERVED_BIT };

struct walk {
    const struct gva_context *ctx;
    uint64_t gva;
    const struct guest_mem_slot *slot; /* where the last table was */
    uint64_t gpa;                      /* the result */
    uint64_t rights; /* bits that every entry has; XD inverted, as a right to execute */
    unsigned step_count;
    struct step {
        void *entry;
        uint64_t value;
    } steps[LEVELS_MAX]; /* the entries used, from the root on */
};

/* NULL: not RAM. Tables are aligned, so the entry lies in one slot. */
static void *entry_at(struct walk *w, uint64_t gpa)
{
    const struct guest_mem_slot *slot = w->slot;

    if (gpa - slot->base.value >= slot->size) {
        slot = guest_mem_find_slot(w->ctx->mem, GPA(gpa));
        if (!slot)
            return NULL;
        w->slot = slot;
    }
    return guest_mem_in_slot(w->ctx->mem, slot, GPA(gpa));
}

static void take_step(struct walk *w, void *entry, uint64_t value)
{
    w->steps[w->step_count++] = (struct step){entry, value};
    w->rights &= value ^ PTE_XD;
}

static inline uint64_t span_mask(unsigned shift)
{
    return BIT(shift) - 1;
}

/* --- 64-bit entries --- */

static inline uint64_t reserved_bits(const struct gva_context *ctx)
{
    uint64_t reserved = PTE_ADDRESS & ~span_mask(ctx->physical_bits);

    if (!(ctx->efer & EFER_NXE))
        reserved |= PTE_XD;
    if (!(ctx->efer & EFER_LMA))
        reserved |= PTE_XD - BIT(52);
    return reserved;
}

/* A large page: does the level have such, and is its address aligned? */
static bool is_good_large_page(const struct gva_context *ctx, unsigned shift, uint64_t entry)
{
    unsigned largest_shift = ctx->has_1g_pages ? 30 : 21;
    uint64_t pat_bit = BIT(12);

    return shift <= largest_shift && !(entry & PTE_ADDRESS & span_mask(shift) & ~pat_bit);
}

static enum outcome walk_wide(struct walk *w, uint64_t table, unsigned shift)
{
    uint64_t reserved = reserved_bits(w->ctx);
    uint64_t entry;

    for (;; shift -= PT_INDEX_BITS) {
        uint64_t index = (w->gva >> shift) % PT_ENTRIES;
        uint64_t *p = entry_at(w, (table & PTE_ADDRESS) + index * sizeof entry);

        entry = p ? READ_ONCE(*p) : ~UINT64_C(0);
        if (!(entry & PTE_P))
            return NOT_PRESENT;
        if (entry & reserved)
            return RESERVED_BIT;
        take_step(w, p, entry);
        if (shift == PAGE_SHIFT || (entry & PTE_PS))
            break;
        table = entry;
    }
    if (shift != PAGE_SHIFT && !is_good_large_page(w->ctx, shift, entry))
        return RESERVED_BIT;
    w->gpa = (entry & PTE_ADDRESS & ~span_mask(shift)) | (w->gva & span_mask(shift));
    return FOUND;
}

/* The CPU walks from its copies of the page-directory-pointer entries; they hold no rights. */
static enum outcome walk_pae(struct walk *w)
{
    uint64_t pdpte = w->ctx->pdpte[(w->gva >> 30) % GVA_PDPTES];

    return pdpte & PTE_P ? walk_wide(w, pdpte, 21) : NOT_PRESENT;
}

/* --- 32-bit entries --- */

#define PDE_SHIFT        22u
#define PDE_ENTRIES      1024u
#define TABLE32_ADDRESS  UINT64_C(0xfffff000)
#define PAGE_4M_ADDRESS  UINT64_C(0xffc00000)
#define PAGE_4M_RESERVED BIT(21)
#define PSE36_SHIFT      13 /* bits 20:13 of a PDE are bits 39:32 of a 4 MiB page's address */
#define PSE36_MASK       UINT64_C(0xff)

static uint64_t read_entry32(struct walk *w, uint64_t table, unsigned shift, uint32_t **entry)
{
    uint64_t index = (w->gva >> shift) % PDE_ENTRIES;

    *entry = entry_at(w, (table & TABLE32_ADDRESS) + index * sizeof **entry);
    return *entry ? READ_ONCE(**entry) : ~UINT32_C(0);
}

static enum outcome finish_4m_page(struct walk *w, uint64_t pde)
{
    uint64_t page = (pde & PAGE_4M_ADDRESS) | ((pde >> PSE36_SHIFT) & PSE36_MASK) << 32;

    if ((pde & PAGE_4M_RESERVED) || (page & ~span_mask(w->ctx->physical_bits)))
        return RESERVED_BIT;
    w->gpa = page | (w->gva & span_mask(PDE_SHIFT));
    return FOUND;
}

static enum outcome walk_32bit(struct walk *w)
{
    uint32_t *p;
    uint64_t entry = read_entry32(w, w->ctx->cr3, PDE_SHIFT, &p);

    if (!(entry & PTE_P))
        return NOT_PRESENT;
    take_step(w, p, entry);
    if ((entry & PTE_PS) && (w->ctx->cr4 & CR4_PSE))
        return finish_4m_page(w, entry);
    entry = read_entry32(w, entry, PAGE_SHIFT, &p);
    if (!(entry & PTE_P))
        return NOT_PRESENT;
    take_step(w, p, entry);
    w->gpa = (entry & TABLE32_ADDRESS) | (w->gva & span_mask(PAGE_SHIFT));
    return FOUND;
}

/* --- the common end --- */

static inline bool is_user_access(const struct gva_context *ctx, enum access access)
{
    return ctx->cpl == 3 && !(access & ACCESS_IMPLICIT);
}

/* SDM 3A, "Determination of Access Rights", but for protection keys. */
static bool is_allowed(const struct walk *w, enum access access)
{
    const struct gva_context *ctx = w->ctx;
    bool is_user = is_user_access(ctx, access);
    bool is_user_page = (w->rights & PTE_US) != 0;

    if (is_user && !is_user_page)
        return false;
    if (access & ACCESS_FETCH)
        return (w->rights & PTE_XD) && (is_user || !is_user_page || !(ctx->cr4 & CR4_SMEP));
    if ((access & ACCESS_WRITE) && !(w->rights & PTE_RW) && (is_user || (ctx->cr0 & CR0_WP)))
        return false;
    return is_user || !is_user_page || !(ctx->cr4 & CR4_SMAP) ||
           ((ctx->rflags & RFLAGS_AC) && !(access & ACCESS_IMPLICIT));
}

/* SDM 3A, "Protection Keys": data in user pages only. Only in IA-32e mode have entries a key. */
static bool is_allowed_by_key(const struct walk *w, enum access access)
{
    const struct gva_context *ctx = w->ctx;
    unsigned key = (w->steps[w->step_count - 1].value >> PTE_PK_SHIFT) & 15;
    bool access_disable = (ctx->pkru >> (2 * key)) & 1,
         write_disable = (ctx->pkru >> (2 * key)) & 2;

    if (!(ctx->efer & EFER_LMA) || !(w->rights & PTE_US) || (access & ACCESS_FETCH))
        return true;
    return !access_disable && !((access & ACCESS_WRITE) && write_disable &&
                                (is_user_access(ctx, access) || (ctx->cr0 & CR0_WP)));
}

/* Marks an entry if it still is what we translated by; another CPU may have marked it already. */
static bool set_bits(const struct walk *w, const struct step *s, uint64_t bits)
{
    uint64_t seen = s->value, wanted = s->value | bits;
    uint32_t seen32 = (uint32_t)seen;

    if (seen == wanted)
        return true;
    if (w->ctx->cr4 & CR4_PAE)
        return __atomic_compare_exchange_n((uint64_t *)s->entry, &seen, wanted, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) ||
               seen == wanted;
    return __atomic_compare_exchange_n((uint32_t *)s->entry, &seen32, (uint32_t)wanted, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED) ||
           seen32 == (uint32_t)wanted;
}

/*
 * Only entries that still are what we translated by may be marked: a bit set in what is meanwhile a
 * swapped-out page's entry would corrupt the guest. No retries here, for a guest could make them
 * endless.
 */
static int mark_used(const struct walk *w, bool is_write)
{
    unsigned last = w->step_count - 1;

    for (unsigned i = 0; i <= last; i++)
        if (!set_bits(w, &w->steps[i], PTE_A | (is_write && i == last ? PTE_D : 0)))
            return -EAGAIN;
    return 0;
}

static bool is_marked(const struct walk *w, bool is_write)
{
    return (w->rights & PTE_A) && (!is_write || (w->steps[w->step_count - 1].value & PTE_D));
}

static int page_fault(const struct gva_context *ctx, enum access access, uint32_t cause,
                      uint32_t *error_code)
{
    bool tells_fetches = (ctx->cr4 & CR4_SMEP) || ((ctx->cr4 & CR4_PAE) && (ctx->efer & EFER_NXE));

    *error_code = cause | (access & ACCESS_WRITE ? PFEC_WR : 0) |
                  (is_user_access(ctx, access) ? PFEC_US : 0) |
                  ((access & ACCESS_FETCH) && tells_fetches ? PFEC_ID : 0);
    return -EFAULT;
}

static int finish(const struct walk *w, enum outcome outcome, enum access access,
                  uint32_t *error_code)
{
    bool is_write = (access & ACCESS_WRITE) != 0;

    if (outcome != FOUND)
        return page_fault(w->ctx, access, outcome == RESERVED_BIT ? PFEC_P | PFEC_RSVD : 0,
                          error_code);
    if (!is_allowed(w, access))
        return page_fault(w->ctx, access, PFEC_P, error_code);
    if ((w->ctx->cr4 & CR4_PKE) && !is_allowed_by_key(w, access))
        return page_fault(w->ctx, access, PFEC_P | PFEC_PK, error_code);
    return is_marked(w, is_write) ? 0 : mark_used(w, is_write);
}

static inline bool is_canonical(uint64_t gva, unsigned root_shift)
{
    unsigned spare = 64 - (root_shift + PT_INDEX_BITS);

    return (uint64_t)((int64_t)(gva << spare) >> spare) == gva;
}

static COLD int translate_any(const struct gva_context *ctx, uint64_t gva,
                                                   enum access access, gpa_t *out,
                                                   uint32_t *error_code)
{
    unsigned root_shift = ctx->cr4 & CR4_LA57 ? 48 : 39;
    struct walk w = {.ctx = ctx, .gva = gva, .slot = &ctx->mem->slots[0], .rights = ~UINT64_C(0)};
    enum outcome outcome;
    int error;

    if (!(ctx->cr0 & CR0_PG)) {
        *out = GPA((uint32_t)gva);
        return 0;
    }
    if (ctx->efer & EFER_LMA) {
        if (!is_canonical(gva, root_shift))
            return -EINVAL;
        outcome = walk_wide(&w, ctx->cr3, root_shift);
    } else {
        outcome = ctx->cr4 & CR4_PAE ? walk_pae(&w) : walk_32bit(&w);
    }
    error = finish(&w, outcome, access, error_code);
    *out = GPA(w.gpa);
    return error;
}

/* --- the short cut --- */

struct chain {
    const struct guest_mem *mem;
    const struct guest_mem_slot *slot; /* where the last table was */
    uint64_t gva;
    uint64_t entry;    /* the last one */
    uint64_t all, any; /* bits that every entry has, that one of them has */
};

/* Judges nothing: a wrong entry leads to a wrong table in RAM, and is found out at the end. */
static inline bool follow(struct chain *c, unsigned shift)
{
    uint64_t index = (c->gva >> shift) % PT_ENTRIES;
    uint64_t gpa = (c->entry & PTE_ADDRESS) + index * sizeof c->entry;

    if (unlikely(gpa - c->slot->base.value >= c->slot->size)) {
        const struct guest_mem_slot *slot = guest_mem_find_slot(c->mem, GPA(gpa));

        if (!slot)
            return false;
        c->slot = slot;
    }
    c->entry = READ_ONCE(*(const uint64_t *)(c->slot->host + (gpa - c->slot->base.value)));
    c->all &= c->entry;
    c->any |= c->entry;
    return true;
}

/* Tables of a guest that gives memory back are followed the long way. What leaves it now stays readable for our pass. */
static inline bool is_usual_mode(const struct gva_context *ctx)
{
    if (unlikely(READ_ONCE(ctx->mem->is_scattered)))
        return false;
    return (ctx->efer & EFER_LMA) && !(ctx->cr4 & (CR4_LA57 | CR4_PKE)); /* LMA: with paging */
}

/*
 * 4-level paging, a 4 KiB or 2 MiB page of the accessing mode's own, everything marked as accessed
 * (and dirty) already. Reserved address bits show by themselves in tables, since RAM does not reach
 * there; those of the page are the caller's to look at. *slot: the last table's, and most likely the page's, too.
 */
static ALWAYS_INLINE bool translate_usual(const struct gva_context *ctx, uint64_t gva, enum access access,
                                   gpa_t *out, const struct guest_mem_slot **slot)
{
    /* The last slot is the best guess: what lies below holds little, or lies below a hole. */
    struct chain c = {ctx->mem, &ctx->mem->slots[ctx->mem->count - 1], gva, ctx->cr3, ~UINT64_C(0),
                      0};
    uint64_t user = is_user_access(ctx, access) ? PTE_US : 0;
    uint64_t write = access & ACCESS_WRITE ? PTE_RW : 0;
    unsigned shift = 21;

    if (!is_usual_mode(ctx) || !is_canonical(gva, 39))
        return false;
    if (!follow(&c, 39) || !follow(&c, 30) || (c.any & PTE_PS) || !follow(&c, 21))
        return false;
    if (!(c.entry & PTE_PS)) {
        shift = 12;
        if (!follow(&c, shift))
            return false;
    } else if (!is_good_large_page(ctx, shift, c.entry)) {
        return false;
    }
    *out = GPA((c.entry & PTE_ADDRESS & ~span_mask(shift)) | (gva & span_mask(shift)));
    *slot = c.slot;
    if ((c.any & PTE_XD) && ((access & ACCESS_FETCH) || !(ctx->efer & EFER_NXE)))
        return false;
    return (c.all & (PTE_P | PTE_A | PTE_US | write)) == (PTE_P | PTE_A | user | write) &&
           (!write || (c.entry & PTE_D));
}

int gva_translate(const struct gva_context *ctx, gva_t gva, enum access access, gpa_t *out,
                  uint32_t *error_code)
{
    const struct guest_mem_slot *slot;

    if (likely(translate_usual(ctx, gva.value, access, out, &slot) && (out->value >> ctx->physical_bits) == 0))
        return 0;
    return translate_any(ctx, gva.value, access, out, error_code);
}

/* Bytes of one page. */
static int fetch_piece(const struct gva_context *ctx, struct gva_fault *fault, void *buffer,
                       size_t size)
{
    gpa_t gpa;
    const void *bytes;
    int error = gva_translate(ctx, fault->address, ACCESS_FETCH, &gpa, &fault->error_code);

    if (error)
        return error;
    bytes = guest_mem_at(ctx->mem, gpa, size);
    if (!bytes)
        return -EIO;
    memcpy(buffer, bytes, size);
    return 0;
}

COLD size_t gva_fetch(const struct gva_context *ctx, gva_t gva, void *buffer, size_t size,
                 struct gva_fault *fault)
{
    size_t done = 0;

    *fault = (struct gva_fault){.address = gva};
    while (done < size) {
        size_t here = MIN(size - done, PAGE_SIZE - fault->address.value % PAGE_SIZE);

        fault->error = fetch_piece(ctx, fault, (uint8_t *)buffer + done, here);
        if (fault->error)
            break;
        done += here;
        fault->address.value += here;
    }
    return done;
}

size_t gva_fetch_instruction(const struct gva_context *ctx, gva_t gva,
                             uint8_t bytes[INSTRUCTION_BYTES_MAX], struct gva_fault *fault)
{
    const unsigned half = INSTRUCTION_BYTES_MAX / 2; /* eight bytes from either end: one in the middle comes twice */
    const struct guest_mem_slot *slot;
    const uint8_t *code;
    gpa_t gpa;

    if (unlikely(gva.value % PAGE_SIZE > PAGE_SIZE - INSTRUCTION_BYTES_MAX ||
                 !translate_usual(ctx, gva.value, ACCESS_FETCH, &gpa, &slot) ||
                 gpa.value - slot->base.value >= slot->size))
        return gva_fetch(ctx, gva, bytes, INSTRUCTION_BYTES_MAX, fault);
    code = slot->host + (gpa.value - slot->base.value);
    put_le64(bytes, get_le64(code));
    put_le64(bytes + half, get_le64(code + half));
    return INSTRUCTION_BYTES_MAX;
}
