/* SPDX-License-Identifier: BSD-2-Clause */
/* A manager whose VMs are entries of a table: states change as they should, nothing runs. */
#ifndef TESTS_HOST_FAKE_MANAGER_H
#define TESTS_HOST_FAKE_MANAGER_H

#include "kernel/manager.h"

/* No VM; then web and db, described and empty. */
void fake_manager_reset(void);

extern int fake_manager_error;           /* what the next call returns instead; 0: it works */
extern unsigned fake_manager_calls;      /* that changed something */
extern const char *fake_manager_call;    /* the last one */
extern uint64_t fake_manager_memory;     /* what a guest was last asked to live with; 0: none was */

#endif
