/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the VMCB that a vCPU starts with is one that VMRUN accepts, and keeps from the guest what is the host's; what is
 * changed is read anew, and a tag is never another's.
 */
#include "tests/host/fake/svm_rig.h"
#include "arch/arch.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/msr.h"
#include "arch/x86/svm/svm_msr.h"

/* --- ports --- */

static const uint8_t *port_map(void)
{
    return phys_to_virt(HPA(vmcb->control.iopm_base_pa));
}

/* Who was given none has the map that everybody has. */
static void test_ports_are_passed_to_one_vcpu(void **state)
{
    const uint8_t *common;

    (void)state;
    begin();
    common = port_map();
    svm_ops.pass_ports(vcpu, 0x2f8, 8, true);
    assert_int_equal(common[0x2f8 / 8], 0xff);
    assert_int_equal(svm_ops.own_ports(vcpu), 0);
    svm_ops.pass_ports(vcpu, 0x2f8, 8, true);
    assert_int_equal(svm_ops.own_ports(vcpu), 0); /* for the next ones: it has it already */
    svm_ops.pass_ports(vcpu, 0x3c4, 2, true);
    svm_ops.vcpu_reset(vcpu, real_mode());
    assert_ptr_not_equal(port_map(), common);
    assert_int_equal(port_map()[0x2f8 / 8], 0);
    assert_int_equal(port_map()[0x2f8 / 8 - 1], 0xff);
    assert_int_equal(port_map()[0x300 / 8], 0xff);
    assert_int_equal(port_map()[0x3c0 / 8], 0xcf);
    assert_int_equal(port_map()[65536 / 8], 0xff); /* accesses that run over the end */
    svm_ops.pass_ports(vcpu, 0xffff, 1, true);
    assert_int_equal(port_map()[65535 / 8], 0x7f);
    svm_ops.pass_ports(vcpu, 0x2f8, 8, false);
    assert_int_equal(port_map()[0x2f8 / 8], 0xff);
    assert_int_equal(common[0x2f8 / 8], 0xff);
}

/* --- the VMCB --- */

static void test_what_vmrun_checks(void **state)
{
    const struct vmcb_control *c = &vmcb->control;

    (void)state;
    begin();
    svm_ops.run(vcpu);
    assert_true(is_intercepted(INTERCEPT_MISC2, MISC2_VMRUN));
    assert_true(vmcb->state.efer & EFER_SVME);
    assert_int_not_equal(c->guest_asid, 0);
    assert_int_equal(c->np_enable, NP_ENABLE);
    assert_int_equal(c->n_cr3, ROOT);
    assert_int_equal(c->iopm_base_pa % PAGE_SIZE, 0);
    assert_int_equal(c->msrpm_base_pa % PAGE_SIZE, 0);
    assert_int_equal(vmcb->state.dr6 >> 32, 0);
    assert_int_equal(vmcb->state.rip, CODE_AT);
    assert_true(vmcb->state.rflags & RFLAGS_ONE);
}

/* A guest that had one of these would have the machine, or be able to stop it. */
static void test_the_hosts_own_makes_exits(void **state)
{
    (void)state;
    begin();
    assert_true(is_intercepted(INTERCEPT_MISC1, MISC1_INTR | MISC1_NMI | MISC1_INIT | MISC1_SHUTDOWN |
                                                     MISC1_IOIO_PROT | MISC1_MSR_PROT));
    assert_true(is_intercepted(INTERCEPT_MISC2, MISC2_VMLOAD | MISC2_VMSAVE | MISC2_STGI | MISC2_CLGI |
                                                     MISC2_SKINIT | MISC2_XSETBV));
    assert_true(is_intercepted(INTERCEPT_EXCEPTION, EXCEPTIONS_TAKEN));
    assert_true(vmcb->control.v_intr & V_INTR_MASKING);
}

static bool map_has(uint32_t index, unsigned accesses)
{
    const uint8_t *map = phys_to_virt(HPA(vmcb->control.msrpm_base_pa));
    uint32_t range = index >= 0xc0010000u ? 2 : index >= 0xc0000000u ? 1 : 0;
    uint32_t bit = 2 * (index & 0x1fff);

    return (map[0x800 * range + bit / 8] >> bit % 8 & accesses) == accesses;
}

static void test_the_permission_maps_follow_the_policy(void **state)
{
    const uint8_t *ports;
    unsigned count;
    const struct msr_row *rows = msr_rows(&count);

    (void)state;
    begin();
    ports = phys_to_virt(HPA(vmcb->control.iopm_base_pa));
    for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
        assert_int_equal(ports[i], 0xff);
    for (unsigned i = 0; i < count; i++) {
        bool is_kept = rows[i].index == MSR_IA32_EFER || rows[i].index == MSR_IA32_PAT ||
                       rows[i].index == MSR_IA32_TIME_STAMP_COUNTER;

        if (rows[i].index >= 0x2000 && rows[i].index < 0xc0000000u)
            continue;
        assert_int_equal(!map_has(rows[i].index, 1), !is_kept && (msr_passes(&rows[i]) & MSR_PASS_READ));
        assert_int_equal(!map_has(rows[i].index, 2), !is_kept && (msr_passes(&rows[i]) & MSR_PASS_WRITE));
    }
    assert_false(map_has(MSR_IA32_LSTAR, 1) || map_has(MSR_IA32_LSTAR, 2)); /* in the VMCB */
    assert_true(map_has(MSR_IA32_TSC_AUX, 2));
    assert_true(map_has(MSR_VM_HSAVE_PA, 3));
    assert_true(map_has(MSR_VM_CR, 3));
    for (unsigned i = 0; i + 1 < SVM_MSR_ROWS; i++)
        assert_true(svm_msr_rows[i].index <= svm_msr_rows[i].last && svm_msr_rows[i].last < svm_msr_rows[i + 1].index);
}

static void test_segments_survive_packing(void **state)
{
    struct vcpu_start start = *real_mode();
    struct segment got;

    (void)state;
    begin();
    start.segment[SEG_GS] = (struct segment){0x33, 0xd0b3, 0xfffff, 0x123456789abc};
    svm_ops.vcpu_reset(vcpu, &start);
    assert_int_equal(vmcb->state.gs.attributes, 0xdb3);
    svm_ops.get_segment(vcpu, SEG_GS, &got);
    assert_memory_equal(&got, &start.segment[SEG_GS], sizeof got);
}

/* NE, CD, NW and MCE are the host's; the guest reads back what it wrote, by an exit as long as it differs. */
static void test_bits_that_are_not_the_guests(void **state)
{
    (void)state;
    begin();
    fake_cpu.cr[4] = CR4_MCE;
    svm_ops.set(vcpu, VCPU_CR0, CR0_PE | CR0_ET | CR0_CD | CR0_NW);
    assert_int_equal(vmcb->state.cr0, CR0_PE | CR0_ET | CR0_NE);
    assert_int_equal(svm_ops.get(vcpu, VCPU_CR0), CR0_PE | CR0_ET | CR0_CD | CR0_NW);
    assert_true(is_intercepted(INTERCEPT_CR, CR_READ(0) | CR_WRITE(0)));
    svm_ops.set(vcpu, VCPU_CR0, CR0_PE | CR0_ET | CR0_NE);
    assert_false(is_intercepted(INTERCEPT_CR, CR_READ(0)));
    assert_false(is_intercepted(INTERCEPT_CR, CR_WRITE(0)));
    vmcb->state.cr0 |= CR0_TS;
    assert_int_equal(svm_ops.get(vcpu, VCPU_CR0), CR0_PE | CR0_ET | CR0_NE | CR0_TS);

    svm_ops.set(vcpu, VCPU_CR4, CR4_PAE);
    assert_int_equal(vmcb->state.cr4, CR4_PAE | CR4_MCE);
    assert_int_equal(svm_ops.get(vcpu, VCPU_CR4), CR4_PAE);
    assert_true(is_intercepted(INTERCEPT_CR, CR_READ(4)));

    svm_ops.set(vcpu, VCPU_EFER, EFER_SCE);
    assert_int_equal(vmcb->state.efer, EFER_SCE | EFER_SVME);
    assert_int_equal(svm_ops.get(vcpu, VCPU_EFER), EFER_SCE);
}

static void test_what_changes_is_not_clean(void **state)
{
    static const struct {
        enum vcpu_register which;
        uint32_t bit;
    } cases[] = {{VCPU_CR0, CLEAN_CR},  {VCPU_CR3, CLEAN_CR},  {VCPU_CR4, CLEAN_CR}, {VCPU_EFER, CLEAN_CR},
                 {VCPU_CR2, CLEAN_CR2}, {VCPU_DR6, CLEAN_DR}, {VCPU_DR7, CLEAN_DR}, {VCPU_PAT, CLEAN_NP},
                 {VCPU_TSC_OFFSET, CLEAN_INTERCEPTS}};

    (void)state;
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        vmcb->control.clean = CLEAN_ALL;
        svm_ops.set(vcpu, cases[i].which, CR0_NE);
        assert_int_equal(vmcb->control.clean & cases[i].bit, 0);
    }
}

/* --- tags --- */

static void test_tags_are_renewed_by_a_flush(void **state)
{
    uint32_t first;

    (void)state;
    begin();
    svm_ops.run(vcpu);
    first = vmcb->control.guest_asid;
    vmcb->control.tlb_control = TLB_KEEP;
    svm_ops.run(vcpu);
    assert_int_equal(vmcb->control.guest_asid, first);
    assert_int_equal(vmcb->control.tlb_control, TLB_KEEP);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t before = vmcb->control.guest_asid;

        vmcb->control.tlb_control = TLB_KEEP;
        svm_ops.set(vcpu, VCPU_CR4, 0);
        svm_ops.run(vcpu);
        assert_in_range(vmcb->control.guest_asid, 1, 3);
        assert_true(vmcb->control.guest_asid > before || vmcb->control.tlb_control == TLB_FLUSH_ALL);
    }
    svm_caps.features |= SVM_FEATURE_FLUSH_BY_ASID;
    first = vmcb->control.guest_asid;
    svm_ops.set(vcpu, VCPU_CR0, 0);
    svm_ops.run(vcpu);
    assert_int_equal(vmcb->control.guest_asid, first);
    assert_int_equal(vmcb->control.tlb_control, TLB_FLUSH_ASID);
}

/* An INIT finds the vCPU on the CPU where its tag is valid; VMRUN refuses the host's, which is 0. */
static void test_a_reset_vcpu_has_a_tag(void **state)
{
    static const uint32_t features[] = {SVM_FEATURE_NP, SVM_FEATURE_NP | SVM_FEATURE_FLUSH_BY_ASID};

    (void)state;
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++) {
        svm_caps.features = features[i];
        svm_ops.run(vcpu);
        svm_ops.vcpu_reset(vcpu, real_mode());
        svm_ops.run(vcpu);
        assert_in_range(vmcb->control.guest_asid, 1, 3);
    }
}

/* SYSRET leaves the kernel's SS, with other selectors; programs are no kernels for that. */
static void test_the_privilege_level_is_a_field_of_its_own(void **state)
{
    struct segment ss;

    (void)state;
    begin();
    vmcb->state.cpl = 3;
    svm_ops.get_segment(vcpu, SEG_SS, &ss);
    assert_int_equal(ss.attributes & SEG_ATTR_DPL_MASK, SEG_ATTR_DPL_MASK);
    ss.attributes &= (uint16_t)~SEG_ATTR_DPL_MASK;
    svm_ops.set_segment(vcpu, SEG_SS, &ss);
    assert_int_equal(vmcb->state.cpl, 0);
    svm_ops.get_segment(vcpu, SEG_DS, &ss);
    assert_int_equal(ss.attributes & SEG_ATTR_DPL_MASK, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, svm_rig_set_up, svm_rig_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_ports_are_passed_to_one_vcpu),
        TEST(test_what_vmrun_checks),
        TEST(test_the_hosts_own_makes_exits),
        TEST(test_the_permission_maps_follow_the_policy),
        TEST(test_segments_survive_packing),
        TEST(test_bits_that_are_not_the_guests),
        TEST(test_what_changes_is_not_clean),
        TEST(test_tags_are_renewed_by_a_flush),
        TEST(test_a_reset_vcpu_has_a_tag),
        TEST(test_the_privilege_level_is_a_field_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
