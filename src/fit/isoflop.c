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
/* Of the square of a deviation in the bootstrap; the rest is the mean's. */
static const double OWN_SHARE = 0.5;

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
static bool parabola_fit(Parabola *parabola, const IsoflopSample *samples, size_t count) {
    double low = log(samples[0].point.params), high = log(samples[count - 1].point.params), sides[3] = {0};
    *parabola = (Parabola){.centre = (low + high) / 2, .scale = (high - low) / 2};
    for (size_t i = 0; i < count; i++) {
        double u = parabola_u(parabola, &samples[i].point), power = samples[i].weight;
        for (int k = 0; k < 5; k++, power *= u) {
            parabola->moments[k] += power;
            if (k < 3) {
                sides[k] += power * samples[i].point.loss;
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
static double examples_at(const IsoflopSample *samples, size_t count, double ln_params) {
    size_t i = 1;
    while (i + 1 < count && log(samples[i].point.params) < ln_params) {
        i++;
    }
    double x0 = log(samples[i - 1].point.params), x1 = log(samples[i].point.params), y0 = log(samples[i - 1].point.examples),
           y1 = log(samples[i].point.examples);
    return exp(y0 + (ln_params - x0) / (x1 - x0) * (y1 - y0));
}

/* Where the losses themselves are lowest. Losses that fall to an end and level off there give a parabola with a bottom inside, and yet
 * nothing that was run shows an optimum. */
static VertexOutcome lowest_side(const IsoflopSample *samples, size_t count) {
    double first = samples[0].point.loss, last = samples[count - 1].point.loss, between = INFINITY;
    for (size_t i = 1; i + 1 < count; i++) {
        between = fmin(between, samples[i].point.loss);
    }
    if (between <= fmin(first, last)) {
        return VERTEX_INSIDE;
    }
    return first < last ? VERTEX_BELOW : VERTEX_ABOVE;
}

/* The share of the losses' variance that the parabola leaves. */
static double parabola_misfit(const Parabola *parabola, const IsoflopSample *samples, size_t count) {
    const double *c = parabola->c;
    double total = 0, mean = 0, left = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        total += samples[i].weight;
        mean += samples[i].weight * samples[i].point.loss;
    }
    mean /= total;
    for (size_t i = 0; i < count; i++) {
        double u = parabola_u(parabola, &samples[i].point), residual = samples[i].point.loss - (c[0] + u * (c[1] + u * c[2]));
        left += samples[i].weight * residual * residual;
        all += samples[i].weight * (samples[i].point.loss - mean) * (samples[i].point.loss - mean);
    }
    return all > 0 ? left / all : 0;
}

/* Which side of the sizes the optimum is on. u: of the vertex. */
static VertexOutcome vertex_side(const double c[3], double u, const IsoflopSample *samples, size_t count) {
    if (!(c[2] > 0) || !isfinite(u)) {
        /* Without a bottom the lowest side still tells where the optimum lies. */
        return c[2] <= 0 && fabs(c[1]) > fabs(c[2]) ? (c[1] > 0 ? VERTEX_BELOW : VERTEX_ABOVE) : VERTEX_NONE;
    }
    if (u <= -1 || u >= 1) {
        return u <= -1 ? VERTEX_BELOW : VERTEX_ABOVE;
    }
    return lowest_side(samples, count);
}

/* Fits one budget from its points: one of each size, in order of params. */
static VertexOutcome budget_fit(IsoflopBudget *budget, const IsoflopSample *samples, size_t count) {
    budget->points = count;
    budget->refused = true;
    budget->params = budget->examples = budget->loss = NAN;
    Parabola parabola;
    if (count < BUDGET_SIZES_MIN) {
        return VERTEX_FEW_SIZES;
    }
    if (!parabola_fit(&parabola, samples, count)) {
        return VERTEX_NONE;
    }
    const double *c = parabola.c, centre = parabola.centre, scale = parabola.scale, vertex = -c[1] / (2 * c[2]);
    budget->curvature[2] = c[2] / (scale * scale);
    budget->curvature[1] = c[1] / scale - 2 * centre * budget->curvature[2];
    budget->curvature[0] = c[0] - c[1] * centre / scale + c[2] * centre * centre / (scale * scale);
    VertexOutcome side = vertex_side(c, vertex, samples, count);
    if (side != VERTEX_INSIDE) {
        return side;
    }
    budget->misfit = parabola_misfit(&parabola, samples, count);
    budget->params = exp(centre + scale * vertex);
    budget->examples = examples_at(samples, count, centre + scale * vertex);
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

static size_t fit_one(IsoflopBudget *budget, const IsoflopSample *samples, size_t count, size_t outcomes[VERTEX_OUTCOMES]) {
    VertexOutcome outcome = budget_fit(budget, samples, count);
    outcomes[outcome]++;
    return outcome == VERTEX_INSIDE;
}

/* ---- bootstrap ----
 *
 * On a plain grid a resample drops runs, and what is interpolated between is dropped with them. At measured budgets that would be more than
 * the noise: of few sizes around a vertex each lost one bends the parabola, and intervals came out twice as wide as they had to be
 * (simulated). There the sizes stay and each configuration's deviation from its parabola is drawn: it comes (times drawn - 1)-fold, a
 * multiplier of mean 0 and variance 1 that is the same for all that a configuration has (a wild bootstrap). Deviations are divided by
 * sqrt(1 - leverage), since the parabola has been drawn towards its points. */

typedef struct Deviation {
    IsoflopSample sample; /* on the parabola */
    double amount;
} Deviation;

typedef struct Resampling {
    const IsoflopPlan *plan;
    const Fit *fit;
    Deviation *deviations; /* owned; measured: as budget_points of the fit */
    bool known;            /* some budget has more sizes than the parabola has constants */
} Resampling;

/* How far the parabola follows a point: weight x' (X' W X)^-1 x. */
static double leverage(const Parabola *parabola, const IsoflopSample *sample) {
    double u = parabola_u(parabola, &sample->point), row[3] = {1, u, u * u}, solved[3];
    if (!normal_solve(parabola->moments, row, solved)) {
        return 1;
    }
    return sample->weight * (solved[0] + u * (solved[1] + u * solved[2]));
}

/* Sets the deviations of one budget; adds to the mean square of relative deviations where the budget tells them. */
static void set_deviations(Deviation *deviations, const IsoflopSample *samples, size_t count, double *squares, double *freedom) {
    Parabola parabola;
    bool fitted = count >= BUDGET_SIZES_MIN && parabola_fit(&parabola, samples, count);
    for (size_t i = 0; i < count; i++) {
        deviations[i] = (Deviation){samples[i], NAN};
        if (fitted && count > BUDGET_SIZES_MIN) {
            double u = parabola_u(&parabola, &samples[i].point), loss = parabola.c[0] + u * (parabola.c[1] + u * parabola.c[2]);
            double residual = samples[i].point.loss - loss;
            deviations[i].sample.point.loss = loss;
            deviations[i].amount = residual / sqrt(fmax(1 - leverage(&parabola, &samples[i]), 1e-6));
            *squares += samples[i].weight * residual * residual / (loss * loss);
        }
    }
    *freedom += fitted && count > BUDGET_SIZES_MIN ? (double)(count - BUDGET_SIZES_MIN) : 0;
}

/* A deviation alone is a poor guide to its own size, and intervals from few of them are too narrow: a part of its square is the mean's of
 * all, which is right where the noise is relative and equal in all budgets. Where a budget has three sizes, its parabola meets them
 * whatever the noise, and the mean is all there is. */
static void complete_deviations(Resampling *resampling, double squares, double freedom) {
    resampling->known = freedom > 0;
    for (size_t i = 0; resampling->known && i < resampling->fit->budget_point_count; i++) {
        Deviation *deviation = &resampling->deviations[i];
        double loss = deviation->sample.point.loss, mean = loss * loss * squares / freedom / deviation->sample.weight;
        double own = isnan(deviation->amount) ? mean : deviation->amount * deviation->amount;
        deviation->amount = copysign(sqrt(OWN_SHARE * own + (1 - OWN_SHARE) * mean), deviation->amount);
    }
}

static bool refit(const void *context, const double *group_weights, void *scratch, double *draw) {
    const Resampling *resampling = context;
    const IsoflopPlan *plan = resampling->plan;
    IsoflopSample *samples = scratch;
    IsoflopBudget *budgets = (IsoflopBudget *)(samples + plan->cell_count);
    size_t used = 0, outcomes[VERTEX_OUTCOMES] = {0};
    if (plan->measured && !resampling->known) {
        return false;
    }
    for (size_t i = 0; i < plan->budget_count; i++) {
        budgets[i] = (IsoflopBudget){.flops = plan->budgets[i]};
        size_t count = plan->measured ? resampling->fit->budgets[i].points : isoflop_plan_samples(plan, i, group_weights, samples);
        for (size_t j = 0; plan->measured && j < count; j++) {
            const Deviation *deviation = &resampling->deviations[resampling->fit->budgets[i].first + j];
            samples[j] = deviation->sample;
            samples[j].point.loss += (group_weights[deviation->sample.group] - 1) * deviation->amount;
        }
        used += fit_one(&budgets[i], samples, count, outcomes);
    }
    if (used < BUDGETS_MIN) {
        return false;
    }
    regress(budgets, plan->budget_count, draw);
    return true;
}

static size_t scratch_size(const IsoflopPlan *plan) {
    return plan->cell_count * sizeof(IsoflopSample) + plan->budget_count * sizeof(IsoflopBudget);
}

/* All budgets, with their points, and what the bootstrap needs of them. samples: room for cell_count. */
static void fit_budgets(Fit *fit, Resampling *resampling, IsoflopSample *samples, size_t outcomes[VERTEX_OUTCOMES]) {
    const IsoflopPlan *plan = resampling->plan;
    double squares = 0, freedom = 0;
    memset(outcomes, 0, VERTEX_OUTCOMES * sizeof *outcomes);
    for (size_t i = 0; i < plan->budget_count; i++) {
        fit->budgets[i] = (IsoflopBudget){.flops = plan->budgets[i], .first = fit->budget_point_count};
        size_t count = isoflop_plan_samples(plan, i, NULL, samples);
        fit->budgets_used += fit_one(&fit->budgets[i], samples, count, outcomes);
        if (plan->measured) {
            set_deviations(&resampling->deviations[fit->budget_point_count], samples, count, &squares, &freedom);
        }
        for (size_t j = 0; j < count; j++) {
            fit->budget_points[fit->budget_point_count++] = samples[j].point;
        }
    }
    if (plan->measured) {
        complete_deviations(resampling, squares, freedom);
    }
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
    if (fabs(drift) > DRIFT_MAX * width && fabs(drift) > 3 * scatter) {
        fit_warn(&fit->warnings, "drifting_centre",
                 "Over the budgets the middle of the sizes moves by a factor of %.3g %s the optimum: the parabolas' "
                 "bias moves with it and enters the exponent, not its interval. Centre the sizes of each budget on its optimum.",
                 exp(fabs(drift)), drift > 0 ? "ahead of" : "behind");
    }
}

static void warn_about_budgets(Fit *fit, const IsoflopPlan *plan, const size_t outcomes[VERTEX_OUTCOMES]) {
    FitWarnings *warnings = &fit->warnings;
    if (!plan->measured) {
        fit_warn(warnings, "interpolated",
                 "No runs share a compute budget: each size's loss is interpolated between its runs. Such a grid's sizes do not follow the "
                 "optimum, which biases the exponent, and the interval does not hold that bias. Run sizes at equal compute.");
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
    double frontier[FIT_FRONTIER_COLUMNS];
    Resampling resampling = {.plan = plan, .fit = fit, .deviations = calloc(plan->cell_count + 1, sizeof(Deviation))};
    IsoflopSample *samples = calloc(plan->cell_count + 1, sizeof *samples);
    int result = -1;
    fit->budgets = calloc(plan->budget_count + 1, sizeof *fit->budgets);
    fit->budget_points = calloc(points + 1, sizeof *fit->budget_points);
    if (resampling.deviations == NULL || samples == NULL || fit->budgets == NULL || fit->budget_points == NULL) {
        error_set_memory(error, "out of memory for %zu budgets", plan->budget_count);
        goto out;
    }
    fit->budget_count = plan->budget_count;
    fit_budgets(fit, &resampling, samples, outcomes);
    if (fit->budgets_used < BUDGETS_MIN) {
        result = refuse_few_budgets(fit, plan, outcomes, error);
        goto out;
    }
    regress(fit->budgets, fit->budget_count, frontier);
    frontier_publish(fit, frontier);
    BudgetSurvey found = survey(fit);
    fit->flops_lowest = found.low;
    fit->flops_highest = found.high;
    warn_about_budgets(fit, plan, outcomes);
    warn_about_extent(fit, &found);
    warn_about_drift(fit, &found);
    const FitRefit again = {.make = refit, .context = &resampling, .scratch_size = scratch_size(plan)};
    result = fit_bootstrap(fit, groups, &again, options, error);
out:
    free(samples);
    free(resampling.deviations);
    return result;
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
