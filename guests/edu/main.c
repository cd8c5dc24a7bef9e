/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest with a device that does DMA: QEMU's edu (QEMU, "EDU device"), passed through as
 * 00:01.0. It first moves bytes of its own memory through the device, which must work, then has it
 * read and write where the hypervisor and other guests may be.
 */
#include "guests/common/multiboot.h"
#include "guests/common/pci.h"

#define EDU_ID          0x11e81234u
#define EDU_DMA_SOURCE  0x80
#define EDU_DMA_TARGET  0x88
#define EDU_DMA_COUNT   0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_DMA_START   0x1u
#define EDU_DMA_TO_RAM  0x2u
#define EDU_BUFFER      0x40000u
#define DEVICE          1u
#define BYTES           64u

static volatile uint8_t *edu;
static uint8_t out[BYTES], back[BYTES];

static void set(unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(edu + offset) = value;
}

static void transfer(uint32_t source, uint32_t target, uint32_t direction)
{
    set(EDU_DMA_SOURCE, source);
    set(EDU_DMA_TARGET, target);
    set(EDU_DMA_COUNT, BYTES);
    set(EDU_DMA_COMMAND, EDU_DMA_START | direction);
    while (*(volatile uint32_t *)(edu + EDU_DMA_COMMAND) & EDU_DMA_START)
        __asm__ volatile("pause");
}

static bool moves_own_memory(void)
{
    for (unsigned i = 0; i < BYTES; i++)
        out[i] = (uint8_t)(0xa5 + i);
    transfer((uint32_t)(uintptr_t)out, EDU_BUFFER, 0);
    transfer(EDU_BUFFER, (uint32_t)(uintptr_t)back, EDU_DMA_TO_RAM);
    for (unsigned i = 0; i < BYTES; i++)
        if (((volatile uint8_t *)back)[i] != out[i])
            return false;
    return true;
}

/* Its own memory ends at 16 MiB. */
static const uint32_t targets[] = {0x1000000, 0x2345000, 0x4000000, 0x8000000, 0xfee00000};

int guest_main(uint32_t magic UNUSED, uint32_t info UNUSED)
{
    if (pci_read(DEVICE, PCI_VENDOR_ID) != EDU_ID) {
        print("GUEST: no edu\n");
        return 1;
    }
    pci_write(DEVICE, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    edu = pci_memory(DEVICE, 0);
    if (!moves_own_memory()) {
        print("GUEST: FAILED: no DMA to its own memory\n");
        return 1;
    }
    print("GUEST: dma ok\n");
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        transfer(EDU_BUFFER, targets[i], EDU_DMA_TO_RAM);
        transfer(targets[i], EDU_BUFFER, 0);
        print("GUEST: tried %x\n", targets[i]);
    }
    return 0;
}
