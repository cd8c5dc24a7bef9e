/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: AVIC's tables say of each vCPU what is true: where its page is as long as its APIC accepts interrupts, that it
 * runs only while it does, and whose a logical ID is only if it is one vCPU's. What the CPU could not do is done by
 * software, once; who is not running is woken. A guest gets no APIC that the CPU cannot follow. The test plays the CPU: it
 * writes what an exit leaves in the VMCB and in the backing page. No machine of this project has AVIC.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/arch.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/msr.h"
#include "arch/x86/svm/npt.h"
#include "arch/x86/svm/svm_avic.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/svm_exit.h"
#include "arch/x86/svm/svm_ops.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/page.h"
#include "kernel/pt.h"

#define VCPUS        3u
#define HOST_APIC_ID 0x2au
#define VECTOR       0x51u

static struct fake_vcpu f[VCPUS];
static struct vm *const vm = &f[0].vm;
static struct pt stage2;
static const struct vcpu_ops *fake_ops;
static enum verdict verdict_of_handler;
static unsigned handled;
static uint64_t entry_while_it_ran;

static struct vmcb_control *control(unsigned n)
{
    return &svm_of(&f[n].vcpu)->vmcb->control;
}

static uint64_t physical_entry(unsigned n)
{
    return ((uint64_t *)phys_to_virt(HPA(control(0)->avic_physical_table & ~0xffful)))[n];
}

static uint32_t logical_entry(unsigned n)
{
    return ((uint32_t *)phys_to_virt(HPA(control(0)->avic_logical_table)))[n];
}

/* --- what the engine meets outside itself --- */

static enum verdict handle(struct vcpu *vcpu, const struct vcpu_exit *exit)
{
    handled++;
    if (exit->kind == EXIT_APIC_WRITE)
        lapic_write_trapped(vcpu->lapic, exit->apic_offset);
    return verdict_of_handler;
}

const struct exit_kind_row exit_kinds[2 * EXIT_KINDS] = {
    [EXIT_UNEXPECTED] = {"", handle}, [EXIT_APIC_WRITE] = {"", handle}, [EXIT_MEMORY] = {"", handle},
};

enum verdict svm_enter(struct vcpu *vcpu, hpa_t guest, hpa_t host)
{
    (void)guest;
    (void)host;
    entry_while_it_ran = physical_entry(vcpu->index);
    return VERDICT_LEAVE;
}

void arch_take_interrupts(void)
{
}

void arch_kick(unsigned cpu)
{
    (void)cpu;
}

/* --- a VM of three --- */

static void make_vcpu(unsigned n)
{
    struct vcpu *vcpu = &f[n].vcpu;
    hpa_t page;

    fake_vcpu_init(&f[n]);
    assert_int_equal(page_alloc_zeroed(PAGE_ORDER_4K, &page), 0);
    vcpu->index = f[n].lapic.id = n;
    vcpu->vm = vm;
    f[n].lapic.page = phys_to_virt(page);
    if (n > 0)
        f[n].lapic.base &= ~(uint64_t)APIC_BASE_BSP;
    lapic_reset(&f[n].lapic, LAPIC_POWER_UP);
}

/* As the guest's write of SVR leaves it. */
static void enable(unsigned n)
{
    lapic_mmio_ops.write(&f[n].lapic, APIC_SVR, 4, APIC_SVR_ENABLE | 0xff);
}

static int setup(void **state)
{
    (void)state;
    fake_ram_reset();
    page_init();
    assert_int_equal(page_add_range(HPA(MIB(1)), MIB(4)), 0);
    heap_init();
    for (unsigned i = 0; i < VCPUS; i++)
        make_vcpu(i);
    fake_pcpus_reset(1);
    this_pcpu()->apic_id = HOST_APIC_ID;
    assert_int_equal(pt_create(&stage2, &npt_format, &pt_host_memory, PT_LEAF_4K), 0);
    vm->stage2 = &stage2;
    fake_ops = vcpu_ops;
    vcpu_ops = &svm_ops;
    svm_caps = (struct svm_caps){.features = SVM_FEATURE_NP | SVM_FEATURE_AVIC, .asids = 4, .uses_asids = true,
                                 .uses_virtual_tpr = true};
    assert_int_equal(vmcb_make_permission_maps(), 0);
    for (unsigned i = 0; i < VCPUS; i++) {
        vm->vcpus[i] = &f[i].vcpu;
        assert_int_equal(svm_ops.vcpu_create(&f[i].vcpu), 0);
    }
    vm->vcpu_count = VCPUS;
    verdict_of_handler = VERDICT_RESUME;
    handled = 0;
    return 0;
}

static void destroy_vcpus(void)
{
    for (unsigned i = VCPUS; i-- > 0;)
        if (f[i].vcpu.engine)
            svm_ops.vcpu_destroy(&f[i].vcpu);
}

static int teardown(void **state)
{
    (void)state;
    destroy_vcpus();
    pt_destroy(&stage2);
    vcpu_ops = fake_ops;
    for (unsigned i = 0; i < VCPUS; i++)
        fake_vcpu_free(&f[i]);
    return 0;
}

/* In the test itself: see fake_cpu_begin(). */
static void begin(void)
{
    static const struct vcpu_start start;

    fake_cpu_begin();
    for (unsigned i = 0; i < VCPUS; i++) {
        enable(i);
        svm_ops.vcpu_reset(&f[i].vcpu, &start);
        f[i].vcpu.requests = 0;
    }
}

static enum verdict leave(unsigned n, uint64_t code, uint64_t info1, uint64_t info2)
{
    struct vmcb_control *c = control(n);

    c->exit_code = code;
    c->exit_info1 = info1;
    c->exit_info2 = info2;
    handled = 0;
    for (unsigned i = 0; i < VCPUS; i++)
        f[i].vcpu.requests = 0;
    return svm_handle_exit(&f[n].vcpu);
}

/* The CPU has put the guest's value into the page. */
static void write_register(unsigned n, unsigned offset, uint32_t value)
{
    memcpy(f[n].lapic.page + offset, &value, sizeof value);
    (void)leave(n, VMEXIT_AVIC_NOACCEL, AVIC_ACCESS_WRITE | offset, 0);
}

/* --- the VMCB and the physical table --- */

static void test_the_cpu_is_told_where_everything_is(void **state)
{
    struct pt_mapping page;

    (void)state;
    begin();
    for (unsigned i = 0; i < VCPUS; i++) {
        assert_true(svm_avic_is_on(svm_of(&f[i].vcpu)));
        assert_int_equal(control(i)->avic_apic_bar, APIC_DEFAULT_BASE);
        assert_int_equal(control(i)->avic_backing_page, virt_to_phys(f[i].lapic.page).value);
        assert_int_equal(control(i)->avic_physical_table, control(0)->avic_physical_table);
        assert_int_equal(control(i)->avic_physical_table & 0xff, VCPUS - 1);
        assert_int_equal(physical_entry(i), AVIC_PHYSICAL_VALID | control(i)->avic_backing_page);
        assert_true(f[i].vcpu.uses_virtual_delivery);
    }
    assert_int_equal(physical_entry(VCPUS), 0);
    assert_true(pt_lookup(&stage2, APIC_DEFAULT_BASE, &page)); /* or the CPU would not look at the register at all */
    assert_int_equal(page.attributes & (PT_READ | PT_WRITE | PT_EXEC), PT_READ | PT_WRITE);
    assert_true(svm_ops.sync_interrupts(&f[0].vcpu));
}

static void test_it_runs_only_while_it_runs(void **state)
{
    (void)state;
    begin();
    svm_ops.run(&f[1].vcpu);
    assert_int_equal(entry_while_it_ran,
                     AVIC_PHYSICAL_VALID | AVIC_PHYSICAL_RUNNING | control(1)->avic_backing_page | HOST_APIC_ID);
    assert_int_equal(physical_entry(1), AVIC_PHYSICAL_VALID | control(1)->avic_backing_page);
    this_pcpu()->apic_id = 0x100; /* the entry has no room for it */
    svm_ops.run(&f[1].vcpu);
    assert_int_equal(entry_while_it_ran & (AVIC_PHYSICAL_RUNNING | AVIC_PHYSICAL_HOST_ID), 0);
}

/* Whoever sends to it has an exit, and software drops the interrupt. */
static void test_an_apic_that_accepts_nothing_is_not_in_the_table(void **state)
{
    (void)state;
    begin();
    write_register(1, APIC_SVR, 0xff);
    assert_int_equal(physical_entry(1) & AVIC_PHYSICAL_VALID, 0);
    svm_ops.run(&f[1].vcpu);
    assert_int_equal(entry_while_it_ran & AVIC_PHYSICAL_VALID, 0);
    assert_true(svm_avic_is_on(svm_of(&f[1].vcpu))); /* its registers are read and written as before */
    write_register(1, APIC_SVR, APIC_SVR_ENABLE | 0xff);
    assert_true(physical_entry(1) & AVIC_PHYSICAL_VALID);
}

/* --- the logical table --- */

static void set_logical_ids(uint8_t first, uint8_t second, uint8_t third)
{
    write_register(0, APIC_LDR, (uint32_t)first << 24);
    write_register(1, APIC_LDR, (uint32_t)second << 24);
    write_register(2, APIC_LDR, (uint32_t)third << 24);
}

static void assert_owner(unsigned index, unsigned id)
{
    assert_int_equal(logical_entry(index), AVIC_LOGICAL_VALID | id);
}

static void test_flat_logical_ids(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < PAGE_SIZE / sizeof(uint32_t); i++)
        assert_int_equal(logical_entry(i), 0);
    set_logical_ids(1, 2, 0x80);
    assert_owner(0, 0);
    assert_owner(1, 1);
    assert_owner(7, 2);
    set_logical_ids(1, 4, 0x81); /* several bits */
    assert_int_equal(logical_entry(1), 0);
    assert_owner(2, 1);
    assert_int_equal(logical_entry(7), 0);
    set_logical_ids(1, 1, 1); /* everybody's */
    assert_int_equal(logical_entry(0), 0);
    set_logical_ids(1, 2, 4);
    assert_owner(0, 0);
    write_register(0, APIC_SVR, 0xff);
    assert_int_equal(logical_entry(0), 0);
}

static void test_clusters(void **state)
{
    (void)state;
    begin();
    set_logical_ids(0x01, 0x28, 0xf1); /* cluster 15 is everybody */
    assert_owner(0, 0);
    for (unsigned i = 0; i < VCPUS; i++) {
        write_register(i, APIC_DFR, APIC_DFR_CLUSTER);
        if (i < VCPUS - 1)
            assert_int_equal(logical_entry(0), 0); /* as long as some are flat */
    }
    assert_owner(0, 0);
    assert_owner(2 * 4 + 3, 1);
    for (unsigned i = 12; i < 64; i++)
        assert_int_equal(logical_entry(i), 0);
}

/* --- IPIs that the CPU has not, or not wholly, sent --- */

static void send_ipi(uint32_t low, uint32_t destination, enum avic_ipi_failure why)
{
    uint32_t high = destination << 24;

    memcpy(f[0].lapic.page + APIC_ICR_LOW, &low, sizeof low);
    memcpy(f[0].lapic.page + APIC_ICR_HIGH, &high, sizeof high);
    (void)leave(0, VMEXIT_AVIC_INCOMPLETE_IPI, (uint64_t)high << 32 | low, (uint64_t)why << 32 | destination);
}

static void assert_woken(bool first, bool second, bool third)
{
    const bool expected[VCPUS] = {first, second, third};

    for (unsigned i = 0; i < VCPUS; i++)
        assert_int_equal(!!(f[i].vcpu.requests & REQUEST_EVENT), expected[i]);
}

/* The interrupt is in the IRR already: twice would be one too many. */
static void test_who_does_not_run_is_woken(void **state)
{
    (void)state;
    begin();
    set_logical_ids(1, 2, 4);
    send_ipi(VECTOR, 2, AVIC_IPI_TARGET_NOT_RUNNING);
    assert_woken(false, false, true);
    assert_int_equal(handled, 0);
    send_ipi(APIC_ICR_LOGICAL | VECTOR, 6, AVIC_IPI_TARGET_NOT_RUNNING);
    assert_woken(false, true, true);
    send_ipi(VECTOR, APIC_BROADCAST, AVIC_IPI_TARGET_NOT_RUNNING);
    assert_woken(true, true, true);
    send_ipi(APIC_ICR_ALL_BUT_SELF | VECTOR, 0, AVIC_IPI_TARGET_NOT_RUNNING);
    assert_true(f[1].vcpu.requests & f[2].vcpu.requests & REQUEST_EVENT);
    for (unsigned i = 0; i < VCPUS; i++)
        assert_false(lapic_has_posted(&f[i].lapic));
    send_ipi(VECTOR, 0x77, AVIC_IPI_TARGET_NOT_RUNNING); /* nobody; the CPU would say something else */
    assert_woken(false, false, false);
}

static void test_what_was_not_sent_is_software_s(void **state)
{
    static const enum avic_ipi_failure failures[] = {AVIC_IPI_INVALID_TYPE, AVIC_IPI_INVALID_TARGET, AVIC_IPI_INVALID_VECTOR};

    (void)state;
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(failures); i++) {
        send_ipi(APIC_ICR_SELF | VECTOR, 0, failures[i]);
        assert_int_equal(f[0].vcpu.exit.kind, EXIT_APIC_WRITE);
        assert_int_equal(handled, 1);
        assert_int_equal(lapic_highest_irr(&f[0].lapic), VECTOR);
        lapic_acknowledge(&f[0].lapic, VECTOR);
    }
}

static void test_no_failure_is_trusted(void **state)
{
    (void)state;
    begin();
    verdict_of_handler = VERDICT_STOP;
    send_ipi(VECTOR, 1, AVIC_IPI_INVALID_BACKING_PAGE);
    assert_int_equal(f[0].vcpu.exit.kind, EXIT_UNEXPECTED);
    (void)leave(0, VMEXIT_AVIC_INCOMPLETE_IPI, 0, UINT64_MAX);
    assert_int_equal(f[0].vcpu.exit.kind, EXIT_UNEXPECTED);
}

/* --- registers --- */

static void test_traps_and_faults_are_told_apart(void **state)
{
    static const uint16_t faults[] = {APIC_VERSION,   APIC_TPR,           APIC_PPR, APIC_ISR,
                                      APIC_IRR + 0x70, APIC_TIMER_CURRENT, 0x400,    0xff0};
    const struct vcpu_exit *e = &f[0].vcpu.exit;

    (void)state;
    begin();
    write_register(0, APIC_LVT_ERROR, APIC_LVT_MASKED | 0x61);
    assert_int_equal(e->kind, EXIT_APIC_WRITE);
    assert_int_equal(e->apic_offset, APIC_LVT_ERROR);
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
        f[0].vcpu.exit.fetched_bytes = 15; /* an earlier exit's */
        (void)leave(0, VMEXIT_AVIC_NOACCEL, AVIC_ACCESS_WRITE | faults[i], 0);
        assert_int_equal(e->kind, EXIT_MEMORY);
        assert_int_equal(e->memory.address.value, APIC_DEFAULT_BASE + faults[i]);
        assert_true(e->memory.is_write);
        assert_false(e->memory.is_fetch);
        assert_int_equal(e->fetched_bytes, 0);
    }
    (void)leave(0, VMEXIT_AVIC_NOACCEL, APIC_EOI, 0); /* a read of what is a trap when written */
    assert_int_equal(e->kind, EXIT_MEMORY);
    assert_false(e->memory.is_write);
    (void)leave(0, VMEXIT_AVIC_NOACCEL, UINT64_MAX & ~AVIC_ACCESS_WRITE, 0);
    assert_int_equal(e->memory.address.value, APIC_DEFAULT_BASE + 0xff0);
}

/* The CPU ends edges by itself. */
static void test_a_level_triggered_interrupt_is_ended_once(void **state)
{
    const struct apic_message level = {.vector = VECTOR, .delivery = APIC_DELIVERY_FIXED, .is_level = true};

    (void)state;
    begin();
    assert_true(lapic_receive(&f[0].lapic, &level));
    lapic_take_posted(&f[0].lapic);
    assert_true(lapic_is_level(&f[0].lapic, VECTOR));
    lapic_acknowledge(&f[0].lapic, VECTOR); /* as the CPU does when it delivers */
    write_register(0, APIC_EOI, 0);
    assert_int_equal(lapic_highest_isr(&f[0].lapic), -1);
}

/* --- what the CPU cannot follow --- */

static void test_a_guest_has_no_x2apic(void **state)
{
    struct vcpu *vcpu = &f[0].vcpu;
    uint64_t base;

    (void)state;
    begin();
    assert_false(guest_cpuid_find(vcpu->cpuid, 1, 0)->ecx & CPUID_1_ECX_X2APIC);
    assert_true(msr_read(vcpu, MSR_IA32_APIC_BASE, &base));
    assert_false(msr_write(vcpu, MSR_IA32_APIC_BASE, base | APIC_BASE_EXTD));
    assert_false(msr_write(vcpu, MSR_IA32_APIC_BASE, base + PAGE_SIZE)); /* nor one that moves */
    assert_true(svm_avic_is_on(svm_of(vcpu)));
}

static void test_a_disabled_apic_goes_without(void **state)
{
    struct vcpu *vcpu = &f[1].vcpu;

    (void)state;
    begin();
    assert_true(msr_write(vcpu, MSR_IA32_APIC_BASE, APIC_DEFAULT_BASE));
    assert_false(svm_avic_is_on(svm_of(vcpu)));
    assert_int_equal(physical_entry(1) & AVIC_PHYSICAL_VALID, 0);
    assert_false(svm_ops.sync_interrupts(vcpu));
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    assert_true(control(1)->v_intr & V_IRQ);
    assert_true(msr_write(vcpu, MSR_IA32_APIC_BASE, APIC_DEFAULT_BASE | APIC_BASE_EN));
    assert_true(svm_avic_is_on(svm_of(vcpu)));
    assert_int_equal(control(1)->v_intr & V_IRQ, 0);
    assert_int_equal(control(1)->intercepts[INTERCEPT_MISC1] & MISC1_VINTR, 0);
    assert_true(vcpu->requests & REQUEST_EVENT);
}

/* V_IRQ means nothing with AVIC: the PICs' interrupt is offered again by a timer. */
static void test_a_window_is_polled(void **state)
{
    struct vcpu *vcpu = &f[0].vcpu;

    (void)state;
    begin();
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    assert_int_equal(control(0)->v_intr & V_IRQ, 0);
    assert_int_equal(vcpu->requests, 0);
    fake_clock_advance(FAKE_HZ / 1000);
    assert_true(vcpu->requests & REQUEST_EVENT);
    vcpu->requests = 0;
    svm_ops.want_window(vcpu, WINDOW_INTERRUPT, true);
    svm_ops.unload(vcpu, false); /* whoever has it next looks by itself */
    assert_true(vcpu->requests & REQUEST_EVENT);
    vcpu->requests = 0;
    fake_clock_advance(FAKE_HZ / 1000);
    assert_int_equal(vcpu->requests, 0);
    svm_ops.unload(vcpu, false);
    assert_int_equal(vcpu->requests, 0);
}

/* --- without --- */

static void test_nothing_of_it_without_the_feature(void **state)
{
    static const struct vcpu_start start;
    struct vcpu *vcpu = &f[0].vcpu;

    (void)state;
    fake_cpu_begin();
    destroy_vcpus();
    svm_caps.features &= ~SVM_FEATURE_AVIC;
    vcpu->uses_virtual_delivery = false;
    assert_int_equal(svm_ops.vcpu_create(vcpu), 0);
    svm_ops.vcpu_reset(vcpu, &start);
    assert_false(svm_avic_is_on(svm_of(vcpu)));
    assert_int_equal(control(0)->avic_backing_page, 0);
    assert_false(vcpu->uses_virtual_delivery);
    svm_ops.set_apic_mode(vcpu);
    svm_ops.unload(vcpu, false);
    verdict_of_handler = VERDICT_STOP;
    (void)leave(0, VMEXIT_AVIC_NOACCEL, 0, 0);
    assert_int_equal(vcpu->exit.kind, EXIT_UNEXPECTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_cpu_is_told_where_everything_is),
        TEST(test_it_runs_only_while_it_runs),
        TEST(test_an_apic_that_accepts_nothing_is_not_in_the_table),
        TEST(test_flat_logical_ids),
        TEST(test_clusters),
        TEST(test_who_does_not_run_is_woken),
        TEST(test_what_was_not_sent_is_software_s),
        TEST(test_no_failure_is_trusted),
        TEST(test_traps_and_faults_are_told_apart),
        TEST(test_a_level_triggered_interrupt_is_ended_once),
        TEST(test_a_guest_has_no_x2apic),
        TEST(test_a_disabled_apic_goes_without),
        TEST(test_a_window_is_polled),
        TEST(test_nothing_of_it_without_the_feature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
