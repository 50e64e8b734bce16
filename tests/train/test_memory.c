/* What arch says of memory against what model and optim allocate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sweepd/model.h"
#include "sweepd/optim.h"

enum { CACHE_LINE = 64, GATHERED_BYTES = 6 /* of an example, beside its inputs: a label and an index */ };

static const Architecture shapes[] = {
    {MODEL_BMLP, SMLP_TEXT, 20, 5, 3, 16, 4, 0},   {MODEL_BMLP, SMLP_TEXT, 784, 10, 6, 64, 4, 0},
    {MODEL_BMLP, SMLP_TEXT, 7, 3, 1, 9, 1, 0},     {MODEL_SMLP, SMLP_TEXT, 20, 5, 3, 16, 0, 0},
    {MODEL_SMLP, SMLP_TEXT, 784, 10, 6, 64, 0, 0}, {MODEL_SMLP, SMLP_CODE, 20, 5, 3, 16, 0, 0},
    {MODEL_SMLP, SMLP_CODE, 784, 10, 6, 64, 0, 0},
};

/* Each array may begin at a cache line of its own, and a model has a little that is no tensor. */
static double slack(const Architecture *arch) {
    return (8 * (double)arch->depth + 24) * CACHE_LINE;
}

static void check_model(const Architecture *arch, int64_t batch, BackendKind backend) {
    Model *model;
    bool bf16 = backend == BACKEND_ONEDNN_BF16;
    assert_int_equal(model_new(&model, arch, batch, backend, NULL), 0);
    double gathered = (double)batch * ((double)arch->inputs * sizeof(float) + GATHERED_BYTES);
    double said = arch_parameter_bytes(arch, 0, bf16) + arch_batch_bytes(arch, batch, bf16) - gathered;
    double more = (double)model_bytes(model) - said;
    assert_true(more >= 0);
    assert_true(more <= slack(arch) + 1024);
    model_free(model);
}

static void test_a_model_takes_what_is_said(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        check_model(&shapes[i], 1, BACKEND_NAIVE);
        check_model(&shapes[i], 37, BACKEND_NAIVE);
        check_model(&shapes[i], 512, BACKEND_OPENBLAS);
        if (backend_available(BACKEND_ONEDNN_BF16))
            check_model(&shapes[i], 37, BACKEND_ONEDNN_BF16);
    }
}

static void test_so_does_an_optimizer(void **state) {
    (void)state;
    static const OptimizerKind kinds[] = {OPTIMIZER_LION, OPTIMIZER_ADAMW, OPTIMIZER_SGD};
    const Architecture *arch = &shapes[0];
    double without = arch_parameter_bytes(arch, 0, false), each = (double)sizeof(float) * (double)arch_params_total(arch);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        OptimizerSettings settings;
        Optimizer *optimizer;
        optimizer_settings_default(kinds[i], &settings);
        assert_int_equal(optimizer_new(&optimizer, &settings, (size_t)arch_params_total(arch), NULL), 0);
        assert_int_equal(optimizer_states(kinds[i]), optimizer_state_count(optimizer));
        double with = arch_parameter_bytes(arch, optimizer_states(kinds[i]), false);
        assert_true(with - without == each * (double)optimizer_state_count(optimizer));
        optimizer_free(optimizer);
    }
}

/* 6 blocks of width 1024, expansion 4, on Fashion-MNIST, added up by hand. */
static void test_by_hand(void **state) {
    (void)state;
    Architecture arch = {MODEL_BMLP, SMLP_TEXT, 784, 10, 6, 1024, 4, 0};
    double parameters = 784 * 1024 + 1024 + 6 * (2.0 * 4 * 1024 * 1024 + 4096 + 1024 + 2 * 1024) + 1024 * 10 + 10;
    assert_true(arch_parameter_bytes(&arch, 1, false) == 12 * parameters);
    assert_true(arch_parameter_bytes(&arch, 2, true) == 18 * parameters);
    /* x, z, dz, logits; a block's normal form, factor, norm, hidden and activated; dnormed and dhidden. */
    double floats = 784 + 2 * 1024 + 10 + 6 * 1025.0, operands = 6 * (1024 + 2.0 * 4096) + 1024 + 4096;
    assert_true(arch_batch_bytes(&arch, 1024, false) == 1024 * (4 * (floats + operands) + 6));
    assert_true(arch_batch_bytes(&arch, 1024, true) == 1024 * (4 * floats + 2 * (operands + 784 + 10 + 2 * 1024) + 6));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_model_takes_what_is_said),
        cmocka_unit_test(test_so_does_an_optimizer),
        cmocka_unit_test(test_by_hand),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
