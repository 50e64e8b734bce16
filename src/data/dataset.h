/* dataset (private): what a mapped pack looks like to the rest of the layer. */
#pragma once

#include "sweepd/data.h"

#include <sys/types.h>
#include <time.h>

enum { DATA_SECTIONS = 2, PACK_PARTS = 4, PACK_PAGE = 4096 };

/* Changes when a file's bytes are written or another takes its name. */
typedef struct FileIdentity {
    dev_t device;
    ino_t number;
    struct timespec written;
} FileIdentity;

struct DatasetMap {
    DataInfo info;
    const uint8_t *images[DATA_SECTIONS]; /* [count, inputs], by DataSection */
    const uint8_t *labels[DATA_SECTIONS]; /* [count], each < classes */
    float centre, scale;                  /* x = (byte - centre) * scale */
    void *address;
    size_t size;
    FileIdentity identity;
};

/* Sets the error's text and is DATA_REFUSED. */
#define data_refuse(...) (error_set(__VA_ARGS__), DATA_REFUSED)

/* Packs train images, train labels, test images, test labels. A digest other than `expected` is DATA_REFUSED; NULL takes any. */
int pack_idx(const char *name, const char *const paths[PACK_PARTS], float mean, float deviation, const char *expected, const char *out_path,
             Error *error);
