/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"

uint64_t fake_clock, fake_clock_hz = FAKE_HZ;
uint64_t fake_wall_ns;

uint64_t clock_now(void)
{
    return fake_clock;
}

uint64_t clock_hz(void)
{
    return fake_clock_hz;
}

uint64_t clock_wall_ns(void)
{
    return fake_wall_ns + fake_clock;
}
