/* Known laws come back; what the data cannot carry is refused or warned about. */
#include "law.h"
#include "surface.h"

static FitOptions plain_options(void) {
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 0;
    options.threads = 2;
    return options;
}

static void check_recovery(const TrueLaw *law, const double sizes[2], const double examples[2]) {
    FitPoint points[80];
    size_t count = law_grid(law, points, 10, sizes, 8, examples, 0, 0);
    FitOptions options = plain_options();
    ParametricFit fit;
    Error error = {0};
    assert_int_equal(fit_parametric(&fit, points, count, &options, &error), 0);
    assert_near(fit.E.value, law->E, 1e-6);
    assert_near(fit.A.value, law->A, 1e-6);
    assert_near(fit.B.value, law->B, 1e-6);
    assert_near(fit.alpha.value, law->alpha, 1e-6);
    assert_near(fit.beta.value, law->beta, 1e-6);
    double g = law_g(law), a = law_params_exponent(law);
    assert_near(fit.c, 6, 1e-12);
    assert_near(fit.params.exponent.value, a, 1e-6);
    assert_near(fit.params.coefficient.value, g * pow(6, -a), 1e-5);
    assert_near(fit.examples.exponent.value, 1 - a, 1e-6);
    assert_near(fit.examples.coefficient.value, 1 / g * pow(6, a - 1), 1e-5);
    assert_true(isnan(fit.alpha.lo) && fit.cloud_count == 0);
    assert_int_equal(fit.starts_tried, 4500);
    assert_true(fit.starts_at_optimum > 0 && fit.starts_at_optimum < fit.starts_tried);
    assert_near(fit_parametric_loss(&fit, 1e6, 1e6), law_loss(law, 1e6, 1e6), 1e-6);
    fit_parametric_deinit(&fit);
}

static void test_recovers_laws(void **state) {
    (void)state;
    check_recovery(&(TrueLaw){1.69, 406.4, 410.7, 0.34, 0.28}, (double[]){1e7, 1e10}, (double[]){1e9, 1e12});
    check_recovery(&(TrueLaw){1.8172, 482.01, 2085.43, 0.3478, 0.3658}, (double[]){1e7, 1e10}, (double[]){1e9, 1e12});
    check_recovery(&(TrueLaw){0.08, 3, 5, 0.4, 0.45}, (double[]){6e3, 4e5}, (double[]){500, 55000});
    check_recovery(&(TrueLaw){0.1, 800, 1.5, 1.1, 0.2}, (double[]){6e3, 4e5}, (double[]){500, 55000});
}

/* The frontier's formula against the minimum itself: along C = c P N no size does better. */
static void test_frontier_is_the_minimum(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[80];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    double flops = 1e21, params = fit.params.coefficient.value * pow(flops, fit.params.exponent.value);
    double examples = fit.examples.coefficient.value * pow(flops, fit.examples.exponent.value);
    assert_near(6 * params * examples, flops, 1e-4);
    double lowest = law_loss(&law, params, examples);
    for (double factor = 0.5; factor < 2; factor *= 1.01) {
        assert_true(law_loss(&law, params * factor, flops / (6 * params * factor)) >= lowest * (1 - 1e-9));
    }
    fit_parametric_deinit(&fit);
}

/* No minimum is missed by polishing only a third of the starts: descents from elsewhere end no lower. */
static void test_no_start_ends_lower(void **state) {
    (void)state;
    const TrueLaw law = {0.08, 3, 5, 0.4, 0.45};
    FitPoint points[80];
    size_t count = law_grid(&law, points, 10, (double[]){6e3, 4e5}, 8, (double[]){500, 55000}, 0.03, 11);
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    Surface surface;
    assert_int_equal(surface_init(&surface, points, NULL, count, NULL), 0);
    for (int a = 0; a <= 25; a += 5) {
        for (int exponent = 0; exponent < 25; exponent++) {
            Law start = {a, (a + 10) % 30, -0.5 + 0.5 * (a % 3), 0.5 * (exponent % 5), 0.1 + 0.4 * (exponent / 5)};
            double variables[SURFACE_PADDED];
            surface_from_law(&surface, &start, variables);
            double value = surface_descend(&surface, variables) * HUBER_DELTA * HUBER_DELTA;
            assert_true(value >= fit.objective * (1 - 1e-9));
        }
    }
    surface_deinit(&surface);
    fit_parametric_deinit(&fit);
}

static void test_given_c_moves_the_coefficient(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[80];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    FitOptions options = plain_options();
    options.flops_per_param_example = 3;
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    double a = law_params_exponent(&law);
    assert_near(fit.c, 3, 0);
    assert_near(fit.params.coefficient.value, law_g(&law) * pow(3, -a), 1e-5);
    fit_parametric_deinit(&fit);
}

static int refusal(const TrueLaw *law, size_t sizes, size_t examples, Error *error) {
    FitPoint points[100];
    size_t count = law_grid(law, points, sizes, (double[]){1e7, 1e10}, examples, (double[]){1e9, 1e12}, 0, 1);
    FitOptions options = plain_options();
    ParametricFit fit;
    int result = fit_parametric(&fit, points, count, &options, error);
    assert_null(fit.cloud);
    return result;
}

static void test_refuses(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    Error error;
    assert_int_equal(refusal(&law, 2, 2, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "only 4 configurations"));
    assert_int_equal(refusal(&law, 2, 8, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "add widths"));
    assert_int_equal(refusal(&law, 8, 2, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "add examples"));
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, NULL, 0, &options, &error), FIT_REFUSED);
    assert_int_equal(refusal(&(TrueLaw){1.69, 1e-9, 410.7, 0.34, 0.28}, 8, 8, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "does not fall with model size"));
    assert_int_equal(refusal(&(TrueLaw){1.69, 406.4, 1e-9, 0.34, 0.28}, 8, 8, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "does not fall with the number of examples"));
}

static bool warns(const TrueLaw *law, size_t sizes, double size_ratio, double noise, const char *code) {
    FitPoint points[100];
    size_t count = law_grid(law, points, sizes, (double[]){1e7, 1e7 * size_ratio}, 5, (double[]){1e9, 1e12}, noise, 2);
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    bool warned = law_warned(&fit.warnings, code);
    fit_parametric_deinit(&fit);
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

/* Nine noisy runs hardly hold five unknowns: the surface has many minima, and next to no start meets the lowest. */
static void test_warns_when_starts_disagree(void **state) {
    (void)state;
    const TrueLaw law = {0.1, 800, 1.5, 1.1, 0.2};
    FitPoint points[80];
    FitOptions options = plain_options();
    ParametricFit fit;
    size_t count = law_grid(&law, points, 3, (double[]){6e3, 4e5}, 3, (double[]){500, 55000}, 0.05, 3);
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    assert_true(fit.starts_at_optimum < 45);
    assert_true(law_warned(&fit.warnings, "starts_disagree"));
    fit_parametric_deinit(&fit);
    count = law_grid(&law, points, 10, (double[]){6e3, 4e5}, 8, (double[]){500, 55000}, 0, 0);
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    assert_true(fit.starts_at_optimum > 45);
    assert_false(law_warned(&fit.warnings, "starts_disagree"));
    fit_parametric_deinit(&fit);
}

static bool warns_of_mixed_compute(const FitPoint *points, size_t count) {
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    bool warned = law_warned(&fit.warnings, "compute_mixed");
    fit_parametric_deinit(&fit);
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
    ParametricFit fit;
    /* At 1e19 to 1e24 FLOPs the optimum has 1e9 parameters and more: sizes of at most 1e7 never see it. */
    size_t count = law_grid(&law, points, 6, (double[]){1e5, 1e7}, 6, (double[]){1e13, 1e16}, 0, 0);
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "optimum_outside"));
    fit_parametric_deinit(&fit);
    count = law_grid(&law, points, 6, (double[]){1e6, 1e11}, 6, (double[]){1e7, 1e12}, 0, 0);
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    assert_false(law_warned(&fit.warnings, "optimum_outside"));
    fit_parametric_deinit(&fit);
}

static void test_drops_unusable_points(void **state) {
    (void)state;
    const TrueLaw law = {1.69, 406.4, 410.7, 0.34, 0.28};
    FitPoint points[84];
    size_t count = law_grid(&law, points, 10, (double[]){1e7, 1e10}, 8, (double[]){1e9, 1e12}, 0, 0);
    points[count++] = (FitPoint){1e8, 1e9, 6e17, NAN, 90};
    points[count++] = (FitPoint){1e8, 1e9, 6e17, INFINITY, 91};
    points[count++] = (FitPoint){-1, 1e9, 6e17, 3, 92};
    points[count++] = (FitPoint){1e8, 0, 6e17, 3, 93};
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    assert_int_equal(fit.points, 80);
    assert_true(law_warned(&fit.warnings, "points_dropped"));
    assert_near(fit.alpha.value, 0.34, 1e-6);
    fit_parametric_deinit(&fit);
}

/* With more points than a full grid of descents is affordable for, the starts that did descend are counted, and the law is found. */
static void test_many_points(void **state) {
    (void)state;
    const TrueLaw law = {0.08, 3, 5, 0.4, 0.45};
    static FitPoint points[2500];
    size_t count = law_grid(&law, points, 50, (double[]){6e3, 4e5}, 50, (double[]){500, 55000}, 0, 0);
    FitOptions options = plain_options();
    ParametricFit fit;
    assert_int_equal(fit_parametric(&fit, points, count, &options, NULL), 0);
    assert_true(fit.starts_tried < 4500 && fit.starts_tried >= 60);
    assert_near(fit.alpha.value, 0.4, 1e-6);
    fit_parametric_deinit(&fit);
}

static void test_lower_envelope(void **state) {
    (void)state;
    const FitPoint points[] = {{1, 1, 100, 0.5, 0}, {1, 1, 10, 0.9, 1}, {1, 1, 50, 0.5, 2}, {1, 1, 50, 0.6, 3},
                               {1, 1, 200, 0.7, 4}, {1, 1, 1, NAN, 5},  {1, 1, 300, 0.4, 6}};
    size_t indices[7];
    assert_int_equal(fit_lower_envelope(points, 7, indices), 3);
    assert_int_equal(indices[0], 1);
    assert_int_equal(indices[1], 2);
    assert_int_equal(indices[2], 6);
    assert_int_equal(fit_lower_envelope(points, 0, indices), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers_laws),
        cmocka_unit_test(test_frontier_is_the_minimum),
        cmocka_unit_test(test_no_start_ends_lower),
        cmocka_unit_test(test_given_c_moves_the_coefficient),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_warns),
        cmocka_unit_test(test_drops_unusable_points),
        cmocka_unit_test(test_warns_when_starts_disagree),
        cmocka_unit_test(test_warns_of_mixed_compute),
        cmocka_unit_test(test_warns_of_an_optimum_outside_the_grid),
        cmocka_unit_test(test_many_points),
        cmocka_unit_test(test_lower_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
