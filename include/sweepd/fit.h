/* fit: points -> IsoFLOP and parametric laws, compute-optimal frontier, bootstrap. No files, no database: arrays in, structs out.
 *
 * Sources: Hoffmann et al. 2022 (arXiv:2203.15556), approaches 2 and 3; Besiroglu et al. 2024 (arXiv:2404.10102) on summing, not averaging,
 * the Huber loss and on start grids; Porian et al. 2024 (arXiv:2406.19146) on interpolation to a budget. */
#pragma once

#include "sweepd/arch.h"
#include "sweepd/base.h"

/* One finished run. */
typedef struct FitPoint {
    double params, examples, flops, loss; /* all positive; loss is whatever metric is fitted */
    int64_t configuration;                /* runs that differ in their seed alone share it; the bootstrap draws whole configurations */
} FitPoint;

enum { FIT_REFUSED = 1 }; /* the data cannot carry the fit; the error says why and what run would mend it */
enum { FIT_WARNINGS_MAX = 16 };

typedef struct FitWarning {
    char code[32]; /* "edge_optimum", "few_sizes", "few_budgets", "short_extent", "at_bound", "points_dropped", "starts_failed", ... */
    char text[240];
} FitWarning;

typedef struct FitWarnings {
    size_t count;
    FitWarning items[FIT_WARNINGS_MAX];
} FitWarnings;

/* value, with a percentile interval of the bootstrap; lo and hi are NaN when there was none. */
typedef struct FitEstimate {
    double value, lo, hi;
} FitEstimate;

/* optimum(C) = coefficient * C^exponent. */
typedef struct FitFrontier {
    FitEstimate exponent, coefficient;
} FitFrontier;

typedef struct FitOptions {
    int64_t resamples; /* of the bootstrap; 0: no intervals */
    uint64_t seed;
    double level;                   /* 0.95 */
    double flops_per_param_example; /* c in C = c P N; 0: the geometric mean of flops / (params examples) over the points */
    int threads;
    void (*on_progress)(void *context, int64_t done, int64_t of); /* of the bootstrap, on the calling thread; may be NULL */
    void *context;
} FitOptions;

void fit_options_default(FitOptions *options);

/* L = E + A P^-alpha + B N^-beta, by the sum of Huber(1e-3) of log residuals over the full grid of starts. */
typedef struct ParametricFit {
    FitEstimate E, A, B, alpha, beta;
    bool E_at_bound;              /* E came out at 0, its bound, where percentiles say nothing: E.lo and E.hi are NaN */
    FitFrontier params, examples; /* P*(C), N*(C) */
    double c;                     /* C = c P N */
    double objective;
    int64_t starts_tried, starts_at_optimum;
    size_t points;
    /* The bootstrap cloud: [cloud_count], owned. */
    struct ParametricDraw {
        double E, A, B, alpha, beta, params_exponent, params_coefficient, examples_exponent, examples_coefficient;
    } * cloud;
    size_t cloud_count;
    FitWarnings warnings;
} ParametricFit;

int fit_parametric(ParametricFit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
void fit_parametric_deinit(ParametricFit *fit);
double fit_parametric_loss(const ParametricFit *fit, double params, double examples);

/* One budget of an IsoFLOP fit: a parabola of the loss in ln(params) through the sizes at one compute. */
typedef struct IsoflopBudget {
    double flops, params, examples, loss; /* of the vertex */
    double curvature[3];                  /* loss = c0 + c1 x + c2 x^2, x = ln params */
    double misfit;                        /* the share of the losses' variance that the parabola leaves */
    size_t points;                        /* one of each size */
    size_t first;                         /* into IsoflopFit.points */
    bool refused;                         /* the vertex or the lowest loss is not between the sizes: not in the regression */
} IsoflopBudget;

typedef struct IsoflopPoint {
    double flops, params, examples, loss;
} IsoflopPoint; /* measured or interpolated in log-log */

typedef struct IsoflopFit {
    FitFrontier params, examples;
    IsoflopBudget *budgets; /* owned */
    size_t budget_count, budgets_used;
    IsoflopPoint *points; /* owned; by budget */
    size_t point_count;
    struct IsoflopDraw {
        double params_exponent, params_coefficient, examples_exponent, examples_coefficient;
    } * cloud; /* owned */
    size_t cloud_count;
    FitWarnings warnings;
} IsoflopFit;

int fit_isoflop(IsoflopFit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
void fit_isoflop_deinit(IsoflopFit *fit);

/* The band of a frontier from a cloud: at compute C, the level's percentiles of coefficient * C^exponent. exponents and coefficients
 * point at the two members of the cloud's first draw; stride is the size of a draw in doubles. */
FitEstimate fit_frontier_at(const FitFrontier *frontier, const double *exponents, const double *coefficients, size_t count, size_t stride,
                            double flops, double level);
/* The points that no point of at most their compute beats, in order of compute; returns how many indices were written. */
size_t fit_lower_envelope(const FitPoint *points, size_t count, size_t *indices);

/* ---- CSV: a header line; columns params, examples, loss required; flops (else 6 params x examples), configuration (else runs of one
 * size, examples and flops are one) and any other optional; LF or CRLF, quotes as in RFC 4180 ---- */

enum { FIT_CSV_INVALID = 2, FIT_POINTS_MAX = 10000000 };

int fit_points_read_csv(FitPoint **out, size_t *count, const char *text, size_t size, const char *path,
                        Error *error); /* malloc'ed; errors name path:line */
