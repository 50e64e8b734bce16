/* The first page of a pack; docs/packed-data.md gives the layout. The digests of versions 1 and 2 left out what decides a result beside the
 * pixels and labels, so that two packs with one digest could train to different weights; they are not read. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PACK_VERSION = 3, CLASSES_IN_A_BYTE = 256, DIGEST_HEAD_MAX = 256, HASHED_AT_ONCE = 1 << 22 };

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
    AT_PARTS = 64,
    AT_NAME = 96,
    AT_DIGEST = 160,
    AT_HEIGHT = 256,
    AT_WIDTH = 264,
    AT_CHANNELS = 272,
    AT_NAMES = 280,
    AT_NAMES_SIZE = 288,
    AT_MEANS = 296,
    AT_DEVIATIONS = 312,
};

static const char magic[8] = "SWEEPDPK";
static const char digits[] = "0123456789abcdef";

int pack_label_bytes(const DataInfo *info) {
    return info->classes <= CLASSES_IN_A_BYTE ? 1 : 2;
}

void pack_layout_set(PackHeader *header) {
    const DataInfo *info = &header->info;
    uint64_t inputs = (uint64_t)info->inputs, label = (uint64_t)pack_label_bytes(info);
    uint64_t train = (uint64_t)info->train_count, test = (uint64_t)info->test_count;
    PackLayout layout = {.bytes = {train * inputs, train * label, test * inputs, test * label, header->names_size}, .size = PACK_PAGE};
    for (int i = 0; i < PACK_PARTS; i++) {
        layout.offset[i] = layout.size;
        layout.size += (layout.bytes[i] + PACK_PAGE - 1) / PACK_PAGE * PACK_PAGE;
    }
    header->layout = layout;
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

static uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void float_put(uint8_t *target, float value) {
    number_put(target, float_bits(value), 4);
}

static float float_get(const uint8_t *source) {
    uint32_t bits = (uint32_t)number_get(source, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool pack_scale_is_usable(const DataInfo *info) {
    for (int64_t i = 0; i < info->channels; i++)
        if (!(info->mean[i] >= 0 && info->mean[i] <= 1 && info->deviation[i] > 0 && info->deviation[i] <= 1))
            return false;
    return true;
}

bool pack_digest_is_plain(const char *digest) {
    return strlen(digest) == SHA256_HEX_MAX - 1 && strspn(digest, digits) == SHA256_HEX_MAX - 1;
}

int pack_name_set(DataInfo *info, const char *name, Error *error) {
    if (!dataset_name_is_plain(name, strlen(name)))
        return data_refuse(error, "not a data set's name: \"%.80s\"", name);
    text_copy(info->name, sizeof info->name, name);
    return 0;
}

void pack_header_put(uint8_t *page, const PackHeader *header) {
    const DataInfo *info = &header->info;
    memcpy(page + AT_MAGIC, magic, sizeof magic);
    number_put(page + AT_VERSION, PACK_VERSION, 4);
    number_put(page + AT_PAGE, PACK_PAGE, 4);
    number_put(page + AT_SIZE, header->layout.size, 8);
    number_put(page + AT_INPUTS, (uint64_t)info->inputs, 8);
    number_put(page + AT_CLASSES, (uint64_t)info->classes, 8);
    number_put(page + AT_TRAIN, (uint64_t)info->train_count, 8);
    number_put(page + AT_TEST, (uint64_t)info->test_count, 8);
    for (int i = 0; i < PACK_IMAGE_PARTS; i++)
        number_put(page + AT_PARTS + 8 * i, header->layout.offset[i], 8);
    memcpy(page + AT_NAME, info->name, sizeof info->name);
    memcpy(page + AT_DIGEST, info->digest, sizeof info->digest);
    number_put(page + AT_HEIGHT, (uint64_t)info->height, 8);
    number_put(page + AT_WIDTH, (uint64_t)info->width, 8);
    number_put(page + AT_CHANNELS, (uint64_t)info->channels, 8);
    number_put(page + AT_NAMES, header->layout.offset[PART_NAMES], 8);
    number_put(page + AT_NAMES_SIZE, header->names_size, 8);
    for (int i = 0; i < DATA_CHANNELS_MAX; i++) {
        float_put(page + AT_MEANS + 4 * i, info->mean[i]);
        float_put(page + AT_DEVIATIONS + 4 * i, info->deviation[i]);
    }
}

/* A field that is out of bounds: its offset, so that nothing else in the header is believed. */
int pack_refuse(const char *path, uint64_t offset, const char *what, Error *error) {
    return data_refuse(error, "%s: byte %llu: %s; remove the file, and make it again", path, (unsigned long long)offset, what);
}

static int count_get(const uint8_t *page, int offset, int64_t max, int64_t *out) {
    uint64_t value = number_get(page + offset, 8);
    *out = (int64_t)value;
    return value >= 1 && value <= (uint64_t)max ? 0 : 1;
}

static int shape_get(const uint8_t *page, const char *path, PackHeader *header, Error *error) {
    DataInfo *info = &header->info;
    if (count_get(page, AT_HEIGHT, PACK_INPUTS_MAX, &info->height))
        return pack_refuse(path, AT_HEIGHT, "the height is out of bounds", error);
    if (count_get(page, AT_WIDTH, PACK_INPUTS_MAX, &info->width))
        return pack_refuse(path, AT_WIDTH, "the width is out of bounds", error);
    if (count_get(page, AT_CHANNELS, DATA_CHANNELS_MAX, &info->channels) || info->height * info->width * info->channels != info->inputs)
        return pack_refuse(path, AT_CHANNELS, "height, width and channels do not make the number of inputs", error);
    header->names_size = number_get(page + AT_NAMES_SIZE, 8);
    if (header->names_size > PACK_NAMES_MAX)
        return pack_refuse(path, AT_NAMES_SIZE, "the size of the class names is out of bounds", error);
    for (int i = 0; i < DATA_CHANNELS_MAX; i++) {
        info->mean[i] = float_get(page + AT_MEANS + 4 * i);
        info->deviation[i] = float_get(page + AT_DEVIATIONS + 4 * i);
    }
    return 0;
}

static int counts_get(const uint8_t *page, const char *path, PackHeader *header, Error *error) {
    DataInfo *info = &header->info;
    if (count_get(page, AT_INPUTS, PACK_INPUTS_MAX, &info->inputs))
        return pack_refuse(path, AT_INPUTS, "the number of inputs is out of bounds", error);
    if (count_get(page, AT_CLASSES, DATA_CLASSES_MAX, &info->classes))
        return pack_refuse(path, AT_CLASSES, "the number of classes is out of bounds", error);
    if (count_get(page, AT_TRAIN, PACK_COUNT_MAX, &info->train_count))
        return pack_refuse(path, AT_TRAIN, "the number of training examples is out of bounds", error);
    if (count_get(page, AT_TEST, PACK_COUNT_MAX, &info->test_count))
        return pack_refuse(path, AT_TEST, "the number of test examples is out of bounds", error);
    return 0;
}

/* Everything in the first page that follows from the counts. */
static int places_get(const uint8_t *page, const char *path, PackHeader *header, Error *error) {
    pack_layout_set(header);
    if (number_get(page + AT_SIZE, 8) != header->layout.size)
        return pack_refuse(path, AT_SIZE, "the size is not what the counts come to", error);
    for (int i = 0; i < PACK_IMAGE_PARTS; i++)
        if (number_get(page + AT_PARTS + 8 * i, 8) != header->layout.offset[i])
            return pack_refuse(path, AT_PARTS + 8 * (uint64_t)i, "a section is not where the counts put it", error);
    if (number_get(page + AT_NAMES, 8) != header->layout.offset[PART_NAMES])
        return pack_refuse(path, AT_NAMES, "a section is not where the counts put it", error);
    return 0;
}

/* Whoever prints them need not look at their bytes. */
static int texts_get(const uint8_t *page, const char *path, DataInfo *info, Error *error) {
    memcpy(info->name, page + AT_NAME, sizeof info->name);
    memcpy(info->digest, page + AT_DIGEST, sizeof info->digest);
    if (info->name[sizeof info->name - 1] || info->digest[sizeof info->digest - 1])
        return pack_refuse(path, AT_NAME, "the name or the digest has no end", error);
    size_t plain = 0;
    while (dataset_name_is_plain(info->name, plain + 1))
        plain++;
    if (!dataset_name_is_plain(info->name, strlen(info->name)))
        return pack_refuse(path, AT_NAME + plain, "the name is not of letters, digits, '-', '_' and '.'", error);
    if (!pack_digest_is_plain(info->digest))
        return pack_refuse(path, AT_DIGEST + strspn(info->digest, digits), "the digest is not of 64 hexadecimal digits", error);
    return 0;
}

static int version_check(const uint8_t *page, const char *path, Error *error) {
    uint64_t version = number_get(page + AT_VERSION, 4);
    if (version >= 1 && version < PACK_VERSION)
        return data_refuse(error,
                           "%s: byte %d: packed in version %d of the format, where %d is read: make it again by 'sweepctl data pack', and "
                           "submit its sweeps again",
                           path, AT_VERSION, (int)version, PACK_VERSION);
    if (version != PACK_VERSION || number_get(page + AT_PAGE, 4) != PACK_PAGE)
        return pack_refuse(path, AT_VERSION, "packed by another version", error);
    return 0;
}

int pack_header_get(const uint8_t *page, const char *path, PackHeader *header, Error *error) {
    *header = (PackHeader){0};
    if (memcmp(page + AT_MAGIC, magic, sizeof magic))
        return pack_refuse(path, AT_MAGIC, "not a packed data set", error);
    int result = version_check(page, path, error);
    if (!result)
        result = counts_get(page, path, header, error);
    if (!result)
        result = shape_get(page, path, header, error);
    if (!result && !pack_scale_is_usable(&header->info))
        result = pack_refuse(path, AT_MEANS, "the mean or the deviation is out of bounds", error);
    if (!result)
        result = texts_get(page, path, &header->info, error);
    return result ? result : places_get(page, path, header, error);
}

int data_open_failed(const char *path, Error *error) {
    int number = errno;
    bool is_path = number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG;
    error_set_errno(error, number, "cannot open %s", path);
    return is_path ? DATA_REFUSED : -1;
}

bool data_first_bytes(const char *path, uint8_t *out, size_t size, int64_t *file_size) {
    struct stat status;
    if (lstat(path, &status) || !S_ISREG(status.st_mode)) /* opening a device may do something */
        return false;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (descriptor < 0)
        return false;
    bool read_all = pread(descriptor, out, size, 0) == (ssize_t)size;
    close(descriptor);
    *file_size = status.st_size;
    return read_all;
}

bool dataset_is_pack(const char *path) {
    uint8_t found[sizeof magic];
    int64_t size;
    return data_first_bytes(path, found, sizeof found, &size) && !memcmp(found, magic, sizeof magic);
}

int dataset_header_read(const char *path, DataInfo *out, Error *error) {
    uint8_t page[PACK_PAGE];
    struct stat status;
    PackHeader header;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), result;
    ssize_t got = 0;
    if (descriptor < 0 || fstat(descriptor, &status) || (S_ISREG(status.st_mode) && (got = pread(descriptor, page, sizeof page, 0)) < 0)) {
        result = data_open_failed(path, error);
    } else if (got != (ssize_t)sizeof page) {
        result = data_refuse(error, "%s: not a packed data set: no file of at least %d bytes", path, PACK_PAGE);
    } else {
        result = pack_header_get(page, path, &header, error);
    }
    if (!result && header.layout.size != (uint64_t)status.st_size)
        result = pack_refuse(path, AT_SIZE, "the file is longer or shorter than its header says", error);
    if (!result)
        *out = header.info;
    if (descriptor >= 0)
        close(descriptor);
    return result;
}

/* What the bytes of the sections do not say themselves: how they are to be read, and what a batch makes of them. */
static size_t digest_head(const PackHeader *header, char out[DIGEST_HEAD_MAX]) {
    const DataInfo *info = &header->info;
    int used = snprintf(out, DIGEST_HEAD_MAX, "%lld %lld %lld %lld %lld %lld %llu\n", (long long)info->channels, (long long)info->height,
                        (long long)info->width, (long long)info->classes, (long long)info->train_count, (long long)info->test_count,
                        (unsigned long long)header->names_size);
    for (int64_t i = 0; i < info->channels; i++)
        used +=
            snprintf(out + used, DIGEST_HEAD_MAX - (size_t)used, "%08x %08x\n", float_bits(info->mean[i]), float_bits(info->deviation[i]));
    return (size_t)used;
}

/* False when it was stopped. */
static bool part_hash(Sha256 *hash, const uint8_t *bytes, uint64_t size, const Stop *stop) {
    for (uint64_t done = 0, step; done < size; done += step) {
        if (stop_is_asked(stop))
            return false;
        step = size - done < HASHED_AT_ONCE ? size - done : HASHED_AT_ONCE;
        sha256_update(hash, bytes + done, step);
    }
    return true;
}

int pack_digest(const PackHeader *header, const uint8_t *pack, const char *names, const Stop *stop, char hex[SHA256_HEX_MAX],
                Error *error) {
    Sha256 *hash;
    char head[DIGEST_HEAD_MAX];
    bool whole = true;
    if (sha256_new(&hash, error))
        return -1;
    sha256_update(hash, head, digest_head(header, head));
    for (int i = 0; i < PACK_IMAGE_PARTS && whole; i++)
        whole = part_hash(hash, pack + header->layout.offset[i], header->layout.bytes[i], stop);
    if (header->names_size)
        sha256_update(hash, names, header->names_size);
    sha256_finish(hash, hex);
    sha256_free(hash);
    return whole ? 0 : DATA_STOPPED;
}
