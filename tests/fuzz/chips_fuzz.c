/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no sequence of register accesses, input lines and time makes one of the PC's old chips read or write
 * beside its state, loop, or assert. They are wired as in a PC, timers to PICs, on one bus. Input: records of 8
 * bytes {what, which, where, value}.
 */
#include "tests/host/fake/fake.h"
#include "drivers/virt/acpi_pm.h"
#include "drivers/virt/debug_exit.h"
#include "drivers/virt/i8042.h"
#include "drivers/virt/pic.h"
#include "drivers/virt/pit.h"
#include "drivers/virt/rtc.h"
#include "drivers/virt/uart.h"
#include "kernel/lib/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct uart uart;
static struct pic pic;
static struct pit pit;
static struct rtc rtc;
static struct i8042 keyboard;
static struct acpi_pm pm;
static struct debug_exit debug_exit;

/* Without a machine's bus, which would split accesses: a chip sees each offset in each width that it takes. */
static const struct {
    const struct io_region_ops *ops;
    void *device;
    unsigned size, widths;
} regions[] = {
    {&uart_ops, &uart, UART_PORTS, IO_WIDTH_1},
    {&pic_ops, &pic.master, PIC_PORTS, IO_WIDTH_1},
    {&pic_ops, &pic.slave, PIC_PORTS, IO_WIDTH_1},
    {&pic_elcr_ops, &pic, PIC_ELCR_PORTS, IO_WIDTH_1},
    {&pit_ops, &pit, PIT_PORTS, IO_WIDTH_1},
    {&pit_port61_ops, &pit, PIT_PORT61_PORTS, IO_WIDTH_1},
    {&rtc_ops, &rtc, 2, IO_WIDTH_1},
    {&i8042_data_ops, &keyboard, 1, IO_WIDTH_1},
    {&i8042_command_ops, &keyboard, 1, IO_WIDTH_1},
    {&i8042_port92_ops, &keyboard, 1, IO_WIDTH_1},
    {&acpi_pm_ops, &pm, ACPI_PM_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4},
    {&acpi_pm_reset_ops, &pm, ACPI_PM_RESET_REGION_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4},
    {&debug_exit_ops, &debug_exit, DEBUG_EXIT_PORTS, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4},
};

static void swallow(void *context, const uint8_t *bytes, size_t count)
{
    static uint8_t sink[64];

    (void)context;
    memcpy(sink, bytes, MIN(count, sizeof sink));
}

static void note(void *context)
{
    (void)context;
}

static void note_exit(void *context, uint32_t value)
{
    (void)context;
    (void)value;
}

/* As kernel/machine.c does. */
static void follow_masks(void *context, uint16_t masked)
{
    (void)context;
    pit_set_irq_wanted(&pit, !(masked & 1u << PIT_IRQ));
}

static void power_up(void)
{
    static struct fake_irq intr;
    const struct power_sink power = {.off = note, .reset = note};

    fake_clock_reset();
    fake_wall_ns = 951782399ull * 1000000000; /* a second before the 29th of February */
    pic_init(&pic, fake_irq_line(&intr, 0));
    uart_init(&uart, (struct irq_line){pic_set_line, &pic, UART_COM1_IRQ}, (struct chardev){swallow, NULL});
    pit_init(&pit, (struct irq_line){pic_set_line, &pic, PIT_IRQ});
    rtc_init(&rtc, (struct irq_line){pic_set_line, &pic, 8}, (struct rtc_memory){0}, 0);
    i8042_init(&keyboard, (struct irq_line){pic_set_line, &pic, I8042_KEYBOARD_IRQ}, power);
    acpi_pm_init(&pm, (struct irq_line){pic_set_line, &pic, 9}, power, 5);
    debug_exit_init(&debug_exit, note_exit, NULL);
    pic_on_masks_changed(&pic, follow_masks, NULL);
}

static void reset_all(void)
{
    uart_reset(&uart);
    pic_reset(&pic);
    pit_reset(&pit);
    rtc_reset(&rtc);
    i8042_reset(&keyboard);
    acpi_pm_reset(&pm);
}

/* Naturally aligned or not, but inside of the region, as the bus promises. */
static void access_region(const uint8_t record[8], bool is_write)
{
    unsigned i = record[1] % ARRAY_SIZE(regions), width = 1u << record[2] % 3, offset;

    if (!(regions[i].widths & width))
        width = 1;
    offset = get_le16(record + 2) / 4 % (regions[i].size - width + 1);
    if (is_write)
        regions[i].ops->write(regions[i].device, offset, width,
                              get_le32(record + 4) & (UINT64_MAX >> (64 - 8 * width)));
    else if (regions[i].ops->read(regions[i].device, offset, width) >> (8 * width))
        abort();
}

static void step(const uint8_t record[8])
{
    uint32_t value = get_le32(record + 4);

    switch (record[0] % 8) {
    case 0:
        access_region(record, false);
        break;
    case 1:
        pic_set_line(&pic, record[1] % PIC_INPUTS, value & 1);
        break;
    case 2:
        if (pic_is_pending(&pic) && pic_acknowledge(&pic) > 255)
            abort();
        break;
    case 3:
        uart_receive(&uart, record + 1, record[1] % 8);
        break;
    case 4:
        /* At most a quarter of a second: what the fastest timer fires in it is bounded. */
        fake_clock_advance(value % (FAKE_HZ / 4));
        break;
    case 5:
        if (value == 0)
            reset_all();
        else
            acpi_pm_press_power_button(&pm);
        break;
    default:
        access_region(record, true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    power_up();
    for (size_t at = 0; at + 8 <= size; at += 8)
        step(data + at);
    return 0;
}
