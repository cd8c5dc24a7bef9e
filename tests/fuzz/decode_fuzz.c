/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: no bytes make the decoder read more than it was given or say that it needs more than there can be; what
 * it decodes needs no byte beyond its length; and the emulator makes bounded, well-formed accesses of it, whatever
 * the registers hold. Input: mode, which accesses fail, registers, then the instruction.
 */
#include "tests/host/fake/fake.h"
#include "arch/x86/guest/emulate.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/errno.h"

#define HEAD 8u /* mode; accesses until one fails; a seed of the registers; RFLAGS */

/* Of one instruction: each element of a repetition takes two at most, and a read-modify-write two. */
#define ACCESSES_MAX (2u * EMULATE_REPEAT_MAX + 2)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned accesses, accesses_allowed;
static uint64_t gpr[GPR_COUNT], rflags;

static int count_access(unsigned width)
{
    if ((width != 1 && width != 2 && width != 4 && width != 8) || ++accesses > ACCESSES_MAX)
        abort();
    return accesses > accesses_allowed ? -1 : 0;
}

static int read_memory(void *context, gva_t linear, unsigned width, uint64_t *value)
{
    (void)context;
    *value = linear.value & (UINT64_MAX >> (64 - 8 * width));
    return count_access(width);
}

static int write_memory(void *context, gva_t linear, unsigned width, uint64_t value)
{
    (void)context;
    (void)linear;
    if (width < 8 && value >> (8 * width))
        abort();
    return count_access(width);
}

static uint64_t segment_base(void *context, enum segment_register segment)
{
    (void)context;
    return (uint64_t)segment << 32;
}

static void emulate(const struct instruction *insn, const uint8_t *head)
{
    static const struct emulate_ops ops = {read_memory, write_memory, segment_base};
    const struct emulate_cpu cpu = {gpr, &rflags, 0xfffffff0, &ops, NULL};

    for (unsigned i = 0; i < GPR_COUNT; i++)
        gpr[i] = (get_le16(head + 2) + 1ull) * 0x9e3779b97f4a7c15 >> i % 4 * 16;
    rflags = get_le32(head + 4);
    accesses = 0;
    accesses_allowed = head[1] < 8 ? head[1] : ACCESSES_MAX;
    (void)!emulate_instruction(insn, &cpu);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum decode_mode modes[] = {DECODE_16, DECODE_32, DECODE_64};
    struct instruction insn, same;
    enum decode_mode mode;
    int error;

    if (size < HEAD)
        return 0;
    mode = modes[data[0] % 3];
    error = decode_instruction(data + HEAD, size - HEAD, mode, &insn);
    if (error == -EAGAIN ? size - HEAD >= INSTRUCTION_BYTES_MAX : error && error != -EINVAL)
        abort();
    if (error)
        return 0;
    if (insn.length > MIN(size - HEAD, INSTRUCTION_BYTES_MAX) || insn.length == 0 || insn.operation >= OP_COUNT)
        abort();
    if (decode_instruction(data + HEAD, insn.length, mode, &same) != 0)
        abort();
    emulate(&insn, data);
    return 0;
}
