/* Reading safetensors. The header is believed only as far as the file's size allows, and tensors must fill the data from its first byte
 * to its last without a gap or an overlap, so every offset that is used has been checked. The data are mapped: beside a model and its
 * optimizer, a checkpoint in memory would be as large again. */
#include "dataset.h"

#include "sweepd/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are used as they lie in the file");

struct Safetensors {
    const char *path;
    json_t *header;
    char *text; /* the header, for offsets in messages */
    size_t text_size;
    const float *data; /* in the mapping, or in `copy` */
    size_t data_size;  /* bytes */
    void *mapping;
    size_t mapping_size;
    float *copy; /* of data that are not aligned in the file */
    SafetensorsEntry *entries;
    size_t count;
};

static int bytes_read(int descriptor, void *target, size_t size, size_t offset, const char *path, Error *error) {
    char *at = target;
    while (size) {
        ssize_t got = pread(descriptor, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(error, errno, "cannot read %s", path);
        if (got == 0)
            return data_refuse(error, "%s: byte %zu: the file ends here", path, offset);
        at += got;
        offset += (size_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static uint64_t length_of(const uint8_t bytes[SAFETENSORS_LENGTH_BYTES]) {
    uint64_t length = 0;
    for (int i = 0; i < SAFETENSORS_LENGTH_BYTES; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    return length;
}

bool safetensors_is_there(const char *path) {
    uint8_t bytes[SAFETENSORS_LENGTH_BYTES + 1];
    int64_t size;
    return data_first_bytes(path, bytes, sizeof bytes, &size) && length_of(bytes) <= (uint64_t)size - SAFETENSORS_LENGTH_BYTES &&
           bytes[SAFETENSORS_LENGTH_BYTES] == '{';
}

static int header_read(Safetensors *file, int descriptor, size_t file_size, Error *error) {
    uint8_t length[SAFETENSORS_LENGTH_BYTES];
    int result = bytes_read(descriptor, length, sizeof length, 0, file->path, error);
    if (result)
        return result;
    uint64_t size = length_of(length);
    if (size > SAFETENSORS_HEADER_MAX || size > file_size - SAFETENSORS_LENGTH_BYTES)
        return data_refuse(error, "%s: byte 0: a header of %llu bytes; at most %d are read, and the file has %zu", file->path,
                           (unsigned long long)size, SAFETENSORS_HEADER_MAX, file_size);
    file->text_size = (size_t)size;
    file->text = malloc(file->text_size + 1);
    if (!file->text)
        return error_set_memory(error, "%s: no memory for its header", file->path);
    result = bytes_read(descriptor, file->text, file->text_size, SAFETENSORS_LENGTH_BYTES, file->path, error);
    if (result)
        return result;
    json_error_t problem;
    file->header = json_loadb(file->text, file->text_size, JSON_REJECT_DUPLICATES, &problem);
    if (!file->header)
        return data_refuse(error, "%s: byte %d: the header is not JSON: %s", file->path, SAFETENSORS_LENGTH_BYTES + problem.position,
                           problem.text);
    if (!json_is_object(file->header))
        return data_refuse(error, "%s: byte %d: the header is not a JSON object", file->path, SAFETENSORS_LENGTH_BYTES);
    return 0;
}

/* Where a tensor's description is in the file, or the header's start when its name is escaped there. */
static size_t name_offset(const Safetensors *file, const char *name) {
    size_t size = strlen(name);
    for (const char *at = file->text, *end = at + file->text_size; (at = memmem(at, (size_t)(end - at), name, size)); at++)
        if (at > file->text && at[-1] == '"' && at + size < end && at[size] == '"')
            return SAFETENSORS_LENGTH_BYTES + (size_t)(at - file->text) - 1;
    return SAFETENSORS_LENGTH_BYTES;
}

static int entry_refuse(const Safetensors *file, const char *name, const char *what, Error *error) {
    return data_refuse(error, "%s: byte %zu: tensor \"%.100s\": %s", file->path, name_offset(file, name), name, what);
}

static int metadata_check(const Safetensors *file, const json_t *metadata, Error *error) {
    const char *key;
    json_t *value;
    bool texts = json_is_object(metadata);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) texts = texts && json_is_string(value);
    return texts ? 0 : entry_refuse(file, "__metadata__", "not an object of texts", error);
}

/* begin and end: bytes from the start of the data. */
static int entry_read(Safetensors *file, const char *name, const json_t *value, SafetensorsEntry *out, Error *error) {
    const char *type = json_string_value(json_object_get(value, "dtype"));
    const json_t *shape = json_object_get(value, "shape"), *offsets = json_object_get(value, "data_offsets");
    if (!type || !json_is_array(shape) || json_array_size(offsets) != 2)
        return entry_refuse(file, name, "needs dtype, shape and two data_offsets", error);
    if (strcmp(type, "F32"))
        return entry_refuse(file, name, "its dtype is not F32, the only one that is read", error);
    *out = (SafetensorsEntry){.name = name, .dimensions = (int)json_array_size(shape), .shape = {1, 1}};
    if (json_array_size(shape) < 1 || json_array_size(shape) > 2)
        return entry_refuse(file, name, "its shape has neither 1 nor 2 dimensions", error);
    int64_t bytes = sizeof(float);
    for (int i = 0; i < out->dimensions; i++) {
        out->shape[i] = json_integer_value(json_array_get(shape, (size_t)i));
        if (out->shape[i] < 1 || out->shape[i] > (int64_t)file->data_size / bytes)
            return entry_refuse(file, name, "its shape is not of whole numbers from 1 that the file has bytes for", error);
        bytes *= out->shape[i];
    }
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    int64_t from = json_integer_value(begin), to = json_integer_value(end);
    if (!json_is_integer(begin) || !json_is_integer(end) || from < 0 || to < from || to > (int64_t)file->data_size)
        return entry_refuse(file, name, "its data_offsets are outside of the file", error);
    if (to - from != bytes)
        return entry_refuse(file, name, "its data_offsets do not hold its shape", error);
    if (from % (int64_t)sizeof(float))
        return entry_refuse(file, name, "its data do not start at a multiple of 4 bytes", error);
    out->data = file->data + from / (int64_t)sizeof(float);
    return 0;
}

static int entry_compare(const void *a, const void *b) {
    const SafetensorsEntry *left = a, *right = b;
    return (left->data > right->data) - (left->data < right->data);
}

static int64_t entry_values(const SafetensorsEntry *entry) {
    return entry->shape[0] * entry->shape[1];
}

static int cover_check(const Safetensors *file, Error *error) {
    const float *next = file->data;
    for (size_t i = 0; i < file->count; i++) {
        const SafetensorsEntry *entry = &file->entries[i];
        if (entry->data != next)
            return entry_refuse(file, entry->name, entry->data < next ? "it overlaps another tensor" : "bytes before it are no tensor's",
                                error);
        next = entry->data + entry_values(entry);
    }
    size_t used = (size_t)((const char *)next - (const char *)file->data);
    if (used != file->data_size)
        return data_refuse(error, "%s: byte %zu: bytes that are no tensor's", file->path,
                           SAFETENSORS_LENGTH_BYTES + file->text_size + used);
    return 0;
}

static int entries_read(Safetensors *file, Error *error) {
    const char *name;
    json_t *value;
    int result = 0;
    file->entries = calloc(json_object_size(file->header) + 1, sizeof *file->entries);
    if (!file->entries)
        return error_set_memory(error, "%s: no memory for its tensors", file->path);
    json_object_foreach(file->header, name, value) {
        if (!strcmp(name, "__metadata__"))
            result = metadata_check(file, value, error);
        else
            result = entry_read(file, name, value, &file->entries[file->count++], error);
        if (result)
            return result;
    }
    qsort(file->entries, file->count, sizeof *file->entries, entry_compare);
    return cover_check(file, error);
}

/* A file that nobody cuts short while it is mapped: checkpoints are replaced, never rewritten. */
static int data_map(Safetensors *file, int descriptor, size_t file_size, Error *error) {
    size_t offset = SAFETENSORS_LENGTH_BYTES + file->text_size;
    file->data_size = file_size - offset;
    if (offset % sizeof(float)) { /* other writers do not pad the header */
        file->data = file->copy = malloc(file->data_size + sizeof(float));
        if (!file->copy)
            return error_set_memory(error, "%s: no memory for %zu bytes", file->path, file->data_size);
        return bytes_read(descriptor, file->copy, file->data_size, offset, file->path, error);
    }
    void *mapping = mmap(NULL, file_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (mapping == MAP_FAILED)
        return error_set_errno(error, errno, "cannot map %s", file->path);
    file->mapping = mapping;
    file->mapping_size = file_size;
    file->data = (const float *)(const void *)((const char *)mapping + offset);
    return 0;
}

static int file_read_from(Safetensors *file, int descriptor, Error *error) {
    struct stat status;
    if (fstat(descriptor, &status))
        return error_set_errno(error, errno, "cannot read %s", file->path);
    if (!S_ISREG(status.st_mode))
        return data_refuse(error, "%s is not a regular file", file->path);
    size_t size = (size_t)status.st_size;
    if (size < SAFETENSORS_LENGTH_BYTES)
        return data_refuse(error, "%s: byte %zu: the file ends inside its first number", file->path, size);
    int result = header_read(file, descriptor, size, error);
    if (result)
        return result;
    result = data_map(file, descriptor, size, error);
    return result ? result : entries_read(file, error);
}

int safetensors_open(Safetensors **out, const char *path, Error *error) {
    *out = NULL;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return data_open_failed(path, error);
    Safetensors *file = calloc(1, sizeof *file);
    int result = file ? 0 : error_set_memory(error, "%s: no memory", path);
    if (file) {
        file->path = path;
        result = file_read_from(file, descriptor, error);
    }
    close(descriptor);
    if (result)
        safetensors_free(file);
    else
        *out = file;
    return result;
}

void safetensors_free(Safetensors *file) {
    if (!file)
        return;
    json_decref(file->header);
    free(file->text);
    if (file->mapping)
        munmap(file->mapping, file->mapping_size);
    free(file->copy);
    free(file->entries);
    free(file);
}

size_t safetensors_count(const Safetensors *file) {
    return file->count;
}

const SafetensorsEntry *safetensors_entry(const Safetensors *file, size_t index) {
    return &file->entries[index];
}

const SafetensorsEntry *safetensors_find(const Safetensors *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->entries[i].name, name))
            return &file->entries[i];
    return NULL;
}

const char *safetensors_metadata(const Safetensors *file, const char *key) {
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* ---- is it what is wanted? ---- */

static bool is_wanted(const SafetensorsEntry *wanted, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(wanted[i].name, name))
            return true;
    return false;
}

static int shape_check(const Safetensors *file, const SafetensorsEntry *wanted, Error *error) {
    const SafetensorsEntry *found = safetensors_find(file, wanted->name);
    if (!found)
        return data_refuse(error, "%s: the tensor %s is missing", file->path, wanted->name);
    if (found->dimensions != wanted->dimensions || memcmp(found->shape, wanted->shape, sizeof found->shape))
        return data_refuse(error, "%s: the tensor %s is %lld x %lld in %d dimensions; this model's is %lld x %lld in %d", file->path,
                           wanted->name, (long long)found->shape[0], (long long)found->shape[1], found->dimensions,
                           (long long)wanted->shape[0], (long long)wanted->shape[1], wanted->dimensions);
    return 0;
}

int safetensors_check(const Safetensors *file, const SafetensorsEntry *wanted, size_t count, size_t known, const char *ignored,
                      Error *error) {
    for (size_t i = 0; i < file->count; i++) {
        const char *name = file->entries[i].name;
        bool is_ignored = ignored && !strncmp(name, ignored, strlen(ignored));
        if (!is_ignored && !is_wanted(wanted, known, name))
            return data_refuse(error, "%s: this model has no tensor %.100s", file->path, name);
    }
    int result = 0;
    for (size_t i = 0; i < count && !result; i++)
        result = shape_check(file, &wanted[i], error);
    return result;
}

int safetensors_check_finite(const Safetensors *file, const SafetensorsEntry *wanted, size_t count, Error *error) {
    for (size_t i = 0; i < count; i++) {
        const SafetensorsEntry *found = safetensors_find(file, wanted[i].name);
        for (int64_t j = 0; j < entry_values(found); j++)
            if (!isfinite(found->data[j]))
                return data_refuse(error, "%s: byte %zu: the tensor %s: value %lld is not finite", file->path,
                                   SAFETENSORS_LENGTH_BYTES + file->text_size + sizeof(float) * (size_t)(found->data + j - file->data),
                                   found->name, (long long)j);
    }
    return 0;
}
