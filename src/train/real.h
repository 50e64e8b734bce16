/* real (private): labels of which an image may have several, or none. The file is JSON, a list of a list of classes for each image. */
#pragma once

#include "sweepd/train.h"

enum { REAL_FILE_MAX = 64 << 20 };

typedef struct RealLabels {
    uint32_t *first;  /* [count + 1]: where each image's classes begin among */
    uint16_t *labels; /* [first[count]] */
} RealLabels;

/* Reads the file, which must have its digest, a list for each of `count` images, and classes below `classes`. 0, TRAIN_REFUSED with the
 * byte, -1. To be cleared in any case. */
int real_read(RealLabels *out, const RunFile *file, int64_t count, int64_t classes, Error *error);
void real_deinit(RealLabels *real);
bool real_has(const RealLabels *real, int64_t image, int64_t label);
