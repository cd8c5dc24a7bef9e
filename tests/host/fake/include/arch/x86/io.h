/* SPDX-License-Identifier: BSD-2-Clause */
/* Stands in for arch/x86/io.h where a hosted source drives hardware by itself: the test has the ports. */
#ifndef ARCH_X86_IO_H
#define ARCH_X86_IO_H

#include "kernel/lib/types.h"

uint8_t io_in8(uint16_t port);
void io_out8(uint16_t port, uint8_t value);

#endif
