/* E(C) = a (b + C)^-alpha + E_inf: gradients, known laws, bounds, refusals, intervals. */
#include "known_law.h"
#include "power.h"

typedef struct TruePower {
    double a, b, alpha, E_inf;
} TruePower;

static double power_at(const TruePower *law, double flops) {
    return law->E_inf + law->a * pow(law->b + flops, -law->alpha);
}

/* Runs on the law, log-spaced in compute, each followed by a worse one of the same compute. */
static size_t make_points(const TruePower *law, FitPoint *points, size_t winners, double low, double high, double noise, uint64_t seed) {
    Rng rng;
    rng_init(&rng, seed, 9);
    size_t count = 0;
    for (size_t i = 0; i < winners; i++) {
        double flops = low * pow(high / low, (double)i / (double)(winners - 1)), params = sqrt(flops);
        double loss = power_at(law, flops) * exp(noise == 0 ? 0 : noise * rng_normal(&rng));
        points[count] = (FitPoint){params, params / 6, flops, loss, 0, (int64_t)count};
        count++;
        points[count] = (FitPoint){2 * params, params / 12, flops, 1.2 * loss, 0, (int64_t)count};
        count++;
    }
    return count;
}

static FitOptions options_with(FitLoss loss, int64_t resamples) {
    FitOptions options;
    fit_options_default(&options);
    options.loss = loss;
    options.resamples = resamples;
    return options;
}

static void fit_points(Fit *fit, const FitPoint *points, size_t count, FitLoss loss, int64_t resamples) {
    const FitOptions options = options_with(loss, resamples);
    assert_int_equal(fit_make(fit, FIT_POWER, points, count, &options, NULL), 0);
}

static double value_of(const Fit *fit, const char *name) {
    return fit_parameter(fit, name)->estimate.value;
}

static void test_gradient(void **state) {
    (void)state;
    enum { COUNT = 25 };
    PowerPoint points[COUNT];
    Rng rng;
    rng_init(&rng, 5, 5);
    for (size_t i = 0; i < COUNT; i++) {
        points[i] = (PowerPoint){pow(10, 0.2 * (double)i - 2), 0.1 * rng_normal(&rng) - 0.05 * (double)i, 0.5 + rng_uniform(&rng)};
    }
    for (FitLoss loss = 0; loss < FIT_LOSSES; loss++) {
        const PowerProblem problem = {points, COUNT, loss};
        for (int trial = 0; trial < 20; trial++) {
            double variables[POWER_PADDED] = {0}, gradient[POWER_PADDED];
            for (int i = 0; i < POWER_VARIABLES; i++) {
                variables[i] = rng_normal(&rng) - (i > 0);
            }
            power_evaluate(&problem, variables, gradient, NULL);
            for (int i = 0; i < POWER_VARIABLES; i++) {
                double step = 1e-6, moved[POWER_PADDED];
                memcpy(moved, variables, sizeof moved);
                moved[i] += step;
                double up = power_evaluate(&problem, moved, NULL, NULL);
                moved[i] -= 2 * step;
                double slope = (up - power_evaluate(&problem, moved, NULL, NULL)) / (2 * step);
                assert_true(fabs(slope - gradient[i]) <= 1e-4 * (fabs(slope) + 1));
            }
            for (int i = POWER_VARIABLES; i < POWER_PADDED; i++) {
                assert_true(gradient[i] == 0);
            }
        }
    }
}

/* Of r^2 / 2 the majorant at residuals of 0 is the Hessian. */
static void test_majorant(void **state) {
    (void)state;
    PowerPoint points[12];
    const TruePower law = {1.3, 0.4, 0.6, 0.2};
    const double variables[POWER_PADDED] = {log(1.3 * pow(1.4, -0.6)), log(0.6), log(0.4), log(0.2)};
    for (size_t i = 0; i < 12; i++) {
        points[i].x = pow(2, (double)i - 6);
        points[i].target = log(power_at(&law, points[i].x));
        points[i].weight = 1 + (double)i;
    }
    const PowerProblem problem = {points, 12, FIT_LOSS_MSE};
    double gradient[POWER_PADDED], majorant[POWER_VARIABLES][POWER_VARIABLES];
    assert_true(power_evaluate(&problem, variables, gradient, majorant) < 1e-18);
    for (int i = 0; i < POWER_VARIABLES; i++) {
        double up[POWER_PADDED], down[POWER_PADDED], moved[POWER_PADDED];
        memcpy(moved, variables, sizeof moved);
        moved[i] += 1e-5;
        power_evaluate(&problem, moved, up, NULL);
        moved[i] -= 2e-5;
        power_evaluate(&problem, moved, down, NULL);
        for (int j = 0; j < POWER_VARIABLES; j++) {
            assert_near((up[j] - down[j]) / 2e-5, majorant[i][j], 1e-4);
        }
    }
}

static void test_known_laws(void **state) {
    (void)state;
    static const TruePower laws[] = {
        {2000, 3e10, 0.35, 0.08}, {50, 1e9, 0.15, 0.02}, {3e5, 1e11, 0.5, 1.7}, {8, 2e10, 0.1, 0.3}, {4e9, 5e11, 0.9, 0.05}};
    FitPoint points[80];
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++) {
        for (FitLoss loss = 0; loss < FIT_LOSSES; loss++) {
            size_t count = make_points(&laws[i], points, 40, 1e9, 1e15, 0, 0);
            Fit fit;
            fit_points(&fit, points, count, loss, 0);
            assert_near(value_of(&fit, "alpha"), laws[i].alpha, 1e-5);
            assert_near(value_of(&fit, "a"), laws[i].a, 1e-4);
            assert_near(value_of(&fit, "b"), laws[i].b, 1e-4);
            assert_near(value_of(&fit, "E_inf"), laws[i].E_inf, 1e-4);
            assert_int_equal(fit.points, 40);
            assert_int_equal(fit.parameter_count, 4);
            assert_true(fit.objective < 1e-12 && fit.condition > 1 && isfinite(fit.condition));
            assert_true(fit.starts_tried == 60 && fit.starts_at_optimum > 3);
            assert_int_equal(fit.warnings.count, 0);
            assert_true(isnan(fit.params.exponent.value) && isnan(fit.examples.coefficient.value) && isnan(fit.c));
            fit_deinit(&fit);
        }
    }
}

/* The points fitted are the runs that none of less compute beats; what each misses by is told in their order. */
static void test_winners(void **state) {
    (void)state;
    const TruePower law = {2000, 3e10, 0.35, 0.08};
    FitPoint points[80];
    size_t count = make_points(&law, points, 40, 1e9, 1e14, 0.02, 7), envelope[80];
    Fit fit;
    fit_points(&fit, points, count, FIT_LOSS_MSE, 0);
    assert_int_equal(fit.points, fit_lower_envelope(points, count, envelope));
    assert_int_equal(fit.budget_point_count, fit.points);
    double squares = 0;
    for (size_t i = 0; i < fit.points; i++) {
        assert_int_equal(fit.source[i], envelope[i]);
        const FitPoint *point = &points[envelope[i]];
        assert_true(fit.budget_points[i].loss == point->loss && fit.budget_points[i].flops == point->flops);
        const TruePower fitted = {value_of(&fit, "a"), value_of(&fit, "b"), value_of(&fit, "alpha"), value_of(&fit, "E_inf")};
        double residual = log(power_at(&fitted, point->flops) / point->loss);
        assert_true(fabs(fit.residuals[i] - residual) < 1e-9);
        squares += residual * residual;
    }
    assert_near(fit.objective, squares / 2, 1e-6);
    /* It is a minimum: no law nearby is better. */
    for (int i = 0; i < 8; i++) {
        TruePower moved = {value_of(&fit, "a"), value_of(&fit, "b"), value_of(&fit, "alpha"), value_of(&fit, "E_inf")};
        double *const fields[] = {&moved.a, &moved.b, &moved.alpha, &moved.E_inf}, sum = 0;
        *fields[i / 2] *= i % 2 == 0 ? 1.001 : 0.999;
        for (size_t j = 0; j < fit.points; j++) {
            sum += pow(log(power_at(&moved, fit.budget_points[j].flops) / fit.budget_points[j].loss), 2);
        }
        assert_true(sum > squares);
    }
    fit_deinit(&fit);
}

static void test_bounds(void **state) {
    (void)state;
    FitPoint points[80];
    Fit fit;
    fit_points(&fit, points, make_points(&(TruePower){300, 0, 0.3, 0}, points, 40, 1e9, 1e15, 0, 0), FIT_LOSS_MSE, 30);
    assert_near(value_of(&fit, "alpha"), 0.3, 1e-3);
    assert_true(fit_parameter(&fit, "b")->at_bound && fit_parameter(&fit, "E_inf")->at_bound);
    assert_true(isnan(fit_parameter(&fit, "b")->estimate.lo) && isnan(fit_parameter(&fit, "E_inf")->estimate.hi));
    assert_true(isfinite(fit_parameter(&fit, "alpha")->estimate.lo));
    assert_true(law_warned(&fit.warnings, "at_bound"));
    assert_true(isfinite(fit.condition));
    fit_deinit(&fit);
    /* Between two bends the local exponent is small, and a law without them has it everywhere. */
    fit_points(&fit, points, make_points(&(TruePower){1.1, 0, 0.01, 0}, points, 40, 1e9, 1e15, 0, 0), FIT_LOSS_HUBER, 0);
    assert_true(law_warned(&fit.warnings, "at_bound"));
    fit_deinit(&fit);
}

static void refuse(const char *code, const FitPoint *points, size_t count) {
    const FitOptions options = options_with(FIT_LOSS_HUBER, 0);
    Fit fit;
    Error error;
    assert_int_equal(fit_make(&fit, FIT_POWER, points, count, &options, &error), FIT_REFUSED);
    assert_string_equal(fit.refusal, code);
    assert_non_null(strstr(error.text, "run more amounts of compute"));
    fit_deinit(&fit);
}

static void test_refuses_and_warns(void **state) {
    (void)state;
    const TruePower law = {2000, 3e10, 0.35, 0.08};
    FitPoint points[80];
    Fit fit;
    refuse("few_winners", points, make_points(&law, points, 4, 1e9, 1e14, 0, 0));
    size_t count = make_points(&law, points, 40, 1e9, 1e14, 0, 0);
    for (size_t i = 0; i < count; i++) {
        points[i].loss = 2 - points[i].loss;
    }
    refuse("few_winners", points, count);
    fit_points(&fit, points, make_points(&law, points, 6, 1e10, 6e10, 0, 0), FIT_LOSS_HUBER, 0);
    assert_true(law_warned(&fit.warnings, "few_winners") && law_warned(&fit.warnings, "short_extent"));
    assert_false(law_warned(&fit.warnings, "poor_fit"));
    fit_deinit(&fit);
    /* Cliffs are no power law. */
    count = make_points(&law, points, 40, 1e9, 1e14, 0, 0);
    for (size_t i = 0; i < count; i++) {
        points[i].loss = pow(0.1, (double)(i / 16)) * (1 - 0.001 * (double)i);
    }
    fit_points(&fit, points, count, FIT_LOSS_MSE, 0);
    assert_true(law_warned(&fit.warnings, "poor_fit"));
    assert_false(law_warned(&fit.warnings, "few_winners") || law_warned(&fit.warnings, "short_extent"));
    fit_deinit(&fit);
}

/* Five noisy points hardly hold four unknowns: now and then nearly every start ends in a minimum of its own. */
static void test_warns_when_starts_disagree(void **state) {
    (void)state;
    const TruePower law = {2000, 3e10, 0.35, 0.08};
    FitPoint points[10];
    int disagreed = 0, agreed = 0;
    for (uint64_t seed = 60; seed < 120; seed++) {
        size_t count = make_points(&law, points, 5, 1e9, 1e15, 0.27, seed);
        for (size_t i = 2; i < count; i++) {
            points[i].loss = fmin(points[i].loss, 0.999 * points[i - 2].loss);
        }
        const FitOptions options = options_with(FIT_LOSS_HUBER, 0);
        Fit fit;
        int result = fit_make(&fit, FIT_POWER, points, count, &options, NULL);
        if (result == FIT_REFUSED) {
            assert_string_equal(fit.refusal, "no_power_law");
            fit_deinit(&fit);
            continue;
        }
        assert_int_equal(result, 0);
        bool few = fit.starts_at_optimum * 20 < fit.starts_tried;
        assert_true(law_warned(&fit.warnings, "starts_disagree") == few);
        disagreed += few;
        agreed += !few;
        fit_deinit(&fit);
    }
    assert_true(disagreed > 0 && agreed > disagreed);
}

static void test_starts_fail_where_nothing_is_finite(void **state) {
    (void)state;
    FitPoint points[80];
    size_t count = make_points(&(TruePower){2000, 3e10, 0.35, 0.08}, points, 40, 1e9, 1e14, 0.01, 0);
    for (size_t i = 0; i < count; i++) {
        points[i].weight = 1e308;
    }
    const FitOptions options = options_with(FIT_LOSS_HUBER, 0);
    Fit fit;
    Error error;
    assert_int_equal(fit_make(&fit, FIT_POWER, points, count, &options, &error), FIT_REFUSED);
    assert_string_equal(fit.refusal, "starts_failed");
    assert_non_null(strstr(error.text, "weights"));
}

static void test_seeds_are_averaged(void **state) {
    (void)state;
    const TruePower law = {2000, 3e10, 0.35, 0.08};
    FitPoint points[160];
    size_t count = make_points(&law, points, 40, 1e9, 1e14, 0, 0);
    memcpy(points + count, points, count * sizeof *points);
    for (size_t i = 0; i < count; i++) {
        points[i].loss *= 0.97;
        points[count + i].loss *= 1.03;
    }
    Fit fit;
    fit_points(&fit, points, 2 * count, FIT_LOSS_HUBER, 0);
    assert_near(value_of(&fit, "alpha"), law.alpha, 1e-5);
    assert_near(value_of(&fit, "E_inf"), law.E_inf, 1e-4);
    assert_int_equal(fit.points, 40);
    fit_deinit(&fit);
}

static void test_bootstrap(void **state) {
    (void)state;
    const TruePower law = {2000, 3e10, 0.35, 0.08};
    FitPoint points[120];
    size_t count = make_points(&law, points, 60, 1e9, 1e15, 0.01, 3);
    FitOptions options = options_with(FIT_LOSS_MSE, 60);
    Fit one, two;
    assert_int_equal(fit_make(&one, FIT_POWER, points, count, &options, NULL), 0);
    options.threads = 3;
    assert_int_equal(fit_make(&two, FIT_POWER, points, count, &options, NULL), 0);
    assert_int_equal(one.cloud_columns, 4);
    assert_string_equal(fit_cloud_column(&one, 3), "E_inf");
    assert_memory_equal(one.cloud, two.cloud, one.cloud_count * one.cloud_columns * sizeof *one.cloud);
    FitEstimate alpha = fit_parameter(&one, "alpha")->estimate;
    assert_true(alpha.lo < law.alpha && law.alpha < alpha.hi && alpha.hi - alpha.lo < 0.2);
    fit_deinit(&one);
    fit_deinit(&two);
}

/* 100,000 runs, each lower than all before. */
static void test_large_tables_are_bounded(void **state) {
    (void)state;
    const TruePower law = {2000, 3e10, 0.35, 0.08};
    FitPoint *points = calloc(100000, sizeof *points);
    assert_non_null(points);
    size_t count = make_points(&law, points, 50000, 1e9, 1e15, 0, 0);
    Fit fit;
    fit_points(&fit, points, count, FIT_LOSS_HUBER, 20);
    assert_true(fit.points > 250 && fit.points <= 300);
    assert_near(value_of(&fit, "alpha"), law.alpha, 1e-4);
    fit_deinit(&fit);
    free(points);
}

/* Losses that fall faster and faster: once alpha = 2e13, b = 2e22 and a = inf, at exit code 0. */
static void test_refuses_what_does_not_level_off(void **state) {
    (void)state;
    static const double losses[] = {0.9, 0.85, 0.8, 0.7, 0.55, 0.3};
    enum { COUNT = sizeof losses / sizeof *losses };
    FitPoint points[COUNT];
    for (int i = 0; i < COUNT; i++) {
        points[i] = (FitPoint){1, 1, 1e8 * (i + 1), losses[i], 0, i};
    }
    for (FitLoss loss = 0; loss < FIT_LOSSES; loss++) {
        const FitOptions options = options_with(loss, 0);
        Fit fit;
        Error error = {0};
        assert_int_equal(fit_make(&fit, FIT_POWER, points, COUNT, &options, &error), FIT_REFUSED);
        assert_string_equal(fit.refusal, "no_power_law");
        assert_non_null(strstr(error.text, "the losses do not level off like a power law"));
        fit_deinit(&fit);
    }
}

/* However the losses run, a fit is refused or finite, and so is what it predicts. */
static void test_any_losses_give_numbers_or_a_refusal(void **state) {
    (void)state;
    enum { COUNT = 12 };
    const FitOptions options = options_with(FIT_LOSS_HUBER, 0);
    Rng rng;
    rng_init(&rng, 3, 3);
    for (int trial = 0; trial < 60; trial++) {
        FitPoint points[COUNT];
        double loss = 1, step = pow(10, 1 - 3 * rng_uniform(&rng));
        for (int i = 0; i < COUNT; i++) {
            loss *= 1 - step * rng_uniform(&rng) / (1 + step);
            points[i] = (FitPoint){1, 1, 1e9 * pow(1 + step, i), loss, 0, i};
        }
        Fit fit;
        int result = fit_make(&fit, FIT_POWER, points, COUNT, &options, NULL);
        assert_true(result == 0 || result == FIT_REFUSED);
        for (size_t i = 0; i < fit.parameter_count; i++) {
            assert_true(isfinite(fit.parameters[i].estimate.value));
        }
        for (double flops = 1; result == 0 && flops < 1e30; flops *= 1e5) {
            FitPrediction prediction;
            assert_int_equal(fit_predict(&prediction, &fit, flops, 0.95, NULL), 0);
            assert_true(isfinite(prediction.loss.value));
        }
        fit_deinit(&fit);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_majorant),
        cmocka_unit_test(test_known_laws),
        cmocka_unit_test(test_winners),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_refuses_and_warns),
        cmocka_unit_test(test_refuses_what_does_not_level_off),
        cmocka_unit_test(test_any_losses_give_numbers_or_a_refusal),
        cmocka_unit_test(test_warns_when_starts_disagree),
        cmocka_unit_test(test_starts_fail_where_nothing_is_finite),
        cmocka_unit_test(test_seeds_are_averaged),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_large_tables_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
