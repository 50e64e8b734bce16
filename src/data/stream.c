/* libarchive lets gzip data with a wrong checksum pass, so zlib, which checks it, does that unzipping; libarchive does the others. Only
 * forms that a library reads are asked for: some others libarchive would give to a program, called by an archive's first bytes. */
#include "stream.h"

#include "gzip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BLOCK = 1 << 18, MAGIC_MAX = 10 };

typedef enum { FORM_PLAIN, FORM_GZIP, FORM_OTHER } Form;

struct Stream {
    Gzip *gzip;              /* or */
    struct archive *archive; /* one entry: the bytes */
    int64_t size, used;
    uint8_t block[READ_BLOCK];
};

/* '?' is any byte. */
static bool magic_is(const uint8_t found[MAGIC_MAX], const char *wanted, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (wanted[i] != '?' && found[i] != (uint8_t)wanted[i])
            return false;
    return true;
}

static Form form_of(const char *path) {
    uint8_t magic[MAGIC_MAX] = {0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    bool read_some = descriptor >= 0 && read(descriptor, magic, sizeof magic) > 0;
    if (descriptor >= 0)
        close(descriptor);
    if (!read_some)
        return FORM_PLAIN;
    if (magic_is(magic, "\x1f\x8b", 2))
        return FORM_GZIP;
    bool other = magic_is(magic, "BZh?1AY&SY", 10) || magic_is(magic, "\xfd\x37zXZ\0", 6) || magic_is(magic, "\x28\xb5\x2f\xfd", 4);
    return other ? FORM_OTHER : FORM_PLAIN;
}

static int own_open(Stream *stream, const char *path, Error *error) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return data_open_failed(path, error);
    stream->gzip = gzip_new(descriptor);
    return stream->gzip ? 0 : error_set_memory(error, "%s: no memory", path);
}

static int other_open(Stream *stream, const char *path, Error *error) {
    struct archive_entry *entry;
    stream->archive = archive_read_new();
    if (!stream->archive)
        return error_set_memory(error, "%s: no memory", path);
    archive_read_support_filter_bzip2(stream->archive);
    archive_read_support_filter_xz(stream->archive);
    archive_read_support_filter_zstd(stream->archive);
    archive_read_support_format_raw(stream->archive);
    if (archive_read_open_filename(stream->archive, path, READ_BLOCK) >= ARCHIVE_WARN &&
        archive_read_next_header(stream->archive, &entry) >= ARCHIVE_WARN)
        return 0;
    const char *problem = archive_error_string(stream->archive);
    return data_refuse(error, "%s: %s", path, problem ? problem : "cannot be read");
}

int stream_open(Stream **out, const char *path, Error *error) {
    Form form = form_of(path);
    *out = NULL;
    if (form == FORM_PLAIN)
        return 0;
    Stream *stream = malloc(sizeof *stream);
    if (!stream)
        return error_set_memory(error, "%s: no memory", path);
    stream->gzip = NULL;
    stream->archive = NULL;
    stream->size = stream->used = 0;
    int result = form == FORM_GZIP ? own_open(stream, path, error) : other_open(stream, path, error);
    if (result)
        stream_free(stream);
    else
        *out = stream;
    return result;
}

void stream_free(Stream *stream) {
    if (!stream)
        return;
    gzip_free(stream->gzip);
    archive_read_free(stream->archive);
    free(stream);
}

size_t bytes_used(const uint8_t *bytes, size_t size) {
    while (size && !bytes[size - 1])
        size--;
    return size;
}

ssize_t stream_read(Stream *stream, const void **bytes, const char **problem) {
    ssize_t got = stream->gzip ? gzip_read(stream->gzip, stream->block, READ_BLOCK, problem)
                               : archive_read_data(stream->archive, stream->block, READ_BLOCK);
    *bytes = stream->block;
    if (got < 0 && !stream->gzip)
        *problem = archive_error_string(stream->archive);
    else if (got < 0 && !*problem)
        *problem = strerror(errno);
    if (got <= 0)
        return got;
    size_t used = bytes_used(stream->block, (size_t)got);
    if (used)
        stream->used = stream->size + (int64_t)used;
    stream->size += got;
    return got;
}

int64_t stream_size(const Stream *stream) {
    return stream->size;
}

int64_t stream_size_used(const Stream *stream) {
    return stream->used;
}

int stream_check_end(const Stream *stream, const char *path, Error *error) {
    return end_check(path, stream->gzip ? gzip_end(stream->gzip) : archive_filter_bytes(stream->archive, -1), error);
}
