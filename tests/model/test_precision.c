/* What is chosen where. With the argument "without" the environment has limited oneDNN to instructions that have no bfloat16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sweepd/model.h"

static const Architecture arch = {MODEL_BMLP, SMLP_TEXT, 6, 3, 1, 8, 4, 0};

static void test_fp32_is_everywhere(void **state) {
    (void)state;
    Error error;
    BackendKind kind;
    assert_int_equal(backend_choose(BACKEND_FP32, &kind, &error), 0);
    assert_true(kind == BACKEND_OPENBLAS || kind == BACKEND_ONEDNN);
    assert_true(backend_available(kind));
    assert_null(strstr(backend_text(kind), ", bf16"));
}

static void assert_without(void) {
    Error error = {0};
    BackendKind kind, usual;
    Model *model;
    assert_int_equal(backend_choose(BACKEND_BF16, &kind, &error), BACKEND_REFUSED);
    assert_memory_equal(error.text, "precision bf16 needs ", 21);
    assert_int_equal(backend_choose(BACKEND_FP32, &usual, &error), 0);
    assert_int_equal(backend_choose(BACKEND_AUTO, &kind, &error), 0);
    assert_int_equal(kind, usual);
    assert_int_equal(model_new(&model, &arch, 4, BACKEND_ONEDNN_BF16, &error), -1);
    assert_null(model);
}

static void test_bf16(void **state) {
    (void)state;
    Error error = {0};
    BackendKind kind;
    if (!backend_available(BACKEND_ONEDNN_BF16)) {
        assert_without();
        return;
    }
    assert_int_equal(backend_choose(BACKEND_BF16, &kind, &error), 0);
    assert_int_equal(kind, BACKEND_ONEDNN_BF16);
    assert_int_equal(backend_choose(BACKEND_AUTO, &kind, &error), 0);
    assert_int_equal(kind, BACKEND_ONEDNN_BF16);
    assert_memory_equal(backend_text(kind), "onednn ", 7);
    assert_non_null(strstr(backend_text(kind), ", bf16"));
}

static void test_by_name(void **state) {
    (void)state;
    Error error = {0};
    BackendKind kind, usual;
    bool onednn = backend_available(BACKEND_ONEDNN), bf16 = backend_available(BACKEND_ONEDNN_BF16);
    assert_int_equal(backend_choose_named("openblas", BACKEND_FP32, &kind, &error), 0);
    assert_int_equal(kind, BACKEND_OPENBLAS);
    assert_int_equal(backend_choose_named("openblas", BACKEND_AUTO, &kind, &error), 0);
    assert_int_equal(kind, BACKEND_OPENBLAS);
    assert_int_equal(backend_choose_named("openblas", BACKEND_BF16, &kind, &error), BACKEND_REFUSED);
    assert_int_equal(backend_choose_named("onednn", BACKEND_FP32, &kind, &error), onednn ? 0 : BACKEND_REFUSED);
    assert_true(!onednn || kind == BACKEND_ONEDNN);
    assert_int_equal(backend_choose_named("onednn", BACKEND_BF16, &kind, &error), bf16 ? 0 : BACKEND_REFUSED);
    assert_int_equal(backend_choose_named("mkl", BACKEND_FP32, &kind, &error), BACKEND_REFUSED);
    assert_string_equal(error.text, "there is no backend 'mkl': openblas or onednn");
    assert_int_equal(backend_choose(BACKEND_AUTO, &usual, &error), 0);
    assert_int_equal(backend_choose_named(NULL, BACKEND_AUTO, &kind, &error), 0);
    assert_int_equal(kind, usual);
}

static void test_limited(void **state) {
    (void)state;
    assert_false(backend_available(BACKEND_ONEDNN_BF16));
    assert_without();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fp32_is_everywhere), cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_by_name)};
    const struct CMUnitTest limited[] = {cmocka_unit_test(test_fp32_is_everywhere), cmocka_unit_test(test_limited),
                                         cmocka_unit_test(test_by_name)};
    if (argc > 1 && strcmp(argv[1], "without") == 0) {
        return cmocka_run_group_tests(limited, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
