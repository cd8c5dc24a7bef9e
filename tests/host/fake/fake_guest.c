/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/host/fake/fake_guest.h"
#include "tests/host/fake/fake.h"
#include "kernel/lib/bytes.h"

struct fake_guest guest;

static bool takes_access(uint64_t linear, unsigned width)
{
    assert_true(range_fits(linear - guest.base, width, FAKE_GUEST_BYTES));
    guest.last_address = linear;
    return guest.accesses_left-- > 0;
}

static int guest_read(void *context, gva_t linear, unsigned width, uint64_t *value)
{
    assert_ptr_equal(context, &guest);
    if (!takes_access(linear.value, width))
        return -1;
    guest.reads++;
    *value = 0;
    memcpy(value, guest.memory + (linear.value - guest.base), width);
    return 0;
}

static int guest_write(void *context, gva_t linear, unsigned width, uint64_t value)
{
    assert_ptr_equal(context, &guest);
    assert_int_equal(value & ~bytes_mask(width), 0);
    if (!takes_access(linear.value, width))
        return -1;
    guest.writes++;
    memcpy(guest.memory + (linear.value - guest.base), &value, width);
    return 0;
}

static uint64_t guest_segment_base(void *context, enum segment_register segment)
{
    assert_ptr_equal(context, &guest);
    guest.bases_asked++;
    return guest.segment_bases[segment];
}

const struct emulate_ops fake_guest_ops = {guest_read, guest_write, guest_segment_base};

void fake_guest_reset(void)
{
    memset(&guest, 0, sizeof guest);
    guest.rflags = 2;
    guest.accesses_left = ~0u;
}

enum emulate_result fake_guest_emulate(const struct instruction *insn)
{
    struct emulate_cpu cpu = {
        .gpr = guest.gpr,
        .rflags = instruction_uses_rflags(insn) ? &guest.rflags : NULL,
        .rip = guest.rip,
        .ops = &fake_guest_ops,
        .context = &guest,
    };

    return emulate_instruction(insn, &cpu);
}
