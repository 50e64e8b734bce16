/* IsoFLOP on runs made at budgets and on a plain grid: the known bias of its parabola, the weights of points and budgets, intervals. */
#include "budgets.h"

/* arXiv:2603.22339: noise-free, the examples extrapolated to 1e24 FLOPs are off by -0.33 % for k = 2 and -5.1 % for k = 16. */
static double bias_at_1e24(double k, Fit *fit) {
    FitPoint points[75];
    size_t count = budgets_make(&BIASED, points, 5, 15, k, 1);
    *fit = isoflop_fit(points, count, 0);
    double fitted = fit->examples.coefficient.value * pow(1e24, fit->examples.exponent.value);
    return 100 * (fitted / (1e24 / (6 * true_params(&BIASED, 1e24))) - 1);
}

static void test_known_bias(void **state) {
    (void)state;
    const double ks[] = {2, 16}, expected[] = {-0.33, -5.1}, within[] = {0.005, 0.05};
    for (int i = 0; i < 2; i++) {
        Fit fit;
        double bias = bias_at_1e24(ks[i], &fit);
        if (!(fabs(bias - expected[i]) <= within[i])) {
            fail_msg("k = %g: bias %.4f %%, expected %.2f %%", ks[i], bias, expected[i]);
        }
        assert_near(fit.params.exponent.value, law_params_exponent(&BIASED), 1e-6);
        assert_near(fit.examples.exponent.value, 1 - law_params_exponent(&BIASED), 1e-6);
        assert_int_equal(fit.budgets_used, 5);
        assert_int_equal(fit.budget_point_count, 75);
        assert_false(law_warned(&fit.warnings, "interpolated"));
        fit_deinit(&fit);
    }
}

/* Where alpha = beta the loss is symmetric about the optimum and the parabola has no bias at all. */
static void test_symmetric_law_is_exact(void **state) {
    (void)state;
    const TrueLaw law = {0.1, 20, 30, 0.3, 0.3};
    FitPoint points[75];
    size_t count = budgets_make(&law, points, 5, 15, 4, 1);
    Fit fit = isoflop_fit(points, count, 0);
    assert_near(fit.params.exponent.value, 0.5, 1e-9);
    assert_near(fit.params.coefficient.value, law_g(&law) * pow(6, -0.5), 1e-7);
    assert_near(fit.examples.coefficient.value, 1 / law_g(&law) * pow(6, -0.5), 1e-7);
    for (size_t i = 0; i < fit.budget_count; i++) {
        const IsoflopBudget *budget = &fit.budgets[i];
        double x = log(budget->params), *c = fit.budgets[i].curvature;
        assert_near(c[0] + c[1] * x + c[2] * x * x, budget->loss, 1e-7);
        assert_near(-c[1] / (2 * c[2]), x, 1e-9);
        assert_int_equal(budget->first, 15 * i);
    }
    fit_deinit(&fit);
}

/* A plain grid, dense enough that interpolation hardly errs. */
static void test_plain_grid(void **state) {
    (void)state;
    const TrueLaw law = {0.1, 20, 30, 0.3, 0.3};
    static FitPoint points[600];
    size_t count = law_grid(&law, points, 20, (double[]){1e4, 1e7}, 30, (double[]){1e4, 3e7}, 0, 0);
    Fit fit = isoflop_fit(points, count, 0);
    assert_true(law_warned(&fit.warnings, "interpolated"));
    assert_near(fit.params.exponent.value, 0.5, 0.08);
    assert_near(fit.params.exponent.value + fit.examples.exponent.value, 1, 1e-6);
    for (size_t i = 0; i < fit.budget_count; i++) {
        for (size_t j = fit.budgets[i].first; j < fit.budgets[i].first + fit.budgets[i].points; j++) {
            const BudgetPoint *point = &fit.budget_points[j];
            assert_near(6 * point->params * point->examples, point->flops, 1e-9);
            assert_true(point->examples >= 1e4 * (1 - 1e-9) && point->examples <= 3e7 * (1 + 1e-9));
            assert_near(point->loss, law_loss(&law, point->params, point->examples), 0.01);
        }
        if (!fit.budgets[i].refused) {
            assert_near(6 * fit.budgets[i].params * fit.budgets[i].examples, fit.budgets[i].flops, 1e-6);
        }
    }
    fit_deinit(&fit);
}

/* Seeds are averaged: +d and -d on two seeds of each configuration change nothing. */
static void test_seeds_are_averaged(void **state) {
    (void)state;
    FitPoint points[150];
    size_t count = study_make(points);
    Fit single = isoflop_fit(points, count, 0);
    for (size_t i = 0; i < count; i++) {
        double shift = 0.01 * (double)(i % 7);
        points[count + i] = points[i];
        points[i].loss -= shift;
        points[count + i].loss += shift;
    }
    Fit paired = isoflop_fit(points, 2 * count, 0);
    assert_int_equal(paired.budget_point_count, count);
    assert_near(paired.params.exponent.value, single.params.exponent.value, 1e-9);
    assert_near(paired.params.coefficient.value, single.params.coefficient.value, 1e-8);
    fit_deinit(&single);
    fit_deinit(&paired);
}

/* Several configurations of one size at one compute (another rate, say): the lowest counts, the others change nothing. */
static void test_lowest_of_a_size_counts(void **state) {
    (void)state;
    FitPoint points[150];
    size_t count = study_make(points), all = count;
    Fit single = isoflop_fit(points, count, 0);
    for (size_t i = 0; i < count; i++) {
        if (i % 15 > 8) {
            points[all] = points[i];
            points[all].loss += 0.3;
            points[all].flops *= 0.998;
            points[all].configuration = (int64_t)all;
            all++;
        }
    }
    Fit crowded = isoflop_fit(points, all, 0);
    assert_int_equal(crowded.budget_point_count, count);
    assert_int_equal(crowded.budgets[0].points, 15);
    assert_near(crowded.params.exponent.value, single.params.exponent.value, 1e-9);
    assert_near(crowded.params.coefficient.value, single.params.coefficient.value, 1e-3);
    fit_deinit(&single);
    fit_deinit(&crowded);
}

/* Of little weight an outlier is as good as left out; a seed of three times the weight counts three times. */
static void test_weights_of_points(void **state) {
    (void)state;
    FitPoint points[150];
    size_t count = study_make(points);
    Fit clean = isoflop_fit(points, count, 0);
    points[62].loss *= 1.003;
    Fit fit = isoflop_fit(points, count, 0);
    points[62].weight = 1e-9;
    double moved = fit.params.exponent.value;
    fit_deinit(&fit);
    fit = isoflop_fit(points, count, 0);
    points[62].loss = NAN;
    Fit without = isoflop_fit(points, count, 0);
    assert_near(fit.params.exponent.value, without.params.exponent.value, 1e-7);
    assert_true(fabs(moved - without.params.exponent.value) > 1e-5);
    fit_deinit(&without);
    fit_deinit(&fit);
    count = study_make(points);
    for (size_t i = 0; i < count; i++) {
        points[count + i] = points[i];
        points[i].loss *= 1.03;
        points[count + i].loss *= 0.99;
        points[count + i].weight = 3;
    }
    fit = isoflop_fit(points, 2 * count, 0);
    assert_near(fit.params.coefficient.value, clean.params.coefficient.value, 1e-8);
    fit_deinit(&fit);
    fit_deinit(&clean);
}

/* Budgets are weighted by what noise does to their vertex: 1 / weight is its variance up to a common factor, whatever the number of
 * sizes, their extent and the curvature. */
static void test_weights_are_inverse_variances(void **state) {
    (void)state;
    enum { BUDGETS = 5, DRAWS = 400 };
    FitPoint clean[75], noisy[75];
    double sum[BUDGETS] = {0}, squares[BUDGETS] = {0}, weights[BUDGETS], first = 0;
    size_t count = budgets_make(&BIASED, clean, BUDGETS, 15, 8, 1);
    /* The second budget has every other size only. */
    for (size_t i = 15; i < 30; i++) {
        clean[i].loss = i % 2 == 0 ? NAN : clean[i].loss;
    }
    Fit fit = isoflop_fit(clean, count, 0);
    for (size_t i = 0; i < BUDGETS; i++) {
        weights[i] = fit.budgets[i].weight;
    }
    fit_deinit(&fit);
    Rng rng;
    rng_init(&rng, 1, 1);
    for (int draw = 0; draw < DRAWS; draw++) {
        memcpy(noisy, clean, sizeof clean);
        for (size_t i = 0; i < count; i++) {
            noisy[i].loss *= exp(0.002 * rng_normal(&rng));
        }
        fit = isoflop_fit(noisy, count, 0);
        for (size_t i = 0; i < BUDGETS; i++) {
            double x = log(fit.budgets[i].params);
            sum[i] += x / DRAWS;
            squares[i] += x * x / DRAWS;
        }
        fit_deinit(&fit);
    }
    for (size_t i = 0; i < BUDGETS; i++) {
        double scaled = (squares[i] - sum[i] * sum[i]) * weights[i];
        first = i == 0 ? scaled : first;
        assert_near(scaled, first, 0.3);
    }
    assert_true(weights[1] < 0.8 * weights[0] && weights[4] < 0.8 * weights[0]);
}

/* The interval of the exponent is about as wide as the estimates of many studies scatter. */
static void test_intervals_have_the_width_of_the_scatter(void **state) {
    (void)state;
    enum { STUDIES = 60 };
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 200;
    double sum = 0, squares = 0, width = 0;
    Rng rng;
    rng_init(&rng, 8, 8);
    for (uint64_t study = 0; study < STUDIES; study++) {
        FitPoint points[75];
        size_t count = budgets_make(&BIASED, points, 5, 9, 4, 1);
        for (size_t i = 0; i < count; i++) {
            points[i].loss *= exp(0.003 * rng_normal(&rng));
        }
        Fit fit;
        options.seed = study;
        assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
        sum += fit.params.exponent.value / STUDIES;
        squares += fit.params.exponent.value * fit.params.exponent.value / STUDIES;
        width += (fit.params.exponent.hi - fit.params.exponent.lo) / STUDIES;
        fit_deinit(&fit);
    }
    double ratio = width / (2 * 1.96 * sqrt(squares - sum * sum));
    assert_true(ratio > 0.75 && ratio < 1.35);
}

/* Three sizes a budget leave no deviation to draw: no interval, rather than one of no width. One budget with more tells the size of all. */
static void test_intervals_of_three_sizes(void **state) {
    (void)state;
    FitPoint points[75];
    size_t count = budgets_make(&BIASED, points, 5, 3, 4, 1);
    Fit fit = isoflop_fit(points, count, 50);
    assert_true(isnan(fit.params.exponent.lo) && law_warned(&fit.warnings, "resamples_refused"));
    assert_true(law_warned(&fit.warnings, "few_sizes"));
    fit_deinit(&fit);
    for (int i = 0; i < 4; i++) {
        points[count] = points[13];
        points[count].params *= 1.1 + 0.2 * i;
        points[count].examples /= 1.1 + 0.2 * i;
        points[count].loss = law_loss(&BIASED, points[count].params, points[count].examples) * (1 + 0.002 * (i % 2));
        points[count].configuration = (int64_t)count;
        count++;
    }
    fit = isoflop_fit(points, count, 50);
    assert_true(fit.params.exponent.hi - fit.params.exponent.lo > 1e-4);
    fit_deinit(&fit);
}

/* Compute within 1 % is one budget; beyond it, it is not. */
static void test_budgets_agree_within_a_hundredth(void **state) {
    (void)state;
    FitPoint points[75];
    size_t count = study_make(points);
    for (size_t i = 0; i < count; i++) {
        points[i].flops *= 1 + 0.009 * (double)(i % 4) / 3;
    }
    Fit fit = isoflop_fit(points, count, 0);
    assert_int_equal(fit.budget_count, 5);
    assert_near(fit.budgets[0].flops, 1e17, 0.009);
    assert_false(law_warned(&fit.warnings, "outside_budgets"));
    fit_deinit(&fit);
    /* Two sizes of the last budget are moved away. */
    points[60].flops *= 1.03;
    points[61].flops *= 1.03;
    fit = isoflop_fit(points, count, 0);
    assert_int_equal(fit.budgets[4].points, 13);
    assert_true(law_warned(&fit.warnings, "outside_budgets"));
    fit_deinit(&fit);
}

/* Nearly 100,000 runs at thousands of budgets: what is read of the runs must not grow with the number of budgets. */
static void test_large_tables_are_bounded(void **state) {
    (void)state;
    enum { BUDGETS = 3000, SIZES = 33 };
    const TrueLaw law = {0.1, 20, 30, 0.3, 0.3};
    FitPoint *points = calloc(BUDGETS * SIZES, sizeof *points);
    assert_non_null(points);
    for (size_t i = 0; i < BUDGETS; i++) {
        double flops = 1e3 * pow(1.011, (double)i);
        for (size_t j = 0; j < SIZES; j++) {
            double params = true_params(&law, flops) * pow(4, (double)j / (SIZES / 2) - 1), examples = flops / (6 * params);
            points[SIZES * i + j] =
                (FitPoint){params, examples, flops, 1e-3 * law_loss(&law, params, examples), 0, (int64_t)(SIZES * i + j)};
        }
    }
    Fit fit = isoflop_fit(points, BUDGETS * SIZES, 20);
    assert_int_equal(fit.budget_count, BUDGETS);
    assert_int_equal(fit.cloud_count, 20);
    assert_near(fit.params.exponent.value, 0.5, 1e-3);
    fit_deinit(&fit);
    free(points);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bias),
        cmocka_unit_test(test_symmetric_law_is_exact),
        cmocka_unit_test(test_plain_grid),
        cmocka_unit_test(test_seeds_are_averaged),
        cmocka_unit_test(test_lowest_of_a_size_counts),
        cmocka_unit_test(test_weights_of_points),
        cmocka_unit_test(test_weights_are_inverse_variances),
        cmocka_unit_test(test_intervals_have_the_width_of_the_scatter),
        cmocka_unit_test(test_intervals_of_three_sizes),
        cmocka_unit_test(test_budgets_agree_within_a_hundredth),
        cmocka_unit_test(test_large_tables_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
