/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vsock listen PORT: takes one connection and writes what comes. vsock connect CID PORT: sends what it reads.
 * busybox's nc knows no AF_VSOCK.
 */
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int give_up(const char *what)
{
    perror(what);
    return 1;
}

static int copy(int from, int to)
{
    static char buffer[256 * 1024];
    ssize_t got;

    while ((got = read(from, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0, n; done < got; done += n)
            if ((n = write(to, buffer + done, (size_t)(got - done))) <= 0)
                return give_up("write");
    return got < 0 ? give_up("read") : 0;
}

static int take(int s, const struct sockaddr_vm *address)
{
    int connection;

    if (bind(s, (const struct sockaddr *)address, sizeof *address) != 0 || listen(s, 1) != 0)
        return give_up("listen");
    connection = accept(s, NULL, NULL);
    return connection < 0 ? give_up("accept") : copy(connection, STDOUT_FILENO);
}

/* Closing alone would throw away what the other has not read yet; it closes when it has. */
static int give(int s, const struct sockaddr_vm *address)
{
    char byte;

    if (connect(s, (const struct sockaddr *)address, sizeof *address) != 0)
        return give_up("connect");
    if (copy(STDIN_FILENO, s) != 0)
        return 1;
    shutdown(s, SHUT_WR);
    return read(s, &byte, 1) < 0 ? give_up("close") : 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
    int s = socket(AF_VSOCK, SOCK_STREAM, 0);

    if (s < 0)
        return give_up("socket");
    if (argc == 3 && strcmp(argv[1], "listen") == 0) {
        address.svm_port = (unsigned)atoi(argv[2]);
        return take(s, &address);
    }
    if (argc != 4 || strcmp(argv[1], "connect") != 0)
        return 2;
    address.svm_cid = (unsigned)atoi(argv[2]);
    address.svm_port = (unsigned)atoi(argv[3]);
    return give(s, &address);
}
