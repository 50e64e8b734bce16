/* What parametric and vpnls owe alike: known laws come back; what the data cannot carry is refused or warned about. They differ in the
 * search alone, so that only what a search can get wrong is asked of both, and the rest of vpnls, whose search takes a hundredth of the
 * time. That both end at one minimum, test_parametric.c asks. */
#include "known_law.h"
#include "surface.h"

static FitMethod method = FIT_VPNLS;

static FitOptions plain_options(void) {
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 0;
    options.threads = 2;
    return options;
}

static void check_recovery(const TrueLaw *law, const double sizes[2], const double examples[2]) {
    FitPoint points[30];
    size_t count = law_grid(law, points, 6, sizes, 5, examples, 0, 0);
    FitOptions options = plain_options();
    Fit fit;
    Error error = {0};
    assert_int_equal(fit_make(&fit, method, points, count, &options, &error), 0);
    assert_near(law_estimate(&fit, "E").value, law->E, 1e-6);
    assert_near(law_estimate(&fit, "A").value, law->A, 1e-6);
    assert_near(law_estimate(&fit, "B").value, law->B, 1e-6);
    assert_near(law_estimate(&fit, "alpha").value, law->alpha, 1e-6);
    assert_near(law_estimate(&fit, "beta").value, law->beta, 1e-6);
    double g = law_g(law), a = law_params_exponent(law);
    assert_near(fit.c, 6, 1e-12);
    assert_near(fit.params.exponent.value, a, 1e-6);
    assert_near(fit.params.coefficient.value, g * pow(6, -a), 1e-5);
    assert_near(fit.examples.exponent.value, 1 - a, 1e-6);
    assert_near(fit.examples.coefficient.value, 1 / g * pow(6, a - 1), 1e-5);
    assert_true(isnan(law_estimate(&fit, "alpha").lo) && fit.cloud_count == 0);
    assert_true(fit.starts_at_optimum > 0 && fit.starts_at_optimum <= fit.starts_tried);
    assert_true(fit.objective < 1e-12 && fit.condition >= 1 && isfinite(fit.condition));
    for (size_t i = 0; i < count; i++) {
        assert_true(fit.source[i] == i && fabs(fit.residuals[i]) < 1e-6);
    }
    assert_near(fit_loss_at(&fit, 1e6, 1e6), law_loss(law, 1e6, 1e6), 1e-6);
    fit_deinit(&fit);
}

static void test_recovers_laws(void **state) {
    (void)state;
    check_recovery(&(TrueLaw){1.69, 406.4, 410.7, 0.34, 0.28}, (double[]){1e7, 1e10}, (double[]){1e9, 1e12});
    check_recovery(&(TrueLaw){1.8172, 482.01, 2085.43, 0.3478, 0.3658}, (double[]){1e7, 1e10}, (double[]){1e9, 1e12});
    check_recovery(&(TrueLaw){0.08, 3, 5, 0.4, 0.45}, (double[]){6e3, 4e5}, (double[]){500, 55000});
    check_recovery(&(TrueLaw){0.1, 800, 1.5, 1.1, 0.2}, (double[]){6e3, 4e5}, (double[]){500, 55000});
    check_recovery(&(TrueLaw){0.5, 5, 300, 0.15, 0.8}, (double[]){6e3, 4e5}, (double[]){500, 55000});
}

/* The frontier's formula against the minimum itself: along C = c P N no size does better. */
static void test_frontier_is_the_minimum(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[80];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    double flops = 1e21, params = fit.params.coefficient.value * pow(flops, fit.params.exponent.value);
    double examples = fit.examples.coefficient.value * pow(flops, fit.examples.exponent.value);
    assert_near(6 * params * examples, flops, 1e-4);
    double lowest = law_loss(&law, params, examples);
    for (double factor = 0.5; factor < 2; factor *= 1.01) {
        assert_true(law_loss(&law, params * factor, flops / (6 * params * factor)) >= lowest * (1 - 1e-9));
    }
    fit_deinit(&fit);
}

/* Executed FLOPs for each parameter and example change with the size: the frontier is that of the compute as it is. */
static void test_frontier_follows_what_a_size_costs(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    const double power = 1.04;
    FitPoint points[80];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    for (size_t i = 0; i < count; i++) {
        points[i].flops = 3 * pow(points[i].params, power) * points[i].examples;
    }
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    assert_near(fit.c_power, power, 1e-9);
    for (double flops = 1e19; flops < 1e23; flops *= 10) {
        double params = fit.params.coefficient.value * pow(flops, fit.params.exponent.value);
        double examples = fit.examples.coefficient.value * pow(flops, fit.examples.exponent.value);
        assert_near(3 * pow(params, power) * examples, flops, 1e-6);
        double lowest = law_loss(&law, params, examples);
        for (double factor = 0.5; factor < 2; factor *= 1.01) {
            double other = params * factor;
            assert_true(law_loss(&law, other, flops / (3 * pow(other, power))) >= lowest * (1 - 1e-9));
        }
    }
    fit_deinit(&fit);
}

static void test_given_c_moves_the_coefficient(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[80];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    FitOptions options = plain_options();
    options.flops_per_param_example = 3;
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    double a = law_params_exponent(&law);
    assert_near(fit.c, 3, 1e-15);
    assert_near(fit.params.coefficient.value, law_g(&law) * pow(3, -a), 1e-5);
    fit_deinit(&fit);
}

static void check_refusal(const TrueLaw *law, size_t sizes, size_t examples, const char *code, const char *text) {
    FitPoint points[100];
    size_t count = law_grid(law, points, sizes, (double[]){1e7, 1e10}, examples, (double[]){1e9, 1e12}, 0, 1);
    FitOptions options = plain_options();
    Fit fit;
    Error error;
    assert_int_equal(fit_make(&fit, method, points, count, &options, &error), FIT_REFUSED);
    assert_true(fit.cloud == NULL && fit.residuals == NULL && fit.source == NULL && fit.points == 0);
    assert_string_equal(fit.refusal, code);
    if (strstr(error.text, text) == NULL) {
        fail_msg("%s", error.text);
    }
}

static void test_refuses(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    check_refusal(&law, 2, 2, "few_configurations", "only 4 configurations");
    check_refusal(&law, 2, 8, "few_sizes", "add widths");
    check_refusal(&law, 8, 2, "few_examples", "add examples");
    check_refusal(&(TrueLaw){1.69, 1e-9, 410.7, 0.34, 0.28}, 8, 8, "flat_loss", "does not fall with model size");
    check_refusal(&(TrueLaw){1.69, 406.4, 1e-9, 0.34, 0.28}, 8, 8, "flat_loss", "does not fall with the number of examples");
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, method, NULL, 0, &options, NULL), FIT_REFUSED);
    assert_true(fit.warnings.count == 0 && strcmp(fit.refusal, "no_runs") == 0);
}

static bool warns(const TrueLaw *law, size_t sizes, double size_ratio, double noise, const char *code) {
    FitPoint points[100];
    size_t count = law_grid(law, points, sizes, (double[]){1e7, 1e7 * size_ratio}, 5, (double[]){1e9, 1e12}, noise, 2);
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    bool warned = law_warned(&fit.warnings, code);
    fit_deinit(&fit);
    return warned;
}

static void test_warns(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28}, no_floor = {1e-9, 406.4, 410.7, 0.34, 0.28},
                  steep = {1.69, 1e23, 410.7, 3.2, 0.28};
    assert_false(warns(&law, 10, 1000, 0, "few_sizes"));
    assert_true(warns(&law, 4, 1000, 0, "few_sizes"));
    assert_false(warns(&law, 10, 1000, 0, "short_extent"));
    assert_true(warns(&law, 10, 8, 0, "short_extent"));
    assert_false(warns(&law, 10, 1000, 0, "at_bound"));
    assert_true(warns(&no_floor, 10, 1000, 0, "at_bound"));
    assert_true(warns(&steep, 10, 100, 0, "at_bound"));
    assert_false(warns(&law, 10, 1000, 0.01, "poor_fit"));
    assert_true(warns(&law, 10, 1000, 0.2, "poor_fit"));
}

static bool warns_of_mixed_compute(const FitPoint *points, size_t count) {
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    bool warned = law_warned(&fit.warnings, "compute_mixed");
    fit_deinit(&fit);
    return warned;
}

/* Twice the epochs at the same size and examples is twice the compute, and the law has one c for all. That small models cost more for each
 * parameter, and that a part of a batch costs a little, is no mixture. */
static void test_warns_of_mixed_compute(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[48];
    size_t count = law_grid(&law, points, 6, (double[]){1e7, 1e10}, 4, (double[]){1e9, 1e12}, 0.01, 3);
    for (size_t i = 0; i < count; i++) {
        points[i].flops *= (i % 2 == 0 ? 1.2 : 1) * (double)(10 - i / 4);
    }
    assert_false(warns_of_mixed_compute(points, count));
    for (size_t i = 0; i < count; i++) {
        points[count + i] = points[i];
        points[count + i].configuration += 100;
        points[count + i].flops *= i == 5 ? 2 : 1;
    }
    assert_true(warns_of_mixed_compute(points, 2 * count));
}

static void test_warns_of_an_optimum_outside_the_grid(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[100];
    FitOptions options = plain_options();
    Fit fit;
    /* At 1e19 to 1e24 FLOPs the optimum has 1e9 parameters and more: sizes of at most 1e7 never see it. */
    size_t count = law_grid(&law, points, 6, (double[]){1e5, 1e7}, 6, (double[]){1e13, 1e16}, 0, 0);
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "optimum_outside"));
    fit_deinit(&fit);
    count = law_grid(&law, points, 6, (double[]){1e6, 1e11}, 6, (double[]){1e7, 1e12}, 0, 0);
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    assert_false(law_warned(&fit.warnings, "optimum_outside"));
    fit_deinit(&fit);
}

static void test_drops_unusable_points(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[84];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    points[count++] = (FitPoint){1e8, 1e9, 6e17, NAN, 0, 90};
    points[count++] = (FitPoint){1e8, 1e9, 6e17, INFINITY, 0, 91};
    points[count++] = (FitPoint){-1, 1e9, 6e17, 3, 0, 92};
    points[count++] = (FitPoint){1e8, 0, 6e17, 3, 0, 93};
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    assert_int_equal(fit.points, 80);
    assert_true(law_warned(&fit.warnings, "points_dropped"));
    assert_near(law_estimate(&fit, "alpha").value, 0.34, 1e-6);
    fit_deinit(&fit);
    assert_int_equal(fit_make(&fit, method, points, 80, &options, NULL), 0);
    assert_false(law_warned(&fit.warnings, "points_dropped"));
    fit_deinit(&fit);
}

static const TrueLaw HOFFMANN = {1.69, 406.4, 410.7, 0.34, 0.28};

static Fit fit_noisy(double noise, FitLoss loss, void (*change)(FitPoint *points, size_t count)) {
    FitPoint points[80];
    size_t count = law_grid(&HOFFMANN, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, noise, 4);
    if (change != NULL) {
        change(points, count);
    }
    FitOptions options = plain_options();
    options.loss = loss;
    Fit fit;
    assert_int_equal(fit_make(&fit, method, points, count, &options, NULL), 0);
    return fit;
}

static void spoil_ten(FitPoint *points, size_t count) {
    for (size_t i = 3; i < count; i += 8) {
        points[i].loss *= 1.3;
    }
}

static void weigh_spoilt_little(FitPoint *points, size_t count) {
    spoil_ten(points, count);
    for (size_t i = 3; i < count; i += 8) {
        points[i].weight = 1e-9;
    }
}

/* Runs that went wrong pull squares away from the law, and hardly the Huber loss; a weight near 0 takes them out for either. */
static void test_losses_and_weights(void **state) {
    (void)state;
    Fit huber = fit_noisy(0, FIT_LOSS_HUBER, spoil_ten), squares = fit_noisy(0, FIT_LOSS_MSE, spoil_ten);
    Fit weighted = fit_noisy(0, FIT_LOSS_MSE, weigh_spoilt_little);
    assert_near(law_estimate(&huber, "alpha").value, HOFFMANN.alpha, 1e-3);
    assert_true(fabs(law_estimate(&squares, "E").value / HOFFMANN.E - 1) > 0.01);
    assert_near(law_estimate(&weighted, "alpha").value, HOFFMANN.alpha, 1e-5);
    assert_true(huber.residuals[3] < -0.2 && fabs(huber.residuals[4]) < 1e-2);
    fit_deinit(&huber);
    fit_deinit(&squares);
    fit_deinit(&weighted);
}

/* The minimum of the asymmetric loss leaves about one point in five below the law, where half are below Huber's. */
static void test_asymmetric_loss_follows_the_lower_edge(void **state) {
    (void)state;
    const FitLoss losses[] = {FIT_LOSS_HUBER, FIT_LOSS_ASYMMETRIC};
    size_t below[2] = {0};
    for (int i = 0; i < 2; i++) {
        Fit fit = fit_noisy(0.03, losses[i], NULL);
        for (size_t k = 0; k < fit.points; k++) {
            below[i] += fit.residuals[k] > 0;
        }
        fit_deinit(&fit);
    }
    assert_in_range(below[0], 34, 46);
    assert_in_range(below[1], 10, 22);
}

/* The objective is that of the residuals, point by point. */
static void test_objective_is_the_sum(void **state) {
    (void)state;
    Fit fit = fit_noisy(0.01, FIT_LOSS_HUBER, NULL);
    double sum = 0;
    for (size_t i = 0; i < fit.points; i++) {
        double size = fabs(fit.residuals[i]);
        sum += size <= 1e-3 ? size * size / 2 : 1e-3 * (size - 0.5e-3);
    }
    assert_near(fit.objective, sum, 1e-9);
    fit_deinit(&fit);
}

static int fit_weighted(Fit *fit, FitMethod which, double weight, Error *error) {
    FitPoint points[30];
    size_t count = law_grid(&HOFFMANN, points, 6, (double[]){1e7, 1e10}, 5, (double[]){1e9, 1e12}, 0.01, 4);
    for (size_t i = 0; i < count; i++) {
        points[i].weight = weight;
    }
    FitOptions options = plain_options();
    return fit_make(fit, which, points, count, &options, error);
}

/* Weights so large that every sum over the points overflows leave nothing to compare; a little smaller, and only far starts fail. */
static void test_starts_fail_where_nothing_is_finite(void **state) {
    (void)state;
    const FitMethod methods[] = {FIT_PARAMETRIC, FIT_VPNLS};
    Fit fit;
    Error error;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fit_weighted(&fit, methods[i], 1e308, &error), FIT_REFUSED);
        assert_string_equal(fit.refusal, "starts_failed");
        assert_non_null(strstr(error.text, "weights"));
    }
    assert_int_equal(fit_weighted(&fit, FIT_PARAMETRIC, 3e303, &error), 0);
    assert_true(law_warned(&fit.warnings, "starts_failed"));
    fit_deinit(&fit);
    assert_int_equal(fit_weighted(&fit, FIT_PARAMETRIC, 1, &error), 0);
    assert_false(law_warned(&fit.warnings, "starts_failed") || law_warned(&fit.warnings, "starts_disagree"));
    fit_deinit(&fit);
}

static void test_recovers_laws_parametric(void **state) {
    method = FIT_PARAMETRIC;
    test_recovers_laws(state);
    method = FIT_VPNLS;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers_laws),
        cmocka_unit_test(test_recovers_laws_parametric),
        cmocka_unit_test(test_frontier_is_the_minimum),
        cmocka_unit_test(test_frontier_follows_what_a_size_costs),
        cmocka_unit_test(test_given_c_moves_the_coefficient),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_starts_fail_where_nothing_is_finite),
        cmocka_unit_test(test_warns),
        cmocka_unit_test(test_drops_unusable_points),
        cmocka_unit_test(test_warns_of_mixed_compute),
        cmocka_unit_test(test_warns_of_an_optimum_outside_the_grid),
        cmocka_unit_test(test_losses_and_weights),
        cmocka_unit_test(test_asymmetric_loss_follows_the_lower_edge),
        cmocka_unit_test(test_objective_is_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
