/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/device_irq.h"
#include "arch/x86/trap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/pcpu.h"

#define VECTORS (VECTOR_DEVICE_LAST - VECTOR_DEVICE_FIRST + 1)

/* Each CPU reads its own row, with no lock. */
static struct device_irq *taken[PCPU_MAX][VECTORS];
static unsigned taken_count[PCPU_MAX];
static struct lock lock; /* guards their changes */

static bool is_candidate(unsigned cpu, uint64_t cpus)
{
    return pcpus[cpu].is_online && (cpus == 0 || (cpus & BIT(cpu))) && taken_count[cpu] < VECTORS;
}

/* PCPU_MAX: none. */
static unsigned choose_cpu(uint64_t cpus)
{
    unsigned best = PCPU_MAX;

    for (unsigned i = 0; i < pcpu_count; i++)
        if (is_candidate(i, cpus) && (best == PCPU_MAX || taken_count[i] < taken_count[best]))
            best = i;
    return best;
}

int device_irq_take(struct device_irq *irq, uint64_t cpus)
{
    unsigned cpu, n = 0;

    lock_acquire(&lock);
    cpu = choose_cpu(cpus);
    if (cpu < PCPU_MAX) {
        while (taken[cpu][n])
            n++;
        irq->cpu = cpu;
        irq->vector = (uint8_t)(VECTOR_DEVICE_FIRST + n);
        taken_count[cpu]++;
        __atomic_store_n(&taken[cpu][n], irq, __ATOMIC_RELEASE);
    }
    lock_release(&lock);
    return cpu < PCPU_MAX ? 0 : -ENOSPC;
}

void device_irq_release(struct device_irq *irq)
{
    lock_acquire(&lock);
    __atomic_store_n(&taken[irq->cpu][irq->vector - VECTOR_DEVICE_FIRST], NULL, __ATOMIC_RELEASE);
    taken_count[irq->cpu]--;
    lock_release(&lock);
}

void device_irq_dispatch(unsigned vector)
{
    const struct device_irq *irq =
        __atomic_load_n(&taken[this_pcpu()->id][vector - VECTOR_DEVICE_FIRST], __ATOMIC_ACQUIRE);

    if (irq) /* else it was on its way when its device was taken away */
        irq->handler(irq->context);
}
