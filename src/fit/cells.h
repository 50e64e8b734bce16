/* Configurations as the budget methods see them: seeds averaged, in order of size and compute. */
#pragma once

#include "internal.h"

typedef struct Cell {
    double params, examples, flops, loss;
    double weight; /* of its runs together */
    size_t group;  /* of the bootstrap */
    size_t point;  /* one of its runs: an index into the points */
} Cell;

/* Values of compute and of size that agree to this factor are one. */
#define CELL_SAME (1 + 1e-9)

/* malloc'ed, by params, then flops, then loss. 0 or -1. */
int cells_make(Cell **out, size_t *count, const FitPoint *points, const FitGroups *groups, size_t point_count, Error *error);
int cell_compare(const void *left, const void *right);
int cell_compare_flops(const void *left, const void *right); /* by flops, then loss */
/* The end of the cells that have the size of the one at `first`; cells: [count], by params. */
size_t cell_size_end(const Cell *cells, size_t count, size_t first);

/* The cells that no cell of at most their compute beats, among those of a weight above 0, in order of compute; returns how many indices
 * were written. cells: by flops. */
size_t cells_envelope(const Cell *cells, size_t count, const double *group_weights, size_t *indices);

static inline double cell_weight(const Cell *cell, const double *group_weights) {
    return group_weights == NULL ? cell->weight : cell->weight * group_weights[cell->group];
}

/* coefficient * x^exponent by weighted least squares of ln y on ln x: start from zeros and add. */
typedef struct PowerLawSums {
    double weight, x, y, xx, xy; /* of ln values, taken from the first one: far from 0 the sums would cancel */
    double x_origin, y_origin;
} PowerLawSums;

void power_law_add(PowerLawSums *sums, double weight, double ln_x, double ln_y);
/* Exponent and coefficient of P*, then of N*, as a draw of the cloud holds them; and these as the estimates of a fit. */
void frontier_set(double draw[FIT_FRONTIER_COLUMNS], const PowerLawSums *params, const PowerLawSums *examples);
void frontier_publish(Fit *fit, const double draw[FIT_FRONTIER_COLUMNS]);
