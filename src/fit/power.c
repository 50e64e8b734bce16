/* The power law of the frontier's loss (Bachmann et al. 2023), through the lowest losses at each compute: configurations that none of at
 * most their compute beats. Where there are more than WINNERS_MAX, one of each of as many log-spaced steps of compute stands for the rest,
 * so that no table takes minutes. */
#include "power.h"
#include "law.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WINNERS_MIN = 5, WINNERS_COMFORTABLE = 8, WINNERS_MAX = 300, SPREADS = 5 };
enum { START_EXPONENTS = 5, START_OFFSETS = 4, START_FLOORS = 3, STARTS = START_EXPONENTS * START_OFFSETS * START_FLOORS };

typedef struct PowerPlan {
    Cell *cells; /* owned; by flops */
    size_t cell_count;
    double scale; /* flops of x = 1 */
    FitLoss loss;
    double estimate[POWER_PADDED];
} PowerPlan;

/* What one (re)sample is fitted through. */
typedef struct Winners {
    size_t *indices;    /* [cell_count], of cells */
    PowerPoint *points; /* [cell_count] */
    size_t count;
} Winners;

static size_t scratch_size(const PowerPlan *plan) {
    return plan->cell_count * (sizeof(PowerPoint) + sizeof(size_t));
}

static Winners winners_in(const PowerPlan *plan, void *scratch) {
    PowerPoint *points = scratch;
    return (Winners){.points = points, .indices = (size_t *)(points + plan->cell_count)};
}

/* Keeps the last, which is the lowest, of each of WINNERS_MAX steps of compute. */
static void thin(const PowerPlan *plan, Winners *winners) {
    double low = log(plan->cells[winners->indices[0]].flops), high = log(plan->cells[winners->indices[winners->count - 1]].flops);
    size_t kept = 0, last = WINNERS_MAX;
    for (size_t i = 0; i < winners->count; i++) {
        size_t step = (size_t)((log(plan->cells[winners->indices[i]].flops) - low) / (high - low) * (WINNERS_MAX - 1));
        kept += step != last;
        last = step;
        winners->indices[kept - 1] = winners->indices[i];
    }
    winners->count = kept;
}

static void find_winners(const PowerPlan *plan, const double *group_weights, Winners *winners) {
    winners->count = cells_envelope(plan->cells, plan->cell_count, group_weights, winners->indices);
    if (winners->count > WINNERS_MAX) {
        thin(plan, winners);
    }
    for (size_t i = 0; i < winners->count; i++) {
        const Cell *cell = &plan->cells[winners->indices[i]];
        winners->points[i] = (PowerPoint){cell->flops / plan->scale, log(cell->loss), cell_weight(cell, group_weights)};
    }
}

/* ---- starts ---- */

/* Sets p so that the law meets the points on average. */
static void meet_points(const PowerProblem *problem, double *variables) {
    double alpha = exp(variables[POWER_S]), b = exp(variables[POWER_Q]), floor = exp(variables[POWER_R]), sum = 0;
    for (size_t i = 0; i < problem->count; i++) {
        double loss = exp(problem->points[i].target), rest = fmax(loss - floor, 1e-3 * loss);
        sum += log(rest) + alpha * log((b + problem->points[i].x) / (b + 1));
    }
    variables[POWER_P] = sum / (double)problem->count;
}

static void start_set(const PowerProblem *problem, int index, double *variables) {
    static const double exponents[START_EXPONENTS] = {0.1, 0.3, 0.6, 1, 2}, floors[START_FLOORS] = {0.01, 0.5, 0.9};
    const double first = problem->points[0].x, last = problem->points[problem->count - 1].x;
    const double offsets[START_OFFSETS] = {1e-2 * first, first, sqrt(first * last), last};
    memset(variables, 0, POWER_PADDED * sizeof *variables);
    variables[POWER_S] = log(exponents[index % START_EXPONENTS]);
    variables[POWER_Q] = log(offsets[index / START_EXPONENTS % START_OFFSETS]);
    /* The last winner has the lowest loss. */
    variables[POWER_R] = log(floors[index / START_EXPONENTS / START_OFFSETS]) + problem->points[problem->count - 1].target;
    meet_points(problem, variables);
}

/* The lowest minimum over all starts; sets the fit's counts and objective. */
static double search(Fit *fit, const PowerProblem *problem, double *variables) {
    double values[STARTS], lowest = INFINITY;
    for (int i = 0; i < STARTS; i++) {
        double trial[POWER_PADDED];
        start_set(problem, i, trial);
        values[i] = power_descend(problem, trial);
        if (values[i] < lowest) {
            lowest = values[i];
            memcpy(variables, trial, sizeof trial);
        }
    }
    fit->starts_tried = STARTS;
    for (int i = 0; i < STARTS; i++) {
        /* The absolute part is data that the law meets exactly: its lowest values are rounding. */
        fit->starts_at_optimum += values[i] <= lowest * (1 + 1e-4) + 1e-6;
    }
    fit->objective = lowest * HUBER_DELTA * HUBER_DELTA;
    return lowest;
}

static void draw_set(const PowerPlan *plan, const double *variables, double *draw) {
    double alpha = exp(variables[POWER_S]), b = exp(variables[POWER_Q]);
    draw[POWER_A] = exp(variables[POWER_P] + alpha * log((b + 1) * plan->scale));
    draw[POWER_B] = b * plan->scale;
    draw[POWER_ALPHA] = alpha;
    draw[POWER_E_INF] = exp(variables[POWER_R]);
}

/* From the estimate and from around it: the exponent halved or half as much again, the offset moved by ten either way. */
static bool refit(const void *context, const double *group_weights, void *scratch, double *draw) {
    static const double spreads[SPREADS][2] = {{1, 1}, {0.5, 0.1}, {0.5, 10}, {1.5, 0.1}, {1.5, 10}};
    const PowerPlan *plan = context;
    Winners winners = winners_in(plan, scratch);
    find_winners(plan, group_weights, &winners);
    if (winners.count < WINNERS_MIN) {
        return false;
    }
    const PowerProblem problem = {winners.points, winners.count, plan->loss};
    double lowest = INFINITY, best[POWER_PADDED] = {0};
    for (int i = 0; i < SPREADS; i++) {
        double trial[POWER_PADDED];
        memcpy(trial, plan->estimate, sizeof trial);
        trial[POWER_S] += log(spreads[i][0]);
        trial[POWER_Q] += log(spreads[i][1]);
        if (i > 0) {
            meet_points(&problem, trial);
        }
        double value = power_descend(&problem, trial);
        if (value < lowest) {
            lowest = value;
            memcpy(best, trial, sizeof best);
        }
    }
    draw_set(plan, best, draw);
    return isfinite(lowest) && isfinite(draw[POWER_A]) && isfinite(draw[POWER_B]);
}

/* ---- the fit ---- */

/* Of the Hessian by differences of the gradient, over the variables that are not at a bound. */
static double condition(const PowerProblem *problem, const double *variables, const bool *at_bound) {
    const double step = 1e-6;
    double hessian[SURFACE_VARIABLES][SURFACE_VARIABLES];
    int rows = 0;
    for (int i = 0; i < POWER_VARIABLES; i++) {
        double moved[POWER_PADDED], above[POWER_PADDED], below[POWER_PADDED];
        memcpy(moved, variables, sizeof moved);
        moved[i] = variables[i] + step;
        power_evaluate(problem, moved, above, NULL);
        moved[i] = variables[i] - step;
        power_evaluate(problem, moved, below, NULL);
        for (int j = 0, columns = 0; !at_bound[i] && j <= i; j++) {
            if (!at_bound[j]) {
                hessian[rows][columns++] = (above[j] - below[j]) / (2 * step);
            }
        }
        rows += !at_bound[i];
    }
    return law_condition(hessian, rows);
}

static int refuse_points(Fit *fit, const PowerPlan *plan, size_t winners, Error *error) {
    return fit_refuse(fit, "few_winners", error,
                      "the power law of the lowest losses has 4 unknowns and needs 5 configurations that none of less compute beats; there "
                      "are %zu among %zu: run more amounts of compute",
                      winners, plan->cell_count);
}

static void warn_about_law(Fit *fit, size_t winners) {
    if (fit->parameters[POWER_B].at_bound) {
        fit_warn(&fit->warnings, "at_bound",
                 "b came out at 0, its bound: the lowest losses do not bend at small compute. The other intervals take b = 0 for true.");
    }
    if (fit->parameters[POWER_E_INF].at_bound) {
        fit_warn(&fit->warnings, "at_bound",
                 "E_inf came out at 0, its bound: the runs do not reach where the loss levels off. The exponent may be too low, and the "
                 "intervals of the others take E_inf = 0 for true: they are too narrow.");
    }
    if (fit->parameters[POWER_ALPHA].at_bound) {
        fit_warn(&fit->warnings, "at_bound", "alpha = %.3g lies outside 0.02 to 2: the range of compute hardly tells it.",
                 fit->parameters[POWER_ALPHA].estimate.value);
    }
    if (winners < WINNERS_COMFORTABLE) {
        fit_warn(&fit->warnings, "few_winners", "Only %zu lowest losses carry the law's 4 unknowns. Run more amounts of compute.", winners);
    }
    if (fit->flops_highest < 10 * fit->flops_lowest) {
        fit_warn(&fit->warnings, "short_extent", "The lowest losses span a factor of %.3g in compute, under one decade.",
                 fit->flops_highest / fit->flops_lowest);
    }
    if (fit->starts_at_optimum * 20 < fit->starts_tried) {
        fit_warn(&fit->warnings, "starts_disagree", "Only %lld of %lld starts reached the lowest minimum; a lower one may exist.",
                 (long long)fit->starts_at_optimum, (long long)fit->starts_tried);
    }
}

/* The winners as points, residuals and sources: what was fitted. */
static int publish_winners(Fit *fit, const PowerPlan *plan, const Winners *winners, const double law[], Error *error) {
    fit->budget_points = calloc(winners->count, sizeof *fit->budget_points);
    fit->residuals = calloc(winners->count, sizeof *fit->residuals);
    size_t *source = calloc(winners->count, sizeof *source);
    if (fit->budget_points == NULL || fit->residuals == NULL || source == NULL) {
        free(source);
        return error_set_memory(error, "out of memory for %zu lowest losses", winners->count);
    }
    double squares = 0;
    for (size_t i = 0; i < winners->count; i++) {
        const Cell *cell = &plan->cells[winners->indices[i]];
        fit->budget_points[i] = (BudgetPoint){cell->flops, cell->params, cell->examples, cell->loss};
        fit->residuals[i] = log(power_loss(law, cell->flops) / cell->loss);
        squares += fit->residuals[i] * fit->residuals[i];
        source[i] = fit->source[cell->point];
    }
    free(fit->source);
    fit->source = source;
    fit->points = fit->budget_point_count = winners->count;
    fit->flops_lowest = fit->budget_points[0].flops;
    fit->flops_highest = fit->budget_points[winners->count - 1].flops;
    double spread = sqrt(squares / (double)winners->count);
    if (spread > 0.1) {
        fit_warn(&fit->warnings, "poor_fit", "The law misses the lowest losses by %.0f %% (root mean square of the log residuals).",
                 100 * spread);
    }
    return 0;
}

static void publish_parameters(Fit *fit, const double draw[], double flops_lowest, double loss_lowest) {
    static const char *const names[] = {"a", "b", "alpha", "E_inf"};
    for (size_t i = 0; i < POWER_PARAMETERS; i++) {
        fit->parameters[i] = (FitParameter){.name = names[i], .estimate = fit_estimate(draw[i])};
    }
    fit->parameter_count = POWER_PARAMETERS;
    fit->parameters[POWER_B].at_bound = draw[POWER_B] < 1e-3 * flops_lowest;
    fit->parameters[POWER_E_INF].at_bound = draw[POWER_E_INF] < 1e-3 * loss_lowest;
    fit->parameters[POWER_ALPHA].at_bound = draw[POWER_ALPHA] < 0.02 || draw[POWER_ALPHA] > 2;
}

/* Where the minimum lies at a bound of alpha or b, which the points do not tell then; 0 elsewhere. */
static int refuse_at_bound(Fit *fit, const PowerProblem *problem, const double *variables, const double draw[], Error *error) {
    static const struct {
        int variable, parameter;
        const char *name;
    } bounded[] = {{POWER_S, POWER_ALPHA, "alpha"}, {POWER_Q, POWER_B, "b"}};
    const double near = 1e-3;
    const PowerBounds bounds = power_bounds(problem);
    for (size_t i = 0; i < sizeof bounded / sizeof *bounded; i++) {
        int at = bounded[i].variable;
        if (variables[at] > bounds.high[at] - near || (at == POWER_S && variables[at] < bounds.low[at] + near)) {
            return fit_refuse(fit, "no_power_law", error,
                              "the losses do not level off like a power law: %s runs off to %.3g, its bound. Run more compute, until the "
                              "lowest losses level off, or take another method",
                              bounded[i].name, draw[bounded[i].parameter]);
        }
    }
    return 0;
}

static int fit_plan(Fit *fit, PowerPlan *plan, void *scratch, Error *error) {
    Winners winners = winners_in(plan, scratch);
    find_winners(plan, NULL, &winners);
    if (winners.count < WINNERS_MIN) {
        return refuse_points(fit, plan, winners.count, error);
    }
    const PowerProblem problem = {winners.points, winners.count, plan->loss};
    double draw[POWER_PARAMETERS];
    if (!isfinite(search(fit, &problem, plan->estimate))) {
        return fit_refuse(fit, "starts_failed", error,
                          "no start of the power law led to a finite objective: look at the points' weights and losses");
    }
    draw_set(plan, plan->estimate, draw);
    if (refuse_at_bound(fit, &problem, plan->estimate, draw, error) != 0) {
        return FIT_REFUSED;
    }
    const Cell *first = &plan->cells[winners.indices[0]], *last = &plan->cells[winners.indices[winners.count - 1]];
    publish_parameters(fit, draw, first->flops, last->loss);
    const bool bound[POWER_VARIABLES] = {[POWER_Q] = fit->parameters[POWER_B].at_bound, [POWER_R] = fit->parameters[POWER_E_INF].at_bound};
    fit->condition = condition(&problem, plan->estimate, bound);
    if (publish_winners(fit, plan, &winners, draw, error) < 0) {
        return -1;
    }
    warn_about_law(fit, winners.count);
    return 0;
}

/* exp of the mean of ln flops: where the scaled compute is 1. */
static double mean_flops(const Cell *cells, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += log(cells[i].flops);
    }
    return exp(sum / (double)count);
}

int fit_make_power(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    FitGroups groups = {0};
    PowerPlan plan = {.loss = options->loss};
    void *scratch = NULL;
    int result = -1;
    if (fit_groups_init(&groups, points, count, error) < 0 ||
        cells_make(&plan.cells, &plan.cell_count, points, &groups, count, error) < 0) {
        goto out;
    }
    qsort(plan.cells, plan.cell_count, sizeof *plan.cells, cell_compare_flops);
    plan.scale = mean_flops(plan.cells, plan.cell_count);
    scratch = malloc(scratch_size(&plan) + 1);
    if (scratch == NULL) {
        error_set_memory(error, "out of memory for %zu points", count);
        goto out;
    }
    result = fit_plan(out, &plan, scratch, error);
    if (result == 0) {
        const FitRefit again = {refit, &plan, scratch_size(&plan), 0};
        result = fit_bootstrap(out, &groups, &again, options, error);
    }
out:
    free(scratch);
    free(plan.cells);
    fit_groups_deinit(&groups);
    return result;
}
