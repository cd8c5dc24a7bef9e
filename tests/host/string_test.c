/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: the freestanding functions agree with libc's for every length, offset and overlap that is
 * small enough to try them all. They come in by inclusion under other names, because libc's are in
 * use here.
 */
#include "tests/host/fake/fake.h"

#define memcpy  ring_memcpy
#define memmove ring_memmove
#define memset  ring_memset
#define memcmp  ring_memcmp
#define strlen  ring_strlen
#define strnlen ring_strnlen
#define strcmp  ring_strcmp
#define strncmp ring_strncmp
#define strchr  ring_strchr
#include "kernel/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define BYTES 40u

static void fill(uint8_t *bytes)
{
    for (unsigned i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
}

static void test_moves_with_every_overlap(void **state)
{
    uint8_t ours[BYTES], theirs[BYTES];

    (void)state;
    for (unsigned from = 0; from < 20; from++)
        for (unsigned to = 0; to < 20; to++)
            for (unsigned size = 0; size <= 20; size++) {
                fill(ours);
                fill(theirs);
                memmove(theirs + to, theirs + from, size);
                assert_ptr_equal(ring_memmove(ours + to, ours + from, size), ours + to);
                assert_memory_equal(ours, theirs, BYTES);
            }
}

static void test_copies_and_fills(void **state)
{
    uint8_t source[BYTES], ours[BYTES], theirs[BYTES];

    (void)state;
    fill(source);
    for (unsigned size = 0; size <= BYTES; size++) {
        fill(ours);
        fill(theirs);
        assert_ptr_equal(ring_memset(ours, -2 - (int)size, size), ours);
        memset(theirs, -2 - (int)size, size);
        assert_memory_equal(ours, theirs, BYTES);
        assert_ptr_equal(ring_memcpy(ours, source, size), ours);
        memcpy(theirs, source, size);
        assert_memory_equal(ours, theirs, BYTES);
    }
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* All strings of up to three characters out of a set with a negative char, against each other. */
static const char *const words[] = {"",      "a",     "b",   "\x80", "ab",     "aa",
                                    "a\xff", "\x80g", "abc", "abd",  "ab\x80", "aba"};

static void test_comparisons(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(words); j++) {
            const char *a = words[i], *b = words[j];
            size_t common = MIN(strlen(a), strlen(b)) + 1;

            assert_int_equal(sign(ring_strcmp(a, b)), sign(strcmp(a, b)));
            assert_int_equal(sign(ring_memcmp(a, b, common)), sign(memcmp(a, b, common)));
            for (size_t limit = 0; limit < 5; limit++)
                assert_int_equal(sign(ring_strncmp(a, b, limit)), sign(strncmp(a, b, limit)));
        }
}

static void test_lengths_and_searches(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        assert_int_equal(ring_strlen(words[i]), strlen(words[i]));
        for (size_t limit = 0; limit < 5; limit++)
            assert_int_equal(ring_strnlen(words[i], limit), strnlen(words[i], limit));
        for (int c = -128; c < 256; c++)
            assert_ptr_equal(ring_strchr(words[i], c), strchr(words[i], c));
    }
}

/* What has no end is read up to the limit and no further: ASan watches the byte behind. */
static void test_limits_are_kept(void **state)
{
    char *block = malloc(4);

    (void)state;
    memcpy(block, "abcd", 4);
    assert_int_equal(ring_strnlen(block, 4), 4);
    assert_int_equal(ring_strncmp(block, "abcd", 4), 0);
    assert_int_equal(ring_memcmp(block, "abcd", 4), 0);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_with_every_overlap),
        cmocka_unit_test(test_copies_and_fills),
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_lengths_and_searches),
        cmocka_unit_test(test_limits_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
