/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no hypercall, CPUID leaf or MSR, whatever its arguments and the guest's mode, reaches beyond the VM or ends the
 * hypervisor. Input: records of 40 bytes {what, mode, 6 free, RAX, RBX, RCX, RDX}; RSI is RBX turned round.
 */
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/hypercall.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/regs.h"
#include "kernel/lib/bytes.h"

#define RECORD_BYTES 40u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fake_vcpu f;

static void set_mode(uint8_t mode)
{
    f.registers[VCPU_EFER] = mode & 1 ? EFER_LMA | EFER_LME : 0;
    f.segments[SEG_CS].attributes = (uint16_t)((f.segments[SEG_CS].attributes & ~SEG_ATTR_L) | (mode & 2 ? SEG_ATTR_L : 0));
    f.segments[SEG_SS].attributes =
        (uint16_t)((f.segments[SEG_SS].attributes & ~SEG_ATTR_DPL_MASK) | (mode >> 2 & 3) << SEG_ATTR_DPL_SHIFT);
}

static void step(const uint8_t *record)
{
    static const struct vcpu_exit exit;
    uint64_t *r = f.vcpu.gpr;

    set_mode(record[1]);
    r[GPR_RAX] = get_le64(record + 8);
    r[GPR_RBX] = get_le64(record + 16);
    r[GPR_RCX] = get_le64(record + 24);
    r[GPR_RDX] = get_le64(record + 32);
    r[GPR_RSI] = r[GPR_RBX] << 32 | r[GPR_RBX] >> 32;
    switch (record[0] % 4) {
    case 0:
        (void)guest_cpuid_find(f.vcpu.cpuid, (uint32_t)r[GPR_RAX], (uint32_t)r[GPR_RCX]);
        break;
    case 1:
        (void)msr_handle_read(&f.vcpu, &exit);
        break;
    case 2:
        (void)msr_handle_write(&f.vcpu, &exit);
        break;
    default:
        (void)hypercall_handle(&f.vcpu, &exit);
    }
    f.vcpu.event.type = EVENT_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    msr_init();
    fake_vcpu_init(&f);
    for (size_t at = 0; at + RECORD_BYTES <= size; at += RECORD_BYTES)
        step(data + at);
    fake_vcpu_free(&f);
    return 0;
}
