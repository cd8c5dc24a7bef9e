/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vt100.h"

enum { PLAIN, AFTER_ESCAPE, IN_SEQUENCE };

void vt100_reset(struct vt100 *t)
{
    *t = (struct vt100){.state = PLAIN};
    memset(t->cells, ' ', sizeof t->cells);
}

static void new_line(struct vt100 *t)
{
    if (++t->row < VT100_ROWS)
        return;
    t->row--;
    t->scrolled++;
    memmove(t->cells, t->cells[1], sizeof t->cells - VT100_COLUMNS);
    memset(t->cells[t->row], ' ', VT100_COLUMNS);
}

static void put(struct vt100 *t, char c)
{
    if (t->column == VT100_COLUMNS) {
        t->column = 0;
        new_line(t);
    }
    t->cells[t->row][t->column++] = c;
}

static void control(struct vt100 *t, char c)
{
    if (c == '\r')
        t->column = 0;
    else if (c == '\n')
        new_line(t);
    else if (c == '\b')
        t->column -= t->column > 0;
    else if (c == '\t')
        t->column = MIN((t->column | 7) + 1, VT100_COLUMNS - 1);
    else if (c == 0x1b)
        t->state = AFTER_ESCAPE;
}

static void erase_to_end(struct vt100 *t, bool of_screen)
{
    memset(&t->cells[t->row][t->column], ' ', VT100_COLUMNS - t->column);
    for (unsigned row = t->row + 1; of_screen && row < VT100_ROWS; row++)
        memset(t->cells[row], ' ', VT100_COLUMNS);
}

static void act(struct vt100 *t, char last)
{
    unsigned n = (unsigned)atoi(t->sequence);

    if (last == 'H')
        t->row = t->column = 0; /* with no numbers, that is all that is used */
    else if (last == 'J' && n == 2)
        memset(t->cells, ' ', sizeof t->cells);
    else if (last == 'J' || last == 'K')
        erase_to_end(t, last == 'J');
    else if (last != 'm')
        fail_msg("sequence %s%c", t->sequence, last);
}

static void sequence(struct vt100 *t, char c)
{
    if (c >= '@') {
        act(t, c);
        t->state = PLAIN;
        return;
    }
    assert_true(t->sequence_length + 1 < sizeof t->sequence);
    t->sequence[t->sequence_length++] = c;
    t->sequence[t->sequence_length] = '\0';
}

static void take(struct vt100 *t, char c)
{
    if (t->state == AFTER_ESCAPE) {
        assert_int_equal(c, '[');
        t->state = IN_SEQUENCE;
        t->sequence_length = 0;
        t->sequence[0] = '\0';
    } else if (t->state == IN_SEQUENCE) {
        sequence(t, c);
    } else if ((unsigned char)c < ' ') {
        control(t, c);
    } else {
        put(t, c);
    }
}

void vt100_write(struct vt100 *t, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        take(t, bytes[i]);
}

static void write_chardev(void *context, const uint8_t *bytes, size_t count)
{
    vt100_write(context, (const char *)bytes, count);
}

struct chardev vt100_chardev(struct vt100 *t)
{
    return (struct chardev){write_chardev, t};
}

const char *vt100_row(const struct vt100 *t, unsigned row)
{
    static char text[VT100_COLUMNS + 1];
    size_t length = VT100_COLUMNS;

    while (length > 0 && t->cells[row][length - 1] == ' ')
        length--;
    memcpy(text, t->cells[row], length);
    text[length] = '\0';
    return text;
}

const char *vt100_current_row(const struct vt100 *t)
{
    return vt100_row(t, t->row);
}

bool vt100_shows(const struct vt100 *t, const char *text)
{
    for (unsigned row = 0; row < VT100_ROWS; row++)
        if (strncmp(vt100_row(t, row), text, strlen(text)) == 0)
            return true;
    return false;
}
