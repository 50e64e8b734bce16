/* From a start to a minimum. L-BFGS walks the long way; it slows down where residuals cross the Huber loss's narrow
 * quadratic zone, so a damped Newton method with the exact Hessian finishes. The damping adds the curvature of iteratively reweighted least
 * squares, which a step can always lean on: it majorizes the Huber loss. */
#include "surface.h"

#include <math.h>
#include <string.h>

static double objective(const void *surface, const double *variables, double *gradient) {
    return surface_evaluate(surface, variables, gradient, NULL, NULL);
}

double surface_approach(const Surface *surface, double *variables) {
    enum { STEPS = 25 };
    return approach_minimum(objective, surface, STEPS, variables);
}

/* Solves matrix step = -gradient by Cholesky; the matrix's lower triangle is overwritten. False when it is not positive definite. */
static bool solve(double (*matrix)[SURFACE_VARIABLES], const double *gradient, double *step) {
    enum { N = SURFACE_VARIABLES };
    for (int j = 0; j < N; j++) {
        double original = matrix[j][j];
        for (int k = 0; k < j; k++) {
            matrix[j][j] -= matrix[j][k] * matrix[j][k];
        }
        if (!(matrix[j][j] > 1e-15 * fabs(original)) || original <= 0) {
            return false;
        }
        matrix[j][j] = sqrt(matrix[j][j]);
        for (int i = j + 1; i < N; i++) {
            for (int k = 0; k < j; k++) {
                matrix[i][j] -= matrix[i][k] * matrix[j][k];
            }
            matrix[i][j] /= matrix[j][j];
        }
    }
    for (int i = 0; i < N; i++) {
        step[i] = -gradient[i];
        for (int k = 0; k < i; k++) {
            step[i] -= matrix[i][k] * step[k];
        }
        step[i] /= matrix[i][i];
    }
    for (int i = N - 1; i >= 0; i--) {
        for (int k = i + 1; k < N; k++) {
            step[i] -= matrix[k][i] * step[k];
        }
        step[i] /= matrix[i][i];
    }
    return true;
}

typedef enum { STEP_DOWN, STEP_REFUSED, STEP_POINTLESS } StepOutcome;

/* One damped step. It is pointless where even what it promises is lost in the rounding of the value: at a minimum no damping helps. */
static StepOutcome newton_step(const Surface *surface, double *variables, double *value, const double *gradient,
                               double (*hessian)[SURFACE_VARIABLES], double (*majorant)[SURFACE_VARIABLES], double damping) {
    double matrix[SURFACE_VARIABLES][SURFACE_VARIABLES], step[SURFACE_VARIABLES], trial[SURFACE_PADDED] = {0}, promised = 0;
    for (int i = 0; i < SURFACE_VARIABLES; i++) {
        for (int j = 0; j <= i; j++) {
            matrix[i][j] = hessian[i][j] + damping * majorant[i][j];
        }
        matrix[i][i] += damping * 1e-9 * (1 + majorant[i][i]);
    }
    if (!solve(matrix, gradient, step)) {
        return STEP_REFUSED;
    }
    for (int i = 0; i < SURFACE_VARIABLES; i++) {
        trial[i] = variables[i] + fmax(-2, fmin(2, step[i]));
        promised -= gradient[i] * step[i];
    }
    if (damping < 1 && promised < 1e-15 * *value) {
        return STEP_POINTLESS;
    }
    double reached = surface_evaluate(surface, trial, NULL, NULL, NULL);
    if (!(reached < *value)) {
        return STEP_REFUSED;
    }
    memcpy(variables, trial, sizeof trial);
    *value = reached;
    return STEP_DOWN;
}

/* Steps until `patience` in a row gain less than `gain` of the value. */
static double descend(const Surface *surface, double *variables, double gain, int patience) {
    enum { STEPS = 300 };
    double gradient[SURFACE_PADDED], damping = 1e-2;
    double hessian[SURFACE_VARIABLES][SURFACE_VARIABLES], majorant[SURFACE_VARIABLES][SURFACE_VARIABLES];
    double value = surface_evaluate(surface, variables, gradient, hessian, majorant);
    for (int i = 0, still = 0; i < STEPS && damping < 1e8 && still < patience; i++) {
        double before = value;
        StepOutcome outcome = newton_step(surface, variables, &value, gradient, hessian, majorant, damping);
        if (outcome == STEP_POINTLESS) {
            break;
        }
        if (outcome == STEP_DOWN) {
            damping = fmax(damping / 8, 1e-12);
            still = before - value > gain * before ? 0 : still + 1;
            surface_evaluate(surface, variables, gradient, hessian, majorant);
        } else {
            damping *= 8;
        }
    }
    return isfinite(value) ? value : NAN;
}

double surface_polish(const Surface *surface, double *variables) {
    return descend(surface, variables, 1e-10, 3);
}

double surface_follow(const Surface *surface, double *variables) {
    if (surface->threshold < SURFACE_NO_THRESHOLD) {
        Surface wider = *surface;
        for (wider.threshold = 64 * surface->threshold; wider.threshold > surface->threshold; wider.threshold /= 4) {
            descend(&wider, variables, 1e-2, 1);
        }
    }
    return surface_polish(surface, variables);
}
