#include "sweepd/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_lists(void **state) {
    (void)state;
    char text[GPUS_TEXT_MAX];
    GpuSet set;
    assert_int_equal(gpus_parse("", &set), 0);
    assert_int_equal(set, 0);
    assert_int_equal(gpus_parse("3,0,63", &set), 0);
    assert_true(set == (1 | 1 << 3 | (GpuSet)1 << 63));
    assert_string_equal(gpus_text(set, text), "0,3,63");
    assert_int_equal(gpus_count(set), 3);
    assert_int_equal(gpus_first(set, 2), 9);
    assert_int_equal(gpus_first(9, 5), 9);
    assert_int_equal(gpus_first(9, 0), 0);
    static const char *const wrongs[] = {"64", "-1", "a", "1,,2", "1 2", ",1", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++)
        assert_int_equal(gpus_parse(wrongs[i], &set), 1);
    assert_int_equal(gpus_parse(gpus_text(~(GpuSet)0, text), &set), 0); /* the longest */
    assert_true(set == ~(GpuSet)0);
}

static void test_options_count_or_list(void **state) {
    (void)state;
    GpuSet set;
    assert_int_equal(gpus_read_option("0", &set), 0);
    assert_int_equal(set, 0);
    assert_int_equal(gpus_read_option("3", &set), 0);
    assert_int_equal(set, 7);
    assert_int_equal(gpus_read_option("3,", &set), 0);
    assert_int_equal(set, 8);
    assert_int_equal(gpus_read_option("0,2", &set), 0);
    assert_int_equal(set, 5);
    assert_int_equal(gpus_read_option("65", &set), 1);
    assert_int_equal(gpus_read_option("", &set), 1);
    assert_int_equal(gpus_read_option("all", &set), 1);
}

/* As CUDA reads it: up to the first item that is no device. */
static void test_what_is_visible(void **state) {
    (void)state;
    setenv("CUDA_VISIBLE_DEVICES", "4,1", 1);
    assert_int_equal(gpus_of_machine(), 0x12);
    setenv("CUDA_VISIBLE_DEVICES", "2,-1,3", 1);
    assert_int_equal(gpus_of_machine(), 0x04);
    setenv("CUDA_VISIBLE_DEVICES", "", 1);
    assert_int_equal(gpus_of_machine(), 0);
    setenv("CUDA_VISIBLE_DEVICES", "NoDevFiles", 1);
    assert_int_equal(gpus_of_machine(), 0);
    unsetenv("CUDA_VISIBLE_DEVICES");
}

/* By name, whole or its beginning: a number is then the place in the list, and a program is told the names again. */
static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *list;
        GpuSet set;
        const char *first_two;
    } cases[] = {
        {"GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", 1, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,1"},
        {"GPU-aa,MIG-bb, GPU-cc", 7, "GPU-aa,MIG-bb"},
        {"GPU-aa,GPU-bb,GPU-aa,GPU-cc", 3, "GPU-aa,GPU-bb"},
        {"GPU-aa,GPU-bb,GPU-a,GPU-cc", 3, "GPU-aa,GPU-bb"},
        {"GPU-aa,2,GPU-cc", 1, "GPU-aa,1"},
        {"GPU-aa,", 1, "GPU-aa,1"},
        {"2,GPU-aa", 4, "0,1"},
        {"uuid", 0, "0,1"},
    };
    char text[GPUS_VISIBLE_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setenv("CUDA_VISIBLE_DEVICES", cases[i].list, 1);
        assert_int_equal(gpus_of_machine(), cases[i].set);
        assert_string_equal(gpus_visible(3, text), cases[i].first_two);
        assert_string_equal(gpus_visible(0, text), "");
    }
    GpuSet set;
    setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb", 1);
    assert_int_equal(gpus_read_option("0,1", &set), 0);
    assert_int_equal(gpus_read_option("1,2", &set), 1);
    assert_int_equal(gpus_read_option("3", &set), 1);
    char many[80 * GPU_NAME_MAX] = "";
    for (int i = 0; i < 70; i++)
        snprintf(many + strlen(many), GPU_NAME_MAX + 2, "%sGPU-%059d", i ? "," : "", i);
    setenv("CUDA_VISIBLE_DEVICES", many, 1);
    assert_true(gpus_of_machine() == ~(GpuSet)0);
    assert_int_equal(strlen(gpus_visible(~(GpuSet)0, text)), GPUS_VISIBLE_MAX - 1);
    unsetenv("CUDA_VISIBLE_DEVICES");
    assert_string_equal(gpus_visible(5, text), "0,2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_options_count_or_list),
        cmocka_unit_test(test_what_is_visible),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
