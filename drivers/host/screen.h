/* SPDX-License-Identifier: BSD-2-Clause */
/* The one screen that the boot loader left us: VGA text or a framebuffer. */
#ifndef DRIVERS_HOST_SCREEN_H
#define DRIVERS_HOST_SCREEN_H

#include "drivers/backend.h"
#include "kernel/multiboot2.h"

struct terminal;

struct screen {
    hpa_t address; /* its memory */
    uint64_t bytes;
    /* Where the hypervisor sees that memory from now on; NULL: nowhere. The first time clears the
     * screen. */
    void (*move)(void *memory);
    struct terminal *terminal;
    struct chardev chardev; /* what is written before the memory is to be seen appears then */
};

/* false: there is none that we can write on. */
MUST_CHECK bool screen_find(const struct boot_info *boot, struct screen *screen);

#endif
