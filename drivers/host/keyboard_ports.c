/* SPDX-License-Identifier: BSD-2-Clause */
/* The real ports for keyboard.c, which is hosted in tests and knows none. */
#include "arch/x86/io.h"
#include "drivers/host/keyboard.h"

static uint8_t in8(uint16_t port)
{
    return io_in8(port);
}

static void out8(uint16_t port, uint8_t value)
{
    io_out8(port, value);
}

const struct keyboard_ports keyboard_host_ports = {in8, out8};
