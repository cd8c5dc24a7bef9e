/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: both ELF classes are read alike, each segment goes to its physical address or the file is refused,
 * and no field, however large, leads outside of the file or of guest RAM.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "tests/host/fake/elf_image.h"
#include "arch/x86/guest/elf.h"
#include "kernel/lib/bytes.h"

static struct fake_elf file;
static struct fake_guest guest;
static struct elf elf;
static const char *why;

/* High virtual, low physical addresses, and 256 bytes that are not in the file. */
static const Elf64_Phdr text = {.p_type = PT_LOAD, .p_offset = 1024, .p_vaddr = 0xc0100000, .p_paddr = 0x100000,
                                .p_filesz = 768, .p_memsz = 1024};

static int set_up(void **state)
{
    (void)state;
    fake_guest_init(&guest, MIB(4));
    fake_elf_init(&file, true, 0xc0100010);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static bool parse(void)
{
    struct guest_image image = fake_elf_image(&file);

    why = NULL;
    return elf_parse(&elf, &image, &why);
}

static bool load(void)
{
    struct boot_job job;
    bool done;

    assert_true(parse());
    boot_job_init(&job, &guest.request);
    done = elf_load(&elf, &job);
    why = job.why;
    return done;
}

static void both_classes_load_alike(void **state)
{
    static const uint8_t zeroes[256];

    (void)state;
    for (int is_64 = 0; is_64 <= 1; is_64++) {
        uint64_t entry;

        fake_elf_init(&file, is_64, 0xc0100010);
        fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_GNU_STACK});
        fake_elf_add_segment(&file, text);
        assert_true(load());
        assert_int_equal(elf.segment_count, 1);
        assert_memory_equal(fake_guest_at(&guest, 0x100000, 768), file.bytes + 1024, 768);
        assert_memory_equal(fake_guest_at(&guest, 0x100300, 256), zeroes, 256);
        assert_true(elf_entry_physical(&elf, &entry));
        assert_int_equal(entry, 0x100010);
    }
}

static void an_entry_may_be_physical_but_must_be_somewhere(void **state)
{
    uint64_t entry;

    (void)state;
    fake_elf_init(&file, true, 0x100020);
    fake_elf_add_segment(&file, text);
    assert_true(parse());
    assert_true(elf_entry_physical(&elf, &entry));
    assert_int_equal(entry, 0x100020);
    fake_elf_init(&file, true, 0x100400);
    fake_elf_add_segment(&file, text);
    assert_true(parse());
    assert_false(elf_entry_physical(&elf, &entry));
}

static void refuse_parse(const char *text_of_why)
{
    assert_false(parse());
    assert_non_null(why);
    if (!strstr(why, text_of_why))
        fail_msg("%s", why);
}

static void refuses_what_is_no_x86_executable(void **state)
{
    static const struct {
        unsigned at;
        uint8_t value;
        const char *why;
    } changes[] = {
        {0, 0, "no ELF"},         {EI_CLASS, 0, "another machine"}, {EI_CLASS, 3, "another machine"},
        {EI_DATA, 2, "another machine"}, {18, EM_ARM, "another machine"}, {16, ET_REL, "no executable"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
        fake_elf_init(&file, true, 0);
        file.bytes[changes[i].at] = changes[i].value;
        refuse_parse(changes[i].why);
    }
}

static void refuses_headers_that_are_not_there(void **state)
{
    Elf64_Ehdr *header = (void *)file.bytes;
    struct guest_image image = {file.bytes, 63};

    (void)state;
    assert_false(elf_parse(&elf, &image, &why));
    image.size = 51;
    assert_false(elf_parse(&elf, &image, &why));
    fake_elf_add_segment(&file, text);
    header->e_phoff = FAKE_ELF_BYTES - sizeof(Elf64_Phdr) + 1;
    refuse_parse("program headers");
    header->e_phoff = ~0ull - 8;
    refuse_parse("program headers");
    header->e_phoff = sizeof *header;
    header->e_phentsize = sizeof(Elf64_Phdr) - 1;
    refuse_parse("program headers");
    header->e_phentsize = 0;
    refuse_parse("program headers");
}

static void refuses_impossible_segments(void **state)
{
    const Elf64_Phdr bad[] = {
        {.p_type = PT_LOAD, .p_offset = FAKE_ELF_BYTES, .p_filesz = 1, .p_memsz = 1},
        {.p_type = PT_LOAD, .p_offset = ~0ull, .p_filesz = 2, .p_memsz = 2},
        {.p_type = PT_LOAD, .p_offset = 1024, .p_filesz = ~0ull, .p_memsz = ~0ull},
        {.p_type = PT_LOAD, .p_offset = 1024, .p_filesz = 2, .p_memsz = 1},
        {.p_type = PT_LOAD, .p_paddr = ~0ull, .p_memsz = 2},
        {.p_type = PT_NOTE, .p_offset = FAKE_ELF_BYTES - 1, .p_filesz = 2},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        fake_elf_init(&file, true, 0);
        fake_elf_add_segment(&file, bad[i]);
        refuse_parse("impossible bounds");
    }
}

static void refuses_more_segments_than_it_has_room_for(void **state)
{
    Elf64_Ehdr *header = (void *)file.bytes;

    (void)state;
    header->e_phoff = FAKE_ELF_CONTENTS;
    for (unsigned i = 0; i < ELF_SEGMENTS_MAX; i++)
        fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_NOTE});
    assert_true(parse());
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_NOTE});
    refuse_parse("too many segments");
}

static void refuses_segments_that_are_not_free_ram(void **state)
{
    static const uint64_t bad[] = {0x9fc00 - 1023, 0xa0000, 0xe0000, 0xffc01, MIB(4) - 1023, GIB(3), ~0ull - 2048};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        Elf64_Phdr segment = text;

        segment.p_paddr = bad[i];
        fake_elf_init(&file, true, 0);
        fake_elf_add_segment(&file, segment);
        assert_false(load());
        assert_non_null(strstr(why, "outside of guest RAM"));
    }
}

static void refuses_overlapping_and_absent_segments(void **state)
{
    Elf64_Phdr second = text;

    (void)state;
    second.p_paddr = text.p_paddr + 1023;
    fake_elf_add_segment(&file, text);
    fake_elf_add_segment(&file, second);
    assert_false(load());
    assert_non_null(strstr(why, "over another"));
    fake_elf_init(&file, true, 0);
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_LOAD, .p_paddr = 0x100000});
    assert_false(load());
    assert_non_null(strstr(why, "nothing to load"));
}

static const uint8_t *find(const char *name, uint32_t type, uint32_t *bytes)
{
    assert_true(parse());
    return elf_find_note(&elf, name, type, bytes);
}

static void finds_a_note_by_name_and_type(void **state)
{
    uint32_t end, bytes;
    const uint8_t *note;

    (void)state;
    end = fake_elf_put_note(&file, 2048, "GNU", 18, 1, 4);
    end = fake_elf_put_note(&file, end, "Xen", 6, 2, 3);
    end = fake_elf_put_note(&file, end, "Xen", 18, 0x100010, 8);
    fake_elf_add_segment(&file, text);
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 2048, .p_filesz = end - 2048});
    note = find("Xen", 18, &bytes);
    assert_non_null(note);
    assert_int_equal(bytes, 8);
    assert_int_equal(get_le64(note), 0x100010);
    assert_null(find("Xen", 17, &bytes));
    assert_null(find("Xe", 18, &bytes));
}

static void notes_with_bad_sizes_end_the_search(void **state)
{
    uint32_t bytes;

    (void)state;
    fake_elf_put_note(&file, 2048, "Xen", 18, 1, 4);
    fake_elf_add_segment(&file, (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = 2048, .p_filesz = 20});
    assert_non_null(find("Xen", 18, &bytes));
    put_le32(file.bytes + 2052, 5);
    assert_null(find("Xen", 18, &bytes));
    put_le32(file.bytes + 2052, 0xffffffff);
    assert_null(find("Xen", 18, &bytes));
    put_le32(file.bytes + 2048, 0xffffffff);
    assert_null(find("Xen", 18, &bytes));
    put_le32(file.bytes + 2048, 0xfffffffe);
    put_le32(file.bytes + 2052, 0);
    assert_null(find("Xen", 18, &bytes));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_classes_load_alike),
        TEST(an_entry_may_be_physical_but_must_be_somewhere),
        TEST(refuses_what_is_no_x86_executable),
        TEST(refuses_headers_that_are_not_there),
        TEST(refuses_impossible_segments),
        TEST(refuses_more_segments_than_it_has_room_for),
        TEST(refuses_segments_that_are_not_free_ram),
        TEST(refuses_overlapping_and_absent_segments),
        TEST(finds_a_note_by_name_and_type),
        TEST(notes_with_bad_sizes_end_the_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
