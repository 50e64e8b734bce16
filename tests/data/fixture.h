/* Small IDX files and packs in a directory of the test's own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "sweepd/data.h"

static char fixture_root[64];

static inline int fixture_setup(void **state) {
    (void)state;
    strcpy(fixture_root, "/tmp/sweepd-data-XXXXXX");
    return mkdtemp(fixture_root) ? 0 : -1;
}

static inline int fixture_remove(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline int fixture_teardown(void **state) {
    (void)state;
    return nftw(fixture_root, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *fixture_path(const char *name) {
    static char paths[8][PATH_TEXT_MAX];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_TEXT_MAX, "%s/%s", fixture_root, name);
    return path;
}

static inline void fixture_write(const char *path, const void *bytes, size_t size) {
    remove(path); /* some file systems write through when a file is cut and written anew */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static inline uint8_t *fixture_read(const char *path, size_t *size) {
    Buffer buffer;
    Error error;
    buffer_init(&buffer, 1 << 22);
    assert_int_equal(file_read(path, 1 << 22, &buffer, &error), 0);
    *size = buffer.size;
    return (uint8_t *)buffer.data;
}

/* An IDX file's bytes; the caller frees them. */
static inline uint8_t *fixture_idx(const uint8_t *values, int dimensions, const int *shape, size_t *size) {
    size_t count = 1;
    for (int i = 0; i < dimensions; i++)
        count *= (size_t)shape[i];
    size_t header = 4 + 4 * (size_t)dimensions;
    uint8_t *bytes = calloc(1, header + count);
    assert_non_null(bytes);
    bytes[2] = 0x08;
    bytes[3] = (uint8_t)dimensions;
    for (int i = 0; i < dimensions; i++)
        for (int j = 0; j < 4; j++)
            bytes[4 + 4 * i + j] = (uint8_t)(shape[i] >> (24 - 8 * j));
    memcpy(bytes + header, values, count);
    *size = header + count;
    return bytes;
}

/* A pack of `train` and `test` examples with 2 x 3 pixels: pixel j of example i is (7 i + j) mod 256, its label labels[i]. */
static inline const char *fixture_pack(const char *name, const uint8_t *labels, int train, int test) {
    int counts[2] = {train, test};
    const char *files[4];
    for (int s = 0; s < 2; s++) {
        uint8_t *pixels = malloc(6 * (size_t)counts[s]);
        assert_non_null(pixels);
        for (int i = 0; i < 6 * counts[s]; i++)
            pixels[i] = (uint8_t)(7 * (i / 6) + i % 6);
        int shape[3] = {counts[s], 2, 3};
        size_t size;
        files[2 * s] = fixture_path(s ? "test-images" : "train-images");
        uint8_t *bytes = fixture_idx(pixels, 3, shape, &size);
        fixture_write(files[2 * s], bytes, size);
        free(bytes);
        free(pixels);
        files[2 * s + 1] = fixture_path(s ? "test-labels" : "train-labels");
        bytes = fixture_idx(labels, 1, shape, &size);
        fixture_write(files[2 * s + 1], bytes, size);
        free(bytes);
    }
    const char *path = fixture_path(name);
    Error error = {0};
    if (dataset_pack_idx("small", files[0], files[1], files[2], files[3], 0.5f, 0.25f, path, &error))
        fail_msg("%s", error.text);
    return path;
}
