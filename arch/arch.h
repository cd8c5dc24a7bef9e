/* SPDX-License-Identifier: BSD-2-Clause */
/* What kernel/ may ask of any CPU architecture. */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include "kernel/lib/types.h"

/*
 * The direct map: where the hypervisor sees physical RAM, and back. phys_to_virt() is for RAM only
 * (devices are mapped one by one), virt_to_phys() only for what phys_to_virt() gave. Any CPU, any
 * time.
 */
void *phys_to_virt(hpa_t address);
hpa_t virt_to_phys(const void *pointer);

#endif
