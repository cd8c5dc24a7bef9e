/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest with a device that does DMA: QEMU's edu (QEMU, "EDU device"), passed through as
 * 00:01.0. It first moves bytes of its own memory through the device, which must work, then does
 * what it is told on its console, a line each, numbers in hex:
 *
 *   read ADDRESS         has the device read there, and says which word it got
 *   write ADDRESS        has it write there
 *   message ADDRESS DATA has it write one word there: what an interrupt is
 *   flood COUNT          has it send so many interrupts as fast as it can
 *   fault COUNT          has it read so many times where nothing is
 *   again                moves bytes of its own memory once more
 *   leave ADDRESS        starts a write there and ends
 *   end                  ends
 *
 * Where nobody types, its command line does with read=ADDRESS; it ends behind that.
 */
#include "guests/common/multiboot.h"
#include "guests/common/pci.h"

#define EDU_ID          0x11e81234u
#define EDU_RAISE       0x60
#define EDU_ACKNOWLEDGE 0x64
#define EDU_DMA_SOURCE  0x80
#define EDU_DMA_TARGET  0x88
#define EDU_DMA_COUNT   0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_DMA_START   0x1u
#define EDU_DMA_TO_RAM  0x2u
#define EDU_BUFFER      0x40000u
#define DEVICE          1u
#define BYTES           64u
#define NOWHERE         0x30000000u /* behind any guest's end here */
#define LINE_BYTES      64u
#define MESSAGE_ADDRESS 0xfee00000u
#define MESSAGE_VECTOR  0x41u

static volatile uint8_t *edu;
static uint8_t out[BYTES], back[BYTES];

/* --- the device --- */

static void set(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(edu + offset) = value;
}

static void start(uint32_t source, uint32_t target, uint32_t bytes, uint32_t direction)
{
    set(EDU_DMA_SOURCE, source);
    set(EDU_DMA_TARGET, target);
    set(EDU_DMA_COUNT, bytes);
    set(EDU_DMA_COMMAND, EDU_DMA_START | direction);
}

static void transfer(uint32_t source, uint32_t target, uint32_t bytes, uint32_t direction)
{
    start(source, target, bytes, direction);
    while (*(volatile uint32_t *)(edu + EDU_DMA_COMMAND) & EDU_DMA_START)
        __asm__ volatile("pause");
}

static void into_device(uint32_t address, uint32_t bytes)
{
    transfer(address, EDU_BUFFER, bytes, 0);
}

static void out_of_device(uint32_t address, uint32_t bytes)
{
    transfer(EDU_BUFFER, address, bytes, EDU_DMA_TO_RAM);
}

static uint32_t own(const void *memory)
{
    return (uint32_t)(uintptr_t)memory;
}

static bool moves_own_memory(void)
{
    for (unsigned i = 0; i < BYTES; i++) {
        out[i] = (uint8_t)(0xa5 + i);
        back[i] = 0;
    }
    into_device(own(out), BYTES);
    out_of_device(own(back), BYTES);
    for (unsigned i = 0; i < BYTES; i++)
        if (((volatile uint8_t *)back)[i] != out[i])
            return false;
    return true;
}

/* --- commands --- */

static void read(uint32_t address, uint32_t unused UNUSED)
{
    volatile uint32_t *word = (volatile uint32_t *)back;

    *word = 0;
    into_device(address, BYTES);
    out_of_device(own(back), BYTES);
    print("GUEST: read %x: word %x.\n", address, *word);
}

static void write(uint32_t address, uint32_t unused UNUSED)
{
    into_device(own(out), BYTES);
    out_of_device(address, BYTES);
    print("GUEST: wrote %x.\n", address);
}

static void message(uint32_t address, uint32_t data)
{
    *(volatile uint32_t *)back = data;
    into_device(own(back), sizeof data);
    out_of_device(address, sizeof data);
    print("GUEST: sent to %x: %x.\n", address, data);
}

/* 82h: 64-bit MSI at the capability that the list starts with; the guest's interrupts are off: the message goes nowhere. */
static void enable_messages(void)
{
    unsigned at = pci_read(DEVICE, PCI_CAPABILITIES) & 0xff;

    pci_write(DEVICE, at + 4, MESSAGE_ADDRESS);
    pci_write(DEVICE, at + 8, 0);
    pci_write(DEVICE, at + 12, MESSAGE_VECTOR);
    pci_write(DEVICE, at, pci_read(DEVICE, at) | PCI_MSI_CONTROL_ENABLE << 16);
}

static void flood(uint32_t count, uint32_t unused UNUSED)
{
    enable_messages();
    for (uint32_t i = 0; i < count; i++) {
        set(EDU_RAISE, 1);
        set(EDU_ACKNOWLEDGE, 1);
    }
    print("GUEST: flooded %x.\n", count);
}

static void fault(uint32_t count, uint32_t unused UNUSED)
{
    for (uint32_t i = 0; i < count; i++)
        into_device(NOWHERE + i * PAGE_SIZE, sizeof i);
    print("GUEST: faulted %x.\n", count);
}

static void again(uint32_t unused UNUSED, uint32_t also_unused UNUSED)
{
    print(moves_own_memory() ? "GUEST: dma ok\n" : "GUEST: FAILED: no DMA to its own memory\n");
}

static void leave(uint32_t address, uint32_t unused UNUSED)
{
    print("GUEST: leaves\n");
    start(EDU_BUFFER, address, BYTES, EDU_DMA_TO_RAM);
    guest_exit(0);
}

static void end(uint32_t unused UNUSED, uint32_t also_unused UNUSED)
{
    guest_exit(0);
}

static const struct {
    const char *name;
    void (*act)(uint32_t first, uint32_t second);
} commands[] = {
    {"read", read},   {"write", write}, {"message", message}, {"flood", flood},
    {"fault", fault}, {"again", again}, {"leave", leave}, {"end", end},
};

static void get_line(char line[LINE_BYTES])
{
    unsigned n = 0;
    int c;

    while ((c = get_char()) != '\n' && c != '\r')
        if (c >= 0 && n < LINE_BYTES - 1)
            line[n++] = (char)c;
    line[n] = '\0';
}

/* Behind the name: the line's rest; NULL: another name. */
static const char *behind(const char *line, const char *name)
{
    while (*name && *line == *name) {
        line++;
        name++;
    }
    return *name ? NULL : line;
}

static uint32_t get_hex(const char **text)
{
    uint32_t value = 0;

    while (**text == ' ')
        ++*text;
    for (; **text && **text != ' '; ++*text)
        value = value << 4 | (uint32_t)(**text <= '9' ? **text - '0' : **text - 'a' + 10);
    return value;
}

static void obey(const char *line)
{
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        const char *rest = behind(line, commands[i].name);
        uint32_t first;

        if (!rest)
            continue;
        first = get_hex(&rest);
        commands[i].act(first, get_hex(&rest));
        return;
    }
    print("GUEST: what is %s?\n", line);
}

int guest_main(uint32_t magic UNUSED, uint32_t info)
{
    const char *target = multiboot_text_option((const void *)(uintptr_t)info, "read=");
    char line[LINE_BYTES];

    print_whole_lines(); /* faults of its device are reported at any moment */
    if (pci_read(DEVICE, PCI_VENDOR_ID) != EDU_ID) {
        print("GUEST: no edu\n");
        return 1;
    }
    pci_write(DEVICE, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    edu = pci_memory(DEVICE, 0);
    again(0, 0);
    if (target) {
        read(get_hex(&target), 0);
        return 0;
    }
    for (;;) {
        get_line(line);
        obey(line);
    }
}
