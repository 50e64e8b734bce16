/* IsoFLOP in two steps: which loss each size has at each budget (isoflop_budget.c), and what follows from it (isoflop.c). */
#pragma once

#include "internal.h"

/* One configuration, its seeds averaged. */
typedef struct Cell {
    double params, examples, flops, loss;
    size_t group;  /* of the bootstrap */
    size_t budget; /* of measured budgets; BUDGET_NONE outside them */
} Cell;

#define BUDGET_NONE ((size_t)-1)

typedef struct IsoflopPlan {
    Cell *cells; /* owned; by params, then flops, then loss */
    size_t cell_count;
    double *budgets; /* owned; ascending */
    size_t budget_count;
    bool measured; /* the runs were made at the budgets; else each size is interpolated */
} IsoflopPlan;

enum { BUDGET_SIZES_MIN = 3 };

/* 0, FIT_REFUSED, -1. */
int isoflop_plan_init(IsoflopPlan *plan, const FitPoint *points, const FitGroups *groups, size_t count, Error *error);
void isoflop_plan_deinit(IsoflopPlan *plan);
/* The sizes known at one budget, by params, with their weights; returns how many. weights: per group, or NULL.
 * points and point_weights hold cell_count. */
size_t isoflop_plan_points(const IsoflopPlan *plan, size_t budget, const double *weights, IsoflopPoint *points, double *point_weights);
