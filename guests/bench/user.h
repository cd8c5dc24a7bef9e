/* SPDX-License-Identifier: BSD-2-Clause */
/* User mode, for as long as a benchmark of it lasts. */
#ifndef GUESTS_BENCH_USER_H
#define GUESTS_BENCH_USER_H

/* Takes so many exceptions in user mode, each handled by an interrupt gate of the guest's own. */
void user_take_exceptions(unsigned count);

#endif
