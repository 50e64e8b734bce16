/* E(C) = a (b + C)^-alpha + E_inf as an optimisation problem, in logs and scaled compute: with x = C / scale,
 *   E = exp(p - alpha ln((b + x) / (b + 1))) + exp r,  alpha = exp s,  b = exp q.
 * The logs keep a and alpha above 0, b and E_inf at or above it: a bound is where a log runs away and the objective no longer changes. At x
 * = 1 the first term is exp p, whatever alpha and b: as the law is written, a, b and alpha are almost collinear. */
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

/* sum_i weight_i loss(ln E(C_i) - ln loss_i) / HUBER_DELTA^2. gradient, [POWER_PADDED], and majorant, [4][4], the Hessian of iteratively
 * reweighted least squares, may be NULL. */
double power_evaluate(const PowerProblem *problem, const double *variables, double *gradient, double (*majorant)[POWER_VARIABLES]);
/* To a minimum near the variables, in place; the objective there, or NaN. */
double power_descend(const PowerProblem *problem, double *variables);
