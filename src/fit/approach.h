/* The long way to a minimum, by L-BFGS: whoever calls it polishes what it reached in a way of its own. */
#pragma once

/* liblbfgs built with SSE wants aligned vectors of 8; variables past those of the problem are always 0, and so are their derivatives. */
enum { APPROACH_VARIABLES = 8 };

/* The value at variables, [APPROACH_VARIABLES]; sets gradient, of the same size, unless it is NULL. */
typedef double (*Objective)(const void *context, const double *variables, double *gradient);

/* At most `steps` steps from variables, in place; returns the value there. Where they lead to no finite value the start stands. */
double approach_minimum(Objective objective, const void *context, int steps, double *variables);
