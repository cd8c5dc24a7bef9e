/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine's members of vcpu_ops: VMX operation of a CPU, life of a vCPU's VMCS, registers, injection.
 * Which exits there are and what they mean is vmx_exit.c's; field set-up is vmcs.c's.
 */
#include "arch/x86/vmx/vmx_ops.h"
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/regs.h"
#include "arch/x86/trap.h"
#include "arch/x86/vmx/ept.h"
#include "arch/x86/vmx/vmcs.h"
#include "arch/x86/vmx/vmx_caps.h"
#include "drivers/virt/lapic.h"
#include "kernel/heap.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/lib/string.h"
#include "kernel/log.h"
#include "kernel/page.h"
#include "kernel/pcpu.h"
#include "kernel/pt.h"
#include "kernel/timer.h"

/* What comes from other CPUs waits no longer, even where the interrupt does not get through. */
#define HEARTBEAT_NS 10000000u
static uint64_t heartbeat_ticks;

void vmx_write_failed(enum vmcs_field field, uint64_t value)
{
    panic("VMWRITE of field %#x, value %#lx failed", field, value);
}

/* --- a CPU in VMX operation --- */

static hpa_t vmxon_regions[PCPU_MAX];

static int unlock_vmx(void)
{
    uint64_t control = 0;
    const uint64_t needed = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX;

    if (!trap_rdmsr(MSR_IA32_FEATURE_CONTROL, &control) || (control & needed) == needed)
        return 0;
    if ((control & FEATURE_CONTROL_LOCK) || !trap_wrmsr(MSR_IA32_FEATURE_CONTROL, control | needed)) {
        log_error("vmx", "VT-x is locked off on this CPU (IA32_FEATURE_CONTROL %#lx)", control);
        return -ENODEV;
    }
    return 0;
}

static int alloc_region(hpa_t *region)
{
    int error = page_alloc_zeroed(PAGE_ORDER_4K, region);

    if (!error)
        put_le32(phys_to_virt(*region), vmx_caps.revision);
    return error;
}

/* A vCPU's own: A, B, and behind them what Bochs reads (see below). */
#define IO_BITMAPS_ORDER 2u

/*
 * Full of ones, so that every port exits: both bitmaps of every vCPU that has none of its own. (Bochs reads a byte beyond
 * the end for the last ports, and takes it for an APIC access if that page follows: it does not, as the VMXON region does.)
 */
hpa_t vmx_io_bitmap;

/* The boot CPU is the first to come here. */
static COLD int make_io_bitmap(void)
{
    int error;

    if (vmx_io_bitmap.value)
        return 0;
    error = page_alloc(PAGE_ORDER_4K, &vmx_io_bitmap);
    if (!error)
        memset(phys_to_virt(vmx_io_bitmap), 0xff, PAGE_SIZE);
    return error;
}

static COLD int vmx_cpu_enable(void)
{
    hpa_t *region = &vmxon_regions[this_pcpu()->id];
    int error = unlock_vmx();

    vmx_check_exit_rows();
    heartbeat_ticks = clock_ticks_from_ns(HEARTBEAT_NS);
    error = error ? error : make_io_bitmap();
    if (!error)
        error = alloc_region(region);
    if (error)
        return error;
    write_cr0((read_cr0() | vmx_caps.cr0_fixed0) & vmx_caps.cr0_fixed1);
    write_cr4((read_cr4() | vmx_caps.cr4_fixed0) & vmx_caps.cr4_fixed1);
    if (!vmxon(region)) {
        page_free(*region, PAGE_ORDER_4K);
        *region = HPA(0);
        log_error("vmx", "VMXON failed (CR0 %#lx CR4 %#lx)", read_cr0(), read_cr4());
        return -ENODEV;
    }
    invept(INV_ALL_CONTEXTS, 0); /* firmware, or another hypervisor before us, may have used the same tags */
    if (vmx_caps.ept_vpid & VPID_CAP_INVVPID)
        invvpid(INV_ALL_CONTEXTS, 0);
    return 0;
}

static void vmx_cpu_disable(void)
{
    if (vmxon_regions[this_pcpu()->id].value == 0)
        return;
    vmxoff();
    write_cr4(read_cr4() & ~CR4_VMXE);
}

/* --- a vCPU --- */

/* Pages of a vCPU, allocated and freed by table. */
#define VCPU_PAGES 2u

static hpa_t *vcpu_page(struct vmx_vcpu *v, unsigned i)
{
    hpa_t *const pages[VCPU_PAGES] = {&v->vmcs, &v->msr_bitmap};

    return pages[i];
}

/* --- VPIDs: one for each vCPU, so that nothing is flushed when a CPU changes from one to another --- */

#define VPID_OF_HOST BIT(0)

static uint64_t vpids_taken[65536 / 64];
static struct lock vpid_lock; /* guards vpids_taken */

static int alloc_vpid(uint16_t *vpid)
{
    int error = -ENOSPC;

    lock_acquire(&vpid_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(vpids_taken) && error; i++) {
        uint64_t is_free = ~(vpids_taken[i] | (i == 0 ? VPID_OF_HOST : 0));
        unsigned free = is_free ? (unsigned)__builtin_ctzll(is_free) : 64;

        if (free == 64)
            continue;
        vpids_taken[i] |= BIT(free);
        *vpid = (uint16_t)(64 * i + free);
        error = 0;
    }
    lock_release(&vpid_lock);
    return error;
}

static void free_vpid(uint16_t vpid)
{
    lock_acquire(&vpid_lock);
    vpids_taken[vpid / 64] &= ~BIT(vpid % 64);
    lock_release(&vpid_lock);
}

/* --- life of a vCPU --- */

static COLD void vmx_vcpu_destroy(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    for (unsigned i = 0; i < VCPU_PAGES; i++)
        if (vcpu_page(v, i)->value)
            page_free(*vcpu_page(v, i), PAGE_ORDER_4K);
    if (vcpu->index == 0 && v->apic_access.value)
        page_free(v->apic_access, PAGE_ORDER_4K);
    if (v->io_bitmaps.value)
        page_free(v->io_bitmaps, IO_BITMAPS_ORDER);
    if (v->vpid)
        free_vpid(v->vpid);
    heap_free(v);
    vcpu->engine = NULL;
}

/*
 * The page is never read or written: the CPU recognises accesses to it (SDM 3C, "Virtualizing Memory-Mapped APIC
 * Accesses").
 * Second-level tables are the VM's, so all of its vCPUs have the boot vCPU's.
 */
static int make_apic_access(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    int error;

    if (!vmx_has(CONTROL_PROC2, PROC2_VIRTUALIZE_APIC_ACCESSES))
        return 0;
    if (vcpu->index != 0) {
        v->apic_access = vmx_of(vcpu->vm->vcpus[0])->apic_access;
        return 0;
    }
    error = page_alloc_zeroed(PAGE_ORDER_4K, &v->apic_access);
    if (error)
        return error;
    return pt_map(vcpu->vm->stage2, APIC_DEFAULT_BASE, v->apic_access, PAGE_SIZE, PT_READ | PT_WRITE);
}

static int make_parts(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    int error = alloc_vpid(&v->vpid);

    for (unsigned i = 0; i < VCPU_PAGES && !error; i++)
        error = page_alloc_zeroed(PAGE_ORDER_4K, vcpu_page(v, i));
    return error ? error : make_apic_access(vcpu);
}

static COLD int vmx_vcpu_create(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = heap_alloc(sizeof *v);
    int error;

    if (!v)
        return -ENOMEM;
    vcpu->engine = v;
    error = make_parts(vcpu);
    if (error)
        return error;
    put_le32(phys_to_virt(v->vmcs), vmx_caps.revision);
    v->msr_bitmap_page = phys_to_virt(v->msr_bitmap);
    v->virtual_apic = virt_to_phys(vcpu->lapic->page);
    v->eptp = ept_pointer(vcpu->vm->stage2->root, false);
    v->last_cpu = PCPU_MAX;
    vcpu->uses_virtual_delivery = vmx_has(CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS);
    return 0;
}

static COLD int vmx_own_ports(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    int error;

    if (v->io_bitmaps.value)
        return 0; /* and some ports may be passed already */
    error = page_alloc(IO_BITMAPS_ORDER, &v->io_bitmaps);
    if (!error)
        memset(phys_to_virt(v->io_bitmaps), 0xff, PAGE_SIZE << IO_BITMAPS_ORDER);
    return error;
}

/* SDM 3C, "I/O-Bitmap Addresses": A has the lower half of the ports. */
static void vmx_pass_ports(struct vcpu *vcpu, uint16_t first, unsigned count, bool is_passed)
{
    const struct vmx_vcpu *v = vmx_of(vcpu);

    for (unsigned port = first; port < first + count && v->io_bitmaps.value; port++)
        bytes_put_bit(phys_to_virt(v->io_bitmaps), port, !is_passed);
}

/* MOV to CR0 and CR4 flush (SDM 3A, "Operations that Invalidate TLBs and Paging-Structure Caches"); ours do, too. */
static void flush_linear(struct vcpu *vcpu)
{
    if (vmx_has(CONTROL_PROC2, PROC2_ENABLE_VPID))
        invvpid(INV_SINGLE_CONTEXT, vmx_of(vcpu)->vpid);
}

/* Of linear addresses, too, whatever their VPID (SDM 3C, "Operations that Invalidate Cached Mappings"). */
static void vmx_flush_physical(struct vcpu *vcpu)
{
    invept(INV_SINGLE_CONTEXT, vmx_of(vcpu)->eptp);
}

/* What was cached of the APIC's page while it was none would pass by (SDM 3C, "Virtualizing Memory-Mapped APIC Accesses"). */
static void vmx_set_apic_mode(struct vcpu *vcpu)
{
    vmcs_set_apic_mode(vcpu);
    if (vmx_of(vcpu)->proc2_controls & PROC2_VIRTUALIZE_APIC_ACCESSES)
        vmx_flush_physical(vcpu);
}

static void vmx_vcpu_reset(struct vcpu *vcpu, const struct vcpu_start *start)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    if (!vmclear(&v->vmcs) || !vmptrld(&v->vmcs))
        panic("VMCS of vm%u refused", vcpu->vm->id);
    v->is_launched = false;
    vmcs_init(vcpu);
    vmcs_set_start(vcpu, start);
    vcpu->may_have_breakpoints = false; /* MOV to DR makes an exit */
    flush_linear(vcpu); /* an INIT turns paging off */
    vmx_start_slice();
}

/*
 * What this CPU may still hold of the vCPU is from an earlier time here, or another VM's that had the same tables
 * and VPID: what was flushed since then was flushed elsewhere.
 */
static void move_if_new_here(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    if (v->last_cpu == this_pcpu()->id)
        return;
    v->last_cpu = this_pcpu()->id;
    invept(INV_SINGLE_CONTEXT, v->eptp);
    flush_linear(vcpu);
    vmcs_set_host_cpu();
}

/* A guest without breakpoints is not asked for them: its next MOV to or from a debug register makes an exit. */
static COLD void load_debug_registers(struct vcpu *vcpu)
{
    if (vmread(VMCS_GUEST_DR7) & DR7_ENABLED) {
        write_dr6(vcpu->dr6);
        return;
    }
    vcpu->may_have_breakpoints = false;
    vmcs_change_proc_controls(vcpu, PROC_MOV_DR_EXITING, 0);
}

static void vmx_load(struct vcpu *vcpu)
{
    if (vmx_of(vcpu)->last_cpu == PCPU_MAX && !vmclear(&vmx_of(vcpu)->vmcs))
        panic("VMCLEAR of vm%u failed", vcpu->vm->id);
    if (!vmptrld(&vmx_of(vcpu)->vmcs))
        panic("VMPTRLD of vm%u failed", vcpu->vm->id);
    move_if_new_here(vcpu);
    write_cr2(vcpu->cr2);
    if (vcpu->may_have_breakpoints)
        load_debug_registers(vcpu);
}

/*
 * Several VMCSs may be active on a CPU (SDM 3C, "Software Use of Virtual-Machine Control Structures"): that of a vCPU which
 * comes back here stays so. Before another CPU loads it, or its page is anybody else's, it is cleared.
 */
static void vmx_unload(struct vcpu *vcpu, bool comes_back_here)
{
    vcpu->cr2 = read_cr2();
    if (vcpu->may_have_breakpoints)
        vcpu->dr6 = read_dr6();
    if (comes_back_here)
        return;
    if (!vmclear(&vmx_of(vcpu)->vmcs))
        panic("VMCLEAR of vm%u failed", vcpu->vm->id);
    vmx_of(vcpu)->is_launched = false;
}

/*
 * Until this CPU's next timer is due, rounded up: its interrupt comes first, but where the guest holds it up.
 * (Bochs does not let it through while RFLAGS.IF is clear.)
 */
void vmx_start_slice(void)
{
    uint64_t now = clock_now(), end = this_pcpu()->timers.programmed;
    uint64_t ticks = MIN(end > now ? end - now : 0, heartbeat_ticks);

    if (vmx_has(CONTROL_PIN, PIN_PREEMPTION_TIMER))
        vmwrite(VMCS_PREEMPTION_TIMER, MIN((ticks >> vmx_caps.preemption_timer_shift) + 1, UINT32_MAX));
}

static enum verdict vmx_run(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    uint64_t slice_end = this_pcpu()->timers.programmed;
    bool was_launched = v->is_launched;

    if (unlikely(v->slice_end != slice_end)) {
        v->slice_end = slice_end;
        vmx_start_slice();
    }
    v->is_launched = true;
    return speculation_clears_buffers ? vmx_enter_clearing(vcpu, was_launched) : vmx_enter(vcpu, was_launched);
}

/* --- registers: CR2 stays in the CPU while that holds the vCPU; so do the debug registers, if they are used --- */

static const uint16_t register_field[VCPU_REGISTERS] = {
    [VCPU_RIP] = VMCS_GUEST_RIP,
    [VCPU_RSP] = VMCS_GUEST_RSP,
    [VCPU_RFLAGS] = VMCS_GUEST_RFLAGS,
    [VCPU_CR0] = VMCS_GUEST_CR0,
    [VCPU_CR3] = VMCS_GUEST_CR3,
    [VCPU_CR4] = VMCS_GUEST_CR4,
    [VCPU_EFER] = VMCS_GUEST_EFER,
    [VCPU_PAT] = VMCS_GUEST_PAT,
    [VCPU_DR7] = VMCS_GUEST_DR7,
    [VCPU_FS_BASE] = VMCS_GUEST_FS_BASE,
    [VCPU_GS_BASE] = VMCS_GUEST_GS_BASE,
    [VCPU_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
    [VCPU_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
    [VCPU_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
    [VCPU_TSC_OFFSET] = VMCS_TSC_OFFSET,
    [VCPU_PDPTE0] = VMCS_GUEST_PDPTE0,
    [VCPU_PDPTE1] = VMCS_GUEST_PDPTE0 + 2,
    [VCPU_PDPTE2] = VMCS_GUEST_PDPTE0 + 4,
    [VCPU_PDPTE3] = VMCS_GUEST_PDPTE0 + 6,
};

static uint64_t vmx_get(struct vcpu *vcpu, enum vcpu_register which)
{
    switch (which) {
    case VCPU_CR0:
        return vmcs_get_cr0();
    case VCPU_CR4:
        return vmcs_get_cr4();
    case VCPU_CR2:
        return read_cr2();
    case VCPU_DR6:
        return vcpu->may_have_breakpoints ? read_dr6() : vcpu->dr6;
    case VCPU_DR0 ... VCPU_DR3:
        return cpu_read_dr(which - VCPU_DR0);
    default:
        return vmread(register_field[which]);
    }
}

static void vmx_set(struct vcpu *vcpu, enum vcpu_register which, uint64_t value)
{
    switch (which) {
    case VCPU_CR0:
        vmcs_set_cr0(vcpu, value);
        flush_linear(vcpu);
        break;
    case VCPU_CR4:
        vmcs_set_cr4(vcpu, value);
        flush_linear(vcpu);
        break;
    case VCPU_CR2:
        write_cr2(value);
        break;
    case VCPU_DR6:
        vcpu->dr6 = value;
        if (vcpu->may_have_breakpoints)
            write_dr6(value);
        break;
    case VCPU_EFER:
        vmwrite(VMCS_GUEST_EFER, value);
        vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.controls[CONTROL_ENTRY] | (value & EFER_LMA ? ENTRY_IA32E_MODE_GUEST : 0));
        break;
    default:
        vmwrite(register_field[which], value);
    }
}

static void vmx_get_segment(struct vcpu *vcpu, enum segment_register which, struct segment *s)
{
    uint64_t rights = vmread(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * which);

    (void)vcpu;
    s->selector = (uint16_t)vmread(VMCS_GUEST_ES_SELECTOR + 2 * which);
    s->base = vmread(VMCS_GUEST_ES_BASE + 2 * which);
    s->limit = (uint32_t)vmread(VMCS_GUEST_ES_LIMIT + 2 * which);
    s->attributes = rights & ACCESS_RIGHTS_UNUSABLE ? 0 : (uint16_t)rights;
}

static void vmx_set_segment(struct vcpu *vcpu, enum segment_register which, const struct segment *s)
{
    (void)vcpu;
    vmcs_set_segment(which, s);
}

static void vmx_get_gdtr(struct vcpu *vcpu, struct descriptor_table *gdtr)
{
    (void)vcpu;
    gdtr->base = vmread(VMCS_GUEST_GDTR_BASE);
    gdtr->limit = (uint32_t)vmread(VMCS_GUEST_GDTR_LIMIT);
}

/* Bits that the guest does not own (CR0.NE, CD, NW; CR4.VMXE) mean nothing to a walk. */
static void vmx_get_code_context(struct vcpu *vcpu, struct gva_context *c, struct code_position *code)
{
    (void)vcpu;
    c->cr0 = vmread(VMCS_GUEST_CR0);
    c->cr3 = vmread(VMCS_GUEST_CR3);
    c->cr4 = vmread(VMCS_GUEST_CR4);
    c->efer = vmread(VMCS_GUEST_EFER);
    c->rflags = vmread(VMCS_GUEST_RFLAGS);
    c->cpl = vmread(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * SEG_SS) >> SEG_ATTR_DPL_SHIFT & 3;
    code->rip = vmread(VMCS_GUEST_RIP);
    code->cs_attributes = (uint16_t)vmread(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * SEG_CS);
}

/* --- events --- */

/* What was injected stays in its field until an entry takes it, and that may have been put off for a request. */
static bool vmx_is_open(struct vcpu *vcpu, enum event_window window)
{
    uint64_t blocked;

    (void)vcpu;
    if (vmread(VMCS_ENTRY_INTERRUPTION_INFO) & INTERRUPTION_VALID)
        return false;
    blocked = vmread(VMCS_GUEST_INTERRUPTIBILITY);
    if (window == WINDOW_NMI)
        return !(blocked & (INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_MOV_SS | INTERRUPTIBILITY_STI));
    return !(blocked & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) &&
           (vmread(VMCS_GUEST_RFLAGS) & RFLAGS_IF);
}

static void vmx_want_window(struct vcpu *vcpu, enum event_window window, bool wanted)
{
    uint32_t bit = window == WINDOW_NMI ? PROC_NMI_WINDOW_EXITING : PROC_INTERRUPT_WINDOW_EXITING;

    vmcs_change_proc_controls(vcpu, wanted ? bit : 0, wanted ? 0 : bit);
}

static const uint8_t interruption_types[] = {
    [EVENT_INTERRUPT] = INTERRUPTION_EXTERNAL,
    [EVENT_NMI] = INTERRUPTION_NMI,
    [EVENT_EXCEPTION] = INTERRUPTION_HARDWARE_EXCEPTION,
    [EVENT_SOFTWARE_INTERRUPT] = INTERRUPTION_SOFTWARE,
    [EVENT_PRIVILEGED_SOFTWARE_EXCEPTION] = INTERRUPTION_PRIVILEGED_SOFTWARE_EXCEPTION,
    [EVENT_SOFTWARE_EXCEPTION] = INTERRUPTION_SOFTWARE_EXCEPTION,
};

static void vmx_inject(struct vcpu *vcpu, const struct event *event)
{
    uint32_t info = event->vector | (uint32_t)interruption_types[event->type] << INTERRUPTION_TYPE_SHIFT |
                    INTERRUPTION_VALID;

    (void)vcpu;
    if (event->has_error_code) {
        info |= INTERRUPTION_ERROR_CODE;
        vmwrite(VMCS_ENTRY_EXCEPTION_ERROR_CODE, event->error_code);
    }
    if (event->type >= EVENT_SOFTWARE_INTERRUPT)
        vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH, event->length);
    vmwrite(VMCS_ENTRY_INTERRUPTION_INFO, info);
}

/* Tells the CPU what is pending: RVI, and which EOIs we must see (SDM 3C, "Virtual-Interrupt Delivery"). */
static void sync_virtual_interrupts(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    /* A software-disabled APIC keeps what is pending to itself. */
    int irr = lapic_accepts_fixed(vcpu->lapic) ? lapic_highest_irr(vcpu->lapic) : -1;
    int isr = lapic_highest_isr(vcpu->lapic);
    uint64_t bitmap[4];

    vmwrite(VMCS_GUEST_INTERRUPT_STATUS, (uint64_t)MAX(isr, 0) << 8 | (uint64_t)MAX(irr, 0));
    if (!lapic_take_level_vectors_change(vcpu->lapic))
        return;
    lapic_level_vectors(vcpu->lapic, bitmap);
    for (unsigned i = 0; i < 4; i++) {
        if (bitmap[i] != v->eoi_bitmap[i]) {
            v->eoi_bitmap[i] = bitmap[i];
            vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, bitmap[i]);
        }
    }
}

/* Without delivery by the CPU: the TPR below which an exit tells us that something became deliverable. */
static void set_tpr_threshold(struct vcpu *vcpu)
{
    int irr = lapic_highest_irr(vcpu->lapic);
    unsigned class = irr < 0 ? 0 : (unsigned)irr >> 4;

    vmwrite(VMCS_TPR_THRESHOLD, MIN(class, lapic_tpr(vcpu->lapic) >> 4));
}

static bool vmx_sync_interrupts(struct vcpu *vcpu)
{
    if (vmx_of(vcpu)->proc2_controls & PROC2_VIRTUAL_INTERRUPTS) {
        sync_virtual_interrupts(vcpu);
        return true;
    }
    if (vmx_has(CONTROL_PROC, PROC_USE_TPR_SHADOW))
        set_tpr_threshold(vcpu);
    return false;
}

const struct vcpu_ops vmx_ops = {
    .name = "VT-x with EPT",
    .keeps_pdptes = true,
    .is_present = vmx_is_present,
    .probe = vmx_probe,
    .cpu_enable = vmx_cpu_enable,
    .cpu_disable = vmx_cpu_disable,
    .vcpu_create = vmx_vcpu_create,
    .vcpu_destroy = vmx_vcpu_destroy,
    .vcpu_reset = vmx_vcpu_reset,
    .load = vmx_load,
    .unload = vmx_unload,
    .run = vmx_run,
    .get = vmx_get,
    .set = vmx_set,
    .get_code_context = vmx_get_code_context,
    .get_segment = vmx_get_segment,
    .set_segment = vmx_set_segment,
    .get_gdtr = vmx_get_gdtr,
    .is_open = vmx_is_open,
    .want_window = vmx_want_window,
    .inject = vmx_inject,
    .sync_interrupts = vmx_sync_interrupts,
    .flush_linear = flush_linear,
    .flush_physical = vmx_flush_physical,
    .own_ports = vmx_own_ports,
    .pass_ports = vmx_pass_ports,
    .set_apic_mode = vmx_set_apic_mode,
    .describe = vmcs_describe,
    .visit_passed = vmx_visit_passed,
    .serves_msr = vmx_serves_msr,
    .apic_page = vmx_apic_page,
};

static unsigned vmx_leaf_levels(void)
{
    return vmx_caps.leaf_levels;
}

const struct stage2_ops vmx_stage2_ops = {&ept_format, vmx_leaf_levels};
