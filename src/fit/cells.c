#include "cells.h"

#include <math.h>
#include <stdlib.h>

static int by_keys(const double left[], const double right[], size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (left[i] != right[i]) {
            return left[i] < right[i] ? -1 : 1;
        }
    }
    return 0;
}

int cell_compare(const void *left, const void *right) {
    const Cell *a = left, *b = right;
    int order = by_keys((double[]){a->params, a->flops, a->loss, a->examples}, (double[]){b->params, b->flops, b->loss, b->examples}, 4);
    return order != 0 ? order : (a->group > b->group) - (a->group < b->group);
}

int cell_compare_flops(const void *left, const void *right) {
    const Cell *a = left, *b = right;
    int order = by_keys((double[]){a->flops, a->loss}, (double[]){b->flops, b->loss}, 2);
    return order != 0 ? order : cell_compare(left, right);
}

static int cell_compare_configuration(const void *left, const void *right) {
    const Cell *a = left, *b = right;
    if (a->group != b->group) {
        return a->group < b->group ? -1 : 1;
    }
    return cell_compare(left, right);
}

static bool cell_is_same_run(const Cell *a, const Cell *b) {
    return a->group == b->group && a->params == b->params && a->examples == b->examples && b->flops <= a->flops * CELL_SAME;
}

int cells_make(Cell **out, size_t *count, const FitPoint *points, const FitGroups *groups, size_t point_count, Error *error) {
    Cell *cells = *out = calloc(point_count + 1, sizeof *cells);
    *count = 0;
    if (cells == NULL) {
        return error_set_memory(error, "out of memory for %zu points", point_count);
    }
    for (size_t i = 0; i < point_count; i++) {
        const FitPoint *point = &points[i];
        cells[i] = (Cell){point->params, point->examples, point->flops, point->loss, point->weight, groups->of_point[i], i};
    }
    qsort(cells, point_count, sizeof *cells, cell_compare_configuration);
    for (size_t i = 0; i < point_count; i++) {
        Cell *last = &cells[*count == 0 ? 0 : *count - 1];
        if (*count > 0 && cell_is_same_run(last, &cells[i])) {
            last->weight += cells[i].weight;
            last->loss += (cells[i].loss - last->loss) * cells[i].weight / last->weight;
        } else {
            cells[(*count)++] = cells[i];
        }
    }
    qsort(cells, *count, sizeof *cells, cell_compare);
    return 0;
}

size_t cell_size_end(const Cell *cells, size_t count, size_t first) {
    size_t end = first;
    while (end < count && cells[end].params <= cells[first].params * CELL_SAME) {
        end++;
    }
    return end;
}

size_t cells_envelope(const Cell *cells, size_t count, const double *group_weights, size_t *indices) {
    size_t written = 0;
    double lowest = INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (cells[i].loss < lowest && cell_weight(&cells[i], group_weights) > 0) {
            lowest = cells[i].loss;
            indices[written++] = i;
        }
    }
    return written;
}

void power_law_add(PowerLawSums *sums, double weight, double ln_x, double ln_y) {
    if (sums->weight == 0) {
        sums->x_origin = ln_x;
        sums->y_origin = ln_y;
    }
    double x = ln_x - sums->x_origin, y = ln_y - sums->y_origin;
    sums->weight += weight;
    sums->x += weight * x;
    sums->y += weight * y;
    sums->xx += weight * x * x;
    sums->xy += weight * x * y;
}

/* The line's slope and the power law's coefficient. */
static void power_law_solve(const PowerLawSums *sums, double *exponent, double *coefficient) {
    double x = sums->x / sums->weight, y = sums->y / sums->weight;
    *exponent = (sums->xy / sums->weight - x * y) / (sums->xx / sums->weight - x * x);
    *coefficient = exp(sums->y_origin + y - *exponent * (sums->x_origin + x));
}

void frontier_set(double draw[FIT_FRONTIER_COLUMNS], const PowerLawSums *params, const PowerLawSums *examples) {
    power_law_solve(params, &draw[0], &draw[1]);
    power_law_solve(examples, &draw[2], &draw[3]);
}

void frontier_publish(Fit *fit, const double draw[FIT_FRONTIER_COLUMNS]) {
    fit->params = (FitFrontier){fit_estimate(draw[0]), fit_estimate(draw[1])};
    fit->examples = (FitFrontier){fit_estimate(draw[2]), fit_estimate(draw[3])};
}
