/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a vCPU other than the boot CPU runs nothing before its first SIPI, begins where that says, and goes back
 * to waiting at an INIT, in the state that the manual's table gives; what came before an INIT, or while nothing
 * could take it, is gone.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/startup.h"
#include "arch/x86/regs.h"

static struct fake_vcpu f;
static struct vcpu *const vcpu = &f.vcpu;

static int setup(void **state)
{
    (void)state;
    fake_vcpu_init(&f);
    vcpu->lapic->base &= ~(uint64_t)APIC_BASE_BSP;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_vcpu_free(&f);
    return 0;
}

static void send(uint8_t delivery, uint8_t vector)
{
    const struct apic_message message = {.delivery = delivery, .vector = vector};

    assert_true(lapic_receive(vcpu->lapic, &message));
}

/* As the run loop does. */
static void take(void)
{
    if (vcpu->requests & STARTUP_REQUESTS)
        startup_take_requests(vcpu);
    assert_int_equal(vcpu->requests & STARTUP_REQUESTS, 0);
}

static void assert_runs_at(uint8_t vector)
{
    const struct segment *cs = &f.segments[SEG_CS];

    assert_false(vcpu->is_halted);
    assert_false(vcpu->waits_for_sipi);
    assert_int_equal(cs->selector, vector << 8);
    assert_int_equal(cs->base, (uint64_t)vector << 12);
    assert_int_equal(cs->limit, 0xffff);
    assert_int_equal(f.registers[VCPU_RIP], 0);
}

static void assert_waits(void)
{
    assert_true(vcpu->is_halted);
    assert_true(vcpu->waits_for_sipi);
    assert_false(event_wakes(vcpu));
}

static void test_a_parked_cpu_starts_at_its_first_sipi(void **state)
{
    struct vcpu_start start;

    (void)state;
    fake_cpu_begin();
    startup_park(vcpu, &start);
    vcpu_ops->vcpu_reset(vcpu, &start);
    assert_waits();
    assert_int_equal(start.rip, 0xfff0);
    assert_int_equal(start.segment[SEG_CS].base, 0xffff0000);
    send(APIC_DELIVERY_STARTUP, 0x9a);
    assert_true(vcpu->waits_for_sipi); /* nothing happens before its own CPU takes it */
    take();
    assert_runs_at(0x9a);
    f.registers[VCPU_RIP] = 0x1234;
    send(APIC_DELIVERY_STARTUP, 0x10); /* the second one of the manual's algorithm */
    take();
    assert_int_equal(f.registers[VCPU_RIP], 0x1234);
    assert_int_equal(f.segments[SEG_CS].selector, 0x9a00);
}

static void test_every_vector(void **state)
{
    (void)state;
    fake_cpu_begin();
    for (unsigned vector = 0; vector < 256; vector++) {
        send(APIC_DELIVERY_INIT, 0);
        send(APIC_DELIVERY_STARTUP, (uint8_t)vector);
        take();
        assert_runs_at((uint8_t)vector);
    }
}

static void test_init_gives_the_manuals_state(void **state)
{
    (void)state;
    fake_cpu_begin();
    for (unsigned i = 0; i < GPR_COUNT; i++)
        vcpu->gpr[i] = 0x5555;
    f.registers[VCPU_CR0] = CR0_PE | CR0_PG | CR0_CD | CR0_WP;
    f.registers[VCPU_CR3] = 0x1000;
    f.registers[VCPU_CR4] = CR4_PAE | CR4_OSXSAVE;
    f.registers[VCPU_EFER] = EFER_LME | EFER_LMA;
    f.registers[VCPU_PAT] = 0x0706;
    f.registers[VCPU_SYSENTER_EIP] = 0xabcd;
    f.registers[VCPU_RFLAGS] = RFLAGS_ONE | RFLAGS_IF;
    fake_vcpu_cpuid(&f, 1)->ecx |= CPUID_1_ECX_OSXSAVE;
    f.registers[VCPU_CR2] = vcpu->dr[0] = vcpu->dr[3] = 0x77;
    send(APIC_DELIVERY_INIT, 0);
    take();
    assert_waits();
    assert_int_equal(f.registers[VCPU_CR0], CR0_ET | CR0_CD);
    assert_int_equal(f.registers[VCPU_CR3], 0);
    assert_int_equal(f.registers[VCPU_CR4], 0);
    assert_int_equal(f.registers[VCPU_EFER], 0);
    assert_int_equal(f.registers[VCPU_RFLAGS], RFLAGS_ONE);
    assert_int_equal(f.registers[VCPU_RIP], 0xfff0);
    assert_int_equal(f.registers[VCPU_PAT], 0x0706);
    assert_int_equal(f.registers[VCPU_SYSENTER_EIP], 0xabcd);
    assert_int_equal(f.segments[SEG_CS].selector, 0xf000);
    assert_int_equal(f.segments[SEG_DS].base, 0);
    assert_int_equal(f.segments[SEG_DS].limit, 0xffff);
    assert_false(fake_vcpu_cpuid(&f, 1)->ecx & CPUID_1_ECX_OSXSAVE);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        assert_int_equal(vcpu->gpr[i], i == GPR_RDX ? fake_vcpu_cpuid(&f, 1)->eax : 0);
    assert_int_equal(f.registers[VCPU_CR2], 0);
    assert_int_equal(vcpu->dr[0], 0);
    assert_int_equal(vcpu->dr[3], 0);
    assert_int_equal(f.registers[VCPU_DR6], DR6_INIT);
}

static void test_init_resets_the_local_apic_but_not_its_mode(void **state)
{
    const struct apic_message fixed = {.vector = 0x51};

    (void)state;
    fake_cpu_begin();
    assert_true(lapic_set_base(vcpu->lapic, APIC_DEFAULT_BASE | APIC_BASE_EN | APIC_BASE_EXTD));
    assert_true(lapic_msr_write(vcpu->lapic, MSR_IA32_X2APIC_FIRST + APIC_SVR / 16, APIC_SVR_ENABLE | 0xff));
    assert_true(lapic_receive(vcpu->lapic, &fixed));
    send(APIC_DELIVERY_INIT, 0);
    take();
    assert_true(lapic_is_x2apic(vcpu->lapic));
    assert_false(lapic_has_posted(vcpu->lapic));
    assert_false(lapic_receive(vcpu->lapic, &fixed));
}

static void test_init_voids_what_was_pending(void **state)
{
    (void)state;
    fake_cpu_begin();
    vcpu_raise(vcpu, X86_UD);
    send(APIC_DELIVERY_NMI, 0);
    send(APIC_DELIVERY_STARTUP, 0x10);
    send(APIC_DELIVERY_INIT, 0);
    take();
    assert_waits();
    send(APIC_DELIVERY_NMI, 0); /* nothing takes it now */
    assert_false(event_wakes(vcpu));
    send(APIC_DELIVERY_STARTUP, 0x20);
    take();
    assert_runs_at(0x20);
    event_prepare(vcpu);
    assert_int_equal(f.injected_count, 0);
    assert_false(f.is_wanted[WINDOW_NMI]);
}

static void test_an_init_while_waiting_changes_nothing(void **state)
{
    (void)state;
    fake_cpu_begin();
    send(APIC_DELIVERY_INIT, 0);
    take();
    send(APIC_DELIVERY_INIT, 0);
    take();
    assert_waits();
    send(APIC_DELIVERY_STARTUP, 0x08);
    take();
    assert_runs_at(0x08);
}

static void test_init_of_the_boot_cpu_resets_the_vm(void **state)
{
    (void)state;
    vcpu->lapic->base |= APIC_BASE_BSP;
    send(APIC_DELIVERY_INIT, 0);
    take();
    assert_int_equal(f.vm.stop_reason, STOP_RESET);
    assert_int_equal(f.resets, 0);
    assert_false(vcpu->waits_for_sipi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_parked_cpu_starts_at_its_first_sipi, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_vector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_gives_the_manuals_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_resets_the_local_apic_but_not_its_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_voids_what_was_pending, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_init_while_waiting_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init_of_the_boot_cpu_resets_the_vm, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
