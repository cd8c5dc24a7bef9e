/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest may take the place back, or write nonsense there: nothing is read from it but one note, and the
 * address is looked up anew each time.
 */
#include "arch/x86/guest/steal_time.h"
#include "kernel/guest_mem.h"
#include "kernel/timer.h"
#include "kernel/vm.h"

#define STEAL_TIME_ENABLE   1u
#define STEAL_TIME_RESERVED 0x3eu
#define STEAL_TIME_ADDRESS  (~(uint64_t)(STEAL_TIME_ENABLE | STEAL_TIME_RESERVED))

#define PREEMPTED 1u
#define FLUSH_TLB 2u /* the guest's note */

/* Linux, arch/x86/include/uapi/asm/kvm_para.h: struct kvm_steal_time. */
struct steal_time {
    uint64_t steal_ns;
    uint32_t version; /* odd while the host writes */
    uint32_t flags;
    uint8_t preempted;
    uint8_t pad[47];
};
_Static_assert(sizeof(struct steal_time) == 64, "an interface of KVM's");

static struct steal_time *place_of(const struct vcpu *vcpu, uint64_t msr)
{
    if (!(msr & STEAL_TIME_ENABLE))
        return NULL;
    return guest_mem_at(&vcpu->vm->mem, GPA(msr & STEAL_TIME_ADDRESS), sizeof(struct steal_time));
}

bool steal_time_write(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    (void)index;
    if ((value & STEAL_TIME_RESERVED) || ((value & STEAL_TIME_ENABLE) && !place_of(vcpu, value)))
        return false;
    vcpu->steal_time_msr = value;
    return true;
}

bool steal_time_read(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)index;
    *value = vcpu->steal_time_msr;
    return true;
}

/* Other vCPUs of the guest read along: an odd version tells them to wait. */
static void write_steal(struct vcpu *vcpu, struct steal_time *place, uint64_t ns)
{
    uint32_t version = vcpu->steal_time_version;

    __atomic_store_n(&place->version, version + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&place->steal_ns, ns, __ATOMIC_RELEASE);
    __atomic_store_n(&place->version, version + 2, __ATOMIC_RELEASE);
    vcpu->steal_time_version = version + 2;
}

/* The note is taken with the same operation that ends the state in which the guest may leave one. */
void steal_time_publish(struct vcpu *vcpu, uint64_t steal_ticks)
{
    struct steal_time *place = place_of(vcpu, vcpu->steal_time_msr);

    if (!place)
        return;
    if (__atomic_exchange_n(&place->preempted, 0, __ATOMIC_ACQ_REL) & FLUSH_TLB)
        vcpu_ops->flush_linear(vcpu);
    write_steal(vcpu, place, clock_ns_from_ticks(steal_ticks));
}

void steal_time_preempt(struct vcpu *vcpu)
{
    struct steal_time *place = place_of(vcpu, vcpu->steal_time_msr);

    if (place)
        __atomic_store_n(&place->preempted, PREEMPTED, __ATOMIC_RELEASE);
}
