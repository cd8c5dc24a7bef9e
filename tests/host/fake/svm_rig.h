/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU of the SVM engine, with no CPU under it: the test plays the CPU and writes what an exit leaves in the VMCB. The
 * vCPU is in real mode and walks no tables: what is linear is physical. Handlers of exits are one that counts.
 */
#ifndef TESTS_HOST_FAKE_SVM_RIG_H
#define TESTS_HOST_FAKE_SVM_RIG_H

#include "tests/host/fake/fake.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/cr.h"
#include "arch/x86/guest/exit.h"
#include "arch/x86/svm/svm_caps.h"
#include "arch/x86/svm/svm_ops.h"
#include "arch/x86/svm/vmcb.h"

#define CODE_AT 0x1000u
#define DATA_AT 0x2000u
#define ROOT    0x12345000u

extern struct fake_vcpu f;
extern struct vcpu *const vcpu;
extern struct vmcb *vmcb;

extern enum verdict verdict_of_handler;
extern unsigned handled, kicks, interrupts_taken;

int svm_rig_set_up(void **state);
int svm_rig_tear_down(void **state);
const struct vcpu_start *real_mode(void);
/* In the test itself: see fake_cpu_begin(). */
void begin(void);
void enter_long_mode(void);

void write_code(const char *bytes, size_t count);
#define CODE(bytes) write_code(bytes, sizeof(bytes) - 1)

enum verdict leave(uint64_t code, uint64_t info1, uint64_t info2);
/* An exit with this code becomes one of this kind, and is handled once. */
void assert_kind(uint64_t code, enum exit_kind kind);
bool is_intercepted(enum intercept_word word, uint32_t bits);

#endif
