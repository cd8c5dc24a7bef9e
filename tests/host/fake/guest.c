/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "arch/x86/guest/layout.h"
#include <errno.h>
#include <sys/mman.h>

static void add_ram(struct fake_guest *g, uint64_t base, uint64_t bytes)
{
    void *host;

    if (bytes == 0)
        return;
    host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(host, MAP_FAILED);
    assert_int_equal(guest_mem_add(&g->mem, GPA(base), bytes, host), 0);
}

void fake_guest_init(struct fake_guest *g, uint64_t ram_bytes)
{
    memset(g, 0, sizeof *g);
    add_ram(g, 0, guest_ram_below_hole(ram_bytes));
    add_ram(g, GUEST_HOLE_END, guest_ram_above_hole(ram_bytes));
    g->request.mem = &g->mem;
    g->request.ram_bytes = ram_bytes;
    g->request.start = &g->start;
}

void fake_guest_free(struct fake_guest *g)
{
    for (unsigned i = 0; i < g->mem.count; i++)
        munmap(g->mem.slots[i].host, g->mem.slots[i].size);
}

int fake_guest_load(struct fake_guest *g)
{
    for (unsigned i = 0; i < g->mem.count; i++)
        madvise(g->mem.slots[i].host, g->mem.slots[i].size, MADV_DONTNEED);
    g->why = NULL;
    return boot_load(&g->request, &g->why);
}

void *fake_guest_at(const struct fake_guest *g, uint64_t address, uint64_t bytes)
{
    void *host = guest_mem_at(&g->mem, GPA(address), bytes);

    assert_non_null(host);
    return host;
}

void fake_guest_assert_loads(struct fake_guest *g)
{
    int error = fake_guest_load(g);

    if (error)
        fail_msg("refused: %s", g->why);
}

void fake_guest_assert_refused(struct fake_guest *g, const char *text)
{
    assert_int_equal(fake_guest_load(g), -ENOEXEC);
    assert_non_null(g->why);
    if (!strstr(g->why, text))
        fail_msg("refused with \"%s\", not with \"%s\"", g->why, text);
}

void fake_guest_load_copy(struct fake_guest *g, const uint8_t *bytes, uint64_t size)
{
    struct guest_image original = g->request.image;
    uint8_t *copy = malloc(size);
    int error;

    memcpy(copy, bytes, size);
    g->request.image = (struct guest_image){copy, size};
    error = fake_guest_load(g);
    assert_true(error == 0 ? g->why == NULL : error == -ENOEXEC && g->why && *g->why);
    g->request.image = original;
    free(copy);
}

void fake_guest_torture(struct fake_guest *g, uint64_t cut_bytes, uint64_t poke_bytes)
{
    static const uint8_t odd[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint64_t size = g->request.image.size;
    uint8_t *bytes = malloc(size);

    memcpy(bytes, g->request.image.data, size);
    for (uint64_t cut = 0; cut < MIN(size, cut_bytes); cut++)
        fake_guest_load_copy(g, bytes, cut);
    for (uint64_t at = 0; at < MIN(size, poke_bytes); at++) {
        uint8_t old = bytes[at];

        for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
            bytes[at] = odd[i];
            fake_guest_load_copy(g, bytes, size);
        }
        bytes[at] = old;
    }
    free(bytes);
}

struct guest_image fake_file_read(const char *path)
{
    struct guest_image image = {NULL, 0};
    FILE *file = fopen(path, "rb");
    void *data;

    if (!file)
        return image;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    image.size = (uint64_t)ftell(file);
    rewind(file);
    data = malloc(image.size);
    assert_int_equal(fread(data, 1, image.size, file), image.size);
    fclose(file);
    image.data = data;
    return image;
}
