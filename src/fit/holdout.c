/* Fit below a budget, score above it: the only test of a law that costs no further run. */
#include "cells.h"

#include <math.h>
#include <stdlib.h>

/* Compute that agrees so far is one budget, and is not cut in two. */
static const double BUDGET_AGREEMENT = 1.01;

/* The usable points on one side of the budget. */
typedef struct Side {
    FitPoint *points;
    size_t *source; /* indices into the points that were given */
    size_t count;
} Side;

static int side_init(Side *side, const FitPoint *points, size_t count, double above, double below, Error *error) {
    *side = (Side){calloc(count + 1, sizeof *side->points), calloc(count + 1, sizeof *side->source), 0};
    if (side->points == NULL || side->source == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    for (size_t i = 0; i < count; i++) {
        if (fit_point_usable(&points[i]) && points[i].flops >= above && points[i].flops < below) {
            side->points[side->count] = points[i];
            side->points[side->count].weight = points[i].weight == 0 ? 1 : points[i].weight;
            side->source[side->count++] = i;
        }
    }
    return 0;
}

static void side_deinit(Side *side) {
    free(side->points);
    free(side->source);
}

/* Between the compute of the highest configuration below and the lowest above. */
static int choose_budget(double *budget, const Side *all, double share, Error *error) {
    FitGroups groups;
    if (fit_groups_init(&groups, all->points, all->count, error) < 0) {
        return -1;
    }
    double *flops = calloc(groups.count + 1, sizeof *flops);
    size_t count = groups.count;
    if (flops == NULL) {
        fit_groups_deinit(&groups);
        return error_set_memory(error, "out of memory for %zu configurations", count);
    }
    for (size_t i = 0; i < all->count; i++) {
        flops[groups.of_point[i]] = all->points[i].flops;
    }
    fit_groups_deinit(&groups);
    qsort(flops, count, sizeof *flops, doubles_compare);
    size_t held = (size_t)fmax(1, round(share * (double)count)), first = held < count ? count - held : 0;
    double lowest = count == 0 ? 0 : flops[first];
    while (first > 0 && flops[first - 1] * BUDGET_AGREEMENT >= lowest) {
        first--;
    }
    *budget = first == 0 ? 0 : sqrt(flops[first - 1] * flops[first]);
    free(flops);
    if (*budget == 0) {
        error_set(error, "holding out a share of %g of %zu configurations leaves none to fit: run less compute too, or hold out less",
                  share, count);
        return FIT_REFUSED;
    }
    return 0;
}

/* The lowest losses above the budget, of all points: what the power law is about. */
static int score_winners(FitHoldout *out, const Side *all, double level, Error *error) {
    FitGroups groups = {0};
    Cell *cells = NULL;
    size_t count = 0, *indices = calloc(all->count + 1, sizeof *indices);
    int result = -1;
    if (indices == NULL) {
        error_set_memory(error, "out of memory for %zu points", all->count);
        goto out;
    }
    if (fit_groups_init(&groups, all->points, all->count, error) < 0 ||
        cells_make(&cells, &count, all->points, &groups, all->count, error) < 0) {
        goto out;
    }
    qsort(cells, count, sizeof *cells, cell_compare_flops);
    count = cells_envelope(cells, count, NULL, indices);
    result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        const Cell *cell = &cells[indices[i]];
        if (cell->flops >= out->budget) {
            FitPrediction prediction;
            result = fit_predict(&prediction, &out->fit, cell->flops, level, error);
            out->points[out->count++] = (FitHoldoutPoint){cell->params, cell->examples, cell->flops, cell->loss, prediction.loss};
        }
    }
out:
    free(cells);
    free(indices);
    fit_groups_deinit(&groups);
    return result;
}

static void score_runs(FitHoldout *out, const Side *all, double level) {
    for (size_t i = 0; i < all->count; i++) {
        const FitPoint *point = &all->points[i];
        if (point->flops >= out->budget) {
            FitEstimate predicted = fit_predict_loss(&out->fit, point->params, point->examples, level);
            out->points[out->count++] = (FitHoldoutPoint){point->params, point->examples, point->flops, point->loss, predicted};
        }
    }
}

static void summarise(FitHoldout *out) {
    for (size_t i = 0; i < out->count; i++) {
        const FitHoldoutPoint *point = &out->points[i];
        double residual = log(point->predicted.value / point->loss), share = 1 / (double)out->count;
        out->error += fabs(residual) * share;
        out->bias += residual * share;
        out->inside += point->loss >= point->predicted.lo && point->loss <= point->predicted.hi ? share : 0;
    }
    if (!fit_has_intervals(&out->fit)) {
        out->inside = NAN;
    }
}

static int score(FitHoldout *out, const Side *all, double level, Error *error) {
    out->points = calloc(all->count + 1, sizeof *out->points);
    if (out->points == NULL) {
        return error_set_memory(error, "out of memory for %zu points", all->count);
    }
    if (out->fit.method == FIT_POWER) {
        int result = score_winners(out, all, level, error);
        if (result != 0) {
            return result;
        }
    } else {
        score_runs(out, all, level);
    }
    if (out->count == 0) {
        error_set(error, "no run above %g FLOPs has a lower loss than all below it: there is nothing to score", out->budget);
        return FIT_REFUSED;
    }
    summarise(out);
    if (!isfinite(out->error)) {
        error_set(error,
                  "the law below %g FLOPs predicts losses above it that are no finite numbers: run more compute below it, or hold "
                  "out less",
                  out->budget);
        return FIT_REFUSED;
    }
    return 0;
}

static int fit_below(FitHoldout *out, FitMethod method, const Side *lower, const FitOptions *options, Error *error) {
    int result = fit_make(&out->fit, method, lower->points, lower->count, options, error);
    if (result != 0) {
        error_prefix(error, "of the runs below %g FLOPs", out->budget);
        return result;
    }
    for (size_t i = 0; i < out->fit.points; i++) {
        out->fit.source[i] = lower->source[out->fit.source[i]];
    }
    return 0;
}

int fit_holdout(FitHoldout *out, FitMethod method, const FitPoint *points, size_t count, double share, const FitOptions *options,
                Error *error) {
    *out = (FitHoldout){0};
    if (!fit_method_has_law(method)) {
        error_set(error, "%s has no law of the loss to score: hold out with parametric, vpnls or power", fit_method_text(method));
        return FIT_REFUSED;
    }
    if (!(share > 0 && share < 1)) {
        return error_set(error, "the share to hold out must lie between 0 and 1, and is %g", share);
    }
    Side all = {0}, lower = {0};
    int result = side_init(&all, points, count, 0, INFINITY, error);
    if (result == 0) {
        result = choose_budget(&out->budget, &all, share, error);
    }
    if (result == 0) {
        result = side_init(&lower, points, count, 0, out->budget, error);
    }
    if (result == 0) {
        result = fit_below(out, method, &lower, options, error);
    }
    if (result == 0) {
        result = score(out, &all, options->level, error);
    }
    side_deinit(&all);
    side_deinit(&lower);
    if (result != 0) {
        fit_holdout_deinit(out);
    }
    return result;
}

void fit_holdout_deinit(FitHoldout *holdout) {
    if (holdout != NULL) {
        fit_deinit(&holdout->fit);
        free(holdout->points);
        *holdout = (FitHoldout){0};
    }
}
