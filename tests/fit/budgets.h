/* Runs made at budgets, of a law whose IsoFLOP fit has a known bias. */
#pragma once

#include "known_law.h"

static const TrueLaw BIASED = {1.69, 406.4, 410.7, 0.34, 0.28};

/* Of the optimum at so many FLOPs. */
static inline double true_params(const TrueLaw *law, double flops) {
    return law_g(law) * pow(flops / 6, law_params_exponent(law));
}

/* `sizes` sizes at each of `budgets` budgets from 1e17 by tens, log-spaced from 1/k to k times the optimum, itself times `centre`. */
static inline size_t budgets_make(const TrueLaw *law, FitPoint *points, size_t budgets, size_t sizes, double k, double centre) {
    size_t count = 0;
    for (size_t i = 0; i < budgets; i++) {
        double flops = 1e17 * pow(10, (double)i), middle = centre * true_params(law, flops);
        for (size_t j = 0; j < sizes; j++) {
            double params = middle * pow(k, 2 * (double)j / (double)(sizes - 1) - 1), examples = flops / (6 * params);
            points[count] = (FitPoint){params, examples, flops, law_loss(law, params, examples), 0, (int64_t)count};
            count++;
        }
    }
    return count;
}

/* Of BIASED: 15 sizes at each of 5 budgets, from a quarter of the optimum to four times. */
static inline size_t study_make(FitPoint points[75]) {
    return budgets_make(&BIASED, points, 5, 15, 4, 1);
}

/* To be cleared by fit_deinit. */
static inline Fit isoflop_fit(const FitPoint *points, size_t count, int64_t resamples) {
    Fit fit;
    Error error = {0};
    FitOptions options;
    fit_options_default(&options);
    options.resamples = resamples;
    if (fit_make(&fit, FIT_ISOFLOP, points, count, &options, &error) != 0) {
        fail_msg("%s", error.text);
    }
    return fit;
}
