/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two looks at both clocks, some time apart. Under another hypervisor anything may happen between two reads, so that a
 * look takes some pairs of them, of which the one counts that was taken fastest.
 */
#include "arch/x86/clock_measure.h"
#include "kernel/timer.h"

#define MEASURE_MS 10u
#define PAIRS      8u
#define READS_MAX  10000000u /* a reference that stands still must not hang us */

struct look {
    uint64_t now;
    uint32_t count;
};

static struct look look_at(const struct clock_reference *r)
{
    struct look best = {0, 0};
    uint64_t fastest = UINT64_MAX;

    for (unsigned i = 0; i < PAIRS; i++) {
        uint64_t before = clock_now();
        uint32_t count = r->read();
        uint64_t took = clock_now() - before;

        if (took >= fastest)
            continue;
        fastest = took;
        best = (struct look){before + took / 2, count};
    }
    return best;
}

uint64_t clock_measure(const struct clock_reference *r)
{
    uint32_t want = (uint32_t)(r->hz * MEASURE_MS / 1000);
    struct look start = look_at(r), end;

    for (unsigned reads = 0; reads < READS_MAX; reads++) {
        if (((r->read() - start.count) & r->mask) < want)
            continue;
        end = look_at(r);
        return mul_div(end.now - start.now, r->hz, (end.count - start.count) & r->mask);
    }
    return 0;
}
