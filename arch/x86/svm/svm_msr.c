/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers that only AMD's CPUs have (APM 2, "MSR Cross-Reference"). Systems on such CPUs read them without asking,
 * and some write back what they read: none of it can be changed.
 */
#include "arch/x86/svm/svm_msr.h"
#include "arch/x86/svm/svm.h"
#include "arch/x86/trap.h"

#define MSR_PERF_CTL0     0xc0010000u
#define MSR_PERF_CTR3     0xc0010007u
#define MSR_SYSCFG        0xc0010010u
#define MSR_HWCR          0xc0010015u
#define MSR_NB_CFG        0xc001001fu
#define MSR_PATCH_LOADER  0xc0010020u
#define MSR_INT_PENDING   0xc0010055u
#define MSR_DE_CFG        0xc0011029u
#define MSR_OSVW_LENGTH   0xc0010140u
#define MSR_OSVW_STATUS   0xc0010141u

#define DE_CFG_LFENCE_SERIALIZES BIT(1)

/* No guest has AMD-V. */
static bool read_vm_cr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    (void)vcpu;
    (void)index;
    *value = VM_CR_LOCK | VM_CR_SVMDIS;
    return true;
}

/* What is true of the CPU that it runs on. */
static bool read_de_cfg(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    uint64_t host = 0;

    (void)vcpu;
    *value = trap_rdmsr(index, &host) ? host & DE_CFG_LFENCE_SERIALIZES : 0;
    return true;
}

#define ONE(index) index, index

const struct msr_row svm_msr_rows[SVM_MSR_ROWS] = {
    {MSR_PERF_CTL0, MSR_PERF_CTR3, 0, msr_read_zero, msr_write_nothing, "PERF_CTL*, PERF_CTR*"}, /* none; CPUID cannot say so */
    {ONE(MSR_SYSCFG), 0, msr_read_zero, msr_write_nothing, "SYSCFG"}, /* no memory encryption, no MTRR extensions */
    {ONE(MSR_HWCR), 0, msr_read_zero, msr_write_nothing, "HWCR"}, /* the host's; nothing to switch */
    {ONE(MSR_NB_CFG), 0, msr_read_zero, msr_write_nothing, "NB_CFG"}, /* likewise */
    {ONE(MSR_PATCH_LOADER), 0, NULL, msr_write_nothing, "PATCH_LOADER"}, /* microcode is the host's */
    {ONE(MSR_INT_PENDING), 0, msr_read_zero, msr_write_nothing, "INT_PENDING"}, /* no C1E */
    {ONE(MSR_VM_CR), 0, read_vm_cr, NULL, "VM_CR"}, /* locked off: no AMD-V in a guest */
    {ONE(MSR_OSVW_LENGTH), 0, msr_read_zero, NULL, "OSVW_ID_LENGTH"}, /* no errata to work around */
    {ONE(MSR_OSVW_STATUS), 0, msr_read_zero, NULL, "OSVW_STATUS"}, /* likewise */
    {ONE(MSR_DE_CFG), 0, read_de_cfg, msr_write_nothing, "DE_CFG"}, /* LFENCE serializes */
};
