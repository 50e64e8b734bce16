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

PowerBounds power_bounds(const PowerProblem *problem) {
    PowerBounds bounds;
    for (int i = 0; i < POWER_VARIABLES; i++) {
        bounds.low[i] = -VARIABLE_MAX;
        bounds.high[i] = VARIABLE_MAX;
    }
    bounds.low[POWER_S] = log(POWER_ALPHA_LOW);
    bounds.high[POWER_S] = log(POWER_ALPHA_HIGH);
    bounds.high[POWER_Q] = fmin(VARIABLE_MAX, log(POWER_B_HIGH * problem->points[problem->count - 1].x));
    return bounds;
}

static double clamp(const PowerBounds *bounds, int i, double value) {
    return fmax(bounds->low[i], fmin(bounds->high[i], value));
}

/* With a wall that rises outside the bounds: L-BFGS knows none, and comes back. */
static double objective(const void *context, const double *variables, double *gradient) {
    const PowerProblem *problem = context;
    const PowerBounds bounds = power_bounds(problem);
    double value = power_evaluate(problem, variables, gradient, NULL);
    for (int i = POWER_S; i <= POWER_Q; i++) {
        double outside = variables[i] - clamp(&bounds, i, variables[i]);
        value += outside * outside / (2 * HUBER_DELTA * HUBER_DELTA);
        if (gradient != NULL) {
            gradient[i] += outside / (HUBER_DELTA * HUBER_DELTA);
        }
    }
    return value;
}

/* Takes what is at a bound and would go down beyond it out of the step. */
static void hold_at_bounds(const PowerBounds *bounds, const double *variables, double *gradient, double (*matrix)[POWER_VARIABLES]) {
    for (int i = 0; i < POWER_VARIABLES; i++) {
        bool held = (variables[i] >= bounds->high[i] && gradient[i] < 0) || (variables[i] <= bounds->low[i] && gradient[i] > 0);
        for (int j = 0; held && j < POWER_VARIABLES; j++) {
            matrix[i][j] = matrix[j][i] = 0;
        }
        gradient[i] = held ? 0 : gradient[i];
    }
}

/* One damped step of iteratively reweighted least squares; true when it went down. */
static bool polish_step(const PowerProblem *problem, const PowerBounds *bounds, double *variables, double *value, double damping) {
    double gradient[POWER_PADDED], matrix[POWER_VARIABLES][POWER_VARIABLES], trial[POWER_PADDED] = {0};
    power_evaluate(problem, variables, gradient, matrix);
    hold_at_bounds(bounds, variables, gradient, matrix);
    for (int i = 0; i < POWER_VARIABLES; i++) {
        /* The constant is for a variable that is at its bound, where the matrix has a row of zeros. */
        matrix[i][i] += damping * matrix[i][i] + 1e-9 + damping * 1e-6;
    }
    if (!linear_solve(&matrix[0][0], gradient, POWER_VARIABLES, 0)) {
        return false;
    }
    for (int i = 0; i < POWER_VARIABLES; i++) {
        trial[i] = clamp(bounds, i, variables[i] - fmax(-2, fmin(2, gradient[i])));
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
    const PowerBounds bounds = power_bounds(problem);
    approach_minimum(objective, problem, APPROACH_STEPS, variables);
    for (int i = 0; i < POWER_VARIABLES; i++) {
        variables[i] = clamp(&bounds, i, variables[i]);
    }
    double value = power_evaluate(problem, variables, NULL, NULL), damping = 1e-2;
    for (int i = 0, still = 0; i < STEPS && damping < 1e8 && still < 3; i++) {
        double before = value;
        if (polish_step(problem, &bounds, variables, &value, damping)) {
            damping = fmax(damping / 8, 1e-12);
            still = before - value > 1e-10 * before ? 0 : still + 1;
        } else {
            damping *= 8;
        }
    }
    return isfinite(value) ? value : NAN;
}
