/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps by which machine.c builds a VM and takes it apart: one file each. Control thread, but for what devices call.
 * A step that makes something returns 0, or it has told vm_config_refuse() why not; what it made until then is freed by
 * its counterpart.
 */
#ifndef KERNEL_MACHINE_PARTS_H
#define KERNEL_MACHINE_PARTS_H

#include "kernel/lib/types.h"

struct boot_info;
struct guest_image;
struct platform;
struct random;
struct vm;

/* Says why there will be no such VM. -ENOMEM, for the caller to return. */
MUST_CHECK int machine_refuse(struct vm *vm, const char *why);

/* machine_memory.c */
MUST_CHECK int machine_make_memory(struct vm *vm);
void machine_free_memory(struct vm *vm);

/* machine_vcpus.c */
MUST_CHECK int machine_make_vcpus(struct vm *vm);
void machine_free_vcpus(struct vm *vm);

/* machine_devices.c. The vCPUs are there. */
void machine_make_devices(struct vm *vm);
MUST_CHECK int machine_make_pci(struct vm *vm);
/* An irq_line's set; context: the struct platform. */
void machine_set_isa_line(void *context, unsigned input, bool level);

/* Every device is there: each of their timers is under the lock of its device from now on, or is cancelled. */
void machine_lock_timers(struct vm *vm);
void machine_cancel_timers(struct vm *vm);

/* machine_legacy.c: serial= and vga=. Its vCPUs and its memory are there. */
MUST_CHECK int machine_make_legacy(struct vm *vm);
/* Nothing of it interrupts vm any more. sched_synchronize() before vm is freed. */
void machine_take_legacy_back(struct vm *vm);
/* Who has the VGA; NULL: nobody. */
const struct vm *machine_vga_owner(void);
/* Is the port, is all of that memory, a part of what vm was given of these? */
bool machine_legacy_owns_port(const struct vm *vm, uint16_t port);
bool machine_legacy_owns_memory(const struct vm *vm, hpa_t hpa, uint64_t size);
/* A VM was given a display: the hypervisor writes there no more, by what main.c says how. */
void machine_release_screen(void);
extern void (*machine_leave_screen)(void);

/* machine_virtio.c */
MUST_CHECK int machine_make_virtio(struct vm *vm, const struct boot_info *boot, struct random *random);
/* Before anything is freed: other guests' CPUs write into its memory and interrupt its vCPUs. */
void machine_unplug_virtio(struct platform *p);
void machine_free_virtio(struct platform *p);

/* machine_shared.c. The PCI bus is there. When unplug returns, no other VM reaches this one. */
MUST_CHECK int machine_make_shared(struct vm *vm);
void machine_unplug_shared(struct platform *p);
void machine_free_shared(struct platform *p);

/* machine_image.c. A module of the loader's; empty for VM_IMAGE_NONE. */
struct guest_image machine_image(const struct boot_info *boot, unsigned index);
MUST_CHECK int machine_load_images(struct vm *vm, const struct boot_info *boot);

/* machine_console.c. The context of what devices call is their struct platform. */
MUST_CHECK int machine_attach_console(struct vm *vm);
void machine_detach_console(struct vm *vm);
void machine_uart_output(void *context, const uint8_t *bytes, size_t count);
void machine_virtio_output(void *context, const uint8_t *bytes, size_t count);
void machine_debug_output(void *context, const uint8_t *bytes, size_t count);
void machine_offer_input(void *context);

#endif
