/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: an ELF kernel with a PVH note starts at the note's entry and finds memory map, modules, command line and
 * RSDP.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "tests/host/fake/elf_image.h"
#include "kernel/lib/bytes.h"

#define ENTRY 0x100040

static struct fake_elf file;
static struct fake_guest guest;
static const uint8_t initrd[5000] = {'r', 'd'}, second[10] = {'m', '2'};

static void make_image(uint64_t entry, uint32_t note_bytes)
{
    uint32_t end;

    fake_elf_init(&file, true, 0xffffffff80100000);
    end = fake_elf_put_note(&file, 2048, "Xen", 18, entry, note_bytes);
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = 1024, .p_vaddr = 0xffffffff80100000,
                                             .p_paddr = 0x100000, .p_filesz = 4096, .p_memsz = 8192});
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 2048, .p_filesz = end - 2048});
}

static int set_up(void **state)
{
    (void)state;
    fake_guest_init(&guest, MIB(32));
    make_image(ENTRY, 8);
    guest.request.image = fake_elf_image(&file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static const uint8_t *start_info(void)
{
    return fake_guest_at(&guest, guest.start.gpr[GPR_RBX], 56);
}

static void starts_flat_in_protected_mode_at_the_notes_entry(void **state)
{
    struct vcpu_start *s = &guest.start;

    (void)state;
    assert_int_equal(boot_format_detect(&guest.request.image), BOOT_PVH);
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->rip, ENTRY);
    assert_int_equal(s->cr0 & 0x80000001, 1);
    assert_int_equal(s->cr4, 0);
    assert_int_equal(s->efer, 0);
    assert_int_equal(s->rflags, 2);
    assert_int_equal(s->segment[SEG_CS].attributes, 0xc09b);
    assert_int_equal(s->segment[SEG_ES].attributes, 0xc093);
    assert_int_equal(s->segment[SEG_TR].attributes, 0x8b);
    assert_int_equal(s->segment[SEG_TR].limit, 0x67);
    assert_memory_equal(fake_guest_at(&guest, 0x100000, 4096), file.bytes + 1024, 4096);
    make_image(ENTRY, 4);
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->rip, ENTRY);
}

static void start_info_says_all(void **state)
{
    struct guest_module module = {{second, sizeof second}, "two"};
    const uint8_t *info, *map, *list;

    (void)state;
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    guest.request.modules = &module;
    guest.request.module_count = 1;
    guest.request.cmdline = "console=ttyS0";
    guest.request.acpi_rsdp = GPA(0xe0000);
    fake_guest_assert_loads(&guest);
    info = start_info();
    assert_int_equal(get_le32(info), 0x336ec578);
    assert_int_equal(get_le32(info + 4), 1);
    assert_int_equal(get_le32(info + 8), 0);
    assert_int_equal(get_le32(info + 12), 2);
    assert_string_equal(fake_guest_at(&guest, get_le64(info + 24), 14), "console=ttyS0");
    assert_int_equal(get_le64(info + 32), 0xe0000);

    map = fake_guest_at(&guest, get_le64(info + 40), 4 * 24);
    assert_int_equal(get_le32(info + 48), 4);
    assert_int_equal(get_le64(map + 8), 0x9fc00);
    assert_int_equal(get_le32(map + 16), 1);
    assert_int_equal(get_le32(map + 24 + 16), 2);
    assert_int_equal(get_le64(map + 72), MIB(1));
    assert_int_equal(get_le64(map + 80), MIB(31));

    list = fake_guest_at(&guest, get_le64(info + 16), 2 * 32);
    assert_int_equal(get_le64(list), MIB(32) - 2 * PAGE_SIZE);
    assert_int_equal(get_le64(list + 8), sizeof initrd);
    assert_int_equal(get_le64(list + 16), 0);
    assert_memory_equal(fake_guest_at(&guest, get_le64(list), sizeof initrd), initrd, sizeof initrd);
    assert_memory_equal(fake_guest_at(&guest, get_le64(list + 32), sizeof second), second, sizeof second);
    assert_string_equal(fake_guest_at(&guest, get_le64(list + 48), 4), "two");
}

static void what_is_not_given_is_zero(void **state)
{
    const uint8_t *info;

    (void)state;
    fake_guest_assert_loads(&guest);
    info = start_info();
    assert_int_equal(get_le32(info + 12), 0);
    assert_int_equal(get_le64(info + 16), 0);
    assert_int_equal(get_le64(info + 24), 0);
    assert_int_equal(get_le64(info + 32), 0);
}

static void modules_avoid_the_kernel(void **state)
{
    (void)state;
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_LOAD, .p_paddr = MIB(32) - PAGE_SIZE, .p_memsz = 1});
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le64(fake_guest_at(&guest, get_le64(start_info() + 16), 32)), MIB(32) - 3 * PAGE_SIZE);
}

static void refuses_bad_entries(void **state)
{
    (void)state;
    make_image(ENTRY, 3);
    fake_guest_assert_refused(&guest, "neither a Multiboot header nor a PVH");
    make_image(0x100100000, 8);
    fake_guest_assert_refused(&guest, "below 4 GiB");
    make_image(0x102000, 8);
    fake_guest_assert_refused(&guest, "in no segment");
    fake_elf_init(&file, true, 0);
    fake_guest_assert_refused(&guest, "neither a Multiboot header nor a PVH");
    file.bytes[0] = 0;
    guest.request.format = BOOT_PVH;
    fake_guest_assert_refused(&guest, "no ELF");
}

static void refuses_what_does_not_fit(void **state)
{
    struct guest_module modules[100] = {{{second, sizeof second}, "x"}};
    static char cmdline[0xa0000];

    (void)state;
    for (unsigned i = 1; i < ARRAY_SIZE(modules); i++)
        modules[i] = modules[0];
    guest.request.modules = modules;
    guest.request.module_count = ARRAY_SIZE(modules);
    fake_guest_assert_refused(&guest, "too many pieces");
    guest.request.module_count = 1;
    modules[0].image.size = MIB(40);
    fake_guest_assert_refused(&guest, "too little guest RAM");
    guest.request.module_count = 0x10000;
    fake_guest_assert_refused(&guest, "conventional memory");
    guest.request.module_count = 0;
    memset(cmdline, 'x', sizeof cmdline - 1);
    guest.request.cmdline = cmdline;
    fake_guest_assert_refused(&guest, "conventional memory");
}

static void no_file_confuses_it(void **state)
{
    (void)state;
    guest.request.format = BOOT_PVH;
    guest.request.cmdline = "x";
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    fake_guest_torture(&guest, FAKE_ELF_BYTES, 64 + 2 * 56);
}

/* Debian's own, where somebody has unpacked it from the bzImage. */
static void a_real_kernel_loads(void **state)
{
    struct guest_image real = fake_file_read("build/linux/vmlinux");

    (void)state;
    if (real.size == 0) {
        print_message("build/linux/vmlinux is not there\n");
        skip();
    }
    fake_guest_free(&guest);
    fake_guest_init(&guest, MIB(256));
    guest.request.image = real;
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    assert_int_equal(boot_format_detect(&real), BOOT_PVH);
    fake_guest_assert_loads(&guest);
    assert_true(guest.start.rip >= MIB(16) && guest.start.rip < MIB(128));
    free((void *)real.data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_flat_in_protected_mode_at_the_notes_entry),
        TEST(start_info_says_all),
        TEST(what_is_not_given_is_zero),
        TEST(modules_avoid_the_kernel),
        TEST(refuses_bad_entries),
        TEST(refuses_what_does_not_fit),
        TEST(no_file_confuses_it),
        TEST(a_real_kernel_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
