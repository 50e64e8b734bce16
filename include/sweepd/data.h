/* data: dataset readers, the packed form that workers map, downloads, subsets, augmentation, batches.
 *
 * Packed file (docs/packed-data.md): a header page with magic, version, counts, shapes, mean and deviation of each channel, and digest,
 * then train images, train labels, test images, test labels and class names, each section aligned to 4096 bytes. An image is [channels,
 * height, width], one byte a value; normalisation happens when a batch is gathered. Mapped read-only and shared, so that any number of
 * workers holds one copy. */
#pragma once

#include "sweepd/base.h"

enum {
    DATA_REFUSED = 1, /* a file is wrong or missing; the error names it and, where it has one, the byte offset */
    DATA_STOPPED = 2, /* the caller's should_stop said so */
    DATA_CHANNELS_MAX = 4,
    DATA_CLASSES_MAX = 65535,
};

/* ---- IDX (LeCun's format), plain or gzipped ---- */

typedef struct Idx {
    int dimensions;   /* 1 to 3 */
    int64_t shape[3]; /* unused ones are 1 */
    uint8_t *bytes;   /* owned */
    size_t size;      /* product of the shape */
} Idx;

/* Reads unsigned-byte IDX. 0; DATA_REFUSED: truncated, oversized, wrong magic, trailing bytes (zeros may follow gzip data); -1. */
int idx_read(Idx *out, const char *path, Error *error);
void idx_deinit(Idx *idx);

/* ---- packed data, mapped ---- */

typedef struct DatasetMap DatasetMap;

typedef struct DataInfo {
    char name[64];
    char digest[SHA256_HEX_MAX]; /* SHA-256 over all below, the images, labels and class names; docs/packed-data.md has the bytes */
    int64_t height, width, channels;
    int64_t inputs; /* channels * height * width */
    int64_t classes;
    int64_t train_count, test_count;
    /* Pixels scaled to [0, 1] are normalised by them. `dataset_pack` measures them on the training images; fashion-mnist as the program
     * packs it by itself has rounded ones, 0.286 and 0.353, and so is other data than the same files packed by `dataset_pack`. */
    float mean[DATA_CHANNELS_MAX], deviation[DATA_CHANNELS_MAX];
} DataInfo;

/* Opens the pack with this name and digest: HOME/data/NAME-<digest>.pack, or HOME/data/NAME.pack when its digest is this. Where neither is
 * there, a known name is packed first (atomically; concurrent makers are harmless) from the files that dataset_own_files finds. A digest
 * other than `digest` is DATA_REFUSED. The bytes are verified once, which PATH.verified remembers for every process as long as the file is
 * not written. From one thread. 0, DATA_REFUSED, -1. */
int dataset_open(DatasetMap **out, const char *home, const char *name, const char *digest, Error *error);
/* The same, for the path of the pack, which is absolute; the bytes are verified, and nothing stays mapped. 0, DATA_REFUSED, -1. */
int dataset_locate(char path[PATH_TEXT_MAX], const char *home, const char *name, const char *digest, Error *error);
/* The pack at a path, which must have this name and digest: as dataset_open, but that nothing is looked for or made. */
int dataset_open_pack(DatasetMap **out, const char *path, const char *name, const char *digest, Error *error);
/* Packs four IDX files: train images, train labels, test images, test labels; one channel, of this mean and deviation. `expected`: the
 * digest it must have, else nothing is written; NULL: any. Sets *info. 0, DATA_REFUSED, -1. */
enum { PACK_IMAGE_PARTS = 4 };
int dataset_pack_idx(const char *name, const char *const paths[PACK_IMAGE_PARTS], float mean, float deviation, const char *expected,
                     const char *out_path, DataInfo *info, Error *error);
/* Maps a packed file. verify: check the digest against the bytes, unless this process verified the same file lately and it was not written
 * since; else only the header, sizes and labels. 0, DATA_REFUSED, -1. */
int dataset_map(DatasetMap **out, const char *path, bool verify, Error *error);
void dataset_free(DatasetMap *data);
/* From now on images are normalised by the mean and deviation of `like`, which has as many channels, and not by their own. */
void dataset_normalise_as(DatasetMap *data, const DatasetMap *like);
const DataInfo *dataset_info(const DatasetMap *data); /* the map's */
/* The map's; "" when the pack has no names. */
const char *dataset_class_name(const DatasetMap *data, int64_t label);
/* 1 to 63 letters, digits, '-', '_' and '.', the first a letter or digit. */
bool dataset_name_is_plain(const char *name, size_t size);
/* Of a data set that is packed from its published files when a run needs it: a pack of another kind under its name is not looked for. */
bool dataset_name_is_own(const char *name);
/* Whether a regular file, and no link to one, begins as packs of every version do. */
bool dataset_is_pack(const char *path);
/* The published files of such a data set: those of $SWEEPD_DATA/NAME, where that is there, else of /usr/share/datasets/NAME. 0;
 * DATA_REFUSED: one is missing there, with the mend; -1. */
int dataset_own_files(const char *name, char paths[PACK_IMAGE_PARTS][PATH_TEXT_MAX], Error *error);
/* What the header says, without looking at the rest. 0, DATA_REFUSED when there is no such file or it is no pack, -1. */
int dataset_header_read(const char *path, DataInfo *out, Error *error);

/* ---- packing what others publish ---- */

typedef struct PackSkip {
    char *name;   /* of the image that could not be read, or of a file whose name has "..", owned */
    char *reason; /* owned */
} PackSkip;

enum { PACK_ENDING_MAX = 16, PACK_LEFT_MAX = 16, PACK_CLASS_MAX = 256 };

/* Files of the source that no format takes. */
typedef struct PackLeft {
    char ending[PACK_ENDING_MAX]; /* ".bmp", in small letters; "hidden", "others" */
    int64_t count;
} PackLeft;

typedef struct PackClasses {
    int64_t count;
    char first[PACK_CLASS_MAX]; /* its name, cut to fit; its number where the source has no names */
} PackClasses;

typedef struct PackReport {
    DataInfo info;
    const char *format; /* "CIFAR-10", "image folder", ...; static */
    PackSkip *skips;    /* [skip_count], in the order of their names, owned */
    size_t skip_count;
    PackLeft left[PACK_LEFT_MAX]; /* [left_count], in the order of their first file; what is beyond is in "others" */
    size_t left_count;
    PackClasses empty;     /* folders train/CLASS/ without an image that is taken */
    PackClasses untested;  /* with images to train on, but none to test on */
    PackClasses untrained; /* with images to test on, but none to train on */
} PackReport;

typedef struct PackOptions {
    const char *name;                                                /* of the data set, for the header */
    int64_t height, width;                                           /* 0: as the source has it */
    int64_t channels;                                                /* 1 or 3; 0: as the source has it, 3 for encoded images */
    int threads;                                                     /* 0: one a core */
    const bool *classes;                                             /* [DATA_CLASSES_MAX] those to keep, numbered anew; NULL: all */
    void (*on_progress)(void *context, int64_t done, int64_t total); /* images; may be NULL; from the calling thread */
    bool (*should_stop)(void *context);                              /* may be NULL */
    void *context;
} PackOptions;

/* Packs a folder, tar (also compressed) or zip that holds CIFAR-10, CIFAR-100 or STL-10 in their binary versions, Tiny ImageNet, images in
 * the ImageNet layout (train/CLASS/..., val/CLASS/... or test/CLASS/...; JPEG, PNG), or, in a folder alone, the four IDX files; which it is
 * follows from the names in it. Images of another size are resized: an axis that shrinks by area, one that grows bilinearly. An image that
 * cannot be decoded and a file whose name has ".." are skipped and reported; whatever else is wrong is DATA_REFUSED with the file, the
 * entry and, where there is one, the byte, and nothing is written. The same images give the same pack from a folder, a tar and a zip. */
int dataset_pack(PackReport *report, const char *source, const char *out_path, const PackOptions *options, Error *error);
void pack_report_deinit(PackReport *report);

/* ---- downloads ---- */

typedef struct DownloadSource {
    const char *name;  /* "cifar10" */
    const char *title; /* "CIFAR-10" */
    const char *file, *url, *md5;
    int64_t bytes;                                                     /* about */
    int64_t height, width, channels, classes, examples, test_examples; /* of a pack at its own size */
} DownloadSource;

const DownloadSource *download_source_at(size_t index); /* NULL past the last */
const DownloadSource *download_source_find(const char *name);
/* The commands that make the home's pack of this name: "'sweepctl data fetch cifar10', then 'sweepctl data pack cifar10 cifar10-64 --size
 * 64'". A name that begins with a known one's and '-' is taken for that set in another size. inputs, classes: of the data, channels: of
 * what is packed, where they are known; else 0. */
void data_append_commands(const char *name, int64_t inputs, int64_t classes, int64_t channels, Buffer *out);

typedef struct DownloadOptions {
    const char *md5, *sha256;                                        /* hexadecimal; NULL: not checked */
    double stall_seconds;                                            /* give up when nothing arrives for so long; 0: 30 */
    void (*on_progress)(void *context, int64_t done, int64_t total); /* bytes; total 0: not known; may be NULL */
    bool (*should_stop)(void *context);                              /* may be NULL */
    void *context;
} DownloadOptions;

/* Downloads url to path by way of path.part, which a failure leaves for the next call to go on from, and which is renamed only when the
 * transfer is whole and its checksum right; a part with a wrong checksum is removed. Redirects are followed; proxies are as curl has them.
 * A path that is there already is checked, and fetched anew when its checksum is wrong. DATA_REFUSED: the server's answer, the checksum or
 * the connection, with the URL. DATA_STOPPED. */
int download_file(const char *url, const char *path, const DownloadOptions *options, Error *error);

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
 * shares are whole. (Largest remainders size by size would not nest.) 0, DATA_REFUSED when more is asked for than there is, -1. */
int split_make(Split *out, const DatasetMap *data, int64_t validation, int64_t examples, uint64_t subset_seed, Error *error);
void split_deinit(Split *split);

/* The order of an epoch: a shuffle of 0..count-1, into order [count], that depends on (seed, epoch) alone. */
void epoch_order(uint64_t seed, int64_t epoch, uint32_t *order, int64_t count);

/* ---- batches ---- */

typedef enum { DATA_TRAIN, DATA_TEST } DataSection;

/* indices: [count], each below the section's count; x: [count, inputs] row-major = (byte / 255 - mean) / deviation, mean and deviation
 * those of the value's channel; labels: [count]. Gather, conversion and normalisation in one pass. */
void batch_gather(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, float *x, uint16_t *labels);
/* The same from rows of bytes in memory, [.., inputs]: x = (byte - centre) * scale. */
void rows_gather(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale, float *x);
/* Both again with x rounded to bfloat16. */
void batch_gather_rounded(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count, uint16_t *x,
                          uint16_t *labels);
void rows_gather_rounded(const uint8_t *rows, int64_t inputs, const uint32_t *indices, int64_t count, float centre, float scale,
                         uint16_t *x);
/* Says that these rows will be gathered soon: of data that exceed the memory, they are read meanwhile; else nothing happens. */
void batch_expect(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count);

/* ---- augmentation: of training images, while they are gathered ---- */

/* 0 stands for "not done". The crops that are stretched are those of Szegedy et al. 2015 (arXiv:1409.4842), MixUp is that of Zhang et al.
 * 2018 (arXiv:1710.09412). */
typedef struct Augmentation {
    int flip;        /* 1: every other image is mirrored, left to right */
    int64_t padding; /* a crop of the image's own size out of the image with so many black pixels around it */
    double scale[2]; /* a crop of this share of the image's area, from and to, stretched to the image's size */
    double ratio[2]; /* of such a crop's width to its height, from and to, uniform in the logarithm */
    double mixup;    /* alpha: images and targets are mixed in pairs, lambda drawn from Beta(alpha, alpha) for each batch */
} Augmentation;

bool augment_is_on(const Augmentation *settings);

/* Where a training image is taken from. A padded crop may begin above and left of it. */
typedef struct AugmentBox {
    int64_t top, left, height, width;
    bool flip; /* after the crop */
} AugmentBox;

/* What happens to an image follows from these alone. */
AugmentBox augment_draw(const Augmentation *settings, int64_t height, int64_t width, uint64_t seed, int64_t epoch, uint32_t example);
/* A batch's lambda; 1 without MixUp. */
float augment_lambda(const Augmentation *settings, uint64_t seed, int64_t step);

typedef struct Augmenter Augmenter;

/* The data must outlive it. 0, DATA_REFUSED when the settings do not suit the images, -1. */
int augmenter_new(Augmenter **out, const DatasetMap *data, const Augmentation *settings, uint64_t seed, Error *error);
void augmenter_free(Augmenter *augmenter);
/* Whose images it takes; the training ones until it is told. */
void augmenter_set_section(Augmenter *augmenter, DataSection section);
/* As batch_gather, from the training images, augmented. Example i of the batch is mixed with example count - 1 - i: x = lambda own + (1 -
 * lambda) other; others: [count] that one's label, may be NULL. */
void augmenter_gather(Augmenter *augmenter, const uint32_t *indices, int64_t count, int64_t epoch, float lambda, float *x, uint16_t *labels,
                      uint16_t *others);

/* ---- labels of which an image may have several, or none: JSON, a list of a list of classes for each image ---- */

enum { REAL_FILE_MAX = 64 << 20 };

typedef struct RealLabels {
    uint32_t *first;  /* [count + 1]: where each image's classes begin among */
    uint16_t *labels; /* [first[count]] */
} RealLabels;

/* Reads the file, which must have the digest, a list for each of `count` images, and classes below `classes`. 0, DATA_REFUSED with the
 * byte, -1. To be cleared in any case. */
int real_read(RealLabels *out, const char *path, const char *digest, int64_t count, int64_t classes, Error *error);
void real_deinit(RealLabels *real);
bool real_has(const RealLabels *real, int64_t image, int64_t label);
