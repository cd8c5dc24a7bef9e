/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest to emulate instructions for: registers, and memory that counts accesses and fails on
 * request. */
#ifndef TESTS_HOST_FAKE_FAKE_GUEST_H
#define TESTS_HOST_FAKE_FAKE_GUEST_H

#include "arch/x86/guest/emulate.h"

#define FAKE_GUEST_BYTES 0x10000u

struct fake_guest {
    uint8_t memory[FAKE_GUEST_BYTES];
    uint64_t base; /* the linear address of memory[0]; an access beside memory fails the test */
    uint64_t gpr[GPR_COUNT], rflags, rip;
    uint64_t segment_bases[SEG_COUNT];
    unsigned reads, writes, bases_asked;
    unsigned accesses_left; /* the one after that fails */
    uint64_t last_address;
};
extern struct fake_guest guest;

extern const struct emulate_ops fake_guest_ops; /* their context is &guest */

void fake_guest_reset(void);
enum emulate_result fake_guest_emulate(const struct instruction *insn);

#endif
