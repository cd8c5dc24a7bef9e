/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What does an exit cost in KVM? The smallest user of /dev/kvm: a guest in 64-bit mode, identity mapped, runs the
 * loops of guests/bench, and this prints `KVM name ticks` for each, TSC ticks per round trip, as that does. Runs in
 * level 1 of the lab, on the emulated processor on which `make bench` counts ours; linked statically.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define ROUNDS  300u
#define WARM_UP 10u

/* Guest-physical; the guest's code knows these numbers too. */
#define RAM_BYTES   0x100000u
#define GDT         0x1000u
#define IDT         0x1100u
#define PML4        0x2000u
#define PDPT        0x3000u
#define STACK_TOP   0x8000u
#define RESULT      0x9000u /* ticks; behind it the interrupts that came */
#define CODE        0x10000u
#define FRESH       0x10000000u /* RAM of pages that nobody has touched */
#define FRESH_BYTES 0x4000000u
#define DOORBELL    0x40000010u /* an ioeventfd; the rest of its page is for user space */
#define IPI_VECTOR  0x40u
#define END_PORT    0x10u

#define CODE_SELECTOR 8u
#define DATA_SELECTOR 16u

extern const uint8_t guest_start[], guest_end[], guest_on_ipi[];

/* RDI: rounds, RSI: the loop. Each loop leaves RBX, R12 and RSI alone, counts R15 down and goes back. */
__asm__(".pushsection .rodata\n"
        "guest_start: mov %rdi, %rbx\n lfence\n rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov %rax, %r12\n jmp *%rsi\n"
        "guest_done: lfence\n rdtsc\n shl $32, %rdx\n or %rdx, %rax\n sub %r12, %rax\n mov %rax, 0x9000\n"
        "    out %al, $0x10\n"
        "guest_on_ipi: incq 0x9008\n mov $0xfee000b0, %ecx\n movl $0, (%rcx)\n iretq\n");

#define BODY(name, prologue, body)                                                                                     \
    extern const uint8_t guest_##name[];                                                                               \
    __asm__("guest_" #name ": mov %rbx, %r15\n" prologue "1: " body "\n dec %r15\n jnz 1b\n jmp guest_done\n")

BODY(empty, "", "");
BODY(cpuid, "", "xor %eax, %eax\n xor %ecx, %ecx\n mov %rbx, %r14\n cpuid\n mov %r14, %rbx");
BODY(hypercall, "", "mov $100, %eax\n vmcall");
BODY(rdmsr_apic_base, "", "mov $0x1b, %ecx\n rdmsr");
/* The PIC's ELCR: a register without effects of a device in the kernel. */
BODY(port_in, "mov $0x4d0, %edx\n", "in %dx, %al");
BODY(port_out, "mov $0x4d0, %edx\n xor %eax, %eax\n", "out %al, %dx");
BODY(mmio_read, "mov $0x40000000, %edi\n", "mov (%rdi), %eax"); /* to user space, as virtio registers */
BODY(mmio_write, "mov $0x40000000, %edi\n", "mov %eax, (%rdi)");
BODY(virtio_doorbell, "mov $0x40000010, %edi\n", "movl $0, (%rdi)");
/* The deadline is 2^40 ticks away; LVT timer: masked, TSC deadline. */
BODY(wrmsr_tsc_deadline,
     "mov $0xfee00320, %edi\n movl $0x50041, (%rdi)\n rdtsc\n add $0x100, %edx\n mov $0x6e0, %ecx\n",
     "wrmsr");
BODY(xapic_eoi, "mov $0xfee000b0, %edi\n", "movl $0, (%rdi)");
BODY(xapic_self_ipi, "mov $0xfee000f0, %edi\n movl $0x1ff, (%rdi)\n mov $0xfee00300, %edi\n sti\n",
     "mov 0x9008, %rax\n movl $0x44040, (%rdi)\n 2: cmp %rax, 0x9008\n je 2b");
BODY(first_touch, "mov $0x10000000, %edi\n", "movb $1, (%rdi)\n add $0x1000, %rdi");
__asm__("guest_end:\n.popsection\n");

static const struct {
    const char *name;
    const uint8_t *body;
    unsigned warm_up; /* rounds; none where the first time is what counts */
} benchmarks[] = {
#define ROW(name) {#name, guest_##name, WARM_UP}
    ROW(empty),     ROW(cpuid),      ROW(hypercall),       ROW(rdmsr_apic_base),    ROW(port_in),   ROW(port_out),
    ROW(mmio_read), ROW(mmio_write), ROW(virtio_doorbell), ROW(wrmsr_tsc_deadline), ROW(xapic_eoi), ROW(xapic_self_ipi),
#undef ROW
    {"first_touch", guest_first_touch, 0},
};

static int kvm, vm, vcpu;
static struct kvm_run *run;
static uint8_t *ram;

static int check(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void *map(size_t bytes, int flags, int file)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);

    check(memory == MAP_FAILED ? -1 : 0, "mmap");
    return memory;
}

static void *add_ram(uint32_t slot, uint64_t address, size_t bytes)
{
    void *memory = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    struct kvm_userspace_memory_region region = {
        .slot = slot, .guest_phys_addr = address, .memory_size = bytes, .userspace_addr = (uintptr_t)memory};

    madvise(memory, bytes, MADV_NOHUGEPAGE);
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    return memory;
}

/* Of any width, as QEMU makes virtio's: KVM then does not decode the instruction. */
static void add_doorbell(void)
{
    struct kvm_ioeventfd bell = {.addr = DOORBELL, .len = 0, .fd = check(eventfd(0, EFD_NONBLOCK), "eventfd")};

    check(ioctl(vm, KVM_IOEVENTFD, &bell), "KVM_IOEVENTFD");
}

static void make_vm(void)
{
    vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    check(ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul), "KVM_SET_TSS_ADDR");
    check(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    ram = add_ram(0, 0, RAM_BYTES);
    add_ram(1, FRESH, FRESH_BYTES);
    add_doorbell();
    vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    run = map((size_t)check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"), MAP_SHARED, vcpu);
}

static void set_cpuid(void)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[128];
    } cpuid = {.head.nent = 128};

    check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
    for (unsigned i = 0; i < cpuid.head.nent; i++)
        if (cpuid.entries[i].function == 1)
            cpuid.entries[i].ecx |= 1u << 24; /* TSC deadline: KVM leaves it to us to offer its timer */
    check(ioctl(vcpu, KVM_SET_CPUID2, &cpuid), "KVM_SET_CPUID2");
}

static void put(uint32_t address, uint64_t value)
{
    memcpy(ram + address, &value, sizeof value);
}

/* Four pages of 1 GiB, flat segments, one gate. SDM 3A, "64-Bit Mode IDT" has the gate. */
static void fill_tables(void)
{
    uint64_t handler = CODE + (uint64_t)(guest_on_ipi - guest_start);

    put(PML4, PDPT | 3);
    for (unsigned i = 0; i < 4; i++)
        put(PDPT + 8 * i, (uint64_t)i << 30 | 0x83);
    put(GDT + CODE_SELECTOR, 0x00af9b000000ffff);
    put(GDT + DATA_SELECTOR, 0x00cf93000000ffff);
    put(IDT + 16 * IPI_VECTOR, (handler & 0xffff) | CODE_SELECTOR << 16 | 0x8eull << 40 | handler >> 16 << 48);
    memcpy(ram + CODE, guest_start, (size_t)(guest_end - guest_start));
}

static void enter_long_mode(void)
{
    struct kvm_sregs s;
    const struct kvm_segment code = {.limit = ~0u, .selector = CODE_SELECTOR, .present = 1, .type = 11, .s = 1,
                                     .l = 1, .g = 1};
    const struct kvm_segment data = {.limit = ~0u, .selector = DATA_SELECTOR, .present = 1, .type = 3, .s = 1,
                                     .db = 1, .g = 1};

    check(ioctl(vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
    s.cs = code;
    s.ds = s.es = s.ss = s.fs = s.gs = data;
    s.gdt = (struct kvm_dtable){.base = GDT, .limit = 23};
    s.idt = (struct kvm_dtable){.base = IDT, .limit = 16 * (IPI_VECTOR + 1) - 1};
    s.cr3 = PML4;
    s.cr4 = 1u << 5;     /* PAE */
    s.cr0 = 0x80050033u; /* PG AM WP NE ET MP PE */
    s.efer = 0x500;      /* LMA LME */
    check(ioctl(vcpu, KVM_SET_SREGS, &s), "KVM_SET_SREGS");
}

/* Ticks of all rounds; 0: the guest did something else. */
static uint64_t run_loop(const uint8_t *body, unsigned rounds)
{
    struct kvm_regs registers = {.rip = CODE, .rflags = 2, .rsp = STACK_TOP, .rdi = rounds,
                                 .rsi = CODE + (uint64_t)(body - guest_start)};
    uint64_t ticks;

    check(ioctl(vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
    do
        check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
    while (run->exit_reason == KVM_EXIT_MMIO);
    if (run->exit_reason != KVM_EXIT_IO || run->io.port != END_PORT)
        return 0;
    memcpy(&ticks, ram + RESULT, sizeof ticks);
    return ticks;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    kvm = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
    make_vm();
    set_cpuid();
    fill_tables();
    enter_long_mode();
    for (size_t i = 0; i < sizeof benchmarks / sizeof *benchmarks; i++) {
        uint64_t ticks;

        if (benchmarks[i].warm_up)
            run_loop(benchmarks[i].body, benchmarks[i].warm_up);
        ticks = run_loop(benchmarks[i].body, ROUNDS);
        if (ticks)
            printf("KVM %s %llu\n", benchmarks[i].name, (unsigned long long)(ticks + ROUNDS / 2) / ROUNDS);
        else
            printf("KVM %s - exit %u\n", benchmarks[i].name, run->exit_reason);
    }
    printf("KVM end\n");
    return 0;
}
