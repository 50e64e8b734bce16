/* Which cells a grid has: spacing, include, exclude, each run once, and sizes that must not be expanded. */
#include "fixture.h"

#include <math.h>

static void check_examples(const char *axis, const int64_t *expected, size_t count) {
    char grid[256];
    snprintf(grid, sizeof grid, "  depth: 1\n  width: 8\n  examples: %s\n", axis);
    Sweep *sweep = sweep_good(sweep_text(grid, TRAIN, ""));
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(runs[i].examples, expected[i]);
    free(runs);
    sweep_free(sweep);
}

static void ranges_are_log_spaced_with_exact_ends(void **state) {
    (void)state;
    check_examples("{from: 1, to: 10000, points: 5}", (const int64_t[]){1, 10, 100, 1000, 10000}, 5);
    check_examples("{from: 7, to: 59999, points: 2}", (const int64_t[]){7, 59999}, 2);
    check_examples("{from: 3, to: 5, points: 9}", (const int64_t[]){3, 4, 5}, 3); /* rounded, and each once */
    check_examples("{from: 500, to: 55000, points: 3}", (const int64_t[]){500, 5244, 55000}, 3);
}

static void a_range_of_seeds_is_even(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 9\n  seed: {from: 0, to: 40, points: 5}\n", TRAIN, ""));
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), 5);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(runs[i].seed, 10 * i);
    free(runs);
    sweep_free(sweep);
}

static void a_range_of_rates_has_round_values(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: 1\n  width: 8\n  examples: 9\n  lr: {from: 1e-5, to: 1e-1, points: 5}\n",
                                         "  epochs: 1\n  batch: 3\n  optimizer: {name: lion}\n", ""));
    static const double expected[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1};
    Run *runs = sweep_all(sweep);
    for (int i = 0; i < 5; i++)
        assert_true(runs[i].optimizer.lr == expected[i]);
    free(runs);
    sweep_free(sweep);
}

static void the_last_axis_is_the_fastest(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  examples: [100, 200]\n  width: [8, 16, 32]\n  depth: [1, 2]\n", TRAIN, ""));
    Run *runs = sweep_all(sweep);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(runs[i].model.depth, 1 + i % 2);
        assert_int_equal(runs[i].model.width, 8 << i / 2 % 3);
        assert_int_equal(runs[i].examples, 100 + 100 * (i / 6));
    }
    free(runs);
    sweep_free(sweep);
}

typedef struct Cell {
    int64_t depth, width, examples;
} Cell;

static void check_cells(const char *rest, const Cell *expected, size_t count) {
    Sweep *sweep = sweep_good(sweep_text(GRID, TRAIN, rest));
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(runs[i].model.depth, expected[i].depth);
        assert_int_equal(runs[i].model.width, expected[i].width);
        assert_int_equal(runs[i].examples, expected[i].examples);
    }
    free(runs);
    sweep_free(sweep);
}

static void exclude_drops_the_cells_that_match_every_key(void **state) {
    (void)state;
    check_cells("exclude:\n  - {depth: 2}\n  - {width: [8, 32], examples: 100}\n",
                (const Cell[]){{1, 8, 200}, {1, 16, 100}, {1, 16, 200}, {1, 32, 200}}, 4);
    check_cells("exclude: [{depth: [1, 2], width: [16, 32]}, {examples: 200, epochs: 3, optimizer: {name: lion}, lr: 1e-3}]\n",
                (const Cell[]){{1, 8, 100}, {2, 8, 100}}, 2);
    check_cells("exclude: []\ninclude: []\n",
                (const Cell[]){{1, 8, 100},
                               {1, 8, 200},
                               {1, 16, 100},
                               {1, 16, 200},
                               {1, 32, 100},
                               {1, 32, 200},
                               {2, 8, 100},
                               {2, 8, 200},
                               {2, 16, 100},
                               {2, 16, 200},
                               {2, 32, 100},
                               {2, 32, 200}},
                12);
}

static void include_adds_cells_once_and_after_exclude(void **state) {
    (void)state;
    check_cells("exclude: [{depth: [1, 2], width: [8, 16]}, {depth: 2}]\n"
                "include:\n"
                "  - {depth: 3, width: 64, examples: 50}\n"
                "  - {depth: 1, width: 32, examples: 100}\n"  /* is in the grid */
                "  - {depth: 2, width: 8, examples: 200}\n"   /* was excluded, comes back */
                "  - {depth: 3, width: 64, examples: 5e1}\n", /* twice */
                (const Cell[]){{1, 32, 100}, {1, 32, 200}, {3, 64, 50}, {2, 8, 200}}, 4);
}

static void an_included_cell_may_differ_in_any_key(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: 1\n  width: [8, 16]\n  examples: 100\n  seed: 5\n", TRAIN,
                                         "include:\n  - {width: 8, optimizer: {name: sgd, momentum: 0.5}, lr: 0.1}\n"
                                         "  - {width: 64, lr: {value: 1e-3, base_width: 16, power: -1}, epochs: 7}\n"));
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), 4);
    assert_int_equal(runs[2].optimizer.kind, OPTIMIZER_SGD);
    assert_true(runs[2].optimizer.momentum == 0.5 && runs[2].optimizer.beta1 == 0 && runs[2].optimizer.lr == 0.1);
    assert_int_equal(runs[2].seed, 5);
    assert_int_equal(runs[2].subset_seed, 5);
    assert_int_equal(runs[3].epochs, 7);
    assert_int_equal(runs[3].model.width, 64);
    assert_true(runs[3].optimizer.lr == 1e-3 / 4 && runs[3].optimizer.beta2 == 0.99);
    free(runs);
    sweep_free(sweep);
}

/* A rule and a number, or two rules, can give one rate at some width and different ones at others. */
static void rates_that_coincide_make_one_run(void **state) {
    (void)state;
    static const char grid[] = "  depth: 1\n  width: [8, 16, 32]\n  examples: 100\n"
                               "  lr:\n  - {value: 1e-3, base_width: 8, power: -1}\n  - 1e-3\n"
                               "  - {value: 1e-3, base_width: 16, power: -1, max: 1e-3}\n";
    static const char train[] = "  epochs: 1\n  batch: 3\n  optimizer: {name: lion}\n";
    static const double expected[][2] = {{8, 1e-3}, {16, 5e-4}, {16, 1e-3}, {32, 2.5e-4}, {32, 1e-3}, {32, 5e-4}};
    Sweep *sweep = sweep_good(sweep_text(grid, train, "include: [{width: 16, lr: 5e-4}, {width: 16, lr: 2.5e-4}]\n"));
    Run *runs = sweep_all(sweep);
    assert_int_equal(sweep_run_count(sweep), 7);
    for (int i = 0; i < 6; i++)
        assert_true((double)runs[i].model.width == expected[i][0] && runs[i].optimizer.lr == expected[i][1]);
    assert_true(runs[6].model.width == 16 && runs[6].optimizer.lr == 2.5e-4);
    free(runs);
    sweep_free(sweep);

    /* The number is excluded: its rate at width 8 still comes from the first rule, at 16 from the last. */
    sweep = sweep_good(sweep_text(grid, train, "exclude: [{lr: 1e-3}]\n"));
    runs = sweep_all(sweep);
    static const double left[][2] = {{8, 1e-3}, {16, 5e-4}, {16, 1e-3}, {32, 2.5e-4}, {32, 5e-4}};
    assert_int_equal(sweep_run_count(sweep), 5);
    for (int i = 0; i < 5; i++)
        assert_true((double)runs[i].model.width == left[i][0] && runs[i].optimizer.lr == left[i][1]);
    free(runs);
    sweep_free(sweep);
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, RUN_KEY_MAX);
}

static void a_hundred_thousand_runs_have_as_many_keys(void **state) {
    (void)state;
    Buffer text;
    project_read("sweeps/large.yaml", &text);
    Sweep *sweep = sweep_good(text.data);
    enum { RUNS = 100000 };
    assert_int_equal(sweep_run_count(sweep), RUNS);
    char(*keys)[RUN_KEY_MAX] = calloc(RUNS, sizeof *keys);
    assert_non_null(keys);
    SweepCursor cursor;
    Run run;
    size_t count = 0;
    Error error = {0};
    sweep_cursor_init(&cursor, sweep);
    while (sweep_cursor_next(&cursor, &run))
        assert_int_equal(run_key(&run, keys[count++], &error), 0);
    assert_int_equal(count, RUNS);
    qsort(keys, RUNS, sizeof *keys, compare_keys);
    for (size_t i = 1; i < RUNS; i++)
        assert_memory_not_equal(keys[i - 1], keys[i], RUN_KEY_MAX);
    free(keys);
    buffer_deinit(&text);
    sweep_free(sweep);
}

/* Exactly 10^7 cells are a sweep, counted without being made; the cursor starts at once. */
static void the_largest_grid_is_counted_not_made(void **state) {
    (void)state;
    Sweep *sweep = sweep_good(sweep_text("  depth: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n  width: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
                                         "  examples: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n  seed: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
                                         "  epochs: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n  batch: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
                                         "  evaluations: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n",
                                         "  optimizer: {name: lion, lr: 1}\n", ""));
    assert_int_equal(sweep_run_count(sweep), 10000000);
    SweepCursor cursor;
    Run run;
    sweep_cursor_init(&cursor, sweep);
    cursor.cell = 9999999;
    assert_true(sweep_cursor_next(&cursor, &run));
    assert_int_equal(run.model.depth, 10);
    assert_int_equal(run.evaluations, 10);
    assert_false(sweep_cursor_next(&cursor, &run));
    sweep_free(sweep);
}

/* Two hundred exclusions of ten million cells are counted at once, and right: each of 100 pairs loses three evaluations of ten. */
static void many_exclusions_of_a_large_grid_are_counted(void **state) {
    (void)state;
    static char text[32768];
    int size = snprintf(text, sizeof text,
                        "version: 1\nname: t\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\n"
                        "train: {optimizer: {name: lion, lr: 1}}\ngrid:\n");
    static const char *const axes[] = {"depth", "width", "examples", "seed", "epochs", "batch", "evaluations"};
    for (size_t i = 0; i < 7; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "  %s: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n", axes[i]);
    size += snprintf(text + size, sizeof text - (size_t)size, "exclude:\n");
    for (int i = 0; i < 200; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "  - {depth: %d, width: %d, evaluations: [%d, 10]}\n", 1 + i % 10,
                         1 + i / 10 % 10, 1 + i / 100);
    Sweep *sweep = sweep_good(text);
    assert_int_equal(sweep_run_count(sweep), 7000000);
    sweep_free(sweep);
}

/* Whatever is excluded, the count is that of the runs, and these are the cells that no entry matches. */
static void exclusions_drop_what_they_match(void **state) {
    (void)state;
    Rng rng;
    rng_init(&rng, 7, 0);
    for (int turn = 0; turn < 40; turn++) {
        char text[8192] =
            "version: 1\nname: t\ndata: {name: fashion-mnist}\nmodel: {kind: bmlp}\ntrain: {optimizer: {name: lion, lr: 1}, "
            "batch: 5, epochs: 1}\ngrid: {depth: [1, 2, 3], width: [1, 2, 3, 4], examples: [5, 6], seed: [0, 1, 2]}\nexclude:\n";
        uint64_t entries[80][3];
        size_t count = 1 + rng_below(&rng, 80), excluded = 0;
        for (size_t i = 0; i < count; i++) {
            char entry[64];
            for (size_t j = 0; j < 3; j++)
                entries[i][j] = rng_below(&rng, 4); /* 0: not named */
            strcat(text, "  - {examples: 5");
            static const char *const names[] = {"depth", "width", "seed"};
            for (size_t j = 0; j < 3; j++) {
                snprintf(entry, sizeof entry, ", %s: %d", names[j], (int)entries[i][j] - (j == 2));
                strcat(text, entries[i][j] ? entry : "");
            }
            strcat(text, "}\n");
        }
        for (uint64_t cell = 0; cell < 36; cell++) {
            bool any = false;
            for (size_t i = 0; i < count; i++)
                any = any || ((!entries[i][0] || entries[i][0] == 1 + cell % 3) && (!entries[i][1] || entries[i][1] == 1 + cell / 3 % 4) &&
                              (!entries[i][2] || entries[i][2] == 1 + cell / 12));
            excluded += any;
        }
        Sweep *sweep = sweep_good(text);
        assert_int_equal(sweep_run_count(sweep), 72 - excluded);
        free(sweep_all(sweep));
        sweep_free(sweep);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_log_spaced_with_exact_ends),
        cmocka_unit_test(a_range_of_seeds_is_even),
        cmocka_unit_test(a_range_of_rates_has_round_values),
        cmocka_unit_test(the_last_axis_is_the_fastest),
        cmocka_unit_test(exclude_drops_the_cells_that_match_every_key),
        cmocka_unit_test(include_adds_cells_once_and_after_exclude),
        cmocka_unit_test(an_included_cell_may_differ_in_any_key),
        cmocka_unit_test(rates_that_coincide_make_one_run),
        cmocka_unit_test(a_hundred_thousand_runs_have_as_many_keys),
        cmocka_unit_test(the_largest_grid_is_counted_not_made),
        cmocka_unit_test(many_exclusions_of_a_large_grid_are_counted),
        cmocka_unit_test(exclusions_drop_what_they_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
