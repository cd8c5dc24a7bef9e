/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The types and small macros that every file may use. Addresses of different spaces are different
 * types, so that the compiler refuses a mix-up.
 */
#ifndef KERNEL_LIB_TYPES_H
#define KERNEL_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t value;
} hpa_t; /* host-physical */

typedef struct {
    uint64_t value;
} gpa_t; /* guest-physical */

typedef struct {
    uint64_t value;
} gva_t; /* guest-virtual (linear) */

#define HPA(x) ((hpa_t){(x)})
#define GPA(x) ((gpa_t){(x)})
#define GVA(x) ((gva_t){(x)})

#define PAGE_SHIFT 12u
#define PAGE_SIZE  ((uint64_t)1 << PAGE_SHIFT)

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define BIT(n)             ((uint64_t)1 << (n))
#define ARRAY_SIZE(a)      (sizeof(a) / sizeof((a)[0]))
#define ALIGN_DOWN(x, a)   ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)     ALIGN_DOWN((x) + (a)-1, (a))
#define IS_ALIGNED(x, a)   (((x) & ((__typeof__(x))(a)-1)) == 0)
#define MIN(a, b)          ((a) < (b) ? (a) : (b))
#define MAX(a, b)          ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

#define MUST_CHECK       __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN         __attribute__((noreturn))
#define PACKED           __attribute__((packed))
#define UNUSED           __attribute__((unused))
/* Rare, and out of line: its registers and its stack frame do not burden the way that is taken. */
#define COLD             __attribute__((noinline, cold))
#define ALWAYS_INLINE    inline __attribute__((always_inline)) /* for what constant arguments make short */
#define likely(x)        __builtin_expect(!!(x), 1)
#define unlikely(x)      __builtin_expect(!!(x), 0)

/* A guest can change its memory while we look at it: read such a value exactly once. */
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* Is [start, start+length) inside [0, limit), with no wrap-around? length may be 0. */
static inline bool range_fits(uint64_t start, uint64_t length, uint64_t limit)
{
    return start <= limit && length <= limit - start;
}

/* Do [a, a+a_size) and [b, b+b_size) share a byte? Neither may wrap around, or be empty. */
static inline bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

#endif
