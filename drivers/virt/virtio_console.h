/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device (VIRTIO 1.2, "Console Device"), one port: what the guest transmits goes to a
 * chardev, what the user types waits in a small FIFO until the guest gives buffers for it.
 */
#ifndef DRIVERS_VIRT_VIRTIO_CONSOLE_H
#define DRIVERS_VIRT_VIRTIO_CONSOLE_H

#include "drivers/backend.h"
#include "drivers/virt/virtio.h"

#define VIRTIO_CONSOLE_F_SIZE        BIT(0)
#define VIRTIO_CONSOLE_F_EMERG_WRITE BIT(2)

#define VIRTIO_CONSOLE_RECEIVEQ  0u
#define VIRTIO_CONSOLE_TRANSMITQ 1u

struct virtio_console_config {
    uint16_t cols;
    uint16_t rows;
    uint32_t max_nr_ports;
    uint32_t emerg_wr;
};

#define VIRTIO_CONSOLE_FIFO_BYTES 1024u

/* What one request may print; no driver sends near as much, and the rest is dropped. */
#define VIRTIO_CONSOLE_REQUEST_BYTES_MAX MIB(1)

struct virtio_console {
    struct virtio_device device;
    struct virtqueue queues[2];
    struct virtio_console_config config;
    struct chardev output;
    uint32_t fifo_head, fifo_tail; /* free-running: bytes taken out, bytes put in */
    uint8_t fifo[VIRTIO_CONSOLE_FIFO_BYTES];
    struct vq_chain receive_chain; /* not one for both: a sink may send input back while it prints */
    struct vq_chain transmit_chain;
};

void virtio_console_init(struct virtio_console *console, const struct guest_mem *mem,
                         const struct chardev *output);

/* Input for the guest; returns how many bytes were taken. The rest did not fit: offer it again. */
size_t virtio_console_receive(struct virtio_console *console, const uint8_t *bytes, size_t count);

/* For a guest that starts anew. A reset keeps what was typed, because every driver begins with one. */
void virtio_console_drop_input(struct virtio_console *console);

/* The terminal's size, which guests are told of, now and when it changes. 0 by 0: not known. */
void virtio_console_set_size(struct virtio_console *console, uint16_t cols, uint16_t rows);

#endif
