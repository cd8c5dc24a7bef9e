/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's vCPUs: each with its CPUID leaves, its local APIC, its state of the engine and its place in the scheduler.
 */
#include "arch/arch.h"
#include "arch/x86/guest/cpuid.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/world.h"
#include "arch/x86/regs.h"
#include "kernel/control.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/machine.h"
#include "kernel/machine_parts.h"
#include "kernel/page.h"
#include "kernel/trace.h"
#include "kernel/vcpu_ops.h"

static void request_event(void *context)
{
    struct vcpu *vcpu = context;

    vcpu_request(vcpu, REQUEST_EVENT);
}

static void lapic_send(void *context, const struct apic_message *message)
{
    struct vcpu *vcpu = context;

    apic_bus_send(&vcpu->vm->platform->apic_bus, message);
}

static void lapic_broadcast_eoi(void *context, uint8_t vector)
{
    struct vcpu *vcpu = context;

    apic_bus_broadcast_eoi(&vcpu->vm->platform->apic_bus, vector);
}

static const struct lapic_wiring lapic_wiring = {
    lapic_send, lapic_broadcast_eoi, request_event, event_deliver, event_timer_is_here,
};

static void *alloc_page(void)
{
    hpa_t page;

    return page_alloc_zeroed(PAGE_ORDER_4K, &page) == 0 ? phys_to_virt(page) : NULL;
}

static void free_page(void *page)
{
    if (page)
        page_free(virt_to_phys(page), PAGE_ORDER_4K);
}

static int fill_vcpu(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;
    void *lapic_page;
    int error;

    vcpu->cpuid = heap_alloc(sizeof *vcpu->cpuid);
    vcpu->xsave_area = alloc_page();
    vcpu->lapic = heap_alloc(sizeof *vcpu->lapic);
    lapic_page = vcpu->lapic ? alloc_page() : NULL;
    if (!lapic_page || !vcpu->cpuid || !vcpu->xsave_area) {
        free_page(lapic_page);
        return -ENOMEM;
    }
    world_reset(vcpu);
    lapic_init(vcpu->lapic, lapic_page, vcpu->index, vcpu->index == 0, &lapic_wiring, vcpu);
    guest_cpuid_init(vcpu->cpuid, vcpu->index, vm->config->vcpus);
    vcpu->physical_bits = (uint8_t)guest_cpuid_find(vcpu->cpuid, 0x80000008, 0)->eax;
    vcpu->has_1g_pages = guest_cpuid_find(vcpu->cpuid, 0x80000001, 0)->edx & CPUID_81_EDX_PAGE1GB;
    /* The VM's cap is shared out: a vCPU alone cannot use it up for the others. */
    task_init(&vcpu->task, vcpu, vm->config->weight,
              (vm->config->cap + vm->config->vcpus - 1) / vm->config->vcpus, vm->config->cpus);
    error = vcpu_ops->vcpu_create(vcpu);
    if (!error && !vcpu->uses_virtual_delivery)
        guest_cpuid_offer_pv_eoi(vcpu->cpuid);
    return error;
}

int machine_make_vcpus(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config->vcpus; i++) {
        struct vcpu *vcpu = heap_alloc(sizeof *vcpu);

        if (!vcpu)
            return machine_refuse(vm, "no memory for its vCPUs");
        vcpu->vm = vm;
        vcpu->index = i;
        vm->vcpus[vm->vcpu_count++] = vcpu;
        if (fill_vcpu(vcpu) != 0)
            return machine_refuse(vm, "no memory for its vCPUs");
        if (vcpu->task.cpus == 0)
            return machine_refuse(vm, "none of the CPUs that it may use runs guests");
        control_yield();
    }
    return 0;
}

static void destroy_vcpu(struct vcpu *vcpu)
{
    if (vcpu->engine)
        vcpu_ops->vcpu_destroy(vcpu);
    if (vcpu->lapic)
        free_page(vcpu->lapic->page);
    free_page(vcpu->xsave_area);
    heap_free(vcpu->lapic);
    trace_free(vcpu);
    heap_free(vcpu->cpuid);
    heap_free(vcpu);
}

void machine_free_vcpus(struct vm *vm)
{
    while (vm->vcpu_count > 0)
        destroy_vcpu(vm->vcpus[--vm->vcpu_count]);
}
