/* PACK.verified: that the bytes of a pack were found right, and of which file this holds. A pack of a hundred gigabytes takes minutes to
 * hash, which no worker should do that starts after another. The file's change time cannot be set back, so whatever writes to the pack
 * makes the stamp void; damage below the file system shows by `sweepctl data verify`, which always reads the bytes. No device number: a
 * pack on a shared file system is verified once for all hosts. A stamp that cannot be written or read costs time alone. */
#include "dataset.h"

#include <inttypes.h>
#include <stdio.h>

enum { STAMP_MAX = 512 };
static const double settled_seconds = 1; /* a change right after the stamp could bear the same time */

static int stamp_format(const DatasetMap *data, char out[STAMP_MAX]) {
    const FileIdentity *file = &data->identity;
    return snprintf(out, STAMP_MAX, "sweepd verified 1\n%s\nfile %ju, %zu bytes, written %jd.%09ld, changed %jd.%09ld\n", data->info.digest,
                    (uintmax_t)file->number, data->size, (intmax_t)file->written.tv_sec, file->written.tv_nsec,
                    (intmax_t)file->changed.tv_sec, file->changed.tv_nsec);
}

bool stamp_holds(const DatasetMap *data, const char *path) {
    char stamp[PATH_TEXT_MAX], expected[STAMP_MAX];
    Error ignored;
    Buffer text;
    if (path_format(stamp, &ignored, "%s.verified", path))
        return false;
    buffer_init(&text, STAMP_MAX);
    bool holds = file_read(stamp, STAMP_MAX, &text, &ignored) == 0 && stamp_format(data, expected) > 0 && text.data &&
                 strcmp(text.data, expected) == 0;
    buffer_deinit(&text);
    return holds;
}

void stamp_write(const DatasetMap *data, const char *path) {
    char stamp[PATH_TEXT_MAX], text[STAMP_MAX];
    Error ignored;
    double changed = (double)data->identity.changed.tv_sec + 1e-9 * (double)data->identity.changed.tv_nsec;
    if (clock_unix() - changed < settled_seconds || path_format(stamp, &ignored, "%s.verified", path))
        return;
    int size = stamp_format(data, text);
    if (size > 0 && size < STAMP_MAX)
        file_write_atomic(stamp, text, (size_t)size, 0644, &ignored);
}
