/* What IsoFLOP refuses, leaves out and warns of. */
#include "budgets.h"

static int refusal(const char *code, const FitPoint *points, size_t count, Error *error) {
    FitOptions options;
    Fit fit;
    fit_options_default(&options);
    int result = fit_make(&fit, FIT_ISOFLOP, points, count, &options, error);
    assert_null(fit.budgets);
    assert_string_equal(fit.refusal, code);
    return result;
}

static void test_refuses(void **state) {
    (void)state;
    FitPoint points[75];
    Error error;
    assert_int_equal(refusal("no_runs", NULL, 0, &error), FIT_REFUSED);
    assert_int_equal(refusal("few_budgets", points, budgets_make(&BIASED, points, 2, 15, 4, 1), &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "more budgets"));
    /* The optimum lies outside the sizes, on either side. */
    assert_int_equal(refusal("edge_optimum", points, budgets_make(&BIASED, points, 5, 15, 4, 0.02), &error), FIT_REFUSED);
    assert_non_null(strstr(error.text, "add larger models"));
    assert_int_equal(refusal("edge_optimum", points, budgets_make(&BIASED, points, 5, 15, 4, 100), &error), FIT_REFUSED);
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
    size_t count = study_make(points);
    for (size_t j = 0; j < 15; j++) {
        double u = (double)j / 7 - 1;
        points[60 + j].loss = 2 + (u - 1.15) * (u - 1.15) - (j == 13 ? 0.065 : 0);
    }
    assert_true(points[73].loss < points[74].loss);
    Fit fit = isoflop_fit(points, count, 0);
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
    size_t count = study_make(points);
    for (size_t i = 0; i < count; i++) {
        points[i].loss += i % 15 != 7 && i % 2 == 0 ? 0.3 : 0;
    }
    Fit fit = isoflop_fit(points, count, 0);
    assert_true(law_warned(&fit.warnings, "poor_parabola"));
    assert_true(fit.budgets[0].misfit > 0.25 && fit.budgets[0].misfit < 1);
    fit_deinit(&fit);
}

/* A budget whose losses are highest in the middle has no optimum. */
static void test_warns_of_budgets_without_a_bottom(void **state) {
    (void)state;
    FitPoint points[75];
    size_t count = study_make(points);
    for (size_t j = 0; j < 15; j++) {
        double u = (double)j / 7 - 1;
        points[j].loss = 3 - u * u;
    }
    Fit fit = isoflop_fit(points, count, 0);
    assert_true(law_warned(&fit.warnings, "budgets_dropped"));
    assert_false(law_warned(&fit.warnings, "edge_optimum"));
    assert_true(fit.budgets[0].refused && fit.budgets_used == 4);
    assert_near(fit.flops_lowest, 1e18, 1e-9);
    assert_near(fit.flops_highest, 1e21, 1e-9);
    fit_deinit(&fit);
}

static void test_flat_losses_are_refused(void **state) {
    (void)state;
    FitPoint points[75];
    Error error;
    size_t count = study_make(points);
    for (size_t i = 0; i < count; i++) {
        points[i].loss = 2;
    }
    assert_int_equal(refusal("budgets_dropped", points, count, &error), FIT_REFUSED);
}

static bool warns_of_drift(double drift, double noise) {
    FitPoint points[75];
    Rng rng;
    rng_init(&rng, 2, 2);
    size_t count = study_make(points);
    for (size_t i = 0; i < count; i++) {
        double shift = pow(4, drift * ((double)(i / 15) / 4 - 0.5));
        points[i].params *= shift;
        points[i].examples /= shift;
        points[i].loss = law_loss(&BIASED, points[i].params, points[i].examples) * exp(noise == 0 ? 0 : noise * rng_normal(&rng));
    }
    Fit fit = isoflop_fit(points, count, 0);
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

static void test_warns(void **state) {
    (void)state;
    FitPoint points[75];
    size_t count = study_make(points);
    Fit fit = isoflop_fit(points, count, 0);
    assert_int_equal(fit.warnings.count, 0);
    fit_deinit(&fit);
    /* The largest budget keeps only sizes below its optimum. */
    for (size_t i = 0; i < 15; i++) {
        FitPoint *point = &points[60 + i];
        point->params /= 30;
        point->examples *= 30;
        point->loss = law_loss(&BIASED, point->params, point->examples);
    }
    fit = isoflop_fit(points, count, 0);
    assert_true(law_warned(&fit.warnings, "edge_optimum"));
    assert_true(law_warned(&fit.warnings, "few_budgets"));
    assert_true(fit.budgets[4].refused && isnan(fit.budgets[4].params));
    assert_int_equal(fit.budgets_used, 4);
    assert_near(fit.params.exponent.value, law_params_exponent(&BIASED), 1e-6);
    fit_deinit(&fit);
    count = budgets_make(&BIASED, points, 5, 4, 4, 1);
    points[0].loss = NAN;
    fit = isoflop_fit(points, count, 0);
    assert_true(law_warned(&fit.warnings, "few_sizes"));
    assert_true(law_warned(&fit.warnings, "points_dropped"));
    fit_deinit(&fit);
    count = study_make(points);
    for (size_t i = 0; i < count; i++) {
        points[i].flops = 1e17 * pow(points[i].flops / 1e17, 0.2);
    }
    fit = isoflop_fit(points, count, 0);
    assert_true(law_warned(&fit.warnings, "short_extent"));
    assert_false(law_warned(&fit.warnings, "compute_mixed"));
    fit_deinit(&fit);
    /* A size with other epochs in one more budget. */
    count = budgets_make(&BIASED, points, 5, 14, 4, 1);
    points[count] = points[7];
    points[count].flops *= 10;
    points[count].configuration = (int64_t)count;
    fit = isoflop_fit(points, count + 1, 0);
    assert_true(law_warned(&fit.warnings, "compute_mixed"));
    fit_deinit(&fit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_losses_without_an_optimum_are_refused),
        cmocka_unit_test(test_vertex_beyond_the_sizes_is_left_out),
        cmocka_unit_test(test_warns_of_losses_that_are_no_parabola),
        cmocka_unit_test(test_warns_of_budgets_without_a_bottom),
        cmocka_unit_test(test_flat_losses_are_refused),
        cmocka_unit_test(test_warns_of_a_drifting_centre),
        cmocka_unit_test(test_warns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
