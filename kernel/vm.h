/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtual machine and its CPUs: what the kernel knows of them. */
#ifndef KERNEL_VM_H
#define KERNEL_VM_H

#include "arch/x86/guest/decode.h"
#include "arch/x86/guest/state.h"
#include "kernel/dump.h"
#include "kernel/exit.h"
#include "kernel/guest_mem.h"
#include "kernel/io_bus.h"
#include "kernel/lib/lock.h"
#include "kernel/sched.h"
#include "kernel/trace.h"
#include "kernel/vcpu_ops.h"
#include "kernel/vm_config.h"

#define VM_NAME_BYTES 32

struct lapic;
struct platform;
struct guest_cpuid;
struct pt;

/* Why a VM stopped; the names stand in event lines. */
enum stop_reason {
    STOP_NONE, STOP_SHUTDOWN, STOP_RESET, STOP_TRIPLE_FAULT, STOP_DEBUG_EXIT, STOP_ERROR, STOP_FORCED, STOP_REASONS
};

/* Bits of vcpu.requests, set by any CPU (atomically), taken in the run loop. */
#define REQUEST_EVENT (1u << 0) /* the interrupt state changed: decide anew what to inject */
#define REQUEST_NMI   (1u << 1)
#define REQUEST_INPUT (1u << 2) /* somebody typed */
#define REQUEST_STOP  (1u << 3)
#define REQUEST_DUMP  (1u << 4)
#define REQUEST_YIELD (1u << 5) /* another task may have a better right to the CPU */
#define REQUEST_RESET (1u << 6) /* to the state that the VM starts in */
#define REQUEST_LOOK  (1u << 7) /* something else changed: may it run? */
#define REQUEST_TIMER (1u << 8) /* the local APIC's timer has fired on another CPU; comes with REQUEST_EVENT */
#define REQUEST_KICK  (1u << 9) /* ends this HLT, or the next one; likewise */
#define REQUEST_INIT  (1u << 10) /* INIT has come, or a SIPI: startup_take_requests() */
#define REQUEST_SIPI  (1u << 11)
#define REQUEST_WORK  (1u << 12) /* a device left something undone: machine_resume_devices() */
#define REQUEST_FLUSH (1u << 13) /* the second-level tables have lost some pages */

/* A vCPU is touched by the CPU that runs it, but for requests and its task. */
struct vcpu {
    uint64_t gpr[GPR_COUNT]; /* first: the entry stub's offsets; RSP is the engine's, see vcpu_gpr() */
    uint32_t requests;
    uint8_t trace_next;      /* wraps around trace[] by itself */
    bool is_halted;          /* until event_wakes(), or a SIPI */
    bool nmi_pending;
    bool is_kicked;          /* the next HLT ends at once */
    bool has_eoi_offer;      /* see pv_eoi.h */
    bool waits_for_sipi;     /* and is halted; see startup.h */
    uint8_t sipi_vector;     /* of the last SIPI; any CPU */
    bool may_have_breakpoints; /* the engine: DR7 is to be asked of what is emulated; see breakpoint.h */
    bool uses_virtual_delivery; /* the engine: the CPU delivers the local APIC's interrupts by itself */
    size_t exit_rows;        /* where its rows of exit_kinds[] begin: at 0; at EXIT_KINDS, exit_ring gets each exit */
    struct vcpu_exit exit;   /* the last one */
    struct event event;      /* to be delivered at the next entry, before anything else */
    uint32_t emulated_length; /* of the instruction that was emulated: hardware need not tell it for a memory access */
    void *engine;            /* the engine's own state */
    struct vm *vm;
    struct lapic *lapic;
    struct guest_cpuid *cpuid;
    unsigned index;          /* in the VM; its APIC ID, too */
    struct task task;

    uint64_t dr[4];          /* but while may_have_breakpoints: then the CPU has them */
    uint64_t cr2, dr6;       /* likewise, of an engine that leaves them in the CPU while it holds the vCPU */

    /* Switched only when another vCPU's are loaded: the hypervisor uses none of these. */
    uint64_t xcr0, msrs[WORLD_MSRS];
    void *xsave_area;

    uint64_t tsc_offset;     /* guest TSC = host TSC + this */
    uint64_t tsc_adjust;
    uint64_t system_time_msr, steal_time_msr, pv_eoi_msr; /* KVM's, as the guest wrote them; 0: off */
    uint32_t system_time_version, steal_time_version;
    uint8_t physical_bits; /* of guest-physical addresses, as CPUID tells the guest */
    bool has_1g_pages;     /* likewise */
    uint64_t mtrr[28];
    uint64_t exits[EXIT_KINDS];
    uint8_t trace[256];      /* kinds of the last exits, by trace_next */
    struct exit_ring *exit_ring; /* NULL: it was never traced */
    struct decode_cache decode_cache;
    struct dump dump;        /* that was asked for; the vCPU's while has_dump is false, else the control thread's */
    bool has_dump;           /* atomic */
};

struct vm {
    unsigned id; /* from 1 */
    char name[VM_NAME_BYTES];
    const struct vm_config *config;
    struct guest_mem mem;
    struct pt *stage2;
    struct io_bus ports, mmio;
    struct lock device_lock; /* guards the devices that all vCPUs share, and their timers */
    struct platform *platform;
    struct vcpu *vcpus[VM_VCPUS_MAX]; /* by index; the first one is the boot CPU */
    unsigned vcpu_count;
    unsigned live_vcpus;  /* that the scheduler still has; atomic. At 0 the VM may be taken apart. */
    volatile bool is_paused;
    int console;          /* Ctrl-A number */
    uint64_t tsc_offset;  /* at its start; each vCPU has its own from then on */
    enum stop_reason stop_reason; /* atomic: the first one counts */
    uint32_t exit_status; /* of STOP_DEBUG_EXIT */
    struct vcpu_start start; /* how the boot vCPU begins; the loaders made it */
    struct dump crash;    /* of the first vCPU that crashed, if any has; the control thread's when no vCPU is live */
    bool has_crashed;     /* atomic */
    unsigned guest_lines; /* that it has caused, of log_guest(); atomic */
};

unsigned vcpu_vm_id(const struct vcpu *vcpu);

/* Any CPU: ends the VM as soon as its vCPUs are back in the run loop; the first reason counts. */
void vm_stop(struct vm *vm, enum stop_reason reason);
/* Any CPU: the same request to every vCPU. */
void vm_request(struct vm *vm, uint32_t requests);
const char *stop_reason_name(enum stop_reason reason);

/* Any CPU: sets the bits, and makes the vCPU's CPU look at them; wakes the vCPU if it sleeps. */
void vcpu_request(struct vcpu *vcpu, uint32_t requests);

/* Why vcpu_run came back. */
enum vcpu_outcome { VCPU_PREEMPTED, VCPU_SLEEPS, VCPU_OUT };

/* Runs vcpu on this CPU, which holds its state from then on, until there is a reason to stop. */
enum vcpu_outcome vcpu_run(struct vcpu *vcpu);

/* Takes the state of whatever vCPU this CPU holds off it, if any: another CPU may run it then. */
void vcpu_unload_current(void);

/* An exception that the guest gets at its next entry; one on top of another becomes #DF, then a triple fault. */
void vcpu_raise(struct vcpu *vcpu, uint8_t vector);
void vcpu_raise_with_code(struct vcpu *vcpu, uint8_t vector, uint32_t error_code);

/*
 * The guest has come to where there is no way on: vm_stop(), and what the vCPU is now will be in the log before the VM's end
 * is, with these words. The vCPU's own CPU.
 */
PRINTF_LIKE(3, 4) void vcpu_crash(struct vcpu *vcpu, enum stop_reason reason, const char *why, ...);

/* Up to count bytes of the guest's code at RIP; returns how many could be read. */
size_t vcpu_fetch(struct vcpu *vcpu, uint8_t *bytes, size_t count);

/* Since it was made, in ticks: it was ready and another vCPU ran. Any CPU; may be behind by what goes on now. */
static inline uint64_t vcpu_steal_ticks(const struct vcpu *vcpu)
{
    return READ_ONCE(vcpu->task.entity.wait_ticks);
}

/* On the path of every exit: counts, and keeps the kind. */
static inline void vcpu_trace(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    vcpu->trace[vcpu->trace_next++] = (uint8_t)exit->kind;
    vcpu->exits[exit->kind]++;
}

#endif
