/* The sizes at a budget. Runs made at one compute are taken as they are. A plain grid of sizes and examples has none such: there each
 * size's loss is interpolated in its compute, log-log, between two of its runs, and never beyond them. */
#include "isoflop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS_INTERPOLATED = 12 };
static const double BUDGET_AGREEMENT = 1.01;

static size_t count_sizes(const Cell *cells, size_t count) {
    size_t sizes = 0;
    for (size_t first = 0; first < count; first = cell_size_end(cells, count, first)) {
        sizes++;
    }
    return sizes;
}

/* Budgets that the runs themselves were made at: groups of at least three sizes whose compute agrees within 1 %. They
 * count when they hold at least half of the cells; a plain grid meets itself now and then by chance. */
static int plan_measured(IsoflopPlan *plan, Error *error) {
    size_t count = plan->cell_count, held = 0;
    Cell *sorted = calloc(count + 1, sizeof *sorted);
    plan->budgets = calloc(count + BUDGETS_INTERPOLATED, sizeof *plan->budgets);
    plan->first = calloc(count + 1, sizeof *plan->first);
    if (sorted == NULL || plan->budgets == NULL || plan->first == NULL) {
        free(sorted);
        return error_set_memory(error, "out of memory for %zu cells", count);
    }
    memcpy(sorted, plan->cells, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, cell_compare_flops);
    for (size_t first = 0, end; first < count; first = end) {
        double logs = 0, highest = sorted[first].flops * BUDGET_AGREEMENT;
        for (end = first; end < count && sorted[end].flops <= highest; end++) {
            logs += log(sorted[end].flops);
        }
        qsort(sorted + first, end - first, sizeof *sorted, cell_compare);
        if (count_sizes(sorted + first, end - first) >= BUDGET_SIZES_MIN) {
            memmove(sorted + held, sorted + first, (end - first) * sizeof *sorted);
            held += end - first;
            plan->budgets[plan->budget_count++] = exp(logs / (double)(end - first));
            plan->first[plan->budget_count] = held;
        }
    }
    plan->measured = held > 0 && held * 2 >= count;
    if (plan->measured) {
        memcpy(plan->cells, sorted, held * sizeof *sorted);
        plan->unused = count - held;
        plan->cell_count = held;
    }
    free(sorted);
    return 0;
}

/* Log-spaced budgets from the third lowest start of a size's compute to the third highest end: outside, fewer than
 * three sizes are known. */
static int plan_interpolated(IsoflopPlan *plan, Fit *out, Error *error) {
    double *starts = calloc(2 * plan->cell_count + 2, sizeof *starts), *ends;
    if (starts == NULL) {
        return error_set_memory(error, "out of memory for %zu cells", plan->cell_count);
    }
    ends = starts + plan->cell_count + 1;
    size_t sizes = 0;
    for (size_t first = 0, end; first < plan->cell_count; first = end) {
        end = cell_size_end(plan->cells, plan->cell_count, first);
        if (plan->cells[end - 1].flops > plan->cells[first].flops * BUDGET_AGREEMENT) {
            starts[sizes] = plan->cells[first].flops;
            ends[sizes++] = plan->cells[end - 1].flops;
        }
    }
    qsort(starts, sizes, sizeof *starts, doubles_compare);
    qsort(ends, sizes, sizeof *ends, doubles_compare);
    double low = sizes < BUDGET_SIZES_MIN ? 0 : starts[BUDGET_SIZES_MIN - 1];
    double high = sizes < BUDGET_SIZES_MIN ? 0 : ends[sizes - BUDGET_SIZES_MIN];
    free(starts);
    plan->budget_count = 0;
    if (low >= high) {
        return fit_refuse(out, "few_sizes", error,
                          "IsoFLOP needs at least 3 model sizes whose runs overlap in compute, and has %zu sizes with more than one "
                          "compute: add model sizes, or more numbers of examples for each",
                          sizes);
    }
    for (int i = 0; i < BUDGETS_INTERPOLATED; i++) {
        plan->budgets[plan->budget_count++] = low * pow(high / low, (double)i / (BUDGETS_INTERPOLATED - 1));
    }
    /* Rounding must not put the last budget beyond the runs that it was taken from. */
    plan->budgets[plan->budget_count - 1] = high;
    return 0;
}

int isoflop_plan_init(IsoflopPlan *plan, Fit *out, const FitPoint *points, const FitGroups *groups, size_t count, Error *error) {
    *plan = (IsoflopPlan){0};
    int result = cells_make(&plan->cells, &plan->cell_count, points, groups, count, error);
    if (result == 0) {
        result = plan_measured(plan, error);
    }
    if (result == 0 && !plan->measured) {
        result = plan_interpolated(plan, out, error);
    }
    if (result != 0) {
        isoflop_plan_deinit(plan);
    }
    return result;
}

void isoflop_plan_deinit(IsoflopPlan *plan) {
    if (plan != NULL) {
        free(plan->cells);
        free(plan->budgets);
        free(plan->first);
        *plan = (IsoflopPlan){0};
    }
}

/* Between two runs of a size, a and b, at the share t of the way in ln compute. The weight is the inverse of the mixture's variance. */
static IsoflopSample mix(const Cell *a, const Cell *b, double budget, const double *group_weights) {
    double t = a == b ? 0 : log(budget / a->flops) / log(b->flops / a->flops);
    double variance = (1 - t) * (1 - t) / cell_weight(a, group_weights) + t * t / cell_weight(b, group_weights);
    BudgetPoint point = {budget, a->params, a->examples * pow(b->examples / a->examples, t), a->loss * pow(b->loss / a->loss, t)};
    return (IsoflopSample){point, 1 / variance, a->group};
}

/* One size's cells, ascending in compute; where several have the same compute the lowest loss comes first and counts. */
static bool interpolate_size(const Cell *cells, size_t count, double budget, const double *group_weights, IsoflopSample *out) {
    const Cell *below = NULL;
    for (size_t i = 0; i < count; i++) {
        const Cell *cell = &cells[i];
        if (!(cell_weight(cell, group_weights) > 0) || (below != NULL && cell->flops <= below->flops * CELL_SAME)) {
            continue;
        }
        if (cell->flops >= budget) {
            if (below == NULL && cell->flops > budget) {
                return false;
            }
            *out = mix(below == NULL ? cell : below, cell, budget, group_weights);
            return true;
        }
        below = cell;
    }
    return false;
}

/* One size's run with the lowest loss of those made at a budget; where several configurations have one size and one compute, that is the
 * one that counts. */
static bool lowest_of_size(const Cell *cells, size_t count, const double *group_weights, IsoflopSample *out) {
    const Cell *lowest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (cell_weight(&cells[i], group_weights) > 0 && (lowest == NULL || cells[i].loss < lowest->loss)) {
            lowest = &cells[i];
        }
    }
    if (lowest == NULL) {
        return false;
    }
    BudgetPoint point = {lowest->flops, lowest->params, lowest->examples, lowest->loss};
    *out = (IsoflopSample){point, cell_weight(lowest, group_weights), lowest->group};
    return true;
}

size_t isoflop_plan_samples(const IsoflopPlan *plan, size_t budget, const double *group_weights, IsoflopSample *samples) {
    size_t written = 0, last = plan->measured ? plan->first[budget + 1] : plan->cell_count;
    for (size_t first = plan->measured ? plan->first[budget] : 0, end; first < last; first = end) {
        const Cell *cells = &plan->cells[first];
        end = cell_size_end(plan->cells, last, first);
        written += plan->measured ? lowest_of_size(cells, end - first, group_weights, &samples[written])
                                  : interpolate_size(cells, end - first, plan->budgets[budget], group_weights, &samples[written]);
    }
    return written;
}
