/* fit --points: known laws come back from a table, and what cannot be fitted is refused. */
#include "cli.h"
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Points of L = E + A P^-alpha + B N^-beta without noise, on budgets that all sizes share. */
enum { SIZES = 9, BUDGETS = 6 };
static const double law_a = 30, law_b = 60, law_alpha = 0.4, law_beta = 0.3;

static const char *write_law_with(double law_e) {
    Buffer text;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "params,examples,flops,loss\n");
    for (int i = 0; i < BUDGETS; i++)
        for (int j = 0; j < SIZES; j++) {
            double flops = 1e15 * pow(10, 0.5 * i), gain = pow(law_alpha * law_a / (law_beta * law_b), 1 / (law_alpha + law_beta));
            double best = gain * pow(flops / 6, law_beta / (law_alpha + law_beta));
            double params = best * pow(2, 0.5 * (j - SIZES / 2)), examples = flops / (6 * params);
            double loss = law_e + law_a * pow(params, -law_alpha) + law_b * pow(examples, -law_beta);
            buffer_printf(&text, "%.17g,%.17g,%.17g,%.17g\n", params, examples, flops, loss);
        }
    assert_int_equal(buffer_check(&text, NULL, "table"), 0);
    const char *path = harness_file("law.csv", text.data);
    buffer_deinit(&text);
    return path;
}

static const double law_e = 0.5;

static const char *write_law(void) {
    return write_law_with(law_e);
}

static double number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    if (!json_is_number(value))
        fail_msg("%s is no number", name);
    return json_number_value(value);
}

static void assert_near(double value, double expected, double relative) {
    if (!(fabs(value - expected) <= relative * fabs(expected)))
        fail_msg("%.12g, not %.12g", value, expected);
}

static void test_parametric(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=parametric", "--bootstrap=0", "--json");
    json_t *root = said_json(&said);
    assert_string_equal(json_string_value(json_object_get(root, "method")), "parametric");
    assert_int_equal(number(root, "points"), SIZES * BUDGETS);
    assert_near(number(root, "E"), law_e, 1e-3);
    assert_near(number(root, "A"), law_a, 1e-2);
    assert_near(number(root, "B"), law_b, 1e-2);
    assert_near(number(root, "alpha"), law_alpha, 1e-3);
    assert_near(number(root, "beta"), law_beta, 1e-3);
    assert_true(number(root, "objective") < 1e-6);
    const json_t *exponents = json_object_get(root, "exponents"), *p = json_object_get(exponents, "P"),
                 *n = json_object_get(exponents, "N");
    assert_near(number(p, "value"), law_beta / (law_alpha + law_beta), 1e-3);
    assert_near(number(n, "value"), law_alpha / (law_alpha + law_beta), 1e-3);
    assert_true(number(p, "coefficient") > 0);
    assert_true(json_is_null(json_object_get(p, "lo")) && json_is_null(json_object_get(p, "hi")));
    assert_true(number(json_object_get(root, "starts"), "tried") >= number(json_object_get(root, "starts"), "at_optimum"));
    assert_true(json_is_array(json_object_get(root, "warnings")));
    json_decref(root);
    said_clear(&said);
}

static void test_both(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--bootstrap=20", "--json");
    json_t *root = said_json(&said);
    const json_t *fits = json_object_get(root, "fits");
    assert_int_equal(json_array_size(fits), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *fit = json_array_get(fits, i), *p = json_object_get(json_object_get(fit, "exponents"), "P");
        assert_string_equal(json_string_value(json_object_get(fit, "method")), i ? "isoflop" : "parametric");
        assert_near(number(p, "value"), law_beta / (law_alpha + law_beta), 2e-2);
        assert_null(json_object_get(fit, "schema_version"));
    }
    json_decref(root);
    said_clear(&said);
}

static void test_words(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--bootstrap=20");
    assert_says(&said.out, "95 % interval");
    assert_says(&said.out, "IsoFLOP");
    assert_says(&said.out, "P*(C) = ");
    assert_null(strchr(said.out.data, '\033'));
    said_clear(&said);
}

static void test_no_interval_at_a_bound(void **state) {
    (void)state;
    Said said;
    const char *path = write_law_with(0);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", path, "--method=parametric", "--bootstrap=20");
    assert_says(&said.out, "at its bound");
    assert_says(&said.out, "take E = 0 for true");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", path, "--method=parametric", "--bootstrap=20", "--json");
    json_t *root = said_json(&said);
    const json_t *intervals = json_object_get(root, "intervals"), *of_e = json_object_get(intervals, "E");
    assert_int_equal(json_array_size(of_e), 2);
    assert_true(json_is_null(json_array_get(of_e, 0)) && json_is_null(json_array_get(of_e, 1)));
    assert_true(json_is_number(json_array_get(json_object_get(intervals, "alpha"), 0)));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=parametric", "--bootstrap=20");
    assert_null(strstr(said.out.data, "at its bound"));
    said_clear(&said);
}

static void test_refusal(void **state) {
    (void)state;
    Said said;
    const char *path = harness_file("few.csv", "params,examples,loss\n1e3,1e4,0.5\n2e3,1e4,0.4\n");
    sweepctl_expect(&said, CLI_FAILED, "fit", "--points", path, "--method=isoflop");
    assert_says(&said.err, "sweepctl: refused: ");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "fit", "--points", path, "--json");
    json_t *root = said_json(&said);
    assert_non_null(json_object_get(json_array_get(json_object_get(root, "fits"), 0), "refused"));
    json_decref(root);
    said_clear(&said);
}

static void test_bad_tables(void **state) {
    (void)state;
    static const char *const tables[] = {"", "params,examples\n1,2\n", "params,examples,loss\n1,2,x\n", "params,examples,loss\n1,2\n",
                                         "params,examples,loss\n1,2,-3\n"};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        Said said;
        sweepctl_expect(&said, CLI_USAGE, "fit", "--points", harness_file("bad.csv", tables[i]));
        assert_int_equal(said.out.size, 0);
        assert_says(&said.err, "bad.csv");
        said_clear(&said);
    }
    Said said;
    sweepctl_expect(&said, CLI_USAGE, "fit", "--points", "/nonexistent.csv");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "fit", "--points", write_law(), "--params=body");
    said_clear(&said);
}

static void test_table_is_told_as_one(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=parametric", "--bootstrap=5");
    assert_null(strstr(said.out.data, "Scaling MLPs")); /* may be of other models */
    assert_null(strstr(said.out.data, "Intervals:"));   /* five resamples give none */
    assert_says(&said.out, "few_resamples");
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_told_as_one),
        cmocka_unit_test(test_parametric),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_no_interval_at_a_bound),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
