/* SPDX-License-Identifier: BSD-2-Clause */
/* Says each line that it is told; for tests of the console. "exit" ends it, "forge LINE" writes LINE as it is. */
#include "guests/common/guest.h"

#define COM1_DATA  0x3f8u
#define COM1_LSR   0x3fdu
#define LSR_DR     0x01u
#define LINE_BYTES 80u

static char get(void)
{
    while (!(inb(COM1_LSR) & LSR_DR))
        __asm__ volatile("pause");
    return (char)inb(COM1_DATA);
}

static void get_line(char *line)
{
    unsigned count = 0;

    for (;;) {
        char c = get();

        if (c == '\r' || c == '\n')
            break;
        if (count + 1 < LINE_BYTES)
            line[count++] = c;
    }
    line[count] = '\0';
}

/* What follows the word and a blank, or nothing. */
static const char *after(const char *line, const char *word)
{
    while (*word && *line == *word) {
        line++;
        word++;
    }
    return *word ? (const char *)0 : line;
}

int guest_main(uint32_t magic, uint32_t info)
{
    char line[LINE_BYTES];

    (void)magic;
    (void)info;
    __asm__ volatile("sti"); /* nothing is unmasked; Bochs holds back the host's interrupts from a guest with IF = 0 */
    print("GUEST: echo is ready\n");
    for (;;) {
        get_line(line);
        if (after(line, "exit"))
            return 0;
        if (after(line, "forge "))
            print("%s\n", after(line, "forge "));
        else
            print("GUEST: heard %s\n", line);
    }
}
