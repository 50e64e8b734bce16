/* The law L = E + A P^-alpha + B N^-beta as an optimisation problem.
 *
 * The five variables are those of Hoffmann et al., (a, b, e, alpha, beta) with A = exp a, B = exp b, E = exp e, but in coordinates
 * centred and scaled by the data: a is taken at the mean of ln params, alpha per standard deviation of it, and so on. a and
 * alpha are almost collinear in the plain coordinates; centred, the same minimum is reached in a tenth of the steps. */
#pragma once

#include "approach.h"
#include "internal.h"

enum { SURFACE_A, SURFACE_B, SURFACE_E, SURFACE_ALPHA, SURFACE_BETA, SURFACE_VARIABLES, SURFACE_PADDED = APPROACH_VARIABLES };

#define HUBER_DELTA 1e-3
/* How much more a point below the law weighs than one above it. */
#define FIT_ASYMMETRY 4.0

typedef struct Law {
    double a, b, e, alpha, beta;
} Law;

/* The points, one column each, in one piece of memory. Rows of weight 0 fill the last vector. */
typedef struct Surface {
    size_t count;            /* a multiple of SURFACE_LANES */
    double *x, *y;           /* scaled ln params, scaled ln examples; aligned to 64 bytes */
    double *target, *weight; /* ln loss; of the point, times how often it was drawn */
    double threshold;        /* the loss is quadratic up to here, in units of HUBER_DELTA; SURFACE_NO_THRESHOLD: everywhere */
    double below;            /* the factor of residuals above 0, which are points below the law */
    double x_mean, x_scale, y_mean, y_scale;
    void *owned; /* NULL where the memory is the caller's */
} Surface;

enum { SURFACE_LANES = 8, SURFACE_COLUMNS = 4 };
#define SURFACE_NO_THRESHOLD 1e300

int surface_init(Surface *surface, const FitPoint *points, size_t count, FitLoss loss, Error *error);
void surface_deinit(Surface *surface);
/* The rows of `all` whose group was drawn, their weights multiplied; memory: surface_size(all) bytes, aligned to 64. */
size_t surface_size(const Surface *all);
void surface_resample(Surface *surface, const Surface *all, const FitGroups *groups, const double *weights, void *memory);
void surface_from_law(const Surface *surface, const Law *law, double *variables);
Law surface_to_law(const Surface *surface, const double *variables);
/* sum_i weight_i loss(LSE(...) - ln L_i) / HUBER_DELTA^2: the sum, scaled so that its values are of order 1 and more and a
 * quasi-Newton method does not take it for converged. gradient, [SURFACE_PADDED], and hessian, [5][5], may be NULL;
 * `majorant` is the Hessian of iteratively reweighted least squares, never indefinite, used to damp. Of both the lower triangle is set. */
double surface_evaluate(const Surface *surface, const double *variables, double *gradient, double (*hessian)[SURFACE_VARIABLES],
                        double (*majorant)[SURFACE_VARIABLES]);
/* Descend from variables, in place, and return the objective there; NaN when that failed. approach: a few steps of L-BFGS;
 * polish: damped Newton steps until they no longer help; follow: polish, after the same with a wider quadratic zone. */
double surface_approach(const Surface *surface, double *variables);
double surface_polish(const Surface *surface, double *variables);
double surface_follow(const Surface *surface, double *variables);

/* ---- the loops over points, compiled once per vector extension ---- */

/* Entries below the diagonal, row by row: (0,0), (1,0), (1,1), ... */
enum { SURFACE_TRIANGLE = SURFACE_VARIABLES * (SURFACE_VARIABLES + 1) / 2 };

typedef struct SurfaceSums {
    double value;
    double gradient[SURFACE_VARIABLES];
    double hessian[SURFACE_TRIANGLE]; /* without what surface_evaluate adds from the gradient and the next two */
    double along[2];                  /* sum of slope share x^2 (of params), slope share y^2 (of examples) */
    double majorant[SURFACE_TRIANGLE];
} SurfaceSums;

typedef struct SurfaceKernels {
    /* Sets value and gradient of the sums; `curved`: all of them. */
    void (*evaluate)(const Surface *surface, const double *variables, bool curved, SurfaceSums *sums);
} SurfaceKernels;

/* By rising vector level; NULL past the last that this machine has. */
const SurfaceKernels *surface_kernels(size_t index);
