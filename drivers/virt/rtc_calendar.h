/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seconds since 1970-01-01 00:00 UTC and the Gregorian calendar; a pure conversion, for any year
 * from 0 to 9999.
 */
#ifndef DRIVERS_VIRT_RTC_CALENDAR_H
#define DRIVERS_VIRT_RTC_CALENDAR_H

#include "kernel/lib/types.h"

#define SECONDS_PER_DAY 86400

struct rtc_date {
    unsigned second, minute, hour; /* 0 to 23 */
    unsigned day, month;           /* from 1 */
    unsigned year;
    unsigned weekday; /* Sunday is 1 */
};

/*
 * Ignores weekday. What is out of range is carried over to the next larger unit, or for day and
 * month (up to 255 each) brought into range: a guest may write nonsense.
 */
int64_t rtc_seconds_from_date(const struct rtc_date *date);
void rtc_date_from_seconds(int64_t seconds, struct rtc_date *date);

/* 0 to SECONDS_PER_DAY - 1. */
unsigned rtc_second_of_day(int64_t seconds);

#endif
