/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever functions say of themselves, the scan ends, finds each once, believes only what
 * makes sense, and leaves every register as it was. What an IOMMU cannot tell apart is one group.
 */
#include "tests/host/fake/fake.h"
#include "drivers/host/pci.h"
#include "drivers/host/pci_config.h"
#include "drivers/pci_regs.h"
#include "kernel/heap.h"
#include "kernel/lib/bytes.h"
#include "kernel/page.h"

#define BUSES    8u
#define ALL_ONES 0xffffffffu

/* --- configuration space: bytes, and which of them are writable --- */

struct config {
    bool is_present;
    uint8_t bytes[PCI_EXTENDED_CONFIG_BYTES], writable[PCI_EXTENDED_CONFIG_BYTES];
};

static struct config spaces[BUSES][256];
static struct pci_ecam ecams[2];
static unsigned ecam_count, decoding_probes;
static bool every_bus_is_the_same; /* a machine whose buses all look like bus 0 */

static struct config *space(struct pci_address a)
{
    unsigned bus = every_bus_is_the_same ? 0 : a.bus;

    if (a.segment != 0 || bus >= BUSES || !spaces[bus][a.devfn].is_present)
        return NULL;
    return &spaces[bus][a.devfn];
}

unsigned pci_config_ecams(const struct pci_ecam **all)
{
    *all = ecams;
    return ecam_count;
}

void pci_config_open_bus(uint16_t segment, uint8_t bus)
{
    (void)segment;
    (void)bus;
}

unsigned pci_config_bytes(struct pci_address address)
{
    (void)address;
    return ecam_count ? PCI_EXTENDED_CONFIG_BYTES : PCI_CONFIG_BYTES;
}

uint32_t pci_config_read(struct pci_address a, unsigned offset, unsigned width)
{
    const struct config *c = space(a);
    uint32_t value = ALL_ONES;

    assert_true(IS_ALIGNED(offset, width) && range_fits(offset, width, pci_config_bytes(a)));
    if (c)
        memcpy(&value, c->bytes + offset, width);
    return value & (uint32_t)bytes_mask(width);
}

void pci_config_write(struct pci_address a, unsigned offset, unsigned width, uint32_t value)
{
    struct config *c = space(a);

    assert_true(IS_ALIGNED(offset, width) && range_fits(offset, width, pci_config_bytes(a)));
    if (!c)
        return;
    if (offset >= PCI_BAR0 && offset < PCI_BAR0 + 24 && value == ALL_ONES)
        decoding_probes += (c->bytes[PCI_COMMAND] & 3) != 0;
    for (unsigned i = 0; i < width; i++) {
        uint8_t mask = c->writable[offset + i];

        c->bytes[offset + i] = (uint8_t)((c->bytes[offset + i] & ~mask) | (value >> 8 * i & mask));
    }
}

static struct pci_address at(unsigned bus, unsigned device, unsigned function)
{
    return (struct pci_address){0, (uint8_t)bus, pci_devfn(device, function)};
}

static struct config *add(unsigned bus, unsigned device, unsigned function, uint16_t class)
{
    struct config *c = &spaces[bus][pci_devfn(device, function)];

    memset(c, 0, sizeof *c);
    c->is_present = true;
    put_le16(c->bytes, 0x8086);
    put_le16(c->bytes + PCI_DEVICE_ID, (uint16_t)(bus << 8 | device << 3 | function));
    put_le16(c->bytes + PCI_CLASS + 1, class);
    c->bytes[PCI_COMMAND] = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    c->writable[PCI_COMMAND] = 7;
    return c;
}

static struct config *add_bridge(unsigned bus, unsigned device, uint8_t secondary,
                                 uint8_t subordinate)
{
    struct config *c = add(bus, device, 0, 0x0604);

    c->bytes[PCI_HEADER_TYPE] = PCI_HEADER_BRIDGE;
    c->bytes[PCI_SECONDARY_BUS] = secondary;
    c->bytes[PCI_SUBORDINATE_BUS] = subordinate;
    return c;
}

static void add_capability(struct config *c, uint8_t offset, uint8_t id)
{
    c->bytes[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    c->bytes[offset] = id;
    c->bytes[offset + 1] = c->bytes[PCI_CAPABILITIES];
    c->bytes[PCI_CAPABILITIES] = offset;
}

static void make_express(struct config *c, unsigned type)
{
    add_capability(c, 0x80, PCI_CAP_ID_PCIE);
    c->bytes[0x80 + PCI_EXP_FLAGS] = (uint8_t)(type << 4 | 2);
}

static void add_acs(struct config *c, uint8_t offered, uint8_t works)
{
    put_le32(c->bytes + 0x100, 1u << 16 | PCI_EXT_CAP_ID_ACS);
    c->bytes[0x100 + PCI_ACS_CAP] = offered;
    c->writable[0x100 + PCI_ACS_CONTROL] = works;
}

static void set_bar(struct config *c, unsigned offset, uint32_t value, uint32_t writable)
{
    put_le32(c->bytes + offset, value);
    put_le32(c->writable + offset, writable);
}

static int set_up(void **state)
{
    (void)state;
    memset(spaces, 0, sizeof spaces);
    ecams[0] = (struct pci_ecam){HPA(0xb0000000), 0, 0, 255};
    ecams[1] = (struct pci_ecam){HPA(0xc0000000), 1, 0, 255};
    ecam_count = 1;
    decoding_probes = 0;
    every_bus_is_the_same = false;
    fake_log_count = 0;
    return 0;
}

static int set_up_memory(void **state)
{
    (void)state;
    page_init();
    heap_init();
    return 0;
}

static const struct pci_function *find(unsigned bus, unsigned device, unsigned function)
{
    const struct pci_function *f = pci_find(at(bus, device, function));

    assert_non_null(f);
    return f;
}

/* --- finding --- */

/* The first test: from here on there is memory. */
static void no_memory_is_said(void **state)
{
    (void)state;
    add(0, 3, 0, 0x0200);
    pci_scan();
    assert_int_equal(pci_count(), 0);
    assert_null(pci_find(at(0, 3, 0)));
    assert_int_equal(fake_log_count, 2);
    assert_int_equal(page_add_range(HPA(GIB(1)), MIB(1)), 0);
}

static void functions_are_found_across_bridges(void **state)
{
    (void)state;
    add(0, 0, 0, 0x0600);
    add_bridge(0, 1, 1, 3);
    add_bridge(1, 0, 2, 2);
    add(2, 5, 0, 0x0108)->bytes[PCI_HEADER_TYPE] = PCI_HEADER_MULTI;
    add(2, 5, 3, 0x0200);
    add(2, 6, 0, 0x0200);
    add(2, 6, 1, 0x0200); /* function 0 does not say that there are more */
    add(5, 0, 0, 0x0300); /* a root bus of its own */
    pci_scan();
    assert_int_equal(pci_count(), 7);
    assert_null(pci_find(at(2, 6, 1)));
    assert_int_equal(find(2, 5, 3)->base_class, 2);
    assert_ptr_equal(pci_at(find(2, 5, 3)->parent), find(1, 0, 0));
    assert_int_equal(find(5, 0, 0)->parent, PCI_NO_PARENT);
    assert_int_equal(find(0, 1, 0)->subordinate_bus, 3);
    assert_int_equal(fake_log_count, 1);
}

static void segments_are_told_apart(void **state)
{
    (void)state;
    add(0, 0, 0, 0x0600);
    ecam_count = 2;
    pci_scan();
    assert_int_equal(pci_count(), 1);
    ecams[1] = (struct pci_ecam){HPA(0xc0000000), 0, 4, 7}; /* the same one's other window */
    add(4, 0, 0, 0x0200);
    pci_scan();
    assert_int_equal(pci_count(), 2);
}

static void bridges_that_lead_back_are_not_followed(void **state)
{
    static const uint8_t buses[][2] = {{0, 0}, {0, 255}, {1, 1}, {2, 1}, {1, 0}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(buses); i++) {
        set_up(NULL);
        add(0, 0, 0, 0x0600);
        add_bridge(0, 1, 1, 2);
        add_bridge(1, 0, buses[i][0], buses[i][1]);
        pci_scan();
        assert_int_equal(pci_count(), 3);
        assert_int_equal(fake_log_count, 2);
    }
}

/* Each bus has a bridge to the next: more functions than there is room for. */
static void an_endless_machine_ends(void **state)
{
    (void)state;
    every_bus_is_the_same = true;
    for (unsigned i = 0; i < 32; i++)
        add(0, i, 0, 0x0200);
    pci_scan();
    assert_int_equal(pci_count(), PCI_FUNCTIONS_MAX);
    assert_int_equal(fake_log_count, 2);
}

/* --- capabilities --- */

static void capabilities_of_both_lists(void **state)
{
    struct config *c = add(0, 3, 0, 0x0200);

    (void)state;
    add_capability(c, 0x40, PCI_CAP_ID_MSI);
    add_capability(c, 0x50, PCI_CAP_ID_MSIX);
    add_capability(c, 0x60, PCI_CAP_ID_MSI); /* a second one, which comes first */
    make_express(c, PCI_EXP_TYPE_ENDPOINT);
    put_le32(c->bytes + 0x100, 0x140u << 20 | 1u << 16 | PCI_EXT_CAP_ID_ACS);
    put_le32(c->bytes + 0x140, 1u << 16 | PCI_EXT_CAP_ID_SRIOV);
    pci_scan();
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_MSI], 0x60);
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_MSIX], 0x50);
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_PCIE], 0x80);
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_ACS], 0x100);
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_SRIOV], 0x140);
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_AF], 0);
    ecam_count = 0; /* by ports there is no second list */
    pci_scan();
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_ACS], 0);
}

static void lists_that_loop_or_leave_their_space(void **state)
{
    struct config *c = add(0, 3, 0, 0x0200);

    (void)state;
    make_express(c, PCI_EXP_TYPE_ENDPOINT);
    c->bytes[0x81] = 0x80; /* itself */
    put_le32(c->bytes + 0x100, 0x100u << 20 | 1u << 16 | PCI_EXT_CAP_ID_ATS);
    pci_scan();
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_ATS], 0x100);
    c->bytes[0x81] = 0xfc; /* an entry that does not fit */
    c->bytes[0xfc] = PCI_CAP_ID_MSIX;
    c->bytes[0xfd] = 0x3f; /* into the header */
    put_le32(c->bytes + 0x100, 0xffcu << 20 | 1u << 16 | PCI_EXT_CAP_ID_ATS);
    put_le32(c->bytes + 0xffc, 0x080u << 20 | 1u << 16 | PCI_EXT_CAP_ID_ACS);
    pci_scan();
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_MSIX], 0);
    assert_int_equal(find(0, 3, 0)->capabilities[PCI_CAP_ACS], 0);
}

/* --- BARs --- */

static void ranges_of_every_kind(void **state)
{
    struct config *c = add(0, 3, 0, 0x0200), before;
    const struct pci_function *f;

    (void)state;
    set_bar(c, PCI_BAR0, 0xfebc0000, 0xfffe0000);
    set_bar(c, PCI_BAR0 + 4, 0xc041, 0x0000ffe0); /* ports; the upper half is hardwired */
    set_bar(c, PCI_BAR0 + 8, 0x0000000c, 0x00000000);
    set_bar(c, PCI_BAR0 + 12, 0x00000010, 0xfffffff0); /* 64 bits: 64 GiB at 64 GiB */
    set_bar(c, PCI_ROM, 0xfeb80000, 0xfffc0000);
    before = *c;
    pci_scan();
    f = find(0, 3, 0);
    assert_int_equal(f->bars[0].kind, PCI_BAR_MEMORY);
    assert_int_equal(f->bars[0].address, 0xfebc0000);
    assert_int_equal(f->bars[0].size, 0x20000);
    assert_int_equal(f->bars[1].kind, PCI_BAR_PORTS);
    assert_int_equal(f->bars[1].address, 0xc040);
    assert_int_equal(f->bars[1].size, 0x20);
    assert_int_equal(f->bars[2].kind, PCI_BAR_MEMORY_64);
    assert_true(f->bars[2].is_prefetchable);
    assert_int_equal(f->bars[2].address, GIB(64));
    assert_int_equal(f->bars[2].size, GIB(64));
    assert_int_equal(f->bars[3].kind, PCI_BAR_NONE);
    assert_int_equal(f->bars[4].kind, PCI_BAR_NONE);
    assert_int_equal(f->rom.size, 0x40000);
    assert_memory_equal(&before, c, sizeof before);
    assert_int_equal(decoding_probes, 0);
}

static void ranges_that_make_no_sense(void **state)
{
    static const struct {
        uint32_t value, writable;
    } cases[] = {
        {0xfebc0000, 0xfff0f000}, /* holes in the mask */
        {0xfebc1000, 0xfffe0000}, /* hardwired ones: not aligned */
        {0xc041, 0x0000f0f0},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        set_up(NULL);
        set_bar(add(0, 3, 0, 0x0200), PCI_BAR0, cases[i].value, cases[i].writable);
        pci_scan();
        assert_int_equal(find(0, 3, 0)->bars[0].kind, PCI_BAR_NONE);
        assert_int_equal(fake_log_count, 2);
    }
}

/* The last register has no upper half; host bridges are left alone. */
static void what_is_not_probed(void **state)
{
    (void)state;
    set_bar(add(0, 3, 0, 0x0200), PCI_BAR0 + 20, 0xfebc0004, 0xfffe0000);
    set_bar(add(0, 0, 0, 0x0600), PCI_BAR0, 0xfebc0000, 0xfffe0000);
    pci_scan();
    assert_int_equal(find(0, 3, 0)->bars[5].kind, PCI_BAR_MEMORY);
    assert_int_equal(find(0, 0, 0)->bars[0].kind, PCI_BAR_NONE);
}

/* A function that says that its registers are where another's are: one of them lies. */
static void ranges_that_are_anothers(void **state)
{
    struct config *other = add(0, 4, 0, 0x0200);

    (void)state;
    set_bar(add(0, 3, 0, 0x0200), PCI_BAR0, 0xfebc0000, 0xfffe0000);
    set_bar(&spaces[0][pci_devfn(3, 0)], PCI_BAR0 + 4, 0xc041, 0x0000ffe0);
    set_bar(other, PCI_BAR0 + 8, 0xfebd0000, 0xffff0000);
    set_bar(other, PCI_BAR0 + 12, 0xfebe0000, 0xffff0000);
    set_bar(other, PCI_BAR0 + 16, 0xc001, 0x0000ff80);
    pci_scan();
    assert_ptr_equal(pci_find_overlap(&find(0, 3, 0)->bars[0]), find(0, 4, 0));
    assert_ptr_equal(pci_find_overlap(&find(0, 4, 0)->bars[2]), find(0, 3, 0));
    assert_null(pci_find_overlap(&find(0, 4, 0)->bars[3]));
    assert_ptr_equal(pci_find_overlap(&find(0, 3, 0)->bars[1]), find(0, 4, 0));
    other->bytes[PCI_COMMAND] = PCI_COMMAND_MEMORY; /* its ports are not decoded */
    assert_null(pci_find_overlap(&find(0, 3, 0)->bars[1]));
    assert_ptr_equal(pci_find_overlap(&find(0, 3, 0)->bars[0]), find(0, 4, 0));
    set_bar(other, PCI_BAR0 + 12, 0xfebd0000, 0xffff0000); /* its own: also */
    pci_scan();
    assert_non_null(pci_find_overlap(&find(0, 4, 0)->bars[3]));
}

/* --- groups --- */

#define ACS_ALL 0x1f

static void what_isolates_and_what_does_not(void **state)
{
    (void)state;
    add(0, 0, 0, 0x0600);
    add(0, 1, 0, 0x0108); /* alone */
    add(0, 2, 0, 0x0200)->bytes[PCI_HEADER_TYPE] = PCI_HEADER_MULTI;
    add(0, 2, 1, 0x0200);
    make_express(add_bridge(0, 3, 1, 1), PCI_EXP_TYPE_ROOT_PORT); /* without ACS */
    add(1, 0, 0, 0x0200);
    make_express(add_bridge(0, 4, 2, 2), PCI_EXP_TYPE_ROOT_PORT);
    add_acs(&spaces[0][pci_devfn(4, 0)], ACS_ALL, ACS_ALL);
    add(2, 0, 0, 0x0200);
    add_bridge(0, 5, 3, 3); /* conventional */
    add(3, 0, 0, 0x0200);
    add(3, 1, 0, 0x0200);
    make_express(add_bridge(0, 6, 4, 4), PCI_EXP_TYPE_ROOT_PORT);
    add_acs(&spaces[0][pci_devfn(6, 0)], ACS_ALL, 0); /* ACS that cannot be switched on */
    add(4, 0, 0, 0x0200);
    pci_scan();
    assert_false(pci_shares_group(find(0, 1, 0)));
    assert_true(pci_shares_group(find(0, 2, 0)));
    assert_int_equal(find(0, 2, 0)->group, find(0, 2, 1)->group);
    assert_int_equal(find(1, 0, 0)->group, find(0, 3, 0)->group);
    assert_false(pci_shares_group(find(1, 0, 0))); /* but for the port, it is alone */
    assert_int_not_equal(find(2, 0, 0)->group, find(0, 4, 0)->group);
    assert_int_equal(spaces[0][pci_devfn(4, 0)].bytes[0x106], 0x1d);
    assert_true(pci_shares_group(find(3, 0, 0)));
    assert_int_equal(find(3, 1, 0)->group, find(0, 5, 0)->group);
    assert_int_equal(find(4, 0, 0)->group, find(0, 6, 0)->group);
}

/* A switch: its upstream port asks nothing of the downstream ports, which isolate or do not. */
static void behind_a_switch(void **state)
{
    (void)state;
    make_express(add_bridge(0, 1, 1, 4), PCI_EXP_TYPE_ROOT_PORT);
    add_acs(&spaces[0][pci_devfn(1, 0)], ACS_ALL, ACS_ALL);
    make_express(add_bridge(1, 0, 2, 4), PCI_EXP_TYPE_UPSTREAM);
    for (unsigned i = 0; i < 2; i++) {
        make_express(add_bridge(2, i, (uint8_t)(3 + i), (uint8_t)(3 + i)), PCI_EXP_TYPE_DOWNSTREAM);
        add_acs(&spaces[2][pci_devfn(i, 0)], ACS_ALL, ACS_ALL);
        add(3 + i, 0, 0, 0x0200);
    }
    pci_scan();
    assert_int_not_equal(find(3, 0, 0)->group, find(4, 0, 0)->group);
    assert_false(pci_shares_group(find(3, 0, 0)));
}

/* Functions of one device that offer nothing to each other are apart. */
static void functions_that_say_that_they_are_apart(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct config *c = add(0, 2, i, 0x0200);

        c->bytes[PCI_HEADER_TYPE] = PCI_HEADER_MULTI;
        make_express(c, PCI_EXP_TYPE_ENDPOINT);
        add_acs(c, 0, 0);
    }
    pci_scan();
    assert_false(pci_shares_group(find(0, 2, 0)));
    assert_false(pci_shares_group(find(0, 2, 1)));
}

/* --- DMA --- */

static int note_requester(void *context, struct pci_address requester)
{
    uint16_t *ids = context;

    while (*ids)
        ids++;
    *ids = pci_requester_id(requester);
    return 0;
}

static void who_asks_in_a_functions_name(void **state)
{
    uint16_t ids[8] = {0};

    (void)state;
    make_express(add_bridge(0, 1, 1, 3), PCI_EXP_TYPE_ROOT_PORT);
    make_express(add_bridge(1, 0, 2, 3), PCI_EXP_TYPE_PCI_BRIDGE);
    add_bridge(2, 7, 3, 3);
    add(3, 1, 0, 0x0200);
    pci_scan();
    assert_int_equal(pci_visit_requesters(find(3, 1, 0), note_requester, ids), 0);
    assert_int_equal(ids[0], 0x0308);
    assert_int_equal(ids[1], 0x0238); /* the conventional bridge */
    assert_int_equal(ids[2], 0x0100); /* the one to PCI Express, by either name */
    assert_int_equal(ids[3], 0x0200);
    assert_int_equal(ids[4], 0);
}

static bool keeps_usb(struct pci_address address)
{
    return pci_device_number(address) == 5;
}

static void who_is_nobodys_does_no_dma(void **state)
{
    (void)state;
    add(0, 0, 0, 0x0600);
    add(0, 2, 0, 0x0300);
    add(0, 4, 0, 0x0c03);
    add(0, 5, 0, 0x0c03);
    pci_scan();
    pci_quiet_unowned(keeps_usb);
    assert_int_equal(spaces[0][pci_devfn(0, 0)].bytes[PCI_COMMAND], 7);
    assert_int_equal(spaces[0][pci_devfn(2, 0)].bytes[PCI_COMMAND], 7);
    assert_int_equal(spaces[0][pci_devfn(4, 0)].bytes[PCI_COMMAND], 3);
    assert_int_equal(spaces[0][pci_devfn(5, 0)].bytes[PCI_COMMAND], 7);
    pci_set_master(at(0, 4, 0), true);
    assert_int_equal(spaces[0][pci_devfn(4, 0)].bytes[PCI_COMMAND], 7);
}

/* --- pins --- */

static struct config *add_pin(unsigned device, bool is_maskable)
{
    struct config *c = add(0, device, 0, 0x0200);

    c->bytes[PCI_INTERRUPT_PIN] = 2;
    c->writable[PCI_COMMAND + 1] = is_maskable ? PCI_COMMAND_INTX_OFF >> 8 : 0;
    return c;
}

static void pins_that_can_be_held_back(void **state)
{
    (void)state;
    add_pin(3, true);
    add_pin(4, false);
    add_pin(5, true)->bytes[PCI_INTERRUPT_PIN] = 0;
    pci_scan();
    assert_true(pci_has_maskable_pin(find(0, 3, 0)));
    assert_int_equal(spaces[0][pci_devfn(3, 0)].bytes[PCI_COMMAND + 1], PCI_COMMAND_INTX_OFF >> 8);
    assert_false(pci_has_maskable_pin(find(0, 4, 0)));
    assert_false(pci_has_maskable_pin(find(0, 5, 0)));
}

static void a_pin_is_held_if_it_interrupts(void **state)
{
    struct config *c = add_pin(3, true);

    (void)state;
    assert_false(pci_hold_pin(at(0, 3, 0)));
    c->bytes[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
    assert_true(pci_hold_pin(at(0, 3, 0)));
    assert_int_equal(c->bytes[PCI_COMMAND + 1], PCI_COMMAND_INTX_OFF >> 8);
    assert_int_equal(c->bytes[PCI_COMMAND], 7);
    assert_false(pci_hold_pin(at(0, 3, 0))); /* it is held already */
    pci_set_command(at(0, 3, 0), PCI_COMMAND_INTX_OFF, false);
    assert_true(pci_hold_pin(at(0, 3, 0)));
    assert_false(pci_hold_pin(at(0, 9, 0))); /* it is gone: all ones */
}

static void who_is_nobodys_has_no_pin(void **state)
{
    (void)state;
    add_pin(4, true);
    add_pin(5, true);
    pci_scan();
    pci_quiet_unowned(keeps_usb);
    assert_int_equal(spaces[0][pci_devfn(4, 0)].bytes[PCI_COMMAND + 1], PCI_COMMAND_INTX_OFF >> 8);
    assert_int_equal(spaces[0][pci_devfn(5, 0)].bytes[PCI_COMMAND + 1], 0);
}

/* --- listing --- */

static void note_line(void *context, const char *text)
{
    strcat(context, text);
    strcat(context, "\n");
}

static void a_line_a_function(void **state)
{
    char text[1024] = "";

    (void)state;
    set_bar(add(0, 3, 0, 0x0200), PCI_BAR0, 0xfebc0000, 0xfffe0000);
    add_capability(&spaces[0][pci_devfn(3, 0)], 0x40, PCI_CAP_ID_MSI);
    add_bridge(0, 4, 1, 2);
    pci_scan();
    pci_list(note_line, text);
    assert_string_equal(text,
                        "0000:00:03.0 8086:0018 class 020000 group 0 msi bar0 mem 0xfebc0000+128K\n"
                        "0000:00:04.0 8086:0020 class 060400 group 1 bridge to 01-02\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(no_memory_is_said),
        TEST(functions_are_found_across_bridges),
        TEST(segments_are_told_apart),
        TEST(bridges_that_lead_back_are_not_followed),
        TEST(an_endless_machine_ends),
        TEST(capabilities_of_both_lists),
        TEST(lists_that_loop_or_leave_their_space),
        TEST(ranges_of_every_kind),
        TEST(ranges_that_make_no_sense),
        TEST(what_is_not_probed),
        TEST(ranges_that_are_anothers),
        TEST(what_isolates_and_what_does_not),
        TEST(behind_a_switch),
        TEST(functions_that_say_that_they_are_apart),
        TEST(who_asks_in_a_functions_name),
        TEST(who_is_nobodys_does_no_dma),
        TEST(pins_that_can_be_held_back),
        TEST(a_pin_is_held_if_it_interrupts),
        TEST(who_is_nobodys_has_no_pin),
        TEST(a_line_a_function),
    };
    return cmocka_run_group_tests(tests, set_up_memory, NULL);
}
