/* SPDX-License-Identifier: BSD-2-Clause */
/* The switches as lines for people; see networks.h. Counters are read while they count: a line is not of one moment. */
#include "drivers/net/networks.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/timer.h"

#define LINE_BYTES   128u
#define NUMBER_BYTES 8u
#define TICKS_MIN    1000u /* two samples at once have no rate */

struct listing {
    const struct net_switch *of;
    void (*put)(void *context, const char *line);
    void *context;
};

static uint64_t sampled_at;

PRINTF_LIKE(2, 3) static void put_line(const struct listing *l, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;

    va_start(args, format);
    format_text_va(line, sizeof line, format, args);
    va_end(args);
    l->put(l->context, line);
}

/* --- numbers --- */

/* "999", "1.2K", "100M": at most five characters, decimal as networks count. */
static const char *short_number(uint64_t value, char text[NUMBER_BYTES])
{
    static const char units[] = " KMGTPE";
    unsigned unit = 0, tenths = 0;

    for (; value >= 1000; unit++) {
        tenths = (unsigned)(value % 1000 / 100);
        value /= 1000;
    }
    if (unit == 0)
        format_text(text, NUMBER_BYTES, "%lu", value);
    else if (value < 10 && tenths > 0)
        format_text(text, NUMBER_BYTES, "%lu.%u%c", value, tenths, units[unit]);
    else
        format_text(text, NUMBER_BYTES, "%lu%c", value, units[unit]);
    return text;
}

/* Bits a second, since the sample. */
static uint64_t rate_of(uint64_t bytes, uint64_t sampled)
{
    uint64_t ticks = MAX(clock_now() - sampled_at, (uint64_t)TICKS_MIN);

    return mul_div((bytes - MIN(sampled, bytes)) * 8, clock_hz(), ticks);
}

static uint64_t sum(const uint64_t drops[NET_RESULTS])
{
    uint64_t total = 0;

    for (unsigned i = 0; i < NET_RESULTS; i++)
        total += READ_ONCE(drops[i]);
    return total;
}

/* --- ports --- */

static const char *vlan_text(const struct switch_port_config *config, char text[LINE_BYTES])
{
    format_text(text, LINE_BYTES, "%u%s%s", config->vlan, config->is_trunk ? ",trunk" : "", config->is_isolated ? ",isol" : "");
    return text;
}

static void put_port(const struct listing *l, const struct switch_port *port)
{
    char vlan[LINE_BYTES], limit[NUMBER_BYTES], numbers[5][NUMBER_BYTES];

    put_line(l, "%-22s %-13s %5s %6s %6s %6s %6s %6s", port->config.name, vlan_text(&port->config, vlan),
             port->config.rate ? short_number(port->config.rate, limit) : "-",
             short_number(READ_ONCE(port->sent.packets), numbers[0]),
             short_number(rate_of(READ_ONCE(port->sent.bytes), port->sampled_sent), numbers[1]),
             short_number(READ_ONCE(port->received.packets), numbers[2]),
             short_number(rate_of(READ_ONCE(port->received.bytes), port->sampled_received), numbers[3]),
             short_number(sum(port->send_drops) + sum(port->receive_drops), numbers[4]));
}

static unsigned count_ports(const struct net_switch *s)
{
    unsigned count = 0;

    for (unsigned i = 0; i < s->port_limit; i++)
        count += s->ports[i].is_used;
    return count;
}

static void put_ports(const struct listing *l)
{
    put_line(l, "switch %s, %u in use", l->of->name, count_ports(l->of));
    put_line(l, "%-22s %-13s %5s %6s %6s %6s %6s %6s", "PORT", "VLAN", "LIMIT", "SENT", "BIT/S", "RECVD", "BIT/S", "DROPS");
    for (unsigned i = 0; i < l->of->port_limit; i++)
        if (l->of->ports[i].is_used)
            put_port(l, &l->of->ports[i]);
}

/* --- addresses --- */

static void put_address(void *context, const struct mac_entry *entry)
{
    const struct listing *l = context;
    uint64_t seconds = (clock_now() - entry->seen) / clock_hz();
    const uint8_t *mac = (const uint8_t *)&entry->key.value;
    char age[LINE_BYTES] = "its card's";

    if (!entry->is_fixed)
        format_text(age, sizeof age, "%lu s ago", seconds);
    put_line(l, "%02x:%02x:%02x:%02x:%02x:%02x      %4u %-22s %s", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5],
             (unsigned)(entry->key.value >> 48), l->of->ports[entry->port].config.name, age);
}

static void put_addresses(struct listing *l)
{
    put_line(l, "%-22s %4s %-22s %s", "ADDRESS", "VLAN", "PORT", "SEEN");
    mac_table_visit((struct mac_table *)&l->of->macs, put_address, l);
}

/* --- drops --- */

static void put_port_drops(const struct listing *l, const struct switch_port *port, const char *way,
                           const uint64_t drops[NET_RESULTS])
{
    for (unsigned i = 0; i < NET_RESULTS; i++)
        if (READ_ONCE(drops[i]) > 0)
            put_line(l, "%-22s %-10s %-12s %10lu", port->config.name, way, switch_result_name(i), READ_ONCE(drops[i]));
}

static void put_drops(const struct listing *l)
{
    put_line(l, "%-22s %-10s %-12s %10s", "PORT", "DROPPED", "WHY", "PACKETS");
    for (unsigned i = 0; i < l->of->port_limit; i++) {
        const struct switch_port *port = &l->of->ports[i];

        if (!port->is_used)
            continue;
        put_port_drops(l, port, "sending", port->send_drops);
        put_port_drops(l, port, "receiving", port->receive_drops);
    }
}

/* --- all of it --- */

void networks_sample(void)
{
    struct net_switch *s;

    sampled_at = clock_now();
    for (unsigned n = 0; (s = networks_at(n)); n++)
        for (unsigned i = 0; i < s->port_limit; i++) {
            s->ports[i].sampled_sent = READ_ONCE(s->ports[i].sent.bytes);
            s->ports[i].sampled_received = READ_ONCE(s->ports[i].received.bytes);
        }
}

void networks_list(const char *name, void (*put)(void *context, const char *line), void *context)
{
    struct listing l = {.put = put, .context = context};

    for (unsigned i = 0; (l.of = networks_at(i)); i++) {
        if (name[0] && strcmp(l.of->name, name) != 0)
            continue;
        put_ports(&l);
        if (!name[0])
            continue;
        put_addresses(&l);
        put_drops(&l);
    }
}
