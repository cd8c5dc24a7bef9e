/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small encoder of AML, the byte code of ACPI's definition blocks: it appends terms to a caller's
 * buffer. ACPI Specification, "ACPI Machine Language (AML) Specification" and "Resource Data Types
 * for ACPI". What is encoded is ours alone, so a buffer that is too small is a bug (ASSERT).
 */
#ifndef ARCH_X86_GUEST_AML_H
#define ARCH_X86_GUEST_AML_H

#include "kernel/lib/types.h"

struct aml {
    uint8_t *bytes;
    uint32_t used, capacity;
};

void aml_put(struct aml *a, const void *bytes, uint32_t count);

/* Name (NAME, …): the next term is its value. A name has four characters; "\\" may be in front. */
void aml_name(struct aml *a, const char *name);
void aml_integer(struct aml *a, uint32_t value);
void aml_string(struct aml *a, const char *s);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0501" */
void aml_buffer(struct aml *a, const struct aml *content);

/* Terms with a body: each begin returns what its aml_end wants; they nest. */
uint32_t aml_scope_begin(struct aml *a, const char *name);
uint32_t aml_device_begin(struct aml *a, const char *name);
uint32_t aml_package_begin(struct aml *a, uint8_t elements);
void aml_end(struct aml *a, uint32_t begin);

/* Resource descriptors, for a buffer of their own; the end tag closes it. */
void aml_resource_io(struct aml *a, uint16_t port, uint8_t count);
void aml_resource_irq(struct aml *a, unsigned irq); /* edge, active high, exclusive */
void aml_resource_memory32(struct aml *a, uint32_t base, uint32_t bytes); /* read and write */
void aml_resource_interrupt(struct aml *a, uint32_t gsi); /* level, active high, exclusive */
/* What a host bridge hands on to what is below it. */
void aml_resource_bus_window(struct aml *a, uint16_t first, uint16_t last);
void aml_resource_port_window(struct aml *a, uint16_t first, uint16_t last);
void aml_resource_memory_window(struct aml *a, uint64_t base, uint64_t bytes);
void aml_resource_end(struct aml *a);

#endif
