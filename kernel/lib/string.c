/* SPDX-License-Identifier: BSD-2-Clause */
/* Freestanding string functions. Large copies and fills are REP MOVSQ/STOSQ, which every CPU has in microcode. */
#include "kernel/lib/string.h"
#include "kernel/lib/bytes.h"

/* Both ends by two accesses that may overlap: no loop for what most copies are. Up to 16 bytes. */
static void copy_small(unsigned char *d, const unsigned char *s, size_t size)
{
    if (size >= 8) {
        uint64_t first = get_le64(s), last = get_le64(s + size - 8);

        put_le64(d, first);
        put_le64(d + size - 8, last);
    } else if (size >= 4) {
        uint32_t first = get_le32(s), last = get_le32(s + size - 4);

        put_le32(d, first);
        put_le32(d + size - 4, last);
    } else if (size > 0) {
        unsigned char first = s[0], middle = s[size / 2], last = s[size - 1];

        d[0] = first;
        d[size / 2] = middle;
        d[size - 1] = last;
    }
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *result = to;
    size_t words = size / 8;

    if (size <= 16) {
        copy_small(to, from, size);
        return result;
    }
    size %= 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t size)
{
    unsigned char *d = to;
    const unsigned char *s = from;

    if (d <= s || d >= s + size)
        return memcpy(to, from, size);
    while (size-- > 0)
        d[size] = s[size];
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *result = to;
    size_t words = size / 8;
    uint64_t pattern = (unsigned char)byte * 0x0101010101010101ull;

    size %= 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(pattern) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;

    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

size_t strnlen(const char *s, size_t limit)
{
    size_t n = 0;

    while (n < limit && s[n])
        n++;
    return n;
}

size_t strlen(const char *s)
{
    return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t limit)
{
    for (size_t i = 0; i < limit; i++)
        if (a[i] != b[i] || !a[i])
            return (unsigned char)a[i] - (unsigned char)b[i];
    return 0;
}

int strcmp(const char *a, const char *b)
{
    return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)(uintptr_t)s;
}
