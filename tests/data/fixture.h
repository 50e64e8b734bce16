/* Small IDX files and packs in a directory of the test's own. */
#pragma once

#include "../scratch.h"

#include <sys/stat.h>
#include <zlib.h>

#include "sweepd/data.h"

/* A pack of `train` and `test` examples with 2 x 3 pixels: pixel j of example i is (7 i + j) mod 256, its label labels[i]. */
static inline const char *fixture_pack(const char *name, const uint8_t *labels, int train, int test) {
    int counts[2] = {train, test};
    const char *files[4];
    for (int s = 0; s < 2; s++) {
        uint8_t *pixels = malloc(6 * (size_t)counts[s]);
        assert_non_null(pixels);
        for (int i = 0; i < 6 * counts[s]; i++)
            pixels[i] = (uint8_t)(7 * (i / 6) + i % 6);
        files[2 * s] = scratch_path(s ? "test-images" : "train-images");
        files[2 * s + 1] = scratch_path(s ? "test-labels" : "train-labels");
        idx_write_section(files[2 * s], files[2 * s + 1], pixels, labels, (const int[]){counts[s], 2, 3});
        free(pixels);
    }
    const char *path = scratch_path(name);
    DataInfo info;
    Error error = {0};
    if (dataset_pack_idx("small", files, 0.5f, 0.25f, NULL, path, &info, &error))
        fail_msg("%s", error.text);
    return path;
}
