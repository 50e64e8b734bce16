#include "linear.h"
#include "power.h"
#include "surface.h"

#include <math.h>
#include <string.h>

/* Beyond this a log is as good as infinite, and exp near its own end. */
static const double VARIABLE_MAX = 60;

double power_loss(const double law[POWER_PARAMETERS], double flops) {
    return law[POWER_E_INF] + law[POWER_A] * pow(law[POWER_B] + flops, -law[POWER_ALPHA]);
}

/* A residual's loss, its derivative, and the weight of iteratively reweighted least squares. */
static double residual_loss(FitLoss loss, double residual, double *slope, double *curve) {
    double size = fabs(residual), factor = loss == FIT_LOSS_ASYMMETRIC && residual > 0 ? FIT_ASYMMETRY : 1;
    if (loss == FIT_LOSS_MSE || size <= HUBER_DELTA) {
        *slope = factor * residual;
        *curve = factor;
        return factor * residual * residual / 2;
    }
    *slope = factor * copysign(HUBER_DELTA, residual);
    *curve = factor * HUBER_DELTA / size;
    return factor * HUBER_DELTA * (size - HUBER_DELTA / 2);
}

double power_evaluate(const PowerProblem *problem, const double *variables, double *gradient, double (*majorant)[POWER_VARIABLES]) {
    const double alpha = exp(variables[POWER_S]), b = exp(variables[POWER_Q]), floor = exp(variables[POWER_R]);
    const double unit = 1 / (HUBER_DELTA * HUBER_DELTA);
    double value = 0, sums[POWER_PADDED] = {0}, matrix[POWER_VARIABLES][POWER_VARIABLES] = {0};
    for (size_t i = 0; i < problem->count; i++) {
        const PowerPoint *point = &problem->points[i];
        double z = log((b + point->x) / (b + 1)), term = exp(variables[POWER_P] - alpha * z), predicted = term + floor;
        double share = term / predicted, slope, curve;
        value += point->weight * residual_loss(problem->loss, log(predicted) - point->target, &slope, &curve);
        const double row[POWER_VARIABLES] = {share, -alpha * z * share, -alpha * (b / (b + point->x) - b / (b + 1)) * share,
                                             floor / predicted};
        for (int j = 0; j < POWER_VARIABLES; j++) {
            sums[j] += point->weight * slope * row[j] * unit;
            for (int k = 0; majorant != NULL && k < POWER_VARIABLES; k++) {
                matrix[j][k] += point->weight * curve * row[j] * row[k] * unit;
            }
        }
    }
    if (gradient != NULL) {
        memcpy(gradient, sums, sizeof sums);
    }
    if (majorant != NULL) {
        memcpy(majorant, matrix, sizeof matrix);
    }
    return value * unit;
}

static double objective(const void *problem, const double *variables, double *gradient) {
    return power_evaluate(problem, variables, gradient, NULL);
}

/* One damped step of iteratively reweighted least squares; true when it went down. */
static bool polish_step(const PowerProblem *problem, double *variables, double *value, double damping) {
    double gradient[POWER_PADDED], matrix[POWER_VARIABLES][POWER_VARIABLES], trial[POWER_PADDED] = {0};
    power_evaluate(problem, variables, gradient, matrix);
    for (int i = 0; i < POWER_VARIABLES; i++) {
        /* The constant is for a variable that has run to its bound, where the matrix has a row of zeros. */
        matrix[i][i] += damping * matrix[i][i] + 1e-9 + damping * 1e-6;
    }
    if (!linear_solve(&matrix[0][0], gradient, POWER_VARIABLES, 0)) {
        return false;
    }
    for (int i = 0; i < POWER_VARIABLES; i++) {
        trial[i] = variables[i] - fmax(-2, fmin(2, gradient[i]));
        trial[i] = fmax(-VARIABLE_MAX, fmin(VARIABLE_MAX, trial[i]));
    }
    double reached = power_evaluate(problem, trial, NULL, NULL);
    if (!(reached < *value)) {
        return false;
    }
    memcpy(variables, trial, sizeof trial);
    *value = reached;
    return true;
}

double power_descend(const PowerProblem *problem, double *variables) {
    enum { APPROACH_STEPS = 40, STEPS = 120 };
    double value = approach_minimum(objective, problem, APPROACH_STEPS, variables), damping = 1e-2;
    for (int i = 0, still = 0; i < STEPS && damping < 1e8 && still < 3; i++) {
        double before = value;
        if (polish_step(problem, variables, &value, damping)) {
            damping = fmax(damping / 8, 1e-12);
            still = before - value > 1e-10 * before ? 0 : still + 1;
        } else {
            damping *= 8;
        }
    }
    return isfinite(value) ? value : NAN;
}
