/* builtin (private): the trainer of B-MLP and S-MLP. */
#pragma once

#include "sweepd/safetensors.h"
#include "sweepd/train.h"

/* Sets the error's text and is TRAIN_REFUSED. */
#define train_refuse(...) (error_set(__VA_ARGS__), TRAIN_REFUSED)

enum {
    EVALUATION_BATCH_MAX = 250,   /* more leave the cache */
    EVALUATION_BYTES = 16 << 20,  /* of activations, where a training batch does not take more */
    EVALUATION_TOP = 5,           /* of so many likeliest classes one should be the right one */
    EVALUATION_TRAIN_MAX = 10000, /* training examples that the last evaluation looks at */
    EVALUATION_WAY_MAX = 1000,    /* examples of each set that the others look at */
};

typedef struct Builtin {
    Trainer base;
    char key[RUN_KEY_MAX];
    DatasetMap *data;
    Split split;
    BackendKind backend;
    Model *model;
    Optimizer *optimizer;
    int64_t batch, evaluation_batch, steps_per_epoch;
    double step_flops, first_flops; /* of a step; before the first */
    int64_t epoch;                  /* whose order is in `order`; -1: none */
    uint32_t *order;                /* [split.train_count] */
    uint32_t *indices;              /* [batch_max] */
    uint32_t *sample;               /* [sample_count], of the test set: what evaluations on the way look at */
    int64_t sample_count;
    float *x;                  /* [batch_max, inputs]; NULL where the model takes it rounded */
    Augmenter *augmenter;      /* NULL: images are taken as they are */
    uint16_t *others;          /* [batch]: labels of the images that are mixed in; NULL: none */
    float lambda;              /* of the batch that stands ready */
    uint16_t *labels;          /* [batch_max] */
    Augmenter *test_augmenter; /* NULL: no test-time augmentation */
    RealLabels real;           /* first NULL: none */
    double *outputs;           /* [evaluation_batch, classes]; NULL: not wanted */
    char home[PATH_TEXT_MAX];

    /* Of an item of eval, see transfer.c. */
    size_t frozen;            /* parameters, all before the head, that are not trained; 0: none */
    bool keeps_features;      /* then: */
    void *features;           /* [split.train_count, width] as products read them; NULL: not begun */
    uint16_t *feature_labels; /* [split.train_count] */
    int64_t feature_count;    /* examples whose features are there */
} Builtin;

/* The run's data, by name or by path. 0, TRAIN_REFUSED, -1. */
int train_open_data(DatasetMap **out, const char *home, const Run *run, Error *error);
/* Where they are. */
int train_locate_data(char path[PATH_TEXT_MAX], const char *home, const Run *run, Error *error);

/* What a trainer is made for, beside its run. */
typedef struct BuiltinOrigin {
    const char *home;
    BackendKind backend;
    bool freezes, keeps_features;
} BuiltinOrigin;

/* Everything but the initial weights. 0, TRAIN_REFUSED, -1. */
int builtin_make(Builtin **out, const Run *run, const BuiltinOrigin *origin, Error *error);
void builtin_free(Builtin *builtin);

/* named: as backend_choose_named. 0, TRAIN_REFUSED. */
int builtin_choose_backend(const Run *run, const char *named, BackendKind *out, Error *error);
int builtin_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error);
/* The examples of builtin->indices, as the model reads them: x and the labels. */
void builtin_gather(Builtin *builtin, DataSection section, int64_t count);
/* Draws the sample. */
int builtin_evaluation_prepare(Builtin *builtin, Error *error);
/* What the end of a run alone measures: what it takes, and the measuring. 0, TRAIN_REFUSED, -1; 0, TRAIN_STOPPED, -1. */
int final_prepare(Builtin *builtin, Error *error);
int final_evaluate(Builtin *builtin, const TrainLoop *loop, Point *out, Error *error);
int builtin_evaluate(Trainer *trainer, Point *out, Error *error);
/* 0, or -1: the point has no room for it. */
int builtin_set_metric(Point *out, const char *name, double value, Error *error);
int builtin_save(Trainer *trainer, const char *path, Error *error);
int builtin_load(Trainer *trainer, const char *path, Error *error);
/* What a checkpoint says of its step, from 0 to max, unchecked; 0 where there is none. */
int64_t checkpoint_step(const char *path, int64_t max);

/* Takes a file's tensors into the model: names and shapes must be the model's, values finite.
 * Without the head, that of the file may have any shape. 0, TRAIN_REFUSED with the model as it was,
 * -1. */
int weights_load(Model *model, const char *path, bool with_head, Error *error);
