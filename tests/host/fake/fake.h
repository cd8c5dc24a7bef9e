/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stand-ins for what hosted code meets outside itself: the log, panics, the clock and timers, an
 * interrupt line. A test includes this instead of <cmocka.h>.
 */
#ifndef TESTS_HOST_FAKE_FAKE_H
#define TESTS_HOST_FAKE_FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kernel/irq.h"
#include "kernel/timer.h"

/* The clock starts at 0 and runs at FAKE_HZ; fires armed timers in order while it advances. */
#define FAKE_HZ 1000000000u
void fake_clock_reset(void);
void fake_clock_advance(uint64_t ticks);
extern uint64_t fake_wall_ns;

/* The bare clock, for a test that has no such timers, or needs another rate and gives FAKE_HZ back. */
extern uint64_t fake_clock, fake_clock_hz;

/* What was logged last, for tests of error messages. */
extern char fake_log_last[512];
extern unsigned fake_log_count;
/* All lines since the last reset, as far as they fit. */
extern char fake_log_text[8192];
void fake_log_reset(void);

/* A line that records. */
struct fake_irq {
    bool level;
    unsigned rises, falls;
    unsigned input; /* the last one set */
};
struct irq_line fake_irq_line(struct fake_irq *recorder, unsigned input);

/* How many times interrupts were turned off and not on again. */
extern unsigned fake_irqs_off;

/* Did the statement panic? For tests of what must be caught as a bug of ours. */
extern jmp_buf *fake_panic_target;
extern char fake_panic_text[256];
#define expect_panic(statement)                                                                    \
    do {                                                                                           \
        jmp_buf target;                                                                            \
        fake_panic_target = &target;                                                               \
        if (setjmp(target) == 0) {                                                                 \
            statement;                                                                             \
            fail_msg("%s did not panic", #statement);                                              \
        }                                                                                          \
        fake_panic_target = NULL;                                                                  \
    } while (0)

#endif
