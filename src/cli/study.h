/* What the fits and figures take: a sweep's runs, or a table's rows, as points, with a count of all that had to be left out and why. */
#pragma once

#include "source.h"
#include "where.h"

#include "sweepd/fit.h"

#include <jansson.h>

/* Before the name of a metric that is also the name of something else that a run has. */
#define METRIC_PREFIX "metrics."

typedef enum { COUNT_EXACT, COUNT_PAPER, COUNT_6ND } FlopCount;

typedef struct StudyOptions {
    char metric[SWEEP_NAME_MAX];
    char select[SWEEP_NAME_MAX]; /* chooses among tuned settings */
    FlopCount flops;
    bool body_params; /* parameters of the blocks alone */
    unsigned methods; /* bit m: FitMethod m */
    FitLoss loss;
    int64_t resamples;
    uint64_t seed;
    double drop_first_share; /* of the runs, those of least compute */
    Where where;
} StudyOptions;

typedef struct StudyRun {
    int64_t id;
    char key[RUN_KEY_MAX];
    RunState state;
    char model[ARCH_NAME_MAX];
    double params, params_body; /* counts; of an external run that has not told: what others of its model have, else 0 */
    int64_t depth, width, examples;
    uint64_t seed;
    double lr;
    size_t setting; /* into Study.settings; runs of one setting differ in model, examples and seed alone */
    Flops flops;
    int64_t attempts, failures;
    double seconds;       /* of training */
    double metric;        /* of the last point; NaN: none */
    double selection;     /* likewise of what chooses among tuned settings */
    size_t position;      /* in the sweep's order */
    size_t cell;          /* runs of one cell differ in tuned keys and seed alone */
    int64_t tuned;        /* the combination of tuned values, the same in every cell */
    bool chosen, outdone; /* of a tuned study: it is of its cell's best setting; it finished, and is not */
} StudyRun;

/* How often a tuned value was the best of its cell. */
typedef struct TunedWin {
    TunedValue value;
    int64_t cells;
} TunedWin;

typedef struct Tuning {
    TunedWin *wins; /* owned; by key and value */
    size_t count;
    int64_t cells; /* of which a setting was chosen */
} Tuning;

/* What the points are without, and what in them is not alike. */
typedef struct LeftOut {
    int64_t unwanted, first, outdone;                /* by --where, by --drop-first-share, by a better setting of the cell */
    int64_t diverged, failed, cancelled, unfinished; /* by their state */
    int64_t without_metric, not_positive;            /* by what they measured */
    int64_t cells;                                   /* pairs of model and examples of which no run is left */
    char cell_names[160];                            /* "B_1-Wi_8 at 500 examples (failed), ..." */
    int64_t mixed;                                   /* such pairs whose runs differ in more than their seed */
    char mixed_settings[80];                         /* in what, where that is known: "lr, epochs" */
} LeftOut;

typedef struct Study {
    bool of_table;            /* a CSV, whose columns say what P, N and C are; then there are points and nothing else */
    char name[PATH_TEXT_MAX]; /* the sweep's, or the table's path */
    SweepRecord sweep;
    StudyOptions options;
    StudyRun *runs; /* owned; in the sweep's order */
    size_t run_count, run_capacity;
    Sweep *file;      /* owned; NULL: not known, or of other runs */
    bool untold;      /* of other runs, among which its tune would choose */
    json_t *settings; /* owned; an array of objects, name to value, in the sweep's order; NULL: not known (settings.h) */
    FitPoint *points; /* owned; the runs that are done and have a positive metric */
    size_t point_count;
    Point seen; /* the metrics of finished runs; NaN where none has a value */
    Tuning tuning;
    LeftOut left_out;
} Study;

/* From --metric, --method, --flops (or --convention), --params, --loss, --bootstrap, --seed, --drop-first-share and --where; `settings`
 * gives what is not stated. 0 or CLI_USAGE. */
int study_options_read(StudyOptions *out, const Arguments *arguments, const FitSettings *settings, Error *error);
/* 0, as source_runs, or CLI_FAILED: see study_open. */
int study_load(Study *out, Source *source, const SweepRecord *sweep, const StudyOptions *options, Error *error);
/* The sweep's runs and what differs between them, without points. 0, or as source_runs. */
int study_load_runs(Study *out, Source *source, const SweepRecord *sweep, Error *error);
/* For a walk along the sweep's runs, or some of them, in their order: the run of that id, from *at on, which is moved behind it. NULL: it
 * came to the sweep since. */
const StudyRun *study_run_after(const Study *study, size_t *at, int64_t id);
/* The sweep of that name, with the options that the arguments and the sweep's file give. Where the file cannot be read any more, or does
 * not tell which runs its tune would choose among, it is refused (CLI_FAILED), unless --metric, or --where, says what to fit. */
int study_open(Study *out, Source *source, const char *name, const Arguments *arguments, Error *error);
/* The table at that path; "-" is standard input. */
int study_open_table(Study *out, const char *path, const Arguments *arguments, Error *error);
/* The sweep or the --points of a verb that takes either. *source: opened for a sweep, NULL for a table; the caller frees it. */
int study_open_either(Study *out, Source **source, const Cli *cli, const Arguments *arguments, Error *error);
/* Whether some finished run has the metric to fit, and of a tuned study the one that chooses: 0, also when none has finished; else the
 * error names those that there are. stated: the metric is --metric's, and CLI_USAGE; else CLI_FAILED. */
int study_check_metric(const Study *study, bool stated, Error *error);
void study_deinit(Study *study);
/* Points from the runs, with what was left out. 0 or negative. */
int study_make_points(Study *study, Error *error);
/* Leaves out the first points by compute; several that share the last compute stay or go together. 0 or negative. */
int study_drop_first(Study *study, Error *error);
/* What was left out, as warnings after those of a fit. */
void study_warnings(const Study *study, FitWarnings *out);
/* Removes the runs that --where does not want. 0, CLI_USAGE or negative. */
int study_keep_wanted(Study *study, Error *error);
/* "exact FLOPs executed in training" and the like. */
const char *flop_count_words(FlopCount count);
const char *flop_count_text(FlopCount count); /* "exact", "paper", "6nd" */
/* One number for each convention. */
double flop_count_of(const Flops *flops, FlopCount count);

/* The results as a table to stdout: a row for each model and each of its settings, a column for each number of examples, the metric's
 * mean over the seeds. */
int study_print(const Study *study, const Cli *cli, Error *error);
