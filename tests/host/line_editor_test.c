/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what a person sees on a terminal is the prompt and the line around the cursor, after any keys; keys
 * do what they do in Emacs and a shell; the history has no line twice; no sequence of bytes breaks the invariant.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/vt100.h"
#include "kernel/line_editor.h"

static struct line_editor editor;
static struct vt100 terminal;
static struct console_prompt shown;

static void complete(const char *line, struct line_candidates *c)
{
    static const char *const words[] = {"create", "destroy", "list", "list-all", "memory="};
    const char *blank = strrchr(line, ' ');
    const char *word = blank ? blank + 1 : line;

    c->start = (size_t)(word - line);
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        line_candidates_offer(c, word, words[i]);
}

static int setup(void **state)
{
    (void)state;
    line_editor_init(&editor, "rm> ", complete);
    vt100_reset(&terminal);
    shown = (struct console_prompt){.length = 0};
    return 0;
}

/* Draws after each key, and looks whether line, row and screen agree. */
static void draw(void)
{
    char bytes[CONSOLE_PROMPT_DRAWN];
    struct console_prompt row;
    char text[CONSOLE_PROMPT_BYTES + 1] = "";

    line_editor_row(&editor, &row);
    assert_true(row.length <= CONSOLE_PROMPT_BYTES && row.cursor <= row.length);
    vt100_write(&terminal, bytes, console_prompt_change(&shown, &row, bytes));
    shown = row;
    assert_int_equal(terminal.row, 0);
    assert_int_equal(terminal.column, row.cursor);
    memcpy(text, row.text, row.length);
    while (row.length > 0 && text[row.length - 1] == ' ')
        text[--row.length] = '\0';
    assert_string_equal(vt100_row(&terminal, 0), text);
    assert_int_equal(strlen(editor.line), editor.length);
    assert_true(editor.cursor <= editor.length);
    assert_true(editor.cursor - editor.scroll <= CONSOLE_PROMPT_BYTES - 4);
}

static enum line_event type(const char *bytes)
{
    enum line_event event = LINE_EDITED;

    for (; *bytes; bytes++) {
        event = line_editor_key(&editor, (uint8_t)*bytes);
        draw();
    }
    return event;
}

static void enter(const char *line)
{
    assert_int_equal(type(line), LINE_EDITED);
    assert_int_equal(type("\r"), LINE_DONE);
    line_editor_next(&editor);
    draw();
}

/* | stands for the cursor. */
static void expect(const char *line)
{
    char text[LINE_EDITOR_BYTES + 1];

    snprintf(text, sizeof text, "%.*s|%s", (int)editor.cursor, editor.line, editor.line + editor.cursor);
    assert_string_equal(text, line);
}

#define UP    "\x1b[A"
#define DOWN  "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT  "\x1b[D"

static void test_keys(void **state)
{
    static const struct {
        const char *keys, *line;
    } cases[] = {
        {"abc", "abc|"},
        {"abc" LEFT LEFT "x", "ax|bc"},
        {"abc" LEFT LEFT LEFT LEFT "x", "x|abc"},
        {"abc" RIGHT "x", "abcx|"},
        {"abc\x1b[Hx", "x|abc"},
        {"abc\x1b[1~x", "x|abc"},
        {"abc\x1b[7~x\x1b[8~y", "xabcy|"},
        {"abc\x1bOHx\x1bOFy", "xabcy|"},
        {"abc\x1b[H\x1b[Fx", "abcx|"},
        {"abc\x01x\x05y", "xabcy|"},
        {"abc\x02\x02x\x06y", "axby|c"},
        {"abc\b", "ab|"},
        {"abc\x7f\x7f\x7f\x7f", "|"},
        {"abc" LEFT LEFT "\x1b[3~", "a|c"},
        {"abc\x1b[3~", "abc|"},
        {"abc" LEFT "\x04\x04", "ab|"},
        {"one two three\x17", "one two |"},
        {"one two  \x17", "one |"},
        {"\x17", "|"},
        {"one two" LEFT LEFT LEFT "\x15", "|two"},
        {"one two" LEFT LEFT LEFT "\x0b", "one |"},
        {"one two three\x1b" "b\x1b" "bx", "one x|two three"},
        {"one two\x1b[1;5D\x1b[1;5Dx\x1b[1;5Cy", "xoney| two"},
        {"one two\x01\x1b" "fx\x1b" "fy", "onex twoy|"},
        {"one two\x01\x1b" "d", "| two"},
        {"one two\x1b\x7f", "one |"},
        {"a\tb", "ab|"}, /* nothing begins with a */
        {"a\xc3\xa9" "b\xff\x80", "ab|"},
        {"a\x00\x07\x1f" "b", "a|"},
        {"a\x07\x1f" "b", "ab|"},
        {"a\x1b[99999999999999999999Cb", "ab|"},
        {"a\x1b[<>?;;;!zb", "ab|"},
        {"a\x1b[12\x1b[Db", "b|a"},
        {"a\x1b[12\x02" "b", "b|a"},
        {"a\x1bzb", "ab|"},
        {"a\x1bOZb", "ab|"},
        {"a\x1b\x1b[Db", "b|a"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        setup(state);
        type(cases[i].keys);
        expect(cases[i].line);
    }
}

static void test_a_line_is_done_once(void **state)
{
    (void)state;
    assert_int_equal(type("vm list\r"), LINE_DONE);
    assert_string_equal(line_editor_line(&editor), "vm list");
    line_editor_next(&editor);
    assert_int_equal(type("\n"), LINE_EDITED);
    assert_int_equal(type("\n"), LINE_DONE);
    assert_string_equal(line_editor_line(&editor), "");
    line_editor_next(&editor);
    assert_int_equal(type("\r"), LINE_DONE);
}

static void test_cancel_and_clear(void **state)
{
    (void)state;
    assert_int_equal(type("vm destroy web\x03"), LINE_CANCELLED);
    line_editor_drop(&editor);
    type(UP);
    expect("|");
    assert_int_equal(type("\x0c"), LINE_CLEARED);
}

static void test_history(void **state)
{
    (void)state;
    enter("one");
    enter("two");
    enter("   ");
    enter("");
    enter("three");
    type("draft" UP);
    expect("three|");
    type(UP UP UP);
    expect("one|");
    type(DOWN);
    expect("two|");
    type(DOWN DOWN DOWN);
    expect("draft|");
    type("\x10\x10\x10\x0ex\r");
    assert_string_equal(line_editor_line(&editor), "twox");
}

static void test_the_history_has_no_line_twice(void **state)
{
    (void)state;
    enter("one");
    enter("two");
    enter("one");
    assert_int_equal(editor.history_count, 2);
    type(UP UP);
    expect("two|");
    type(DOWN);
    expect("one|");
}

static void test_the_history_has_an_end(void **state)
{
    char line[16];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(line, sizeof line, "line %u", i);
        enter(line);
    }
    enter("line 8");
    assert_int_equal(editor.history_count, LINE_EDITOR_HISTORY);
    for (unsigned i = 0; i < 50; i++)
        type(UP);
    expect("line 9|");
    enter("");
    enter("line 39");
    enter("line 39");
    type(UP);
    expect("line 39|");
}

static void test_completion(void **state)
{
    (void)state;
    type("cr\t");
    expect("create |");
    type("li\t");
    expect("create list|");
    assert_int_equal(type("\t"), LINE_CHOICES);
    assert_int_equal(editor.candidates.count, 2);
    assert_string_equal(editor.candidates.words[1], "list-all");
    type("-\t");
    expect("create list-all |");
    type("m\t");
    expect("create list-all memory=|");
    assert_int_equal(type(" \t"), LINE_CHOICES);
    assert_int_equal(editor.candidates.count, 5);
    setup(state);
    type("d x" LEFT LEFT "\t");
    expect("destroy | x");
    line_editor_init(&editor, "rm> ", NULL);
    type("cr\t");
    expect("cr|");
}

static void test_long_lines_scroll(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200; i++)
        type(i % 10 ? "." : "x");
    assert_int_equal(editor.length, 200);
    type("\x01");
    assert_int_equal(editor.scroll, 0);
    type("\x05");
    for (unsigned i = 0; i < 120; i++)
        type(LEFT);
    type("!");
    assert_int_equal(editor.line[80], '!');
    type("\x0b\x17");
    expect("|");
}

static void test_a_line_has_an_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * LINE_EDITOR_BYTES; i++)
        line_editor_key(&editor, 'x');
    draw();
    assert_int_equal(editor.length, LINE_EDITOR_BYTES - 1);
    type("\x01y\x04z\x04" "c\tend");
    assert_int_equal(editor.length, LINE_EDITOR_BYTES - 1);
    type("\r");
    line_editor_next(&editor);
    type(UP);
    assert_int_equal(editor.length, LINE_EDITOR_BYTES - 1);
}

static void test_candidates_have_an_end(void **state)
{
    struct line_candidates c = {.count = 0};

    (void)state;
    line_candidates_offer(&c, "", "a word of more than thirty-one characters");
    assert_int_equal(c.count, 0);
    for (unsigned i = 0; i < 100; i++)
        line_candidates_offer(&c, "w", "word");
    assert_int_equal(c.count, LINE_EDITOR_CANDIDATES);
}

/* Any keys at all: draw() looks after the invariants. */
static void test_random_keys(void **state)
{
    static const char *const keys[] = {"x", " ", "li", "\t", UP, DOWN, LEFT, RIGHT, "\x17", "\x0b", "\x15", "\x1b", "[", "5", "~",
                                       "\x1b[3~", "\x1b[H", "\x1b[F", "\x04", "\b", "\xff", "some longer text ", "\033d"};
    uint32_t random = 1;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        random = random * 1664525 + 1013904223;
        if (random >> 16 < 400)
            enter("\x05");
        else
            type(keys[(random >> 16) % ARRAY_SIZE(keys)]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_keys, setup),
        cmocka_unit_test_setup(test_a_line_is_done_once, setup),
        cmocka_unit_test_setup(test_cancel_and_clear, setup),
        cmocka_unit_test_setup(test_history, setup),
        cmocka_unit_test_setup(test_the_history_has_no_line_twice, setup),
        cmocka_unit_test_setup(test_the_history_has_an_end, setup),
        cmocka_unit_test_setup(test_completion, setup),
        cmocka_unit_test_setup(test_long_lines_scroll, setup),
        cmocka_unit_test_setup(test_a_line_has_an_end, setup),
        cmocka_unit_test_setup(test_candidates_have_an_end, setup),
        cmocka_unit_test_setup(test_random_keys, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
