/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no sequence of arrivals, departures, weights, thefts and times makes the run queue pick another one than the
 * definition of EEVDF does. Input: the choices, two bytes each.
 */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/runqueue_model.h"
#include "kernel/lib/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *next, *end;

static unsigned choose(unsigned limit)
{
    unsigned choice = 0;

    if (end - next >= 2) {
        choice = get_le16(next);
        next += 2;
    }
    return limit > 1u << 16 ? (limit >> 16) * choice : choice % limit;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    next = data;
    end = data + size;
    runqueue_model_begin(choose);
    while (end - next >= 2)
        runqueue_model_operate();
    return 0;
}
