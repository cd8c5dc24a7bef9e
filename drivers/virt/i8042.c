/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A controller passes its tests and has nothing plugged in: probes succeed quickly and find no
 * keyboard. Commands are instantaneous, so the input buffer is always empty. A20 is remembered but
 * gates nothing: a guest's memory never wraps at 1 MiB.
 */
#include "drivers/virt/i8042.h"

/* --- output buffer --- */

static void update_irq(struct i8042 *k)
{
    irq_line_set(&k->irq, (k->status & I8042_STATUS_OBF) && (k->mode & I8042_MODE_KBD_INT));
}

/* Overtakes a byte that nobody fetched; the line falls in between, for an input that takes edges. */
static void answer(struct i8042 *k, uint8_t byte, uint8_t flags)
{
    irq_line_set(&k->irq, false);
    k->output = byte;
    k->status = (uint8_t)((k->status & I8042_STATUS_COMMAND) | I8042_STATUS_OBF | flags);
    update_irq(k);
}

static void reset_machine(struct i8042 *k)
{
    if (k->power.reset)
        k->power.reset(k->power.context);
}

static void set_a20(struct i8042 *k, bool enabled)
{
    if (enabled)
        k->output_port |= I8042_OUTPUT_A20;
    else
        k->output_port &= (uint8_t)~I8042_OUTPUT_A20;
}

static void set_output_port(struct i8042 *k, uint8_t value)
{
    k->output_port = value | I8042_OUTPUT_RESET;
    if (!(value & I8042_OUTPUT_RESET))
        reset_machine(k);
}

/* --- commands: some answer with a constant, some change the mode, a few do more --- */

static const struct {
    uint8_t command, answer;
} constant_answers[] = {
    {I8042_CMD_SELF_TEST, I8042_SELF_TEST_OK},
    {I8042_CMD_KBD_TEST, I8042_KBD_TEST_OK},
    {I8042_CMD_AUX_TEST, I8042_AUX_CLOCK_STUCK},
    {I8042_CMD_READ_INPUT, 0x80}, /* keyboard not locked */
};

static const struct {
    uint8_t command, clears, sets;
} mode_changes[] = {
    {I8042_CMD_AUX_DISABLE, 0, I8042_MODE_AUX_OFF},
    {I8042_CMD_AUX_ENABLE, I8042_MODE_AUX_OFF, 0},
    {I8042_CMD_KBD_DISABLE, 0, I8042_MODE_KBD_OFF},
    {I8042_CMD_KBD_ENABLE, I8042_MODE_KBD_OFF, 0},
    {I8042_CMD_SELF_TEST, 0, I8042_MODE_SYS},
};

static void follow_tables(struct i8042 *k, uint8_t command)
{
    for (unsigned i = 0; i < ARRAY_SIZE(mode_changes); i++)
        if (mode_changes[i].command == command)
            k->mode = (uint8_t)((k->mode & ~mode_changes[i].clears) | mode_changes[i].sets);
    for (unsigned i = 0; i < ARRAY_SIZE(constant_answers); i++)
        if (constant_answers[i].command == command)
            answer(k, constant_answers[i].answer, 0);
}

static void run_command(struct i8042 *k, uint8_t command)
{
    switch (command) {
    case I8042_CMD_READ_MODE:
        answer(k, k->mode, 0);
        break;
    case I8042_CMD_READ_OUTPUT:
        answer(k, k->output_port, 0);
        break;
    case I8042_CMD_A20_OFF:
    case I8042_CMD_A20_ON:
        set_a20(k, command & I8042_OUTPUT_A20);
        break;
    case I8042_CMD_WRITE_MODE:
    case I8042_CMD_WRITE_OUTPUT:
    case I8042_CMD_KBD_LOOP:
    case I8042_CMD_AUX_LOOP:
    case I8042_CMD_AUX_WRITE:
        k->command = command;
        break;
    default:
        follow_tables(k, command);
    }
}

static void i8042_command_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED,
                                uint64_t value)
{
    struct i8042 *k = device;
    uint8_t command = (uint8_t)value;

    k->status |= I8042_STATUS_COMMAND;
    k->command = 0;
    if (command < I8042_CMD_PULSE)
        run_command(k, command);
    else if (!(command & I8042_OUTPUT_RESET))
        reset_machine(k);
}

static uint64_t i8042_command_read(void *device, uint64_t offset UNUSED, unsigned width UNUSED)
{
    struct i8042 *k = device;

    return k->status | I8042_STATUS_KEYLOCK | (k->mode & I8042_MODE_SYS ? I8042_STATUS_SYS : 0);
}

const struct io_region_ops i8042_command_ops = {i8042_command_read, i8042_command_write};

/* --- data --- */

/*
 * A loop-back for the mouse comes back as the keyboard's, for there is no mouse port; what is sent
 * to a device that is not there comes back as a timeout.
 */
static void i8042_data_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED,
                             uint64_t value)
{
    struct i8042 *k = device;
    uint8_t command = k->command, byte = (uint8_t)value;

    k->command = 0;
    k->status &= (uint8_t)~I8042_STATUS_COMMAND;
    if (command == I8042_CMD_WRITE_MODE) {
        k->mode = byte;
        update_irq(k);
    } else if (command == I8042_CMD_WRITE_OUTPUT) {
        set_output_port(k, byte);
    } else if (command == I8042_CMD_KBD_LOOP || command == I8042_CMD_AUX_LOOP) {
        answer(k, byte, 0);
    } else {
        if (command != I8042_CMD_AUX_WRITE)
            k->mode &= (uint8_t)~I8042_MODE_KBD_OFF; /* sending to the keyboard enables it */
        answer(k, I8042_NO_ANSWER, I8042_STATUS_TIMEOUT);
    }
}

static uint64_t i8042_data_read(void *device, uint64_t offset UNUSED, unsigned width UNUSED)
{
    struct i8042 *k = device;

    k->status &= I8042_STATUS_COMMAND;
    update_irq(k);
    return k->output;
}

const struct io_region_ops i8042_data_ops = {i8042_data_read, i8042_data_write};

/* --- port 0x92 --- */

static uint64_t i8042_port92_read(void *device, uint64_t offset UNUSED, unsigned width UNUSED)
{
    struct i8042 *k = device;

    return k->output_port & I8042_OUTPUT_A20 ? I8042_PORT92_A20 : 0;
}

static void i8042_port92_write(void *device, uint64_t offset UNUSED, unsigned width UNUSED,
                               uint64_t value)
{
    struct i8042 *k = device;

    set_a20(k, value & I8042_PORT92_A20);
    if (value & I8042_PORT92_INIT)
        reset_machine(k);
}

const struct io_region_ops i8042_port92_ops = {i8042_port92_read, i8042_port92_write};

/* As firmware leaves it. */
void i8042_reset(struct i8042 *k)
{
    irq_line_set(&k->irq, false);
    k->output = k->status = k->command = 0;
    k->mode = I8042_MODE_KBD_INT | I8042_MODE_SYS | I8042_MODE_XLATE;
    k->output_port = I8042_OUTPUT_RESET | I8042_OUTPUT_A20;
}

void i8042_init(struct i8042 *k, struct irq_line irq, struct power_sink power)
{
    *k = (struct i8042){.irq = irq, .power = power};
    i8042_reset(k);
}
