/* saved (private to train): a checkpoint as a file, whatever trains the run: safetensors whose metadata state its format, whose run it is
 * and where that stands, and a digest of all of these and the tensors. docs/checkpoints.md lists the names. */
#pragma once

#include "sweepd/safetensors.h"
#include "sweepd/train.h"

enum { SAVED_ITEMS_MAX = 8, SAVED_TEXT_MAX = 40 };

typedef struct SavedForm {
    const char *format;
    const char *run;          /* its key */
    const char *const *names; /* [count] of what is stated beside format, run and digest */
    size_t count;             /* at most SAVED_ITEMS_MAX */
} SavedForm;

/* texts: [form->count]. 0 or -1. */
int saved_write(const SavedForm *form, const char *const *texts, const SafetensorsEntry *entries, size_t entry_count, const char *path,
                Error *error);
/* 0; TRAIN_REFUSED: not there, damaged, of another format or run; -1: it could not be read. The path must outlive the file. */
int saved_open(Safetensors **out, const SavedForm *form, const char *path, Error *error);
/* Of what is stated: false when it is no whole number, or no number at all, from 0 to max. */
bool saved_whole(const Safetensors *file, const char *name, int64_t max, int64_t *out);
bool saved_number(const Safetensors *file, const char *name, double max, double *out);

/* safetensors_open with the outcomes of training. 0, TRAIN_REFUSED, -1. */
int train_open_tensors(Safetensors **out, const char *path, Error *error);
