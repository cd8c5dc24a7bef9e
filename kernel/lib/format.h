/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printf-style formatting into a buffer: %d %i %u %x %X %p %s %c %%, with 0 - # width h hh l ll z, and
 * .precision for strings. Unlike libc's, # and %p always begin with 0x: an address of 0 looks like one.
 */
#ifndef KERNEL_LIB_FORMAT_H
#define KERNEL_LIB_FORMAT_H

#include <stdarg.h>
#include "kernel/lib/types.h"

/*
 * Writes at most size-1 characters and a NUL (nothing when size is 0). Returns the number of characters
 * that the whole text would need, like snprintf.
 */
PRINTF_LIKE(3, 0) size_t format_text_va(char *buffer, size_t size, const char *format, va_list args);
PRINTF_LIKE(3, 4) size_t format_text(char *buffer, size_t size, const char *format, ...);

#endif
