/* SPDX-License-Identifier: BSD-2-Clause */
/* Theory: no text, as a command line or as module lines, is read past its end or written past a
 * field. */
#include "kernel/host_config.h"
#include "kernel/lib/string.h"
#include "kernel/vm_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char text[65536];
static struct vm_config vms[4];

/* Each line of the input is a module. */
static void add_lines(struct vm_config_set *set)
{
    struct config_error error;
    unsigned index = 0;

    for (char *line = text, *end; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        (void)!vm_config_add_module(set, index++, line, &error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vm_config_set set = {vms, ARRAY_SIZE(vms), 0};
    struct host_config host;

    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    (void)host_config_parse(text, &host);
    add_lines(&set);
    vm_config_check(&set);
    for (unsigned i = 0; i < set.count; i++)
        if (strnlen(set.vms[i].cmdline, CONFIG_VALUE_BYTES) == CONFIG_VALUE_BYTES)
            __builtin_trap();
    return 0;
}
