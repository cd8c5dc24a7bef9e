/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a bzImage starts exactly as Linux's boot protocol says, every piece of it lies in free guest RAM,
 * and whatever its setup header claims, the loader reads and writes nothing else.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/bytes.h"

#define SETUP_BYTES (5 * 512)
#define CODE_BYTES  0x1000
#define PREFERRED   MIB(16)
#define INIT_SIZE   MIB(20)

static uint8_t image[SETUP_BYTES + CODE_BYTES];
static struct fake_guest guest;
static const uint8_t initrd[5000] = {'r', 'd'};

static void make_image(void)
{
    memset(image, 0, sizeof image);
    for (unsigned i = 0; i < CODE_BYTES; i++)
        image[SETUP_BYTES + i] = (uint8_t)(i * 7 + 1);
    image[0x1f1] = 4;
    put_le32(image + 0x1f4, CODE_BYTES / 16);
    image[0x201] = 0x6a;
    memcpy(image + 0x202, "HdrS", 4);
    put_le16(image + 0x206, 0x20f);
    image[0x211] = 1;
    put_le32(image + 0x22c, 0x7fffffff);
    put_le32(image + 0x230, MIB(2));
    put_le16(image + 0x236, 1);
    put_le32(image + 0x238, 2047);
    put_le64(image + 0x250, 0xdeadbeef);
    put_le64(image + 0x258, PREFERRED);
    put_le32(image + 0x260, INIT_SIZE);
}

static int set_up(void **state)
{
    (void)state;
    make_image();
    fake_guest_init(&guest, MIB(64));
    guest.request.image = (struct guest_image){image, sizeof image};
    guest.request.acpi_rsdp = GPA(0xe0000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static const uint8_t *zero_page(void)
{
    return fake_guest_at(&guest, guest.start.gpr[GPR_RSI], PAGE_SIZE);
}

static void is_detected_by_its_signature(void **state)
{
    (void)state;
    assert_int_equal(boot_format_detect(&guest.request.image), BOOT_LINUX);
    assert_string_equal(boot_format_name(BOOT_LINUX), "linux");
    image[0x202] = 'h';
    assert_int_equal(boot_format_detect(&guest.request.image), BOOT_AUTO);
    fake_guest_assert_refused(&guest, "no bzImage, no Multiboot image and no ELF");
    guest.request.format = BOOT_LINUX;
    fake_guest_assert_refused(&guest, "no HdrS signature");
}

static void code_goes_to_the_preferred_address(void **state)
{
    (void)state;
    fake_guest_assert_loads(&guest);
    assert_memory_equal(fake_guest_at(&guest, PREFERRED, CODE_BYTES), image + SETUP_BYTES, CODE_BYTES);
}

static void starts_in_long_mode_with_everything_mapped(void **state)
{
    struct vcpu_start *s = &guest.start;
    const uint64_t *gdt, *pml4, *pdpt;

    (void)state;
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->rip, PREFERRED + 0x200);
    assert_int_equal(s->rflags, 2);
    assert_int_equal(s->cr0 & 0x80000001, 0x80000001);
    assert_int_equal(s->cr4, 0x20);
    assert_int_equal(s->efer, 0x500);
    assert_int_equal(s->segment[SEG_CS].selector, 0x10);
    assert_int_equal(s->segment[SEG_CS].attributes, 0xa09b);
    assert_int_equal(s->segment[SEG_SS].selector, 0x18);
    assert_int_equal(s->segment[SEG_DS].attributes, 0xc093);
    assert_int_equal(s->segment[SEG_TR].attributes, 0x8b);
    assert_int_equal(s->segment[SEG_LDTR].attributes, 0);
    gdt = fake_guest_at(&guest, s->gdtr.base, s->gdtr.limit + 1);
    assert_int_equal(gdt[2], 0x00af9b000000ffff);
    assert_int_equal(gdt[3], 0x00cf93000000ffff);

    pml4 = fake_guest_at(&guest, s->cr3, PAGE_SIZE);
    pdpt = fake_guest_at(&guest, pml4[0] & ~0xfffull, PAGE_SIZE);
    for (uint64_t at = 0; at < GIB(4); at += MIB(2)) {
        const uint64_t *directory = fake_guest_at(&guest, pdpt[at >> 30] & ~0xfffull, PAGE_SIZE);
        assert_int_equal(pdpt[at >> 30] & 0xfff, 3);
        assert_int_equal(directory[at >> 21 & 511], at | 0x83);
    }
    assert_int_equal(pdpt[4], 0);
}

static void zero_page_says_what_the_loader_did(void **state)
{
    const uint8_t *z;

    (void)state;
    guest.request.cmdline = "console=ttyS0";
    fake_guest_assert_loads(&guest);
    z = zero_page();
    assert_memory_equal(z + 0x202, "HdrS", 4);
    assert_int_equal(z[0x1ef], 0); /* sentinel */
    assert_int_equal(z[0x210], 0xff);
    assert_int_equal(get_le16(z + 0x1fa), 0xffff);
    assert_int_equal(get_le32(z + 0x214), PREFERRED);
    assert_int_equal(get_le64(z + 0x250), 0);
    assert_int_equal(get_le64(z + 0x70), 0xe0000);
    assert_string_equal(fake_guest_at(&guest, get_le32(z + 0x228), 14), "console=ttyS0");
    assert_int_equal(get_le32(z + 0x21c), 0);
    for (unsigned i = 0; i < 0x40; i++)
        assert_int_equal(z[i], 0); /* screen_info */
    for (unsigned i = 0x202 + 0x6a; i < 0x290; i++)
        assert_int_equal(z[i], 0); /* past the header's own end */
}

static void a_guest_with_a_screen_is_told(void **state)
{
    const uint8_t *z;

    (void)state;
    guest.request.has_vga = true;
    fake_guest_assert_loads(&guest);
    z = zero_page();
    assert_int_equal(z[0x06], 3);
    assert_int_equal(z[0x07], 80);
    assert_int_equal(z[0x0e], 25);
    assert_int_equal(z[0x0f], 1);
    assert_int_equal(get_le16(z + 0x10), 16);
}

static void e820_is_the_guests_memory(void **state)
{
    static const uint64_t expected[][3] = {
        {0, 0x9fc00, 1}, {0x9fc00, 0x400, 2}, {0xe0000, 0x20000, 2}, {MIB(1), GIB(3) - MIB(1), 1}, {GIB(4), GIB(1), 1}};
    const uint8_t *z;

    (void)state;
    fake_guest_free(&guest);
    fake_guest_init(&guest, GIB(4));
    guest.request.image = (struct guest_image){image, sizeof image};
    fake_guest_assert_loads(&guest);
    z = zero_page();
    assert_int_equal(z[0x1e8], ARRAY_SIZE(expected));
    for (unsigned i = 0; i < ARRAY_SIZE(expected); i++) {
        assert_int_equal(get_le64(z + 0x2d0 + 20 * i), expected[i][0]);
        assert_int_equal(get_le64(z + 0x2d8 + 20 * i), expected[i][1]);
        assert_int_equal(get_le32(z + 0x2e0 + 20 * i), expected[i][2]);
    }
}

static void initrd_goes_high_below_its_limit(void **state)
{
    uint32_t at;

    (void)state;
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    fake_guest_assert_loads(&guest);
    at = get_le32(zero_page() + 0x218);
    assert_int_equal(at, MIB(64) - 2 * PAGE_SIZE);
    assert_int_equal(get_le32(zero_page() + 0x21c), sizeof initrd);
    assert_memory_equal(fake_guest_at(&guest, at, sizeof initrd), initrd, sizeof initrd);

    put_le32(image + 0x22c, MIB(48) - 1);
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le32(zero_page() + 0x218), MIB(48) - 2 * PAGE_SIZE);
    guest.request.initrd.size = PAGE_SIZE; /* its last byte may be at the limit */
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le32(zero_page() + 0x218), MIB(48) - PAGE_SIZE);
}

static void a_header_of_the_future_does_not_spill_over(void **state)
{
    static const uint8_t nothing[0x2d0 - 0x290];

    (void)state;
    image[0x201] = 0xff;
    memset(image + 0x290, 0xee, 0x80);
    fake_guest_assert_loads(&guest);
    assert_memory_equal(zero_page() + 0x290, nothing, sizeof nothing);
}

static void initrd_steps_below_the_kernel_when_it_must(void **state)
{
    (void)state;
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    put_le32(image + 0x22c, PREFERRED + MIB(1));
    fake_guest_assert_loads(&guest);
    assert_int_equal(get_le32(zero_page() + 0x218), PREFERRED - 2 * PAGE_SIZE);
    put_le32(image + 0x22c, 0);
    fake_guest_assert_refused(&guest, "too little guest RAM for the initrd");
    put_le32(image + 0x22c, 0xffffffff);
    guest.request.initrd.size = MIB(64);
    fake_guest_assert_refused(&guest, "too little guest RAM for the initrd");
}

static void nothing_is_at_the_top_of_low_memory(void **state)
{
    static const uint8_t nothing[0xa0000 - 0x90000];

    (void)state;
    guest.request.cmdline = "quiet";
    fake_guest_assert_loads(&guest);
    assert_memory_equal(fake_guest_at(&guest, 0x90000, sizeof nothing), nothing, sizeof nothing);
    assert_memory_equal(fake_guest_at(&guest, 0, PAGE_SIZE), nothing, PAGE_SIZE);
}

static void a_kernel_with_no_64_bit_entry_starts_in_protected_mode(void **state)
{
    struct vcpu_start *s = &guest.start;
    const uint64_t *gdt;

    (void)state;
    put_le16(image + 0x236, 0);
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->rip, PREFERRED);
    assert_int_equal(s->cr0 & 0x80000001, 1);
    assert_int_equal(s->efer, 0);
    assert_int_equal(s->segment[SEG_CS].attributes, 0xc09b);
    assert_int_equal(s->segment[SEG_CS].limit, 0xffffffff);
    gdt = fake_guest_at(&guest, s->gdtr.base, s->gdtr.limit + 1);
    assert_int_equal(gdt[2], 0x00cf9b000000ffff);
    put_le16(image + 0x206, 0x20a); /* xloadflags means nothing before 2.12 */
    put_le16(image + 0x236, 1);
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->efer, 0);
}

static void refuses_what_is_no_usable_kernel(void **state)
{
    (void)state;
    put_le16(image + 0x206, 0x209);
    fake_guest_assert_refused(&guest, "too old");
    make_image();
    image[0x211] = 0;
    fake_guest_assert_refused(&guest, "zImage");
    make_image();
    image[0x201] = 0x10;
    fake_guest_assert_refused(&guest, "setup header is too short");
    make_image();
    put_le32(image + 0x1f4, CODE_BYTES / 16 + 1);
    fake_guest_assert_refused(&guest, "cut short");
    put_le32(image + 0x1f4, 0x20);
    fake_guest_assert_refused(&guest, "cut short");
    put_le32(image + 0x1f4, 0xffffffff);
    fake_guest_assert_refused(&guest, "cut short");
    make_image();
    guest.request.image.size = 0x28f;
    fake_guest_assert_refused(&guest, "no whole setup header");
    guest.request.image.size = 0;
    fake_guest_assert_refused(&guest, "kernel is empty");
}

static void refuses_what_does_not_fit(void **state)
{
    static char cmdline[2049];

    (void)state;
    put_le32(image + 0x260, MIB(48) + 1);
    fake_guest_assert_refused(&guest, "too little guest RAM for the bzImage");
    put_le32(image + 0x260, 0xffffffff);
    fake_guest_assert_refused(&guest, "too little guest RAM for the bzImage");
    put_le32(image + 0x260, MIB(48));
    fake_guest_assert_loads(&guest);
    put_le64(image + 0x258, 0x10000);
    fake_guest_assert_refused(&guest, "preferred address");
    put_le64(image + 0x258, ~0ull);
    fake_guest_assert_refused(&guest, "preferred address");
    make_image();
    memset(cmdline, 'x', 2048);
    guest.request.cmdline = cmdline;
    fake_guest_assert_refused(&guest, "command line is longer");
    cmdline[2047] = 0;
    fake_guest_assert_loads(&guest);
    guest.request.ram_bytes = MIB(1) - PAGE_SIZE;
    fake_guest_assert_refused(&guest, "at least 1 MiB");
}

static void refuses_modules_rather_than_dropping_them(void **state)
{
    struct guest_module module = {{initrd, sizeof initrd}, NULL};

    (void)state;
    guest.request.modules = &module;
    guest.request.module_count = 1;
    fake_guest_assert_refused(&guest, "takes no modules");
}

/* A guest that sees its memory where the machine has it has none where the hypervisor lies. */
static void holes_in_ram_are_told_and_spared(void **state)
{
    struct guest_mem_slot *s = guest.mem.slots;
    uint64_t hole = PREFERRED + MIB(24), end = s[0].size;
    const uint8_t *z;

    (void)state;
    s[1] = (struct guest_mem_slot){.base = GPA(hole + MIB(1)), .size = end - hole - MIB(1), .host = s[0].host + hole + MIB(1)};
    s[0].size = hole;
    guest.mem.count = 2;
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    fake_guest_assert_loads(&guest);
    z = zero_page();
    assert_int_equal(z[0x1e8], 5);
    assert_int_equal(get_le64(z + 0x2d0 + 3 * 20), MIB(1));
    assert_int_equal(get_le64(z + 0x2d0 + 3 * 20 + 8), hole - MIB(1));
    assert_int_equal(get_le64(z + 0x2d0 + 4 * 20), hole + MIB(1));
    assert_int_equal(get_le64(z + 0x2d0 + 4 * 20 + 8), end - hole - MIB(1));
    s[0].size = PREFERRED + PAGE_SIZE;
    fake_guest_assert_refused(&guest, "too little guest RAM for the bzImage");
}

static void refuses_when_conventional_memory_is_not_there(void **state)
{
    (void)state;
    guest.mem.slots[0].size = 0x80000;
    guest.mem.slots[1] = (struct guest_mem_slot){
        .base = GPA(PREFERRED), .size = MIB(24), .host = guest.mem.slots[0].host + PREFERRED};
    guest.mem.count = 2;
    fake_guest_assert_refused(&guest, "conventional memory");
}

static void no_header_confuses_it(void **state)
{
    (void)state;
    guest.request.cmdline = "x";
    guest.request.initrd = (struct guest_image){initrd, sizeof initrd};
    guest.request.format = BOOT_LINUX;
    fake_guest_torture(&guest, sizeof image, 0x290);
}

/* Debian's own, where the build has fetched it. */
static void a_real_kernel_loads(void **state)
{
    struct guest_image real = fake_file_read("build/linux/vmlinuz");
    const uint8_t *setup = real.data;

    (void)state;
    if (real.size == 0) {
        print_message("build/linux/vmlinuz is not there\n");
        skip();
    }
    fake_guest_free(&guest);
    fake_guest_init(&guest, MIB(256));
    guest.request.image = real;
    guest.request.cmdline = "console=ttyS0";
    assert_int_equal(boot_format_detect(&real), BOOT_LINUX);
    fake_guest_assert_loads(&guest);
    assert_int_equal(guest.start.rip, get_le64(setup + 0x258) + 0x200);
    assert_int_equal(guest.start.efer, 0x500);
    assert_memory_equal(fake_guest_at(&guest, get_le64(setup + 0x258), 4096), setup + (setup[0x1f1] + 1) * 512, 4096);
    guest.mem.slots[0].size = MIB(32);
    fake_guest_assert_refused(&guest, "too little guest RAM for the bzImage");
    guest.mem.slots[0].size = MIB(256);
    free((void *)real.data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_detected_by_its_signature),
        TEST(code_goes_to_the_preferred_address),
        TEST(starts_in_long_mode_with_everything_mapped),
        TEST(zero_page_says_what_the_loader_did),
        TEST(a_header_of_the_future_does_not_spill_over),
        TEST(a_guest_with_a_screen_is_told),
        TEST(e820_is_the_guests_memory),
        TEST(initrd_goes_high_below_its_limit),
        TEST(initrd_steps_below_the_kernel_when_it_must),
        TEST(nothing_is_at_the_top_of_low_memory),
        TEST(a_kernel_with_no_64_bit_entry_starts_in_protected_mode),
        TEST(refuses_what_is_no_usable_kernel),
        TEST(refuses_what_does_not_fit),
        TEST(refuses_modules_rather_than_dropping_them),
        TEST(holes_in_ram_are_told_and_spared),
        TEST(refuses_when_conventional_memory_is_not_there),
        TEST(no_header_confuses_it),
        TEST(a_real_kernel_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
