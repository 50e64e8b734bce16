/* What the five methods share: their names, the choice of usable points, the order of the cloud's columns. */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool has_frontier, has_law;
    int (*make)(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error);
} METHODS[FIT_METHODS] = {
    [FIT_ENVELOPE] = {"envelope", true, false, fit_make_envelope},
    [FIT_ISOFLOP] = {"isoflop", true, false, fit_make_isoflop},
    [FIT_PARAMETRIC] = {"parametric", true, true, fit_make_parametric},
    [FIT_VPNLS] = {"vpnls", true, true, fit_make_vpnls},
    [FIT_POWER] = {"power", false, true, fit_make_power},
};

static const char *const LOSSES[FIT_LOSSES] = {[FIT_LOSS_HUBER] = "huber", [FIT_LOSS_MSE] = "mse", [FIT_LOSS_ASYMMETRIC] = "asymmetric"};

static const char *const FRONTIER_COLUMNS[FIT_FRONTIER_COLUMNS] = {"params_exponent", "params_coefficient", "examples_exponent",
                                                                   "examples_coefficient"};

const char *fit_method_text(FitMethod method) {
    return METHODS[method].name;
}

bool fit_method_has_frontier(FitMethod method) {
    return METHODS[method].has_frontier;
}

bool fit_method_has_law(FitMethod method) {
    return METHODS[method].has_law;
}

const char *fit_loss_text(FitLoss loss) {
    return LOSSES[loss];
}

int fit_loss_find(const char *text, FitLoss *out) {
    for (int i = 0; i < FIT_LOSSES; i++) {
        if (strcmp(text, LOSSES[i]) == 0) {
            *out = (FitLoss)i;
            return 0;
        }
    }
    return 1;
}

void fit_options_default(FitOptions *options) {
    *options = (FitOptions){.loss = FIT_LOSS_HUBER, .resamples = 1000, .seed = 0, .level = 0.95, .threads = 1};
}

FitEstimate fit_estimate(double value) {
    return (FitEstimate){value, NAN, NAN};
}

/* The usable points, with the weights that they have in the objective; sets out->points and out->source. NULL: out of memory. */
static FitPoint *choose_points(Fit *out, const FitPoint *points, size_t count, Error *error) {
    FitPoint *usable = calloc(count + 1, sizeof *usable);
    out->source = calloc(count + 1, sizeof *out->source);
    if (usable == NULL || out->source == NULL) {
        free(usable);
        error_set_memory(error, "out of memory for %zu points", count);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (fit_point_usable(&points[i])) {
            out->source[out->points] = i;
            usable[out->points] = points[i];
            usable[out->points].weight = points[i].weight == 0 ? 1 : points[i].weight;
            out->points++;
            out->flops_lowest = fmin(out->flops_lowest, points[i].flops);
            out->flops_highest = fmax(out->flops_highest, points[i].flops);
        }
    }
    if (out->points < count) {
        fit_warn(&out->warnings, "points_dropped",
                 "%zu of %zu points were left out: a value was not positive and finite, or a weight was negative.", count - out->points,
                 count);
    }
    return usable;
}

/* Whatever a method came to, no number that is none leaves here as an estimate. */
static int check_finite(Fit *fit, Error *error) {
    bool finite = true;
    for (size_t i = 0; i < fit->parameter_count; i++) {
        finite = finite && isfinite(fit->parameters[i].estimate.value);
    }
    for (size_t i = 0; fit->residuals != NULL && i < fit->points; i++) {
        finite = finite && isfinite(fit->residuals[i]);
    }
    if (finite) {
        return 0;
    }
    return fit_refuse(fit, "not_finite", error,
                      "the %s fit led to numbers that are too large to write: run more compute, or take another method",
                      fit_method_text(fit->method));
}

int fit_make(Fit *out, FitMethod method, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    const FitFrontier none = {fit_estimate(NAN), fit_estimate(NAN)};
    *out = (Fit){.method = method,
                 .params = none,
                 .examples = none,
                 .c = NAN,
                 .c_power = NAN,
                 .objective = NAN,
                 .condition = NAN,
                 .flops_lowest = INFINITY};
    FitPoint *usable = choose_points(out, points, count, error);
    int result = usable == NULL ? -1
                 : out->points == 0
                     ? fit_refuse(out, "no_runs", error, "there are no runs to fit: none has finished with a value of the metric")
                     : METHODS[method].make(out, usable, out->points, options, error);
    free(usable);
    if (result == 0) {
        result = check_finite(out, error);
    }
    if (result != 0) {
        Fit refused = {.method = method, .warnings = out->warnings};
        text_copy(refused.refusal, sizeof refused.refusal, out->refusal);
        fit_deinit(out);
        *out = refused;
    }
    return result;
}

void fit_deinit(Fit *fit) {
    if (fit != NULL) {
        free(fit->residuals);
        free(fit->source);
        free(fit->budgets);
        free(fit->budget_points);
        free(fit->cloud);
        *fit = (Fit){0};
    }
}

const char *fit_cloud_column(const Fit *fit, size_t column) {
    size_t frontier = fit_method_has_frontier(fit->method) ? FIT_FRONTIER_COLUMNS : 0;
    return column < frontier ? FRONTIER_COLUMNS[column] : fit->parameters[column - frontier].name;
}

const FitParameter *fit_parameter(const Fit *fit, const char *name) {
    for (size_t i = 0; i < fit->parameter_count; i++) {
        if (strcmp(fit->parameters[i].name, name) == 0) {
            return &fit->parameters[i];
        }
    }
    return NULL;
}

double fit_loss_at(const Fit *fit, double params, double examples) {
    if (fit->method != FIT_PARAMETRIC && fit->method != FIT_VPNLS) {
        return NAN;
    }
    const FitParameter *law = fit->parameters; /* E, A, B, alpha, beta */
    return law[0].estimate.value + law[1].estimate.value * pow(params, -law[3].estimate.value) +
           law[2].estimate.value * pow(examples, -law[4].estimate.value);
}
