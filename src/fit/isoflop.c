/* IsoFLOP: at each budget a parabola of the loss in ln(params), its vertex the optimum when it and the lowest loss lie strictly inside
 * the sizes; a power law through the vertices. */
#include "isoflop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS_MIN = 3, BUDGETS_COMFORTABLE = 5, SIZES_COMFORTABLE = 5 };
static const double MISFIT_MAX = 0.25;

/* What became of a budget. */
typedef enum { VERTEX_INSIDE, VERTEX_BELOW, VERTEX_ABOVE, VERTEX_NONE, VERTEX_FEW_SIZES, VERTEX_OUTCOMES } VertexOutcome;

/* Weighted least squares of the loss on (1, u, u^2), u = (ln params - centre) / scale. False when the sizes do not determine it. */
static bool parabola_fit(const IsoflopPoint *points, const double *weights, size_t count, double centre, double scale, double out[3]) {
    double moments[5] = {0}, sides[3] = {0};
    for (size_t i = 0; i < count; i++) {
        double u = (log(points[i].params) - centre) / scale, power = weights[i];
        for (int k = 0; k < 5; k++, power *= u) {
            moments[k] += power;
            if (k < 3) {
                sides[k] += power * points[i].loss;
            }
        }
    }
    double rows[3][4];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            rows[i][j] = moments[i + j];
        }
        rows[i][3] = sides[i];
    }
    for (int i = 0; i < 3; i++) {
        /* The moment matrix is positive definite, so that no pivoting is needed. */
        if (!(rows[i][i] > 1e-9 * moments[0])) {
            return false;
        }
        for (int j = i + 1; j < 3; j++) {
            double factor = rows[j][i] / rows[i][i];
            for (int k = i; k < 4; k++) {
                rows[j][k] -= factor * rows[i][k];
            }
        }
    }
    for (int i = 2; i >= 0; i--) {
        out[i] = rows[i][3];
        for (int k = i + 1; k < 3; k++) {
            out[i] -= rows[i][k] * out[k];
        }
        out[i] /= rows[i][i];
    }
    return true;
}

/* Examples at a size between two sizes of the budget: for C = c P N with one c this is C / (c P); with exact FLOPs c drifts with the
 * size, and the neighbours know it. */
static double examples_at(const IsoflopPoint *points, size_t count, double ln_params) {
    size_t i = 1;
    while (i + 1 < count && log(points[i].params) < ln_params) {
        i++;
    }
    double x0 = log(points[i - 1].params), x1 = log(points[i].params), y0 = log(points[i - 1].examples), y1 = log(points[i].examples);
    return exp(y0 + (ln_params - x0) / (x1 - x0) * (y1 - y0));
}

/* Where the losses themselves are lowest. Losses that fall to an end and level off there give a parabola with a bottom inside, and yet
 * nothing that was run shows an optimum. */
static VertexOutcome lowest_side(const IsoflopPoint *points, size_t count) {
    double first = points[0].loss, last = points[count - 1].loss, between = INFINITY;
    for (size_t i = 1; i + 1 < count; i++) {
        between = fmin(between, points[i].loss);
    }
    if (between <= fmin(first, last)) {
        return VERTEX_INSIDE;
    }
    return first < last ? VERTEX_BELOW : VERTEX_ABOVE;
}

/* The share of the losses' variance that the parabola leaves; c as parabola_fit gave it. */
static double parabola_misfit(const IsoflopPoint *points, const double *weights, size_t count, double centre, double scale,
                              const double c[3]) {
    double total = 0, mean = 0, left = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        total += weights[i];
        mean += weights[i] * points[i].loss;
    }
    mean /= total;
    for (size_t i = 0; i < count; i++) {
        double u = (log(points[i].params) - centre) / scale, residual = points[i].loss - (c[0] + u * (c[1] + u * c[2]));
        left += weights[i] * residual * residual;
        all += weights[i] * (points[i].loss - mean) * (points[i].loss - mean);
    }
    return all > 0 ? left / all : 0;
}

/* Fits one budget from its points: one of each size, in order of params. */
static VertexOutcome budget_fit(IsoflopBudget *budget, const IsoflopPoint *points, const double *weights, size_t count) {
    budget->points = count;
    budget->refused = true;
    budget->params = budget->examples = budget->loss = NAN;
    if (count < BUDGET_SIZES_MIN) {
        return VERTEX_FEW_SIZES;
    }
    double low = log(points[0].params), high = log(points[count - 1].params), centre = (low + high) / 2, scale = (high - low) / 2, c[3];
    if (!parabola_fit(points, weights, count, centre, scale, c)) {
        return VERTEX_NONE;
    }
    budget->curvature[2] = c[2] / (scale * scale);
    budget->curvature[1] = c[1] / scale - 2 * centre * budget->curvature[2];
    budget->curvature[0] = c[0] - c[1] * centre / scale + c[2] * centre * centre / (scale * scale);
    double vertex = -c[1] / (2 * c[2]);
    if (!(c[2] > 0) || !isfinite(vertex)) {
        /* Without a bottom the lowest side still tells where the optimum lies. */
        return c[2] <= 0 && fabs(c[1]) > fabs(c[2]) ? (c[1] > 0 ? VERTEX_BELOW : VERTEX_ABOVE) : VERTEX_NONE;
    }
    if (vertex <= -1 || vertex >= 1) {
        return vertex <= -1 ? VERTEX_BELOW : VERTEX_ABOVE;
    }
    VertexOutcome side = lowest_side(points, count);
    if (side != VERTEX_INSIDE) {
        return side;
    }
    budget->misfit = parabola_misfit(points, weights, count, centre, scale, c);
    budget->params = exp(centre + scale * vertex);
    budget->examples = examples_at(points, count, centre + scale * vertex);
    budget->loss = c[0] - c[1] * c[1] / (4 * c[2]);
    budget->refused = false;
    return VERTEX_INSIDE;
}

typedef struct PowerLaw {
    double exponent, coefficient;
} PowerLaw;

static PowerLaw regress(const IsoflopBudget *budgets, size_t count, bool examples) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        if (!budgets[i].refused) {
            n++;
            x += log(budgets[i].flops);
            y += log(examples ? budgets[i].examples : budgets[i].params);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (!budgets[i].refused) {
            double dx = log(budgets[i].flops) - x / n;
            xx += dx * dx;
            xy += dx * (log(examples ? budgets[i].examples : budgets[i].params) - y / n);
        }
    }
    return (PowerLaw){xy / xx, exp(y / n - xy / xx * x / n)};
}

/* All budgets of one (re)sample. points and weights are scratch of cell_count, unless keep is given: it takes the points of all budgets. */
static size_t plan_fit(const IsoflopPlan *plan, const double *group_weights, IsoflopBudget *budgets, IsoflopPoint *points, double *weights,
                       IsoflopFit *keep, size_t outcomes[VERTEX_OUTCOMES]) {
    size_t used = 0;
    memset(outcomes, 0, VERTEX_OUTCOMES * sizeof *outcomes);
    for (size_t i = 0; i < plan->budget_count; i++) {
        budgets[i] = (IsoflopBudget){.flops = plan->budgets[i], .first = keep == NULL ? 0 : keep->point_count};
        IsoflopPoint *target = keep == NULL ? points : keep->points + keep->point_count;
        size_t count = isoflop_plan_points(plan, i, group_weights, target, weights);
        VertexOutcome outcome = budget_fit(&budgets[i], target, weights, count);
        outcomes[outcome]++;
        used += outcome == VERTEX_INSIDE;
        if (keep != NULL) {
            keep->point_count += count;
        }
    }
    return used;
}

/* ---- bootstrap ---- */

typedef struct Resampling {
    const IsoflopPlan *plan;
    const FitGroups *groups;
    const FitOptions *options;
    struct IsoflopDraw *draws; /* params_exponent is NaN where the resample was refused */
} Resampling;

static void resample(void *context, int64_t index) {
    const Resampling *work = context;
    struct IsoflopDraw *draw = &work->draws[index];
    draw->params_exponent = NAN;
    size_t cells = work->plan->cell_count, outcomes[VERTEX_OUTCOMES];
    double *weights = calloc(work->groups->count + cells, sizeof *weights);
    IsoflopPoint *points = calloc(cells, sizeof *points);
    IsoflopBudget *budgets = calloc(work->plan->budget_count, sizeof *budgets);
    if (weights != NULL && points != NULL && budgets != NULL) {
        fit_groups_draw(work->groups, work->options->seed, index, weights);
        size_t count = work->plan->budget_count;
        if (plan_fit(work->plan, weights, budgets, points, weights + work->groups->count, NULL, outcomes) >= BUDGETS_MIN) {
            PowerLaw params = regress(budgets, count, false), examples = regress(budgets, count, true);
            *draw = (struct IsoflopDraw){params.exponent, params.coefficient, examples.exponent, examples.coefficient};
        }
    }
    free(weights);
    free(points);
    free(budgets);
}

static int bootstrap(IsoflopFit *fit, const IsoflopPlan *plan, const FitGroups *groups, const FitOptions *options, Error *error) {
    if (options->resamples <= 0) {
        return 0;
    }
    fit->cloud = calloc((size_t)options->resamples, sizeof *fit->cloud);
    if (fit->cloud == NULL) {
        return error_set(error, "out of memory for %lld resamples", (long long)options->resamples);
    }
    Resampling work = {plan, groups, options, fit->cloud};
    fit_parallel(options->resamples, options, true, resample, &work);
    for (int64_t i = 0; i < options->resamples; i++) {
        if (isfinite(fit->cloud[i].params_exponent)) {
            fit->cloud[fit->cloud_count++] = fit->cloud[i];
        }
    }
    if (!fit_cloud_enough(fit->cloud_count, options->resamples, &fit->warnings)) {
        return 0;
    }
    size_t stride = sizeof *fit->cloud / sizeof(double), count = fit->cloud_count;
    double level = options->level;
    if (fit_estimate_interval(&fit->params.exponent, &fit->cloud->params_exponent, count, stride, level, error) < 0 ||
        fit_estimate_interval(&fit->params.coefficient, &fit->cloud->params_coefficient, count, stride, level, error) < 0 ||
        fit_estimate_interval(&fit->examples.exponent, &fit->cloud->examples_exponent, count, stride, level, error) < 0 ||
        fit_estimate_interval(&fit->examples.coefficient, &fit->cloud->examples_coefficient, count, stride, level, error) < 0) {
        return -1;
    }
    return 0;
}

/* ---- the fit ---- */

static int refuse_few_budgets(const IsoflopPlan *plan, size_t used, const size_t outcomes[VERTEX_OUTCOMES], Error *error) {
    const char *mend = "add seeds and model sizes: the parabolas have no bottom";
    if (plan->budget_count < BUDGETS_MIN) {
        mend = "add runs at more budgets";
    } else if (outcomes[VERTEX_FEW_SIZES] > outcomes[VERTEX_ABOVE] + outcomes[VERTEX_BELOW]) {
        mend = "add model sizes, or more numbers of examples for each";
    } else if (outcomes[VERTEX_ABOVE] + outcomes[VERTEX_BELOW] >= outcomes[VERTEX_NONE]) {
        mend = outcomes[VERTEX_ABOVE] >= outcomes[VERTEX_BELOW] ? "add larger models" : "add smaller models";
    }
    error_set(
        error,
        "IsoFLOP needs 3 budgets with their optimum between the sizes and has %zu of %zu (optimum at or beyond the smallest size: %zu, "
        "the largest: %zu, no optimum: %zu, under 3 sizes: %zu): %s",
        used, plan->budget_count, outcomes[VERTEX_BELOW], outcomes[VERTEX_ABOVE], outcomes[VERTEX_NONE], outcomes[VERTEX_FEW_SIZES], mend);
    return FIT_REFUSED;
}

static void warn_about_budgets(IsoflopFit *fit, const IsoflopPlan *plan, const size_t outcomes[VERTEX_OUTCOMES]) {
    FitWarnings *warnings = &fit->warnings;
    double low = INFINITY, high = 0;
    size_t thinnest = SIZE_MAX, misfits = 0;
    for (size_t i = 0; i < fit->budget_count; i++) {
        if (!fit->budgets[i].refused) {
            low = fmin(low, fit->budgets[i].flops);
            high = fmax(high, fit->budgets[i].flops);
            thinnest = fit->budgets[i].points < thinnest ? fit->budgets[i].points : thinnest;
            misfits += fit->budgets[i].misfit > MISFIT_MAX;
        }
    }
    if (!plan->measured) {
        fit_warn(warnings, "interpolated", "No runs share a compute budget: the loss of each size is interpolated between its runs.");
    }
    if (outcomes[VERTEX_BELOW] + outcomes[VERTEX_ABOVE] > 0) {
        fit_warn(
            warnings, "edge_optimum",
            "%zu of %zu budgets have their optimum at or beyond the edge of their sizes (smallest: %zu, largest: %zu) and are left out.",
            outcomes[VERTEX_BELOW] + outcomes[VERTEX_ABOVE], fit->budget_count, outcomes[VERTEX_BELOW], outcomes[VERTEX_ABOVE]);
    }
    if (outcomes[VERTEX_NONE] + outcomes[VERTEX_FEW_SIZES] > 0) {
        fit_warn(warnings, "budgets_dropped", "%zu of %zu budgets have no parabola (not convex: %zu, under 3 sizes: %zu) and are left out.",
                 outcomes[VERTEX_NONE] + outcomes[VERTEX_FEW_SIZES], fit->budget_count, outcomes[VERTEX_NONE], outcomes[VERTEX_FEW_SIZES]);
    }
    if (misfits > 0) {
        fit_warn(
            warnings, "poor_parabola",
            "In %zu of %zu budgets used the parabola leaves over a quarter of the losses' variance: noise hides the optimum. Add seeds, "
            "or sizes further from it.",
            misfits, fit->budgets_used);
    }
    if (fit->budgets_used < BUDGETS_COMFORTABLE) {
        fit_warn(warnings, "few_budgets", "Only %zu budgets carry the power law: at least 5 are needed to see whether it is one.",
                 fit->budgets_used);
    }
    if (thinnest < SIZES_COMFORTABLE) {
        fit_warn(warnings, "few_sizes", "A budget has only %zu model sizes: its parabola hardly has anything to disagree with.", thinnest);
    }
    if (high < 10 * low) {
        fit_warn(warnings, "short_extent", "The budgets used span a factor of %.3g in compute, under one decade.", high / low);
    }
}

static int fit_plan(IsoflopFit *fit, const IsoflopPlan *plan, const FitGroups *groups, const FitOptions *options, Error *error) {
    size_t outcomes[VERTEX_OUTCOMES], points = plan->measured ? plan->cell_count : plan->cell_count * plan->budget_count;
    double *weights = calloc(plan->cell_count + 1, sizeof *weights);
    fit->budgets = calloc(plan->budget_count + 1, sizeof *fit->budgets);
    fit->points = calloc(points + 1, sizeof *fit->points);
    if (weights == NULL || fit->budgets == NULL || fit->points == NULL) {
        free(weights);
        return error_set(error, "out of memory for %zu budgets", plan->budget_count);
    }
    fit->budget_count = plan->budget_count;
    fit->budgets_used = plan_fit(plan, NULL, fit->budgets, NULL, weights, fit, outcomes);
    free(weights);
    if (fit->budgets_used < BUDGETS_MIN) {
        return refuse_few_budgets(plan, fit->budgets_used, outcomes, error);
    }
    PowerLaw params = regress(fit->budgets, fit->budget_count, false), examples = regress(fit->budgets, fit->budget_count, true);
    fit->params = (FitFrontier){fit_estimate(params.exponent), fit_estimate(params.coefficient)};
    fit->examples = (FitFrontier){fit_estimate(examples.exponent), fit_estimate(examples.coefficient)};
    warn_about_budgets(fit, plan, outcomes);
    return bootstrap(fit, plan, groups, options, error);
}

int fit_isoflop(IsoflopFit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    *out = (IsoflopFit){0};
    FitGroups groups = {0};
    IsoflopPlan plan = {0};
    int result = -1;
    size_t usable_count = 0;
    FitPoint *usable = fit_points_usable(points, count, &usable_count, &out->warnings, error);
    if (usable == NULL || fit_groups_init(&groups, usable, usable_count, error) < 0 ||
        fit_points_recipes(usable, usable_count, &out->warnings, error) < 0) {
        goto out;
    }
    result = isoflop_plan_init(&plan, usable, &groups, usable_count, error);
    if (result == 0) {
        result = fit_plan(out, &plan, &groups, options, error);
    }
out:
    isoflop_plan_deinit(&plan);
    fit_groups_deinit(&groups);
    free(usable);
    if (result != 0) {
        fit_isoflop_deinit(out);
    }
    return result;
}

void fit_isoflop_deinit(IsoflopFit *fit) {
    if (fit != NULL) {
        free(fit->budgets);
        free(fit->points);
        free(fit->cloud);
        *fit = (IsoflopFit){0};
    }
}
