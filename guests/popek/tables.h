/* SPDX-License-Identifier: BSD-2-Clause */
/* The page tables of each paging mode, and the window of pages that cases are run on. */
#ifndef GUESTS_POPEK_TABLES_H
#define GUESTS_POPEK_TABLES_H

#include "guests/popek/popek.h"

/* Builds what no case changes; in long mode, on the tables that are in use. */
void tables_init(void);

/* What a mode's cases may have changed, as they find it. Flushes nothing. */
void tables_reset(const struct mode *mode);

/* The i-th kind of page for the whole window; NULL behind the last one. A mode may not have it: is_there. */
struct page_kind;
const struct page_kind *tables_kind(const struct mode *mode, unsigned i, const char **name, bool *is_there);
void tables_set_window(const struct mode *mode, const struct page_kind *kind);

/* Which bits of the window's entries are not as they were set, on the log. */
void tables_print_changes(const struct mode *mode);

/* CR3 of a legacy mode, 0 without paging; and that of the other task. */
uint32_t tables_root(const struct mode *mode);
uint32_t tables_other_root(const struct mode *mode);

#endif
