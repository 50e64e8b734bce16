/* Grids of points drawn from a law that is known. */
#pragma once

#include "sweepd/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct TrueLaw {
    double E, A, B, alpha, beta;
} TrueLaw;

static inline double law_loss(const TrueLaw *law, double params, double examples) {
    return law->E + law->A * pow(params, -law->alpha) + law->B * pow(examples, -law->beta);
}

static inline double law_params_exponent(const TrueLaw *law) {
    return law->beta / (law->alpha + law->beta);
}

static inline double law_g(const TrueLaw *law) {
    return pow(law->alpha * law->A / (law->beta * law->B), 1 / (law->alpha + law->beta));
}

/* sizes x examples points, log-spaced in both; C = 6 P N; each its own configuration; noise is the deviation of the log loss. */
static inline size_t law_grid(const TrueLaw *law, FitPoint *points, size_t sizes, const double size_range[2], size_t examples,
                              const double example_range[2], double noise, uint64_t seed) {
    Rng rng;
    rng_init(&rng, seed, 7);
    size_t count = 0;
    for (size_t i = 0; i < sizes; i++) {
        for (size_t j = 0; j < examples; j++) {
            double p = size_range[0] * pow(size_range[1] / size_range[0], (double)i / (double)(sizes - 1));
            double n = example_range[0] * pow(example_range[1] / example_range[0], (double)j / (double)(examples - 1));
            double loss = law_loss(law, p, n) * exp(noise == 0 ? 0 : noise * rng_normal(&rng));
            points[count] = (FitPoint){p, n, 6 * p * n, loss, 0, (int64_t)count};
            count++;
        }
    }
    return count;
}

/* The estimate of a fit's parameter. */
static inline FitEstimate law_estimate(const Fit *fit, const char *name) {
    const FitParameter *parameter = fit_parameter(fit, name);
    assert_non_null(parameter);
    return parameter->estimate;
}

static inline bool law_warned(const FitWarnings *warnings, const char *code) {
    for (size_t i = 0; i < warnings->count; i++) {
        if (strcmp(warnings->items[i].code, code) == 0) {
            return true;
        }
    }
    return false;
}

#define assert_near(value, expected, relative)                                                                                             \
    do {                                                                                                                                   \
        double near_value = (value), near_expected = (expected);                                                                           \
        if (!(fabs(near_value - near_expected) <= (relative)*fabs(near_expected))) {                                                       \
            fail_msg("%s is %.12g, expected %.12g within %g", #value, near_value, near_expected, (double)(relative));                      \
        }                                                                                                                                  \
    } while (0)
