/* A home that no daemon serves: what a study left in the store is shown, and what needs a daemon says so. The study's errors follow a
 * known law, one run failed and one diverged. */
#include "cli.h"
#include "harness.h"

#include "study.h"

#include "sweepd/store.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char study_file[] = "version: 1\n"
                                 "name: study\n"
                                 "data: {name: fashion-mnist, validation: 1000}\n"
                                 "model: {kind: bmlp}\n"
                                 "grid:\n"
                                 "  depth: [1]\n"
                                 "  width: [8, 16, 32, 64]\n"
                                 "  examples: [1000, 2000, 4000, 8000]\n"
                                 "  seed: [0, 1]\n"
                                 "train:\n"
                                 "  epochs: 2\n"
                                 "  batch: 100\n"
                                 "  optimizer: {name: lion, lr: 1.0e-3}\n"
                                 "fit: {metric: validation_error, bootstrap: 0}\n";
enum { RUNS = 32, FAILED_RUN = 3, DIVERGED_RUN = 7 };
static const double now = 1.7e9;
static bool all_well;    /* no run fails or diverges */
static double best_rate; /* 0: the error grows with the rate, else with the distance from this one */

static void check(int result, const Error *error) {
    if (result != 0)
        fail_msg("%d: %s", result, error->text);
}

static void finish_run(Store *store, const RunRecord *run, size_t index) {
    Error error = {0};
    AttemptStart start = {.run_id = run->id, .now = now, .expires_at = now + 60};
    AttemptRecord attempt;
    RunPlan plan;
    check(store_run_plan(store, run->id, &plan, &error), &error);
    Point point = {.step = plan.steps, .examples = 1000, .flops = run->flops.exact, .seconds = 0.5};
    memset(start.token, 'a', sizeof start.token - 1);
    text_copy(start.environment.host, sizeof start.environment.host, "elsewhere");
    text_copy(start.environment.backend, sizeof start.environment.backend, "openblas 0.0 Test");
    double loss = 0.1 + 2 * pow((double)run->params, -0.3) + 3 * pow((double)run->examples, -0.35) +
                  10 * (best_rate > 0 ? fabs(run->lr - best_rate) : run->lr - 1e-3);
    point_set_metric(&point, "validation_error", loss);
    point_set_metric(&point, "test_error", index == 0 ? NAN : loss + 0.01);
    point_set_metric(&point, "train_error", index == 1 ? 0 : loss);
    check(store_attempt_begin(store, &start, &attempt, &error), &error);
    if (index == FAILED_RUN && !all_well) {
        check(
            store_attempt_end(
                store, attempt.id,
                &(AttemptEnd){
                    .outcome = OUTCOME_CRASHED, .detail = "signal 9 (Killed)", .run_state = RUN_FAILED, .failures_add = 1, .now = now + 1},
                &error),
            &error);
        return;
    }
    check(store_point_add(store, attempt.id, &point, 1, &error), &error);
    RunState state = index == DIVERGED_RUN && !all_well ? RUN_DIVERGED : RUN_DONE;
    check(store_attempt_end(store, attempt.id, &(AttemptEnd){.outcome = OUTCOME_OK, .detail = "", .run_state = state, .now = now + 1},
                            &error),
          &error);
}

/* text: a sweep file named study with at most RUNS runs; finished: how many of them. */
static void make_study_of(const char *text, size_t finished) {
    Error error = {0};
    Store *store;
    Sweep *sweep;
    SubmitRecord submitted;
    RunFilter filter = {.state = -1, .limit = RUNS};
    static RunRecord runs[RUNS];
    size_t count;
    int64_t next;
    harness_clean();
    check(directory_make(harness_home(), 0700, &error), &error);
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    check(sweep_parse(&sweep, text, strlen(text), "study.yaml", &error), &error);
    check(store_sweep_submit(store, sweep, text, strlen(text), now, &submitted, &error), &error);
    filter.sweep_id = submitted.sweep_id;
    check(store_run_list(store, &filter, runs, &count, &next, &error), &error);
    assert_in_range(count, finished, RUNS);
    for (size_t i = 0; i < finished; i++)
        finish_run(store, &runs[i], i);
    sweep_free(sweep);
    store_free(store);
}

static void make_study(size_t finished) {
    make_study_of(study_file, finished);
}

static void test_empty_home(void **state) {
    (void)state;
    static const char *const verbs[][2] = {{"status", NULL}, {"watch", "x"},  {"wait", "x"},   {"runs", "x"},      {"show", "1"},
                                           {"logs", "1"},    {"cancel", "x"}, {"retry", "x"},  {"pause", "x"},     {"resume", "x"},
                                           {"fit", "x"},     {"plot", "x"},   {"export", "x"}, {"daemon", "stop"}, {"daemon", "status"}};
    harness_clean();
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        Said said;
        sweepctl_expect(&said, CLI_NO_DAEMON, verbs[i][0], verbs[i][1]);
        assert_int_equal(said.out.size, 0);
        assert_says(&said.err, "no daemon serves");
        said_clear(&said);
    }
    assert_false(file_exists(harness_home()));
}

static void test_needs_daemon(void **state) {
    (void)state;
    Said said;
    make_study(4);
    static const char *const verbs[] = {"cancel", "retry", "pause", "resume", "watch", "wait"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        sweepctl_expect(&said, CLI_NO_DAEMON, verbs[i], "study");
        assert_says(&said.err, "sweepctl daemon start");
        said_clear(&said);
    }
    sweepctl_expect(&said, CLI_NO_DAEMON, "submit", harness_file("study.yaml", study_file));
    assert_says(&said.err, "sweepctl run FILE");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "submit",
                    harness_file("sizes.yaml", "version: 1\nname: sizes\ndata: {inputs: 12, classes: 3, examples: 100}\n"
                                               "model: {kind: bmlp}\ngrid: {depth: [1], width: [8], examples: [50]}\n"
                                               "train: {epochs: 1, batch: 10, optimizer: {name: lion, lr: 1.0e-3}}\n"));
    assert_says(&said.err, "planned, not run");
    said_clear(&said);
}

static void test_status(void **state) {
    (void)state;
    Said said;
    make_study(20);
    sweepctl_expect(&said, CLI_OK, "status", "--json");
    assert_says(&said.err, "reading its database");
    json_t *root = said_json(&said);
    assert_true(json_is_false(json_object_get(root, "daemon")));
    assert_int_equal(json_array_size(json_object_get(root, "sweeps")), 1);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "status", "study", "--json");
    root = said_json(&said);
    const json_t *counts = json_object_get(json_object_get(root, "sweep"), "by_state");
    assert_int_equal(json_integer_value(json_object_get(counts, "done")), 18);
    assert_int_equal(json_integer_value(json_object_get(counts, "failed")), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "diverged")), 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "pending")), 12);
    assert_true(json_is_false(json_object_get(root, "finished")));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "status");
    assert_says(&said.out, "study");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "status", "sturdy");
    assert_says(&said.err, "there is no sweep 'sturdy'");
    said_clear(&said);
    make_study(RUNS); /* what diverged or failed will not be computed any more */
    sweepctl_expect(&said, CLI_OK, "status");
    assert_says(&said.out, " 100 % ");
    assert_says(&said.out, "fashion-mnist");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "status", "study");
    assert_says(&said.out, "(100 %)");
    said_clear(&said);
}

static void test_runs(void **state) {
    (void)state;
    Said said;
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "runs", "study", "--json");
    json_t *root = said_json(&said);
    assert_int_equal(json_array_size(json_object_get(root, "runs")), RUNS);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "runs", "--state=failed", "study");
    assert_says(&said.out, "signal 9 (Killed)");
    said_clear(&said);
    sweepctl_expect(&said, CLI_RUNS_FAILED, "wait", "study");
    assert_int_equal(said.out.size, 0);
    said_clear(&said);
    sweepctl_expect(&said, CLI_RUNS_FAILED, "watch", "study");
    assert_says(&said.out, "32 of 32 runs ended, 1 diverged, 1 failed");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "completion", "--sweeps");
    assert_string_equal(said.out.data, "study\n");
    said_clear(&said);
}

static void test_show(void **state) {
    (void)state;
    Said said;
    make_study(RUNS);
    sweepctl_expect(&said, CLI_OK, "show", "2", "--json");
    json_t *root = said_json(&said), *run = json_object_get(root, "run");
    const char *key = json_string_value(json_object_get(json_object_get(run, "record"), "key"));
    assert_non_null(key);
    assert_int_equal(json_array_size(json_object_get(run, "attempts")), 1);
    assert_int_equal(json_array_size(json_object_get(run, "points")), 1);
    Said spec;
    char prefix[9] = "";
    memcpy(prefix, key, 8);
    sweepctl_expect(&spec, CLI_OK, "show", "--spec", prefix);
    char hash[SHA256_HEX_MAX];
    Error error;
    assert_int_equal(sha256_hex(spec.out.data, spec.out.size - 1, hash, &error), 0); /* without the newline */
    assert_string_equal(hash, key);
    said_clear(&spec);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "show", "1");
    assert_says(&said.out, "openblas 0.0 Test");
    assert_says(&said.out, "validation_error");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "show", "999");
    assert_says(&said.err, "there is no run '999'");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "logs", "1");
    said_clear(&said);
}

/* Whatever a run measured is shown: what does not fit beside the rest stands below it. */
static void test_many_metrics(void **state) {
    (void)state;
    enum { MANY = 40 };
    Error error = {0};
    Store *store;
    AttemptRecord attempt;
    Said said;
    Point points[2] = {{.step = 1, .examples = 10, .flops = 1e3, .seconds = 0.5}, {.step = 2, .examples = 20, .flops = 2e3, .seconds = 1}};
    AttemptStart start = {.run_id = 1, .now = now, .expires_at = now + 60};
    char name[METRIC_NAME_MAX];
    make_study(0);
    memset(start.token, 'a', sizeof start.token - 1);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "measure_%zu_loss", i);
        point_set_metric(&points[0], name, (double)i + 0.5);
        point_set_metric(&points[1], name, (double)i + 0.25);
    }
    point_set_metric(&points[1], "linear.fashion-mnist.flops", 7771895);
    point_set_metric(&points[1], "linear.fashion-mnist.test_error", 0.125);
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    check(store_attempt_begin(store, &start, &attempt, &error), &error);
    check(store_point_add(store, attempt.id, points, 2, &error), &error);
    store_free(store);
    static const char *const widths[] = {"60", "0"};
    for (size_t w = 0; w < 2; w++) {
        setenv("COLUMNS", widths[w], 1);
        sweepctl_expect(&said, CLI_OK, "show", "1");
        unsetenv("COLUMNS");
        for (size_t i = 0; i < MANY; i++) {
            char value[32];
            snprintf(name, sizeof name, "measure_%zu_loss", i);
            snprintf(value, sizeof value, " %zu.2500", i);
            assert_says(&said.out, name);
            assert_says(&said.out, value);
        }
        assert_says(&said.out, "At the end\n");
        assert_says(&said.out, "  linear.fashion-mnist.flops       7,771,895\n");
        assert_says(&said.out, "  linear.fashion-mnist.test_error    12.50 %\n");
        said_clear(&said);
    }
}

static void replace(char *text, size_t capacity, const char *old, const char *new) {
    char rest[2048];
    char *at = strstr(text, old);
    assert_non_null(at);
    text_copy(rest, sizeof rest, at + strlen(old));
    snprintf(at, capacity - (size_t)(at - text), "%s%s", new, rest);
}

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

/* What a program tells of its model is not known before it has. */
static void test_unknown_sizes(void **state) {
    (void)state;
    char text[2048];
    Said said;
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "model: {kind: bmlp}\n", "model: {name: net}\ntrainer: {kind: external, command: [\"true\"]}\n");
    replace(text, sizeof text, "{name: fashion-mnist, validation: 1000}", "{inputs: 784, classes: 10, examples: 60000}");
    make_study_of(text, 0);
    sweepctl_expect(&said, CLI_OK, "runs", "study");
    assert_says(&said.out, "net_1-Wi_8            ?");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "export", "study");
    assert_says(&said.out, ",pending,net_1-Wi_8,1,8,,,1000,0,0.001,,,,,");
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "status");
    assert_says(&said.out, "?  -");
    said_clear(&said);
}

/* The study with another axis in place of its two seeds. setting: what its file says of it, or "". */
static void make_study_along(const char *axis, const char *setting) {
    char text[2048];
    text_copy(text, sizeof text, study_file);
    replace(text, sizeof text, "seed: [0, 1]", axis);
    replace(text, sizeof text, setting, "");
    make_study_of(text, RUNS);
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

/* The table of results, as `run` prints it, into an initialised buffer. */
static void print_results(Buffer *out) {
    Cli cli = {.home_option = harness_home()};
    Arguments arguments = {0};
    Error error = {0};
    Source *source;
    Study study;
    char path[PATH_TEXT_MAX];
    check(path_format(path, &error, "%s/results", harness_folder()), &error);
    check(source_open_quietly(&source, harness_home(), SOURCE_ANY, &error), &error);
    check(study_open(&study, source, "study", &arguments, &error), &error);
    fflush(stdout);
    int kept = dup(STDOUT_FILENO), file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    int result = study_print(&study, &cli, &error);
    fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    close(kept);
    close(file);
    check(result, &error);
    check(file_read(path, 1 << 20, out, &error), &error);
    study_deinit(&study);
    source_free(source);
}

/* A cell is the mean over seeds alone: another learning rate, which adds ten points to every error here, has rows of its own. */
static void test_results(void **state) {
    (void)state;
    Buffer text;
    buffer_init(&text, 1 << 20);
    make_study(RUNS);
    print_results(&text);
    assert_says(&text, "validation_error by model and number of training examples, mean over seeds (standard deviation)\n");
    assert_null(strstr(text.data, "lr"));
    assert_says(&text, "50.82 %"); /* of B_1-Wi_8 and 1000 examples */
    buffer_clear(&text);
    make_study_along("lr: [1.0e-3, 1.1e-2]", ", lr: 1.0e-3");
    print_results(&text);
    assert_says(&text, "validation_error by model, settings and number of training examples\n");
    assert_says(&text, "Model      Parameters     lr");
    assert_says(&text, "0.001  50.82 %");
    assert_says(&text, "0.011  60.82 %");
    buffer_deinit(&text);
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

/* A line never is wider than the terminal says, at the two widths that people have. */
static void test_widths(void **state) {
    (void)state;
    static const char *const verbs[][2] = {{"status", NULL}, {"runs", "study"}, {"show", "4"}, {"fit", "study"}};
    static const char *const widths[] = {"80", "160"};
    make_study(RUNS);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        for (size_t j = 0; j < 2; j++) {
            Said said;
            setenv("COLUMNS", widths[j], 1);
            sweepctl_expect(&said, CLI_OK, verbs[i][0], verbs[i][1]);
            unsetenv("COLUMNS");
            for (const char *line = said.out.data; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strcspn(line, "\n") > strtoul(widths[j], NULL, 10))
                    fail_msg("%s: too wide for %s:\n%.*s", verbs[i][0], widths[j], (int)strcspn(line, "\n"), line);
            said_clear(&said);
        }
}

static void test_doctor(void **state) {
    (void)state;
    Said said;
    make_study(4);
    sweepctl(&said, "doctor", NULL);
    assert_says(&said.out, "sweepd.db is sound");
    said_clear(&said);
    char path[PATH_TEXT_MAX];
    Error error;
    assert_int_equal(path_format(path, &error, "%s/sweepd.db", harness_home()), 0);
    assert_int_equal(file_write_atomic(path, "this is no database", 19, 0600, &error), 0);
    sweepctl_expect(&said, CLI_FAILED, "doctor");
    assert_says(&said.out, "fail  database");
    said_clear(&said);
}

static void test_wrong_names(void **state) {
    (void)state;
    Said said;
    make_study(4);
    sweepctl_expect(&said, CLI_USAGE, "fit", "study", "--metric", "foo");
    assert_says(&said.err, "they have validation_error, test_error");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "show", "abc");
    assert_says(&said.err, "at least the first 6 digits of its key");
    said_clear(&said);
}

/* Left as running by a daemon that is gone: nothing runs, so there is no rate to tell. */
static void test_no_rate_offline(void **state) {
    (void)state;
    Said said;
    Store *store;
    Error error = {0};
    AttemptStart start = {.run_id = 5, .now = now, .expires_at = now + 60};
    AttemptRecord attempt;
    make_study(4);
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    memset(start.token, 'a', sizeof start.token - 1);
    check(store_attempt_begin(store, &start, &attempt, &error), &error);
    check(store_attempt_renew(store, attempt.id, now + 60, 1, 1e6, &error), &error);
    store_free(store);
    sweepctl_expect(&said, CLI_OK, "status", "study", "--json");
    json_t *root = said_json(&said);
    assert_int_equal(json_array_size(json_object_get(root, "running")), 1);
    assert_true(json_is_null(json_object_get(root, "flops_per_second")));
    assert_true(json_is_null(json_object_get(root, "eta_seconds")));
    json_decref(root);
    said_clear(&said);
}

/* A home that cannot be looked at is not an empty one. */
static void test_unusable_home(void **state) {
    (void)state;
    Said said;
    char path[PATH_TEXT_MAX];
    Error error;
    harness_clean();
    assert_int_equal(path_format(path, &error, "%s/loop", harness_folder()), 0);
    assert_int_equal(symlink("loop", path), 0);
    sweepctl_expect(&said, CLI_FAILED, "status", "--home", path);
    assert_says(&said.err, "Too many levels of symbolic links");
    said_clear(&said);
    sweepctl_expect(&said, CLI_FAILED, "status", "--home", harness_file("file", "no home"));
    assert_says(&said.err, "is not a directory");
    said_clear(&said);
}

static void test_unusable_log(void **state) {
    (void)state;
    Said said;
    char path[PATH_TEXT_MAX];
    Error error;
    harness_clean();
    assert_int_equal(path_format(path, &error, "%s/sweepd.log", harness_home()), 0);
    assert_int_equal(directory_make(path, 0700, &error), 0);
    sweepctl_expect(&said, CLI_FAILED, "run", harness_file("study.yaml", study_file));
    assert_says(&said.err, "sweepd.log: Is a directory");
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_names),   cmocka_unit_test(test_no_rate_offline),
        cmocka_unit_test(test_unusable_home), cmocka_unit_test(test_unusable_log),
        cmocka_unit_test(test_empty_home),    cmocka_unit_test(test_needs_daemon),
        cmocka_unit_test(test_status),        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_show),          cmocka_unit_test(test_fit),
        cmocka_unit_test(test_missing_cells), cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_where),         cmocka_unit_test(test_tuned),
        cmocka_unit_test(test_predict),       cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_results),       cmocka_unit_test(test_export),
        cmocka_unit_test(test_widths),        cmocka_unit_test(test_unknown_metric),
        cmocka_unit_test(test_unknown_sizes), cmocka_unit_test(test_many_metrics),
        cmocka_unit_test(test_doctor),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
