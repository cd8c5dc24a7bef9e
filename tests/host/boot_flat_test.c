/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: a flat image is found where it was asked to be, entered as asked, with a stack that is not in it. */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"

static uint8_t image[1024];
static struct fake_guest guest;

static int set_up(void **state)
{
    (void)state;
    fake_guest_init(&guest, MIB(4));
    memset(image, 0x90, sizeof image);
    guest.request.image = (struct guest_image){image, sizeof image};
    guest.request.format = BOOT_FLAT;
    guest.request.load_address = guest.request.entry = GPA(0x7c00);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static void place(uint64_t load, uint64_t entry)
{
    guest.request.load_address = GPA(load);
    guest.request.entry = GPA(entry);
}

static void a_boot_sector_starts_as_a_bios_starts_it(void **state)
{
    struct vcpu_start *s = &guest.start;

    (void)state;
    fake_guest_assert_loads(&guest);
    assert_memory_equal(fake_guest_at(&guest, 0x7c00, sizeof image), image, sizeof image);
    assert_int_equal(s->segment[SEG_CS].selector, 0);
    assert_int_equal(s->rip, 0x7c00);
    assert_int_equal(s->segment[SEG_SS].selector, 0);
    assert_int_equal(s->gpr[GPR_RSP], 0x7c00);
    assert_int_equal(s->gpr[GPR_RDX], 0x80);
    assert_int_equal(s->cr0 & 0x80000001, 0);
    assert_int_equal(s->segment[SEG_CS].limit, 0xffff);
    assert_int_equal(s->segment[SEG_CS].attributes, 0x9b);
    assert_int_equal(s->segment[SEG_DS].attributes, 0x93);
    assert_int_equal(s->segment[SEG_TR].attributes, 0x8b);
    assert_int_equal(s->idtr.limit, 0x3ff);
}

static void a_higher_real_mode_entry_gets_a_segment(void **state)
{
    struct vcpu_start *s = &guest.start;

    (void)state;
    place(0x23450, 0x23457);
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->segment[SEG_CS].selector, 0x2345);
    assert_int_equal(s->segment[SEG_CS].base, 0x23450);
    assert_int_equal(s->rip, 7);
}

static void the_stack_avoids_the_image(void **state)
{
    struct vcpu_start *s = &guest.start;
    uint64_t stack;

    (void)state;
    place(0x7000, 0x7000);
    fake_guest_assert_loads(&guest);
    stack = s->segment[SEG_SS].base + s->gpr[GPR_RSP];
    assert_int_equal(s->segment[SEG_SS].base, (uint64_t)s->segment[SEG_SS].selector << 4);
    assert_int_equal(stack, 0x90000);
    assert_int_equal(s->gpr[GPR_RSP], 0x1000);
    assert_int_equal(s->segment[SEG_DS].base, 0);
}

static void protected_mode_starts_flat_anywhere(void **state)
{
    struct vcpu_start *s = &guest.start;

    (void)state;
    guest.request.entry_mode = BOOT_ENTRY_PROTECTED;
    place(MIB(2), MIB(2) + 16);
    fake_guest_assert_loads(&guest);
    assert_int_equal(s->rip, MIB(2) + 16);
    assert_int_equal(s->cr0 & 0x80000001, 1);
    assert_int_equal(s->segment[SEG_CS].attributes, 0xc09b);
    assert_int_equal(s->segment[SEG_SS].attributes, 0xc093);
    assert_int_equal(s->gpr[GPR_RSP], 0x7c00);
    assert_int_equal(s->cr4, 0);
}

static void refuses_an_entry_out_of_image_or_reach(void **state)
{
    (void)state;
    place(0x7c00, 0x7bff);
    fake_guest_assert_refused(&guest, "outside of the image");
    place(0x7c00, 0x7c00 + sizeof image);
    fake_guest_assert_refused(&guest, "outside of the image");
    place(MIB(1), MIB(1));
    fake_guest_assert_refused(&guest, "reach");
    guest.request.entry_mode = BOOT_ENTRY_PROTECTED;
    place(GIB(5), GIB(5));
    fake_guest_assert_refused(&guest, "reach");
}

static void refuses_what_is_not_all_in_ram(void **state)
{
    (void)state;
    place(0x9fc00 - sizeof image + 1, 0x9fc00 - sizeof image + 1);
    fake_guest_assert_refused(&guest, "does not lie in guest RAM");
    place(0xe0000, 0xe0000);
    fake_guest_assert_refused(&guest, "does not lie in guest RAM");
    guest.request.entry_mode = BOOT_ENTRY_PROTECTED;
    place(MIB(4) - sizeof image + 1, MIB(4) - 1);
    fake_guest_assert_refused(&guest, "does not lie in guest RAM");
    place(~0ull - 4, ~0ull - 4);
    fake_guest_assert_refused(&guest, "reach");
    place(MIB(4) - sizeof image, MIB(4) - 1);
    fake_guest_assert_loads(&guest);
}

static void refuses_when_no_stack_is_left(void **state)
{
    static uint8_t large[0x9fc00];

    (void)state;
    guest.request.image = (struct guest_image){large, sizeof large};
    place(0, 0);
    fake_guest_assert_refused(&guest, "conventional memory");
}

static void refuses_what_it_cannot_hand_over(void **state)
{
    (void)state;
    guest.request.cmdline = "";
    fake_guest_assert_loads(&guest);
    guest.request.cmdline = "x";
    fake_guest_assert_refused(&guest, "takes no command line");
    guest.request.initrd = guest.request.image;
    fake_guest_assert_refused(&guest, "takes no initrd");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_boot_sector_starts_as_a_bios_starts_it),
        TEST(a_higher_real_mode_entry_gets_a_segment),
        TEST(the_stack_avoids_the_image),
        TEST(protected_mode_starts_flat_anywhere),
        TEST(refuses_an_entry_out_of_image_or_reach),
        TEST(refuses_what_is_not_all_in_ram),
        TEST(refuses_when_no_stack_is_left),
        TEST(refuses_what_it_cannot_hand_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
