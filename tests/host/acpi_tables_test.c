/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a guest that follows pointers from the RSDP meets only valid tables, and what they say is what
 * layout.h says. The byte code is judged by ACPICA's own disassembler, where iasl is installed.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "arch/x86/guest/acpi_tables.h"
#include "arch/x86/guest/aml.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/bytes.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fake_guest guest;
static uint64_t rsdp;

static int set_up(void **state)
{
    (void)state;
    fake_guest_init(&guest, MIB(2));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static void build(unsigned vcpus, unsigned virtios)
{
    struct acpi_request request = {
        .vcpu_count = vcpus, .virtio_count = virtios, .has_pci = true, .has_high_pci = true, .pci_pins = 2,
        .has_com2 = true};
    gpa_t at;

    assert_int_equal(acpi_tables_build(&request, &guest.mem, &at), 0);
    rsdp = at.value;
}

static void assert_sum_is_zero(const uint8_t *bytes, uint32_t count)
{
    uint8_t sum = 0;

    while (count--)
        sum = (uint8_t)(sum + *bytes++);
    assert_int_equal(sum, 0);
}

/* A whole table, in the firmware area and with a right checksum. */
static const uint8_t *table_at(uint64_t address, const char *signature, uint32_t *bytes)
{
    const uint8_t *t = fake_guest_at(&guest, address, 36);

    *bytes = get_le32(t + 4);
    assert_memory_equal(t, signature, 4);
    assert_true(address >= 0xe0000 && address + *bytes <= 0x100000);
    fake_guest_at(&guest, address, *bytes);
    if (memcmp(signature, "FACS", 4) != 0)
        assert_sum_is_zero(t, *bytes);
    return t;
}

static const uint8_t *find_table(unsigned index, const char *signature, uint32_t *bytes)
{
    const uint8_t *root = fake_guest_at(&guest, rsdp, 36), *xsdt, *rsdt;

    xsdt = table_at(get_le64(root + 24), "XSDT", bytes);
    assert_int_equal(*bytes, 36 + 2 * 8);
    rsdt = table_at(get_le32(root + 16), "RSDT", bytes);
    assert_int_equal(*bytes, 36 + 2 * 4);
    assert_int_equal(get_le64(xsdt + 36 + 8 * index), get_le32(rsdt + 36 + 4 * index));
    return table_at(get_le64(xsdt + 36 + 8 * index), signature, bytes);
}

static const uint8_t *fadt(void)
{
    uint32_t bytes;
    const uint8_t *t = find_table(0, "FACP", &bytes);

    assert_int_equal(bytes, 268);
    return t;
}

static void rsdp_is_found_by_a_scan(void **state)
{
    const uint8_t *root;

    (void)state;
    build(1, 1);
    assert_true(rsdp >= 0xe0000 && rsdp < 0x100000 && rsdp % 16 == 0);
    root = fake_guest_at(&guest, rsdp, 36);
    assert_memory_equal(root, "RSD PTR ", 8);
    assert_int_equal(root[15], 2);
    assert_int_equal(get_le32(root + 20), 36);
    assert_sum_is_zero(root, 20);
    assert_sum_is_zero(root, 36);
}

static void assert_io_register(const uint8_t *gas, uint8_t bits, uint16_t port)
{
    assert_int_equal(gas[0], 1);
    assert_int_equal(gas[1], bits);
    assert_int_equal(gas[2], 0);
    assert_int_equal(get_le64(gas + 4), port);
}

static void fadt_describes_the_fixed_hardware(void **state)
{
    const uint8_t *f;
    uint32_t bytes;

    (void)state;
    build(1, 1);
    f = fadt();
    assert_int_equal(f[8], 5);
    assert_int_equal(get_le16(f + 46), 9);
    assert_int_equal(get_le32(f + 48), 0); /* no SMI port: ACPI mode from the start */
    assert_int_equal(get_le32(f + 56), 0x600);
    assert_int_equal(get_le32(f + 64), 0x604);
    assert_int_equal(get_le32(f + 76), 0x608);
    assert_int_equal(f[88], 4);
    assert_int_equal(f[89], 2);
    assert_int_equal(f[91], 4);
    assert_int_equal(f[108], 0x32);
    assert_int_equal(get_le16(f + 109), 0x5);
    assert_int_equal(get_le32(f + 112), 0x465);
    assert_io_register(f + 116, 8, 0xcf9);
    assert_int_equal(f[128], 6);
    assert_io_register(f + 148, 32, 0x600);
    assert_io_register(f + 172, 16, 0x604);
    assert_io_register(f + 208, 32, 0x608);
    assert_int_equal(get_le64(f + 132), 0);
    assert_int_equal(get_le32(f + 36) % 64, 0);
    table_at(get_le32(f + 36), "FACS", &bytes);
    assert_int_equal(bytes, 64);
    table_at(get_le64(f + 140), "DSDT", &bytes);
    assert_int_equal(get_le32(f + 40), get_le64(f + 140));
}

static void madt_lists_every_cpu_and_one_ioapic(void **state)
{
    static const unsigned counts[] = {1, 2, 64};
    static const uint8_t tail[] = {
        1, 12, 0, 0, 0x00, 0x00, 0xc0, 0xfe, 0, 0, 0, 0, /* IOAPIC at GSI 0 */
        2, 10, 0, 0, 2, 0, 0, 0, 0, 0,                   /* IRQ 0 is GSI 2 */
        2, 10, 0, 9, 9, 0, 0, 0, 0xd, 0,                 /* the SCI: level, active high */
        4, 6, 0xff, 0, 0, 1,                             /* NMI at LINT1 */
    };

    (void)state;
    for (unsigned n = 0; n < ARRAY_SIZE(counts); n++) {
        uint32_t bytes;
        const uint8_t *t;

        build(counts[n], 0);
        t = find_table(1, "APIC", &bytes);
        assert_int_equal(bytes, 44 + 8 * counts[n] + sizeof tail);
        assert_int_equal(get_le32(t + 36), 0xfee00000);
        assert_int_equal(get_le32(t + 40), 1);
        for (unsigned i = 0; i < counts[n]; i++) {
            const uint8_t cpu[] = {0, 8, (uint8_t)i, (uint8_t)i, 1, 0, 0, 0};
            assert_memory_equal(t + 44 + 8 * i, cpu, 8);
        }
        assert_memory_equal(t + 44 + 8 * counts[n], tail, sizeof tail);
    }
}

static void refuses_bad_requests(void **state)
{
    static const struct acpi_request bad[] = {
        {0, 1, false, false, 0, false, false}, {65, 1, false, false, 0, false, false}, {1, GUEST_VIRTIO_MAX + 1, false, false, 0, false, false},
        {1, 1, true, false, GUEST_PCI_PINS + 1, false, false}};
    struct acpi_request good = {1, 1, false, false, 0, false, false};
    gpa_t at;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(acpi_tables_build(&bad[i], &guest.mem, &at), -EINVAL);
    guest.mem.slots[0].size = 0xff000;
    assert_int_equal(acpi_tables_build(&good, &guest.mem, &at), -EFAULT);
}

static void building_again_gives_the_same_bytes(void **state)
{
    uint8_t *area = fake_guest_at(&guest, 0xe0000, 0x20000), *copy = malloc(0x20000);

    (void)state;
    build(3, 5);
    memcpy(copy, area, 0x20000);
    memset(area, 0, 0x20000);
    build(3, 5);
    assert_memory_equal(copy, area, 0x20000);
    free(copy);
}

static void package_lengths_grow_with_their_bodies(void **state)
{
    static const struct {
        uint32_t body;
        uint8_t encoded[3];
        uint32_t bytes;
    } cases[] = {
        {58, {0x3f}, 1}, {59, {0x41, 0x04}, 2}, {4089, {0x4f, 0xff}, 2}, {4090, {0x81, 0x00, 0x01}, 3}};
    static uint8_t space[5000];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aml a = {space, 0, sizeof space};
        uint32_t begin = aml_scope_begin(&a, "ABCD");

        for (uint32_t n = 0; n < cases[i].body; n++)
            aml_put(&a, &(uint8_t){(uint8_t)n}, 1);
        aml_end(&a, begin);
        assert_int_equal(a.used, 1 + cases[i].bytes + 4 + cases[i].body);
        assert_memory_equal(space + 1, cases[i].encoded, cases[i].bytes);
        assert_memory_equal(space + 1 + cases[i].bytes, "ABCD", 4);
        assert_int_equal(space[a.used - 1], (uint8_t)(cases[i].body - 1));
    }
}

static void integers_take_the_shortest_form(void **state)
{
    static const uint8_t expected[] = {0, 1, 0x0a, 2, 0x0a, 0xff, 0x0b, 0, 1, 0x0c, 0, 0, 1, 0};
    uint8_t space[16];
    struct aml a = {space, 0, sizeof space};

    (void)state;
    aml_integer(&a, 0);
    aml_integer(&a, 1);
    aml_integer(&a, 2);
    aml_integer(&a, 255);
    aml_integer(&a, 256);
    aml_integer(&a, 65536);
    assert_int_equal(a.used, sizeof expected);
    assert_memory_equal(space, expected, sizeof expected);
}

static void a_full_buffer_is_a_bug_of_ours(void **state)
{
    uint8_t space[4];
    struct aml a = {space, 0, sizeof space};

    (void)state;
    expect_panic(aml_string(&a, "LNRO0005"));
}

/* --- iasl --- */

static char folder[200]; /* beside this program, so that the two compilers' tests do not meet */

static void dump(const char *name, const uint8_t *table, uint32_t bytes)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.dat", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(table, 1, bytes, file), bytes);
    fclose(file);
}

static char *disassemble(const char *name)
{
    static char text[64 * 1024];
    char command[640], path[256];
    FILE *file;
    size_t n;

    snprintf(command, sizeof command, "cd %s && rm -f %s.dsl && iasl -d %s.dat >%s.log 2>&1", folder, name, name, name);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/%s.dsl", folder, name);
    file = fopen(path, "r");
    assert_non_null(file);
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    assert_null(strstr(text, "Invalid"));
    assert_null(strstr(text, "Incorrect checksum"));
    return text;
}

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("not in the disassembly: %s", part);
}

static void dsdt_disassembles_to_what_was_meant(void)
{
    static const char *const parts[] = {
        "Name (\\_S5, Package (0x04)",
        "Scope (\\_SB)",
        "Device (COM1)", "EisaId (\"PNP0501\")", "0x03F8,             // Range Minimum", "IRQNoFlags ()",
        "Device (COM2)", "0x02F8,             // Range Minimum",
        "Device (RTC0)", "EisaId (\"PNP0B00\")",
        "Device (VR00)", "Name (_HID, \"LNRO0005\")", "Name (_CCA, One)",
        "0xD0000000,         // Address Base", "0x00000200,         // Address Length",
        "Interrupt (ResourceConsumer, Level, ActiveHigh, Exclusive",
        "0x00000010,",
        "Device (VR07)", "Device (PCI0)", "EisaId (\"PNP0A03\")", "Name (_BBN, Zero)", "WordBusNumber (ResourceProducer",
        "WordIO (ResourceProducer", "0x1000,             // Range Minimum", "0xFFFF,             // Range Maximum",
        "0x00000000C0000000, // Range Minimum", "0x00000000CFFFFFFF, // Range Maximum",
        "0x0000004000000000, // Range Minimum", "0x0000005FFFFFFFFF, // Range Maximum", "0x0000002000000000, // Length",
        "Name (_PRT, Package (0x02)", "0x0002FFFF,", "0x21\n",
        "Name (_UID, 0x07)", "0xD0007000,         // Address Base", "0x00000017,",
    };
    const char *text = disassemble("dsdt");

    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        contains(text, parts[i]);
    assert_null(strstr(text, "VR08"));
}

/* The compiler checks more than the disassembler: what it reads back must be without errors. */
static void dsdt_compiles_again(void)
{
    char command[512];

    snprintf(command, sizeof command,
             "cd %s && iasl -p again dsdt.dsl >again.log 2>&1 && grep -q '0 Errors, 0 Warnings' again.log", folder);
    assert_int_equal(system(command), 0);
}

static void iasl_finds_no_fault(void **state)
{
    const uint8_t *table;
    uint32_t bytes;

    (void)state;
    if (system("command -v iasl >/dev/null") != 0) {
        print_message("iasl (package acpica-tools) is not installed\n");
        skip();
    }
    mkdir(folder, 0777);
    build(2, 8);
    table = fadt();
    dump("facp", table, 268);
    table = table_at(get_le64(table + 140), "DSDT", &bytes);
    dump("dsdt", table, bytes);
    table = find_table(1, "APIC", &bytes);
    dump("apic", table, bytes);
    dsdt_disassembles_to_what_was_meant();
    dsdt_compiles_again();
    contains(disassemble("facp"), "Hardware Reduced (V5) : 0");
    contains(disassemble("apic"), "Local Apic Address : FEE00000");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(rsdp_is_found_by_a_scan),
        TEST(fadt_describes_the_fixed_hardware),
        TEST(madt_lists_every_cpu_and_one_ioapic),
        TEST(refuses_bad_requests),
        TEST(building_again_gives_the_same_bytes),
        TEST(package_lengths_grow_with_their_bodies),
        TEST(integers_take_the_shortest_form),
        TEST(a_full_buffer_is_a_bug_of_ours),
        TEST(iasl_finds_no_fault),
    };

    (void)argc;
    snprintf(folder, sizeof folder, "%s.tables", argv[0]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
