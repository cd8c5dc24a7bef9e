/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers are read as a block of bytes and written byte by byte, which makes every width
 * right: all that a write can cause depends on one byte. The interrupt is up while an enabled event
 * is set.
 */
#include "drivers/virt/acpi_pm.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

#define EVENTS           (ACPI_PM1_TMR | ACPI_PM1_GBL | ACPI_PM1_PWRBTN | ACPI_PM1_SLPBTN | ACPI_PM1_RTC)
#define CONTROL_WRITABLE (ACPI_PM1_CNT_BM_RLD | ACPI_PM1_CNT_SLP_TYP_MASK)
#define CARRY_SHIFT      (ACPI_PM_TIMER_BITS - 1) /* TMR_STS: the most significant bit has changed */

/* --- events --- */

static void settle_timer(struct acpi_pm *pm)
{
    uint64_t now = oscillator_ticks(&pm->oscillator);

    if (now >> CARRY_SHIFT != pm->settled >> CARRY_SHIFT)
        pm->status |= ACPI_PM1_TMR;
    pm->settled = now;
}

static void schedule(struct acpi_pm *pm)
{
    uint64_t carry = ((pm->settled >> CARRY_SHIFT) + 1) << CARRY_SHIFT;

    if ((pm->enable & ACPI_PM1_TMR) && !(pm->status & ACPI_PM1_TMR))
        timer_arm(&pm->timer, oscillator_deadline(&pm->oscillator, carry));
    else
        timer_cancel(&pm->timer);
}

static void update_sci(struct acpi_pm *pm)
{
    settle_timer(pm);
    irq_line_set(&pm->sci, pm->status & pm->enable & EVENTS);
    schedule(pm);
}

static void timer_carries(void *context)
{
    update_sci(context);
}

void acpi_pm_press_power_button(struct acpi_pm *pm)
{
    pm->status |= ACPI_PM1_PWRBTN;
    update_sci(pm);
}

/* --- registers --- */

static uint64_t acpi_pm_read(void *device, uint64_t offset, unsigned width)
{
    struct acpi_pm *pm = device;
    uint8_t block[ACPI_PM_PORTS] = {0};
    uint64_t value = 0;

    settle_timer(pm);
    put_le16(block + ACPI_PM1_STS, pm->status);
    put_le16(block + ACPI_PM1_EN, pm->enable);
    put_le16(block + ACPI_PM1_CNT, pm->control | ACPI_PM1_CNT_SCI_EN);
    put_le32(block + ACPI_PM_TMR, (uint32_t)pm->settled);
    memcpy(&value, block + offset, width);
    return value;
}

static uint16_t replace_byte(uint16_t old, unsigned shift, uint8_t byte)
{
    return (uint16_t)((old & ~(0xff << shift)) | byte << shift);
}

/* ACPI, "PM1 Control Registers": SLP_EN reads as 0. Sleep states other than S5 do not exist here. */
static void write_control(struct acpi_pm *pm, unsigned shift, uint8_t byte)
{
    uint16_t value = replace_byte(pm->control, shift, byte);

    pm->control = value & CONTROL_WRITABLE;
    if ((value & ACPI_PM1_CNT_SLP_EN) && pm->power.off &&
        (value & ACPI_PM1_CNT_SLP_TYP_MASK) >> ACPI_PM1_CNT_SLP_TYP_SHIFT == pm->slp_typ_s5)
        pm->power.off(pm->power.context);
}

static void write_byte(struct acpi_pm *pm, uint64_t offset, uint8_t byte)
{
    unsigned shift = offset % 2 * 8;

    switch (offset - offset % 2) {
    case ACPI_PM1_STS: /* writing 1 clears */
        pm->status &= (uint16_t)~(byte << shift);
        break;
    case ACPI_PM1_EN:
        pm->enable = replace_byte(pm->enable, shift, byte) & EVENTS;
        break;
    case ACPI_PM1_CNT:
        write_control(pm, shift, byte);
        break;
    }
}

static void acpi_pm_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct acpi_pm *pm = device;

    settle_timer(pm);
    for (unsigned i = 0; i < width; i++)
        write_byte(pm, offset + i, (uint8_t)(value >> 8 * i));
    update_sci(pm);
}

const struct io_region_ops acpi_pm_ops = {acpi_pm_read, acpi_pm_write};

/* --- reset control --- */

static bool is_reset_control(uint64_t offset, unsigned width)
{
    return offset == ACPI_PM_RESET_PORT - ACPI_PM_RESET_REGION_PORT && width == 1;
}

static uint64_t acpi_pm_reset_read(void *device, uint64_t offset, unsigned width)
{
    struct acpi_pm *pm = device;

    return is_reset_control(offset, width) ? pm->reset_control : bytes_mask(width);
}

static void acpi_pm_reset_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct acpi_pm *pm = device;

    if (!is_reset_control(offset, width))
        return;
    pm->reset_control = value & RESET_CONTROL_SYS_RST;
    if ((value & RESET_CONTROL_RST_CPU) && pm->power.reset)
        pm->power.reset(pm->power.context);
}

const struct io_region_ops acpi_pm_reset_ops = {acpi_pm_reset_read, acpi_pm_reset_write};

void acpi_pm_reset(struct acpi_pm *pm)
{
    pm->status = pm->enable = pm->control = 0;
    pm->reset_control = 0;
    pm->settled = oscillator_ticks(&pm->oscillator);
    update_sci(pm);
}

void acpi_pm_init(struct acpi_pm *pm, struct irq_line sci, struct power_sink power,
                  uint8_t slp_typ_s5)
{
    *pm = (struct acpi_pm){.sci = sci, .power = power, .slp_typ_s5 = slp_typ_s5};
    oscillator_start(&pm->oscillator, ACPI_PM_TIMER_HZ);
    timer_init(&pm->timer, timer_carries, pm);
    acpi_pm_reset(pm);
}
