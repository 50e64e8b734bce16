/* A trained model is measured on other data, by the real programs: packs of some classes, a sweep with `eval`, a worker that is killed
 * while it measures, a fit by what it measured. */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char fashion[] = "/usr/share/datasets/fashion-mnist";

static void pack(const char *name, const char *classes) {
    const char *given = getenv("SWEEPD_DATA");
    char source[PATH_TEXT_MAX];
    text_copy(source, sizeof source, fashion);
    if (given && *given)
        assert_int_equal(path_format(source, NULL, "%s/fashion-mnist", given), 0);
    site_expect(0, "sweepctl", "data", "pack", source, name, "--classes", classes, NULL);
}

/* by: `name` or `pack`, what it is that stands for the data in `low` and `high`. epochs: of the fine-tuning. */
static void submit(const char *name, const char *widths, const char *examples, int epochs, const char *by, const char *low,
                   const char *high) {
    char text[4 * PATH_TEXT_MAX + 1024], file[PATH_TEXT_MAX];
    snprintf(text, sizeof text,
             "version: 1\nname: %s\ndata: {%s: %s}\nmodel: {kind: bmlp}\n"
             "grid: {depth: [1], width: %s, examples: %s, seed: [0]}\n"
             "train: {epochs: 3, batch: 100, optimizer: {name: lion, lr: 1.0e-3}, evaluations: 2}\n"
             "eval:\n"
             "  - {kind: linear, data: {%s: %s}, examples: 200, epochs: 20, batch: 50, optimizer: {name: lion, lr: 1.0e-3}}\n"
             "  - {kind: finetune, data: {%s: %s, validation: 100}, examples: 200, epochs: %d, batch: 50}\n"
             "fit: {metric: linear.high.test_error, methods: [parametric], bootstrap: 0}\n",
             name, by, low, widths, examples, by, high, by, high, epochs);
    site_write("transfer.yaml", text);
    site_path(file, "transfer.yaml");
    site_expect(0, "sweepctl", "validate", file, NULL);
    site_expect(0, "sweepctl", "submit", file, NULL);
}

static void expect_invalid(const char *name, const char *message) {
    char file[PATH_TEXT_MAX];
    site_path(file, name);
    Output output = site_run("sweepctl", "submit", file, NULL);
    assert_int_equal(output.code, 2);
    if (!strstr(output.err, message))
        fail_msg("expected \"%s\" in: %.300s", message, output.err);
    output_free(&output);
}

static bool has_told(void *context) {
    json_t *status = site_json("sweepctl", "status", context, "--json", NULL);
    const json_t *run = json_array_get(json_object_get(status, "running"), 0);
    bool told =
        json_number_value(json_object_get(run, "done_flops")) > json_number_value(json_object_get(json_object_get(run, "flops"), "exact"));
    json_decref(status);
    return told;
}

static bool is_measuring(void *context) {
    return file_exists(context);
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* What eval executes counts as something to do: its own training, a thousandth of it, does not make a run look done. */
static void assert_under_way(const char *sweep) {
    json_t *status = site_json("sweepctl", "status", sweep, "--json", NULL), *record = json_object_get(status, "sweep");
    const json_t *run = json_array_get(json_object_get(status, "running"), 0);
    double trained = number(json_object_get(run, "flops"), "exact"), planned = number(record, "planned_flops");
    assert_true(planned == trained + number(run, "eval_flops") && planned > 100 * trained);
    assert_true(number(record, "done_flops") > trained && number(record, "done_flops") < planned);
    json_decref(status);
}

/* Its own training is over and is not repeated; the linear probe is finished, the fine-tuning under way. */
static void test_killed_while_it_measures(void **state) {
    (void)state;
    char path[PATH_TEXT_MAX], log[PATH_TEXT_MAX];
    Buffer text;
    pack("low", "0-4");
    pack("high", "5-9");
    site_start_daemon("1", NULL);
    submit("killed", "[32]", "[500]", 4000, "name", "low", "high");
    int64_t run_id = site_run_of_width("killed", 32);
    site_run_path(path, run_id, "checkpoint.safetensors.eval1");
    site_until(is_measuring, path, "the fine-tuning to have a checkpoint");
    site_until(has_told, "killed", "the daemon to hear how far eval is");
    assert_under_way("killed");
    assert_int_equal(kill(site_freeze(run_id), SIGKILL), 0);
    site_expect(0, "sweepctl", "wait", "killed", "--timeout", "100", NULL);
    char outcomes[256];
    site_outcomes(run_id, outcomes, sizeof outcomes);
    assert_string_equal(outcomes, "crashed,ok");
    site_run_path(log, run_id, "log");
    buffer_init(&text, 1 << 20);
    assert_int_equal(file_read(log, text.max, &text, NULL), 0);
    assert_non_null(strstr(text.data, "resumes at step 15 of 15"));
    buffer_deinit(&text);
    assert_false(file_exists(path)); /* gone with the result */
    site_assert_as_undisturbed(run_id);
}

static json_t *last_metrics(json_t *run) {
    return json_object_get(json_object_get(run, "last"), "metrics");
}

static void assert_fitted(const char *option, const char *value, const char *part) {
    Output fit = site_run("sweepctl", "fit", "fitted", "--method", "parametric", "--json", option, value, NULL);
    if (!strstr(fit.out, part))
        fail_msg("expected %s in: %.300s %.300s", part, fit.out, fit.err);
    output_free(&fit);
}

static void test_what_was_measured_is_shown_and_fitted(void **state) {
    (void)state;
    char low[PATH_TEXT_MAX], high[PATH_TEXT_MAX];
    site_path(low, "low.pack");
    site_path(high, "high.pack");
    pack(low, "0-4");
    pack(high, "5-9");
    site_start_daemon("2", NULL);
    submit("fitted", "[4, 8, 16]", "[500, 1000, 2000]", 20, "pack", "low.pack", high);
    site_expect(0, "sweepctl", "wait", "fitted", "--timeout", "100", NULL);
    json_t *runs = site_runs("fitted"), *run;
    size_t i;
    assert_int_equal(json_array_size(runs), 9);
    json_array_foreach(runs, i, run) {
        json_t *metrics = last_metrics(run);
        assert_true(json_number_value(json_object_get(metrics, "linear.high.test_error")) > 0);
        assert_true(json_number_value(json_object_get(metrics, "finetune.high.validation_loss")) > 0);
        assert_true(json_number_value(json_object_get(metrics, "finetune.high.flops")) >
                    json_number_value(json_object_get(metrics, "linear.high.flops")));
    }
    json_decref(runs);
    json_t *status = site_json("sweepctl", "status", "fitted", "--json", NULL), *record = json_object_get(status, "sweep");
    assert_true(number(record, "done_flops") == number(record, "planned_flops"));
    json_decref(status);
    assert_int_equal(unlink(low), 0); /* what was trained is still shown and fitted, a new run is not begun */
    expect_invalid("transfer.yaml", "data.pack: found no regular file \"low.pack\"");
    /* So few runs may not bear a law: what is asked is which metric a fit would be of. */
    assert_fitted("--bootstrap", "0", "\"metric\":\"linear.high.test_error\"");
    assert_fitted("--metric", "finetune.high.test_loss", "\"metric\":\"finetune.high.test_loss\"");
    assert_fitted("--where", "linear.high.test_error < 0", "\"points\":0");
    site_expect(2, "sweepctl", "fit", "fitted", "--metric", "finetune.low.test_loss", NULL);
    Output exported = site_run("sweepctl", "export", "fitted", NULL);
    assert_int_equal(exported.code, 0);
    assert_non_null(strstr(exported.out, ",linear.high.test_error,"));
    output_free(&exported);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_while_it_measures, site_set_up, site_tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_measured_is_shown_and_fitted, site_set_up, site_tear_down),
    };
    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
