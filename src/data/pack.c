/* The packed form, written and mapped; docs/packed-data.md gives the layout. A pack is made under another name and renamed, and
 * never changed after that, so a reader that has mapped one needs no lock. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PACK_VERSION = 1,
    PACK_INPUTS_MAX = 1 << 24,
    PACK_CLASSES_MAX = 256, /* a label is one byte */
    PACK_COUNT_MAX = INT32_MAX,
};

/* Offsets of the header's fields. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_PAGE = 12,
    AT_SIZE = 16,
    AT_INPUTS = 24,
    AT_CLASSES = 32,
    AT_TRAIN = 40,
    AT_TEST = 48,
    AT_MEAN = 56,
    AT_DEVIATION = 60,
    AT_PARTS = 64,
    AT_NAME = 96,
    AT_DIGEST = 160,
};

static const char magic[8] = "SWEEPDPK";

typedef struct Layout {
    uint64_t offset[PACK_PARTS], bytes[PACK_PARTS], size;
} Layout;

static Layout layout_of(const DataInfo *info) {
    uint64_t inputs = (uint64_t)info->inputs, train = (uint64_t)info->train_count, test = (uint64_t)info->test_count;
    Layout layout = {.bytes = {train * inputs, train, test * inputs, test}, .size = PACK_PAGE};
    for (int i = 0; i < PACK_PARTS; i++) {
        layout.offset[i] = layout.size;
        layout.size += (layout.bytes[i] + PACK_PAGE - 1) / PACK_PAGE * PACK_PAGE;
    }
    return layout;
}

static void number_put(uint8_t *target, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        target[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t number_get(const uint8_t *source, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)source[i] << (8 * i);
    return value;
}

static void float_put(uint8_t *target, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    number_put(target, bits, 4);
}

static float float_get(const uint8_t *source) {
    uint32_t bits = (uint32_t)number_get(source, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool scale_is_usable(float mean, float deviation) {
    return mean >= 0 && mean <= 1 && deviation > 0 && deviation <= 1;
}

/* ---- making ---- */

static void header_put(uint8_t *page, const DataInfo *info, const Layout *layout) {
    memcpy(page + AT_MAGIC, magic, sizeof magic);
    number_put(page + AT_VERSION, PACK_VERSION, 4);
    number_put(page + AT_PAGE, PACK_PAGE, 4);
    number_put(page + AT_SIZE, layout->size, 8);
    number_put(page + AT_INPUTS, (uint64_t)info->inputs, 8);
    number_put(page + AT_CLASSES, (uint64_t)info->classes, 8);
    number_put(page + AT_TRAIN, (uint64_t)info->train_count, 8);
    number_put(page + AT_TEST, (uint64_t)info->test_count, 8);
    float_put(page + AT_MEAN, info->mean);
    float_put(page + AT_DEVIATION, info->deviation);
    for (int i = 0; i < PACK_PARTS; i++)
        number_put(page + AT_PARTS + 8 * i, layout->offset[i], 8);
    memcpy(page + AT_NAME, info->name, sizeof info->name);
    memcpy(page + AT_DIGEST, info->digest, sizeof info->digest);
}

static int parts_digest(const uint8_t *const parts[PACK_PARTS], const uint64_t bytes[PACK_PARTS], char hex[SHA256_HEX_MAX], Error *error) {
    Sha256 *hash;
    if (sha256_new(&hash, error))
        return -1;
    for (int i = 0; i < PACK_PARTS; i++)
        sha256_update(hash, parts[i], bytes[i]);
    sha256_finish(hash, hex);
    sha256_free(hash);
    return 0;
}

static int idx_check(const Idx idx[PACK_PARTS], const char *const paths[PACK_PARTS], Error *error) {
    for (int i = 0; i < PACK_PARTS; i += 2) {
        const Idx *images = &idx[i], *labels = &idx[i + 1];
        if (images->dimensions < 2)
            return data_refuse(error, "%s: byte 3: images have 2 or 3 dimensions, these 1", paths[i]);
        if (labels->dimensions != 1)
            return data_refuse(error, "%s: byte 3: labels have 1 dimension, these %d", paths[i + 1], labels->dimensions);
        if (labels->shape[0] != images->shape[0])
            return data_refuse(error, "%s: byte 4: %lld labels for the %lld images of %s", paths[i + 1], (long long)labels->shape[0],
                               (long long)images->shape[0], paths[i]);
        if (images->shape[0] > PACK_COUNT_MAX || images->shape[1] * images->shape[2] > PACK_INPUTS_MAX)
            return data_refuse(error, "%s: byte 4: more than %d images or %d pixels", paths[i], PACK_COUNT_MAX, PACK_INPUTS_MAX);
    }
    if (idx[2].shape[1] != idx[0].shape[1] || idx[2].shape[2] != idx[0].shape[2])
        return data_refuse(error, "%s: byte 8: images of another shape than those of %s", paths[2], paths[0]);
    return 0;
}

static int64_t classes_of(const Idx *labels) {
    uint8_t top = 0;
    for (size_t i = 0; i < labels->size; i++)
        top = labels->bytes[i] > top ? labels->bytes[i] : top;
    return top + 1;
}

static int labels_check(const char *path, const uint8_t *labels, int64_t count, int64_t classes, int64_t offset, Error *error) {
    for (int64_t i = 0; i < count; i++)
        if (labels[i] >= classes)
            return data_refuse(error, "%s: byte %lld: label %d, but there are %lld classes", path, (long long)(offset + i), labels[i],
                               (long long)classes);
    return 0;
}

/* Each section and what aligns the next are a piece. */
static int pack_write(const DataInfo *info, const Idx idx[PACK_PARTS], const char *out_path, Error *error) {
    static const uint8_t zeros[PACK_PAGE];
    uint8_t page[PACK_PAGE] = {0};
    Layout layout = layout_of(info);
    FilePiece pieces[1 + 2 * PACK_PARTS] = {{page, sizeof page}};
    header_put(page, info, &layout);
    for (int i = 0; i < PACK_PARTS; i++) {
        uint64_t end = i + 1 < PACK_PARTS ? layout.offset[i + 1] : layout.size;
        pieces[1 + 2 * i] = (FilePiece){idx[i].bytes, idx[i].size};
        pieces[2 + 2 * i] = (FilePiece){zeros, (size_t)(end - layout.offset[i]) - idx[i].size};
    }
    return file_write_pieces(out_path, pieces, sizeof pieces / sizeof *pieces, 0644, error);
}

static int pack_describe(DataInfo *out, const char *name, const Idx idx[PACK_PARTS], const char *const paths[PACK_PARTS], Error *error) {
    if (!text_copy(out->name, sizeof out->name, name))
        return data_refuse(error, "a data set's name has at most %zu letters: %.80s", sizeof out->name - 1, name);
    out->inputs = idx[0].shape[1] * idx[0].shape[2];
    out->classes = classes_of(&idx[1]);
    out->train_count = idx[0].shape[0];
    out->test_count = idx[2].shape[0];
    enum { IDX_VALUES = 8 };
    int result = labels_check(paths[3], idx[3].bytes, out->test_count, out->classes, IDX_VALUES, error);
    if (result)
        return result;
    const uint8_t *parts[PACK_PARTS];
    for (int i = 0; i < PACK_PARTS; i++)
        parts[i] = idx[i].bytes;
    return parts_digest(parts, layout_of(out).bytes, out->digest, error);
}

int pack_idx(const char *name, const char *const paths[PACK_PARTS], float mean, float deviation, const char *expected, const char *out_path,
             Error *error) {
    Idx idx[PACK_PARTS] = {0};
    DataInfo info = {.mean = mean, .deviation = deviation};
    int result = 0;
    if (!scale_is_usable(mean, deviation))
        return error_set(error, "%s: mean %g and deviation %g: pixels are scaled to [0, 1]", name, (double)mean, (double)deviation);
    for (int i = 0; i < PACK_PARTS && !result; i++)
        result = idx_read(&idx[i], paths[i], error);
    if (!result)
        result = idx_check(idx, paths, error);
    if (!result)
        result = pack_describe(&info, name, idx, paths, error);
    if (!result && expected && strcmp(info.digest, expected))
        result = data_refuse(error, "the data beside %s has the digest %s, but %s is asked for", paths[0], info.digest, expected);
    if (!result)
        result = pack_write(&info, idx, out_path, error);
    for (int i = 0; i < PACK_PARTS; i++)
        idx_deinit(&idx[i]);
    return result;
}

int dataset_pack_idx(const char *name, const char *train_images, const char *train_labels, const char *test_images, const char *test_labels,
                     float mean, float deviation, const char *out_path, Error *error) {
    const char *const paths[PACK_PARTS] = {train_images, train_labels, test_images, test_labels};
    return pack_idx(name, paths, mean, deviation, NULL, out_path, error);
}

/* ---- mapping ---- */

/* A field that is out of bounds: its offset, so that nothing else in the header is believed. */
static int field_refuse(const char *path, int offset, const char *what, Error *error) {
    return data_refuse(error, "%s: byte %d: %s; remove the file, and it is made again when it is needed", path, offset, what);
}

static int count_get(const uint8_t *page, int offset, int64_t max, int64_t *out) {
    uint64_t value = number_get(page + offset, 8);
    *out = (int64_t)value;
    return value >= 1 && value <= (uint64_t)max ? 0 : 1;
}

static int header_get(const uint8_t *page, const char *path, DataInfo *info, Error *error) {
    if (memcmp(page + AT_MAGIC, magic, sizeof magic))
        return field_refuse(path, AT_MAGIC, "not a packed data set", error);
    if (number_get(page + AT_VERSION, 4) != PACK_VERSION || number_get(page + AT_PAGE, 4) != PACK_PAGE)
        return field_refuse(path, AT_VERSION, "packed by another version", error);
    if (count_get(page, AT_INPUTS, PACK_INPUTS_MAX, &info->inputs))
        return field_refuse(path, AT_INPUTS, "the number of inputs is out of bounds", error);
    if (count_get(page, AT_CLASSES, PACK_CLASSES_MAX, &info->classes))
        return field_refuse(path, AT_CLASSES, "the number of classes is out of bounds", error);
    if (count_get(page, AT_TRAIN, PACK_COUNT_MAX, &info->train_count))
        return field_refuse(path, AT_TRAIN, "the number of training examples is out of bounds", error);
    if (count_get(page, AT_TEST, PACK_COUNT_MAX, &info->test_count))
        return field_refuse(path, AT_TEST, "the number of test examples is out of bounds", error);
    info->mean = float_get(page + AT_MEAN);
    info->deviation = float_get(page + AT_DEVIATION);
    if (!scale_is_usable(info->mean, info->deviation))
        return field_refuse(path, AT_MEAN, "the mean or the deviation is out of bounds", error);
    if (page[AT_NAME + sizeof info->name - 1] || page[AT_DIGEST + sizeof info->digest - 1])
        return field_refuse(path, AT_NAME, "the name or the digest has no end", error);
    memcpy(info->name, page + AT_NAME, sizeof info->name);
    memcpy(info->digest, page + AT_DIGEST, sizeof info->digest);
    return 0;
}

static int header_check(DatasetMap *data, const char *path, Error *error) {
    const uint8_t *page = data->address;
    int result = header_get(page, path, &data->info, error);
    if (result)
        return result;
    Layout layout = layout_of(&data->info);
    if (layout.size != data->size || number_get(page + AT_SIZE, 8) != layout.size)
        return data_refuse(error, "%s: byte %d: %zu bytes long, but its header describes %llu; remove the file, and it is made again", path,
                           AT_SIZE, data->size, (unsigned long long)layout.size);
    for (int i = 0; i < PACK_PARTS; i++)
        if (number_get(page + AT_PARTS + 8 * i, 8) != layout.offset[i])
            return field_refuse(path, AT_PARTS + 8 * i, "a section is not where the counts put it", error);
    for (int i = 0; i < DATA_SECTIONS; i++) {
        data->images[i] = page + layout.offset[2 * i];
        data->labels[i] = page + layout.offset[2 * i + 1];
        int64_t count = i == DATA_TRAIN ? data->info.train_count : data->info.test_count;
        result = labels_check(path, data->labels[i], count, data->info.classes, (int64_t)layout.offset[2 * i + 1], error);
        if (result)
            return result;
    }
    data->centre = data->info.mean * 255.0f;
    data->scale = 1.0f / (255.0f * data->info.deviation);
    return 0;
}

/* The pack whose digest was right last: a worker opens the same one for run after run, and hashing it takes longer than a small run. */
static FileIdentity verified;

static bool identity_equals(const FileIdentity *a, const FileIdentity *b) {
    return a->device == b->device && a->number == b->number && a->written.tv_sec == b->written.tv_sec &&
           a->written.tv_nsec == b->written.tv_nsec;
}

static int digest_check(const DatasetMap *data, const char *path, Error *error) {
    if (identity_equals(&data->identity, &verified))
        return 0;
    Layout layout = layout_of(&data->info);
    const uint8_t *parts[PACK_PARTS] = {data->images[0], data->labels[0], data->images[1], data->labels[1]};
    char digest[SHA256_HEX_MAX];
    if (parts_digest(parts, layout.bytes, digest, error))
        return -1;
    if (strcmp(digest, data->info.digest))
        return field_refuse(path, AT_DIGEST, "the bytes do not have the header's digest", error);
    verified = data->identity;
    return 0;
}

static int file_map(DatasetMap *data, const char *path, Error *error) {
    struct stat status;
    int result = 0, descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &status)) {
        error_set_errno(error, errno, "cannot open %s", path);
        result = DATA_REFUSED;
    } else if (!S_ISREG(status.st_mode) || status.st_size < PACK_PAGE) {
        result = data_refuse(error, "%s: not a packed data set: no file of at least %d bytes", path, PACK_PAGE);
    } else {
        data->size = (size_t)status.st_size;
        data->identity = (FileIdentity){status.st_dev, status.st_ino, status.st_mtim};
        data->address = mmap(NULL, data->size, PROT_READ, MAP_SHARED, descriptor, 0);
        if (data->address == MAP_FAILED) {
            data->address = NULL;
            result = error_set_errno(error, errno, "cannot map %s", path);
        }
    }
    if (descriptor >= 0)
        close(descriptor);
    return result;
}

int dataset_map(DatasetMap **out, const char *path, bool verify, Error *error) {
    *out = NULL;
    DatasetMap *data = calloc(1, sizeof *data);
    if (!data)
        return error_set(error, "%s: no memory", path);
    int result = file_map(data, path, error);
    if (!result)
        result = header_check(data, path, error);
    if (!result && verify)
        result = digest_check(data, path, error);
    if (result)
        dataset_free(data);
    else
        *out = data;
    return result;
}

void dataset_free(DatasetMap *data) {
    if (!data)
        return;
    if (data->address)
        munmap(data->address, data->size);
    free(data);
}

const DataInfo *dataset_info(const DatasetMap *data) {
    return &data->info;
}
