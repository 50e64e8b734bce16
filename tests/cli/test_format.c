/* Numbers as people read them, and the guess at what a mistyped word meant. */
#include "cli.h"
#include "format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

static void test_scaled(void **state) {
    (void)state;
    char text[FORMAT_MAX];
    assert_string_equal(format_scaled(0, "FLOP", text), "0 FLOP");
    assert_string_equal(format_scaled(7, "FLOP", text), "7 FLOP");
    assert_string_equal(format_scaled(1.234e12, "FLOP", text), "1.23 TFLOP");
    assert_string_equal(format_scaled(45.12e9, "FLOP/s", text), "45.1 GFLOP/s");
    assert_string_equal(format_scaled(999.6e3, "", text), "1.00 M");
    assert_string_equal(format_scaled(99.96e3, "", text), "100 k");
    assert_string_equal(format_scaled(1.87e30, "FLOP", text), "1870000 YFLOP");
    assert_string_equal(format_scaled(NAN, "FLOP", text), "-");
}

static void test_duration(void **state) {
    (void)state;
    char text[FORMAT_MAX];
    assert_string_equal(format_duration(0.0032, text), "3.2 ms");
    assert_string_equal(format_duration(0.5, text), "0.50 s");
    assert_string_equal(format_left(0.019, text), "under a second");
    assert_string_equal(format_left(8.12, text), "8.1 s");
    assert_string_equal(format_left(NAN, text), "-");
    assert_string_equal(format_duration(8.12, text), "8.1 s");
    assert_string_equal(format_duration(9.96, text), "10 s");
    assert_string_equal(format_duration(59.6, text), "1 min 00 s");
    assert_string_equal(format_duration(125, text), "2 min 05 s");
    assert_string_equal(format_duration(3 * 3600 + 7 * 60 + 5, text), "3 h 07 min");
    assert_string_equal(format_duration(2 * 86400 + 4 * 3600, text), "2 d 04 h");
    assert_string_equal(format_duration(NAN, text), "-");
    assert_string_equal(format_duration(1e300, text), "over 3000 years");
}

static void test_others(void **state) {
    (void)state;
    char text[FORMAT_MAX];
    assert_string_equal(format_count(0, text), "0");
    assert_string_equal(format_count(999, text), "999");
    assert_string_equal(format_count(11801680, text), "11,801,680");
    assert_string_equal(format_count(-1234, text), "-1,234");
    assert_string_equal(format_count(INT64_MIN, text), "-9,223,372,036,854,775,808");
    assert_string_equal(format_percent(0.9999, text), "99.9 %");
    assert_string_equal(format_percent(1, text), "100 %");
    assert_string_equal(format_metric("test_error", 0.1234, text), "12.34 %");
    assert_string_equal(format_metric("test_loss", 0.43214, text), "0.4321");
    assert_string_equal(format_metric("test_loss", 1, text), "1.0000");
    assert_string_equal(format_metric("test_loss", 2641364851201945067593924608.0, text), "2.64e27");
    assert_string_equal(format_metric("test_loss", 9.999e9, text), "1.00e10");
    assert_string_equal(format_metric("linear.c100.flops", 7771895, text), "7,771,895");
    assert_string_equal(format_metric("perplexity", 12.5, text), "12.5000");
    assert_string_equal(format_metric("test_loss", NAN, text), "-");
}

static void test_nearest(void **state) {
    (void)state;
    static const char *const names[] = {"run", "runs", "status", "resume", "retry"};
    assert_string_equal(cli_nearest("stauts", names, 5), "status");
    assert_string_equal(cli_nearest("stat", names, 5), "status");
    assert_string_equal(cli_nearest("rertry", names, 5), "retry");
    assert_string_equal(cli_nearest("rum", names, 5), "run");
    assert_null(cli_nearest("xyzzy", names, 5));
    assert_null(cli_nearest("", names, 5));
    assert_null(cli_nearest("a-word-that-is-far-longer-than-any-verb-there-is", names, 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scaled),
        cmocka_unit_test(test_duration),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
