#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "double_network.h"
#include "dropout.h"
#include "sweepd/model.h"

static const float smoothing = 0.1F;

static Model *model_make(const Architecture *arch, int64_t batch, BackendKind backend) {
    Error error;
    Model *model;
    Rng rng;
    assert_int_equal(model_new(&model, arch, batch, backend, &error), 0);
    model_init_weights(model, 3);
    /* Norms away from 1 and 0, where a wrong factor could hide. */
    rng_init(&rng, 4, 0);
    for (size_t i = 0; i < model_parameter_count(model); i++) {
        model_parameters(model)[i] += (float)(0.2 * rng_normal(&rng));
    }
    return model;
}

static void batch_make(const Architecture *arch, int64_t batch, float **x, uint16_t **labels) {
    Rng rng;
    rng_init(&rng, 5, 0);
    *x = malloc((size_t)(batch * arch->inputs) * sizeof **x);
    *labels = malloc((size_t)batch * sizeof **labels);
    assert_true(*x != NULL && *labels != NULL);
    for (int64_t i = 0; i < batch * arch->inputs; i++) {
        (*x)[i] = (float)rng_normal(&rng);
    }
    for (int64_t i = 0; i < batch; i++) {
        (*labels)[i] = (uint16_t)rng_below(&rng, (uint64_t)arch->classes);
    }
}

static double norm_of(const float *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sqrt(sum);
}

/* ---- against central differences of the network in double precision ---- */

static void assert_tensor_differences(Model *model, const Tensor *tensor, double *parameters, const float *x, const float *masks,
                                      const uint16_t *labels, int64_t batch) {
    const double step = 1e-5;
    int64_t count = tensor->rows * tensor->columns;
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double *parameter = &parameters[tensor->data - model_parameters(model) + i], kept = *parameter;
        *parameter = kept + step;
        double above = double_network_loss(model_architecture(model), parameters, x, masks, labels, batch, (double)smoothing);
        *parameter = kept - step;
        double below = double_network_loss(model_architecture(model), parameters, x, masks, labels, batch, (double)smoothing);
        *parameter = kept;
        double slope = (above - below) / (2 * step);
        largest = fmax(largest, fabs(slope));
        worst = fmax(worst, fabs(slope - (double)tensor->gradient[i]));
    }
    assert_true(largest > 0);
    if (!(worst < 3e-6 * largest + 1e-7)) {
        fail_msg("%s: a gradient is off by %g of %g", tensor->name, worst, largest);
    }
}

/* The factors that dropout multiplies by, all of them; NULL when nothing is dropped. */
static float *masks_make(const Architecture *arch, int64_t batch, uint64_t seed, int64_t step) {
    const Dropout dropout = {arch->dropout, seed, step};
    const int64_t hidden = double_network_hidden(arch), size = batch * hidden;
    if (arch->dropout == 0) {
        return NULL;
    }
    float *masks = malloc((size_t)(arch->depth * size) * sizeof *masks);
    assert_non_null(masks);
    for (int64_t i = 0; i < arch->depth * size; i++) {
        masks[i] = 1;
    }
    for (int64_t block = 0; block < arch->depth; block++) {
        dropout_apply(&dropout, block, batch, hidden, OPERAND_FLOAT, masks + block * size);
    }
    return masks;
}

static void assert_differences(const Architecture *arch, int64_t batch, BackendKind backend) {
    Model *model = model_make(arch, batch, backend);
    size_t count = model_parameter_count(model);
    double *parameters = malloc(count * sizeof *parameters);
    float *x;
    uint16_t *labels;
    assert_non_null(parameters);
    for (size_t i = 0; i < count; i++) {
        parameters[i] = (double)model_parameters(model)[i];
    }
    batch_make(arch, batch, &x, &labels);
    float *masks = masks_make(arch, batch, 8, 21);
    model_set_step(model, 8, 21);
    double loss = (double)model_train_step(model, x, labels, batch, smoothing);
    double expected = double_network_loss(arch, parameters, x, masks, labels, batch, (double)smoothing);
    assert_true(fabs(loss - expected) < 1e-6 * expected);
    for (size_t i = 0; i < model_tensor_count(model); i++) {
        assert_tensor_differences(model, model_tensor(model, i), parameters, x, masks, labels, batch);
    }
    free(parameters);
    free(masks);
    free(x);
    free(labels);
    model_free(model);
}

static const Architecture small[] = {
    {MODEL_BMLP, SMLP_TEXT, 7, 5, 2, 6, 3, 0},   {MODEL_BMLP, SMLP_TEXT, 3, 2, 1, 16, 1, 0},   {MODEL_SMLP, SMLP_TEXT, 7, 5, 3, 6, 0, 0},
    {MODEL_SMLP, SMLP_TEXT, 4, 17, 1, 18, 0, 0}, {MODEL_SMLP, SMLP_CODE, 7, 5, 3, 6, 0, 0},    {MODEL_SMLP, SMLP_CODE, 4, 17, 1, 18, 0, 0},
    {MODEL_BMLP, SMLP_TEXT, 7, 5, 2, 6, 3, 0.3}, {MODEL_SMLP, SMLP_TEXT, 7, 5, 3, 12, 0, 0.3}, {MODEL_SMLP, SMLP_CODE, 7, 5, 3, 12, 0, 0.3},
};

static void test_differences_openblas(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        assert_differences(&small[i], 5, BACKEND_OPENBLAS);
    }
}

static void test_differences_naive(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        assert_differences(&small[i], 5, BACKEND_NAIVE);
    }
}

/* ---- the fast way against the naive reference, at sizes where vectors, blocks and remainders all occur ---- */

static void assert_tensors_agree(const Tensor *fast, const Tensor *naive, double tolerance) {
    int64_t count = fast->rows * fast->columns;
    float *difference = malloc((size_t)count * sizeof *difference);
    assert_non_null(difference);
    for (int64_t i = 0; i < count; i++) {
        difference[i] = fast->gradient[i] - naive->gradient[i];
    }
    double size = norm_of(naive->gradient, count), distance = norm_of(difference, count);
    free(difference);
    assert_string_equal(fast->name, naive->name);
    assert_true(size > 0);
    if (!(distance < tolerance * size)) {
        fail_msg("%s: the gradients differ by %g of their size", fast->name, distance / size);
    }
}

static void assert_backends_agree(const Architecture *arch, int64_t batch, BackendKind backend, double tolerance) {
    Model *fast = model_make(arch, batch, backend), *naive = model_make(arch, batch, BACKEND_NAIVE);
    float *x;
    uint16_t *labels;
    batch_make(arch, batch, &x, &labels);
    float fast_loss = model_train_step(fast, x, labels, batch, smoothing),
          naive_loss = model_train_step(naive, x, labels, batch, smoothing);
    assert_true(fabs((double)fast_loss - (double)naive_loss) < tolerance * (double)naive_loss);
    for (size_t i = 0; i < model_tensor_count(fast); i++) {
        assert_tensors_agree(model_tensor(fast, i), model_tensor(naive, i), tolerance);
    }
    free(x);
    free(labels);
    model_free(fast);
    model_free(naive);
}

static void test_backends_agree(void **state) {
    (void)state;
    const Architecture large[] = {
        {MODEL_BMLP, SMLP_TEXT, 50, 10, 2, 32, 4, 0},    {MODEL_BMLP, SMLP_TEXT, 61, 33, 2, 37, 4, 0},
        {MODEL_SMLP, SMLP_TEXT, 61, 33, 3, 37, 0, 0},    {MODEL_SMLP, SMLP_CODE, 61, 33, 3, 37, 0, 0},
        {MODEL_BMLP, SMLP_TEXT, 61, 33, 2, 37, 4, 0.25}, {MODEL_SMLP, SMLP_TEXT, 61, 33, 3, 37, 0, 0.25},
        {MODEL_SMLP, SMLP_CODE, 61, 33, 3, 37, 0, 0.25},
    };
    for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
        assert_backends_agree(&large[i], 45, BACKEND_OPENBLAS, 5e-6);
        if (backend_available(BACKEND_ONEDNN)) {
            assert_backends_agree(&large[i], 45, BACKEND_ONEDNN, 5e-6);
        }
        if (backend_available(BACKEND_ONEDNN_BF16)) {
            /* An operand is off by 2^-9 of itself at most; but where that carries it across a relu's corner, all of a gradient goes. */
            bool has_relu = large[i].kind == MODEL_SMLP && large[i].form == SMLP_TEXT;
            assert_backends_agree(&large[i], 45, BACKEND_ONEDNN_BF16, has_relu ? 0.2 : 0.03);
        }
    }
}

/* ---- what is dropped ---- */

enum { ROWS = 200, COLUMNS = 300 };

static void dropped_make(double share, uint64_t seed, int64_t step, int64_t block, float out[ROWS * COLUMNS]) {
    const Dropout dropout = {share, seed, step};
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        out[i] = 1;
    }
    dropout_apply(&dropout, block, ROWS, COLUMNS, OPERAND_FLOAT, out);
}

/* The share of the places in which both or neither are dropped. */
static double agreement(const float *a, const float *b, int64_t count) {
    int64_t same = 0;
    for (int64_t i = 0; i < count; i++) {
        same += (a[i] == 0) == (b[i] == 0);
    }
    return (double)same / (double)count;
}

/* Within five standard deviations, over all places and along each row; what stays is divided by what is kept. */
static void test_share_that_is_dropped(void **state) {
    (void)state;
    static const double shares[] = {0.01, 0.2, 0.5, 0.9};
    static float values[ROWS * COLUMNS];
    for (size_t k = 0; k < sizeof shares / sizeof shares[0]; k++) {
        const double share = shares[k], variance = share * (1 - share);
        int64_t all = 0;
        dropped_make(share, 1, 2, 3, values);
        for (int i = 0; i < ROWS; i++) {
            int64_t dropped = 0;
            for (int j = 0; j < COLUMNS; j++) {
                float value = values[i * COLUMNS + j];
                assert_true(value == 0 || fabs((double)value - 1 / (1 - share)) < 1e-6);
                dropped += value == 0;
            }
            assert_true(fabs((double)dropped - share * COLUMNS) < 5 * sqrt(variance * COLUMNS) + 1);
            all += dropped;
        }
        assert_true(fabs((double)all - share * ROWS * COLUMNS) < 5 * sqrt(variance * ROWS * COLUMNS));
    }
}

/* Another seed, step, block or row: other places, of which by chance half agree. */
static void test_places_that_are_dropped(void **state) {
    (void)state;
    static float first[ROWS * COLUMNS], other[ROWS * COLUMNS];
    static const struct {
        uint64_t seed;
        int64_t step, block;
    } others[] = {{2, 2, 3}, {1, 3, 3}, {1, 2, 4}, {2, 1, 3}, {1, 3, 2}};
    const double deviation = 0.5 / sqrt(ROWS * COLUMNS);
    dropped_make(0.5, 1, 2, 3, first);
    dropped_make(0.5, 1, 2, 3, other);
    assert_memory_equal(first, other, sizeof first);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        dropped_make(0.5, others[i].seed, others[i].step, others[i].block, other);
        assert_true(fabs(agreement(first, other, ROWS * COLUMNS) - 0.5) < 5 * deviation);
    }
    assert_true(fabs(agreement(first, first + COLUMNS, (ROWS - 1) * COLUMNS) - 0.5) < 5 * deviation);
}

/* Training steps drop, what comes between does not: its outputs are those of the same weights without dropout, bit for bit. */
static void test_evaluation_drops_nothing(void **state) {
    (void)state;
    enum { BATCH = 9 };
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        Architecture with = small[i], without = small[i];
        float *x;
        uint16_t *labels;
        with.dropout = 0.5;
        without.dropout = 0;
        Model *dropping = model_make(&with, BATCH, BACKEND_OPENBLAS), *plain = model_make(&without, BATCH, BACKEND_OPENBLAS);
        const size_t size = (size_t)(BATCH * with.classes) * sizeof(float);
        batch_make(&with, BATCH, &x, &labels);
        model_set_step(dropping, 3, 4);
        assert_true(model_train_step(dropping, x, labels, BATCH, 0) != model_train_step(plain, x, labels, BATCH, 0));
        assert_memory_equal(model_forward(dropping, x, BATCH), model_forward(plain, x, BATCH), size);
        double losses[2] = {0};
        int64_t errors[2] = {0};
        model_evaluate(dropping, x, labels, BATCH, &losses[0], &errors[0]);
        model_evaluate(plain, x, labels, BATCH, &losses[1], &errors[1]);
        assert_true(losses[0] == losses[1] && errors[0] == errors[1]);
        free(x);
        free(labels);
        model_free(dropping);
        model_free(plain);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences_openblas),    cmocka_unit_test(test_differences_naive),
        cmocka_unit_test(test_backends_agree),          cmocka_unit_test(test_share_that_is_dropped),
        cmocka_unit_test(test_places_that_are_dropped), cmocka_unit_test(test_evaluation_drops_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
