/* Whether two studies differ, and whether two methods do. */
#include "internal.h"
#include "known_law.h"

/* A fit of which nothing is known but the cloud of its exponents, normal around `exponent`. */
static void make_fit(Fit *fit, double exponent, double deviation, size_t draws, uint64_t seed) {
    Rng rng;
    rng_init(&rng, seed, 11);
    *fit = (Fit){.method = FIT_ISOFLOP, .cloud_count = draws, .cloud_columns = FIT_FRONTIER_COLUMNS};
    fit->cloud = calloc(draws * FIT_FRONTIER_COLUMNS, sizeof *fit->cloud);
    assert_non_null(fit->cloud);
    for (size_t i = 0; i < draws; i++) {
        double *draw = fit->cloud + i * FIT_FRONTIER_COLUMNS;
        draw[0] = exponent + deviation * rng_normal(&rng);
        draw[2] = 1 - draw[0];
        draw[1] = draw[3] = 1;
    }
    fit->params.exponent = fit_estimate(exponent);
    fit->examples.exponent = fit_estimate(1 - exponent);
    assert_int_equal(fit_estimate_interval(&fit->params.exponent, fit->cloud, draws, FIT_FRONTIER_COLUMNS, 0.95, NULL), 0);
    assert_int_equal(fit_estimate_interval(&fit->examples.exponent, fit->cloud + 2, draws, FIT_FRONTIER_COLUMNS, 0.95, NULL), 0);
}

static int double_order(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Against all pairs, made one by one. */
static void test_against_all_pairs(void **state) {
    (void)state;
    enum { A = 60, B = 41 };
    Fit a, b;
    FitComparison comparison;
    make_fit(&a, 0.50, 0.02, A, 1);
    make_fit(&b, 0.47, 0.03, B, 2);
    assert_int_equal(fit_compare(&comparison, &a, &b, 0.9, NULL), 0);
    static double differences[A * B];
    size_t up_to_0 = 0;
    for (size_t i = 0; i < A; i++) {
        for (size_t j = 0; j < B; j++) {
            double difference = a.cloud[i * FIT_FRONTIER_COLUMNS] - b.cloud[j * FIT_FRONTIER_COLUMNS];
            differences[i * B + j] = difference;
            up_to_0 += difference <= 0;
        }
    }
    qsort(differences, A * B, sizeof *differences, double_order);
    const double low = 0.05 * A * B, high = 0.95 * A * B;
    assert_true(comparison.params.lo >= differences[(size_t)low - 2] && comparison.params.lo <= differences[(size_t)low + 2]);
    assert_true(comparison.params.hi >= differences[(size_t)high - 2] && comparison.params.hi <= differences[(size_t)high + 2]);
    assert_near(comparison.params.value, 0.03, 1e-9);
    assert_near(comparison.params_p, 2 * (double)up_to_0 / (A * B), 1e-9);
    assert_near(comparison.examples.lo, -comparison.params.hi, 1e-3);
    assert_near(comparison.examples_p, comparison.params_p, 1e-9);
    fit_deinit(&a);
    fit_deinit(&b);
}

/* p is never below what the draws can tell, nor above 1. */
static void test_extremes(void **state) {
    (void)state;
    Fit a, b;
    FitComparison comparison;
    make_fit(&a, 0.9, 0.01, 100, 1);
    make_fit(&b, 0.1, 0.01, 50, 2);
    assert_int_equal(fit_compare(&comparison, &a, &b, 0.95, NULL), 0);
    assert_near(comparison.params_p, 2.0 / 50, 1e-12);
    assert_true(comparison.params.lo > 0.7 && comparison.examples.hi < -0.7);
    assert_int_equal(fit_compare(&comparison, &a, &a, 0.95, NULL), 0);
    assert_true(comparison.params_p > 0.9 && comparison.params_p <= 1);
    assert_true(comparison.params.value == 0 && comparison.params.lo < 0 && comparison.params.hi > 0);
    fit_deinit(&a);
    fit_deinit(&b);
}

static void test_refuses(void **state) {
    (void)state;
    Fit a, b;
    FitComparison comparison;
    Error error;
    make_fit(&a, 0.5, 0.01, 100, 1);
    b = (Fit){.method = FIT_POWER};
    assert_int_equal(fit_compare(&comparison, &a, &b, 0.95, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "no frontier"));
    b = (Fit){.method = FIT_PARAMETRIC};
    assert_int_equal(fit_compare(&comparison, &b, &a, 0.95, &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "resamples"));
    assert_int_equal(fit_compare(&comparison, &a, &a, 1, &error), -1);
    fit_deinit(&a);
}

/* ---- studies ---- */

static void make_study(Fit *fit, const TrueLaw *law, double noise, uint64_t seed) {
    FitPoint points[60];
    Rng rng;
    rng_init(&rng, seed, 13);
    size_t count = 0;
    for (size_t i = 0; i < 6; i++) {
        double flops = 1e9 * pow(10, 0.5 * (double)i), best = law_g(law) * pow(flops / 6, law_params_exponent(law));
        for (size_t j = 0; j < 10; j++) {
            double params = best * pow(5, (double)j / 4.5 - 1), examples = flops / 6 / params;
            points[count] =
                (FitPoint){params, examples, flops, law_loss(law, params, examples) * exp(noise * rng_normal(&rng)), 0, (int64_t)count};
            count++;
        }
    }
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 200;
    assert_int_equal(fit_make(fit, FIT_ISOFLOP, points, count, &options, NULL), 0);
}

static bool studies_differ(const TrueLaw *a, const TrueLaw *b, uint64_t seed) {
    Fit fits[2];
    FitComparison comparison;
    make_study(&fits[0], a, 0.005, 2 * seed);
    make_study(&fits[1], b, 0.005, 2 * seed + 1);
    assert_int_equal(fit_compare(&comparison, &fits[0], &fits[1], 0.95, NULL), 0);
    assert_true((comparison.params_p < 0.05) == (comparison.params.lo > 0 || comparison.params.hi < 0));
    fit_deinit(&fits[0]);
    fit_deinit(&fits[1]);
    return comparison.params_p < 0.05;
}

/* Exponents 0.53 and 0.53, then 0.53 and 0.44. */
static void test_studies(void **state) {
    (void)state;
    const TrueLaw one = {0.08, 3, 5, 0.4, 0.45}, other = {0.08, 3, 5, 0.45, 0.35};
    int equal = 0, different = 0;
    for (uint64_t i = 0; i < 20; i++) {
        equal += studies_differ(&one, &one, i);
        different += studies_differ(&one, &other, i);
    }
    assert_in_range(equal, 0, 3);
    assert_in_range(different, 19, 20);
}

/* ---- two methods on one set of points ---- */

static void test_intervals_apart(void **state) {
    (void)state;
    Fit fits[3];
    make_fit(&fits[0], 0.50, 0.01, 100, 1);
    make_fit(&fits[1], 0.51, 0.01, 100, 2);
    make_fit(&fits[2], 0.70, 0.01, 100, 3);
    fits[2].method = FIT_PARAMETRIC;
    fit_warn_apart(fits, 2);
    assert_int_equal(fits[0].warnings.count + fits[1].warnings.count, 0);
    fit_warn_apart(fits, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(law_warned(&fits[i].warnings, "intervals_apart"));
    }
    /* A fit without intervals is apart from none. */
    fits[2].params.exponent = fits[2].examples.exponent = fit_estimate(0.7);
    fits[0].warnings.count = fits[2].warnings.count = 0;
    fit_warn_apart(fits, 3);
    assert_int_equal(fits[0].warnings.count + fits[2].warnings.count, 0);
    for (int i = 0; i < 3; i++) {
        fit_deinit(&fits[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_all_pairs), cmocka_unit_test(test_extremes),        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_studies),           cmocka_unit_test(test_intervals_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
