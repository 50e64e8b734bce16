#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sweepd/arch.h"

static Architecture bmlp(int64_t inputs, int64_t classes, int64_t depth, int64_t width, int64_t expansion) {
    return (Architecture){MODEL_BMLP, SMLP_TEXT, inputs, classes, depth, width, expansion, 0};
}

/* The paper's grid on ImageNet21k at 64x64x3: 12,288 inputs, 11,230 classes. The share is of the input layer and head, in percent. */
static void test_paper_grid(void **state) {
    (void)state;
    static const struct {
        int64_t depth, width, params, macs;
        int share;
    } rows[] = {
        {6, 256, 9188574, 9166336, 66},    {12, 256, 12345054, 12312064, 49}, {6, 512, 24657374, 24624128, 49},
        {12, 512, 37261790, 37207040, 32}, {6, 1024, 74469342, 74414080, 32}, {12, 1024, 124843998, 124745728, 19},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        Architecture arch = bmlp(12288, 11230, rows[i].depth, rows[i].width, 4);
        assert_int_equal(arch_params_total(&arch), rows[i].params);
        assert_int_equal(arch_forward_macs(&arch), rows[i].macs);
        double ends = (double)(arch_params_total(&arch) - arch_params_body(&arch)) / (double)arch_params_total(&arch);
        assert_int_equal((int)(100 * ends + 0.5), rows[i].share);
    }
}

/* inputs 3, width 2, classes 5, depth 2, expansion 3, worked out by hand. */
static void test_bmlp_by_hand(void **state) {
    (void)state;
    Architecture arch = bmlp(3, 5, 2, 2, 3);
    int64_t input = 3 * 2 + 2, block = 2 + 2 + (2 * 6 + 6) + (6 * 2 + 2), head = 2 * 5 + 5;
    assert_int_equal(arch_params_body(&arch), 2 * block);
    assert_int_equal(arch_params_total(&arch), input + 2 * block + head);
    assert_int_equal(arch_forward_macs(&arch), 3 * 2 + 2 * (2 * 6 + 6 * 2) + 2 * 5);
}

static void test_smlp_by_hand(void **state) {
    (void)state;
    for (int form = SMLP_TEXT; form <= SMLP_CODE; form++) {
        Architecture arch = {MODEL_SMLP, (SmlpForm)form, 3, 5, 2, 4, 0, 0};
        int64_t input = 3 * 4 + 4, block = 4 + 4 + 4 * 4 + 4, head = 4 * 5 + 5;
        assert_int_equal(arch_params_body(&arch), 2 * block);
        assert_int_equal(arch_params_total(&arch), input + 2 * block + head);
        assert_int_equal(arch_forward_macs(&arch), 3 * 4 + 2 * 16 + 4 * 5);
    }
}

static void test_names(void **state) {
    (void)state;
    char name[ARCH_NAME_MAX];
    Architecture arch = bmlp(784, 10, 6, 256, 4);
    arch_name(&arch, name);
    assert_string_equal(name, "B_6-Wi_256");
    arch.expansion = 2;
    arch_name(&arch, name);
    assert_string_equal(name, "B_6-Wi_256_2");
    arch = (Architecture){MODEL_SMLP, SMLP_CODE, 784, 10, 6, 1024, 0, 0};
    arch_name(&arch, name);
    assert_string_equal(name, "S_6-Wi_1024");
    arch = bmlp(1, 1, INT64_MAX, INT64_MAX, INT64_MAX);
    arch_name(&arch, name);
    assert_true(strlen(name) < ARCH_NAME_MAX);
}

static void test_texts(void **state) {
    (void)state;
    assert_string_equal(model_kind_text(MODEL_BMLP), "bmlp");
    assert_string_equal(model_kind_text(MODEL_SMLP), "smlp");
    assert_string_equal(smlp_form_text(SMLP_TEXT), "text");
    assert_string_equal(smlp_form_text(SMLP_CODE), "code");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paper_grid), cmocka_unit_test(test_bmlp_by_hand), cmocka_unit_test(test_smlp_by_hand),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
