/* The bootstrap: decided by its seed alone, whatever the threads; configurations drawn whole; intervals that cover. */
#include "internal.h"
#include "known_law.h"

static const TrueLaw LAW = {0.08, 3, 5, 0.4, 0.45};
enum { COUNT = 48 };

static void make_points(FitPoint *points, double noise, uint64_t seed) {
    size_t count = law_grid(&LAW, points, 8, (double[]){6e3, 4e5}, 6, (double[]){500, 55000}, noise, seed);
    assert_int_equal(count, COUNT);
}

/* The machinery is one for all methods; vpnls has the quickest search. */
static FitMethod method = FIT_VPNLS;
static FitLoss loss = FIT_LOSS_HUBER;

static void run_fit(Fit *fit, const FitPoint *points, size_t count, int64_t resamples, uint64_t seed, int threads) {
    FitOptions options;
    fit_options_default(&options);
    options.loss = loss;
    options.resamples = resamples;
    options.seed = seed;
    options.threads = threads;
    assert_int_equal(fit_make(fit, method, points, count, &options, NULL), 0);
}

static void test_reproducible(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0.02, 1);
    Fit one, two, other;
    run_fit(&one, points, COUNT, 40, 5, 1);
    run_fit(&two, points, COUNT, 40, 5, 3);
    run_fit(&other, points, COUNT, 40, 6, 1);
    assert_int_equal(one.cloud_count, 40);
    assert_int_equal(two.cloud_count, 40);
    assert_memory_equal(one.cloud, two.cloud, 40 * one.cloud_columns * sizeof *one.cloud);
    assert_memory_equal(&one.params, &two.params, sizeof one.params);
    assert_true(memcmp(one.cloud, other.cloud, 40 * one.cloud_columns * sizeof *one.cloud) != 0);
    assert_true(law_estimate(&one, "alpha").lo < law_estimate(&one, "alpha").value &&
                law_estimate(&one, "alpha").value < law_estimate(&one, "alpha").hi);
    fit_deinit(&one);
    fit_deinit(&two);
    fit_deinit(&other);
}

static void test_reproducible_parametric(void **state) {
    method = FIT_PARAMETRIC;
    test_reproducible(state);
    method = FIT_VPNLS;
}

/* Seeds of one configuration come together: a run given twice changes no resample's law. By least squares, where a resample is of as many
 * configurations as there are, whatever their seeds. */
static void test_configurations_are_drawn_whole(void **state) {
    (void)state;
    FitPoint points[2 * COUNT];
    make_points(points, 0.02, 2);
    memcpy(points + COUNT, points, COUNT * sizeof *points);
    Fit once, twice;
    loss = FIT_LOSS_MSE;
    run_fit(&once, points, COUNT, 30, 5, 1);
    run_fit(&twice, points, 2 * COUNT, 30, 5, 1);
    loss = FIT_LOSS_HUBER;
    assert_near(law_estimate(&twice, "alpha").value, law_estimate(&once, "alpha").value, 1e-5);
    assert_near(twice.params.exponent.lo, once.params.exponent.lo, 1e-3);
    assert_near(twice.params.exponent.hi, once.params.exponent.hi, 1e-3);
    fit_deinit(&once);
    fit_deinit(&twice);
}

static void test_draws_have_the_right_size(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0, 0);
    for (size_t i = 0; i < COUNT; i++) {
        points[i].configuration = (int64_t)(i % 16) * 1000 - 5;
    }
    FitGroups groups;
    assert_int_equal(fit_groups_init(&groups, points, COUNT, NULL), 0);
    assert_int_equal(groups.count, 16);
    assert_int_equal(groups.of_point[3], groups.of_point[19]);
    double weights[16], total = 0;
    fit_groups_draw(&groups, 20, 1, 2, weights);
    for (size_t i = 0; i < 16; i++) {
        total += weights[i];
    }
    assert_true(total == 20);
    fit_groups_deinit(&groups);
}

/* 95 % intervals of the exponent over a few noisy data sets: nearly all hold the truth, and none is wide enough to do so
 * by saying nothing. */
static void test_coverage(void **state) {
    (void)state;
    int covered = 0;
    double narrowest = 1;
    for (uint64_t i = 0; i < 8; i++) {
        FitPoint points[COUNT];
        make_points(points, 0.02, 100 + i);
        Fit fit;
        run_fit(&fit, points, COUNT, 100, i, 2);
        covered += fit.params.exponent.lo <= law_params_exponent(&LAW) && law_params_exponent(&LAW) <= fit.params.exponent.hi;
        narrowest = fmin(narrowest, fit.params.exponent.hi - fit.params.exponent.lo);
        fit_deinit(&fit);
    }
    assert_in_range(covered, 6, 8);
    assert_true(narrowest > 0.02 && narrowest < 0.5);
}

static void test_isoflop_intervals(void **state) {
    (void)state;
    FitPoint points[90];
    size_t count = 0;
    Rng rng;
    rng_init(&rng, 3, 3);
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 15; j++) {
            double flops = 1e9 * pow(10, 0.5 * (double)i), best = law_g(&LAW) * pow(flops / 6, law_params_exponent(&LAW));
            double params = best * pow(4, (double)j / 7 - 1), examples = flops / (6 * params);
            points[count] =
                (FitPoint){params, examples, flops, law_loss(&LAW, params, examples) * exp(0.005 * rng_normal(&rng)), 0, (int64_t)count};
            count++;
        }
    }
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 200;
    Fit one, two;
    assert_int_equal(fit_make(&one, FIT_ISOFLOP, points, count, &options, NULL), 0);
    options.threads = 3;
    assert_int_equal(fit_make(&two, FIT_ISOFLOP, points, count, &options, NULL), 0);
    assert_memory_equal(&one.params, &two.params, sizeof one.params);
    assert_true(one.params.exponent.lo < law_params_exponent(&LAW) && law_params_exponent(&LAW) < one.params.exponent.hi);
    assert_int_equal(one.cloud_columns, FIT_FRONTIER_COLUMNS);
    assert_string_equal(fit_cloud_column(&one, 1), "params_coefficient");
    fit_deinit(&one);
    fit_deinit(&two);
}

/* An estimate at its bound has no percentile interval; the others keep theirs. */
static void test_no_interval_at_a_bound(void **state) {
    (void)state;
    const TrueLaw law = {1e-9, 3, 5, 0.4, 0.45};
    FitPoint points[COUNT];
    assert_int_equal(law_grid(&law, points, 8, (double[]){6e3, 4e5}, 6, (double[]){500, 55000}, 0.01, 1), COUNT);
    Fit fit;
    run_fit(&fit, points, COUNT, 40, 5, 1);
    assert_true(fit_parameter(&fit, "E")->at_bound && law_warned(&fit.warnings, "at_bound"));
    assert_true(law_estimate(&fit, "E").value < 1e-4 && isnan(law_estimate(&fit, "E").lo) && isnan(law_estimate(&fit, "E").hi));
    assert_true(law_estimate(&fit, "alpha").lo < law_estimate(&fit, "alpha").value &&
                law_estimate(&fit, "alpha").value < law_estimate(&fit, "alpha").hi);
    fit_deinit(&fit);
    make_points(points, 0.01, 1);
    run_fit(&fit, points, COUNT, 40, 5, 1);
    assert_false(fit_parameter(&fit, "E")->at_bound || law_warned(&fit.warnings, "at_bound"));
    assert_true(law_estimate(&fit, "E").lo < law_estimate(&fit, "E").value && law_estimate(&fit, "E").value < law_estimate(&fit, "E").hi);
    fit_deinit(&fit);
}

static void test_refused_resamples_are_told(void **state) {
    (void)state;
    /* Six configurations for five unknowns: hardly a resample keeps more than five. */
    const size_t chosen[] = {0, 3, 17, 20, 42, 47};
    FitPoint all[COUNT], points[6];
    make_points(all, 0, 0);
    for (size_t i = 0; i < 6; i++) {
        points[i] = all[chosen[i]];
    }
    Fit fit;
    run_fit(&fit, points, 6, 100, 0, 1);
    assert_true(law_warned(&fit.warnings, "resamples_refused"));
    assert_true(fit.cloud_count < 50 && isnan(law_estimate(&fit, "alpha").lo));
    fit_deinit(&fit);
    make_points(all, 0.01, 0);
    run_fit(&fit, all, COUNT, 5, 0, 1);
    assert_true(law_warned(&fit.warnings, "few_resamples") && isnan(law_estimate(&fit, "alpha").lo));
    fit_deinit(&fit);
}

/* By least squares a resample has fewer configurations than there are, but of few not so few that six seldom differ. */
static void test_small_studies_have_intervals(void **state) {
    (void)state;
    FitPoint points[9];
    Fit fit;
    assert_int_equal(law_grid(&LAW, points, 3, (double[]){6e3, 4e5}, 3, (double[]){500, 55000}, 0.01, 1), 9);
    loss = FIT_LOSS_MSE;
    run_fit(&fit, points, 9, 100, 0, 1);
    loss = FIT_LOSS_HUBER;
    assert_true(fit.cloud_count > 50 && isfinite(fit.params.exponent.lo));
    fit_deinit(&fit);
}

/* c is an estimate like any other: a resample takes that of its own points. */
static void test_c_is_resampled(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0.01, 1);
    for (size_t i = 0; i < COUNT; i++) {
        points[i].flops *= i % 2 == 0 ? 1 : 4; /* of every size alike */
    }
    Fit fit;
    run_fit(&fit, points, COUNT, 30, 5, 1);
    assert_near(fit.c, 12, 1e-9);
    double low = INFINITY, high = 0;
    for (size_t i = 0; i < fit.cloud_count; i++) {
        const double *draw = fit.cloud + i * fit.cloud_columns;
        double c = pow(3e9, 1 - draw[0] - draw[2]) / (draw[1] * draw[3]); /* C / (P* N*) at C = 3e9 */
        low = fmin(low, c);
        high = fmax(high, c);
    }
    assert_true(5 < low && low < 11.5 && 12.5 < high && high < 30);
    fit_deinit(&fit);
}

/* Of 0 to 1000 in any order, 95 % lie within 25 to 975; the columns beside it are none of its business. */
static void test_intervals_leave_out_both_tails(void **state) {
    (void)state;
    enum { VALUES = 1001, STRIDE = 3 };
    double cloud[VALUES * STRIDE];
    for (size_t i = 0; i < VALUES * STRIDE; i++) {
        cloud[i] = i % STRIDE == 1 ? (double)(i / STRIDE * 5 % VALUES) : -1e9;
    }
    FitEstimate estimate = fit_estimate(500);
    assert_int_equal(fit_estimate_interval(&estimate, cloud + 1, VALUES, STRIDE, 0.95, NULL), 0);
    assert_near(estimate.lo, 25, 1e-9);
    assert_near(estimate.hi, 975, 1e-9);
    assert_int_equal(fit_estimate_interval(&estimate, cloud + 1, VALUES, STRIDE, 0.5, NULL), 0);
    assert_near(estimate.lo, 250, 1e-9);
    assert_near(estimate.hi, 750, 1e-9);
}

static void test_quantiles(void **state) {
    (void)state;
    const double sorted[] = {1, 2, 4, 8};
    assert_true(fit_quantile(sorted, 4, 0) == 1 && fit_quantile(sorted, 4, 1) == 8);
    assert_near(fit_quantile(sorted, 4, 0.5), 3, 1e-15);
    assert_near(fit_quantile(sorted, 4, 0.25), 1.75, 1e-15);
    assert_true(isnan(fit_quantile(sorted, 0, 0.5)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reproducible),
        cmocka_unit_test(test_reproducible_parametric),
        cmocka_unit_test(test_configurations_are_drawn_whole),
        cmocka_unit_test(test_draws_have_the_right_size),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_isoflop_intervals),
        cmocka_unit_test(test_no_interval_at_a_bound),
        cmocka_unit_test(test_refused_resamples_are_told),
        cmocka_unit_test(test_small_studies_have_intervals),
        cmocka_unit_test(test_c_is_resampled),
        cmocka_unit_test(test_intervals_leave_out_both_tails),
        cmocka_unit_test(test_quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
