/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's fixed hardware: PM1a event and control registers, the PM timer, and the PCI chipsets'
 * reset control register, which the FADT names as reset register. There is no SMI: the machine is
 * always in ACPI mode. The FADT and \_S5 must say what is wired here. Everything runs on the CPU
 * that runs the VM.
 */
#ifndef DRIVERS_VIRT_ACPI_PM_H
#define DRIVERS_VIRT_ACPI_PM_H

#include "drivers/virt/oscillator.h"
#include "drivers/virt/power.h"
#include "kernel/io_bus.h"
#include "kernel/irq.h"
#include "kernel/timer.h"

#define ACPI_PM_TIMER_HZ   3579545u
#define ACPI_PM_TIMER_BITS 32u /* so the FADT has TMR_VAL_EXT */

struct acpi_pm {
    struct irq_line sci;
    struct power_sink power;
    struct oscillator oscillator;
    struct timer timer;
    uint8_t slp_typ_s5;

    uint16_t status, enable, control;
    uint64_t settled; /* the PM timer, unbounded, up to which TMR_STS knows of carries */
    uint8_t reset_control;
};

/* sci: level-triggered, active high. slp_typ_s5: what \_S5 gives as SLP_TYPa for soft-off. */
void acpi_pm_init(struct acpi_pm *pm, struct irq_line sci, struct power_sink power,
                  uint8_t slp_typ_s5);
void acpi_pm_reset(struct acpi_pm *pm);

/* Asks the guest's operating system to shut down; nothing happens unless it listens. */
void acpi_pm_press_power_button(struct acpi_pm *pm);

/*
 * Region: ACPI_PM_PORTS ports at any base, IO_WIDTH_1 | IO_WIDTH_2 | IO_WIDTH_4; the device is the
 * struct acpi_pm.
 */
#define ACPI_PM_PORTS 12u
#define ACPI_PM1_STS  0u
#define ACPI_PM1_EN   2u
#define ACPI_PM1_CNT  4u
#define ACPI_PM_TMR   8u
extern const struct io_region_ops acpi_pm_ops;

/*
 * Region: the reset control register shares its doubleword with PCI's CONFIG_ADDRESS and is told
 * from it by the width of the access, so the region is that doubleword, with the same widths.
 * Without a PCI bridge nothing else answers in it.
 */
#define ACPI_PM_RESET_REGION_PORT  0xcf8u
#define ACPI_PM_RESET_REGION_PORTS 4u
#define ACPI_PM_RESET_PORT         0xcf9u
extern const struct io_region_ops acpi_pm_reset_ops;

/* ACPI, "PM1 Event Grouping" (status and enable have the same bits) and "PM1 Control Grouping". */
#define ACPI_PM1_TMR               0x0001u
#define ACPI_PM1_GBL               0x0020u
#define ACPI_PM1_PWRBTN            0x0100u
#define ACPI_PM1_SLPBTN            0x0200u
#define ACPI_PM1_RTC               0x0400u
#define ACPI_PM1_CNT_SCI_EN        0x0001u
#define ACPI_PM1_CNT_BM_RLD        0x0002u
#define ACPI_PM1_CNT_SLP_TYP_SHIFT 10
#define ACPI_PM1_CNT_SLP_TYP_MASK  0x1c00u
#define ACPI_PM1_CNT_SLP_EN        0x2000u

/* 82371AB, "Reset Control Register". */
#define RESET_CONTROL_SYS_RST 0x02u /* hard rather than soft */
#define RESET_CONTROL_RST_CPU 0x04u
#define RESET_CONTROL_HARD    (RESET_CONTROL_SYS_RST | RESET_CONTROL_RST_CPU)

#endif
