/* SPDX-License-Identifier: BSD-2-Clause */
/* The values with which a case is run one after the other. */
#ifndef GUESTS_POPEK_INPUTS_H
#define GUESTS_POPEK_INPUTS_H

#include "guests/popek/popek.h"
#include "guests/popek/tables.h"

struct input {
    uint64_t reg[REGS];
    uint64_t label, value; /* what the log calls it */
    const char *name;
    const struct page_kind *page; /* what the window is of; NULL: as it is */
    bool has_value, is_skipped;
    uint32_t options;
};

/* Changes the registers to those of the i-th run; false behind the last one. */
extern bool (*const inputs[INPUTS])(const struct mode *mode, unsigned i, struct input *input);

#endif
