/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setting up a VMCS from tables: {field, value} for what is the same for everybody, small loops for the
 * segments. What each field means is the manual's business (SDM 3C, "Virtual Machine Control Structures").
 */
#include "arch/x86/vmx/vmcs.h"
#include "arch/arch.h"
#include "arch/x86/cpu.h"
#include "arch/x86/descriptors.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/guest/speculation.h"
#include "arch/x86/msr.h"
#include "arch/x86/paging.h"
#include "arch/x86/regs.h"
#include "arch/x86/vmx/vmx_caps.h"
#include "drivers/virt/lapic.h"
#include "kernel/pcpu.h"

extern const uint8_t vmx_exit_point[], vmx_exit_point_clearing[]; /* vmx_enter.asm */

struct field_value {
    enum vmcs_field field;
    uint64_t value;
};

static void write_table(const struct field_value *table, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        vmwrite(table[i].field, table[i].value);
}

/* TSC ticks: PAUSEs that are closer than the gap make a loop, and one that lasts for the window exits. */
#define PLE_GAP    128
#define PLE_WINDOW 4096

static const struct field_value fixed_fields[] = {
    {VMCS_EXCEPTION_BITMAP, EXCEPTIONS_TAKEN},
    {VMCS_PAGE_FAULT_ERROR_MASK, 0},
    {VMCS_PAGE_FAULT_ERROR_MATCH, 0},
    {VMCS_CR3_TARGET_COUNT, 0},
    {VMCS_EXIT_MSR_STORE_COUNT, 0},
    {VMCS_EXIT_MSR_LOAD_COUNT, 0},
    {VMCS_ENTRY_MSR_LOAD_COUNT, 0},
    {VMCS_ENTRY_INTERRUPTION_INFO, 0},
    {VMCS_LINK_POINTER, ~0ul},
    {VMCS_CR0_MASK, CR0_HOST_OWNED},
    {VMCS_HOST_ES_SELECTOR, 0},
    {VMCS_HOST_CS_SELECTOR, HOST_CS},
    {VMCS_HOST_SS_SELECTOR, 0},
    {VMCS_HOST_DS_SELECTOR, 0},
    {VMCS_HOST_FS_SELECTOR, 0},
    {VMCS_HOST_GS_SELECTOR, 0},
    {VMCS_HOST_TR_SELECTOR, HOST_TR},
    {VMCS_HOST_FS_BASE, 0},
    {VMCS_HOST_SYSENTER_CS, 0},
    {VMCS_HOST_SYSENTER_ESP, 0},
    {VMCS_HOST_SYSENTER_EIP, 0},
    {VMCS_HOST_PAT, PAT_RESET},
};

static void write_controls(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    v->proc_controls = vmx_caps.controls[CONTROL_PROC];
    v->proc2_controls = vmx_caps.controls[CONTROL_PROC2];
    vmwrite(VMCS_PIN_BASED_CONTROLS, vmx_caps.controls[CONTROL_PIN]);
    vmwrite(VMCS_PROC_BASED_CONTROLS, v->proc_controls);
    vmwrite(VMCS_EXIT_CONTROLS, vmx_caps.controls[CONTROL_EXIT]);
    vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.controls[CONTROL_ENTRY]);
}

static void write_pointers(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);

    vmwrite(VMCS_EPT_POINTER, v->eptp);
    vmwrite(VMCS_MSR_BITMAP, v->msr_bitmap.value);
    vmwrite(VMCS_IO_BITMAP_A, v->io_bitmaps.value ? v->io_bitmaps.value : vmx_io_bitmap.value);
    vmwrite(VMCS_IO_BITMAP_B, v->io_bitmaps.value ? v->io_bitmaps.value + PAGE_SIZE : vmx_io_bitmap.value);
    vmwrite(VMCS_TSC_OFFSET, vcpu->tsc_offset);
    if (vmx_has(CONTROL_PROC2, PROC2_ENABLE_VPID))
        vmwrite(VMCS_VPID, v->vpid);
    if (vmx_has(CONTROL_PROC, PROC_USE_TPR_SHADOW)) {
        vmwrite(VMCS_VIRTUAL_APIC_ADDRESS, v->virtual_apic.value);
        vmwrite(VMCS_TPR_THRESHOLD, 0);
    }
    if (vmx_has(CONTROL_PROC2, PROC2_ENCLS_EXITING))
        vmwrite(VMCS_ENCLS_EXITING_BITMAP, UINT64_MAX); /* every leaf of it */
    if (vmx_has(CONTROL_PROC2, PROC2_VIRTUALIZE_APIC_ACCESSES))
        vmwrite(VMCS_APIC_ACCESS_ADDRESS, v->apic_access.value);
    if (vmx_has(CONTROL_PROC2, PROC2_PAUSE_LOOP_EXITING)) {
        vmwrite(VMCS_PLE_GAP, PLE_GAP);
        vmwrite(VMCS_PLE_WINDOW, PLE_WINDOW);
    }
    if (vmx_has(CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS)) {
        vmwrite(VMCS_GUEST_INTERRUPT_STATUS, 0);
        for (unsigned i = 0; i < 4; i++) {
            vmwrite(VMCS_EOI_EXIT_BITMAP0 + 2 * i, 0);
            v->eoi_bitmap[i] = 0;
        }
    }
}

void vmcs_set_host_cpu(void)
{
    const struct pcpu *cpu = this_pcpu();

    vmwrite(VMCS_HOST_GS_BASE, (uint64_t)cpu);
    vmwrite(VMCS_HOST_TR_BASE, (uint64_t)&cpu->arch->tss);
    vmwrite(VMCS_HOST_GDTR_BASE, (uint64_t)cpu->arch->gdt);
}

/* Every CPU has the same of these. */
static void write_host(void)
{
    vmwrite(VMCS_HOST_CR0, read_cr0());
    vmwrite(VMCS_HOST_CR3, read_cr3());
    vmwrite(VMCS_HOST_CR4, read_cr4());
    vmwrite(VMCS_HOST_EFER, rdmsr(MSR_IA32_EFER));
    vmwrite(VMCS_HOST_IDTR_BASE, idt_base());
    vmwrite(VMCS_HOST_RIP, (uint64_t)(speculation_clears_buffers ? vmx_exit_point_clearing : vmx_exit_point));
}

void vmcs_init(struct vcpu *vcpu)
{
    write_table(fixed_fields, ARRAY_SIZE(fixed_fields));
    write_controls(vcpu);
    write_pointers(vcpu);
    write_host();
    vmcs_set_host_cpu();
    vmwrite(VMCS_CR4_MASK, ~cr4_guest_owned(vcpu));
    vmcs_fill_msr_bitmap(vcpu);
    vmcs_set_apic_mode(vcpu);
}

/* --- guest state --- */

void vmcs_set_segment(enum segment_register which, const struct segment *s)
{
    uint32_t rights = s->attributes & SEG_ATTR_P ? s->attributes : ACCESS_RIGHTS_UNUSABLE;

    vmwrite(VMCS_GUEST_ES_SELECTOR + 2 * which, s->selector);
    vmwrite(VMCS_GUEST_ES_BASE + 2 * which, s->base);
    vmwrite(VMCS_GUEST_ES_LIMIT + 2 * which, s->limit);
    vmwrite(VMCS_GUEST_ES_ACCESS_RIGHTS + 2 * which, rights);
}

void vmcs_set_cr0(struct vcpu *vcpu, uint64_t value)
{
    /* PE and PG are the guest's own: unrestricted guest. CD and NW would slow, or break, the host's caches. */
    uint64_t needed = vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG);

    (void)vcpu;
    vmwrite(VMCS_GUEST_CR0, (value & ~(CR0_CD | CR0_NW)) | needed);
    vmwrite(VMCS_CR0_SHADOW, value);
}

void vmcs_set_cr4(struct vcpu *vcpu, uint64_t value)
{
    (void)vcpu;
    /* MCE is the host's: with 0 a machine check while the guest runs would shut the CPU down. */
    vmwrite(VMCS_GUEST_CR4, value | vmx_caps.cr4_fixed0 | (read_cr4() & CR4_MCE));
    vmwrite(VMCS_CR4_SHADOW, value);
}

uint64_t vmcs_get_cr0(void)
{
    return (vmread(VMCS_GUEST_CR0) & ~CR0_HOST_OWNED) | (vmread(VMCS_CR0_SHADOW) & CR0_HOST_OWNED);
}

uint64_t vmcs_get_cr4(void)
{
    uint64_t owned = vmread(VMCS_CR4_MASK);

    return (vmread(VMCS_GUEST_CR4) & ~owned) | (vmread(VMCS_CR4_SHADOW) & owned);
}

void vmcs_set_start(struct vcpu *vcpu, const struct vcpu_start *start)
{
    const struct field_value state[] = {
        {VMCS_GUEST_CR3, start->cr3},
        {VMCS_GUEST_RIP, start->rip},
        {VMCS_GUEST_RSP, start->gpr[GPR_RSP]},
        {VMCS_GUEST_RFLAGS, start->rflags | RFLAGS_ONE},
        {VMCS_GUEST_EFER, start->efer},
        {VMCS_GUEST_PAT, PAT_RESET},
        {VMCS_GUEST_DR7, DR7_INIT},
        {VMCS_GUEST_DEBUGCTL, 0},
        {VMCS_GUEST_GDTR_BASE, start->gdtr.base},
        {VMCS_GUEST_GDTR_LIMIT, start->gdtr.limit},
        {VMCS_GUEST_IDTR_BASE, start->idtr.base},
        {VMCS_GUEST_IDTR_LIMIT, start->idtr.limit},
        {VMCS_GUEST_SYSENTER_CS, 0},
        {VMCS_GUEST_SYSENTER_ESP, 0},
        {VMCS_GUEST_SYSENTER_EIP, 0},
        {VMCS_GUEST_INTERRUPTIBILITY, 0},
        {VMCS_GUEST_ACTIVITY, 0},
        {VMCS_GUEST_PENDING_DEBUG, 0},
        {VMCS_ENTRY_INTERRUPTION_INFO, 0},
    };

    write_table(state, ARRAY_SIZE(state));
    vmcs_set_cr0(vcpu, start->cr0);
    vmcs_set_cr4(vcpu, start->cr4);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        vmcs_set_segment(i, &start->segment[i]);
    vmwrite(VMCS_ENTRY_CONTROLS, vmx_caps.controls[CONTROL_ENTRY] |
                                     (start->efer & EFER_LMA ? ENTRY_IA32E_MODE_GUEST : 0));
}

void vmcs_change_proc_controls(struct vcpu *vcpu, uint32_t set, uint32_t clear)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    uint32_t value = (v->proc_controls | set) & ~clear;

    if (value == v->proc_controls)
        return;
    v->proc_controls = value;
    vmwrite(VMCS_PROC_BASED_CONTROLS, value);
}

/* --- MSR bitmap and APIC mode --- */

/* SDM 3C, "MSR-Bitmap Address": reads of low and high MSRs, then writes; a set bit makes an exit. */
static void allow_msr(struct vcpu *vcpu, uint32_t index, bool is_write)
{
    uint8_t *bitmap = (uint8_t *)vmx_of(vcpu)->msr_bitmap_page + (is_write ? 2048 : 0);

    if (index >= 0xc0000000u)
        bitmap += 1024;
    bitmap[(index & 0x1fff) / 8] &= (uint8_t)~(1u << index % 8);
}

/*
 * x2APIC registers that the CPU serves from the page, and the control that makes it do so; the others are
 * computed, or do not exist.
 */
static const struct x2apic_row {
    uint16_t first, last;
    bool is_write;
    enum vmx_control field;
    uint32_t needs;
} x2apic_rows[] = {
    {APIC_TPR, APIC_TPR, false, CONTROL_PROC, PROC_USE_TPR_SHADOW},
    {APIC_TPR, APIC_TPR, true, CONTROL_PROC, PROC_USE_TPR_SHADOW},
    {APIC_ID, APIC_VERSION, false, CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT},
    {APIC_LDR, APIC_LDR, false, CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT},
    {APIC_SVR, APIC_ESR, false, CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT}, /* with ISR, TMR and IRR in between */
    {APIC_ICR_LOW, APIC_ICR_LOW, false, CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT},
    {APIC_LVT_TIMER, APIC_TIMER_INITIAL, false, CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT},
    {APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE, false, CONTROL_PROC2, PROC2_APIC_REGISTER_VIRT},
    {APIC_EOI, APIC_EOI, true, CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS},
    {APIC_SELF_IPI, APIC_SELF_IPI, true, CONTROL_PROC2, PROC2_VIRTUAL_INTERRUPTS},
};

static void allow_x2apic(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < ARRAY_SIZE(x2apic_rows); i++) {
        const struct x2apic_row *row = &x2apic_rows[i];

        for (unsigned offset = row->first; offset <= row->last && vmx_has(row->field, row->needs); offset += 16)
            allow_msr(vcpu, MSR_IA32_X2APIC_FIRST + offset / 16, row->is_write);
    }
}

bool vmcs_serves_msr(const struct vcpu *vcpu, uint32_t index, bool is_write)
{
    if (!(vmx_of(vcpu)->proc2_controls & PROC2_VIRTUALIZE_X2APIC))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(x2apic_rows); i++) {
        const struct x2apic_row *row = &x2apic_rows[i];

        if (row->is_write == is_write && vmx_has(row->field, row->needs) &&
            index >= MSR_IA32_X2APIC_FIRST + row->first / 16u && index <= MSR_IA32_X2APIC_FIRST + row->last / 16u)
            return true;
    }
    return false;
}

void vmcs_fill_msr_bitmap(struct vcpu *vcpu)
{
    uint32_t *bitmap = vmx_of(vcpu)->msr_bitmap_page;
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    for (unsigned i = 0; i < PAGE_SIZE / sizeof *bitmap; i++)
        bitmap[i] = ~0u;
    for (unsigned i = 0; i < count; i++) {
        if (msr_passes(&rows[i]) & MSR_PASS_READ)
            allow_msr(vcpu, rows[i].index, false);
        if (msr_passes(&rows[i]) & MSR_PASS_WRITE)
            allow_msr(vcpu, rows[i].index, true);
    }
    if (vmx_of(vcpu)->proc2_controls & PROC2_VIRTUALIZE_X2APIC)
        allow_x2apic(vcpu);
}

/* The CPU virtualizes either the page or the MSRs (SDM 3C, "Checks on VMX Controls"). */
void vmcs_set_apic_mode(struct vcpu *vcpu)
{
    struct vmx_vcpu *v = vmx_of(vcpu);
    uint32_t *caps = &vmx_caps.controls[CONTROL_PROC2];
    uint32_t wanted = *caps & ~(PROC2_VIRTUALIZE_APIC_ACCESSES | PROC2_VIRTUALIZE_X2APIC);

    if (lapic_is_x2apic(vcpu->lapic))
        wanted |= *caps & PROC2_VIRTUALIZE_X2APIC;
    else if (lapic_is_enabled(vcpu->lapic))
        wanted |= *caps & PROC2_VIRTUALIZE_APIC_ACCESSES;
    v->proc2_controls = wanted;
    vmwrite(VMCS_PROC_BASED_CONTROLS2, wanted);
    if (vmx_has(CONTROL_PROC, PROC_USE_TPR_SHADOW))
        vmwrite(VMCS_TPR_THRESHOLD, 0); /* the TPR may have been reset to less than it was */
    vmcs_fill_msr_bitmap(vcpu);
}

/* --- dump --- */

unsigned vmcs_describe(struct vcpu *vcpu, struct named_value *values, unsigned count)
{
    static const struct {
        const char *name;
        uint32_t field;
    } shown[] = {
        {"gdtr", VMCS_GUEST_GDTR_BASE}, {"limit", VMCS_GUEST_GDTR_LIMIT},
        {"idtr", VMCS_GUEST_IDTR_BASE}, {"limit", VMCS_GUEST_IDTR_LIMIT},
        {"exit reason", VMCS_EXIT_REASON}, {"qualification", VMCS_EXIT_QUALIFICATION},
        {"gpa", VMCS_GUEST_PHYSICAL_ADDRESS}, {"interruptibility", VMCS_GUEST_INTERRUPTIBILITY},
        {"activity", VMCS_GUEST_ACTIVITY}, {"entry controls", VMCS_ENTRY_CONTROLS},
    };
    unsigned n = MIN((unsigned)ARRAY_SIZE(shown), count);

    (void)vcpu;
    for (unsigned i = 0; i < n; i++)
        values[i] = (struct named_value){shown[i].name, vmread(shown[i].field)};
    return n;
}
