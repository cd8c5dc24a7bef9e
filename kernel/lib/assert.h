/* SPDX-License-Identifier: BSD-2-Clause */
/* ASSERT is for bugs of ours only: nothing that a guest or the environment can cause may reach it. */
#ifndef KERNEL_LIB_ASSERT_H
#define KERNEL_LIB_ASSERT_H

#include "kernel/lib/types.h"

/* Prints file, line, CPU, registers, a symbolised backtrace and each CPU's last exits; stops every CPU. */
NORETURN PRINTF_LIKE(3, 4) void panic_at(const char *file, int line, const char *format, ...);

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            panic("assertion failed: %s", #condition);                                             \
    } while (0)

#endif
