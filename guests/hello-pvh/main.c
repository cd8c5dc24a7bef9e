/* SPDX-License-Identifier: BSD-2-Clause */
/* An ELF file that boots by PVH: EBX points to struct hvm_start_info (Xen,
 * xen/include/public/arch-x86/hvm/start_info.h). */
#include "guests/common/guest.h"

#define XEN_HVM_START_MAGIC_VALUE 0x336ec578u

struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    uint32_t memmap_entries, reserved;
};

int guest_main(uint32_t eax UNUSED, uint32_t address)
{
    const struct hvm_start_info *info = (const void *)(uintptr_t)address;

    print("GUEST: hello from pvh\n");
    if (info->magic != XEN_HVM_START_MAGIC_VALUE) {
        print("GUEST: FAILED: EBX points to %x, not to PVH's magic\n", info->magic);
        return 1;
    }
    if (info->cmdline_paddr)
        print("GUEST: cmdline=%s\n", (const char *)(uintptr_t)info->cmdline_paddr);
    print("GUEST: version=%u modules=%u memory map entries=%u rsdp=%lx\n", info->version,
          info->nr_modules, info->memmap_entries, info->rsdp_paddr);
    return info->version >= 1 && info->memmap_entries > 0 ? 0 : 1;
}
