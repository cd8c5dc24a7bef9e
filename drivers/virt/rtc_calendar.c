/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Years are counted from March, so that the leap day is the last of its year; then the days before
 * a month follow from a line of slope 153/5 (31, 30, 31, 30, 31 days, twice and a bit).
 */
#include "drivers/virt/rtc_calendar.h"

#define YEARS_PER_ERA      400
#define DAYS_PER_ERA       146097 /* 400 Gregorian years */
#define DAYS_TO_1970       719468 /* from 0000-03-01 */
#define WEEKDAY_1970_01_01 4      /* Thursday, from Sunday as 0 */
#define DAYS_PER_WEEK      7

static int64_t divide_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t modulo(int64_t a, int64_t b)
{
    return a - divide_floor(a, b) * b;
}

static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
    return MIN(MAX(value, low), high);
}

static int64_t days_from_date(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = divide_floor(y, YEARS_PER_ERA), year_of_era = modulo(y, YEARS_PER_ERA);
    int64_t month_from_march = (month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;

    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - DAYS_TO_1970;
}

int64_t rtc_seconds_from_date(const struct rtc_date *d)
{
    int64_t days = days_from_date(d->year, clamp(d->month, 1, 12), clamp(d->day, 1, 31));

    return days * SECONDS_PER_DAY + (int64_t)d->hour * 3600 + (int64_t)d->minute * 60 + d->second;
}

static void date_from_days(int64_t days, struct rtc_date *d)
{
    int64_t from_march = days + DAYS_TO_1970;
    int64_t era = divide_floor(from_march, DAYS_PER_ERA),
            day_of_era = modulo(from_march, DAYS_PER_ERA);
    int64_t leap_days = day_of_era / 1460 - day_of_era / 36524 + day_of_era / 146096;
    int64_t year_of_era = (day_of_era - leap_days) / 365;
    int64_t day_of_year = day_of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    d->day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    d->month = (unsigned)((month_from_march + 2) % 12 + 1);
    d->year = (unsigned)(era * YEARS_PER_ERA + year_of_era + (d->month <= 2));
}

unsigned rtc_second_of_day(int64_t seconds)
{
    return (unsigned)modulo(seconds, SECONDS_PER_DAY);
}

void rtc_date_from_seconds(int64_t seconds, struct rtc_date *d)
{
    int64_t days = divide_floor(seconds, SECONDS_PER_DAY);
    unsigned second_of_day = rtc_second_of_day(seconds);

    date_from_days(days, d);
    d->hour = second_of_day / 3600;
    d->minute = second_of_day / 60 % 60;
    d->second = second_of_day % 60;
    d->weekday = (unsigned)modulo(days + WEEKDAY_1970_01_01, DAYS_PER_WEEK) + 1;
}
