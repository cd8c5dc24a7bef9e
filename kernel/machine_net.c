/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell's command for the virtual switches. */
#include "kernel/machine_net.h"
#include "drivers/net/networks.h"
#include "kernel/lib/string.h"
#include "kernel/shell.h"

static char wanted[SWITCH_NAME_BYTES]; /* the switch that was asked for; "": all */

static void put_line(void *context, const char *text)
{
    (void)context;
    shell_print("%s", text);
}

static bool show(void)
{
    if (!networks_at(0))
        shell_print("there is no switch: no VM has a network card");
    networks_list(wanted, put_line, NULL);
    return false;
}

/* A rate wants two samples: the answer comes a second later, and Ctrl-C forgoes it. */
static void net(const struct shell_call *call)
{
    memcpy(wanted, call->word[0], strnlen(call->word[0], sizeof wanted - 1) + 1);
    wanted[sizeof wanted - 1] = '\0';
    networks_sample();
    shell_refresh(show);
}

void machine_net_init(void)
{
    static const struct shell_command commands[] = {
        {"net", {{SHELL_SWITCH, "[SWITCH]"}}, "the switches' ports; all there is of one", net},
    };

    shell_set_switches(networks_name_at);
    shell_add_commands(commands, ARRAY_SIZE(commands));
}
