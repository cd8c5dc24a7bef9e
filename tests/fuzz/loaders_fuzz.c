/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no image, of whatever format it claims to be, makes a loader read outside of the image,
 * write outside of guest RAM, or refuse without a reason. The first three bytes choose what the
 * image cannot say.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/guest.h"
#include "kernel/lib/bytes.h"

#define CHOICES 3 /* format and entry mode; load address / 4 KiB, two bytes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t initrd[300] = {'r', 'd'};
static const struct guest_module module = {{initrd, sizeof initrd}, "module"};

static struct fake_guest *guest_once(void)
{
    static struct fake_guest guest;

    if (guest.mem.count == 0)
        fake_guest_init(&guest, MIB(4));
    return &guest;
}

static void choose(struct boot_request *r, const uint8_t *choices)
{
    bool is_flat;

    r->format = (enum boot_format)(choices[0] % BOOT_FORMAT_COUNT);
    r->entry_mode = choices[0] & 0x80 ? BOOT_ENTRY_PROTECTED : BOOT_ENTRY_REAL;
    r->load_address = r->entry = GPA((uint64_t)get_le16(choices + 1) << PAGE_SHIFT);
    is_flat = r->format == BOOT_FLAT;
    r->cmdline = is_flat ? NULL : "console=ttyS0";
    r->initrd = (struct guest_image){initrd, is_flat ? 0 : sizeof initrd};
    r->modules = &module;
    r->module_count = r->format == BOOT_MULTIBOOT || r->format == BOOT_PVH;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fake_guest *guest = guest_once();
    int error;

    if (size < CHOICES)
        return 0;
    choose(&guest->request, data);
    guest->request.image = (struct guest_image){data + CHOICES, size - CHOICES};
    error = fake_guest_load(guest);
    if (error ? !guest->why : guest->why != NULL)
        abort();
    return 0;
}
