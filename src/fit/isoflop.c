/* IsoFLOP: at each budget a parabola of the loss in ln(params), its vertex the optimum when it and the lowest loss lie strictly inside
 * the sizes; a power law through the vertices. */
#include "isoflop.h"
#include "linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS_MIN = 3, BUDGETS_COMFORTABLE = 5, SIZES_COMFORTABLE = 5 };
/* The drift is a share of the half width of the sizes, in logs. */
static const double MISFIT_MAX = 0.25, DRIFT_MAX = 0.25;

/* What became of a budget. */
typedef enum { VERTEX_INSIDE, VERTEX_BELOW, VERTEX_ABOVE, VERTEX_NONE, VERTEX_FEW_SIZES, VERTEX_OUTCOMES } VertexOutcome;

/* A parabola in u = (ln params - centre) / scale, which runs from -1 to 1 over the sizes. */
typedef struct Parabola {
    double centre, scale, c[3];
    double moments[5]; /* sums of weight u^k */
} Parabola;

/* Solves the normal equations for one right side; false when the sizes do not determine them. */
static bool normal_solve(const double moments[5], const double right[3], double out[3]) {
    double rows[3][3];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            rows[i][j] = moments[i + j] / moments[0];
        }
        out[i] = right[i] / moments[0];
    }
    return linear_solve(&rows[0][0], out, 3, 1e-9);
}

static double parabola_u(const Parabola *parabola, const BudgetPoint *point) {
    return (log(point->params) - parabola->centre) / parabola->scale;
}

/* Weighted least squares. */
static bool parabola_fit(Parabola *parabola, const BudgetPoint *points, const double *weights, size_t count) {
    double low = log(points[0].params), high = log(points[count - 1].params), sides[3] = {0};
    *parabola = (Parabola){.centre = (low + high) / 2, .scale = (high - low) / 2};
    for (size_t i = 0; i < count; i++) {
        double u = parabola_u(parabola, &points[i]), power = weights[i];
        for (int k = 0; k < 5; k++, power *= u) {
            parabola->moments[k] += power;
            if (k < 3) {
                sides[k] += power * points[i].loss;
            }
        }
    }
    return normal_solve(parabola->moments, sides, parabola->c);
}

/* The variance of the vertex in ln params, by propagation of the losses' noise, which is taken for relative and equal in all budgets: its
 * size is a factor common to all and left out. */
static double vertex_variance(const Parabola *parabola, double loss) {
    const double *c = parabola->c, gradient[3] = {0, -1 / (2 * c[2]), c[1] / (2 * c[2] * c[2])};
    double solved[3], variance = 0;
    if (!normal_solve(parabola->moments, gradient, solved)) {
        return NAN;
    }
    for (int i = 0; i < 3; i++) {
        variance += gradient[i] * solved[i];
    }
    return variance * loss * loss * parabola->scale * parabola->scale;
}

/* Examples at a size between two sizes of the budget: for C = c P N with one c this is C / (c P); with exact FLOPs c drifts with the
 * size, and the neighbours know it. */
static double examples_at(const BudgetPoint *points, size_t count, double ln_params) {
    size_t i = 1;
    while (i + 1 < count && log(points[i].params) < ln_params) {
        i++;
    }
    double x0 = log(points[i - 1].params), x1 = log(points[i].params), y0 = log(points[i - 1].examples), y1 = log(points[i].examples);
    return exp(y0 + (ln_params - x0) / (x1 - x0) * (y1 - y0));
}

/* Where the losses themselves are lowest. Losses that fall to an end and level off there give a parabola with a bottom inside, and yet
 * nothing that was run shows an optimum. */
static VertexOutcome lowest_side(const BudgetPoint *points, size_t count) {
    double first = points[0].loss, last = points[count - 1].loss, between = INFINITY;
    for (size_t i = 1; i + 1 < count; i++) {
        between = fmin(between, points[i].loss);
    }
    if (between <= fmin(first, last)) {
        return VERTEX_INSIDE;
    }
    return first < last ? VERTEX_BELOW : VERTEX_ABOVE;
}

/* The share of the losses' variance that the parabola leaves. */
static double parabola_misfit(const Parabola *parabola, const BudgetPoint *points, const double *weights, size_t count) {
    const double *c = parabola->c;
    double total = 0, mean = 0, left = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        total += weights[i];
        mean += weights[i] * points[i].loss;
    }
    mean /= total;
    for (size_t i = 0; i < count; i++) {
        double u = parabola_u(parabola, &points[i]), residual = points[i].loss - (c[0] + u * (c[1] + u * c[2]));
        left += weights[i] * residual * residual;
        all += weights[i] * (points[i].loss - mean) * (points[i].loss - mean);
    }
    return all > 0 ? left / all : 0;
}

/* Which side of the sizes the optimum is on. u: of the vertex. */
static VertexOutcome vertex_side(const double c[3], double u, const BudgetPoint *points, size_t count) {
    if (!(c[2] > 0) || !isfinite(u)) {
        /* Without a bottom the lowest side still tells where the optimum lies. */
        return c[2] <= 0 && fabs(c[1]) > fabs(c[2]) ? (c[1] > 0 ? VERTEX_BELOW : VERTEX_ABOVE) : VERTEX_NONE;
    }
    if (u <= -1 || u >= 1) {
        return u <= -1 ? VERTEX_BELOW : VERTEX_ABOVE;
    }
    return lowest_side(points, count);
}

/* Fits one budget from its points: one of each size, in order of params. */
static VertexOutcome budget_fit(IsoflopBudget *budget, const BudgetPoint *points, const double *weights, size_t count) {
    budget->points = count;
    budget->refused = true;
    budget->params = budget->examples = budget->loss = NAN;
    Parabola parabola;
    if (count < BUDGET_SIZES_MIN) {
        return VERTEX_FEW_SIZES;
    }
    if (!parabola_fit(&parabola, points, weights, count)) {
        return VERTEX_NONE;
    }
    const double *c = parabola.c, centre = parabola.centre, scale = parabola.scale, vertex = -c[1] / (2 * c[2]);
    budget->curvature[2] = c[2] / (scale * scale);
    budget->curvature[1] = c[1] / scale - 2 * centre * budget->curvature[2];
    budget->curvature[0] = c[0] - c[1] * centre / scale + c[2] * centre * centre / (scale * scale);
    VertexOutcome side = vertex_side(c, vertex, points, count);
    if (side != VERTEX_INSIDE) {
        return side;
    }
    budget->misfit = parabola_misfit(&parabola, points, weights, count);
    budget->params = exp(centre + scale * vertex);
    budget->examples = examples_at(points, count, centre + scale * vertex);
    budget->loss = c[0] - c[1] * c[1] / (4 * c[2]);
    budget->weight = 1 / vertex_variance(&parabola, budget->loss);
    if (!(budget->weight > 0) || !isfinite(budget->weight)) {
        return VERTEX_NONE;
    }
    budget->refused = false;
    return VERTEX_INSIDE;
}

/* The frontier through the accepted vertices, weighted by how well each is known: exponent and coefficient of P*, then of N*. */
static void regress(const IsoflopBudget *budgets, size_t count, double draw[FIT_FRONTIER_COLUMNS]) {
    PowerLawSums params = {0}, examples = {0};
    for (size_t i = 0; i < count; i++) {
        const IsoflopBudget *budget = &budgets[i];
        if (!budget->refused) {
            power_law_add(&params, budget->weight, log(budget->flops), log(budget->params));
            power_law_add(&examples, budget->weight, log(budget->flops), log(budget->examples));
        }
    }
    frontier_set(draw, &params, &examples);
}

/* All budgets of one (re)sample: returns how many carry the frontier. points: room for cell_count; keep, where given, takes the points
 * of all budgets instead. weights: room for cell_count. */
static size_t plan_fit(const IsoflopPlan *plan, const double *group_weights, IsoflopBudget *budgets, BudgetPoint *points, double *weights,
                       Fit *keep, size_t outcomes[VERTEX_OUTCOMES]) {
    size_t used = 0;
    memset(outcomes, 0, VERTEX_OUTCOMES * sizeof *outcomes);
    for (size_t i = 0; i < plan->budget_count; i++) {
        budgets[i] = (IsoflopBudget){.flops = plan->budgets[i], .first = keep == NULL ? 0 : keep->budget_point_count};
        BudgetPoint *target = keep == NULL ? points : keep->budget_points + keep->budget_point_count;
        size_t count = isoflop_plan_points(plan, i, group_weights, target, weights);
        VertexOutcome outcome = budget_fit(&budgets[i], target, weights, count);
        outcomes[outcome]++;
        used += outcome == VERTEX_INSIDE;
        if (keep != NULL) {
            keep->budget_point_count += count;
        }
    }
    return used;
}

static bool refit(const void *context, const double *group_weights, void *scratch, double *draw) {
    const IsoflopPlan *plan = context;
    BudgetPoint *points = scratch;
    IsoflopBudget *budgets = (IsoflopBudget *)(points + plan->cell_count);
    double *weights = (double *)(budgets + plan->budget_count);
    size_t outcomes[VERTEX_OUTCOMES];
    if (plan_fit(plan, group_weights, budgets, points, weights, NULL, outcomes) < BUDGETS_MIN) {
        return false;
    }
    regress(budgets, plan->budget_count, draw);
    return true;
}

static size_t scratch_size(const IsoflopPlan *plan) {
    return plan->cell_count * (sizeof(BudgetPoint) + sizeof(double)) + plan->budget_count * sizeof(IsoflopBudget);
}

/* ---- the fit ---- */

static int refuse_few_budgets(Fit *fit, const IsoflopPlan *plan, const size_t outcomes[VERTEX_OUTCOMES], Error *error) {
    const char *mend = "add seeds and model sizes: the parabolas have no bottom", *code = "budgets_dropped";
    if (plan->budget_count < BUDGETS_MIN) {
        mend = "add runs at more budgets";
        code = "few_budgets";
    } else if (outcomes[VERTEX_FEW_SIZES] > outcomes[VERTEX_ABOVE] + outcomes[VERTEX_BELOW]) {
        mend = "add model sizes, or more numbers of examples for each";
        code = "few_sizes";
    } else if (outcomes[VERTEX_ABOVE] + outcomes[VERTEX_BELOW] >= outcomes[VERTEX_NONE]) {
        mend = outcomes[VERTEX_ABOVE] >= outcomes[VERTEX_BELOW] ? "add larger models" : "add smaller models";
        code = "edge_optimum";
    }
    return fit_refuse(
        fit, code, error,
        "IsoFLOP needs 3 budgets with their optimum between the sizes and has %zu of %zu (optimum at or beyond the smallest size: %zu, "
        "the largest: %zu, no optimum: %zu, under 3 sizes: %zu): %s",
        fit->budgets_used, plan->budget_count, outcomes[VERTEX_BELOW], outcomes[VERTEX_ABOVE], outcomes[VERTEX_NONE],
        outcomes[VERTEX_FEW_SIZES], mend);
}

/* What the budgets that carry the frontier have in common. */
typedef struct BudgetSurvey {
    size_t thinnest, misfits;
    double low, high; /* flops */
} BudgetSurvey;

static BudgetSurvey survey(const Fit *fit) {
    BudgetSurvey found = {.thinnest = SIZE_MAX, .low = INFINITY};
    for (size_t i = 0; i < fit->budget_count; i++) {
        const IsoflopBudget *budget = &fit->budgets[i];
        if (!budget->refused) {
            found.low = fmin(found.low, budget->flops);
            found.high = fmax(found.high, budget->flops);
            found.thinnest = budget->points < found.thinnest ? budget->points : found.thinnest;
            found.misfits += budget->misfit > MISFIT_MAX;
        }
    }
    return found;
}

/* Half the extent of a budget's sizes, and how far their middle is above the vertex; both in ln params. */
static double half_width(const Fit *fit, const IsoflopBudget *budget) {
    const BudgetPoint *points = &fit->budget_points[budget->first];
    return log(points[budget->points - 1].params / points[0].params) / 2;
}

static double offset(const Fit *fit, const IsoflopBudget *budget) {
    const BudgetPoint *points = &fit->budget_points[budget->first];
    return log(points[budget->points - 1].params * points[0].params) / 2 - log(budget->params);
}

/* The middle of the sizes should follow the optimum. Where it moves against it, the parabola's own bias moves with C and bends the
 * exponent. The drift is that of a line through (ln C, offset), and counts when it is more than the vertices' scatter makes. */
static void warn_about_drift(Fit *fit, const BudgetSurvey *found) {
    double n = (double)fit->budgets_used, x = 0, y = 0, width = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < fit->budget_count; i++) {
        if (!fit->budgets[i].refused) {
            x += log(fit->budgets[i].flops) / n;
            y += offset(fit, &fit->budgets[i]) / n;
            width += half_width(fit, &fit->budgets[i]) / n;
        }
    }
    for (size_t i = 0; i < fit->budget_count; i++) {
        if (!fit->budgets[i].refused) {
            double dx = log(fit->budgets[i].flops) - x, dy = offset(fit, &fit->budgets[i]) - y;
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
    }
    double range = log(found->high / found->low), drift = xy / xx * range;
    double scatter = range * sqrt(fmax(0, yy - xy * xy / xx) / (n - 2) / xx);
    if (fabs(drift) > DRIFT_MAX * width && fabs(drift) > 2 * scatter) {
        fit_warn(&fit->warnings, "drifting_centre",
                 "From the lowest to the highest budget the middle of the sizes moves by a factor of %.3g %s the optimum: the parabolas' "
                 "bias moves with it and enters the exponent. Centre the sizes of each budget on its optimum.",
                 exp(fabs(drift)), drift > 0 ? "ahead of" : "behind");
    }
}

static void warn_about_budgets(Fit *fit, const IsoflopPlan *plan, const size_t outcomes[VERTEX_OUTCOMES]) {
    FitWarnings *warnings = &fit->warnings;
    if (!plan->measured) {
        fit_warn(warnings, "interpolated", "No runs share a compute budget: the loss of each size is interpolated between its runs.");
    }
    if (plan->unused > 0) {
        fit_warn(warnings, "outside_budgets",
                 "%zu configurations are left out: fewer than three sizes have their compute within 1 %%. Add sizes there.", plan->unused);
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
}

static void warn_about_extent(Fit *fit, const BudgetSurvey *found) {
    FitWarnings *warnings = &fit->warnings;
    if (found->misfits > 0) {
        fit_warn(
            warnings, "poor_parabola",
            "In %zu of %zu budgets used the parabola leaves over a quarter of the losses' variance: noise hides the optimum. Add seeds, "
            "or sizes further from it.",
            found->misfits, fit->budgets_used);
    }
    if (fit->budgets_used < BUDGETS_COMFORTABLE) {
        fit_warn(warnings, "few_budgets", "Only %zu budgets carry the power law: at least 5 are needed to see whether it is one.",
                 fit->budgets_used);
    }
    if (found->thinnest < SIZES_COMFORTABLE) {
        fit_warn(warnings, "few_sizes", "A budget has only %zu model sizes: its parabola hardly has anything to disagree with.",
                 found->thinnest);
    }
    if (found->high < 10 * found->low) {
        fit_warn(warnings, "short_extent", "The budgets used span a factor of %.3g in compute, under one decade.",
                 found->high / found->low);
    }
}

static int fit_plan(Fit *fit, const IsoflopPlan *plan, const FitGroups *groups, const FitOptions *options, Error *error) {
    size_t outcomes[VERTEX_OUTCOMES], points = plan->measured ? plan->cell_count : plan->cell_count * plan->budget_count;
    double *weights = calloc(plan->cell_count + 1, sizeof *weights), frontier[FIT_FRONTIER_COLUMNS];
    fit->budgets = calloc(plan->budget_count + 1, sizeof *fit->budgets);
    fit->budget_points = calloc(points + 1, sizeof *fit->budget_points);
    if (weights == NULL || fit->budgets == NULL || fit->budget_points == NULL) {
        free(weights);
        return error_set(error, "out of memory for %zu budgets", plan->budget_count);
    }
    fit->budget_count = plan->budget_count;
    fit->budgets_used = plan_fit(plan, NULL, fit->budgets, NULL, weights, fit, outcomes);
    free(weights);
    if (fit->budgets_used < BUDGETS_MIN) {
        return refuse_few_budgets(fit, plan, outcomes, error);
    }
    regress(fit->budgets, fit->budget_count, frontier);
    frontier_publish(fit, frontier);
    BudgetSurvey found = survey(fit);
    fit->flops_lowest = found.low;
    fit->flops_highest = found.high;
    warn_about_budgets(fit, plan, outcomes);
    warn_about_extent(fit, &found);
    warn_about_drift(fit, &found);
    const FitRefit again = {refit, plan, scratch_size(plan)};
    return fit_bootstrap(fit, groups, &again, options, error);
}

int fit_make_isoflop(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    FitGroups groups = {0};
    IsoflopPlan plan = {0};
    int result = -1;
    if (fit_groups_init(&groups, points, count, error) < 0 || fit_points_recipes(points, count, &out->warnings, error) < 0) {
        goto out;
    }
    result = isoflop_plan_init(&plan, out, points, &groups, count, error);
    if (result == 0) {
        result = fit_plan(out, &plan, &groups, options, error);
    }
out:
    isoflop_plan_deinit(&plan);
    fit_groups_deinit(&groups);
    return result;
}
