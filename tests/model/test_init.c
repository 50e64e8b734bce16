/* Initial weights: each tensor fills U(-b, b), b = 1 / sqrt(fan_in), a bias with its weight's fan_in, from a random stream of its own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sweepd/model.h"

/* Sides that differ, and biases long enough to come near their bounds. */
static const Architecture archs[] = {
    {MODEL_BMLP, SMLP_TEXT, 400, 300, 2, 500, 2, 0},
    {MODEL_SMLP, SMLP_TEXT, 400, 300, 2, 500, 0, 0},
};
enum { ARCHS = sizeof archs / sizeof archs[0], TENSORS_MAX = 32, DRAWS = 8 };

static Model *model_make(const Architecture *arch) {
    Error error;
    Model *model;
    assert_int_equal(model_new(&model, arch, 1, BACKEND_OPENBLAS, &error), 0);
    model_init_weights(model, 5);
    return model;
}

static double bound_of(Model *model, size_t tensor) {
    return 1 / sqrt((double)model_tensor(model, tensor / 2 * 2)->columns);
}

static bool is_norm(Model *model, size_t tensor) {
    return strstr(model_tensor(model, tensor)->name, ".ln.") != NULL;
}

static void test_bounds(void **state) {
    (void)state;
    for (size_t i = 0; i < ARCHS; i++) {
        Model *model = model_make(&archs[i]);
        for (size_t t = 0; t < model_tensor_count(model); t++) {
            const Tensor *tensor = model_tensor(model, t);
            int64_t count = tensor->rows * tensor->columns;
            double bound = bound_of(model, t), least = INFINITY, most = -INFINITY, square = 0;
            for (int64_t j = 0; j < count && !is_norm(model, t); j++) {
                least = fmin(least, (double)tensor->data[j] / bound);
                most = fmax(most, (double)tensor->data[j] / bound);
                square += (double)tensor->data[j] * (double)tensor->data[j] / (bound * bound * (double)count);
            }
            if (!is_norm(model, t)) {
                assert_true(least >= -1.000001 && least < -0.97 && most <= 1.000001 && most > 0.97);
                assert_true(fabs(sqrt(3 * square) - 1) < 0.1);
            }
        }
        model_free(model);
    }
}

/* No two tensors hold the same draws, whatever their bounds. */
static void test_streams(void **state) {
    (void)state;
    for (size_t i = 0; i < ARCHS; i++) {
        Model *model = model_make(&archs[i]);
        size_t count = model_tensor_count(model);
        assert_true(count <= TENSORS_MAX);
        for (size_t a = 0; a < count; a++) {
            for (size_t b = 0; b < a; b++) {
                int same = 0;
                for (size_t j = 0; j < DRAWS; j++) {
                    double first = (double)model_tensor(model, a)->data[j] / bound_of(model, a);
                    double second = (double)model_tensor(model, b)->data[j] / bound_of(model, b);
                    same += fabs(first - second) < 1e-5;
                }
                assert_true(same == 0 || (is_norm(model, a) && is_norm(model, b)));
            }
        }
        model_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounds), cmocka_unit_test(test_streams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
