/* What parametric and vpnls share: the checks before the search, and everything that follows from a minimum. They differ in how they look
 * for it. */
#pragma once

#include "surface.h"

/* The order of the law's parameters in Fit.parameters and, after the frontier, in the cloud. */
enum { LAW_E, LAW_A, LAW_B, LAW_ALPHA, LAW_BETA, LAW_PARAMETERS };

typedef struct LawStudy {
    const FitPoint *points; /* [count], the caller's */
    size_t count;
    const FitOptions *options; /* the caller's */
    Surface surface;
    FitGroups groups;
    double *ln_c;      /* [count]: ln(flops / (params examples)); owned */
    double *ln_params; /* [count]; within the same allocation */
} LawStudy;

/* Warns about the points and checks that they can carry five unknowns. 0, FIT_REFUSED, -1; deinit it whatever comes back. */
int law_study_init(LawStudy *study, Fit *fit, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
void law_study_deinit(LawStudy *study);
/* Sets all of the fit but the starts, the condition and the cloud, and warns. variables: [SURFACE_PADDED], the minimum; objective: as
 * surface_evaluate gives it. 0, FIT_REFUSED when the loss does not fall with size or examples, -1. */
int law_report(Fit *fit, const LawStudy *study, const double *variables, double objective, Error *error);
/* Whether a resample has as many configurations as a fit wants. weights: [groups.count]. */
bool law_can_refit(const LawStudy *study, const double *weights);
/* How many configurations a resample draws. Where residuals lie in the linear part of the loss, the bootstrap of as many as there are
 * overstates the spread at the sizes of real studies: 95 % intervals held the truth in 98 to 99 % of simulated ones; so four more are drawn
 * for each unknown, or a quarter of the configurations where that is less, times the share of such residuals. Seeds smooth the loss by
 * themselves: with three a configuration none is added. In the quadratic part it understates the spread, by the unknowns that the fit
 * used up: one fewer is drawn for each. Up to ten configurations none is left out, and of fewer than twenty half of what they exceed ten
 * by at most: a refit wants six that differ. docs/fits.md has the shares that held the truth. */
size_t law_draws(const Fit *fit, const LawStudy *study);
/* Sets a row of the cloud from the minimum of a resample. False: it has no frontier. */
bool law_draw(const LawStudy *study, const Surface *surface, const double *variables, const double *weights, double *draw);
/* The ratio of the largest and smallest eigenvalue of a symmetric matrix [size][size], of which the lower triangle is read and all is
 * overwritten; INFINITY when the smallest is not above 0. size is at most SURFACE_VARIABLES. */
double law_condition(double (*matrix)[SURFACE_VARIABLES], int size);
