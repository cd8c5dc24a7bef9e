/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes small ELF executables of either class for tests: header, program headers, then whatever is added. */
#ifndef TESTS_HOST_FAKE_ELF_IMAGE_H
#define TESTS_HOST_FAKE_ELF_IMAGE_H

#include <elf.h>
#include "arch/x86/guest/boot.h"

#define FAKE_ELF_BYTES    8192u
#define FAKE_ELF_CONTENTS 1024u /* where the test may put its bytes: headers are in front */

struct fake_elf {
    uint8_t bytes[FAKE_ELF_BYTES];
    bool is_64;
};

void fake_elf_init(struct fake_elf *e, bool is_64, uint64_t entry);

/* As in Elf64_Phdr, whatever the class is. */
void fake_elf_add_segment(struct fake_elf *e, Elf64_Phdr segment);

/* Puts a note at an offset of the file; returns the offset behind it. */
uint32_t fake_elf_put_note(struct fake_elf *e, uint32_t at, const char *name, uint32_t type, uint64_t value,
                           uint32_t bytes);

struct guest_image fake_elf_image(const struct fake_elf *e);

#endif
