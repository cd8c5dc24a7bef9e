/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: with one guest and nobody at the shell, its console is the console; on a slow line a flood of one
 * guest costs that guest its bytes, says how many, and takes room from nobody: the other guest's lines and the
 * hypervisor's arrive whole. The line is a queue that the test drains.
 */
#include "tests/host/fake/fake.h"
#include "kernel/console.h"

#define CAPACITY (CONSOLE_LOG_RESERVE + 4096u)

static char queue[4 * CAPACITY];
static size_t queued, drained;
static unsigned pumps, pump_bytes;

static size_t room(void)
{
    return CAPACITY - (queued - drained);
}

static void pump(void)
{
    pumps++;
    drained = MIN(drained + pump_bytes, queued);
}

static void put(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    assert_true(count <= room());
    memcpy(queue + queued, bytes, count);
    queued += count;
    queue[queued] = '\0';
}

static void drain(void)
{
    drained = queued;
}

/* Forgets what was written, as if it had always been empty. */
static void empty(void)
{
    const struct console_pace pace = {CAPACITY, room, pump};

    queued = drained = 0;
    queue[0] = '\0';
    console_set_pace(&pace);
}

static void say(int number, const char *text)
{
    console_guest_write(number, (const uint8_t *)text, strlen(text));
}

static char typed[64];

static void receive(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    memcpy(typed, bytes, count);
    typed[count] = '\0';
}

enum { WEB = 1, DB };

static void add(const char *name, int number)
{
    static struct console_typed queues[DB + 1];
    static char lines[DB + 1][CONSOLE_LINE_BYTES];
    struct console_guest guest = {.typed = &queues[number], .receive = receive, .line = lines[number]};

    memcpy(guest.name, name, strlen(name) + 1);
    assert_int_equal(console_add_guest(&guest), number);
}

static int start(void **state)
{
    const struct chardev sink = {put, NULL};

    (void)state;
    console_add_sink(&sink);
    empty();
    add("web", WEB);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    drain();
    say(WEB, "\n"); /* who was dropping is not any more, and has said so */
    console_flush_guest(WEB);
    console_flush_guest(DB);
    empty();
    return 0;
}

/* --- alone --- */

static void test_the_only_guest_has_the_console(void **state)
{
    (void)state;
    say(WEB, "\r\nlogin: ");
    console_write("log\r\n", 5);
    say(WEB, "\r\x1b[1mx\ry\n");
    assert_string_equal(queue, "\r\n[web] login: \r\nlog\r\n\r[web] \x1b[1mx\ry\n");
    console_input((const uint8_t *)"root\r", 5);
    console_deliver_input(WEB);
    assert_string_equal(typed, "root\r");
}

static void test_the_only_guest_forges_nothing(void **state)
{
    (void)state;
    say(WEB, "x\rrm: event=exit status=0\n");
    assert_string_equal(queue, "[web] x\rrm:\r[web] rm: event=exit status=0\n");
}

static void test_a_flood_of_the_only_guest(void **state)
{
    static char flood[6000];

    (void)state;
    memset(flood, 'x', sizeof flood - 1);
    say(WEB, flood);
    assert_true(room() >= CONSOLE_LOG_RESERVE - 100);
    say(WEB, "these as well");
    drain();
    queued = drained = 0;
    say(WEB, "y\n");
    assert_string_equal(queue, "\r\n[web] ... 1916 bytes dropped\r\n[web] y\n");
}

static void test_the_shell_is_there_when_asked_for(void **state)
{
    uint8_t bytes[8];
    struct console_prompt prompt = {"rm> ", 4, 4};

    (void)state;
    console_set_prompt(&prompt);
    assert_string_equal(queue, ""); /* a log that nobody types in has no prompt */
    assert_int_equal(console_input_target(), WEB);
    console_input((const uint8_t *)"\x01" "0x", 3);
    assert_non_null(strstr(queue, "rm> "));
    assert_int_equal(console_input_target(), CONSOLE_SHELL);
    assert_int_equal(console_take_shell_input(bytes, sizeof bytes), 1);
    console_end_prompt();
}

/* --- two --- */

static void test_a_flood_is_its_authors_own_trouble(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        say(WEB, "a flood of lines\n");
    assert_true(room() > CONSOLE_LOG_RESERVE + 1024);
    for (unsigned i = 0; i < 40; i++)
        say(DB, "calm\n");
    assert_non_null(strstr(queue, "calm"));
    assert_null(strstr(queue, "dropped"));
    for (unsigned i = 0; i < 1000; i++)
        console_write("fifty-eight bytes that are of the hypervisor, and no more\r\n", 58);
    assert_int_equal(pumps, 0);
}

static void test_a_flood_goes_on_when_half_is_out(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        say(WEB, "a flood of lines\n");
    drained = queued - 1500;
    for (unsigned i = 0; i < 10; i++)
        say(WEB, "still\n");
    assert_null(strstr(queue, "still"));
    drain();
    say(WEB, "again\n");
    assert_non_null(strstr(queue, "bytes dropped\r\n[web] again\r\n"));
    say(WEB, "and again\n");
    assert_non_null(strstr(queue, "[web] again\r\n[web] and again\r\n"));
}

static void test_a_slow_stream_is_never_dropped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        say(WEB, "a line of the stream\n");
        drained = queued - MIN(queued - drained, 300u);
    }
    console_flush_guest(WEB);
    assert_null(strstr(queue, "dropped"));
}

static void test_drops_are_told_at_the_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        say(DB, "a flood of lines\n");
    console_flush_guest(DB);
    assert_non_null(strstr(queue, "[db] ... "));
}

static void test_the_hypervisor_waits_for_the_line(void **state)
{
    static char text[1000];

    (void)state;
    memset(text, 'x', sizeof text);
    pumps = 0;
    pump_bytes = 16;
    for (unsigned i = 0; i < 100; i++)
        console_write(text, sizeof text);
    assert_true(pumps > 0);
}

static int add_other(void **state)
{
    add("db", DB);
    return setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_only_guest_has_the_console),
        cmocka_unit_test_setup(test_the_only_guest_forges_nothing, setup),
        cmocka_unit_test_setup(test_a_flood_of_the_only_guest, setup),
        cmocka_unit_test_setup(test_the_shell_is_there_when_asked_for, setup),
        cmocka_unit_test_setup(test_a_flood_is_its_authors_own_trouble, add_other),
        cmocka_unit_test_setup(test_a_flood_goes_on_when_half_is_out, setup),
        cmocka_unit_test_setup(test_a_slow_stream_is_never_dropped, setup),
        cmocka_unit_test_setup(test_drops_are_told_at_the_end, setup),
        cmocka_unit_test_setup(test_the_hypervisor_waits_for_the_line, setup),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
