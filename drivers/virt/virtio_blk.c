/* SPDX-License-Identifier: BSD-2-Clause */
/* Disk requests; see virtio_blk.h. */
#include "drivers/virt/virtio_blk.h"
#include "kernel/lib/string.h"

#define SECTOR_BYTES BLOCKDEV_SECTOR_BYTES

#define VIRTIO_BLK_F_OF_WRITABLE (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES)

/* One request: the header's copy, what data the guest gave or wants, and what was stored of it. */
struct request {
    struct virtio_blk_req_header header;
    struct vq_stream *from_driver;
    struct vq_stream *to_driver;
    uint32_t stored_bytes;
};

/* Is [sector, sector+count) on the disk? */
static bool is_on_disk(const struct virtio_blk *blk, uint64_t sector, uint64_t count)
{
    return range_fits(sector, count, blk->config.capacity);
}

static uint8_t status_of(int error)
{
    return error ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
}

static int flush_if_writethrough(const struct virtio_blk *blk)
{
    return blk->is_writethrough ? blk->disk->ops->flush(blk->disk->context) : 0;
}

/* --- IN, OUT --- */

static bool is_valid_transfer(const struct virtio_blk *blk, const struct request *r, uint32_t bytes)
{
    return bytes % SECTOR_BYTES == 0 && bytes <= VIRTIO_BLK_DATA_BYTES_MAX &&
           is_on_disk(blk, r->header.sector, bytes / SECTOR_BYTES);
}

/* How much of the stream's next piece is whole sectors; 0: the next sector is in several pieces. */
static uint32_t whole_sectors(const struct vq_stream *stream)
{
    return (uint32_t)ALIGN_DOWN(stream->next->size_bytes, SECTOR_BYTES);
}

/* Each moves the next sectors between disk and stream: how many bytes, or a negative errno. */
static int read_some(struct virtio_blk *blk, uint64_t offset, struct vq_stream *to)
{
    struct vq_span whole = vq_stream_take(to, whole_sectors(to));
    int error;

    if (whole.size_bytes > 0) {
        error = blk->disk->ops->read(blk->disk->context, offset, whole.bytes, whole.size_bytes);
        return error ? error : (int)whole.size_bytes;
    }
    error = blk->disk->ops->read(blk->disk->context, offset, blk->sector, SECTOR_BYTES);
    return error ? error : (int)vq_stream_write(to, blk->sector, SECTOR_BYTES);
}

static int write_some(struct virtio_blk *blk, uint64_t offset, struct vq_stream *from)
{
    struct vq_span whole = vq_stream_take(from, whole_sectors(from));
    int error;

    if (whole.size_bytes > 0) {
        error = blk->disk->ops->write(blk->disk->context, offset, whole.bytes, whole.size_bytes);
        return error ? error : (int)whole.size_bytes;
    }
    vq_stream_read(from, blk->sector, SECTOR_BYTES);
    error = blk->disk->ops->write(blk->disk->context, offset, blk->sector, SECTOR_BYTES);
    return error ? error : (int)SECTOR_BYTES;
}

static uint8_t serve_in(struct virtio_blk *blk, struct request *r)
{
    uint64_t offset = r->header.sector * SECTOR_BYTES;

    if (!is_valid_transfer(blk, r, r->to_driver->left_bytes))
        return VIRTIO_BLK_S_IOERR;
    while (r->to_driver->left_bytes > 0) {
        int done = read_some(blk, offset + r->stored_bytes, r->to_driver);

        if (done < 0)
            return VIRTIO_BLK_S_IOERR;
        r->stored_bytes += (uint32_t)done;
    }
    return VIRTIO_BLK_S_OK;
}

static uint8_t serve_out(struct virtio_blk *blk, struct request *r)
{
    uint64_t offset = r->header.sector * SECTOR_BYTES;

    if (blk->disk->read_only || !is_valid_transfer(blk, r, r->from_driver->left_bytes))
        return VIRTIO_BLK_S_IOERR;
    while (r->from_driver->left_bytes > 0) {
        int done = write_some(blk, offset, r->from_driver);

        if (done < 0)
            return VIRTIO_BLK_S_IOERR;
        offset += (uint64_t)done;
    }
    return status_of(flush_if_writethrough(blk));
}

/* --- FLUSH, GET_ID --- */

static uint8_t serve_flush(struct virtio_blk *blk, struct request *r)
{
    (void)r;
    return status_of(blk->disk->ops->flush(blk->disk->context));
}

static uint8_t serve_get_id(struct virtio_blk *blk, struct request *r)
{
    r->stored_bytes = vq_stream_write(r->to_driver, blk->disk->id, BLOCKDEV_ID_BYTES);
    return VIRTIO_BLK_S_OK;
}

/* --- DISCARD, WRITE_ZEROES: only a disk that can be written offers them --- */

/* A page that is looked up and freed takes the time in which so many bytes, of a page's, are copied. */
#define RANGE_BYTES_PER_WORK 64

struct ranges {
    struct virtio_blk_discard_write_zeroes list[VIRTIO_BLK_RANGES_MAX];
    unsigned count;
};

static uint8_t check_range(const struct virtio_blk *blk,
                           const struct virtio_blk_discard_write_zeroes *range,
                           uint32_t known_flags)
{
    if (range->flags & ~known_flags)
        return VIRTIO_BLK_S_UNSUPP;
    if (range->num_sectors > VIRTIO_BLK_RANGE_BYTES_MAX / SECTOR_BYTES ||
        !is_on_disk(blk, range->sector, range->num_sectors))
        return VIRTIO_BLK_S_IOERR;
    return VIRTIO_BLK_S_OK;
}

/* Copies and checks every range before the first is acted upon. */
static uint8_t read_ranges(struct virtio_blk *blk, struct request *r, uint32_t known_flags,
                           struct ranges *ranges)
{
    uint32_t bytes = r->from_driver->left_bytes;
    uint8_t status = VIRTIO_BLK_S_OK;

    if (bytes == 0 || bytes % sizeof ranges->list[0] != 0 || bytes > sizeof ranges->list)
        return VIRTIO_BLK_S_IOERR;
    ranges->count = vq_stream_read(r->from_driver, ranges->list, bytes) / sizeof ranges->list[0];
    for (unsigned i = 0; i < ranges->count && status == VIRTIO_BLK_S_OK; i++)
        status = check_range(blk, &ranges->list[i], known_flags);
    return status;
}

static uint8_t serve_ranges(struct virtio_blk *blk, struct request *r, uint32_t known_flags,
                            int (*act)(void *context, uint64_t offset, uint64_t size))
{
    struct ranges ranges;
    uint8_t status = read_ranges(blk, r, known_flags, &ranges);

    if (status != VIRTIO_BLK_S_OK)
        return status;
    for (unsigned i = 0; i < ranges.count; i++) {
        blk->queue.work += (int64_t)ranges.list[i].num_sectors * SECTOR_BYTES / RANGE_BYTES_PER_WORK;
        if (act(blk->disk->context, ranges.list[i].sector * SECTOR_BYTES,
                (uint64_t)ranges.list[i].num_sectors * SECTOR_BYTES))
            return VIRTIO_BLK_S_IOERR;
    }
    return status_of(flush_if_writethrough(blk));
}

static uint8_t serve_discard(struct virtio_blk *blk, struct request *r)
{
    if (!virtio_device_has(&blk->device, VIRTIO_BLK_F_DISCARD))
        return VIRTIO_BLK_S_UNSUPP;
    return serve_ranges(blk, r, 0, blk->disk->ops->discard);
}

static uint8_t serve_write_zeroes(struct virtio_blk *blk, struct request *r)
{
    if (!virtio_device_has(&blk->device, VIRTIO_BLK_F_WRITE_ZEROES))
        return VIRTIO_BLK_S_UNSUPP;
    return serve_ranges(blk, r, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, blk->disk->ops->write_zeroes);
}

/* --- the queue --- */

static uint8_t (*const request_types[])(struct virtio_blk *blk, struct request *r) = {
    [VIRTIO_BLK_T_IN] = serve_in,           [VIRTIO_BLK_T_OUT] = serve_out,
    [VIRTIO_BLK_T_FLUSH] = serve_flush,     [VIRTIO_BLK_T_GET_ID] = serve_get_id,
    [VIRTIO_BLK_T_DISCARD] = serve_discard, [VIRTIO_BLK_T_WRITE_ZEROES] = serve_write_zeroes,
};

static uint8_t serve_request(struct virtio_blk *blk, struct request *r)
{
    uint32_t type = r->header.type;

    if (type >= ARRAY_SIZE(request_types) || !request_types[type])
        return VIRTIO_BLK_S_UNSUPP;
    return request_types[type](blk, r);
}

static uint32_t serve(struct virtio_device *device, struct vq_chain *chain)
{
    struct virtio_blk *blk = CONTAINER_OF(device, struct virtio_blk, device);
    struct request r = {.from_driver = &chain->readable, .to_driver = &chain->writable};
    uint8_t *status = vq_chain_cut_last_byte(chain);

    if (!status || vq_stream_read(r.from_driver, &r.header, sizeof r.header) < sizeof r.header) {
        virtio_queue_fail(&blk->queue, "request without header or status");
        return 0;
    }
    *status = serve_request(blk, &r);
    return r.stored_bytes + (uint32_t)sizeof *status;
}

static bool notify(struct virtqueue *vq)
{
    return vq_serve(vq, &CONTAINER_OF(vq, struct virtio_blk, queue)->chain, serve);
}

/* --- the device --- */

static void set_writeback(struct virtio_blk *blk, bool is_writeback)
{
    blk->config.writeback = is_writeback;
    blk->is_writethrough = !is_writeback;
}

/* A driver that cannot flush must not have to. */
static void negotiated(struct virtio_device *device)
{
    struct virtio_blk *blk = CONTAINER_OF(device, struct virtio_blk, device);

    set_writeback(blk, virtio_device_has(device, VIRTIO_BLK_F_FLUSH));
}

static void reset(struct virtio_device *device)
{
    set_writeback(CONTAINER_OF(device, struct virtio_blk, device), true);
}

static void write_config(struct virtio_device *device, uint32_t offset, unsigned width,
                         uint64_t value)
{
    struct virtio_blk *blk = CONTAINER_OF(device, struct virtio_blk, device);

    if (offset == offsetof(struct virtio_blk_config, writeback) &&
        width == sizeof blk->config.writeback && virtio_device_has(device, VIRTIO_BLK_F_CONFIG_WCE))
        set_writeback(blk, value & 1);
}

static const struct virtio_device_ops virtio_blk_ops = {
    .reset = reset,
    .negotiated = negotiated,
    .write_config = write_config,
};

static void init_config(struct virtio_blk_config *config, const struct blockdev *disk)
{
    *config = (struct virtio_blk_config){
        .capacity = disk->capacity_bytes / SECTOR_BYTES,
        .size_max = VIRTIO_BLK_SIZE_MAX,
        .seg_max = VIRTIO_BLK_SEG_MAX,
        .blk_size = SECTOR_BYTES,
        .topology = {.physical_block_exp = 3, .min_io_size = 8}, /* 4 KiB, in blocks of blk_size */
        .num_queues = 1,
        .max_discard_sectors = VIRTIO_BLK_RANGE_BYTES_MAX / SECTOR_BYTES,
        .max_discard_seg = VIRTIO_BLK_RANGES_MAX,
        .discard_sector_alignment = 8,
        .max_write_zeroes_sectors = VIRTIO_BLK_RANGE_BYTES_MAX / SECTOR_BYTES,
        .max_write_zeroes_seg = VIRTIO_BLK_RANGES_MAX,
        .write_zeroes_may_unmap = 1,
    };
}

void virtio_blk_init(struct virtio_blk *blk, const struct guest_mem *mem,
                     const struct blockdev *disk)
{
    memset(blk, 0, sizeof *blk);
    blk->disk = disk;
    init_config(&blk->config, disk);
    blk->queue.notify = notify;
    blk->queue.size_max = VIRTIO_BLK_QUEUE_SIZE;
    blk->device = (struct virtio_device){
        .ops = &virtio_blk_ops,
        .queues = &blk->queue,
        .queue_count = 1,
        .name = "virtio-blk",
        .id = VIRTIO_ID_BLOCK,
        .features = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
                    VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE |
                    (disk->read_only ? VIRTIO_BLK_F_RO : VIRTIO_BLK_F_OF_WRITABLE),
        .config = &blk->config,
        .config_bytes = sizeof blk->config,
    };
    virtio_device_init(&blk->device, mem);
}
