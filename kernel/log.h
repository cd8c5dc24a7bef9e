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

/* Nothing, if log_level is for graver ones only. */
PRINTF_LIKE(3, 4) void log_line(enum log_level level, const char *module, const char *format, ...);

/* An event line for machines: "rm: event=vm-start vm=web". No time stamp; the format is an interface. */
PRINTF_LIKE(1, 2) void log_event(const char *format, ...);

#define log_error(module, ...) log_line(LOG_ERROR, module, __VA_ARGS__)
#define log_warn(module, ...)  log_line(LOG_WARN, module, __VA_ARGS__)
#define log_info(module, ...)  log_line(LOG_INFO, module, __VA_ARGS__)
#define log_debug(module, ...) log_line(LOG_DEBUG, module, __VA_ARGS__)

/*
 * For lines that a guest can cause. Each VM may have LOG_GUEST_LINES of them, then there is silence: a VM that says
 * too much does not keep another's lines from being seen. The VM is the one whose vCPU this CPU holds.
 */
#define LOG_GUEST_LINES 64u
bool log_guest_may_write(void);
#define log_guest(module, ...)                                                                     \
    do {                                                                                           \
        if (log_guest_may_write())                                                                 \
            log_line(LOG_WARN, module, __VA_ARGS__);                                               \
    } while (0)

#endif
