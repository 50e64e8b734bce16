/* The parametric law: the full grid of starts for the estimate, and the bootstrap around it.
 *
 * Well under half of the starts reach the lowest minimum, so every one of them is descended where that is affordable, and the lowest third
 * of what L-BFGS reached is polished to the end. Past DESCENTS_POINTS of work the starts are ranked by their objective first and the lowest
 * go on; starts_tried tells how many did. A resample starts from the estimate and from four spreads around it. */
#include "surface.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID_AB = 6, GRID_E = 5, GRID_EXPONENT = 5, STARTS = GRID_AB * GRID_AB * GRID_E * GRID_EXPONENT * GRID_EXPONENT };
enum { DESCENTS_POINTS = 600000, DESCENTS_MIN = 60, POLISHED_SHARE = 3, SPREADS = 5, CONFIGURATIONS_MIN = 6 };

/* An exponent below this, or a term below this share of the loss, is none. */
static const double EXPONENT_FLOOR = 1e-3, SHARE_FLOOR = 1e-4;

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

typedef struct Start {
    double value;
    double variables[SURFACE_PADDED];
} Start;

typedef struct Search {
    const Surface *surface;
    Start *starts;
} Search;

static void search_rank(void *context, int64_t index) {
    Search *search = context;
    Start *start = &search->starts[index];
    Law law = start_law(index);
    surface_from_law(search->surface, &law, start->variables);
    start->value = surface_evaluate(search->surface, start->variables, NULL, NULL, NULL);
}

static void search_approach(void *context, int64_t index) {
    Search *search = context;
    Start *start = &search->starts[index];
    start->value = surface_approach(search->surface, start->variables);
}

static void search_polish(void *context, int64_t index) {
    Search *search = context;
    Start *start = &search->starts[index];
    start->value = surface_polish(search->surface, start->variables);
}

static int start_compare(const void *left, const void *right) {
    double a = ((const Start *)left)->value, b = ((const Start *)right)->value;
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a > b) - (a < b);
}

/* Finds the lowest minimum over the starts; sets the counts of the fit and the variables. */
static int search_run(const Surface *surface, const FitOptions *options, ParametricFit *fit, double *variables, Error *error) {
    Search search = {surface, calloc(STARTS, sizeof(Start))};
    if (search.starts == NULL) {
        return error_set(error, "out of memory for the starts of the parametric fit");
    }
    int64_t affordable = DESCENTS_POINTS / (int64_t)surface->count, tried = STARTS;
    fit_parallel(STARTS, options, false, search_rank, &search);
    if (affordable < STARTS) {
        qsort(search.starts, STARTS, sizeof(Start), start_compare);
        tried = affordable < DESCENTS_MIN ? DESCENTS_MIN : affordable;
    }
    fit_parallel(tried, options, false, search_approach, &search);
    qsort(search.starts, (size_t)tried, sizeof(Start), start_compare);
    fit_parallel(tried / POLISHED_SHARE, options, false, search_polish, &search);
    qsort(search.starts, (size_t)tried, sizeof(Start), start_compare);
    memcpy(variables, search.starts[0].variables, sizeof search.starts[0].variables);
    double best = surface_polish(surface, variables);
    fit->starts_tried = tried;
    fit->objective = best * HUBER_DELTA * HUBER_DELTA;
    int64_t failed = 0;
    for (int64_t i = 0; i < tried; i++) {
        /* The absolute part is a data set that the law meets exactly: its lowest values are rounding. */
        fit->starts_at_optimum += search.starts[i].value <= best * (1 + 1e-4) + 1e-6;
        failed += isnan(search.starts[i].value);
    }
    free(search.starts);
    if (isnan(best)) {
        fit->starts_at_optimum = 0;
        return error_set(error, "no start of the parametric fit led to a finite objective"), FIT_REFUSED;
    }
    if (failed > 0) {
        fit_warn(&fit->warnings, "starts_failed", "%lld of %lld starts failed.", (long long)failed, (long long)tried);
    }
    return 0;
}

/* The geometric mean of flops / (params examples). */
static double mean_c(const FitPoint *points, const double *weights, size_t count) {
    double sum = 0, total = 0;
    for (size_t i = 0; i < count; i++) {
        double weight = weights == NULL ? 1 : weights[i];
        sum += weight * log(points[i].flops / (points[i].params * points[i].examples));
        total += weight;
    }
    return exp(sum / total);
}

static struct ParametricDraw draw_of(const Law *law, double c) {
    struct ParametricDraw draw = {.E = exp(law->e), .A = exp(law->a), .B = exp(law->b), .alpha = law->alpha, .beta = law->beta};
    double sum = law->alpha + law->beta;
    double ln_g = (log(law->alpha / law->beta) + law->a - law->b) / sum;
    draw.params_exponent = law->beta / sum;
    draw.examples_exponent = law->alpha / sum;
    /* ln E has no lower bound, so that where the points want none it stops wherever the descent did. */
    draw.E = draw.E < 1e-9 * (draw.E + draw.A + draw.B) && draw.E < 1e-9 ? 0 : draw.E;
    draw.params_coefficient = exp(ln_g - draw.params_exponent * log(c));
    draw.examples_coefficient = exp(-ln_g - draw.examples_exponent * log(c));
    return draw;
}

/* The largest share that a term of the law has in the loss of any point: of params (0) or of examples (1). */
static double term_share(const struct ParametricDraw *draw, const FitPoint *points, size_t count, int term) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double value = term == 0 ? draw->A * pow(points[i].params, -draw->alpha) : draw->B * pow(points[i].examples, -draw->beta);
        largest = fmax(largest, value / points[i].loss);
    }
    return largest;
}

/* Why a law has no frontier: NULL, "model size" or "the number of examples" when the loss does not fall with it. */
static const char *law_flat_in(const struct ParametricDraw *draw, const FitPoint *points, size_t count) {
    if (!(draw->alpha > EXPONENT_FLOOR) || !(term_share(draw, points, count, 0) > SHARE_FLOOR)) {
        return "model size";
    }
    if (!(draw->beta > EXPONENT_FLOOR) || !(term_share(draw, points, count, 1) > SHARE_FLOOR)) {
        return "the number of examples";
    }
    bool finite = isfinite(draw->params_coefficient) && isfinite(draw->examples_coefficient) && isfinite(draw->A) && isfinite(draw->B);
    return finite ? NULL : "model size or examples by any finite power";
}

/* ---- bootstrap ---- */

typedef struct Resampling {
    const FitPoint *points;
    size_t count;
    const FitOptions *options;
    const FitGroups *groups;
    Law estimate;
    struct ParametricDraw *draws; /* alpha is NaN where the resample was refused */
} Resampling;

/* The lowest minimum from the estimate and from four points around it: each exponent halved or half as much again. */
static Law resample_law(const Surface *surface, const Law *estimate) {
    static const double factors[SPREADS][2] = {{1, 1}, {0.5, 0.5}, {0.5, 1.5}, {1.5, 0.5}, {1.5, 1.5}};
    double lowest = INFINITY, best[SURFACE_PADDED] = {0};
    for (int i = 0; i < SPREADS; i++) {
        double variables[SURFACE_PADDED];
        surface_from_law(surface, estimate, variables);
        variables[SURFACE_ALPHA] *= factors[i][0];
        variables[SURFACE_BETA] *= factors[i][1];
        double value = surface_descend(surface, variables);
        if (value < lowest) {
            lowest = value;
            memcpy(best, variables, sizeof best);
        }
    }
    Law law = surface_to_law(surface, best);
    if (!isfinite(lowest)) {
        law.alpha = NAN;
    }
    return law;
}

static void resample(void *context, int64_t index) {
    const Resampling *work = context;
    struct ParametricDraw *draw = &work->draws[index];
    draw->alpha = NAN;
    double *weights = calloc(work->groups->count + work->count, sizeof *weights);
    Surface surface = {0};
    if (weights == NULL) {
        return;
    }
    double *point_weights = weights + work->groups->count;
    fit_groups_draw(work->groups, work->options->seed, index, weights);
    for (size_t i = 0; i < work->count; i++) {
        point_weights[i] = weights[work->groups->of_point[i]];
    }
    if (surface_init(&surface, work->points, point_weights, work->count, NULL) == 0 && surface.count > SURFACE_VARIABLES) {
        double c = work->options->flops_per_param_example;
        Law law = resample_law(&surface, &work->estimate);
        *draw = draw_of(&law, c > 0 ? c : mean_c(work->points, point_weights, work->count));
        if (law_flat_in(draw, work->points, work->count) != NULL) {
            draw->alpha = NAN;
        }
    }
    surface_deinit(&surface);
    free(weights);
}

static int set_intervals(ParametricFit *fit, double level, Error *error) {
    const struct {
        FitEstimate *estimate;
        const double *column;
    } columns[] = {{&fit->E, &fit->cloud->E},
                   {&fit->A, &fit->cloud->A},
                   {&fit->B, &fit->cloud->B},
                   {&fit->alpha, &fit->cloud->alpha},
                   {&fit->beta, &fit->cloud->beta},
                   {&fit->params.exponent, &fit->cloud->params_exponent},
                   {&fit->params.coefficient, &fit->cloud->params_coefficient},
                   {&fit->examples.exponent, &fit->cloud->examples_exponent},
                   {&fit->examples.coefficient, &fit->cloud->examples_coefficient}};
    size_t stride = sizeof *fit->cloud / sizeof(double);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (fit_estimate_interval(columns[i].estimate, columns[i].column, fit->cloud_count, stride, level, error) < 0) {
            return -1;
        }
    }
    if (fit->E_at_bound) {
        fit->E = fit_estimate(fit->E.value);
    }
    return 0;
}

static int bootstrap(ParametricFit *fit, const FitPoint *points, size_t count, const Law *estimate, const FitOptions *options,
                     Error *error) {
    if (options->resamples <= 0) {
        return 0;
    }
    FitGroups groups = {0};
    int result = -1;
    fit->cloud = calloc((size_t)options->resamples, sizeof *fit->cloud);
    if (fit->cloud == NULL) {
        error_set(error, "out of memory for %lld resamples", (long long)options->resamples);
        goto out;
    }
    if (fit_groups_init(&groups, points, count, error) < 0) {
        goto out;
    }
    Resampling work = {points, count, options, &groups, *estimate, fit->cloud};
    fit_parallel(options->resamples, options, true, resample, &work);
    for (int64_t i = 0; i < options->resamples; i++) {
        if (!isnan(fit->cloud[i].alpha)) {
            fit->cloud[fit->cloud_count++] = fit->cloud[i];
        }
    }
    result = fit_cloud_enough(fit->cloud_count, options->resamples, &fit->warnings) ? set_intervals(fit, options->level, error) : 0;
out:
    fit_groups_deinit(&groups);
    return result;
}

/* ---- the fit ---- */

static int check_points(const FitPoint *points, size_t count, size_t sizes, size_t examples, Error *error) {
    FitGroups groups;
    if (fit_groups_init(&groups, points, count, error) < 0) {
        return -1;
    }
    size_t configurations = groups.count;
    fit_groups_deinit(&groups);
    if (configurations < CONFIGURATIONS_MIN) {
        error_set(error, "the parametric law has 5 unknowns and only %zu configurations finished: run at least %d", configurations,
                  CONFIGURATIONS_MIN);
        return FIT_REFUSED;
    }
    if (sizes < 3 || examples < 3) {
        error_set(error, "the parametric law needs at least 3 %s, and the points have %zu: add %s to the grid",
                  sizes < 3 ? "model sizes" : "numbers of examples", sizes < 3 ? sizes : examples, sizes < 3 ? "widths" : "examples");
        return FIT_REFUSED;
    }
    return 0;
}

/* How much of the runs' range of compute, on its logarithm, has its optimum among the sizes and examples that were run. */
static double share_inside(const ParametricFit *fit, const FitPoint *points, size_t count) {
    enum { STEPS = 200 };
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        const double values[3] = {points[i].params, points[i].examples, points[i].flops};
        for (int k = 0; k < 3; k++) {
            low[k] = fmin(low[k], values[k]);
            high[k] = fmax(high[k], values[k]);
        }
    }
    int inside = 0;
    for (int i = 0; i <= STEPS; i++) {
        double flops = low[2] * pow(high[2] / low[2], (double)i / STEPS);
        double params = fit->params.coefficient.value * pow(flops, fit->params.exponent.value);
        double examples = fit->examples.coefficient.value * pow(flops, fit->examples.exponent.value);
        inside += params >= low[0] && params <= high[0] && examples >= low[1] && examples <= high[1];
    }
    return (double)inside / (STEPS + 1);
}

static void warn_about_law(ParametricFit *fit, const FitPoint *points, size_t count) {
    double lowest = INFINITY, squares = 0;
    for (size_t i = 0; i < count; i++) {
        double residual = log(fit_parametric_loss(fit, points[i].params, points[i].examples) / points[i].loss);
        squares += residual * residual;
        lowest = fmin(lowest, points[i].loss);
    }
    double spread = sqrt(squares / (double)count);
    fit->E_at_bound = fit->E.value < 1e-3 * lowest;
    if (fit->E_at_bound) {
        fit_warn(&fit->warnings, "at_bound",
                 "E came out at 0, its bound: the runs do not reach where the loss levels off. The exponents may be too low, and the "
                 "intervals of the others take E = 0 for true: they are too narrow.");
    }
    const double exponents[] = {fit->alpha.value, fit->beta.value};
    for (int i = 0; i < 2; i++) {
        if (exponents[i] < 0.02 || exponents[i] > 2) {
            fit_warn(&fit->warnings, "at_bound", "%s = %.3g lies outside 0.02 to 2: the %s in the grid hardly tell it.",
                     i == 0 ? "alpha" : "beta", exponents[i], i == 0 ? "model sizes" : "numbers of examples");
        }
    }
    double inside = share_inside(fit, points, count);
    if (inside < 0.5) {
        fit_warn(&fit->warnings, "optimum_outside",
                 "The optimum lies among the sizes and examples that were run for only %.0f %% of the range of compute (in decades): the "
                 "rest of the frontier is extrapolated.",
                 100 * inside);
    }
    if (spread > 0.1) {
        fit_warn(&fit->warnings, "poor_fit", "The law misses the points by %.0f %% (root mean square of the log residuals).", 100 * spread);
    }
    if (fit->starts_at_optimum * 100 < fit->starts_tried) {
        fit_warn(&fit->warnings, "starts_disagree", "Only %lld of %lld starts reached the lowest minimum; a lower one may exist.",
                 (long long)fit->starts_at_optimum, (long long)fit->starts_tried);
    }
}

static void set_estimates(ParametricFit *fit, const struct ParametricDraw *draw, double c) {
    fit->c = c;
    fit->E = fit_estimate(draw->E);
    fit->A = fit_estimate(draw->A);
    fit->B = fit_estimate(draw->B);
    fit->alpha = fit_estimate(draw->alpha);
    fit->beta = fit_estimate(draw->beta);
    fit->params = (FitFrontier){fit_estimate(draw->params_exponent), fit_estimate(draw->params_coefficient)};
    fit->examples = (FitFrontier){fit_estimate(draw->examples_exponent), fit_estimate(draw->examples_coefficient)};
}

static int fit_usable(ParametricFit *fit, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    size_t sizes, examples;
    if (fit_points_survey(points, count, &sizes, &examples, &fit->warnings, error) < 0 ||
        fit_points_recipes(points, count, &fit->warnings, error) < 0) {
        return -1;
    }
    int result = check_points(points, count, sizes, examples, error);
    if (result != 0) {
        return result;
    }
    Surface surface;
    if (surface_init(&surface, points, NULL, count, error) < 0) {
        return -1;
    }
    double variables[SURFACE_PADDED];
    result = search_run(&surface, options, fit, variables, error);
    if (result != 0) {
        goto out;
    }
    Law law = surface_to_law(&surface, variables);
    double c = options->flops_per_param_example > 0 ? options->flops_per_param_example : mean_c(points, NULL, count);
    struct ParametricDraw draw = draw_of(&law, c);
    const char *flat = law_flat_in(&draw, points, count);
    if (flat != NULL) {
        error_set(error,
                  "the loss does not fall with %s (alpha = %.3g, beta = %.3g), so no compute is optimal: widen the grid on that side", flat,
                  draw.alpha, draw.beta);
        result = FIT_REFUSED;
        goto out;
    }
    set_estimates(fit, &draw, c);
    warn_about_law(fit, points, count);
    result = bootstrap(fit, points, count, &law, options, error);
out:
    surface_deinit(&surface);
    return result;
}

int fit_parametric(ParametricFit *out, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    *out = (ParametricFit){0};
    FitPoint *usable = fit_points_usable(points, count, &out->points, &out->warnings, error);
    int result = usable == NULL ? -1 : fit_usable(out, usable, out->points, options, error);
    free(usable);
    if (result != 0) {
        fit_parametric_deinit(out);
    }
    return result;
}

void fit_parametric_deinit(ParametricFit *fit) {
    if (fit != NULL) {
        free(fit->cloud);
        *fit = (ParametricFit){0};
    }
}

double fit_parametric_loss(const ParametricFit *fit, double params, double examples) {
    return fit->E.value + fit->A.value * pow(params, -fit->alpha.value) + fit->B.value * pow(examples, -fit->beta.value);
}
