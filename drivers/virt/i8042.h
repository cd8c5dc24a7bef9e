/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's keyboard controller with no keyboard and no mouse, for what else it does: resetting the
 * machine and the A20 gate. A byte sent to the keyboard is answered as by the real controller when
 * none is plugged in.
 */
#ifndef DRIVERS_VIRT_I8042_H
#define DRIVERS_VIRT_I8042_H

#include "drivers/virt/power.h"
#include "kernel/io_bus.h"
#include "kernel/irq.h"

#define I8042_KEYBOARD_IRQ 1u

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
#define I8042_DATA_PORT    0x60u
#define I8042_COMMAND_PORT 0x64u
#define I8042_PORT92       0x92u
extern const struct io_region_ops i8042_data_ops;
extern const struct io_region_ops i8042_command_ops;
extern const struct io_region_ops i8042_port92_ops;

/*
 * Status at port 0x64, and commands to it; IBM PS/2 Technical Reference, "Keyboard and Auxiliary
 * Device Controller".
 */
#define I8042_STATUS_OBF       0x01u
#define I8042_STATUS_SYS       0x04u
#define I8042_STATUS_COMMAND   0x08u /* the last write was to port 0x64 */
#define I8042_STATUS_KEYLOCK   0x10u /* not locked */
#define I8042_STATUS_TIMEOUT   0x40u
#define I8042_MODE_KBD_INT     0x01u
#define I8042_MODE_SYS         0x04u
#define I8042_MODE_KBD_OFF     0x10u
#define I8042_MODE_AUX_OFF     0x20u
#define I8042_MODE_XLATE       0x40u
#define I8042_CMD_READ_MODE    0x20u
#define I8042_CMD_WRITE_MODE   0x60u
#define I8042_CMD_AUX_DISABLE  0xa7u
#define I8042_CMD_AUX_ENABLE   0xa8u
#define I8042_CMD_AUX_TEST     0xa9u
#define I8042_CMD_SELF_TEST    0xaau
#define I8042_CMD_KBD_TEST     0xabu
#define I8042_CMD_KBD_DISABLE  0xadu
#define I8042_CMD_KBD_ENABLE   0xaeu
#define I8042_CMD_READ_INPUT   0xc0u
#define I8042_CMD_READ_OUTPUT  0xd0u
#define I8042_CMD_WRITE_OUTPUT 0xd1u
#define I8042_CMD_KBD_LOOP     0xd2u
#define I8042_CMD_AUX_LOOP     0xd3u
#define I8042_CMD_AUX_WRITE    0xd4u
#define I8042_CMD_A20_OFF      0xddu
#define I8042_CMD_A20_ON       0xdfu
#define I8042_CMD_PULSE        0xf0u /* the bits that are 0 in the low four pulse low */
#define I8042_CMD_RESET        0xfeu
#define I8042_SELF_TEST_OK     0x55u
#define I8042_KBD_TEST_OK      0x00u
#define I8042_AUX_CLOCK_STUCK  0x01u
#define I8042_NO_ANSWER        0xfeu
#define I8042_OUTPUT_RESET     0x01u /* active low; bit 0 of a pulse too */
#define I8042_OUTPUT_A20       0x02u

/* 82371AB, "Port 92 Register". */
#define I8042_PORT92_INIT 0x01u
#define I8042_PORT92_A20  0x02u

#endif
