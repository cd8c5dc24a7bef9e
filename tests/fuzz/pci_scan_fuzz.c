/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever functions say of themselves, even something else at each reading, the scan and all that is asked
 * of a function later end, stay within its configuration space, find nothing twice, and leave the registers of one
 * that is steady as they were. Input: a byte of features, then records of 8 bytes {what, which, offset, value}.
 */
#include "tests/host/fake/fake.h"
#include "drivers/host/pci.h"
#include "drivers/host/pci_config.h"
#include "drivers/host/pci_reset.h"
#include "drivers/pci_regs.h"
#include "kernel/lib/bytes.h"

#define SPACES        16u
#define BUSES         8u
#define RECORD_BYTES  8u
#define WAIT_NS_MAX   UINT64_C(2000000000) /* of one reset: pci_reset.h promises less */
#define ACCESSES_MAX  100000u              /* of one operation on one function */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct space {
    uint8_t bus, devfn;
    uint8_t bytes[PCI_EXTENDED_CONFIG_BYTES], writable[PCI_EXTENDED_CONFIG_BYTES];
    uint16_t fickle_at; /* this doubleword changes by these bits at each reading */
    uint32_t fickle;
} spaces[SPACES], before[SPACES];
static unsigned space_count;
static struct space *index_of[BUSES][256];
static bool has_ecam;
static unsigned accesses;
static uint64_t waited_ns;

/* --- the hardware --- */

static struct space *find(struct pci_address a)
{
    if (++accesses > ACCESSES_MAX)
        abort();
    return a.segment == 0 && a.bus < BUSES ? index_of[a.bus][a.devfn] : NULL;
}

static void check(struct pci_address a, unsigned offset, unsigned width)
{
    if ((width != 1 && width != 2 && width != 4) || !IS_ALIGNED(offset, width) ||
        !range_fits(offset, width, pci_config_bytes(a)))
        abort();
}

unsigned pci_config_ecams(const struct pci_ecam **ecams)
{
    static const struct pci_ecam ecam = {HPA(0xb0000000), 0, 0, 255};

    *ecams = &ecam;
    return has_ecam;
}

void pci_config_open_bus(uint16_t segment, uint8_t bus)
{
    (void)segment, (void)bus;
}

unsigned pci_config_bytes(struct pci_address address)
{
    (void)address;
    return has_ecam ? PCI_EXTENDED_CONFIG_BYTES : PCI_CONFIG_BYTES;
}

uint32_t pci_config_read(struct pci_address a, unsigned offset, unsigned width)
{
    uint32_t value = UINT32_MAX;
    struct space *s;

    check(a, offset, width);
    s = find(a);
    if (!s)
        return value & (uint32_t)bytes_mask(width);
    if (s->fickle && offset / 4 == s->fickle_at / 4)
        put_le32(s->bytes + ALIGN_DOWN(offset, 4), get_le32(s->bytes + ALIGN_DOWN(offset, 4)) ^ s->fickle);
    memcpy(&value, s->bytes + offset, width);
    return value & (uint32_t)bytes_mask(width);
}

void pci_config_write(struct pci_address a, unsigned offset, unsigned width, uint32_t value)
{
    struct space *s = find(a);

    check(a, offset, width);
    for (unsigned i = 0; s && i < width; i++) {
        uint8_t mask = s->writable[offset + i];

        s->bytes[offset + i] = (uint8_t)((s->bytes[offset + i] & ~mask) | (value >> 8 * i & mask));
    }
}

static void wait(uint64_t ns)
{
    waited_ns += ns;
    if (waited_ns > WAIT_NS_MAX)
        abort();
}

/* --- building it --- */

static struct space *add(uint8_t bus, uint8_t devfn)
{
    struct space **at = &index_of[bus % BUSES][devfn];

    if (*at || space_count == SPACES)
        return *at ? *at : &spaces[SPACES - 1];
    *at = &spaces[space_count++];
    (*at)->bus = bus % BUSES;
    (*at)->devfn = devfn;
    put_le16((*at)->bytes, 0x8086);
    (*at)->writable[PCI_COMMAND] = 7;
    (*at)->writable[PCI_COMMAND + 1] = PCI_COMMAND_INTX_OFF >> 8;
    return *at;
}

static void make_bridge(struct space *s, uint32_t buses)
{
    s->bytes[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
    put_le16(s->bytes + PCI_CLASS + 1, 0x0604);
    put_le32(s->bytes + PCI_PRIMARY_BUS, buses % BUSES << 8 | (buses >> 8) % BUSES << 16);
}

static void link_capability(struct space *s, uint8_t offset, uint32_t value)
{
    s->bytes[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    put_le32(s->bytes + ALIGN_DOWN(offset, 4), value & ~0xff00u);
    s->bytes[ALIGN_DOWN(offset, 4) + 1] = s->bytes[PCI_CAPABILITIES];
    s->bytes[PCI_CAPABILITIES] = offset;
}

static void build(const uint8_t record[RECORD_BYTES])
{
    struct space *s = space_count ? &spaces[record[1] % space_count] : add(0, 0);
    unsigned offset = ALIGN_DOWN(get_le16(record + 2) % PCI_EXTENDED_CONFIG_BYTES, 4);
    uint32_t value = get_le32(record + 4);

    switch (record[0] % 8) {
    case 0:
        s = add(record[2], record[3]);
        put_le32(s->bytes + PCI_REVISION_ID, value);
        break;
    case 1:
        make_bridge(s, value);
        break;
    case 2:
        link_capability(s, record[2], value);
        break;
    case 3:
        put_le32(s->writable + offset, value);
        break;
    case 4:
        s->fickle_at = (uint16_t)offset;
        s->fickle = value;
        break;
    case 5:
        put_le32(s->bytes + PCI_BAR0 + offset % 24, value);
        put_le32(s->writable + PCI_BAR0 + offset % 24, UINT32_MAX << record[1] % 32);
        break;
    default:
        put_le32(s->bytes + (record[0] & 0x80 ? offset : offset % PCI_CONFIG_BYTES), value);
    }
}

/* --- what was found --- */

static bool is_sound(const struct pci_bar *bar)
{
    return bar->kind == PCI_BAR_NONE ||
           (bar->size && (bar->size & (bar->size - 1)) == 0 && IS_ALIGNED(bar->address, bar->size));
}

static void check_function(const struct pci_function *f, unsigned index)
{
    if (f->group > index || pci_find(f->address) != f || (f->parent != PCI_NO_PARENT && f->parent >= index))
        abort();
    for (unsigned i = 0; i < PCI_BARS_MAX; i++)
        if (!is_sound(&f->bars[i]))
            abort();
    if (!is_sound(&f->rom))
        abort();
}

/* Isolation is switched on, and nothing else changes. */
static void check_registers(void)
{
    for (unsigned i = 0; i < space_count; i++) {
        const struct pci_function *f = pci_find((struct pci_address){0, spaces[i].bus, spaces[i].devfn});
        unsigned acs = f ? f->capabilities[PCI_CAP_ACS] : 0;

        if (acs)
            put_le16(before[i].bytes + acs + PCI_ACS_CONTROL, get_le16(spaces[i].bytes + acs + PCI_ACS_CONTROL));
        if (!spaces[i].fickle && memcmp(spaces[i].bytes, before[i].bytes, sizeof before[i].bytes) != 0)
            abort();
    }
}

static int visit(void *context, struct pci_address requester)
{
    (void)requester;
    return ++*(unsigned *)context > SPACES + 1 ? -1 : 0; /* more names than there are bridges */
}

static void put_line(void *context, const char *text)
{
    (void)context;
    if (strlen(text) > 255)
        abort();
}

static bool keeps(struct pci_address address)
{
    return address.devfn & 1;
}

static void use(const struct pci_function *f)
{
    unsigned names = 0;

    accesses = 0;
    waited_ns = 0;
    if (pci_visit_requesters(f, visit, &names) != 0 && names > 2 * SPACES)
        abort();
    (void)pci_shares_group(f);
    (void)pci_has_maskable_pin(f);
    (void)pci_hold_pin(f->address);
    for (unsigned i = 0; i < PCI_BARS_MAX; i++)
        (void)pci_find_overlap(&f->bars[i]);
    (void)!pci_reset(f, wait);
}

static void start(uint8_t features)
{
    for (unsigned i = 0; i < space_count; i++)
        index_of[spaces[i].bus][spaces[i].devfn] = NULL;
    memset(spaces, 0, space_count * sizeof *spaces);
    space_count = 0;
    has_ecam = features & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + RECORD_BYTES)
        return 0;
    start(data[0]);
    for (size_t at = 1; at + RECORD_BYTES <= size; at += RECORD_BYTES)
        build(data + at);
    memcpy(before, spaces, space_count * sizeof *spaces);
    accesses = 0;
    pci_scan();
    check_registers();
    if (pci_count() > space_count)
        abort();
    for (unsigned i = 0; i < pci_count(); i++)
        check_function(pci_at(i), i);
    for (unsigned i = 0; i < pci_count(); i++)
        use(pci_at(i));
    pci_list(put_line, NULL);
    pci_quiet_unowned(keeps);
    return 0;
}
