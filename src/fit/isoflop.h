/* IsoFLOP in two steps: which loss each size has at each budget (isoflop_budget.c), and what follows from it (isoflop.c). */
#pragma once

#include "cells.h"

typedef struct IsoflopPlan {
    Cell *cells; /* owned; measured: by budget, then as cells_make orders them */
    size_t cell_count;
    double *budgets; /* owned; ascending */
    size_t budget_count;
    size_t *first; /* owned; measured: [budget_count + 1], the cells of budget i are first[i] to first[i + 1] */
    size_t unused; /* cells that share their compute with fewer than three sizes */
    bool measured; /* the runs were made at the budgets; else each size is interpolated */
} IsoflopPlan;

enum { BUDGET_SIZES_MIN = 3 };

/* 0, FIT_REFUSED (told in out), -1. */
int isoflop_plan_init(IsoflopPlan *plan, Fit *out, const FitPoint *points, const FitGroups *groups, size_t count, Error *error);
void isoflop_plan_deinit(IsoflopPlan *plan);
/* A size at a budget. */
typedef struct IsoflopSample {
    BudgetPoint point;
    double weight;
    size_t group; /* of the run; of an interpolation one of the two */
} IsoflopSample;

/* The sizes known at one budget, by params; returns how many. group_weights: of a resample, or NULL. samples: room for cell_count. */
size_t isoflop_plan_samples(const IsoflopPlan *plan, size_t budget, const double *group_weights, IsoflopSample *samples);
