/* A pack while it is written. It is mapped without a name, or under another, at its full size, filled in any order, and made whole at the
 * end, so that neither the images nor the file need to fit into memory. Its space is allocated first: a full disk is an error then, and not
 * a signal later. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int64_t section_count(const DataInfo *info, DataSection section) {
    return section == DATA_TRAIN ? info->train_count : info->test_count;
}

static int writer_map(PackWriter *writer, Error *error) {
    writer->size = writer->header.layout.size;
    int problem = posix_fallocate(writer->descriptor, 0, (off_t)writer->size);
    if (problem)
        return error_set_errno(error, problem, "no room for the %zu bytes of %s", writer->size, writer->path);
    void *address = mmap(NULL, writer->size, PROT_READ | PROT_WRITE, MAP_SHARED, writer->descriptor, 0);
    if (address == MAP_FAILED)
        return error_set_errno(error, errno, "cannot map %s", writer->path);
    writer->address = address;
    return 0;
}

int pack_writer_open(PackWriter *writer, const DataInfo *info, const char *path, Error *error) {
    /* Names are known only at the end; room for the most would be wasted on most. They are written behind the rest. */
    *writer = (PackWriter){.header = {.info = *info}, .path = path, .descriptor = -1};
    pack_layout_set(&writer->header);
    for (int i = 0; i < DATA_SECTIONS; i++) {
        size_t count = (size_t)section_count(info, (DataSection)i);
        writer->labels[i] = calloc(count + 1, sizeof *writer->labels[i]);
        writer->kept[i] = calloc(count + 1, sizeof *writer->kept[i]);
        if (!writer->labels[i] || !writer->kept[i])
            return error_set_memory(error, "%s: no memory for %zu labels", path, count);
    }
    writer->descriptor = file_create_temporary(path, writer->temporary, error);
    return writer->descriptor < 0 ? -1 : writer_map(writer, error);
}

uint8_t *pack_writer_row(PackWriter *writer, DataSection section, int64_t index) {
    return writer->address + writer->header.layout.offset[2 * section] + (uint64_t)(index * writer->header.info.inputs);
}

void pack_writer_keep(PackWriter *writer, DataSection section, int64_t index, uint16_t label) {
    if (writer->renumbered && writer->renumbered[label] < 0)
        return;
    writer->labels[section][index] = writer->renumbered ? (uint16_t)writer->renumbered[label] : label;
    writer->kept[section][index] = true;
}

/* Moves rows to lower places only, in their order, so none is overwritten before it moved. False when it was stopped. */
static bool rows_close(PackWriter *writer, const PackHeader *final, DataSection section) {
    size_t inputs = (size_t) final->info.inputs;
    uint8_t *target = writer->address + final->layout.offset[2 * section];
    for (int64_t i = 0; i < section_count(&writer->header.info, section); i++) {
        if (stop_is_asked(&writer->stop))
            return false;
        if (!writer->kept[section][i])
            continue;
        uint8_t *row = pack_writer_row(writer, section, i);
        if (row != target)
            memmove(target, row, inputs);
        target += inputs;
    }
    return true;
}

static void labels_put(const PackWriter *writer, const PackHeader *final, DataSection section) {
    uint8_t *target = writer->address + final->layout.offset[2 * section + 1];
    int bytes = pack_label_bytes(&final->info);
    for (int64_t i = 0; i < section_count(&writer->header.info, section); i++) {
        if (!writer->kept[section][i])
            continue;
        uint16_t label = writer->labels[section][i];
        for (int j = 0; j < bytes; j++)
            *target++ = (uint8_t)(label >> (8 * j));
    }
}

/* The bytes between the sections are part of no digest, but two packs of the same data are the same file. */
static void gaps_clear(const PackWriter *writer, const PackHeader *final) {
    for (int i = 0; i < PACK_PARTS; i++) {
        uint64_t end = final->layout.offset[i] + final->layout.bytes[i];
        uint64_t next = i + 1 < PACK_PARTS ? final->layout.offset[i + 1] : final->layout.size;
        memset(writer->address + end, 0, next - end);
    }
}

typedef struct Moments {
    uint64_t sum, squares;
} Moments;

static Moments plane_measure(const uint8_t *plane, int64_t size) {
    Moments moments = {0};
    enum { BLOCK = 1 << 14 }; /* whose sums fit 32 bits, which vectorises */
    for (int64_t start = 0; start < size; start += BLOCK) {
        uint32_t sum = 0, squares = 0;
        int64_t end = start + BLOCK < size ? start + BLOCK : size;
        for (int64_t i = start; i < end; i++) {
            sum += plane[i];
            squares += (uint32_t)plane[i] * plane[i];
        }
        moments.sum += sum;
        moments.squares += squares;
    }
    return moments;
}

/* Exact sums: the order in which images arrive does not matter. False when it was stopped. */
static bool scale_measure(const PackWriter *writer, PackHeader *final) {
    DataInfo *info = &final->info;
    Moments total[DATA_CHANNELS_MAX] = {0};
    int64_t plane = info->height * info->width;
    const uint8_t *row = writer->address + final->layout.offset[PART_TRAIN_IMAGES];
    for (int64_t i = 0; i < info->train_count; i++) {
        if (stop_is_asked(&writer->stop))
            return false;
        for (int64_t c = 0; c < info->channels; c++, row += plane) {
            Moments moments = plane_measure(row, plane);
            total[c].sum += moments.sum;
            total[c].squares += moments.squares;
        }
    }
    for (int64_t c = 0; c < info->channels; c++) {
        double count = (double)info->train_count * (double)plane, mean = (double)total[c].sum / count;
        info->mean[c] = (float)(mean / 255);
        info->deviation[c] = (float)(sqrt(fmax((double)total[c].squares / count - mean * mean, 0)) / 255);
    }
    return true;
}

static int names_append(const PackHeader *header, const char *const *names, Buffer *out, Error *error) {
    for (int64_t i = 0; names && i < header->info.classes; i++) {
        if (!*names[i] || !text_is_plain(names[i]))
            return data_refuse(error, "class %lld has the name \"%.80s\": expected UTF-8 without control characters", (long long)i,
                               names[i]);
        buffer_append(out, names[i], strlen(names[i]) + 1);
    }
    return buffer_check(out, error, "the class names");
}

static int counts_finish(const PackWriter *writer, PackHeader *final, Error *error) {
    int64_t kept[DATA_SECTIONS] = {0};
    for (int i = 0; i < DATA_SECTIONS; i++)
        for (int64_t j = 0; j < section_count(&writer->header.info, (DataSection)i); j++)
            kept[i] += writer->kept[i][j];
    if (!kept[DATA_TRAIN] || !kept[DATA_TEST])
        return data_refuse(error, "no %s image could be read", kept[DATA_TRAIN] ? "test" : "training");
    final->info.train_count = kept[DATA_TRAIN];
    final->info.test_count = kept[DATA_TEST];
    return 0;
}

/* The rows are in place, and what follows them; the names lie behind what is mapped. */
static int contents_finish(PackWriter *writer, PackHeader *final, const Buffer *names, const char *expected, Error *error) {
    if (!rows_close(writer, final, DATA_TRAIN) || !rows_close(writer, final, DATA_TEST))
        return DATA_STOPPED;
    PackHeader nameless = *final;
    nameless.names_size = 0;
    pack_layout_set(&nameless);
    labels_put(writer, final, DATA_TRAIN);
    labels_put(writer, final, DATA_TEST);
    gaps_clear(writer, &nameless);
    if (!(final->info.deviation[0] > 0) && !scale_measure(writer, final))
        return DATA_STOPPED;
    if (!pack_scale_is_usable(&final->info))
        return data_refuse(error, "all pixels of a channel are the same in every training image");
    int result = pack_digest(final, writer->address, names->data, &writer->stop, final->info.digest, error);
    if (result)
        return result;
    if (expected && strcmp(final->info.digest, expected))
        return data_refuse(error, "the data has the digest %s, but %s is asked for", final->info.digest, expected);
    memset(writer->address, 0, PACK_PAGE);
    pack_header_put(writer->address, final);
    return 0;
}

/* Cut first: behind the last section there may be what was left of images that were not kept. */
static int names_write(PackWriter *writer, const PackHeader *final, const Buffer *names, Error *error) {
    if (ftruncate(writer->descriptor, (off_t) final->layout.offset[PART_NAMES]) ||
        ftruncate(writer->descriptor, (off_t) final->layout.size))
        return error_set_errno(error, errno, "cannot write %s", writer->path);
    for (size_t done = 0; done < names->size;) {
        ssize_t size = pwrite(writer->descriptor, names->data + done, names->size - done, (off_t)(final->layout.offset[PART_NAMES] + done));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return error_set_errno(error, size ? errno : ENOSPC, "cannot write %s", writer->path);
        done += (size_t)size;
    }
    return 0;
}

int pack_writer_finish(PackWriter *writer, const char *const *names, const char *expected, DataInfo *info, Error *error) {
    PackHeader final = writer->header;
    Buffer text;
    buffer_init(&text, PACK_NAMES_MAX);
    int result = names_append(&final, names, &text, error);
    final.names_size = text.size;
    if (!result)
        result = counts_finish(writer, &final, error);
    if (!result) {
        pack_layout_set(&final);
        result = contents_finish(writer, &final, &text, expected, error);
    }
    if (!result)
        result = names_write(writer, &final, &text, error);
    buffer_deinit(&text);
    if (result)
        return result;
    int descriptor = writer->descriptor;
    writer->descriptor = -1;
    *info = final.info;
    return file_publish(descriptor, writer->temporary, writer->path, 0644, error);
}

void pack_writer_deinit(PackWriter *writer) {
    if (writer->address)
        munmap(writer->address, writer->size);
    if (writer->descriptor >= 0)
        file_abandon(writer->descriptor, writer->temporary);
    for (int i = 0; i < DATA_SECTIONS; i++) {
        free(writer->labels[i]);
        free(writer->kept[i]);
    }
    *writer = (PackWriter){.descriptor = -1};
}
