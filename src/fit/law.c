#include "law.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIGURATIONS_MIN = 6 };

/* An exponent below this, or a term below this share of the loss, is none. */
static const double EXPONENT_FLOOR = 1e-3, SHARE_FLOOR = 1e-4;

static int check_points(Fit *fit, const LawStudy *study, size_t sizes, size_t examples, Error *error) {
    if (study->groups.count < CONFIGURATIONS_MIN) {
        return fit_refuse(fit, "few_configurations", error,
                          "the parametric law has 5 unknowns and only %zu configurations finished: run at least %d", study->groups.count,
                          CONFIGURATIONS_MIN);
    }
    if (sizes < 3) {
        return fit_refuse(fit, "few_sizes", error,
                          "the parametric law needs at least 3 model sizes, and the points have %zu: add widths to the grid", sizes);
    }
    if (examples < 3) {
        return fit_refuse(fit, "few_examples", error,
                          "the parametric law needs at least 3 numbers of examples, and the points have %zu: add examples to the grid",
                          examples);
    }
    return 0;
}

int law_study_init(LawStudy *study, Fit *fit, const FitPoint *points, size_t count, const FitOptions *options, Error *error) {
    size_t sizes, examples;
    *study = (LawStudy){.points = points, .count = count, .options = options};
    if (fit_points_survey(points, count, &sizes, &examples, &fit->warnings, error) < 0 ||
        fit_points_recipes(points, count, &fit->warnings, error) < 0 || fit_groups_init(&study->groups, points, count, error) < 0) {
        return -1;
    }
    int result = check_points(fit, study, sizes, examples, error);
    if (result != 0) {
        return result;
    }
    study->ln_c = calloc(2 * count, sizeof *study->ln_c);
    if (study->ln_c == NULL) {
        return error_set_memory(error, "out of memory for %zu points", count);
    }
    study->ln_params = study->ln_c + count;
    for (size_t i = 0; i < count; i++) {
        study->ln_c[i] = log(points[i].flops / (points[i].params * points[i].examples));
        study->ln_params[i] = log(points[i].params);
    }
    return surface_init(&study->surface, points, count, options->loss, error);
}

void law_study_deinit(LawStudy *study) {
    if (study != NULL) {
        surface_deinit(&study->surface);
        fit_groups_deinit(&study->groups);
        free(study->ln_c);
        *study = (LawStudy){0};
    }
}

bool law_can_refit(const LawStudy *study, const double *weights) {
    int drawn = 0;
    for (size_t i = 0; i < study->groups.count && drawn < CONFIGURATIONS_MIN; i++) {
        drawn += weights[i] > 0;
    }
    return drawn == CONFIGURATIONS_MIN;
}

size_t law_draws(const Fit *fit, const LawStudy *study) {
    enum { MORE_FOR_EACH_UNKNOWN = 4, FEWER_FOR_EACH_UNKNOWN = 1, FEW = 10 };
    size_t linear = 0;
    for (size_t i = 0; i < study->count; i++) {
        linear += fabs(fit->residuals[i]) > study->surface.threshold * HUBER_DELTA;
    }
    double groups = (double)study->groups.count, seeds = (double)study->count / groups, share = (double)linear / (double)study->count;
    double more = fmin(MORE_FOR_EACH_UNKNOWN * LAW_PARAMETERS, groups / 4) * fmax(0, (3 - seeds) / 2);
    double fewer = fmin(fmin(FEWER_FOR_EACH_UNKNOWN * LAW_PARAMETERS, groups / 4), fmax(0, groups - FEW) / 2);
    return (size_t)lround(groups + more * share - fewer * (1 - share));
}

/* C = c P^power N. Exact FLOPs for each parameter and example change with the size, since the first layer has no input gradient: where they
 * are counted, c and the power are those of the least-squares line through ln(C / (P N)) against ln P; where c is given, the power is 1. */
typedef struct Cost {
    double ln_c, power;
    double ln_mean; /* of C / (P N) */
} Cost;

static Cost cost_of(const LawStudy *study, const double *weights) {
    const double given = study->options->flops_per_param_example;
    if (given > 0) {
        return (Cost){log(given), 1, log(given)};
    }
    double total = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (size_t i = 0; i < study->count; i++) {
        double weight = weights == NULL ? 1 : weights[study->groups.of_point[i]];
        total += weight;
        x += weight * study->ln_params[i];
        y += weight * study->ln_c[i];
    }
    x /= total;
    y /= total;
    for (size_t i = 0; i < study->count; i++) {
        double weight = weights == NULL ? 1 : weights[study->groups.of_point[i]], off = study->ln_params[i] - x;
        xx += weight * off * off;
        xy += weight * off * (study->ln_c[i] - y);
    }
    double slope = xx > 0 ? xy / xx : 0;
    return (Cost){y - slope * x, 1 + slope, y};
}

typedef struct Constants {
    double params_exponent, params_coefficient, examples_exponent, examples_coefficient;
    double parameters[LAW_PARAMETERS];
} Constants;

/* The minimum of A P^-alpha + B N^-beta where C = c P^power N: P^(alpha + power beta) = alpha A / (power beta B) (C / c)^beta. */
static Constants constants_of(const Law *law, Cost cost) {
    Constants out = {.parameters = {exp(law->e), exp(law->a), exp(law->b), law->alpha, law->beta}};
    double sum = law->alpha + cost.power * law->beta, ln_g = (log(law->alpha / (cost.power * law->beta)) + law->a - law->b) / sum;
    double ln_params = ln_g - law->beta / sum * cost.ln_c;
    out.params_exponent = law->beta / sum;
    out.examples_exponent = law->alpha / sum;
    out.params_coefficient = exp(ln_params);
    out.examples_coefficient = exp(-cost.ln_c - cost.power * ln_params);
    /* ln E has no lower bound, so that where the points want none it stops wherever the descent did. */
    double *E = &out.parameters[LAW_E], others = out.parameters[LAW_A] + out.parameters[LAW_B];
    *E = *E < 1e-9 * (*E + others) && *E < 1e-9 ? 0 : *E;
    return out;
}

/* Whether a term of the law, of params (0) or of examples (1), matters anywhere. */
static bool term_matters(const double *parameters, const FitPoint *points, size_t count, int term) {
    for (size_t i = 0; i < count; i++) {
        double of_params = term == 0 ? points[i].params : points[i].examples;
        if (parameters[LAW_A + term] * pow(of_params, -parameters[LAW_ALPHA + term]) > SHARE_FLOOR * points[i].loss) {
            return true;
        }
    }
    return false;
}

/* Why a law has no frontier: NULL, or what the loss does not fall with. */
static const char *law_flat_in(const Constants *constants, const FitPoint *points, size_t count) {
    static const char *const terms[] = {"model size", "the number of examples"};
    for (int term = 0; term < 2; term++) {
        if (!(constants->parameters[LAW_ALPHA + term] > EXPONENT_FLOOR) || !term_matters(constants->parameters, points, count, term)) {
            return terms[term];
        }
    }
    bool finite = isfinite(constants->params_coefficient) && isfinite(constants->examples_coefficient) &&
                  isfinite(constants->parameters[LAW_A]) && isfinite(constants->parameters[LAW_B]);
    return finite ? NULL : "model size or examples by any finite power";
}

bool law_draw(const LawStudy *study, const Surface *surface, const double *variables, const double *weights, double *draw) {
    Law law = surface_to_law(surface, variables);
    Constants constants = constants_of(&law, cost_of(study, weights));
    memcpy(draw, &constants, sizeof constants);
    return law_flat_in(&constants, study->points, study->count) == NULL;
}

/* ---- the report ---- */

/* How much of the runs' range of compute, on its logarithm, has its optimum among the sizes and examples that were run. */
static double share_inside(const Fit *fit, const FitPoint *points, size_t count) {
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

static void warn_about_bounds(Fit *fit, double lowest_loss) {
    FitParameter *E = &fit->parameters[LAW_E];
    E->at_bound = E->estimate.value < 1e-3 * lowest_loss;
    if (E->at_bound) {
        fit_warn(&fit->warnings, "at_bound",
                 "E came out at 0, its bound: the runs do not reach where the loss levels off. The exponents may be too low, and the "
                 "intervals of the others take E = 0 for true: they are too narrow.");
    }
    for (int i = 0; i < 2; i++) {
        double exponent = fit->parameters[LAW_ALPHA + i].estimate.value;
        if (exponent < 0.02 || exponent > 2) {
            fit_warn(&fit->warnings, "at_bound", "%s = %.3g lies outside 0.02 to 2: the %s in the grid hardly tell it.",
                     i == 0 ? "alpha" : "beta", exponent, i == 0 ? "model sizes" : "numbers of examples");
        }
    }
}

static void warn_about_law(Fit *fit, const FitPoint *points, size_t count) {
    double lowest = INFINITY, squares = 0;
    for (size_t i = 0; i < count; i++) {
        squares += fit->residuals[i] * fit->residuals[i];
        lowest = fmin(lowest, points[i].loss);
    }
    warn_about_bounds(fit, lowest);
    double inside = share_inside(fit, points, count), spread = sqrt(squares / (double)count);
    if (inside < 0.5) {
        fit_warn(&fit->warnings, "optimum_outside",
                 "The optimum lies among the sizes and examples that were run for only %.0f %% of the range of compute (in decades): the "
                 "rest of the frontier is extrapolated.",
                 100 * inside);
    }
    if (spread > 0.1) {
        fit_warn(&fit->warnings, "poor_fit", "The law misses the points by %.0f %% (root mean square of the log residuals).", 100 * spread);
    }
}

int law_report(Fit *fit, const LawStudy *study, const double *variables, double objective, Error *error) {
    static const char *const names[LAW_PARAMETERS] = {"E", "A", "B", "alpha", "beta"};
    Law law = surface_to_law(&study->surface, variables);
    Cost cost = cost_of(study, NULL);
    Constants constants = constants_of(&law, cost);
    const char *flat = law_flat_in(&constants, study->points, study->count);
    if (flat != NULL) {
        return fit_refuse(
            fit, "flat_loss", error,
            "the loss does not fall with %s (alpha = %.3g, beta = %.3g), so no compute is optimal: widen the grid on that side", flat,
            law.alpha, law.beta);
    }
    fit->residuals = calloc(study->count, sizeof *fit->residuals);
    if (fit->residuals == NULL) {
        return error_set_memory(error, "out of memory for %zu points", study->count);
    }
    fit->c = exp(cost.ln_mean);
    fit->c_power = cost.power;
    fit->objective = objective * HUBER_DELTA * HUBER_DELTA;
    fit->params = (FitFrontier){fit_estimate(constants.params_exponent), fit_estimate(constants.params_coefficient)};
    fit->examples = (FitFrontier){fit_estimate(constants.examples_exponent), fit_estimate(constants.examples_coefficient)};
    fit->parameter_count = LAW_PARAMETERS;
    for (int i = 0; i < LAW_PARAMETERS; i++) {
        fit->parameters[i] = (FitParameter){names[i], fit_estimate(constants.parameters[i]), false};
    }
    for (size_t i = 0; i < study->count; i++) {
        const FitPoint *point = &study->points[i];
        fit->residuals[i] = log(fit_loss_at(fit, point->params, point->examples) / point->loss);
    }
    warn_about_law(fit, study->points, study->count);
    return 0;
}

/* ---- condition ---- */

/* One rotation of Jacobi's method, which makes entry (i, j) 0. */
static void rotate(double (*matrix)[SURFACE_VARIABLES], int size, int i, int j) {
    if (matrix[i][j] == 0) {
        return;
    }
    double theta = (matrix[j][j] - matrix[i][i]) / (2 * matrix[i][j]);
    double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < size; k++) {
        double a = matrix[k][i], b = matrix[k][j];
        matrix[k][i] = c * a - s * b;
        matrix[k][j] = s * a + c * b;
    }
    for (int k = 0; k < size; k++) {
        double a = matrix[i][k], b = matrix[j][k];
        matrix[i][k] = c * a - s * b;
        matrix[j][k] = s * a + c * b;
    }
}

double law_condition(double (*matrix)[SURFACE_VARIABLES], int size) {
    enum { SWEEPS = 30 };
    for (int i = 0; i < size; i++) {
        for (int j = i + 1; j < size; j++) {
            matrix[i][j] = matrix[j][i];
        }
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        for (int i = 0; i < size; i++) {
            for (int j = i + 1; j < size; j++) {
                rotate(matrix, size, i, j);
            }
        }
    }
    double lowest = INFINITY, highest = 0;
    for (int i = 0; i < size; i++) {
        lowest = fmin(lowest, matrix[i][i]);
        highest = fmax(highest, matrix[i][i]);
    }
    return lowest > 0 ? highest / lowest : INFINITY;
}
