/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever is typed that is no command changes nothing and is answered with what was expected; help and completion know
 * all that is, and what others write does not mix with what is being typed.
 */
#include "tests/host/fake/shell_rig.h"

/* --- what is wrong --- */

static void test_wrong_commands(void **state)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"frobnicate", "unknown command 'frobnicate'; help lists all"},
        {"vm strat web", "unknown command 'vm strat'; did you mean 'vm start'?"},
        {"vm x", "vm what? list, show, create, start, pause, resume, restart, stop, balloon,"},
        {"vm", "vm what? list, show, create, start, pause, resume, restart, stop, balloon,"},
        {"atach web", "unknown command 'atach'; did you mean 'attach'?"},
        {"poweron", "unknown command 'poweron'; did you mean 'poweroff'?"},
        {"VM LIST", "unknown command 'VM'; help lists all"},
        {"vm start", "vm start: VM is missing; usage: vm start VM"},
        {"vm start web db", "vm start: db is too much; usage: vm start VM"},
        {"vm start web=1", "vm start: web is no single word; usage: vm start VM"},
        {"vm start 'web", "vm start: web is no single word; usage: vm start VM"},
        {"vm start wbe", "no VM 'wbe'; did you mean 'web'?; there are: web, db"},
        {"vm start nonsense", "no VM 'nonsense'; there are: web, db"},
        {"vm stop web --now", "vm stop: '--now' is not [--force]"},
        {"vm create", "vm create: NAME is missing; usage: vm create NAME like=VM [KEY=VALUE ...]"},
        {"vm create x", "vm create: like=VM [KEY=VALUE ...] is missing; usage: vm create NAME like=VM [KE"},
        {"vm create X like=web", "name=X: expected a name of a-z, 0-9, _ and -, of at most 31 characters"},
        {"vm create web like=db", "vm create: there is a VM 'web' already"},
        {"vm create x memory=1M", "vm create: like=VM is missing: whose images?"},
        {"vm create x like=y", "vm create: like=y: no VM has that name"},
        {"vm create x like=web memory=12Q", "vm create: memory=12Q: expected a size like 256M, whole pages, from 64K to 16T"},
        {"vm create x like=web colour=red", "vm create: colour: no such key; help vm create lists all"},
        {"vm create x like=web vcpus=1 vcpus=2", "vm create: vcpus: given twice"},
        {"vm create x like=web like=db", "vm create: like: given twice"},
        {"vm create x like=web memory=64K", "vm create: memory=64K: expected at least 1M unless format=flat"},
        {"vm create x like=web 'cmdline=a", "vm create: cmdline=a: the quote never ends"},
        {"vm pause web", "web is stopped; start it first"},
        {"vm resume web", "web is stopped; start it first"},
        {"vm stop web --force", "web is stopped already"},
        {"vm restart web", "web is stopped; start it first"},
        {"exits wbe", "no VM 'wbe'; did you mean 'web'?; there are: web, db"},
        {"trace web", "web is stopped; start it first"},
        {"trace on web", "web is stopped; start it first"},
        {"trace off web", "web is stopped; start it first"},
        {"trace web 0", "number=0: expected a number from 1 to 1000000"},
        {"trace web many", "number=many: expected a number from 1 to 1000000"},
        {"top -2", "top: '-2' is not [-1]"},
        {"log loud", "log: 'loud' is not [error|warn|info|debug]"},
        {"help nonsense", "no command 'nonsense'; help lists all"},
        {"poweroff now", "poweroff: 'now' is not [--force]"},
        {"\"vm\" 'start' \"db", "vm start: db is no single word; usage: vm start VM"},
        {"an-endless-word-of-more-than-thirty-one-characters-is-no-command", "unknown command 'an-endless-word-of-more-than-th"},
        {"=", "unknown command ''; help lists all"},
        {"' '", "unknown command ' '; help lists all"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        expect_refusal(cases[i].line, cases[i].answer);
    run("");
    run("   ");
    assert_int_equal(terminal.row, 1);
}

/* --- help and completion --- */

static void test_help(void **state)
{
    (void)state;
    run("help");
    expect("vm stop VM [--force]                   press its power button, or pull the plug");
    expect("poweroff [--force]");
    for (unsigned row = 0; row < VT100_ROWS; row++)
        if (terminal.cells[row][VT100_COLUMNS - 1] != ' ')
            fail_msg("too wide: %s", vt100_row(&terminal, row));
    run("help help");
    expect("help [COMMAND]");
    run("help vm stop");
    expect("vm stop VM [--force]");
    assert_false(vt100_shows(&terminal, "vm start"));
    run("help vm");
    expect("vm start VM");
    assert_false(vt100_shows(&terminal, "top"));
    run("help vm create");
    expect("  memory       RAM");
    run("help top");
    expect("top [-1]");
}

static void test_a_module_adds_a_command(void **state)
{
    static unsigned runs;
    static const struct shell_command pci[] = {{"pci", {{SHELL_NOTHING, NULL}}, "the devices", NULL}};

    (void)state;
    (void)runs;
    expect_refusal("pci", "unknown command 'pci'; ");
    shell_add_commands(pci, 1);
    run("help pci");
    expect("pci                                    the devices");
}

static void test_completion(void **state)
{
    static const struct {
        const char *typed, *row;
    } cases[] = {
        {"at\t", "rm> attach"},
        {"at\tw\t", "rm> attach web"},
        {"vm st\ta\t", "rm> vm start"},
        {"vm sta\td\t", "rm> vm start db"},
        {"vm stop web -\t", "rm> vm stop web --force"},
        {"vm start web \t", "rm> vm start web"},
        {"vm create x li\tw\tmem\t", "rm> vm create x like=web memory"},
        {"trace o\tf\tw\t", "rm> trace off web"},
        {"trace w\t", "rm> trace web"},
        {"log d\t", "rm> log debug"},
        {"help at\t", "rm> help attach"},
        {"nonsense \t", "rm> nonsense"},
        {" \t", "rm>"},
        {"vm start =\t", "rm> vm start ="},
        {"vm 'x y\t", "rm> vm 'x y"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        type("\x03\x0c");
        type(cases[i].typed);
        assert_string_equal(vt100_current_row(&terminal), cases[i].row);
    }
    type("\x03\x0c" "vm start \t");
    assert_string_equal(vt100_row(&terminal, 0), "web  db");
    assert_string_equal(vt100_row(&terminal, 1), "rm> vm start");
}

/* --- the line --- */

static void test_cancel(void **state)
{
    (void)state;
    run("vm start web");
    vt100_reset(&terminal);
    type("vm stop web --force\x03");
    assert_string_equal(vt100_row(&terminal, 1), "rm>");
    assert_int_equal(state_of("web"), VM_RUNNING);
}

/* A line that arrives in one piece is on the screen above its answer as if it had been typed, with all its keys. */
static void test_a_pasted_line_is_shown(void **state)
{
    static const char line[] = "log debug\r";
    uint8_t bytes[sizeof line];
    size_t count;

    (void)state;
    vt100_reset(&terminal);
    type("\x0c");
    console_input((const uint8_t *)line, sizeof line - 1);
    count = console_take_shell_input(bytes, sizeof bytes);
    shell_input(bytes, count);
    expect("rm> log debug");
    assert_string_equal(vt100_current_row(&terminal), "rm>");
}

static void test_lines_come_above_what_is_typed(void **state)
{
    (void)state;
    type("\x0cvm st");
    console_write("rm: event=vm-stop vm=web reason=shutdown\r\n", 42);
    console_guest_write(2, (const uint8_t *)"hello\n", 6);
    type("art web\r");
    assert_string_equal(vt100_row(&terminal, 0), "rm: event=vm-stop vm=web reason=shutdown");
    assert_string_equal(vt100_row(&terminal, 1), "[db] hello");
    assert_string_equal(vt100_row(&terminal, 2), "rm> vm start web");
    assert_string_equal(vt100_row(&terminal, 3), "web is running");
}

/* Lines of words that mean something and of bytes that do not: no crash, and only named VMs change. */
static void test_random_lines(void **state)
{
    static const char *const words[] = {"vm", "start", "stop", "pause", "resume", "web", "like=web", "trace",
                                        "on", "off", "top", "exits", "help",
                                        "\t", "q", "'", "\"", "\\", "=", "x", "--force", "-1", "create",
                                        "memory=1M", "log", "info", "list", "show"};
    uint32_t random = 7;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        random = random * 1664525 + 1013904223;
        type(words[(random >> 16) % ARRAY_SIZE(words)]);
        type(random >> 29 ? " " : "\r");
        if (random >> 24 == 0)
            shell_tick();
    }
    type("\x03q\x03");
    assert_int_equal(state_of("db"), VM_EMPTY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, shell_rig_set_up)
    const struct CMUnitTest tests[] = {
        TEST(test_wrong_commands),
        TEST(test_help),
        TEST(test_a_module_adds_a_command),
        TEST(test_completion),
        TEST(test_cancel),
        TEST(test_a_pasted_line_is_shown),
        TEST(test_lines_come_above_what_is_typed),
        TEST(test_random_lines),
    };
    return cmocka_run_group_tests(tests, shell_rig_start, NULL);
}
