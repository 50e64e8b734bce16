/* What is fitted, predicted and exported of a study in the store, and what is said of the runs that are left out. */
#include "stored.h"

static bool has_warning(const json_t *fit, const char *code) {
    const json_t *warnings = json_object_get(fit, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        if (!strcmp(json_string_value(json_object_get(json_array_get(warnings, i), "code")), code))
            return true;
    return false;
}

static const char *warning_text(const json_t *fit, const char *code) {
    const json_t *warnings = json_object_get(fit, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++)
        if (!strcmp(json_string_value(json_object_get(json_array_get(warnings, i), "code")), code))
            return json_string_value(json_object_get(json_array_get(warnings, i), "text"));
    fail_msg("no warning %s", code);
    return NULL;
}

/* The metric and the bootstrap come from the sweep's file; what is left out is warned of, with counts. */
static void test_fit(void **state) {
    (void)state;
    Said said;
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json");
    json_t *root = said_json(&said);
    assert_string_equal(json_string_value(json_object_get(root, "metric")), "validation_error");
    assert_int_equal(json_integer_value(json_object_get(root, "bootstrap")), 0);
    assert_int_equal(json_integer_value(json_object_get(root, "points")), RUNS - 2);
    assert_true(fabs(json_number_value(json_object_get(root, "alpha")) - 0.3) < 1e-2);
    assert_true(fabs(json_number_value(json_object_get(root, "beta")) - 0.35) < 1e-2);
    assert_string_equal(warning_text(root, "runs_failed"), "1 run failed and is left out");
    assert_string_equal(warning_text(root, "runs_diverged"), "1 run diverged and is left out");
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json", "--metric=test_error", "--params=body", "--flops=6nd");
    root = said_json(&said);
    assert_int_equal(json_integer_value(json_object_get(root, "points")), RUNS - 3);
    assert_string_equal(warning_text(root, "metric_missing"), "1 finished run lacks the metric and is left out");
    assert_string_equal(json_string_value(json_object_get(root, "params")), "body");
    assert_string_equal(json_string_value(json_object_get(root, "flops")), "6nd");
    assert_false(has_warning(root, "metric_not_positive"));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json", "--metric=train_error");
    root = said_json(&said);
    assert_true(has_warning(root, "metric_not_positive"));
    assert_int_equal(json_integer_value(json_object_get(root, "points")), RUNS - 3);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json", "--where=run != 3 and attempts <= 1");
    root = said_json(&said);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "left_out"), "where")), 1);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric");
    assert_says(&said.out, "Scaling MLPs (reported)");
    assert_says(&said.out, "0.35");
    assert_says(&said.out, "0.65");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "fit", "study", "--metric=nosuch");
    said_clear(&said);
}

/* An external program may measure anything, so that only its runs tell that the file's metric is none of theirs. */
static void test_unknown_metric(void **state) {
    (void)state;
    static const char model[] = "model: {kind: bmlp}\n";
    static const char external[] =
        "model: {name: net}\ntrainer: {kind: external, command: [\"true\"], params: width, flops: width * examples}\n";
    char text[2048];
    Said said;
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, model, external);
    replace(text, sizeof text, "metric: validation_error", "metric: test_loss, select: validation_loss");
    make_study_of(text, RUNS);
    sweepctl_expect(&said, CLI_FAILED, "fit", "study");
    assert_says(&said.err, "the finished runs of study have no test_loss, which is to be fitted");
    assert_says(&said.err, "they have validation_error, test_error, train_error. Write one of these as fit.metric in the sweep file");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "fit", "study", "--metric", "loss");
    assert_says(&said.err, "--metric: the runs of study have no loss; they have ");
    said_clear(&said);
    make_study_of(text, 0); /* nothing has finished, so that nothing is known of it */
    sweepctl_expect(&said, CLI_FAILED, "fit", "study");
    assert_null(strstr(said.err.data, "test_loss"));
    said_clear(&said);
    replace(text, sizeof text, "metric: test_loss", "metric: test_error");
    replace(text, sizeof text, "optimizer: {name: lion, lr: 1.0e-3}", "optimizer: {name: lion}");
    replace(text, sizeof text, "seed: [0, 1]", "seed: 0");
    replace(text, sizeof text, "fit:", "tune: {lr: [1.0e-3, 2.0e-3]}\nfit:");
    make_study_of(text, RUNS);
    sweepctl_expect(&said, CLI_FAILED, "fit", "study");
    assert_says(&said.err, "have no validation_loss, which is to choose among tuned settings; they have ");
    assert_says(&said.err, "Write one of these as fit.select");
    said_clear(&said);
}

/* Runs of one model and one number of examples that differ in a setting are no seeds of each other, and the fit names the setting. The
 * failed and the diverged run leave two pairs of the 16 with one run. */
static void test_mixed(void **state) {
    (void)state;
    static const char *const axes[][3] = {{"label_smoothing: [0, 0.1]", "", "(label_smoothing)"},
                                          {"lr: [1.0e-3, 2.0e-3]", ", lr: 1.0e-3", "(lr)"},
                                          {"epochs: [2, 40]", "  epochs: 2\n", "(epochs)"}};
    Said said;
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric");
    assert_null(strstr(said.out.data, "settings_mixed"));
    said_clear(&said);
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        make_study_along(axes[i][0], axes[i][1]);
        sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric");
        assert_says(&said.out, "Warning (settings_mixed): in 14 pairs of model and examples the runs differ in more than the seed");
        assert_says(&said.out, axes[i][2]);
        said_clear(&said);
    }
}

/* The whole study is there but for the two seeds of its last cell, which have not run. */
static void test_missing_cells(void **state) {
    (void)state;
    Said said;
    make_study(RUNS - 2);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json");
    json_t *root = said_json(&said);
    assert_string_equal(warning_text(root, "runs_missing"), "2 runs have not finished and are left out");
    assert_string_equal(warning_text(root, "cells_missing"),
                        "no run of 1 pair of model and examples is in the fit: B_1-Wi_64 at 8000 examples (not finished)");
    json_decref(root);
    said_clear(&said);
    /* Of the cells with a failed and a diverged run the other seed is there, and what --where does not want is not missed. */
    static const char *const codes[] = {"cells_missing", "runs_missing", "runs_failed", "runs_diverged", "runs_cancelled"};
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--where", "state = done", "--json");
    root = said_json(&said);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        assert_false(has_warning(root, codes[i]));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "left_out"), "where")), 4);
    json_decref(root);
    said_clear(&said);
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json");
    root = said_json(&said);
    assert_false(has_warning(root, "cells_missing"));
    assert_true(has_warning(root, "runs_failed"));
    json_decref(root);
    said_clear(&said);
}

static void test_cancelled(void **state) {
    (void)state;
    Said said;
    Store *store;
    Error error = {0};
    int64_t changed;
    make_study(RUNS - 1);
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    check(store_run_cancel(store, RUNS, now, &changed, &error), &error);
    store_free(store);
    sweepctl_expect(&said, CLI_OK, "show", "32");
    assert_says(&said.out, "run_cancelled");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json");
    json_t *root = said_json(&said);
    assert_string_equal(warning_text(root, "runs_cancelled"), "1 run was cancelled and is left out");
    json_decref(root);
    said_clear(&said);
}

/* Any field of a run, of its record or of its settings. */
static void test_where(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t left;
    } cases[] = {
        {"seed = 0 and epochs = 2", 16}, {"model != B_1-Wi_8", 24}, {"optimizer = lion", 30}, {"examples < 8000 and batch = 100", 23}};
    Said said;
    make_study(RUNS);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json", "--where", cases[i].text);
        json_t *root = said_json(&said);
        if (json_integer_value(json_object_get(root, "points")) != cases[i].left)
            fail_msg("%s: %lld", cases[i].text, (long long)json_integer_value(json_object_get(root, "points")));
        json_decref(root);
        said_clear(&said);
    }
    sweepctl_expect(&said, CLI_USAGE, "fit", "study", "--where", "widht = 8");
    assert_says(&said.err, "there is no field 'widht'; there are run, state, model, depth, width");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "fit", "study", "--where", "width = wide");
    said_clear(&said);
}

/* Each cell tries three rates; the error grows with the distance from the middle one, or with the rate. */
static void test_tuned(void **state) {
    (void)state;
    char text[2048];
    Said said;
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "  seed: [0, 1]\n", "  seed: [0]\n");
    replace(text, sizeof text, "[8, 16, 32, 64]", "[8, 16, 32]");
    replace(text, sizeof text, "[1000, 2000, 4000, 8000]", "[1000, 2000, 4000]");
    replace(text, sizeof text, ", lr: 1.0e-3}", "}\ntune: {lr: [1.0e-3, 2.0e-3, 3.0e-3]}");
    make_study_of(text, 27); /* the rate raises the error: the lowest wins */
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json");
    json_t *root = said_json(&said), *tuned = json_object_get(root, "tuned");
    /* Two runs of the 27 failed or diverged, so that theirs are settings without a result. */
    assert_string_equal(json_string_value(json_object_get(tuned, "select")), "validation_error");
    assert_int_equal(json_integer_value(json_object_get(tuned, "cells")), 9);
    assert_int_equal(json_integer_value(json_object_get(root, "points")), 9);
    assert_non_null(strstr(warning_text(root, "tuned_edge"), "lr = 0.001, the lowest that was tried, won in "));
    assert_false(has_warning(root, "settings_mixed"));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric");
    assert_says(&said.out, "Tuned lr, by validation_error: 0.001 won in ");
    said_clear(&said);
    best_rate = 2e-3;
    all_well = true;
    make_study_of(text, 27);
    best_rate = 0;
    all_well = false;
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=parametric", "--json");
    root = said_json(&said);
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(json_object_get(json_object_get(root, "tuned"), "values"), 0), "won")), 9);
    assert_false(has_warning(root, "tuned_edge"));
    json_decref(root);
    said_clear(&said);
}

/* A depth that the sweep has, and a width with the nearest number of parameters that any has. */
static void test_predict(void **state) {
    (void)state;
    Said said;
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "predict", "study", "--flops=1e11", "--method=parametric", "--json");
    json_t *root = said_json(&said), *prediction = json_array_get(json_object_get(root, "predictions"), 0);
    json_t *nearest = json_object_get(prediction, "nearest");
    double best = json_number_value(json_object_get(json_object_get(prediction, "params"), "value"));
    double params = (double)json_integer_value(json_object_get(nearest, "params"));
    int64_t width = json_integer_value(json_object_get(nearest, "width"));
    assert_int_equal(json_integer_value(json_object_get(nearest, "depth")), 1);
    for (int64_t other = width - 1; other <= width + 1; other++) {
        Architecture arch = {.kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 1, .width = other, .expansion = 4};
        double count = (double)arch_params_total(&arch);
        assert_true(other != width || count == params);
        assert_true(fabs(log(count / best)) >= fabs(log(params / best)));
    }
    json_decref(root);
    said_clear(&said);
}

static size_t count_lines(const Buffer *text) {
    size_t lines = 0;
    for (size_t i = 0; i < text->size; i++)
        lines += text->data[i] == '\n';
    return lines;
}

/* The table that export writes is one that fit reads. */
static void test_export(void **state) {
    (void)state;
    Said said;
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "export", "study");
    assert_int_equal(count_lines(&said.out), RUNS + 1);
    assert_memory_equal(said.out.data, "run,key,state,model,depth,width,params,params_body,examples,seed,lr,flops,", 74);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "export", "study", "--format=jsonl");
    assert_int_equal(count_lines(&said.out), RUNS);
    json_t *row = json_loadb(said.out.data, strcspn(said.out.data, "\n"), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(row, "schema_version")), 1);
    assert_true(json_is_null(json_object_get(row, "test_error")));
    assert_true(json_is_number(json_object_get(row, "validation_error")));
    json_decref(row);
    said_clear(&said);
    char path[PATH_TEXT_MAX];
    Error error;
    assert_int_equal(path_format(path, &error, "%s/points.csv", harness_folder()), 0);
    sweepctl_expect(&said, CLI_OK, "export", "study", "--points", "--out", path);
    assert_int_equal(said.out.size, 0);
    said_clear(&said);
    Buffer text;
    buffer_init(&text, 1 << 20);
    check(file_read(path, 1 << 20, &text, &error), &error);
    assert_int_equal(count_lines(&text), RUNS - 1 + 1); /* the failed run has no point */
    buffer_deinit(&text);
    sweepctl_expect(&said, CLI_FAILED, "export", "study", "--out", "/nonexistent/points.csv");
    said_clear(&said);
}

static size_t count_of(const Buffer *text, const char *piece) {
    size_t count = 0;
    for (const char *at = text->data; (at = strstr(at, piece)); at++)
        count++;
    return count;
}

/* What an external program tells of its parameters comes with every point, and is the run's. */
static void test_told_params(void **state) {
    (void)state;
    static const char *const ways[][2] = {
        {"--format=csv", NULL}, {"--format=csv", "--points"}, {"--format=jsonl", NULL}, {"--format=jsonl", "--points"}};
    Said said;
    more_metric = "params";
    make_study(2);
    more_metric = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        sweepctl_expect(&said, CLI_OK, "export", "study", ways[i][0], ways[i][1]);
        if (i >= 2)
            said.out.data[strcspn(said.out.data, "\n")] = '\0';
        assert_int_equal(count_of(&said.out, i < 2 ? ",params," : "\"params\":"), 1);
        said_clear(&said);
    }
    sweepctl_expect(&said, CLI_OK, "show", "1");
    assert_says(&said.out, "train_error");
    assert_null(strstr(said.out.data, "params"));
    said_clear(&said);
}

static const char measures[] = "  augment: {crop: {scale: [0.5, 1]}, flip: true, mixup: 0.4}\n"
                               "test: {crops: 5, flip: true, mean: softmax}\n"
                               "eval: [{kind: linear, data: {name: fashion-mnist, validation: 100}, name: own, epochs: 3},\n"
                               "  {kind: finetune, data: {name: fashion-mnist}, test: {crops: 2, flip: true}}]\nfit:";

static void test_show(void **state) {
    (void)state;
    char text[2048];
    Said said;
    make_study(2);
    sweepctl_expect(&said, CLI_OK, "show", "1");
    assert_null(strstr(said.out.data, "augment"));
    assert_null(strstr(said.out.data, "eval "));
    said_clear(&said);
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "fit:", measures);
    make_study_of(text, 2);
    sweepctl_expect(&said, CLI_OK, "show", "1");
    assert_says(&said.out, "  augment    crop: {ratio: [0.75, 1.33333], scale: [0.5, 1]}, flip: true, mixup: 0.4\n");
    assert_says(&said.out, "  test       crops: 5, flip: true, mean: softmax\n");
    assert_says(
        &said.out,
        "  eval       kind: linear, name: own, data: {name: fashion-mnist, validation: 100}, examples: 59900, batch: 128, epochs: 3, ");
    assert_says(&said.out, "  eval       kind: finetune, name: fashion-mnist, ");
    assert_says(&said.out, "body_lr: 0.001");
    assert_says(&said.out, "test: {crops: 2, flip: true}");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "show", "1", "--json");
    json_t *root = said_json(&said), *spec = json_object_get(json_object_get(root, "run"), "spec");
    assert_int_equal(json_array_size(json_object_get(spec, "eval")), 2);
    assert_non_null(json_object_get(json_object_get(spec, "train"), "augment"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(spec, "test"), "crops")), 5);
    json_decref(root);
    said_clear(&said);
}

/* The column is of what the sweep is fitted to. */
static void test_runs_metric(void **state) {
    (void)state;
    char text[2048];
    Said said;
    make_study(2);
    sweepctl_expect(&said, CLI_OK, "runs", "study");
    assert_says(&said.out, " validation_error ");
    assert_null(strstr(said.out.data, "test_error"));
    assert_null(strstr(said.out.data, "Test error"));
    said_clear(&said);
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "fit: {metric: validation_error, ", "fit: {");
    make_study_of(text, 2);
    sweepctl_expect(&said, CLI_OK, "runs", "study");
    assert_says(&said.out, " test_error ");
    said_clear(&said);
}

static void test_logs(void **state) {
    (void)state;
    Said said;
    Store *store;
    Error error = {0};
    int64_t changed;
    make_study(1);
    sweepctl_expect(&said, CLI_FAILED, "logs", "1");
    assert_says(&said.err, "run 1 has no log here, as one that is over at once; ");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "logs", "2");
    assert_says(&said.err, "run 2 has not begun, so it has no log yet\n");
    said_clear(&said);
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    check(store_run_cancel(store, 2, now, &changed, &error), &error);
    store_free(store);
    sweepctl_expect(&said, CLI_FAILED, "logs", "2");
    assert_says(&said.err, "run 2 has no log: it is cancelled and never began\n");
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit),           cmocka_unit_test(test_unknown_metric), cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_missing_cells), cmocka_unit_test(test_cancelled),      cmocka_unit_test(test_where),
        cmocka_unit_test(test_tuned),         cmocka_unit_test(test_predict),        cmocka_unit_test(test_export),
        cmocka_unit_test(test_told_params),   cmocka_unit_test(test_show),           cmocka_unit_test(test_runs_metric),
        cmocka_unit_test(test_logs),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
