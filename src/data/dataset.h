/* dataset (private): the pack's layout, and what a mapped pack looks like to the rest of the layer. */
#pragma once

#include "sweepd/data.h"

#include <string.h>
#include <sys/types.h>
#include <time.h>

enum { DATA_SECTIONS = 2, PACK_PARTS = 5, PACK_PAGE = 4096 };

enum {
    PACK_INPUTS_MAX = 1 << 24,
    PACK_COUNT_MAX = INT32_MAX,
    PACK_NAMES_MAX = 1 << 24, /* bytes of class names */
};

typedef enum { PART_TRAIN_IMAGES, PART_TRAIN_LABELS, PART_TEST_IMAGES, PART_TEST_LABELS, PART_NAMES } PackPart;

typedef struct PackLayout {
    uint64_t offset[PACK_PARTS], bytes[PACK_PARTS], size;
} PackLayout;

typedef struct PackHeader {
    DataInfo info;
    uint64_t names_size; /* bytes of class names, each ended by a zero byte */
    PackLayout layout;
} PackHeader;

/* Sets the error's text and is DATA_REFUSED. */
#define data_refuse(...) (error_set(__VA_ARGS__), DATA_REFUSED)
/* A file could not be opened or read, and errno says why. DATA_REFUSED when its path is wrong, -1 when this machine hinders it now: a
 * missing right, a bad disk, too many open files. */
int data_open_failed(const char *path, Error *error);

/* The first bytes of a regular file, and how long it is. false: there is none, or a shorter one, or a link or anything else. */
bool data_first_bytes(const char *path, uint8_t *out, size_t size, int64_t *file_size);

/* Asked in the middle of what takes long, which is then DATA_STOPPED. */
typedef struct Stop {
    bool (*should_stop)(void *context); /* NULL: never */
    void *context;
} Stop;

static inline bool stop_is_asked(const Stop *stop) {
    return stop->should_stop && stop->should_stop(stop->context);
}

/* A label takes one byte up to 256 classes, else two. */
int pack_label_bytes(const DataInfo *info);
void pack_layout_set(PackHeader *header);
/* page: PACK_PAGE zero bytes. */
void pack_header_put(uint8_t *page, const PackHeader *header);
int pack_header_get(const uint8_t *page, const char *path, PackHeader *header, Error *error);
/* Damage at a byte of the pack. */
int pack_refuse(const char *path, uint64_t offset, const char *what, Error *error);
/* Over all that decides a result or names a part of it: shape, counts, mean and deviation, the four parts, and the class names, which are
 * [names_size], or NULL when that is 0. docs/packed-data.md gives the bytes. 0, DATA_STOPPED, -1. */
int pack_digest(const PackHeader *header, const uint8_t *pack, const char *names, const Stop *stop, char hex[SHA256_HEX_MAX], Error *error);
bool pack_digest_is_plain(const char *digest);
/* 0, or DATA_REFUSED when it is no name for a data set. */
int pack_name_set(DataInfo *info, const char *name, Error *error);
bool pack_scale_is_usable(const DataInfo *info);

/* Changes when a file's bytes are written or another takes its name. */
typedef struct FileIdentity {
    dev_t device;
    ino_t number;
    off_t size;
    struct timespec written, changed;
} FileIdentity;

typedef struct RowReader RowReader;

struct DatasetMap {
    DataInfo info;
    const uint8_t *images[DATA_SECTIONS]; /* [count, inputs], by DataSection */
    const uint8_t *labels[DATA_SECTIONS]; /* [count] of label_bytes, each < classes */
    int label_bytes;
    const char *names;                                         /* NULL: none */
    float centre[DATA_CHANNELS_MAX], scale[DATA_CHANNELS_MAX]; /* x = (byte - centre) * scale */
    bool exceeds_memory;
    RowReader *reader; /* NULL: rows are taken from the map */
    PackHeader header;
    void *address;
    size_t size;
    FileIdentity identity;
};

/* Reads rows around the page cache. NULL where that cannot be done. The path is the map's. */
RowReader *row_reader_new(const DatasetMap *data, const char *path);
void row_reader_free(RowReader *reader);
/* Begins to read a batch; that of the call before stays. false: it is too large, or a read failed before. */
bool row_reader_ask(RowReader *reader, DataSection section, const uint32_t *indices, int64_t count);
/* Where the rows of a batch are, once they are there; valid until the next but one is asked for. NULL: not to be had so. */
const uint8_t *const *row_reader_take(RowReader *reader, DataSection section, const uint32_t *indices, int64_t count);

/* The rows of a batch, wherever they are. */
typedef struct BatchRows {
    const uint8_t *const *staged; /* NULL: in the map */
    const uint8_t *first;
    int64_t inputs;
    const uint32_t *indices;
} BatchRows;

BatchRows batch_rows(const DatasetMap *data, DataSection section, const uint32_t *indices, int64_t count);

static inline const uint8_t *batch_row(const BatchRows *rows, int64_t i) {
    return rows->staged ? rows->staged[i] : rows->first + (int64_t)rows->indices[i] * rows->inputs;
}

/* Maps a pack and checks its digest, unless a process has before. */
int dataset_map_once(DatasetMap **out, const char *path, Error *error);
/* Whether the file was found right, and that it was. */
bool stamp_holds(const DatasetMap *data, const char *path);
void stamp_write(const DatasetMap *data, const char *path);

static inline uint16_t label_at(const uint8_t *labels, int label_bytes, int64_t index) {
    if (label_bytes == 1)
        return labels[index];
    return (uint16_t)(labels[2 * index] | labels[2 * index + 1] << 8);
}

static inline uint16_t dataset_label(const DatasetMap *data, DataSection section, int64_t index) {
    return label_at(data->labels[section], data->label_bytes, index);
}

/* ---- writing ---- */

/* A pack on its way to its name. Rows may be filled by several threads, each its own; rows that are not kept are left out. */
typedef struct PackWriter {
    PackHeader header; /* info: counts that there is room for */
    const char *path;
    char temporary[PATH_TEXT_MAX];
    int descriptor;
    uint8_t *address;
    size_t size;
    uint16_t *labels[DATA_SECTIONS]; /* [count] */
    bool *kept[DATA_SECTIONS];       /* [count] */
    Stop stop;                       /* for the end, which takes long; set after opening */
    const int32_t *renumbered;       /* a class's number in the pack by its number in the source, below 0: left out; NULL: as it is */
} PackWriter;

/* info: shape, classes and counts; a deviation above 0 is taken as it is, and the mean beside it, else both are measured. The path must
 * outlive the writer. */
int pack_writer_open(PackWriter *writer, const DataInfo *info, const char *path, Error *error);
uint8_t *pack_writer_row(PackWriter *writer, DataSection section, int64_t index);
void pack_writer_keep(PackWriter *writer, DataSection section, int64_t index, uint16_t label);
/* Closes gaps, measures, writes the class names ([classes], or NULL), and renames. expected: a digest, or NULL. *info: as written. 0,
 * DATA_REFUSED, DATA_STOPPED, -1. */
int pack_writer_finish(PackWriter *writer, const char *const *names, const char *expected, DataInfo *info, Error *error);
/* Which classes have images to train on or to test on alone. names: [classes], or NULL. */
int pack_report_classes(PackReport *report, const PackWriter *writer, const char *const *names, Error *error);
/* Also after a finish that failed or not; removes what was not finished. */
void pack_writer_deinit(PackWriter *writer);

/* Four IDX files that go together. */
typedef struct IdxData {
    Idx idx[PACK_IMAGE_PARTS];
    int64_t classes;
} IdxData;

int idx_data_read(IdxData *out, const char *const paths[PACK_IMAGE_PARTS], Error *error);
void idx_data_deinit(IdxData *data);
/* Shape, classes and counts; a vector is an image of one row. */
void idx_data_info(const IdxData *data, DataInfo *info);
