/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See keyboard.h. The layout is the US one. The controller may be a firmware's imitation, so it is asked for as
 * little as possible, no self-test, and every wait has an end. Scan codes: IBM PS/2 Technical Reference, "Keyboards",
 * as the controller translates them (set 1).
 */
#include "drivers/host/keyboard.h"
#include "kernel/lib/string.h"

#define WAIT_READS   20000u /* of the status: some tens of milliseconds */
#define BYTES_A_POLL 64u    /* a controller that never empties must not hold the CPU */

#define NO_PORT     0xffu
#define RELEASED    0x80u
#define EXTENDED    0xe0u
#define PAUSE       0xe1u
#define PAUSE_REST  2u
#define LEFT_CTRL   0x1du
#define LEFT_SHIFT  0x2au
#define RIGHT_SHIFT 0x36u
#define LEFT_ALT    0x38u
#define CAPS_LOCK   0x3au
#define ESCAPE      0x1b

/* --- decoding --- */

static const char plain_keys[] = "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted_keys[] = "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
static const char pad_keys[] = "789-456+1230.";

_Static_assert(sizeof plain_keys == sizeof shifted_keys, "the same keys");

#define PAD_FIRST 0x47u

/* ECMA-48 and xterm, "PC-Style Function Keys". */
static const struct {
    uint8_t code;
    const char *bytes;
} extended_keys[] = {
    {0x48, "\x1b[A"},  {0x50, "\x1b[B"},  {0x4d, "\x1b[C"},  {0x4b, "\x1b[D"},  {0x47, "\x1b[H"}, {0x4f, "\x1b[F"},
    {0x52, "\x1b[2~"}, {0x53, "\x1b[3~"}, {0x49, "\x1b[5~"}, {0x51, "\x1b[6~"}, {0x35, "/"},      {0x1c, "\r"},
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Ctrl and what a terminal has no code for is the key itself. */
static char with_ctrl(char c)
{
    if (c >= '@' && c < 0x7f)
        return (char)(c & 0x1f);
    return c;
}

static char key_character(const struct keyboard_decoder *d, uint8_t code)
{
    bool is_upper = d->shift;

    if (code >= PAD_FIRST && code < PAD_FIRST + sizeof pad_keys - 1)
        return pad_keys[code - PAD_FIRST];
    if (code >= sizeof plain_keys - 1)
        return '\0';
    if (is_letter(plain_keys[code]))
        is_upper ^= d->caps_lock;
    return (is_upper ? shifted_keys : plain_keys)[code];
}

static size_t plain_key(const struct keyboard_decoder *d, uint8_t code, uint8_t *bytes)
{
    char c = key_character(d, code);
    size_t count = 0;

    if (c == '\0')
        return 0;
    if (d->alt)
        bytes[count++] = ESCAPE;
    bytes[count++] = (uint8_t)(d->ctrl ? with_ctrl(c) : c);
    return count;
}

static size_t extended_key(uint8_t code, uint8_t *bytes)
{
    for (unsigned i = 0; i < ARRAY_SIZE(extended_keys); i++) {
        size_t count = strlen(extended_keys[i].bytes);

        if (extended_keys[i].code != code)
            continue;
        memcpy(bytes, extended_keys[i].bytes, count);
        return count;
    }
    return 0;
}

/* Shift, Ctrl, Alt: the right ones are extended, but for Shift, whose extended codes are no keys at all. */
static bool hold(struct keyboard_decoder *d, uint8_t code, bool is_extended)
{
    bool is_held = !(code & RELEASED);

    switch (code & ~RELEASED) {
    case LEFT_SHIFT:
    case RIGHT_SHIFT:
        if (!is_extended)
            d->shift = is_held;
        return true;
    case LEFT_CTRL:
        d->ctrl = is_held;
        return true;
    case LEFT_ALT:
        d->alt = is_held;
        return true;
    case CAPS_LOCK:
        d->caps_lock ^= is_held;
        return true;
    default:
        return false;
    }
}

size_t keyboard_decode(struct keyboard_decoder *d, uint8_t code, uint8_t bytes[KEYBOARD_BYTES_MAX])
{
    bool is_extended = d->is_extended;

    if (d->skip > 0) {
        d->skip--;
        return 0;
    }
    d->is_extended = code == EXTENDED;
    if (code == PAUSE)
        d->skip = PAUSE_REST;
    if (code == EXTENDED || code == PAUSE || hold(d, code, is_extended) || (code & RELEASED))
        return 0;
    return is_extended ? extended_key(code, bytes) : plain_key(d, code, bytes);
}

/* --- the controller --- */

static const struct keyboard_ports *ports; /* NULL: there is none */
static void (*on_receive)(const uint8_t *bytes, size_t count);
static struct keyboard_decoder decoder;

static uint8_t status(void)
{
    return ports->in8(I8042_COMMAND_PORT);
}

static bool wait_for(uint8_t mask, uint8_t value)
{
    for (unsigned i = 0; i < WAIT_READS; i++)
        if ((status() & mask) == value)
            return true;
    return false;
}

static bool send(uint16_t port, uint8_t byte)
{
    if (!wait_for(I8042_STATUS_IBF, 0))
        return false;
    ports->out8(port, byte);
    return true;
}

static bool receive_byte(uint8_t *byte)
{
    if (!wait_for(I8042_STATUS_OBF, I8042_STATUS_OBF))
        return false;
    *byte = ports->in8(I8042_DATA_PORT);
    return true;
}

static void flush(void)
{
    for (unsigned i = 0; i < BYTES_A_POLL && (status() & I8042_STATUS_OBF); i++)
        ports->in8(I8042_DATA_PORT);
}

/* The keyboard's interrupt and the translation to set 1 on, the mouse off. */
static bool set_mode(void)
{
    uint8_t mode;

    if (!send(I8042_COMMAND_PORT, I8042_CMD_READ_MODE) || !receive_byte(&mode))
        return false;
    mode |= I8042_MODE_KBD_INT | I8042_MODE_XLATE | I8042_MODE_AUX_OFF;
    mode &= (uint8_t)~(I8042_MODE_KBD_OFF | I8042_MODE_AUX_INT);
    return send(I8042_COMMAND_PORT, I8042_CMD_WRITE_MODE) && send(I8042_DATA_PORT, mode);
}

/* A keyboard that answers to this otherwise, or not at all, may be plugged in later. */
static bool start_scanning(void)
{
    uint8_t answer;

    if (!send(I8042_COMMAND_PORT, I8042_CMD_KBD_ENABLE) || !send(I8042_DATA_PORT, KEYBOARD_CMD_ENABLE))
        return false;
    (void)receive_byte(&answer);
    return true;
}

bool keyboard_init(const struct keyboard_ports *host_ports, void (*receive)(const uint8_t *bytes, size_t count))
{
    ports = host_ports;
    on_receive = receive;
    decoder = (struct keyboard_decoder){.skip = 0};
    if (status() != NO_PORT && send(I8042_COMMAND_PORT, I8042_CMD_KBD_DISABLE)) {
        flush();
        if (set_mode() && start_scanning())
            return true;
    }
    ports = NULL;
    return false;
}

void keyboard_poll(void)
{
    for (unsigned i = 0; ports && i < BYTES_A_POLL; i++) {
        uint8_t now = status(), code, bytes[KEYBOARD_BYTES_MAX];
        size_t count;

        if (now == NO_PORT || !(now & I8042_STATUS_OBF))
            return;
        code = ports->in8(I8042_DATA_PORT);
        count = now & I8042_STATUS_AUX ? 0 : keyboard_decode(&decoder, code, bytes);
        if (count > 0)
            on_receive(bytes, count);
    }
}
