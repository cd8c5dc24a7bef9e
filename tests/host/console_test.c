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

static int add_all(void **state)
{
    const struct chardev sink = {show, NULL};
    struct console_guest guest = {.name = "web", .receive = receive, .context = &web};

    (void)state;
    console_add_sink(&sink);
    assert_int_equal(console_add_guest(&guest), WEB);
    guest = (struct console_guest){.name = "db", .receive = receive, .context = &db};
    assert_int_equal(console_add_guest(&guest), DB);
    guest = (struct console_guest){.name = "mute"};
    assert_int_equal(console_add_guest(&guest), MUTE);
    return 0;
}

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

static int setup(void **state)
{
    (void)state;
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
    assert_string_equal(screen, "[web] one\r\n[web] two\r\n[db] three\n");
}

static void test_bytes_may_come_one_by_one(void **state)
{
    (void)state;
    for (const char *c = "ab\r\nc\n\n"; *c; c++)
        console_guest_write(WEB, (const uint8_t *)c, 1);
    assert_string_equal(screen, "[web] ab\r\n[web] c\n\n");
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
    assert_string_equal(screen, "log\r\n[web] halfother half\n[web] x\n[db] prompt> typed\n");
}

static void test_a_source_goes_on_in_its_own_line(void **state)
{
    (void)state;
    say(WEB, "a");
    say(WEB, "b");
    say(WEB, "\rc\n");
    assert_string_equal(screen, "[web] ab\rc\n");
}

/* A CR before the first character must not come behind the name, where it would hide it. */
static void test_the_name_comes_behind_leading_returns(void **state)
{
    (void)state;
    say(WEB, "one\n\rtwo\n");
    say(WEB, "\r\r\nx\r\n");
    assert_string_equal(screen, "[web] one\n\r[web] two\n\r\r\n[web] x\r\n");
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
    assert_string_equal(screen, "[web] half\r\n# \r\n[db] ls\n");
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
    assert_string_equal(screen, "console: attached to db\r\n");
    type("\x01" "9");
    assert_int_equal(console_attached(), DB);
    type("\x01" "0");
    assert_int_equal(console_attached(), 0);
    assert_string_equal(screen, "console: attached to db\r\nconsole: all guests\r\n");
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
    assert_string_equal(web.typed, "\x01" "2\x01\x01");
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

/* A password for one guest is not for another, however slow the first one is. */
static void test_input_is_for_who_was_attached(void **state)
{
    (void)state;
    console_attach(WEB);
    type("secret\x01" "2");
    type("hello");
    console_deliver_input(WEB);
    console_deliver_input(DB);
    assert_string_equal(db.typed, "hello");
    assert_int_equal(web.count, 0);
    console_attach(WEB);
    type("secret");
    console_attach(DB);
    console_deliver_input(DB);
    assert_string_equal(db.typed, "hello");
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

static void test_tables_have_an_end(void **state)
{
    const struct console_guest guest = {.name = "more"};
    const struct chardev sink = {NULL, NULL};
    int number = 0;

    (void)state;
    for (int i = MUTE; i < CONSOLE_GUESTS_MAX; i++)
        number = console_add_guest(&guest);
    assert_int_equal(number, CONSOLE_GUESTS_MAX);
    assert_int_equal(console_add_guest(&guest), -ENOSPC);
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
        cmocka_unit_test_setup(test_a_source_goes_on_in_its_own_line, setup),
        cmocka_unit_test_setup(test_the_name_comes_behind_leading_returns, setup),
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
        cmocka_unit_test_setup(test_a_dump_is_asked_for_once, setup),
        cmocka_unit_test_setup(test_too_much_input_is_dropped_from_the_end, setup),
        cmocka_unit_test_setup(test_input_is_for_who_was_attached, setup),
        cmocka_unit_test_setup(test_attaching_to_whom_we_are_attached_keeps_the_input, setup),
        cmocka_unit_test_setup(test_a_guest_that_takes_no_input, setup),
        cmocka_unit_test_setup(test_a_removed_guest_is_left, setup),
        cmocka_unit_test_setup(test_power_off, setup),
        cmocka_unit_test_setup(test_a_panic_waits_for_no_lock, setup),
        cmocka_unit_test_setup(test_tables_have_an_end, setup),
    };

    return cmocka_run_group_tests(tests, add_all, NULL);
}
