/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who called whom, without frame pointers, which every function would pay for. Of the words on the stack the return address
 * is the first one that has a call of this very function in front of it. A function that was called by a pointer or reached
 * by a jump has none: the first one behind a call by a pointer is taken then, or behind any call. What earlier calls
 * left on the stack can mislead that.
 */
#include "arch/arch.h"
#include "arch/x86/paging.h"
#include "arch/x86/trap.h"
#include "kernel/lib/bytes.h"
#include "kernel/lib/string.h"
#include "kernel/panic.h"

#define CALLERS_MAX 24u
#define SCAN_BYTES  4608u /* the largest frame has 4144 */

#define CALL_BYTES          5u /* E8, and the distance from behind it */
#define POINTER_CALL_LEAST  2u /* FF /2, and what addresses the pointer */
#define POINTER_CALL_MOST   7u

extern const char text_start[], text_end[];
extern const char trap_common[]; /* trap.asm */

enum likelihood { NO_CALL, OTHER_CALL, POINTER_CALL, CALL };

/* A function's cold part has its name, and nobody calls it. */
static bool is_start_of(uint64_t address, const char *name)
{
    uint64_t offset;

    return strcmp(panic_symbol(address, &offset), name) == 0 && offset == 0;
}

static bool follows_pointer_call(const uint8_t *behind)
{
    for (unsigned length = POINTER_CALL_LEAST; length <= POINTER_CALL_MOST; length++) {
        const uint8_t *call = behind - length;

        if (call[0] == 0xff && (call[1] >> 3 & 7) == 2)
            return true;
    }
    return false;
}

/* Is it a return address of that function? */
static enum likelihood judge(uint64_t word, const char *name)
{
    const uint8_t *behind = (const uint8_t *)word;

    if (word < (uint64_t)text_start + POINTER_CALL_MOST || word > (uint64_t)text_end)
        return NO_CALL;
    if (behind[-(int)CALL_BYTES] == 0xe8) {
        uint64_t target = word + (uint64_t)(int32_t)get_le32(behind - sizeof(uint32_t));

        if (is_start_of(target, name))
            return CALL;
        if (target >= (uint64_t)text_start && target < (uint64_t)text_end)
            return OTHER_CALL;
    }
    return follows_pointer_call(behind) ? POINTER_CALL : NO_CALL;
}

/* Of who called the function at *address, whose stack pointer *sp is. False: nobody is to be found. */
static bool find_caller(uint64_t *address, uint64_t *sp)
{
    enum likelihood best = NO_CALL;
    char name[SYMBOL_NAME_BYTES];
    uint64_t offset, found = 0;

    memcpy(name, panic_symbol(*address, &offset), sizeof name);
    for (uint64_t at = *sp; at < *sp + SCAN_BYTES && best < CALL && paging_is_stack(at); at += sizeof(uint64_t)) {
        enum likelihood likelihood = judge(*(const uint64_t *)at, name);

        if (likelihood > best) {
            best = likelihood;
            found = at;
        }
    }
    if (best == NO_CALL)
        return false;
    *address = *(const uint64_t *)found - 1; /* the call's last byte: behind it may be another function */
    *sp = found + sizeof(uint64_t);
    return true;
}

void arch_backtrace(uint64_t address, uint64_t sp, void (*visit)(void *context, uint64_t address), void *context)
{
    for (unsigned i = 0; i < CALLERS_MAX && find_caller(&address, &sp); i++) {
        uint64_t offset;

        visit(context, address);
        panic_symbol(address, &offset);
        if (address - offset == (uint64_t)trap_common) {
            const struct trap_frame *interrupted = (const struct trap_frame *)sp;

            if (!paging_is_stack(sp) || !paging_is_stack((uint64_t)&interrupted->ss))
                return;
            address = interrupted->rip;
            sp = interrupted->rsp;
            visit(context, address);
        }
    }
}
