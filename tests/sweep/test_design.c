/* Designs: every run within 1 % of its budget by the plan's own arithmetic, sizes even about the centre, nothing left out in silence. */
#include "fixture.h"

#include <math.h>

#define HEAD  "version: 1\nname: t\ndata: {inputs: 784, classes: 10, examples: 1000000}\nmodel: {kind: bmlp}\n"
#define SIZES "grid: {depth: [1, 2], width: {from: 8, to: 512, points: 12}, seed: [0, 1]}\n"
#define STEPS "train: {epochs: 20, batch: 128, optimizer: {name: lion, lr: 1e-3}}\n"

static double count_flops(const Run *run, SweepFlops count) {
    Flops flops = run_flops(run);
    return count == SWEEP_FLOPS_EXACT ? flops.exact : count == SWEEP_FLOPS_PAPER ? flops.paper : flops.nd6;
}

/* The budget that the run is of; each run is of one. */
static size_t budget_of(const Design *design, const Run *run) {
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < design->budget_count; i++) {
        if (fabs(count_flops(run, design->count) / design->budgets[i].flops - 1) > 0.01)
            continue;
        assert_int_equal(found, SIZE_MAX);
        found = i;
    }
    assert_true(found < design->budget_count);
    return found;
}

static void check_runs(const Sweep *sweep, int64_t most, int64_t seeds) {
    const Design *design = sweep_design(sweep);
    assert_non_null(design);
    int64_t runs_of[100] = {0}, expected = 0;
    Run *runs = sweep_all(sweep);
    for (int64_t i = 0; i < sweep_run_count(sweep); i++) {
        const Run *run = &runs[i];
        runs_of[budget_of(design, run)]++;
        assert_int_equal(run->epochs, 20);
        assert_in_range(run->batch, 64, 192);
        assert_in_range(run->examples, 128, most);
        if (design->count == SWEEP_FLOPS_EXACT)
            assert_int_equal(run->examples % run->batch, 0); /* no epoch drops an example */
    }
    for (size_t i = 0; i < design->budget_count; i++) {
        assert_int_equal(runs_of[i], (int64_t)design->budgets[i].taken * seeds);
        assert_true(design->budgets[i].taken == 0 || design->budgets[i].taken >= 3);
        expected += (int64_t)design->budgets[i].taken * seeds;
    }
    assert_int_equal(sweep_run_count(sweep), expected);
    free(runs);
}

static void every_run_meets_its_budget_in_each_count(void **state) {
    (void)state;
    static const char *const counts[] = {"exact", "paper", "6nd"};
    for (size_t i = 0; i < 3; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 HEAD SIZES STEPS "design: {kind: isoflop, budgets: {from: 1e10, to: 1e12, points: 6}, sizes: 7, flops: %s}\n", counts[i]);
        Sweep *sweep = sweep_good(text);
        const Design *design = sweep_design(sweep);
        assert_int_equal(design->count, i);
        assert_int_equal(design->budget_count, 6);
        assert_int_equal(design->model_count, 24);
        assert_true(design->budgets[0].flops == 1e10 && design->budgets[5].flops == 1e12);
        assert_true(fabs(design->budgets[2].flops / pow(10, 10.8) - 1) < 1e-11);
        for (size_t j = 0; j < 6; j++)
            assert_int_equal(design->budgets[j].taken, 7);
        check_runs(sweep, 1000000, 2);
        sweep_free(sweep);
    }
}

/* The places of what is taken, in ln(P / centre): as many below as above, reaching as far, and within the span. */
static void check_places(const DesignBudget *budget, size_t count, size_t sizes, double span) {
    double low = 0, high = 0, below = 0, above = 0;
    for (size_t i = 0; i < count; i++) {
        const DesignCell *cell = &budget->cells[i];
        double x = log((double)cell->params / budget->centre);
        assert_true(i == 0 || cell->params >= budget->cells[i - 1].params);
        if (cell->verdict != DESIGN_TAKEN)
            continue;
        assert_true(fabs(x) <= log(span) + 1e-9);
        below += x < -0.2;
        above += x > 0.2;
        low = fmin(low, x);
        high = fmax(high, x);
    }
    assert_int_equal(budget->taken, sizes);
    assert_true(below == (double)(sizes / 2) && above == below);
    assert_true(fabs(low + high) < 0.35);
}

/* With models enough, 7 or 6 of them, about the middle of what is affordable or about a law that is typed in. */
static void sizes_are_even_about_the_centre(void **state) {
    (void)state;
    static const char *const centres[] = {"", ", centre: {coefficient: 0.5, exponent: 0.5}, span: 5"};
    for (int i = 0; i < 4; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 HEAD "grid: {depth: [1], width: {from: 8, to: 512, points: 60}}\n" STEPS
                      "design: {kind: isoflop, budgets: {from: 2e10, to: 4e11, points: 4}, sizes: %d%s}\n",
                 7 - i % 2, centres[i / 2]);
        Sweep *sweep = sweep_good(text);
        const Design *design = sweep_design(sweep);
        for (size_t j = 0; j < design->budget_count; j++) {
            const DesignBudget *budget = &design->budgets[j];
            if (i / 2)
                assert_true(fabs(budget->centre / (0.5 * sqrt(budget->flops)) - 1) < 1e-12);
            check_places(budget, design->model_count, (size_t)(7 - i % 2), i / 2 ? 5 : 8);
        }
        check_runs(sweep, 1000000, 1);
        sweep_free(sweep);
    }
}

static size_t count_verdicts(const Design *design, size_t budget, DesignVerdict verdict) {
    size_t count = 0;
    for (size_t i = 0; i < design->model_count; i++)
        count += design->budgets[budget].cells[i].verdict == verdict;
    return count;
}

/* Widths of 200 and 201 have as many parameters, within 1 %. */
static void what_is_left_out_has_its_reason(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(HEAD "grid: {depth: [1], width: [8, 12, 16, 24, 32, 48, 64, 96, 128, 200, 201]}\n" STEPS
                                   "design: {kind: isoflop, budgets: {from: 1e8, to: 3e12, points: 5}, sizes: 5}\n"
                                   "exclude: [{width: 12}]\n");
    const Design *design = sweep_design(sweep);
    assert_int_equal(design->model_count, 11);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(count_verdicts(design, i, DESIGN_EXCLUDED), 1);
        assert_int_equal(count_verdicts(design, i, DESIGN_DOUBLE), 1);
        assert_int_equal(count_verdicts(design, i, DESIGN_TAKEN), design->budgets[i].taken);
        for (size_t j = 0; j < design->model_count; j++) {
            const DesignCell *cell = &design->budgets[i].cells[j];
            assert_int_equal(cell->verdict == DESIGN_EXCLUDED, cell->width == 12);
            assert_int_equal(cell->verdict == DESIGN_DOUBLE, cell->width == 201);
            assert_true(strlen(design_verdict_text(cell->verdict)) > 0 && strlen(design_verdict_code(cell->verdict)) > 0);
        }
    }
    /* 1e8 FLOPs pay for no batch of any but the smallest, 3e12 for more than a million examples of them. */
    assert_true(count_verdicts(design, 0, DESIGN_TOO_FEW) >= 4);
    assert_true(count_verdicts(design, 4, DESIGN_TOO_MANY) >= 3);
    assert_int_equal(design->budgets[0].taken, 0);
    assert_int_equal(count_verdicts(design, 0, DESIGN_LONELY), 1);
    assert_true(design->budgets[2].taken >= 3);
    check_runs(sweep, 1000000, 1);
    sweep_free(sweep);
}

static void designs_take_other_axes_includes_and_tune(void **state) {
    (void)state;
    Sweep *sweep = sweep_good("version: 1\nname: t\ndata: {name: fashion-mnist, validation: 5000}\nmodel: {kind: bmlp}\n"
                              "grid: {seed: [0, 1], width: [8, 12, 16, 24, 32, 48, 64], depth: 1}\n"
                              "train: {epochs: 20, batch: 128, optimizer: {name: lion}}\ntune: {lr: [1e-3, 2e-3, 4e-3]}\n"
                              "design: {kind: isoflop, budgets: {from: 1e10, to: 3e10, points: 2}, sizes: 3}\n"
                              "exclude: [{width: 16, seed: 1}]\n"
                              "include: [{depth: 2, width: 8, examples: 500, seed: 0}]\n");
    const Design *design = sweep_design(sweep);
    assert_int_equal(design->budgets[0].taken + design->budgets[1].taken, 6);
    Run *runs = sweep_all(sweep);
    int64_t expected = 3, count = sweep_run_count(sweep);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < design->model_count; j++)
            if (design->budgets[i].cells[j].verdict == DESIGN_TAKEN)
                expected += design->budgets[i].cells[j].width == 16 ? 3 : 6;
    assert_int_equal(count, expected);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(sweep_tuned_setting(sweep, &runs[i]), i % 3);
    assert_int_equal(runs[count - 1].examples, 500);
    assert_int_equal(runs[count - 1].batch, 128);

    /* A cell of the design that is included, too, is there once. */
    char text[1024];
    snprintf(text, sizeof text,
             "version: 1\nname: t\ndata: {name: fashion-mnist, validation: 5000}\nmodel: {kind: bmlp}\n"
             "grid: {seed: [0, 1], width: [8, 12, 16, 24, 32, 48, 64], depth: 1}\n"
             "train: {epochs: 20, batch: 128, optimizer: {name: lion}}\ntune: {lr: [1e-3, 2e-3, 4e-3]}\n"
             "design: {kind: isoflop, budgets: {from: 1e10, to: 3e10, points: 2}, sizes: 3}\n"
             "exclude: [{width: 16, seed: 1}]\ninclude: [{depth: 1, width: %d, examples: %d, seed: 0}]\n",
             (int)runs[0].model.width, (int)runs[0].examples);
    Sweep *again = sweep_good(text);
    assert_int_equal(sweep_run_count(again), expected - (runs[0].batch == 128 ? 3 : 0));
    sweep_free(again);
    free(runs);
    sweep_free(sweep);
}

typedef struct Wrong {
    const char *text, *message;
} Wrong;

static void wrong_designs_are_refused(void **state) {
    (void)state;
#define DESIGN(budgets, rest) "design: {kind: isoflop, budgets: {" budgets "}, sizes: 5" rest "}\n"
#define GOOD                  "from: 1e10, to: 1e12, points: 6"
    static const Wrong wrongs[] = {
        {HEAD SIZES STEPS "design: {budgets: {" GOOD "}, sizes: 5}\n", "f:7:1: design: kind is missing; expected isoflop"},
        {HEAD SIZES STEPS "design: {kind: isoflop, sizes: 5}\n",
         "f:7:1: design: budgets.from is missing; expected a number from 1 to 1e+30"},
        {HEAD SIZES STEPS "design: {kind: grid}\n", "f:7:16: design.kind: found \"grid\"; expected isoflop"},
        {HEAD SIZES STEPS DESIGN("from: 1e12, to: 1e10, points: 6", ""),
         "f:7:51: design.budgets.to: found budgets less than 2 % apart; expected budgets.to well above budgets.from, or fewer points"},
        {HEAD SIZES STEPS DESIGN("from: 1e10, to: 1.1e10, points: 6", ""),
         "f:7:51: design.budgets.to: found budgets less than 2 % apart; expected budgets.to well above budgets.from, or fewer points"},
        {HEAD SIZES STEPS DESIGN(GOOD, ", centre: {coefficient: 1}"),
         "f:7:79: design.centre: exponent is missing; expected a number above 0 and at most 4"},
        {HEAD SIZES STEPS DESIGN("from: 1, to: 1000, points: 6", ""),
         "f:7:1: design: found no budget that 3 sizes can share; expected other budgets or models: mostly, the budget pays for fewer "
         "examples than a batch"},
        {HEAD "grid: {depth: 1, width: [8, 16, 32], examples: 100}\n" STEPS DESIGN(GOOD, ""),
         "f:5:38: grid.examples: found examples beside a design, which chooses them"},
        {HEAD
         "grid: {depth: 1, width: [8, 16, 32], epochs: [1, 2]}\ntrain: {batch: 128, optimizer: {name: lion, lr: 1e-3}}\n" DESIGN(GOOD, ""),
         "f:5:38: grid.epochs: found several values beside a design; its budgets need one: what a run costs depends on it"},
        {HEAD SIZES STEPS DESIGN(GOOD, "") "exclude: [{examples: 100}]\n",
         "f:8:12: exclude[0].examples: found examples, which the design chooses; exclude models by depth and width"},
        {HEAD SIZES STEPS DESIGN(GOOD, "") "include: [{depth: 1, width: 8, seed: 0}]\n",
         "f:8:11: include[0]: examples is missing; the grid has 6 values of it, so the cell must say which"},
        {HEAD "grid: {depth: {from: 1, to: 100, points: 100}, width: {from: 8, to: 5000, points: 100}}\n" STEPS DESIGN(GOOD, ""),
         "f:5:1: grid: found 5335 models; expected at most 4096 in a design"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        Sweep *sweep = NULL;
        Error error = {0};
        assert_int_equal(sweep_parse(&sweep, wrongs[i].text, strlen(wrongs[i].text), "f", &error), SWEEP_INVALID);
        assert_string_equal(error.text, wrongs[i].message);
    }
}

static void a_grid_has_no_design(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, ""));
    assert_null(sweep_design(sweep));
    sweep_free(sweep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_meets_its_budget_in_each_count),
        cmocka_unit_test(sizes_are_even_about_the_centre),
        cmocka_unit_test(what_is_left_out_has_its_reason),
        cmocka_unit_test(designs_take_other_axes_includes_and_tune),
        cmocka_unit_test(wrong_designs_are_refused),
        cmocka_unit_test(a_grid_has_no_design),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
