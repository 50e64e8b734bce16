/* Scalars by our own rules: what is a number does not depend on YAML's, C's or the locale's opinion. */
#include "fixture.h"

#include <math.h>

#include "../../src/sweep/schema.h"

static void integers_are_decimal_or_integral_exponents(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"7", 7},
        {"+7", 7},
        {"007", 7},
        {"-12", -12},
        {"1e4", 10000},
        {"1.5e3", 1500},
        {"2.0", 2},
        {"100e-2", 1},
        {"0e99", 0},
        {"9223372036854775807", INT64_MAX},
        {"1E+18", 1000000000000000000},
        {"0.00012e5", 12},
        {"9007199254740993", 9007199254740993},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value = -1;
        assert_true(value_read_integer(good[i].text, &value));
        assert_true(value == good[i].value);
    }
}

static void what_is_no_integer_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "-",
        "x",
        "1x",
        "0x10",
        "1_000",
        "1,000",
        " 1",
        "1 ",
        "1.5",
        "1e-1",
        "1e",
        "1e+",
        ".",
        "e3",
        "inf",
        "nan",
        "1e19",
        "1e999999999999",
        "9223372036854775808",
        "--1",
        "1.2.3",
        "0b1",
        "1e4e4",
        "0o17",
        "1:30",
        "~",
        "no",
        "\xd9\xa1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value;
        assert_false(value_read_integer(bad[i], &value));
    }
}

static void numbers_are_the_nearest_doubles(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0},
        {"1e18", 1e18},
        {"2.0e-3", 2.0e-3},
        {".5", 0.5},
        {"5.", 5},
        {"-1", -1},
        {"0.1", 0.1},
        {"1e-30", 1e-30},
        {"1E3", 1000},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"0.3000000000000000166", 0.3},
        {"123456789.123456789", 123456789.123456789},
    };
    static const char *const bad[] = {"", "inf", "nan", ".inf", "0x1p3", "1e400", "1e", "e", ".", "1f", "1d0", "1,5", "no"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value = -7;
        assert_true(value_read_number(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value;
        assert_false(value_read_number(bad[i], &value));
    }
    double zero = 1;
    assert_true(value_read_number("-0.0", &zero));
    assert_false(signbit(zero)); /* -0 and 0 would have two keys */
}

static void long_digits_are_bounded(void **state) {
    (void)state;
    char text[100000];
    int64_t integer;
    double number;
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(value_read_integer(text, &integer));
    assert_false(value_read_number(text, &number));
}

static void names_are_safe_in_paths(void **state) {
    (void)state;
    static const char *const good[] = {"a", "quickstart", "A-1_b.c", "0"};
    static const char *const bad[] = {"", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "\xc3\xa9"};
    char longest[SWEEP_NAME_MAX + 1];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(value_is_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(value_is_name(bad[i]));
    memset(longest, 'a', sizeof longest);
    longest[SWEEP_NAME_MAX] = '\0';
    assert_false(value_is_name(longest));
    longest[SWEEP_NAME_MAX - 1] = '\0';
    assert_true(value_is_name(longest));
}

/* ---- the table itself ---- */

static void check_choices(FieldId id, size_t count, const char *(*text)(int)) {
    const Field *field = &schema_fields[id];
    for (size_t i = 0; i < count; i++) {
        assert_non_null(field->choices[i]);
        assert_string_equal(field->choices[i], text((int)i));
    }
    assert_null(field->choices[count]);
}

static const char *model_text(int i) {
    return model_kind_text((ModelKind)i);
}

static const char *form_text(int i) {
    return smlp_form_text((SmlpForm)i);
}

static const char *optimizer_text(int i) {
    return optimizer_kind_text((OptimizerKind)i);
}

static const char *schedule_text(int i) {
    return schedule_kind_text((ScheduleKind)i);
}

static void choices_are_the_names_that_other_layers_give(void **state) {
    (void)state;
    check_choices(FIELD_KIND, 2, model_text);
    check_choices(FIELD_FORM, 2, form_text);
    check_choices(FIELD_OPTIMIZER, 3, optimizer_text);
    check_choices(FIELD_SCHEDULE, 4, schedule_text);
}

static void every_field_is_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < FIELDS; i++) {
        const Field *field = &schema_fields[i];
        assert_true(field->file || field->run);
        assert_non_null(field->meaning);
        if (field->file)
            assert_ptr_equal(schema_find_file(field->file), field);
        if (field->run)
            assert_ptr_equal(schema_find_run(field->run), field);
        Value value;
        if (field->standard && field->type != TYPE_METRIC && field->type != TYPE_CHOICES)
            assert_true(value_read(field, field->standard, &value));
        if (field->type == TYPE_CHOICE)
            assert_non_null(field->choices);
    }
}

static void a_mistyped_word_finds_its_neighbour(void **state) {
    (void)state;
    static const char *const words[] = {"depth", "width", "examples", "seed", "lr"};
    size_t count = sizeof words / sizeof *words;
    assert_string_equal(schema_nearest("depht", words, count), "depth");
    assert_string_equal(schema_nearest("widths", words, count), "width");
    assert_string_equal(schema_nearest("example", words, count), "examples");
    assert_string_equal(schema_nearest("rl", words, count), "lr");
    assert_null(schema_nearest("momentum", words, count));
    assert_null(schema_nearest("", words, count));
    assert_null(schema_nearest("a word that is very much longer than any key that there could ever be", words, count));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_decimal_or_integral_exponents),
        cmocka_unit_test(what_is_no_integer_is_refused),
        cmocka_unit_test(numbers_are_the_nearest_doubles),
        cmocka_unit_test(long_digits_are_bounded),
        cmocka_unit_test(names_are_safe_in_paths),
        cmocka_unit_test(choices_are_the_names_that_other_layers_give),
        cmocka_unit_test(every_field_is_whole),
        cmocka_unit_test(a_mistyped_word_finds_its_neighbour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
