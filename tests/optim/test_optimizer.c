#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sweepd/bfloat16.h"
#include "sweepd/optim.h"
#include "update.h"

enum { COUNT = 67 }; /* past several vectors, with a remainder */

/* Every parameter starts at p and gets the same gradients; all must agree with each other. */
static void assert_steps(const OptimizerSettings *settings, float p, const float *gradients, const float *expected, size_t steps) {
    Error error;
    Optimizer *optimizer;
    float parameters[COUNT], gradient[COUNT];
    assert_int_equal(optimizer_new(&optimizer, settings, COUNT, &error), 0);
    for (size_t i = 0; i < COUNT; i++) {
        parameters[i] = p;
    }
    for (size_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < COUNT; i++) {
            gradient[i] = gradients[step];
        }
        optimizer_step(optimizer, parameters, gradient, settings->lr);
        for (size_t i = 0; i < COUNT; i++) {
            assert_float_equal(parameters[i], expected[step], 2e-7F * (1 + fabsf(expected[step])));
        }
    }
    assert_int_equal(optimizer_steps(optimizer), steps);
    optimizer_free(optimizer);
}

/* p = 1, lr .1, wd .5, betas (.9, .99), gradients 1, -5, -5.
 * Step 1: sign(.1) = 1; p = 1 - .1 (1 + .5) = .85; m = .01.
 * Step 2: sign(.009 - .5) = -1; p = .85 - .1 (-1 + .425) = .9075; m = .0099 - .05 = -.0401.
 * Step 3: sign(-.03609 - .5) = -1; p = .9075 - .1 (-1 + .45375) = .962125. */
static void test_lion_by_hand(void **state) {
    (void)state;
    OptimizerSettings settings;
    optimizer_settings_default(OPTIMIZER_LION, &settings);
    settings.lr = 0.1;
    settings.weight_decay = 0.5;
    assert_steps(&settings, 1, (float[]){1, -5, -5}, (float[]){0.85F, 0.9075F, 0.962125F}, 3);
}

/* The momentum can outvote the gradient: m = .01 * 100 = 1 after step 1, so sign(.9 - .1 * 2) = 1 in step 2. A zero blend moves nothing. */
static void test_lion_momentum_and_zero(void **state) {
    (void)state;
    OptimizerSettings settings;
    optimizer_settings_default(OPTIMIZER_LION, &settings);
    settings.lr = 0.25;
    assert_steps(&settings, 1, (float[]){100, -2}, (float[]){0.75F, 0.5F}, 2);
    assert_steps(&settings, 1, (float[]){0, 0}, (float[]){1, 1}, 2);
}

/* p = 1, lr .1, wd .5, betas (.5, .75), epsilon 1, gradients 2, 0.
 * Step 1: p = .95; m = 1, v = 1; mh = 1 / .5 = 2, vh = 1 / .25 = 4; p = .95 - .1 * 2 / (2 + 1) = .883333...
 * Step 2: p = .883333 * .95 = .839166...; m = .5, v = .75; mh = .5 / .75 = 2/3, vh = .75 / .4375 = 12/7. */
static void test_adamw_by_hand(void **state) {
    (void)state;
    OptimizerSettings settings = {OPTIMIZER_ADAMW, .lr = 0.1, .weight_decay = 0.5, .beta1 = 0.5, .beta2 = 0.75, .epsilon = 1};
    double first = 0.95 - 0.1 * 2 / 3.0;
    double second = first * 0.95 - 0.1 * (2.0 / 3) / (sqrt(12.0 / 7) + 1);
    assert_steps(&settings, 1, (float[]){2, 0}, (float[]){(float)first, (float)second}, 2);
}

/* p = 1, lr .1, wd .5, momentum .9, gradients 1, -2.
 * Step 1: g = 1.5; b = 1.5; p = .85. Step 2: g = -2 + .425 = -1.575; b = 1.35 - 1.575 = -.225; p = .8725. */
static void test_sgd_by_hand(void **state) {
    (void)state;
    OptimizerSettings settings = {OPTIMIZER_SGD, .lr = 0.1, .weight_decay = 0.5, .momentum = 0.9};
    assert_steps(&settings, 1, (float[]){1, -2}, (float[]){0.85F, 0.8725F}, 2);
    settings.momentum = 0;
    assert_steps(&settings, 1, (float[]){1, -2}, (float[]){0.85F, 0.85F - 0.1F * (-2 + 0.425F)}, 2);
}

/* A checkpoint's way: the state and the step count copied to a new optimizer give the same bits as going on. */
static void test_state_resumes(void **state) {
    (void)state;
    for (int kind = OPTIMIZER_LION; kind <= OPTIMIZER_SGD; kind++) {
        Error error;
        OptimizerSettings settings;
        Optimizer *straight, *resumed;
        float a[COUNT], b[COUNT], g[COUNT];
        optimizer_settings_default((OptimizerKind)kind, &settings);
        settings.weight_decay = 0.01;
        assert_int_equal(optimizer_new(&straight, &settings, COUNT, &error), 0);
        assert_int_equal(optimizer_new(&resumed, &settings, COUNT, &error), 0);
        for (size_t i = 0; i < COUNT; i++) {
            a[i] = 0.5F - (float)i / COUNT;
            g[i] = (float)((i * 37) % COUNT) / COUNT - 0.4F;
        }
        optimizer_step(straight, a, g, 0.01);
        memcpy(b, a, sizeof a);
        for (size_t i = 0; i < optimizer_state_count(straight); i++) {
            assert_non_null(optimizer_state_name(straight, i));
            memcpy(optimizer_state_data(resumed, i), optimizer_state_data(straight, i), sizeof a);
        }
        optimizer_set_steps(resumed, optimizer_steps(straight));
        optimizer_step(straight, a, g, 0.01);
        optimizer_step(resumed, b, g, 0.01);
        assert_memory_equal(a, b, sizeof a);
        optimizer_free(straight);
        optimizer_free(resumed);
    }
}

/* The variants for this machine's vector extensions agree with the generic one but for the rounding of fused operations. */
static void test_variants_agree(void **state) {
    (void)state;
    UpdateScalars s = {0.01F, 0.1F, 0.9F, 0.1F, 0.99F, 0.01F, 0.999F, 0.05F, 1.5F, 1e-8F, 0.9F};
    float p[3][COUNT], g[COUNT], m[3][COUNT], v[COUNT], expected[3][COUNT];
    for (size_t index = 0; update_table(index) != NULL; index++) {
        const UpdateTable *table = update_table(index);
        for (size_t i = 0; i < COUNT; i++) {
            g[i] = (float)((i * 29) % COUNT) / COUNT - 0.43F;
            v[i] = 0.001F * (float)i;
            for (size_t k = 0; k < 3; k++) {
                p[k][i] = 0.5F - (float)i / COUNT;
                m[k][i] = 0.1F - (float)((i * 13) % COUNT) / COUNT;
            }
        }
        table->lion(&s, COUNT, p[0], g, m[0], NULL);
        table->adamw(&s, COUNT, p[1], g, m[1], v, NULL);
        table->sgd(&s, COUNT, p[2], g, m[2], NULL);
        if (index == 0) {
            memcpy(expected, p, sizeof p);
        }
        for (size_t i = 0; i < 3 * COUNT; i++) {
            assert_float_equal(p[i / COUNT][i % COUNT], expected[i / COUNT][i % COUNT], 2e-6);
        }
    }
}

/* The copy is the parameters rounded, and makes no difference to them. */
static void test_rounded_copy(void **state) {
    (void)state;
    Error error;
    for (int kind = OPTIMIZER_LION; kind <= OPTIMIZER_SGD; kind++) {
        OptimizerSettings settings;
        Optimizer *plain, *copying;
        float p[2][COUNT], g[COUNT];
        uint16_t copy[COUNT] = {0};
        optimizer_settings_default((OptimizerKind)kind, &settings);
        assert_int_equal(optimizer_new(&plain, &settings, COUNT, &error), 0);
        assert_int_equal(optimizer_new(&copying, &settings, COUNT, &error), 0);
        optimizer_set_copy(copying, copy);
        for (size_t i = 0; i < COUNT; i++) {
            g[i] = (float)((i * 29) % COUNT) / COUNT - 0.43F;
            p[0][i] = p[1][i] = 0.5F - (float)i / COUNT;
        }
        optimizer_step(plain, p[0], g, 0.013);
        optimizer_step(copying, p[1], g, 0.013);
        assert_memory_equal(p[0], p[1], sizeof p[0]);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(copy[i], bfloat16_from_float(p[0][i]));
        }
        optimizer_free(plain);
        optimizer_free(copying);
    }
}

/* Two groups are two optimizers, each at its rate. */
static void test_groups(void **state) {
    (void)state;
    enum { FIRST = 13 };
    for (OptimizerKind kind = OPTIMIZER_LION; kind <= OPTIMIZER_SGD; kind++) {
        OptimizerSettings settings;
        Error error;
        Optimizer *both, *first, *second;
        float p[COUNT], q[COUNT], gradients[COUNT];
        uint16_t copy[COUNT];
        optimizer_settings_default(kind, &settings);
        settings.weight_decay = 0.1;
        assert_int_equal(optimizer_new(&both, &settings, COUNT, &error), 0);
        assert_int_equal(optimizer_new(&first, &settings, FIRST, &error), 0);
        assert_int_equal(optimizer_new(&second, &settings, COUNT - FIRST, &error), 0);
        optimizer_set_groups(both, (ParameterGroup[]){{0, FIRST, 0.5}, {FIRST, COUNT - FIRST, 1}}, 2);
        optimizer_set_copy(both, copy);
        for (size_t i = 0; i < COUNT; i++) {
            p[i] = q[i] = (float)i / COUNT - 0.3F;
        }
        for (size_t step = 0; step < 5; step++) {
            for (size_t i = 0; i < COUNT; i++) {
                gradients[i] = (float)((i * 7 + step * 3) % 11) - 5;
            }
            optimizer_step(both, p, gradients, 0.02);
            optimizer_step(first, q, gradients, 0.01);
            optimizer_step(second, q + FIRST, gradients + FIRST, 0.02);
        }
        for (size_t i = 0; i < COUNT; i++) {
            assert_float_equal(p[i], q[i], 1e-6F);
            assert_int_equal(copy[i], bfloat16_from_result(p[i]));
        }
        optimizer_free(both);
        optimizer_free(first);
        optimizer_free(second);
    }
}

static void test_names_and_flops(void **state) {
    (void)state;
    static const char *const names[] = {"lion", "adamw", "sgd"};
    for (int kind = OPTIMIZER_LION; kind <= OPTIMIZER_SGD; kind++)
        assert_string_equal(optimizer_kind_text((OptimizerKind)kind), names[kind]);
    assert_int_equal(optimizer_flops(OPTIMIZER_LION), 10);
    assert_int_equal(optimizer_flops(OPTIMIZER_ADAMW), 14);
    assert_int_equal(optimizer_flops(OPTIMIZER_SGD), 6);
}

static void test_too_many_parameters(void **state) {
    (void)state;
    Error error;
    Optimizer *optimizer;
    OptimizerSettings settings;
    optimizer_settings_default(OPTIMIZER_LION, &settings);
    assert_int_equal(optimizer_new(&optimizer, &settings, SIZE_MAX / 2, &error), -1);
    assert_null(optimizer);
    optimizer_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lion_by_hand),    cmocka_unit_test(test_lion_momentum_and_zero),
        cmocka_unit_test(test_adamw_by_hand),   cmocka_unit_test(test_sgd_by_hand),
        cmocka_unit_test(test_state_resumes),   cmocka_unit_test(test_variants_agree),
        cmocka_unit_test(test_rounded_copy),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_names_and_flops), cmocka_unit_test(test_too_many_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
