/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: from a good boot information everything is found; from any other nothing outside the given
 * bytes is read, what makes sense is kept, and the rest is named in the log. Each case runs on an
 * exact heap copy, so that the sanitizer sees a read one byte too far.
 */
#include "tests/host/fake/fake.h"
#include "kernel/multiboot2.h"
#include "kernel/lib/bytes.h"
#include <errno.h>

static uint8_t mbi[16384];
static size_t used;
static struct boot_info info;
static void *copy;

static int set_up(void **state)
{
    (void)state;
    memset(mbi, 0, sizeof mbi);
    used = 8;
    fake_log_count = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(copy);
    copy = NULL;
    return 0;
}

static uint8_t *add_tag(uint32_t type, uint32_t size, const void *payload, size_t payload_bytes)
{
    uint8_t *tag = mbi + used;

    put_le32(tag, type);
    put_le32(tag + 4, size);
    if (payload)
        memcpy(tag + 8, payload, payload_bytes);
    used += (size + 7) & ~7u;
    assert_true(used < sizeof mbi);
    return tag;
}

static void add_string(uint32_t type, const char *text)
{
    add_tag(type, 8 + (uint32_t)strlen(text) + 1, text, strlen(text) + 1);
}

static void add_module(uint32_t start, uint32_t end, const char *text)
{
    uint8_t *tag = add_tag(3, 16 + (uint32_t)strlen(text) + 1, NULL, 0);

    put_le32(tag + 8, start);
    put_le32(tag + 12, end);
    strcpy((char *)tag + 16, text);
}

static uint8_t *add_mmap(uint32_t entries, uint32_t entry_size)
{
    uint8_t *tag = add_tag(6, 16 + entries * entry_size, NULL, 0);

    put_le32(tag + 8, entry_size);
    for (uint32_t i = 0; i < entries && entry_size >= 24; i++) {
        put_le64(tag + 16 + i * entry_size, 0x100000 * i);
        put_le64(tag + 16 + i * entry_size + 8, 0x1000);
        put_le32(tag + 16 + i * entry_size + 16, i);
    }
    return tag;
}

static uint8_t *add_framebuffer(uint8_t type, uint8_t bits)
{
    static const uint8_t rgb[6] = {16, 8, 8, 8, 0, 8};
    uint8_t *tag = add_tag(8, 38, NULL, 0);

    put_le64(tag + 8, 0xfd000000);
    put_le32(tag + 16, 4096);
    put_le32(tag + 20, 1024);
    put_le32(tag + 24, 768);
    tag[28] = bits;
    tag[29] = type;
    memcpy(tag + 32, rgb, sizeof rgb);
    return tag;
}

static int parse_bytes(size_t size)
{
    free(copy);
    copy = malloc(size ? size : 1);
    memcpy(copy, mbi, size);
    return multiboot2_parse(copy, size, &info);
}

static int parse(void)
{
    add_tag(0, 8, NULL, 0);
    put_le32(mbi, (uint32_t)used);
    return parse_bytes(used);
}

static void everything_is_found(void **state)
{
    uint8_t rsdp[36] = "RSD PTR ", efi[8] = {0x78, 0x56, 0x34, 0x12, 1};

    (void)state;
    add_string(1, "log=debug on_idle=poweroff");
    add_string(2, "GRUB 2.06");
    add_module(0x200000, 0x200123, "vm=a role=kernel");
    add_module(0x300000, 0x300000, "");
    add_mmap(7, 24);
    add_framebuffer(1, 32);
    add_tag(14, 8 + 20, rsdp, 20);
    rsdp[15] = 2;
    add_tag(15, 8 + 36, rsdp, 36);
    add_tag(12, 16, efi, 8);
    add_tag(18, 8, NULL, 0);
    add_tag(4, 16, NULL, 0);    /* basic memory: of no interest */
    add_tag(4711, 12, NULL, 0); /* unknown */
    assert_int_equal(parse(), 0);

    assert_string_equal(info.command_line, "log=debug on_idle=poweroff");
    assert_string_equal(info.loader_name, "GRUB 2.06");
    assert_int_equal(info.module_count, 2);
    assert_int_equal(info.modules[0].start.value, 0x200000);
    assert_int_equal(info.modules[0].size, 0x123);
    assert_string_equal(info.modules[0].command_line, "vm=a role=kernel");
    assert_int_equal(info.modules[1].size, 0);
    assert_string_equal(info.modules[1].command_line, "");
    assert_true(info.has_framebuffer);
    assert_int_equal(info.framebuffer.address.value, 0xfd000000);
    assert_int_equal(info.framebuffer.pitch_bytes, 4096);
    assert_int_equal(info.framebuffer.width, 1024);
    assert_int_equal(info.framebuffer.height, 768);
    assert_int_equal(info.framebuffer.bits_per_pixel, 32);
    assert_int_equal(info.framebuffer.red.position, 16);
    assert_int_equal(info.framebuffer.blue.position, 0);
    assert_int_equal(info.framebuffer.green.bits, 8);
    assert_int_equal(info.rsdp_bytes, 36);
    assert_int_equal(((const uint8_t *)info.rsdp)[15], 2);
    assert_true(info.has_efi64);
    assert_false(info.has_efi32);
    assert_int_equal(info.efi_system_table.value, 0x112345678);
    assert_true(info.is_efi_boot_services_active);
    assert_int_equal(fake_log_count, 0);
}

static void memory_types_are_translated(void **state)
{
    static const enum memmap_type expected[] = {MEMMAP_RESERVED,         MEMMAP_USABLE,
                                                MEMMAP_RESERVED,         MEMMAP_ACPI_RECLAIMABLE,
                                                MEMMAP_ACPI_NVS,         MEMMAP_BAD,
                                                MEMMAP_RESERVED};
    (void)state;
    add_mmap(7, 24);
    assert_int_equal(parse(), 0);
    assert_int_equal(info.memory_count, 7);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(info.memory[i].type, expected[i]);
        assert_int_equal(info.memory[i].start.value, 0x100000 * i);
        assert_int_equal(info.memory[i].size, 0x1000);
    }
}

static void longer_memory_entries_are_stepped_over(void **state)
{
    (void)state;
    add_mmap(3, 40);
    assert_int_equal(parse(), 0);
    assert_int_equal(info.memory_count, 3);
    assert_int_equal(info.memory[2].start.value, 0x200000);
}

static void odd_memory_maps(void **state)
{
    uint8_t *tag;

    (void)state;
    add_mmap(3, 8); /* too short to hold the fields */
    tag = add_mmap(1, 24);
    put_le32(tag + 8, 0); /* would never advance */
    tag = add_mmap(1, 24);
    put_le32(tag + 8, 0xfffffff8);
    tag = add_mmap(2, 24);
    put_le32(tag + 4, 16 + 24 + 23); /* the last entry is cut off */
    assert_int_equal(parse(), 0);
    assert_int_equal(info.memory_count, 1);
    assert_int_equal(fake_log_count, 3);
}

static void nothing_there_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(parse(), 0);
    assert_string_equal(info.command_line, "");
    assert_string_equal(info.loader_name, "");
    assert_null(info.rsdp);
    assert_false(info.has_framebuffer);
}

static void an_efi32_table_is_told_apart(void **state)
{
    uint8_t table[4] = {0, 0, 0, 0x80};

    (void)state;
    add_tag(11, 12, table, 4);
    assert_int_equal(parse(), 0);
    assert_true(info.has_efi32);
    assert_int_equal(info.efi_system_table.value, 0x80000000);
}

static void strings_without_an_end_are_ignored(void **state)
{
    (void)state;
    add_tag(1, 8 + 4, "abcd", 4);
    add_tag(2, 8 + 8, "abcdefgh", 8);
    memset(add_tag(3, 16 + 8, NULL, 0) + 16, 'x', 8);
    assert_int_equal(parse(), 0);
    assert_string_equal(info.command_line, "");
    assert_string_equal(info.loader_name, "");
    assert_int_equal(info.module_count, 0);
    assert_int_equal(fake_log_count, 3);
}

static void an_old_rsdp_does_not_replace_a_new_one(void **state)
{
    uint8_t rsdp[36] = {1};

    (void)state;
    add_tag(15, 8 + 36, rsdp, 36);
    add_tag(14, 8 + 20, rsdp, 20);
    assert_int_equal(parse(), 0);
    assert_int_equal(info.rsdp_bytes, 36);
}

static void impossible_framebuffers_are_ignored(void **state)
{
    static const struct {
        unsigned offset;
        uint8_t value;
    } spoils[] = {{17, 0} /* pitch */, {29, 3}, {28, 0},  {28, 33}, {28, 64},
                  {33, 0},             {33, 9}, {32, 25}, {25, 0} /* height */};
    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(spoils); i++) {
        uint8_t *tag;

        set_up(NULL);
        tag = add_framebuffer(1, 32);
        tag[spoils[i].offset] = spoils[i].value;
        assert_int_equal(parse(), 0);
        assert_false(info.has_framebuffer);
        assert_int_equal(fake_log_count, 1);
    }
}

static void a_text_screen_needs_no_colors(void **state)
{
    uint8_t *tag = add_framebuffer(2, 16);

    (void)state;
    put_le32(tag + 4, 31); /* ends before color_info */
    used -= 8;
    put_le32(tag + 16, 160);
    put_le32(tag + 20, 80);
    put_le32(tag + 24, 25);
    assert_int_equal(parse(), 0);
    assert_true(info.has_framebuffer);
    assert_int_equal(info.framebuffer.type, BOOT_FRAMEBUFFER_EGA_TEXT);
}

static void too_many_modules_are_named(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < BOOT_MODULES_MAX; i++)
        add_module(i, i + 1, "m");
    add_module(1, 2, "vm=last");
    add_module(9, 8, "vm=backwards");
    assert_int_equal(parse(), 0);
    assert_int_equal(info.module_count, BOOT_MODULES_MAX);
    assert_int_equal(fake_log_count, 2);
    assert_non_null(strstr(fake_log_last, "vm=backwards"));
}

static void too_many_memory_ranges_are_named(void **state)
{
    (void)state;
    add_mmap(BOOT_MEMORY_MAX + 2, 24);
    assert_int_equal(parse(), 0);
    assert_int_equal(info.memory_count, BOOT_MEMORY_MAX);
    assert_int_equal(fake_log_count, 1);
}

static void known_tags_that_are_too_short_are_skipped(void **state)
{
    static const uint32_t types[] = {1, 2, 3, 6, 8, 11, 12, 14, 15};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        add_tag(types[i], 8, NULL, 0);
    assert_int_equal(parse(), 0);
    assert_int_equal(fake_log_count, ARRAY_SIZE(types));
}

static void a_broken_chain_is_refused(void **state)
{
    static const uint32_t sizes[] = {0, 7, 0x7fffffff, 0xffffffff};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        set_up(NULL);
        put_le32(add_tag(1, 16, "x", 2) + 4, sizes[i]);
        assert_int_equal(parse(), -EINVAL);
    }
    set_up(NULL);
    add_string(1, "no end tag follows");
    put_le32(mbi, (uint32_t)used);
    assert_int_equal(parse_bytes(used), -EINVAL);
    put_le32(mbi, (uint32_t)used + 1); /* claims more than there is */
    assert_int_equal(parse_bytes(used), -EINVAL);
    put_le32(mbi, 4);
    assert_int_equal(parse_bytes(used), -EINVAL);
    for (size_t size = 0; size < 16; size++)
        assert_int_equal(parse_bytes(size), -EINVAL);
}

/* Every truncation and many mutations: the sanitizers are the judge. */
static void damaged_information_is_survived(void **state)
{
    (void)state;
    add_string(1, "console=com1");
    add_module(1, 2, "vm=a role=kernel");
    add_mmap(4, 24);
    add_framebuffer(1, 32);
    add_tag(15, 44, NULL, 0);
    (void)parse();
    srand(2);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t *at = mbi + (unsigned)rand() % used, saved = *at;

        *at = (uint8_t)rand();
        (void)parse_bytes(round % 2 ? used : (size_t)rand() % used);
        assert_true(info.memory_count <= BOOT_MEMORY_MAX);
        *at = saved;
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_found),
        TEST(memory_types_are_translated),
        TEST(longer_memory_entries_are_stepped_over),
        TEST(odd_memory_maps),
        TEST(nothing_there_is_no_error),
        TEST(an_efi32_table_is_told_apart),
        TEST(strings_without_an_end_are_ignored),
        TEST(an_old_rsdp_does_not_replace_a_new_one),
        TEST(impossible_framebuffers_are_ignored),
        TEST(a_text_screen_needs_no_colors),
        TEST(too_many_modules_are_named),
        TEST(too_many_memory_ranges_are_named),
        TEST(known_tags_that_are_too_short_are_skipped),
        TEST(a_broken_chain_is_refused),
        TEST(damaged_information_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
