/* A home that no daemon serves: what a study left in the store is shown, and what needs a daemon says so. */
#include "stored.h"

#include "study.h"

#include <fcntl.h>
#include <unistd.h>

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

/* A byte that is no character was written as \xff when it was kept. */
static void test_escapes(void **state) {
    (void)state;
    static const char *const verbs[][2] = {{"runs", "study"}, {"show", "4"}};
    Said said;
    failed_detail = "caf\xc3\xa9: \\xff";
    make_study(RUNS);
    failed_detail = "signal 9 (Killed)";
    for (size_t i = 0; i < 2; i++) {
        setenv("LC_ALL", "C.utf8", 1);
        sweepctl_expect(&said, CLI_OK, verbs[i][0], verbs[i][1]);
        assert_says(&said.out, "  caf\xc3\xa9: \\xff\n");
        assert_null(strstr(said.out.data, "x5c"));
        said_clear(&said);
        setenv("LC_ALL", "C", 1);
        sweepctl_expect(&said, CLI_OK, verbs[i][0], verbs[i][1]);
        unsetenv("LC_ALL");
        assert_says(&said.out, "  caf\\xc3\\xa9: \\xff\n");
        said_clear(&said);
    }
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
    assert_says(&text, "*  ");
    assert_says(&text, "\n\n* of some runs only: ");
    buffer_clear(&text);
    all_well = true;
    make_study(RUNS);
    all_well = false;
    print_results(&text);
    assert_null(strchr(text.data, '*'));
    buffer_clear(&text);
    make_study_along("lr: [1.0e-3, 1.1e-2]", ", lr: 1.0e-3");
    print_results(&text);
    assert_says(&text, "validation_error by model, settings and number of training examples\n");
    assert_says(&text, "Model      Parameters     lr");
    assert_says(&text, "0.001  50.82 %");
    assert_says(&text, "0.011  60.82 %");
    buffer_deinit(&text);
}

/* A run that failed before its program told its parameters is one of its cell's. */
static void test_results_of_untold_runs(void **state) {
    (void)state;
    char changed[2048];
    Buffer text;
    buffer_init(&text, 1 << 20);
    text_copy(changed, sizeof changed, study_file);
    replace(changed, sizeof changed, "model: {kind: bmlp}\n",
            "model: {name: net}\ntrainer: {kind: external, command: [\"true\"], steps: 1}\n");
    tells_sizes = true;
    make_study_of(changed, RUNS);
    tells_sizes = false;
    print_results(&text);
    assert_null(strchr(text.data, '?'));
    assert_says(&text, "%*  ");
    buffer_deinit(&text);
}

/* A design has a row for each model at each budget, and the best of each is marked. */
static void test_results_of_a_design(void **state) {
    (void)state;
    Buffer text;
    buffer_init(&text, 1 << 20);
    all_well = true;
    make_study_of("version: 1\nname: study\ndata: {inputs: 784, classes: 10, examples: 100000}\nmodel: {kind: bmlp}\n"
                  "grid: {depth: 1, width: [8, 12, 16, 24, 32, 48]}\n"
                  "design: {kind: isoflop, budgets: {from: 1.0e+10, to: 1.0e+11, points: 2}, sizes: 3}\n"
                  "train: {epochs: 20, batch: 128, optimizer: {name: lion, lr: 1.0e-3}}\n"
                  "trainer: {kind: simulated, law: {E: 1, A: 1, alpha: 1, B: 1, beta: 1}}\nfit: {metric: validation_error}\n",
                  6);
    all_well = false;
    print_results(&text);
    assert_says(&text, "validation_error by budget and model, settings\n");
    assert_says(&text, "Budget");
    assert_says(&text, "10.0 GFLOP  B_1-");
    assert_says(&text, "100 GFLOP  B_1-");
    assert_null(strstr(text.data, "none"));
    size_t best = 0;
    for (const char *at = text.data; (at = strstr(at, "best")) != NULL; at++)
        best++;
    assert_int_equal(best, 2);
    buffer_deinit(&text);
}

/* An axis of optimizers brings their constants, which its name decides: no columns of them. */
static void test_results_without_decided_settings(void **state) {
    (void)state;
    Buffer text;
    buffer_init(&text, 1 << 20);
    make_study_along("optimizer.name: [lion, adamw]", "name: lion, ");
    print_results(&text);
    assert_says(&text, "Model      Parameters  optimizer");
    static const char *const decided[] = {"beta1", "beta2", "epsilon", "momentum"};
    for (size_t i = 0; i < sizeof decided / sizeof *decided; i++)
        assert_null(strstr(text.data, decided[i]));
    buffer_deinit(&text);
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

/* What the doctor says of a folder of data is what a run would meet. */
static void test_doctor_and_own_data(void **state) {
    (void)state;
    Said without, said;
    char path[PATH_TEXT_MAX];
    Error error;
    make_study(4);
    sweepctl(&without, "doctor", NULL);
    setenv("SWEEPD_DATA", harness_home(), 1);
    sweepctl(&said, "doctor", NULL);
    const char *line = strstr(without.out.data, "data  "), *other = strstr(said.out.data, "data  ");
    assert_non_null(line);
    assert_non_null(other);
    assert_memory_equal(line, other, strcspn(line, "\n") + 1);
    said_clear(&said);
    said_clear(&without);
    assert_int_equal(path_format(path, &error, "%s/fashion-mnist", harness_home()), 0);
    assert_int_equal(directory_make(path, 0755, &error), 0);
    sweepctl_expect(&said, CLI_FAILED, "doctor");
    unsetenv("SWEEPD_DATA");
    assert_says(&said.out, "fail  data");
    assert_says(&said.out, "/fashion-mnist/train-images-idx3-ubyte");
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
        cmocka_unit_test(test_empty_home),
        cmocka_unit_test(test_needs_daemon),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_show),
        cmocka_unit_test(test_many_metrics),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_results_of_untold_runs),
        cmocka_unit_test(test_results_without_decided_settings),
        cmocka_unit_test(test_results_of_a_design),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_doctor),
        cmocka_unit_test(test_doctor_and_own_data),
        cmocka_unit_test(test_wrong_names),
        cmocka_unit_test(test_no_rate_offline),
        cmocka_unit_test(test_unknown_sizes),
        cmocka_unit_test(test_unusable_home),
        cmocka_unit_test(test_unusable_log),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
