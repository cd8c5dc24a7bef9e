/* SPDX-License-Identifier: BSD-2-Clause */
/* The PC's keyboard controller, as its manual spells it: for the one that guests see and the one that we drive. */
#ifndef DRIVERS_I8042_REGS_H
#define DRIVERS_I8042_REGS_H

#define I8042_DATA_PORT    0x60u
#define I8042_COMMAND_PORT 0x64u
#define I8042_KEYBOARD_IRQ 1u

/*
 * Status at port 0x64, and commands to it; IBM PS/2 Technical Reference, "Keyboard and Auxiliary
 * Device Controller".
 */
#define I8042_STATUS_OBF       0x01u /* a byte is to be read */
#define I8042_STATUS_IBF       0x02u /* it has not taken the last one */
#define I8042_STATUS_SYS       0x04u
#define I8042_STATUS_COMMAND   0x08u /* the last write was to port 0x64 */
#define I8042_STATUS_KEYLOCK   0x10u /* not locked */
#define I8042_STATUS_AUX       0x20u /* the byte is the mouse's */
#define I8042_STATUS_TIMEOUT   0x40u
#define I8042_MODE_KBD_INT     0x01u
#define I8042_MODE_AUX_INT     0x02u
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

/* To the keyboard itself, at port 0x60; "Keyboard": commands to it, and its answer. */
#define KEYBOARD_CMD_ENABLE 0xf4u
#define KEYBOARD_ACK        0xfau

#endif
