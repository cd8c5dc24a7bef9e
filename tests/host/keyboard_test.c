/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: keys become the bytes that a terminal would send, no sequence of scan codes confuses the next key for good,
 * and a controller that is absent, dead, or never quiet costs a bounded number of reads.
 */
#include "tests/host/fake/fake.h"
#include "drivers/host/keyboard.h"

/* --- a controller --- */

static enum { WORKS, ABSENT, NEVER_READY, MUTE, CHATTERS } kind;
static uint8_t output[256];
static unsigned output_head, output_tail, accesses;
static uint8_t mode, command;
static bool is_scanning, is_mouse;

static void answer(uint8_t byte)
{
    output[output_head++ % sizeof output] = byte;
}

static uint8_t in8(uint16_t port)
{
    accesses++;
    assert_true(accesses < 1000000);
    if (kind == ABSENT)
        return 0xff;
    if (port == I8042_DATA_PORT)
        return output_tail != output_head ? output[output_tail++ % sizeof output] : 0x1e;
    if (kind == NEVER_READY)
        return I8042_STATUS_IBF;
    if (kind == CHATTERS)
        return I8042_STATUS_OBF;
    return (output_tail != output_head ? I8042_STATUS_OBF : 0) | (is_mouse ? I8042_STATUS_AUX : 0);
}

static void take_data(uint8_t value)
{
    if (command == I8042_CMD_WRITE_MODE)
        mode = value;
    else if (value == KEYBOARD_CMD_ENABLE && kind == WORKS)
        answer(KEYBOARD_ACK);
    is_scanning |= command == 0 && value == KEYBOARD_CMD_ENABLE;
    command = 0;
}

static void out8(uint16_t port, uint8_t value)
{
    accesses++;
    if (port == I8042_DATA_PORT) {
        take_data(value);
        return;
    }
    command = value == I8042_CMD_WRITE_MODE ? value : 0;
    if (value == I8042_CMD_READ_MODE && kind == WORKS)
        answer(mode);
    if (value == I8042_CMD_KBD_DISABLE)
        mode |= I8042_MODE_KBD_OFF;
    if (value == I8042_CMD_KBD_ENABLE)
        mode &= (uint8_t)~I8042_MODE_KBD_OFF;
}

static const struct keyboard_ports ports = {in8, out8};

static char typed[256];
static size_t typed_count;

static void receive(const uint8_t *bytes, size_t count)
{
    assert_true(count > 0 && count <= KEYBOARD_BYTES_MAX);
    memcpy(typed + typed_count, bytes, count);
    typed_count += count;
    typed[typed_count] = '\0';
}

static int setup(void **state)
{
    (void)state;
    kind = WORKS;
    output_head = output_tail = accesses = 0;
    mode = I8042_MODE_SYS | I8042_MODE_AUX_INT;
    command = 0;
    is_scanning = is_mouse = false;
    typed_count = 0;
    typed[0] = '\0';
    return 0;
}

/* --- the controller --- */

static void test_a_keyboard_is_switched_on(void **state)
{
    (void)state;
    answer(0x1e); /* typed before anybody listened */
    assert_true(keyboard_init(&ports, receive));
    assert_true(is_scanning);
    assert_int_equal(mode, I8042_MODE_SYS | I8042_MODE_KBD_INT | I8042_MODE_XLATE | I8042_MODE_AUX_OFF);
    keyboard_poll();
    assert_string_equal(typed, "");
    answer(0x23);
    answer(0xa3);
    answer(0x17);
    keyboard_poll();
    assert_string_equal(typed, "hi");
}

static void test_a_mouse_types_nothing(void **state)
{
    (void)state;
    assert_true(keyboard_init(&ports, receive));
    is_mouse = true;
    answer(0x1e);
    keyboard_poll();
    assert_string_equal(typed, "");
}

static void test_no_controller(void **state)
{
    (void)state;
    kind = ABSENT;
    assert_false(keyboard_init(&ports, receive));
    assert_int_equal(accesses, 1);
    keyboard_poll();
    assert_int_equal(accesses, 1);
}

static void test_dead_controllers(void **state)
{
    (void)state;
    kind = NEVER_READY;
    assert_false(keyboard_init(&ports, receive));
    kind = MUTE; /* takes everything, answers nothing */
    assert_false(keyboard_init(&ports, receive));
    keyboard_poll();
    assert_string_equal(typed, "");
}

static void test_a_controller_that_is_never_quiet(void **state)
{
    (void)state;
    assert_true(keyboard_init(&ports, receive));
    kind = CHATTERS;
    accesses = 0;
    keyboard_poll();
    assert_true(accesses < 200);
    typed_count = 0;
    keyboard_init(&ports, receive);
}

/* --- keys --- */

static void test_keys(void **state)
{
    static const struct {
        const char *codes, *bytes;
    } cases[] = {
        {"\x1e\x9e\x30\xb0", "ab"},
        {"\x02\x0b\x0c\x0d\x1a\x1b\x27\x28\x29\x2b\x33\x34\x35", "10-=[];'`\\,./"},
        {"\x2a\x1e\xaa\x1e", "Aa"},
        {"\x36\x02\x03\xb6\x02", "!@1"},
        {"\x2a\x0c\x0d\x1a\x1b\x27\x28\x29\x2b\x33\x34\x35", "_+{}:\"~|<>?"},
        {"\x3a\xba\x1e\x02\x2a\x1e\x02\xaa\x3a\xba\x1e", "A1a!a"},
        {"\x1d\x2e\x9d\x2e", "\x03" "c"},
        {"\x1d\x1e\x0b", "\x01" "0"},
        {"\xe0\x1d\x1e\xe0\x9d\x1e", "\x01" "a"},
        {"\x1d\x1a", "\x1b"},
        {"\x38\x30\xb8\x30", "\x1b" "bb"},
        {"\x1c\x0e\x0f\x39\x01", "\r\x7f\t \x1b"},
        {"\xe0\x48\xe0\xc8\xe0\x50\xe0\x4d\xe0\x4b", "\x1b[A\x1b[B\x1b[C\x1b[D"},
        {"\xe0\x47\xe0\x4f\xe0\x53\xe0\x49\xe0\x51\xe0\x52", "\x1b[H\x1b[F\x1b[3~\x1b[5~\x1b[6~\x1b[2~"},
        {"\xe0\x2a\xe0\x48\xe0\xaa\x1e", "\x1b[Aa"}, /* a shift that nobody pressed */
        {"\x2a\xe0\xaa\x1e", "A"},
        {"\x47\x48\x49\x4a\x4e\x52\x53\x37\xe0\x35\xe0\x1c", "789-+0.*/\r"},
        {"\xe1\x1d\x45\xe1\x9d\xc5\x1e", "a"}, /* Pause has no Ctrl in it */
        {"\x3b\x44\x45\x46\x54\x7f\xe0\x5b\x1e", "a"}, /* keys with no bytes */
        {"\xe0\xe0\x1e\xe0\x9e\x1e", "a"},
        {"\xff\xfa\xfe\x1e", "a"},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        setup(state);
        assert_true(keyboard_init(&ports, receive));
        for (const char *c = cases[i].codes; *c; c++)
            answer((uint8_t)*c);
        keyboard_poll();
        assert_string_equal(typed, cases[i].bytes);
    }
}

static void test_any_codes(void **state)
{
    struct keyboard_decoder d = {.skip = 0};
    uint8_t bytes[KEYBOARD_BYTES_MAX];
    uint32_t random = 3;

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        random = random * 1664525 + 1013904223;
        assert_true(keyboard_decode(&d, (uint8_t)(random >> 24), bytes) <= KEYBOARD_BYTES_MAX);
    }
    for (const char *c = "\x80\x80\x80\xaa\xb6\x9d\xb8"; *c; c++)
        assert_int_equal(keyboard_decode(&d, (uint8_t)*c, bytes), 0);
    assert_int_equal(keyboard_decode(&d, 0x02, bytes), 1);
    assert_int_equal(bytes[0], '1');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_keyboard_is_switched_on, setup),
        cmocka_unit_test_setup(test_a_mouse_types_nothing, setup),
        cmocka_unit_test_setup(test_no_controller, setup),
        cmocka_unit_test_setup(test_dead_controllers, setup),
        cmocka_unit_test_setup(test_a_controller_that_is_never_quiet, setup),
        cmocka_unit_test_setup(test_keys, setup),
        cmocka_unit_test_setup(test_any_codes, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
