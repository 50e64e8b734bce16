#include "approach.h"

#include <lbfgs.h>
#include <math.h>
#include <stdalign.h>
#include <string.h>

typedef struct Problem {
    Objective objective;
    const void *context;
} Problem;

static lbfgsfloatval_t evaluate(void *context, const lbfgsfloatval_t *variables, lbfgsfloatval_t *gradient, int count,
                                lbfgsfloatval_t step) {
    const Problem *problem = context;
    (void)count;
    (void)step;
    return problem->objective(problem->context, variables, gradient);
}

double approach_minimum(Objective objective, const void *context, int steps, double *variables) {
    Problem problem = {objective, context};
    lbfgs_parameter_t parameters;
    lbfgs_parameter_init(&parameters);
    parameters.epsilon = 1e-9;
    parameters.past = 5;
    parameters.delta = 1e-3;
    parameters.max_iterations = steps;
    parameters.max_linesearch = 40;
    parameters.linesearch = LBFGS_LINESEARCH_BACKTRACKING_ARMIJO;
    alignas(32) double x[APPROACH_VARIABLES];
    memcpy(x, variables, sizeof x);
    double value;
    /* Its outcome is not asked for: whatever it reached is where the caller goes on, and what that reaches is compared. Far from the
     * data an objective is linear, its curvature 0, and L-BFGS may divide by it: then the start stands. */
    lbfgs(APPROACH_VARIABLES, x, &value, evaluate, NULL, &problem, &parameters);
    value = objective(context, x, NULL);
    if (!isfinite(value)) {
        return objective(context, variables, NULL);
    }
    memcpy(variables, x, sizeof x);
    return value;
}
