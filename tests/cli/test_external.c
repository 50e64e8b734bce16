/* What is said of a study of an external program, which tells what it likes. */
#include "stored.h"

/* The sizes stand in the file. */
static const char external_file[] = "version: 1\n"
                                    "name: study\n"
                                    "data: {inputs: 784, classes: 10, examples: 60000}\n"
                                    "model: {name: vit}\n"
                                    "trainer: {kind: external, command: [\"true\"], params: 12 * depth * width ^ 2,\n"
                                    "  flops: 6 * params * examples, steps: 1}\n"
                                    "grid:\n"
                                    "  depth: [1]\n"
                                    "  width: [8, 16, 32, 64]\n"
                                    "  examples: [1000, 2000, 4000, 8000]\n"
                                    "  seed: [0, 1]\n"
                                    "train:\n"
                                    "  epochs: 2\n"
                                    "  batch: 100\n"
                                    "  optimizer: {name: lion, lr: 1.0e-3}\n"
                                    "fit: {metric: validation_error, bootstrap: 0, methods: [parametric]}\n";

/* ---- metrics that are called like columns ---- */

static size_t count_of(const Buffer *text, const char *piece) {
    size_t count = 0;
    for (const char *at = text->data; (at = strstr(at, piece)); at++)
        count++;
    return count;
}

/* Of the first line. */
static void expect_column(const char *format, const char *points, const char *before, const char *name, const char *after, size_t count) {
    char piece[128];
    Said said;
    sweepctl_expect(&said, CLI_OK, "export", "study", format, points);
    said.out.data[strcspn(said.out.data, "\n")] = '\0';
    snprintf(piece, sizeof piece, "%s%s%s", before, name, after);
    if (count_of(&said.out, piece) != count)
        fail_msg("not %zu of %s in %s", count, piece, said.out.data);
    said_clear(&said);
}

static void expect_columns(const char *name, size_t count) {
    expect_column("--format=csv", NULL, ",", name, ",", count);
    expect_column("--format=csv", "--points", ",", name, count ? "" : ",", count);
    expect_column("--format=jsonl", NULL, "\"", name, "\":", count);
    expect_column("--format=jsonl", "--points", "\"", name, "\":", count);
}

static void test_columns(void **state) {
    (void)state;
    static const char *const taken[][2] = {
        {"lr", "metrics.lr"}, {"state", "metrics.state"}, {"metrics.lr", "metrics.metrics.lr"}, {"epochs", "metrics.epochs"}};
    char text[2048];
    text_copy(text, sizeof text, external_file);
    replace(text, sizeof text, "seed: [0, 1]", "epochs: [2, 3]");
    replace(text, sizeof text, "  epochs: 2\n", "");
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        more_metric = taken[i][0];
        make_study_of(text, 2);
        more_metric = NULL;
        expect_columns(taken[i][1], 1);
    }
    more_metric = "detail"; /* a column of runs alone */
    make_study_of(text, 2);
    more_metric = NULL;
    expect_columns("metrics.detail", 1);
    expect_column("--format=jsonl", "--points", "\"", "detail", "\":", 0);
    expect_column("--format=jsonl", NULL, "\"", "detail", "\":", 1);
}

/* The setting keeps its name. */
static void test_where(void **state) {
    (void)state;
    char text[2048];
    Said said;
    text_copy(text, sizeof text, external_file);
    replace(text, sizeof text, "seed: [0, 1]", "epochs: [2, 3]");
    replace(text, sizeof text, "  epochs: 2\n", "");
    more_metric = "epochs";
    make_study_of(text, RUNS);
    more_metric = NULL;
    sweepctl_expect(&said, CLI_OK, "fit", "study", "--json", "--metric=epochs", "--where", "epochs = 2 and metrics.epochs > 0");
    json_t *root = said_json(&said);
    assert_int_equal(json_integer_value(json_object_get(root, "points")),
                     RUNS / 2); /* the failed and the diverged run are among the others */
    json_decref(root);
    said_clear(&said);
}

/* ---- the nearest model ---- */

static const char *const arithmetic = " params: 12 * depth * width ^ 2,\n  flops: 6 * params * examples,";

static void test_nearest(void **state) {
    (void)state;
    Said said;
    make_study_of(external_file, RUNS);
    sweepctl_expect(&said, CLI_OK, "predict", "study", "--flops=1e10", "--json");
    json_t *root = said_json(&said), *prediction = json_array_get(json_object_get(root, "predictions"), 0);
    json_t *nearest = json_object_get(prediction, "nearest");
    double best = json_number_value(json_object_get(json_object_get(prediction, "params"), "value"));
    int64_t width = json_integer_value(json_object_get(nearest, "width"));
    double params = told_params(1, width);
    char name[64];
    snprintf(name, sizeof name, "vit_1-Wi_%lld", (long long)width);
    assert_string_equal(json_string_value(json_object_get(nearest, "model")), name);
    assert_int_equal(json_integer_value(json_object_get(nearest, "params")), (int64_t)params);
    for (int64_t other = width - 1; other <= width + 1; other++)
        assert_true(fabs(log(told_params(1, other) / best)) >= fabs(log(params / best)));
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "predict", "study", "--flops=1e10");
    assert_says(&said.out, name);
    said_clear(&said);
}

static void expect_no_nearest(const char *text, const char *why) {
    Said said;
    make_study_of(text, RUNS);
    sweepctl_expect(&said, CLI_OK, "predict", "study", "--flops=1e10", "--json");
    json_t *root = said_json(&said), *prediction = json_array_get(json_object_get(root, "predictions"), 0);
    assert_true(json_is_null(json_object_get(prediction, "nearest")));
    assert_int_equal(json_array_size(json_object_get(prediction, "models")), 0);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "predict", "study", "--flops=1e10");
    assert_says(&said.out, why);
    assert_null(strstr(said.out.data, "Nearest model"));
    said_clear(&said);
}

static void test_no_nearest(void **state) {
    (void)state;
    char text[2048];
    text_copy(text, sizeof text, external_file);
    replace(text, sizeof text, arithmetic, "");
    tells_sizes = true;
    expect_no_nearest(text, "No nearest model is named: the program tells its parameters itself");
    tells_sizes = false;
    text_copy(text, sizeof text, external_file);
    replace(text, sizeof text, "12 * depth * width ^ 2", "1.0e6 * depth / width");
    expect_no_nearest(text, "No nearest model is named: parameters do not grow with width by trainer.params");
}

/* The cells of the failed and of the diverged run have another seed. */
static void test_untold(void **state) {
    (void)state;
    char text[2048];
    Said said;
    text_copy(text, sizeof text, external_file);
    replace(text, sizeof text, arithmetic, "");
    tells_sizes = true;
    make_study_of(text, RUNS);
    tells_sizes = false;
    sweepctl_expect(&said, CLI_OK, "fit", "study");
    assert_says(&said.out, "runs_failed");
    assert_null(strstr(said.out.data, "cells_missing"));
    said_clear(&said);
}

/* A table is of a loss: what makes the conclusion doubtful stands before it. */
static void test_compare(void **state) {
    (void)state;
    Said said;
    Buffer table;
    buffer_init(&table, 1 << 16);
    buffer_append_text(&table, "params,examples,loss\n");
    for (size_t i = 0; i < 16; i++) {
        double params = 1e3 * pow(4, (double)(i % 4)), examples = 1e3 * pow(2, (double)i / 4);
        buffer_printf(&table, "%g,%g,%.17g\n", params, examples, 0.1 + 2 * pow(params, -0.3) + 3 * pow(examples, -0.35));
    }
    make_study_of(external_file, RUNS);
    sweepctl_expect(&said, CLI_OK, "compare", "study", "--points", harness_file("table.csv", table.data), "--bootstrap=50");
    const char *metrics = "The studies are fitted to different metrics", *conclusion = "Exponent of P*";
    assert_says(&said.out, metrics);
    assert_says(&said.out, conclusion);
    assert_true(strstr(said.out.data, metrics) < strstr(said.out.data, conclusion));
    said_clear(&said);
    buffer_deinit(&table);
}

/* A design does not price an external program. */
static void test_advice(void **state) {
    (void)state;
    static const char *const files[] = {external_file, study_file};
    static const char *const advice[] = {"they are listed under include.", "A sweep file's design does so."};
    for (size_t i = 0; i < 2; i++) {
        char text[2048];
        Said said;
        text_copy(text, sizeof text, files[i]);
        replace(text, sizeof text, "[8, 16, 32, 64]", "[12, 16, 22, 30]");
        replace(text, sizeof text, "[1000, 2000, 4000, 8000]", "[1500, 5000, 16000, 54000]");
        make_study_of(text, RUNS);
        sweepctl_expect(&said, CLI_OK, "fit", "study", "--method=isoflop");
        assert_says(&said.out, advice[i]);
        assert_null(strstr(said.out.data, advice[1 - i]));
        said_clear(&said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns), cmocka_unit_test(test_where),   cmocka_unit_test(test_nearest), cmocka_unit_test(test_no_nearest),
        cmocka_unit_test(test_untold),  cmocka_unit_test(test_compare), cmocka_unit_test(test_advice),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
