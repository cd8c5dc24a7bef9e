/* SPDX-License-Identifier: BSD-2-Clause */
/* A write-only terminal on VGA text memory: LF, CR, BS, TAB and scrolling; escape sequences are swallowed. */
#include "drivers/host/vga_text.h"

#define COLUMNS 80u
#define ROWS    25u
#define GREY_ON_BLACK 0x0700u

static volatile uint16_t *screen;
static unsigned column, row;
static bool in_escape;

static void clear_row(unsigned r)
{
    for (unsigned i = 0; i < COLUMNS; i++)
        screen[r * COLUMNS + i] = GREY_ON_BLACK | ' ';
}

void vga_text_init(volatile uint16_t *cells)
{
    screen = cells;
    for (unsigned r = 0; r < ROWS; r++)
        clear_row(r);
}

void vga_text_move(volatile uint16_t *cells)
{
    screen = cells;
}

static void new_line(void)
{
    if (++row < ROWS)
        return;
    row = ROWS - 1;
    for (unsigned i = 0; i < (ROWS - 1) * COLUMNS; i++)
        screen[i] = screen[i + COLUMNS];
    clear_row(row);
}

static void put_visible(uint8_t c)
{
    if (column == COLUMNS) {
        column = 0;
        new_line();
    }
    screen[row * COLUMNS + column++] = GREY_ON_BLACK | c;
}

/* ESC [ parameters letter: enough to keep a shell's colours off the screen. */
static bool swallow_escape(uint8_t c)
{
    if (c == 0x1b) {
        in_escape = true;
        return true;
    }
    if (!in_escape)
        return false;
    in_escape = !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    return true;
}

static void put(uint8_t c)
{
    if (swallow_escape(c))
        return;
    if (c == '\n')
        new_line();
    else if (c == '\r')
        column = 0;
    else if (c == '\b')
        column -= column > 0;
    else if (c == '\t')
        column = MIN((column | 7) + 1, COLUMNS - 1);
    else if (c >= ' ')
        put_visible(c);
}

static void vga_text_write(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        put(bytes[i]);
}

struct chardev vga_text_chardev(void)
{
    return (struct chardev){vga_text_write, NULL};
}
