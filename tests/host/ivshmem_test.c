/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: a guest sees the function that QEMU's specification describes. Whatever it writes, its owner is asked only to
 * put the memory into a window and to ring; an interrupt becomes exactly the message that the guest chose, at once, later,
 * or, where it chose none, never.
 */
#include "drivers/ivshmem_regs.h"
#include "drivers/pci_regs.h"
#include "drivers/virt/ivshmem.h"
#include "tests/host/fake/fake.h"

#define WINDOW       0xc0000000u
#define WINDOW_BYTES 0x10000000u
#define REGISTERS    WINDOW
#define MESSAGES     (WINDOW + 0x1000u)
#define PENDING      (MESSAGES + 0x800u)
#define MEMORY       (WINDOW + 0x100000u)
#define MEMORY_BYTES 0x100000u
#define VECTORS      3u
#define POSITION     5u
#define CAP          0x40u
#define ENABLED      0x80000000u
#define FUNCTION_MASK 0x40000000u

static struct ivshmem device;

/* What the owner was asked. */
static uint64_t placed;
static unsigned rings, ringed_peer, ringed_vector;
static struct pci_message sent[8];
static unsigned sent_count;

static void place(void *context, uint64_t address)
{
    assert_ptr_equal(context, &sent);
    assert_true(address >= WINDOW && address - WINDOW <= WINDOW_BYTES - MEMORY_BYTES);
    placed = address;
}

static void ring(void *context, unsigned peer, unsigned vector)
{
    assert_ptr_equal(context, &sent);
    rings++;
    ringed_peer = peer;
    ringed_vector = vector;
}

static void send(void *context, const struct pci_message *message)
{
    assert_ptr_equal(context, &sent);
    assert_true(sent_count < ARRAY_SIZE(sent));
    sent[sent_count++] = *message;
}

static const struct ivshmem_ops ops = {place, ring, send};

static uint32_t config_read(unsigned offset)
{
    return pci_passthrough_ops.config_read(&device.function, offset);
}

static void config_write(unsigned offset, uint32_t value)
{
    pci_passthrough_ops.config_write(&device.function, offset, value, UINT32_MAX);
}

static bool try_read(uint64_t address, unsigned width, uint64_t *value)
{
    return pci_passthrough_ops.read(&device.function, &(struct pci_access){address, width, false}, value);
}

static bool try_write(uint64_t address, unsigned width, uint64_t value)
{
    return pci_passthrough_ops.write(&device.function, &(struct pci_access){address, width, false}, value);
}

static uint64_t read(uint64_t address, unsigned width)
{
    uint64_t value;

    assert_true(try_read(address, width, &value));
    return value;
}

static void write(uint64_t address, unsigned width, uint64_t value)
{
    assert_true(try_write(address, width, value));
}

static void write_entry(unsigned vector, uint32_t data, uint32_t control)
{
    write(MESSAGES + vector * 16, 8, 0xfee00000u + (vector << 12));
    write(MESSAGES + vector * 16 + 8, 4, data);
    write(MESSAGES + vector * 16 + 12, 4, control);
}

static int setup(void **state)
{
    struct pci_passthrough_layout layout = ivshmem_layout(MEMORY_BYTES);

    (void)state;
    layout.windows[0] = (struct pci_passthrough_window){WINDOW, WINDOW_BYTES, false};
    layout.bars[0].start = REGISTERS;
    layout.bars[1].start = MESSAGES;
    layout.bars[2].start = MEMORY;
    ivshmem_init(&device, VECTORS, &layout, &ops, &sent);
    ivshmem_set_position(&device, POSITION);
    placed = 0;
    rings = sent_count = 0;
    return 0;
}

/* A driver has found it and set its messages, vector v with data 0x50 + v. */
static int setup_driven(void **state)
{
    setup(state);
    config_write(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned v = 0; v < VECTORS; v++)
        write_entry(v, 0x50 + v, 0);
    config_write(CAP, ENABLED);
    return 0;
}

static void it_is_what_the_specification_says(void **state)
{
    (void)state;
    assert_int_equal(config_read(PCI_VENDOR_ID), 0x11101af4);
    assert_int_equal(config_read(PCI_REVISION_ID), 0x05000001);
    assert_int_equal(config_read(0x2c), 0x11001af4);
    assert_int_equal(config_read(PCI_COMMAND), 0x00100000); /* capabilities */
    assert_int_equal(config_read(PCI_CAPABILITIES), CAP);
    assert_int_equal(config_read(CAP), 0x11 | (VECTORS - 1) << 16);
    assert_int_equal(config_read(CAP + PCI_MSIX_TABLE), 1);
    assert_int_equal(config_read(CAP + PCI_MSIX_PBA), 0x801);
    assert_int_equal(config_read(PCI_INTERRUPT_LINE), 0);
    assert_int_equal(config_read(PCI_BAR0), REGISTERS);
    assert_int_equal(config_read(PCI_BAR0 + 8), MEMORY | PCI_BAR_TYPE_64 | PCI_BAR_PREFETCH);
    for (unsigned i = 0; i < 6; i++)
        config_write(PCI_BAR0 + 4 * i, UINT32_MAX);
    assert_int_equal(config_read(PCI_BAR0), 0xffffff00);
    assert_int_equal(config_read(PCI_BAR0 + 4), 0xfffff000);
    assert_int_equal(config_read(PCI_BAR0 + 8), (uint32_t)-MEMORY_BYTES | PCI_BAR_TYPE_64 | PCI_BAR_PREFETCH);
    assert_int_equal(config_read(PCI_BAR0 + 12), UINT32_MAX);
    assert_int_equal(config_read(PCI_BAR0 + 16), 0);
}

static void the_memory_is_where_its_bar_is(void **state)
{
    uint64_t value;

    (void)state;
    assert_false(try_read(MEMORY, 4, &value));
    config_write(PCI_COMMAND, PCI_COMMAND_MEMORY);
    assert_int_equal(placed, MEMORY);
    config_write(PCI_BAR0 + 8, MEMORY + 2 * MEMORY_BYTES);
    assert_int_equal(placed, MEMORY + 2 * MEMORY_BYTES);
    config_write(PCI_BAR0 + 8, 0x80000000); /* its RAM: no window */
    assert_int_equal(placed, MEMORY + 2 * MEMORY_BYTES);
    assert_false(try_read(placed, 4, &value));
    config_write(PCI_BAR0 + 8, (uint32_t)placed);
    /* An access comes here only where nothing could be mapped. */
    assert_int_equal(read(placed + MEMORY_BYTES - 4, 4), UINT32_MAX);
    write(placed, 8, 1);
    assert_false(try_read(placed + MEMORY_BYTES - 2, 4, &value));
}

static void registers(void **state)
{
    (void)state;
    assert_int_equal(read(REGISTERS + IVSHMEM_IV_POSITION, 4), POSITION);
    write(REGISTERS + IVSHMEM_IV_POSITION, 4, 9);
    assert_int_equal(read(REGISTERS + IVSHMEM_IV_POSITION, 4), POSITION);
    write(REGISTERS + IVSHMEM_INTR_MASK, 4, 0xffffffff);
    assert_int_equal(read(REGISTERS + IVSHMEM_INTR_MASK, 4), 0xffffffff);
    write(REGISTERS + IVSHMEM_INTR_STATUS, 4, 1);
    assert_int_equal(read(REGISTERS + IVSHMEM_INTR_STATUS, 4), 0);
    assert_int_equal(read(REGISTERS + IVSHMEM_DOORBELL, 4), 0);
    assert_int_equal(rings, 0);
}

/* Who is there, and what it has, is the owner's to know. */
static void a_doorbell_is_passed_on_as_it_is(void **state)
{
    static const uint32_t values[] = {0, 1, 0x10002, 0x3fffff, 0xffff0000, 0xffffffff};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        write(REGISTERS + IVSHMEM_DOORBELL, 4, values[i]);
        assert_int_equal(rings, i + 1);
        assert_int_equal(ringed_peer, values[i] >> 16);
        assert_int_equal(ringed_vector, values[i] & 0xffff);
    }
    write(REGISTERS + IVSHMEM_DOORBELL, 2, 0);
    write(REGISTERS + IVSHMEM_DOORBELL + 1, 4, 0);
    write(REGISTERS + IVSHMEM_DOORBELL - 4, 8, 0);
    write(REGISTERS + 0x10, 4, 0);
    assert_int_equal(rings, ARRAY_SIZE(values));
    assert_int_equal(sent_count, 0);
}

static void an_interrupt_is_the_message_that_was_chosen(void **state)
{
    (void)state;
    for (unsigned v = 0; v < VECTORS; v++) {
        ivshmem_interrupt(&device, v);
        assert_int_equal(sent_count, v + 1);
        assert_int_equal(sent[v].address, 0xfee00000u + (v << 12));
        assert_int_equal(sent[v].data, 0x50 + v);
    }
    write_entry(1, 0x71, 0);
    ivshmem_interrupt(&device, 1);
    assert_int_equal(sent[VECTORS].data, 0x71);
}

static void what_is_not_there_gets_nothing(void **state)
{
    static const unsigned vectors[] = {VECTORS, 31, 32, 33, 0xffff, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++)
        ivshmem_interrupt(&device, vectors[i]);
    assert_int_equal(sent_count, 0);
    assert_int_equal(read(PENDING, 8), 0);
}

static void what_is_masked_is_pending(void **state)
{
    (void)state;
    write_entry(2, 0x52, 1);
    ivshmem_interrupt(&device, 2);
    ivshmem_interrupt(&device, 2);
    assert_int_equal(sent_count, 0);
    assert_int_equal(read(PENDING, 8), 4);
    assert_int_equal(read(PENDING, 4), 4);
    assert_int_equal(read(PENDING + 4, 4), 0);
    assert_int_equal(read(PENDING + 8, 4), 0);
    write(PENDING, 8, 0); /* read-only */
    ivshmem_interrupt(&device, 0);
    assert_int_equal(sent_count, 1);
    write(MESSAGES + 2 * 16 + 12, 4, 0);
    assert_int_equal(sent_count, 2); /* once for both */
    assert_int_equal(sent[1].data, 0x52);
    assert_int_equal(read(PENDING, 8), 0);
}

static void a_masked_function_is_pending(void **state)
{
    (void)state;
    config_write(CAP, ENABLED | FUNCTION_MASK);
    ivshmem_interrupt(&device, 0);
    ivshmem_interrupt(&device, 2);
    assert_int_equal(sent_count, 0);
    assert_int_equal(read(PENDING, 4), 5);
    config_write(CAP, ENABLED);
    assert_int_equal(sent_count, 2);
}

/* A message is a write of a bus master. */
static void without_mastering_it_is_pending(void **state)
{
    (void)state;
    config_write(PCI_COMMAND, PCI_COMMAND_MEMORY);
    ivshmem_interrupt(&device, 1);
    assert_int_equal(sent_count, 0);
    config_write(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent[0].data, 0x51);
}

static void without_messages_it_is_deaf(void **state)
{
    (void)state;
    config_write(CAP, ENABLED | FUNCTION_MASK);
    ivshmem_interrupt(&device, 0);
    config_write(CAP, 0);
    ivshmem_interrupt(&device, 1);
    assert_int_equal(read(PENDING, 8), 0);
    config_write(CAP, ENABLED);
    assert_int_equal(sent_count, 0);
    setup(state);
    ivshmem_interrupt(&device, 0); /* nobody has looked at it yet */
    assert_int_equal(sent_count, 0);
}

static void any_access_is_answered(void **state)
{
    (void)state;
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        unsigned width = 1u << rand() % 4;
        uint64_t address = WINDOW + (unsigned)rand() % 0x2000u, value = (uint64_t)rand() << 32 | (unsigned)rand();

        if (rand() % 8 == 0)
            config_write((unsigned)rand() % 64 * 4, (uint32_t)value);
        else if (rand() % 2)
            (void)try_write(address, width, value);
        else
            (void)try_read(address, width, &value);
        ivshmem_interrupt(&device, (unsigned)rand() % (VECTORS + 1));
        sent_count = 0;
    }
    assert_int_equal(config_read(PCI_VENDOR_ID), 0x11101af4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_what_the_specification_says, setup),
        cmocka_unit_test_setup(the_memory_is_where_its_bar_is, setup),
        cmocka_unit_test_setup(registers, setup_driven),
        cmocka_unit_test_setup(a_doorbell_is_passed_on_as_it_is, setup_driven),
        cmocka_unit_test_setup(an_interrupt_is_the_message_that_was_chosen, setup_driven),
        cmocka_unit_test_setup(what_is_not_there_gets_nothing, setup_driven),
        cmocka_unit_test_setup(what_is_masked_is_pending, setup_driven),
        cmocka_unit_test_setup(a_masked_function_is_pending, setup_driven),
        cmocka_unit_test_setup(without_mastering_it_is_pending, setup_driven),
        cmocka_unit_test_setup(without_messages_it_is_deaf, setup_driven),
        cmocka_unit_test_setup(any_access_is_answered, setup_driven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
