/* validate and plan. The shapes' numbers are those of the paper's table (Bachmann, Anagnostidis and Hofmann 2023), counted from its
 * authors' models. */
#include "cli.h"
#include "harness.h"
#include "rate.h"

#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char paper_grid[] = "version: 1\n"
                                 "name: paper\n"
                                 "data: {inputs: 12288, classes: 11230, examples: 11801680}\n"
                                 "model: {kind: bmlp, expansion: 4}\n"
                                 "grid:\n"
                                 "  depth: [6, 12]\n"
                                 "  width: [256, 512, 1024]\n"
                                 "  examples: [1000, 100000]\n"
                                 "train:\n"
                                 "  epochs: 50\n"
                                 "  batch: 16384\n"
                                 "  optimizer: {name: lion, lr: 1.0e-5, weight_decay: 1.0e-3}\n";

static void test_validate(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "validate", harness_file("paper.yaml", paper_grid));
    assert_says(&said.out, "paper.yaml: 12 runs");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "validate", harness_file("bad.yaml", "version: 1\nname: bad\ngird: {}\n"));
    assert_int_equal(said.out.size, 0);
    assert_says(&said.err, "bad.yaml:3:1: ");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "validate", "/nonexistent/sweep.yaml");
    assert_says(&said.err, "/nonexistent/sweep.yaml");
    said_clear(&said);
    sweepctl_expect(&said, CLI_USAGE, "plan", harness_file("empty.yaml", ""));
    said_clear(&said);
}

/* Before any daemon is asked. */
static void test_files_that_do_not_fit(void **state) {
    (void)state;
    static const char *const verbs[] = {"validate", "submit", "run"};
    Said said;
    harness_file("labels.json", "[[1],[2]]");
    for (size_t i = 0; i < 3; i++) {
        sweepctl_expect(&said, CLI_USAGE, verbs[i],
                        harness_file("labels.yaml", "version: 1\nname: labels\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\n"
                                                    "grid: {depth: [1], width: [8], examples: [100]}\n"
                                                    "train: {epochs: 1, batch: 100, optimizer: {name: lion, lr: 1.0e-3}}\n"
                                                    "test: {real: labels.json}\n"));
        assert_says(&said.err, "labels.yaml: test.real: ");
        assert_says(&said.err, "labels.json: byte 8: lists of 2 images; the test set has 10000");
        said_clear(&said);
    }
}

typedef struct Shape {
    const char *name;
    int64_t params, macs;
} Shape;

static const Shape shapes[] = {
    {"B_6-Wi_256", 9188574, 9166336},    {"B_12-Wi_256", 12345054, 12312064}, {"B_6-Wi_512", 24657374, 24624128},
    {"B_12-Wi_512", 37261790, 37207040}, {"B_6-Wi_1024", 74469342, 74414080}, {"B_12-Wi_1024", 124843998, 124745728},
};

static const json_t *model_named(const json_t *models, const char *name) {
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i);
        if (!strcmp(json_string_value(json_object_get(model, "name")), name))
            return model;
    }
    fail_msg("no model %s", name);
    return NULL;
}

static void test_plan_json(void **state) {
    (void)state;
    Said said;
    sweepctl_expect(&said, CLI_OK, "plan", "--json", harness_file("paper.yaml", paper_grid));
    json_t *root = said_json(&said);
    const json_t *models = json_object_get(root, "models"), *flops = json_object_get(root, "flops");
    assert_int_equal(json_integer_value(json_object_get(root, "runs")), 12);
    assert_int_equal(json_array_size(models), 6);
    double nd6 = 0;
    for (size_t i = 0; i < 6; i++) {
        const json_t *model = model_named(models, shapes[i].name);
        assert_int_equal(json_integer_value(json_object_get(model, "params")), shapes[i].params);
        assert_int_equal(json_integer_value(json_object_get(model, "forward_macs")), shapes[i].macs);
        assert_true(json_integer_value(json_object_get(model, "params_body")) < shapes[i].params);
        nd6 += 6 * (double)shapes[i].params * (1000 + 100000) * 50;
    }
    assert_true(json_number_value(json_object_get(flops, "6nd")) == nd6);
    assert_true(json_number_value(json_object_get(flops, "exact")) > json_number_value(json_object_get(flops, "paper")));
    const json_t *eta = json_object_get(root, "eta_seconds");
    assert_true(json_is_null(eta) || json_number_value(eta) > 0);
    json_decref(root);
    said_clear(&said);
}

/* Each file of sweeps/ is one, and has its cost in each convention, also where its data are not here. */
static void test_every_file(void **state) {
    (void)state;
    glob_t files;
    assert_int_equal(glob(PROJECT_ROOT "/sweeps/*.yaml", 0, NULL, &files), 0);
    assert_true(files.gl_pathc >= 20);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        Said said;
        const char *path = files.gl_pathv[i];
        sweepctl_expect(&said, CLI_OK, "validate", path);
        said_clear(&said);
        sweepctl_expect(&said, CLI_OK, "plan", "--json", path);
        json_t *root = said_json(&said);
        const json_t *flops = json_object_get(root, "flops"), *missing = json_object_get(root, "missing");
        bool external = strstr(path, "/architectures-") && !strstr(path, "bmlp"), table = strstr(path, "/table") != NULL;
        assert_true(json_integer_value(json_object_get(root, "runs")) > 0);
        for (const char *const *name = (const char *const[]){"exact", "paper", "6nd", NULL}; *name; name++)
            assert_true(external || json_number_value(json_object_get(flops, *name)) > 0);
        assert_true(json_is_string(missing) || (json_is_null(missing) && !table));
        json_decref(root);
        said_clear(&said);
    }
    globfree(&files);
}

/* The widths that COLUMNS asks for, and neither colours nor cut cells in a pipe. */
static void test_plan_table(void **state) {
    (void)state;
    Said said;
    setenv("COLUMNS", "80", 1);
    sweepctl_expect(&said, CLI_OK, "plan", harness_file("paper.yaml", paper_grid));
    unsetenv("COLUMNS");
    for (const char *line = said.out.data; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        assert_in_range(strcspn(line, "\n"), 0, 80);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "plan", harness_file("paper.yaml", paper_grid));
    assert_says(&said.out, "124,843,998");
    assert_says(&said.out, "in blocks");
    assert_null(strchr(said.out.data, '\033'));
    said_clear(&said);
}

/* What a design takes is in the plan, and a dry run is a plan. */
static void test_plan_design(void **state) {
    (void)state;
    static const char text[] = "version: 1\nname: design\ndata: {inputs: 784, classes: 10, examples: 100000}\nmodel: {kind: bmlp}\n"
                               "grid: {depth: 1, width: [8, 12, 16, 24, 32, 48]}\n"
                               "design: {kind: isoflop, budgets: {from: 1.0e+10, to: 1.0e+11, points: 2}, sizes: 3}\n"
                               "train: {epochs: 20, batch: 128, optimizer: {name: lion, lr: 1.0e-3}}\n"
                               "trainer: {kind: simulated, law: {E: 1, A: 1, alpha: 1, B: 1, beta: 1}}\n";
    Said said;
    sweepctl_expect(&said, CLI_OK, "plan", "--json", harness_file("design.yaml", text));
    json_t *root = said_json(&said);
    const json_t *budgets = json_object_get(json_object_get(root, "design"), "budgets");
    assert_int_equal(json_array_size(budgets), 2);
    json_int_t taken = 0;
    for (size_t i = 0; i < 2; i++) {
        const json_t *budget = json_array_get(budgets, i), *models = json_object_get(budget, "models");
        taken += json_integer_value(json_object_get(budget, "taken"));
        assert_int_equal(json_array_size(models), 6);
        for (size_t j = 0; j < 6; j++) {
            const json_t *model = json_array_get(models, j);
            if (!strcmp(json_string_value(json_object_get(model, "verdict")), "taken"))
                assert_true(fabs(json_number_value(json_object_get(model, "deviation"))) <= 0.01);
        }
    }
    assert_int_equal(json_integer_value(json_object_get(root, "runs")), taken);
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, CLI_OK, "submit", "--dry-run", harness_file("design.yaml", text));
    assert_says(&said.out, "design: 6 runs, simulated");
    assert_says(&said.out, "IsoFLOP design");
    assert_says(&said.out, "left out, others stand nearer to the sizes that are wanted: B_1-Wi_");
    said_clear(&said);
}

/* A rate that was measured elsewhere is not believed; one that was measured here is. */
static void test_rate_cache(void **state) {
    (void)state;
    Said said;
    Machine machine;
    Buffer cache;
    Error error;
    char path[PATH_TEXT_MAX];
    machine_read(&machine);
    buffer_init(&cache, 65536);
    buffer_append_text(&cache, "{\"cpu\":");
    buffer_append_json(&cache, machine.cpu);
    buffer_printf(&cache, ",\"version\":\"%s\",\"commit\":\"%s\",\"rates\":[{\"width\":8,\"flops_per_second\":1e30}],", version_text(),
                  version_commit());
    buffer_append_text(&cache, "\"evaluation_examples_per_second\":1e30}");
    assert_int_equal(directory_make(harness_home(), 0700, &error), 0);
    assert_int_equal(path_format(path, &error, "%s/rate.json", harness_home()), 0);
    assert_int_equal(file_write_atomic(path, cache.data, cache.size, 0600, &error), 0);
    buffer_deinit(&cache);
    sweepctl_expect(&said, CLI_OK, "plan", "--json", "--workers=1", harness_file("paper.yaml", paper_grid));
    json_t *root = said_json(&said);
    double expected = json_number_value(json_object_get(json_object_get(root, "flops"), "exact")) / 1e30;
    double eta = json_number_value(json_object_get(root, "eta_seconds"));
    assert_true(eta >= expected && eta < 10 * expected);
    json_decref(root);
    said_clear(&said);
}

static void test_rate_parse(void **state) {
    (void)state;
    static const char good[] =
        "{\"schema_version\":1,\"rates\":[{\"width\":8,\"flops_per_second\":1e9},{\"width\":32,\"flops_per_second\":4e9}],"
        "\"evaluation_examples_per_second\":1e5,\"cpu\":\"x\"}";
    static const char *const bad[] = {
        "",
        "[]",
        "{\"rates\":[]}",
        "{\"rates\":[{\"width\":8,\"flops_per_second\":0}],\"evaluation_examples_per_second\":1}",
        "{\"rates\":[{\"width\":8,\"flops_per_second\":1},{\"width\":8,\"flops_per_second\":1}],\"evaluation_examples_per_second\":1}",
        "{\"rates\":[{\"width\":8,\"flops_per_second\":1}]}",
    };
    Rate rate;
    Error error;
    assert_int_equal(rate_parse(&rate, good, sizeof good - 1, &error), 0);
    assert_int_equal(rate.count, 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(rate_parse(&rate, bad[i], strlen(bad[i]), &error), -1);
}

/* Between two widths the rate follows a power of the width: at 16, half way from 8 to 32, it is the geometric mean. */
static void test_rate_between(void **state) {
    (void)state;
    Rate rate = {.count = 2, .widths = {8, 32}, .flops_per_second = {1e9, 4e9}, .evaluation_examples_per_second = 1e300};
    Run run = {.model = {.kind = MODEL_BMLP, .inputs = 784, .classes = 10, .depth = 1, .width = 16, .expansion = 4},
               .examples = 1000,
               .epochs = 2,
               .batch = 100,
               .evaluations = 1};
    assert_true(fabs(rate_run_seconds(&rate, &run) - run_flops(&run).exact / 2e9) < 1e-9);
    run.model.width = 4;
    assert_true(fabs(rate_run_seconds(&rate, &run) - run_flops(&run).exact / 1e9) < 1e-9);
    run.model.width = 64;
    assert_true(fabs(rate_run_seconds(&rate, &run) - run_flops(&run).exact / 4e9) < 1e-9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_validate),     cmocka_unit_test(test_files_that_do_not_fit),
        cmocka_unit_test(test_every_file),   cmocka_unit_test(test_plan_json),
        cmocka_unit_test(test_plan_table),   cmocka_unit_test(test_plan_design),
        cmocka_unit_test(test_rate_cache),   cmocka_unit_test(test_rate_parse),
        cmocka_unit_test(test_rate_between),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return result;
}
