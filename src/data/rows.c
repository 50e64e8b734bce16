/* Rows of a pack that is far larger than the memory, read around the page cache: a batch's rows are asked for all at once while the batch
 * before it is trained on, and land in a buffer from which they are gathered. By way of the page cache each of its pages would be set up,
 * mapped, unmapped and thrown out again before it is ever read a second time: three times the processor's time, and half the rows a second.
 *
 * Linux's own asynchronous reads (io_submit), which only direct reads make asynchronous. Where the file system or the kernel has none, a
 * buffer would be too small for the batch, or a read fails, the rows are taken from the map, as those of any pack. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLOTS = 2, SLOT_BYTES = 16 << 20 };

/* A batch that was asked for. */
typedef struct RowSlot {
    DataSection section;
    int64_t count, pending; /* rows; reads under way */
    bool failed;
    uint32_t *indices;    /* [capacity] */
    uint8_t *bytes;       /* [capacity, stride] */
    const uint8_t **rows; /* [capacity], where each begins in bytes */
    struct iocb *reads;   /* [capacity] */
} RowSlot;

struct RowReader {
    int descriptor;
    aio_context_t context;
    int64_t inputs, stride, capacity;
    uint64_t offset[DATA_SECTIONS];
    RowSlot slots[SLOTS];
    bool broken; /* a read failed: none is tried again */
    int next;    /* the slot that is asked for next: the other's batch may not have been gathered yet */
};

static bool slot_init(RowSlot *slot, const RowReader *reader) {
    size_t capacity = (size_t)reader->capacity;
    slot->indices = calloc(capacity, sizeof *slot->indices);
    slot->bytes = aligned_alloc(PACK_PAGE, capacity * (size_t)reader->stride);
    slot->rows = calloc(capacity, sizeof *slot->rows);
    slot->reads = calloc(capacity, sizeof *slot->reads);
    return slot->indices && slot->bytes && slot->rows && slot->reads;
}

static void slot_deinit(RowSlot *slot) {
    free(slot->indices);
    free(slot->bytes);
    free(slot->rows);
    free(slot->reads);
}

RowReader *row_reader_new(const DatasetMap *data, const char *path) {
    RowReader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->inputs = data->info.inputs;
    reader->stride = (reader->inputs + 2 * PACK_PAGE - 2) / PACK_PAGE * PACK_PAGE; /* a row begins anywhere in a page */
    reader->capacity = SLOT_BYTES / reader->stride;
    for (int i = 0; i < DATA_SECTIONS; i++)
        reader->offset[i] = data->header.layout.offset[2 * i];
    reader->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    bool ready = reader->descriptor >= 0 && reader->capacity > 0 && !syscall(SYS_io_setup, SLOTS * reader->capacity, &reader->context);
    for (int i = 0; i < SLOTS; i++)
        ready = ready && slot_init(&reader->slots[i], reader);
    if (ready)
        return reader;
    row_reader_free(reader);
    return NULL;
}

/* Destroying the context waits for the reads that are under way, which write to the buffers. */
void row_reader_free(RowReader *reader) {
    if (!reader)
        return;
    if (reader->context)
        syscall(SYS_io_destroy, reader->context);
    if (reader->descriptor >= 0)
        close(reader->descriptor);
    for (int i = 0; i < SLOTS; i++)
        slot_deinit(&reader->slots[i]);
    free(reader);
}

/* The bytes of a row lie at `skew` in the pages that hold them. */
static void read_prepare(RowReader *reader, RowSlot *slot, int64_t i) {
    uint64_t start = reader->offset[slot->section] + (uint64_t)slot->indices[i] * (uint64_t)reader->inputs, skew = start % PACK_PAGE;
    uint8_t *bytes = slot->bytes + i * reader->stride;
    slot->rows[i] = bytes + skew;
    slot->reads[i] = (struct iocb){.aio_lio_opcode = IOCB_CMD_PREAD,
                                   .aio_fildes = (uint32_t)reader->descriptor,
                                   .aio_buf = (uintptr_t)bytes,
                                   .aio_nbytes = (skew + (uint64_t)reader->inputs + PACK_PAGE - 1) / PACK_PAGE * PACK_PAGE,
                                   .aio_offset = (int64_t)(start - skew),
                                   .aio_data = (uint64_t)(slot - reader->slots)};
}

/* Takes what has been read, waiting for `least` reads. The last page of the file may be short, but not of what a row needs. */
static int reads_take(RowReader *reader, long least) {
    enum { EVENTS = 64 };
    struct io_event events[EVENTS];
    long count = syscall(SYS_io_getevents, reader->context, least, (long)EVENTS, events, NULL);
    if (count < 0 && errno != EINTR)
        return -1;
    for (long i = 0; i < count; i++) {
        RowSlot *slot = &reader->slots[events[i].data];
        const struct iocb *read = (const struct iocb *)(uintptr_t)events[i].obj;
        int64_t needed = slot->rows[read - slot->reads] - (const uint8_t *)(uintptr_t)read->aio_buf + reader->inputs;
        slot->failed = slot->failed || events[i].res < needed;
        slot->pending--;
    }
    return 0;
}

static void slot_wait(RowReader *reader, RowSlot *slot) {
    while (slot->pending > 0)
        if (reads_take(reader, 1) < 0) {
            slot->failed = true;
            return;
        }
}

static void slot_submit(RowReader *reader, RowSlot *slot) {
    struct iocb *queue[SLOT_BYTES / PACK_PAGE];
    for (int64_t i = 0; i < slot->count; i++) {
        read_prepare(reader, slot, i);
        queue[i] = &slot->reads[i];
    }
    for (int64_t done = 0; done < slot->count && !slot->failed;) {
        long count = syscall(SYS_io_submit, reader->context, (long)(slot->count - done), queue + done);
        if (count > 0) {
            done += count;
            slot->pending += count;
        } else if (count < 0 && (errno == EAGAIN || errno == EINTR) && slot->pending > 0) {
            slot->failed = reads_take(reader, 1) < 0;
        } else {
            slot->failed = true;
        }
    }
}

bool row_reader_ask(RowReader *reader, DataSection section, const uint32_t *indices, int64_t count) {
    RowSlot *slot = &reader->slots[reader->next];
    if (count > reader->capacity || reader->broken)
        return false;
    slot_wait(reader, slot);
    if (slot->pending > 0)
        return false; /* its buffer is not free */
    reader->next = (reader->next + 1) % SLOTS;
    slot->section = section;
    slot->count = count;
    slot->failed = false;
    memcpy(slot->indices, indices, (size_t)count * sizeof *indices);
    slot_submit(reader, slot);
    return true;
}

static RowSlot *slot_find(RowReader *reader, DataSection section, const uint32_t *indices, int64_t count) {
    for (int i = 0; i < SLOTS; i++) {
        RowSlot *slot = &reader->slots[i];
        if (slot->section == section && slot->count == count && !memcmp(slot->indices, indices, (size_t)count * sizeof *indices))
            return slot;
    }
    return NULL;
}

const uint8_t *const *row_reader_take(RowReader *reader, DataSection section, const uint32_t *indices, int64_t count) {
    if (count < 1 || count > reader->capacity)
        return NULL;
    RowSlot *slot = slot_find(reader, section, indices, count);
    if (!slot && row_reader_ask(reader, section, indices, count)) /* nobody knew that it would be wanted */
        slot = slot_find(reader, section, indices, count);
    if (!slot)
        return NULL;
    slot_wait(reader, slot);
    reader->broken = reader->broken || slot->failed;
    return slot->failed ? NULL : slot->rows;
}
