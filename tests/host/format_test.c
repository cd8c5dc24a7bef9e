/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: every conversion, flag, width, precision and length gives what libc's snprintf gives, at
 * every buffer size, and never touches a byte behind the buffer. Where we differ on purpose (# of
 * 0, %p), the header says so and so does a test.
 */
#include "tests/host/fake/fake.h"
#include "kernel/lib/format.h"
#include <limits.h>

#define GUARD 0x5a

static char ours[512], theirs[512];

/* Compares the whole text and each truncation; size is the exact end of a heap block, for ASan. */
#define assert_same(...)                                                       \
    do {                                                                       \
        int length = snprintf(theirs, sizeof theirs, __VA_ARGS__);             \
        assert_int_equal(format_text(ours, sizeof ours, __VA_ARGS__), length); \
        assert_string_equal(ours, theirs);                                     \
        for (size_t size = 1; size <= (size_t)length + 1; size++) {            \
            char *exact = malloc(size), expected[512];                         \
            snprintf(expected, size, __VA_ARGS__);                             \
            assert_int_equal(format_text(exact, size, __VA_ARGS__), length);   \
            assert_string_equal(exact, expected);                              \
            free(exact);                                                       \
        }                                                                      \
        assert_int_equal(format_text(NULL, 0, __VA_ARGS__), length);           \
    } while (0)

/* The compiler's own check wants literals, so each format is spelled out for each value. */
#define assert_same_int(v)                                                                         \
    do {                                                                                           \
        assert_same("%d", v);                                                                      \
        assert_same("<%i>", v);                                                                    \
        assert_same("%u", (unsigned)(v));                                                          \
        assert_same("%x|%X", (unsigned)(v), (unsigned)(v));                                        \
        assert_same("%12d|%-12d|%012d", v, v, v);                                                  \
        assert_same("%1d|%-1d|%01d", v, v, v);                                                     \
        assert_same("%08x|%-8x|%8x", (unsigned)(v), (unsigned)(v), (unsigned)(v));                 \
        assert_same("%hd|%hu|%hx", (short)(v), (unsigned short)(v), (unsigned short)(v));          \
        assert_same("%hhd|%hhu|%02hhx", (signed char)(v), (unsigned char)(v), (unsigned char)(v)); \
        assert_same("%*d|%-*d|%0*d", 9, v, 9, v, 9, v);                                            \
        assert_same("%*d|%*u", -9, v, -9, (unsigned)(v));                                          \
    } while (0)

static void test_integers(void **state)
{
    static const int values[] = {0,   1,    -1,    7,         -10,     42,     255,
                                 256, -129, 65535, 123456789, INT_MAX, INT_MIN};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
        assert_same_int(values[i]);
}

static void test_long_integers(void **state)
{
    static const long values[] = {0,        1,       -1, INT_MAX + 1l, INT_MIN - 1l, 0x7fffffffff,
                                  LONG_MAX, LONG_MIN};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        long v = values[i];

        assert_same("%ld|%li|%lu|%lx|%lX", v, v, v, v, v);
        assert_same("%lld|%llu|%llx", (long long)v, (long long)v, (long long)v);
        assert_same("%zd|%zu|%zx", (ssize_t)v, (size_t)v, (size_t)v);
        assert_same("%25ld|%-25ld|%025ld", v, v, v);
        assert_same("%016lx|%-20lx|%20lx", v, v, v);
    }
}

/* "h" takes the low half of what was promoted to int, whatever else the caller left in it. */
static void test_short_lengths_cut_the_argument(void **state)
{
    const char *volatile formats[] = {"%hx", "%hhx", "%hd", "%hhd", "%hu"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        snprintf(theirs, sizeof theirs, formats[i], 0x1238fff);
        format_text(ours, sizeof ours, formats[i], 0x1238fff);
        assert_string_equal(ours, theirs);
    }
}

static void test_hexadecimal_prefix(void **state)
{
    (void)state;
    assert_same("%#x|%#lx", 1u, 0xabcdef0123456789ul);
    assert_same("%#10x|%-#10x|%#010x", 0xbeefu, 0xbeefu, 0xbeefu);
}

/* An address of 0 looks like an address. */
static void test_the_prefix_is_always_0x(void **state)
{
    (void)state;
    assert_int_equal(
        format_text(ours, sizeof ours, "%#x %#X %p %p", 0u, 0xabu, (void *)0, (void *)0xabc), 18);
    assert_string_equal(ours, "0x0 0xAB 0x0 0xabc");
}

static void test_strings(void **state)
{
    const char *volatile none = NULL;
    char unterminated[3] = {'a', 'b', 'c'};

    (void)state;
    assert_same("%s", "");
    assert_same("%s and %s", "one", "other");
    assert_same("%10s|%-10s|%2s", "word", "word", "word");
    assert_same("%.2s|%.0s|%.s|%.9s", "word", "word", "word", "word");
    assert_same("%*.*s|%-*.*s", 6, 2, "word", 6, 2, "word");
    assert_same("%.*s", -1, "the whole");
    assert_same("%*s|", -8, "left");
    assert_same("%.3s", unterminated);
    format_text(ours, sizeof ours, "%s", none);
    assert_string_equal(ours, "(null)");
}

static void test_characters_and_percent(void **state)
{
    (void)state;
    assert_same("%c%c%c", 'a', 'b', '\n');
    assert_same("%5c|%-5c|", 'x', 'x');
    assert_same("100%% of %d%%", 7);
    assert_same("%s", "no conversion in the argument: %d");
}

/* A format that ends within a conversion: ours never reads behind its end. */
static void test_a_format_that_ends_too_early(void **state)
{
    const char *volatile formats[] = {"a%",   "a%-", "a%0",  "a%12", "a%.",
                                      "a%.3", "a%l", "a%ll", "a%#"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(formats); i++) {
        char *copy = strdup(formats[i]);
        assert_int_equal(format_text(ours, sizeof ours, copy, 0), 1);
        assert_string_equal(ours, "a");
        free(copy);
    }
}

static void test_the_bytes_behind_stay(void **state)
{
    (void)state;
    memset(ours, GUARD, sizeof ours);
    assert_int_equal(format_text(ours, 8, "%s", "0123456789"), 10);
    assert_string_equal(ours, "0123456");
    assert_int_equal(ours[8], GUARD);
    assert_int_equal(format_text(ours + 16, 0, "%s", "x"), 1);
    assert_int_equal(ours[16], GUARD);
}

/* A width is often an argument: a wrong one may cost time, but not for ever. */
static void test_a_huge_width_ends(void **state)
{
    (void)state;
    assert_int_equal(format_text(ours, 4, "%*d", 100000, 1), 100000);
    assert_int_equal(format_text(ours, sizeof ours, "%*d|", -3, 1), 4);
    assert_string_equal(ours, "1  |");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_long_integers),
        cmocka_unit_test(test_short_lengths_cut_the_argument),
        cmocka_unit_test(test_hexadecimal_prefix),
        cmocka_unit_test(test_the_prefix_is_always_0x),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_characters_and_percent),
        cmocka_unit_test(test_a_format_that_ends_too_early),
        cmocka_unit_test(test_the_bytes_behind_stay),
        cmocka_unit_test(test_a_huge_width_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
