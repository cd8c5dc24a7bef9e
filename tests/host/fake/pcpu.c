/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/pcpu.h"
#include "arch/x86/descriptors.h"
#include "kernel/lib/assert.h"
#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct arch_cpu arch[PCPU_MAX];
struct pcpu pcpus[PCPU_MAX];
unsigned pcpu_count;

void fake_pcpu_become(unsigned id)
{
    ASSERT(syscall(SYS_arch_prctl, ARCH_SET_GS, &pcpus[id]) == 0);
}

void fake_pcpus_reset(unsigned count)
{
    ASSERT(count <= PCPU_MAX);
    pcpu_count = count;
    memset(arch, 0, sizeof arch);
    for (unsigned i = 0; i < PCPU_MAX; i++)
        pcpus[i] = (struct pcpu){.self = &pcpus[i], .id = i, .arch = &arch[i]};
    fake_pcpu_become(0);
}
