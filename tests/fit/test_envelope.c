/* The envelope of a known law; its interior winners; what it refuses and warns about. */
#include "known_law.h"

static const TrueLaw LAW = {0.1, 20, 30, 0.3, 0.3};
static const double SIZES_RANGE[2] = {1e4, 1e7}, EXAMPLES_RANGE[2] = {1e4, 3e7};

static FitOptions plain_options(void) {
    FitOptions options;
    fit_options_default(&options);
    options.resamples = 0;
    return options;
}

static void fit_points(Fit *fit, const FitPoint *points, size_t count) {
    FitOptions options = plain_options();
    assert_int_equal(fit_make(fit, FIT_ENVELOPE, points, count, &options, NULL), 0);
}

static void test_known_law(void **state) {
    (void)state;
    static const TrueLaw laws[] = {{0.1, 20, 30, 0.3, 0.3}, {0.08, 3, 5, 0.4, 0.45}, {0.05, 5, 8, 0.35, 0.25}};
    static FitPoint points[40 * 40];
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++) {
        size_t count = law_grid(&laws[i], points, 40, SIZES_RANGE, 40, EXAMPLES_RANGE, 0, 0);
        Fit fit;
        fit_points(&fit, points, count);
        assert_near(fit.params.exponent.value, law_params_exponent(&laws[i]), 0.02);
        assert_near(fit.params.exponent.value + fit.examples.exponent.value, 1, 1e-9);
        double middle = sqrt(fit.flops_lowest * fit.flops_highest), best = law_g(&laws[i]) * pow(middle / 6, law_params_exponent(&laws[i]));
        assert_near(fit_frontier_at(&fit, false, middle, 0.95).value, best, 0.1);
        assert_near(fit_frontier_at(&fit, true, middle, 0.95).value, middle / 6 / best, 0.1);
        assert_int_equal(fit.points, count);
        fit_deinit(&fit);
    }
}

/* Each winner is the lowest of what each size's runs on either side of its budget say, and is neither the smallest nor the largest. */
static void test_winners_against_a_plain_count(void **state) {
    (void)state;
    enum { SIZES = 9, EXAMPLES = 7 };
    FitPoint points[SIZES * EXAMPLES];
    law_grid(&LAW, points, SIZES, SIZES_RANGE, EXAMPLES, EXAMPLES_RANGE, 0.01, 3);
    Fit fit;
    fit_points(&fit, points, SIZES * EXAMPLES);
    assert_true(fit.budget_point_count > 100 && fit.budget_point_count <= 1500);
    for (size_t i = 0; i < fit.budget_point_count; i++) {
        const BudgetPoint *winner = &fit.budget_points[i];
        double lowest = INFINITY, size = 0, smallest = INFINITY, largest = 0;
        for (size_t s = 0; s < SIZES; s++) {
            for (size_t j = 0; j + 1 < EXAMPLES; j++) {
                const FitPoint *a = &points[s * EXAMPLES + j], *b = a + 1;
                if (a->flops <= winner->flops && winner->flops <= b->flops) {
                    double t = log(winner->flops / a->flops) / log(b->flops / a->flops), loss = a->loss * pow(b->loss / a->loss, t);
                    smallest = fmin(smallest, a->params);
                    largest = fmax(largest, a->params);
                    size = loss < lowest ? a->params : size;
                    lowest = fmin(lowest, loss);
                }
            }
        }
        assert_near(winner->loss, lowest, 1e-9);
        assert_near(winner->params, size, 1e-9);
        assert_near(6 * winner->params * winner->examples, winner->flops, 1e-9);
        assert_true(smallest < size * 0.99 && size * 1.01 < largest);
        assert_true(i == 0 || winner->flops > fit.budget_points[i - 1].flops);
    }
    fit_deinit(&fit);
}

static void test_seeds_are_averaged(void **state) {
    (void)state;
    FitPoint points[2 * 63];
    size_t count = law_grid(&LAW, points, 9, SIZES_RANGE, 7, EXAMPLES_RANGE, 0, 0);
    Fit single, paired;
    fit_points(&single, points, count);
    for (size_t i = 0; i < count; i++) {
        double shift = 0.01 * (double)(i % 5);
        points[count + i] = points[i];
        points[i].loss -= shift;
        points[count + i].loss += shift;
    }
    fit_points(&paired, points, 2 * count);
    assert_near(paired.params.exponent.value, single.params.exponent.value, 1e-9);
    assert_near(paired.params.coefficient.value, single.params.coefficient.value, 1e-8);
    fit_deinit(&single);
    fit_deinit(&paired);
}

static void refuse(const char *code, const char *text, const FitPoint *points, size_t count) {
    FitOptions options = plain_options();
    Fit fit;
    Error error;
    assert_int_equal(fit_make(&fit, FIT_ENVELOPE, points, count, &options, &error), FIT_REFUSED);
    assert_string_equal(fit.refusal, code);
    assert_non_null(strstr(error.text, text));
    assert_null(fit.budget_points);
    fit_deinit(&fit);
}

static void test_refuses(void **state) {
    (void)state;
    FitPoint points[100];
    refuse("no_runs", "no runs to fit", NULL, 0);
    refuse("few_sizes", "has 4", points, law_grid(&LAW, points, 4, SIZES_RANGE, 10, EXAMPLES_RANGE, 0, 0));
    /* One number of examples: no size is known over a range of compute. */
    for (size_t i = 0; i < 9; i++) {
        points[i] = (FitPoint){1e4 * pow(2, (double)i), 1e5, 6e9 * pow(2, (double)i), 1, 0, (int64_t)i};
    }
    refuse("few_sizes", "more numbers of examples", points, 9);
    /* The optimum lies beyond the sizes, on either side. */
    refuse("edge_optimum", "add larger models", points, law_grid(&LAW, points, 10, (double[]){10, 300}, 10, (double[]){1e6, 1e9}, 0, 0));
    refuse("edge_optimum", "add smaller models", points, law_grid(&LAW, points, 10, (double[]){1e8, 3e9}, 10, (double[]){10, 1e4}, 0, 0));
}

static void test_warns(void **state) {
    (void)state;
    static FitPoint points[900];
    Fit fit;
    fit_points(&fit, points, law_grid(&LAW, points, 12, (double[]){1e4, 1e7}, 40, (double[]){10, 1e10}, 0, 0));
    assert_true(law_warned(&fit.warnings, "edge_optimum"));
    assert_int_equal(fit.warnings.count, 1);
    fit_deinit(&fit);
    /* Each budget's sizes are centred on its optimum and reach far beyond it: nothing wins at the edge. */
    size_t count = 0;
    for (size_t i = 0; i < 24; i++) {
        double flops = 1e10 * pow(10, (double)i / 4);
        for (size_t j = 0; j < 31; j++) {
            double params = 10 * pow(2, (double)j), examples = flops / (6 * params);
            points[count] = (FitPoint){params, examples, flops, law_loss(&LAW, params, examples), 0, (int64_t)count};
            count++;
        }
    }
    fit_points(&fit, points, count);
    assert_int_equal(fit.warnings.count, 0);
    assert_near(fit.params.exponent.value, 0.5, 0.02);
    fit_deinit(&fit);
    /* Three sizes win among five, over less than a decade. */
    count = law_grid(&LAW, points, 5, (double[]){1e4, 2.4e4}, 30, (double[]){1e2, 1e7}, 0, 0);
    fit_points(&fit, points, count);
    assert_true(law_warned(&fit.warnings, "few_winners"));
    assert_true(law_warned(&fit.warnings, "short_extent"));
    fit_deinit(&fit);
    points[0].loss = NAN;
    fit_points(&fit, points, count);
    assert_true(law_warned(&fit.warnings, "points_dropped"));
    fit_deinit(&fit);
    for (size_t i = 0; i < count; i++) {
        points[i].flops *= i % 2 == 0 ? 1 : 2;
    }
    FitOptions options = plain_options();
    assert_int_equal(fit_make(&fit, FIT_ENVELOPE, points, count, &options, NULL), 0);
    assert_true(law_warned(&fit.warnings, "compute_mixed"));
    fit_deinit(&fit);
}

static void test_bootstrap(void **state) {
    (void)state;
    static FitPoint points[20 * 12];
    size_t count = law_grid(&LAW, points, 20, SIZES_RANGE, 12, EXAMPLES_RANGE, 0.005, 4);
    FitOptions options = plain_options();
    options.resamples = 200;
    options.seed = 3;
    Fit one, two;
    assert_int_equal(fit_make(&one, FIT_ENVELOPE, points, count, &options, NULL), 0);
    options.threads = 3;
    assert_int_equal(fit_make(&two, FIT_ENVELOPE, points, count, &options, NULL), 0);
    assert_int_equal(one.cloud_count, 200);
    assert_int_equal(one.cloud_columns, FIT_FRONTIER_COLUMNS);
    assert_memory_equal(one.cloud, two.cloud, one.cloud_count * one.cloud_columns * sizeof *one.cloud);
    assert_true(one.params.exponent.lo < 0.5 && 0.5 < one.params.exponent.hi);
    assert_true(one.params.exponent.hi - one.params.exponent.lo < 0.2);
    fit_deinit(&one);
    fit_deinit(&two);
}

/* Nearly 100,000 runs of 300 sizes, and of 33,000 sizes. */
static void test_large_tables_are_bounded(void **state) {
    (void)state;
    const size_t sizes[] = {300, 33000}, examples[] = {330, 3};
    FitOptions options = plain_options();
    options.resamples = 20;
    for (int i = 0; i < 2; i++) {
        FitPoint *points = calloc(sizes[i] * examples[i], sizeof *points);
        assert_non_null(points);
        size_t count = law_grid(&LAW, points, sizes[i], SIZES_RANGE, examples[i], EXAMPLES_RANGE, 0, 0);
        Fit fit;
        assert_int_equal(fit_make(&fit, FIT_ENVELOPE, points, count, &options, NULL), 0);
        assert_int_equal(fit.cloud_count, 20);
        fit_deinit(&fit);
        free(points);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_law),
        cmocka_unit_test(test_winners_against_a_plain_count),
        cmocka_unit_test(test_seeds_are_averaged),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_warns),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_large_tables_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
