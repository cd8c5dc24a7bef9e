/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: of a file that a guest boots, as much as there is of it is looked at and no more: cut short anywhere it is refused
 * with a reason, or loads if what is missing is not needed. The files are those that the system tests boot.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"

#define LOAD 0x100000u

static struct fake_guest guest;

static int set_up(void **state)
{
    (void)state;
    fake_guest_init(&guest, MIB(128));
    guest.request.load_address = guest.request.entry = GPA(LOAD);
    guest.request.entry_mode = BOOT_ENTRY_PROTECTED;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_guest_free(&guest);
    return 0;
}

static const struct file {
    const char *path;
    enum boot_format format;
    unsigned needed_percent; /* with less of it there is nothing to boot */
} files[] = {
    {"build/guests/hello-multiboot.elf", BOOT_MULTIBOOT, 25},
    {"build/guests/hello-multiboot64.elf", BOOT_MULTIBOOT, 25},
    {"build/guests/hello-aout.bin", BOOT_MULTIBOOT, 90},
    {"build/guests/hello-pvh.elf", BOOT_PVH, 25},
    {"build/guests/hello-real.bin", BOOT_FLAT, 1},
    {"build/linux/vmlinuz", BOOT_LINUX, 90},
    {"build/linux/vmlinux", BOOT_PVH, 50},
};

#define ALL_LENGTHS_BELOW KIB(32)

static void cut_everywhere(const struct file *file, struct guest_image image)
{
    uint64_t shortest = image.size;

    for (uint64_t size = 0; size <= image.size; size += size < ALL_LENGTHS_BELOW ? 1 : MAX((image.size - size) / 3, 1u)) {
        fake_guest_load_copy(&guest, image.data, size);
        if (!guest.why)
            shortest = MIN(shortest, size);
    }
    if (guest.why)
        fail_msg("%s: all of it is refused: %s", file->path, guest.why);
    if (shortest * 100 < image.size * file->needed_percent)
        fail_msg("%s: %lu bytes of %lu were enough", file->path, shortest, image.size);
}

static void a_kernel_that_is_cut(void **state)
{
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        struct guest_image image = fake_file_read(files[i].path);

        if (!image.data)
            continue;
        found++;
        guest.request.image = image;
        guest.request.format = files[i].format;
        guest.request.cmdline = files[i].format == BOOT_FLAT ? "" : "x";
        cut_everywhere(&files[i], image);
        free((void *)image.data);
    }
    if (found == 0)
        skip(); /* none of them is built */
}

/* Nothing of these is looked into: any length will do, none included. */
static void an_initrd_or_a_module_that_is_cut(void **state)
{
    static const uint64_t sizes[] = {0, 1, 511, PAGE_SIZE - 1, PAGE_SIZE, 2 * PAGE_SIZE};
    struct guest_image image = fake_file_read("build/guests/hello-multiboot.elf");
    struct guest_module module = {.cmdline = "m"};

    (void)state;
    if (!image.data)
        skip(); /* it is not built */
    guest.request.format = BOOT_MULTIBOOT;
    guest.request.image = image;
    guest.request.cmdline = "x";
    guest.request.modules = &module;
    guest.request.module_count = 1;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint8_t *bytes = malloc(sizes[i]);

        memset(bytes, 0x5a, sizes[i]);
        module.image = guest.request.initrd = (struct guest_image){bytes, sizes[i]};
        guest.request.initrd.data = sizes[i] ? bytes : NULL;
        fake_guest_assert_loads(&guest);
        free(bytes);
    }
    free((void *)image.data);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_kernel_that_is_cut),
        TEST(an_initrd_or_a_module_that_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
