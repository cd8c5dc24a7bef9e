/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events. AMD-V (without virtual NMIs) leaves it to us when a guest can take an NMI: it is blocked from its injection
 * until the IRET that follows has been executed. That IRET makes an exit before it is executed, and one step by the
 * trap flag tells that it is over; what it pops are the guest's own flags. The step out of the shadow of STI or
 * MOV SS takes its trap flag back itself. An instruction that faults is no step: while one is made, faults make exits, and
 * the trap flag is taken back before the guest gets the fault, which would show it.
 */
#include "arch/x86/svm/svm_event.h"
#include "arch/arch.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/regs.h"
#include "arch/x86/svm/svm_avic.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/vmcb.h"
#include "drivers/virt/lapic.h"
#include "kernel/pcpu.h"

/* --- steps --- */

/* #VE is Intel's. */
#define STEP_FAULTS (X86_FAULTS & ~(1u << X86_VE))

static void begin_step(struct svm_vcpu *v, enum step step)
{
    if (v->step != STEP_NONE)
        return;
    v->step = step;
    v->had_tf = v->vmcb->state.rflags & RFLAGS_TF;
    v->vmcb->state.rflags |= RFLAGS_TF;
    vmcb_change_intercepts(v->vmcb, INTERCEPT_EXCEPTION, STEP_FAULTS, true);
}

static void leave_step(struct svm_vcpu *v)
{
    v->step = STEP_NONE;
    vmcb_change_intercepts(v->vmcb, INTERCEPT_EXCEPTION, STEP_FAULTS & ~EXCEPTIONS_TAKEN, false);
}

/* Something else comes first, at the instruction that was to be stepped over: an IRET is waited for again. */
static void give_up_step(struct svm_vcpu *v)
{
    if (v->step == STEP_IRET)
        vmcb_change_intercepts(v->vmcb, INTERCEPT_MISC1, MISC1_IRET, true);
    if (!v->had_tf)
        v->vmcb->state.rflags &= ~RFLAGS_TF;
    leave_step(v);
}

void svm_begin_iret(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);

    vmcb_change_intercepts(v->vmcb, INTERCEPT_MISC1, MISC1_IRET, false);
    begin_step(v, STEP_IRET);
}

bool svm_end_step(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);
    struct vmcb_state *s = &v->vmcb->state;
    enum step step = v->step;

    if (step == STEP_NONE)
        return false;
    leave_step(v);
    if (step == STEP_IRET)
        v->is_nmi_blocked = false;
    else if (!v->had_tf)
        s->rflags &= ~RFLAGS_TF;
    vcpu_request(vcpu, REQUEST_EVENT);
    if (v->had_tf || (s->dr6 & DR6_CAUSES) != DR6_BS)
        return false;
    s->dr6 &= ~DR6_BS;
    v->vmcb->control.clean &= ~(uint32_t)CLEAN_DR;
    return true;
}

/* --- windows --- */

bool svm_is_open(struct vcpu *vcpu, enum event_window window)
{
    const struct svm_vcpu *v = svm_of(vcpu);

    if ((v->vmcb->control.interrupt_shadow & INTERRUPT_SHADOW) || (v->vmcb->control.event_inj & EVENT_VALID))
        return false;
    return window == WINDOW_NMI ? !v->is_nmi_blocked : v->vmcb->state.rflags & RFLAGS_IF;
}

/*
 * A write of CR8 makes an exit while the TPR holds something back; and under a window, because QEMU's emulation ends
 * at an assertion of its own if CR8 is written while a virtual interrupt is pending.
 */
static void settle_cr8(struct svm_vcpu *v)
{
    bool wanted = v->is_held_back || (v->vmcb->control.v_intr & V_IRQ) || !svm_caps.uses_virtual_tpr;

    vmcb_change_intercepts(v->vmcb, INTERCEPT_CR, CR_WRITE(8), wanted);
}

/* A virtual interrupt that is always deliverable, and makes an exit instead of being delivered. */
static void want_interrupt_window(struct svm_vcpu *v, bool wanted)
{
    struct vmcb *vmcb = v->vmcb;
    uint64_t old = vmcb->control.v_intr, value = wanted ? old | V_IRQ | V_IGN_TPR : old & ~(V_IRQ | V_IGN_TPR);

    vmcb_change_intercepts(vmcb, INTERCEPT_MISC1, MISC1_VINTR, wanted);
    if (value == old)
        return;
    vmcb->control.v_intr = value;
    vmcb->control.clean &= ~(uint32_t)CLEAN_TPR;
    settle_cr8(v);
}

/*
 * Behind an event that this entry delivers, the host's own interrupt comes at once: it is looked at again then. An NMI
 * that the guest still handles ends with an IRET, which makes an exit anyway.
 */
static void want_nmi_window(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);

    if (v->vmcb->control.event_inj & EVENT_VALID) {
        v->looks_again = true;
        arch_kick(this_pcpu()->id);
    } else if (!v->is_nmi_blocked) {
        begin_step(v, STEP_SHADOW);
    }
}

void svm_want_window(struct vcpu *vcpu, enum event_window window, bool wanted)
{
    if (window == WINDOW_INTERRUPT && wanted && svm_avic_is_on(svm_of(vcpu)))
        svm_avic_poll_window(vcpu);
    else if (window == WINDOW_INTERRUPT)
        want_interrupt_window(svm_of(vcpu), wanted);
    else if (wanted)
        want_nmi_window(vcpu);
}

/* --- injection --- */

static const uint8_t injected_types[] = {
    [EVENT_INTERRUPT] = SVM_EVENT_INTR,
    [EVENT_NMI] = SVM_EVENT_NMI,
    [EVENT_EXCEPTION] = SVM_EVENT_EXCEPTION,
};

void svm_inject(struct vcpu *vcpu, const struct event *event)
{
    struct svm_vcpu *v = svm_of(vcpu);
    uint64_t value = EVENT_VALID | (uint64_t)injected_types[event->type] << EVENT_TYPE_SHIFT | event->vector;

    if (unlikely(v->step != STEP_NONE))
        give_up_step(v);
    if (event->has_error_code)
        value |= EVENT_ERROR_CODE_VALID | (uint64_t)event->error_code << EVENT_ERROR_CODE_SHIFT;
    v->vmcb->control.event_inj = value;
    if (event->type == EVENT_NMI) {
        v->is_nmi_blocked = true;
        vmcb_change_intercepts(v->vmcb, INTERCEPT_MISC1, MISC1_IRET, true);
    }
}

/*
 * APM 2, "Saving and Restoring Event Information". What an instruction raised on purpose (INT n, INT3, INTO) is raised
 * again when that instruction is executed again, for RIP is still there.
 */
void svm_keep_interrupted_event(struct vcpu *vcpu)
{
    uint64_t info = svm_of(vcpu)->vmcb->control.exit_int_info;
    unsigned type = info >> EVENT_TYPE_SHIFT & EVENT_TYPE_MASK;
    uint8_t vector = (uint8_t)info;

    if (likely(!(info & EVENT_VALID)))
        return;
    if (type == SVM_EVENT_SOFTWARE || (type == SVM_EVENT_EXCEPTION && (vector == X86_BP || vector == X86_OF)))
        return;
    vcpu->event = (struct event){
        .type = type == SVM_EVENT_INTR ? EVENT_INTERRUPT : type == SVM_EVENT_NMI ? EVENT_NMI : EVENT_EXCEPTION,
        .vector = vector,
        .has_error_code = info & EVENT_ERROR_CODE_VALID,
        .error_code = (uint32_t)(info >> EVENT_ERROR_CODE_SHIFT),
    };
    vcpu_request(vcpu, REQUEST_EVENT);
}

/* With AVIC the entry looks at the page. Else, what the TPR holds back makes a write of CR8 exit until it is delivered. */
bool svm_sync_interrupts(struct vcpu *vcpu)
{
    struct svm_vcpu *v = svm_of(vcpu);
    bool is_avic_on = svm_avic_is_on(v);
    int irr = lapic_highest_irr(vcpu->lapic);

    v->is_held_back = !is_avic_on && irr >= 0 && irr >> 4 <= lapic_tpr(vcpu->lapic) >> 4;
    settle_cr8(v);
    return is_avic_on;
}
