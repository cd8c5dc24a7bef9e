/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See user.h. The code here and the stack are what user mode sees: the guest's first 2 MiB are made
 * accessible to it, and taken away again, since other benchmarks measure supervisor pages.
 */
#include "guests/bench/user.h"
#include "guests/common/traps.h"

#define DE_VECTOR        0u
#define DIV_BYTES        2u
#define KERNEL_CODE      8u
#define KERNEL_DATA      16u
#define USER_DATA        (24u | 3u)
#define USER_CODE        (32u | 3u)
#define TASK             40u
#define PAGE_USER        BIT(2)
#define PAGE_ADDRESS     UINT64_C(0x000ffffffffff000)
#define DESCRIPTOR_TASK  UINT64_C(0x0000890000000067) /* present, available, 104 bytes */

static uint64_t descriptors[] = {
    0,
    0x00af9b000000ffff, /* as in start64.asm: 64-bit code, data */
    0x00cf93000000ffff,
    0x00cff3000000ffff, /* of user mode: data, 64-bit code */
    0x00affb000000ffff,
    DESCRIPTOR_TASK, 0,
};

static struct PACKED {
    uint32_t reserved;
    uint64_t rsp0;
    uint8_t rest[92];
} task;

static uint8_t kernel_stack[4096] __attribute__((aligned(16)));
static volatile unsigned exceptions_left;
static uint64_t return_ip, return_sp;

static __attribute__((interrupt)) void on_divide_error(struct interrupt_frame *frame)
{
    if (--exceptions_left > 0) {
        frame->ip += DIV_BYTES;
        return;
    }
    frame->ip = return_ip;
    frame->cs = KERNEL_CODE;
    frame->sp = return_sp;
    frame->ss = KERNEL_DATA;
}

static void load_descriptors(void)
{
    struct PACKED {
        uint16_t limit;
        uint64_t base;
    } table = {sizeof descriptors - 1, (uintptr_t)descriptors};
    uint64_t base = (uintptr_t)&task;

    task.rsp0 = (uintptr_t)kernel_stack + sizeof kernel_stack;
    descriptors[TASK / 8] = DESCRIPTOR_TASK | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    descriptors[TASK / 8 + 1] = base >> 32;
    __asm__ volatile("lgdt %0; ltr %w1" : : "m"(table), "r"(TASK));
}

/* The first entry of each table, from the root to the page. */
static void allow_user(bool is_allowed)
{
    uint64_t cr3, table;

    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    table = cr3 & PAGE_ADDRESS;
    for (unsigned level = 0; level < 3; level++) {
        uint64_t *entry = (uint64_t *)table;

        *entry = is_allowed ? *entry | PAGE_USER : *entry & ~PAGE_USER;
        table = *entry & PAGE_ADDRESS;
    }
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

void user_take_exceptions(unsigned count)
{
    exceptions_left = count;
    traps_set(DE_VECTOR, on_divide_error);
    load_descriptors();
    allow_user(true);
    __asm__ volatile("lea 2f(%%rip), %%rax\n\t"
                     "mov %%rax, %0\n\t"
                     "mov %%rsp, %%rax\n\t"
                     "mov %%rax, %1\n\t"
                     "push %2\n\t"
                     "push %%rax\n\t"
                     "pushfq\n\t"
                     "push %3\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "xor %%ecx, %%ecx\n\t"
                     "iretq\n"
                     "1:\n\t"
                     "div %%ecx\n\t"
                     "jmp 1b\n"
                     "2:"
                     : "=m"(return_ip), "=m"(return_sp)
                     : "i"(USER_DATA), "i"(USER_CODE)
                     : "rax", "rcx", "rdx", "memory", "cc");
    allow_user(false);
}
