/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Negotiation of VT-x's control fields by table (SDM 3D, "VMX Capability Reporting Facility"): a row
 * is a bit, whether we must have it or only want it, and its name; all that is missing is reported at
 * once. Firmware's lock is told apart from a CPU that has no VT-x, because the user can mend the former.
 */
#include "arch/x86/vmx/vmx_caps.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "arch/x86/vmx/vmx.h"
#include "kernel/log.h"
#include "kernel/pt.h"
#include "kernel/host_config.h"

struct vmx_caps vmx_caps;

enum need { MUST, WANT };

struct control_row {
    enum vmx_control field;
    uint32_t bit;
    enum need need;
    const char *name;
    /* The command-line switch that turns a WANT off; NULL: none. */
    bool (*is_wanted)(const struct host_config *config);
};

static bool wants_vpid(const struct host_config *c)
{
    return c->vpid;
}

static bool wants_timer(const struct host_config *c)
{
    return c->preemption_timer;
}

static bool wants_tpr_shadow(const struct host_config *c)
{
    return c->apicv && c->tpr_shadow;
}

static bool wants_register_virtualization(const struct host_config *c)
{
    return wants_tpr_shadow(c) && c->apic_register_virtualization;
}

/*
 * Real CPUs that deliver virtual interrupts process posted ones, too, which we do not use ourselves. Where only the former
 * is there it errs:
 * - Bochs 2.7 (its cpu/event.cc). With RFLAGS.IF = 0 and an interrupt of the guest's own pending, an interrupt of the
 *   host's does not make an exit but delivers the guest's first, into what must not be interrupted: Linux then waits for
 *   a run queue's lock that it holds. (Not if the guest was entered with IF = 0: then the host's wait, too.)
 * - KVM (of Linux 6.1, at least) offers it wherever the real CPU has it, but hands the EOI-exit bitmaps on only if that
 *   CPU processes posted interrupts (prepare_vmcs02_rare(): cpu_has_vmx_apicv()). Without them EOIs of level-triggered
 *   interrupts make no exits, the IOAPIC's remote IRR stays set, and the second interrupt of each device never comes:
 *   seen in tests/lab.
 */
static bool is_delivery_reliable(void)
{
    uint64_t pin = 0;

    return trap_rdmsr(MSR_IA32_VMX_TRUE_PINBASED_CTLS, &pin) && (pin >> 32 & PIN_POSTED_INTERRUPTS);
}

static bool wants_virtual_interrupts(const struct host_config *c)
{
    return wants_register_virtualization(c) &&
           (c->virtual_interrupt_delivery == DELIVERY_ON ||
            (c->virtual_interrupt_delivery == DELIVERY_AUTO && is_delivery_reliable()));
}

static const struct control_row rows[] = {
    {CONTROL_PIN, PIN_EXTERNAL_INTERRUPT_EXITING, MUST, "external-interrupt exiting", NULL},
    {CONTROL_PIN, PIN_NMI_EXITING, MUST, "NMI exiting", NULL},
    {CONTROL_PIN, PIN_VIRTUAL_NMIS, MUST, "virtual NMIs", NULL},
    {CONTROL_PIN, PIN_PREEMPTION_TIMER, WANT, "preemption timer", wants_timer},

    {CONTROL_PROC, PROC_USE_TSC_OFFSETTING, MUST, "TSC offsetting", NULL},
    {CONTROL_PROC, PROC_HLT_EXITING, MUST, "HLT exiting", NULL},
    {CONTROL_PROC, PROC_MWAIT_EXITING, MUST, "MWAIT exiting", NULL},
    {CONTROL_PROC, PROC_MONITOR_EXITING, MUST, "MONITOR exiting", NULL},
    {CONTROL_PROC, PROC_RDPMC_EXITING, MUST, "RDPMC exiting", NULL},
    {CONTROL_PROC, PROC_MOV_DR_EXITING, MUST, "MOV-DR exiting", NULL},
    {CONTROL_PROC, PROC_USE_IO_BITMAPS, MUST, "I/O bitmaps", NULL},
    {CONTROL_PROC, PROC_USE_MSR_BITMAPS, MUST, "MSR bitmaps", NULL},
    {CONTROL_PROC, PROC_SECONDARY_CONTROLS, MUST, "secondary controls", NULL},
    {CONTROL_PROC, PROC_USE_TPR_SHADOW, WANT, "TPR shadow", wants_tpr_shadow},

    {CONTROL_PROC2, PROC2_ENABLE_EPT, MUST, "EPT", NULL},
    {CONTROL_PROC2, PROC2_UNRESTRICTED_GUEST, MUST, "unrestricted guest", NULL},
    {CONTROL_PROC2, PROC2_ENABLE_VPID, WANT, "VPID", wants_vpid},
    {CONTROL_PROC2, PROC2_ENABLE_RDTSCP, WANT, "RDTSCP", NULL},
    {CONTROL_PROC2, PROC2_ENABLE_INVPCID, WANT, "INVPCID", NULL},
    {CONTROL_PROC2, PROC2_PAUSE_LOOP_EXITING, WANT, "pause-loop exiting", NULL},
    {CONTROL_PROC2, PROC2_WBINVD_EXITING, WANT, "WBINVD exiting", NULL}, /* one empties every CPU's caches */
    {CONTROL_PROC2, PROC2_ENCLS_EXITING, WANT, "ENCLS exiting", NULL}, /* there to be refused: no guest has SGX */
    {CONTROL_PROC2, PROC2_VIRTUALIZE_APIC_ACCESSES, WANT, "virtual APIC accesses", wants_register_virtualization},
    {CONTROL_PROC2, PROC2_VIRTUALIZE_X2APIC, WANT, "virtual x2APIC mode", wants_tpr_shadow},
    {CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT, WANT, "APIC-register virtualization", wants_register_virtualization},
    {CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS, WANT, "virtual-interrupt delivery", wants_virtual_interrupts},

    {CONTROL_EXIT, EXIT_HOST_ADDRESS_SPACE_SIZE, MUST, "64-bit host", NULL},
    {CONTROL_EXIT, EXIT_ACKNOWLEDGE_INTERRUPT, MUST, "acknowledge interrupt on exit", NULL},
    {CONTROL_EXIT, EXIT_SAVE_DEBUG_CONTROLS, MUST, "save debug controls", NULL},
    {CONTROL_EXIT, EXIT_SAVE_PAT | EXIT_LOAD_PAT, MUST, "PAT on exit", NULL},
    {CONTROL_EXIT, EXIT_SAVE_EFER | EXIT_LOAD_EFER, MUST, "EFER on exit", NULL},
    {CONTROL_EXIT, EXIT_SAVE_PREEMPTION_TIMER, WANT, "save preemption timer", wants_timer},

    {CONTROL_ENTRY, ENTRY_LOAD_DEBUG_CONTROLS, MUST, "load debug controls", NULL},
    {CONTROL_ENTRY, ENTRY_LOAD_PAT | ENTRY_LOAD_EFER, MUST, "PAT and EFER on entry", NULL},
};

static const uint32_t capability_msr[CONTROLS] = {
    [CONTROL_PIN] = MSR_IA32_VMX_TRUE_PINBASED_CTLS,
    [CONTROL_PROC] = MSR_IA32_VMX_TRUE_PROCBASED_CTLS,
    [CONTROL_PROC2] = MSR_IA32_VMX_PROCBASED_CTLS2,
    [CONTROL_EXIT] = MSR_IA32_VMX_TRUE_EXIT_CTLS,
    [CONTROL_ENTRY] = MSR_IA32_VMX_TRUE_ENTRY_CTLS,
};

/* Bits 31:0 of a capability MSR may not be 0, bits 63:32 may be 1. */
static void start_from_fixed_bits(uint32_t allowed[CONTROLS])
{
    for (unsigned i = 0; i < CONTROLS; i++) {
        uint64_t v = 0;

        if (!trap_rdmsr(capability_msr[i], &v))
            v = 0;
        vmx_caps.controls[i] = (uint32_t)v;
        allowed[i] = (uint32_t)(v >> 32);
    }
}

static void say_where_to_get_it(void)
{
    if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR)
        log_error("preflight", "the hypervisor below does not pass it on; in KVM: kvm_intel's nested, ept and "
                  "unrestricted_guest = 1, QEMU's -cpu host");
    else
        log_error("preflight", "no setting of the firmware adds it: this takes an Intel CPU of 2010 (Westmere) "
                  "or later");
}

static bool negotiate(const struct host_config *config)
{
    uint32_t allowed[CONTROLS];
    bool complete = true;

    start_from_fixed_bits(allowed);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct control_row *row = &rows[i];
        bool has = (allowed[row->field] & row->bit) == row->bit;

        if (row->need == MUST && !has) {
            log_error("preflight", "VT-x lacks %s", row->name);
            complete = false;
        } else if (has && (!row->is_wanted || row->is_wanted(config))) {
            vmx_caps.controls[row->field] |= row->bit;
        }
    }
    if (!complete)
        say_where_to_get_it();
    return complete;
}

/* Some features are useless, or illegal, without another. */
static void drop_orphans(void)
{
    uint32_t *proc2 = &vmx_caps.controls[CONTROL_PROC2];

    if (!vmx_has(CONTROL_PROC, PROC_USE_TPR_SHADOW)) {
        *proc2 &= ~(PROC2_VIRTUALIZE_X2APIC | PROC2_APIC_REGISTER_VIRT | PROC2_VIRTUAL_INTERRUPTS);
        vmx_caps.controls[CONTROL_PROC] |= PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING;
    }
    if (!(*proc2 & PROC2_APIC_REGISTER_VIRT))
        *proc2 &= ~PROC2_VIRTUAL_INTERRUPTS;
    if (!(*proc2 & PROC2_APIC_REGISTER_VIRT))
        *proc2 &= ~PROC2_VIRTUALIZE_APIC_ACCESSES;
    if (!vmx_has(CONTROL_EXIT, EXIT_SAVE_PREEMPTION_TIMER))
        vmx_caps.controls[CONTROL_PIN] &= ~PIN_PREEMPTION_TIMER;
    if (!vmx_has(CONTROL_PIN, PIN_PREEMPTION_TIMER))
        vmx_caps.controls[CONTROL_EXIT] &= ~EXIT_SAVE_PREEMPTION_TIMER;
    if (!(vmx_caps.ept_vpid & VPID_CAP_INVVPID_SINGLE))
        *proc2 &= ~PROC2_ENABLE_VPID;
}

static bool is_ept_usable(void)
{
    const uint64_t needed = EPT_CAP_WALK_4 | EPT_CAP_WB | EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE;

    if ((vmx_caps.ept_vpid & needed) == needed)
        return true;
    log_error("preflight", "EPT lacks 4-level walks, write-back tables or single-context INVEPT "
              "(IA32_VMX_EPT_VPID_CAP %#lx)", vmx_caps.ept_vpid);
    return false;
}

/* Vt-x there and not locked off: IA32_FEATURE_CONTROL (SDM 3C, "Enabling and Entering VMX Operation"). */
static bool is_enabled_by_firmware(void)
{
    uint64_t control = 0;

    if (!trap_rdmsr(MSR_IA32_FEATURE_CONTROL, &control))
        return true; /* some emulators have VT-x without the lock */
    if (!(control & FEATURE_CONTROL_LOCK))
        return true; /* each CPU sets and locks it in vmx_cpu_enable() */
    return control & FEATURE_CONTROL_VMX_OUTSIDE_SMX;
}

static unsigned ept_leaf_levels(const struct host_config *config)
{
    if (!config->ept_large_pages)
        return PT_LEAF_4K;
    return PT_LEAF_4K | (vmx_caps.ept_vpid & EPT_CAP_2M ? PT_LEAF_2M : 0) |
           (vmx_caps.ept_vpid & EPT_CAP_1G ? PT_LEAF_1G : 0);
}

static void report(void)
{
    static const struct {
        enum vmx_control field;
        uint32_t bit;
        const char *name;
    } optional[] = {
        {CONTROL_PROC2, PROC2_ENABLE_VPID, "VPID"},
        {CONTROL_PIN, PIN_PREEMPTION_TIMER, "preemption timer"},
        {CONTROL_PROC, PROC_USE_TPR_SHADOW, "TPR shadow"},
        {CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT, "APIC-register virtualization"},
        {CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS, "virtual-interrupt delivery"},
        {CONTROL_PROC2, PROC2_VIRTUALIZE_X2APIC, "virtual x2APIC mode"},
    };

    log_info("preflight", "VT-x: yes, EPT: yes (%s%s4K pages), unrestricted guest: yes",
             vmx_caps.ept_vpid & EPT_CAP_1G ? "1G, " : "", vmx_caps.ept_vpid & EPT_CAP_2M ? "2M, " : "");
    for (unsigned i = 0; i < ARRAY_SIZE(optional); i++)
        log_info("preflight", "%s: %s", optional[i].name,
                 vmx_has(optional[i].field, optional[i].bit) ? "used" : "not used");
}

bool vmx_is_present(void)
{
    return cpuid(1, 0).ecx & CPUID_1_ECX_VMX;
}

static bool refuse(const char *why)
{
    log_error("preflight", "VT-x is %s; turn on \"Intel Virtualization Technology\" in the firmware's set-up", why);
    return false;
}

bool vmx_probe(const struct host_config *config)
{
    if (!vmx_is_present())
        return refuse("missing: this CPU has none (CPUID.1:ECX.VMX), or it is hidden");
    if (!is_enabled_by_firmware())
        return refuse("locked off by the firmware (IA32_FEATURE_CONTROL)");
    vmx_caps.revision = (uint32_t)(rdmsr(MSR_IA32_VMX_BASIC) & VMX_BASIC_REVISION_MASK);
    if (!(rdmsr(MSR_IA32_VMX_BASIC) & VMX_BASIC_TRUE_CTLS)) {
        log_error("preflight", "VT-x is too old: no true control capabilities, thus no unrestricted guest");
        return false;
    }
    vmx_caps.cr0_fixed0 = rdmsr(MSR_IA32_VMX_CR0_FIXED0);
    vmx_caps.cr0_fixed1 = rdmsr(MSR_IA32_VMX_CR0_FIXED1);
    vmx_caps.cr4_fixed0 = rdmsr(MSR_IA32_VMX_CR4_FIXED0);
    vmx_caps.cr4_fixed1 = rdmsr(MSR_IA32_VMX_CR4_FIXED1);
    vmx_caps.preemption_timer_shift = (unsigned)(rdmsr(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_SHIFT_MASK);
    if (!negotiate(config))
        return false;
    vmx_caps.ept_vpid = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
    drop_orphans();
    vmx_caps.leaf_levels = ept_leaf_levels(config);
    if (!is_ept_usable())
        return false;
    report();
    return true;
}
