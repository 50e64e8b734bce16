/* fit: points -> laws and compute-optimal frontiers, bootstrap, prediction. No files, no database: arrays in, structs out.
 *
 * Sources: Hoffmann et al. 2022 (arXiv:2203.15556), approaches 1 to 3; Besiroglu et al. 2024 (arXiv:2404.10102) on summing, not averaging,
 * the Huber loss and on start grids; Porian et al. 2024 (arXiv:2406.19146) on interpolation to a budget; Bachmann et al. 2023 on the power
 * law of the frontier's error; arXiv:2603.22339 on variable projection and on the bias of parabolas. */
#pragma once

#include "sweepd/arch.h"
#include "sweepd/base.h"

/* One finished run. */
typedef struct FitPoint {
    double params, examples, flops, loss; /* all positive; loss is whatever metric is fitted */
    double weight;                        /* in the objective; 0 counts as 1, so that a zeroed point is a plain one */
    int64_t configuration;                /* runs that differ in their seed alone share it; the bootstrap draws whole configurations */
} FitPoint;

enum { FIT_REFUSED = 1 }; /* the data cannot carry the fit; the error says why and what run would mend it */
enum { FIT_WARNINGS_MAX = 24, FIT_CODE_MAX = 32 };

typedef struct FitWarning {
    char code[FIT_CODE_MAX]; /* docs/fits.md lists them */
    char text[320];
} FitWarning;

typedef struct FitWarnings {
    size_t count;
    FitWarning items[FIT_WARNINGS_MAX];
} FitWarnings;

/* Adds a warning, its text cut to fit; past FIT_WARNINGS_MAX nothing is added. */
void fit_warn(FitWarnings *warnings, const char *code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* value, with a percentile interval of the bootstrap; lo and hi are NaN when there was none. */
typedef struct FitEstimate {
    double value, lo, hi;
} FitEstimate;

/* optimum(C) = coefficient * C^exponent. */
typedef struct FitFrontier {
    FitEstimate exponent, coefficient;
} FitFrontier;

/* In the order of the sweep file's names (SWEEP_FIT_NAMES in sweep.h is the same list). */
typedef enum { FIT_ENVELOPE, FIT_ISOFLOP, FIT_PARAMETRIC, FIT_VPNLS, FIT_POWER, FIT_METHODS } FitMethod;

const char *fit_method_text(FitMethod method);  /* "envelope", ... */
bool fit_method_has_frontier(FitMethod method); /* all but power */
bool fit_method_has_law(FitMethod method);      /* a law of the loss: parametric, vpnls, power */

/* Of log residuals r = ln predicted - ln loss: Huber with delta 1e-3; r^2 / 2; or asymmetric, for studies in which some runs are
 * under-tuned and lie above the law: Huber for points above it, `FIT_ASYMMETRY` times as much for points below. */
typedef enum { FIT_LOSS_HUBER, FIT_LOSS_MSE, FIT_LOSS_ASYMMETRIC, FIT_LOSSES } FitLoss;

const char *fit_loss_text(FitLoss loss);           /* "huber", "mse", "asymmetric" */
int fit_loss_find(const char *text, FitLoss *out); /* 0, or 1: no such loss */

typedef struct FitOptions {
    FitLoss loss;
    int64_t resamples; /* of the bootstrap; 0: no intervals */
    uint64_t seed;
    double level;                   /* 0.95 */
    double flops_per_param_example; /* c in C = c P N; 0: the geometric mean of flops / (params examples) over the points */
    int threads;
    void (*on_progress)(void *context, int64_t done, int64_t of); /* of the bootstrap, on the calling thread; may be NULL */
    void *context;
} FitOptions;

void fit_options_default(FitOptions *options);

/* One budget of an IsoFLOP fit: a parabola of the loss in ln(params) through the sizes at one compute. */
typedef struct IsoflopBudget {
    double flops, params, examples, loss; /* of the vertex */
    double curvature[3];                  /* loss = c0 + c1 x + c2 x^2, x = ln params */
    double misfit;                        /* the share of the losses' variance that the parabola leaves */
    size_t points;                        /* one of each size */
    size_t first;                         /* into Fit.budget_points */
    double weight;                        /* in the regression: 1 / variance of the vertex's ln params, up to a common factor */
    bool refused;                         /* the vertex or the lowest loss is not between the sizes: not in the regression */
} IsoflopBudget;

/* One size at one budget, measured or interpolated in log-log; the envelope's winners are of this kind too. */
typedef struct BudgetPoint {
    double flops, params, examples, loss;
} BudgetPoint;

enum { FIT_PARAMETERS_MAX = 5, FIT_FRONTIER_COLUMNS = 4 };

typedef struct FitParameter {
    const char *name; /* parametric, vpnls: "E", "A", "B", "alpha", "beta"; power: "a", "b", "alpha", "E_inf"; static */
    FitEstimate estimate;
    bool at_bound; /* it came out at its bound, where percentiles say nothing: lo and hi are NaN */
} FitParameter;

/* The result of every method.
 *   parametric, vpnls   L = E + A P^-alpha + B N^-beta
 *   power               E(C) = a (b + C)^-alpha + E_inf, through the lowest losses at each compute
 *   isoflop             parabolas in ln P at each budget, a power law through their vertices
 *   envelope            at 1500 log-spaced budgets the lowest loss of all sizes, each interpolated log-log between its finished runs; a
 * power law through the winners */
typedef struct Fit {
    FitMethod method;
    size_t points; /* that were fitted */
    FitParameter parameters[FIT_PARAMETERS_MAX];
    size_t parameter_count;
    FitFrontier params, examples; /* P*(C), N*(C); NaN where the method has no frontier */
    double c;                     /* the geometric mean of C / (P N), or as given; NaN where not used */
    double c_power;               /* the frontier takes C for proportional to P^c_power N, from the points; 1 where c is given */
    double objective;             /* NaN for isoflop and envelope */
    double condition; /* of the objective's Hessian at the optimum, in the variables that were optimised; NaN for isoflop and envelope */
    int64_t starts_tried, starts_at_optimum; /* 0 where there were none */
    double *residuals;      /* [points], in the order of the usable points given: ln predicted - ln loss; NULL without a law; owned */
    size_t *source;         /* [points]: the index of each fitted point in the array that was given; owned */
    IsoflopBudget *budgets; /* isoflop; owned */
    size_t budget_count, budgets_used;
    BudgetPoint *budget_points; /* isoflop: by budget; envelope, power: the winners, by compute; owned */
    size_t budget_point_count;
    /* The bootstrap: [cloud_count][cloud_columns], owned. A draw holds the exponent and coefficient of P*, then of N*
     * (FIT_FRONTIER_COLUMNS, where the method has a frontier), then the parameters in their order. */
    double *cloud;
    size_t cloud_count, cloud_columns;
    double flops_lowest, flops_highest; /* of what carries the fit: runs, used budgets, winners */
    char refusal[FIT_CODE_MAX];         /* after FIT_REFUSED: why, as a code that docs/fits.md lists; else "" */
    FitWarnings warnings;
} Fit;

/* 0, FIT_REFUSED, -1. After FIT_REFUSED `out` holds nothing but method, refusal and warnings. */
int fit_make(Fit *out, FitMethod method, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
void fit_deinit(Fit *fit);
/* "params_exponent", "params_coefficient", "examples_exponent", "examples_coefficient", then the parameters' names. */
const char *fit_cloud_column(const Fit *fit, size_t column);
const FitParameter *fit_parameter(const Fit *fit, const char *name); /* NULL when the method has none of this name */
/* Of parametric and vpnls; NaN for others. */
double fit_loss_at(const Fit *fit, double params, double examples);
/* "intervals_apart": two methods' intervals of one exponent that do not overlap. Adds the warning to both fits. */
void fit_warn_apart(Fit *fits, size_t count);

/* ---- what a fit says about other compute ---- */

typedef struct FitPrediction {
    double flops;
    FitEstimate params, examples; /* the optimum's; NaN for power */
    FitEstimate loss;             /* there; NaN where the method has no law of the loss */
    bool beyond;                  /* flops lie outside what was fitted */
} FitPrediction;

/* level: of the intervals, percentiles over the cloud at this compute; NaN where the fit states none. 0 or -1. */
int fit_predict(FitPrediction *out, const Fit *fit, double flops, double level, Error *error);
/* The loss of a run that need not be optimal, with its interval: parametric and vpnls. */
FitEstimate fit_predict_loss(const Fit *fit, double params, double examples, double level);

/* A point that was held out, and the loss that the fit says it has. */
typedef struct FitHoldoutPoint {
    double params, examples, flops, loss;
    FitEstimate predicted;
} FitHoldoutPoint;

typedef struct FitHoldout {
    Fit fit;                 /* of the lower part; owned */
    double budget;           /* flops: fitted below, scored above */
    FitHoldoutPoint *points; /* owned */
    size_t count;
    double error;  /* mean of |ln predicted - ln loss| */
    double bias;   /* mean of ln predicted - ln loss */
    double inside; /* share of points within their interval, which is of the law, without the noise of one run; NaN without intervals */
} FitHoldout;

/* Fits the configurations of lowest compute and scores what that says about the `share` of highest compute. Methods with a law of the loss;
 * others are FIT_REFUSED. share in (0, 1), of the configurations; runs whose compute agrees within 1 % stay on one side. power scores the
 * winners above the budget. 0, FIT_REFUSED, -1. */
int fit_holdout(FitHoldout *out, FitMethod method, const FitPoint *points, size_t count, double share, const FitOptions *options,
                Error *error);
void fit_holdout_deinit(FitHoldout *holdout);

/* Whether two studies' exponents differ: percentiles of the difference of independent draws of both clouds. */
typedef struct FitComparison {
    FitEstimate params, examples; /* exponent of a minus exponent of b */
    double params_p, examples_p;  /* two-sided: twice the share of differences on the far side of 0, at least 2 / draws */
} FitComparison;

/* 0, FIT_REFUSED when one of them states no interval of its exponents, -1. */
int fit_compare(FitComparison *out, const Fit *a, const Fit *b, double level, Error *error);

/* ---- tuning inside a cell ---- */

/* A run of a study in which each cell tries several settings. Of each cell one setting is chosen: the one whose mean of `selection` over
 * its seeds is lowest; a setting some of whose seeds are missing or not finite (selection NaN) is out. */
typedef struct FitCandidate {
    int64_t cell;     /* what the fit sees as one configuration */
    int64_t setting;  /* index of the tuned combination, the same over cells */
    double selection; /* the metric that chooses; NaN: not finished, diverged, failed */
} FitCandidate;

/* keep: [count], set for the runs of the chosen settings. 0, -1. */
int fit_tune_select(const FitCandidate *candidates, size_t count, bool *keep, Error *error);

/* ---- figures ---- */

/* The band of the frontier at compute C: the level's percentiles of coefficient * C^exponent over the cloud. examples: N*, else P*. */
FitEstimate fit_frontier_at(const Fit *fit, bool examples, double flops, double level);
/* The points that no point of at most their compute beats, in order of compute; returns how many indices were written. */
size_t fit_lower_envelope(const FitPoint *points, size_t count, size_t *indices);

/* ---- CSV: a header line; columns params, examples, loss required; flops (else 6 params x examples), configuration (else runs of one
 * size, examples and flops are one), weight and any other optional; LF or CRLF, quotes as in RFC 4180 ---- */

enum { FIT_CSV_INVALID = 2, FIT_POINTS_MAX = 10000000 };

/* Which rows are wanted, by what they have in every column, trimmed and cut at 127 bytes. keep sets *wanted; what it
 * returns other than 0 ends the reading and is handed back. */
typedef struct FitCsvFilter {
    int (*keep)(void *context, const char *const *names, const char *const *values, size_t count, bool *wanted, Error *error);
    void *context;
} FitCsvFilter;

/* The points of the rows that the filter wants, *count may be 0 then; filter NULL: of all. Of a row that is not wanted nothing is read but
 * its fields. *out: [*count], the caller's to free; path: for messages. 0, FIT_CSV_INVALID with an error that names path:line, -1, or what
 * the filter returned. */
int fit_points_read_csv(FitPoint **out, size_t *count, const char *text, size_t size, const char *path, const FitCsvFilter *filter,
                        Error *error);
