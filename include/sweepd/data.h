/* data: dataset readers, the packed form that workers map, subsets, batches.
 *
 * Packed file (docs/packed-data.md): a header page with magic, version, counts, shapes, per-data-set mean and deviation, and digest, then
 * train images, train labels, test images, test labels, each section aligned to 4096 bytes. Bytes as they are in the source
 * (uint8 pixels); normalisation happens when a batch is gathered. Mapped read-only and shared, so that any number of workers holds one
 * copy. */
#pragma once

#include "sweepd/base.h"

enum { DATA_REFUSED = 1 }; /* a file is wrong or missing; the error names it and, where it has one, the byte offset */

/* ---- IDX (LeCun's format), plain or gzipped ---- */

typedef struct Idx {
    int dimensions;   /* 1 to 3 */
    int64_t shape[3]; /* unused ones are 1 */
    uint8_t *bytes;   /* owned */
    size_t size;      /* product of the shape */
} Idx;

/* Reads unsigned-byte IDX. Truncated, oversized, wrong magic, trailing bytes: DATA_REFUSED. */
int idx_read(Idx *out, const char *path, Error *error);
void idx_deinit(Idx *idx);

/* ---- packed data, mapped ---- */

typedef struct DatasetMap DatasetMap;

typedef struct DataInfo {
    char name[64];
    char digest[SHA256_HEX_MAX]; /* SHA-256 over train images, train labels, test images, test labels */
    int64_t inputs, classes;
    int64_t train_count, test_count;
    float mean, deviation; /* of train pixels scaled to [0, 1] */
} DataInfo;

/* Opens HOME/data/NAME-<digest>.pack, making it first (atomically; concurrent makers are harmless) from the source of a known name:
 * fashion-mnist from $SWEEPD_DATA/fashion-mnist or /usr/share/datasets/fashion-mnist. A digest other than `digest` is DATA_REFUSED. The
 * bytes are verified, once per process as long as the file is not written. From one thread. */
int dataset_open(DatasetMap **out, const char *home, const char *name, const char *digest, Error *error);
/* Packs four IDX files. */
int dataset_pack_idx(const char *name, const char *train_images, const char *train_labels, const char *test_images, const char *test_labels,
                     float mean, float deviation, const char *out_path, Error *error);
/* Maps a packed file. verify: check the digest against the bytes, unless this process verified the same file last and it was not written
 * since; else only the header, sizes and labels. */
int dataset_map(DatasetMap **out, const char *path, bool verify, Error *error);
void dataset_free(DatasetMap *data);
const DataInfo *dataset_info(const DatasetMap *data);

/* ---- splits and subsets: arrays of indices into the train section ---- */

typedef struct Split {
    uint32_t *train; /* [train_count] the run's subset, owned */
    int64_t train_count;
    uint32_t *validation; /* [validation_count], owned */
    int64_t validation_count;
} Split;

/* The validation examples are class-proportional and depend on the data alone (fixed seed), so that no run of any seed trains on them.
 * The subset is drawn from the rest by subset_seed. It is nested: the first n of a larger one of the same seed, so the order is
 * class-proportional at every size: each class has its share of n, rounded down or up, and exactly its share where all
 * shares are whole. (Largest remainders size by size would not nest.) Asking for more than there is: DATA_REFUSED. */
int split_make(Split *out, const DatasetMap *data, int64_t validation, int64_t examples, uint64_t subset_seed, Error *error);
void split_deinit(Split *split);

/* The order of an epoch: a shuffle of 0..count-1 that depends on (seed, epoch) alone. */
void epoch_order(uint64_t seed, int64_t epoch, uint32_t *order, int64_t count);

/* ---- batches ---- */

typedef enum { DATA_TRAIN, DATA_TEST } DataSection;

/* x: [count, inputs] row-major = (byte / 255 - mean) / deviation; labels: [count]. Gather, conversion and normalisation in one pass. */
void batch_gather(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, float *x, uint16_t *labels);
/* The same from rows of bytes in memory: x = (byte - centre) * scale. */
void rows_gather(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale, float *x);
/* Both again with x rounded to bfloat16. */
void batch_gather_rounded(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, uint16_t *x,
                          uint16_t *labels);
void rows_gather_rounded(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale,
                         uint16_t *x);
