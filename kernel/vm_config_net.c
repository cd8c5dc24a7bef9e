/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One network card of a VM, as its kernel's line says it; see vm_config.h. The value begins with the switch's name.
 */
#include "kernel/vm_config.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/vm_config_item.h"

#define MAC_TEXT_MAX  17
#define RATE_TEXT_MAX 15
#define RATE_MIN      64000u          /* bits per second */
#define RATE_MAX      1000000000000u

#define FNV_OFFSET_BASIS 0xcbf29ce484222325ull /* of the hash FNV-1a, 64 bits */
#define FNV_PRIME        0x100000001b3ull

/* What the keys store: the card, and texts of types that are not config.h's. */
struct net_reader {
    struct vm_net_config net;
    char mac[MAC_TEXT_MAX + 1];
    char rate[RATE_TEXT_MAX + 1];
};

/* clang-format off */
#define AT(field) offsetof(struct net_reader, field)
static const struct config_key net_keys[] = {
    {"switch",      CONFIG_NAME,   AT(net.network),      0, VM_NAME_MAX,      NULL, "the switch that it is plugged into"},
    {"mac",         CONFIG_TEXT,   AT(mac),              0, MAC_TEXT_MAX,     NULL, "its address"},
    {"vlan",        CONFIG_NUMBER, AT(net.vlan),         0, VM_VLAN_MAX,      NULL, "the VLAN of its port"},
    {"trunk",       CONFIG_FLAG,   AT(net.is_trunk),     0, 1,                NULL, "its port carries every VLAN, tagged"},
    {"isolated",    CONFIG_FLAG,   AT(net.is_isolated),  0, 1,                NULL, "it reaches only ports that are not"},
    {"rate",        CONFIG_TEXT,   AT(rate),             0, RATE_TEXT_MAX,    NULL, "bits per second that it may send"},
    {"spoof_check", CONFIG_FLAG,   AT(net.spoof_check),  0, 1,                NULL, "it may send only from its address"},
    {"queues",      CONFIG_NUMBER, AT(net.queues),       1, VM_NET_QUEUES_MAX, NULL, "pairs of queues"},
    {"mtu",         CONFIG_NUMBER, AT(net.mtu),          VM_MTU_MIN, VM_MTU_MAX, NULL, "largest packet"},
};
#undef AT
/* clang-format on */

static const struct vm_config_item net_item = {"net", "switch", CONFIG_TABLE(net_keys)};

/* --- values --- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Six bytes with colons; one that a single card can have. */
static bool read_mac(const char *text, uint8_t mac[VM_MAC_BYTES])
{
    uint8_t sum = 0;

    if (strlen(text) != MAC_TEXT_MAX)
        return false;
    for (unsigned i = 0; i < VM_MAC_BYTES; i++, text += 3) {
        int high = hex_digit(text[0]), low = hex_digit(text[1]);

        if (high < 0 || low < 0 || text[2] != (i + 1 < VM_MAC_BYTES ? ':' : '\0'))
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
        sum |= mac[i];
    }
    return sum != 0 && !(mac[0] & 1);
}

/* Decimal units, as networks have them. */
static bool read_rate(const char *text, uint64_t *rate)
{
    uint64_t value = 0, unit = 1;

    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (uint64_t)(*text - '0'); /* RATE_TEXT_MAX digits fit */
    switch (*text) {
    case 'G':
        unit *= 1000;
        /* fall through */
    case 'M':
        unit *= 1000;
        /* fall through */
    case 'K':
        unit *= 1000;
        text++;
    }
    if (*text != '\0' || value > RATE_MAX / unit || value * unit < RATE_MIN)
        return false;
    *rate = value * unit;
    return true;
}

/* Locally administered, and the same at every boot: of the VM's name and the card's number. */
static void make_mac(const char *vm, unsigned index, uint8_t mac[VM_MAC_BYTES])
{
    uint64_t hash = FNV_OFFSET_BASIS;

    for (; *vm; vm++)
        hash = (hash ^ (uint8_t)*vm) * FNV_PRIME;
    hash = (hash ^ index) * FNV_PRIME;
    hash ^= hash >> 40; /* the low 40 bits are used */
    mac[0] = 0x02;
    memcpy(mac + 1, &hash, VM_MAC_BYTES - 1);
}

/* --- the card --- */

static const char *complete(struct net_reader *reader, const char *vm, unsigned index)
{
    struct vm_net_config *net = &reader->net;

    if (net->network[0] == '\0')
        return "net: expected the name of a switch first";
    if (reader->mac[0] == '\0')
        make_mac(vm, index, net->mac);
    else if (!read_mac(reader->mac, net->mac))
        return "net: mac: expected an address like 02:00:00:00:00:01, not of a group";
    if (reader->rate[0] != '\0' && !read_rate(reader->rate, &net->rate))
        return "net: rate: expected bits per second like 100M, from 64K to 1000G";
    return NULL;
}

int vm_config_add_net(struct vm_config *vm, const char *value, struct config_error *error)
{
    struct net_reader reader = {.net = {.spoof_check = true, .queues = 1, .mtu = VM_MTU_DEFAULT}};
    const char *wrong = "net: too many";

    if (vm->net_count < VM_NETS_MAX) {
        if (vm_config_read_item(&net_item, value, &reader, error) != 0)
            return -EINVAL;
        wrong = complete(&reader, vm->name, vm->net_count);
    }
    if (wrong) {
        config_explain(error, "%s", wrong);
        return -EINVAL;
    }
    vm->nets[vm->net_count++] = reader.net;
    return 0;
}

void vm_config_rename(struct vm_config *vm, const char *name)
{
    size_t size = strlen(name) + 1;

    ASSERT(size <= sizeof vm->name);
    memset(vm->name, 0, sizeof vm->name);
    memcpy(vm->name, name, size);
    for (unsigned i = 0; i < vm->net_count; i++)
        make_mac(vm->name, i, vm->nets[i].mac);
}
