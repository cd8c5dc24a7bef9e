/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's command line; see host_config.h. */
#include "kernel/host_config.h"

/* Choices are stored as unsigned. */
_Static_assert(sizeof(enum log_level) == sizeof(unsigned) &&
                   sizeof(enum on_idle) == sizeof(unsigned) && sizeof(enum delivery) == sizeof(unsigned),
               "enums are unsigned");

static const struct config_choice log_levels[] = {
    {"error", LOG_ERROR}, {"warn", LOG_WARN}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}, {NULL, 0}};

static const struct config_choice on_idle_choices[] = {{"poweroff", ON_IDLE_POWEROFF},
                                                       {"reboot", ON_IDLE_REBOOT},
                                                       {"shell", ON_IDLE_SHELL},
                                                       {NULL, 0}};

static const struct config_choice consoles[] = {
    {"com1", HOST_CONSOLE_COM1}, {"vga", HOST_CONSOLE_VGA}, {"e9", HOST_CONSOLE_E9}, {NULL, 0}};

static const struct config_choice off_on[] = {{"off", 0}, {"on", 1}, {NULL, 0}};

static const struct config_choice mitigation_choices[] = {{"off", 0}, {"auto", 1}, {NULL, 0}};

static const struct config_choice delivery_choices[] = {
    {"0", DELIVERY_OFF}, {"1", DELIVERY_ON}, {"auto", DELIVERY_AUTO}, {NULL, 0}};

#define AT(field) offsetof(struct host_config, field)
#define CHOICE(name, field, from, help)                  \
    {                                                    \
        name, CONFIG_CHOICE, AT(field), 0, 0, from, help \
    }
#define FLAG(field, help)                                \
    {                                                    \
#field, CONFIG_FLAG, AT(field), 0, 1, NULL, help \
    }

/* clang-format off */
static const struct config_key keys[] = {
    CHOICE("log", log_level, log_levels, "least severe messages that are logged"),
    CHOICE("on_idle", on_idle, on_idle_choices, "what to do when every VM has stopped"),
    {"console", CONFIG_CHOICES, AT(consoles), 0, 0, consoles, "where the log and the shell appear"},
    {"max_cpus", CONFIG_NUMBER, AT(max_cpus), 1, HOST_CPUS_MAX, NULL, "CPUs to bring up"},
    FLAG(vpid, "tag guest translations, so that an exit flushes none"),
    FLAG(tpr_shadow, "keep the guest's task priority in hardware"),
    FLAG(apicv, "0 switches off the two that follow"),
    FLAG(apic_register_virtualization, "let hardware answer local APIC register accesses"),
    CHOICE("virtual_interrupt_delivery", virtual_interrupt_delivery, delivery_choices,
           "let hardware deliver virtual interrupts; auto: where it is right"),
    FLAG(avic, "let AMD's hardware do so (AVIC); off unless asked for"),
    FLAG(x2apic, "use the x2APIC of the host"),
    FLAG(ept_large_pages, "map guest memory in 2M and 1G pages"),
    FLAG(preemption_timer, "end time slices by the preemption timer"),
    CHOICE("iommu", iommu, off_on, "confine devices by the IOMMU where there is one"),
    CHOICE("mitigations", mitigations, mitigation_choices, "hide from a guest what the CPU keeps of others, if it does"),
    FLAG(audit, "whenever a VM has ended, look whether each has only what is its own"),
    {"device_interrupts", CONFIG_NUMBER, AT(device_interrupts), 0, 100000000, NULL, "what a device of a guest may send in a second"},
    FLAG(unsafe_dma, "allow passthrough where no IOMMU confines it"),
};
/* clang-format on */

const struct config_table host_config_table = CONFIG_TABLE(keys);

static const struct host_config defaults = {
    .log_level = LOG_INFO,
    .on_idle = ON_IDLE_SHELL,
    .consoles = HOST_CONSOLE_ALL,
    .max_cpus = HOST_CPUS_MAX,
    .vpid = true,
    .tpr_shadow = true,
    .apicv = true,
    .apic_register_virtualization = true,
    .virtual_interrupt_delivery = DELIVERY_AUTO,
    .x2apic = true,
    .ept_large_pages = true,
    .preemption_timer = true,
    .iommu = 1,
    .mitigations = 1,
    .audit = false,
    .device_interrupts = 200000,
    .unsafe_dma = false,
};

static bool is_stored(struct host_config *config, const struct config_pair *pair, int result,
                      struct config_error *error)
{
    const struct config_key *key = config_find(&host_config_table, pair->key);

    if (result < 0)
        config_explain_token(error, pair, result);
    else if (!key)
        config_explain(error, "%s: no such key", pair->key);
    else
        return config_store(key, config, pair, error) == 0;
    return false;
}

unsigned host_config_parse(const char *line, struct host_config *config)
{
    struct config_cursor cursor = config_open(line);
    struct config_pair pair;
    struct config_error error;
    unsigned ignored = 0;
    int result;

    *config = defaults;
    while ((result = config_next(&cursor, &pair)) != 0) {
        if (is_stored(config, &pair, result, &error))
            continue;
        log_error("config", "command line: %s (ignored)", error.text);
        ignored++;
    }
    config->apic_register_virtualization &= config->apicv;
    if (!config->apicv)
        config->virtual_interrupt_delivery = DELIVERY_OFF;
    return ignored;
}
