/* SPDX-License-Identifier: BSD-2-Clause */
/* What a vCPU's bitmaps let through, read back bit by bit (SDM 3C, "I/O-Bitmap Addresses", "MSR-Bitmap Address"). */
#include "arch/arch.h"
#include "arch/x86/vmx/ept.h"
#include "arch/x86/vmx/vmcs.h"
#include "arch/x86/vmx/vmx_ops.h"
#include "kernel/pt.h"

#define BITS_PER_PAGE ((unsigned)PAGE_SIZE * 8)
#define MSRS          0x2000u /* in each of the four parts of the MSR bitmap */
_Static_assert(4 * MSRS == BITS_PER_PAGE, "which is a page");

/* The first bit from there on that is clear, or limit: nearly all are set. */
static unsigned next_open(const uint8_t *bitmap, unsigned bit, unsigned limit)
{
    while (bit < limit && (bitmap[bit / 8] & 1u << bit % 8))
        bit = bitmap[bit / 8] == 0xff ? (bit | 7) + 1 : bit + 1;
    return bit;
}

/* The fields of the VMCS hold what the struct says: only vmcs.c writes them, out of it. */
static bool is_in_force(const struct vcpu *vcpu)
{
    const struct vmx_vcpu *v = vmx_of(vcpu);
    const uint32_t needed = PROC_USE_IO_BITMAPS | PROC_USE_MSR_BITMAPS | PROC_SECONDARY_CONTROLS;

    return (v->proc_controls & needed) == needed && (v->proc2_controls & PROC2_ENABLE_EPT) &&
           v->eptp == ept_pointer(vcpu->vm->stage2->root, false);
}

/* A page of the bitmap, for the ports from first on. */
static void visit_ports(hpa_t page, unsigned first, void (*visit)(void *context, enum passed what, uint32_t index), void *context)
{
    const uint8_t *bitmap = phys_to_virt(page);

    for (unsigned port = 0; (port = next_open(bitmap, port, BITS_PER_PAGE)) < BITS_PER_PAGE; port++)
        visit(context, PASSED_PORT, first + port);
}

uint64_t vmx_visit_passed(const struct vcpu *vcpu, void (*visit)(void *context, enum passed what, uint32_t index), void *context)
{
    static const struct {
        uint32_t first;
        enum passed what;
    } parts[] = {{0, PASSED_MSR_READ}, {0xc0000000u, PASSED_MSR_READ}, {0, PASSED_MSR_WRITE}, {0xc0000000u, PASSED_MSR_WRITE}};
    const uint8_t *bitmap = phys_to_virt(vmx_of(vcpu)->msr_bitmap);
    hpa_t own = vmx_of(vcpu)->io_bitmaps;

    if (!is_in_force(vcpu))
        return 0;
    visit_ports(own.value ? own : vmx_io_bitmap, 0, visit, context);
    visit_ports(own.value ? HPA(own.value + PAGE_SIZE) : vmx_io_bitmap, BITS_PER_PAGE, visit, context);
    for (unsigned i = 0; (i = next_open(bitmap, i, BITS_PER_PAGE)) < BITS_PER_PAGE; i++)
        visit(context, parts[i / MSRS].what, parts[i / MSRS].first + i % MSRS);
    return 3 * BITS_PER_PAGE;
}

bool vmx_serves_msr(const struct vcpu *vcpu, enum passed what, uint32_t index)
{
    return vmcs_serves_msr(vcpu, index, what == PASSED_MSR_WRITE);
}

hpa_t vmx_apic_page(const struct vm *vm)
{
    return vmx_of(vm->vcpus[0])->apic_access;
}
