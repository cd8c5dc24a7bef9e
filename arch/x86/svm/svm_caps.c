/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What AMD-V has here: a row is a feature, whether we must have it or only want it, and its name. Firmware's lock is
 * told apart from a CPU that has no AMD-V, because the user can mend the former. AVIC is used only if the command line
 * asks for it: nobody has seen it run yet, and KVM left it off for years for its errata.
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

/* "TCGTCGTCGTCG", in EBX, ECX and EDX */
#define TCGT 0x54474354u
#define CGTC 0x43544743u
#define GTCG 0x47435447u

struct svm_caps svm_caps;

enum need { MUST, WANT };

static bool wants_virtual_tpr(const struct host_config *config)
{
    return config->apicv && config->tpr_shadow;
}

static bool wants_avic(const struct host_config *config)
{
    return config->avic && wants_virtual_tpr(config);
}

static const struct feature_row {
    uint32_t bit;
    enum need need;
    const char *name;
    /* The command line decides; NULL: it does not. */
    bool (*is_wanted)(const struct host_config *config);
} rows[] = {
    {SVM_FEATURE_NP, MUST, "nested paging", NULL},
    {SVM_FEATURE_NRIPS, WANT, "next RIP", NULL},
    {SVM_FEATURE_DECODE_ASSISTS, WANT, "decode assists", NULL},
    {SVM_FEATURE_FLUSH_BY_ASID, WANT, "flush by ASID", NULL},
    {SVM_FEATURE_VMCB_CLEAN, WANT, "VMCB clean bits", NULL},
    {SVM_FEATURE_PAUSE_FILTER | SVM_FEATURE_PAUSE_THRESHOLD, WANT, "PAUSE filter", NULL},
    {SVM_FEATURE_AVIC, WANT, "AVIC", wants_avic},
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

static bool negotiate(const struct host_config *config)
{
    uint32_t features = cpuid(CPUID_SVM_LEAF, 0).edx;
    bool complete = true;

    svm_caps.features = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        bool has = (features & rows[i].bit) == rows[i].bit;

        if (rows[i].need == MUST && !has) {
            log_error("preflight", "AMD-V lacks %s", rows[i].name);
            complete = false;
        } else if (has && (!rows[i].is_wanted || rows[i].is_wanted(config))) {
            svm_caps.features |= rows[i].bit;
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

/*
 * QEMU's emulation (7.2 and later) leaves an interrupt that VMRUN has injected behind as if it were still to
 * be delivered. Whatever stops the emulation for a moment before the next exit, as another thread's late kick does,
 * delivers it again, whether RFLAGS.IF is set or not.
 */
static bool is_qemus_emulation(void)
{
    struct cpuid_result name = cpuid(CPUID_HYPERVISOR_LEAF, 0);

    return (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) && name.ebx == TCGT && name.ecx == CGTC && name.edx == GTCG;
}

static void report(void)
{
    log_info("preflight", "AMD-V: yes (revision %u, %u ASIDs), nested paging: yes (%s2M, 4K pages)",
             cpuid(CPUID_SVM_LEAF, 0).eax & SVM_REVISION_MASK, svm_caps.asids, svm_caps.leaf_levels & PT_LEAF_1G ? "1G, " : "");
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].need == WANT)
            log_info("preflight", "%s: %s", rows[i].name, svm_has(rows[i].bit) ? "used" : "not used");
}

static bool refuse(const char *why)
{
    log_error("preflight", "AMD-V is %s; turn on \"SVM Mode\" in the firmware's set-up", why);
    return false;
}

bool svm_probe(const struct host_config *config)
{
    if (!svm_is_present())
        return refuse("missing: this CPU has none (CPUID Fn8000_0001 ECX.SVM), or it is hidden");
    if (!svm_unlock())
        return refuse("locked off by the firmware (VM_CR.SVMDIS)");
    if (!negotiate(config))
        return false;
    svm_caps.asids = cpuid(CPUID_SVM_LEAF, 0).ebx;
    svm_caps.uses_asids = config->vpid && svm_caps.asids > 2;
    svm_caps.uses_virtual_tpr = wants_virtual_tpr(config);
    svm_caps.leaf_levels = npt_leaf_levels(config);
    svm_caps.repeats_interrupts = is_qemus_emulation();
    if (vmcb_make_permission_maps() != 0) {
        log_error("preflight", "no memory for AMD-V's permission maps");
        return false;
    }
    report();
    return true;
}
