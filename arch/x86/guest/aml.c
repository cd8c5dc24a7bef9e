/* SPDX-License-Identifier: BSD-2-Clause */
/* A small encoder of AML; see aml.h. */
#include "arch/x86/guest/aml.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"

/* ACPI, "AML Byte Stream Byte Values". */
#define AML_ZERO_OP       0x00
#define AML_ONE_OP        0x01
#define AML_NAME_OP       0x08
#define AML_BYTE_PREFIX   0x0a
#define AML_WORD_PREFIX   0x0b
#define AML_DWORD_PREFIX  0x0c
#define AML_STRING_PREFIX 0x0d
#define AML_SCOPE_OP      0x10
#define AML_BUFFER_OP     0x11
#define AML_PACKAGE_OP    0x12
#define AML_EXT_PREFIX    0x5b
#define AML_DEVICE_OP     0x82

/* ACPI, "Resource Data Types for ACPI": first bytes of descriptors; a small one's has its length. */
#define RESOURCE_IRQ_NO_FLAGS 0x22
#define RESOURCE_IO_PORT      0x47
#define RESOURCE_END_TAG      0x79
#define RESOURCE_MEMORY32     0x86
#define RESOURCE_WORD_SPACE   0x88
#define RESOURCE_INTERRUPT    0x89
#define RESOURCE_QWORD_SPACE  0x8a
#define SPACE_MEMORY          0
#define SPACE_PORTS           1
#define SPACE_PORTS_ALL       3 /* of ISA's and of others' */
#define SPACE_BUS             2
#define SPACE_FIXED           0x0c /* both ends; produced for others */
#define IO_DECODE_16          0x01
#define MEMORY_READ_WRITE     0x01
#define INTERRUPT_CONSUMER    0x01 /* level, active high, exclusive: the other bits are 0 */

void aml_put(struct aml *a, const void *bytes, uint32_t count)
{
    ASSERT(count <= a->capacity - a->used);
    memcpy(a->bytes + a->used, bytes, count);
    a->used += count;
}

static void put_byte(struct aml *a, uint8_t byte)
{
    aml_put(a, &byte, 1);
}

void aml_name(struct aml *a, const char *name)
{
    put_byte(a, AML_NAME_OP);
    aml_put(a, name, (uint32_t)strlen(name));
}

/* The shortest form: iasl, and a reader of a dump, expect no other. */
void aml_integer(struct aml *a, uint32_t value)
{
    uint8_t little_endian[4];

    put_le32(little_endian, value);
    if (value <= 1) {
        put_byte(a, value ? AML_ONE_OP : AML_ZERO_OP);
        return;
    }
    put_byte(a, value <= UINT8_MAX    ? AML_BYTE_PREFIX
                : value <= UINT16_MAX ? AML_WORD_PREFIX
                                      : AML_DWORD_PREFIX);
    aml_put(a, little_endian, value <= UINT8_MAX ? 1 : value <= UINT16_MAX ? 2 : 4);
}

void aml_string(struct aml *a, const char *s)
{
    put_byte(a, AML_STRING_PREFIX);
    aml_put(a, s, (uint32_t)strlen(s) + 1);
}

static uint32_t hex_digit(char c)
{
    return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits and four hexadecimal digits, big-endian; ACPI, "EISAID Macro". */
void aml_eisa_id(struct aml *a, const char *id)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 3; i++)
        value = value << 5 | (uint32_t)(id[i] - 'A' + 1);
    for (unsigned i = 3; i < 7; i++)
        value = value << 4 | hex_digit(id[i]);
    aml_integer(a, __builtin_bswap32(value));
}

/* --- terms with a body --- */

/*
 * ACPI, "Package Length Encoding": the length counts its own bytes. One byte holds up to 63;
 * otherwise the first byte holds the low four bits and how many bytes follow.
 */
static uint32_t encode_package_length(uint8_t encoded[3], uint32_t body)
{
    uint32_t length;

    if (body + 1 < BIT(6)) {
        encoded[0] = (uint8_t)(body + 1);
        return 1;
    }
    length = body + 2;
    if (length < BIT(12)) {
        encoded[0] = (uint8_t)(1 << 6 | (length & 0xf));
        encoded[1] = (uint8_t)(length >> 4);
        return 2;
    }
    length = body + 3;
    ASSERT(length < BIT(20));
    encoded[0] = (uint8_t)(2 << 6 | (length & 0xf));
    put_le16(encoded + 1, (uint16_t)(length >> 4));
    return 3;
}

/* The length goes in front of the body, and is known only now: move the body up. */
void aml_end(struct aml *a, uint32_t begin)
{
    uint8_t encoded[3];
    uint32_t body = a->used - begin, count = encode_package_length(encoded, body);

    ASSERT(count <= a->capacity - a->used);
    memmove(a->bytes + begin + count, a->bytes + begin, body);
    memcpy(a->bytes + begin, encoded, count);
    a->used += count;
}

uint32_t aml_scope_begin(struct aml *a, const char *name)
{
    uint32_t begin;

    put_byte(a, AML_SCOPE_OP);
    begin = a->used;
    aml_put(a, name, (uint32_t)strlen(name));
    return begin;
}

uint32_t aml_device_begin(struct aml *a, const char *name)
{
    uint32_t begin;

    put_byte(a, AML_EXT_PREFIX);
    put_byte(a, AML_DEVICE_OP);
    begin = a->used;
    aml_put(a, name, (uint32_t)strlen(name));
    return begin;
}

uint32_t aml_package_begin(struct aml *a, uint8_t elements)
{
    uint32_t begin;

    put_byte(a, AML_PACKAGE_OP);
    begin = a->used;
    put_byte(a, elements);
    return begin;
}

void aml_buffer(struct aml *a, const struct aml *content)
{
    uint32_t begin;

    put_byte(a, AML_BUFFER_OP);
    begin = a->used;
    aml_integer(a, content->used);
    aml_put(a, content->bytes, content->used);
    aml_end(a, begin);
}

/* --- resource descriptors --- */

void aml_resource_io(struct aml *a, uint16_t port, uint8_t count)
{
    uint8_t d[8] = {RESOURCE_IO_PORT, IO_DECODE_16, 0, 0, 0, 0, 1 /* alignment */, count};

    put_le16(d + 2, port); /* lowest and highest base */
    put_le16(d + 4, port);
    aml_put(a, d, sizeof d);
}

void aml_resource_irq(struct aml *a, unsigned irq)
{
    uint8_t d[3] = {RESOURCE_IRQ_NO_FLAGS};

    put_le16(d + 1, (uint16_t)BIT(irq));
    aml_put(a, d, sizeof d);
}

void aml_resource_memory32(struct aml *a, uint32_t base, uint32_t bytes)
{
    uint8_t d[12] = {RESOURCE_MEMORY32, sizeof d - 3, 0, MEMORY_READ_WRITE};

    put_le32(d + 4, base);
    put_le32(d + 8, bytes);
    aml_put(a, d, sizeof d);
}

void aml_resource_interrupt(struct aml *a, uint32_t gsi)
{
    uint8_t d[9] = {RESOURCE_INTERRUPT, sizeof d - 3, 0, INTERRUPT_CONSUMER, 1 /* interrupt */};

    put_le32(d + 5, gsi);
    aml_put(a, d, sizeof d);
}

/* ACPI, "Address Space Resource Descriptors": type, flags, type's flags; granularity, ends, offset, length. */
static void put_word_window(struct aml *a, uint8_t space, uint8_t space_flags, const uint16_t ends[2])
{
    uint8_t d[16] = {RESOURCE_WORD_SPACE, sizeof d - 3, 0, space, SPACE_FIXED, space_flags};

    put_le16(d + 8, ends[0]);
    put_le16(d + 10, ends[1]);
    put_le16(d + 14, (uint16_t)(ends[1] - ends[0] + 1));
    aml_put(a, d, sizeof d);
}

void aml_resource_bus_window(struct aml *a, uint16_t first, uint16_t last)
{
    put_word_window(a, SPACE_BUS, 0, (const uint16_t[]){first, last});
}

void aml_resource_port_window(struct aml *a, uint16_t first, uint16_t last)
{
    put_word_window(a, SPACE_PORTS, SPACE_PORTS_ALL, (const uint16_t[]){first, last});
}

static void put_quad(uint8_t *to, uint64_t value)
{
    put_le32(to, (uint32_t)value);
    put_le32(to + 4, (uint32_t)(value >> 32));
}

void aml_resource_memory_window(struct aml *a, uint64_t base, uint64_t bytes)
{
    uint8_t d[46] = {RESOURCE_QWORD_SPACE, sizeof d - 3, 0, SPACE_MEMORY, SPACE_FIXED, MEMORY_READ_WRITE};

    put_quad(d + 14, base);
    put_quad(d + 22, base + bytes - 1);
    put_quad(d + 38, bytes);
    aml_put(a, d, sizeof d);
}

/* A checksum of 0 means that there is none. */
void aml_resource_end(struct aml *a)
{
    aml_put(a, (const uint8_t[]){RESOURCE_END_TAG, 0}, 2);
}
