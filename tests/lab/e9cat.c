/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies the standard input to I/O port 0xE9, which Bochs prints at once: its UART is paced by the
 * baud rate, and does not survive a restored snapshot.
 */
#include <stdio.h>
#include <sys/io.h>
#include <unistd.h>

#define DEBUG_PORT 0xe9

int main(void)
{
    char buffer[4096];
    ssize_t count;

    if (ioperm(DEBUG_PORT, 1, 1)) {
        perror("ioperm");
        return 1;
    }
    while ((count = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < count; i++)
            if (buffer[i] != '\0')
                outb((unsigned char)buffer[i], DEBUG_PORT);
    return 0;
}
