/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Theory: whatever guests write, whoever is attached and whatever is typed, no byte of theirs begins a line that only the
 * hypervisor writes, the screen's cells stay the screen's, and keys reach who was attached. Input: records {what, length,
 * bytes…}.
 */
#include "tests/host/fake/fake.h"
#include "arch/arch.h"
#include "drivers/host/keyboard.h"
#include "drivers/host/terminal.h"
#include "kernel/console.h"

#define GUESTS  3u
#define COLUMNS 20u
#define ROWS    5u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char names[GUESTS][4] = {"web", "db", "rm"};
static int numbers[GUESTS]; /* 0: it is not there */
static char *lines[GUESTS]; /* of those that are there; as a VM's memory, gone with it */
static struct console_typed queues[GUESTS];
static uint8_t *text, *shown; /* on the heap, where the sanitizer sees what goes beyond */
static struct terminal terminal;
static char line[5]; /* the beginning of the one that is being shown */
static unsigned column;
static bool is_ours; /* what is being written is the hypervisor's */

uint64_t arch_irq_save(void)
{
    return 0;
}

void arch_irq_restore(uint64_t flags)
{
    (void)flags;
}

static void draw(unsigned at, unsigned row, uint8_t character)
{
    (void)character;
    if (at >= COLUMNS || row >= ROWS)
        abort();
}

/* As a program reads the line: by its ends, and what stands behind the last CR of each. */
static void show(void *context, const uint8_t *bytes, size_t count)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            column = 0;
        } else if (column < sizeof line - 1) {
            line[column++] = (char)bytes[i];
            if (column == sizeof line - 1 && memcmp(line, "rm: ", 4) == 0 && !is_ours)
                abort();
        }
    }
}

static void receive(void *context, const uint8_t *bytes, size_t count)
{
    (void)bytes;
    if (count == 0 || !*(const int *)context)
        abort();
}

static void arrive(unsigned i)
{
    struct console_guest guest = {.typed = &queues[i], .receive = receive, .context = &numbers[i]};

    memcpy(guest.name, names[i], sizeof names[i]);
    guest.line = lines[i] = malloc(CONSOLE_LINE_BYTES);
    numbers[i] = console_add_guest(&guest);
    if (numbers[i] < 1)
        abort();
}

static void boot(void)
{
    static const struct chardev sink = {show, NULL};
    struct chardev screen;

    text = malloc(COLUMNS * ROWS);
    shown = malloc(COLUMNS * ROWS);
    terminal = (struct terminal){COLUMNS, ROWS, 2, text, shown, draw, .is_visible = true};
    terminal_init(&terminal);
    terminal_show(&terminal);
    screen = terminal_chardev(&terminal);
    console_add_sink(&sink);
    console_add_sink(&screen);
    for (unsigned i = 0; i < GUESTS; i++)
        arrive(i);
}

static void come_or_go(unsigned i)
{
    if (!numbers[i]) {
        arrive(i);
        return;
    }
    console_flush_guest(numbers[i]);
    console_remove_guest(numbers[i]);
    free(lines[i]);
    lines[i] = NULL;
    numbers[i] = 0;
}

static void press_keys(const uint8_t *codes, size_t count)
{
    static struct keyboard_decoder decoder;
    uint8_t bytes[KEYBOARD_BYTES_MAX];

    for (size_t i = 0; i < count; i++) {
        size_t typed = keyboard_decode(&decoder, codes[i], bytes);

        if (typed > sizeof bytes)
            abort();
        console_input(bytes, typed);
    }
}

static void take_input(void)
{
    uint8_t bytes[16];

    for (unsigned i = 0; i < GUESTS; i++)
        if (numbers[i])
            console_deliver_input(numbers[i]);
    while (console_take_shell_input(bytes, sizeof bytes) > 0)
        ;
    (void)console_wants_power_off();
    (void)console_take_dump_request();
}

static void set_prompt(const uint8_t *bytes, size_t count)
{
    struct console_prompt row = {.length = MIN(count, CONSOLE_PROMPT_BYTES)};

    for (size_t i = 0; i < row.length; i++)
        row.text[i] = (char)(' ' + bytes[i] % 95);
    row.cursor = count ? bytes[0] % (row.length + 1) : 0;
    if (row.length >= 4 && memcmp(row.text, "rm: ", 4) == 0)
        row.text[0] = '>'; /* the shell's is another */
    console_set_prompt(&row);
}

static void write_log(const uint8_t *bytes, size_t count)
{
    char own[300];

    is_ours = true;
    snprintf(own, sizeof own, "rm: event=%zu %u\r\n", count, bytes[0]);
    console_write(own, strlen(own));
    is_ours = false;
}

static void step(uint8_t what, const uint8_t *bytes, size_t count)
{
    unsigned i = what / 16 % GUESTS;

    switch (what % 8) {
    case 0:
        console_input(bytes, count);
        break;
    case 1:
        take_input();
        break;
    case 2:
        press_keys(bytes, count);
        break;
    case 3:
        console_attach(what & 0x80 || !numbers[i] ? CONSOLE_SHELL : numbers[i]);
        break;
    case 4:
        write_log(bytes, count);
        break;
    case 5:
        set_prompt(bytes, count);
        break;
    case 6:
        if (what & 0x80)
            come_or_go(i);
        break;
    default:
        if (numbers[i])
            console_guest_write(numbers[i], bytes, count);
    }
}

/* As at the start, so that one input does not depend on the one before. */
static void end(void)
{
    take_input();
    console_end_prompt();
    for (unsigned i = 0; i < GUESTS; i++) {
        if (!numbers[i])
            arrive(i);
        console_guest_write(numbers[i], (const uint8_t *)"\x18\n", 2); /* no sequence stays open */
    }
    console_attach(CONSOLE_SHELL);
    console_write("\r\n", 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!text)
        boot();
    for (size_t at = 0; at + 3 <= size;) {
        size_t count = MIN((size_t)data[at + 1] + 1, size - at - 2);

        step(data[at], data + at + 2, count);
        at += 2 + count;
    }
    end();
    return 0;
}
