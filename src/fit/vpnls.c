/* The same law and objective by variable projection.
 *
 * For fixed exponents the law is linear in E, A and B, none of which may be negative. So the search has two variables: at each node of a
 * grid over (alpha, beta) the other three come from non-negative least squares of the relative residuals, exactly, by trying every set of
 * terms. The nodes that are lower than their neighbours are where minima lie; there the least squares are reweighted until they
 * minimise the objective of log residuals, and Newton steps in all five variables finish. The estimate takes an even pattern of other nodes
 * too, since the least squares of few points may not show every minimum of the objective; a resample does all of it again with the estimate
 * instead of the pattern. The sums of a
 * node are products of columns that depend on one exponent each, so that the whole grid costs as much as a few descents. */
#include "law.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 32, MINIMA = 8, PATTERN = 4, NODES = MINIMA + (GRID / PATTERN) * (GRID / PATTERN), REWEIGHTINGS = 12, TERMS = 3 };
static const double EXPONENT_LOWEST = 0.02, EXPONENT_HIGHEST = 4;

static double grid_exponent(int index) {
    return EXPONENT_LOWEST * pow(EXPONENT_HIGHEST / EXPONENT_LOWEST, (double)index / (GRID - 1));
}

/* What the grid sees of the points, the same for every resample. Columns are of (x - mean) in plain logarithms: exp(-alpha (ln P - mean)).
 */
typedef struct Grid {
    size_t count;
    double *of_params, *of_examples; /* [GRID][count], owned */
    double *inverse_loss;            /* [count], owned */
} Grid;

typedef struct Projection {
    const LawStudy *study;
    Grid grid;
    Law estimate; /* of all points, for the resamples */
} Projection;

/* One thread's memory. */
typedef struct Scratch {
    double *surface; /* what surface_resample wants */
    double *weight;  /* [count]: of the points in this resample */
    double *scaled;  /* [GRID][count]: columns of params times weight / loss^2 */
} Scratch;

static size_t scratch_size(const LawStudy *study) {
    return surface_size(&study->surface) + (GRID + 1) * study->count * sizeof(double);
}

static Scratch scratch_at(const LawStudy *study, void *memory) {
    Scratch scratch = {.surface = memory};
    scratch.weight = scratch.surface + surface_size(&study->surface) / sizeof(double);
    scratch.scaled = scratch.weight + study->count;
    return scratch;
}

/* ---- non-negative least squares in three terms ---- */

/* Minimise total - 2 sides' t + t' moments t over t >= 0. Only the lower triangle of moments is read. */
typedef struct Squares {
    double moments[TERMS][TERMS], sides[TERMS], total;
} Squares;

/* The minimum when only the terms of the set may differ from 0; false when they are dependent or one comes out negative. */
static bool solve_set(const Squares *squares, unsigned set, double terms[TERMS]) {
    double rows[TERMS][TERMS + 1];
    int index[TERMS], size = 0;
    for (int i = 0; i < TERMS; i++) {
        terms[i] = 0;
        if (set >> i & 1) {
            index[size++] = i;
        }
    }
    for (int i = 0; i < size; i++) {
        for (int j = 0; j < size; j++) {
            int high = index[i] > index[j] ? index[i] : index[j], low = index[i] + index[j] - high;
            rows[i][j] = squares->moments[high][low];
        }
        rows[i][size] = squares->sides[index[i]];
    }
    for (int i = 0; i < size; i++) {
        /* Positive definite, or dependent: no pivoting is needed. */
        if (!(rows[i][i] > 1e-13 * squares->moments[index[i]][index[i]])) {
            return false;
        }
        for (int j = i + 1; j < size; j++) {
            double factor = rows[j][i] / rows[i][i];
            for (int k = i; k <= size; k++) {
                rows[j][k] -= factor * rows[i][k];
            }
        }
    }
    for (int i = size - 1; i >= 0; i--) {
        double value = rows[i][size];
        for (int k = i + 1; k < size; k++) {
            value -= rows[i][k] * terms[index[k]];
        }
        terms[index[i]] = value / rows[i][i];
        if (terms[index[i]] < 0) {
            return false;
        }
    }
    return true;
}

/* The minimum over all seven sets; the problem is convex, so that the lowest feasible one is it. Infinite when there is none. */
static double solve_squares(const Squares *squares, double terms[TERMS]) {
    double lowest = INFINITY;
    for (unsigned set = (1u << TERMS) - 1; set > 0; set--) {
        double trial[TERMS];
        if (solve_set(squares, set, trial)) {
            double value = squares->total;
            for (int i = 0; i < TERMS; i++) {
                value -= squares->sides[i] * trial[i];
            }
            if (value < lowest) {
                lowest = value;
                memcpy(terms, trial, sizeof trial);
            }
        }
    }
    return lowest;
}

/* ---- the grid ---- */

static double dot(const double *a, const double *b, size_t count) {
    double sums[4] = {0}; /* four, so that the additions need not wait for each other */
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        for (size_t k = 0; k < 4; k++) {
            sums[k] += a[i + k] * b[i + k];
        }
    }
    for (; i < count; i++) {
        sums[0] += a[i] * b[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

typedef struct Column {
    double sum, side, square; /* of weight / loss^2 times the column; of weight / loss times it; of weight / loss^2 times its square */
} Column;

/* The sum of weighted squared relative residuals at each node, its linear part projected out. */
static void grid_evaluate(const Projection *work, const Scratch *scratch, double values[GRID][GRID]) {
    const Grid *grid = &work->grid;
    const size_t count = grid->count;
    Column params[GRID], examples[GRID];
    Squares squares = {.total = 0};
    for (size_t i = 0; i < count; i++) {
        double side = scratch->weight[i] * grid->inverse_loss[i];
        squares.total += scratch->weight[i];
        squares.sides[0] += side;
        squares.moments[0][0] += side * grid->inverse_loss[i];
    }
    for (int k = 0; k < GRID; k++) {
        const double *p = grid->of_params + (size_t)k * count, *n = grid->of_examples + (size_t)k * count;
        double *scaled = scratch->scaled + (size_t)k * count;
        params[k] = examples[k] = (Column){0};
        for (size_t i = 0; i < count; i++) {
            double side = scratch->weight[i] * grid->inverse_loss[i], factor = side * grid->inverse_loss[i];
            scaled[i] = factor * p[i];
            params[k].sum += scaled[i];
            params[k].side += side * p[i];
            params[k].square += scaled[i] * p[i];
            examples[k].sum += factor * n[i];
            examples[k].side += side * n[i];
            examples[k].square += factor * n[i] * n[i];
        }
    }
    for (int k = 0; k < GRID; k++) {
        squares.sides[1] = params[k].side;
        squares.moments[1][0] = params[k].sum;
        squares.moments[1][1] = params[k].square;
        for (int l = 0; l < GRID; l++) {
            double terms[TERMS];
            squares.sides[2] = examples[l].side;
            squares.moments[2][0] = examples[l].sum;
            squares.moments[2][1] = dot(scratch->scaled + (size_t)k * count, grid->of_examples + (size_t)l * count, count);
            squares.moments[2][2] = examples[l].square;
            values[k][l] = solve_squares(&squares, terms);
        }
    }
}

typedef struct Node {
    double value;
    int k, l;
} Node;

static bool is_minimum(double values[GRID][GRID], int k, int l) {
    for (int i = k - 1; i <= k + 1; i++) {
        for (int j = l - 1; j <= l + 1; j++) {
            if (i >= 0 && i < GRID && j >= 0 && j < GRID && values[i][j] < values[k][l]) {
                return false;
            }
        }
    }
    return isfinite(values[k][l]);
}

/* The lowest MINIMA nodes that no neighbour is below; returns how many. */
static int grid_minima(double values[GRID][GRID], Node nodes[MINIMA]) {
    int count = 0;
    for (int k = 0; k < GRID; k++) {
        for (int l = 0; l < GRID; l++) {
            if (!is_minimum(values, k, l) || (count == MINIMA && values[k][l] >= nodes[MINIMA - 1].value)) {
                continue;
            }
            count += count < MINIMA;
            int at = count - 1;
            for (; at > 0 && nodes[at - 1].value > values[k][l]; at--) {
                nodes[at] = nodes[at - 1];
            }
            nodes[at] = (Node){values[k][l], k, l};
        }
    }
    return count;
}

/* ---- from a node to a minimum ---- */

/* One step of iteratively reweighted least squares at the node, from the law's terms at every point: ln predicted is taken as linear in
 * them. The first step, before there are terms, is that of relative residuals. */
static void reweight(const Projection *work, const Scratch *scratch, const Node *node, bool first, double terms[TERMS]) {
    const Grid *grid = &work->grid;
    const Surface *surface = &work->study->surface;
    const double *p = grid->of_params + (size_t)node->k * grid->count, *n = grid->of_examples + (size_t)node->l * grid->count;
    Squares squares = {.total = 0};
    for (size_t i = 0; i < grid->count; i++) {
        double predicted = first ? 1 / grid->inverse_loss[i] : terms[0] + terms[1] * p[i] + terms[2] * n[i];
        double residual = log(predicted * grid->inverse_loss[i]), size = fabs(residual) / HUBER_DELTA;
        double weight = scratch->weight[i] * (size > surface->threshold ? surface->threshold / size : 1);
        weight *= residual > 0 ? surface->below : 1;
        const double column[TERMS] = {1 / predicted, p[i] / predicted, n[i] / predicted};
        for (int j = 0; j < TERMS; j++) {
            squares.sides[j] += weight * column[j] * (1 - residual);
            for (int k = 0; k <= j; k++) {
                squares.moments[j][k] += weight * column[j] * column[k];
            }
        }
    }
    double next[TERMS];
    if (isfinite(solve_squares(&squares, next))) {
        memcpy(terms, next, sizeof next);
    }
}

/* The law at a node. A term that is 0 is given a little, from which a logarithm can come back. */
static Law node_law(const Projection *work, const Scratch *scratch, const Node *node) {
    double terms[TERMS] = {0};
    for (int i = 0; i < REWEIGHTINGS; i++) {
        reweight(work, scratch, node, i == 0, terms);
    }
    double total = terms[0] + terms[1] + terms[2];
    for (int i = 0; i < TERMS; i++) {
        terms[i] = fmax(terms[i], 1e-6 * total);
    }
    const Surface *surface = &work->study->surface;
    Law law = {.e = log(terms[0]), .alpha = grid_exponent(node->k), .beta = grid_exponent(node->l)};
    law.a = log(terms[1]) + law.alpha * surface->x_mean;
    law.b = log(terms[2]) + law.beta * surface->y_mean;
    return law;
}

typedef struct Minima {
    int count;
    double values[NODES + 1];
    double lowest, variables[SURFACE_PADDED]; /* of the lowest */
} Minima;

static void add_minimum(Minima *minima, const Surface *surface, const Law *law) {
    double variables[SURFACE_PADDED];
    surface_from_law(surface, law, variables);
    double value = surface_follow(surface, variables);
    if (value < minima->lowest) {
        minima->lowest = value;
        memcpy(minima->variables, variables, sizeof variables);
    }
    minima->values[minima->count++] = value;
}

/* weights: [groups], or NULL for all points. surface: the points so weighted. */
static Minima project(const Projection *work, const Surface *surface, const double *weights, const Scratch *scratch) {
    const FitGroups *groups = &work->study->groups;
    double grid[GRID][GRID];
    Node nodes[NODES];
    for (size_t i = 0; i < work->grid.count; i++) {
        scratch->weight[i] = work->study->surface.weight[i] * (weights == NULL ? 1 : weights[groups->of_point[i]]);
    }
    grid_evaluate(work, scratch, grid);
    Minima minima = {.lowest = INFINITY};
    int count = grid_minima(grid, nodes);
    for (int i = 0; weights == NULL && i < GRID * GRID; i++) {
        if (i / GRID % PATTERN == PATTERN / 2 && i % GRID % PATTERN == PATTERN / 2) {
            nodes[count++] = (Node){NAN, i / GRID, i % GRID};
        }
    }
    for (int i = 0; i < count; i++) {
        Law law = node_law(work, scratch, &nodes[i]);
        add_minimum(&minima, surface, &law);
    }
    if (weights != NULL) {
        add_minimum(&minima, surface, &work->estimate);
    }
    return minima;
}

static bool refit(const void *context, const double *weights, void *memory, double *draw) {
    const Projection *work = context;
    if (!law_can_refit(work->study, weights)) {
        return false;
    }
    Scratch scratch = scratch_at(work->study, memory);
    Surface surface;
    surface_resample(&surface, &work->study->surface, &work->study->groups, weights, scratch.surface);
    Minima minima = project(work, &surface, weights, &scratch);
    return isfinite(minima.lowest) && law_draw(work->study, &surface, minima.variables, weights, draw);
}

/* ---- the fit ---- */

static int grid_init(Grid *grid, const LawStudy *study, Error *error) {
    const size_t count = study->count;
    *grid = (Grid){count, calloc(GRID * count, sizeof(double)), calloc(GRID * count, sizeof(double)), calloc(count, sizeof(double))};
    if (grid->of_params == NULL || grid->of_examples == NULL || grid->inverse_loss == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    const Surface *surface = &study->surface;
    for (size_t i = 0; i < count; i++) {
        grid->inverse_loss[i] = 1 / study->points[i].loss;
        for (int k = 0; k < GRID; k++) {
            grid->of_params[(size_t)k * count + i] = exp(-grid_exponent(k) * surface->x[i] * surface->x_scale);
            grid->of_examples[(size_t)k * count + i] = exp(-grid_exponent(k) * surface->y[i] * surface->y_scale);
        }
    }
    return 0;
}

static void grid_deinit(Grid *grid) {
    free(grid->of_params);
    free(grid->of_examples);
    free(grid->inverse_loss);
}

/* Of the objective in (alpha, beta) with the other three projected out: the Schur complement of the Hessian. A term that is 0 takes no
 * part. */
static double projected_condition(const LawStudy *study, const double *variables) {
    double gradient[SURFACE_PADDED], hessian[SURFACE_VARIABLES][SURFACE_VARIABLES], majorant[SURFACE_VARIABLES][SURFACE_VARIABLES];
    surface_evaluate(&study->surface, variables, gradient, hessian, majorant);
    double largest = fmax(fmax(hessian[SURFACE_A][SURFACE_A], hessian[SURFACE_B][SURFACE_B]), hessian[SURFACE_E][SURFACE_E]);
    for (int k = 0; k < SURFACE_ALPHA; k++) {
        if (!(hessian[k][k] > 1e-12 * largest)) {
            continue;
        }
        for (int i = k + 1; i < SURFACE_VARIABLES; i++) {
            for (int j = k + 1; j <= i; j++) {
                hessian[i][j] -= hessian[i][k] * hessian[j][k] / hessian[k][k];
            }
        }
    }
    double reduced[SURFACE_VARIABLES][SURFACE_VARIABLES] = {{hessian[SURFACE_ALPHA][SURFACE_ALPHA], 0},
                                                            {hessian[SURFACE_BETA][SURFACE_ALPHA], hessian[SURFACE_BETA][SURFACE_BETA]}};
    return law_condition(reduced, 2);
}

static int search_run(Fit *fit, const Projection *work, Minima *minima, Error *error) {
    void *memory = aligned_alloc(64, (scratch_size(work->study) + 63) / 64 * 64);
    if (memory == NULL) {
        return error_set_memory(error, "out of memory for %zu points", work->study->count);
    }
    Scratch scratch = scratch_at(work->study, memory);
    *minima = project(work, &work->study->surface, NULL, &scratch);
    free(memory);
    double best = minima->lowest;
    if (!isfinite(best)) {
        return fit_refuse(fit, "starts_failed", error,
                          "no node of the grid over alpha and beta led to a finite objective: look at the points' weights and losses");
    }
    fit->starts_tried = minima->count;
    for (int i = 0; i < minima->count; i++) {
        fit->starts_at_optimum += minima->values[i] <= best * (1 + 1e-6) + 1e-6;
    }
    return 0;
}

int fit_make_vpnls(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    LawStudy study;
    Projection work = {.study = &study};
    Minima minima;
    int result = law_study_init(&study, out, points, count, options, error);
    if (result != 0) {
        goto out;
    }
    result = grid_init(&work.grid, &study, error);
    if (result != 0) {
        goto out;
    }
    result = search_run(out, &work, &minima, error);
    if (result != 0) {
        goto out;
    }
    result = law_report(out, &study, minima.variables, minima.lowest, error);
    if (result != 0) {
        goto out;
    }
    out->condition = projected_condition(&study, minima.variables);
    work.estimate = surface_to_law(&study.surface, minima.variables);
    FitRefit how = {refit, &work, scratch_size(&study), law_draws(out, &study)};
    result = fit_bootstrap(out, &study.groups, &how, options, error);
out:
    grid_deinit(&work.grid);
    law_study_deinit(&study);
    return result;
}
