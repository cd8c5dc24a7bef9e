/* SPDX-License-Identifier: BSD-2-Clause */
/* Nested page tables: the entry format for kernel/pt.c. Which page sizes a CPU has is for the caller to say. */
#ifndef ARCH_X86_SVM_NPT_H
#define ARCH_X86_SVM_NPT_H

#include "kernel/pt.h"

extern const struct pt_format npt_format;

#endif
