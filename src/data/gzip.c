/* zlib's gzread and libarchive take whatever follows the last member for the end, without a word. So gzip is read by inflate here, which
 * says where it ends. */
#include "gzip.h"
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    BLOCK = 1 << 16,
    WINDOW_GZIP = 15 + 16,  /* as inflateInit2 has it: the largest window, with a gzip header */
    ZIP_END = 22,           /* the end record without its comment, whose length is its last two bytes */
    ZIP_END_WITHIN = 16384, /* libarchive looks no further */
};

struct Gzip {
    z_stream zip;
    int descriptor;
    bool ended;
    const char *problem; /* what is wrong with the data, once that is known */
    int64_t offset;      /* bytes of the file read so far */
    uint8_t block[BLOCK];
};

Gzip *gzip_new(int descriptor) {
    Gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip && inflateInit2(&gzip->zip, WINDOW_GZIP) != Z_OK) {
        free(gzip);
        gzip = NULL;
    }
    if (gzip)
        gzip->descriptor = descriptor;
    else
        close(descriptor);
    return gzip;
}

void gzip_free(Gzip *gzip) {
    if (!gzip)
        return;
    inflateEnd(&gzip->zip);
    close(gzip->descriptor);
    free(gzip);
}

/* More bytes behind those that are left; 0: there are none, -1: errno says why. */
static ssize_t block_fill(Gzip *gzip) {
    z_stream *zip = &gzip->zip;
    if (zip->avail_in)
        memmove(gzip->block, zip->next_in, zip->avail_in);
    zip->next_in = gzip->block;
    ssize_t got = read(gzip->descriptor, gzip->block + zip->avail_in, BLOCK - zip->avail_in);
    if (got > 0) {
        zip->avail_in += (uInt)got;
        gzip->offset += got;
    }
    return got;
}

static int member_next(Gzip *gzip) {
    z_stream *zip = &gzip->zip;
    for (ssize_t got = 1; zip->avail_in < 2 && got > 0;) {
        got = block_fill(gzip);
        if (got < 0)
            return -1;
    }
    gzip->ended = zip->avail_in < 2 || zip->next_in[0] != 0x1f || zip->next_in[1] != 0x8b;
    if (!gzip->ended)
        inflateReset(zip);
    return 0;
}

/* 0, or -1: gzip->problem, or errno, says why. */
static int block_inflate(Gzip *gzip) {
    ssize_t got = gzip->zip.avail_in ? 1 : block_fill(gzip);
    if (got == 0)
        gzip->problem = "unexpected end of file";
    if (got <= 0)
        return -1;
    int code = inflate(&gzip->zip, Z_NO_FLUSH);
    if (code == Z_STREAM_END)
        return member_next(gzip);
    if (code == Z_OK || code == Z_BUF_ERROR)
        return 0;
    errno = ENOMEM;
    if (code != Z_MEM_ERROR)
        gzip->problem = gzip->zip.msg ? gzip->zip.msg : "damaged";
    return -1;
}

/* What came before a failure is given first. */
ssize_t gzip_read(Gzip *gzip, uint8_t *target, size_t size, const char **problem) {
    z_stream *zip = &gzip->zip;
    bool failed = gzip->problem != NULL;
    zip->next_out = target;
    zip->avail_out = (uInt)size;
    while (zip->avail_out && !gzip->ended && !failed)
        failed = block_inflate(gzip) != 0;
    ssize_t got = (ssize_t)(size - zip->avail_out);
    *problem = got ? NULL : gzip->problem;
    return failed && !got ? -1 : got;
}

int64_t gzip_end(const Gzip *gzip) {
    return gzip->offset - gzip->zip.avail_in;
}

/* ---- ends ---- */

static int rest_read(const char *path, int64_t from, size_t size, Buffer *out, Error *error) {
    buffer_init(out, size);
    int result = file_read_part(path, from, size, out, error);
    return result == FILE_MISSING ? data_refuse(error, "%s is gone", path) : result;
}

int end_check(const char *path, int64_t end, Error *error) {
    Buffer rest;
    bool more = true;
    int result = 0;
    for (int64_t from = end; more && !result; from += BLOCK) {
        result = rest_read(path, from, BLOCK, &rest, error);
        if (!result && rest.size && bytes_used((const uint8_t *)rest.data, rest.size))
            result = data_refuse(error, "%s: byte %lld: the compressed data end here, but more follows", path, (long long)end);
        more = rest.size == BLOCK;
        buffer_deinit(&rest);
    }
    return result;
}

/* tail: what the file has from that byte on. */
static int zip_end_check(const char *path, int64_t from, const Buffer *tail, Error *error) {
    const uint8_t *bytes = (const uint8_t *)tail->data;
    int64_t at = (int64_t)tail->size - ZIP_END, size = from + (int64_t)tail->size;
    while (at >= 0 && memcmp(bytes + at, "PK\5\6", 4) != 0)
        at--;
    if (at < 0)
        return data_refuse(error, "%s: byte %lld: no zip's end record from here on", path, (long long)from);
    int64_t end = from + at + ZIP_END + bytes[at + ZIP_END - 2] + 256 * bytes[at + ZIP_END - 1];
    if (end < size)
        return data_refuse(error, "%s: byte %lld: the zip ends here, but more follows", path, (long long)end);
    if (end > size)
        return data_refuse(error, "%s: byte %lld: the file ends here, inside the zip's comment", path, (long long)size);
    return 0;
}

int end_check_zip(const char *path, Error *error) {
    struct stat status;
    Buffer tail;
    if (stat(path, &status))
        return error_set_errno(error, errno, "cannot read %s", path);
    int64_t from = status.st_size > ZIP_END_WITHIN ? status.st_size - ZIP_END_WITHIN : 0;
    int result = rest_read(path, from, ZIP_END_WITHIN, &tail, error);
    if (!result)
        result = zip_end_check(path, from, &tail, error);
    buffer_deinit(&tail);
    return result;
}
