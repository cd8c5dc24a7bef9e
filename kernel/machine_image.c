/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VM boots: its images, found among the modules that the loader brought, and the tables that tell it what it has.
 */
#include "arch/arch.h"
#include "arch/x86/guest/acpi_tables.h"
#include "arch/x86/guest/boot.h"
#include "kernel/control.h"
#include "kernel/machine.h"
#include "kernel/machine_parts.h"
#include "kernel/machine_pci.h"
#include "kernel/multiboot2.h"

struct guest_image machine_image(const struct boot_info *boot, unsigned index)
{
    if (index == VM_IMAGE_NONE)
        return (struct guest_image){NULL, 0};
    return (struct guest_image){phys_to_virt(boot->modules[index].start), boot->modules[index].size};
}

static const enum boot_format formats[] = {
    [VM_FORMAT_AUTO] = BOOT_AUTO,           [VM_FORMAT_LINUX] = BOOT_LINUX, [VM_FORMAT_PVH] = BOOT_PVH,
    [VM_FORMAT_MULTIBOOT] = BOOT_MULTIBOOT, [VM_FORMAT_FLAT] = BOOT_FLAT,
};

int machine_load_images(struct vm *vm, const struct boot_info *boot)
{
    const struct vm_config *config = vm->config;
    struct acpi_request tables = {vm->vcpu_count, vm->platform->transport_count, vm->platform->pci,
                                  machine_pci_has_high_window(vm), vm->config->device_count,
                                  vm->config->serial == VM_SERIAL_COM2, vm->config->vga};
    struct guest_module modules[VM_MODULES_MAX];
    struct boot_request request = {
        .mem = &vm->mem,
        .ram_bytes = config->memory,
        .format = formats[config->format],
        .image = machine_image(boot, config->kernel),
        .initrd = machine_image(boot, config->initrd),
        .cmdline = config->cmdline,
        .modules = modules,
        .module_count = config->module_count,
        .load_address = GPA(config->load),
        .entry = GPA(config->entry_point),
        .entry_mode = config->entry == VM_ENTRY_REAL ? BOOT_ENTRY_REAL : BOOT_ENTRY_PROTECTED,
        .start = &vm->start,
        .pause = control_yield,
        .has_vga = config->vga,
    };
    const char *why;

    for (unsigned i = 0; i < config->module_count; i++)
        modules[i] = (struct guest_module){machine_image(boot, config->modules[i].image), config->modules[i].cmdline};
    if (config->memory >= MIB(1) && acpi_tables_build(&tables, &vm->mem, &request.acpi_rsdp) != 0)
        return machine_refuse(vm, "no room for its ACPI tables");
    control_yield();
    return boot_load(&request, &why) == 0 ? 0 : machine_refuse(vm, why);
}
