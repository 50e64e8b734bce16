/* safetensors (layer data): 8 bytes little-endian header size, a JSON header, raw little-endian data; of single-precision tensors with one
 * or two dimensions. Weights to start from, weights that were kept, checkpoints. */
#pragma once

#include "sweepd/data.h"

enum {
    SAFETENSORS_LENGTH_BYTES = 8,
    SAFETENSORS_HEADER_MAX = 4 << 20,
};

typedef struct SafetensorsEntry {
    const char *name;
    int dimensions; /* 1 or 2 */
    int64_t shape[2];
    const float *data; /* F32; row-major */
} SafetensorsEntry;

/* Replaces the file at once or not at all, mode 0644. entries: [count]; metadata_pairs: [2 pairs], each a name and its value. 0 or -1. */
int safetensors_write(const char *path, const SafetensorsEntry *entries, size_t count, const char *const *metadata_pairs, size_t pairs,
                      Error *error);

/* Whether a regular file, and no link to one, begins as such a file does. */
bool safetensors_is_there(const char *path);

typedef struct Safetensors Safetensors; /* an opened file */
/* Reads the header and maps the data. 0; DATA_REFUSED: a bad file, with the byte, or one that is not there; -1: this machine cannot open or
 * read it. The path must outlive it. */
int safetensors_open(Safetensors **out, const char *path, Error *error);
void safetensors_free(Safetensors *file);
/* What these return is the file's, and goes with it. */
size_t safetensors_count(const Safetensors *file);
const SafetensorsEntry *safetensors_entry(const Safetensors *file, size_t index);
const SafetensorsEntry *safetensors_find(const Safetensors *file, const char *name); /* NULL when absent */
const char *safetensors_metadata(const Safetensors *file, const char *key);          /* NULL when absent */
/* Whether the file has no tensors but those of wanted[known], and the first `count` of these, with their shapes. ignored: names that begin
 * so may be there too; NULL: none. 0, or DATA_REFUSED with the tensor. */
int safetensors_check(const Safetensors *file, const SafetensorsEntry *wanted, size_t count, size_t known, const char *ignored,
                      Error *error);
/* That wanted[count], which are there, hold numbers alone. 0, or DATA_REFUSED with the byte. */
int safetensors_check_finite(const Safetensors *file, const SafetensorsEntry *wanted, size_t count, Error *error);
