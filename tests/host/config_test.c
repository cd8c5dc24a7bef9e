/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: what a user meant survives GRUB's and his own quoting; what he mistyped is named together
 * with what was expected; no text at all, however broken, is read past its end or written past a field.
 */
#include "tests/host/fake/fake.h"
#include "kernel/host_config.h"
#include <errno.h>

static struct config_pair pair;
static struct config_cursor cursor;

static void expect_pair(const char *key, const char *value)
{
    assert_int_equal(config_next(&cursor, &pair), 1);
    assert_string_equal(pair.key, key);
    assert_string_equal(pair.value, value);
}

static void expect_only(const char *line, const char *key, const char *value)
{
    cursor = config_open(line);
    expect_pair(key, value);
    assert_int_equal(config_next(&cursor, &pair), 0);
}

static void plain_tokens(void **state)
{
    (void)state;
    cursor = config_open("  vm=web\trole=kernel\r\n debug_exit memory=  ");
    expect_pair("vm", "web");
    expect_pair("role", "kernel");
    expect_pair("debug_exit", "1");
    expect_pair("memory", "");
    assert_int_equal(config_next(&cursor, &pair), 0);
    assert_int_equal(config_next(&cursor, &pair), 0);
    cursor = config_open("");
    assert_int_equal(config_next(&cursor, &pair), 0);
}

static void quotes_may_stand_anywhere(void **state)
{
    (void)state;
    expect_only("cmdline=\"a b=c\"", "cmdline", "a b=c");
    expect_only("\"cmdline=console=ttyS0 root=/dev/vda\"", "cmdline", "console=ttyS0 root=/dev/vda");
    expect_only("'cmdline=a b'", "cmdline", "a b");
    expect_only("cmd\"li\"ne=a' 'b\" \"c", "cmdline", "a b c");
    expect_only("a=\"it's\"", "a", "it's");
    expect_only("a='say \"x\"'", "a", "say \"x\"");
    expect_only("a=\"\"", "a", "");
}

static void escapes(void **state)
{
    (void)state;
    expect_only("a=b\\ c", "a", "b c");
    expect_only("\"a=\\\"x y\\\" \\\\ it\\'s\"", "a", "\"x y\" \\ it's");
    expect_only("a=dev\\x2dname\\xzz", "a", "dev\\x2dnamexzz");
    expect_only("a=\\x2", "a", "x2");
    expect_only("a=b\\", "a", "b\\");
    expect_only("a\\=b=c", "a", "b=c");
}

/* Arguments that were typed in a grub.cfg, as GRUB 2.06 put them into the boot information. */
static void what_grub_makes_of_arguments_is_undone(void **state)
{
    (void)state;
    expect_only("\"cmdline=console=ttyS0 root=/dev/vda x=\\'y z\\'\"", "cmdline",
                "console=ttyS0 root=/dev/vda x='y z'");
    expect_only("id=a\\\\x2db\\\\c\\\"d ", "id", "a\\x2db\\c\"d");
    expect_only("\"cmdline=say \\\"hi there\\\" it\\\\s \\\\x41 \\\\xzz\" ", "cmdline",
                "say \"hi there\" it\\s \\x41 \\xzz");
}

static void bad_tokens_are_stepped_over(void **state)
{
    char line[2 * CONFIG_VALUE_BYTES] = "k=";
    struct config_error error;

    (void)state;
    memset(line + 2, 'x', CONFIG_VALUE_BYTES);
    strcpy(line + 2 + CONFIG_VALUE_BYTES, " next=1");
    cursor = config_open(line);
    assert_int_equal(config_next(&cursor, &pair), -E2BIG);
    assert_int_equal(strlen(pair.value), CONFIG_VALUE_BYTES - 1);
    config_explain_token(&error, &pair, -E2BIG);
    assert_non_null(strstr(error.text, "too long"));
    expect_pair("next", "1");

    cursor = config_open("a_key_that_is_longer_than_any_key=1 =2 \"\" b=\"open c=3");
    assert_int_equal(config_next(&cursor, &pair), -E2BIG);
    assert_int_equal(config_next(&cursor, &pair), -EINVAL);
    config_explain_token(&error, &pair, -EINVAL);
    assert_string_equal(error.text, "=2: expected a key before =");
    assert_int_equal(config_next(&cursor, &pair), -EINVAL);
    assert_int_equal(config_next(&cursor, &pair), -EINVAL);
    config_explain_token(&error, &pair, -EINVAL);
    assert_string_equal(error.text, "b=open c=3: the quote never ends");
    assert_int_equal(config_next(&cursor, &pair), 0);
}

/* --- values --- */

struct object {
    bool flag;
    unsigned number, choice, choices;
    uint64_t size, address, cpus;
    char text[5], after_text;
    char name[9], after_name;
};

static const struct config_choice colors[] = {{"red", 1}, {"green", 2}, {"blue", 4}, {NULL, 0}};

#define AT(field) offsetof(struct object, field)
static const struct config_key keys[] = {
    {"flag", CONFIG_FLAG, AT(flag), 0, 1, NULL, ""},
    {"number", CONFIG_NUMBER, AT(number), 1, 64, NULL, ""},
    {"size", CONFIG_SIZE, AT(size), MIB(1), GIB(1024), NULL, ""},
    {"address", CONFIG_ADDRESS, AT(address), 0, 0xffffffff, NULL, ""},
    {"choice", CONFIG_CHOICE, AT(choice), 0, 0, colors, ""},
    {"choices", CONFIG_CHOICES, AT(choices), 0, 0, colors, ""},
    {"cpus", CONFIG_CPU_LIST, AT(cpus), 0, 0, NULL, ""},
    {"text", CONFIG_TEXT, AT(text), 0, 4, NULL, ""},
    {"name", CONFIG_NAME, AT(name), 0, 8, NULL, ""},
};
static const struct config_table table = CONFIG_TABLE(keys);

static struct object object;
static struct config_error error;

static int set_up(void **state)
{
    (void)state;
    memset(&object, 0, sizeof object);
    object.after_text = object.after_name = '!';
    memset(&error, 0, sizeof error);
    return 0;
}

static int store(const char *line)
{
    cursor = config_open(line);
    assert_int_equal(config_next(&cursor, &pair), 1);
    assert_non_null(config_find(&table, pair.key));
    return config_store(config_find(&table, pair.key), &object, &pair, &error);
}

static void good_values_are_stored(void **state)
{
    (void)state;
    assert_int_equal(store("flag=1"), 0);
    assert_true(object.flag);
    assert_int_equal(store("flag=0"), 0);
    assert_false(object.flag);
    assert_int_equal(store("number=0x40"), 0);
    assert_int_equal(object.number, 64);
    assert_int_equal(store("size=256M"), 0);
    assert_int_equal(object.size, MIB(256));
    assert_int_equal(store("size=1t"), 0);
    assert_int_equal(object.size, GIB(1024));
    assert_int_equal(store("size=1048576"), 0);
    assert_int_equal(object.size, MIB(1));
    assert_int_equal(store("size=1028k"), 0);
    assert_int_equal(object.size, KIB(1028));
    assert_int_equal(store("address=0x7c00"), 0);
    assert_int_equal(object.address, 0x7c00);
    assert_int_equal(store("choice=green"), 0);
    assert_int_equal(object.choice, 2);
    assert_int_equal(store("choices=blue,red"), 0);
    assert_int_equal(object.choices, 5);
    assert_int_equal(store("text=abcd"), 0);
    assert_string_equal(object.text, "abcd");
    assert_int_equal(store("text="), 0);
    assert_string_equal(object.text, "");
    assert_int_equal(store("name=a-z_0123"), 0);
    assert_string_equal(object.name, "a-z_0123");
    assert_int_equal(object.after_text, '!');
    assert_int_equal(object.after_name, '!');
}

static void cpu_lists(void **state)
{
    static const struct {
        const char *text;
        uint64_t mask;
    } good[] = {{"cpus=0", 1},        {"cpus=1,2", 6},     {"cpus=0-3,6", 0x4f},
                {"cpus=0-63", ~0ull}, {"cpus=63", BIT(63)}, {"cpus=1-1,1", 2}};
    static const char *const bad[] = {"cpus=",    "cpus=64", "cpus=1,",  "cpus=,1", "cpus=3-1",
                                      "cpus=1-",  "cpus=-1", "cpus=all", "cpus=1-2-3",
                                      "cpus=1;2", "cpus=0-64"};
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(store(good[i].text), 0);
        assert_int_equal(object.cpus, good[i].mask);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(store(bad[i]), -EINVAL);
    assert_string_equal(error.text, "cpus=0-64: expected CPU numbers up to 63, like 1,2 or 0-3");
}

static void bad_values_are_named_and_not_stored(void **state)
{
    static const struct {
        const char *line, *message;
    } cases[] = {
        {"flag=yes", "flag=yes: expected 0 or 1"},
        {"flag=10", "flag=10: expected 0 or 1"},
        {"flag=", "flag=: expected 0 or 1"},
        {"number=0", "number=0: expected a number from 1 to 64"},
        {"number=65", NULL},
        {"number=1x", NULL},
        {"number=", NULL},
        {"number=0x", NULL},
        {"number=-1", NULL},
        {"number=99999999999999999999", NULL},
        {"number=18446744073709551617", NULL},
        {"number=4294967297", NULL},
        {"size=12Q", "size=12Q: expected a size like 256M, whole pages, from 1M to 1T"},
        {"size=12MB", NULL},
        {"size=M", NULL},
        {"size=1000000K1", NULL},
        {"size=1M ", NULL},
        {"size=0", NULL},
        {"size=1049000", NULL}, /* not whole pages */
        {"size=17592186044672M", NULL}, /* 2^64 + 256M */
        {"size=4398046511104G", NULL},
        {"address=7c00h",
         "address=7c00h: expected an address like 0x7c00, from 0x0 to 0xffffffff"},
        {"address=0x100000000", NULL},
        {"choice=pink", "choice=pink: expected red, green or blue"},
        {"choice=re", NULL},
        {"choice=redd", NULL},
        {"choice=", NULL},
        {"choices=red,,blue",
         "choices=red,,blue: expected a list with commas of red, green or blue"},
        {"choices=red,", NULL},
        {"text=abcde", "text=abcde: expected at most 4 characters"},
        {"name=Web", "name=Web: expected a name of a-z, 0-9, _ and -, of at most 8 characters"},
        {"name=", NULL},
        {"name=a.b", NULL},
        {"name=123456789", NULL},
    };
    struct object before = object;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        if (strcmp(cases[i].line, "size=1M ") == 0)
            assert_int_equal(store("\"size=1M \""), -EINVAL);
        else
            assert_int_equal(store(cases[i].line), -EINVAL);
        if (cases[i].message)
            assert_string_equal(error.text, cases[i].message);
        assert_memory_equal(&object, &before, sizeof object);
    }
}

static void messages_are_bounded_and_printable(void **state)
{
    char line[1200] = "choice=a\n\x1b[2J";

    (void)state;
    assert_int_equal(store("'choice=a\n\x1b[2J'"), -EINVAL);
    assert_string_equal(error.text, "choice=a??[2J: expected red, green or blue");
    memset(line + 7, 'y', 1000);
    assert_int_equal(store(line), -EINVAL);
    assert_true(strlen(error.text) < CONFIG_ERROR_BYTES);
    assert_non_null(strstr(error.text, "expected red"));
    config_explain(&error, "%0500d", 1);
    assert_int_equal(strlen(error.text), CONFIG_ERROR_BYTES - 1);
}

static void choices_have_names(void **state)
{
    (void)state;
    assert_string_equal(config_choice_name(colors, 4), "blue");
    assert_string_equal(config_choice_name(colors, 3), "?");
}

static void unknown_keys_are_not_found(void **state)
{
    (void)state;
    assert_null(config_find(&table, "fla"));
    assert_null(config_find(&table, "flagg"));
    assert_null(config_find(&table, ""));
}

/* --- the hypervisor's command line --- */

static struct host_config host;

static void the_empty_command_line_means_defaults(void **state)
{
    (void)state;
    assert_int_equal(host_config_parse("", &host), 0);
    assert_int_equal(host.log_level, LOG_INFO);
    assert_int_equal(host.on_idle, ON_IDLE_SHELL);
    assert_int_equal(host.consoles, HOST_CONSOLE_ALL);
    assert_int_equal(host.max_cpus, HOST_CPUS_MAX);
    assert_true(host.vpid && host.tpr_shadow && host.apicv && host.apic_register_virtualization &&
                host.virtual_interrupt_delivery && host.x2apic && host.ept_large_pages &&
                host.preemption_timer);
    assert_false(host.unsafe_dma);
}

static void every_key_of_the_command_line_is_heard(void **state)
{
    (void)state;
    assert_int_equal(host_config_parse("log=debug on_idle=poweroff console=com1,e9 max_cpus=2 vpid=0 "
                                       "tpr_shadow=0 x2apic=0 ept_large_pages=0 preemption_timer=0 "
                                       "unsafe_dma apic_register_virtualization=0",
                                       &host),
                     0);
    assert_int_equal(host.log_level, LOG_DEBUG);
    assert_int_equal(host.on_idle, ON_IDLE_POWEROFF);
    assert_int_equal(host.consoles, HOST_CONSOLE_COM1 | HOST_CONSOLE_E9);
    assert_int_equal(host.max_cpus, 2);
    assert_false(host.vpid || host.tpr_shadow || host.x2apic || host.ept_large_pages ||
                 host.preemption_timer || host.apic_register_virtualization);
    assert_true(host.unsafe_dma && host.virtual_interrupt_delivery);
}

static void apicv_off_takes_its_parts_along(void **state)
{
    (void)state;
    assert_int_equal(host_config_parse("apicv=0 virtual_interrupt_delivery=1", &host), 0);
    assert_false(host.apic_register_virtualization || host.virtual_interrupt_delivery);
    assert_true(host.tpr_shadow);
}

static void what_is_wrong_is_ignored_by_name_and_later_wins(void **state)
{
    (void)state;
    fake_log_count = 0;
    assert_int_equal(host_config_parse("max_cpus=8 vpdi=0 max_cpus=100 =1 log=warn log=\"error", &host),
                     4);
    assert_int_equal(fake_log_count, 4);
    assert_int_equal(host.max_cpus, 8);
    assert_int_equal(host.log_level, LOG_WARN);
    assert_int_equal(host_config_parse("vpdi=0", &host), 1);
    assert_string_equal(fake_log_last, "command line: vpdi: no such key (ignored)");
    assert_int_equal(host_config_parse("max_cpus=8 max_cpus=4", &host), 0);
    assert_int_equal(host.max_cpus, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_tokens),
        cmocka_unit_test(quotes_may_stand_anywhere),
        cmocka_unit_test(escapes),
        cmocka_unit_test(what_grub_makes_of_arguments_is_undone),
        cmocka_unit_test(bad_tokens_are_stepped_over),
        cmocka_unit_test_setup(good_values_are_stored, set_up),
        cmocka_unit_test_setup(cpu_lists, set_up),
        cmocka_unit_test_setup(bad_values_are_named_and_not_stored, set_up),
        cmocka_unit_test_setup(messages_are_bounded_and_printable, set_up),
        cmocka_unit_test(choices_have_names),
        cmocka_unit_test(unknown_keys_are_not_found),
        cmocka_unit_test(the_empty_command_line_means_defaults),
        cmocka_unit_test(every_key_of_the_command_line_is_heard),
        cmocka_unit_test(apicv_off_takes_its_parts_along),
        cmocka_unit_test(what_is_wrong_is_ignored_by_name_and_later_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
