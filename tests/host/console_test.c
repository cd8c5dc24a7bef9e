/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: lines of different sources never mix, whatever pieces they come in; a guest's lines carry its
 * name unless it is attached; what is typed reaches the guest that was attached then and no other; the
 * escape works across calls. The console's state is static and guests are never taken back, so the tests
 * share three of them and each starts unattached.
 */
#include "tests/host/fake/fake.h"
#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/format.h"
#include "tests/host/fake/vt100.h"

static unsigned irqs_off;

uint64_t arch_irq_save(void)
{
    return irqs_off++;
}

void arch_irq_restore(uint64_t flags)
{
    assert_int_equal(flags, --irqs_off);
}

/* --- a screen, and guests that take what is typed --- */

static char screen[8192];
static size_t screen_length;

static void show(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    assert_true(irqs_off > 0);
    assert_true(screen_length + count < sizeof screen);
    memcpy(screen + screen_length, bytes, count);
    screen_length += count;
    screen[screen_length] = '\0';
}

static struct typist {
    struct console_typed queue;
    char typed[1024];
    size_t count;
} web, db;

static void receive(void *context, const uint8_t *bytes, size_t count)
{
    struct typist *t = context;

    assert_int_equal(irqs_off, 0); /* a device works in there */
    assert_true(t->count + count < sizeof t->typed);
    memcpy(t->typed + t->count, bytes, count);
    t->count += count;
    t->typed[t->count] = '\0';
}

enum { WEB = 1, DB, MUTE };

static char lines[MUTE + 1][CONSOLE_LINE_BYTES];

static void type(const char *text)
{
    console_input((const uint8_t *)text, strlen(text));
}

static void say(int number, const char *text)
{
    console_guest_write(number, (const uint8_t *)text, strlen(text));
}

static void log_text(const char *text)
{
    console_write(text, strlen(text));
}

static int add_all(void **state)
{
    const struct chardev sink = {show, NULL};
    struct console_guest guest = {.name = "web", .typed = &web.queue, .receive = receive, .context = &web, .line = lines[WEB]};

    (void)state;
    console_add_sink(&sink);
    console_expect_guest("web");
    console_expect_guest("db");
    assert_int_equal(console_find_guest("db"), -ENOENT);
    assert_int_equal(console_add_guest(&guest), WEB);
    say(WEB, "half a line"); /* db is to come: web is not the only one */
    assert_int_equal(screen_length, 0);
    guest = (struct console_guest){.name = "db", .typed = &db.queue, .receive = receive, .context = &db, .line = lines[DB]};
    assert_int_equal(console_add_guest(&guest), DB);
    guest = (struct console_guest){.name = "mute", .line = lines[MUTE]};
    assert_int_equal(console_add_guest(&guest), MUTE);
    return 0;
}

static int setup(void **state)
{
    uint8_t bytes[CONSOLE_TYPED_BYTES];

    (void)state;
    console_take_shell_input(bytes, sizeof bytes);
    console_end_prompt();
    console_attach(0);
    log_text("\r\n");
    screen_length = 0;
    screen[0] = '\0';
    web = db = (struct typist){.count = 0};
    return 0;
}

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

/* --- input --- */

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
        .name = "web", .typed = &web.queue, .receive = receive, .context = &web, .line = lines[WEB]};

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

/* --- the shell's row --- */

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
    struct console_guest guest = {.name = "db", .typed = &db.queue, .receive = receive, .context = &db, .line = lines[DB]};

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

static void test_power_off(void **state)
{
    (void)state;
    type("x");
    assert_false(console_wants_power_off());
    type("\x01x");
    assert_true(console_wants_power_off());
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_guests_lines_have_its_name, setup),
        cmocka_unit_test_setup(test_bytes_may_come_one_by_one, setup),
        cmocka_unit_test_setup(test_a_line_waits_for_its_end, setup),
        cmocka_unit_test_setup(test_returns_overwrite, setup),
        cmocka_unit_test_setup(test_only_text_stands_beside_other_lines, setup),
        cmocka_unit_test_setup(test_a_long_line_comes_in_pieces, setup),
        cmocka_unit_test_setup(test_nothing_is_shown_of_nothing, setup),
        cmocka_unit_test_setup(test_the_attached_guest_has_the_screen, setup),
        cmocka_unit_test_setup(test_attaching_ends_the_line, setup),
        cmocka_unit_test_setup(test_guests_are_found_by_name, setup),
        cmocka_unit_test_setup(test_the_attached_guest_gets_what_is_typed, setup),
        cmocka_unit_test_setup(test_escape_attaches, setup),
        cmocka_unit_test_setup(test_escape_may_come_in_pieces, setup),
        cmocka_unit_test_setup(test_escape_twice_is_the_key_itself, setup),
        cmocka_unit_test_setup(test_an_unknown_escape_is_swallowed, setup),
        cmocka_unit_test_setup(test_help_is_a_line_of_its_own, setup),
        cmocka_unit_test_setup(test_help_says_who_is_where, setup),
        cmocka_unit_test_setup(test_the_introduction_breaks_no_line_that_is_streamed, setup),
        cmocka_unit_test_setup(test_a_dump_is_asked_for_once, setup),
        cmocka_unit_test_setup(test_too_much_input_is_dropped_from_the_end, setup),
        cmocka_unit_test_setup(test_input_is_for_who_was_attached, setup),
        cmocka_unit_test_setup(test_a_guest_that_comes_back_gets_nothing_of_before, setup),
        cmocka_unit_test_setup(test_attaching_to_whom_we_are_attached_keeps_the_input, setup),
        cmocka_unit_test_setup(test_a_guest_that_takes_no_input, setup),
        cmocka_unit_test_setup(test_next_and_previous_guest, setup),
        cmocka_unit_test_setup(test_an_attached_guest_forges_no_event, setup),
        cmocka_unit_test_setup(test_our_own_line_lends_no_start, setup),
        cmocka_unit_test_setup(test_an_open_control_string_does_not_hide_our_lines, setup),
        cmocka_unit_test_setup(test_the_row_stays_below_all_lines, setup),
        cmocka_unit_test_setup(test_an_ended_row_is_a_line, setup),
        cmocka_unit_test_setup(test_who_is_attached_sees_no_shell, setup),
        cmocka_unit_test_setup(test_the_shell_takes_what_is_typed, setup),
        cmocka_unit_test_setup(test_a_row_changes_at_any_cursor, setup),
        cmocka_unit_test_setup(test_a_typed_character_costs_a_byte, setup),
        cmocka_unit_test_setup(test_a_removed_guest_is_left, setup),
        cmocka_unit_test_setup(test_a_guest_comes_back, setup),
        cmocka_unit_test_setup(test_a_removed_guests_last_line_shows, setup),
        cmocka_unit_test_setup(test_power_off, setup),
        cmocka_unit_test_setup(test_a_panic_waits_for_no_lock, setup),
        cmocka_unit_test_setup(test_tables_have_an_end, setup),
    };

    return cmocka_run_group_tests(tests, add_all, NULL);
}
