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

/* The reason stands on stdout alone. */
static void test_refusal(void **state) {
    (void)state;
    static const char once[] = "sweepctl: refused: nothing could be fitted; standard output says why\n";
    Said said;
    const char *path = harness_file("few.csv", "params,examples,loss\n1e3,1e4,0.5\n2e3,1e4,0.4\n");
    sweepctl_expect(&said, CLI_FAILED, "fit", "--points", path, "--method=isoflop");
    assert_says(&said.out, "Refused: ");
    assert_string_equal(said.err.data, once);
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "fit", "--points", path, "--json");
    assert_string_equal(said.err.data, once);
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
    sweepctl_expect(&said, CLI_USAGE, "fit", "--points", write_law(), "--flops=6nd");
    said_clear(&said);
}

/* Every method comes with the same keys, and null for what it does not have. */
static void test_all_methods(void **state) {
    (void)state;
    static const char *const methods[] = {"parametric", "vpnls", "isoflop", "envelope", "power"};
    static const char *const keys[] = {"points",    "objective", "E",        "A",         "B",         "alpha", "beta",
                                       "exponents", "starts",    "warnings", "condition", "residuals", "loss"};
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method", "all", "--bootstrap=20", "--json");
    json_t *root = said_json(&said), *fits = json_object_get(root, "fits");
    assert_int_equal(json_array_size(fits), 5);
    for (size_t i = 0; i < 5; i++) {
        const json_t *fit = json_array_get(fits, i);
        assert_string_equal(json_string_value(json_object_get(fit, "method")), methods[i]);
        for (size_t j = 0; j < sizeof keys / sizeof *keys && !json_object_get(fit, "refused"); j++)
            if (!json_object_get(fit, keys[j]))
                fail_msg("%s has no %s", methods[i], keys[j]);
    }
    const json_t *vpnls = json_array_get(fits, 1);
    assert_near(number(vpnls, "alpha"), law_alpha, 1e-3);
    assert_true(json_is_null(json_object_get(json_array_get(fits, 2), "alpha")));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=vpnls,isoflop", "--method=parametric", "--bootstrap=0",
                    "--json");
    root = said_json(&said);
    assert_int_equal(json_array_size(json_object_get(root, "fits")), 3);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "fit", "--points", write_law(), "--method=vpnls,iso");
    said_clear(&said);
}

/* --where narrows the rows, by any column; a row that is not wanted need not even have numbers. */
static void test_where(void **state) {
    (void)state;
    Buffer text;
    Said said;
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "params,examples,loss,kind,depth\n");
    for (int i = 0; i < 40; i++) {
        double params = 1e3 * pow(2, i % 5), examples = 1e3 * pow(3, (double)(i / 5 % 4));
        double loss = law_e + law_a * pow(params, -law_alpha) + law_b * pow(examples, -law_beta);
        buffer_printf(&text, "%.17g,%.17g,%.17g,%s,%d\n", params, examples, i < 20 ? loss : 2 * loss, i < 20 ? "mine" : "other", i);
    }
    buffer_append_text(&text, "1,1,,broken,99\n");
    const char *path = harness_file("where.csv", text.data);
    sweepctl_expect(&said, CLI_USAGE, "fit", "--points", path, "--bootstrap=0");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", path, "--method=parametric", "--bootstrap=0", "--where", "kind = mine and depth<20",
                    "--json");
    json_t *root = said_json(&said);
    assert_int_equal(number(root, "points"), 20);
    assert_int_equal(number(json_object_get(root, "left_out"), "where"), 21);
    assert_near(number(root, "alpha"), law_alpha, 1e-3);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "fit", "--points", path, "--where", "kind = mine and color = 3");
    assert_says(&said.err, "character 17: there is no field 'color'; there are params, examples, loss, kind, depth");
    said_clear(&said);
    buffer_deinit(&text);
}

static void test_drop_first_share(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=parametric", "--bootstrap=0", "--drop-first-share=0.5",
                    "--json");
    json_t *root = said_json(&said);
    assert_int_equal(number(root, "points"), SIZES * BUDGETS / 2);
    assert_int_equal(number(json_object_get(root, "left_out"), "first"), SIZES * BUDGETS / 2);
    assert_near(number(root, "beta"), law_beta, 1e-3);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=parametric", "--bootstrap=0", "--drop-first-share=0.5");
    assert_says(&said.out, "Left out by --drop-first-share: 27 rows of least compute.");
    said_clear(&said);
}

static void test_cloud(void **state) {
    (void)state;
    Said said;
    Buffer text;
    Error error;
    char cloud[PATH_TEXT_MAX];
    assert_int_equal(path_format(cloud, &error, "%s/cloud.csv", harness_folder()), 0);
    sweepctl_expect(&said, CLI_OK, "fit", "--points", write_law(), "--method=parametric,power", "--bootstrap=25", "--cloud", cloud);
    said_clear(&said);
    buffer_init(&text, 1 << 20);
    assert_int_equal(file_read(cloud, 1 << 20, &text, &error), 0);
    assert_says(&text,
                "method,draw,params_exponent,params_coefficient,examples_exponent,examples_coefficient,E,A,B,alpha,beta,a,b,E_inf\n");
    size_t lines = 0;
    for (const char *at = text.data; (at = strchr(at, '\n')); at++)
        lines++;
    assert_in_range(lines, 1 + 40, 1 + 50); /* a resample may be refused */
    assert_says(&text, "\nparametric,0,0.4285");
    buffer_deinit(&text);
}

/* The law is known, so that the optimum is too. */
static void test_predict(void **state) {
    (void)state;
    Said said;
    const char *path = write_law();
    sweepctl_expect(&said, CLI_OK, "predict", "--points", path, "--flops=1e16,1e21", "--method=parametric", "--bootstrap=20", "--json");
    json_t *root = said_json(&said), *predictions = json_object_get(root, "predictions");
    assert_int_equal(json_array_size(predictions), 2);
    double gain = pow(law_alpha * law_a / (law_beta * law_b), 1 / (law_alpha + law_beta));
    for (size_t i = 0; i < 2; i++) {
        const json_t *prediction = json_array_get(predictions, i), *params = json_object_get(prediction, "params");
        double flops = i ? 1e21 : 1e16, best = gain * pow(flops / 6, law_beta / (law_alpha + law_beta)), data = flops / 6 / best;
        assert_near(number(params, "value"), best, 1e-2);
        assert_true(number(params, "lo") <= number(params, "hi"));
        assert_near(number(json_object_get(prediction, "examples"), "value"), data, 1e-2);
        assert_near(number(json_object_get(prediction, "loss"), "value"),
                    law_e + law_a * pow(best, -law_alpha) + law_b * pow(data, -law_beta), 1e-3);
        assert_int_equal(json_is_true(json_object_get(prediction, "beyond")), i);
        assert_true(json_is_null(json_object_get(prediction, "nearest"))); /* a table has no models */
    }
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "predict", "--points", path, "--flops=1e21", "--method=parametric,power", "--bootstrap=20");
    assert_says(&said.out, "Beyond the data");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "predict", "--points", path);
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "predict", "--points", path, "--flops=1e21,x");
    said_clear(&said);
}

static void test_holdout(void **state) {
    (void)state;
    Said said;
    const char *path = write_law();
    sweepctl_expect(&said, CLI_OK, "predict", "--points", path, "--holdout=0.3", "--method=parametric", "--bootstrap=20", "--json");
    json_t *root = said_json(&said), *holdout = json_array_get(json_object_get(root, "holdouts"), 0);
    assert_true(number(holdout, "error") < 1e-3);
    assert_int_equal(json_array_size(json_object_get(holdout, "points")), number(holdout, "scored"));
    assert_int_equal(number(holdout, "fitted") + number(holdout, "scored"), SIZES * BUDGETS);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "predict", "--points", path, "--holdout=0.3", "--method=parametric", "--bootstrap=0");
    assert_says(&said.out, "scored on");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "predict", "--points", path, "--holdout=0.3", "--method=isoflop");
    said_clear(&said);
}

/* Noisy points of two laws, some of them alike. */
static void write_noisy(const char *name, double alpha, uint64_t seed, char path[PATH_TEXT_MAX]) {
    Buffer text;
    Rng rng;
    rng_init(&rng, seed, 0);
    buffer_init(&text, 1 << 20);
    buffer_append_text(&text, "params,examples,loss\n");
    for (int i = 0; i < 64; i++) {
        double params = 1e4 * pow(2, i % 8), examples = 1e4 * pow(2.5, (double)(i / 8));
        double loss = (0.1 + 20 * pow(params, -alpha) + 30 * pow(examples, -0.35)) * exp(0.005 * rng_normal(&rng));
        buffer_printf(&text, "%.17g,%.17g,%.17g\n", params, examples, loss);
    }
    text_copy(path, PATH_TEXT_MAX, harness_file(name, text.data));
    buffer_deinit(&text);
}

static void test_compare(void **state) {
    (void)state;
    Said said;
    char a[PATH_TEXT_MAX], alike[PATH_TEXT_MAX], other[PATH_TEXT_MAX];
    write_noisy("a.csv", 0.3, 1, a);
    write_noisy("alike.csv", 0.3, 2, alike);
    write_noisy("other.csv", 0.5, 3, other);
    sweepctl_expect(&said, CLI_OK, "compare", "--points", a, "--points", alike, "--points", other, "--bootstrap=200", "--json");
    json_t *root = said_json(&said), *differences = json_object_get(root, "differences");
    static const bool differ[] = {false, true, true}; /* a and alike; a and other; alike and other */
    assert_int_equal(json_array_size(json_object_get(root, "studies")), 3);
    assert_int_equal(json_array_size(differences), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *params = json_object_get(json_array_get(differences, i), "P");
        assert_int_equal(json_is_true(json_object_get(params, "differ")), differ[i]);
        assert_true(number(params, "lo") < number(params, "hi") && number(params, "p") > 0);
    }
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "compare", "--points", a, "--points", other, "--bootstrap=100");
    assert_says(&said.out, "Exponent of P* (parametric): they differ.");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "compare", "--points", a, "--points", alike, "--bootstrap=100");
    assert_says(&said.out, "no difference is shown");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "compare", "--points", a);
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "compare", "--points", a, "--points", other, "--method=power", "--bootstrap=0");
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

/* Losses that fall ever faster are refused by the power law, and say why wherever it is asked for. */
static void test_power_that_runs_off(void **state) {
    (void)state;
    const char *path = harness_file("fall.csv", "params,examples,flops,loss\n1,1,1e8,0.9\n1,1,2e8,0.85\n1,1,3e8,0.8\n1,1,4e8,0.7\n"
                                                "1,1,5e8,0.55\n1,1,6e8,0.3\n");
    Said said;
    sweepctl_expect(&said, CLI_FAILED, "fit", "--points", path, "--method=power", "--bootstrap=0");
    assert_says(&said.out, "Refused: the losses do not level off like a power law");
    assert_null(strstr(said.out.data, "nan"));
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "predict", "--points", path, "--flops=1e10", "--method=power", "--bootstrap=0");
    assert_says(&said.err, "do not level off like a power law");
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_that_runs_off),
        cmocka_unit_test(test_table_is_told_as_one),
        cmocka_unit_test(test_parametric),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_all_methods),
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_drop_first_share),
        cmocka_unit_test(test_cloud),
        cmocka_unit_test(test_predict),
        cmocka_unit_test(test_holdout),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_no_interval_at_a_bound),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
