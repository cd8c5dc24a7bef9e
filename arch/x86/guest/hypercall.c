/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hypercalls (Linux, Documentation/virt/kvm/x86/hypercalls.rst): a row a number. All of them are hints or short
 * cuts between the vCPUs of one VM; what they do, a guest could do by its local APIC. Kernels only: a program that
 * runs at another privilege level gets an error.
 */
#include "arch/x86/guest/hypercall.h"
#include "arch/x86/regs.h"
#include "drivers/virt/apic_bus.h"
#include "kernel/lib/errno.h"
#include "kernel/machine.h"

#define KVM_EPERM  1 /* uapi/linux/kvm_para.h: the numbers are KVM's */
#define KVM_EINVAL 22
#define KVM_ENOSYS 1000

#define IPI_ICR_BITS (APIC_VECTOR | APIC_DELIVERY)

struct hypercall {
    uint64_t args[4];
    unsigned word_bits; /* of the guest's mode: 32 or 64 */
};

static struct vcpu *find_vcpu(const struct vcpu *vcpu, uint64_t apic_id)
{
    const struct apic_bus *bus = &vcpu->vm->platform->apic_bus;

    return apic_id < APIC_BUS_LAPICS_MAX && bus->lapics[apic_id] ? bus->lapics[apic_id]->context : NULL;
}

/* flags, APIC ID: ends the HLT of a vCPU that waits for a spin lock. */
static int64_t kick_cpu(struct vcpu *vcpu, const struct hypercall *call)
{
    struct vcpu *target = find_vcpu(vcpu, call->args[1]);

    if (target)
        vcpu_request(target, REQUEST_KICK | REQUEST_EVENT);
    return 0;
}

static int64_t send_to_word(struct vcpu *vcpu, uint64_t targets, uint64_t first, uint32_t icr)
{
    int64_t accepted = 0;

    for (; targets; targets &= targets - 1) {
        struct apic_message message = {
            .destination = (uint32_t)first + (uint32_t)__builtin_ctzll(targets),
            .vector = (uint8_t)icr,
            .delivery = apic_delivery(icr),
        };

        accepted += apic_bus_send(&vcpu->vm->platform->apic_bus, &message);
    }
    return accepted;
}

/* Two words of targets, the APIC ID of the first, ICR: one exit for all targets. Returns how many took it. */
static int64_t send_ipi(struct vcpu *vcpu, const struct hypercall *call)
{
    uint64_t first = call->args[2];
    uint32_t icr = (uint32_t)call->args[3];
    uint8_t delivery = apic_delivery(icr);

    if ((icr & ~IPI_ICR_BITS) || (delivery != APIC_DELIVERY_FIXED && delivery != APIC_DELIVERY_NMI))
        return -KVM_EINVAL;
    if (first >= APIC_BUS_LAPICS_MAX)
        return 0;
    return send_to_word(vcpu, call->args[0], first, icr) +
           send_to_word(vcpu, call->args[1], first + call->word_bits, icr);
}

/* APIC ID: a vCPU that was preempted holds what this one waits for. */
static int64_t yield_to_another(struct vcpu *vcpu, const struct hypercall *call)
{
    (void)call;
    vcpu_request(vcpu, REQUEST_YIELD);
    return 0;
}

enum { KICK_CPU = 5, SEND_IPI = 10, SCHED_YIELD = 11 };

static int64_t (*const rows[])(struct vcpu *vcpu, const struct hypercall *call) = {
    [KICK_CPU] = kick_cpu,
    [SEND_IPI] = send_ipi,
    [SCHED_YIELD] = yield_to_another,
};

static bool is_64_bit(struct vcpu *vcpu)
{
    struct segment cs;

    if (!(vcpu_ops->get(vcpu, VCPU_EFER) & EFER_LMA))
        return false;
    vcpu_ops->get_segment(vcpu, SEG_CS, &cs);
    return cs.attributes & SEG_ATTR_L;
}

/* SS's privilege level is the CPU's (SDM 3C, "Guest Register State"). */
static bool is_kernel(struct vcpu *vcpu)
{
    struct segment ss;

    vcpu_ops->get_segment(vcpu, SEG_SS, &ss);
    return !(ss.attributes & SEG_ATTR_DPL_MASK);
}

/*
 * Outside 64-bit mode the registers' upper halves are neither arguments nor results. Not inlined: an unknown number
 * should not pay for its frame.
 */
static __attribute__((noinline)) enum verdict do_call(struct vcpu *vcpu)
{
    uint32_t number = (uint32_t)vcpu->gpr[GPR_RAX];
    bool is_wide = is_64_bit(vcpu);
    uint64_t mask = is_wide ? UINT64_MAX : UINT32_MAX;
    uint64_t *r = vcpu->gpr;
    const struct hypercall call = {
        .args = {r[GPR_RBX] & mask, r[GPR_RCX] & mask, r[GPR_RDX] & mask, r[GPR_RSI] & mask},
        .word_bits = is_wide ? 64 : 32,
    };

    if (!rows[number])
        r[GPR_RAX] = (uint64_t)-KVM_ENOSYS;
    else if (!is_kernel(vcpu))
        r[GPR_RAX] = (uint64_t)-KVM_EPERM & mask;
    else if (is_wide && r[GPR_RAX] != number)
        r[GPR_RAX] = (uint64_t)-KVM_ENOSYS;
    else
        r[GPR_RAX] = (uint64_t)rows[number](vcpu, &call) & mask;
    return VERDICT_NEXT;
}

/* That a number is unknown may be said to anybody, and soon. */
enum verdict hypercall_handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    (void)exit;
    if ((uint32_t)vcpu->gpr[GPR_RAX] < ARRAY_SIZE(rows))
        return do_call(vcpu);
    vcpu->gpr[GPR_RAX] = (uint64_t)-KVM_ENOSYS;
    return VERDICT_NEXT;
}
