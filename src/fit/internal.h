/* What the files of fit share. */
#pragma once

#include "sweepd/fit.h"

/* ---- warnings ---- */

void fit_warn(FitWarnings *warnings, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- points ---- */

bool fit_point_usable(const FitPoint *point);
/* A copy of the usable points, malloc'ed; warns about those left out. NULL with the error set when memory ran out. */
FitPoint *fit_points_usable(const FitPoint *points, size_t count, size_t *kept, FitWarnings *warnings, Error *error);
/* Distinct values; values is sorted in place. Values that agree within 1e-9 are one. */
size_t fit_distinct(double *values, size_t count);
/* The warnings that the points themselves call for, whatever the method: few sizes, a short extent. */
int fit_points_survey(const FitPoint *points, size_t count, size_t *sizes, size_t *examples, FitWarnings *warnings, Error *error);
/* Warns when runs of one size had different amounts of compute for each parameter and example. */
int fit_points_recipes(const FitPoint *points, size_t count, FitWarnings *warnings, Error *error);

/* ---- bootstrap ---- */

/* Which configuration each point belongs to, as an index below count. */
typedef struct FitGroups {
    size_t count;
    size_t *of_point; /* [points], owned */
} FitGroups;

int fit_groups_init(FitGroups *groups, const FitPoint *points, size_t count, Error *error);
void fit_groups_deinit(FitGroups *groups);
/* Draws groups->count configurations with replacement; weights[group] is how often each came. Decided by (seed, index) alone. */
void fit_groups_draw(const FitGroups *groups, uint64_t seed, int64_t index, double *weights);

/* Calls work(context, 0..count-1) from `threads` threads, in no set order. The progress callback runs on the calling thread only. */
void fit_parallel(int64_t count, const FitOptions *options, bool report, void (*work)(void *context, int64_t index), void *context);

/* The p-quantile of sorted values, interpolated. NaN of none. */
double fit_quantile(const double *sorted, size_t count, double p);
/* Sets the interval of an estimate from a column of a cloud; stride counts doubles. */
int fit_estimate_interval(FitEstimate *estimate, const double *column, size_t count, size_t stride, double level, Error *error);
/* Warns about refused resamples; returns false when too few are left to state an interval. */
bool fit_cloud_enough(size_t kept, int64_t resamples, FitWarnings *warnings);

FitEstimate fit_estimate(double value);
