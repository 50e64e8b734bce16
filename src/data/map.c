/* A pack, mapped. It never changes after its name appeared, so a reader needs no lock; the one thing that is checked anew is whether the
 * file is still the one that was verified. */
#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int labels_check(const DatasetMap *data, DataSection section, const char *path, Error *error) {
    int64_t count = section == DATA_TRAIN ? data->info.train_count : data->info.test_count;
    for (int64_t i = 0; i < count; i++)
        if (dataset_label(data, section, i) >= data->info.classes) {
            uint64_t start = data->header.layout.offset[2 * section + 1];
            return data_refuse(error, "%s: byte %llu: label %d, but there are %lld classes", path,
                               (unsigned long long)(start + (uint64_t)(i * data->label_bytes)), dataset_label(data, section, i),
                               (long long)data->info.classes);
        }
    return 0;
}

static int names_check(DatasetMap *data, const char *path, Error *error) {
    uint64_t size = data->header.names_size, start = data->header.layout.offset[PART_NAMES];
    const char *names = (const char *)data->address + start;
    int64_t ends = 0;
    if (!size)
        return 0;
    if (names[size - 1])
        return pack_refuse(path, start + size - 1, "the last class name has no end", error);
    for (uint64_t i = 0; i < size; i++, ends++) {
        uint64_t first = i;
        i += text_plain_size(names + i);
        if (names[i])
            return pack_refuse(path, start + i, "a class name that is not UTF-8 without control characters", error);
        if (i == first)
            return pack_refuse(path, start + i, "a class without a name", error);
    }
    if (ends != data->info.classes)
        return pack_refuse(path, start, "there is not one name for each class", error);
    data->names = names;
    return 0;
}

/* Rows are read in no order: what the system reads beside them would only push others out. And where most of them are gone from the page
 * cache before they are wanted again, it is passed by. */
static void access_choose(DatasetMap *data, const char *path) {
    Machine machine;
    machine_read(&machine);
    data->exceeds_memory = (double)data->size > machine.memory_bytes / 2;
    if (data->exceeds_memory)
        madvise(data->address, data->size, MADV_RANDOM);
    if ((double)data->size > 2 * machine.memory_bytes && !data->reader)
        data->reader = row_reader_new(data, path);
}

static int header_check(DatasetMap *data, const char *path, Error *error) {
    const uint8_t *bytes = data->address;
    int result = pack_header_get(bytes, path, &data->header, error);
    if (result)
        return result;
    data->info = data->header.info;
    data->label_bytes = pack_label_bytes(&data->info);
    if (data->header.layout.size != data->size)
        return data_refuse(error, "%s: byte 16: %zu bytes long, but its header describes %llu; remove the file, and make it again", path,
                           data->size, (unsigned long long)data->header.layout.size);
    for (int i = 0; i < DATA_SECTIONS; i++) {
        data->images[i] = bytes + data->header.layout.offset[2 * i];
        data->labels[i] = bytes + data->header.layout.offset[2 * i + 1];
        result = labels_check(data, (DataSection)i, path, error);
        if (result)
            return result;
    }
    for (int64_t i = 0; i < data->info.channels; i++) {
        data->centre[i] = data->info.mean[i] * 255.0f;
        data->scale[i] = 1.0f / (255.0f * data->info.deviation[i]);
    }
    return names_check(data, path, error);
}

/* The packs whose digests were right last: a worker opens the same ones for run after run, and hashing takes longer than a small run. */
enum { VERIFIED_MAX = 8 };
static FileIdentity verified[VERIFIED_MAX];
static size_t verified_next;

static bool time_equals(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool identity_equals(const FileIdentity *a, const FileIdentity *b) {
    return a->device == b->device && a->number == b->number && a->size == b->size && time_equals(&a->written, &b->written) &&
           time_equals(&a->changed, &b->changed);
}

static int digest_check(const DatasetMap *data, const char *path, Error *error) {
    enum { AT_DIGEST = 160 };
    char digest[SHA256_HEX_MAX];
    for (size_t i = 0; i < VERIFIED_MAX; i++)
        if (identity_equals(&data->identity, &verified[i]))
            return 0;
    madvise(data->address, data->size, MADV_SEQUENTIAL);
    if (pack_digest(&data->header, data->address, data->names, &(Stop){0}, digest, error))
        return -1;
    madvise(data->address, data->size, MADV_NORMAL);
    if (strcmp(digest, data->info.digest))
        return pack_refuse(path, AT_DIGEST, "the bytes do not have the header's digest", error);
    verified[verified_next++ % VERIFIED_MAX] = data->identity;
    return 0;
}

static int file_map(DatasetMap *data, const char *path, Error *error) {
    struct stat status;
    int result = 0, descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 || fstat(descriptor, &status)) {
        result = data_open_failed(path, error);
    } else if (!S_ISREG(status.st_mode) || status.st_size < PACK_PAGE) {
        result = data_refuse(error, "%s: not a packed data set: no file of at least %d bytes", path, PACK_PAGE);
    } else {
        data->size = (size_t)status.st_size;
        data->identity = (FileIdentity){status.st_dev, status.st_ino, status.st_size, status.st_mtim, status.st_ctim};
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
        return error_set_memory(error, "%s: no memory", path);
    int result = file_map(data, path, error);
    if (!result)
        result = header_check(data, path, error);
    if (!result && verify)
        result = digest_check(data, path, error);
    if (result) {
        dataset_free(data);
        return result;
    }
    access_choose(data, path);
    *out = data;
    return 0;
}

int dataset_map_once(DatasetMap **out, const char *path, Error *error) {
    int result = dataset_map(out, path, false, error);
    if (result || stamp_holds(*out, path))
        return result;
    result = digest_check(*out, path, error);
    if (result) {
        dataset_free(*out);
        *out = NULL;
        return result;
    }
    access_choose(*out, path);
    stamp_write(*out, path);
    return 0;
}

void dataset_free(DatasetMap *data) {
    if (!data)
        return;
    row_reader_free(data->reader);
    if (data->address)
        munmap(data->address, data->size);
    free(data);
}

void dataset_normalise_as(DatasetMap *data, const DatasetMap *like) {
    memcpy(data->centre, like->centre, sizeof data->centre);
    memcpy(data->scale, like->scale, sizeof data->scale);
}

const DataInfo *dataset_info(const DatasetMap *data) {
    return &data->info;
}

const char *dataset_class_name(const DatasetMap *data, int64_t label) {
    const char *name = data->names;
    if (!name || label < 0 || label >= data->info.classes)
        return "";
    while (label-- > 0)
        name += strlen(name) + 1;
    return name;
}
