/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what is typed reaches the guest that was attached then and no other, or the shell if none was; the escape works
 * across calls.
 */
#include "tests/host/fake/console_rig.h"

/* --- what is typed --- */

static void test_the_attached_guest_gets_what_is_typed(void **state)
{
    (void)state;
    type("nobody is there");
    console_attach(DB);
    type("select");
    console_deliver_input(WEB);
    assert_int_equal(web.count + db.count, 0);
    type(" 1;\r");
    console_deliver_input(DB);
    console_deliver_input(DB);
    assert_string_equal(db.typed, "select 1;\r");
    assert_int_equal(web.count, 0);
}

static void test_too_much_input_is_dropped_from_the_end(void **state)
{
    char long_line[301];

    (void)state;
    for (unsigned i = 0; i < 300; i++)
        long_line[i] = (char)('a' + i % 26);
    long_line[300] = '\0';
    for (unsigned round = 0; round < 3; round++) { /* the ring's ends move */
        console_attach(WEB);
        web.count = 0;
        type(long_line);
        console_deliver_input(WEB);
        assert_int_equal(web.count, 256);
        assert_memory_equal(web.typed, long_line, 256);
        type("next");
        web.count = 0;
        console_deliver_input(WEB);
        assert_string_equal(web.typed, "next");
    }
}

/* A password for one guest is not for another, however slow the first one is; and it is not lost. */
static void test_input_is_for_who_was_attached(void **state)
{
    uint8_t bytes[16];

    (void)state;
    console_attach(WEB);
    type("secret\x01" "2");
    type("hello\x01" "0top");
    assert_int_equal(console_next_with_input(0), WEB);
    assert_int_equal(console_next_with_input(WEB), DB);
    assert_int_equal(console_next_with_input(DB), 0);
    console_deliver_input(DB);
    assert_string_equal(db.typed, "hello");
    assert_int_equal(web.count, 0);
    console_attach(DB);
    assert_true(console_shell_has_input());
    assert_int_equal(console_take_shell_input(bytes, sizeof bytes), 3);
    assert_false(console_shell_has_input());
    console_deliver_input(WEB);
    assert_string_equal(web.typed, "secret");
    assert_int_equal(console_next_with_input(0), 0);
}

static void test_a_guest_that_comes_back_gets_nothing_of_before(void **state)
{
    const struct console_guest guest = {
        .name = "web", .typed = &web.queue, .receive = receive_typed, .context = &web, .line = lines[WEB]};

    (void)state;
    console_attach(WEB);
    type("secret");
    console_remove_guest(WEB);
    assert_int_equal(console_add_guest(&guest), WEB);
    console_deliver_input(WEB);
    assert_int_equal(web.count, 0);
}

static void test_attaching_to_whom_we_are_attached_keeps_the_input(void **state)
{
    (void)state;
    console_attach(WEB);
    type("ab\x01" "1" "cd");
    console_deliver_input(WEB);
    assert_string_equal(web.typed, "abcd");
}

static void test_a_guest_that_takes_no_input(void **state)
{
    (void)state;
    console_attach(MUTE);
    type("x");
    console_deliver_input(MUTE);
    console_attach(WEB);
    console_deliver_input(WEB);
    assert_int_equal(web.count, 0);
}

static void test_the_shell_takes_what_is_typed(void **state)
{
    uint8_t bytes[4];

    (void)state;
    type("help");
    console_deliver_input(WEB);
    assert_int_equal(console_take_shell_input(bytes, sizeof bytes), 4);
    assert_memory_equal(bytes, "help", 4);
    assert_int_equal(console_take_shell_input(bytes, sizeof bytes), 0);
    console_attach(WEB);
    type("not for the shell");
    assert_int_equal(console_take_shell_input(bytes, sizeof bytes), 0);
}

/* --- the escape --- */

static void test_escape_attaches(void **state)
{
    (void)state;
    type("\x01" "2");
    assert_int_equal(console_attached(), DB);
    assert_string_equal(screen, "console: attached to db; Ctrl-A 0 is the shell\r\n");
    screen_length = 0;
    type("\x01" "9");
    assert_int_equal(console_attached(), DB);
    type("\x01" "0");
    assert_int_equal(console_attached(), 0);
    assert_string_equal(screen, "console: shell; Ctrl-A h is help\r\n");
}

static void test_escape_may_come_in_pieces(void **state)
{
    (void)state;
    console_attach(WEB);
    type("a\x01");
    type("");
    type("2b");
    console_deliver_input(DB);
    assert_string_equal(db.typed, "b"); /* and neither the escape nor its digit */
}

static void test_escape_twice_is_the_key_itself(void **state)
{
    (void)state;
    console_attach(WEB);
    type("x\x01\x01y\x01");
    type("\x01z");
    console_deliver_input(WEB);
    assert_string_equal(web.typed, "x\x01y\x01z");
    web.count = 0;
    type("\x01\x01\x01" "2");
    assert_int_equal(console_attached(), DB);
    type("\x01" "1\x01\x01" "2\x01\x01\x01\x01");
    assert_int_equal(console_attached(), WEB);
    console_deliver_input(WEB);
    assert_string_equal(web.typed, "\x01\x01" "2\x01\x01");
}

static void test_an_unknown_escape_is_swallowed(void **state)
{
    (void)state;
    console_attach(WEB);
    type("a\x01?b");
    console_deliver_input(WEB);
    assert_string_equal(web.typed, "ab");
    assert_false(console_wants_power_off());
    assert_false(console_take_dump_request());
}

static void test_next_and_previous_guest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        type("\x01n");
        assert_int_equal(console_attached(), WEB);
        type("\x01n\x01n");
        assert_int_equal(console_attached(), MUTE);
    }
    type("\x01p");
    assert_int_equal(console_attached(), DB);
    console_attach(0);
    type("\x01p");
    assert_int_equal(console_attached(), MUTE);
}

static void test_help_is_a_line_of_its_own(void **state)
{
    (void)state;
    console_attach(WEB);
    say(WEB, "half");
    type("\x01h");
    assert_non_null(strstr(screen, "half\r\nconsole: Ctrl-A h help"));
}

static void test_help_says_who_is_where(void **state)
{
    (void)state;
    type("\x01h");
    assert_non_null(strstr(screen, "console: Ctrl-A and 1 web, 2 db, 3 mute, 0 the shell; Ctrl-A h is help\r\n"));
    console_attach(WEB);
    type("\x01h");
    assert_non_null(strstr(screen, "console: what you type goes to web; Ctrl-A h is help\r\n"));
}

static void test_the_introduction_breaks_no_line_that_is_streamed(void **state)
{
    (void)state;
    console_introduce_guests();
    assert_non_null(strstr(screen, "1 web, 2 db, 3 mute, 0 the shell"));
    console_attach(WEB);
    say(WEB, "half");
    console_introduce_guests();
    say(WEB, " a line");
    assert_non_null(strstr(screen, "half a line"));
}

static void test_a_dump_is_asked_for_once(void **state)
{
    (void)state;
    assert_false(console_take_dump_request());
    type("\x01" "d");
    assert_true(console_take_dump_request());
    assert_false(console_take_dump_request());
}

/* It leaves a mark, and runs last. */
static void test_power_off(void **state)
{
    (void)state;
    type("x");
    assert_false(console_wants_power_off());
    type("\x01x");
    assert_true(console_wants_power_off());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, console_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_the_attached_guest_gets_what_is_typed),
        TEST(test_too_much_input_is_dropped_from_the_end),
        TEST(test_input_is_for_who_was_attached),
        TEST(test_a_guest_that_comes_back_gets_nothing_of_before),
        TEST(test_attaching_to_whom_we_are_attached_keeps_the_input),
        TEST(test_a_guest_that_takes_no_input),
        TEST(test_the_shell_takes_what_is_typed),
        TEST(test_escape_attaches),
        TEST(test_escape_may_come_in_pieces),
        TEST(test_escape_twice_is_the_key_itself),
        TEST(test_an_unknown_escape_is_swallowed),
        TEST(test_next_and_previous_guest),
        TEST(test_help_is_a_line_of_its_own),
        TEST(test_help_says_who_is_where),
        TEST(test_the_introduction_breaks_no_line_that_is_streamed),
        TEST(test_a_dump_is_asked_for_once),
        TEST(test_power_off),
    };
    return cmocka_run_group_tests(tests, console_rig_start, NULL);
}
