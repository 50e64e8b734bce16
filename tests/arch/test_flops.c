#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sweepd/arch.h"

static const Architecture bmlp = {MODEL_BMLP, SMLP_TEXT, 20, 5, 3, 16, 4, 0};
static const Architecture smlp_text = {MODEL_SMLP, SMLP_TEXT, 20, 5, 3, 16, 0, 0};
static const Architecture smlp_code = {MODEL_SMLP, SMLP_CODE, 20, 5, 3, 16, 0, 0};

static void test_gemm_step_by_hand(void **state) {
    (void)state;
    /* batch 7: per layer 2 * 7 * in * out, three times but at the first layer, which has no input gradient. */
    uint64_t input = 2 * 7 * 20 * 16, expand = 2 * 7 * 16 * 64, contract = expand, linear = 2 * 7 * 16 * 16, head = 2 * 7 * 16 * 5;
    assert_int_equal(arch_step_gemm_flops(&bmlp, 7), 2 * input + 3 * 3 * (expand + contract) + 3 * head);
    assert_int_equal(arch_step_gemm_flops(&smlp_text, 7), 2 * input + 3 * 3 * linear + 3 * head);
    assert_int_equal(arch_step_gemm_flops(&smlp_code, 7), arch_step_gemm_flops(&smlp_text, 7));
    assert_int_equal(arch_forward_gemm_flops(&bmlp, 7), input + 3 * (expand + contract) + head);
}

/* The costs of docs/flops.md, added up by hand for one example. */
static void test_elementwise_step(void **state) {
    (void)state;
    uint64_t norm = 16 * (7 + 11) + 5 + 2, loss = 5 * 20 + 10;
    uint64_t ends = 2 * 16 + 2 * 5 + loss;
    uint64_t block = norm + 2 * 16 + 2 * 64 + 64 * 39 + 16;
    assert_int_equal(arch_step_flops(&bmlp, 7, 0) - arch_step_gemm_flops(&bmlp, 7), 7 * (ends + 3 * block));
    block = norm + 2 * 16;
    assert_int_equal(arch_step_flops(&smlp_text, 7, 0) - arch_step_gemm_flops(&smlp_text, 7), 7 * (ends + 3 * block));
    block = norm + 2 * 16 + 16 * 39;
    assert_int_equal(arch_step_flops(&smlp_code, 7, 0) - arch_step_gemm_flops(&smlp_code, 7), 7 * (ends + 3 * block));
}

static void test_optimizer_share(void **state) {
    (void)state;
    uint64_t params = (uint64_t)arch_params_total(&bmlp);
    assert_int_equal(arch_step_flops(&bmlp, 7, 10) - arch_step_flops(&bmlp, 7, 0), 10 * params);
}

static void test_steps(void **state) {
    (void)state;
    Training training = {.examples = 500, .epochs = 20, .batch = 128};
    assert_int_equal(arch_steps_per_epoch(&training), 3);
    assert_int_equal(arch_steps(&training), 60);
    training.examples = 512;
    assert_int_equal(arch_steps(&training), 80);
    training.examples = 100;
    assert_int_equal(arch_steps_per_epoch(&training), 1);
}

static void test_training_conventions(void **state) {
    (void)state;
    Training training = {.examples = 500, .epochs = 20, .batch = 128, .optimizer = 10};
    Flops flops = arch_training_flops(&bmlp, &training);
    assert_true(flops.exact == 60.0 * (double)arch_step_flops(&bmlp, 128, 10));
    assert_true(flops.gemm == 60.0 * (double)arch_step_gemm_flops(&bmlp, 128));
    assert_true(flops.paper == 3.0 * 500 * 20 * ((double)arch_forward_macs(&bmlp) + 5 * 3 * 16));
    assert_true(flops.nd6 == 6.0 * 500 * 20 * (double)arch_params_total(&bmlp));

    training.examples = 100;
    flops = arch_training_flops(&bmlp, &training);
    assert_true(flops.exact == 20.0 * (double)arch_step_flops(&bmlp, 100, 10));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gemm_step_by_hand),    cmocka_unit_test(test_elementwise_step),
        cmocka_unit_test(test_optimizer_share),      cmocka_unit_test(test_steps),
        cmocka_unit_test(test_training_conventions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
