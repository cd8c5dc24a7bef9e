/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the shell's row stays below all lines, at any cursor, and is not there for who is attached to a guest.
 */
#include "tests/host/fake/console_rig.h"
#include "tests/host/fake/vt100.h"

static struct vt100 terminal;

static void use_terminal(void)
{
    vt100_reset(&terminal);
    vt100_write(&terminal, screen, screen_length);
}

static void set_prompt(const char *text, size_t cursor)
{
    struct console_prompt p = {.length = strlen(text), .cursor = cursor};

    memcpy(p.text, text, p.length);
    console_set_prompt(&p);
}

static void test_the_row_stays_below_all_lines(void **state)
{
    (void)state;
    set_prompt("rm> vm st", 6);
    log_text("log\r\n");
    say(WEB, "hello");
    say(WEB, " world\n");
    set_prompt("rm> vm start", 12);
    log_text("rm: event=x\r\n");
    set_prompt("rm> v", 5);
    use_terminal();
    assert_string_equal(vt100_row(&terminal, 0), "log");
    assert_string_equal(vt100_row(&terminal, 1), "[web] hello world");
    assert_string_equal(vt100_row(&terminal, 2), "rm: event=x");
    assert_string_equal(vt100_row(&terminal, 3), "rm> v");
    assert_int_equal(terminal.row, 3);
    assert_int_equal(terminal.column, 5);
    assert_non_null(strstr(screen, "\rrm: event=x\r\n")); /* for readers of the log */
}

static void test_an_ended_row_is_a_line(void **state)
{
    (void)state;
    set_prompt("rm> help", 4);
    console_end_prompt();
    console_shell_write("text\r\n", 6);
    set_prompt("rm> ", 4);
    use_terminal();
    assert_string_equal(vt100_row(&terminal, 0), "rm> help");
    assert_string_equal(vt100_row(&terminal, 1), "text");
    assert_string_equal(vt100_row(&terminal, 2), "rm>");
    console_end_prompt();
    console_end_prompt();
    assert_int_equal(terminal.row, 2);
}

static void test_who_is_attached_sees_no_shell(void **state)
{
    (void)state;
    console_attach(WEB);
    set_prompt("rm> x", 5);
    console_shell_write("text\r\n", 6);
    say(WEB, "# ");
    assert_string_equal(screen, "# ");
    console_attach(0);
    use_terminal();
    assert_string_equal(vt100_row(&terminal, 1), "rm> x");
    type("\x01" "1");
    say(WEB, "# ");
    use_terminal();
    assert_string_equal(vt100_row(&terminal, 1), "console: attached to web; Ctrl-A 0 is the shell");
    assert_string_equal(vt100_row(&terminal, 2), "#");
}

static void test_a_row_changes_at_any_cursor(void **state)
{
    static const char *const rows[] = {"rm> ", "rm> abc", "rm> abd", "r", "rm> abc def", "xx", "rm> abc def ghi"};

    (void)state;
    for (unsigned from = 0; from < ARRAY_SIZE(rows); from++)
        for (unsigned to = 0; to < ARRAY_SIZE(rows); to++)
            for (size_t cursor = 0; cursor <= strlen(rows[from]); cursor++) {
                size_t target = strlen(rows[to]) - MIN(cursor, strlen(rows[to]));

                console_end_prompt();
                screen_length = 0;
                set_prompt(rows[from], cursor);
                set_prompt(rows[to], target);
                use_terminal();
                assert_int_equal(terminal.column, target);
                assert_memory_equal(terminal.cells[0], rows[to], strlen(rows[to]));
                assert_int_equal(terminal.cells[0][strlen(rows[to])], ' ');
            }
}

/* One keystroke at the end costs one byte of a slow line. */
static void test_a_typed_character_costs_a_byte(void **state)
{
    (void)state;
    set_prompt("rm> a", 5);
    screen_length = 0;
    set_prompt("rm> ab", 6);
    assert_int_equal(screen_length, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, console_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_the_row_stays_below_all_lines),
        TEST(test_an_ended_row_is_a_line),
        TEST(test_who_is_attached_sees_no_shell),
        TEST(test_a_row_changes_at_any_cursor),
        TEST(test_a_typed_character_costs_a_byte),
    };
    return cmocka_run_group_tests(tests, console_rig_start, NULL);
}
