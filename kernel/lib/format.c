/* SPDX-License-Identifier: BSD-2-Clause */
/* printf-style formatting into a buffer; keeps no state and allocates nothing. */
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

struct sink {
    char *buffer;
    size_t size;
    size_t length; /* of the whole text, even past the buffer's end */
};

struct spec {
    bool left, zero, alternate, upper;
    size_t width;
    size_t precision; /* SIZE_MAX: none given */
    unsigned longs;   /* 0: int, 1: long, 2: long long */
    unsigned shorts;  /* 1: short, 2: char; both come as an int */
};

static void put(struct sink *s, char c)
{
    if (s->length + 1 < s->size)
        s->buffer[s->length] = c;
    s->length++;
}

static void put_padded(struct sink *s, const struct spec *spec, const char *prefix, const char *text,
                       size_t length)
{
    size_t prefix_length = strlen(prefix);
    size_t total = prefix_length + length;
    size_t padding = spec->width > total ? spec->width - total : 0;
    bool zeroes = spec->zero && !spec->left;

    if (!spec->left && !zeroes)
        for (size_t i = 0; i < padding; i++)
            put(s, ' ');
    for (size_t i = 0; i < prefix_length; i++)
        put(s, prefix[i]);
    if (zeroes)
        for (size_t i = 0; i < padding; i++)
            put(s, '0');
    for (size_t i = 0; i < length; i++)
        put(s, text[i]);
    if (spec->left)
        for (size_t i = 0; i < padding; i++)
            put(s, ' ');
}

static void put_number(struct sink *s, const struct spec *spec, const char *prefix, uint64_t value,
                       unsigned base)
{
    const char *digits = spec->upper ? "0123456789ABCDEF" : "0123456789abcdef";
    char text[24];
    size_t at = sizeof text;

    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value != 0);
    put_padded(s, spec, prefix, text + at, sizeof text - at);
}

static void put_text(struct sink *s, const struct spec *spec, const char *text)
{
    struct spec plain = *spec;

    plain.zero = false;
    if (text == NULL)
        text = "(null)";
    put_padded(s, &plain, "", text, strnlen(text, spec->precision));
}

/* Negative only as an argument. */
static int64_t parse_count(const char **format, va_list *args)
{
    int64_t n = 0;

    if (**format == '*') {
        (*format)++;
        return va_arg(*args, int);
    }
    while (**format >= '0' && **format <= '9')
        n = n * 10 + (*(*format)++ - '0');
    return n;
}

static void parse_spec(const char **format, va_list *args, struct spec *spec)
{
    int64_t n;

    *spec = (struct spec){.precision = SIZE_MAX};
    for (;; (*format)++) {
        if (**format == '-')
            spec->left = true;
        else if (**format == '0')
            spec->zero = true;
        else if (**format == '#')
            spec->alternate = true;
        else
            break;
    }
    n = parse_count(format, args);
    spec->left |= n < 0;
    spec->width = (size_t)(n < 0 ? -n : n);
    if (**format == '.') {
        (*format)++;
        n = parse_count(format, args);
        spec->precision = n < 0 ? SIZE_MAX : (size_t)n;
    }
    for (; **format == 'l' || **format == 'z' || **format == 'h'; (*format)++) {
        spec->longs += **format != 'h';
        spec->shorts += **format == 'h';
    }
}

static int64_t signed_argument(const struct spec *spec, va_list *args)
{
    int n;

    if (spec->longs > 0)
        return va_arg(*args, long);
    n = va_arg(*args, int);
    if (spec->shorts > 0)
        n = spec->shorts == 1 ? (short)n : (signed char)n;
    return n;
}

static uint64_t unsigned_argument(const struct spec *spec, va_list *args)
{
    unsigned n;

    if (spec->longs > 0)
        return va_arg(*args, unsigned long);
    n = va_arg(*args, unsigned);
    if (spec->shorts > 0)
        n = spec->shorts == 1 ? (unsigned short)n : (unsigned char)n;
    return n;
}

static void put_conversion(struct sink *s, char kind, struct spec *spec, va_list *args)
{
    char c;
    int64_t n;

    switch (kind) {
    case 'd':
    case 'i':
        n = signed_argument(spec, args);
        put_number(s, spec, n < 0 ? "-" : "", n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
        break;
    case 'u':
        put_number(s, spec, "", unsigned_argument(spec, args), 10);
        break;
    case 'X':
        spec->upper = true;
        /* fall through */
    case 'x':
        put_number(s, spec, spec->alternate ? "0x" : "", unsigned_argument(spec, args), 16);
        break;
    case 'p':
        put_number(s, spec, "0x", (uintptr_t)va_arg(*args, void *), 16);
        break;
    case 's':
        put_text(s, spec, va_arg(*args, const char *));
        break;
    case 'c':
        c = (char)va_arg(*args, int);
        put_padded(s, spec, "", &c, 1);
        break;
    default:
        put(s, kind);
    }
}

size_t format_text_va(char *buffer, size_t size, const char *format, va_list original)
{
    struct sink s = {buffer, size, 0};
    struct spec spec;
    va_list args;

    va_copy(args, original);
    for (; *format; format++) {
        if (*format != '%') {
            put(&s, *format);
            continue;
        }
        format++;
        parse_spec(&format, &args, &spec);
        if (*format == '\0')
            break;
        put_conversion(&s, *format, &spec, &args);
    }
    va_end(args);
    if (size > 0)
        buffer[MIN(s.length, size - 1)] = '\0';
    return s.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    size_t length;

    va_start(args, format);
    length = format_text_va(buffer, size, format, args);
    va_end(args);
    return length;
}
