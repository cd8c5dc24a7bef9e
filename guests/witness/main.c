/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that wants to be left alone: its memory holds a word of its own everywhere, and it looks at every one of them
 * again and again. A character on its console makes it say how often it has; a word that changed ends it.
 */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"

#define FIRST 0x200000u /* behind its image */
#define END   0xc00000u
#define WORD  0x5ec2e700u /* + the word's number: what another guest must not get to see */

static volatile uint32_t *const words = (volatile uint32_t *)FIRST;
#define WORDS ((END - FIRST) / sizeof(uint32_t))

/* WORDS: none. */
static unsigned find_changed(void)
{
    for (unsigned i = 0; i < WORDS; i++)
        if (words[i] != WORD + i)
            return i;
    return WORDS;
}

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    unsigned changed;

    for (unsigned i = 0; i < WORDS; i++)
        words[i] = WORD + i;
    print("GUEST: witness at %x\n", FIRST);
    for (unsigned rounds = 1; (changed = find_changed()) == WORDS; rounds++)
        if (get_char() >= 0)
            print("GUEST: witness saw nothing in %u rounds\n", rounds);
    print("GUEST: FAILED: memory at %x is %x\n", FIRST + 4 * changed, words[changed]);
    return 1;
}
