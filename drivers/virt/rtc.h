/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PC's MC146818 clock with its CMOS memory. Its time is the host's wall clock and an offset,
 * which the guest moves when it sets the clock. Everything runs on the CPU that runs the VM.
 */
#ifndef DRIVERS_VIRT_RTC_H
#define DRIVERS_VIRT_RTC_H

#include "kernel/io_bus.h"
#include "kernel/irq.h"
#include "kernel/timer.h"

#define RTC_IRQ        8u
#define RTC_CMOS_BYTES 128u

/* The guest's RAM as firmware would note it in the CMOS. */
struct rtc_memory {
    uint64_t below_4g_bytes;
    uint64_t above_4g_bytes;
};

struct rtc {
    struct irq_line irq;
    struct timer timer;
    struct rtc_memory memory;

    uint8_t cmos[RTC_CMOS_BYTES]; /* the time's bytes count only while the clock is halted */
    uint8_t index;
    bool nmi_masked;

    /* In periods of the crystal of 32768 Hz, since 1970. */
    int64_t offset;  /* the guest's time less the host's */
    int64_t settled; /* the guest's time up to which register C knows what happened */
};

/* offset_seconds: the guest's time less UTC, as for a guest that keeps local time. */
void rtc_init(struct rtc *rtc, struct irq_line irq, struct rtc_memory memory,
              int64_t offset_seconds);

/*
 * Stops interrupts and rewrites what firmware writes at power-on; time and the other bytes have a
 * battery.
 */
void rtc_reset(struct rtc *rtc);

/* Bit 7 of port 0x70, for who delivers NMIs. */
bool rtc_is_nmi_masked(const struct rtc *rtc);

/* Region: RTC_PORTS ports at RTC_PORT, IO_WIDTH_1; the device is the struct rtc. */
#define RTC_PORT  0x70u
#define RTC_PORTS 2u
extern const struct io_region_ops rtc_ops;

/* Motorola MC146818, "Address Map"; above 0x0e it is the PC's convention. */
#define RTC_SECONDS         0x00u
#define RTC_SECONDS_ALARM   0x01u
#define RTC_MINUTES         0x02u
#define RTC_MINUTES_ALARM   0x03u
#define RTC_HOURS           0x04u
#define RTC_HOURS_ALARM     0x05u
#define RTC_DAY_OF_WEEK     0x06u
#define RTC_DATE            0x07u
#define RTC_MONTH           0x08u
#define RTC_YEAR            0x09u
#define RTC_A               0x0au
#define RTC_B               0x0bu
#define RTC_C               0x0cu
#define RTC_D               0x0du
#define RTC_SHUTDOWN_STATUS 0x0fu
#define RTC_CHECKSUM_FIRST  0x10u
#define RTC_EQUIPMENT       0x14u
#define RTC_BASE_KIB        0x15u /* two bytes, as the next ones */
#define RTC_EXTENDED_KIB    0x17u /* from 1 MiB */
#define RTC_CHECKSUM_LAST   0x2du
#define RTC_CHECKSUM        0x2eu /* two bytes, high byte first */
#define RTC_EXTENDED_KIB_2  0x30u
#define RTC_CENTURY         0x32u
#define RTC_ABOVE_16M_64KIB 0x34u
#define RTC_ABOVE_4G_64KIB  0x5bu /* three bytes */

#define RTC_A_RS       0x0fu
#define RTC_A_DV       0x70u
#define RTC_A_DV_32KHZ 0x20u
#define RTC_A_UIP      0x80u
#define RTC_B_24H      0x02u
#define RTC_B_DM       0x04u /* binary */
#define RTC_B_SQWE     0x08u
#define RTC_B_UIE      0x10u
#define RTC_B_AIE      0x20u
#define RTC_B_PIE      0x40u
#define RTC_B_SET      0x80u
#define RTC_C_UF       0x10u
#define RTC_C_AF       0x20u
#define RTC_C_PF       0x40u
#define RTC_C_IRQF     0x80u
#define RTC_D_VRT      0x80u

#define RTC_INDEX_NMI_MASK 0x80u
#define RTC_ALARM_ANY      0xc0u /* an alarm byte with both bits matches always */

#endif
