/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's keyboard, or a USB one that the firmware shows as such: keys in, the bytes of a terminal out. By
 * interrupt, or polled where there is none.
 */
#ifndef DRIVERS_HOST_KEYBOARD_H
#define DRIVERS_HOST_KEYBOARD_H

#include "drivers/i8042_regs.h"
#include "kernel/lib/types.h"

#define KEYBOARD_BYTES_MAX 5u /* of one key */

/* Which keys are held, and where in a sequence of scan codes the last one stood. */
struct keyboard_decoder {
    bool shift, ctrl, alt, caps_lock;
    bool is_extended;   /* 0xe0 came */
    unsigned skip;      /* codes of the Pause key that are still to come */
};

/* A scan code of set 1: writes the bytes that the key means, and returns how many, often none. */
size_t keyboard_decode(struct keyboard_decoder *d, uint8_t code, uint8_t bytes[KEYBOARD_BYTES_MAX]);

/* How the controller is reached. */
struct keyboard_ports {
    uint8_t (*in8)(uint16_t port);
    void (*out8)(uint16_t port, uint8_t value);
};
extern const struct keyboard_ports keyboard_host_ports;

/*
 * Switches the keyboard on. False: there is no controller, or it does not answer. ports lives on; receive is called
 * by keyboard_poll.
 */
bool keyboard_init(const struct keyboard_ports *ports, void (*receive)(const uint8_t *bytes, size_t count));

/* Takes what was typed: at the interrupt, or now and then. Waits for nothing. */
void keyboard_poll(void);

#endif
