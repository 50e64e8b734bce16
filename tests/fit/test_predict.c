/* What a fit says at other compute, and what a part of the runs says about the rest. */
#include "known_law.h"

static const TrueLaw LAW = {0.08, 3, 5, 0.4, 0.45};
enum { SIZES = 10, EXAMPLES = 8, COUNT = SIZES * EXAMPLES };

static void make_points(FitPoint *points, double noise, uint64_t seed) {
    assert_int_equal(law_grid(&LAW, points, SIZES, (double[]){6e3, 4e5}, EXAMPLES, (double[]){500, 55000}, noise, seed), COUNT);
}

static FitOptions options_with(int64_t resamples) {
    FitOptions options;
    fit_options_default(&options);
    options.resamples = resamples;
    options.threads = 2;
    return options;
}

static void fit_points(Fit *fit, FitMethod method, const FitPoint *points, size_t count, int64_t resamples) {
    const FitOptions options = options_with(resamples);
    assert_int_equal(fit_make(fit, method, points, count, &options, NULL), 0);
}

static void assert_nan(FitEstimate estimate) {
    assert_true(isnan(estimate.value) && isnan(estimate.lo) && isnan(estimate.hi));
}

static double optimal_params(double flops) {
    return law_g(&LAW) * pow(flops / 6, law_params_exponent(&LAW));
}

static void test_values_of_a_known_law(void **state) {
    (void)state;
    const FitMethod methods[] = {FIT_PARAMETRIC, FIT_VPNLS};
    FitPoint points[COUNT];
    make_points(points, 0, 0);
    for (int i = 0; i < 2; i++) {
        Fit fit;
        FitPrediction prediction;
        fit_points(&fit, methods[i], points, COUNT, 0);
        const double flops = 1e13, params = optimal_params(flops), examples = flops / 6 / params;
        assert_int_equal(fit_predict(&prediction, &fit, flops, 0.95, NULL), 0);
        assert_near(prediction.params.value, params, 1e-4);
        assert_near(prediction.examples.value, examples, 1e-4);
        assert_near(prediction.loss.value, law_loss(&LAW, params, examples), 1e-5);
        assert_true(isnan(prediction.params.lo) && isnan(prediction.examples.hi) && isnan(prediction.loss.lo));
        assert_true(prediction.beyond && prediction.flops == flops);
        assert_int_equal(fit_predict(&prediction, &fit, 1e9, 0.95, NULL), 0);
        assert_false(prediction.beyond);
        assert_int_equal(fit_predict(&prediction, &fit, 1e6, 0.95, NULL), 0);
        assert_true(prediction.beyond);
        assert_near(fit_predict_loss(&fit, 1e4, 1e6, 0.95).value, law_loss(&LAW, 1e4, 1e6), 1e-5);
        fit_deinit(&fit);
    }
}

static void test_values_are_checked(void **state) {
    (void)state;
    FitPoint points[COUNT];
    Fit fit;
    FitPrediction prediction;
    Error error;
    make_points(points, 0, 0);
    fit_points(&fit, FIT_VPNLS, points, COUNT, 0);
    const double wrong[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fit_predict(&prediction, &fit, wrong[i], 0.95, &error), -1);
        assert_nan(prediction.loss);
    }
    assert_int_equal(fit_predict(&prediction, &fit, 1e9, 1, &error), -1);
    assert_int_equal(fit_predict(&prediction, &fit, 1e9, 0, &error), -1);
    fit_deinit(&fit);
}

/* What a method does not know is NaN. */
static void test_methods_say_what_they_know(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0.002, 1);
    FitPrediction prediction;
    Fit fit;
    fit_points(&fit, FIT_POWER, points, COUNT, 50);
    assert_int_equal(fit_predict(&prediction, &fit, 1e12, 0.95, NULL), 0);
    assert_nan(prediction.params);
    assert_nan(prediction.examples);
    assert_nan(fit_frontier_at(&fit, false, 1e12, 0.95));
    assert_nan(fit_predict_loss(&fit, 1e4, 1e4, 0.95));
    double optimum = law_loss(&LAW, optimal_params(1e12), 1e12 / 6 / optimal_params(1e12));
    assert_near(prediction.loss.value, optimum, 0.2);
    assert_true(prediction.loss.lo <= prediction.loss.value && prediction.loss.value <= prediction.loss.hi);
    fit_deinit(&fit);
    fit_points(&fit, FIT_ENVELOPE, points, COUNT, 50);
    assert_int_equal(fit_predict(&prediction, &fit, 1e10, 0.95, NULL), 0);
    assert_nan(prediction.loss);
    assert_nan(fit_predict_loss(&fit, 1e4, 1e4, 0.95));
    assert_near(prediction.params.value * prediction.examples.value, 1e10 / 6, 1e-6);
    FitEstimate at = fit_frontier_at(&fit, true, 1e10, 0.95);
    assert_memory_equal(&at, &prediction.examples, sizeof at);
    fit_deinit(&fit);
}

/* The interval at a compute is that of the draws' own answers, counted here one by one. */
static void test_intervals_are_percentiles_of_draws(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0.02, 2);
    Fit fit;
    FitPrediction prediction;
    const double flops = 3e11;
    fit_points(&fit, FIT_VPNLS, points, COUNT, 100);
    assert_int_equal(fit_predict(&prediction, &fit, flops, 0.9, NULL), 0);
    const FitEstimate *estimates[] = {&prediction.params, &prediction.examples, &prediction.loss};
    for (int i = 0; i < 3; i++) {
        size_t below = 0, above = 0;
        for (size_t j = 0; j < fit.cloud_count; j++) {
            const double *draw = fit.cloud + j * fit.cloud_columns;
            double params = draw[1] * pow(flops, draw[0]), examples = draw[3] * pow(flops, draw[2]);
            const TrueLaw law = {draw[4], draw[5], draw[6], draw[7], draw[8]};
            const double values[] = {params, examples, law_loss(&law, params, examples)};
            below += values[i] < estimates[i]->lo;
            above += values[i] > estimates[i]->hi;
        }
        assert_in_range(below, 4, 6);
        assert_in_range(above, 4, 6);
        assert_true(estimates[i]->lo < estimates[i]->value && estimates[i]->value < estimates[i]->hi);
    }
    /* Further from the runs, less is known. */
    FitPrediction near;
    assert_int_equal(fit_predict(&near, &fit, 3e9, 0.9, NULL), 0);
    assert_true(log(near.params.hi / near.params.lo) < log(prediction.params.hi / prediction.params.lo));
    fit_deinit(&fit);
    /* A cloud of which too little is left for the fit's own intervals states none here. */
    fit_points(&fit, FIT_VPNLS, points, COUNT, 10);
    assert_int_equal(fit.cloud_count, 10);
    assert_int_equal(fit_predict(&prediction, &fit, flops, 0.9, NULL), 0);
    assert_true(isnan(prediction.params.lo) && isnan(prediction.loss.hi));
    fit_deinit(&fit);
}

/* ---- hold-out ---- */

static void test_holdout_splits_by_compute(void **state) {
    (void)state;
    FitPoint points[COUNT + 2];
    make_points(points, 0.01, 3);
    points[COUNT] = points[0];
    points[COUNT].loss = NAN;
    points[COUNT + 1] = points[COUNT - 1]; /* another seed */
    points[COUNT + 1].loss *= 1.01;
    const FitOptions options = options_with(0);
    FitHoldout holdout;
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT + 2, 0.25, &options, NULL), 0);
    size_t above = 0;
    for (size_t i = 0; i < COUNT + 2; i++) {
        above += points[i].flops > holdout.budget && isfinite(points[i].loss);
    }
    assert_int_equal(holdout.count, above);
    assert_in_range(holdout.count, 19, 23);
    assert_int_equal(holdout.fit.points + holdout.count, COUNT + 1);
    for (size_t i = 0; i < holdout.fit.points; i++) {
        assert_true(points[holdout.fit.source[i]].flops < holdout.budget);
    }
    double error = 0, bias = 0;
    for (size_t i = 0; i < holdout.count; i++) {
        const FitHoldoutPoint *point = &holdout.points[i];
        assert_true(point->flops > holdout.budget);
        assert_near(point->predicted.value, fit_loss_at(&holdout.fit, point->params, point->examples), 1e-12);
        error += fabs(log(point->predicted.value / point->loss)) / (double)above;
        bias += log(point->predicted.value / point->loss) / (double)above;
    }
    assert_near(holdout.error, error, 1e-9);
    assert_true(fabs(holdout.bias - bias) < 1e-12);
    assert_true(isnan(holdout.inside));
    fit_holdout_deinit(&holdout);
}

/* A budget's runs stay on one side. */
static void test_holdout_does_not_cut_a_budget(void **state) {
    (void)state;
    FitPoint points[60];
    size_t count = 0;
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 10; j++) {
            double flops = 1e9 * pow(10, 0.5 * (double)i) * (1 + 0.0009 * (double)j),
                   params = optimal_params(flops) * pow(4, (double)j / 4.5 - 1);
            points[count] = (FitPoint){params, flops / 6 / params, flops, law_loss(&LAW, params, flops / 6 / params), 0, (int64_t)count};
            count++;
        }
    }
    const FitOptions options = options_with(0);
    FitHoldout holdout;
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, count, 0.25, &options, NULL), 0);
    assert_int_equal(holdout.count, 20);
    assert_int_equal(holdout.fit.points, 40);
    assert_true(holdout.error < 1e-5);
    fit_holdout_deinit(&holdout);
}

/* With 2 % noise in a run the mean of |error| is 2 % sqrt(2 / pi) where the law is right, and a little of its own. */
static void test_holdout_error_is_the_noise(void **state) {
    (void)state;
    const double noise = 0.02;
    const FitOptions options = options_with(0);
    double error = 0, bias = 0;
    enum { STUDIES = 8 };
    for (uint64_t i = 0; i < STUDIES; i++) {
        FitPoint points[COUNT];
        FitHoldout holdout;
        make_points(points, noise, 50 + i);
        assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT, 0.2, &options, NULL), 0);
        error += holdout.error / STUDIES;
        bias += holdout.bias / STUDIES;
        fit_holdout_deinit(&holdout);
    }
    double least = noise * sqrt(2 / acos(-1));
    assert_true(error > 0.9 * least && error < 1.6 * least);
    assert_true(fabs(bias) < 0.01);
}

/* Runs above the budget that lie off the law are seen. */
static void test_holdout_sees_a_broken_law(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0.005, 4);
    for (size_t i = 0; i < COUNT; i++) {
        points[i].loss *= points[i].flops > 3e10 ? 1.2 : 1;
    }
    const FitOptions options = options_with(100);
    FitHoldout holdout;
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT, 0.1, &options, NULL), 0);
    assert_true(holdout.budget > 2e10);
    assert_true(holdout.error > 0.1 && holdout.bias < -0.1);
    assert_true(holdout.inside < 0.5);
    fit_holdout_deinit(&holdout);
    make_points(points, 0, 4);
    for (size_t i = 0; i < COUNT; i++) {
        points[i].loss *= exp(i % 2 == 0 ? 0.002 : -0.002);
    }
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT, 0.1, &options, NULL), 0);
    assert_true(holdout.error < 0.02);
    fit_holdout_deinit(&holdout);
}

static void test_holdout_of_power_scores_winners(void **state) {
    (void)state;
    static FitPoint points[2 * 60];
    size_t count = 0;
    for (size_t i = 0; i < 60; i++) {
        double flops = 1e9 * pow(10, (double)i / 10), loss = 0.08 + 2000 * pow(3e9 + flops, -0.35);
        points[count] = (FitPoint){sqrt(flops), sqrt(flops) / 6, flops, loss, 0, (int64_t)count};
        count++;
        points[count] = (FitPoint){sqrt(flops) * 2, sqrt(flops) / 12, flops, 1.2 * loss, 0, (int64_t)count};
        count++;
    }
    const FitOptions options = options_with(0);
    FitHoldout holdout;
    assert_int_equal(fit_holdout(&holdout, FIT_POWER, points, count, 0.3, &options, NULL), 0);
    assert_int_equal(holdout.count, 18);
    assert_int_equal(holdout.fit.points, 42);
    assert_true(holdout.error < 1e-4);
    assert_true(points[holdout.fit.source[1]].flops == holdout.fit.budget_points[1].flops);
    fit_holdout_deinit(&holdout);
    /* Nothing above the budget is lower than all below it. */
    for (size_t i = 84; i < count; i++) {
        points[i].loss = 1e3;
    }
    Error error;
    assert_int_equal(fit_holdout(&holdout, FIT_POWER, points, count, 0.3, &options, &error), FIT_REFUSED);
    assert_null(holdout.points);
}

static void test_holdout_refuses(void **state) {
    (void)state;
    FitPoint points[COUNT];
    make_points(points, 0, 0);
    const FitOptions options = options_with(0);
    FitHoldout holdout;
    Error error;
    assert_int_equal(fit_holdout(&holdout, FIT_ISOFLOP, points, COUNT, 0.2, &options, &error), FIT_REFUSED);
    assert_int_equal(fit_holdout(&holdout, FIT_ENVELOPE, points, COUNT, 0.2, &options, &error), FIT_REFUSED);
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT, 0.98, &options, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "of the runs below"));
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, NULL, 0, 0.2, &options, &error), FIT_REFUSED);
    for (size_t i = 0; i < COUNT; i++) {
        points[i].flops = 1e9;
    }
    assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT, 0.2, &options, &error), FIT_REFUSED);
    const double wrong[] = {0, 1, -1, NAN};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fit_holdout(&holdout, FIT_VPNLS, points, COUNT, wrong[i], &options, &error), -1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_a_known_law),           cmocka_unit_test(test_values_are_checked),
        cmocka_unit_test(test_methods_say_what_they_know),      cmocka_unit_test(test_intervals_are_percentiles_of_draws),
        cmocka_unit_test(test_holdout_splits_by_compute),       cmocka_unit_test(test_holdout_does_not_cut_a_budget),
        cmocka_unit_test(test_holdout_error_is_the_noise),      cmocka_unit_test(test_holdout_sees_a_broken_law),
        cmocka_unit_test(test_holdout_of_power_scores_winners), cmocka_unit_test(test_holdout_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
