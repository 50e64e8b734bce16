/* The parametric law: every start of the full grid for the estimate, and the bootstrap around it.
 *
 * Well under half of the starts would reach the lowest minimum if each were only walked downhill, so all of them are, to the end: a few
 * steps of L-BFGS from far out, then Newton steps. Past SEARCH_POINTS points the 4500 walk on that many, drawn evenly, and each distinct
 * end goes on with all of the points. A resample starts from the estimate and from four spreads around it. */
#include "law.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID_AB = 6, GRID_E = 5, GRID_EXPONENT = 5, STARTS = GRID_AB * GRID_AB * GRID_E * GRID_EXPONENT * GRID_EXPONENT };
enum { SEARCH_POINTS = 512, SPREADS = 5 };

static Law start_law(int64_t index) {
    Law law;
    law.a = 5.0 * (double)(index % GRID_AB);
    index /= GRID_AB;
    law.b = 5.0 * (double)(index % GRID_AB);
    index /= GRID_AB;
    law.e = -1 + 0.5 * (double)(index % GRID_E);
    index /= GRID_E;
    law.alpha = 0.5 * (double)(index % GRID_EXPONENT);
    index /= GRID_EXPONENT;
    law.beta = 0.5 * (double)index;
    return law;
}

/* ---- the search ---- */

typedef struct Start {
    double value;
    double variables[SURFACE_PADDED];
} Start;

typedef struct Search {
    const Surface *surface; /* all points */
    Surface few;            /* those that the starts walk on */
    Start *starts;          /* [STARTS] */
} Search;

static void search_walk(void *context, int member, int64_t index) {
    (void)member;
    Search *search = context;
    Start *start = &search->starts[index];
    Law law = start_law(index);
    surface_from_law(&search->few, &law, start->variables);
    surface_approach(&search->few, start->variables);
    start->value = surface_follow(&search->few, start->variables);
}

static int start_compare(const void *left, const void *right) {
    double a = ((const Start *)left)->value, b = ((const Start *)right)->value;
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a > b) - (a < b);
}

/* Ends that are one minimum: the values agree. The absolute part is for points that the law meets exactly, where values are rounding. */
static bool same_end(double value, double other) {
    return fabs(value - other) <= 1e-6 * fabs(other) + 1e-6;
}

/* The starts, sorted by where they ended on few points, go on with all: each distinct end once. */
static void search_go_on(Search *search) {
    double ended = NAN;
    for (int64_t i = 0; i < STARTS; i++) {
        Start *start = &search->starts[i];
        if (i > 0 && same_end(start->value, ended)) {
            *start = search->starts[i - 1];
        } else {
            ended = start->value;
            start->value = surface_polish(search->surface, start->variables);
        }
    }
}

/* Every count / SEARCH_POINTS-th point. The order is shuffled, as points come sorted in many ways. */
static int choose_few(Surface *few, const LawStudy *study, Error *error) {
    *few = study->surface;
    few->owned = NULL;
    if (study->count <= SEARCH_POINTS) {
        return 0;
    }
    FitGroups each = {study->count, study->count, calloc(study->count, sizeof *each.of_point)};
    uint32_t *order = calloc(study->count, sizeof *order);
    double *weights = calloc(study->count, sizeof *weights);
    void *memory = aligned_alloc(64, surface_size(&study->surface));
    bool enough = each.of_point != NULL && order != NULL && weights != NULL && memory != NULL;
    if (enough) {
        Rng rng;
        rng_init(&rng, 0, SEARCH_POINTS);
        for (size_t i = 0; i < study->count; i++) {
            order[i] = (uint32_t)i;
            each.of_point[i] = i;
        }
        rng_shuffle(&rng, order, study->count);
        for (size_t i = 0; i < SEARCH_POINTS; i++) {
            weights[order[i]] = 1;
        }
        surface_resample(few, &study->surface, &each, weights, memory);
        few->owned = memory;
    }
    free(each.of_point);
    free(order);
    free(weights);
    if (!enough) {
        free(memory);
        return error_set_memory(error, "out of memory for %zu points", study->count);
    }
    return 0;
}

static int count_starts(Fit *fit, const Search *search, Error *error) {
    double best = search->starts[0].value;
    if (isnan(best)) {
        return fit_refuse(fit, "starts_failed", error,
                          "no start of the parametric fit led to a finite objective: look at the points' weights and losses");
    }
    int64_t failed = 0;
    fit->starts_tried = STARTS;
    for (int64_t i = 0; i < STARTS; i++) {
        failed += isnan(search->starts[i].value);
        fit->starts_at_optimum += search->starts[i].value <= best || same_end(search->starts[i].value, best);
    }
    if (failed > 0) {
        fit_warn(&fit->warnings, "starts_failed", "%lld of %d starts failed.", (long long)failed, STARTS);
    }
    if (fit->starts_at_optimum * 100 < STARTS) {
        fit_warn(&fit->warnings, "starts_disagree", "Only %lld of %d starts reached the lowest minimum; a lower one may exist.",
                 (long long)fit->starts_at_optimum, STARTS);
    }
    return 0;
}

/* Finds the lowest minimum over the starts; sets the counts of the fit, its warnings about them, and the variables. */
static int search_run(Fit *fit, const LawStudy *study, double *variables, double *objective, Error *error) {
    Search search = {.surface = &study->surface, .starts = calloc(STARTS, sizeof *search.starts)};
    if (search.starts == NULL) {
        return error_set_memory(error, "out of memory for the starts of the parametric fit");
    }
    int result = choose_few(&search.few, study, error);
    if (result != 0) {
        goto out;
    }
    fit_parallel(STARTS, study->options, false, search_walk, &search);
    qsort(search.starts, STARTS, sizeof *search.starts, start_compare);
    if (search.few.owned != NULL) {
        search_go_on(&search);
        qsort(search.starts, STARTS, sizeof *search.starts, start_compare);
    }
    result = count_starts(fit, &search, error);
    memcpy(variables, search.starts[0].variables, sizeof search.starts[0].variables);
    *objective = search.starts[0].value;
out:
    surface_deinit(&search.few);
    free(search.starts);
    return result;
}

/* ---- bootstrap ---- */

typedef struct Refit {
    const LawStudy *study;
    Law estimate;
} Refit;

/* The lowest minimum from the estimate and from four points around it: each exponent halved or half as much again. */
static bool refit(const void *context, const double *weights, void *scratch, double *draw) {
    static const double factors[SPREADS][2] = {{1, 1}, {0.5, 0.5}, {0.5, 1.5}, {1.5, 0.5}, {1.5, 1.5}};
    const Refit *work = context;
    Surface surface;
    if (!law_can_refit(work->study, weights)) {
        return false;
    }
    surface_resample(&surface, &work->study->surface, &work->study->groups, weights, scratch);
    double lowest = INFINITY, best[SURFACE_PADDED] = {0};
    for (int i = 0; i < SPREADS; i++) {
        double variables[SURFACE_PADDED];
        surface_from_law(&surface, &work->estimate, variables);
        variables[SURFACE_ALPHA] *= factors[i][0];
        variables[SURFACE_BETA] *= factors[i][1];
        double value = surface_polish(&surface, variables);
        if (value < lowest) {
            lowest = value;
            memcpy(best, variables, sizeof best);
        }
    }
    return isfinite(lowest) && law_draw(work->study, &surface, best, weights, draw);
}

/* ---- the fit ---- */

int fit_make_parametric(Fit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    LawStudy study;
    double variables[SURFACE_PADDED], objective = NAN, gradient[SURFACE_PADDED];
    double hessian[SURFACE_VARIABLES][SURFACE_VARIABLES], majorant[SURFACE_VARIABLES][SURFACE_VARIABLES];
    int result = law_study_init(&study, out, points, count, options, error);
    if (result == 0) {
        result = search_run(out, &study, variables, &objective, error);
    }
    if (result == 0) {
        result = law_report(out, &study, variables, objective, error);
    }
    if (result == 0) {
        surface_evaluate(&study.surface, variables, gradient, hessian, majorant);
        out->condition = law_condition(hessian, SURFACE_VARIABLES);
        Refit context = {&study, surface_to_law(&study.surface, variables)};
        FitRefit how = {refit, &context, surface_size(&study.surface), law_draws(out, &study)};
        result = fit_bootstrap(out, &study.groups, &how, options, error);
    }
    law_study_deinit(&study);
    return result;
}
