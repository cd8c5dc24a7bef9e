/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's keyboard controller with no keyboard and no mouse, for what else it does: resetting the
 * machine and the A20 gate. A byte sent to the keyboard is answered as by the real controller when
 * none is plugged in.
 */
#ifndef DRIVERS_VIRT_I8042_H
#define DRIVERS_VIRT_I8042_H

#include "drivers/i8042_regs.h"
#include "drivers/virt/power.h"
#include "kernel/io_bus.h"
#include "kernel/irq.h"

struct i8042 {
    struct irq_line irq;
    struct power_sink power;

    uint8_t output;      /* what port 0x60 gives */
    uint8_t status;      /* I8042_STATUS_*, but for the constant bits */
    uint8_t command;     /* the command whose data byte is due; 0: none */
    uint8_t mode;        /* the command byte, byte 0 of the controller's RAM */
    uint8_t output_port; /* A20 and the bits that nobody uses */
};

/* irq is the keyboard's; power.off is not used. */
void i8042_init(struct i8042 *k, struct irq_line irq, struct power_sink power);
void i8042_reset(struct i8042 *k);

/* Regions of one port each, IO_WIDTH_1; the device is the struct i8042. */
#define I8042_PORT92 0x92u
extern const struct io_region_ops i8042_data_ops;
extern const struct io_region_ops i8042_command_ops;
extern const struct io_region_ops i8042_port92_ops;

/* 82371AB, "Port 92 Register". */
#define I8042_PORT92_INIT 0x01u
#define I8042_PORT92_A20  0x02u

#endif
