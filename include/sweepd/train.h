/* train: the training loop, evaluation, checkpoints; the seam through which a worker trains anything. */
#pragma once

#include "sweepd/base.h"
#include "sweepd/data.h"
#include "sweepd/model.h"
#include "sweepd/optim.h"
#include "sweepd/record.h"
#include "sweepd/sweep.h"

enum {
    TRAIN_REFUSED = 1,  /* the run cannot be trained here: data missing, another digest, weights that do not fit; see the error */
    TRAIN_STOPPED = 2,  /* `should_stop` said so; a checkpoint was written when the trainer has a directory */
    TRAIN_DIVERGED = 3, /* the loss became non-finite: a result */
    TRAIN_UNSAVED = 4,  /* a checkpoint could not be written; see the error */
    TRAIN_TIMEOUT = 5,  /* the run's program took longer than it may; see the error */
};

/* ---- the seam: every kind of trainer is one of these ---- */

typedef struct Trainer Trainer;

struct TrainLoop;

typedef struct TrainerInterface {
    const char *name; /* "builtin" */
    /* A trainer that decides itself when it measures, and goes through the loop alone: as train_run, and then neither step nor evaluate is
     * called, or exists. NULL: train_run does it by the two. */
    int (*run)(Trainer *trainer, const struct TrainLoop *loop, Error *error);
    /* Up to `limit` steps from where the trainer stands, fewer at the end. 0, TRAIN_DIVERGED (the step whose loss was not finite is the
     * last one, and counted) or -1. */
    int (*step)(Trainer *trainer, int64_t limit, Error *error);
    /* Measures the metrics at the current step, and sets all of *out: {train,validation,test}_{loss,error}, and _top5_error of more than
     * five classes. Losses are cross-entropies in nats without smoothing; an error whose loss is not finite is NaN too. The builtin trainer
     * measures all of validation and test at the run's last step, and the first 10,000 examples of the subset at most; before it, at most
     * 1,000 examples of each. It takes no memory that trainer_new did not: a batch of it holds no more than a training batch does, or
     * 16 MiB of activations where that is more. 0 or -1. */
    int (*evaluate)(Trainer *trainer, Point *out, Error *error);
    /* Once the run's own training is over and `out` has its last metrics: adds what else is measured then (test-time augmentation, ReaL,
     * eval), which may take long and is stopped as training is. An item of eval has a model and data of its own while it is trained
     * (run_tensor_bytes counts the largest). Returns what train_run may. NULL: nothing is. */
    int (*finish)(Trainer *trainer, const struct TrainLoop *loop, Point *out, Error *error);
    int (*save)(Trainer *trainer, const char *path, Error *error);
    /* 0, TRAIN_REFUSED when the checkpoint is not this run's or is damaged: the trainer is then as it was. */
    int (*load)(Trainer *trainer, const char *path, Error *error);
    void (*free)(Trainer *trainer);
} TrainerInterface;

struct Trainer {
    const TrainerInterface *interface;
    Run run;
    int64_t step, steps;     /* done, planned */
    double seconds;          /* in training steps so far, over all attempts */
    double flops;            /* exact, so far */
    double eval_flops;       /* the same of the items of eval, which are counted apart */
    double memory_bytes;     /* the most that processes of its own took; 0: it has none */
    Environment environment; /* backend, threads, data digest; the worker fills the rest */
};

typedef struct TrainerOptions {
    const char *home; /* for data; see path_home */
    int threads;
    GpuSet gpus;              /* that an external program may use */
    const char *init_weights; /* safetensors to start from, or NULL */
    const char *backend;      /* as backend_choose_named; NULL: the fastest. Builtin trainer only */
} TrainerOptions;

/* Prepares the trainer that run->trainer names. 0, TRAIN_REFUSED, -1. */
int trainer_new(Trainer **out, const Run *run, const TrainerOptions *options, Error *error);
/* What the run is trained with here, as a trainer's environment says it: the backend that its precision gets, "" when it gets none; of runs
 * that no backend trains, the trainer's kind. */
const char *trainer_backend(const Run *run);
void trainer_free(Trainer *trainer);
/* The model of a builtin trainer, NULL for others. */
Model *trainer_model(Trainer *trainer);
/* Removes a checkpoint, and those of the items of eval that lie beside it. */
void checkpoint_remove(const char *path);
/* Writes the model's weights as safetensors (float32). Builtin trainer only. */
int trainer_save_weights(Trainer *trainer, const char *path, Error *error);

/* ---- the loop ---- */

typedef struct TrainLoop {
    const char *checkpoint_path;                                      /* NULL: none are written */
    double checkpoint_seconds;                                        /* between checkpoints */
    bool (*should_stop)(void *context);                               /* asked between chunks of steps of about 50 ms; may be NULL */
    void (*on_progress)(void *context, const Trainer *trainer);       /* then too, and while `finish` works; may be NULL */
    int (*on_point)(void *context, const Point *point, Error *error); /* at every evaluation, the last one included */
    int (*on_checkpoint)(void *context, Error *error);                /* before each checkpoint is written; may be NULL */
    void *context;
} TrainLoop;

/* An external trainer works in the directory of checkpoint_path, where spec.json is the run's, appends to `log` there what its program says
 * on stderr, and writes a checkpoint after each point, for a program that goes on measures none of them again.
 *
 * From where the trainer stands to its end, points at run_evaluation_steps. The same bits come out whether or not it was stopped and
 * resumed. A point may be given again that was given after the checkpoint; a trainer at its end gives its last point again. 0,
 * TRAIN_STOPPED, TRAIN_DIVERGED (a last point with what there is, NaN as NaN, was given to on_point), TRAIN_UNSAVED, TRAIN_TIMEOUT,
 * TRAIN_REFUSED, -1. */
int train_run(Trainer *trainer, const TrainLoop *loop, Error *error);
