/* What the files of fit share. */
#pragma once

#include "sweepd/fit.h"

/* ---- methods ----
 *
 * fit_make does what all methods share before it calls one of these: `out` has its method, points, source and the warnings about the
 * points; every number that a method may leave alone is NaN or 0. The points are usable and their weights are above 0. A method sets
 * parameters and parameter_count before it calls fit_bootstrap. 0, FIT_REFUSED or -1: fit_make frees whatever was set by then. */

int fit_make_envelope(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
int fit_make_isoflop(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
int fit_make_parametric(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
int fit_make_vpnls(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
int fit_make_power(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);

/* Sets the error and out->refusal; returns FIT_REFUSED. The text says what run would mend it. */
int fit_refuse(Fit *out, const char *code, Error *error, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- points ---- */

bool fit_point_usable(const FitPoint *point);
/* Distinct values; values is sorted in place. Values that agree within 1e-9 are one. */
size_t fit_distinct(double *values, size_t count);
/* The warnings that the points themselves call for, whatever the method: few sizes, a short extent. */
int fit_points_survey(const FitPoint *points, size_t count, size_t *sizes, size_t *examples, FitWarnings *warnings, Error *error);
/* Warns when runs of one size had different amounts of compute for each parameter and example. */
int fit_points_recipes(const FitPoint *points, size_t count, FitWarnings *warnings, Error *error);

/* ---- bootstrap ---- */

/* Which configuration each point belongs to, as an index below count. */
typedef struct FitGroups {
    size_t count, points;
    size_t *of_point; /* [points], owned */
} FitGroups;

int fit_groups_init(FitGroups *groups, const FitPoint *points, size_t count, Error *error);
void fit_groups_deinit(FitGroups *groups);
/* Draws `draws` configurations with replacement; weights[group] is how often each came. Decided by (seed, index) alone. */
void fit_groups_draw(const FitGroups *groups, size_t draws, uint64_t seed, int64_t index, double *weights);

/* How a method fits again. weights: [groups], how often each configuration was drawn; draw: [cloud_columns], in the cloud's order.
 * scratch: scratch_size bytes of the calling thread, aligned to 64, with whatever the last refit left there. False: this resample is
 * refused. Called from several threads; what it sets must depend on the weights alone. */
typedef struct FitRefit {
    bool (*make)(const void *context, const double *weights, void *scratch, double *draw);
    const void *context;
    size_t scratch_size;
    size_t draws; /* configurations in a resample; 0: as many as there are */
} FitRefit;

/* Fits options->resamples resamples: sets the cloud, its warnings, and the intervals of the frontiers and parameters (not of those at a
 * bound). Nothing to do with 0 resamples. 0 or -1. */
int fit_bootstrap(Fit *fit, const FitGroups *groups, const FitRefit *refit, const FitOptions *options, Error *error);

/* Calls work(context, member, 0..count-1) from at most `threads` threads, in no set order; member is below fit_members(threads). The
 * progress callback, if `report`, runs on the calling thread only. */
int fit_members(int threads);
void fit_parallel(int64_t count, const FitOptions *options, bool report, void (*work)(void *context, int member, int64_t index),
                  void *context);

/* ---- estimates ---- */

FitEstimate fit_estimate(double value);
/* Whether the bootstrap kept enough draws to state intervals. */
bool fit_has_intervals(const Fit *fit);
/* The p-quantile of sorted values, interpolated. NaN of none. */
double fit_quantile(const double *sorted, size_t count, double p);
/* Sets the interval of an estimate from a column of a cloud; stride counts doubles. */
int fit_estimate_interval(FitEstimate *estimate, const double *column, size_t count, size_t stride, double level, Error *error);
