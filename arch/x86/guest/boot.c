/* SPDX-License-Identifier: BSD-2-Clause */
/* Which loader an image goes to; each format's own file knows the rest. See boot.h. */
#include "arch/x86/guest/boot.h"
#include "arch/x86/guest/boot_job.h"
#include "arch/x86/guest/layout.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

/*
 * Detection goes down the table. PVH is last: its probe asks only for an ELF file, so that an ELF
 * file of no use is refused with what it lacks, and not as something unknown.
 */
static const struct boot_loader {
    const char *name;
    bool (*probe)(const struct guest_image *image); /* NULL: never detected, only asked for */
    bool (*load)(struct boot_job *job);
    bool takes_initrd, takes_modules, takes_cmdline;
} loaders[BOOT_FORMAT_COUNT] = {
    /* name, probe, load; does it take an initrd, modules, a command line? */
    [BOOT_AUTO] = {"auto", NULL, NULL, false, false, false},
    [BOOT_LINUX] = {"linux", boot_linux_probe, boot_linux_load, true, false, true},
    [BOOT_MULTIBOOT] = {"multiboot", boot_multiboot_probe, boot_multiboot_load, true, true, true},
    [BOOT_PVH] = {"pvh", boot_pvh_probe, boot_pvh_load, true, true, true},
    [BOOT_FLAT] = {"flat", NULL, boot_flat_load, false, false, false},
};

enum boot_format boot_format_detect(const struct guest_image *image)
{
    for (unsigned i = 0; i < BOOT_FORMAT_COUNT; i++)
        if (loaders[i].probe && loaders[i].probe(image))
            return (enum boot_format)i;
    return BOOT_AUTO;
}

const char *boot_format_name(enum boot_format format)
{
    return loaders[format].name;
}

/* What the format cannot hand over is refused, not dropped: a guest must not miss it silently. */
static bool takes_all(struct boot_job *job, const struct boot_loader *loader)
{
    const struct boot_request *r = job->request;

    if (r->initrd.size > 0 && !loader->takes_initrd)
        return boot_refuse(job, "this kind of image takes no initrd");
    if (r->module_count > 0 && !loader->takes_modules)
        return boot_refuse(job, "this kind of image takes no modules");
    if (r->cmdline && *r->cmdline && !loader->takes_cmdline)
        return boot_refuse(job, "this kind of image takes no command line");
    return true;
}

static bool load(struct boot_job *job)
{
    const struct boot_request *r = job->request;
    enum boot_format format = r->format == BOOT_AUTO ? boot_format_detect(&r->image) : r->format;

    if (r->image.size == 0)
        return boot_refuse(job, "kernel is empty");
    if (format == BOOT_AUTO)
        return boot_refuse(job, "kernel is no bzImage, no Multiboot image and no ELF file");
    if (r->ram_bytes < GUEST_RAM_BYTES_MIN)
        return boot_refuse(job, "a guest needs at least 1 MiB of RAM");
    return takes_all(job, &loaders[format]) && loaders[format].load(job);
}

int boot_load(const struct boot_request *request, const char **why)
{
    struct boot_job job;

    boot_job_init(&job, request);
    memset(request->start, 0, sizeof *request->start);
    if (load(&job))
        return 0;
    *why = job.why;
    return -ENOEXEC;
}
