/* The parametric law as an optimisation problem.
 *
 * The five variables are those of Hoffmann et al., (a, b, e, alpha, beta) with A = exp a, B = exp b, E = exp e, but in coordinates
 * centred and scaled by the data: a is taken at the mean of ln params, alpha per standard deviation of it, and so on. a and
 * alpha are almost collinear in the plain coordinates; centred, the same minimum is reached in a tenth of the steps. */
#pragma once

#include "internal.h"

/* liblbfgs built with SSE wants aligned vectors of 8; the last three variables are always 0. */
enum { SURFACE_A, SURFACE_B, SURFACE_E, SURFACE_ALPHA, SURFACE_BETA, SURFACE_VARIABLES, SURFACE_PADDED = 8 };

#define HUBER_DELTA 1e-3

typedef struct Law {
    double a, b, e, alpha, beta;
} Law;

typedef struct SurfacePoint {
    double x, y, target, weight; /* scaled ln params, scaled ln examples, ln loss, multiplicity in a resample */
} SurfacePoint;

typedef struct Surface {
    size_t count;
    SurfacePoint *points; /* owned */
    double x_mean, x_scale, y_mean, y_scale;
} Surface;

/* weights: one per point, or NULL for 1 each; a point of weight 0 is left out. */
int surface_init(Surface *surface, const FitPoint *points, const double *weights, size_t count, Error *error);
void surface_deinit(Surface *surface);
void surface_from_law(const Surface *surface, const Law *law, double *variables);
Law surface_to_law(const Surface *surface, const double *variables);
/* sum_i weight_i Huber(LSE(...) - ln L_i) / HUBER_DELTA^2: the sum, scaled so that its values are of order 1 and more and a
 * quasi-Newton method does not take it for converged. gradient, [SURFACE_PADDED], and hessian, [5][5], may be NULL;
 * `majorant` is the Hessian of iteratively reweighted least squares, never indefinite, used to damp. */
double surface_evaluate(const Surface *surface, const double *variables, double *gradient, double (*hessian)[SURFACE_VARIABLES],
                        double (*majorant)[SURFACE_VARIABLES]);
/* Descend from variables, in place, and return the objective there; NaN when that failed. approach: a few steps of L-BFGS;
 * polish: damped Newton steps until they no longer help; descend: both. */
double surface_approach(const Surface *surface, double *variables);
double surface_polish(const Surface *surface, double *variables);
double surface_descend(const Surface *surface, double *variables);
