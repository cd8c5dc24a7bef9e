/* SPDX-License-Identifier: BSD-2-Clause */
/* What the assembly of this guest and its C share. */
#ifndef GUESTS_POPEK_ASM_H
#define GUESTS_POPEK_ASM_H

#include "guests/popek/popek.h"

struct PACKED far_pointer {
    uint32_t offset;
    uint16_t selector;
};

struct long_frame;


/* switch.asm; both return when an event was caught. run_legacy finds its frame at LOW_FRAME. */
void run_long(const struct long_frame *frame);
void run_legacy(void);
extern const uint8_t long_stubs[], legacy_stubs[];

/* What those read and write, in cpu.c. */
extern struct table long_table, long_interrupts, legacy_table, legacy_interrupts;
extern struct far_pointer legacy_sp, real_entry;
extern uint32_t is_real, root, legacy_cr0, legacy_cr3, legacy_cr4;
extern const void *caught;
extern uint32_t caught_cr3;
extern uint16_t caught_ss, caught_task;
extern uint64_t legacy_descriptors[];

/* cases.asm: the low segment as it is linked, and the tables of cases in 64, 32, 16 bits. */
extern const uint8_t low_start[], low_end[], real_enter[], real_stubs[], case_target[], write_cr4_code[];
extern const struct row rows_start[], rows_end[];

#endif
