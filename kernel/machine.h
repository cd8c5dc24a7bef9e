/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second composition root: builds a VM out of its description. Only this knows every device; a
 * device knows none of the others.
 */
#ifndef KERNEL_MACHINE_H
#define KERNEL_MACHINE_H

#include "arch/x86/guest/layout.h"
#include "arch/x86/guest/state.h"
#include "drivers/net/switch.h"
#include "drivers/virt/acpi_pm.h"
#include "drivers/virt/apic_bus.h"
#include "drivers/virt/debug_exit.h"
#include "drivers/virt/debug_port.h"
#include "drivers/virt/i8042.h"
#include "drivers/virt/ioapic.h"
#include "drivers/virt/lapic.h"
#include "drivers/virt/pic.h"
#include "drivers/virt/pit.h"
#include "drivers/virt/rtc.h"
#include "drivers/virt/uart.h"
#include "drivers/virt/virtio_balloon.h"
#include "drivers/virt/virtio_blk.h"
#include "drivers/virt/virtio_console.h"
#include "drivers/virt/virtio_mmio.h"
#include "drivers/virt/virtio_net.h"
#include "drivers/virt/virtio_rng.h"
#include "drivers/virt/virtio_vsock.h"
#include "kernel/console.h"
#include "kernel/ramdisk.h"
#include "kernel/vm.h"
#include "kernel/vm_config.h"

struct boot_info;
struct machine_pci;
struct machine_shared;
struct random;

#define PLATFORM_INPUT_BYTES 256u

/* The devices of one VM; it lives as long as the VM. */
struct platform {
    struct vm *vm;
    struct apic_bus apic_bus;
    struct ioapic ioapic;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct i8042 i8042;
    struct acpi_pm pm;
    struct uart uart;
    struct debug_port debug_port;
    struct debug_exit debug_exit;

    struct virtio_mmio transports[GUEST_VIRTIO_MAX];
    unsigned transport_count;
    struct virtio_console console;
    struct virtio_rng rng;
    struct virtio_blk *disks; /* as many as are described */
    struct ramdisk ramdisks[VM_DISKS_MAX];
    struct virtio_balloon *balloon; /* NULL: it has none */
    bool balloon_wants_flush; /* atomic; see ballooning.h */
    uint64_t balloon_next_flush; /* the control thread's: not before (host TSC) */
    struct timer balloon_timer;
    struct virtio_net *nets; /* as many as are described */
    struct switch_port *ports[VM_NETS_MAX]; /* where they are plugged in */
    struct virtio_vsock *vsock;             /* NULL: it has none */
    struct machine_shared *shared[VM_SHARED_MAX]; /* NULL: no more */
    struct machine_pci *pci;                /* NULL: it has no PCI bus */

    /* What was typed and not yet taken by the console device that wrote last. */
    struct console_typed typed; /* console.c's: for this guest, by people */
    uint8_t input[PLATFORM_INPUT_BYTES];
    size_t input_count;
    bool console_is_virtio;
    char console_line[CONSOLE_LINE_BYTES]; /* the console's */
};

/*
 * Builds the VM: memory, second-level tables, vCPUs, devices, images, start state. NULL: refused, and
 * vm_config_refuse() was told why. The control thread, as for all of these; long steps yield.
 */
struct vm *machine_create(struct vm_config *config, const struct boot_info *boot, struct random *random);

/* Gives its vCPUs to the scheduler. The VM was never started before. */
void machine_start(struct vm *vm);

/* Goes on with what devices left undone to end an exit soon. A vCPU of it, in its run loop. */
void machine_resume_devices(struct vm *vm);

/* Presses the ACPI power button. */
void machine_press_power_button(struct vm *vm);

/* Gives everything back. No vCPU of it is the scheduler's. */
void machine_destroy(struct vm *vm);

/* Something was typed: the VM that is attached takes it. Any CPU, also in an interrupt. */
void machine_wake_console(void);

/* Every VM that runs logs its state. */
void machine_dump_all(void);

#endif
