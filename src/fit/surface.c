#include "surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const SurfaceKernels surface_kernels_generic, surface_kernels_avx2, surface_kernels_avx512;

const SurfaceKernels *surface_kernels(size_t index) {
#ifdef VECTOR_VARIANTS
    static const SurfaceKernels *const kernels[] = {&surface_kernels_generic, &surface_kernels_avx2, &surface_kernels_avx512};
#else
    static const SurfaceKernels *const kernels[] = {&surface_kernels_generic};
#endif
    return index < sizeof kernels / sizeof *kernels && index <= (size_t)machine_vector_level() ? kernels[index] : NULL;
}

static size_t round_to_lanes(size_t count) {
    return (count + SURFACE_LANES - 1) / SURFACE_LANES * SURFACE_LANES;
}

static void set_columns(Surface *surface, void *memory, size_t rows) {
    surface->x = memory;
    surface->y = surface->x + rows;
    surface->target = surface->y + rows;
    surface->weight = surface->target + rows;
}

/* Subtracts the weighted mean and divides by the deviation. */
static void column_standardize(double *column, const double *weight, size_t count, double *mean, double *scale) {
    double total = 0, sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) {
        total += weight[i];
        sum += weight[i] * column[i];
    }
    *mean = sum / total;
    for (size_t i = 0; i < count; i++) {
        column[i] -= *mean;
        squares += weight[i] * column[i] * column[i];
    }
    *scale = squares > 0 ? sqrt(squares / total) : 1;
    for (size_t i = 0; i < count; i++) {
        column[i] /= *scale;
    }
}

int surface_init(Surface *surface, const FitPoint *points, size_t count, FitLoss loss, Error *error) {
    size_t rows = round_to_lanes(count == 0 ? 1 : count);
    *surface = (Surface){.count = rows,
                         .threshold = loss == FIT_LOSS_MSE ? SURFACE_NO_THRESHOLD : 1,
                         .below = loss == FIT_LOSS_ASYMMETRIC ? FIT_ASYMMETRY : 1,
                         .owned = aligned_alloc(64, rows * SURFACE_COLUMNS * sizeof(double))};
    if (surface->owned == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    memset(surface->owned, 0, rows * SURFACE_COLUMNS * sizeof(double));
    set_columns(surface, surface->owned, rows);
    for (size_t i = 0; i < count; i++) {
        surface->x[i] = log(points[i].params);
        surface->y[i] = log(points[i].examples);
        surface->target[i] = log(points[i].loss);
        surface->weight[i] = points[i].weight;
    }
    column_standardize(surface->x, surface->weight, count, &surface->x_mean, &surface->x_scale);
    column_standardize(surface->y, surface->weight, count, &surface->y_mean, &surface->y_scale);
    return 0;
}

void surface_deinit(Surface *surface) {
    if (surface != NULL) {
        free(surface->owned);
        *surface = (Surface){0};
    }
}

size_t surface_size(const Surface *all) {
    return all->count * SURFACE_COLUMNS * sizeof(double);
}

void surface_resample(Surface *surface, const Surface *all, const FitGroups *groups, const double *weights, void *memory) {
    *surface = *all;
    surface->owned = NULL;
    set_columns(surface, memory, all->count);
    size_t kept = 0;
    for (size_t i = 0; i < groups->points; i++) {
        double times = weights[groups->of_point[i]];
        if (times > 0) {
            surface->x[kept] = all->x[i];
            surface->y[kept] = all->y[i];
            surface->target[kept] = all->target[i];
            surface->weight[kept++] = all->weight[i] * times;
        }
    }
    surface->count = round_to_lanes(kept == 0 ? 1 : kept);
    for (; kept < surface->count; kept++) {
        surface->x[kept] = surface->y[kept] = surface->target[kept] = surface->weight[kept] = 0;
    }
}

void surface_from_law(const Surface *surface, const Law *law, double *variables) {
    memset(variables, 0, SURFACE_PADDED * sizeof *variables);
    variables[SURFACE_A] = law->a - law->alpha * surface->x_mean;
    variables[SURFACE_B] = law->b - law->beta * surface->y_mean;
    variables[SURFACE_E] = law->e;
    variables[SURFACE_ALPHA] = law->alpha * surface->x_scale;
    variables[SURFACE_BETA] = law->beta * surface->y_scale;
}

Law surface_to_law(const Surface *surface, const double *variables) {
    Law law = {.e = variables[SURFACE_E],
               .alpha = variables[SURFACE_ALPHA] / surface->x_scale,
               .beta = variables[SURFACE_BETA] / surface->y_scale};
    law.a = variables[SURFACE_A] + law.alpha * surface->x_mean;
    law.b = variables[SURFACE_B] + law.beta * surface->y_mean;
    return law;
}

double surface_evaluate(const Surface *surface, const double *variables, double *gradient, double (*hessian)[SURFACE_VARIABLES],
                        double (*majorant)[SURFACE_VARIABLES]) {
    SurfaceSums sums;
    surface_kernels(machine_vector_level())->evaluate(surface, variables, hessian != NULL, &sums);
    if (gradient != NULL) {
        memset(gradient, 0, SURFACE_PADDED * sizeof *gradient);
        memcpy(gradient, sums.gradient, sizeof sums.gradient);
    }
    if (hessian != NULL) {
        for (int i = 0, k = 0; i < SURFACE_VARIABLES; i++) {
            for (int j = 0; j <= i; j++, k++) {
                hessian[i][j] = sums.hessian[k];
                majorant[i][j] = sums.majorant[k];
            }
        }
        hessian[SURFACE_A][SURFACE_A] += sums.gradient[SURFACE_A];
        hessian[SURFACE_B][SURFACE_B] += sums.gradient[SURFACE_B];
        hessian[SURFACE_E][SURFACE_E] += sums.gradient[SURFACE_E];
        hessian[SURFACE_ALPHA][SURFACE_A] += sums.gradient[SURFACE_ALPHA];
        hessian[SURFACE_BETA][SURFACE_B] += sums.gradient[SURFACE_BETA];
        hessian[SURFACE_ALPHA][SURFACE_ALPHA] += sums.along[0];
        hessian[SURFACE_BETA][SURFACE_BETA] += sums.along[1];
    }
    return sums.value;
}
