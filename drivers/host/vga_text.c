/* SPDX-License-Identifier: BSD-2-Clause */
/* A terminal on VGA text memory. */
#include "drivers/host/vga_text.h"
#include "drivers/host/terminal.h"

#define VGA_TEXT_BASE 0xb8000u
#define COLUMNS       80u
#define ROWS          25u
#define GREY_ON_BLACK 0x0700u

static volatile uint16_t *cells;
static uint8_t text[ROWS * COLUMNS], shown[ROWS * COLUMNS];

static void draw(unsigned column, unsigned row, uint8_t character)
{
    cells[row * COLUMNS + column] = GREY_ON_BLACK | character;
}

static struct terminal terminal = {
    .columns = COLUMNS,
    .rows = ROWS,
    .scroll_rows = 1,
    .text = text,
    .shown = shown,
    .draw = draw,
};

static void clear(void)
{
    for (unsigned i = 0; i < ROWS * COLUMNS; i++)
        cells[i] = GREY_ON_BLACK | ' ';
}

static void move(void *memory)
{
    bool is_first = !cells;

    terminal_hide(&terminal);
    if (!memory)
        return;
    cells = memory;
    if (is_first)
        clear();
    terminal_show(&terminal);
}

void vga_text_init(struct screen *screen)
{
    cells = NULL;
    terminal_init(&terminal);
    *screen = (struct screen){HPA(VGA_TEXT_BASE), ROWS * COLUMNS * sizeof *cells, move, &terminal,
                              terminal_chardev(&terminal)};
}
