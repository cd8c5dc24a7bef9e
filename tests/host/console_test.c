/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: lines of different sources never mix, whatever pieces they come in; a guest's lines carry its
 * name unless it is attached, and none of them passes for the hypervisor's.
 */
#include "tests/host/fake/console_rig.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"

/* --- output --- */

static void test_a_guests_lines_have_its_name(void **state)
{
    (void)state;
    say(WEB, "one\r\ntwo\r\n");
    say(DB, "three\n");
    assert_string_equal(screen, "[web] one\r\n[web] two\r\n[db] three\r\n");
}

static void test_bytes_may_come_one_by_one(void **state)
{
    (void)state;
    for (const char *c = "ab\r\nc\n\n"; *c; c++)
        console_guest_write(WEB, (const uint8_t *)c, 1);
    assert_string_equal(screen, "[web] ab\r\n[web] c\r\n\r\n");
}

static void test_a_line_waits_for_its_end(void **state)
{
    (void)state;
    say(WEB, "half");
    log_text("log\r\n");
    say(WEB, "other half\n");
    say(DB, "prompt> ");
    say(WEB, "x\n");
    say(DB, "typed\n");
    assert_string_equal(screen, "log\r\n[web] halfother half\r\n[web] x\r\n[db] prompt> typed\r\n");
}

/* As a terminal would show it in the end: a progress bar is one line. */
static void test_returns_overwrite(void **state)
{
    (void)state;
    say(WEB, "10%");
    say(WEB, "\r20%");
    say(WEB, "\r\r30%\r\r\n");
    assert_string_equal(screen, "[web] 30%\r\n");
}

static void test_only_text_stands_beside_other_lines(void **state)
{
    (void)state;
    say(WEB, "\x1b[2J\x1b[1;31mred\x1b[0m\a\b\ttab \xc3\xa9\x1b]0;title\a\x1b(Bx\0337y\x1b[3\n");
    say(WEB, "m\n\x1b]0;open\nafter\n");
    assert_string_equal(screen, "[web] red\ttab \xc3\xa9xy\r\n[web] m\r\n\r\n[web] after\r\n");
}

static void test_a_long_line_comes_in_pieces(void **state)
{
    char line[1101];

    (void)state;
    memset(line, 'x', 1100);
    line[1100] = '\0';
    say(WEB, line);
    say(WEB, "\n");
    assert_int_equal(screen_length, 6 + 1024 + 2 + 6 + 76 + 2);
    assert_memory_equal(screen + 6 + 1024, "\r\n[web] x", 9);
}

static void test_nothing_is_shown_of_nothing(void **state)
{
    (void)state;
    say(WEB, "");
    log_text("");
    assert_string_equal(screen, "");
}

static void test_the_attached_guest_has_the_screen(void **state)
{
    (void)state;
    console_attach(WEB);
    say(WEB, "login: ");
    say(DB, "hidden\n");
    say(WEB, "root\n");
    log_text("log\r\n");
    assert_string_equal(screen, "login: root\nlog\r\n");
    assert_int_equal(console_attached(), WEB);
}

static void test_attaching_ends_the_line(void **state)
{
    (void)state;
    say(WEB, "half");
    console_attach(DB);
    say(DB, "# ");
    console_attach(0);
    say(DB, "ls\n");
    assert_string_equal(screen, "[web] half\r\n# \r\n[db] ls\r\n");
}

static void test_guests_are_found_by_name(void **state)
{
    (void)state;
    assert_int_equal(console_find_guest("db"), DB);
    assert_int_equal(console_find_guest("d"), -ENOENT);
    assert_int_equal(console_find_guest(""), -ENOENT);
}

/* --- lines that look like the hypervisor's --- */

static void test_an_attached_guest_forges_no_event(void **state)
{
    static const struct {
        const char *written, *shown;
    } cases[] = {
        {"rm: event=x\n", "rm:\r[web] rm: event=x\n"},
        {"a\nrm: b\nc", "a\nrm:\r[web] rm: b\nc"},
        {"a\rrm: b\n", "a\rrm:\r[web] rm: b\n"},
        {"\x1b[0mrm: b\n", "\x1b[0mrm:\r[web] rm: b\n"},
        {"r\x1b[1;3m\x01m: b\n", "r\x1b[1;3m\x01m:\r[web] rm: b\n"},
        {"\x1b]rm: b\n", "\x1b]rm:\r[web] rm: b\n"},
        {"\x1b[1\rrm: b\n", "\x1b[1\rrm:\r[web] rm: b\n"},
        {"\x1bMrm: b\n", "\x1bMrm:\r[web] rm: b\n"},
        {"xrm: b\n", "xrm: b\n"},
        {"rm -rf: b\n", "rm -rf: b\n"},
        {"rm:\n b\n", "rm:\n b\n"},
        {"arm: rrm: \n", "arm: rrm: \n"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        console_attach(WEB);
        screen_length = 0;
        for (const char *c = cases[i].written; *c; c++) /* a guest may well write like that */
            console_guest_write(WEB, (const uint8_t *)c, 1);
        assert_memory_equal(screen, cases[i].shown, strlen(cases[i].shown));
        screen_length = 0;
        console_attach(0);
    }
}

/* What stands behind a line of ours starts a line, though the guest has not ended its own. */
static void test_our_own_line_lends_no_start(void **state)
{
    (void)state;
    console_attach(WEB);
    say(WEB, "some text");
    log_text("log\r\n");
    say(WEB, "rm: event=x\n");
    assert_string_equal(screen, "some text\r\nlog\r\nrm:\r[web] rm: event=x\n");
}

static void test_an_open_control_string_does_not_hide_our_lines(void **state)
{
    (void)state;
    console_attach(WEB);
    say(WEB, "\x1b]0;title");
    log_text("log\r\n");
    assert_string_equal(screen, "\x1b]0;title\x18\r\nlog\r\n");
}

/* --- the ends of things: these leave a mark, and run last --- */

static void test_a_removed_guest_is_left(void **state)
{
    (void)state;
    console_attach(DB);
    type("for the dead");
    console_remove_guest(DB);
    assert_int_equal(console_attached(), 0);
    console_remove_guest(0);
    console_attach(WEB);
    console_deliver_input(WEB);
    assert_int_equal(web.count, 0);
    console_attach(DB);
    type("x");
    console_deliver_input(DB);
    assert_int_equal(db.count, 0);
}

/* A restarted guest keeps its number, and who looked at it. */
static void test_a_guest_comes_back(void **state)
{
    struct console_guest guest = {.name = "db", .typed = &db.queue, .receive = receive_typed, .context = &db, .line = lines[DB]};

    (void)state;
    assert_int_equal(console_find_guest("db"), -ENOENT);
    assert_int_equal(console_add_guest(&guest), DB);
    assert_int_equal(console_attached(), 0);
    console_attach(DB);
    console_remove_guest(DB);
    assert_int_equal(console_attached(), 0);
    assert_int_equal(console_add_guest(&guest), DB);
    assert_int_equal(console_attached(), DB);
    console_remove_guest(DB);
    type("v"); /* somebody has begun to work at the shell */
    assert_int_equal(console_add_guest(&guest), DB);
    assert_int_equal(console_attached(), 0);
}

static void test_a_removed_guests_last_line_shows(void **state)
{
    (void)state;
    say(DB, "last words");
    console_remove_guest(DB);
    console_remove_guest(DB);
    say(DB, "and more\n"); /* its memory may be gone */
    assert_string_equal(screen, "[db] last words\r\n");
}

/* The lock is held by this very CPU: a sink that panics while it writes. */
static void panic_inside(void *context, const uint8_t *bytes, size_t count)
{
    unsigned *calls = context;

    (void)bytes;
    (void)count;
    if ((*calls)++ > 0)
        return;
    console_break_locks();
    log_text("panic\r\n");
}

static void test_a_panic_waits_for_no_lock(void **state)
{
    static unsigned calls;
    const struct chardev sink = {panic_inside, &calls};

    (void)state;
    console_add_sink(&sink);
    log_text("line\r\n");
    assert_non_null(strstr(screen, "panic\r\n"));
    assert_int_equal(calls, 2);
    log_text("goes on\r\n");
    assert_non_null(strstr(screen, "goes on\r\n"));
}

static void test_tables_have_an_end(void **state)
{
    struct console_guest guest = {.name = "more"};
    const struct chardev sink = {NULL, NULL};
    int number = 0;

    (void)state;
    for (int i = MUTE; i < CONSOLE_GUESTS_MAX; i++) {
        format_text(guest.name, sizeof guest.name, "more-%d", i);
        number = console_add_guest(&guest);
    }
    assert_int_equal(number, CONSOLE_GUESTS_MAX);
    memcpy(guest.name, "last", 5);
    assert_int_equal(console_add_guest(&guest), DB); /* which is gone */
    memcpy(guest.name, "none", 5);
    assert_int_equal(console_add_guest(&guest), -ENOSPC);
    console_remove_guest(7);
    assert_int_equal(console_add_guest(&guest), 7);
    assert_int_equal(console_find_guest("none"), 7);
    for (unsigned i = 0; i < 2 * CONSOLE_SINKS_MAX; i++)
        console_add_sink(&sink);
    log_text("seen once\r\n");
    assert_string_equal(screen, "seen once\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, console_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_a_guests_lines_have_its_name),
        TEST(test_bytes_may_come_one_by_one),
        TEST(test_a_line_waits_for_its_end),
        TEST(test_returns_overwrite),
        TEST(test_only_text_stands_beside_other_lines),
        TEST(test_a_long_line_comes_in_pieces),
        TEST(test_nothing_is_shown_of_nothing),
        TEST(test_the_attached_guest_has_the_screen),
        TEST(test_attaching_ends_the_line),
        TEST(test_guests_are_found_by_name),
        TEST(test_an_attached_guest_forges_no_event),
        TEST(test_our_own_line_lends_no_start),
        TEST(test_an_open_control_string_does_not_hide_our_lines),
        TEST(test_a_removed_guest_is_left),
        TEST(test_a_guest_comes_back),
        TEST(test_a_removed_guests_last_line_shows),
        TEST(test_a_panic_waits_for_no_lock),
        TEST(test_tables_have_an_end),
    };
    return cmocka_run_group_tests(tests, console_rig_start, NULL);
}
