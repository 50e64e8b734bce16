/* IsoFLOP on runs made at budgets and on a plain grid; the known bias of its parabola; refusals and warnings. */
#include "known_law.h"

static const TrueLaw BIASED = {1.69, 406.4, 410.7, 0.34, 0.28};

static FitOptions plain_options(void) {
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 0;
    return options;
}

static double true_params(const TrueLaw *law, double flops) {
    return law_g(law) * pow(flops / 6, law_params_exponent(law));
}

/* `sizes` sizes at each of `budgets` budgets from 1e17 by tens, log-spaced from 1/k to k times the optimum, itself times `centre`. */
static size_t make_budgets(const TrueLaw *law, FitPoint *points, size_t budgets, size_t sizes, double k, double centre) {
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

/* arXiv:2603.22339: noise-free, the examples extrapolated to 1e24 FLOPs are off by -0.33 % for k = 2 and -5.1 % for k = 16. */
static double bias_at_1e24(double k, Fit *fit) {
    FitPoint points[75];
    size_t count = make_budgets(&BIASED, points, 5, 15, k, 1);
    FitOptions options = plain_options();
    assert_int_equal(fit_make(fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
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
    size_t count = make_budgets(&law, points, 5, 15, 4, 1);
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
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
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
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
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    FitOptions options = plain_options();
    Fit single, paired;
    assert_int_equal(fit_make(&single, FIT_ISOFLOP, points, count, &options, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        double shift = 0.01 * (double)(i % 7);
        points[count + i] = points[i];
        points[i].loss -= shift;
        points[count + i].loss += shift;
    }
    assert_int_equal(fit_make(&paired, FIT_ISOFLOP, points, 2 * count, &options, NULL), 0);
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
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1), all = count;
    FitOptions options = plain_options();
    Fit single, crowded;
    assert_int_equal(fit_make(&single, FIT_ISOFLOP, points, count, &options, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        if (i % 15 > 8) {
            points[all] = points[i];
            points[all].loss += 0.3;
            points[all].flops *= 0.998;
            points[all].configuration = (int64_t)all;
            all++;
        }
    }
    assert_int_equal(fit_make(&crowded, FIT_ISOFLOP, points, all, &options, NULL), 0);
    assert_int_equal(crowded.budget_point_count, count);
    assert_int_equal(crowded.budgets[0].points, 15);
    assert_near(crowded.params.exponent.value, single.params.exponent.value, 1e-9);
    assert_near(crowded.params.coefficient.value, single.params.coefficient.value, 1e-3);
    fit_deinit(&single);
    fit_deinit(&crowded);
}

static int refusal(const char *code, const FitPoint *points, size_t count, Error *error) {
    FitOptions options = plain_options();
    Fit fit;
    int result = fit_make(&fit, FIT_ISOFLOP, points, count, &options, error);
    assert_null(fit.budgets);
    assert_string_equal(fit.refusal, code);
    return result;
}

static void test_refuses(void **state) {
    (void)state;
    FitPoint points[75];
    Error error;
    assert_int_equal(refusal("few_sizes", NULL, 0, &error), FIT_REFUSED);
    assert_int_equal(refusal("few_budgets", points, make_budgets(&BIASED, points, 2, 15, 4, 1), &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "more budgets"));
    /* The optimum lies outside the sizes, on either side. */
    assert_int_equal(refusal("edge_optimum", points, make_budgets(&BIASED, points, 5, 15, 4, 0.02), &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "add larger models"));
    assert_int_equal(refusal("edge_optimum", points, make_budgets(&BIASED, points, 5, 15, 4, 100), &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "add smaller models"));
    /* Two sizes cannot carry a parabola. */
    assert_int_equal(
        refusal("few_sizes", points, law_grid(&BIASED, points, 2, (double[]){1e7, 1e8}, 8, (double[]){1e8, 1e10}, 0, 0), &error),
        FIT_REFUSED);
    assert_non_null(strstr(error.text, "3 model sizes"));
    /* Three sizes that never have a budget in common. */
    size_t count = 0;
    for (size_t i = 0; i < 12; i++) {
        double params = pow(100, (double)(i / 4)), examples = 1e3 * pow(1.5, (double)(i % 4));
        points[count++] = (FitPoint){params, examples, 6 * params * examples, 2, 0, (int64_t)i};
    }
    assert_int_equal(refusal("few_sizes", points, count, &error), FIT_REFUSED);
}

/* Losses that fall with every step in size, ever more slowly, give parabolas with a bottom. They have no optimum. */
static void test_losses_without_an_optimum_are_refused(void **state) {
    (void)state;
    FitPoint points[56];
    Error error;
    size_t count = 0;
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 8; j++) {
            double flops = 1e12 * pow(10, 0.5 * (double)i), params = 1e4 * pow(300, (double)j / 7);
            points[count] = (FitPoint){params, flops / (6 * params), flops, 0.1 + 2e3 * pow(params, -0.9), 0, (int64_t)count};
            count++;
        }
    }
    assert_int_equal(refusal("edge_optimum", points, count, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "the largest: 7"));
    assert_non_null(strstr(error.text, "add larger models"));
    /* The same, rising: the smallest size is the best. */
    for (size_t i = 0; i < count; i++) {
        points[i].loss = 0.1 + 2e3 * pow(3e10 / points[i].params, -0.9);
    }
    assert_int_equal(refusal("edge_optimum", points, count, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "the smallest size: 7"));
}

/* A vertex beyond the sizes does not count, however near, and though a size inside has the lowest loss. */
static void test_vertex_beyond_the_sizes_is_left_out(void **state) {
    (void)state;
    FitPoint points[75];
    FitOptions options = plain_options();
    Fit fit;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t j = 0; j < 15; j++) {
        double u = (double)j / 7 - 1;
        points[60 + j].loss = 2 + (u - 1.15) * (u - 1.15) - (j == 13 ? 0.065 : 0);
    }
    assert_true(points[73].loss < points[74].loss);
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    const double *c = fit.budgets[4].curvature;
    double vertex = -c[1] / (2 * c[2]), last = log(points[74].params);
    assert_true(c[2] > 0 && vertex > last && vertex < last + 0.3 * log(4));
    assert_true(fit.budgets[4].refused);
    assert_true(law_warned(&fit.warnings, "edge_optimum"));
    fit_deinit(&fit);
}

static void test_warns_of_losses_that_are_no_parabola(void **state) {
    (void)state;
    FitPoint points[75];
    FitOptions options = plain_options();
    Fit fit;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t i = 0; i < count; i++) {
        points[i].loss += i % 15 != 7 && i % 2 == 0 ? 0.3 : 0;
    }
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "poor_parabola"));
    assert_true(fit.budgets[0].misfit > 0.25 && fit.budgets[0].misfit < 1);
    fit_deinit(&fit);
}

/* A budget whose losses are highest in the middle has no optimum. */
static void test_warns_of_budgets_without_a_bottom(void **state) {
    (void)state;
    FitPoint points[75];
    FitOptions options = plain_options();
    Fit fit;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t j = 0; j < 15; j++) {
        double u = (double)j / 7 - 1;
        points[j].loss = 3 - u * u;
    }
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "budgets_dropped"));
    assert_false(law_warned(&fit.warnings, "edge_optimum"));
    assert_true(fit.budgets[0].refused && fit.budgets_used == 4);
    assert_near(fit.flops_lowest, 1e18, 1e-9);
    assert_near(fit.flops_highest, 1e21, 1e-9);
    fit_deinit(&fit);
}

/* Of little weight an outlier is as good as left out; a seed of three times the weight counts three times. */
static void test_weights_of_points(void **state) {
    (void)state;
    FitPoint points[150];
    FitOptions options = plain_options();
    Fit clean, without, fit;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    assert_int_equal(fit_make(&clean, FIT_ISOFLOP, points, count, &options, NULL), 0);
    points[62].loss *= 1.003;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    points[62].weight = 1e-9;
    double moved = fit.params.exponent.value;
    fit_deinit(&fit);
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    points[62].loss = NAN;
    assert_int_equal(fit_make(&without, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_near(fit.params.exponent.value, without.params.exponent.value, 1e-7);
    assert_true(fabs(moved - without.params.exponent.value) > 1e-5);
    fit_deinit(&without);
    fit_deinit(&fit);
    count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t i = 0; i < count; i++) {
        points[count + i] = points[i];
        points[i].loss *= 1.03;
        points[count + i].loss *= 0.99;
        points[count + i].weight = 3;
    }
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, 2 * count, &options, NULL), 0);
    assert_near(fit.params.coefficient.value, clean.params.coefficient.value, 1e-8);
    fit_deinit(&fit);
    fit_deinit(&clean);
}

static void test_flat_losses_are_refused(void **state) {
    (void)state;
    FitPoint points[75];
    Error error;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t i = 0; i < count; i++) {
        points[i].loss = 2;
    }
    assert_int_equal(refusal("budgets_dropped", points, count, &error), FIT_REFUSED);
}

/* Budgets are weighted by what noise does to their vertex: 1 / weight is its variance up to a common factor, whatever the number of
 * sizes, their extent and the curvature. */
static void test_weights_are_inverse_variances(void **state) {
    (void)state;
    enum { BUDGETS = 5, DRAWS = 400 };
    FitPoint clean[75], noisy[75];
    FitOptions options = plain_options();
    double sum[BUDGETS] = {0}, squares[BUDGETS] = {0}, weights[BUDGETS], first = 0;
    size_t count = make_budgets(&BIASED, clean, BUDGETS, 15, 8, 1);
    /* The second budget has every other size only. */
    for (size_t i = 15; i < 30; i++) {
        clean[i].loss = i % 2 == 0 ? NAN : clean[i].loss;
    }
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, clean, count, &options, NULL), 0);
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
        assert_int_equal(fit_make(&fit, FIT_ISOFLOP, noisy, count, &options, NULL), 0);
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
    FitOptions options = plain_options();
    options.resamples = 200;
    double sum = 0, squares = 0, width = 0;
    Rng rng;
    rng_init(&rng, 8, 8);
    for (uint64_t study = 0; study < STUDIES; study++) {
        FitPoint points[75];
        size_t count = make_budgets(&BIASED, points, 5, 9, 4, 1);
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
    FitOptions options = plain_options();
    options.resamples = 50;
    size_t count = make_budgets(&BIASED, points, 5, 3, 4, 1);
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
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
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_true(fit.params.exponent.hi - fit.params.exponent.lo > 1e-4);
    fit_deinit(&fit);
}

/* Compute within 1 % is one budget; beyond it, it is not. */
static void test_budgets_agree_within_a_hundredth(void **state) {
    (void)state;
    FitPoint points[75];
    FitOptions options = plain_options();
    Fit fit;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t i = 0; i < count; i++) {
        points[i].flops *= 1 + 0.009 * (double)(i % 4) / 3;
    }
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_int_equal(fit.budget_count, 5);
    assert_near(fit.budgets[0].flops, 1e17, 0.009);
    assert_false(law_warned(&fit.warnings, "outside_budgets"));
    fit_deinit(&fit);
    /* Two sizes of the last budget are moved away. */
    points[60].flops *= 1.03;
    points[61].flops *= 1.03;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_int_equal(fit.budgets[4].points, 13);
    assert_true(law_warned(&fit.warnings, "outside_budgets"));
    fit_deinit(&fit);
}

static bool warns_of_drift(double drift, double noise) {
    FitPoint points[75];
    FitOptions options = plain_options();
    Rng rng;
    rng_init(&rng, 2, 2);
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t i = 0; i < count; i++) {
        double shift = pow(4, drift * ((double)(i / 15) / 4 - 0.5));
        points[i].params *= shift;
        points[i].examples /= shift;
        points[i].loss = law_loss(&BIASED, points[i].params, points[i].examples) * exp(noise == 0 ? 0 : noise * rng_normal(&rng));
    }
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    bool warned = law_warned(&fit.warnings, "drifting_centre");
    fit_deinit(&fit);
    return warned;
}

/* drift: how far the middle of the sizes moves over the budgets, in half widths. */
static void test_warns_of_a_drifting_centre(void **state) {
    (void)state;
    assert_false(warns_of_drift(0, 0));
    assert_false(warns_of_drift(0.2, 0));
    assert_true(warns_of_drift(0.3, 0));
    assert_true(warns_of_drift(-0.3, 0));
    assert_true(warns_of_drift(0.8, 0.002));
    /* What noise does to the vertices is no drift of the grid. */
    assert_false(warns_of_drift(0, 0.02));
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
    FitOptions options = plain_options();
    options.resamples = 20;
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, BUDGETS * SIZES, &options, NULL), 0);
    assert_int_equal(fit.budget_count, BUDGETS);
    assert_int_equal(fit.cloud_count, 20);
    assert_near(fit.params.exponent.value, 0.5, 1e-3);
    fit_deinit(&fit);
    free(points);
}

static void test_warns(void **state) {
    (void)state;
    FitPoint points[75];
    FitOptions options = plain_options();
    Fit fit;
    size_t count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_int_equal(fit.warnings.count, 0);
    fit_deinit(&fit);
    /* The largest budget keeps only sizes below its optimum. */
    for (size_t i = 0; i < 15; i++) {
        FitPoint *point = &points[60 + i];
        point->params /= 30;
        point->examples *= 30;
        point->loss = law_loss(&BIASED, point->params, point->examples);
    }
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "edge_optimum"));
    assert_true(law_warned(&fit.warnings, "few_budgets"));
    assert_true(fit.budgets[4].refused && isnan(fit.budgets[4].params));
    assert_int_equal(fit.budgets_used, 4);
    assert_near(fit.params.exponent.value, law_params_exponent(&BIASED), 1e-6);
    fit_deinit(&fit);
    count = make_budgets(&BIASED, points, 5, 4, 4, 1);
    points[0].loss = NAN;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "few_sizes"));
    assert_true(law_warned(&fit.warnings, "points_dropped"));
    fit_deinit(&fit);
    count = make_budgets(&BIASED, points, 5, 15, 4, 1);
    for (size_t i = 0; i < count; i++) {
        points[i].flops = 1e17 * pow(points[i].flops / 1e17, 0.2);
    }
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "short_extent"));
    assert_false(law_warned(&fit.warnings, "compute_mixed"));
    fit_deinit(&fit);
    /* A size with other epochs in one more budget. */
    count = make_budgets(&BIASED, points, 5, 14, 4, 1);
    points[count] = points[7];
    points[count].flops *= 10;
    points[count].configuration = (int64_t)count;
    assert_int_equal(fit_make(&fit, FIT_ISOFLOP, points, count + 1, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "compute_mixed"));
    fit_deinit(&fit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_bias),
        cmocka_unit_test(test_symmetric_law_is_exact),
        cmocka_unit_test(test_plain_grid),
        cmocka_unit_test(test_seeds_are_averaged),
        cmocka_unit_test(test_lowest_of_a_size_counts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_losses_without_an_optimum_are_refused),
        cmocka_unit_test(test_vertex_beyond_the_sizes_is_left_out),
        cmocka_unit_test(test_warns_of_losses_that_are_no_parabola),
        cmocka_unit_test(test_warns_of_budgets_without_a_bottom),
        cmocka_unit_test(test_weights_of_points),
        cmocka_unit_test(test_flat_losses_are_refused),
        cmocka_unit_test(test_weights_are_inverse_variances),
        cmocka_unit_test(test_intervals_have_the_width_of_the_scatter),
        cmocka_unit_test(test_intervals_of_three_sizes),
        cmocka_unit_test(test_budgets_agree_within_a_hundredth),
        cmocka_unit_test(test_warns_of_a_drifting_centre),
        cmocka_unit_test(test_large_tables_are_bounded),
        cmocka_unit_test(test_warns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
