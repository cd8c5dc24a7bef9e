/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's session: the line that is typed, the command that refreshes, what is printed. */
#include <stdarg.h>
#include "kernel/shell.h"
#include "kernel/console.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/shell_command.h"

#define CTRL_C         0x03
#define SCREEN_COLUMNS 80u
#define CLEAR_SCREEN   "\x1b[H\x1b[2J"

static struct line_editor editor;
static bool (*refresh)(void); /* NULL: the prompt is there */

void shell_print(const char *format, ...)
{
    char line[SHELL_LINE_BYTES];
    size_t length;
    va_list args;

    va_start(args, format);
    length = format_text_va(line, sizeof line - 1, format, args);
    va_end(args);
    length = MIN(length, sizeof line - 2);
    memcpy(line + length, "\r\n", 2);
    console_shell_write(line, length + 2);
}

static void show_row(void)
{
    struct console_prompt row;

    line_editor_row(&editor, &row);
    console_set_prompt(&row);
}

/* --- what refreshes --- */

void shell_refresh(bool (*new_refresh)(void))
{
    refresh = new_refresh;
}

bool shell_wants_tick(void)
{
    return refresh != NULL;
}

static void end_refresh(void)
{
    refresh = NULL;
    show_row();
}

/* Who attaches a guest meanwhile has left it. */
void shell_tick(void)
{
    if (refresh && (console_attached() != CONSOLE_SHELL || !refresh()))
        end_refresh();
}

/* --- what is typed --- */

static void run_line(void)
{
    char line[LINE_EDITOR_BYTES];

    memcpy(line, line_editor_line(&editor), sizeof line);
    line_editor_next(&editor);
    console_end_prompt();
    shell_execute(line);
}

static void drop_line(void)
{
    console_end_prompt();
    line_editor_drop(&editor);
}

static void clear_screen(void)
{
    console_end_prompt();
    console_shell_write(CLEAR_SCREEN, sizeof CLEAR_SCREEN - 1);
}

/* In columns, as wide as the widest. */
static void show_choices(void)
{
    const struct line_candidates *c = &editor.candidates;
    char line[SCREEN_COLUMNS];
    size_t width = 0, at = 0;

    for (unsigned i = 0; i < c->count; i++)
        width = MAX(width, strlen(c->words[i]) + 2);
    for (unsigned i = 0; i < c->count; i++) {
        at += format_text(line + at, sizeof line - at, "%-*s", (int)width, c->words[i]);
        if (i + 1 < c->count && at + width < sizeof line)
            continue;
        shell_print("%s", line);
        at = 0;
    }
}

static void act_on(enum line_event event)
{
    static void (*const actions[])(void) = {
        [LINE_DONE] = run_line, [LINE_CANCELLED] = drop_line, [LINE_CHOICES] = show_choices, [LINE_CLEARED] = clear_screen,
    };

    if (event == LINE_EDITED)
        return;
    show_row(); /* of what came at once with this key, nothing was shown yet */
    actions[event]();
}

static void take_key(uint8_t byte)
{
    if (!refresh)
        act_on(line_editor_key(&editor, byte));
    else if (byte == 'q' || byte == CTRL_C)
        refresh = NULL;
}

void shell_input(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool row_must_be_drawn;

        take_key(bytes[i]);
        row_must_be_drawn = !refresh && (i + 1 == count || bytes[i] < ' ');
        if (row_must_be_drawn)
            show_row();
    }
}

void shell_init(void)
{
    static const struct shell_command help[] = {
        {"help", {{SHELL_COMMAND, "[COMMAND]"}}, "every command, or what one does", shell_help},
    };

    line_editor_init(&editor, "rm> ", shell_complete);
    shell_add_commands(help, ARRAY_SIZE(help));
    shell_vm_init();
    shell_host_init();
    shell_top_init();
    shell_exits_init();
    show_row();
}
