/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host CPU's control and debug registers and XCR0. A test runs in user mode, where MOV to or
 * from them and XSETBV fault: the handler emulates them on these values, so that arch/x86/cpu.h
 * stays as it is.
 */
#ifndef TESTS_HOST_FAKE_PRIVILEGED_H
#define TESTS_HOST_FAKE_PRIVILEGED_H

#include "kernel/lib/types.h"

struct fake_cpu {
    uint64_t cr[16], dr[16], xcr0;
    unsigned xsetbv_count;
};
extern struct fake_cpu fake_cpu;

/*
 * All of it 0; from now on privileged instructions work. In the test itself, not in its set-up:
 * cmocka takes faults for itself at the start of each.
 */
void fake_cpu_begin(void);

#endif
