/* A thousand runs whose answer is known, through the real daemon and workers: what comes back is the law that went in. */
#include "harness.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char sweep_format[] = "version: 1\n"
                                   "name: known\n"
                                   "data: {inputs: 784, classes: 10, examples: 100000}\n"
                                   "model: {kind: bmlp}\n"
                                   "trainer: {kind: simulated, law: {E: 0.1, A: 20, alpha: 0.4, B: 30, beta: 0.5}, noise: %s}\n"
                                   "grid:\n"
                                   "  depth: [1, 2]\n"
                                   "  width: [8, 16, 32, 64, 128]\n"
                                   "  examples: {from: 500, to: 100000, points: 10}\n"
                                   "  seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
                                   "train:\n"
                                   "  epochs: 3\n"
                                   "  batch: 100\n"
                                   "  optimizer: {name: lion, lr: 1e-3}\n"
                                   "fit: {bootstrap: 50}\n";

enum { RUNS = 2 * 5 * 10 * 10 };

static const char *write_sweep(const char *noise) {
    static char path[PATH_TEXT_MAX];
    char text[2048];
    snprintf(text, sizeof text, sweep_format, noise);
    site_write("known.yaml", text);
    site_path(path, "known.yaml");
    return path;
}

static double law(double params, double examples) {
    return 0.1 + 20 * pow(params, -0.4) + 30 * pow(examples, -0.5);
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* The largest |ln(loss / law)| of the runs, each of which is done. */
static double largest_difference(void) {
    static const char *const names[] = {"train_loss", "train_error", "validation_loss", "validation_error", "test_loss", "test_error"};
    double largest = 0;
    size_t index;
    json_t *run, *runs = site_runs("known");
    assert_int_equal(json_array_size(runs), RUNS);
    json_array_foreach(runs, index, run) {
        const json_t *last = json_object_get(run, "last"), *metrics = json_object_get(last, "metrics");
        assert_string_equal(json_string_value(json_object_get(run, "state")), "done");
        assert_true(number(run, "attempts") == 1 && number(run, "failures") == 0);
        assert_true(number(last, "seconds") == 0);
        assert_true(number(last, "flops") == number(json_object_get(run, "flops"), "exact"));
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            double loss = number(metrics, names[i]);
            largest = fmax(largest, fabs(log(loss / law(number(run, "params"), number(run, "examples")))));
        }
    }
    json_decref(runs);
    return largest;
}

/* Who asks for one is told where to look. */
static void assert_no_log(void) {
    Output output = site_run("sweepctl", "logs", "1", NULL);
    assert_int_equal(output.code, 1);
    assert_non_null(strstr(output.err, "/workers.log"));
    output_free(&output);
}

static void test_losses_are_the_laws(void **state) {
    (void)state;
    site_expect(0, "sweepctl", "run", write_sweep("0"), "--workers", "2", "--no-plot", NULL);
    assert_true(largest_difference() < 1e-12);
    assert_no_log();
    json_t *fit = site_json("sweepctl", "fit", "known", "--method", "parametric", "--json", NULL);
    assert_true(fabs(number(fit, "alpha") / 0.4 - 1) < 1e-3 && fabs(number(fit, "beta") / 0.5 - 1) < 1e-3);
    json_decref(fit);
}

/* The noise is the runs' own: submitted to another home, they come to the same losses. */
static void test_noise_is_the_runs_own(void **state) {
    (void)state;
    site_expect(0, "sweepctl", "run", write_sweep("0.05"), "--workers", "2", "--no-plot", NULL);
    double here = largest_difference();
    assert_true(here > 0.05 && here < 0.05 * 6);
    site_assert_as_undisturbed(1);
    site_assert_as_undisturbed(RUNS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {CASE(test_losses_are_the_laws), CASE(test_noise_is_the_runs_own)};
    return cmocka_run_group_tests_name("simulated", tests, NULL, NULL);
}
