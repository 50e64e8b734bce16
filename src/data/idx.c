/* IDX: two zero bytes, the type of a value, the number of dimensions, each dimension as a big-endian 32-bit number, the values.
 * Offsets in messages count uncompressed bytes. */
#include "gzip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    IDX_UNSIGNED_BYTE = 0x08,
    IDX_DIMENSIONS_MAX = 3,
    DEFLATE_RATIO_MAX = 1032, /* no deflate stream expands further, so a small file cannot claim all memory */
    READ_MAX = 1 << 30,
};

typedef struct IdxFile {
    const char *path;
    int descriptor; /* of a plain file, or */
    Gzip *gzip;
    int64_t offset;
    int64_t limit; /* uncompressed bytes that the file can hold at most */
} IdxFile;

__attribute__((format(printf, 3, 4))) static int refuse(const IdxFile *file, Error *error, const char *format, ...) {
    char text[ERROR_TEXT_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(error, "%s: byte %lld: %s", file->path, (long long)file->offset, text);
    return DATA_REFUSED;
}

static int file_open(IdxFile *file, const char *path, Error *error) {
    uint8_t magic[2] = {0};
    *file = (IdxFile){.path = path, .descriptor = -1};
    struct stat status;
    int result, descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &status)) {
        result = data_open_failed(path, error);
        goto failed;
    }
    if (!S_ISREG(status.st_mode)) {
        result = data_refuse(error, "%s is not a regular file", path);
        goto failed;
    }
    file->limit = status.st_size;
    if (pread(descriptor, magic, sizeof magic, 0) < 2 || magic[0] != 0x1f || magic[1] != 0x8b) {
        file->descriptor = descriptor;
        return 0;
    }
    file->limit *= DEFLATE_RATIO_MAX;
    file->gzip = gzip_new(descriptor);
    return file->gzip ? 0 : error_set_memory(error, "%s: no memory to read it", path);
failed:
    if (descriptor >= 0)
        close(descriptor);
    return result;
}

static void file_close(IdxFile *file) {
    gzip_free(file->gzip);
    if (file->descriptor >= 0)
        close(file->descriptor);
}

/* Up to size bytes; fewer only at the end of the file. */
static int file_take(IdxFile *file, uint8_t *target, size_t size, size_t *taken, Error *error) {
    *taken = 0;
    while (*taken < size) {
        size_t left = size - *taken < READ_MAX ? size - *taken : READ_MAX;
        const char *problem = NULL;
        ssize_t got = file->gzip ? gzip_read(file->gzip, target + *taken, left, &problem) : read(file->descriptor, target + *taken, left);
        if (problem)
            return refuse(file, error, "the gzip stream is damaged or cut short (%s)", problem);
        if (got < 0)
            return error_set_errno(error, errno, "cannot read %s", file->path);
        if (got == 0)
            break;
        *taken += (size_t)got;
        file->offset += got;
    }
    return 0;
}

static int file_take_all(IdxFile *file, uint8_t *target, size_t size, const char *what, Error *error) {
    size_t taken;
    int result = file_take(file, target, size, &taken, error);
    if (!result && taken < size)
        return refuse(file, error, "the file ends here, %zu bytes short of its %s", size - taken, what);
    return result;
}

static int magic_read(IdxFile *file, Idx *out, Error *error) {
    uint8_t magic[4];
    int result = file_take_all(file, magic, sizeof magic, "first number", error);
    if (result)
        return result;
    file->offset = 0;
    if (magic[0] || magic[1])
        return refuse(file, error, "an IDX file starts with two zero bytes, this one with %02x %02x", magic[0], magic[1]);
    file->offset = 2;
    if (magic[2] != IDX_UNSIGNED_BYTE)
        return refuse(file, error, "values of type 0x%02x; only unsigned bytes, 0x08, are read", magic[2]);
    file->offset = 3;
    if (magic[3] < 1 || magic[3] > IDX_DIMENSIONS_MAX)
        return refuse(file, error, "%d dimensions; 1 to %d are read", magic[3], IDX_DIMENSIONS_MAX);
    file->offset = 4;
    out->dimensions = magic[3];
    return 0;
}

static int shape_read(IdxFile *file, Idx *out, Error *error) {
    int64_t size = 1;
    for (int i = 0; i < IDX_DIMENSIONS_MAX; i++)
        out->shape[i] = 1;
    for (int i = 0; i < out->dimensions; i++) {
        uint8_t number[4];
        int64_t start = file->offset;
        int result = file_take_all(file, number, sizeof number, "header", error);
        if (result)
            return result;
        out->shape[i] = (int64_t)number[0] << 24 | number[1] << 16 | number[2] << 8 | number[3];
        file->offset = start;
        if (!out->shape[i])
            return refuse(file, error, "dimension %d is 0", i + 1);
        if (size > file->limit / out->shape[i])
            return refuse(file, error, "the dimensions promise more values than the file can hold, %lld", (long long)file->limit);
        size *= out->shape[i];
        file->offset = start + (int64_t)sizeof number;
    }
    out->size = (size_t)size;
    return 0;
}

static int values_read(IdxFile *file, Idx *out, Error *error) {
    out->bytes = malloc(out->size);
    if (!out->bytes)
        return error_set_memory(error, "%s: no memory for %zu bytes", file->path, out->size);
    int result = file_take_all(file, out->bytes, out->size, "values", error);
    if (result)
        return result;
    uint8_t extra;
    size_t taken;
    int64_t end = file->offset;
    result = file_take(file, &extra, 1, &taken, error); /* this read also goes past a gzip stream's checksum */
    file->offset = end;
    if (!result && taken)
        return refuse(file, error, "the values end here, but the file goes on");
    return result || !file->gzip ? result : end_check(file->path, gzip_end(file->gzip), error);
}

int idx_read(Idx *out, const char *path, Error *error) {
    *out = (Idx){0};
    IdxFile file;
    int result = file_open(&file, path, error);
    if (!result)
        result = magic_read(&file, out, error);
    if (!result)
        result = shape_read(&file, out, error);
    if (!result)
        result = values_read(&file, out, error);
    file_close(&file);
    if (result)
        idx_deinit(out);
    return result;
}

void idx_deinit(Idx *idx) {
    if (!idx)
        return;
    free(idx->bytes);
    *idx = (Idx){0};
}
