/* tune: every cell with every value, and what a fit must know of each run to choose among them. */
#include "fixture.h"

#define BASE(validation)                                                                                                                   \
    "version: 1\nname: t\ndata: {name: fashion-mnist, validation: " validation "}\nmodel: {kind: bmlp}\n"                                  \
    "grid: {depth: 1, width: [8, 16], examples: 100, seed: [0, 1]}\n"
#define TUNED "train: {epochs: 3, batch: 10, optimizer: {name: lion}}\ntune:\n  lr: [3e-3, 1e-3]\n  schedule.warmup: [0, 0.05, 0.1]\n"

static void every_cell_tries_every_combination(void **state) {
    (void)state;
    static const double rates[] = {3e-3, 1e-3}, warmups[] = {0, 0.05, 0.1};
    Sweep *sweep = sweep_good(BASE("50") TUNED);
    assert_int_equal(sweep_run_count(sweep), 2 * 2 * 6);
    assert_int_equal(sweep_tuned_count(sweep), 2);
    assert_string_equal(sweep_fit_settings(sweep)->select, "validation_error");
    Run *runs = sweep_all(sweep);
    for (int i = 0; i < 24; i++) {
        TunedValue lr, warmup;
        assert_int_equal(runs[i].model.width, 8 << i / 12);
        assert_int_equal(runs[i].seed, i / 6 % 2);
        assert_true(runs[i].optimizer.lr == rates[i / 3 % 2] && runs[i].schedule.warmup == warmups[i % 3]);
        assert_int_equal(sweep_tuned_setting(sweep, &runs[i]), i % 6);
        sweep_tuned_value(sweep, &runs[i], 0, &lr);
        sweep_tuned_value(sweep, &runs[i], 1, &warmup);
        assert_string_equal(lr.name, "lr");
        assert_string_equal(lr.text, i / 3 % 2 ? "0.001" : "0.003");
        assert_true(lr.ordered && lr.count == 2 && lr.index == (i / 3 % 2 ? 0 : 1)); /* ascending, whatever the list's order */
        assert_string_equal(warmup.name, "schedule.warmup");
        assert_true(warmup.ordered && warmup.count == 3 && warmup.index == (size_t)(i % 3));
        sweep_untune(sweep, &runs[i]);
        assert_true(runs[i].optimizer.lr == 3e-3 && runs[i].schedule.warmup == 0);
    }
    free(runs);
    sweep_free(sweep);
}

/* Nothing is below a weight decay of 0, and rules of the width stand in no order: neither is an edge beyond which to try. */
static void limits_and_rules_are_told(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(BASE("50") "train: {epochs: 3, batch: 10, optimizer: {name: lion}}\n"
                                         "tune:\n  lr: [{value: 2e-3, base_width: 16, power: -1, max: 3e-3}, 1e-4]\n"
                                         "  optimizer.weight_decay: [0, 0.1]\n");
    Run *runs = sweep_all(sweep);
    for (int64_t i = 0; i < sweep_run_count(sweep); i++) {
        TunedValue lr, decay;
        sweep_tuned_value(sweep, &runs[i], 0, &lr);
        sweep_tuned_value(sweep, &runs[i], 1, &decay);
        assert_false(lr.ordered);
        assert_string_equal(lr.text, lr.index == 0 ? "0.002 (width / 16)^-1 up to 0.003" : "0.0001");
        assert_true(decay.ordered && !decay.highest);
        assert_int_equal(decay.lowest, runs[i].optimizer.weight_decay == 0);
    }
    free(runs);
    sweep_free(sweep);
}

/* A cell's text without its tuned keys is the same for all its settings, also where a tuned optimizer brings settings of its own. */
static void untuned_runs_of_a_cell_are_one_run(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(BASE("50") "train: {epochs: 3, batch: 10, optimizer.lr: 0.1}\ntune: {optimizer.name: [sgd, lion, adamw]}\n"
                                         "include: [{depth: 2, width: 8, seed: 0}]\n");
    assert_int_equal(sweep_run_count(sweep), 5 * 3);
    static const OptimizerKind kinds[] = {OPTIMIZER_SGD, OPTIMIZER_LION, OPTIMIZER_ADAMW};
    Run *runs = sweep_all(sweep);
    char keys[15][RUN_KEY_MAX];
    for (int i = 0; i < 15; i++) {
        Error error = {0};
        TunedValue value;
        assert_int_equal(runs[i].optimizer.kind, kinds[i % 3]);
        sweep_tuned_value(sweep, &runs[i], 0, &value);
        assert_string_equal(value.name, "optimizer.name");
        assert_string_equal(value.text, optimizer_kind_text(runs[i].optimizer.kind));
        assert_true(!value.ordered && value.index == (size_t)(i % 3));
        sweep_untune(sweep, &runs[i]);
        assert_int_equal(run_key(&runs[i], keys[i], &error), 0);
        for (int j = 0; j < i; j++)
            assert_int_equal(strcmp(keys[i], keys[j]) == 0, i / 3 == j / 3);
    }
    free(runs);
    sweep_free(sweep);
}

/* A tuned rule gives each width its own rate; the index is by the rates. */
static void rules_are_tuned_too(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(BASE("50") "train: {epochs: 3, batch: 10, optimizer.name: lion}\n"
                                         "tune: {lr: [{value: 2e-3, base_width: 8, power: -1}, {value: 1e-3, base_width: 8, power: -1}]}\n"
                                         "include: [{depth: 2, width: 16, seed: 0}]\n");
    static const double rates[] = {2e-3, 1e-3, 1e-3, 5e-4};
    assert_int_equal(sweep_run_count(sweep), 10);
    Run *runs = sweep_all(sweep);
    for (int i = 0; i < 10; i++) {
        TunedValue value;
        double rate = rates[(i >= 4) * 2 + i % 2];
        assert_true(runs[i].optimizer.lr == rate);
        assert_int_equal(sweep_tuned_setting(sweep, &runs[i]), i % 2);
        sweep_tuned_value(sweep, &runs[i], 0, &value);
        assert_int_equal(value.index, 1 - i % 2);
        assert_true(value.ordered);
        assert_string_equal(value.text, i % 2 ? "0.001 (width / 8)^-1" : "0.002 (width / 8)^-1");
        sweep_untune(sweep, &runs[i]);
        assert_true(runs[i].optimizer.lr == rates[(i >= 4) * 2]);
    }
    free(runs);
    sweep_free(sweep);
}

static void nothing_is_tuned_by_default(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, ""));
    Run *runs = sweep_all(sweep), first = runs[0];
    assert_int_equal(sweep_tuned_count(sweep), 0);
    assert_int_equal(sweep_tuned_setting(sweep, &first), 0);
    sweep_untune(sweep, &first);
    assert_memory_equal(&first.optimizer, &runs[0].optimizer, sizeof first.optimizer);
    free(runs);
    sweep_free(sweep);
}

static void an_excluded_setting_is_not_run(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(BASE("50") TUNED "exclude: [{width: 8, lr: 3e-3}]\n");
    assert_int_equal(sweep_run_count(sweep), 24 - 6);
    sweep_free(sweep);
}

typedef struct Wrong {
    const char *text, *message;
} Wrong;

static void wrong_tunes_are_refused(void **state) {
    (void)state;
    static const Wrong wrongs[] = {
        {BASE("0") TUNED, "f:7:1: tune: validation_error chooses among tuned settings, but data.validation is 0; expected examples for "
                          "validation, or fit.select: a metric of train or test"},
        {BASE("0") TUNED "fit: {select: validation_loss}\n",
         "f:10:15: fit.select: found \"validation_loss\", but data.validation is 0; expected a metric of train or test, or examples for "
         "validation"},
        {BASE("50") "train: {epochs: 3, batch: 10, optimizer: {name: lion, lr: 1}}\ntune: {lr: [1, 2]}\n",
         "f:7:8: tune.lr: found a doubled key; it is given at line 6 already"},
        {BASE("50") TUNED "  optimizer.lr: 1\n", "f:10:3: tune.optimizer.lr: found a doubled key; it is given at line 8 already"},
        {BASE("50") TUNED "  depth: [1, 2]\n", "f:10:3: tune.depth: unknown key; expected one of epochs, batch, optimizer, schedule, "
                                               "label_smoothing, evaluations, precision, augment, init, init_head"},
        {BASE("50") "train: {epochs: 3, batch: 10, optimizer: {name: lion, lr: 1}}\ntune: [1]\n",
         "f:7:7: tune: found a list; expected a map of keys"},
        {BASE("50") TUNED "include: [{depth: 2, width: 8, seed: 0, lr: 1}]\n",
         "f:10:41: include[0].lr: found a key that is tuned; a cell tries every value of tune"},
        {BASE("50") "train: {epochs: 3, batch: 10, optimizer.name: lion}\ntune: {lr: []}\n",
         "f:7:12: tune.lr: found a list of 0 values; expected 1 to 10000"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        Sweep *sweep = NULL;
        Error error = {0};
        assert_int_equal(sweep_parse(&sweep, wrongs[i].text, strlen(wrongs[i].text), "f", &error), SWEEP_INVALID);
        assert_string_equal(error.text, wrongs[i].message);
    }
    sweep_free(sweep_good(BASE("0") TUNED "fit: {select: train_loss}\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_tries_every_combination),
        cmocka_unit_test(limits_and_rules_are_told),
        cmocka_unit_test(untuned_runs_of_a_cell_are_one_run),
        cmocka_unit_test(rules_are_tuned_too),
        cmocka_unit_test(nothing_is_tuned_by_default),
        cmocka_unit_test(an_excluded_setting_is_not_run),
        cmocka_unit_test(wrong_tunes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
