/* Fits, made and told: the text for people and the JSON that scripts read and the store keeps. */
#pragma once

#include "study.h"

#include "sweepd/fit.h"

typedef struct FitRefusal {
    FitMethod method;
    char text[ERROR_TEXT_MAX];
    char code[FIT_CODE_MAX];
    FitWarnings warnings;
} FitRefusal;

typedef struct Fits {
    const Study *study;
    Fit fits[FIT_METHODS]; /* [count]: those that were made, in the order below */
    size_t count;
    FitRefusal refusals[FIT_METHODS]; /* [refused] */
    size_t refused;
    FitWarnings warnings; /* of the study: they hold for every method */
} Fits;

/* The order in which methods are made and told: laws of the loss, then those that only look for its lowest. */
extern const FitMethod fits_order[FIT_METHODS];

/* The methods that the study's options ask for. 0, or negative; refusals are kept. */
int fits_make(Fits *out, const Study *study, Error *error);
void fits_deinit(Fits *fits);
const Fit *fits_find(const Fits *fits, FitMethod method);           /* NULL: not made */
const FitRefusal *fits_refusal(const Fits *fits, FitMethod method); /* NULL: not refused */
/* With nothing fitted, CLI_FAILED with the first refusal as the error. */
int fits_result(const Fits *fits, Error *error);
/* The options of `fit`: threads, resamples, and progress on a terminal. */
void fits_options(FitOptions *out, const StudyOptions *options, const char *method);

/* "Parametric law" and the like. */
const char *fits_method_title(FitMethod method);
/* To stdout. */
int fits_print(const Fits *fits, const Cli *cli, Error *error);
/* Each on a line of its own, after a blank one. */
void fits_print_warnings(const FitWarnings *warnings, const Cli *cli);

/* The whole of `fit --json`. */
void fits_encode(const Fits *fits, Buffer *out);
/* {"value":..,"lo":..,"hi":..} */
void estimate_encode(const FitEstimate *estimate, Buffer *out);
/* ,"warnings":[...] of both. */
void warnings_encode(const FitWarnings *first, const FitWarnings *second, Buffer *out);
/* What the points are and how they were counted: ,"source":..,"points":..,"metric":.. and so on. */
void study_encode(const Study *study, Buffer *out);
/* Gives the fits to the daemon to keep, each with its cloud. */
int fits_store(const Fits *fits, Source *source, const SweepRecord *sweep, Error *error);
/* The bootstrap's draws as CSV: method, draw, then a column for each exponent, coefficient and parameter that any method has. */
int fits_write_cloud(const Fits *fits, const char *path, Error *error);
