/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one event, one line, "[  1.234567] cpu0 vm1 msr: text" on every console.
 * Any CPU may log at any time; lines of different CPUs do not mix.
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/lib/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern enum log_level log_level;

PRINTF_LIKE(3, 4) void log_line(enum log_level level, const char *module, const char *format, ...);

/* An event line for machines: "rm: event=vm-start vm=web". No time stamp; the format is an interface. */
PRINTF_LIKE(1, 2) void log_event(const char *format, ...);

#define log_at(level, module, ...)                                                                 \
    do {                                                                                           \
        if ((level) <= log_level)                                                                  \
            log_line(level, module, __VA_ARGS__);                                                  \
    } while (0)
#define log_error(module, ...) log_at(LOG_ERROR, module, __VA_ARGS__)
#define log_warn(module, ...)  log_at(LOG_WARN, module, __VA_ARGS__)
#define log_info(module, ...)  log_at(LOG_INFO, module, __VA_ARGS__)
#define log_debug(module, ...) log_at(LOG_DEBUG, module, __VA_ARGS__)

/* For lines that a guest can cause: after LOG_GUEST_BURST lines from one place, silence. */
#define LOG_GUEST_BURST 16
#define log_guest(module, ...)                                                                     \
    do {                                                                                           \
        static unsigned log_guest_count;                                                           \
        if (__atomic_fetch_add(&log_guest_count, 1, __ATOMIC_RELAXED) < LOG_GUEST_BURST)           \
            log_line(LOG_WARN, module, __VA_ARGS__);                                               \
    } while (0)

#endif
