/* A sweep's runs as the fits and figures take them, with a count of those that had to be left out. */
#pragma once

#include "source.h"

#include "sweepd/fit.h"

#include <jansson.h>

typedef enum { COUNT_EXACT, COUNT_PAPER, COUNT_6ND } FlopCount;

typedef struct StudyOptions {
    char metric[SWEEP_NAME_MAX];
    FlopCount flops;
    bool body_params; /* parameters of the blocks alone */
    unsigned methods; /* FitMethod bits */
    int64_t resamples;
    uint64_t seed;
} StudyOptions;

typedef struct StudyRun {
    int64_t id;
    char key[RUN_KEY_MAX];
    RunState state;
    char model[ARCH_NAME_MAX];
    double params, params_body; /* counts */
    int64_t depth, width, examples;
    uint64_t seed;
    double lr;
    size_t setting; /* into Study.settings; runs of one setting differ in model, examples and seed alone */
    Flops flops;
    double metric; /* of the last point; NaN: none */
} StudyRun;

typedef struct Study {
    SweepRecord sweep;
    StudyOptions options;
    StudyRun *runs; /* owned; in the sweep's order */
    size_t run_count, run_capacity;
    json_t *settings; /* owned; an array of objects, name to value, in the sweep's order; NULL: not known (settings.h) */
    FitPoint *points; /* owned; the runs that are done and have a positive metric */
    size_t point_count;
    Point seen; /* the last point of some run, for the names of the metrics that there are */
    int64_t diverged, failed, cancelled, unfinished, without_metric, not_positive; /* left out, why */
    int64_t mixed;           /* cells of one model and one number of examples whose runs differ in more than their seed */
    char mixed_settings[80]; /* in what, where that is known: "lr, epochs" */
} Study;

/* From --metric, --method, --flops, --params, --bootstrap, --seed; `settings` gives what is not stated. */
void study_options_read(StudyOptions *out, const Arguments *arguments, const FitSettings *settings);
/* 0, or as source_runs. */
int study_load(Study *out, Source *source, const SweepRecord *sweep, const StudyOptions *options, Error *error);
/* The sweep that the arguments name, with the options that they and the sweep's file give. */
int study_open(Study *out, Source *source, const Arguments *arguments, Error *error);
void study_deinit(Study *study);
/* What was left out, as warnings after those of a fit. */
void study_warnings(const Study *study, FitWarnings *out);
/* "exact FLOPs executed in training" and the like. */
const char *flop_count_words(FlopCount count);
const char *flop_count_text(FlopCount count); /* "exact", "paper", "6nd" */
/* One number for each convention. */
double flop_count_of(const Flops *flops, FlopCount count);

/* The results as a table to stdout: a row for each model and each of its settings, a column for each number of examples, the metric's
 * mean over the seeds. */
int study_print(const Study *study, const Cli *cli, Error *error);
