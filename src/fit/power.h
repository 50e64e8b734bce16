/* E(C) = a (b + C)^-alpha + E_inf as an optimisation problem, in logs and scaled compute: with x = C / scale,
 *   E = exp(p - alpha ln((b + x) / (b + 1))) + exp r,  alpha = exp s,  b = exp q.
 * The logs keep a and alpha above 0, b and E_inf at or above it: the bound 0 is where a log runs away and the objective no longer changes.
 * alpha and b have bounds above 0 besides, past which the points tell neither: far beyond all compute, b and alpha make an exponential of
 * E(C) together, whatever either is, and no law that levels off. A fit that ends at one of these is refused. At x = 1
 * the first term is exp p, whatever alpha and b: as the law is written, a, b and alpha are almost collinear. */
#pragma once

#include "approach.h"
#include "cells.h"

enum { POWER_P, POWER_S, POWER_Q, POWER_R, POWER_VARIABLES, POWER_PADDED = APPROACH_VARIABLES };

enum { POWER_A, POWER_B, POWER_ALPHA, POWER_E_INF, POWER_PARAMETERS }; /* the order of a fit's parameters and of a draw */

/* E(C) of a draw. */
double power_loss(const double law[POWER_PARAMETERS], double flops);

typedef struct PowerPoint {
    double x, target, weight; /* scaled flops, ln loss */
} PowerPoint;

typedef struct PowerProblem {
    const PowerPoint *points;
    size_t count;
    FitLoss loss;
} PowerProblem;

#define POWER_ALPHA_LOW  0.001
#define POWER_ALPHA_HIGH 4.0
#define POWER_B_HIGH     10.0 /* times the highest compute of the points */

/* Between which each variable is sought; the points are by compute. */
typedef struct PowerBounds {
    double low[POWER_VARIABLES], high[POWER_VARIABLES];
} PowerBounds;

PowerBounds power_bounds(const PowerProblem *problem);

/* sum_i weight_i loss(ln E(C_i) - ln loss_i) / HUBER_DELTA^2. gradient, [POWER_PADDED], and majorant, [4][4], the Hessian of iteratively
 * reweighted least squares, may be NULL. */
double power_evaluate(const PowerProblem *problem, const double *variables, double *gradient, double (*majorant)[POWER_VARIABLES]);
/* To a minimum near the variables and within the bounds, in place; the objective there, or NaN. */
double power_descend(const PowerProblem *problem, double *variables);
