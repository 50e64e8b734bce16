#include "sweepd/base.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_growth_keeps_the_closing_nul(void **state) {
    (void)state;
    Buffer buffer;
    buffer_init(&buffer, 1000);
    for (int i = 0; i < 500; i++) {
        buffer_append(&buffer, "ab", 2);
        assert_int_equal(buffer.data[buffer.size], '\0');
    }
    assert_int_equal(buffer.size, 1000);
    assert_int_equal(buffer_check(&buffer, NULL, "text"), 0);
    buffer_deinit(&buffer);
}

static void test_growth_past_the_maximum_fails_and_keeps_the_text(void **state) {
    (void)state;
    Buffer buffer;
    Error error;
    buffer_init(&buffer, 4);
    buffer_append_text(&buffer, "four");
    assert_false(buffer.failed);
    buffer_append_text(&buffer, "!");
    assert_true(buffer.failed);
    assert_string_equal(buffer.data, "four");
    assert_int_equal(buffer_check(&buffer, &error, "the answer"), -1);
    assert_non_null(strstr(error.text, "the answer is larger than 4 bytes"));
    buffer_clear(&buffer);
    buffer_printf(&buffer, "%d", 12);
    assert_string_equal(buffer.data, "12");
    buffer_deinit(&buffer);
}

static void test_doubles_read_back_and_stay_short(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1e18, "1e+18"},
                 {2e-3, "0.002"},
                 {0, "0"},
                 {1.0 / 3, "0.3333333333333333"},
                 {128, "128"},
                 {5e-324, "4.94065645841247e-324"},
                 {1.0 / 0.0, "null"},
                 {0.1 + 0.2, "0.30000000000000004"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Buffer buffer;
        buffer_init(&buffer, 64);
        buffer_append_double(&buffer, cases[i].value);
        assert_string_equal(buffer.data, cases[i].text);
        buffer_deinit(&buffer);
    }
}

static void test_random_doubles_read_back(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 7, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        Buffer buffer;
        buffer_init(&buffer, 64);
        buffer_append_double(&buffer, value);
        if (__builtin_isfinite(value))
            assert_true(strtod(buffer.data, NULL) == value);
        else
            assert_string_equal(buffer.data, "null");
        buffer_deinit(&buffer);
    }
}

static void test_json_strings_are_escaped(void **state) {
    (void)state;
    Buffer buffer;
    buffer_init(&buffer, 100);
    buffer_append_json(&buffer, "a\"b\\c\n\x01 \xc3\xa9");
    assert_string_equal(buffer.data, "\"a\\\"b\\\\c\\n\\u0001 \xc3\xa9\"");
    buffer_clear(&buffer);
    buffer_append_json(&buffer, "caf\xe9 \xc3"); /* no UTF-8, which no reader takes */
    assert_string_equal(buffer.data, "\"caf? ?\"");
    buffer_deinit(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_keeps_the_closing_nul),     cmocka_unit_test(test_growth_past_the_maximum_fails_and_keeps_the_text),
        cmocka_unit_test(test_doubles_read_back_and_stay_short), cmocka_unit_test(test_random_doubles_read_back),
        cmocka_unit_test(test_json_strings_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
