/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What AMD-V has here: a row is a feature, whether we must have it or only want it, and its name. Firmware's lock is
 * told apart from a CPU that has no AMD-V, because the user can mend the former. AVIC is not used: with devices that
 * the hypervisor models, each of its interrupts begins in the hypervisor anyway.
 */
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"
#include "arch/x86/svm/svm.h"
#include "arch/x86/svm/vmcb.h"
#include "arch/x86/trap.h"
#include "kernel/host_config.h"
#include "kernel/log.h"
#include "kernel/pt.h"

struct svm_caps svm_caps;

enum need { MUST, WANT };

static const struct feature_row {
    uint32_t bit;
    enum need need;
    const char *name;
} rows[] = {
    {SVM_FEATURE_NP, MUST, "nested paging"},
    {SVM_FEATURE_NRIPS, WANT, "next RIP"},
    {SVM_FEATURE_DECODE_ASSISTS, WANT, "decode assists"},
    {SVM_FEATURE_FLUSH_BY_ASID, WANT, "flush by ASID"},
    {SVM_FEATURE_VMCB_CLEAN, WANT, "VMCB clean bits"},
    {SVM_FEATURE_PAUSE_FILTER | SVM_FEATURE_PAUSE_THRESHOLD, WANT, "PAUSE filter"},
};

bool svm_is_present(void)
{
    return cpuid(0x80000000, 0).eax >= CPUID_SVM_LEAF && (cpuid(0x80000001, 0).ecx & CPUID_81_ECX_SVM);
}

/* APM 2, "Enabling SVM": SVMDIS can be cleared unless the firmware has locked it. */
bool svm_unlock(void)
{
    uint64_t control = 0;

    if (!trap_rdmsr(MSR_VM_CR, &control) || !(control & VM_CR_SVMDIS))
        return true;
    return !(control & VM_CR_LOCK) && trap_wrmsr(MSR_VM_CR, control & ~VM_CR_SVMDIS);
}

static bool negotiate(void)
{
    uint32_t features = cpuid(CPUID_SVM_LEAF, 0).edx;
    bool complete = true;

    svm_caps.features = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if ((features & rows[i].bit) == rows[i].bit) {
            svm_caps.features |= rows[i].bit;
        } else if (rows[i].need == MUST) {
            log_error("preflight", "AMD-V lacks %s", rows[i].name);
            complete = false;
        }
    }
    return complete;
}

static unsigned npt_leaf_levels(const struct host_config *config)
{
    if (!config->ept_large_pages)
        return PT_LEAF_4K;
    return PT_LEAF_4K | PT_LEAF_2M | (cpuid(0x80000001, 0).edx & CPUID_81_EDX_PAGE1GB ? PT_LEAF_1G : 0);
}

static void report(void)
{
    log_info("preflight", "AMD-V: yes (revision %u, %u ASIDs), nested paging: yes (%s2M, 4K pages)",
             cpuid(CPUID_SVM_LEAF, 0).eax & SVM_REVISION_MASK, svm_caps.asids, svm_caps.leaf_levels & PT_LEAF_1G ? "1G, " : "");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].need == WANT)
            log_info("preflight", "%s: %s", rows[i].name, svm_has(rows[i].bit) ? "used" : "not used");
}

bool svm_probe(const struct host_config *config)
{
    if (!svm_is_present()) {
        log_error("preflight", "AMD-V is missing: this CPU has none (CPUID Fn8000_0001 ECX.SVM), or the firmware or the "
                  "emulator hides it; "
                  "turn on \"SVM Mode\" in the firmware's set-up");
        return false;
    }
    if (!svm_unlock()) {
        log_error("preflight", "AMD-V is locked off by the firmware (VM_CR.SVMDIS); turn on \"SVM Mode\" in the firmware's set-up");
        return false;
    }
    if (!negotiate())
        return false;
    svm_caps.asids = cpuid(CPUID_SVM_LEAF, 0).ebx;
    svm_caps.uses_asids = config->vpid && svm_caps.asids > 2;
    svm_caps.uses_virtual_tpr = config->apicv && config->tpr_shadow;
    svm_caps.leaf_levels = npt_leaf_levels(config);
    if (vmcb_make_permission_maps() != 0) {
        log_error("preflight", "no memory for AMD-V's permission maps");
        return false;
    }
    report();
    return true;
}
