/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LF, CR, BS, TAB, wrapping and scrolling; of ECMA-48, "Control functions", those that move the cursor and erase; all
 * other sequences are swallowed. Screen memory is slow and is never read: the text is kept here, and the cells that
 * changed are drawn, once, at the end of each write or later. A row's mark is taken before the row is drawn, and set
 * after it is written: who draws while somebody writes draws that row again. Invariant: the cursor's row is on the
 * screen, its column at most just behind the last one.
 */
#include "drivers/host/terminal.h"
#include "kernel/lib/string.h"

#define BELL   0x07
#define ESCAPE 0x1b
#define DELETE 0x7f

#define PARAMETER_MAX 9999u /* beyond any screen: larger ones count as this */

void terminal_init(struct terminal *t)
{
    size_t cells = (size_t)t->columns * t->rows;

    memset(t->text, ' ', cells);
    memset(t->shown, ' ', cells);
    t->column = t->row = 0;
    memset(t->dirty, 0, sizeof t->dirty);
    t->written = NULL;
    t->escape = TERMINAL_PLAIN;
    t->is_visible = false;
}

static void mark_dirty(struct terminal *t, unsigned row)
{
    __atomic_fetch_or(&t->dirty[row / 64], BIT(row % 64), __ATOMIC_RELEASE);
}

static bool take_dirty(struct terminal *t, unsigned row)
{
    return __atomic_fetch_and(&t->dirty[row / 64], ~BIT(row % 64), __ATOMIC_ACQUIRE) & BIT(row % 64);
}

static void draw_row(struct terminal *t, unsigned row)
{
    for (unsigned column = 0; column < t->columns; column++) {
        size_t cell = (size_t)row * t->columns + column;
        uint8_t character = READ_ONCE(t->text[cell]);

        if (t->shown[cell] == character)
            continue;
        t->shown[cell] = character;
        t->draw(column, row, character);
    }
}

bool terminal_draw(struct terminal *t)
{
    if (!t->is_visible)
        return false;
    for (unsigned row = 0; row < t->rows; row++) {
        if (!take_dirty(t, row))
            continue;
        draw_row(t, row);
        return true;
    }
    return false;
}

static void draw_dirty(struct terminal *t)
{
    while (terminal_draw(t))
        ;
}

void terminal_defer(struct terminal *t, void (*written)(void))
{
    t->written = written;
}

void terminal_show(struct terminal *t)
{
    t->is_visible = true;
    draw_dirty(t);
}

void terminal_hide(struct terminal *t)
{
    t->is_visible = false;
}

static void scroll(struct terminal *t)
{
    size_t gone = (size_t)t->scroll_rows * t->columns, kept = (size_t)t->rows * t->columns - gone;

    memmove(t->text, t->text + gone, kept);
    memset(t->text + kept, ' ', gone);
    t->row -= t->scroll_rows - 1;
    for (unsigned row = 0; row < t->rows; row++)
        mark_dirty(t, row);
}

static void new_line(struct terminal *t)
{
    if (t->row + 1 < t->rows)
        t->row++;
    else
        scroll(t);
}

static void put_visible(struct terminal *t, uint8_t c)
{
    if (t->column >= t->columns) {
        t->column = 0;
        new_line(t);
    }
    t->text[(size_t)t->row * t->columns + t->column++] = c;
    mark_dirty(t, t->row);
}

/* --- control functions: ECMA-48, "Control functions", by their names there --- */

/* A parameter that counts from 1, or is left out. */
static unsigned count_of(const struct terminal *t, unsigned parameter)
{
    return MAX(t->parameters[parameter], 1u);
}

static void move_to(struct terminal *t, unsigned row, unsigned column)
{
    t->row = MIN(row, t->rows - 1);
    t->column = MIN(column, t->columns - 1);
}

static void cursor_up(struct terminal *t)
{
    move_to(t, t->row - MIN(t->row, count_of(t, 0)), t->column);
}

static void cursor_down(struct terminal *t)
{
    move_to(t, t->row + count_of(t, 0), t->column);
}

static void cursor_forward(struct terminal *t)
{
    move_to(t, t->row, t->column + count_of(t, 0));
}

static void cursor_back(struct terminal *t)
{
    move_to(t, t->row, t->column - MIN(t->column, count_of(t, 0)));
}

static void cursor_column(struct terminal *t)
{
    move_to(t, t->row, count_of(t, 0) - 1);
}

static void cursor_position(struct terminal *t)
{
    move_to(t, count_of(t, 0) - 1, count_of(t, 1) - 1);
}

/* Cells from first up to end, in the order in which they are read. */
static void erase(struct terminal *t, unsigned first, unsigned end)
{
    if (first >= end)
        return;
    memset(t->text + first, ' ', end - first);
    for (unsigned row = first / t->columns; row <= (end - 1) / t->columns; row++)
        mark_dirty(t, row);
}

enum { ERASE_TO_END, ERASE_TO_CURSOR, ERASE_ALL };

/* What the parameter says of the cells from first up to end, among which the cursor is. */
static void erase_part(struct terminal *t, unsigned first, unsigned end)
{
    unsigned cursor = t->row * t->columns + t->column;

    if (t->parameters[0] > ERASE_ALL)
        return;
    if (t->parameters[0] == ERASE_TO_END)
        first = cursor;
    else if (t->parameters[0] == ERASE_TO_CURSOR)
        end = MIN(cursor + 1, end);
    erase(t, first, end);
}

static void erase_in_line(struct terminal *t)
{
    erase_part(t, t->row * t->columns, (t->row + 1) * t->columns);
}

static void erase_in_page(struct terminal *t)
{
    erase_part(t, 0, t->rows * t->columns);
}

static const struct {
    uint8_t final;
    void (*perform)(struct terminal *t);
} control_functions[] = {
    {'A', cursor_up},     {'B', cursor_down},     {'C', cursor_forward}, {'D', cursor_back},
    {'G', cursor_column}, {'H', cursor_position}, {'f', cursor_position},
    {'J', erase_in_page}, {'K', erase_in_line},
};

static void end_sequence(struct terminal *t, uint8_t final)
{
    t->escape = TERMINAL_PLAIN;
    for (unsigned i = 0; i < ARRAY_SIZE(control_functions) && !t->is_foreign; i++)
        if (control_functions[i].final == final)
            control_functions[i].perform(t);
}

static void begin_sequence(struct terminal *t)
{
    memset(t->parameters, 0, sizeof t->parameters);
    t->parameter = 0;
    t->is_foreign = false;
}

/* ECMA-48, "Parameter string format"; what is no digit and no separator makes the sequence another function. */
static void take_parameter(struct terminal *t, uint8_t c)
{
    bool is_kept = t->parameter < TERMINAL_PARAMETERS_MAX;
    unsigned *value = &t->parameters[is_kept ? t->parameter : 0];

    if (c == ';')
        t->parameter += is_kept;
    else if (c < '0' || c > '9')
        t->is_foreign |= c >= ' ';
    else if (is_kept)
        *value = MIN(*value * 10 + (c - '0'), PARAMETER_MAX);
}

/* ECMA-48, "Elements of control functions" and "Control strings": what follows ESC. */
static enum terminal_escape after_escape(uint8_t c)
{
    if (c == '[')
        return TERMINAL_CONTROL_SEQUENCE;
    if (c == 'P' || c == 'X' || c == ']' || c == '^' || c == '_')
        return TERMINAL_CONTROL_STRING;
    return c < '0' ? TERMINAL_ESCAPE : TERMINAL_PLAIN; /* intermediate bytes, as in ESC ( B */
}

/* A line's end ends every sequence: a guest that leaves one open must not hide the lines of others.
 */
static bool take_escape(struct terminal *t, uint8_t c)
{
    bool was_plain = t->escape == TERMINAL_PLAIN;

    if (c == ESCAPE || c == '\n') {
        t->escape = c == ESCAPE ? TERMINAL_ESCAPE : TERMINAL_PLAIN;
    } else if (t->escape == TERMINAL_ESCAPE) {
        t->escape = after_escape(c);
        begin_sequence(t);
    } else if (t->escape == TERMINAL_CONTROL_SEQUENCE) {
        if (c >= '@')
            end_sequence(t, c);
        else
            take_parameter(t, c);
    } else if (t->escape == TERMINAL_CONTROL_STRING && c == BELL) {
        t->escape = TERMINAL_PLAIN;
    }
    return c == ESCAPE || (!was_plain && c != '\n');
}

static void put(struct terminal *t, uint8_t c)
{
    if (take_escape(t, c))
        return;
    if (c == '\n')
        new_line(t);
    else if (c == '\r')
        t->column = 0;
    else if (c == '\b')
        t->column -= t->column > 0;
    else if (c == '\t')
        t->column = MIN((t->column | 7) + 1, t->columns - 1);
    else if (c >= ' ' && c != DELETE)
        put_visible(t, c);
}

void terminal_write(struct terminal *t, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(t, bytes[i]);
    if (t->written)
        t->written();
    else
        draw_dirty(t);
}

static void write_chardev(void *context, const uint8_t *bytes, size_t count)
{
    terminal_write(context, bytes, count);
}

struct chardev terminal_chardev(struct terminal *t)
{
    return (struct chardev){write_chardev, t};
}
