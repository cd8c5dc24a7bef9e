/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: for any tables, registers and access the walk ends as the definition says that it ends: address or fault, and the
 * marks that it leaves. Where the guest changes its tables meanwhile, it still ends, and marks nothing but entries
 * as accessed and dirty. Input: 16 bytes of registers and address, then records of 8 bytes {table and index, what, entry}.
 *
 * Tables that change: a guest that has given pages back is asked for each page of a table (guest_pages_at), and there
 * what is left of the records happens, one at a time.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/paging_format.h"
#include "arch/x86/regs.h"
#include "kernel/guest_pages.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define RECORD_BYTES 8u
#define HEAD_BYTES   16u
#define PAGES        8u /* of RAM; 0 is the root */
#define RAM_BYTES    (PAGES * PAGE_SIZE)
#define TRIES        4u
#define PHYSICAL     40u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096))), before[RAM_BYTES], meddled[RAM_BYTES];
static struct guest_mem mem;
static struct gva_context ctx;
static const uint8_t *changes, *changes_end;

/* --- a guest that changes them --- */

/* An entry: mostly one that leads on, to a page of RAM; value says what else. */
static void put_entry(const uint8_t record[RECORD_BYTES], bool is_late)
{
    unsigned at = get_le16(record) % RAM_BYTES / 8 * 8;
    uint32_t value = get_le32(record + 4);
    uint64_t entry = (uint64_t)(value % PAGES) << PAGE_SHIFT | (value >> 3 & 0xfff) | (uint64_t)(record[2] & 1) << 63;

    if (record[2] & 2)
        entry |= (uint64_t)value << 32; /* reserved bits, keys, pages beyond the RAM */
    if (record[3] & 1)
        entry |= PTE_P | PTE_RW | PTE_US;
    put_le64(ram + at, entry);
    if (is_late)
        memset(meddled + at, 1, 8);
}

static void meddle(void)
{
    if (changes_end - changes < RECORD_BYTES)
        return;
    put_entry(changes, true);
    changes += RECORD_BYTES;
}

uint8_t *guest_pages_at(struct guest_pages *pages, gpa_t address)
{
    (void)pages;
    meddle();
    return address.value < RAM_BYTES ? ram + address.value : NULL;
}

uint8_t *guest_pages_find(const struct guest_pages *pages, gpa_t address)
{
    (void)pages;
    return address.value < RAM_BYTES ? ram + address.value : NULL;
}

/* --- the definition: SDM 3A, "Paging", in the order of its text and with nothing saved --- */

struct verdict_of_mmu {
    int error; /* 0, -EFAULT, -EINVAL */
    uint32_t code;
    uint64_t gpa;
};

/* One mode's shape. */
struct shape {
    unsigned levels, entry_bytes, top_shift, index_bits, top_bits;
};

static struct shape shape_of_mode(void)
{
    if (ctx.efer & EFER_LMA)
        return ctx.cr4 & CR4_LA57 ? (struct shape){5, 8, 48, 9, 9} : (struct shape){4, 8, 39, 9, 9};
    return ctx.cr4 & CR4_PAE ? (struct shape){2, 8, 21, 9, 9} : (struct shape){2, 4, 22, 10, 10};
}

static uint64_t load(uint64_t gpa, unsigned bytes)
{
    if (gpa > RAM_BYTES - bytes)
        return bytes == 8 ? UINT64_MAX : UINT32_MAX;
    return bytes == 8 ? get_le64(ram + gpa) : get_le32(ram + gpa);
}

static bool has_reserved(uint64_t entry, unsigned shift, bool is_leaf, const struct shape *s)
{
    uint64_t address = UINT64_C(0x000fffffffffffff) & ~(BIT(PHYSICAL) - 1);
    bool is_long = ctx.efer & EFER_LMA;

    if (s->entry_bytes == 4)
        return is_leaf && shift == 22 && (entry & BIT(21)); /* with PSE-36: bits 20:13 are 39:32 of the address */
    if (!is_long)
        address |= UINT64_C(0x7ff0000000000000);
    if ((entry & PTE_XD) && !(ctx.efer & EFER_NXE))
        return true;
    if (entry & address)
        return true;
    if (!is_leaf && is_long && shift >= 39 && (entry & PTE_PS))
        return true;
    return is_leaf && shift > 12 && (entry & (BIT(shift) - 1) & ~UINT64_C(0x1fff));
}

static bool is_leaf_entry(uint64_t entry, unsigned shift, const struct shape *s)
{
    if (shift == 12)
        return true;
    if (!(entry & PTE_PS))
        return false;
    if (s->entry_bytes == 4)
        return ctx.cr4 & CR4_PSE;
    return shift == 21 || (shift == 30 && ctx.has_1g_pages);
}

static bool violates(enum access access, bool is_user_page, bool is_writable, bool is_xd)
{
    bool is_user = ctx.cpl == 3 && !(access & ACCESS_IMPLICIT), is_write = access & ACCESS_WRITE;

    if (access & ACCESS_FETCH) {
        bool nx = (ctx.cr4 & CR4_PAE) && (ctx.efer & EFER_NXE) && is_xd;

        return nx || (is_user ? !is_user_page : is_user_page && (ctx.cr4 & CR4_SMEP));
    }
    if (is_user)
        return !is_user_page || (is_write && !is_writable);
    if (is_user_page && (ctx.cr4 & CR4_SMAP) && ((access & ACCESS_IMPLICIT) || !(ctx.rflags & RFLAGS_AC)))
        return true;
    return is_write && !is_writable && (ctx.cr0 & CR0_WP);
}

static struct verdict_of_mmu fault(enum access access, uint32_t cause)
{
    bool tells_fetch = (ctx.cr4 & CR4_SMEP) || ((ctx.cr4 & CR4_PAE) && (ctx.efer & EFER_NXE));

    return (struct verdict_of_mmu){-EFAULT,
                                   cause | (access & ACCESS_WRITE ? PFEC_WR : 0) |
                                       (ctx.cpl == 3 && !(access & ACCESS_IMPLICIT) ? PFEC_US : 0) |
                                       (access & ACCESS_FETCH && tells_fetch ? PFEC_ID : 0),
                                   0};
}

static uint64_t page_address(uint64_t entry, unsigned shift, uint64_t gva, const struct shape *s)
{
    uint64_t address = entry & (s->entry_bytes == 4 ? UINT32_MAX : BIT(52) - 1) & ~(BIT(shift) - 1);

    if (s->entry_bytes == 4 && shift == 22)
        address |= (entry >> 13 & 0xff) << 32;
    return address | (gva & (BIT(shift) - 1));
}

static struct verdict_of_mmu translate(uint64_t gva, enum access access)
{
    struct shape s = shape_of_mode();
    uint64_t table = ctx.cr3 & ~UINT64_C(0xfff), entry = 0;
    bool is_user = true, is_writable = true, is_xd = false;
    unsigned shift = s.top_shift, width = s.top_shift + s.top_bits;

    if (ctx.efer & EFER_LMA) {
        if ((uint64_t)((int64_t)(gva << (64 - width)) >> (64 - width)) != gva)
            return (struct verdict_of_mmu){-EINVAL, 0, 0};
        table &= BIT(52) - 1;
    } else {
        gva = (uint32_t)gva;
        table = (uint32_t)table;
        if (s.entry_bytes == 8) {
            uint64_t pdpte = ctx.pdpte[gva >> 30];

            if (!(pdpte & PTE_P))
                return fault(access, 0);
            table = pdpte & (BIT(52) - 1) & ~UINT64_C(0xfff);
        }
    }
    for (;; shift -= s.index_bits) {
        bool is_leaf;

        entry = load(table + (gva >> shift) % BIT(s.index_bits) * s.entry_bytes, s.entry_bytes);
        if (!(entry & PTE_P))
            return fault(access, 0);
        is_leaf = is_leaf_entry(entry, shift, &s);
        if (has_reserved(entry, shift, is_leaf, &s) || (shift == 30 && (entry & PTE_PS) && !is_leaf))
            return fault(access, PFEC_P | PFEC_RSVD);
        is_user &= (entry & PTE_US) != 0;
        is_writable &= (entry & PTE_RW) != 0;
        is_xd |= s.entry_bytes == 8 && (entry & PTE_XD) != 0;
        if (is_leaf)
            break;
        table = entry & (s.entry_bytes == 4 ? 0xfffff000u : (BIT(52) - 1) & ~UINT64_C(0xfff));
    }
    if (violates(access, is_user, is_writable, is_xd))
        return fault(access, PFEC_P);
    return (struct verdict_of_mmu){0, 0, page_address(entry, shift, gva, &s)};
}

/* --- the comparison --- */

static void set_mode(const uint8_t head[HEAD_BYTES])
{
    static const uint64_t efer[] = {EFER_LMA | EFER_LME, EFER_LMA | EFER_LME, 0, 0};

    ctx = (struct gva_context){.physical_bits = PHYSICAL, .has_1g_pages = head[1] & 1, .mem = &mem};
    ctx.cr0 = CR0_PE | CR0_PG | (head[1] & 2 ? CR0_WP : 0);
    ctx.cr4 = (head[0] % 4 < 3 ? CR4_PAE : 0) | (head[0] % 4 == 1 ? CR4_LA57 : 0) | (head[1] & 4 ? CR4_SMEP : 0) |
              (head[1] & 8 ? CR4_SMAP : 0) | (head[1] & 16 ? CR4_PSE : 0);
    ctx.efer = efer[head[0] % 4] | (head[1] & 32 ? EFER_NXE : 0);
    ctx.rflags = head[1] & 64 ? RFLAGS_AC : 0;
    ctx.cpl = head[1] & 128 ? 3 : 0;
    ctx.cr3 = (uint64_t)(head[2] % PAGES) << PAGE_SHIFT;
    for (unsigned i = 0; i < GVA_PDPTES; i++)
        ctx.pdpte[i] = (uint64_t)(head[3] >> 2 * i & 3) << PAGE_SHIFT | (head[2] >> (4 + i) & 1 ? 0 : PTE_P);
}

/* Small indices at each level, so that they meet what the records made. */
static uint64_t choose_address(const uint8_t head[HEAD_BYTES])
{
    struct shape s = shape_of_mode();
    uint64_t gva = get_le16(head + 4) % PAGE_SIZE;
    unsigned shift = s.top_shift;

    for (unsigned i = 0; shift >= 12; shift -= s.index_bits, i++)
        gva |= (uint64_t)(head[6 + i] % BIT(s.index_bits)) << shift;
    if (head[11] & 1)
        gva ^= BIT(s.top_shift + s.top_bits - 1); /* of one half, not canonical in the other */
    if (head[11] & 2)
        gva |= ~(BIT(s.top_shift + s.top_bits) - 1);
    return gva;
}

/* Whatever it was, only these bits, and only in what the guest did not write meanwhile. */
static void check_marks(bool may_mark)
{
    for (unsigned i = 0; i < RAM_BYTES; i += 4) {
        uint32_t now = get_le32(ram + i), was = get_le32(before + i);

        if (now != was && !meddled[i] && (!may_mark || (now & ~was & ~(uint32_t)(PTE_A | PTE_D)) || (was & ~now)))
            abort();
    }
}

static void run(uint64_t gva, enum access access, bool is_scattered)
{
    struct verdict_of_mmu want = translate(gva, access);
    uint32_t code = 0;
    gpa_t gpa = GPA(0);
    int error = -EAGAIN;

    memcpy(before, ram, sizeof ram);
    for (unsigned i = 0; i < TRIES && error == -EAGAIN; i++)
        error = gva_translate(&ctx, GVA(gva), access, &gpa, &code);
    if (error != 0 && error != -EFAULT && error != -EINVAL && (error != -EAGAIN || !is_scattered))
        abort();
    if (!is_scattered && (error != want.error || (error == -EFAULT && code != want.code) || (error == 0 && gpa.value != want.gpa)))
        abort();
    check_marks(error == 0 || is_scattered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum access kinds[] = {ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ | ACCESS_IMPLICIT,
                                        ACCESS_WRITE | ACCESS_IMPLICIT};
    bool is_scattered;
    size_t at = HEAD_BYTES;

    if (size < HEAD_BYTES)
        return 0;
    is_scattered = data[12] & 1;
    mem = (struct guest_mem){.slots = {{GPA(0), RAM_BYTES, ram, is_scattered}}, .count = 1, .is_scattered = is_scattered};
    memset(ram, 0, sizeof ram);
    memset(meddled, 0, sizeof meddled);
    set_mode(data);
    changes_end = data + size;
    for (; at + RECORD_BYTES <= size && (!is_scattered || at < HEAD_BYTES + data[13] % 16u * RECORD_BYTES); at += RECORD_BYTES)
        put_entry(data + at, false);
    changes = data + at;
    run(choose_address(data), kinds[data[14] % ARRAY_SIZE(kinds)], is_scattered);
    return 0;
}
