/* SPDX-License-Identifier: BSD-2-Clause */
/* A console of one port; see virtio_console.h. */
#include "drivers/virt/virtio_console.h"
#include "kernel/lib/string.h"

enum { QUEUE_SIZE = 64 };

_Static_assert((VIRTIO_CONSOLE_FIFO_BYTES & (VIRTIO_CONSOLE_FIFO_BYTES - 1)) == 0,
               "free-running counters wrap with the FIFO");

/* --- from the guest --- */

/* Through a copy: a sink may look twice, and the guest must not change the text in between. */
static uint32_t serve_transmit(struct virtio_device *device, struct vq_chain *chain)
{
    struct virtio_console *c = CONTAINER_OF(device, struct virtio_console, device);
    uint32_t left = MIN(chain->readable.left_bytes, VIRTIO_CONSOLE_REQUEST_BYTES_MAX);
    uint8_t text[256];

    while (left > 0) {
        struct vq_span piece = vq_stream_take(&chain->readable, MIN(left, sizeof text));

        memcpy(text, piece.bytes, piece.size_bytes);
        chardev_write(&c->output, text, piece.size_bytes);
        left -= piece.size_bytes;
    }
    return 0;
}

static bool notify_transmit(struct virtqueue *vq)
{
    struct virtio_console *c = CONTAINER_OF(vq->device, struct virtio_console, device);

    return vq_serve(vq, &c->transmit_chain, serve_transmit);
}

/* --- to the guest --- */

static uint32_t fifo_count(const struct virtio_console *c)
{
    return c->fifo_tail - c->fifo_head;
}

/* At most size bytes that lie side by side in the FIFO; how many. */
static uint32_t fifo_get(struct virtio_console *c, struct vq_stream *to)
{
    uint32_t at = c->fifo_head % VIRTIO_CONSOLE_FIFO_BYTES;
    uint32_t count =
        vq_stream_write(to, c->fifo + at, MIN(fifo_count(c), VIRTIO_CONSOLE_FIFO_BYTES - at));

    c->fifo_head += count;
    return count;
}

/* Both halves of a FIFO that wraps fit one buffer. */
static void fill_buffer(struct virtio_console *c, struct virtqueue *vq)
{
    uint32_t written = fifo_get(c, &c->receive_chain.writable);

    written += fifo_get(c, &c->receive_chain.writable);
    vq_push(vq, c->receive_chain.head, written);
}

/* Buffers without room for a byte take none out of the FIFO, so that a budget must bound the loop.
 */
static bool fill_buffers(struct virtio_console *c, struct virtqueue *vq)
{
    unsigned budget = vq->size;
    bool has_more = false;

    do {
        for (; budget > 0 && fifo_count(c) > 0 && vq_pop(vq, &c->receive_chain); budget--)
            fill_buffer(c, vq);
        if (!c->device.is_live)
            return false;
        if (fifo_count(c) == 0)
            vq_suppress_notifications(vq);
        else
            has_more = vq_await_notification(vq);
    } while (fifo_count(c) > 0 && has_more && budget > 0);
    vq_signal(vq);
    return fifo_count(c) > 0 && has_more;
}

/* Buffers are no news while nobody has typed: most drivers tell of each one. */
static bool notify_receive(struct virtqueue *vq)
{
    struct virtio_console *c = CONTAINER_OF(vq->device, struct virtio_console, device);

    if (fifo_count(c) > 0)
        return fill_buffers(c, vq);
    vq_suppress_notifications(vq);
    return false;
}

static size_t fifo_put(struct virtio_console *c, const uint8_t *bytes, size_t count)
{
    count = MIN(count, VIRTIO_CONSOLE_FIFO_BYTES - fifo_count(c));
    for (size_t i = 0; i < count; i++)
        c->fifo[c->fifo_tail++ % VIRTIO_CONSOLE_FIFO_BYTES] = bytes[i];
    return count;
}

size_t virtio_console_receive(struct virtio_console *console, const uint8_t *bytes, size_t count)
{
    size_t taken = fifo_put(console, bytes, count);

    virtio_device_notify(&console->device, VIRTIO_CONSOLE_RECEIVEQ);
    return taken;
}

void virtio_console_drop_input(struct virtio_console *console)
{
    console->fifo_head = console->fifo_tail;
}

/* --- the device --- */

static void reset(struct virtio_device *device)
{
    (void)device;
}

/* emerg_wr: a character that is printed whatever state the device is in. */
static void write_config(struct virtio_device *device, uint32_t offset, unsigned width,
                         uint64_t value)
{
    struct virtio_console *c = CONTAINER_OF(device, struct virtio_console, device);
    uint8_t character = (uint8_t)value;

    (void)width;
    if (offset == offsetof(struct virtio_console_config, emerg_wr))
        chardev_write(&c->output, &character, 1);
}

static const struct virtio_device_ops virtio_console_ops = {
    .reset = reset,
    .write_config = write_config,
};

void virtio_console_init(struct virtio_console *console, const struct guest_mem *mem,
                         const struct chardev *output)
{
    memset(console, 0, sizeof *console);
    console->output = *output;
    console->config.max_nr_ports = 1;
    console->queues[VIRTIO_CONSOLE_RECEIVEQ] =
        (struct virtqueue){.notify = notify_receive, .size_max = QUEUE_SIZE};
    console->queues[VIRTIO_CONSOLE_TRANSMITQ] =
        (struct virtqueue){.notify = notify_transmit, .size_max = QUEUE_SIZE};
    console->device = (struct virtio_device){
        .ops = &virtio_console_ops,
        .queues = console->queues,
        .queue_count = ARRAY_SIZE(console->queues),
        .name = "virtio-console",
        .id = VIRTIO_ID_CONSOLE,
        .features = VIRTIO_CONSOLE_F_SIZE | VIRTIO_CONSOLE_F_EMERG_WRITE,
        .config = &console->config,
        .config_bytes = sizeof console->config,
    };
    virtio_device_init(&console->device, mem);
}

void virtio_console_set_size(struct virtio_console *console, uint16_t cols, uint16_t rows)
{
    console->config.cols = cols;
    console->config.rows = rows;
    virtio_device_config_changed(&console->device);
}
