/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seam to a virtualization engine: how to run a guest CPU. One table, chosen
 * once at boot. Everything about a vCPU runs on the CPU that has it loaded.
 */
#ifndef KERNEL_VCPU_OPS_H
#define KERNEL_VCPU_OPS_H

#include "arch/x86/guest/state.h"
#include "kernel/exit.h"
#include "kernel/lib/types.h"

struct gva_context;
struct named_value;
struct code_position {
    uint64_t rip;
    unsigned cs_attributes;
};
struct vcpu;
struct vm;
struct host_config;
struct msr_row;

enum vcpu_register {
    VCPU_RIP, VCPU_RSP, VCPU_RFLAGS, VCPU_CR0, VCPU_CR2, VCPU_CR3, VCPU_CR4, VCPU_EFER, VCPU_PAT, VCPU_DR6, VCPU_DR7,
    VCPU_DR0, VCPU_DR1, VCPU_DR2, VCPU_DR3, /* to be read */
    VCPU_FS_BASE, VCPU_GS_BASE, VCPU_SYSENTER_CS, VCPU_SYSENTER_ESP, VCPU_SYSENTER_EIP,
    VCPU_TSC_OFFSET,
    VCPU_PDPTE0, VCPU_PDPTE1, VCPU_PDPTE2, VCPU_PDPTE3,
    VCPU_REGISTERS
};

/* What is delivered at the next entry. */
enum event_type { EVENT_NONE, EVENT_INTERRUPT, EVENT_NMI, EVENT_EXCEPTION, EVENT_SOFTWARE_INTERRUPT,
                  EVENT_PRIVILEGED_SOFTWARE_EXCEPTION, EVENT_SOFTWARE_EXCEPTION };

struct event {
    enum event_type type;
    uint8_t vector;
    bool has_error_code;
    uint32_t error_code;
    uint32_t length; /* of the instruction, for the software types */
};

enum event_window { WINDOW_INTERRUPT, WINDOW_NMI, WINDOWS };

/* What a vCPU does without an exit. */
enum passed { PASSED_PORT, PASSED_MSR_READ, PASSED_MSR_WRITE };

struct vcpu_ops {
    const char *name;
    /* run() switches STAR, LSTAR, CSTAR, FMASK and KERNEL_GS_BASE; else they stay in the CPU while the vCPU has it. */
    bool switches_syscall_msrs;
    /* PAE paging is from the four VCPU_PDPTE registers; else from memory, at each walk, where no write of CR0 or CR4 looks. */
    bool keeps_pdptes;
    /* Registers that only CPUs with this engine have, by ascending index; arch/x86/guest/msr.c has those of all. */
    const struct msr_row *msrs;
    unsigned msr_count;

    /* Does this CPU have the engine at all? The first one that is there is used, or refused by its probe(). */
    bool (*is_present)(void);
    /* Looks at this machine, prints the preflight report; false: cannot be used, and the reason was logged. */
    bool (*probe)(const struct host_config *config);
    /* On each CPU; -ENODEV with a logged reason. */
    int (*cpu_enable)(void);
    void (*cpu_disable)(void);

    int (*vcpu_create)(struct vcpu *vcpu);
    void (*vcpu_destroy)(struct vcpu *vcpu);
    void (*vcpu_reset)(struct vcpu *vcpu, const struct vcpu_start *start);
    /* Binds a vCPU's state to this CPU, and takes it off again. comes_back_here: there is a next load, and it is on this CPU. */
    void (*load)(struct vcpu *vcpu);
    void (*unload)(struct vcpu *vcpu, bool comes_back_here);

    /* Runs the guest until a verdict is none of RESUME and NEXT or a request is pending. */
    enum verdict (*run)(struct vcpu *vcpu);

    uint64_t (*get)(struct vcpu *vcpu, enum vcpu_register which);
    void (*set)(struct vcpu *vcpu, enum vcpu_register which, uint64_t value);
    /*
     * What a walk of the guest's page tables needs, and RIP and CS's attributes, in one go: the path of every MMIO
     * access.
     */
    void (*get_code_context)(struct vcpu *vcpu, struct gva_context *context, struct code_position *code);
    void (*get_segment)(struct vcpu *vcpu, enum segment_register which, struct segment *segment);
    void (*set_segment)(struct vcpu *vcpu, enum segment_register which, const struct segment *segment);
    void (*get_gdtr)(struct vcpu *vcpu, struct descriptor_table *gdtr);

    /*
     * Can the guest take an interrupt (WINDOW_INTERRUPT) or an NMI at once? Not while what was injected waits for its entry.
     */
    bool (*is_open)(struct vcpu *vcpu, enum event_window window);
    /* Asks for an exit as soon as it can, or no longer. */
    void (*want_window)(struct vcpu *vcpu, enum event_window window, bool wanted);
    void (*inject)(struct vcpu *vcpu, const struct event *event);
    /*
     * The interrupt state of the virtual APIC page changed. Where the CPU delivers interrupts by itself,
     * this tells it so and returns true; else the caller injects.
     */
    bool (*sync_interrupts)(struct vcpu *vcpu);
    /* Forgets every translation of the guest's linear addresses. */
    void (*flush_linear)(struct vcpu *vcpu);
    /* And those of guest-physical addresses that this CPU holds: the second-level tables have lost some. */
    void (*flush_physical)(struct vcpu *vcpu);
    /* Before it runs first: some ports may be passed from now on. -ENOMEM */
    int (*own_ports)(struct vcpu *vcpu);
    /* Accesses of these ports make no exit, or do so again. Any CPU, also while it runs; one caller at a time. */
    void (*pass_ports)(struct vcpu *vcpu, uint16_t first, unsigned count, bool is_passed);
    /* The guest's APIC went to another mode. */
    void (*set_apic_mode)(struct vcpu *vcpu);

    /* For a dump: up to count values that nothing above can say; returns how many. */
    unsigned (*describe)(struct vcpu *vcpu, struct named_value *values, unsigned count);

    /*
     * For audits, of a vCPU that holds still: calls visit for each port and MSR that makes no exit, by the bitmaps as
     * hardware reads them; returns how many bits it looked at. 0: hardware would not look at them, or at other tables
     * than the VM's.
     */
    uint64_t (*visit_passed)(const struct vcpu *vcpu, void (*visit)(void *context, enum passed what, uint32_t index),
                             void *context);
    /* Is it the virtual APIC's register that such an access comes to? */
    bool (*serves_msr)(const struct vcpu *vcpu, enum passed what, uint32_t index);
    /* The page behind the guest's local APIC, that the CPU recognises and never reaches; 0: there is none. */
    hpa_t (*apic_page)(const struct vm *vm);
};

/* The engine of this machine. */
extern const struct vcpu_ops *vcpu_ops;

#endif
