/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A terminal on a linear framebuffer, as UEFI has one. Its memory is uncached, so each store costs
 * as much as hundreds of instructions: stores are as wide as possible, and a full screen scrolls by
 * half its height, which spreads the cost of drawing it anew over many lines.
 */
#include "drivers/host/framebuffer.h"
#include "drivers/host/font.h"
#include "drivers/host/terminal.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

#define COLUMNS_MAX     256u
#define ROWS_MAX        100u
#define PIXEL_BYTES_MAX 4u
#define SCALE_MAX       4u
#define LINES_PER_SCALE \
    1080u /* more than that, and each of the font's pixels becomes a square of them */
#define GREY 0xd0u

static struct boot_framebuffer mode;
static volatile uint8_t *memory;
static unsigned pixel_bytes, scale;
static uint32_t ink; /* the pixel of a character; background is 0 */
static uint8_t text[COLUMNS_MAX * ROWS_MAX], shown[COLUMNS_MAX * ROWS_MAX];

typedef uint64_t __attribute__((aligned(1), may_alias)) unaligned_uint64;

static void store(volatile uint8_t *to, const uint8_t *from, size_t bytes)
{
    for (; bytes >= 8; bytes -= 8, to += 8, from += 8)
        *(volatile unaligned_uint64 *)to = get_le64(from);
    for (; bytes; bytes--)
        *to++ = *from++;
}

/* One line of a character as pixels; returns their bytes. */
static size_t expand(uint8_t bits, uint8_t pixels[FONT_WIDTH * SCALE_MAX * PIXEL_BYTES_MAX])
{
    size_t bytes = 0;

    for (unsigned x = 0; x < FONT_WIDTH; x++) {
        uint32_t pixel = bits & (0x80u >> x) ? ink : 0;

        for (unsigned i = 0; i < scale; i++, bytes += pixel_bytes)
            memcpy(pixels + bytes, &pixel, pixel_bytes);
    }
    return bytes;
}

static void draw(unsigned column, unsigned row, uint8_t character)
{
    uint8_t pixels[FONT_WIDTH * SCALE_MAX * PIXEL_BYTES_MAX];
    volatile uint8_t *line = memory + (size_t)row * FONT_HEIGHT * scale * mode.pitch_bytes +
                             (size_t)column * FONT_WIDTH * scale * pixel_bytes;

    for (unsigned y = 0; y < FONT_HEIGHT; y++) {
        size_t bytes = expand(font[character][y], pixels);

        for (unsigned i = 0; i < scale; i++, line += mode.pitch_bytes)
            store(line, pixels, bytes);
    }
}

static struct terminal terminal = {.text = text, .shown = shown, .draw = draw};

static void clear(void)
{
    static const uint8_t blank[64];
    size_t row_bytes = (size_t)mode.width * pixel_bytes;

    for (unsigned y = 0; y < mode.height; y++)
        for (size_t x = 0; x < row_bytes; x += sizeof blank)
            store(memory + (size_t)y * mode.pitch_bytes + x, blank,
                  MIN(sizeof blank, row_bytes - x));
}

static void move(void *to)
{
    bool is_first = !memory;

    terminal_hide(&terminal);
    if (!to)
        return;
    memory = to;
    if (is_first)
        clear();
    terminal_show(&terminal);
}

static uint32_t color_bits(struct boot_color_field field, uint8_t intensity)
{
    return (uint32_t)(intensity >> (8 - field.bits)) << field.position;
}

int framebuffer_init(const struct boot_framebuffer *m, struct screen *screen)
{
    mode = *m;
    memory = NULL;
    pixel_bytes = (m->bits_per_pixel + 7u) / 8;
    scale = MIN(MAX(m->height / LINES_PER_SCALE, 1u), SCALE_MAX);
    ink = color_bits(m->red, GREY) | color_bits(m->green, GREY) | color_bits(m->blue, GREY);
    terminal.columns = MIN(m->width / (FONT_WIDTH * scale), COLUMNS_MAX);
    terminal.rows = MIN(m->height / (FONT_HEIGHT * scale), ROWS_MAX);
    terminal.scroll_rows = MAX(terminal.rows / 2, 1u);
    if (m->type != BOOT_FRAMEBUFFER_RGB || pixel_bytes < 2 ||
        m->pitch_bytes < (uint64_t)m->width * pixel_bytes)
        return -ENOTSUP;
    if (terminal.columns == 0 || terminal.rows == 0)
        return -ENOTSUP;
    terminal_init(&terminal);
    *screen = (struct screen){m->address, (uint64_t)m->pitch_bytes * m->height, move, &terminal,
                              terminal_chardev(&terminal)};
    return 0;
}
