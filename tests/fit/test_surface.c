/* The objective: against a second, direct implementation, and its derivatives against finite differences. */
#include "known_law.h"
#include "surface.h"

static const TrueLaw HOFFMANN = {1.69, 406.4, 410.7, 0.34, 0.28};
enum { COUNT = 36 };

static void make_surface(Surface *surface, FitPoint *points, double noise) {
    size_t count = law_grid(&HOFFMANN, points, 6, (double[]){1e7, 1e10}, 6, (double[]){1e8, 1e11}, noise, 3);
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < count; i++) {
        points[i].weight = 1;
    }
    assert_int_equal(surface_init(surface, points, count, FIT_LOSS_HUBER, NULL), 0);
}

/* Hoffmann et al., equation 3, as it is printed: no centring, no stabilised sums. */
static double direct_objective(const FitPoint *points, const Law *law, const double *weights) {
    double sum = 0;
    for (size_t i = 0; i < COUNT; i++) {
        double predicted =
            log(exp(law->a - law->alpha * log(points[i].params)) + exp(law->b - law->beta * log(points[i].examples)) + exp(law->e));
        double residual = predicted - log(points[i].loss);
        double huber = fabs(residual) <= 1e-3 ? residual * residual / 2 : 1e-3 * (fabs(residual) - 0.5e-3);
        sum += (weights == NULL ? 1 : weights[i]) * huber;
    }
    return sum;
}

static void test_sum_matches_direct(void **state) {
    (void)state;
    FitPoint points[COUNT];
    Surface surface;
    make_surface(&surface, points, 0.002);
    const Law laws[] = {{5, 5, 0.5, 0.3, 0.3}, {0, 0, 0, 0, 0}, {25, 20, -1, 2, 1.5}, {log(406.4), log(410.7), log(1.69), 0.34, 0.28}};
    for (size_t i = 0; i < 4; i++) {
        double variables[SURFACE_PADDED];
        surface_from_law(&surface, &laws[i], variables);
        double sum = surface_evaluate(&surface, variables, NULL, NULL, NULL) * HUBER_DELTA * HUBER_DELTA;
        assert_near(sum, direct_objective(points, &laws[i], NULL), 1e-9);
        Law back = surface_to_law(&surface, variables);
        assert_near(back.a + 30, laws[i].a + 30, 1e-12);
        assert_near(back.beta + 30, laws[i].beta + 30, 1e-12);
    }
    surface_deinit(&surface);
}

/* A resample is the same sum with each point as often as its configuration was drawn. */
static void test_weights_count_points(void **state) {
    (void)state;
    FitPoint points[COUNT];
    double weights[COUNT], drawn[COUNT];
    law_grid(&HOFFMANN, points, 6, (double[]){1e7, 1e10}, 6, (double[]){1e8, 1e11}, 0.01, 5);
    for (size_t i = 0; i < COUNT; i++) {
        drawn[i] = (double)(i % 4);
        points[i].weight = 0.5 + (double)(i % 3);
        weights[i] = drawn[i] * points[i].weight;
    }
    Surface all, surface;
    FitGroups groups;
    assert_int_equal(surface_init(&all, points, COUNT, FIT_LOSS_HUBER, NULL), 0);
    assert_int_equal(fit_groups_init(&groups, points, COUNT, NULL), 0);
    void *memory = aligned_alloc(64, surface_size(&all));
    surface_resample(&surface, &all, &groups, drawn, memory);
    assert_int_equal(surface.count, 32); /* 27, in whole vectors */
    Law law = {5.5, 6, 0.4, 0.31, 0.3};
    double variables[SURFACE_PADDED];
    surface_from_law(&surface, &law, variables);
    double sum = surface_evaluate(&surface, variables, NULL, NULL, NULL) * HUBER_DELTA * HUBER_DELTA;
    assert_near(sum, direct_objective(points, &law, weights), 1e-9);
    surface_deinit(&surface);
    surface_deinit(&all);
    fit_groups_deinit(&groups);
    free(memory);
}

static void check_derivatives(FitLoss loss, double noise, const Law *law) {
    FitPoint points[COUNT];
    Surface surface;
    assert_int_equal(law_grid(&HOFFMANN, points, 6, (double[]){1e7, 1e10}, 6, (double[]){1e8, 1e11}, noise, 3), COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        points[i].weight = 1 + 0.25 * (double)(i % 5);
    }
    assert_int_equal(surface_init(&surface, points, COUNT, loss, NULL), 0);
    double variables[SURFACE_PADDED], gradient[SURFACE_PADDED];
    double hessian[SURFACE_VARIABLES][SURFACE_VARIABLES], majorant[SURFACE_VARIABLES][SURFACE_VARIABLES];
    surface_from_law(&surface, law, variables);
    double value = surface_evaluate(&surface, variables, gradient, hessian, majorant), step = 1e-8;
    assert_near(surface_evaluate(&surface, variables, NULL, NULL, NULL), value, 1e-12);
    for (int j = 0; j < SURFACE_VARIABLES; j++) {
        double there[SURFACE_PADDED], up[SURFACE_PADDED], down[SURFACE_PADDED];
        memcpy(there, variables, sizeof there);
        there[j] += step;
        double high = surface_evaluate(&surface, there, up, NULL, NULL);
        there[j] -= 2 * step;
        double low = surface_evaluate(&surface, there, down, NULL, NULL);
        assert_true(fabs((high - low) / (2 * step) - gradient[j]) < 1e-5 * (fabs(gradient[j]) + value));
        for (int k = j; k < SURFACE_VARIABLES; k++) {
            assert_true(fabs((up[k] - down[k]) / (2 * step) - hessian[k][j]) < 1e-5 * (fabs(majorant[k][k]) + fabs(majorant[j][j])));
        }
    }
    surface_deinit(&surface);
}

/* Noise of the order of the Huber zone, so that points lie on both sides of its edge. */
static void test_derivatives(void **state) {
    (void)state;
    const Law laws[] = {{log(406.4), log(410.7), log(1.69), 0.34, 0.28}, {5, 5, 0.5, 0.3, 0.3}};
    for (int loss = 0; loss < FIT_LOSSES; loss++) {
        check_derivatives((FitLoss)loss, 0.001, &laws[0]);
        check_derivatives((FitLoss)loss, 0.001, &laws[1]);
    }
}

/* Each loss as docs/fits.md words it, with libm. */
static void test_losses(void **state) {
    (void)state;
    FitPoint points[COUNT];
    law_grid(&HOFFMANN, points, 6, (double[]){1e7, 1e10}, 6, (double[]){1e8, 1e11}, 0.002, 3);
    const Law law = {5.9, 6.1, 0.52, 0.335, 0.285};
    double expected[FIT_LOSSES] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        points[i].weight = 1;
        double predicted = exp(law.a) * pow(points[i].params, -law.alpha) + exp(law.b) * pow(points[i].examples, -law.beta) + exp(law.e);
        double r = log(predicted / points[i].loss), huber = fabs(r) <= 1e-3 ? r * r / 2 : 1e-3 * (fabs(r) - 0.5e-3);
        expected[FIT_LOSS_HUBER] += huber;
        expected[FIT_LOSS_MSE] += r * r / 2;
        expected[FIT_LOSS_ASYMMETRIC] += (r > 0 ? FIT_ASYMMETRY : 1) * huber;
    }
    for (int loss = 0; loss < FIT_LOSSES; loss++) {
        Surface surface;
        double variables[SURFACE_PADDED];
        assert_int_equal(surface_init(&surface, points, COUNT, (FitLoss)loss, NULL), 0);
        surface_from_law(&surface, &law, variables);
        assert_near(surface_evaluate(&surface, variables, NULL, NULL, NULL) * HUBER_DELTA * HUBER_DELTA, expected[loss], 1e-9);
        surface_deinit(&surface);
    }
}

/* One result for every vector extension of this machine, but for rounding. */
static void test_extensions_agree(void **state) {
    (void)state;
    FitPoint points[COUNT];
    Surface surface;
    make_surface(&surface, points, 0.002);
    const Law laws[] = {{5, 5, 0.5, 0.3, 0.3}, {25, 0, -1, 0, 2}, {0, 25, 1, 2, 0}};
    for (size_t i = 0; i < 3; i++) {
        double variables[SURFACE_PADDED];
        SurfaceSums first, other;
        surface_from_law(&surface, &laws[i], variables);
        surface_kernels(0)->evaluate(&surface, variables, true, &first);
        for (size_t level = 1; level <= VECTOR_AVX512 && surface_kernels(level) != NULL; level++) {
            surface_kernels(level)->evaluate(&surface, variables, true, &other);
            assert_near(other.value, first.value, 1e-12);
            for (int k = 0; k < SURFACE_VARIABLES; k++) {
                assert_true(fabs(other.gradient[k] - first.gradient[k]) <= 1e-9 * first.value);
            }
        }
    }
    assert_null(surface_kernels(VECTOR_AVX512 + 1));
    surface_deinit(&surface);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_matches_direct), cmocka_unit_test(test_weights_count_points),
        cmocka_unit_test(test_derivatives),        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_extensions_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
