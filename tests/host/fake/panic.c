/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "kernel/lib/assert.h"

jmp_buf *fake_panic_target;
char fake_panic_text[256];

void panic_at(const char *file, int line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(fake_panic_text, sizeof fake_panic_text, format, args);
    va_end(args);
    if (fake_panic_target)
        longjmp(*fake_panic_target, 1);
    fprintf(stderr, "panic at %s:%d: %s\n", file, line, fake_panic_text);
    abort();
}
