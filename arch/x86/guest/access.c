/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/guest/access.h"
#include "arch/x86/regs.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"

enum decode_mode access_begin_legacy(struct vcpu *vcpu, struct gva_context *c, const struct code_position *code, gva_t *rip)
{
    struct segment cs;

    if ((c->cr0 & CR0_PG) && (c->cr4 & CR4_PAE) && !(c->efer & EFER_LMA))
        for (unsigned i = 0; i < GVA_PDPTES; i++)
            c->pdpte[i] = vcpu_ops->get(vcpu, VCPU_PDPTE0 + i);
    vcpu_ops->get_segment(vcpu, SEG_CS, &cs);
    *rip = GVA((uint32_t)(cs.base + code->rip));
    return cs.attributes & SEG_ATTR_DB ? DECODE_32 : DECODE_16;
}

void access_fault(struct vcpu *vcpu, int error, gva_t linear, uint32_t error_code)
{
    if (error == -EFAULT) {
        vcpu_ops->set(vcpu, VCPU_CR2, linear.value);
        vcpu_raise_with_code(vcpu, X86_PF, error_code);
    } else if (error == -EINVAL) {
        vcpu_raise_with_code(vcpu, X86_GP, 0);
    }
}

uint64_t access_read_physical(struct vcpu *vcpu, gpa_t address, unsigned width)
{
    const void *ram = guest_mem_at(&vcpu->vm->mem, address, width);
    uint64_t value = 0;

    if (ram)
        memcpy(&value, ram, width);
    else
        value = io_bus_read(&vcpu->vm->mmio, address.value, width);
    return value;
}

void access_write_physical(struct vcpu *vcpu, gpa_t address, unsigned width, uint64_t value)
{
    void *ram = guest_mem_at(&vcpu->vm->mem, address, width);

    if (ram)
        memcpy(ram, &value, width);
    else
        io_bus_write(&vcpu->vm->mmio, address.value, width, value);
}

/* An operand in at most two pages. */
struct pieces {
    gpa_t address[2];
    unsigned width[2];
};

static int translate(struct vcpu *vcpu, const struct gva_context *c, gva_t linear, unsigned width, enum access access,
                     struct pieces *p)
{
    uint32_t error_code;
    unsigned count;

    p->width[0] = (unsigned)MIN(width, PAGE_SIZE - linear.value % PAGE_SIZE);
    p->width[1] = width - p->width[0];
    count = p->width[1] ? 2 : 1;
    for (unsigned i = 0; i < count; i++) {
        gva_t at = GVA(linear.value + (i ? p->width[0] : 0));
        int error = gva_translate(c, at, access, &p->address[i], &error_code);

        if (error) {
            access_fault(vcpu, error, at, error_code);
            return -EFAULT;
        }
    }
    return 0;
}

/* Byte n of an operand that crosses a page's end. */
static gpa_t byte_address(const struct pieces *p, unsigned n)
{
    return n < p->width[0] ? GPA(p->address[0].value + n) : GPA(p->address[1].value + n - p->width[0]);
}

int access_read(struct vcpu *vcpu, const struct gva_context *c, gva_t linear, unsigned width, uint64_t *value)
{
    struct pieces p;

    if (translate(vcpu, c, linear, width, ACCESS_READ, &p) != 0)
        return -EFAULT;
    if (p.width[1] == 0) {
        *value = access_read_physical(vcpu, p.address[0], width);
        return 0;
    }
    *value = 0;
    for (unsigned n = 0; n < width; n++)
        *value |= access_read_physical(vcpu, byte_address(&p, n), 1) << (8 * n);
    return 0;
}

int access_probe_write(struct vcpu *vcpu, const struct gva_context *c, gva_t linear, unsigned width)
{
    struct pieces p;

    return translate(vcpu, c, linear, width, ACCESS_WRITE, &p);
}

int access_write(struct vcpu *vcpu, const struct gva_context *c, gva_t linear, unsigned width, uint64_t value)
{
    struct pieces p;

    if (translate(vcpu, c, linear, width, ACCESS_WRITE, &p) != 0)
        return -EFAULT;
    if (p.width[1] == 0) {
        access_write_physical(vcpu, p.address[0], width, value);
        return 0;
    }
    for (unsigned n = 0; n < width; n++)
        access_write_physical(vcpu, byte_address(&p, n), 1, value >> (8 * n) & 0xff);
    return 0;
}

size_t vcpu_fetch(struct vcpu *vcpu, uint8_t *bytes, size_t count)
{
    struct gva_context c;
    struct gva_fault fault;
    gva_t rip;

    access_begin(vcpu, &c, &rip);
    return gva_fetch(&c, rip, bytes, count, &fault);
}
