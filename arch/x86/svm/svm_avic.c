/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * APM 2, "Advanced Virtual Interrupt Controller". The backing page is the page of the local APIC's registers, as its layout
 * is the same. Interrupts of devices come as without AVIC, by a request and a kick: the next entry looks at the IRR. What
 * the CPU does without us are the register accesses, the EOIs of edges, and IPIs between vCPUs that run.
 *
 * One thing is on for the whole VM: the APIC's page in the nested tables, without which the CPU does not look at its
 * registers. So nothing may ask for AVIC to be off while the guest uses its APIC in xAPIC mode, and nothing does:
 *  - the guest has no x2APIC: CPUID does not show it and IA32_APIC_BASE refuses it;
 *  - the APIC's base does not move (lapic_set_base());
 *  - the PICs' interrupts are injected as always; while the guest cannot take one, a timer looks again, because there is
 *    no exit when it can.
 * Only where its APIC is disabled a vCPU goes without.
 *
 * Invariants: an entry of the physical table belongs to its vCPU's CPU, and is valid only as long as the APIC accepts
 * interrupts: a sender exits for all others, and software decides. It says "running" only during a run, and IRR is looked
 * at after it says so no longer: a vCPU cannot go to sleep over an IPI that did not make its sender exit.
 *
 * No machine of this project has AVIC: what is here is tested with a synthetic VMCB only, and used only with avic=1.
 */
#include "arch/x86/svm/svm_avic.h"
#include "arch/arch.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/svm/svm_caps.h"
#include "drivers/virt/lapic.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/pt.h"

/* A VM's; the boot vCPU's engine makes and frees it. */
struct svm_avic {
    hpa_t physical, logical, access; /* tables, and the page that the nested tables have for the APIC */
    struct lock lock;                /* of the logical table */
};

/* --- the physical table: by APIC ID, where a vCPU's page is, and where it runs --- */

static uint64_t *physical_entry(const struct vcpu *vcpu)
{
    return (uint64_t *)phys_to_virt(svm_of(vcpu)->avic->physical) + vcpu->index;
}

/* The sequentially consistent store is what the last invariant above rests on. */
static void publish(struct vcpu *vcpu, uint64_t where)
{
    uint64_t entry = virt_to_phys(vcpu->lapic->page).value | where;

    if (lapic_accepts_fixed(vcpu->lapic))
        entry |= AVIC_PHYSICAL_VALID;
    __atomic_store_n(physical_entry(vcpu), entry, __ATOMIC_SEQ_CST);
}

/* A CPU whose ID is too large for the entry cannot be signalled; its vCPU counts as one that does not run. */
void svm_avic_begin_run(struct vcpu *vcpu)
{
    uint32_t id = this_pcpu()->apic_id;

    if (svm_of(vcpu)->avic)
        publish(vcpu, id <= AVIC_PHYSICAL_HOST_ID ? AVIC_PHYSICAL_RUNNING | id : 0);
}

void svm_avic_end_run(struct vcpu *vcpu)
{
    if (svm_of(vcpu)->avic)
        publish(vcpu, 0);
}

/* --- the logical table: by what LDR and DFR make of a single bit, whose it is --- */

#define FLAT_IDS       8u
#define CLUSTER_IDS    4u
#define CLUSTERS       15u
#define LOGICAL_IDS    (CLUSTERS * CLUSTER_IDS)
#define NO_LOGICAL_ID  LOGICAL_IDS
#define NOBODY         0u
#define SEVERAL        UINT32_MAX

static uint32_t page_register(const struct vcpu *vcpu, unsigned offset)
{
    return READ_ONCE(*(const uint32_t *)(vcpu->lapic->page + offset));
}

/* Of several bits or none: NO_LOGICAL_ID, so that an IPI to any of them is software's. */
static unsigned logical_id(const struct vcpu *vcpu)
{
    uint32_t ldr = page_register(vcpu, APIC_LDR) >> APIC_ID_SHIFT, cluster = ldr >> CLUSTER_IDS;
    bool is_flat = page_register(vcpu, APIC_DFR) == APIC_DFR_FLAT;
    uint32_t member = is_flat ? ldr : ldr & ((1u << CLUSTER_IDS) - 1);

    if (member == 0 || (member & (member - 1)) || (!is_flat && cluster >= CLUSTERS))
        return NO_LOGICAL_ID;
    return (unsigned)__builtin_ctz(member) + (is_flat ? 0 : cluster * CLUSTER_IDS);
}

/* Returns whether all that take part have the same DFR. */
static bool find_owners(const struct vm *vm, uint32_t owners[LOGICAL_IDS + 1])
{
    bool is_first = true, agree = true;
    uint32_t dfr = 0;

    memset(owners, 0, (LOGICAL_IDS + 1) * sizeof *owners); /* NOBODY */
    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        const struct vcpu *vcpu = vm->vcpus[i];
        uint32_t *owner = &owners[logical_id(vcpu)];

        if (!lapic_accepts_fixed(vcpu->lapic))
            continue;
        agree &= is_first || page_register(vcpu, APIC_DFR) == dfr;
        is_first = false;
        dfr = page_register(vcpu, APIC_DFR);
        *owner = *owner == NOBODY ? AVIC_LOGICAL_VALID | vcpu->index : SEVERAL;
    }
    return agree;
}

/* The CPU goes by the sender's DFR: where they differ, the table says nothing. */
static void fill_logical_table(const struct vm *vm, struct svm_avic *avic)
{
    uint32_t *table = phys_to_virt(avic->logical), owners[LOGICAL_IDS + 1];
    bool agree;

    lock_acquire(&avic->lock);
    agree = find_owners(vm, owners);
    for (unsigned i = 0; i < LOGICAL_IDS; i++)
        WRITE_ONCE(table[i], agree && owners[i] != SEVERAL ? owners[i] : NOBODY);
    lock_release(&avic->lock);
}

/* --- life --- */

static void free_tables(struct svm_avic *avic)
{
    hpa_t *const pages[] = {&avic->physical, &avic->logical, &avic->access};

    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
        if (pages[i]->value)
            page_free(*pages[i], PAGE_ORDER_4K);
    heap_free(avic);
}

/* Of the page that is mapped only its rights count: the CPU accesses the backing page. */
static int make_tables(struct vcpu *vcpu, struct svm_avic *avic)
{
    int error = page_alloc_zeroed(PAGE_ORDER_4K, &avic->physical);

    error = error ? error : page_alloc_zeroed(PAGE_ORDER_4K, &avic->logical);
    error = error ? error : page_alloc_zeroed(PAGE_ORDER_4K, &avic->access);
    if (error)
        return error;
    return pt_map(vcpu->vm->stage2, APIC_DEFAULT_BASE, avic->access, PAGE_SIZE, PT_READ | PT_WRITE);
}

static struct svm_avic *new_tables(struct vcpu *vcpu)
{
    struct svm_avic *avic = heap_alloc(sizeof *avic);

    if (avic && make_tables(vcpu, avic) != 0) {
        free_tables(avic);
        return NULL;
    }
    return avic;
}

static void look_again(void *vcpu)
{
    vcpu_request(vcpu, REQUEST_EVENT);
}

int svm_avic_create(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);

    if (!svm_has(SVM_FEATURE_AVIC))
        return 0;
    v->avic = vcpu->index == 0 ? new_tables(vcpu) : svm_of(vcpu->vm->vcpus[0])->avic;
    if (!v->avic)
        return -ENOMEM;
    timer_init(&v->window_timer, look_again, vcpu);
    guest_cpuid_prefer_xapic(vcpu->cpuid);
    vcpu->uses_virtual_delivery = true;
    return 0;
}

hpa_t svm_avic_page(const struct vcpu *vcpu)
{
    return svm_of(vcpu)->avic ? svm_of(vcpu)->avic->access : HPA(0);
}

void svm_avic_destroy(struct vcpu *vcpu)
{
    if (svm_of(vcpu)->avic && vcpu->index == 0)
        free_tables(svm_of(vcpu)->avic);
}

void svm_avic_reset(struct vcpu *vcpu)
{
    const struct svm_avic *avic = svm_of(vcpu)->avic;
    struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;

    if (!avic)
        return;
    c->avic_apic_bar = APIC_DEFAULT_BASE;
    c->avic_backing_page = virt_to_phys(vcpu->lapic->page).value;
    c->avic_logical_table = avic->logical.value;
    c->avic_physical_table = avic->physical.value | (vcpu->vm->vcpu_count - 1);
    svm_avic_update(vcpu);
}

void svm_avic_update(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);
    struct vmcb_control *c = &v->vmcb->control;

    v->is_avic_stale = false;
    if (!v->avic)
        return;
    c->v_intr &= ~(V_AVIC_ENABLE | V_IRQ | V_IGN_TPR); /* who waits for a window asks again, in the way that there is then */
    if (lapic_is_enabled(vcpu->lapic))
        c->v_intr |= V_AVIC_ENABLE;
    vmcb_change_intercepts(v->vmcb, INTERCEPT_MISC1, MISC1_VINTR, false);
    c->clean &= ~(uint32_t)CLEAN_TPR;
    publish(vcpu, 0); /* until the next run, senders exit */
    fill_logical_table(vcpu->vm, v->avic);
    vcpu_request(vcpu, REQUEST_EVENT);
}

/* --- the window for the PICs' interrupts --- */

#define POLL_NS 50000u

/* Armed, fired and cancelled on the CPU that holds the vCPU. */
void svm_avic_poll_window(struct vcpu *vcpu)
{
    timer_arm(&svm_of(vcpu)->window_timer, clock_now() + clock_ticks_from_ns(POLL_NS));
}

void svm_avic_stop_polling(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);

    if (!v->window_timer.armed)
        return;
    timer_cancel(&v->window_timer);
    __atomic_fetch_or(&vcpu->requests, REQUEST_EVENT, __ATOMIC_ACQ_REL); /* looks when it runs again */
}

/* --- exits --- */

static bool unexpected(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    exit->kind = EXIT_UNEXPECTED;
    exit->hardware.reason = (uint32_t)svm_of(vcpu)->vmcb->control.exit_code;
    exit->hardware.qualification = svm_of(vcpu)->vmcb->control.exit_info2;
    return true;
}

/* May be wrong by some that are not: who has no interrupt sleeps on. */
static bool is_addressed(const struct vcpu *target, uint32_t icr, uint32_t destination)
{
    if ((icr & APIC_ICR_SHORTHAND) || destination == APIC_BROADCAST)
        return true;
    return icr & APIC_ICR_LOGICAL ? lapic_matches_logical(target->lapic, destination) : target->lapic->id == destination;
}

/* The CPU has set the bit in every target's IRR, and signalled those that run. */
static void wake_targets(struct vcpu *sender, uint64_t icr)
{
    struct vm *vm = sender->vm;

    for (unsigned i = 0; i < vm->vcpu_count; i++)
        if (is_addressed(vm->vcpus[i], (uint32_t)icr, (uint32_t)(icr >> 32) >> APIC_ID_SHIFT))
            vcpu_request(vm->vcpus[i], REQUEST_EVENT);
}

/* A trap: the ICR is written, and nothing is sent but in the second case. */
bool svm_avic_fill_incomplete_ipi(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    const struct vmcb_control *c = &svm_of(vcpu)->vmcb->control;

    switch (c->exit_info2 >> 32) {
    case AVIC_IPI_INVALID_TYPE:
    case AVIC_IPI_INVALID_TARGET:
    case AVIC_IPI_INVALID_VECTOR:
        exit->apic_offset = APIC_ICR_LOW;
        return true;
    case AVIC_IPI_TARGET_NOT_RUNNING:
        wake_targets(vcpu, c->exit_info1);
        return false;
    default: /* a backing page that the CPU does not like, or what nobody knows */
        return unexpected(vcpu, exit);
    }
}

/* Writes of these are traps: the page has the value already, RIP is behind. What else makes this exit has not happened. */
static bool is_trap(unsigned offset)
{
    static const uint16_t offsets[] = {
        APIC_ID,        APIC_EOI,       APIC_RRD,       APIC_LDR,           APIC_DFR,          APIC_SVR,
        APIC_ESR,       APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PMC,     APIC_LVT_LINT0,    APIC_LVT_LINT1,
        APIC_LVT_ERROR, APIC_ICR_LOW,   APIC_TIMER_INITIAL, APIC_TIMER_DIVIDE,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
        if (offsets[i] == offset)
            return true;
    return false;
}

/* An EOI makes it if the vector is level-triggered, and has not ended it. */
bool svm_avic_fill_unaccelerated(struct vcpu *vcpu, struct vcpu_exit *exit)
{
    struct svm_vcpu *v = svm_of(vcpu);
    uint64_t info = v->vmcb->control.exit_info1;
    unsigned offset = info & AVIC_ACCESS_OFFSET;
    bool is_write = info & AVIC_ACCESS_WRITE;

    if (is_write && is_trap(offset)) {
        v->is_avic_stale = offset == APIC_SVR || offset == APIC_LDR || offset == APIC_DFR;
        exit->apic_offset = (uint16_t)offset;
        return true;
    }
    exit->kind = EXIT_MEMORY;
    exit->memory.address = GPA(APIC_DEFAULT_BASE + offset);
    exit->memory.is_write = is_write;
    exit->memory.is_fetch = false;
    exit->fetched_bytes = 0;
    return true;
}
