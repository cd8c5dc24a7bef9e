/* SPDX-License-Identifier: BSD-2-Clause */
/* What the hypervisor's own command line decides; the grammar is config.h's. */
#ifndef KERNEL_HOST_CONFIG_H
#define KERNEL_HOST_CONFIG_H

#include "kernel/config.h"
#include "kernel/log.h"

/* What happens when every VM has stopped. */
enum on_idle {
    ON_IDLE_SHELL,
    ON_IDLE_POWEROFF,
    ON_IDLE_REBOOT,
};

/* Of virtual interrupts, by the CPU. */
enum delivery {
    DELIVERY_OFF,
    DELIVERY_ON,   /* even where it is known to err */
    DELIVERY_AUTO, /* where it is not */
};

#define HOST_CONSOLE_COM1 1u
#define HOST_CONSOLE_VGA  2u
#define HOST_CONSOLE_E9   4u
#define HOST_CONSOLE_ALL  (HOST_CONSOLE_COM1 | HOST_CONSOLE_VGA | HOST_CONSOLE_E9)

#define HOST_CPUS_MAX 64

struct host_config {
    enum log_level log_level;
    enum on_idle on_idle;
    unsigned consoles; /* HOST_CONSOLE_* bits */
    unsigned max_cpus;
    /* May the CPU's feature be used where it is there? */
    bool vpid;
    bool tpr_shadow;
    bool apicv; /* false has switched off the next two */
    bool apic_register_virtualization;
    enum delivery virtual_interrupt_delivery;
    bool avic; /* not unless asked for */
    bool x2apic;
    bool ept_large_pages;
    bool preemption_timer;
    unsigned iommu; /* 0: not used, though it may be there */
    unsigned mitigations; /* 0: none, whatever the CPU needs; see arch/x86/guest/speculation.h */
    bool audit; /* look at what every VM reaches whenever one has ended */
    unsigned device_interrupts; /* that a passed-through function may send in a second; 0: no limit */
    bool unsafe_dma; /* may a guest do DMA with no IOMMU between? */
};

extern const struct config_table host_config_table;

/*
 * Fills config from defaults and the line. What is wrong on the line is logged by name and ignored,
 * because a hypervisor that boots with a default tells more than one that does not. Later wins over
 * earlier, as on a kernel's command line. Returns how many tokens were ignored.
 */
unsigned host_config_parse(const char *line, struct host_config *config);

#endif
