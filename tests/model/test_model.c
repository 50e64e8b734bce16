#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sweepd/model.h"

enum { BATCH = 23, INPUTS = 29, CLASSES = 11 };

static const Architecture archs[] = {
    {MODEL_BMLP, SMLP_TEXT, INPUTS, CLASSES, 3, 13, 4, 0}, {MODEL_BMLP, SMLP_TEXT, INPUTS, CLASSES, 1, 1, 1, 0},
    {MODEL_BMLP, SMLP_TEXT, INPUTS, CLASSES, 2, 16, 2, 0}, {MODEL_SMLP, SMLP_TEXT, INPUTS, CLASSES, 3, 13, 0, 0},
    {MODEL_SMLP, SMLP_CODE, INPUTS, CLASSES, 2, 17, 0, 0},
};
enum { ARCHS = sizeof archs / sizeof archs[0] };

static Model *model_make(const Architecture *arch, BackendKind backend) {
    Error error;
    Model *model;
    assert_int_equal(model_new(&model, arch, BATCH, backend, &error), 0);
    model_init_weights(model, 11);
    return model;
}

/* The batch of every test, and the backends that this machine has. */
static float x[BATCH * INPUTS];
static uint16_t labels[BATCH];
static BackendKind backends[BACKEND_ONEDNN_BF16 + 1];
static size_t backend_count;

static int set_up(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 7, 0);
    for (size_t i = 0; i < BATCH * INPUTS; i++) {
        x[i] = (float)rng_normal(&rng);
    }
    for (size_t i = 0; i < BATCH; i++) {
        labels[i] = (uint16_t)rng_below(&rng, CLASSES);
    }
    for (int kind = BACKEND_OPENBLAS; kind <= BACKEND_ONEDNN_BF16; kind++) {
        if (backend_available((BackendKind)kind)) {
            backends[backend_count++] = (BackendKind)kind;
        }
    }
    return 0;
}

/* What was counted at the products is what arch foretells, to the last flop, whatever the batch. */
static void test_gemm_counters(void **state) {
    (void)state;
    for (size_t i = 0; i < ARCHS; i++) {
        for (size_t b = 0; b < backend_count; b++) {
            Model *model = model_make(&archs[i], backends[b]);
            double loss = 0;
            int64_t errors = 0;
            model_train_step(model, x, labels, BATCH, 0.1F);
            assert_int_equal(model_gemm_flops(model), arch_step_gemm_flops(&archs[i], BATCH));
            model_train_step(model, x, labels, 6, 0.1F);
            assert_int_equal(model_gemm_flops(model), arch_step_gemm_flops(&archs[i], BATCH) + arch_step_gemm_flops(&archs[i], 6));
            assert_int_equal(model_gemm_flops_forward_only(model), 0);
            model_evaluate(model, x, labels, 5, &loss, &errors);
            model_forward(model, x, 1);
            assert_int_equal(model_gemm_flops_forward_only(model), arch_forward_gemm_flops(&archs[i], 6));
            assert_int_equal(model_gemm_flops(model), arch_step_gemm_flops(&archs[i], BATCH) + arch_step_gemm_flops(&archs[i], 6));
            model_free(model);
        }
    }
}

/* A head's step on features is the head's part of a whole step: the same loss, the same gradients, its own products counted. */
static void test_head_step(void **state) {
    (void)state;
    for (size_t i = 0; i < ARCHS; i++) {
        for (size_t b = 0; b < backend_count; b++) {
            Model *whole = model_make(&archs[i], backends[b]), *head = model_make(&archs[i], backends[b]);
            size_t count = (size_t)arch_head_params(&archs[i]), first = model_parameter_count(whole) - count;
            float loss = model_train_step(whole, x, labels, BATCH, 0.1F);
            model_forward_features(head, x, BATCH);
            assert_int_equal(model_gemm_flops(head), arch_features_gemm_flops(&archs[i], BATCH));
            size_t bytes = BATCH * model_feature_bytes(head);
            void *kept = malloc(bytes);
            assert_non_null(kept);
            memcpy(kept, model_features(head), bytes);
            model_forward_features(head, x, 3);
            memcpy(model_features(head), kept, bytes);
            free(kept);
            uint64_t before = model_gemm_flops(head);
            assert_true(model_train_head_step(head, labels, NULL, 1, BATCH, 0.1F) == loss);
            assert_int_equal(model_gemm_flops(head) - before, arch_head_step_gemm_flops(&archs[i], BATCH));
            assert_memory_equal(model_gradients(head) + first, model_gradients(whole) + first, count * sizeof(float));
            model_free(whole);
            model_free(head);
        }
    }
}

/* Evaluation, worked out again from the logits; the loss of a training step without smoothing is the same. */
static void test_evaluation(void **state) {
    (void)state;
    for (size_t i = 0; i < ARCHS; i++) {
        Model *model = model_make(&archs[i], BACKEND_OPENBLAS);
        double loss = 100, expected_loss = 100;
        int64_t errors = 1000, expected_errors = 1000;
        const float *logits = model_forward(model, x, BATCH);
        for (size_t r = 0; r < BATCH; r++) {
            const float *row = logits + r * CLASSES;
            double sum = 0;
            size_t predicted = 0;
            for (size_t j = 0; j < CLASSES; j++) {
                sum += exp((double)row[j]);
                predicted = row[j] > row[predicted] ? j : predicted;
            }
            expected_loss += log(sum) - (double)row[labels[r]];
            expected_errors += predicted != labels[r];
        }
        model_evaluate(model, x, labels, BATCH, &loss, &errors);
        assert_true(fabs(loss - expected_loss) < 1e-4);
        assert_int_equal(errors, expected_errors);
        assert_true(fabs((double)model_train_step(model, x, labels, BATCH, 0) - (expected_loss - 100) / BATCH) < 1e-5);
        model_free(model);
    }
}

/* The place of a label among the classes, likeliest first, of equals the first first. */
static size_t place_of(const float *row, size_t label) {
    size_t place = 0;
    for (size_t j = 0; j < CLASSES; j++) {
        place += row[j] > row[label] || (j < label && !(row[j] < row[label]));
    }
    return place;
}

static void test_top_errors(void **state) {
    (void)state;
    Model *model = model_make(&archs[0], BACKEND_OPENBLAS);
    for (int64_t top = 1; top <= CLASSES; top++) {
        double loss = 0;
        int64_t errors = 0, expected = 0;
        const float *logits = model_forward(model, x, BATCH);
        for (size_t i = 0; i < BATCH; i++) {
            expected += place_of(logits + i * CLASSES, labels[i]) >= (size_t)top;
        }
        model_evaluate(model, x, labels, BATCH, &loss, &errors);
        assert_int_equal(model_evaluated_beyond(model, labels, BATCH, top), expected);
        assert_true(top > 1 || errors == expected);
    }
    memset(model_parameters(model), 0, model_parameter_count(model) * sizeof(float));
    double loss = 0;
    int64_t errors = 0, later = 0;
    model_evaluate(model, x, labels, BATCH, &loss, &errors);
    for (size_t i = 0; i < BATCH; i++) {
        later += labels[i] >= 2;
    }
    assert_int_equal(model_evaluated_beyond(model, labels, BATCH, 2), later);
    model_parameters(model)[model_parameter_count(model) - 1] = NAN; /* the last class's bias */
    model_evaluate(model, x, labels, BATCH, &loss, &errors);
    later = 0;
    for (size_t i = 0; i < BATCH; i++) {
        later += labels[i] == CLASSES - 1 || labels[i] + 1 >= CLASSES - 1;
    }
    assert_int_equal(model_evaluated_beyond(model, labels, BATCH, CLASSES - 1), later);
    model_free(model);
}

static void assert_repeats(BackendKind backend) {
    for (size_t i = 0; i < ARCHS; i++) {
        Model *first = model_make(&archs[i], backend), *second = model_make(&archs[i], backend);
        size_t bytes = model_parameter_count(first) * sizeof(float);
        /* What a model did before leaves no trace. */
        model_train_step(second, x + 3 * INPUTS, labels + 3, 17, 0.3F);
        float loss = model_train_step(first, x, labels, BATCH, 0.1F), again = model_train_step(second, x, labels, BATCH, 0.1F);
        assert_memory_equal(&loss, &again, sizeof loss);
        assert_memory_equal(model_gradients(first), model_gradients(second), bytes);
        model_free(first);
        model_free(second);
    }
}

static void test_repeats_bit_for_bit(void **state) {
    (void)state;
    for (int threads = 1; threads <= 2; threads++) {
        backend_set_threads(threads);
        for (size_t b = 0; b < backend_count; b++) {
            assert_repeats(backends[b]);
        }
    }
    backend_set_threads(1);
}

/* Changed parameters reach bf16 products however they were changed, and a rounded copy that is said to be current is the one used. */
static void test_rounded_parameters(void **state) {
    (void)state;
    if (!backend_available(BACKEND_ONEDNN_BF16)) {
        skip();
    }
    Model *model = model_make(&archs[0], BACKEND_ONEDNN_BF16), *floats = model_make(&archs[0], BACKEND_OPENBLAS);
    assert_null(model_rounded_parameters(floats));
    float *weights = model_tensor(model, 0)->data, before = model_train_step(model, x, labels, BATCH, 0);
    model_rounded_is_current(model);
    weights[3] += 1;
    assert_true(model_train_step(model, x, labels, BATCH, 0) == before);
    model_parameters(model);
    assert_true(model_train_step(model, x, labels, BATCH, 0) != before);
    weights[3] -= 1;
    assert_true(model_train_step(model, x, labels, BATCH, 0) == before);
    model_free(model);
    model_free(floats);
}

/* What is in use after a step was in use after the first. (A sanitizer's allocator tells nothing here.) */
static void test_steps_do_not_allocate(void **state) {
    (void)state;
    for (size_t b = 0; b < backend_count; b++) {
        Model *model = model_make(&archs[0], backends[b]);
        model_train_step(model, x, labels, BATCH, 0.1F);
        struct mallinfo2 first = mallinfo2();
        for (int i = 0; i < 20; i++) {
            model_train_step(model, x, labels, BATCH, 0.1F);
        }
        struct mallinfo2 last = mallinfo2();
        assert_int_equal(last.uordblks, first.uordblks);
        assert_int_equal(last.hblkhd, first.hblkhd);
        model_free(model);
    }
}

/* The products of a step alone are counted as a step's. */
static void test_multiply_only(void **state) {
    (void)state;
    for (size_t i = 0; i < ARCHS; i++) {
        Model *model = model_make(&archs[i], BACKEND_OPENBLAS);
        float loss = model_train_step(model, x, labels, BATCH, 0);
        model_multiply_only(model, x, BATCH);
        assert_int_equal(model_gemm_flops(model), 2 * arch_step_gemm_flops(&archs[i], BATCH));
        assert_true(model_train_step(model, x, labels, BATCH, 0) == loss);
        model_free(model);
    }
}

static void assert_tensors(const Architecture *arch, const char *const *names, size_t count) {
    Model *model = model_make(arch, BACKEND_OPENBLAS);
    size_t at = 0;
    assert_int_equal(model_tensor_count(model), count);
    for (size_t i = 0; i < count; i++) {
        const Tensor *tensor = model_tensor(model, i);
        assert_string_equal(tensor->name, names[i]);
        assert_ptr_equal(tensor->data, model_parameters(model) + at);
        assert_ptr_equal(tensor->gradient, model_gradients(model) + at);
        at += (size_t)(tensor->rows * tensor->columns);
    }
    assert_int_equal(at, model_parameter_count(model));
    assert_int_equal(at, arch_params_total(arch));
    assert_true(model_bytes(model) > 2 * at * sizeof(float));
    model_free(model);
}

static void test_tensors(void **state) {
    (void)state;
    const char *const bmlp[] = {
        "in.weight",
        "in.bias",
        "blocks.0.ln.weight",
        "blocks.0.ln.bias",
        "blocks.0.expand.weight",
        "blocks.0.expand.bias",
        "blocks.0.contract.weight",
        "blocks.0.contract.bias",
        "blocks.1.ln.weight",
        "blocks.1.ln.bias",
        "blocks.1.expand.weight",
        "blocks.1.expand.bias",
        "blocks.1.contract.weight",
        "blocks.1.contract.bias",
        "head.weight",
        "head.bias",
    };
    const char *const smlp[] = {
        "in.weight",   "in.bias",  "blocks.0.ln.weight", "blocks.0.ln.bias", "blocks.0.linear.weight", "blocks.0.linear.bias",
        "head.weight", "head.bias"};
    assert_tensors(&(Architecture){MODEL_BMLP, SMLP_TEXT, 5, 3, 2, 4, 4, 0}, bmlp, sizeof bmlp / sizeof bmlp[0]);
    assert_tensors(&(Architecture){MODEL_SMLP, SMLP_CODE, 5, 3, 1, 4, 0, 0}, smlp, sizeof smlp / sizeof smlp[0]);
}

/* U(-b, b) with b = 1 / sqrt(fan_in) fills its range and has deviation b / sqrt 3; norms are 1 and 0; the seed decides. */
static void test_initial_weights(void **state) {
    (void)state;
    Error error;
    Model *model;
    Architecture arch = {MODEL_BMLP, SMLP_TEXT, 100, 10, 1, 64, 4, 0};
    assert_int_equal(model_new(&model, &arch, 1, BACKEND_OPENBLAS, &error), 0);
    model_init_weights(model, 1);
    for (size_t i = 0; i < model_tensor_count(model); i += 2) {
        const Tensor *weight = model_tensor(model, i), *bias = model_tensor(model, i + 1);
        if (weight->is_vector) {
            for (int64_t j = 0; j < weight->columns; j++) {
                assert_true(weight->data[j] == 1 && bias->data[j] == 0);
            }
            continue;
        }
        int64_t count = weight->rows * weight->columns;
        double bound = 1 / sqrt((double)weight->columns), square = 0, largest = 0;
        for (int64_t j = 0; j < count; j++) {
            square += (double)weight->data[j] * (double)weight->data[j] / (double)count;
            largest = fmax(largest, fabs((double)weight->data[j]));
        }
        assert_true(largest <= bound && largest > 0.98 * bound);
        assert_true(fabs(sqrt(3 * square) / bound - 1) < 0.06);
        for (int64_t j = 0; j < bias->columns; j++) {
            assert_true(fabs((double)bias->data[j]) <= bound && bias->data[j] != 0);
        }
    }
    float first = model_parameters(model)[0];
    model_init_weights(model, 2);
    assert_true(model_parameters(model)[0] != first);
    model_init_weights(model, 1);
    assert_true(model_parameters(model)[0] == first);
    model_free(model);
}

/* A weight or an input that is not finite shows in the loss. */
static void test_divergence_shows(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, 1e38F};
    for (size_t i = 0; i < ARCHS; i++) {
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            Model *model = model_make(&archs[i], BACKEND_OPENBLAS);
            for (size_t k = 0; k < model_parameter_count(model) && j == 2; k++) {
                model_parameters(model)[k] = bad[j];
            }
            float good = x[4 * INPUTS + 1];
            x[4 * INPUTS + 1] = bad[j];
            float loss = model_train_step(model, x, labels, BATCH, 0.1F);
            x[4 * INPUTS + 1] = good;
            assert_true(!isfinite(loss));
            model_free(model);
        }
    }
}

static void test_refusals(void **state) {
    (void)state;
    const Architecture refused[] = {
        {MODEL_BMLP, SMLP_TEXT, 784, 10, 0, 8, 4, 0},
        {MODEL_BMLP, SMLP_TEXT, 784, 65537, 1, 8, 4, 0},
        {MODEL_BMLP, SMLP_TEXT, 784, 10, 1, 8, 0, 0},
        {MODEL_BMLP, SMLP_TEXT, 784, 10, 1, 1LL << 40, 4, 0},
        {MODEL_SMLP, SMLP_TEXT, 784, 10, 1LL << 40, 1 << 20, 0, 0},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        Error error = {0};
        Model *model;
        assert_int_equal(model_new(&model, &refused[i], 4, BACKEND_OPENBLAS, &error), -1);
        assert_null(model);
        assert_true(strlen(error.text) > 0);
    }
    model_free(NULL);
}

static void test_backend_text(void **state) {
    (void)state;
    backend_set_threads(1);
    assert_memory_equal(backend_text(BACKEND_OPENBLAS), "openblas ", 9);
    assert_string_equal(backend_text(BACKEND_NAIVE), "naive reference");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_counters),
        cmocka_unit_test(test_head_step),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_top_errors),
        cmocka_unit_test(test_repeats_bit_for_bit),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_initial_weights),
        cmocka_unit_test(test_divergence_shows),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_backend_text),
        cmocka_unit_test(test_rounded_parameters),
        cmocka_unit_test(test_multiply_only),
        cmocka_unit_test(test_steps_do_not_allocate),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
