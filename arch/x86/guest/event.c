/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vCPU gets at its next entry. Other CPUs leave what they have for it in its requests and in its local
 * APIC; its own CPU takes that first, and then decides.
 *
 * Order of delivery (SDM 3A, "Prioritization of Concurrent Events"): an event that an exit interrupted or an
 * exception of this instruction, then NMI, then the PICs' interrupt, then the local APIC's. One event an
 * entry; for the next one a window is asked for.
 */
#include "arch/x86/guest/event.h"
#include "arch/x86/cpu.h"
#include "arch/x86/guest/pv_eoi.h"
#include "arch/x86/guest/startup.h"
#include "arch/x86/regs.h"
#include "drivers/virt/lapic.h"
#include "drivers/virt/pic.h"
#include "kernel/machine.h"
#include "kernel/pcpu.h"

/* SDM 3A, "Interrupt 8—Double Fault Exception": which pairs of exceptions become one. */
static bool is_contributory(uint8_t vector)
{
    return vector == X86_DE || (vector >= X86_TS && vector <= X86_GP);
}

static bool makes_double_fault(uint8_t first, uint8_t second)
{
    return (is_contributory(first) && is_contributory(second)) ||
           (first == X86_PF && (second == X86_PF || is_contributory(second)));
}

/* Real mode has no error codes, and an entry that brings one fails. */
static bool has_error_codes(struct vcpu *vcpu)
{
    return vcpu_ops->get(vcpu, VCPU_CR0) & CR0_PE;
}

static void raise(struct vcpu *vcpu, const struct event *event)
{
    const struct event *first = &vcpu->event;

    if (first->type == EVENT_EXCEPTION && first->vector == X86_DF) {
        vcpu_crash(vcpu, STOP_TRIPLE_FAULT, "triple fault");
        return;
    }
    if (first->type == EVENT_EXCEPTION && makes_double_fault(first->vector, event->vector))
        vcpu->event =
            (struct event){.type = EVENT_EXCEPTION, .vector = X86_DF, .has_error_code = has_error_codes(vcpu)};
    else
        vcpu->event = *event;
    vcpu_request(vcpu, REQUEST_EVENT);
}

void vcpu_raise(struct vcpu *vcpu, uint8_t vector)
{
    raise(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = vector});
}

void vcpu_raise_with_code(struct vcpu *vcpu, uint8_t vector, uint32_t error_code)
{
    raise(vcpu, &(struct event){.type = EVENT_EXCEPTION, .vector = vector, .has_error_code = has_error_codes(vcpu),
                                .error_code = error_code});
}

/*
 * SDM 3B, "Debug Status Register (DR6)": the breakpoints' bits are of this exception, the others stay until software
 * clears them. What an instruction has several reasons for is one exception.
 */
void event_raise_debug(struct vcpu *vcpu, uint64_t dr6_bits)
{
    bool is_pending = vcpu->event.type == EVENT_EXCEPTION && vcpu->event.vector == X86_DB;
    uint64_t gone = is_pending ? 0 : DR6_BREAKPOINTS;

    vcpu_ops->set(vcpu, VCPU_DR7, vcpu_ops->get(vcpu, VCPU_DR7) & ~DR7_GD);
    vcpu_ops->set(vcpu, VCPU_DR6, (vcpu_ops->get(vcpu, VCPU_DR6) & ~gone) | dr6_bits);
    vcpu_raise(vcpu, X86_DB);
}

static struct pic *pic_of(struct vcpu *vcpu)
{
    return &vcpu->vm->platform->pic;
}

static bool has_pic_interrupt(struct vcpu *vcpu)
{
    return lapic_accepts_extint(vcpu->lapic) && pic_is_pending(pic_of(vcpu));
}

/* Does the local APIC have something that we must inject ourselves? */
static bool has_apic_interrupt(struct vcpu *vcpu)
{
    if (!lapic_has_irr(vcpu->lapic) || vcpu_ops->sync_interrupts(vcpu))
        return false;
    return lapic_pending_vector(vcpu->lapic) >= 0;
}

static void inject_interrupt(struct vcpu *vcpu, bool from_pic)
{
    struct event e = {.type = EVENT_INTERRUPT};

    if (from_pic) {
        e.vector = (uint8_t)pic_acknowledge(pic_of(vcpu));
    } else {
        e.vector = (uint8_t)lapic_pending_vector(vcpu->lapic);
        lapic_acknowledge(vcpu->lapic, e.vector);
        pv_eoi_offer(vcpu, e.vector);
    }
    vcpu_ops->inject(vcpu, &e);
}

/* SDM 3B, "Instruction-Breakpoint Exception Condition": a fault saves RF set, and injection saves what is there. */
static void set_resume_flag(struct vcpu *vcpu)
{
    vcpu_ops->set(vcpu, VCPU_RFLAGS, vcpu_ops->get(vcpu, VCPU_RFLAGS) | RFLAGS_RF);
}

/* Returns whether something was injected: the entry is taken. */
static bool inject_pending_event(struct vcpu *vcpu)
{
    if (vcpu->event.type == EVENT_NONE)
        return false;
    if (vcpu->event.type == EVENT_EXCEPTION && (X86_FAULTS >> vcpu->event.vector & 1))
        set_resume_flag(vcpu);
    vcpu_ops->inject(vcpu, &vcpu->event);
    vcpu->event.type = EVENT_NONE;
    return true;
}

static bool inject_nmi(struct vcpu *vcpu, bool taken)
{
    if (!vcpu->nmi_pending)
        return false;
    if (taken || !vcpu_ops->is_open(vcpu, WINDOW_NMI)) {
        vcpu_ops->want_window(vcpu, WINDOW_NMI, true);
        return false;
    }
    vcpu->nmi_pending = false;
    vcpu_ops->inject(vcpu, &(struct event){.type = EVENT_NMI, .vector = X86_NMI});
    return true;
}

/* --- from other CPUs --- */

void event_deliver(void *context, uint8_t delivery, uint8_t vector)
{
    struct vcpu *vcpu = context;

    if (delivery == APIC_DELIVERY_NMI)
        vcpu_request(vcpu, REQUEST_NMI);
    else if (delivery == APIC_DELIVERY_EXTINT)
        vcpu_request(vcpu, REQUEST_EVENT);
    else
        startup_request(vcpu, delivery, vector);
}

bool event_timer_is_here(void *context)
{
    struct vcpu *vcpu = context;

    if (this_pcpu()->current == vcpu)
        return true;
    vcpu_request(vcpu, REQUEST_TIMER | REQUEST_EVENT);
    return false;
}

/*
 * First what asks for REQUEST_EVENT itself: the end of an interrupt, and the timer. The requests are taken before
 * what they announce is looked at: what comes later asks again.
 */
static void take_requests(struct vcpu *vcpu)
{
    uint32_t taken;

    pv_eoi_settle(vcpu);
    if (__atomic_load_n(&vcpu->requests, __ATOMIC_RELAXED) & REQUEST_TIMER) {
        __atomic_fetch_and(&vcpu->requests, ~REQUEST_TIMER, __ATOMIC_ACQ_REL);
        lapic_timer_expired(vcpu->lapic);
    }
    taken = __atomic_fetch_and(&vcpu->requests, ~(EVENT_REQUESTS & ~REQUEST_TIMER), __ATOMIC_ACQ_REL);
    if (taken & REQUEST_NMI)
        vcpu->nmi_pending = true;
    if (taken & REQUEST_KICK)
        vcpu->is_kicked = true;
    if (lapic_has_posted(vcpu->lapic))
        lapic_take_posted(vcpu->lapic);
}

/* --- deciding --- */

void event_prepare(struct vcpu *vcpu)
{
    bool taken, pic, apic;

    take_requests(vcpu);
    taken = inject_pending_event(vcpu);
    taken |= inject_nmi(vcpu, taken);
    pic = has_pic_interrupt(vcpu);
    apic = has_apic_interrupt(vcpu); /* whatever the PICs have: the engine's threshold follows the TPR in it */
    if (!pic && !apic)
        return;
    if (taken || !vcpu_ops->is_open(vcpu, WINDOW_INTERRUPT)) {
        vcpu_ops->want_window(vcpu, WINDOW_INTERRUPT, true);
        return;
    }
    inject_interrupt(vcpu, pic);
    if (has_pic_interrupt(vcpu) || has_apic_interrupt(vcpu))
        vcpu_ops->want_window(vcpu, WINDOW_INTERRUPT, true);
}

/* One that comes before the HLT is for that HLT, also if the VM is paused in between. */
static bool take_kick(struct vcpu *vcpu)
{
    if (!vcpu->is_halted || !vcpu->is_kicked)
        return false;
    vcpu->is_kicked = false;
    return true;
}

bool event_wakes(struct vcpu *vcpu)
{
    take_requests(vcpu);
    if (vcpu->waits_for_sipi)
        return false;
    if (take_kick(vcpu) || vcpu->event.type != EVENT_NONE ||
        (vcpu->nmi_pending && vcpu_ops->is_open(vcpu, WINDOW_NMI)))
        return true;
    if (!(vcpu_ops->get(vcpu, VCPU_RFLAGS) & RFLAGS_IF))
        return false;
    return has_pic_interrupt(vcpu) || (lapic_has_irr(vcpu->lapic) && lapic_pending_vector(vcpu->lapic) >= 0);
}
