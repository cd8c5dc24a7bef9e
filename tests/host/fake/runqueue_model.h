/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run queue beside the definition of EEVDF, with virtual time summed up anew each time, in 128 bits and with no origin,
 * and with linear searches. Each operation is done to both, and then vruntimes and deadlines agree to the tick, or the
 * test has failed. The caller's numbers say which operation, on whom, and when.
 */
#ifndef TESTS_HOST_FAKE_RUNQUEUE_MODEL_H
#define TESTS_HOST_FAKE_RUNQUEUE_MODEL_H

/* A number below the limit. */
typedef unsigned runqueue_choose_fn(unsigned limit);

void runqueue_model_begin(runqueue_choose_fn *choose);
void runqueue_model_operate(void);

#endif
