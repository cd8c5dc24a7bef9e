/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures what a guest gets of a CPU that it shares (measure.c), or is the one that others must be kept
 * safe from (hostile*.c). `mode=NAME` on the command line says which.
 */
#include "guests/measure/measure.h"
#include "guests/common/apic.h"
#include "guests/common/guest.h"
#include "guests/common/traps.h"

static bool is_word(const char *text, const char *word)
{
    for (; *word; text++, word++)
        if (*text != *word)
            return false;
    return *text == '\0' || *text == ' ';
}

static const struct mode *const tables[] = {measuring_modes, hostile_modes, hostile_virtio_modes, hostile_smp_modes};

static const struct mode *find_mode(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
        for (const struct mode *mode = tables[i]; mode->name; mode++)
            if (is_word(name, mode->name))
                return mode;
    return NULL;
}

int guest_main(uint32_t magic UNUSED, uint32_t address)
{
    const struct multiboot_info *info = (const void *)(uintptr_t)address;
    const char *name = multiboot_text_option(info, "mode=");
    const struct mode *mode = name ? find_mode(name) : NULL;

    if (!mode) {
        print("GUEST: FAILED: no such mode\n");
        return 1;
    }
    traps_enable();
    apic_enable();
    mode->run(info);
    return 0;
}
