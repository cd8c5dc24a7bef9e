/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * INIT and SIPI. A sender leaves a request; the vCPU's own CPU turns it into state, so that a running
 * guest's registers are never another CPU's business. Invariant: a vCPU that waits for a SIPI is halted.
 */
#include "arch/x86/guest/startup.h"
#include "arch/x86/guest/boot_start.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/regs.h"
#include "drivers/virt/lapic.h"
#include "kernel/lib/string.h"

#define RESET_CS_SELECTOR 0xf000u
#define RESET_CS_BASE     0xffff0000u
#define RESET_RIP         0xfff0u
#define TABLE_LIMIT       0xffffu

/* An INIT voids the SIPIs before it; the order among several senders is nobody's. */
void startup_request(struct vcpu *vcpu, uint8_t delivery, uint8_t vector)
{
    if (delivery == APIC_DELIVERY_INIT) {
        __atomic_fetch_and(&vcpu->requests, ~REQUEST_SIPI, __ATOMIC_ACQ_REL);
        vcpu_request(vcpu, REQUEST_INIT);
    } else {
        __atomic_store_n(&vcpu->sipi_vector, vector, __ATOMIC_RELEASE);
        vcpu_request(vcpu, REQUEST_SIPI);
    }
}

/* SDM 3A, "Processor State After Reset": the same after power-up and INIT, but for what is kept below. */
static void reset_state(const struct vcpu *vcpu, struct vcpu_start *start)
{
    memset(start, 0, sizeof *start);
    boot_start_real(start, 0);
    start->segment[SEG_CS].selector = RESET_CS_SELECTOR;
    start->segment[SEG_CS].base = RESET_CS_BASE;
    start->segment[SEG_TR].limit = TABLE_LIMIT;
    start->rip = RESET_RIP;
    start->gdtr.limit = start->idtr.limit = TABLE_LIMIT;
    start->gpr[GPR_RDX] = guest_cpuid_find(vcpu->cpuid, 1, 0)->eax;
}

/* INIT leaves them as they are; of CR0 the two bits of the caches. */
static const enum vcpu_register kept[] = {VCPU_PAT, VCPU_SYSENTER_CS, VCPU_SYSENTER_ESP, VCPU_SYSENTER_EIP};

static void reset_registers(struct vcpu *vcpu, struct vcpu_start *start)
{
    uint64_t values[ARRAY_SIZE(kept)];

    start->cr0 |= vcpu_ops->get(vcpu, VCPU_CR0) & (CR0_CD | CR0_NW);
    for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
        values[i] = vcpu_ops->get(vcpu, kept[i]);
    vcpu_ops->vcpu_reset(vcpu, start);
    for (unsigned i = 0; i < ARRAY_SIZE(kept); i++)
        vcpu_ops->set(vcpu, kept[i], values[i]);
    memcpy(vcpu->gpr, start->gpr, sizeof vcpu->gpr);
    guest_cpuid_update(vcpu->cpuid, start->cr4, vcpu->xcr0);
}

/* The reset has left the first four to vcpu->dr: see breakpoint.h. */
static void reset_debug_and_cr2(struct vcpu *vcpu)
{
    memset(vcpu->dr, 0, sizeof vcpu->dr);
    vcpu_ops->set(vcpu, VCPU_CR2, 0);
    vcpu_ops->set(vcpu, VCPU_DR6, DR6_INIT);
}

static void wait_for_sipi(struct vcpu *vcpu)
{
    vcpu->event.type = EVENT_NONE;
    vcpu->has_eoi_offer = false;
    vcpu->is_halted = true;
    vcpu->waits_for_sipi = true;
}

static void init(struct vcpu *vcpu)
{
    struct vcpu_start start;

    if (vcpu->lapic->base & APIC_BASE_BSP) {
        vm_stop(vcpu->vm, STOP_RESET);
        return;
    }
    reset_state(vcpu, &start);
    lapic_reset(vcpu->lapic, LAPIC_INIT);
    reset_registers(vcpu, &start);
    reset_debug_and_cr2(vcpu);
    wait_for_sipi(vcpu);
}

/* NMIs and kicks that came while nothing could take them are gone. */
static void start_at(struct vcpu *vcpu, uint8_t vector)
{
    struct vcpu_start start;

    reset_state(vcpu, &start);
    start.segment[SEG_CS].selector = (uint16_t)(vector << 8);
    start.segment[SEG_CS].base = (uint64_t)vector << 12;
    start.rip = 0;
    reset_registers(vcpu, &start);
    vcpu->nmi_pending = false;
    vcpu->is_kicked = false;
    vcpu->waits_for_sipi = false;
    vcpu->is_halted = false;
}

void startup_take_requests(struct vcpu *vcpu)
{
    uint32_t taken = __atomic_fetch_and(&vcpu->requests, ~STARTUP_REQUESTS, __ATOMIC_ACQ_REL);

    if (taken & REQUEST_INIT)
        init(vcpu);
    if ((taken & REQUEST_SIPI) && vcpu->waits_for_sipi)
        start_at(vcpu, __atomic_load_n(&vcpu->sipi_vector, __ATOMIC_RELAXED));
}

void startup_park(struct vcpu *vcpu, struct vcpu_start *start)
{
    reset_state(vcpu, start);
    memcpy(vcpu->gpr, start->gpr, sizeof vcpu->gpr);
    wait_for_sipi(vcpu);
}
