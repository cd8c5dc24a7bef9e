/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "kernel/log.h"
#include "kernel/lib/assert.h"

/* --- log and panic --- */

enum log_level log_level = LOG_DEBUG;
char fake_log_last[512];
unsigned fake_log_count;

static void record(const char *format, va_list args)
{
    vsnprintf(fake_log_last, sizeof fake_log_last, format, args);
    fake_log_count++;
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

void log_event(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    record(format, args);
    va_end(args);
}

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

/* --- clock and timers: a plain list is enough for a test --- */

static uint64_t now;
static struct timer *armed; /* linked through sibling */
uint64_t fake_wall_ns;

uint64_t clock_now(void)
{
    return now;
}

uint64_t clock_hz(void)
{
    return FAKE_HZ;
}

uint64_t clock_wall_ns(void)
{
    return fake_wall_ns + now;
}

void timer_cancel(struct timer *t)
{
    for (struct timer **link = &armed; *link; link = &(*link)->sibling) {
        if (*link == t) {
            *link = t->sibling;
            break;
        }
    }
    t->armed = false;
}

void timer_arm(struct timer *t, uint64_t deadline)
{
    struct timer **link = &armed;

    timer_cancel(t);
    t->deadline = deadline;
    t->armed = true;
    while (*link && (*link)->deadline <= deadline)
        link = &(*link)->sibling;
    t->sibling = *link;
    *link = t;
}

void fake_clock_reset(void)
{
    now = 0;
    armed = NULL;
    fake_wall_ns = 0;
}

void fake_clock_advance(uint64_t ticks)
{
    uint64_t end = now + ticks;

    while (armed && armed->deadline <= end) {
        struct timer *t = armed;

        now = MAX(now, t->deadline);
        timer_cancel(t);
        t->fire(t->context);
    }
    now = end;
}

/* --- interrupt line --- */

static void fake_irq_set(void *chip, unsigned input, bool level)
{
    struct fake_irq *f = chip;

    f->rises += level && !f->level;
    f->falls += !level && f->level;
    f->level = level;
    f->input = input;
}

struct irq_line fake_irq_line(struct fake_irq *recorder, unsigned input)
{
    *recorder = (struct fake_irq){0};
    return (struct irq_line){fake_irq_set, recorder, input};
}
