/* The envelope (Hoffmann et al. 2022, approach 1): at log-spaced budgets the lowest loss of all sizes, and power laws through the winners.
 *
 * A size is known at a budget that lies between two of its finished runs, by interpolation in logs; the middle of a run is not a
 * run of half the length, so that curves along training are not used. A winner counts when both a smaller and a larger size are known at
 * its budget: at the ends of a grid the winner is the end, whatever the optimum. Simulated, that takes the exponent's bias on plain grids
 * from up to 0.03 to under 0.01. */
#include "cells.h"

#include <math.h>
#include <stdlib.h>

/* BUDGETS is the method's number; past WORK_MAX sizes times budgets there are fewer, so that no table takes minutes. */
enum { BUDGETS = 1500, BUDGETS_MIN = 100, WORK_MAX = 3000000, WINNERS_MIN = 3, SIZES_MIN = WINNERS_MIN + 2, COMFORTABLE = 5 };

#define SIZE_NONE ((size_t)-1)

/* A cell on the axes of the interpolation. */
typedef struct Knot {
    double x, y, ln_params, ln_examples; /* x: ln flops, y: ln loss */
    size_t size, group;
} Knot;

typedef struct EnvelopePlan {
    Knot *knots; /* owned; by size, then x, then y; only sizes that are known over a range */
    size_t knot_count, size_count, budget_count;
    double low, step; /* of ln flops */
} EnvelopePlan;

/* What is known at one budget. */
typedef struct Winner {
    double y, ln_params, ln_examples;
    size_t size, smallest, largest; /* SIZE_NONE: no size is known */
} Winner;

static double budget_x(const EnvelopePlan *plan, size_t budget) {
    return plan->low + plan->step * (double)budget;
}

static void add_knots(EnvelopePlan *plan, const Cell *cells, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const Cell *cell = &cells[i];
        plan->knots[plan->knot_count++] = (Knot){.x = log(cell->flops),
                                                 .y = log(cell->loss),
                                                 .ln_params = log(cell->params),
                                                 .ln_examples = log(cell->examples),
                                                 .size = plan->size_count,
                                                 .group = cell->group};
    }
    plan->size_count++;
}

static int plan_init(EnvelopePlan *plan, Fit *out, const FitPoint *points, const FitGroups *groups, size_t count, Error *error) {
    Cell *cells;
    size_t cell_count;
    double high = -INFINITY;
    *plan = (EnvelopePlan){.low = INFINITY};
    if (cells_make(&cells, &cell_count, points, groups, count, error) < 0) {
        return -1;
    }
    plan->knots = calloc(cell_count + 1, sizeof *plan->knots);
    if (plan->knots == NULL) {
        free(cells);
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    for (size_t first = 0, end; first < cell_count; first = end) {
        end = cell_size_end(cells, cell_count, first);
        if (cells[end - 1].flops > cells[first].flops * CELL_SAME) {
            add_knots(plan, cells + first, end - first);
            plan->low = fmin(plan->low, log(cells[first].flops));
            high = fmax(high, log(cells[end - 1].flops));
        }
    }
    free(cells);
    if (plan->size_count < SIZES_MIN) {
        return fit_refuse(out, "few_sizes", error,
                          "the envelope needs at least 5 model sizes with runs of more than one compute, and has %zu: add model sizes, or "
                          "more numbers of examples for each",
                          plan->size_count);
    }
    size_t affordable = WORK_MAX / plan->size_count;
    plan->budget_count = affordable > BUDGETS ? BUDGETS : affordable < BUDGETS_MIN ? BUDGETS_MIN : affordable;
    plan->step = (high - plan->low) / (double)(plan->budget_count - 1);
    return 0;
}

static void plan_deinit(EnvelopePlan *plan) {
    free(plan->knots);
}

/* Enters what one size has between two of its runs. */
static void enter_segment(const EnvelopePlan *plan, const Knot *from, const Knot *to, Winner *winners) {
    /* The slack is rounding at the ends of the range. */
    double first = ceil((from->x - plan->low) / plan->step - 1e-9), last = floor((to->x - plan->low) / plan->step + 1e-9);
    for (size_t i = (size_t)fmax(0, first); (double)i <= last && i < plan->budget_count; i++) {
        double t = (budget_x(plan, i) - from->x) / (to->x - from->x), y = from->y + t * (to->y - from->y);
        Winner *winner = &winners[i];
        winner->smallest = winner->smallest == SIZE_NONE ? from->size : winner->smallest;
        winner->largest = from->size;
        if (y < winner->y) {
            winner->y = y;
            winner->size = from->size;
            winner->ln_params = from->ln_params;
            winner->ln_examples = from->ln_examples + t * (to->ln_examples - from->ln_examples);
        }
    }
}

static void find_winners(const EnvelopePlan *plan, const double *group_weights, Winner *winners) {
    for (size_t i = 0; i < plan->budget_count; i++) {
        winners[i] = (Winner){.y = INFINITY, .size = SIZE_NONE, .smallest = SIZE_NONE, .largest = SIZE_NONE};
    }
    const Knot *from = NULL;
    for (size_t i = 0; i < plan->knot_count; i++) {
        const Knot *knot = &plan->knots[i];
        if (group_weights != NULL && !(group_weights[knot->group] > 0)) {
            continue;
        }
        bool same_size = from != NULL && from->size == knot->size;
        /* Of several runs of one size and compute the lowest comes first and counts. */
        if (same_size && knot->x <= from->x + 1e-9) {
            continue;
        }
        if (same_size) {
            enter_segment(plan, from, knot, winners);
        }
        from = knot;
    }
}

static bool winner_is_inside(const Winner *winner) {
    return winner->size != SIZE_NONE && winner->size > winner->smallest && winner->size < winner->largest;
}

/* How many sizes win inside. seen: room for size_count. */
static size_t count_winning_sizes(const EnvelopePlan *plan, const Winner *winners, bool *seen) {
    size_t sizes = 0;
    for (size_t i = 0; i < plan->size_count; i++) {
        seen[i] = false;
    }
    for (size_t i = 0; i < plan->budget_count; i++) {
        if (winner_is_inside(&winners[i])) {
            sizes += !seen[winners[i].size];
            seen[winners[i].size] = true;
        }
    }
    return sizes;
}

static void regress(const EnvelopePlan *plan, const Winner *winners, double draw[FIT_FRONTIER_COLUMNS]) {
    PowerLawSums params = {0}, examples = {0};
    for (size_t i = 0; i < plan->budget_count; i++) {
        if (winner_is_inside(&winners[i])) {
            power_law_add(&params, 1, budget_x(plan, i), winners[i].ln_params);
            power_law_add(&examples, 1, budget_x(plan, i), winners[i].ln_examples);
        }
    }
    frontier_set(draw, &params, &examples);
}

static size_t scratch_size(const EnvelopePlan *plan) {
    return plan->budget_count * sizeof(Winner) + plan->size_count * sizeof(bool);
}

static bool refit(const void *context, const double *group_weights, void *scratch, double *draw) {
    const EnvelopePlan *plan = context;
    Winner *winners = scratch;
    find_winners(plan, group_weights, winners);
    if (count_winning_sizes(plan, winners, (bool *)(winners + plan->budget_count)) < WINNERS_MIN) {
        return false;
    }
    regress(plan, winners, draw);
    return true;
}

/* ---- the fit ---- */

typedef struct Edges {
    size_t known; /* budgets at which at least three sizes are known */
    size_t smallest, largest;
} Edges;

/* Between two sizes nothing can lie inside: such budgets say nothing about the grid's edge, and are not counted. */
static Edges count_edges(const EnvelopePlan *plan, const Winner *winners) {
    Edges edges = {0};
    for (size_t i = 0; i < plan->budget_count; i++) {
        const Winner *winner = &winners[i];
        if (winner->size != SIZE_NONE && winner->largest >= winner->smallest + 2) {
            edges.known++;
            edges.smallest += winner->size == winner->smallest;
            edges.largest += winner->size == winner->largest;
        }
    }
    return edges;
}

static void warn_about_winners(Fit *fit, const Edges *edges, size_t winning) {
    if (edges->smallest + edges->largest > 0) {
        fit_warn(
            &fit->warnings, "edge_optimum",
            "At %zu of %zu budgets the lowest loss is that of the smallest (%zu) or largest (%zu) size known there: they are left out.",
            edges->smallest + edges->largest, edges->known, edges->smallest, edges->largest);
    }
    if (winning < COMFORTABLE) {
        fit_warn(&fit->warnings, "few_winners",
                 "Only %zu sizes win at some budget: a staircase of so few steps hardly shows a slope. Add model sizes.", winning);
    }
    if (fit->flops_highest < 10 * fit->flops_lowest) {
        fit_warn(&fit->warnings, "short_extent", "The winners span a factor of %.3g in compute, under one decade.",
                 fit->flops_highest / fit->flops_lowest);
    }
}

static void keep_winners(Fit *fit, const EnvelopePlan *plan, const Winner *winners) {
    for (size_t i = 0; i < plan->budget_count; i++) {
        const Winner *winner = &winners[i];
        if (winner_is_inside(winner)) {
            fit->budget_points[fit->budget_point_count++] =
                (BudgetPoint){exp(budget_x(plan, i)), exp(winner->ln_params), exp(winner->ln_examples), exp(winner->y)};
        }
    }
    fit->flops_lowest = fit->budget_points[0].flops;
    fit->flops_highest = fit->budget_points[fit->budget_point_count - 1].flops;
}

static int refuse_few_winners(Fit *fit, const Edges *edges, size_t winning, Error *error) {
    const char *mend = edges->largest > edges->smallest ? "add larger models" : "add smaller models";
    const char *code = "edge_optimum";
    if (edges->smallest + edges->largest == 0) {
        code = "few_winners";
        mend = "add model sizes, or more numbers of examples for each";
    }
    return fit_refuse(fit, code, error,
                      "the envelope needs 3 sizes that win with a smaller and a larger size beside them, and has %zu (the smallest size "
                      "wins at %zu of %zu budgets, the largest at %zu): %s",
                      winning, edges->smallest, edges->known, edges->largest, mend);
}

static int fit_plan(Fit *fit, const EnvelopePlan *plan, const FitGroups *groups, const FitOptions *options, Error *error) {
    Winner *winners = malloc(scratch_size(plan));
    double frontier[FIT_FRONTIER_COLUMNS];
    int result = -1;
    fit->budget_points = calloc(plan->budget_count, sizeof *fit->budget_points);
    if (winners == NULL || fit->budget_points == NULL) {
        error_set_memory(error, "out of memory for %zu budgets", plan->budget_count);
        goto out;
    }
    find_winners(plan, NULL, winners);
    size_t winning = count_winning_sizes(plan, winners, (bool *)(winners + plan->budget_count));
    Edges edges = count_edges(plan, winners);
    if (winning < WINNERS_MIN) {
        result = refuse_few_winners(fit, &edges, winning, error);
        goto out;
    }
    keep_winners(fit, plan, winners);
    regress(plan, winners, frontier);
    frontier_publish(fit, frontier);
    warn_about_winners(fit, &edges, winning);
    const FitRefit again = {refit, plan, scratch_size(plan), 0};
    result = fit_bootstrap(fit, groups, &again, options, error);
out:
    free(winners);
    return result;
}

int fit_make_envelope(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    FitGroups groups = {0};
    EnvelopePlan plan = {0};
    int result = -1;
    if (fit_groups_init(&groups, points, count, error) < 0 || fit_points_recipes(points, count, &out->warnings, error) < 0) {
        goto out;
    }
    result = plan_init(&plan, out, points, &groups, count, error);
    if (result == 0) {
        result = fit_plan(out, &plan, &groups, options, error);
    }
out:
    plan_deinit(&plan);
    fit_groups_deinit(&groups);
    return result;
}
