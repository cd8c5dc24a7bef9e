/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walk that the guest's MMU would make: linear to guest-physical, with the access rights and
 * faults of every paging mode. A guest may change its tables meanwhile: each entry is read once.
 */
#ifndef ARCH_X86_GUEST_GVA_H
#define ARCH_X86_GUEST_GVA_H

#include "arch/x86/guest/decode.h"
#include "kernel/guest_mem.h"

#define GVA_PDPTES 4

/* What the walk depends on. Only the fields that a mode uses need be right in that mode. */
struct gva_context {
    uint64_t cr0, cr3, cr4, efer, rflags;
    unsigned cpl;
    unsigned physical_bits;      /* MAXPHYADDR as the guest's CPUID tells it: 32 to 52 */
    bool has_1g_pages;           /* as the guest's CPUID tells it */
    uint32_t pkru;               /* with CR4.PKE */
    uint64_t pdpte[GVA_PDPTES];  /* PAE paging: as the CPU loaded them with CR3 */
    const struct guest_mem *mem; /* has a slot */
};

/* Or'ed. Implicit: the CPU's own access to a table such as the GDT, made as supervisor at any CPL.
 */
enum access { ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_FETCH = 2, ACCESS_IMPLICIT = 4 };

/* SDM 3A, "Page-Fault Error Code". */
#define PFEC_P    0x01u /* the page is there, its rights are not */
#define PFEC_WR   0x02u
#define PFEC_US   0x04u
#define PFEC_RSVD 0x08u
#define PFEC_ID   0x10u
#define PFEC_PK   0x20u

/*
 * One byte's address, and so its whole page's. Sets the accessed and dirty bits of the tables.
 *  -EFAULT: #PF with *error_code, CR2 is gva;
 *  -EINVAL: gva is not canonical: #GP(0), or #SS(0) for the stack;
 *  -EAGAIN: another CPU changed an entry between our reading and marking it: let the guest run the
 * instruction again.
 */
MUST_CHECK int gva_translate(const struct gva_context *ctx, gva_t gva, enum access access,
                             gpa_t *out, uint32_t *error_code);

struct gva_fault {
    int error;           /* 0: none; as of gva_translate(); -EIO: translated to what is not RAM */
    gva_t address;       /* of the first byte that could not be had */
    uint32_t error_code; /* with -EFAULT */
};

/* Copies up to size instruction bytes from gva on; returns how many, and why not more. */
size_t gva_fetch(const struct gva_context *ctx, gva_t gva, void *buffer, size_t size,
                 struct gva_fault *fault);

/* The same for as many bytes as an instruction may have. *fault is set only if there are fewer. */
size_t gva_fetch_instruction(const struct gva_context *ctx, gva_t gva,
                             uint8_t bytes[INSTRUCTION_BYTES_MAX], struct gva_fault *fault);

#endif
