/* SPDX-License-Identifier: BSD-2-Clause */
/* A flat file whose Multiboot header says where it goes (the a.out kludge). Its .bss is not in the
 * file: the array shows that the loader cleared it. */
#include "guests/common/guest.h"
#include "guests/common/multiboot.h"

static volatile unsigned cleared[1024];

int guest_main(uint32_t magic, uint32_t info)
{
    print("GUEST: hello from aout\n");
    for (unsigned i = 0; i < ARRAY_SIZE(cleared); i++) {
        if (cleared[i] != 0) {
            print("GUEST: FAILED: .bss was not cleared\n");
            return 1;
        }
    }
    return multiboot_print(magic, info) ? 0 : 1;
}
