/* SPDX-License-Identifier: BSD-2-Clause */
/* See audit.h. */
#include "kernel/audit.h"
#include "arch/arch.h"
#include "arch/x86/apic_regs.h"
#include "arch/x86/guest/msr.h"
#include "kernel/guest_pages.h"
#include "kernel/iommu.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/page.h"
#include "kernel/vm.h"

#define REPORTS_MAX  8u
#define REPORT_BYTES 160u

static PRINTF_LIKE(2, 3) void violation(struct audit *a, const char *format, ...)
{
    char text[REPORT_BYTES];
    va_list arguments;

    if (a->violations++ >= REPORTS_MAX)
        return;
    va_start(arguments, format);
    format_text_va(text, sizeof text, format, arguments);
    va_end(arguments);
    a->report(a->context, text);
}

/* --- pages --- */

/* False: another VM, or this one elsewhere, has some of it. */
static bool claim(struct audit *a, hpa_t start, uint64_t size)
{
    uint64_t page = start.value >> PAGE_SHIFT;
    bool is_new = true;

    for (uint64_t end = page + (size >> PAGE_SHIFT); page < end && page < a->claimable; page++) {
        is_new &= !(a->claims[page / 64] & BIT(page % 64));
        a->claims[page / 64] |= BIT(page % 64);
    }
    return is_new;
}

/* As long as a slot is in one piece, its notes say where each page is; else any page that is marked as a guest's may be it. */
static bool is_at_its_place(const struct guest_mem_slot *slot, const struct pt_mapping *page)
{
    uint64_t offset = page->virt - slot->base.value;

    if (!range_fits(offset, page->size, slot->size))
        return false;
    return slot->is_scattered || virt_to_phys(slot->host + offset).value == page->hpa.value;
}

static void check_ram(struct audit *a, const struct guest_mem_slot *slot, const struct pt_mapping *page)
{
    if (!is_at_its_place(slot, page))
        violation(a, "%s: RAM at %#lx is %#lx, which is not its place", a->vm->name, page->virt, page->hpa.value);
    else if (!page_is_guests(page->hpa, page->size))
        violation(a, "%s: RAM at %#lx is %#lx, which is no guest's", a->vm->name, page->virt, page->hpa.value);
    else if (!claim(a, page->hpa, page->size))
        violation(a, "%s: RAM at %#lx is %#lx, which is mapped elsewhere, too", a->vm->name, page->virt, page->hpa.value);
}

/* It is there only to be recognised. */
static bool is_apic_page(const struct vm *vm, const struct pt_mapping *page)
{
    hpa_t own = vcpu_ops->apic_page(vm);

    return own.value && page->hpa.value == own.value && page->virt == APIC_DEFAULT_BASE && page->size == PAGE_SIZE &&
           !(page->attributes & PT_EXEC);
}

/* It is never a VM's RAM, whatever the description says, nor code. */
static bool is_given(const struct audit *a, const struct pt_mapping *page)
{
    return a->is_given && !(page->attributes & PT_EXEC) && !page_is_guests(page->hpa, PAGE_SIZE) && a->is_given(a->vm, page);
}

static int check_page(const struct pt_mapping *page, void *context)
{
    struct audit *a = context;
    const struct guest_mem_slot *slot = guest_mem_find_slot(&a->vm->mem, GPA(page->virt));

    a->pages += page->size >> PAGE_SHIFT;
    if (slot)
        check_ram(a, slot, page);
    else if (!is_apic_page(a->vm, page) && !is_given(a, page))
        violation(a, "%s: %#lx is mapped to %#lx, and is neither RAM nor was given to it", a->vm->name, page->virt,
                  page->hpa.value);
    return 0;
}

/* --- bitmaps --- */

static bool may_pass(const struct audit *a, const struct vcpu *vcpu, enum passed what, uint32_t index)
{
    if (what == PASSED_PORT)
        return a->is_port_given && a->is_port_given(vcpu->vm, (uint16_t)index);
    return msr_may_pass(index, what == PASSED_MSR_WRITE) || vcpu_ops->serves_msr(vcpu, what, index);
}

struct bitmaps {
    struct audit *audit;
    const struct vcpu *vcpu;
};

static void check_passed(void *context, enum passed what, uint32_t index)
{
    static const char *const names[] = {"port", "reading MSR", "writing MSR"};
    struct bitmaps *b = context;

    if (!may_pass(b->audit, b->vcpu, what, index))
        violation(b->audit, "%s/%u: %s %#x makes no exit", b->vcpu->vm->name, b->vcpu->index, names[what], index);
}

static void check_bitmaps(struct audit *a, const struct vcpu *vcpu)
{
    struct bitmaps b = {a, vcpu};
    uint64_t bits = vcpu_ops->visit_passed(vcpu, check_passed, &b);

    a->bits += bits;
    if (bits == 0)
        violation(a, "%s/%u: its bitmaps, or its tables, are not the ones in force", a->vm->name, vcpu->index);
}

void audit_vm(struct audit *a, const struct vm *vm, bool is_still)
{
    a->vm = vm;
    a->vms++;
    (void)pt_visit(vm->stage2, check_page, a);
    for (unsigned i = 0; is_still && i < vm->vcpu_count; i++)
        check_bitmaps(a, vm->vcpus[i]);
}

/* --- devices --- */

struct reaches {
    struct audit *audit;
    const struct vm *(*find)(const char *name);
};

/* Of a device that no VM has it is enough that it reaches no VM's memory: firmware keeps some for itself. */
static bool is_own_reach(const struct vm *vm, const struct iommu_reach *reach)
{
    const struct guest_mem_slot *slot = vm ? guest_mem_find_slot(&vm->mem, GPA(reach->iova)) : NULL;
    struct pt_mapping page = {reach->iova, reach->hpa, reach->size, reach->attributes};

    if (!vm)
        return !page_is_guests(reach->hpa, PAGE_SIZE);
    return slot && is_at_its_place(slot, &page) && page_is_guests(reach->hpa, reach->size);
}

static int check_reach(void *context, const struct iommu_reach *reach)
{
    struct reaches *r = context;

    r->audit->pages += reach->size >> PAGE_SHIFT;
    if (!is_own_reach(r->find(reach->owner), reach))
        violation(r->audit, PCI_ADDRESS_FORMAT " of %s reaches %#lx at %#lx", PCI_ADDRESS_ARGS(reach->requester), reach->owner,
                  reach->hpa.value, reach->iova);
    return 0;
}

int audit_iommu(struct audit *a, const struct vm *(*find)(const char *name))
{
    struct reaches r = {a, find};

    return iommu_ops ? iommu_ops->audit(check_reach, &r) : 0;
}

/* --- beginning and end --- */

int audit_begin(struct audit *a)
{
    hpa_t block;

    a->claimable = page_end().value >> PAGE_SHIFT;
    a->order = page_order_for(a->claimable / 8 + sizeof *a->claims);
    if (a->order > PAGE_ORDER_MAX || page_alloc_zeroed(a->order, &block) != 0)
        return -ENOMEM;
    a->claims = phys_to_virt(block);
    return 0;
}

void audit_end(struct audit *a)
{
    page_free(virt_to_phys(a->claims), a->order);
    a->claims = NULL;
}

void audit_format(const struct audit *a, char *text, size_t size)
{
    size_t n = format_text(text, size, "%u VMs, %lu pages, %lu bitmap bits: ", a->vms, a->pages, a->bits);

    if (a->violations == 0)
        format_text(text + n, size - n, "ok");
    else
        format_text(text + n, size - n, "%u violations", a->violations);
}
