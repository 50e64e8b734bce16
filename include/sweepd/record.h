/* record (layer sweep): what is known about sweeps, runs, attempts and points, as plain data. The store keeps these, the wire carries
 * them, the command line shows them. Text that is longer than its array is cut. Times are unix seconds; 0 means "not yet". */
#pragma once

#include "sweepd/sweep.h"

typedef enum { RUN_PENDING, RUN_RUNNING, RUN_DONE, RUN_DIVERGED, RUN_FAILED, RUN_CANCELLED, RUN_STATES } RunState;

typedef enum {
    OUTCOME_OPEN,          /* the attempt is under way */
    OUTCOME_OK,            /* done or diverged */
    OUTCOME_CRASHED,       /* ended by a signal or a non-zero exit: the run's fault */
    OUTCOME_LOST,          /* its lease ran out */
    OUTCOME_PREEMPTED,     /* gave the lease back on SIGTERM or SIGUSR1 */
    OUTCOME_TIMEOUT,       /* the run's fault */
    OUTCOME_OUT_OF_MEMORY, /* the run's fault */
    OUTCOME_REFUSED,       /* the worker cannot train it (data missing or another digest, spec not understood) */
    OUTCOMES
} Outcome;

const char *run_state_text(RunState state);          /* "pending", ... */
int run_state_find(const char *text, RunState *out); /* 0, or 1: no such state */
const char *outcome_text(Outcome outcome);           /* "open", "ok", "crashed", ... */
int outcome_find(const char *text, Outcome *out);
bool outcome_counts(Outcome outcome); /* counts toward the run's retry limit: crashed, timeout, out_of_memory */

enum { POINT_METRICS_MAX = 72, METRIC_NAME_MAX = 64, RECORD_TEXT_MAX = 256 };

/* The most that a run of the built-in trainer measures, by run_metric. */
enum {
    METRICS_OF_SECTION = 3,                               /* error, loss, top5_error */
    METRICS_OF_TRANSFER_MAX = 4 * METRICS_OF_SECTION + 1, /* test, tta.test, validation, train; flops */
    METRICS_OF_RUN_MAX = 4 * METRICS_OF_SECTION + 2,      /* the same sections; real.test_error, tta.real.test_error */
    METRICS_MEASURED_MAX = METRICS_OF_RUN_MAX + RUN_TRANSFERS_MAX * METRICS_OF_TRANSFER_MAX,
};
_Static_assert((int)POINT_METRICS_MAX >= (int)METRICS_MEASURED_MAX, "a point has room for all that a run measures");

typedef struct Metric {
    char name[METRIC_NAME_MAX]; /* "test_error", "validation_loss"; a share or nats; NaN when it could not be had */
    double value;
} Metric;

/* One measurement along a run. */
typedef struct Point {
    int64_t step;    /* steps done */
    double examples; /* examples seen, with repeats */
    double flops;    /* exact, so far */
    double seconds;  /* training time so far, without evaluation, over all attempts that led here */
    size_t metric_count;
    Metric metrics[POINT_METRICS_MAX];
} Point;

/* The metrics that the last point of a run has, in turn; false past the last. Of an external run: those that a sweep file may name. */
bool run_metric(const Run *run, size_t index, char out[METRIC_NAME_MAX]);
bool run_has_metric(const Run *run, const char *name);

/* NaN when the point lacks it. */
double point_metric(const Point *point, const char *name);
/* Sets or adds. False: a name past POINT_METRICS_MAX, or one that is too long, and nothing is set. */
bool point_set_metric(Point *point, const char *name, double value);
/* A whole number of a metric that is neither error, accuracy nor loss, such as "linear.cifar100.flops": to be shown without decimals. */
bool metric_is_count(const char *name, double value);
/* The metrics as a JSON object, NaN as null: {"test_error":0.1,...}; and back. */
void point_format_metrics(const Point *point, Buffer *out);
int point_parse_metrics(Point *point, const char *json, size_t size, Error *error);

/* Where an attempt ran and with what: enough to repeat it. */
typedef struct Environment {
    char host[MACHINE_TEXT_MAX];
    char cpu[MACHINE_TEXT_MAX];
    char version[MACHINE_TEXT_MAX]; /* "0.1.0 (1a2b3c4)" */
    char backend[MACHINE_TEXT_MAX]; /* "openblas 0.3.21 SkylakeX" */
    char data_digest[SHA256_HEX_MAX];
    int64_t pid;
    int64_t threads;     /* of a worker that asks for a run: 0, the daemon's choice */
    double memory_bytes; /* the most that the attempt took, files that are mapped left out; 0: not known */
} Environment;

typedef struct AttemptRecord {
    int64_t id, run_id, number; /* number: 1 for the run's first */
    Outcome outcome;
    char detail[RECORD_TEXT_MAX]; /* why, for people: "signal 9 (Killed)" */
    Environment environment;
    GpuSet gpus; /* of its host, that it has to itself */
    double started_at, ended_at, expires_at;
    double step, flops; /* progress as last heard */
} AttemptRecord;

typedef struct RunRecord {
    int64_t id;
    char key[RUN_KEY_MAX];
    RunState state;
    int64_t attempts; /* that were made */
    int64_t failures; /* that count toward the limit */
    char model[ARCH_NAME_MAX];
    int64_t params, params_body, depth, width, examples;
    uint64_t seed;
    double lr;
    int64_t steps;               /* planned */
    Flops flops;                 /* planned, of the training */
    double eval_flops;           /* planned, exact, of the items of eval */
    double done_flops;           /* exact, of both, as last heard; all of them when done */
    double started_at, ended_at; /* of the last attempt */
    double seconds;              /* training time, from the last point */
    bool has_point;
    Point last;                    /* the latest point */
    char detail[RECORD_TEXT_MAX];  /* of the last attempt: why it failed, diverged or was handed back; "" when done */
    double memory_bytes;           /* that it is given room for; 0: not known */
    int64_t gpus;                  /* that it needs */
    char waiting[RECORD_TEXT_MAX]; /* pending: why no machine has room for it; "" when one has. The daemon's to say, not the store's */
} RunRecord;

typedef struct SweepRecord {
    int64_t id;
    char name[SWEEP_NAME_MAX];
    char data[SWEEP_NAME_MAX];
    char digest[SHA256_HEX_MAX]; /* of the file */
    char state[16];              /* "active", "paused", "cancelled" */
    double submitted_at;
    int64_t runs;
    int64_t by_state[RUN_STATES];
    double done_flops;    /* exact, executed, by the items of eval, too: running ones as last heard */
    double planned_flops; /* exact, what done_flops comes to in the end: a run that was cut short counts what it executed. 0: not known
                             while a run to come has not told its own */
    double first_started_at, last_ended_at;
    char waiting[RECORD_TEXT_MAX]; /* why one of its runs finds no room: "run 7 needs ..."; "" when none has to wait for that */
    int64_t oversized;             /* pending runs that need more memory or GPUs than any machine has that workers asked from */
} SweepRecord;

/* Something that a person may want to know later; kind: "lease_expired", ... (docs/database.md). */
typedef struct EventRecord {
    int64_t id;
    double time;
    char kind[32];
    int64_t sweep_id, run_id, attempt_id; /* 0: none */
    char detail[RECORD_TEXT_MAX];
} EventRecord;

/* What a submit did. */
typedef struct SubmitRecord {
    int64_t sweep_id;
    char name[SWEEP_NAME_MAX];
    int64_t runs;    /* in this file */
    int64_t added;   /* new to the store */
    int64_t shared;  /* already there, from this sweep or another */
    int64_t removed; /* were in the sweep and are not in this file */
    /* Results among the shared that an external program in another directory gave, the first such directory, and this file's. */
    int64_t elsewhere;
    char elsewhere_directory[PROGRAM_DIRECTORY_MAX], directory[PROGRAM_DIRECTORY_MAX];
} SubmitRecord;

/* Says why a run's directory has no log. name: as a person asked for it; home: whose workers would have written it. Negative. */
int run_without_log(const RunRecord *run, const char *name, const char *home, Error *error);
