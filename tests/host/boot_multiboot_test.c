/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a Multiboot kernel, ELF of either class or placed by its header's addresses, starts as the
 * specification says, with what it required; what we cannot give is refused, and no header leads astray.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "tests/host/fake/elf_image.h"
#include "kernel/lib/bytes.h"

#define HEADER_AT 1024
#define LOAD      0x200000
#define KLUDGE    0x10000u

static struct fake_elf file;
static struct fake_guest guest;
static const uint8_t first[5000] = {'m', '1'}, second[10] = {'m', '2'};

static void put_header(uint8_t *p, uint32_t flags)
{
    put_le32(p, 0x1badb002);
    put_le32(p + 4, flags);
    put_le32(p + 8, -(0x1badb002 + flags));
}

static void make_elf(bool is_64, uint32_t flags)
{
    fake_elf_init(&file, is_64, 0xc0200020);
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = 1024, .p_vaddr = 0xc0200000,
                                             .p_paddr = LOAD, .p_filesz = 2048, .p_memsz = 4096});
    put_header(file.bytes + HEADER_AT, flags);
}

/* header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr */
static void make_kludge(const uint32_t addresses[5])
{
    memset(file.bytes, 0x5a, sizeof file.bytes);
    put_header(file.bytes + HEADER_AT, KLUDGE);
    for (unsigned i = 0; i < 5; i++)
        put_le32(file.bytes + HEADER_AT + 12 + 4 * i, addresses[i]);
}

static int set_up(void **state)
{
    (void)state;
    fake_guest_init(&guest, MIB(8));
    make_elf(false, 3);
    guest.request.image = fake_elf_image(&file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static const uint8_t *info(void)
{
    return fake_guest_at(&guest, guest.start.gpr[GPR_RBX], 88);
}

static void elf_of_both_classes_starts_in_protected_mode(void **state)
{
    struct vcpu_start *s = &guest.start;

    (void)state;
    for (int is_64 = 0; is_64 <= 1; is_64++) {
        make_elf(is_64, 0);
        assert_int_equal(boot_format_detect(&guest.request.image), BOOT_MULTIBOOT);
        fake_guest_assert_loads(&guest);
        assert_int_equal(s->rip, LOAD + 0x20);
        assert_int_equal(s->gpr[GPR_RAX], 0x2badb002);
        assert_int_equal(s->cr0 & 0x80000001, 1);
        assert_int_equal(s->efer, 0);
        assert_int_equal(s->segment[SEG_CS].attributes, 0xc09b);
        assert_int_equal(s->segment[SEG_CS].limit, 0xffffffff);
        assert_int_equal(s->segment[SEG_SS].attributes, 0xc093);
        assert_int_equal(s->rflags, 2);
        assert_memory_equal(fake_guest_at(&guest, LOAD, 2048), file.bytes + 1024, 2048);
    }
}

static void info_names_memory_loader_and_command_line(void **state)
{
    const uint8_t *i, *map;

    (void)state;
    guest.request.cmdline = "a b";
    fake_guest_assert_loads(&guest);
    i = info();
    assert_int_equal(get_le32(i), 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
    assert_int_equal(get_le32(i + 4), 639);
    assert_int_equal(get_le32(i + 8), 7 * 1024);
    assert_string_equal(fake_guest_at(&guest, get_le32(i + 16), 4), "a b");
    assert_int_equal(get_le32(i + 20), 0);
    assert_int_equal(get_le32(i + 44), 4 * 24);
    assert_string_equal(fake_guest_at(&guest, get_le32(i + 64), 11), "Ringmaster");
    map = fake_guest_at(&guest, get_le32(i + 48), 4 * 24);
    assert_int_equal(get_le32(map), 20);
    assert_int_equal(get_le64(map + 4), 0);
    assert_int_equal(get_le64(map + 12), 0x9fc00);
    assert_int_equal(get_le32(map + 20), 1);
    assert_int_equal(get_le64(map + 72 + 4), MIB(1));
    assert_int_equal(get_le64(map + 72 + 12), MIB(7));
    guest.request.cmdline = NULL;
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le32(info()) & 4, 0);
}

static void modules_are_low_in_order_and_aligned(void **state)
{
    struct guest_module modules[] = {{{first, sizeof first}, "one"}, {{second, sizeof second}, NULL}};
    const uint8_t *list;

    (void)state;
    guest.request.modules = modules;
    guest.request.module_count = 2;
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le32(info() + 20), 2);
    list = fake_guest_at(&guest, get_le32(info() + 24), 32);
    assert_int_equal(get_le32(list), MIB(1));
    assert_int_equal(get_le32(list + 4), MIB(1) + sizeof first);
    assert_string_equal(fake_guest_at(&guest, get_le32(list + 8), 4), "one");
    assert_memory_equal(fake_guest_at(&guest, MIB(1), sizeof first), first, sizeof first);
    assert_int_equal(get_le32(list + 16), MIB(1) + 0x2000);
    assert_int_equal(get_le32(list + 20), MIB(1) + 0x2000 + sizeof second);
    assert_int_equal(get_le32(list + 24), 0);
    make_elf(true, 0);
    fake_guest_assert_loads(&guest);
    list = fake_guest_at(&guest, get_le32(info() + 24), 32);
    assert_int_equal(get_le32(list + 16), MIB(1) + 5008);
}

static void modules_go_behind_a_kernel_at_1_mib(void **state)
{
    const uint32_t addresses[] = {MIB(1), MIB(1), MIB(1) + 2048, MIB(1) + 0x2800, MIB(1) + 32};
    struct guest_module module = {{second, sizeof second}, NULL};

    (void)state;
    make_kludge(addresses);
    put_header(file.bytes + HEADER_AT, KLUDGE | 1);
    guest.request.initrd = (struct guest_image){first, sizeof first};
    guest.request.modules = &module;
    guest.request.module_count = 1;
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le32(info() + 20), 2);
    assert_int_equal(get_le32(fake_guest_at(&guest, get_le32(info() + 24), 32)), MIB(1) + 0x3000);
    module.image.size = MIB(8);
    fake_guest_assert_refused(&guest, "too little guest RAM");
}

static void addresses_of_the_header_place_the_file(void **state)
{
    static const uint8_t zeroes[16];
    const uint32_t part[] = {LOAD + 24, LOAD, LOAD + 100, LOAD + 200, LOAD + 199};
    const uint32_t whole[] = {LOAD + HEADER_AT, LOAD, 0, 0, LOAD};

    (void)state;
    make_kludge(part);
    fake_guest_assert_loads(&guest);
    assert_int_equal(guest.start.rip, LOAD + 199);
    assert_memory_equal(fake_guest_at(&guest, LOAD, 100), file.bytes + HEADER_AT - 24, 100);
    assert_memory_equal(fake_guest_at(&guest, LOAD + 100, 16), zeroes, 16);
    make_kludge(whole);
    fake_guest_assert_loads(&guest);
    assert_memory_equal(fake_guest_at(&guest, LOAD, sizeof file.bytes), file.bytes, sizeof file.bytes);
}

static void refuses_addresses_that_do_not_fit_the_file(void **state)
{
    static const uint32_t bad[][5] = {
        {LOAD - 1, LOAD, 0, 0, LOAD},                                        /* header below what is loaded */
        {LOAD + HEADER_AT + 1, LOAD, 0, 0, LOAD},                            /* starts before the file */
        {LOAD, LOAD, LOAD + FAKE_ELF_BYTES - HEADER_AT + 1, 0, LOAD},        /* ends behind it */
        {LOAD, LOAD, LOAD - 1, 0, LOAD}, {LOAD, LOAD, LOAD + 64, LOAD - 1, LOAD},
        {LOAD, LOAD, LOAD + 64, LOAD + 63, LOAD},                            /* bss ends before the data */
    };
    static const uint32_t bad_entry[][5] = {{LOAD, LOAD, LOAD + 64, 0, LOAD + 64}, {LOAD, LOAD, 0, 0, LOAD - 1}};
    static const uint32_t bad_ram[][5] = {{GIB(3), GIB(3), 0, 0, GIB(3)},
                                          {LOAD, LOAD, 0, MIB(8) + 1, LOAD},
                                          {0xe0000, 0xe0000, 0, 0, 0xe0000}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        make_kludge(bad[i]);
        fake_guest_assert_refused(&guest, "addresses do not fit the file");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad_entry); i++) {
        make_kludge(bad_entry[i]);
        fake_guest_assert_refused(&guest, "entry is outside");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad_ram); i++) {
        make_kludge(bad_ram[i]);
        fake_guest_assert_refused(&guest, "does not lie in guest RAM");
    }
}

static void refuses_required_features_that_it_lacks(void **state)
{
    (void)state;
    make_elf(false, 4);
    fake_guest_assert_refused(&guest, "video mode");
    for (unsigned bit = 3; bit < 16; bit++) {
        make_elf(false, 1u << bit);
        fake_guest_assert_refused(&guest, "unknown to us");
    }
    make_elf(false, 0xfffe0000); /* optional ones are not required */
    fake_guest_assert_loads(&guest);
}

static void the_header_counts_only_where_it_may_be(void **state)
{
    (void)state;
    make_elf(false, 0);
    file.bytes[HEADER_AT + 8]++;
    assert_int_equal(boot_format_detect(&guest.request.image), BOOT_PVH);
    guest.request.format = BOOT_MULTIBOOT;
    fake_guest_assert_refused(&guest, "no Multiboot header");
    memset(file.bytes + HEADER_AT, 0, 12);
    put_header(file.bytes + HEADER_AT + 2, 0);
    fake_guest_assert_refused(&guest, "no Multiboot header");
    memset(file.bytes + HEADER_AT, 0, 16);
    put_header(file.bytes + 8192 - 12, 0);
    fake_guest_assert_loads(&guest);
}

static void refuses_elf_that_cannot_start(void **state)
{
    (void)state;
    fake_elf_init(&file, true, 0x100000000);
    put_header(file.bytes + HEADER_AT, 0);
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = GIB(4), .p_paddr = GIB(4), .p_memsz = 16});
    fake_guest_assert_refused(&guest, "no segment below 4 GiB");
    fake_elf_init(&file, true, 0x1234);
    put_header(file.bytes + HEADER_AT, 0);
    fake_guest_assert_refused(&guest, "no segment below 4 GiB");
    file.bytes[0] = 0;
    fake_guest_assert_refused(&guest, "no ELF");
}

static void no_file_confuses_it(void **state)
{
    const uint32_t addresses[] = {LOAD + 24, LOAD, LOAD + 100, LOAD + 200, LOAD + 199};

    (void)state;
    guest.request.format = BOOT_MULTIBOOT;
    guest.request.cmdline = "x";
    guest.request.initrd = (struct guest_image){first, sizeof first};
    fake_guest_torture(&guest, 4096, 52 + 32);
    make_kludge(addresses);
    guest.request.image = (struct guest_image){file.bytes + HEADER_AT - 64, 512};
    fake_guest_torture(&guest, 512, 128);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(elf_of_both_classes_starts_in_protected_mode),
        TEST(info_names_memory_loader_and_command_line),
        TEST(modules_are_low_in_order_and_aligned),
        TEST(modules_go_behind_a_kernel_at_1_mib),
        TEST(addresses_of_the_header_place_the_file),
        TEST(refuses_addresses_that_do_not_fit_the_file),
        TEST(refuses_required_features_that_it_lacks),
        TEST(the_header_counts_only_where_it_may_be),
        TEST(refuses_elf_that_cannot_start),
        TEST(no_file_confuses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
