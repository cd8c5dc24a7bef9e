/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of whatever the boot loader tells, the right screen is chosen, and each of its pixels has
 * the colour that the font gives it, in every pixel format; what lies between and behind the pixels
 * is not touched.
 */
#include "tests/host/fake/fake.h"
#include "drivers/host/font.h"
#include "drivers/host/screen.h"
#include "kernel/lib/bytes.h"

#define UNTOUCHED 0x5a

static struct boot_info boot;
static struct screen screen;
static uint8_t *memory;

static const struct boot_framebuffer xrgb = {HPA(0xc0000000),      1024 * 4, 1024,   768,   32,
                                             BOOT_FRAMEBUFFER_RGB, {16, 8},  {8, 8}, {0, 8}};

static bool find(struct boot_framebuffer mode)
{
    memset(&boot, 0, sizeof boot);
    boot.has_framebuffer = true;
    boot.framebuffer = mode;
    return screen_find(&boot, &screen);
}

static int setup(void **state)
{
    (void)state;
    memory = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

static void move_to_new_memory(void)
{
    free(memory);
    memory = malloc(screen.bytes);
    memset(memory, UNTOUCHED, screen.bytes);
    screen.move(memory);
}

static void type(const char *text)
{
    chardev_write(&screen.chardev, (const uint8_t *)text, strlen(text));
}

static uint32_t pixel_at(unsigned x, unsigned y)
{
    const struct boot_framebuffer *f = &boot.framebuffer;
    unsigned bytes = (f->bits_per_pixel + 7) / 8;
    uint32_t pixel = 0;

    memcpy(&pixel, memory + (size_t)y * f->pitch_bytes + (size_t)x * bytes, bytes);
    return pixel;
}

/* Is the cell the character, each of the font's pixels a square of so many pixels? */
static void expect_character(unsigned column, unsigned row, uint8_t character, unsigned scale,
                             uint32_t ink)
{
    for (unsigned y = 0; y < FONT_HEIGHT * scale; y++)
        for (unsigned x = 0; x < FONT_WIDTH * scale; x++) {
            bool is_ink = font[character][y / scale] & (0x80 >> x / scale);

            assert_int_equal(
                pixel_at(column * FONT_WIDTH * scale + x, row * FONT_HEIGHT * scale + y),
                is_ink ? ink : 0);
        }
}

static void the_font_has_characters(void **state)
{
    static const uint8_t blank[FONT_HEIGHT];

    (void)state;
    for (unsigned c = '!'; c < 255; c++)
        assert_int_equal(memcmp(font[c], blank, FONT_HEIGHT) == 0, c == 0x7f);
    assert_memory_equal(font[' '], blank, FONT_HEIGHT);
    for (unsigned y = 0; y < FONT_HEIGHT; y++) { /* what a misread file would not have */
        assert_int_equal(font[0xdb][y], 0xff);   /* the full block */
        assert_int_equal(font['_'][y] != 0, y == 14);
        assert_int_equal(font[0xdc][y], y < 8 ? 0 : 0xff); /* the lower half */
    }
}

static void every_pixel_format_shows_the_font(void **state)
{
    static const struct {
        struct boot_framebuffer mode;
        uint32_t ink;
    } cases[] = {
        {{HPA(0), 128 * 4, 128, 64, 32, BOOT_FRAMEBUFFER_RGB, {16, 8}, {8, 8}, {0, 8}}, 0x00d0d0d0},
        {{HPA(0), 128 * 4 + 64, 128, 64, 32, BOOT_FRAMEBUFFER_RGB, {8, 8}, {16, 8}, {24, 8}},
         0xd0d0d000},
        {{HPA(0), 128 * 3, 128, 64, 24, BOOT_FRAMEBUFFER_RGB, {16, 8}, {8, 8}, {0, 8}}, 0xd0d0d0},
        {{HPA(0), 131 * 3 + 1, 131, 67, 24, BOOT_FRAMEBUFFER_RGB, {0, 8}, {8, 8}, {16, 8}},
         0xd0d0d0},
        {{HPA(0), 128 * 2, 128, 64, 16, BOOT_FRAMEBUFFER_RGB, {11, 5}, {5, 6}, {0, 5}}, 0xd69a},
        {{HPA(0), 128 * 2, 128, 64, 15, BOOT_FRAMEBUFFER_RGB, {10, 5}, {5, 5}, {0, 5}}, 0x6b5a},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(find(cases[i].mode));
        move_to_new_memory();
        type("A\xdbz\r\n\ngj");
        expect_character(0, 0, 'A', 1, cases[i].ink);
        expect_character(1, 0, 0xdb, 1, cases[i].ink);
        expect_character(2, 0, 'z', 1, cases[i].ink);
        expect_character(3, 0, ' ', 1, cases[i].ink);
        expect_character(1, 2, 'j', 1, cases[i].ink);
    }
}

static void only_pixels_are_written(void **state)
{
    struct boot_framebuffer mode = {HPA(0), 131 * 3 + 7, 131,    67, 24, BOOT_FRAMEBUFFER_RGB,
                                    {0, 8}, {8, 8},      {16, 8}};

    (void)state;
    assert_true(find(mode));
    move_to_new_memory();
    for (unsigned i = 0; i < 1000; i++)
        type("\xdb\xdb\xdb\xdb");
    for (unsigned y = 0; y < mode.height; y++) {
        for (unsigned i = 131 * 3; i < mode.pitch_bytes; i++)
            assert_int_equal(memory[y * mode.pitch_bytes + i], UNTOUCHED);
        for (unsigned x = 128; x < mode.width; x++) /* no room for a column: blank */
            assert_int_equal(pixel_at(x, y), 0);
    }
}

static void a_large_screen_has_large_characters(void **state)
{
    struct boot_framebuffer mode = xrgb;

    (void)state;
    mode.width = 3840;
    mode.height = 2160;
    mode.pitch_bytes = 3840 * 4;
    assert_true(find(mode));
    move_to_new_memory();
    type("Ag");
    expect_character(0, 0, 'A', 2, 0xd0d0d0);
    expect_character(1, 0, 'g', 2, 0xd0d0d0);
    for (unsigned i = 0; i < 1000; i++)
        type("a long line of text\r\n");
}

static void the_screen_can_come_late_and_move(void **state)
{
    uint8_t *before;

    (void)state;
    assert_true(find(xrgb));
    assert_int_equal(screen.address.value, 0xc0000000);
    assert_int_equal(screen.bytes, 1024 * 4 * 768);
    type("A");
    move_to_new_memory();
    expect_character(0, 0, 'A', 1, 0xd0d0d0);
    before = memory;
    memory = calloc(1, screen.bytes); /* the same memory, seen elsewhere: nothing is drawn again */
    screen.move(memory);
    free(before);
    expect_character(0, 0, ' ', 1, 0xd0d0d0);
    type("B");
    expect_character(1, 0, 'B', 1, 0xd0d0d0);
    screen.move(NULL);
    type("C");
    expect_character(2, 0, ' ', 1, 0xd0d0d0);
}

static void what_cannot_be_a_screen_is_refused(void **state)
{
    struct boot_framebuffer indexed = xrgb, narrow = xrgb, low = xrgb, overlapping = xrgb;

    (void)state;
    indexed.type = BOOT_FRAMEBUFFER_INDEXED;
    narrow.width = 7;
    low.height = 15;
    overlapping.bits_per_pixel =
        15; /* of 2 bytes, which 15 bits a pixel allow to be more than a line */
    overlapping.pitch_bytes = 1024 * 15 / 8;
    assert_false(find(indexed));
    assert_non_null(strstr(fake_log_last, "1024x768 pixels of 32 bits, type 0: not supported"));
    assert_false(find(narrow));
    assert_false(find(low));
    assert_false(find(overlapping));
}

static void vga_text_is_where_no_framebuffer_is(void **state)
{
    struct boot_framebuffer ega = {HPA(0xb8000), 160, 80, 25, 16, BOOT_FRAMEBUFFER_EGA_TEXT,
                                   {0},          {0}, {0}};

    (void)state;
    assert_true(find(ega));
    assert_int_equal(screen.address.value, 0xb8000);
    assert_int_equal(screen.bytes, 4000);
    move_to_new_memory();
    assert_int_equal(get_le16(memory), 0x0720);
    assert_int_equal(get_le16(memory + 3998), 0x0720);
    type("A\r\n\xdb");
    assert_int_equal(get_le16(memory), 0x0700 | 'A');
    assert_int_equal(get_le16(memory + 160), 0x07db);
    screen.move(NULL);
    type("B");
    assert_int_equal(get_le16(memory + 162), 0x0720);

    memset(&boot, 0, sizeof boot);
    assert_true(screen_find(&boot, &screen));
    assert_int_equal(screen.address.value, 0xb8000);
    boot.has_efi64 = true;
    assert_false(screen_find(&boot, &screen));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_font_has_characters),
        cmocka_unit_test_setup_teardown(every_pixel_format_shows_the_font, setup, teardown),
        cmocka_unit_test_setup_teardown(only_pixels_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_screen_has_large_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(the_screen_can_come_late_and_move, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_a_screen_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(vga_text_is_where_no_framebuffer_is, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
