/* Fits, made and told: the text for people and the JSON that scripts read and the store keeps. */
#pragma once

#include "study.h"

#include "sweepd/fit.h"

typedef struct Fits {
    const StudyOptions *options;
    bool of_table;      /* a CSV, whose columns say what P and C are */
    const char *source; /* the sweep's name, or the CSV's path */
    size_t points;
    unsigned methods; /* that were asked for */
    unsigned fitted;  /* of them, those that were not refused */
    ParametricFit parametric;
    IsoflopFit isoflop;
    char parametric_refusal[ERROR_TEXT_MAX], isoflop_refusal[ERROR_TEXT_MAX];
} Fits;

/* The methods that the options ask for. study: whose left-out runs are warned of, or NULL. 0, or negative; refusals are kept. */
int fits_make(Fits *out, const char *source, const FitPoint *points, size_t count, const StudyOptions *options, const Study *study,
              Error *error);
void fits_deinit(Fits *fits);
/* To stdout. */
int fits_print(const Fits *fits, const Cli *cli, Error *error);
/* One method's fit as an object, with schema_version when it stands alone. */
void fits_encode_method(const Fits *fits, FitMethod method, bool alone, Buffer *out);
/* The whole of `fit --json`. */
void fits_encode(const Fits *fits, Buffer *out);
/* Gives the fits to the daemon to keep. */
int fits_store(const Fits *fits, Source *source, const SweepRecord *sweep, Error *error);
