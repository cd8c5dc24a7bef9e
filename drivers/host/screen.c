/* SPDX-License-Identifier: BSD-2-Clause */
/* Which screen there is. The boot loader says so; where it does not, there is VGA text, but under
 * UEFI. */
#include "drivers/host/screen.h"
#include "drivers/host/framebuffer.h"
#include "drivers/host/vga_text.h"
#include "kernel/log.h"

static bool is_vga_text(const struct boot_info *boot)
{
    if (boot->has_framebuffer)
        return boot->framebuffer.type == BOOT_FRAMEBUFFER_EGA_TEXT;
    return !boot->has_efi32 && !boot->has_efi64;
}

bool screen_find(const struct boot_info *boot, struct screen *screen)
{
    const struct boot_framebuffer *f = &boot->framebuffer;

    if (is_vga_text(boot)) {
        vga_text_init(screen);
        return true;
    }
    if (!boot->has_framebuffer)
        return false;
    if (framebuffer_init(f, screen) == 0)
        return true;
    log_warn("screen", "framebuffer of %ux%u pixels of %u bits, type %u: not supported", f->width,
             f->height, f->bits_per_pixel, f->type);
    return false;
}
