/* The search for the lowest minimum: from 4500 starts by parametric, from a grid of exponents by vpnls. */
#include "known_law.h"
#include "surface.h"

static FitOptions plain_options(void) {
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 0;
    options.threads = 2;
    return options;
}

/* No minimum is missed: descents from elsewhere end no lower. */
static void test_no_start_ends_lower(void **state) {
    (void)state;
    const TrueLaw law = {0.08, 3, 5, 0.4, 0.45};
    FitPoint points[30];
    size_t count = law_grid(&law, points, 6, (double[]){6e3, 4e5}, 5, (double[]){500, 55000}, 0.03, 11);
    FitOptions options = plain_options();
    Fit fit;
    assert_int_equal(fit_make(&fit, FIT_PARAMETRIC, points, count, &options, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        points[i].weight = 1;
    }
    Surface surface;
    assert_int_equal(surface_init(&surface, points, count, FIT_LOSS_HUBER, NULL), 0);
    for (int a = 0; a <= 25; a += 5) {
        for (int exponent = 0; exponent < 25; exponent++) {
            Law start = {a, (a + 10) % 30, -0.5 + 0.5 * (a % 3), 0.5 * (exponent % 5), 0.1 + 0.4 * (exponent / 5)};
            double variables[SURFACE_PADDED];
            surface_from_law(&surface, &start, variables);
            surface_approach(&surface, variables);
            double value = surface_polish(&surface, variables) * HUBER_DELTA * HUBER_DELTA;
            assert_true(value >= fit.objective * (1 - 1e-9));
        }
    }
    surface_deinit(&surface);
    fit_deinit(&fit);
}

/* A dozen noisy runs hardly hold five unknowns: often the surface has many minima, and next to no start meets the lowest. */
static void test_warns_when_starts_disagree(void **state) {
    (void)state;
    const TrueLaw law = {0.1, 800, 1.5, 1.1, 0.2};
    FitPoint points[12];
    FitOptions options = plain_options();
    int disagreed = 0, agreed = 0;
    for (uint64_t seed = 0; seed < 8 && (disagreed == 0 || agreed == 0); seed++) {
        Fit fit;
        size_t count = law_grid(&law, points, 4, (double[]){6e3, 4e5}, 3, (double[]){500, 55000}, 0.05, seed);
        assert_int_equal(fit_make(&fit, FIT_PARAMETRIC, points, count, &options, NULL), 0);
        bool few = fit.starts_at_optimum < 45;
        assert_true(law_warned(&fit.warnings, "starts_disagree") == few);
        disagreed += few;
        agreed += !few;
        fit_deinit(&fit);
    }
    assert_true(disagreed > 0 && agreed > 0);
}

/* The two searches have nothing in common until the last steps. They end at one minimum, whatever the noise, the loss and the weights.
 * Returns whether E is at its bound there. */
static bool check_same_fit(const FitPoint *points, size_t count, FitLoss loss, int64_t resamples) {
    FitOptions options = plain_options();
    options.loss = loss;
    options.resamples = resamples;
    Fit parametric, vpnls;
    assert_int_equal(fit_make(&parametric, FIT_PARAMETRIC, points, count, &options, NULL), 0);
    assert_int_equal(fit_make(&vpnls, FIT_VPNLS, points, count, &options, NULL), 0);
    assert_int_equal(parametric.starts_tried, 4500);
    assert_near(vpnls.objective, parametric.objective, 1e-8);
    assert_near(vpnls.params.exponent.value, parametric.params.exponent.value, 1e-4);
    if (resamples > 0) {
        assert_near(vpnls.params.exponent.lo, parametric.params.exponent.lo, 1e-3);
        assert_near(vpnls.params.exponent.hi, parametric.params.exponent.hi, 1e-3);
    }
    bool at_bound = fit_parameter(&parametric, "E")->at_bound;
    assert_true(fit_parameter(&vpnls, "E")->at_bound == at_bound);
    /* With three variables projected out the rest is conditioned better by far. */
    assert_true(vpnls.condition * 10 < parametric.condition);
    fit_deinit(&parametric);
    fit_deinit(&vpnls);
    return at_bound;
}

static void test_methods_agree(void **state) {
    (void)state;
    const TrueLaw laws[FIT_LOSSES] = {{0.08, 3, 5, 0.4, 0.45}, {0.1, 2, 20, 0.3, 0.55}, {0.15, 40, 8, 0.6, 0.4}};
    FitPoint points[48];
    for (int i = 0; i < FIT_LOSSES; i++) {
        size_t count = law_grid(&laws[i], points, 8, (double[]){6e3, 4e5}, 6, (double[]){500, 55000}, 0.02, (uint64_t)i);
        for (size_t k = 0; k < count; k++) {
            points[k].weight = 0.5 + (double)(k % 4);
        }
        assert_false(check_same_fit(points, count, (FitLoss)i, 40));
    }
}

/* A law without a floor: where E goes to 0 there are more minima, not far apart. Resamples of one study's configurations. */
static void test_methods_agree_without_a_floor(void **state) {
    (void)state;
    const TrueLaw law = {0, 150, 0.6, 0.98, 0.155};
    FitPoint study[30], points[30];
    size_t count = law_grid(&law, study, 6, (double[]){6e3, 4e5}, 5, (double[]){500, 55000}, 0.027, 2);
    Rng rng;
    rng_init(&rng, 12, 12);
    int at_bound = 0;
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < count; k++) {
            points[k] = study[rng_below(&rng, count)];
        }
        at_bound += check_same_fit(points, count, FIT_LOSS_HUBER, 0);
    }
    assert_true(at_bound > 0);
}

/* Past SEARCH_POINTS the starts walk on a part of the points first; what they find is the same. */
static void test_many_points(void **state) {
    (void)state;
    const TrueLaw law = {0.08, 3, 5, 0.4, 0.45};
    FitPoint points[525];
    size_t count = law_grid(&law, points, 25, (double[]){6e3, 4e5}, 21, (double[]){500, 55000}, 0.02, 5);
    assert_false(check_same_fit(points, count, FIT_LOSS_HUBER, 0));
}

static void test_lower_envelope(void **state) {
    (void)state;
    const FitPoint points[] = {{1, 1, 100, 0.5, 0, 0}, {1, 1, 10, 0.9, 0, 1}, {1, 1, 50, 0.5, 0, 2}, {1, 1, 50, 0.6, 0, 3},
                               {1, 1, 200, 0.7, 0, 4}, {1, 1, 1, NAN, 0, 5},  {1, 1, 300, 0.4, 0, 6}};
    size_t indices[7];
    assert_int_equal(fit_lower_envelope(points, 7, indices), 3);
    assert_int_equal(indices[0], 1);
    assert_int_equal(indices[1], 2);
    assert_int_equal(indices[2], 6);
    assert_int_equal(fit_lower_envelope(points, 0, indices), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_start_ends_lower),
        cmocka_unit_test(test_warns_when_starts_disagree),
        cmocka_unit_test(test_many_points),
        cmocka_unit_test(test_methods_agree),
        cmocka_unit_test(test_methods_agree_without_a_floor),
        cmocka_unit_test(test_lower_envelope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
