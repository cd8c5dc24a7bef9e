/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake.h"
#include "tests/host/fake/pcpu.h"
#include "tests/host/fake/vcpu.h"
#include "arch/x86/guest/event.h"
#include "arch/x86/guest/gva.h"
#include "arch/x86/guest/msr.h"
#include "arch/x86/regs.h"

static struct fake_vcpu *fake_of(struct vcpu *vcpu)
{
    return CONTAINER_OF(vcpu, struct fake_vcpu, vcpu);
}

/* --- the engine --- */

static uint64_t get(struct vcpu *vcpu, enum vcpu_register which)
{
    return fake_of(vcpu)->registers[which];
}

static void set(struct vcpu *vcpu, enum vcpu_register which, uint64_t value)
{
    fake_of(vcpu)->registers[which] = value;
}

static void get_segment(struct vcpu *vcpu, enum segment_register which, struct segment *segment)
{
    *segment = fake_of(vcpu)->segments[which];
}

static void set_segment(struct vcpu *vcpu, enum segment_register which, const struct segment *segment)
{
    fake_of(vcpu)->segments[which] = *segment;
}

static void get_gdtr(struct vcpu *vcpu, struct descriptor_table *gdtr)
{
    *gdtr = fake_of(vcpu)->gdtr;
}

static void get_code_context(struct vcpu *vcpu, struct gva_context *context,
                             struct code_position *code)
{
    const struct fake_vcpu *f = fake_of(vcpu);

    context->cr0 = f->registers[VCPU_CR0];
    context->cr3 = f->registers[VCPU_CR3];
    context->cr4 = f->registers[VCPU_CR4];
    context->efer = f->registers[VCPU_EFER];
    context->rflags = f->registers[VCPU_RFLAGS];
    context->cpl = f->segments[SEG_SS].attributes >> SEG_ATTR_DPL_SHIFT & 3;
    code->rip = f->registers[VCPU_RIP];
    code->cs_attributes = f->segments[SEG_CS].attributes;
}

static bool is_open(struct vcpu *vcpu, enum event_window window)
{
    return fake_of(vcpu)->is_open[window];
}

static void want_window(struct vcpu *vcpu, enum event_window window, bool wanted)
{
    fake_of(vcpu)->is_wanted[window] = wanted;
}

static void inject(struct vcpu *vcpu, const struct event *event)
{
    struct fake_vcpu *f = fake_of(vcpu);

    assert_true(f->injected_count < FAKE_VCPU_EVENTS);
    f->injected[f->injected_count++] = *event;
}

static bool sync_interrupts(struct vcpu *vcpu)
{
    fake_of(vcpu)->syncs++;
    return fake_of(vcpu)->delivers_itself;
}

static void set_apic_mode(struct vcpu *vcpu)
{
    fake_of(vcpu)->mode_changes++;
}

static void flush_linear(struct vcpu *vcpu)
{
    fake_of(vcpu)->flushes++;
}

/* What VCPU_* can show of it; the engine has no defaults of its own for the rest. */
static void vcpu_reset(struct vcpu *vcpu, const struct vcpu_start *start)
{
    struct fake_vcpu *f = fake_of(vcpu);

    memset(f->registers, 0, sizeof f->registers);
    memcpy(f->segments, start->segment, sizeof f->segments);
    f->registers[VCPU_RIP] = start->rip;
    f->registers[VCPU_RFLAGS] = start->rflags;
    f->registers[VCPU_CR0] = start->cr0;
    f->registers[VCPU_CR3] = start->cr3;
    f->registers[VCPU_CR4] = start->cr4;
    f->registers[VCPU_EFER] = start->efer;
    f->resets++;
}

static unsigned describe(struct vcpu *vcpu, struct named_value *values, unsigned count)
{
    (void)vcpu;
    assert_true(count >= 2);
    values[0] = (struct named_value){"fake", 7};
    values[1] = (struct named_value){"twice", 14};
    return 2;
}

static const struct vcpu_ops engine = {
    .keeps_pdptes = true,
    .name = "fake",
    .get = get,
    .set = set,
    .get_code_context = get_code_context,
    .get_segment = get_segment,
    .set_segment = set_segment,
    .get_gdtr = get_gdtr,
    .is_open = is_open,
    .want_window = want_window,
    .inject = inject,
    .sync_interrupts = sync_interrupts,
    .set_apic_mode = set_apic_mode,
    .flush_linear = flush_linear,
    .vcpu_reset = vcpu_reset,
    .describe = describe,
};
const struct vcpu_ops *vcpu_ops = &engine;

/* --- the run loop's part: kernel/vcpu.c is not hosted --- */

void vcpu_request(struct vcpu *vcpu, uint32_t requests)
{
    __atomic_fetch_or(&vcpu->requests, requests, __ATOMIC_ACQ_REL);
}

void vm_stop(struct vm *vm, enum stop_reason reason)
{
    if (vm->stop_reason == STOP_NONE)
        vm->stop_reason = reason;
    vcpu_request(vm->vcpus[0], REQUEST_STOP);
}

void vcpu_crash(struct vcpu *vcpu, enum stop_reason reason, const char *why, ...)
{
    (void)why;
    fake_of(vcpu)->crashes++;
    vm_stop(vcpu->vm, reason);
}

/* --- its VM --- */

static uint64_t port_read(void *device, uint64_t offset, unsigned width)
{
    struct fake_vcpu *f = device;
    uint64_t value = 0;

    (void)offset;
    f->port_reads++;
    f->port_width = width;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)f->port_next++ << (8 * i);
    return value;
}

static void port_write(void *device, uint64_t offset, unsigned width, uint64_t value)
{
    struct fake_vcpu *f = device;

    (void)offset;
    assert_true(f->port_writes < ARRAY_SIZE(f->port_written));
    f->port_width = width;
    f->port_written[f->port_writes++] = value;
}

static const struct io_region_ops port_ops = {port_read, port_write};

static void send(void *context, const struct apic_message *message)
{
    struct vcpu *vcpu = context;

    apic_bus_send(&vcpu->vm->platform->apic_bus, message);
}

static void tell_nobody(void *context, uint8_t vector)
{
    (void)context;
    (void)vector;
}

static void notify(void *context)
{
    vcpu_request(context, REQUEST_EVENT);
}

static const struct lapic_wiring wiring = {send, tell_nobody, notify, event_deliver, event_timer_is_here};

static void set_flat_segments(struct fake_vcpu *f)
{
    for (unsigned i = 0; i < SEG_COUNT; i++)
        f->segments[i] = (struct segment){.selector = 16,
                                          .limit = UINT32_MAX,
                                          .attributes = SEG_TYPE_DATA_RW_A | SEG_ATTR_S |
                                                        SEG_ATTR_P | SEG_ATTR_DB | SEG_ATTR_G};
    f->segments[SEG_CS].attributes =
        SEG_TYPE_CODE_RX_A | SEG_ATTR_S | SEG_ATTR_P | SEG_ATTR_DB | SEG_ATTR_G;
}

static void build_vm(struct fake_vcpu *f)
{
    struct io_region port = {
        .name = "port", .base = FAKE_VCPU_PORT, .size = FAKE_VCPU_PORT_BYTES, .widths = IO_WIDTH_ANY,
        .ops = &port_ops, .device = f};

    f->ram = aligned_alloc(PAGE_SIZE, FAKE_VCPU_RAM_BYTES);
    f->apic_page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
    memset(f->ram, 0, FAKE_VCPU_RAM_BYTES);
    assert_int_equal(guest_mem_add(&f->vm.mem, GPA(0), FAKE_VCPU_RAM_BYTES, f->ram), 0);
    assert_int_equal(io_bus_add(&f->vm.ports, &port), 0);
    io_bus_freeze(&f->vm.ports);
    io_bus_freeze(&f->vm.mmio);
    f->vm.platform = &f->platform;
    f->vm.vcpus[0] = &f->vcpu;
    f->vm.vcpu_count = 1;
    lapic_init(&f->lapic, f->apic_page, 0, true, &wiring, &f->vcpu);
    apic_bus_init(&f->platform.apic_bus);
    assert_int_equal(apic_bus_attach(&f->platform.apic_bus, &f->lapic), 0);
    pic_init(&f->platform.pic, (struct irq_line){0});
}

void fake_vcpu_init(struct fake_vcpu *f)
{
    memset(f, 0, sizeof *f);
    fake_clock_reset();
    fake_pcpus_reset(2);
    this_pcpu()->current = &f->vcpu;
    f->vcpu.vm = &f->vm;
    build_vm(f);
    guest_cpuid_init(&f->cpuid, 0, 1);
    fake_vcpu_cpuid(f, 0x80000008)->eax = 48 << 8 | FAKE_VCPU_ADDRESS_BITS;
    msr_init();
    set_flat_segments(f);
    f->vcpu.lapic = &f->lapic;
    f->vcpu.cpuid = &f->cpuid;
    f->vcpu.physical_bits = FAKE_VCPU_ADDRESS_BITS;
    f->registers[VCPU_CR0] = CR0_PE | CR0_ET;
    f->registers[VCPU_RFLAGS] = RFLAGS_ONE | RFLAGS_IF;
    f->is_open[WINDOW_INTERRUPT] = f->is_open[WINDOW_NMI] = true;
}

void fake_vcpu_free(struct fake_vcpu *f)
{
    free(f->ram);
    free(f->apic_page);
}

struct cpuid_result *fake_vcpu_cpuid(struct fake_vcpu *f, uint32_t leaf)
{
    return (struct cpuid_result *)guest_cpuid_find(&f->cpuid, leaf, 0);
}

void fake_vcpu_assert_injected(const struct fake_vcpu *f, unsigned n, enum event_type type,
                               uint8_t vector)
{
    assert_true(n < f->injected_count);
    assert_int_equal(f->injected[n].type, type);
    assert_int_equal(f->injected[n].vector, vector);
}

void fake_vcpu_assert_raised(const struct fake_vcpu *f, uint8_t vector)
{
    assert_int_equal(f->vcpu.event.type, EVENT_EXCEPTION);
    assert_int_equal(f->vcpu.event.vector, vector);
    assert_false(f->vcpu.event.has_error_code);
    assert_true(f->vcpu.requests & REQUEST_EVENT);
}

void fake_vcpu_assert_raised_with_code(const struct fake_vcpu *f, uint8_t vector,
                                       uint32_t error_code)
{
    assert_int_equal(f->vcpu.event.type, EVENT_EXCEPTION);
    assert_int_equal(f->vcpu.event.vector, vector);
    assert_true(f->vcpu.event.has_error_code);
    assert_int_equal(f->vcpu.event.error_code, error_code);
    assert_true(f->vcpu.requests & REQUEST_EVENT);
}

void fake_vcpu_assert_nothing_raised(const struct fake_vcpu *f)
{
    assert_int_equal(f->vcpu.event.type, EVENT_NONE);
}
