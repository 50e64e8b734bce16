/* A directory of the test's own, which goes away again with all that is in it. */
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
#include <unistd.h>

#include "sweepd/base.h"

static char scratch_root[256];

static inline int entry_remove(const char *path, const struct stat *status, int type, struct FTW *walk) {
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* With all that is in it. */
static inline int directory_remove(const char *path) {
    return nftw(path, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* $TMPDIR/sweepd-test-XXXXXX. */
static inline int directory_make_temporary(char *path, size_t capacity) {
    const char *parent = getenv("TMPDIR");
    int size = snprintf(path, capacity, "%s/sweepd-test-XXXXXX", parent ? parent : "/tmp");
    return size > 0 && (size_t)size < capacity && mkdtemp(path) ? 0 : -1;
}

static inline int scratch_setup(void **state) {
    (void)state;
    return directory_make_temporary(scratch_root, sizeof scratch_root);
}

static inline int scratch_teardown(void **state) {
    (void)state;
    return directory_remove(scratch_root);
}

/* In the directory; the last eight stay as they are. */
static inline const char *scratch_path(const char *name) {
    static char paths[8][PATH_TEXT_MAX];
    static int next;
    char *path = paths[next++ % 8];
    assert_int_equal(path_format(path, NULL, "%s/%s", scratch_root, name), 0);
    return path;
}

static inline void scratch_write(const char *path, const void *bytes, size_t size) {
    remove(path); /* some file systems write through when a file is cut and written anew */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file's bytes; the caller frees them. */
static inline uint8_t *scratch_read(const char *path, size_t *size) {
    Buffer buffer;
    Error error;
    buffer_init(&buffer, 1 << 22);
    assert_int_equal(file_read(path, 1 << 22, &buffer, &error), 0);
    *size = buffer.size;
    return (uint8_t *)buffer.data;
}

/* An IDX file's bytes; the caller frees them. values: [shape[0]][shape[1]]... */
static inline uint8_t *idx_make(const uint8_t *values, int dimensions, const int *shape, size_t *size) {
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

static inline void idx_write(const char *path, const uint8_t *values, int dimensions, const int *shape) {
    size_t size;
    uint8_t *bytes = idx_make(values, dimensions, shape, &size);
    scratch_write(path, bytes, size);
    free(bytes);
}

/* The images of a section and their labels. */
static inline void idx_write_section(const char *images, const char *labels, const uint8_t *pixels, const uint8_t *classes,
                                     const int shape[3]) {
    idx_write(images, pixels, 3, shape);
    idx_write(labels, classes, 1, shape);
}
