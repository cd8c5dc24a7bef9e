/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes a line out of an event; see log.h. */
#include "kernel/log.h"
#include "kernel/console.h"
#include "kernel/lib/format.h"
#include "kernel/pcpu.h"
#include "kernel/timer.h"
#include "kernel/vm.h"

#define LINE_BYTES 512

enum log_level log_level = LOG_INFO;

static void finish_line(char *line, size_t length)
{
    if (length > LINE_BYTES - 3)
        length = LINE_BYTES - 3;
    line[length++] = '\r';
    line[length++] = '\n';
    console_write(line, length);
}

static size_t put_heading(char *line, const char *module)
{
    uint64_t us = clock_hz() ? clock_ns_from_ticks(clock_now()) / 1000 : 0;
    struct pcpu *cpu = this_pcpu();
    size_t n = format_text(line, LINE_BYTES, "[%3lu.%06lu] cpu%u ", us / 1000000, us % 1000000, cpu->id);

    if (cpu->current)
        n += format_text(line + n, LINE_BYTES - n, "vm%u ", vcpu_vm_id(cpu->current));
    return n + format_text(line + n, LINE_BYTES - n, "%s: ", module);
}

void log_line(enum log_level level, const char *module, const char *format, ...)
{
    static const char *const marks[] = {[LOG_ERROR] = "error: ", [LOG_WARN] = "warning: "};
    char line[LINE_BYTES];
    va_list args;
    size_t n;

    if (level > log_level)
        return;
    n = put_heading(line, module);
    if (level <= LOG_WARN)
        n += format_text(line + n, sizeof line - n, "%s", marks[level]);
    va_start(args, format);
    n += format_text_va(line + n, sizeof line - n, format, args);
    va_end(args);
    finish_line(line, n);
}

bool log_guest_may_write(void)
{
    static unsigned lines_of_nobody;
    const struct vcpu *vcpu = this_pcpu()->current;
    unsigned *lines = vcpu ? &vcpu->vm->guest_lines : &lines_of_nobody;
    unsigned count = __atomic_load_n(lines, __ATOMIC_RELAXED);

    if (count > LOG_GUEST_LINES)
        return false;
    count = __atomic_fetch_add(lines, 1, __ATOMIC_RELAXED);
    if (count == LOG_GUEST_LINES)
        log_line(LOG_WARN, "log", "no more lines that this guest causes");
    return count < LOG_GUEST_LINES;
}

void log_event(const char *format, ...)
{
    char line[LINE_BYTES];
    size_t n = format_text(line, sizeof line, "rm: ");
    va_list args;

    va_start(args, format);
    n += format_text_va(line + n, sizeof line - n, format, args);
    va_end(args);
    finish_line(line, n);
}
