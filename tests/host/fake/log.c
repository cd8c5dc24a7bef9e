/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "kernel/log.h"

enum log_level log_level = LOG_DEBUG;
char fake_log_last[512];
unsigned fake_log_count;
char fake_log_text[8192];

void fake_log_reset(void)
{
    fake_log_last[0] = fake_log_text[0] = '\0';
    fake_log_count = 0;
}

/* What does not fit is only in the count. */
static void append(const char *line)
{
    size_t used = strlen(fake_log_text);

    snprintf(fake_log_text + used, sizeof fake_log_text - used, "%s\n", line);
}

static void record(const char *format, va_list args)
{
    vsnprintf(fake_log_last, sizeof fake_log_last, format, args);
    fake_log_count++;
    append(fake_log_last);
    if (getenv("FAKE_LOG"))
        fprintf(stderr, "%s\n", fake_log_last);
}

void log_line(enum log_level level, const char *module, const char *format, ...)
{
    va_list args;

    (void)level;
    (void)module;
    va_start(args, format);
    record(format, args);
    va_end(args);
}

bool log_guest_may_write(void)
{
    return true;
}

void log_event(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(format, args);
    va_end(args);
}
