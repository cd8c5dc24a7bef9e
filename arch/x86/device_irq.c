/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/device_irq.h"
#include "arch/x86/trap.h"
#include "kernel/heap.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/lock.h"
#include "kernel/pcpu.h"

#define VECTORS (VECTOR_DEVICE_LAST - VECTOR_DEVICE_FIRST + 1)

/* Each CPU reads its own row, with no lock. A row is made when it is needed, and stays. */
static struct irq_row {
    struct device_irq *irqs[VECTORS];
} *rows[PCPU_MAX];
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

static struct irq_row *get_row(unsigned cpu)
{
    if (!rows[cpu])
        __atomic_store_n(&rows[cpu], heap_alloc(sizeof *rows[cpu]), __ATOMIC_RELEASE);
    return rows[cpu];
}

static int take_on(struct device_irq *irq, unsigned cpu)
{
    struct irq_row *row;
    unsigned n = 0;

    if (cpu == PCPU_MAX)
        return -ENOSPC;
    row = get_row(cpu);
    if (!row)
        return -ENOMEM;
    while (row->irqs[n])
        n++;
    irq->cpu = cpu;
    irq->vector = (uint8_t)(VECTOR_DEVICE_FIRST + n);
    taken_count[cpu]++;
    __atomic_store_n(&row->irqs[n], irq, __ATOMIC_RELEASE);
    return 0;
}

int device_irq_take(struct device_irq *irq, uint64_t cpus)
{
    int error;

    lock_acquire(&lock);
    error = take_on(irq, choose_cpu(cpus));
    lock_release(&lock);
    return error;
}

unsigned device_irq_capacity(void)
{
    return VECTORS * pcpu_count;
}

void device_irq_release(struct device_irq *irq)
{
    lock_acquire(&lock);
    __atomic_store_n(&rows[irq->cpu]->irqs[irq->vector - VECTOR_DEVICE_FIRST], NULL, __ATOMIC_RELEASE);
    taken_count[irq->cpu]--;
    lock_release(&lock);
}

/* A CPU in its HLT is none that device_irq_release()'s caller waits for: it says that it is awake before it looks. */
void device_irq_dispatch(unsigned vector)
{
    struct pcpu *cpu = this_pcpu();
    const struct irq_row *row;
    const struct device_irq *irq;

    __atomic_store_n(&cpu->is_idle, false, __ATOMIC_SEQ_CST);
    row = __atomic_load_n(&rows[cpu->id], __ATOMIC_ACQUIRE);
    irq = row ? __atomic_load_n(&row->irqs[vector - VECTOR_DEVICE_FIRST], __ATOMIC_ACQUIRE) : NULL;
    if (irq) /* else it was on its way when its device was taken away */
        irq->handler(irq->context);
}
