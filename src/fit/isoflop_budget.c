/* The sizes at a budget. Runs made at one compute are taken as they are. A plain grid of sizes and examples has none such: there each
 * size's loss is interpolated in its compute, log-log, between two of its runs, and never beyond them. */
#include "isoflop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGETS_INTERPOLATED = 12 };
static const double BUDGET_AGREEMENT = 1.01, SAME = 1 + 1e-9;

static int cell_compare(const void *left, const void *right) {
    const Cell *a = left, *b = right;
    const double keys[][2] = {{a->params, b->params}, {a->flops, b->flops}, {a->loss, b->loss}, {a->examples, b->examples}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i][0] != keys[i][1]) {
            return keys[i][0] < keys[i][1] ? -1 : 1;
        }
    }
    return (a->group > b->group) - (a->group < b->group);
}

static int cell_compare_configuration(const void *left, const void *right) {
    const Cell *a = left, *b = right;
    if (a->group != b->group) {
        return a->group < b->group ? -1 : 1;
    }
    return cell_compare(left, right);
}

static bool cell_is_same_run(const Cell *a, const Cell *b) {
    return a->group == b->group && a->params == b->params && a->examples == b->examples && b->flops <= a->flops * SAME;
}

/* Seeds of one configuration become one cell with their mean loss. */
static int cells_init(IsoflopPlan *plan, const FitPoint *points, const FitGroups *groups, size_t count, Error *error) {
    plan->cells = calloc(count + 1, sizeof *plan->cells);
    if (plan->cells == NULL) {
        return error_set(error, "out of memory for %zu points", count);
    }
    for (size_t i = 0; i < count; i++) {
        plan->cells[i] = (Cell){points[i].params, points[i].examples, points[i].flops, points[i].loss, groups->of_point[i], BUDGET_NONE};
    }
    qsort(plan->cells, count, sizeof *plan->cells, cell_compare_configuration);
    size_t cells = 0, seeds = 1;
    for (size_t i = 0; i < count; i++) {
        if (cells > 0 && cell_is_same_run(&plan->cells[cells - 1], &plan->cells[i])) {
            seeds++;
            Cell *cell = &plan->cells[cells - 1];
            cell->loss += (plan->cells[i].loss - cell->loss) / (double)seeds;
        } else {
            plan->cells[cells++] = plan->cells[i];
            seeds = 1;
        }
    }
    plan->cell_count = cells;
    qsort(plan->cells, cells, sizeof *plan->cells, cell_compare);
    return 0;
}

typedef struct Indexed {
    double flops;
    size_t cell;
} Indexed;

static int indexed_compare(const void *left, const void *right) {
    const Indexed *a = left, *b = right;
    if (a->flops != b->flops) {
        return a->flops < b->flops ? -1 : 1;
    }
    return (a->cell > b->cell) - (a->cell < b->cell);
}

static size_t distinct_sizes(const IsoflopPlan *plan, const Indexed *from, size_t count, double *scratch) {
    for (size_t i = 0; i < count; i++) {
        scratch[i] = plan->cells[from[i].cell].params;
    }
    return fit_distinct(scratch, count);
}

/* Budgets that the runs themselves were made at: groups of at least three sizes whose compute agrees within 1 %. They
 * count when they hold at least half of the cells; a plain grid meets itself now and then by chance. */
static int plan_measured(IsoflopPlan *plan, Error *error) {
    size_t count = plan->cell_count, held = 0;
    Indexed *sorted = calloc(count + 1, sizeof *sorted);
    double *scratch = calloc(count + 1, sizeof *scratch);
    plan->budgets = calloc(count + BUDGETS_INTERPOLATED, sizeof *plan->budgets);
    if (sorted == NULL || scratch == NULL || plan->budgets == NULL) {
        free(sorted);
        free(scratch);
        return error_set(error, "out of memory for %zu cells", count);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = (Indexed){plan->cells[i].flops, i};
    }
    qsort(sorted, count, sizeof *sorted, indexed_compare);
    for (size_t first = 0, end; first < count; first = end) {
        double logs = 0;
        for (end = first; end < count && sorted[end].flops <= sorted[first].flops * BUDGET_AGREEMENT; end++) {
            logs += log(sorted[end].flops);
        }
        if (distinct_sizes(plan, sorted + first, end - first, scratch) >= BUDGET_SIZES_MIN) {
            for (size_t i = first; i < end; i++) {
                plan->cells[sorted[i].cell].budget = plan->budget_count;
            }
            plan->budgets[plan->budget_count++] = exp(logs / (double)(end - first));
            held += end - first;
        }
    }
    plan->measured = plan->budget_count > 0 && held * 2 >= count;
    free(sorted);
    free(scratch);
    return 0;
}

static int double_compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The end of the run of cells that have the size of the one at `first`. */
static size_t size_end(const IsoflopPlan *plan, size_t first) {
    size_t end = first;
    while (end < plan->cell_count && plan->cells[end].params <= plan->cells[first].params * SAME) {
        end++;
    }
    return end;
}

/* Log-spaced budgets from the third lowest start of a size's compute to the third highest end: outside, fewer than
 * three sizes are known. */
static int plan_interpolated(IsoflopPlan *plan, Error *error) {
    double *starts = calloc(2 * plan->cell_count + 2, sizeof *starts), *ends;
    if (starts == NULL) {
        return error_set(error, "out of memory for %zu cells", plan->cell_count);
    }
    ends = starts + plan->cell_count + 1;
    size_t sizes = 0;
    for (size_t first = 0, end; first < plan->cell_count; first = end) {
        end = size_end(plan, first);
        if (plan->cells[end - 1].flops > plan->cells[first].flops * BUDGET_AGREEMENT) {
            starts[sizes] = plan->cells[first].flops;
            ends[sizes++] = plan->cells[end - 1].flops;
        }
    }
    qsort(starts, sizes, sizeof *starts, double_compare);
    qsort(ends, sizes, sizeof *ends, double_compare);
    double low = sizes < BUDGET_SIZES_MIN ? 0 : starts[BUDGET_SIZES_MIN - 1];
    double high = sizes < BUDGET_SIZES_MIN ? 0 : ends[sizes - BUDGET_SIZES_MIN];
    free(starts);
    plan->budget_count = 0;
    if (low >= high) {
        error_set(error,
                  "IsoFLOP needs at least 3 model sizes whose runs overlap in compute, and has %zu sizes with more than one compute: "
                  "add model sizes, or more numbers of examples for each",
                  sizes);
        return FIT_REFUSED;
    }
    for (int i = 0; i < BUDGETS_INTERPOLATED; i++) {
        plan->budgets[plan->budget_count++] = low * pow(high / low, (double)i / (BUDGETS_INTERPOLATED - 1));
    }
    /* Rounding must not put the last budget beyond the runs that it was taken from. */
    plan->budgets[plan->budget_count - 1] = high;
    return 0;
}

int isoflop_plan_init(IsoflopPlan *plan, const FitPoint *points, const FitGroups *groups, size_t count, Error *error) {
    *plan = (IsoflopPlan){0};
    int result = cells_init(plan, points, groups, count, error);
    if (result == 0) {
        result = plan_measured(plan, error);
    }
    if (result == 0 && !plan->measured) {
        result = plan_interpolated(plan, error);
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
        *plan = (IsoflopPlan){0};
    }
}

static double weight_of(const Cell *cell, const double *weights) {
    return weights == NULL ? 1 : weights[cell->group];
}

static double between(double x, double x0, double x1, double y0, double y1) {
    if (x0 == x1) {
        return y0;
    }
    return exp(log(y0) + (log(x) - log(x0)) / (log(x1) - log(x0)) * (log(y1) - log(y0)));
}

/* One size's cells, ascending in compute; where several have the same compute the lowest loss comes first and counts. */
static bool interpolate_size(const Cell *cells, size_t count, double budget, const double *weights, IsoflopPoint *out) {
    const Cell *below = NULL;
    for (size_t i = 0; i < count; i++) {
        const Cell *cell = &cells[i];
        if (!(weight_of(cell, weights) > 0) || (below != NULL && cell->flops <= below->flops * SAME)) {
            continue;
        }
        if (cell->flops >= budget) {
            if (below == NULL && cell->flops > budget) {
                return false;
            }
            const Cell *from = below == NULL ? cell : below;
            *out = (IsoflopPoint){budget, cell->params, between(budget, from->flops, cell->flops, from->examples, cell->examples),
                                  between(budget, from->flops, cell->flops, from->loss, cell->loss)};
            return true;
        }
        below = cell;
    }
    return false;
}

/* One size's run with the lowest loss of those made at the budget, or NULL. */
static const Cell *lowest_at(const Cell *cells, size_t count, size_t budget, const double *weights) {
    const Cell *lowest = NULL;
    for (size_t i = 0; i < count; i++) {
        bool there = cells[i].budget == budget && weight_of(&cells[i], weights) > 0;
        if (there && (lowest == NULL || cells[i].loss < lowest->loss)) {
            lowest = &cells[i];
        }
    }
    return lowest;
}

size_t isoflop_plan_points(const IsoflopPlan *plan, size_t budget, const double *weights, IsoflopPoint *points, double *point_weights) {
    size_t written = 0;
    for (size_t first = 0, end; first < plan->cell_count; first = end) {
        const Cell *cells = &plan->cells[first];
        end = size_end(plan, first);
        if (plan->measured) {
            const Cell *cell = lowest_at(cells, end - first, budget, weights);
            if (cell != NULL) {
                point_weights[written] = weight_of(cell, weights);
                points[written++] = (IsoflopPoint){cell->flops, cell->params, cell->examples, cell->loss};
            }
        } else if (interpolate_size(cells, end - first, plan->budgets[budget], weights, &points[written])) {
            point_weights[written++] = 1;
        }
    }
    return written;
}
