/* What a sweep file means. */
#include "fixture.h"

#include <math.h>

static Sweep *project_sweep(const char *name) {
    Buffer text;
    project_read(name, &text);
    Sweep *sweep = sweep_good(text.data);
    buffer_deinit(&text);
    return sweep;
}

/* The table of what sweeps/quickstart.yaml must come to, worked out by hand: round(500 x 110^(i/7)), and 0.002 x 32 / width, at most 0.002.
 */
static void quickstart_is_its_eighty_runs(void **state) {
    (void)state;
    static const int64_t widths[] = {8, 16, 32, 64, 128};
    static const double rates[] = {0.002, 0.002, 0.002, 0.001, 0.0005};
    static const int64_t examples[] = {500, 979, 1915, 3748, 7336, 14358, 28102, 55000};
    Sweep *sweep = project_sweep("sweeps/quickstart.yaml");
    assert_int_equal(sweep_run_count(sweep), 80);
    assert_string_equal(sweep_name(sweep), "quickstart");
    assert_string_equal(sweep_data_name(sweep), "fashion-mnist");
    assert_false(sweep_is_plan_only(sweep));
    Run *runs = sweep_all(sweep);
    for (int i = 0; i < 80; i++) {
        const Run *run = &runs[i];
        assert_int_equal(run->model.kind, MODEL_BMLP);
        assert_int_equal(run->model.depth, 1 + i / 40);
        assert_int_equal(run->model.width, widths[i / 8 % 5]);
        assert_int_equal(run->examples, examples[i % 8]);
        assert_true(run->optimizer.lr == rates[i / 8 % 5]);
        assert_int_equal(run->model.inputs, 784);
        assert_int_equal(run->model.classes, 10);
        assert_int_equal(run->model.expansion, 4);
        assert_int_equal(run->validation, 5000);
        assert_int_equal(run->seed, 0);
        assert_int_equal(run->subset_seed, 0);
        assert_int_equal(run->epochs, 20);
        assert_int_equal(run->batch, 128);
        assert_int_equal(run->evaluations, 5);
        assert_int_equal(run->optimizer.kind, OPTIMIZER_LION);
        assert_true(run->optimizer.weight_decay == 0.1 && run->optimizer.beta1 == 0.9 && run->optimizer.beta2 == 0.99);
        assert_true(run->optimizer.epsilon == 0 && run->optimizer.momentum == 0);
        assert_int_equal(run->schedule.kind, SCHEDULE_COSINE);
        assert_true(run->schedule.warmup == 0.05 && run->schedule.decay == 0 && run->label_smoothing == 0.1);
    }
    const FitSettings *fit = sweep_fit_settings(sweep);
    assert_string_equal(fit->metric, "test_error");
    assert_int_equal(fit->methods, SWEEP_FIT_PARAMETRIC | SWEEP_FIT_ISOFLOP);
    assert_int_equal(fit->loss, SWEEP_LOSS_MSE);
    assert_int_equal(fit->bootstrap, 1000);
    free(runs);
    sweep_free(sweep);
}

/* From a file, through its text, back: what a lease carries is what the sweep named. */
static void every_run_of_every_sweep_survives_its_text(void **state) {
    (void)state;
    static const char *const files[] = {"sweeps/quickstart.yaml", "sweeps/smoke.yaml", "sweeps/augmentation.yaml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Sweep *sweep = project_sweep(files[i]);
        SweepCursor cursor;
        Run run, back;
        sweep_cursor_init(&cursor, sweep);
        while (sweep_cursor_next(&cursor, &run)) {
            Error error = {0};
            Buffer text, again;
            buffer_init(&text, RUN_SPEC_MAX);
            buffer_init(&again, RUN_SPEC_MAX);
            assert_int_equal(run_format(&run, &text, &error), 0);
            if (run_parse(&back, text.data, text.size, "run", &error) != 0)
                fail_msg("%s", error.text);
            assert_int_equal(run_format(&back, &again, &error), 0);
            assert_string_equal(text.data, again.data);
            buffer_deinit(&text);
            buffer_deinit(&again);
        }
        sweep_free(sweep);
    }
}

/* Parameters as published for the six models of the paper. */
static void the_papers_grid_is_plan_only(void **state) {
    (void)state;
    static const int64_t params[] = {9188574, 24657374, 74469342, 12345054, 37261790, 124843998};
    Sweep *sweep = project_sweep("sweeps/scaling-mlps-figure7.yaml");
    assert_true(sweep_is_plan_only(sweep));
    assert_int_equal(sweep_run_count(sweep), 180);
    Run *runs = sweep_all(sweep);
    for (int i = 0; i < 180; i++)
        assert_int_equal(arch_params_total(&runs[i].model), params[i / 30]);
    assert_int_equal(runs[179].examples, 11801680);
    assert_int_equal(runs[0].epochs, 50);
    assert_int_equal(runs[179].epochs, 800);
    assert_string_equal(runs[0].data_digest, "");
    free(runs);
    sweep_free(sweep);
}

static Sweep *sweep_on(const char *data, const char *rest) {
    char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: t\ndata: %s\nmodel: {kind: bmlp}\ngrid: {depth: 1, width: 8, examples: 100}\ntrain:\n" TRAIN "%s", data,
             rest);
    return sweep_good(text);
}

static void expect_missing(Sweep *sweep, int64_t inputs, int64_t classes, const char *missing) {
    SweepCursor cursor;
    Run run;
    Buffer text;
    Error error = {0};
    buffer_init(&text, 1024);
    sweep_append_missing(sweep, &text);
    assert_string_equal(text.data ? text.data : "", missing);
    assert_int_equal(sweep_is_plan_only(sweep), *missing != '\0');
    assert_int_equal(sweep_check_data(sweep, "f.yaml", &error), *missing ? SWEEP_INVALID : 0);
    assert_true(!*missing || strstr(error.text, "f.yaml can be planned, not run: "));
    sweep_cursor_init(&cursor, sweep);
    assert_true(sweep_cursor_next(&cursor, &run));
    assert_int_equal(run.model.inputs, inputs);
    assert_int_equal(run.model.classes, classes);
    buffer_deinit(&text);
    sweep_free(sweep);
}

/* A cell of include may say the crop, whose values are spans and so no axes. */
static void a_cell_may_be_augmented(void **state) {
    (void)state;
    Sweep *sweep = project_sweep("sweeps/table1-bmlp-cifar10.yaml");
    assert_int_equal(sweep_run_count(sweep), 3);
    Run *runs = sweep_all(sweep);
    static const int64_t epochs[] = {100, 1000, 5000};
    for (int i = 0; i < 3; i++) {
        const Augmentation *augment = &runs[i].augmentation;
        assert_int_equal(runs[i].epochs, epochs[i]);
        assert_int_equal(augment->flip, i > 0);
        assert_true(augment->scale[0] == (i > 0 ? 0.08 : 0) && augment->scale[1] == (i > 0 ? 1 : 0));
        assert_true(augment->mixup == (i > 0 ? 0.8 : 0));
    }
    free(runs);
    sweep_free(sweep);
    static const char axis[] = "version: 1\nname: t\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\n"
                               "grid: {depth: 1, width: 8, examples: 100, augment.crop.scale: [0.1, 1]}\ntrain:\n" TRAIN;
    Error error = {0};
    assert_int_equal(sweep_parse(&sweep, axis, strlen(axis), "f", &error), SWEEP_INVALID);
    assert_non_null(strstr(error.text, "grid.augment.crop.scale: unknown key"));
}

/* What is not on this machine: published data have their sizes from the program, others from the file. */
static void data_that_are_not_here_can_be_planned(void **state) {
    (void)state;
    expect_missing(sweep_on("{name: fashion-mnist}", ""), 784, 10, "");
    expect_missing(sweep_on("{name: fashion-mnist, classes: 10, examples: 60000}", ""), 784, 10, "");
    expect_missing(sweep_on("{name: cifar100}", ""), 3072, 100,
                   "cifar100 is not in this home: 'sweepctl data fetch cifar100', then 'sweepctl data pack cifar100 cifar100'");
    expect_missing(sweep_on("{name: mine, inputs: 12, classes: 3, examples: 500}",
                            "eval: [{kind: linear, data: {name: other, inputs: 12, classes: 2, examples: 600}},\n"
                            "       {kind: finetune, data: {name: other, inputs: 12, classes: 2, examples: 600}}]\n"),
                   12, 3,
                   "mine is not in this home: 'sweepctl data pack SOURCE mine --size 2'; "
                   "other is not in this home: 'sweepctl data pack SOURCE other --size 2'");
    expect_missing(sweep_on("{name: table, inputs: 13, classes: 3, examples: 500}", ""), 13, 3,
                   "table is not in this home: 'sweepctl data pack SOURCE table'");
    expect_missing(sweep_on("{name: cifar10-64, inputs: 12288, classes: 10, examples: 50000}", ""), 12288, 10,
                   "cifar10-64 is not in this home: 'sweepctl data fetch cifar10', then 'sweepctl data pack cifar10 cifar10-64 --size 64'");
    expect_missing(
        sweep_on("{name: stl10-grey, inputs: 1024, classes: 10, examples: 5000}", ""), 1024, 10,
        "stl10-grey is not in this home: 'sweepctl data fetch stl10', then 'sweepctl data pack stl10 stl10-grey --size 32 --grey'");
    expect_missing(sweep_on("{name: cifar10-animals, inputs: 3072, classes: 6, examples: 30000}", ""), 3072, 6,
                   "cifar10-animals is not in this home: 'sweepctl data pack SOURCE cifar10-animals --size 32'");
}

/* Sizes alone can be run when nothing is trained. */
static void a_simulated_sweep_needs_no_data(void **state) {
    (void)state;
    static const char text[] = "version: 1\nname: t\ndata: {inputs: 12, classes: 2, examples: 500}\nmodel: {kind: bmlp}\n"
                               "grid: {depth: 1, width: [8, 16], examples: 100}\ntrain:\n" TRAIN
                               "trainer:\n  kind: simulated\n  law: {E: 1, A: 2, alpha: .3, B: 4, beta: .5}\n%s";
    char filled[1024];
    snprintf(filled, sizeof filled, text, "fit: {metric: validation_error}\n");
    Sweep *sweep = sweep_good(filled);
    assert_false(sweep_is_plan_only(sweep));
    assert_true(sweep_is_simulated(sweep));
    Run *runs = sweep_all(sweep);
    assert_int_equal(runs[1].trainer, TRAINER_SIMULATED);
    const Simulation *law = &runs[1].simulation;
    assert_true(law->E == 1 && law->A == 2 && law->alpha == 0.3 && law->B == 4 && law->beta == 0.5);
    assert_true(law->noise == 0 && law->best_lr == 0 && law->curvature == 0);
    free(runs);
    sweep_free(sweep);
    snprintf(filled, sizeof filled, text, "  noise: 0.02\n  tuning: {lr: {best: 1e-3, curvature: .05}}\n");
    sweep = sweep_good(filled);
    runs = sweep_all(sweep);
    law = &runs[0].simulation;
    assert_true(law->noise == 0.02 && law->best_lr == 1e-3 && law->curvature == 0.05);
    free(runs);
    sweep_free(sweep);
}

static void what_is_not_said_has_its_default(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 100\n", TRAIN, ""));
    assert_int_equal(sweep_run_count(sweep), 1);
    Run *run = sweep_all(sweep);
    assert_int_equal(run->seed, 0);
    assert_int_equal(run->validation, 0);
    assert_int_equal(run->model.expansion, 4);
    assert_true(run->optimizer.weight_decay == 0);
    assert_int_equal(run->schedule.kind, SCHEDULE_CONSTANT);
    assert_true(run->schedule.warmup == 0 && run->label_smoothing == 0);
    assert_int_equal(run->evaluations, 5);
    assert_int_equal(run->precision, PRECISION_FP32);
    assert_int_equal(run->trainer, TRAINER_BUILTIN);
    assert_string_equal(sweep_fit_settings(sweep)->metric, "test_error");
    assert_int_equal(sweep_fit_settings(sweep)->methods, SWEEP_FIT_PARAMETRIC | SWEEP_FIT_ISOFLOP);
    assert_int_equal(sweep_fit_settings(sweep)->bootstrap, 1000);
    free(run);
    sweep_free(sweep);
}

static void defaults_follow_the_optimizer_and_the_schedule(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 100\n  optimizer.name: [lion, adamw, sgd]\n"
                                         "  schedule: {name: [linear, wsd]}\n",
                                         "  epochs: 3\n  batch: 10\n  optimizer: {lr: 1e-3}\n", ""));
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), 6);
    for (int i = 0; i < 6; i++) {
        OptimizerSettings expected;
        optimizer_settings_default((OptimizerKind)(i / 2), &expected);
        assert_int_equal(runs[i].optimizer.kind, i / 2);
        assert_true(runs[i].optimizer.beta1 == expected.beta1 && runs[i].optimizer.beta2 == expected.beta2);
        assert_true(runs[i].optimizer.epsilon == expected.epsilon && runs[i].optimizer.momentum == expected.momentum);
        assert_int_equal(runs[i].schedule.kind, i % 2 ? SCHEDULE_WSD : SCHEDULE_LINEAR);
        assert_true(runs[i].schedule.decay == (i % 2 ? 0.2 : 0));
    }
    free(runs);
    sweep_free(sweep);
}

/* Settings of an optimizer that only the grid names are kept. */
static void a_setting_serves_every_optimizer_of_the_grid(void **state) {
    (void)state;
    Sweep *sweep =
        sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 100\n  optimizer.name: [sgd]\n  schedule.name: [wsd]\n",
                              "  epochs: 3\n  batch: 10\n  optimizer: {lr: 1e-3, momentum: 0.5}\n  schedule: {decay: 0.4}\n", ""));
    Run *run = sweep_all(sweep);
    assert_true(run->optimizer.momentum == 0.5 && run->schedule.decay == 0.4);
    free(run);
    sweep_free(sweep);
}

/* Nested, dotted and short names, in train and in grid. */
static void keys_have_one_meaning_however_written(void **state) {
    (void)state;
    static const char *const grids[] = {"  optimizer: {lr: [1e-3, 2e-3]}\n", "  optimizer.lr: [1e-3, 2e-3]\n", "  lr: [1e-3, 2e-3]\n"};
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        char grid[256];
        snprintf(grid, sizeof grid, "  depth: 1\n  width: 8\n  examples: 100\n%s", grids[i]);
        Sweep *sweep = sweep_good(sweep_text(grid, "  epochs: 3\n  batch: 10\n  optimizer: {name: lion}\n", ""));
        Run *runs = sweep_all(sweep);
        assert_int_equal(sweep_run_count(sweep), 2);
        assert_true(runs[0].optimizer.lr == 1e-3 && runs[1].optimizer.lr == 2e-3);
        free(runs);
        sweep_free(sweep);
    }
    Sweep *sweep = sweep_good(sweep_text(GRID, "  epochs: 3\n  batch: 10\n  optimizer.name: lion\n  lr: 5e-4\n", ""));
    Run *runs = sweep_all(sweep);
    assert_true(runs[0].optimizer.lr == 5e-4);
    free(runs);
    sweep_free(sweep);
}

static void a_subset_follows_the_seed_unless_told(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 100\n  seed: [3, 4]\n", TRAIN, ""));
    Run *runs = sweep_all(sweep);
    assert_int_equal(runs[0].subset_seed, 3);
    assert_int_equal(runs[1].subset_seed, 4);
    free(runs);
    sweep_free(sweep);
    sweep = sweep_good("version: 1\nname: t\ndata: {name: fashion-mnist, subset_seed: 9}\nmodel: {kind: bmlp}\n"
                       "grid:\n  depth: 1\n  width: 8\n  examples: 100\n  seed: [3, 4]\ntrain:\n" TRAIN);
    runs = sweep_all(sweep);
    assert_int_equal(runs[0].subset_seed, 9);
    assert_int_equal(runs[1].subset_seed, 9);
    free(runs);
    sweep_free(sweep);
}

static void smlp_has_forms_and_no_expansion(void **state) {
    (void)state;
    static const char text[] = "version: 1\nname: t\ndata: {name: fashion-mnist}\nmodel: {kind: smlp%s}\n"
                               "grid: {depth: 1, width: 8, examples: 100}\ntrain:\n" TRAIN;
    static const char *const forms[] = {"", ", form: text", ", form: code"};
    for (int i = 0; i < 3; i++) {
        char filled[512];
        snprintf(filled, sizeof filled, text, forms[i]);
        Sweep *sweep = sweep_good(filled);
        Run *run = sweep_all(sweep);
        assert_int_equal(run->model.kind, MODEL_SMLP);
        assert_int_equal(run->model.form, i == 2 ? SMLP_CODE : SMLP_TEXT);
        assert_int_equal(run->model.expansion, 0);
        free(run);
        sweep_free(sweep);
    }
}

static void fit_settings_are_read(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, "fit: {metric: train_loss, methods: [isoflop], bootstrap: 0}\n"));
    assert_string_equal(sweep_fit_settings(sweep)->metric, "train_loss");
    assert_int_equal(sweep_fit_settings(sweep)->methods, SWEEP_FIT_ISOFLOP);
    assert_int_equal(sweep_fit_settings(sweep)->bootstrap, 0);
    sweep_free(sweep);
}

/* YAML's own ideas of types do not matter: no is a name, 1e2 an integer, a block and a flow style are one. */
static void yaml_types_do_not_matter(void **state) {
    (void)state;
    Sweep *sweep = sweep_good("%YAML 1.1\n---\nversion: 1\nname: no\ndata:\n  name: 'fashion-mnist'\nmodel: {\"kind\": bmlp}\n"
                              "grid:\n  depth:\n  - 1\n  - 2\n  width: 1e2\n  examples: 2.0e+2 # two hundred\ntrain:\n" TRAIN "...\n");
    assert_string_equal(sweep_name(sweep), "no");
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), 2);
    assert_int_equal(runs[1].model.width, 100);
    assert_int_equal(runs[1].examples, 200);
    free(runs);
    sweep_free(sweep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quickstart_is_its_eighty_runs),
        cmocka_unit_test(every_run_of_every_sweep_survives_its_text),
        cmocka_unit_test(the_papers_grid_is_plan_only),
        cmocka_unit_test(a_cell_may_be_augmented),
        cmocka_unit_test(data_that_are_not_here_can_be_planned),
        cmocka_unit_test(a_simulated_sweep_needs_no_data),
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(defaults_follow_the_optimizer_and_the_schedule),
        cmocka_unit_test(a_setting_serves_every_optimizer_of_the_grid),
        cmocka_unit_test(keys_have_one_meaning_however_written),
        cmocka_unit_test(a_subset_follows_the_seed_unless_told),
        cmocka_unit_test(smlp_has_forms_and_no_expansion),
        cmocka_unit_test(fit_settings_are_read),
        cmocka_unit_test(yaml_types_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
