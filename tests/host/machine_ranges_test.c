/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: no address of RAM or of what the machine itself needs passes for a PCI function's; what is free does. */
#include "tests/host/fake/fake.h"
#include "arch/x86/acpi.h"
#include "kernel/machine_ranges.h"
#include "kernel/memmap.h"

static struct memmap memory;
static struct acpi_info acpi;

static int set_up(void **state)
{
    (void)state;
    memset(&memory, 0, sizeof memory);
    memset(&acpi, 0, sizeof acpi);
    assert_int_equal(memmap_add(&memory, HPA(0), GIB(2), MEMMAP_USABLE), 0);
    assert_int_equal(memmap_add(&memory, HPA(GIB(2)), MIB(1), MEMMAP_ACPI_NVS), 0);
    assert_int_equal(memmap_add(&memory, HPA(0xb0000000), MIB(256), MEMMAP_RESERVED), 0);
    assert_int_equal(memmap_reserve(&memory, HPA(MIB(16)), MIB(8), MEMMAP_KERNEL), 0);
    acpi.has_madt = acpi.has_fadt = acpi.has_hpet = true;
    acpi.local_apic = HPA(0xfee00000);
    acpi.ioapics[acpi.ioapic_count++] = (struct acpi_ioapic){0, HPA(0xfec00000), 0};
    acpi.hpet = HPA(0xfed00000);
    acpi.dmar.units[acpi.dmar.unit_count++].base = HPA(0xfed90000);
    acpi.ecams[acpi.ecam_count++] = (struct acpi_ecam){HPA(0xb0000000), 0, 0, 255};
    acpi.fadt.pm1a_event = (struct acpi_gas){ACPI_GAS_SYSTEM_IO, 32, 0, 0, 0xb000};
    acpi.fadt.reset = (struct acpi_gas){ACPI_GAS_SYSTEM_MEMORY, 8, 0, 0, 0xd000};
    acpi.fadt.smi_command_port = 0xb2;
    machine_ranges_init(&memory, &acpi);
    return 0;
}

static void memory_that_is_somebodys(void **state)
{
    static const struct {
        uint64_t start, size;
        const char *owner;
    } rows[] = {
        {MIB(16), PAGE_SIZE, "RAM"},
        {GIB(2) - 16, 32, "RAM"},
        {GIB(2) + MIB(1) - 16, 16, "RAM"},
        {GIB(2) + MIB(1), MIB(1), NULL},
        {0, UINT64_MAX / 2, "RAM"},
        {0xb8000000, PAGE_SIZE, "configuration space"},
        {0xfee00000, 4, "an interrupt controller"},
        {0xfee01000, 4, "an interrupt controller"},
        {0xfec00010, 16, "an interrupt controller"},
        {0xfed00000, PAGE_SIZE, "the HPET"},
        {0xfed90ff0, 16, "an IOMMU"},
        {0xfebc0000, 0x20000, NULL},
        {GIB(64), GIB(64), NULL},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *owner = machine_memory_owner(HPA(rows[i].start), rows[i].size);

        if (rows[i].owner)
            assert_string_equal(owner, rows[i].owner);
        else
            assert_null(owner);
    }
}

static void ports_that_are_somebodys(void **state)
{
    (void)state;
    assert_non_null(machine_ports_owner(0x3f8, 8));
    assert_non_null(machine_ports_owner(0xb2, 1));
    assert_non_null(machine_ports_owner(0xcf0, 16));
    assert_string_equal(machine_ports_owner(0xb000, 4), "power management");
    assert_string_equal(machine_ports_owner(0xafc0, 0x80), "power management");
    assert_null(machine_ports_owner(0xd000, 16)); /* that register is in memory */
    assert_null(machine_ports_owner(0xc040, 32));
    acpi.has_fadt = false;
    assert_null(machine_ports_owner(0xb000, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(memory_that_is_somebodys, set_up),
        cmocka_unit_test_setup(ports_that_are_somebodys, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
