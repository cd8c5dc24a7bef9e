/* SPDX-License-Identifier: BSD-2-Clause */
/* What pci_scan() found, as lines for people. */
#include "drivers/host/pci_internal.h"
#include "kernel/lib/format.h"

#define LINE_BYTES 256u

struct line {
    char text[LINE_BYTES];
    size_t length;
};

/* What does not fit is cut off. */
#define append(line, ...)                                                              \
    ((line)->length += format_text((line)->text + MIN((line)->length, LINE_BYTES - 1), \
                                   LINE_BYTES - MIN((line)->length, LINE_BYTES - 1), __VA_ARGS__))

static void append_size(struct line *l, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    unsigned unit = 0;

    while (unit < sizeof units - 2 && bytes >= 1024 && IS_ALIGNED(bytes, 1024)) {
        bytes /= 1024;
        unit++;
    }
    append(l, "+%llu%c", (unsigned long long)bytes, units[unit]);
}

static void append_bar(struct line *l, const char *name, const struct pci_bar *bar)
{
    static const char *const kinds[] = {
        [PCI_BAR_PORTS] = "io", [PCI_BAR_MEMORY] = "mem", [PCI_BAR_MEMORY_64] = "mem64"};

    if (bar->kind == PCI_BAR_NONE)
        return;
    append(l, " %s %s %#llx", name, kinds[bar->kind], (unsigned long long)bar->address);
    append_size(l, bar->size);
}

static void append_bars(struct line *l, const struct pci_function *f)
{
    static const char *const names[PCI_BARS_MAX] = {"bar0", "bar1", "bar2", "bar3", "bar4", "bar5"};

    for (unsigned i = 0; i < PCI_BARS_MAX; i++)
        append_bar(l, names[i], &f->bars[i]);
    append_bar(l, "rom", &f->rom);
}

static void put_function(struct line *l, const struct pci_function *f)
{
    append(l, PCI_ADDRESS_FORMAT " %04x:%04x class %02x%02x%02x group %u",
           PCI_ADDRESS_ARGS(f->address), f->vendor_id, f->device_id, f->base_class, f->sub_class,
           f->interface, f->group);
    if (f->is_bridge)
        append(l, " bridge to %02x-%02x", f->secondary_bus, f->subordinate_bus);
    for (unsigned i = 0; i < PCI_CAPABILITIES_KNOWN; i++)
        if (f->capabilities[i])
            append(l, " %s", pci_capability_names[i]);
    append_bars(l, f);
}

void pci_list(void (*put_line)(void *context, const char *text), void *context)
{
    for (unsigned i = 0; i < pci_count(); i++) {
        struct line l = {.length = 0};

        put_function(&l, pci_at(i));
        put_line(context, l.text);
    }
}
