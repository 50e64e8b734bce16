/* Which run had which setting: what export and runs say of a sweep, beside what each run's own specification says. */
#include "harness.h"

#include "sweepd/store.h"

#include <stdlib.h>
#include <string.h>

static const char study_file[] =
    "version: 1\n"
    "name: study\n"
    "data: {name: fashion-mnist, validation: 1000}\n"
    "model: {kind: bmlp, dropout: 0.1}\n"
    "grid:\n"
    "  depth: [1]\n"
    "  width: [8, 16]\n"
    "  examples: [1000, 2000]\n"
    "  augment.flip: [false, true]\n"
    "  epochs: [2, 3]\n"
    "train:\n"
    "  batch: 100\n"
    "  optimizer: {name: lion}\n"
    "tune: {lr: [1.0e-3, 2.0e-3], label_smoothing: [0, 0.1]}\n"
    "include:\n"
    "  - {width: 8, examples: 3000, epochs: 2, augment.flip: false, augment.crop.scale: [0.5, 1]}\n"
    "  - {width: 8, examples: 3000, epochs: 2, augment.flip: false, augment.crop.padding: 2, augment.mixup: 0.2}\n"
    "  - {width: 8, examples: 3000, epochs: 2, augment.flip: false, optimizer.name: sgd, precision: bf16}\n"
    "eval:\n"
    "  - {kind: linear, data: fashion-mnist}\n"
    "fit: {metric: validation_error, bootstrap: 0}\n";
enum { RUNS = 2 * 2 * 2 * 2 * 4 + 3 * 4 };

static void check(int result, const Error *error) {
    if (result != 0)
        fail_msg("%d: %s", result, error->text);
}

static void make_study(void) {
    Error error = {0};
    Store *store;
    Sweep *sweep;
    SubmitRecord submitted;
    harness_clean();
    check(directory_make(harness_home(), 0700, &error), &error);
    check(store_open(&store, harness_home(), STORE_WRITE, &error), &error);
    check(sweep_parse(&sweep, study_file, strlen(study_file), "study.yaml", &error), &error);
    check(store_sweep_submit(store, sweep, study_file, strlen(study_file), 1.7e9, &submitted, &error), &error);
    assert_int_equal(submitted.added, RUNS);
    sweep_free(sweep);
    store_free(store);
}

/* Where a setting is in a run's specification, and what it is where that leaves it out. */
static const struct {
    const char *name;
    const char *path[4];
    const char *standard;
} settings[] = {
    {"lr", {"train", "optimizer", "lr"}, NULL},
    {"epochs", {"train", "epochs"}, NULL},
    {"label_smoothing", {"train", "label_smoothing"}, NULL},
    {"flip", {"train", "augment", "flip"}, "\"false\""},
    {"padding", {"train", "augment", "crop", "padding"}, "0"},
    {"mixup", {"train", "augment", "mixup"}, "0"},
    {"scale", {"train", "augment", "crop", "scale"}, NULL},
    {"ratio", {"train", "augment", "crop", "ratio"}, NULL},
    {"optimizer", {"train", "optimizer", "name"}, NULL},
    {"momentum", {"train", "optimizer", "momentum"}, NULL},
    {"beta1", {"train", "optimizer", "beta1"}, NULL},
    {"beta2", {"train", "optimizer", "beta2"}, NULL},
    {"precision", {"train", "precision"}, NULL},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static json_t *expected_value(const json_t *spec, size_t setting) {
    for (size_t i = 0; i < 4 && settings[setting].path[i]; i++)
        spec = json_object_get(spec, settings[setting].path[i]);
    const char *standard = settings[setting].standard;
    return spec || !standard ? json_incref((json_t *)spec) : json_loads(standard, JSON_DECODE_ANY, NULL);
}

static json_t *spec_of(const char *key) {
    Said said;
    sweepctl_expect(&said, 0, "show", key, "--spec");
    json_t *spec = json_loadb(said.out.data, said.out.size, 0, NULL);
    assert_non_null(spec);
    said_clear(&said);
    return spec;
}

static void runs_tell_the_settings_that_differ(void **state) {
    (void)state;
    Said said;
    make_study();
    sweepctl_expect(&said, 0, "runs", "study", "--json");
    json_t *root = said_json(&said), *runs = json_object_get(root, "runs");
    assert_int_equal(json_array_size(runs), RUNS);
    for (size_t i = 0; i < RUNS; i += 5) {
        const json_t *run = json_array_get(runs, i), *own = json_object_get(run, "settings");
        json_t *spec = spec_of(json_string_value(json_object_get(run, "key")));
        for (size_t j = 0; j < SETTINGS; j++) {
            json_t *expected = expected_value(spec, j);
            if (!json_equal(expected, json_object_get(own, settings[j].name)) && (expected || json_object_get(own, settings[j].name)))
                fail_msg("run %zu: %s", i, settings[j].name);
            json_decref(expected);
        }
        assert_null(json_object_get(own, "dropout")); /* the same everywhere */
        assert_null(json_object_get(own, "linear.fashion-mnist.epochs"));
        json_decref(spec);
    }
    json_decref(root);
    said_clear(&said);
    sweepctl_expect(&said, 0, "runs", "study");
    for (size_t i = 1; i < SETTINGS; i++)
        assert_says(&said.out, settings[i].name);
    assert_says(&said.out, "0.5 to 1");
    said_clear(&said);
    sweepctl_expect(&said, 0, "runs", "study", "--state", "failed", "--json");
    said_clear(&said);
}

/* The same in the rows of a table, beside the columns that were there before. */
static void exported_rows_tell_them_too(void **state) {
    (void)state;
    Said said;
    make_study();
    sweepctl_expect(&said, 0, "export", "study", "--format", "jsonl");
    const char *at = said.out.data;
    for (size_t i = 0; i < RUNS; i++, at += strcspn(at, "\n") + 1) {
        if (i % 5)
            continue;
        json_t *row = json_loadb(at, strcspn(at, "\n"), 0, NULL);
        json_t *spec = spec_of(json_string_value(json_object_get(row, "key")));
        for (size_t j = 0; j < SETTINGS; j++) {
            json_t *expected = expected_value(spec, j), *own = json_object_get(row, settings[j].name);
            if (json_is_array(expected) || !expected)
                assert_true(expected ? json_is_string(own) : json_is_null(own));
            else
                assert_true(json_equal(expected, own));
            json_decref(expected);
        }
        json_decref(spec);
        json_decref(row);
    }
    said_clear(&said);
    sweepctl_expect(&said, 0, "export", "study");
    size_t columns = 1, first = strcspn(said.out.data, "\n");
    for (size_t i = 0; i < first; i++)
        columns += said.out.data[i] == ',';
    assert_non_null(strstr(said.out.data, ",seed,lr,"));
    for (size_t i = 1; i < SETTINGS; i++) {
        const char *found = strstr(said.out.data, settings[i].name);
        assert_true(found && found < said.out.data + first);
    }
    size_t fields = 1;
    for (const char *c = said.out.data + first + 1; *c != '\n'; c++)
        fields += *c == ',';
    assert_int_equal(fields, columns);
    said_clear(&said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_tell_the_settings_that_differ),
        cmocka_unit_test(exported_rows_tell_them_too),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    harness_clean();
    return failed;
}
